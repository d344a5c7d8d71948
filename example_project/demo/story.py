"""The story: a day in a course, a night, and whether the LMS then shows what it should."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from example_project.demo import processes
from example_project.demo.browser import Browser
from example_project.demo.processes import Process
from example_project.demo.stage import Stage

COURSE = "course-101"
TEACHER = "1001"
LEAVER = "2005"
NEWCOMER = "Ada Brandt"
NIGHT_TIMEOUT = 75.0
"""Seconds: a message that got lost is made good by the tick, which comes every minute."""

MEAN, MEDIAN, MODE, MOVES = (
    "What is the mean of 2, 4 and 9?",
    "What is the median of 1, 3, 3, 8 and 20?",
    "What is the mode of 4, 7, 7 and 9?",
    "One very large value joins many small ones. Which average moves most?",
)


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A learner answers a quiz."""

    person: str
    activity: str
    answers: tuple[str, str, str, str]
    points: str
    """Worked out by hand from what the questions are worth: 2, 2, 3 and 3."""


ATTEMPTS = [
    Attempt("2001", "quiz-1", ("5", "3", "7", "the mean"), points="10"),
    Attempt("2002", "quiz-1", ("5", "3", "9", "the mean"), points="7"),
    Attempt("2003", "quiz-1", ("5", "8", "4", "the mode"), points="2"),
    Attempt("2003", "quiz-1", ("5", "7", "7", "the median"), points="5"),  # once more: this one counts
    Attempt("2002", "quiz-2", ("4", "7", "9", "the mean"), points="3"),  # an activity without a column in the gradebook
]
EXPECTED = {
    ("quiz-1", "2001"): Decimal(10),
    ("quiz-1", "2002"): Decimal(7),
    ("quiz-1", "2003"): Decimal(5),
    ("quiz-1", "2004"): None,  # has not answered
    ("quiz-2", "2002"): Decimal(3),
}
"""What the LMS's gradebook must show in the morning, by activity and person."""


class StepFailed(Exception):
    """A step of the demo went wrong; `logs` are worth a look."""

    def __init__(self, step: str, reason: str, logs: list[Path]) -> None:
        super().__init__(reason)
        self.step = step
        self.logs = logs


class Story:
    """Sets the stage up and plays on it, telling each step."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self.stage = stage
        self.console = console
        self._browsers: dict[str, Browser] = {}
        self._names: dict[str, str] = {}

    def set_up(self) -> None:
        """From an empty folder to four running processes."""
        stage = self.stage
        with self._step("Make the database", "migrate"):
            stage.run("migrate", "manage.py", "migrate", "--no-input")
        with self._step("Start the simulated LMS", "sandbox"):
            self._tell_process(stage.start_sandbox(), stage.lms.url)
        with self._step("Start the tool", "tool"):
            self._tell_process(stage.start_tool(), stage.tool_url)
        with self._step("Start a Celery worker, and Celery beat", "worker", "beat"):
            broker = stage.environment["CELERY_BROKER_URL"].partition(":")[0]
            self._tell_process(stage.start_worker(), f"worker, messages by {broker}")
            self._tell_process(stage.start_beat(), "beat")

    def play(self) -> None:
        """The day, the night, and the morning's comparison."""
        state = self.stage.lms.get("state/")
        [course] = [course for course in state["courses"] if course["id"] == COURSE]
        self._names = {person["userId"]: person["name"] for person in course["people"]}
        with self._step("The teacher opens the quiz", "tool"):
            page = self._launch(TEACHER, "quiz-1")
            self._tell(f"{self._names[TEACHER]} sees: {page}")
        with self._step("The learners open it and answer", "tool"):
            for attempt in ATTEMPTS:
                self._answer(attempt)
            if self._gradebook():
                raise AssertionError("The LMS has grades already, which should travel at night.")
            self._tell("the LMS's gradebook is still empty")
        with self._step("In the LMS one learner joins and another leaves", "sandbox"):
            joined = self.stage.lms.post(f"courses/{COURSE}/people/", name=NEWCOMER, role="Learner")
            self._names[joined["userId"]] = NEWCOMER
            self.stage.lms.delete(f"courses/{COURSE}/people/{LEAVER}/")
            self._tell(f"{NEWCOMER} joins, {self._names[LEAVER]} leaves")
        with self._step("Two at night: the grades leave", "night", "worker", "sandbox"):
            self._send("ltiaas_django.sync_grades")
            self._await("the grades have arrived", lambda: not self._wrong_grades())
        with self._step("Three at night: the rosters are read", "night", "worker", "tool"):
            self._send("ltiaas_django.sync_rosters")
            self._await("the tool's roster is the LMS's", lambda: self._tool_roster() == self._lms_roster())
        with self._step("The morning: what the LMS and the tool show", "worker", "tool"):
            self._compare()

    def make_night(self) -> None:
        """Another night, at once."""
        for task in ("ltiaas_django.sync_grades", "ltiaas_django.sync_rosters"):
            self._send(task)

    # -- pieces --------------------------------------------------------------------------------------------------------

    def _launch(self, person: str, activity: str) -> str:
        """Choose the activity in the LMS; returns the heading of the tool's page."""
        launch = self.stage.lms.post("launches/", course=COURSE, activity=activity, person=person)
        browser = self._browsers.setdefault(person, Browser())
        return browser.open(launch["url"]).heading

    def _answer(self, attempt: Attempt) -> None:
        self._launch(attempt.person, attempt.activity)
        answers = dict(zip((MEAN, MEDIAN, MODE, MOVES), attempt.answers, strict=True))
        page = self._browsers[attempt.person].answer(answers)
        if f"{attempt.points} of 10 points" not in page.text:
            raise AssertionError(f"The tool should show {attempt.points} of 10 points, and shows: {page.text[:200]}")
        self._tell(f"{self._names[attempt.person]} answers {page.heading}: {attempt.points} of 10 points")

    def _send(self, task: str) -> None:
        """Send the message that Celery beat sends every night; the worker does the rest."""
        worker = next(process for process in self.stage.running if process.name == "worker")
        self.stage.run("night", "-m", "celery", "-A", "example_project", "call", task)
        self._tell(f"{task} → worker (pid {worker.pid})")

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until it is so; if it is not in time, the morning's comparison will say what is missing."""
        in_time = processes.wait_until(condition, NIGHT_TIMEOUT, self.stage.running, every=0.3)
        self._tell(what if in_time else f"after {NIGHT_TIMEOUT:g} s it is not so that {what}")

    def _gradebook(self) -> dict[tuple[str, str], Decimal]:
        book = self.stage.lms.get(f"courses/{COURSE}/gradebook/")
        activities = {item["id"]: item["activity"] for item in book["lineItems"]}
        return {
            (activities[row["lineItemId"]], row["userId"]): Decimal(str(row["score"]))
            * 10
            / Decimal(str(row["maximum"]))
            for row in book["rows"]
            if row["score"] is not None
        }

    def _wrong_grades(self) -> list[tuple[str, str]]:
        found = self._gradebook()
        wanted = {key: points for key, points in EXPECTED.items() if points is not None}
        return [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]

    def _lms_roster(self) -> set[str]:
        members = self.stage.lms.get(f"courses/{COURSE}/roster/")["members"]
        return {one["name"] for one in members if one["status"] == "Active" and "Learner" in one["roles"]}

    def _tool_roster(self) -> set[str]:
        """The learners on the teacher's page."""
        browser = self._browsers[TEACHER]
        return {row[0] for row in browser.open(browser.url).rows[1:]}

    def _compare(self) -> None:
        found = self._gradebook()
        wrong = self._wrong_grades()
        table = Table(
            "person", "activity", "expected", "in the LMS", "", title="Gradebook of the LMS", title_justify="left"
        )
        for key in sorted({*EXPECTED, *found}):
            activity, person = key
            expected, got = _plain(EXPECTED.get(key)), _plain(found.get(key))
            table.add_row(escape(self._names[person]), activity, expected, got, _mark(key not in wrong))
        self.console.print(table)
        in_lms, in_tool = self._lms_roster(), self._tool_roster()
        table = Table("learner", "in the LMS", "in the tool", "", title="Roster", title_justify="left")
        for name in sorted({*in_lms, *in_tool, self._names[LEAVER]}):
            table.add_row(
                escape(name),
                "yes" if name in in_lms else "no",
                "yes" if name in in_tool else "no",
                _mark((name in in_lms) == (name in in_tool)),
            )
        self.console.print(table)
        if wrong or in_lms != in_tool:
            raise AssertionError("The LMS and the tool do not agree.")

    # -- telling -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _step(self, title: str, *logs: str) -> Iterator[None]:
        """Tell a step when it begins and when it ends. Raises StepFailed, which names it."""
        began = time.monotonic()
        self.console.print(f"[bold]→ {escape(title)}[/bold]")
        try:
            yield
        except Exception as error:
            text = str(error) or type(error).__name__
            raise StepFailed(title, text, [self.stage.log(name) for name in logs]) from error
        self.console.print(f"  [green]✓[/green] [dim]{time.monotonic() - began:.1f} s[/dim]")

    def _tell(self, text: str) -> None:
        self.console.print(f"  {escape(text)}", highlight=False, soft_wrap=True)

    def _tell_process(self, process: Process, what: str) -> None:
        self._tell(f"{what} (pid {process.pid}, log {self._short(process.log)})")

    def _short(self, path: Path) -> Path:
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _plain(points: Decimal | None) -> str:
    return "–" if points is None else f"{points.normalize():f}"


def _mark(is_right: bool) -> str:
    return "[green]ok[/green]" if is_right else "[red]WRONG[/red]"
