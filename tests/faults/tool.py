"""The tool, in a process of its own: launches, writes down scores, and has an operator with little patience.

`python -m tests.faults.tool` reads a command a line as JSON and answers with one; between two commands it goes on
writing down newer scores, once it was told to.
"""

from __future__ import annotations

import json
import random
import select
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402  after setup()
from django.db.models import Count  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from ltiaas_django import grades  # noqa: E402
from ltiaas_django.models import Context, LtiUser, OutgoingScore, Platform, ResourceLink, ScoreAttempt  # noqa: E402
from tests.faults import plan  # noqa: E402

_EVERY = 0.4  # seconds between two writings
_PATIENCE = 3.0  # seconds after which the operator ends pauses


class Tool:
    """What the tool knows: the activities, the people, and which revision of each score it wrote down last."""

    def __init__(self) -> None:
        self.random = random.Random()  # noqa: S311  scores, no secrets
        self.links: dict[tuple[int, int], ResourceLink] = {}
        self.people: dict[tuple[int, str], LtiUser] = {}
        self.wanted: dict[plan.Pair, int] = {}
        self.at_once = 0
        self.written: list[plan.Pair] = []
        self.wrote_at = self.operated_at = 0.0
        self.operator = Client()

    # --- commands ---

    def open(self, seed: int, places: list[list[int]], people: list[str]) -> int:
        """Launch every activity once, and know its people."""
        self.random.seed(seed)
        self.operator.force_login(get_user_model().objects.create_superuser("operator"))
        self.launch(places, people[0])
        for link in ResourceLink.objects.select_related("context__platform"):
            platform = link.context.platform
            number = int(platform.ltiaas_id.rpartition("-")[2])
            self.links[number, int(link.lti_id.rpartition("-")[2])] = link
            rows = [LtiUser(platform=platform, lti_id=person) for person in people]
            LtiUser.objects.bulk_create(rows, ignore_conflicts=True)
            self.people |= {(number, row.lti_id): row for row in LtiUser.objects.filter(platform=platform)}
        return len(self.links)

    def launch(self, places: list[list[int]], person: str) -> int:
        """Launch activities: each brings a new key."""
        for platform, activity in places:
            ltik = f"ltik-{platform}-{activity}-{person}-{uuid.uuid4().hex}"
            answer = Client().get(f"/lti/launch/?ltik={ltik}", headers={"host": "localhost"})
            assert answer.status_code == 302, answer.content.decode()
        return len(places)

    def begin(self) -> int:
        """Write down a first score for everybody."""
        self.write([plan.Pair(*place, person) for place in self.links for _n, person in self._people_of(place[0])])
        return len(self.wanted)

    def go_on(self, at_once: int) -> int:
        """From now on write down so many newer scores at a time; 0 ends it."""
        self.at_once = at_once
        return at_once

    def open_scores(self) -> dict[str, int]:
        """How many scores are not sent, by state; those that the LMS cannot take left out."""
        scores = OutgoingScore.objects.exclude(state="sent").exclude(lti_user__lti_id=plan.REFUSED, state="parked")
        return dict(scores.values_list("state").annotate(Count("pk")).order_by())

    def report(self) -> list[list[Any]]:
        """Each score: platform, activity, person, the revision that is wanted, and how its row stands."""
        said = []
        rows = {(row.line_item.resource_link_id, row.lti_user_id): row for row in _ROWS.all()}
        for pair, wanted in self.wanted.items():
            row = rows[self.links[pair.platform, pair.activity].pk, self.people[pair.platform, pair.person].pk]
            numbers = [row.revision, row.sending_revision, row.sent_revision]
            state = [row.state, *numbers, row.last_error_code, row.unconfirmed]
            said.append([pair.platform, pair.activity, pair.person, wanted, state])
        return said

    def attempts(self, platform: int, activity: int, person: str) -> list[str]:
        """What went wrong with one score, a line each."""
        link, user = self.links[platform, activity], self.people[platform, person]
        found = ScoreAttempt.objects.filter(score__line_item__resource_link=link, score__lti_user=user).order_by("at")
        return [
            f"{one.at.timestamp():.3f} row's revision {one.revision} {one.outcome} {one.error_code}: {one.error}"
            for one in found
        ]

    # --- what happens by itself ---

    def write(self, pairs: Sequence[plan.Pair]) -> None:
        """Write down the next revision of these scores."""
        for pair in pairs:
            self.wanted[pair] = self.wanted.get(pair, 0) + 1
        grades.record_scores(
            grades.ScoreRecord(
                resource_link=self.links[pair.platform, pair.activity],
                user=self.people[pair.platform, pair.person],
                given=plan.given(pair, self.wanted[pair]),
                maximum=plan.MAXIMUM,
                comment=plan.comment(self.wanted[pair]),
            )
            for pair in pairs
        )

    def live(self) -> None:
        """What is due by now: newer scores, and the operator's visit."""
        now = time.monotonic()
        if self.at_once and now - self.wrote_at > _EVERY:
            self.wrote_at = now
            again = self.written[: self.at_once // 2]  # some people try once more at once
            others = sorted(self.wanted.keys() - set(again))
            self.written = self.random.sample(others, self.at_once - len(again))
            self.write([*again, *self.written])
        if now - self.operated_at > _PATIENCE:
            self.operated_at = now
            self.end_pauses()

    def end_pauses(self) -> None:
        """In the admin: LMSs that are paused go on, and what they refused as too much is tried again."""
        paused = list(Platform.objects.filter(paused_until__gt=timezone.now()).values_list("pk", flat=True))
        if paused:
            self._act("platform", "unpause", paused)
            courses = Context.objects.filter(platform__in=paused).values_list("pk", flat=True)
            self._act("context", "sync_now", list(courses))

    def _act(self, model: str, action: str, ids: list[int]) -> None:
        url = reverse(f"admin:ltiaas_django_{model}_changelist")
        answer = self.operator.post(url, {"action": action, "_selected_action": ids}, headers={"host": "localhost"})
        assert answer.status_code == 302, (url, answer.status_code)

    def _people_of(self, platform: int) -> list[tuple[int, str]]:
        return [(number, person) for number, person in self.people if number == platform]


_ROWS = OutgoingScore.objects.select_related("line_item__context__platform", "lti_user")


def main() -> None:
    """Serve commands until the input ends."""
    tool = Tool()
    while True:
        if select.select([sys.stdin], [], [], 0.05)[0]:
            line = sys.stdin.readline()
            if not line:
                return
            command = json.loads(line)
            answer = getattr(tool, command.pop("do"))(**command)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        else:
            tool.live()


if __name__ == "__main__":
    main()
