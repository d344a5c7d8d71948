"""Real workers, killed and starved and lied to: every grade arrives, once, and nothing is stuck.

A failing run names its seed and tells the history of the first score that went wrong. `FAULTS_SEED` repeats a seed; the
faults are then dealt alike, though not at the same instants.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import pathlib
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from example_project.demo.processes import wait_until
from tests.faults import lms, plan
from tests.faults.server import Point, Server
from tests.faults.stage import Stage, database

ACTIVITIES = 2
_STORM = 12  # calls, enough for the platform to be paused
_THROTTLE = 3


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""

    profiles: tuple[lms.Profile, ...]
    people: int
    """In each activity of each platform."""
    workers: dict[str, str]
    """Name and pool."""
    kills: tuple[Point, ...]
    hangs: int
    rounds: int
    """How often everything else goes wrong."""
    deck: int
    """One score in so many is lost before it is stored, one after, and two hang."""
    at_once: int
    """Scores that the tool writes down anew, again and again."""
    settles_in: float
    least: dict[str, int]
    """How many of each fault there must have been."""


SMALL = Size(
    profiles=lms.PROFILES[:4],
    people=20,
    workers={"one": "threads", "two": "prefork"},
    kills=("before answering", "before storing", "before answering", "before storing"),
    hangs=0,
    rounds=1,
    deck=30,
    at_once=8,
    settles_in=90,
    least={
        "kills that hit calls in flight": 4,
        "kills between store and answer": 2,
        "scores: lost before storing": 2,
        "scores: lost after storing": 2,
        "scores: hung, not stored": 2,
        "scores: hung, stored": 2,
        "scores: 502": 3,
        "throttled: canvas": _THROTTLE,
        "throttled: brightspace": _THROTTLE,
        "scores: answered 409": 1,
        "keys refused": 1,
        "broker restarts": 1,
        "newer values": 50,
    },
)
FULL = Size(
    profiles=lms.PROFILES,
    people=125,
    workers={"one": "threads", "two": "prefork", "three": "threads"},
    kills=("before answering", "before storing", "before answering", "before storing") * 4 + ("before answering",) * 2,
    hangs=2,
    rounds=4,
    deck=50,
    at_once=30,
    settles_in=180,
    least={
        "kills that hit calls in flight": 15,
        "kills between store and answer": 3,
        "scores: lost before storing": 20,
        "scores: lost after storing": 20,
        "scores: hung, not stored": 20,
        "scores: hung, stored": 20,
        "scores: 502": 20,
        "throttled: canvas": 2 * _THROTTLE,
        "throttled: brightspace": 2 * _THROTTLE,
        "throttled: 429": 2 * _THROTTLE,
        "scores: answered 409": 10,
        "keys refused": 4,
        "broker restarts": 3,
        "newer values": 1000,
    },
)


class Story:
    """One run: what goes wrong, in what order, and what came of it."""

    def __init__(self, size: Size, seed: int, stage: Stage, server: Server) -> None:
        self.size, self.stage, self.server = size, stage, server
        self.random = random.Random(seed)  # noqa: S311  faults, no secrets
        self.seed = seed
        self.counts = server.counts
        self.places = list(itertools.product(range(len(size.profiles)), range(ACTIVITIES)))

    def play(self) -> None:
        people = [f"p{number:03}" for number in range(self.size.people - 1)] + [plan.REFUSED]
        self.stage.tell("open", seed=self.seed, places=self.places, people=people)
        self.stage.start_workers()
        self.stage.start_beat()
        assert self.stage.tell("begin") == len(self.places) * self.size.people
        self.stage.tell("go_on", at_once=self.size.at_once)
        for event in self.events():
            event()
            time.sleep(self.random.uniform(0.2, 1.0))
            self.revive()

    def events(self) -> list[Callable[[], None]]:
        """Kills and all else, shuffled; the seed alone decides what they are."""
        numbers = range(len(self.size.profiles))
        names = itertools.cycle(self.size.workers)
        everything = [functools.partial(self.kill, next(names), point) for point in self.size.kills]
        everything += [functools.partial(self.hang, next(names)) for _ in range(self.size.hangs)]
        for _ in range(self.size.rounds):
            one, other = self.random.sample(numbers, 2)
            places = [(one, self.random.randrange(ACTIVITIES)), *itertools.product([other], range(ACTIVITIES))]
            everything += [
                functools.partial(self.storm, self.random.choice(numbers)),
                functools.partial(self.throttle),
                functools.partial(self.refuse_keys, places),
                functools.partial(self.restart_broker),
                functools.partial(self.rescale),
            ]
            everything += [functools.partial(self.cut_database)] if self.stage.is_postgresql else []
        self.random.shuffle(everything)
        return list(everything)

    def hold(self, first: str, point: Point) -> str:
        """Have the server hold a worker's calls at a point: those of the first that sends anything; its name."""
        others = [name for name in self.size.workers if name != first]
        deadline = time.monotonic() + 60
        for name in itertools.cycle([first, *others]):
            if self.stage.is_ready(name) and self.server.hold(name, point, timeout=2):
                return name
            assert time.monotonic() < deadline, f"no worker has sent anything for a minute: {self.stage.logs()}"
            time.sleep(0.1)
            self.revive()
        raise AssertionError("there are no workers")

    def kill(self, first: str, point: Point) -> None:
        """SIGKILL to a worker whose calls the server holds, and another one in its place."""
        name = self.hold(first, point)
        self.stage.kill(name)
        dead, stored = self.server.release(name)
        self.counts["kills"] += 1
        self.counts["calls in flight at kills"] += dead
        self.counts["kills that hit calls in flight"] += dead > 0
        self.counts["kills between store and answer"] += stored > 0
        self.stage.start_worker(name)

    def hang(self, first: str) -> None:
        """A worker stands still with calls in flight, until others have taken over, and goes on as if nothing was."""
        name = self.hold(first, "before answering")
        with self.stage.stopped(name):
            self.server.release(name)
            time.sleep(plan.LEASE + 2)
        self.counts["workers that hung for longer than a lease"] += 1

    def storm(self, platform: int) -> None:
        self.counts["storms"] += 1
        self.server.storm(platform, _STORM)

    def throttle(self) -> None:
        for number, profile in enumerate(self.size.profiles):
            if profile.throttle is not None:
                self.server.throttle(number, _THROTTLE)

    def refuse_keys(self, places: list[tuple[int, int]]) -> None:
        """One activity's keys and, on another platform, the whole course's; soon somebody launches."""
        before = self.counts["keys refused"]
        for place in places:
            self.server.revoke(*place)
        self.wait(lambda: self.counts["keys refused"] > before, 60)
        time.sleep(1)
        self.counts["launches for new keys"] += self.stage.tell("launch", places=places, person="p001")

    def rescale(self) -> None:
        """Until a score has been refused for it: most are new enough."""
        before = self.counts["scores: answered 409"]
        for _ in range(10):
            self.server.rescale()
            if self.wait(lambda: self.counts["scores: answered 409"] > before, 2):
                return

    def restart_broker(self) -> None:
        self.counts["broker restarts"] += 1
        self.stage.broker.restart()

    def cut_database(self) -> None:
        def cut() -> bool:
            sessions = self.stage.cut_database()
            self.counts["database sessions cut"] += sessions
            return sessions > 0

        self.wait(cut, 60)

    def settle(self) -> None:
        """Nothing goes wrong any more; the tick finds what is left."""
        self.wait(self.server.is_spent, 60)
        self.server.calm()
        self.stage.tell("go_on", at_once=0)
        self.stage.tell("launch", places=self.places, person="p001")
        began = time.monotonic()
        self.wait(lambda: not self.stage.tell("open_scores"), self.size.settles_in)
        self.counts["seconds until all had settled"] = int(time.monotonic() - began)

    def wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait for something that the workers bring about, and keep them alive meanwhile."""

        def holds() -> bool:
            self.revive()
            return condition()

        return wait_until(holds, timeout, every=0.3)

    def revive(self) -> None:
        self.counts["workers that ended by themselves"] += self.stage.revive()

    def judge(self) -> list[str]:
        """What is wrong, in lines; the history of the first score that it concerns follows."""
        grades = {pair: cell for platform in self.server.platforms for pair, cell in platform.grades().items()}
        wrong: list[tuple[plan.Pair, str]] = []
        for platform, activity, person, wanted, row in self.stage.tell("report"):
            pair = plan.Pair(platform, activity, person)
            self.counts["newer values"] += wanted - 1
            self.counts["scores whose comment nobody could confirm"] += row[-1] == "comment"
            cell = grades.get(pair, lms.Cell())
            wrong += [(pair, text) for text in _judge(pair, wanted, row, cell)]
        if not wrong:
            return []
        pair = wrong[0][0]
        history = [*self.server.history(pair), *self.stage.tell("attempts", **dataclasses.asdict(pair))]
        return [f"{pair}: {text}" for pair, text in wrong[:20]] + sorted(history)

    def table(self) -> str:
        """What went wrong, and how often."""
        counts = dict(sorted(self.counts.items()))
        kind = "PostgreSQL" if self.stage.is_postgresql else "SQLite"
        lines = [f"seed {self.seed}, {kind}, {type(self.stage.broker).__name__} as broker"]
        return "\n".join([*lines, *(f"  {number:6}  {name}" for name, number in counts.items())])


def _judge(pair: plan.Pair, wanted: int, row: list[Any], cell: lms.Cell) -> list[str]:
    state, revision, _sending, sent, code, _unconfirmed = row
    if pair.person == plan.REFUSED:
        is_right = state == "parked" and code == "person_not_gradable" and not cell.posts
        return [] if is_right else [f"the LMS refuses this person, but the row is {row}"]
    wrong = []
    if state != "sent" or sent != revision:
        wrong.append(f"the row is {row}")
    if not cell.posts or (cell.posts[-1].revision, cell.posts[-1].points) != (wanted, plan.given(pair, wanted)):
        wrong.append(f"revision {wanted} = {plan.given(pair, wanted)} is wanted; the LMS holds {cell.posts[-1:]}")
    if cell.surplus():
        wrong.append(f"{cell.surplus()} times too often; the row is {row}")
    return wrong


def run(size: Size, seed: int, folder: pathlib.Path) -> str:
    """Play one story to its end and judge it; the table of what went wrong."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(database(folder))
        server = stack.enter_context(Server(seed, size.profiles, ACTIVITIES, size.deck))
        on_redis = size is FULL or url.startswith("postgres")
        stage = stack.enter_context(Stage(folder, url, server.url, size.workers, on_redis=on_redis))
        story = Story(size, seed, stage, server)
        story.play()
        story.settle()
        wrong = story.judge()
        assert not wrong, "\n".join([story.table(), *wrong])
        counts = story.counts
        missing = {name: (counts[name], least) for name, least in size.least.items() if counts[name] < least}
        assert not missing, f"{story.table()}\ntoo few of: {missing}"
        assert not counts["requests that no contract knows"]
        assert all(len(platform.columns) == ACTIVITIES for platform in server.platforms), "a column was made twice"
        if stage.is_postgresql:
            assert counts["database sessions cut"] >= size.rounds, story.table()
        return story.table()


@pytest.mark.parametrize(
    ("size", "seed"),
    [
        pytest.param(SMALL, 1, id="small", marks=pytest.mark.long),
        *(pytest.param(FULL, seed, id=f"full-{seed}", marks=pytest.mark.full) for seed in (1, 2, 3)),
    ],
)
def test_every_grade_arrives_once_whatever_goes_wrong(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], size: Size, seed: int
) -> None:
    table = run(size, int(os.environ.get("FAULTS_SEED", seed)), tmp_path)
    with capsys.disabled():
        print(f"\n{table}")  # noqa: T201  for whoever reads the log of the run
