"""A sandbox that behaves like one LMS, asked as a tool asks it, and the record of which quirks have a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
import requests

from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.gradebook import Cell

from ..conftest import Caller

SHOWN: set[tuple[str, str]] = set()
"""Profiles and ids of their quirks, of all modules that were imported."""


def shows(quirk: str, *profiles: str) -> pytest.MarkDecorator:
    """The test shows this quirk of these profiles: it gets an `lms` of each."""
    SHOWN.update((profile, quirk) for profile in profiles)
    return pytest.mark.parametrize("lms", profiles, indirect=True, ids=[f"{name}-{quirk}" for name in profiles])


def said(response: requests.Response) -> tuple[int, Any]:
    """The status with which the LMS refused, and its own words."""
    body = response.json()
    assert body["status"] == response.status_code
    assert body["details"]["externalError"] is True
    return response.status_code, body["details"]["bodyReceived"]


@dataclass
class Lms:
    """One LMS. People and activities go by the sandbox's own names, and become the LMS's on the wire."""

    sandbox: Sandbox
    caller: Caller
    """With the service key of a teacher's launch."""
    by_ltik: Callable[..., Caller]

    @property
    def profile(self) -> Any:
        """Any: each LMS has switches of its own."""
        return self.sandbox.profile

    @property
    def course(self) -> Any:
        return self.sandbox.course("course-101")

    @property
    def item(self) -> Any:
        """The column of quiz-1, of 10 points."""
        return self.course.line_items_of("quiz-1")[0]

    def id_of(self, person: str) -> str:
        """What the LMS calls a person; somebody whom it does not know is called what they are called here."""
        known = self.sandbox.school.people.get(person)
        return person if known is None else known.lti_id

    def score(self, person: str, given: float | None = 8, maximum: float = 10, **fields: Any) -> requests.Response:
        amounts = {} if given is None else {"scoreGiven": given, "scoreMaximum": maximum}
        return self.caller.post_score(self.item.id, self.id_of(person), **amounts, **fields)

    def graded(self, person: str, given: float | None = 8, maximum: float = 10, **fields: Any) -> Cell:
        """Post a score that is taken; returns the cell."""
        response = self.score(person, given, maximum, **fields)
        assert response.ok, response.text
        return self.cell(person)

    def cell(self, person: str) -> Cell:
        (cell,) = (cell for cell in self.sandbox.gradebook("course-101") if cell.user_id == person)
        return cell

    def value(self, person: str) -> Decimal | None:
        return self.cell(person).score

    def roster(self, **query: str) -> Any:
        """The first page, as LTIAAS gives it."""
        return self.caller.json("/api/memberships", **query)

    def page(self, url: str) -> Any:
        """Another page of the roster."""
        return self.roster(url=url)

    def members(self, **query: str) -> Mapping[str, Any]:
        """Entries of the first page of the roster, by the sandbox's names."""
        names = {person.lti_id: name for name, person in self.sandbox.school.people.items()}
        return {names[entry["userId"]]: entry for entry in self.roster(**query)["members"]}

    def results(self, person: str = "") -> Any:
        return self.caller.results(self.item.id, **({"userId": self.id_of(person)} if person else {}))

    def line_items(self, **query: str) -> Any:
        return self.caller.json("/api/lineitems", **query)

    def get_line_item(self, item_id: str) -> requests.Response:
        return self.caller("GET", f"/api/lineitems/{quote(item_id, safe='')}")

    def id_token(self, person: str = "2001") -> Any:
        return self.by_ltik(person=person).json("/api/idtoken")
