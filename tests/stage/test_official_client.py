"""LTIAAS's own Python client, `ltiaas` 0.0.4, at work with the sandbox: over HTTPS, behind gunicorn, which leaves
its double slashes as they are. What it cannot do with any server is listed at the end.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import ltiaas
import pytest
import requests
from ltiaas.exceptions.api_error import APIError
from ltiaas.exceptions.validation_error import ValidationError
from ltiaas.resources.scores.enums import ActivityProgress, GradingProgress

from ltiaas_django.sandbox import certificates, habits

pytestmark = pytest.mark.long

KEY = "a-key"
LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"


class Served:
    """The sandbox as gunicorn serves it, steered by its control API."""

    def __init__(self, domain: str, certificate: str) -> None:
        self.domain = domain
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = certificate

    def control(self, method: str, path: str, **body: Any) -> Any:
        """What the control API answers."""
        options = {"json": body} if method in ("POST", "PATCH") else {}
        response = self.session.request(method, f"https://{self.domain}/control/{path}", timeout=10, **options)
        assert response.ok, response.text
        return response.json() if response.content else None

    def ltik(self, **launch: Any) -> str:
        """The ltik of a new launch, of the first quiz by a learner unless something else is said."""
        described = {"course": "course-101", "activity": "quiz-1", "person": "2001", **launch}
        said = {name: value for name, value in described.items() if value is not None}
        return str(self.control("POST", "launches/", **said)["ltik"])

    def by_ltik(self, **launch: Any) -> ltiaas.LTIAASLaunch:
        """The client, with a new launch's ltik."""
        return ltiaas.LTIAASLaunch(self.domain, KEY, ltik=self.ltik(**launch))

    def by_key(self) -> ltiaas.LTIAASLaunch:
        """The client, with a new launch's service key."""
        return ltiaas.LTIAASLaunch(self.domain, KEY, service_key=self.by_ltik().get_id_token().services.service_key)

    def requests(self) -> list[dict[str, Any]]:
        """The records of what came to the API."""
        found: list[dict[str, Any]] = self.control("GET", "requests/")["requests"]
        return found

    def warnings(self) -> set[str]:
        """The habits that the sandbox has noticed."""
        return {warning for one in self.requests() for warning in one["warnings"]}


@pytest.fixture(scope="module")
def gunicorn() -> Iterator[Served]:
    certificate = certificates.make()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.MonkeyPatch.context() as patch:
        domain = f"127.0.0.1:{listener.getsockname()[1]}"
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        environment |= {"LTIAAS_SANDBOX_ORIGIN": f"https://{domain}/", "LTIAAS_SANDBOX_API_KEY": KEY}
        environment |= {"LTIAAS_SANDBOX_PROFILE": "canvas", "LTIAAS_SANDBOX_TOOL_URL": "https://tool.example/lti/"}
        command = [sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "4", "--no-control-socket"]
        command += ["--bind", f"fd://{listener.fileno()}", "--log-level", "warning"]
        command += ["--certfile", str(certificate.path), "--keyfile", str(certificate.key_path)]
        process = subprocess.Popen(
            [*command, "ltiaas_django.sandbox.wsgi"],
            pass_fds=[listener.fileno()],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        patch.setenv("REQUESTS_CA_BUNDLE", str(certificate.path))  # the client has no option for it
        try:
            served = Served(domain, str(certificate.path))
            served.control("GET", "state/")  # waits for gunicorn: the socket listens already
            yield served
        finally:
            served.session.close()
            process.send_signal(signal.SIGTERM)
            _, complaints = process.communicate(timeout=20)
            certificate.remove()
    assert complaints == ""


@pytest.fixture
def served(gunicorn: Served) -> Served:
    gunicorn.control("POST", "reset/")
    return gunicorn


@pytest.fixture(params=["plain", "canvas", "moodle"])
def lms(request: pytest.FixtureRequest, served: Served) -> Served:
    """Each of these LMSs in turn."""
    served.control("PATCH", "schools/school/", profile=request.param)
    return served


@pytest.fixture(params=["by_ltik", "by_key"])
def client(request: pytest.FixtureRequest, lms: Served) -> Any:
    """The client with each of the credentials that open services."""
    return getattr(lms, request.param)()


def score(user_id: str, given: float | None, comment: str | None = None) -> ltiaas.Score:
    return ltiaas.Score(
        user_id=user_id,
        activity_progress=ActivityProgress.COMPLETED,
        grading_progress=GradingProgress.FULLY_GRADED,
        score_given=given,
        score_maximum=10,
        comment=comment,
    )


def pages(ask: Callable[..., Any], entries: str, **query: Any) -> list[list[Any]]:
    """All pages of a list, by their links."""
    page = ask(**query)
    found = [getattr(page, entries)]
    while page.next:
        page = ask(url=page.next)
        found.append(getattr(page, entries))
    return found


def test_environment_says_what_is_served(served):
    state = served.control("GET", "state/")
    assert state["toolUrl"] == "https://tool.example/lti/"
    assert state["schools"][0]["profile"] == "canvas"
    assert state["courses"][0]["lineItems"][0]["id"].startswith(f"https://{served.domain}/")


class TestLaunch:
    def test_id_token(self, lms):
        token = lms.by_ltik(person="1001", target="window").get_id_token()
        assert (token.user.name, token.launch.context["title"]) == ("Amina Okafor", "Introduction to Statistics")
        assert token.services.assignment_and_grades["lineItemId"].startswith(f"https://{lms.domain}/")
        assert token.services.service_key

    def test_raw_id_token(self, lms):
        token = lms.by_ltik(person="1001").get_raw_id_token()
        assert (token.name, token.lti_version, token.message_type) == (
            "Amina Okafor",
            "1.3.0",
            "LtiResourceLinkRequest",
        )
        assert lms.warnings() >= {habits.CAPITAL_FLAG.format("True")}

    def test_legacy_launch(self, lms):
        client = lms.by_ltik(type="legacy")
        assert client.get_id_token().lti_version == "1.2.0"
        assert client.get_raw_id_token().lis_person_name_full == "Zoë Müller-Łukasiewicz"

    def test_deep_linking(self, lms):
        client = lms.by_ltik(person="1001", activity=None, type="deep_linking")
        link = ltiaas.LTIResourceLinkContentItem(title="A quiz", custom={"quiz": "mean"})
        link.url = f"https://{lms.domain}/lti/launch?quiz=mean"  # given at once it is an object that crashes the client
        items = [link, ltiaas.HTMLFragmentContentItem(html="<p>Read this first.</p>", title="A text")]
        assert 'name="JWT"' in client.build_deep_linking_form(items, message="Added").form
        parts = client.build_deep_linking_form_components(items, log="added")
        assert lms.session.post(parts.target, data={"JWT": parts.message}, timeout=10).ok
        (course, _) = lms.control("GET", "state/")["courses"]
        assert course["activities"][-1]["custom"] == {"quiz": "mean"}
        assert client.build_deep_linking_form([], err_message="Not today").form


class TestRoster:
    def test_pages(self, client):
        found = pages(client.get_memberships, "members", limit=3)
        assert [len(page) for page in found] == [3, 3, 1]
        assert len({member.user_id for page in found for member in page}) == 7

    def test_role(self, lms):
        first = lms.by_key().get_memberships(role=LEARNER, limit=3).members
        assert {role.rpartition("#")[2] for one in first for role in one.roles} == {"Learner"}
        assert len(first) == 3
        assert lms.warnings() >= {habits.ENCODED_TWICE.format("role"), habits.TWO_SLASHES}


class TestGrades:
    def test_line_item_s_life(self, client):
        made = client.create_line_item(ltiaas.LineItem(label="Bonus / extra", score_maximum=2.5, tag="bonus"))
        assert client.get_line_item(made.id) == made
        assert [item.id for item in client.get_line_items(tag="bonus").line_items] == [made.id]
        changed = client.update_line_item(made.id, ltiaas.LineItem(label="Bonus", score_maximum=3))
        assert (changed.id, changed.label, changed.score_maximum) == (made.id, "Bonus", 3)
        client.delete_line_item(made.id)
        with pytest.raises(APIError) as refused:
            client.get_line_item(made.id)
        assert refused.value.response.status == 404
        assert refused.value.response.details.externalError

    def test_pages_of_line_items(self, lms):
        client = lms.by_key()
        for number in range(3):
            client.create_line_item(ltiaas.LineItem(label=f"Column {number}", score_maximum=1))
        found = pages(client.get_line_items, "line_items", limit=2)
        is_moodle = client.get_line_items().line_items[0].resource_id == ""
        # With a limit, Moodle's link to the next page is lost; without one there is one page.
        assert [len(page) for page in found] == ([2] if is_moodle else [2, 2, 1])
        assert sum(len(page) for page in pages(client.get_line_items, "line_items")) == 5

    def test_scores(self, lms, client):
        item = client.get_line_items().line_items[0]
        link = item.resource_link_id
        assert [one.id for one in client.get_line_items(resource_link_id=link).line_items] == [item.id]
        learners = [one.user_id for one in pages(client.get_memberships, "members", role=LEARNER)[0]]
        for place, user_id in enumerate(learners[:3]):
            client.submit_score(item.id, score(user_id, 2.5 * (place + 1), "Well done"))
        (result,) = client.get_scores(item.id, user_id=learners[1]).scores
        assert (result.user_id, result.result_score, result.result_maximum) == (learners[1], 5, 10)
        found = pages(lambda **query: client.get_scores(item.id, **query), "scores", limit=2)
        assert [len(page) for page in found] == [2, 1]
        assert lms.warnings() >= {habits.TWO_SLASHES, habits.UNENCODED_ID, habits.SNAKE_CASE}
        assert lms.warnings() >= {habits.ENCODED_TWICE.format("url")}

    def test_cleared_grade(self, lms):
        client, user_id = lms.by_key(), lms.by_ltik(person="2002").get_id_token().user.id
        item_id = client.get_line_items().line_items[0].id
        client.submit_score(item_id, score(user_id, 7))
        lms.control("POST", "clock/", advanceSeconds=5)
        client.submit_score(item_id, score(user_id, None))
        (cleared,) = client.get_scores(item_id, user_id=user_id).scores
        assert cleared.result_score is None

    def test_refusal_by_the_lms_is_told(self, lms):
        client, teacher = lms.by_key(), lms.by_ltik(person="1001").get_id_token().user.id
        with pytest.raises(APIError) as refused:
            client.submit_score(client.get_line_items().line_items[0].id, score(teacher, 1))
        details = refused.value.response.details
        assert details.externalError
        assert details.bodyReceived
        assert details.externalUrl.startswith(f"https://{lms.domain}/")


class TestFaults:
    """They work behind gunicorn as in the sandbox's own server."""

    @pytest.mark.parametrize(("kind", "stored"), [("drop_before", 0), ("drop_after", 1)])
    def test_dropped_connection(self, served, kind, stored):
        client, user_id = served.by_key(), served.by_ltik().get_id_token().user.id
        item_id = client.get_line_items().line_items[0].id
        served.control("POST", "faults/", kind=kind, route="scores")
        with pytest.raises(APIError, match="unexpected") as lost:
            client.submit_score(item_id, score(user_id, 1))
        assert lost.value.response is None
        assert len(served.control("GET", "courses/course-101/gradebook/")["rows"]) == stored
        assert client.get_line_items().line_items

    def test_half_an_answer(self, served):
        client = served.by_key()
        served.control("POST", "faults/", kind="cut", route="memberships")
        with pytest.raises(APIError):
            client.get_memberships()
        assert client.get_memberships().members


ADDRESS = "https://tool.example/"
CANNOT = [
    pytest.param(
        lambda served: picker(served).build_deep_linking_form([ltiaas.LinkContentItem(url=ADDRESS)]),
        AttributeError,
        id="items with a URL: it is no plain text when it is written as JSON",
    ),
    pytest.param(
        lambda served: picker(served).build_deep_linking_form([ltiaas.FileContentItem(url=ADDRESS)]),
        AttributeError,
        id="files: likewise",
    ),
    pytest.param(
        lambda served: picker(served).build_deep_linking_form([ltiaas.ImageContentItem(url=ADDRESS)]),
        AttributeError,
        id="images: likewise",
    ),
    pytest.param(
        lambda served: served.by_key().create_line_item(
            ltiaas.LineItem(label="L", score_maximum=1, start_date_time="2026-01-01T00:00:00Z")
        ),
        AttributeError,
        id="line items with dates: likewise",
    ),
    pytest.param(
        lambda served: served.by_ltik(type="submission_review").get_id_token(),
        ValidationError,
        id="submission reviews: it knows no such launch",
    ),
    pytest.param(
        lambda served: served.by_ltik(type="submission_review").get_raw_id_token(),
        ValidationError,
        id="their raw claims: likewise",
    ),
]


def picker(served: Served) -> ltiaas.LTIAASLaunch:
    return served.by_ltik(person="1001", activity=None, type="deep_linking")


@pytest.mark.parametrize(("do", "error"), CANNOT)
def test_what_the_client_cannot_do(served, do, error):
    """With no server at all: it fails before it asks, or over a right answer."""
    with pytest.raises(error):
        do(served)
    assert [one["status"] for one in served.requests()] in ([], [200])
