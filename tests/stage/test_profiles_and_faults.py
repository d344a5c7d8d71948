"""Our own sync on every LMS of the sandbox, under every fault: the gradebook shows what was wanted, nothing stays.

The table `EXPECTED` says what an LMS makes impossible. `pytest -s` prints what the days took; `-m full` befalls each
part of the API by itself, and for longer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from ltiaas_django.connections.ltiaas import http
from ltiaas_django.models import Launch, OutgoingScore
from ltiaas_django.operations import delivery
from ltiaas_django.sandbox.profiles import PROFILES
from tests.lms import Lms, launch_path
from tests.stage.school_day import (
    CLEARED,
    CORRECTED,
    LEARNERS,
    NEW,
    OVERRIDDEN,
    POSTS,
    RETURNED,
    TEACHER,
    TEACHERS,
    WANTED,
    WELCOME,
    WELL_DONE,
    ZERO,
    Cost,
    Day,
    Place,
)

pytestmark = pytest.mark.long

State = OutgoingScore.State
NOT_PUBLISHED = (State.DUE, "course_not_gradable")


@dataclasses.dataclass(frozen=True)
class Expected:
    """What comes of the day where it is not simply what was wanted."""

    grades: Mapping[Place, Decimal | None] = dataclasses.field(default_factory=dict)
    """Other values that the gradebook ends with."""
    absent: frozenset[Place] = frozenset()
    """Grades that the LMS takes and does not keep, or that it takes from nobody."""
    drift: Mapping[Place, str] = dataclasses.field(default_factory=dict)
    """What the check of the gradebook finds beside the teacher's own grade."""
    attempts: Mapping[Place, int] | None = None
    """Submissions that the LMS shows, if it counts them."""
    comment: str = WELL_DONE
    """As the LMS keeps it."""
    unknown: frozenset[str] = frozenset()
    """People whom the roster does not name."""
    names: bool = True
    """Whether the LMS says who people are."""
    refusal: str = "person_not_gradable"
    """The code of our error for a score for a teacher; of words that we do not know, a wrong request."""
    never: bool = False
    """Whether it takes no score at all, so that each waits for the night."""


CANVAS = Expected(attempts=POSTS)
CLAMPED = Expected(grades={CORRECTED: Decimal(10)})

EXPECTED: Mapping[str, Expected] = {
    "plain": Expected(),
    "canvas": CANVAS,
    "canvas_anonymous": dataclasses.replace(CANVAS, names=False),
    "canvas_unpublished": Expected(never=True),
    "moodle": CLAMPED,
    "blackboard": Expected(comment="Well done, really"),
    "brightspace": dataclasses.replace(CLAMPED, unknown=frozenset({"1002"})),
    "sakai": Expected(),
    "schoology": Expected(refusal="invalid_request"),
    "openedx": Expected(absent=frozenset({ZERO}), drift={ZERO: "missing"}, refusal="invalid_request"),
    "generic_strict": Expected(refusal="invalid_request"),
}

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "status": {"kind": "status", "status": 503, "body": "The LMS is being mended."},
    "status_after": {"kind": "status", "status": 503, "after_storing": True},
    "hang": {"kind": "hang"},
    "hang_after": {"kind": "hang", "after_storing": True},
    "drop_before": {"kind": "drop_before"},
    "drop_after": {"kind": "drop_after"},
    "cut": {"kind": "cut"},
    "gateway": {"kind": "gateway"},
    "gateway_after": {"kind": "gateway", "after_storing": True},
    "refused_key": {"kind": "refused_key"},
    "tool_removed": {"kind": "tool_removed"},
    "throttle": {"kind": "throttle"},
    "delay": {"kind": "delay", "delay": 0.02},
}
ROUTES = ("scores", "results", "lineitems", "memberships")


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[tuple[str, str], Cost]]:
    """What each day took, by profile and fault; printed at the end (`pytest -s`)."""
    found: dict[tuple[str, str], Cost] = {}
    yield found
    print("\n" + "\n".join(report(found)))  # noqa: T201  it is asked for


def report(costs: Mapping[tuple[str, str], Cost]) -> list[str]:
    """A table: a line for each day, those without faults first."""
    head = "profile             fault           nights  scores  results  columns  rosters  per score  per roster"
    lines = [head]
    for (profile, fault), cost in sorted(costs.items(), key=lambda item: (item[0][1] != "none", item[0])):
        counts = [cost.requests[route] for route in ROUTES]
        lines.append(
            f"{profile:<18}  {fault:<14}  {cost.nights:>6}  {counts[0]:>6}  {counts[1]:>7}  {counts[2]:>7}"
            f"  {counts[3]:>7}  {cost.per_score:>9.2f}  {cost.per_roster:>10.2f}"
        )
    return lines


@pytest.fixture
def quick(lms: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No second is waited in earnest: what would be, is left to the next tick, and the ticks come at once."""
    # More attempts than there are faults: what has failed too often waits for a person, which is another test's.
    settings.LTIAAS = {**settings.LTIAAS, "CALL_DEADLINE": 0.5, "MAX_ATTEMPTS": 30}
    monkeypatch.setattr(delivery, "_PATIENCE", 0.0)
    monkeypatch.setattr(http, "_RETRY_BASE", 0.001)
    monkeypatch.setattr(http, "_LONGEST_WAIT", 0.0)


def plan(lms: Lms, fault: str, *routes: str, times: int) -> None:
    """Let the next requests of these parts of the API go wrong, and one score be in doubt besides."""
    if not FAULTS[fault]:
        return
    if "results" in routes:  # it is asked only where there is doubt
        lms.sandbox.fault("drop_after", route="scores", person=ZERO[0])
    for route in routes:
        lms.sandbox.fault(**FAULTS[fault], route=route, times=times)


def live_through(day: Day, fault: str, *routes: str, times: int) -> dict[Place, str]:
    """The whole day, with what goes wrong before each night and during the check; what the check found."""
    day.first_day()
    plan(day.lms, fault, *routes, times=times)
    day.nights()
    day.second_day()
    plan(day.lms, fault, *routes, times=times)
    day.nights()
    assert RETURNED[0] not in day.active()
    day.course.restore_person(RETURNED[0])
    plan(day.lms, fault, *routes, times=times)
    day.nights()
    return day.check()


def see_that_all_is_well(day: Day, profile: str, drift: Mapping[Place, str]) -> None:
    """Compare with the table."""
    expected = EXPECTED[profile]
    assert day.active(is_learner=True) == LEARNERS
    assert day.active(is_instructor=True) == TEACHERS - expected.unknown
    assert ("Zoë Müller-Łukasiewicz" in day.names()) is expected.names
    teachers = {TEACHER: (State.PARKED, expected.refusal)}
    if expected.never:
        assert set(day.cells()) == {OVERRIDDEN}, "the teacher's own"
        open_scores = {**dict.fromkeys(WANTED, NOT_PUBLISHED), **teachers}
        del open_scores[CLEARED]  # in doubt it is read back, and there is nothing left to clear
        assert {place: why for place, why in day.open_scores().items() if place != CLEARED} == open_scores
        return
    wanted = {**WANTED, **expected.grades}
    assert day.grades() == pytest.approx(
        {k: v for k, v in wanted.items() if k not in expected.absent}, abs=Decimal("0.0001")
    )
    assert day.open_scores() == teachers
    assert drift == {OVERRIDDEN: "overridden", **expected.drift}
    cells = day.cells()
    assert {place: cell.comments for place, cell in cells.items() if cell.comments} == {
        OVERRIDDEN: [expected.comment],
        NEW: [WELCOME],
    }
    if expected.attempts is not None:
        assert {place: cell.attempts for place, cell in cells.items()} == expected.attempts


def in_full(profile: str, fault: str) -> tuple[pytest.MarkDecorator, ...]:
    """Every LMS without faults and with two that leave doubt, and one LMS with every fault, run each time."""
    is_quick = profile == "canvas" or fault in ("none", "drop_after", "gateway")
    return () if is_quick else (pytest.mark.full,)


DAYS = [
    pytest.param(profile, fault, id=f"{profile}-{fault}", marks=in_full(profile, fault))
    for profile in PROFILES
    for fault in FAULTS
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("profile", "fault"), DAYS)
def test_the_day(lms: Lms, profile: str, fault: str, costs: dict[tuple[str, str], Cost]) -> None:
    lms.sandbox.set_profile(profile)
    day = Day(lms)
    drift = live_through(day, fault, *ROUTES, times=3)
    costs[profile, fault] = day.take_stock()
    see_that_all_is_well(day, profile, drift)


@pytest.mark.full
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "none"])
@pytest.mark.parametrize("profile", ["canvas", "moodle", "sakai", "generic_strict"])
def test_the_day_with_one_part_out_of_order_for_longer(lms: Lms, profile: str, fault: str, route: str) -> None:
    lms.sandbox.set_profile(profile)
    day = Day(lms)
    drift = live_through(day, fault, route, times=8)
    see_that_all_is_well(day, profile, drift)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_launch_whose_ltik_is_over_says_so_and_the_next_one_works(lms: Lms, profile: str) -> None:
    lms.sandbox.set_profile(profile)
    lms.sandbox.fault("expired_ltik", route="idtoken")
    response = Client().get(launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001")))
    assert response.status_code == 403
    assert not Launch.objects.exists()
    assert lms.launch("2001").lti_user.lti_id == lms.sandbox.school.people["2001"].lti_id
