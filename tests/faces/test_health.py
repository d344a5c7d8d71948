"""`/lti/health/`: what a monitor is told, and what nobody else is."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ltiaas_django.operations import status
from ltiaas_django.testing import factories

pytestmark = pytest.mark.django_db

URL = "/lti/health/"
TOKEN = "a-token-for-monitors"


@pytest.fixture
def token(settings: Any) -> str:
    settings.LTIAAS = {**settings.LTIAAS, "HEALTH_TOKEN": TOKEN}
    return TOKEN


def ask(given: str = f"Bearer {TOKEN}", method: str = "get") -> HttpResponse:
    response: HttpResponse = getattr(Client(), method)(URL, headers={"Authorization": given} if given else {})
    return response


def test_without_a_token_there_is_no_such_page() -> None:
    assert ask().status_code == 404
    assert ask("Bearer ").status_code == 404


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xe9"]
)
def test_only_who_knows_the_token_is_told(token: str, given: str) -> None:
    response = ask(given)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert json.loads(response.content) == {"error": "unauthorized"}


def test_the_token_is_compared_in_constant_time(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compare(given: bytes, wanted: bytes) -> bool:
        asked.append((given, wanted))
        return True

    monkeypatch.setattr(secrets, "compare_digest", compare)
    assert ask("Bearer wrong").status_code == 200
    assert asked == [(b"wrong", TOKEN.encode())]


def test_a_monitor_is_told_numbers_and_a_word(token: str) -> None:
    factories.OutgoingScoreFactory(state="parked")
    response = ask()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert "no-store" in response.headers["Cache-Control"]
    said = json.loads(response.content)
    assert (said["status"], said["failures"], said["attention"]) == ("attention", [], ["parked_scores"])
    assert said["scores"]["parked"] == 1
    look = status.look()
    expected = json.loads(json.dumps(look.numbers(), cls=DjangoJSONEncoder))
    assert {name: said[name] for name in expected} == expected


def test_failing_is_an_error_for_whoever_looks_at_the_status_alone(token: str) -> None:
    factories.SyncRunFactory(outcome="failed", counts={"failed": 30})
    response = ask()
    assert response.status_code == 503
    said = json.loads(response.content)
    assert (said["status"], said["failures"], said["fruitless_runs"]) == ("failing", ["fruitless_runs"], 1)
    assert ask(method="head").status_code == 503


def test_a_database_that_cannot_be_asked_is_an_answer_too(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> status.Status:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(status, "look", gone)
    response = ask()
    assert response.status_code == 503
    assert json.loads(response.content) == {"status": "failing", "failures": ["database"]}


def test_nothing_in_it_names_anybody_or_tells_a_secret(token: str) -> None:
    marks = ["Kim Named", "kim@named.example", "Course Named", "University Named", "error named", "named-secret"]
    person = factories.LtiUserFactory(name=marks[0], email=marks[1], platform__name=marks[3])
    context = factories.ContextFactory(
        platform=person.platform, title=marks[2], roster_failures=1, roster_error=marks[4],
    )  # fmt: skip
    factories.OutgoingScoreFactory(
        lti_user=person, line_item__context=context, attempts=2, last_error=marks[4], comment=marks[0],
        due_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    factories.ServiceKeyFactory(context=context, secret=marks[5], refused_at=timezone.now(), last_error=marks[4])
    factories.SyncRunFactory(platform=person.platform, outcome="failed", counts={}, error=marks[4])
    standing = str(status.look())
    assert marks[2] in standing
    said = ask().content.decode()
    assert '"failing_courses"' in said
    assert [mark for mark in [*marks, TOKEN] if mark in said] == []


def test_it_asks_for_no_session_and_takes_no_post(token: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        ask()
    assert not [query["sql"] for query in queries if "django_session" in query["sql"]]
    assert ask(method="post").status_code == 405
