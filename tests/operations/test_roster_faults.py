"""Rosters that break off, lie or come in pieces: what is written of them, and what never is (must 16)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ltiaas_django import data, exceptions, signals
from ltiaas_django.models import Context, LtiUser, Membership, OutgoingScore, Platform, ServiceKey, SyncRun, roster_rows
from ltiaas_django.operations import grades, leases, passes, rosters
from ltiaas_django.vocabulary import MembershipStatus
from tests.lms import Lms, night

FIRST, FURTHER = "/api/memberships?limit", "/api/memberships?url="
REFUSAL = {"status": 401, "error": "Unauthorized", "details": {"message": "INVALID_SERVICE_KEY"}}


def entry(user_id: str, *roles: str, **more: Any) -> dict[str, Any]:
    return {"userId": user_id, "roles": list(roles or ("Learner",)), "name": f"Person {user_id}", **more}


def page(entries: Iterable[dict[str, Any]], next_page: int | None = None) -> dict[str, Any]:
    link = {"next": f"https://lms.example/memberships?page={next_page}"} if next_page else {}
    return {"id": "1", "context": {"id": "course-101"}, "members": list(entries), **link}


def answer_with(lms: Lms, *pages: list[dict[str, Any]], then: dict[str, Any] | None = None) -> None:
    """The next reading gets these pages, and then an answer that is a fault, if one is given."""
    for number, entries in enumerate(pages, 1):
        is_last = number == len(pages) and then is None
        body = page(entries, None if is_last else number + 1)
        lms.sandbox.fail_next(FURTHER if number > 1 else FIRST, status=200, body=body)
    if then is not None:
        lms.sandbox.fail_next(FURTHER, **then)


def the_context() -> Context:
    return Context.objects.select_related("platform").get(lti_id="course-101")


def the_run() -> SyncRun:
    return SyncRun.objects.filter(kind="rosters").latest("pk")


def stored(**filters: Any) -> dict[str, tuple[list[str], str]]:
    rows = Membership.objects.filter(context__lti_id="course-101", **filters)
    return {
        lti_id: (roles, status) for lti_id, roles, status in rows.values_list("lti_user__lti_id", "roles", "status")
    }


def active() -> set[str]:
    return set(stored(status="Active"))


def member_writes(asked: CaptureQueriesContext) -> list[str]:
    verbs = [
        f'{verb} "ltiaas_django_{table}"' for verb in ("INTO", "UPDATE", "FROM") for table in ("membership", "ltiuser")
    ]
    written = [q["sql"] for q in asked if "INSERT" in q["sql"] or "UPDATE" in q["sql"] or "DELETE" in q["sql"]]
    return [sql for sql in written if any(verb in sql for verb in verbs) and "FOR UPDATE" not in sql]


PEOPLE = [entry(f"p{number:02}") for number in range(20)]


@pytest.fixture
def course(lms: Lms) -> set[str]:
    """A course of twenty people, read once from two pages; their ids."""
    lms.launch("2001")
    answer_with(lms, PEOPLE[:10], [*PEOPLE[10:], entry("2001")])
    night("rosters")
    ids = {person["userId"] for person in PEOPLE} | {"2001"}
    assert active() == ids
    return ids


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries are many: they are written before the last page has come."""
    monkeypatch.setattr(rosters, "_MANY", 3)


# --- nobody leaves by mistake, and the rows say why -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"status": 500, "body": "oops"}, "500"),
        ({"status": 200, "body": ""}, "an empty body instead of JSON"),
        ({"status": 200, "body": '{"id": "1", "members": [{"userId": "p1'}, "not JSON"),
        ({"drop": True}, "The network"),
        ({"status": 200, "body": page(PEOPLE[10:], 2)}, "links back to an earlier page"),
        ({"status": 200, "body": page(PEOPLE[:10], 3)}, "repeats an earlier page"),
        ({"status": 401, "body": REFUSAL}, "401"),
    ],
    ids=["500", "empty body", "truncated JSON", "cut connection", "repeating next", "repeating page", "key refused"],
)
def test_a_roster_that_breaks_off_at_page_two(lms: Lms, course: set[str], fault: dict[str, Any], why: str) -> None:
    before = stored()
    answer_with(lms, [*PEOPLE[:5], entry("new")], then={**fault, "times": 9})
    night("rosters")
    assert stored() == before
    assert why in the_context().roster_error
    assert (the_run().outcome, the_run().counts) == ("failed", {"failed": 1})
    assert why in the_run().error


@pytest.mark.parametrize("remaining", [[], PEOPLE[:8]], ids=["empty roster", "60 % gone"])
def test_a_roster_that_looks_whole_but_empties_the_course_is_held(
    lms: Lms, course: set[str], remaining: list[dict[str, Any]]
) -> None:
    answer_with(lms, remaining)
    night("rosters")
    assert active() == course
    held = the_context().roster_held
    assert held is not None
    assert held["count"] == len(course) - len(remaining)
    assert the_run().counts["held"] == held["count"]


def test_people_said_to_be_inactive_are_held_like_absent_ones(lms: Lms, course: set[str]) -> None:
    answer_with(lms, [{**person, "status": "Inactive"} for person in PEOPLE] + [entry("2001")])
    night("rosters")
    assert active() == course
    assert the_run().counts["held"] == 20


def test_with_a_sibling_key_the_roster_is_read_from_its_first_page_again(lms: Lms, course: set[str]) -> None:
    lms.launch("2001", "quiz-2")
    answer_with(lms, PEOPLE[:10], then={"status": 401, "body": REFUSAL})
    answer_with(lms, PEOPLE[:9], [*PEOPLE[10:], entry("2001")])
    night("rosters")
    assert active() == course - {"p09"}  # whom only the roster that broke off has named
    assert ServiceKey.objects.get(resource_link__lti_id="quiz-2").refused_at is not None
    assert the_run().outcome == "ok"


def test_when_every_key_is_refused_midway_the_run_says_so(lms: Lms, course: set[str]) -> None:
    lms.launch("2001", "quiz-2")
    for _key in range(2):
        answer_with(lms, PEOPLE[:10], then={"status": 401, "body": REFUSAL})
    night("rosters")
    assert active() == course
    assert "401" in the_run().error
    assert "401" in the_context().roster_error
    assert not ServiceKey.objects.healthy().exists()


def test_a_worker_that_has_lost_its_lease_writes_nothing_more(lms: Lms, course: set[str], settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "LEASE": 2.0, "CALL_DEADLINE": 0.8}
    lms.sandbox.fail_next(FIRST, status=200, body=page([entry("new")]), delay=0.4)
    before, context = stored(), the_context()
    Context.objects.update(roster_due_at=context.roster_synced_at)
    with leases.own(context.platform_id) as lease:
        assert lease is not None
        Platform.objects.update(lease_token=uuid.uuid4())
        with pytest.raises(exceptions.LtiError, match="another worker"):
            rosters.sync_roster(context, lease)
    assert stored() == before
    context.refresh_from_db()
    assert context.roster_due_at is not None
    assert context.roster_failures == 0


# --- a long roster is written while it comes --------------------------------------------------------------------------


def test_joins_of_a_long_roster_that_breaks_off_are_kept_and_told(
    lms: Lms, course: set[str], soon: None, django_capture_on_commit_callbacks: Any
) -> None:
    heard: list[dict[str, Any]] = []

    def on_sync(**said: Any) -> None:
        heard.append(said)

    newcomers = [entry(f"new{number}") for number in range(4)]
    answer_with(
        lms, [*newcomers, {**PEOPLE[0], "status": "Inactive"}], then={"status": 500, "body": "oops", "times": 9}
    )
    signals.roster_synced.connect(on_sync)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            night("rosters")
    finally:
        signals.roster_synced.disconnect(on_sync)
    assert active() == course | {person["userId"] for person in newcomers}
    joined = Membership.objects.filter(lti_user__lti_id__startswith="new").values_list("pk", flat=True)
    [said] = heard
    assert (set(said["joined"]), said["left"]) == (set(joined), [])
    assert "500" in the_context().roster_error


def test_a_long_roster_that_breaks_off_takes_no_role_from_anybody(lms: Lms, soon: None) -> None:
    lms.launch("2001")
    answer_with(lms, [entry("both", "Instructor", "Learner"), entry("2001")])
    night("rosters")
    newcomers = [entry(f"new{number}") for number in range(4)]
    answer_with(lms, [entry("both", "Learner"), *newcomers], then={"status": 500, "body": "oops", "times": 9})
    night("rosters")
    assert "new0" in active()
    assert Membership.objects.get(lti_user__lti_id="both").is_instructor
    lms.sandbox.clear_faults()
    Context.objects.update(roster_due_at=None)
    answer_with(lms, [entry("both", "Learner"), entry("2001"), *newcomers])
    night("rosters")
    assert not Membership.objects.get(lti_user__lti_id="both").is_instructor


def test_a_long_roster_ends_as_a_short_one_does(lms: Lms, course: set[str], soon: None) -> None:
    renamed = [{**person, "name": f"New {person['userId']}"} for person in PEOPLE[5:]]
    answer_with(lms, PEOPLE[4:5], renamed[:7], renamed[7:], [entry("2001"), entry("new1"), entry("new2")])
    night("rosters")
    assert active() == course - {"p00", "p01", "p02", "p03"} | {"new1", "new2"}
    assert LtiUser.objects.filter(name__startswith="New p").count() == 15
    counts = the_run().counts
    assert (counts["joined"], counts["changed"], counts["left"]) == (2, 15, 4)


def test_scores_refused_for_a_newcomer_are_due_once_the_roster_names_her(lms: Lms) -> None:
    launch = lms.launch("2001")
    assert launch.resource_link is not None
    newcomer = LtiUser.objects.create(platform=the_context().platform, lti_id="new")
    score = grades.record_score(launch.resource_link, user=newcomer, given=1, maximum=2)
    OutgoingScore.objects.filter(pk=score.pk).update(state="parked", last_error_code="person_not_gradable", due_at=None)
    answer_with(lms, [entry("2001"), entry("new")])
    night("rosters")
    score.refresh_from_db()
    assert score.state == "due"
    assert score.due_at is not None


# --- one person, several entries --------------------------------------------------------------------------------------

TWICE = [
    pytest.param([[entry("t", "Instructor"), entry("t", "Learner"), entry("2001")]], id="one page"),
    pytest.param([[entry("t", "Instructor"), entry("2001")], [entry("t", "Learner")]], id="two pages"),
    pytest.param(
        [[entry("t", "Instructor")], [entry(f"x{n}") for n in range(4)], [entry("t", "Learner"), entry("2001")]],
        id="far apart",
    ),
]


@pytest.mark.parametrize("pages", TWICE)
@pytest.mark.parametrize("is_long", [False, True])
def test_a_person_listed_once_for_each_role_is_one_membership(
    lms: Lms, pages: list[list[dict[str, Any]]], is_long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_long:
        monkeypatch.setattr(rosters, "_MANY", 3)
    lms.launch("2001")
    answer_with(lms, *pages)
    night("rosters")
    row = Membership.objects.get(lti_user__lti_id="t")
    assert sorted(row.roles) == ["Instructor", "Learner"]
    assert row.is_instructor
    assert row.is_learner
    before = list(Membership.objects.order_by("pk").values())
    for turned in (pages, [list(reversed(entries)) for entries in reversed(pages)]):
        answer_with(lms, *turned)
        with CaptureQueriesContext(connection) as asked:
            night("rosters")
        assert the_run().outcome == "ok"
        assert member_writes(asked) == []
    assert list(Membership.objects.order_by("pk").values()) == before


def test_a_second_entry_adds_a_role_to_a_person_stored_with_one(lms: Lms, soon: None) -> None:
    lms.launch("2001")
    answer_with(lms, [entry("t", "Learner"), entry("2001")])
    night("rosters")
    for pages in (
        [[entry("t", "Learner"), entry("2001")], [entry("t", "Instructor")]],
        [[entry("t", "Mentor"), entry("2001")], [entry("t", "Learner")]],
    ):
        answer_with(lms, *pages)
        night("rosters")
        roles = {role for entries in pages for one in entries if one["userId"] == "t" for role in one["roles"]}
        assert set(Membership.objects.get(lti_user__lti_id="t").roles) == roles


def test_a_person_listed_as_inactive_and_active_is_active(lms: Lms, course: set[str]) -> None:
    listed = [{**PEOPLE[0], "status": "Inactive"}, *PEOPLE[1:], entry("2001")]
    answer_with(lms, listed, [entry("p00", "Instructor")])
    night("rosters")
    assert active() == course
    assert set(stored()["p00"][0]) == {"Learner", "Instructor"}


# --- rows in bulk -----------------------------------------------------------------------------------------------------

ODD = ["O'Brien", 'say "hi"', "100 % {sure}", "back\\slash", "Ådne, Zoë", "名前", "{a,b}", "NULL", "", "a\nb", "%s"]


def odd_members() -> list[roster_rows.Entry]:
    members = [
        data.Member(user_id=f"{kind}-{number}", roles=("Learner", name or "x"), name=name, email=f"{number}@x.example")
        for number, name in enumerate(ODD)
        for kind in ("a", "A", name or "blank")
    ]
    members.append(data.Member(user_id="gone", status=MembershipStatus.INACTIVE))
    return [(member, member.fingerprint()) for member in members]


@pytest.mark.parametrize("writer", ["own SQL", "ORM"])
def test_texts_arrive_unchanged_and_blanks_erase_nothing(db: None, writer: str) -> None:
    context = Context.objects.create(platform=Platform.objects.create(ltiaas_id="p"), lti_id="c")

    def write(entries: list[roster_rows.Entry]) -> list[roster_rows.Written]:
        if writer == "ORM":
            return roster_rows.write_by_orm(context.platform_id, context.pk, entries)
        return roster_rows.write_entries(context, entries)

    entries = odd_members()
    first = write(entries)
    blank = [data.Member(user_id=member.user_id, roles=("Instructor",)) for member, _mark in entries]
    again = write([(member, member.fingerprint()) for member in blank])
    assert set(again) == set(first)
    assert {row.lti_id for row in first} == {member.user_id for member, _mark in entries}
    for row in first:
        [wanted] = [member for member, _mark in entries if member.user_id == row.lti_id]
        membership = Membership.objects.select_related("lti_user").get(pk=row.membership_id)
        assert membership.lti_user_id == row.lti_user_id
        person = membership.lti_user
        assert (person.lti_id, person.name, person.email) == (wanted.user_id, wanted.name, wanted.email)
        assert (membership.roles, membership.is_instructor, membership.is_learner) == (["Instructor"], True, False)
        assert membership.status == "Active"
        assert membership.fingerprint == data.Member(user_id="", roles=("Instructor",)).fingerprint()
    write(entries)
    assert Membership.objects.get(lti_user__lti_id="gone").status == "Inactive"
    assert Membership.objects.get(lti_user__lti_id="a-0").roles == ["Learner", "O'Brien"]


# --- what it costs ----------------------------------------------------------------------------------------------------


def a_night_of(lms: Lms, pages: list[list[dict[str, Any]]]) -> int:
    """How many queries the night takes."""
    answer_with(lms, *pages)
    with CaptureQueriesContext(connection) as asked:
        night("rosters")
    assert the_run().outcome == "ok"
    return len(asked)


def in_pages(people: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    return [people[start : start + size] for start in range(0, len(people), size)]


def test_the_queries_of_a_night_follow_neither_pages_nor_members(lms: Lms) -> None:
    """Stated before it was measured: a page more costs nothing, and all changes together at most 12 queries."""
    lms.launch("2001")
    people = [entry("2001"), *(entry(f"q{number:03}") for number in range(399))]
    a_night_of(lms, in_pages(people, 100))
    unchanged = a_night_of(lms, in_pages(people, 400))
    assert a_night_of(lms, in_pages(people, 20)) == unchanged
    changed = [{**person, "name": "Another"} if number % 2 else person for number, person in enumerate(people[5:])]
    assert a_night_of(lms, in_pages(changed + [entry("new")], 20)) <= unchanged + 12


def test_the_next_page_is_fetched_while_this_one_is_compared(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    lms.launch("2001")
    take = rosters._Reading.take
    fetched_ahead = []

    def take_slowly(reading: rosters._Reading, entries: Any) -> None:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not any(FURTHER in one.path for one in lms.sandbox.requests):
            time.sleep(0.01)
        fetched_ahead.append(any(FURTHER in one.path for one in lms.sandbox.requests))
        take(reading, entries)

    monkeypatch.setattr(rosters._Reading, "take", take_slowly)
    passes.release_night("rosters")
    passes.work(the_context().platform_id, ["rosters"], "nightly")
    assert fetched_ahead == [True, True, True]


def test_an_empty_roster_takes_nobody_off_a_small_course_and_the_run_says_why(lms: Lms) -> None:
    """A list without even the teacher who launched is no roster, however few would leave."""
    lms.launch("1001")
    lms.launch("2001")
    lms.sandbox.fail_next("/api/memberships", status=200, body={"members": []})
    night("rosters")
    assert Membership.objects.filter(status=Membership.Status.ACTIVE).count() == 2
    run = SyncRun.objects.get()
    assert run.counts["held"] == 2
    assert "held until a person confirms" in run.error
