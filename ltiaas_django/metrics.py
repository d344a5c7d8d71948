"""How things stand, for Prometheus; needs the extra `ltiaas-django[metrics]`.

A page of its own, which knows LTIAAS["HEALTH_TOKEN"] as `/lti/health/` does:

    path("lti/metrics/", ltiaas_django.metrics.metrics)

Or, where the site exports metrics already, with these: `StatusCollector` in the registry that it exports.

    prometheus_client.REGISTRY.register(StatusCollector())
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ltiaas_django import health
from ltiaas_django.operations import status

logger = logging.getLogger(__name__)


class StatusCollector(Collector):
    """Reads the database whenever it is asked: any number of processes tell the same."""

    def collect(self) -> Iterator[Metric]:
        """All gauges, as `status.look` has them."""
        standing = status.look()
        scores, rosters = standing.scores, standing.rosters
        waiting = {name: getattr(scores, name) for name in ("due", "sending", "later", "night", "launch", "parked")}
        yield _gauge("scores", "Scores that no LMS has accepted yet, by what they wait for", "waits_for", waiting)
        trouble = {"overdue": scores.overdue, "unknown": scores.unknown, "stopped": scores.stopped}
        yield _gauge("scores_among_them", "Of these: overdue, of unknown outcome, held back", "which", trouble)
        courses = {"scores_failing": scores.courses_failing, "scores_waiting": scores.courses_waiting}
        courses |= {"roster_due": rosters.due, "roster_overdue": rosters.overdue, "roster_failing": rosters.failing}
        courses |= {"departures_held": rosters.held, "check_due": rosters.checks_due}
        yield _gauge("courses", "Courses", "which", {**courses, "stopped": standing.courses_stopped})
        platforms = {"paused": standing.platforms_paused, "stopped": standing.platforms_stopped}
        yield _gauge("platforms", "LMSs", "which", {**platforms, "fruitless": len(standing.fruitless)})
        yield _gauge("drift", "Sent scores that differ in the gradebook", "how", standing.drift)
        ages = {"due": scores.due_since, "unsent": scores.unsent_since, "roster_due": rosters.due_since}
        oldest = {name: _age(standing.at, since) for name, since in ages.items()}
        yield _gauge("oldest_seconds", "Age of the oldest; 0 where there is none", "what", oldest)
        yield GaugeMetricFamily("ltiaas_keys_refused", "Service keys that wait for a launch", standing.keys_refused)
        yield GaugeMetricFamily("ltiaas_failing", "1 while somebody must see to it now", standing.level == "failing")

    def describe(self) -> Iterable[Metric]:
        """Nothing: to be registered must not ask the database."""
        return ()


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ltiaas_{name}", text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _age(now: datetime, since: datetime | None) -> float:
    return (now - since).total_seconds() if since else 0.0


@require_safe
@never_cache
@transaction.non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponse:
    """These metrics alone, in Prometheus's text form, for who knows the token."""
    refusal = health.refuse(request)
    if refusal is not None:
        return refusal
    registry = CollectorRegistry()
    registry.register(StatusCollector())
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError as error:
        logger.error("There are no metrics: %s", error)
        return HttpResponse(status=503)
