"""Fixtures that put a running sandbox behind the tool: real HTTP on both sides of the launch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from ltiaas_django.models import Launch
from ltiaas_django.operations import connecting, passes
from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.sandbox.server import SandboxApplication
from tests import openapi

API_KEY = "the-account's:key"


class Lms:
    """A sandbox, and what tests do with it again and again."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox = sandbox
        self.url = url

    def launch(self, person: str, activity: str = "quiz-1", course: str = "course-101", **options: Any) -> Launch:
        """Launch through the view with a new browser; the launch's row."""
        return self.browse(person, activity, course, **options)[1]

    def browse(
        self, person: str, activity: str | None = "quiz-1", course: str = "course-101", **options: Any
    ) -> tuple[Client, Launch]:
        """Launch through the view with a new browser; the browser, signed in, and the launch's row."""
        browser = Client()
        url = launch_path(self.sandbox.launch_url(course, activity, person, **options))
        response = browser.get(url)
        assert response.status_code == 302, response.content.decode()
        launch = Launch.objects.select_related("context__platform", "resource_link__context", "lti_user").get(
            pk=response.headers["Location"].rpartition("lti=")[2]
        )
        return browser, launch

    def grades(self, course: str = "course-101") -> dict[tuple[str, str], tuple[Any, Any]]:
        """What the gradebook holds: (person, line item's label) to (score, comment)."""
        labels = {
            item.id: item.label
            for activity in self.sandbox.courses[course].activities
            for item in self.sandbox.courses[course].line_items_of(activity)
        }
        return {
            (cell.user_id, labels.get(cell.line_item_id, cell.line_item_id)): (cell.score, cell.comment)
            for cell in self.sandbox.gradebook(course)
        }

    def posts(self) -> int:
        """How many scores the sandbox was sent."""
        return sum(1 for r in self.sandbox.requests if r.method == "POST" and r.path.endswith("/scores"))


def launch_path(url: str) -> str:
    """The tool's path and query of a launch URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def close_connection() -> None:
    """At the end of a thread of a test. Django's own close() leaves SQLite's in memory open, for others to use."""
    BaseDatabaseWrapper.close(connections["default"])


def night(*kinds: str) -> None:
    """The nightly passes, without a broker."""
    for kind in kinds or ("grades", "rosters"):
        passes.release_night(kind)
        for platform_id in passes.due_platforms([kind]):
            passes.work(platform_id, [kind], "nightly")


@pytest.fixture
def lms(settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lms]:
    """A fresh sandbox that LTIAAS["URL"] points to. It does not refuse a second score in the same second."""
    sandbox = Sandbox(api_key=API_KEY)
    sandbox.profile.refuse_same_second = False
    monkeypatch.setattr(connecting, "_api_key_verdict", ("", 0.0, None))
    watch = openapi.Watch(SandboxApplication(sandbox))
    with SandboxServer(sandbox, application=watch) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": API_KEY, "CALL_DEADLINE": 5.0, "RETRY_BASE": 60.0}
        yield Lms(sandbox, server.url)
    assert sandbox.warnings == []  # what LTIAAS puts up with, our client does not do
    assert not watch.wrong_requests, watch.wrong_requests  # these modules have no asserts that explain themselves
    assert not watch.wrong_answers, watch.wrong_answers
