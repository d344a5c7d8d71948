"""A night with nothing due, over more and more courses: what it costs must follow what is due, not what exists."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, models, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks import harness, plans
from benchmarks.harness import Measured, Options, Table, number, reached
from ltiaas_django import sealing
from ltiaas_django.models import (
    Context,
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ScoreAttempt,
    ServiceKey,
    SyncRun,
)
from ltiaas_django.operations import passes

PLATFORMS = 20
PEOPLE = 3  # of each course, each with a membership and a score that was sent
BLOCK = 1000  # courses that are made one by one; the others are copies
FEW = 20  # courses whose key is refused, and scores that are parked
REPEATS = 15
KINDS = [kind.value for kind in SyncRun.Kind]
COPIED: list[type[models.Model]] = [Context, ResourceLink, LtiUser, Membership, ServiceKey, LineItem, OutgoingScore]
COPIED += [ScoreAttempt]


# --- what is measured, in a process of its own ------------------------------------------------------------------------


def night(contexts: int, pages: bool) -> Measured:
    """Milliseconds and statements of each step of a night over so many courses; on request, of the pages too."""
    _make_rows(contexts)
    steps = {name: _repeat(step) for name, step in STEPS.items()}
    shown = {name: _repeat(page, 3) for name, page in _pages().items()} if pages else {}
    found = {name: plans.of(_statements(step)) for name, step in STEPS.items()} if pages else {}
    return {"steps": steps, "pages": shown, "plans": found, "rows": plans.row_counts()}


def _tick() -> None:
    passes.tidy()
    passes.due_platforms(KINDS)


def _work_all() -> None:
    def visit(platform_id: int, stop: threading.Event) -> bool:
        raise AssertionError(f"Something is due on platform {platform_id}.")

    passes.work_all(KINDS, visit, parallel=16)


STEPS: dict[str, Callable[[], object]] = {
    "tick": _tick,
    "night's grades: make due": lambda: passes.release_night("grades"),
    "night's rosters: make due": lambda: passes.release_night("rosters"),
    "gradebook checks: make due": passes.request_checks,
    "work on all that is due": _work_all,
    "housekeeping": passes.housekeeping,
}


def _pages() -> dict[str, Callable[[], object]]:
    """The first page of each list in the admin, and what an operator asks on the command line."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator"))

    def get(url: str) -> Callable[[], object]:
        def fetch() -> None:
            answer = client.get(url)
            assert answer.status_code == 200, f"{url}: {answer.status_code}"

        return fetch

    shown: dict[str, Callable[[], object]] = {"admin: start page": get(reverse("admin:index"))}
    for model in sorted(apps.get_app_config("ltiaas_django").get_models(), key=lambda model: model.__name__):
        if admin.site.is_registered(model):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            shown[f"admin: {model._meta.verbose_name_plural}"] = get(url)
    shown["manage.py ltiaas_status"] = lambda: call_command("ltiaas_status", stdout=io.StringIO())
    return shown


def _repeat(step: Callable[[], object], repeats: int = REPEATS) -> dict[str, float]:
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        took.append(time.perf_counter() - began)
    statements = len(_statements(step))
    return {"ms": min(took) * 1000, "first_ms": took[0] * 1000, "statements": statements}


def _statements(step: Callable[[], object]) -> list[plans.Statement]:
    """What the step asks of the database, BEGIN and COMMIT left out."""
    statements: list[plans.Statement] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        step()
    return statements


# --- rows -------------------------------------------------------------------------------------------------------------


def _make_rows(contexts: int) -> None:
    """Courses of long ago with all their scores sent, save a few that are parked or wait for a launch."""
    with transaction.atomic():
        _make_block()
        for model in COPIED:
            _multiply(model, contexts // BLOCK)
        _make_others(contexts)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # as autovacuum does before long


def _make_block() -> None:
    long_ago = timezone.now() - timedelta(days=100)
    times = [long_ago - timedelta(minutes=number) for number in range(BLOCK)]
    platforms = Platform.objects.bulk_create(
        Platform(ltiaas_id=f"platform-{n}", name=f"University {n}", product_family="moodle") for n in range(PLATFORMS)
    )
    courses = Context.objects.bulk_create(
        Context(
            platform=platforms[n % PLATFORMS],
            lti_id=f"course-{n}",
            title=f"Course {n}",
            launched_at=times[n],
            roster_synced_at=times[n],
        )
        for n in range(BLOCK)
    )
    links = ResourceLink.objects.bulk_create(ResourceLink(context=course, lti_id="quiz") for course in courses)
    sealed = sealing.seal("h." + "s" * 570)  # sealing each anew would take longest of all
    place = {"sealed": sealed, "sealed_with": sealing.newest_key(), "fingerprint": "made-up"}
    ServiceKey.objects.bulk_create(
        ServiceKey(
            context=link.context,
            resource_link=link,
            offers_roster=True,
            offers_grades=True,
            refreshed_at=times[number],
            **place,
        )
        for number, link in enumerate(links)
    )
    items = LineItem.objects.bulk_create(
        LineItem(context=link.context, resource_link=link, lti_id=f"https://lms.example/{link.pk}", score_maximum=10)
        for link in links
    )
    people = LtiUser.objects.bulk_create(
        LtiUser(platform=item.context.platform, lti_id=f"person-{number}-{n}", name=f"Person {number} {n}")
        for number, item in enumerate(items)
        for n in range(PEOPLE)
    )
    theirs = [(items[position // PEOPLE], person) for position, person in enumerate(people)]
    Membership.objects.bulk_create(
        Membership(context=item.context, lti_user=person, roles=["Learner"], is_learner=True) for item, person in theirs
    )
    scores = OutgoingScore.objects.bulk_create(
        OutgoingScore(
            line_item=item,
            lti_user=person,
            given=Decimal(8),
            maximum=Decimal(10),
            state=OutgoingScore.State.SENT,
            sent_revision=1,
            recorded_at=times[position // PEOPLE],
            attempted_at=times[position // PEOPLE],
            sent_at=times[position // PEOPLE],
        )
        for position, (item, person) in enumerate(theirs)
    )
    ScoreAttempt.objects.bulk_create(
        ScoreAttempt(score=score, revision=1, outcome="failed", error="503", at=timezone.now())
        for score in scores[::30]
    )


def _multiply(model: type[models.Model], times: int) -> None:
    """Copy the block's rows: ids, and ids of rows that are copied too, go on from where the last copy ended."""
    quote = connection.ops.quote_name
    columns, copies = [], []
    for field in model._meta.concrete_fields:
        column = quote(str(field.column))
        target = model if field.primary_key else field.related_model
        columns.append(column)
        if target in COPIED:
            copies.append(f"{column} + copy.n * {_block_of(target)}")
        elif field.name == "lti_id" and model in (Context, LtiUser):  # unique within a platform
            copies.append(f"{column} || '-' || copy.n")
        else:
            copies.append(column)
    table, key = quote(model._meta.db_table), quote(str(model._meta.pk.column))
    if times > 1:
        with connection.cursor() as cursor:
            cursor.execute(
                f"WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < {times - 1}) "  # noqa: S608
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(copies)} "
                f"FROM {table} CROSS JOIN copy ORDER BY copy.n, {key}"
            )


def _block_of(model: Any) -> int:
    """How many rows of the model the block has."""
    if model in (LtiUser, Membership, OutgoingScore):
        return BLOCK * PEOPLE
    return -(-BLOCK * PEOPLE // 30) if model is ScoreAttempt else BLOCK


def _make_others(contexts: int) -> None:
    """What is open whatever exists, and what grows with traffic and time: a day's launches, a quarter's runs."""
    now = timezone.now()
    keys = list(ServiceKey.objects.order_by("pk")[:FEW])
    ServiceKey.objects.filter(pk__in=[key.pk for key in keys]).update(refused_at=now)
    theirs = OutgoingScore.objects.filter(line_item__context__in=[key.context_id for key in keys])
    theirs.update(state=OutgoingScore.State.WAITING, sent_revision=None)
    first = OutgoingScore.objects.filter(state=OutgoingScore.State.SENT).order_by("pk")[:FEW]
    parked = OutgoingScore.objects.filter(pk__in=[score.pk for score in first])
    parked.update(state=OutgoingScore.State.PARKED, sent_revision=None)
    user = get_user_model().objects.create_user("somebody")
    people = Membership.objects.order_by("pk").values_list("lti_user", "context")
    Launch.objects.bulk_create(
        Launch(
            lti_user_id=person,
            context_id=course,
            user=user,
            type=Launch.Type.RESOURCE_LINK,
            ltik_digest=f"{person:064}",
            created_at=now - timedelta(milliseconds=person),
            claimed_at=now,
            expires_at=now + timedelta(hours=24, milliseconds=-person),
        )
        for person, course in people[: contexts * PEOPLE : PEOPLE]
    )
    SyncRun.objects.bulk_create(
        SyncRun(kind=kind, trigger="nightly", platform=platform, outcome="ok", started_at=now - timedelta(days=day))
        for day in range(80)
        for kind in ("grades", "rosters")
        for platform in Platform.objects.all()
    )


# --- the tables -------------------------------------------------------------------------------------------------------


def run(options: Options) -> list[Table]:
    """Measure each size on each database, and show times, pages and plans."""
    sizes = [BLOCK, 2 * BLOCK] if options.quick else [BLOCK, 10 * BLOCK, 100 * BLOCK]
    configurations = {
        f"{size:,} courses, {database}": (database, size) for size in sizes for database in options.databases
    }
    once = harness.Options(**{**vars(options), "rounds": 1})
    runs = harness.in_turn(
        {
            name: lambda database=database, size=size: harness.measure(  # type: ignore[misc]
                "benchmarks.growth:night", database=database, contexts=size, pages=size == sizes[-1]
            )
            for name, (database, size) in configurations.items()
        },
        once,
    )
    by_place = {configurations[name]: own[0] for name, own in runs.items()}
    databases = [database for database in options.databases if all((database, size) in by_place for size in sizes)]
    return [
        *(_nights(database, sizes, by_place) for database in databases),
        _shown(databases, sizes[-1], by_place),
        plans.table({database: by_place[database, sizes[-1]] for database in databases}),
    ]


def _nights(database: str, sizes: list[int], runs: dict[tuple[Any, int], Measured]) -> Table:
    columns = ["step", *(f"{size:,} courses, ms" for size in sizes), "statements", "largest to smallest"]
    rows = []
    for step in STEPS:
        own = [runs[database, size]["steps"][step] for size in sizes]
        grown = own[-1]["ms"] / own[0]["ms"]
        statements = " / ".join(dict.fromkeys(str(one["statements"]) for one in own))
        rows.append([step, *(number(one["ms"]) for one in own), statements, reached(grown, at_most=3)])
    largest = runs[database, sizes[-1]]
    return Table(
        f"A night with nothing due, {database}",
        columns,
        rows,
        [
            f"{PLATFORMS} platforms; a course has an activity, a key, a line item, a launch, {PEOPLE} people and their "
            f"scores, sent; {FEW} keys are refused. The largest holds {sum(largest['rows'].values()):,} rows.",
            f"The fastest of {REPEATS} calls, which leaves out what else the machine does. "
            "A hundred times the courses may take three times as long.",
        ],
    )


def _shown(databases: list[Any], size: int, runs: dict[tuple[Any, int], Measured]) -> Table:
    columns = ["", *(text for database in databases for text in (f"{database}, s", "statements"))]
    rows = []
    for name in runs[databases[0], size]["pages"]:
        row = [name]
        for database in databases:
            own = runs[database, size]["pages"][name]
            row += [reached(own["first_ms"] / 1000, at_most=1, unit=""), str(own["statements"])]
        rows.append(row)
    return Table(f"Pages over {size:,} courses", columns, rows, ["The first of three calls, nothing warmed up for it."])
