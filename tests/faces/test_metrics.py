"""Metrics: Prometheus is told what `ltiaas_status` counts, and only who knows the token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import prometheus_client
import pytest
from django.db import OperationalError
from django.test import RequestFactory
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from ltiaas_django import metrics
from ltiaas_django.operations import status
from ltiaas_django.testing import factories

pytestmark = pytest.mark.django_db

TOKEN = "a-token-for-monitors"


@pytest.fixture
def token(settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "HEALTH_TOKEN": TOKEN}


def ask(given: str = TOKEN) -> Any:
    return metrics.metrics(RequestFactory().get("/lti/metrics/", headers={"Authorization": f"Bearer {given}"}))


def gauges() -> dict[tuple[str, str], float]:
    """Each gauge, by its name and its label's value."""
    response = ask()
    assert response.status_code == 200
    assert response.headers["Content-Type"] == prometheus_client.CONTENT_TYPE_LATEST
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def test_prometheus_is_told_what_is_counted(token: None) -> None:
    factories.OutgoingScoreFactory(state="parked")
    factories.OutgoingScoreFactory(due_at=timezone.now() - timedelta(minutes=5))
    factories.OutgoingScoreFactory(sent=True, drift="overridden")
    factories.ContextFactory(roster_failures=1)
    factories.PlatformFactory(is_active=False)
    factories.ServiceKeyFactory(refused_at=timezone.now())
    told = gauges()
    expected = {
        ("ltiaas_scores", "parked"): 1, ("ltiaas_scores", "due"): 1, ("ltiaas_scores", "night"): 0,
        ("ltiaas_drift", "overridden"): 1, ("ltiaas_courses", "roster_failing"): 1,
        ("ltiaas_platforms", "stopped"): 1, ("ltiaas_keys_refused", ""): 1, ("ltiaas_failing", ""): 0,
    }  # fmt: skip
    assert {name: told[name] for name in expected} == expected
    assert 299 < told["ltiaas_oldest_seconds", "due"] < 400
    factories.SyncRunFactory(outcome="failed", counts={})
    assert gauges()["ltiaas_failing", ""] == 1


@pytest.mark.usefixtures("token")
def test_only_who_knows_the_token_is_told() -> None:
    assert ask("wrong").status_code == 401


@pytest.mark.usefixtures("token")
def test_a_database_that_cannot_be_asked_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> status.Status:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(status, "look", gone)
    assert ask().status_code == 503


def test_to_be_registered_asks_no_database(django_assert_num_queries: Any) -> None:
    registry = prometheus_client.CollectorRegistry()
    with django_assert_num_queries(0):
        registry.register(metrics.StatusCollector())
    assert b"ltiaas_scores" in prometheus_client.generate_latest(registry)
