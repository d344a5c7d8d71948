"""Every operation of the contract with made-up data, right and wrong, over a real socket, to all kinds of LMS.

Schemathesis makes the data from the contract. Whatever comes: no server error, and answers that the contract knows.
How often each operation was asked, and what it answered, is shown with `pytest -s`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st

from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.courses import Course
from ltiaas_django.sandbox.profiles import PROFILES
from tests import openapi

from .conftest import API_KEY

CONTRACT = openapi.contract()
EXAMPLES = 20  # for each operation, of right data and of wrong
ALWAYS = {
    400: "the data is wrong, or of nobody and nothing that this LMS takes",
    401: "in the contract: the credential is wrong",
    404: "the id is that of nothing",
}
ALSO = {
    "/api/lineitems/{lineItemId}/scores": {
        403: "an LMS's word for somebody who has no grades",
        409: "Moodle: two scores in one second",
        422: "Canvas's word for somebody who has no grades",
    },
}
"""Statuses that the contract does not have for an operation, and why they are right: it knows nothing of mistakes."""


@dataclass(repr=False)
class Place:
    """A course of a school, and the credentials of launches there."""

    course: Course
    line_item_id: str
    ltik: str
    picker_ltik: str
    service_key: str


class Fuzzed:
    """The sandbox with one school for each profile, and what it was asked."""

    def __init__(self, sandbox: Sandbox, url: str, session: requests.Session) -> None:
        self.sandbox = sandbox
        self.url = url
        self.session = session
        self.asked: Counter[tuple[str, int]] = Counter()
        self.places = [self._place(name) for name in PROFILES]

    def _place(self, profile: str) -> Place:
        sandbox = self.sandbox
        sandbox.add_school(profile, f"School of {profile}", profile=profile)
        course = sandbox.add_course(f"course-{profile}", "A course", school=profile)
        for number in range(5):
            course.add_person(f"Learner {number}", user_id=f"20{number}")
        course.add_person("Teacher", "Instructor", user_id="100")
        course.add_activity("Quiz", activity_id="quiz")
        line_item = course.add_line_item("quiz", 10)
        ltik = sandbox.launch(course.id, "quiz", "201")
        launch = sandbox.launches.find(ltik)
        assert launch is not None
        picker = sandbox.launch(course.id, None, "100", type="deep_linking")
        return Place(course, line_item.id, ltik, picker, launch.service_key)

    def credentials(self, operation: openapi.Operation, place: Place) -> list[str]:
        """The right Authorization headers."""
        ltik = place.picker_ltik if "deeplinking" in operation.path else place.ltik
        made = {
            "ltik": f"LTIK-AUTH-V2 {API_KEY}:{ltik}",
            "serviceKey": f"SERVICE-AUTH-V1 {API_KEY}:{place.service_key}",
            "bearer": f"Bearer {API_KEY}",
        }
        return [made[name] for name in operation.schemes]

    def ids(self, operation: openapi.Operation, place: Place) -> dict[str, str]:
        """The ids of things that are there; what may be deleted or used up is made anew."""
        if "{lineItemId}" in operation.path:
            fresh = operation.method == "DELETE"
            return {"lineItemId": place.course.add_line_item("quiz", 10).id if fresh else place.line_item_id}
        if "{registrationId}" in operation.path:
            return {"registrationId": self.sandbox.registrations.start().id}
        if "{platformId}" in operation.path:
            lasting = self.sandbox.schools["plain"].platform_id
            return {"platformId": self._platform() if operation.method == "DELETE" else lasting}
        return {}

    def _platform(self) -> str:
        body = {"url": f"https://lms-{len(self.sandbox.platforms.all())}.example", "clientId": "c", "name": "n"}
        body |= {"authenticationEndpoint": "https://x.example", "accesstokenEndpoint": "https://x.example"}
        config = {"method": "JWK_SET", "key": "https://x.example"}
        return str(self.sandbox.platforms.add({**body, "authConfig": config})["id"])


@pytest.fixture(scope="module")
def fuzzed(request: pytest.FixtureRequest) -> Iterator[Fuzzed]:
    sandbox = Sandbox(api_key=API_KEY)
    with SandboxServer(sandbox) as server, requests.Session() as session:
        session.trust_env = False
        fuzzed = Fuzzed(sandbox, server.url, session)
        yield fuzzed
    if request.config.getoption("capture") == "no":
        lines = [f"\n{sum(fuzzed.asked.values())} requests"]
        for name in sorted({name for name, _ in fuzzed.asked}):
            told = {status: count for (one, status), count in sorted(fuzzed.asked.items()) if one == name}
            lines.append(f"{name:50} {sum(told.values()):5}  {told}")
        request.config.get_terminal_writer().line("\n".join(lines))


def strict_document() -> dict[str, Any]:
    """The contract without what it merely tolerates: made-up members of a body would all be refused."""
    document = deepcopy(CONTRACT.document)
    for operation in CONTRACT.operations:
        described = document["paths"][operation.path][operation.method.lower()].get("requestBody")
        if described:
            described["content"][openapi.JSON]["schema"] = CONTRACT.request_schema(operation)
    return document


SCHEMA = schemathesis.openapi.from_dict(strict_document())
MODE = schemathesis.GenerationMode


@pytest.mark.long
@pytest.mark.parametrize("operation", CONTRACT.operations, ids=str)
def test_answers_are_the_contract_s_whatever_is_asked(fuzzed: Fuzzed, operation: openapi.Operation) -> None:
    fixed = {one["name"]: "https://lms.example/1" for one in operation.parameters if one["in"] == "path"}
    for mode, path_parameters in ((MODE.POSITIVE, fixed), (MODE.NEGATIVE, None)):
        cases = SCHEMA[operation.path][operation.method].as_strategy(mode, path_parameters=path_parameters)

        @hypothesis.given(cases, st.data())
        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],  # a failure names its request; a smaller one takes minutes to find
            suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
        )
        def ask(case: Any, data: st.DataObject) -> None:
            place = data.draw(st.sampled_from(fuzzed.places))
            case.headers = {**case.headers, "Authorization": data.draw(credentials(fuzzed, operation, place))}
            there = {name: quote(text, safe="") for name, text in fuzzed.ids(operation, place).items()}
            case.path_parameters = data.draw(st.sampled_from([there, there, there, case.path_parameters]))
            case.body = data.draw(made_likely(case.body, place.course, fuzzed.sandbox.origin))
            check(fuzzed, operation, case.call(base_url=fuzzed.url, session=fuzzed.session))

        ask()
    assert [status for name, status in fuzzed.asked if name == str(operation) and 200 <= status < 300]


def credentials(fuzzed: Fuzzed, operation: openapi.Operation, place: Place) -> st.SearchStrategy[str]:
    """Mostly right; now and then of the wrong kind, or nothing."""
    right = fuzzed.credentials(operation, place)
    wrong = [
        f"Bearer {API_KEY}",
        f"LTIK-AUTH-V2 {API_KEY}:x",
        f"SERVICE-AUTH-V1 {place.service_key}",
        "Basic eA==",
        "x",
    ]
    return st.sampled_from(right * 10 + wrong)


_TEXTS_OF_A_PLATFORM = ("url", "clientId", "name", "authenticationEndpoint", "accesstokenEndpoint")


def made_likely(body: Any, course: Course, origin: str) -> st.SearchStrategy[Any]:
    """The body, or one that speaks of people, activities and addresses that there are."""
    if not isinstance(body, dict):
        return st.just(body)
    known: Mapping[str, st.SearchStrategy[Any]] = {
        "userId": st.sampled_from([one.person.lti_id for one in course.people.values()]),
        "resourceLinkId": st.just(course.link_id("quiz")),
        "scoreMaximum": st.sampled_from([1, 2.5, 100]),
        "scoreGiven": st.sampled_from([0, 0.1, 7, None]),
        "label": st.just("A column"),
        "contentItems": st.just([{"type": "ltiResourceLink", "url": f"{origin}/lti/launch?x=1"}]),
        "platformName": st.just("A name"),
        "messages": st.just([{"type": "LtiResourceLinkRequest"}]),
        **dict.fromkeys(_TEXTS_OF_A_PLATFORM, st.text("ab", min_size=9)),
        "authConfig": st.just({"method": "JWK_SET", "key": "k"}),
    }
    likely = st.fixed_dictionaries({name: known.get(name, st.just(value)) for name, value in body.items()})
    return st.one_of(likely, likely, st.just(body))


def check(fuzzed: Fuzzed, operation: openapi.Operation, response: Any) -> None:
    """The answer is one that the contract knows, or a refusal with a reason."""
    request, status = response.request, response.status_code
    content_type = response.headers.get("content-type", [""])[0]
    fuzzed.asked[str(operation), status] += 1
    asked = f"{request.method} {request.url} {request.body!r} -> {status} {response.text}"
    assert status < 400 or status in {**ALWAYS, **ALSO.get(operation.path, {})}, asked
    assert CONTRACT.answer_faults(operation, request.url, status, content_type, response.content) == [], asked
