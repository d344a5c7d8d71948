"""A course at a glance: the panel above its change page."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.contrib import admin
from django.db.models import Count, Max, Q

from ltiaas_django.admin import badges, cells
from ltiaas_django.models import Context, Launch, LineItem, Membership, OutgoingScore, ResourceLink, ServiceKey, SyncRun

_RUNS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Glance:
    """What the panel shows."""

    last_launch: str
    roster_read: str
    roster_due: str
    scores: list[tuple[str, int, str]]
    """Of each state that there is: its badge, how many, and the list of them."""
    keys: str
    key_used: str
    checked: str
    check_due: str
    drift: list[tuple[str, int, str]]
    """Of each way in which the gradebook differs: its name, how many scores, and the list of them."""
    runs: list[tuple[str, str, str]]
    """Of the platform's last runs: kind, badge and how long ago."""
    links: list[tuple[str, str]]


def look_at(site: admin.AdminSite, context: Context) -> Glance:
    """Everything on the panel, in four queries however large the course is."""
    keys = ServiceKey.objects.filter(context=context).aggregate(
        healthy=Count("pk", filter=Q(refused_at__isnull=True)),
        refused=Count("pk", filter=Q(refused_at__isnull=False)),
        used_at=Max("used_at"),
    )
    runs = SyncRun.objects.filter(platform=context.platform_id).select_related("platform")[:_RUNS]
    lists = (Launch, ServiceKey, LineItem, OutgoingScore, Membership, ResourceLink)
    return Glance(
        last_launch=cells.ago(context.launched_at),
        roster_read=cells.ago(context.roster_synced_at),
        roster_due=cells.ago(context.roster_due_at),
        scores=_scores(site, context),
        keys=badges.of_keys(keys["healthy"], keys["refused"]),
        key_used=cells.ago(keys["used_at"]),
        checked=cells.ago(context.checked_at),
        check_due=cells.ago(context.check_due_at),
        drift=_drift(site, context),
        runs=[(run.get_kind_display(), badges.of_run(run), cells.ago(run.started_at)) for run in runs],
        links=[
            (str(model._meta.verbose_name_plural), cells.list_url(site, model, course=context.pk)) for model in lists
        ],
    )


def _scores(site: admin.AdminSite, context: Context) -> list[tuple[str, int, str]]:
    counted: Any = (
        OutgoingScore.objects.filter(line_item__context=context)
        .order_by("state")
        .values_list("state")
        .annotate(number=Count("pk"))
    )
    return [
        (badges.of_state(state), number, cells.list_url(site, OutgoingScore, course=context.pk, state__exact=state))
        for state, number in counted
    ]


def _drift(site: admin.AdminSite, context: Context) -> list[tuple[str, int, str]]:
    differing = OutgoingScore.objects.filter(line_item__context=context).exclude(drift="")
    counted: Any = differing.order_by("drift").values_list("drift").annotate(number=Count("pk"))
    return [
        (
            str(OutgoingScore.Drift(drift).label),
            number,
            cells.list_url(site, OutgoingScore, course=context.pk, drift=drift),
        )
        for drift, number in counted
    ]
