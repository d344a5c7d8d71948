"""A small school day and its nights, on any LMS and under any fault: what is done, and what must come of it.

Time passes by moving every moment that the database remembers into the past, and the sandbox's clock ahead.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal

from django.db.models import F, Q

from ltiaas_django import grades
from ltiaas_django.models import Context, LtiUser, Membership, OutgoingScore, Platform
from ltiaas_django.operations import passes
from ltiaas_django.sandbox.gradebook import Cell
from tests.lms import Lms

COURSE = "course-101"
State = OutgoingScore.State
Place = tuple[str, str]
"""A person and an activity, by the sandbox's ids."""

TEACHERS = frozenset({"1001", "1002"})
LEARNERS = frozenset({"2001", "2002", "2003", "2004", "2005", "2010"})
TEACHER: Place = ("1001", "quiz-1")
OVERRIDDEN: Place = ("2001", "quiz-1")
ZERO: Place = ("2002", "quiz-1")
CORRECTED: Place = ("2003", "quiz-1")
CLEARED: Place = ("2004", "quiz-1")
ROUNDED: Place = ("2004", "quiz-2")
RETURNED: Place = ("2005", "quiz-1")
NEW: Place = ("2010", "quiz-1")
WELL_DONE, WELCOME = "Well done,\nreally", "Welcome"

WANTED: Mapping[Place, Decimal | None] = {
    OVERRIDDEN: Decimal(9),
    ZERO: Decimal(0),
    CORRECTED: Decimal(12),
    CLEARED: None,
    ROUNDED: Decimal("81.23456"),
    RETURNED: Decimal(5),
    NEW: Decimal(3),
}
"""What the gradebook shows at the end of the day if the LMS can."""

POSTS: Mapping[Place, int] = {
    OVERRIDDEN: 1,
    ZERO: 1,
    CORRECTED: 2,
    CLEARED: 2,
    ROUNDED: 1,
    RETURNED: 2,
    NEW: 1,
}
"""How many scores are stored, each once: a correction, and what is wanted after an absence, are one more."""

_MOMENTS = (
    (OutgoingScore, ("due_at", "attempted_at", "lease_until", "sent_at", "recorded_at", "result_at")),
    (Platform, ("paused_until", "lease_until", "worked_at")),
    (Context, ("roster_due_at", "roster_attempted_at", "roster_synced_at", "check_due_at", "checked_at")),
)
_MOST_NIGHTS = 20


@dataclasses.dataclass
class Cost:
    """What the day took."""

    nights: int = 0
    requests: Counter[str] = dataclasses.field(default_factory=Counter)
    """By route, those of the check at the end too."""
    stored: int = 0
    """Scores that reached the gradebook, each repetition counted."""
    rosters: int = 0
    """Rosters that were read to the end."""

    @property
    def per_score(self) -> float:
        """Requests for a score that was stored, look-ups and readings back included."""
        asked = sum(self.requests[route] for route in ("scores", "results", "lineitems"))
        return asked / self.stored if self.stored else 0.0

    @property
    def per_roster(self) -> float:
        """Requests for a roster."""
        return self.requests["memberships"] / self.rosters if self.rosters else 0.0


class Day:
    """The day on one LMS."""

    def __init__(self, lms: Lms) -> None:
        self.lms = lms
        self.course = lms.sandbox.course(COURSE)
        self.cost = Cost()

    # --- what people do -----------------------------------------------------------------------------------------------

    def first_day(self) -> None:
        """People launch and get their first scores."""
        self.score(OVERRIDDEN, 8, 10, WELL_DONE)
        self.score(ZERO, 0, 10)
        self.score(CORRECTED, 7, 10)
        self.score(CLEARED, 6, 10)
        self.score(ROUNDED, "81.23456", 100)
        self.score(RETURNED, 4, 10)
        self.score(TEACHER, 9, 10)

    def second_day(self) -> None:
        """A correction with extra credit, a clear, a departure, an arrival, and a teacher's own grade."""
        self.score(CORRECTED, 12, 10)
        self.score(CLEARED, None, None)
        self.score(RETURNED, 5, 10)
        self.course.remove_person(RETURNED[0])
        self.course.add_person("Noor New", user_id=NEW[0])
        self.score(NEW, 3, 10, WELCOME)
        [item] = self.course.line_items_of(OVERRIDDEN[1])
        self.course.override(item, OVERRIDDEN[0], WANTED[OVERRIDDEN])

    def score(self, place: Place, given: int | str | None, maximum: int | None, comment: str = "") -> None:
        """Somebody launches an activity and gets a score."""
        launch = self.lms.launch(*place, course=COURSE)
        grades.record_score(launch, given=given, maximum=maximum, comment=comment)

    # --- nights -------------------------------------------------------------------------------------------------------

    def nights(self) -> None:
        """Nights, each with its ticks, until one leaves nothing undone; in the mornings somebody opens both quizzes."""
        for _ in range(_MOST_NIGHTS):
            self.night()
            self.cost.nights += 1
            self.pass_time(hours=12)
            if self.is_quiet():
                return
            self.lms.launch("2002", "quiz-1")
            self.lms.launch("2004", "quiz-2")
        raise AssertionError(f"not quiet after {_MOST_NIGHTS} nights: {self.open_scores()} {self.roster_errors()}")

    def night(self) -> None:
        """What waits for the night is released, and the ticks of three hours do what is due."""
        for kind in ("grades", "rosters"):
            passes.release_night(kind)
        for _hour in range(3):
            passes.tidy()
            self.work("grades", "rosters")
            self.pass_time(hours=1)

    def work(self, *kinds: str) -> None:
        """Do what is due, as a tick does."""
        for platform_id in passes.due_platforms(kinds):
            for run in passes.work(platform_id, kinds, "tick"):
                self.cost.rosters += run.counts.get("read", 0) if run.kind == "rosters" else 0

    def check(self) -> dict[Place, str]:
        """Ask for the gradebook to be compared until it could be read: how it differs from what was sent."""
        context = Context.objects.get()
        for _ in range(_MOST_NIGHTS):
            passes.request_check(context)
            self.work("check")
            self.pass_time(hours=1)
            context.refresh_from_db()
            if context.checked_at and not (context.check_error or context.check_due_at):
                return {self.place_of(row): row.drift for row in self.rows() if row.drift}
            self.lms.launch("2002", "quiz-1")
            self.lms.launch("2004", "quiz-2")
        raise AssertionError(f"the gradebook was never read: {context.check_error}")

    def pass_time(self, *, hours: float) -> None:
        """Some hours go by."""
        by = timedelta(hours=hours)
        self.lms.sandbox.advance_clock(by.total_seconds())
        for model, moments in _MOMENTS:
            model._default_manager.update(**{moment: F(moment) - by for moment in moments})

    def is_quiet(self) -> bool:
        """Whether nothing is due, and nothing waits but for a person (parked), or for the course to be published."""
        patient = Q(due_at=None, last_error_code="course_not_gradable")
        return not OutgoingScore.objects.open().exclude(state=State.PARKED).exclude(patient).exists() and not (
            Context.objects.exclude(roster_due_at=None).exists() or self.roster_errors()
        )

    # --- what has come of it ------------------------------------------------------------------------------------------

    def open_scores(self) -> dict[Place, tuple[str, str]]:
        """Scores that were not accepted: their state and the code of the error."""
        return {self.place_of(row): (row.state, row.last_error_code) for row in self.rows() if row.state != State.SENT}

    def roster_errors(self) -> list[str]:
        """Why rosters could not be read."""
        return list(Context.objects.exclude(roster_error="").values_list("roster_error", flat=True))

    def cells(self) -> dict[Place, Cell]:
        """The gradebook."""
        found = self.lms.sandbox.gradebook(COURSE)
        return {(cell.user_id, str(cell.line_item.resource_link_id)): cell for cell in found}

    def grades(self) -> dict[Place, Decimal | None]:
        """The gradebook's values."""
        return {place: cell.score for place, cell in self.cells().items()}

    def active(self, **role: bool) -> set[str]:
        """Who belongs to the course by our rows: everybody, or those with a role."""
        found = Membership.objects.filter(status=Membership.Status.ACTIVE, context__lti_id=self.course.lti_id, **role)
        return {self.person_of(lti_id) for lti_id in found.values_list("lti_user__lti_id", flat=True)}

    def person_of(self, lti_id: str) -> str:
        """The sandbox's id of somebody whom the LMS calls so."""
        person = self.course.school.find_person(lti_id)
        return person.id if person is not None else f"unknown {lti_id}"

    def take_stock(self) -> Cost:
        """What the day took, up to here."""
        self.cost.requests = Counter(one.route for one in self.lms.sandbox.requests if one.route)
        self.cost.stored = sum(cell.posts for cell in self.cells().values())
        return self.cost

    def rows(self) -> Iterable[OutgoingScore]:
        """The outbox."""
        return OutgoingScore.objects.select_related("lti_user", "line_item__resource_link")

    def place_of(self, row: OutgoingScore) -> Place:
        """Whose score it is, and of which activity."""
        activity = self.course.find_activity(row.line_item.resource_link.lti_id)
        return self.person_of(row.lti_user.lti_id), activity.id if activity is not None else ""

    def names(self) -> set[str]:
        """Every name that is stored."""
        return set(LtiUser.objects.values_list("name", flat=True))
