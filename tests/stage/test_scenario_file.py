"""A sandbox kept as a file: what comes back is what was kept, and a wrong file changes nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltiaas_django.sandbox import Sandbox, errors
from ltiaas_django.sandbox.profiles import PROFILES

texts = st.text(st.characters(codec="utf-8"), max_size=12)
amounts = st.decimals(0, 10**12, places=7)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def sandboxes(draw: st.DrawFn) -> Sandbox:
    """A sandbox in which things have happened."""
    sandbox = Sandbox(profile=draw(st.sampled_from([*PROFILES])))
    sandbox.add_school("north", "North High", draw(st.sampled_from([*PROFILES])))
    course = sandbox.add_course("north-1", draw(texts), draw(texts), "north")
    for name, user_id in draw(st.lists(st.tuples(texts, texts), max_size=4)):
        for place in (course, sandbox.course("course-101")):
            try:
                place.add_person(name, draw(st.sampled_from(["Learner", "Mentor", "Instructor"])), user_id=user_id)
            except errors.BadRequest:
                continue  # no name, or no id, that an LMS would have
    people = [*course.people]
    for person in draw(st.lists(st.sampled_from(people), max_size=2)) if people else ():
        course.remove_person(person)
    course.add_activity(
        draw(texts), activity_id="a", custom=draw(st.dictionaries(texts.filter(bool), texts, max_size=2))
    )
    column = course.add_line_item("a", draw(amounts.filter(bool)), label=draw(texts.filter(bool)))
    course.gradebook.delete_line_item(course.add_line_item("a", 1).number)
    course.gradebook.add_line_item("Bonus", 10, tag=draw(texts), grades_released=draw(st.booleans()))
    for person in people:
        cell = course.override(column, person, draw(st.none() | amounts))
        cell.comments.extend(draw(st.lists(texts, max_size=2)))
        cell.extra = draw(st.dictionaries(texts, json_values | st.decimals(allow_nan=False, allow_infinity=False)))
    course.contents.append({"type": "image", "url": "https://school.example/a.png", "width": 10})
    course.is_published, course.is_concluded = draw(st.booleans()), draw(st.booleans())
    sandbox.profile.page_size = draw(st.none() | st.integers(1, 100))
    sandbox.profile.anonymous = draw(st.booleans())
    sandbox.advance_clock(draw(st.floats(-1e6, 1e6)))
    return sandbox


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sandboxes())
def test_what_was_kept_comes_back(sandbox: Sandbox) -> None:
    kept = sandbox.export()
    other = Sandbox()
    other.load(json.loads(json.dumps(kept)))
    assert other.export() == kept
    other.reset()
    assert other.export() == kept


@st.composite
def nearly_scenarios(draw: st.DrawFn) -> object:
    """A scenario with something else in one or two of its places."""
    data = good_scenario()
    for _ in range(draw(st.integers(1, 2))):
        place: object = data
        while True:
            keys = [*place] if isinstance(place, dict) else [*range(len(place))]  # type: ignore[arg-type, call-overload]
            key = draw(st.sampled_from(keys))
            inner = place[key]  # type: ignore[index]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 5)) == 0:
                break
            place = inner
        match draw(st.sampled_from(["replace", "remove", "double", "rename"])):
            case "remove":
                del place[key]  # type: ignore[attr-defined]
                if not data:
                    return data
            case "double" if isinstance(place, list):
                place.append(inner)
            case "rename" if isinstance(place, dict):
                place[draw(texts)] = place.pop(key)
            case _:
                place[key] = draw(json_values)  # type: ignore[index]
    return data


def good_scenario() -> dict[str, object]:
    sandbox = Sandbox(profile="canvas")
    sandbox.profile.page_size = 7
    course = sandbox.course("course-101")
    course.override(course.line_items_of("quiz-1")[0], "2001", Decimal("8.5")).extra = {"https://x.example/": [1.5]}
    course.activity("quiz-2").item = {"type": "ltiResourceLink", "url": "https://tool.example/?a=1", "title": "A"}
    course.contents.append({"type": "html", "html": "<p>"})
    course.add_person("Ünal", user_id="named")
    return json.loads(json.dumps(sandbox.export()))  # type: ignore[no-any-return]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=json_values | nearly_scenarios())
def test_any_json_is_loaded_or_refused_whole(sandbox, browse, body):
    before = sandbox.export()
    answer = browse("/control/scenario/", "PUT", json=body)
    assert answer.status_code in (204, 400), answer.text
    if answer.status_code == 400:
        assert sandbox.export() == before
        return
    kept = browse("/control/scenario/").json()
    assert browse("/control/scenario/", "PUT", json=kept).status_code == 204
    assert browse("/control/scenario/").json() == kept
    assert browse("/control/state/").status_code == 200
    for course in sandbox.courses.values():
        assert browse(f"/control/courses/{course.id}/gradebook/").status_code == 200
        for activity in course.activities.values():
            assert isinstance(activity.query, str)
        for page in ("", "gradebook/"):
            assert browse(f"/courses/{course.id}/{page}").status_code < 500


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data.pop("format"), "The scenario: `format` is missing."),
        (lambda data: data.update(format=2), "`format` must be 1."),
        (lambda data: data.update(schools=[]), "`schools` must hold a school."),
        (lambda data: data["schools"][0].update(profile="vista"), "schools[0]: `profile` must be one of plain, canvas"),
        (lambda data: data["schools"][0]["switches"].update(pageSize=0), "switches: `pageSize` must be at least 1."),
        (lambda data: data["schools"][0]["people"][2].update(email="x"), "people[2]: An e-mail address looks like"),
        (lambda data: data["courses"][1].update(school="south"), "courses[1]: There is no school “south”."),
        (lambda data: data["courses"][0]["people"][1].update(role="Dean"), "courses[0]: people[1]: `role` must be one"),
        (lambda data: data["courses"][0]["grades"][0].update(person="9"), "grades[0]: Nobody with the id “9”"),
        (lambda data: data["courses"][0]["lineItems"][1].update(number=1), "lineItems[1]: There are two line items of"),
        (lambda data: data["courses"][0]["grades"][0].update(lineItem=9), "grades[0]: This gradebook has no column 9."),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(sandbox, browse, change, said):
    data = good_scenario()
    change(data)
    answer = browse("/control/scenario/", "PUT", json=data)
    assert answer.status_code == 400
    assert said in answer.json()["details"]["description"]


def test_a_file_may_leave_out_what_is_usual(sandbox):
    sandbox.load(
        {
            "format": 1,
            "schools": [{"id": "north", "name": "North", "people": [{"id": "1", "name": "Ada Lovelace"}]}],
            "courses": [
                {"id": "c", "title": "Engines", "people": [{"id": "1"}], "activities": [{"id": "a", "title": "A"}]}
            ],
        }
    )
    assert sandbox.launch("c", "a", "1")
    enrolment = sandbox.course("c").enrolment("1")
    assert (enrolment.role, enrolment.person.email, enrolment.is_active) == ("Learner", "1@school.example", True)


def test_launches_faults_and_requests_end_with_a_load(sandbox, by_key):
    caller = by_key()
    sandbox.fault("status", status=500, times=None)
    sandbox.load(sandbox.export())
    assert (sandbox.secrets(), sandbox.faults.waiting(), sandbox.requests) == (set(), [], [])
    assert caller("GET", "/api/memberships").status_code == 401


def test_line_items_keep_their_ids_and_new_ones_get_others(sandbox):
    before = [item.id for item in sandbox.course("course-102").gradebook.line_items.values()]
    sandbox.load(sandbox.export())
    course = sandbox.course("course-102")
    assert [item.id for item in course.gradebook.line_items.values()] == before
    assert course.add_line_item("essay-1", 5).number == 4


def test_a_scenario_is_changed_for_another_and_back(sandbox, browse):
    data = sandbox.export()
    data["courses"] = []
    assert browse("/control/scenario/", "PUT", json=data).status_code == 204
    assert browse("/control/state/").json()["scenario"] == "file"
    assert browse("/control/reset/", "POST").status_code == 204
    assert not sandbox.courses
    assert browse("/control/reset/", "POST", json={"scenario": "small"}).status_code == 204
    assert browse("/control/state/").json()["scenario"] == "small"
    assert len(sandbox.courses) == 2
    assert browse("/control/reset/", "POST", json={"scenario": "file"}).status_code == 400
