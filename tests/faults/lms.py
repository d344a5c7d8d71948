"""Eight LMSs as LTIAAS shows them: how each stores a score, and what it tells of it afterwards."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import datetime
from http import HTTPStatus
from typing import Any

from tests.faults import plan

PAGE = 50  # results


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: str = ""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def as_json(said: object, status: int = 200) -> Answer:
    return Answer(status, json.dumps(said))


def refusal(status: int, text: str) -> Answer:
    """The LMS refused: LTIAAS keeps the status and passes on what it said."""
    details = {"message": "PLATFORM_REQUEST_FAILED", "externalError": True, "bodyReceived": text}
    return as_json({"status": status, "error": HTTPStatus(status).phrase, "details": details}, status)


CANVAS_THROTTLE = Answer(403, "403 Forbidden (Rate Limit Exceeded)\n", "text/plain")


@dataclasses.dataclass(frozen=True)
class Profile:
    """How one kind of LMS behaves."""

    name: str
    throttle: Answer | None = None
    """What it says when it is asked too much."""
    column: str = "lookup"
    """How the tool learns its column: named by the launch, by lookup, or it has to create it."""
    maximum: int = 100
    """Of the columns that are there already; scores are rescaled to it."""
    reads_comment: bool = True
    reads_comment_of_one: bool = True
    """Blackboard leaves the comment out when it is asked for one person."""
    reads_maximum: bool = True
    hides_zero: bool = False
    refuses_not_later: bool = False
    """Moodle refuses a time stamp that is not in a later second than the stored one."""


PROFILES = (
    Profile("canvas", CANVAS_THROTTLE, column="launch", reads_comment=False),
    Profile("moodle", hides_zero=True, refuses_not_later=True),
    Profile("value only", maximum=plan.MAXIMUM, reads_comment=False, reads_maximum=False),
    Profile("brightspace", Answer(429, headers=(("Retry-After", "2"),)), column="create"),
    Profile("429", Answer(429, "Too Many Requests", "text/plain"), column="launch"),
    Profile("blackboard", reads_comment_of_one=False),
    Profile("plain", column="launch"),
    Profile("plain too", column="create"),
)


@dataclasses.dataclass(frozen=True)
class Post:
    """A score that was stored, and by whom it was sent."""

    revision: int
    points: float
    at: float
    sender: str


@dataclasses.dataclass
class Cell:
    """One person in one column. On Canvas each post is one more attempt, with one more comment."""

    stamp: int = 0
    posts: list[Post] = dataclasses.field(default_factory=list)

    def surplus(self) -> int:
        """How many scores were stored of revisions that were there already."""
        return len(self.posts) - len({post.revision for post in self.posts})


@dataclasses.dataclass
class Column:
    """A line item."""

    id: str
    activity: int
    maximum: float
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        link = f"activity-{self.activity}"
        return {"id": self.id, "label": link, "scoreMaximum": self.maximum, "resourceLinkId": link}


class Platform:
    """One LMS with one course."""

    def __init__(self, number: int, profile: Profile, activities: int) -> None:
        self.number = number
        self.profile = profile
        self.columns: dict[str, Column] = {}
        if profile.column != "create":
            for activity in range(activities):
                self.create(activity, profile.maximum)

    def create(self, activity: int, maximum: float) -> Column:
        # A query string as in Moodle's ids, so that it shows if one is not encoded whole.
        id = f"https://lms-{self.number}.example/lineitems/{len(self.columns)}/lineitem?type_id=1"
        self.columns[id] = Column(id, activity, maximum)
        return self.columns[id]

    def columns_of(self, link: str) -> list[Column]:
        return [column for column in self.columns.values() if link in ("", f"activity-{column.activity}")]

    def store(self, column: Column, score: dict[str, Any], sender: str) -> Answer:
        """Store a score, or refuse it as this LMS would."""
        person = score["userId"]
        if person == plan.REFUSED:
            return refusal(400, f"Incorrect score received{json.dumps(score)}")
        cell = column.cells.setdefault(person, Cell())
        stamp = int(datetime.fromisoformat(score["timestamp"]).timestamp())
        if self.profile.refuses_not_later and cell.stamp >= stamp:
            return refusal(409, f"Refusing score with an earlier timestamp for item 1 and user {person}")
        cell.stamp = stamp
        points = score["scoreGiven"] * plan.MAXIMUM / score["scoreMaximum"]
        cell.posts.append(Post(plan.revision_of(score["comment"]), points, time.time(), sender))
        return Answer(204)

    def results(self, column: Column, person: str, page: int) -> dict[str, Any]:
        """What the gradebook tells, of everybody or of one person."""
        asked = [person] if person else sorted(column.cells)
        held = [
            self._result(column, each, alone=bool(person)) for each in asked if column.cells.get(each, Cell()).posts
        ]
        said: dict[str, Any] = {"scores": held[page * PAGE : (page + 1) * PAGE]}
        if held[(page + 1) * PAGE :]:
            said["next"] = f"https://lms-{self.number}.example/results?page={page + 1}"
        return said

    def _result(self, column: Column, person: str, *, alone: bool) -> dict[str, Any]:
        post, profile = column.cells[person].posts[-1], self.profile
        said: dict[str, Any] = {"id": f"{column.id}&of={person}", "userId": person, "scoreOf": column.id}
        if post.points or not profile.hides_zero:
            said["resultScore"] = round(post.points * column.maximum / plan.MAXIMUM, 5)
            if profile.reads_maximum:
                said["resultMaximum"] = column.maximum
        if profile.reads_comment and (profile.reads_comment_of_one or not alone):
            said["comment"] = plan.comment(post.revision)
        return said

    def grades(self) -> dict[plan.Pair, Cell]:
        """All that is stored. An activity has one column, unless a lost answer had the tool create it twice."""
        return {
            plan.Pair(self.number, column.activity, person): cell
            for column in self.columns.values()
            for person, cell in list(column.cells.items())
            if cell.posts
        }
