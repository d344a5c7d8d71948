"""The roster of a large course: the first night, and the second, when little has changed.

Beside ours: two `update_or_create` for each member, as django-lti does; and two limits, fetching and parsing alone, and
the same rows written in raw SQL. All of them read the same pages from the same server.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import django
from django.db import connection, transaction
from django.utils import timezone

from benchmarks import harness, server
from benchmarks.harness import Database, Measured

SIZE, SAMPLE, PAGE = 100_000, 2_000, 1_000
ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
PERSON = {
    "name": "name",
    "given_name": "givenName",
    "family_name": "familyName",
    "email": "email",
    "picture": "picture",
}


# --- the course -------------------------------------------------------------------------------------------------------


def write_pages(folder: pathlib.Path, size: int, night: int) -> None:
    """Pages of nine fields a member. In the second night 1 % have another name, 0.1 % are gone, 0.1 % are new."""
    few = max(size // 1000, 1)
    people = range(size) if night == 1 else [n for n in range(size + few) if n % (size // few) or n >= size]
    people = list(people)
    for number in range(0, len(people), PAGE):
        members = [
            _member(n, "New" if night == 2 and n % 100 == 7 else "Given") for n in people[number : number + PAGE]
        ]
        page: dict[str, Any] = {"id": "1", "context": {"id": "large"}, "members": members}
        if number + PAGE < len(people):
            page["next"] = f"https://lms.example/memberships?page={number // PAGE + 2}"
        (folder / f"{number // PAGE + 1}.json").write_text(json.dumps(page))


def _member(n: int, given_name: str) -> dict[str, Any]:
    return {
        "userId": f"8f1c2a3e-5b7d-4e9f-a1b2-{n:012}",
        "status": "Active",
        "roles": [ROLE],
        "name": f"{given_name}{n} Family{n}",
        "givenName": f"{given_name}{n}",
        "familyName": f"Family{n}",
        "email": f"person{n}@school.example",
        "picture": f"https://lms.example/pictures/{n}.png",
        "lisPersonSourcedId": f"sis-{n}",
    }


# --- in the measured process ------------------------------------------------------------------------------------------


def measured(way: str, size: int, night: int, nights: str) -> Measured:
    """Read the roster in one way. Before the second night, a process of its own has read the first one our way."""
    roster = server.Running(os.environ["LTIAAS_URL"], os.environ["REQUESTS_CA_BUNDLE"])
    if night == 2:
        roster.use(pathlib.Path(nights, "1"))
        with ProcessPoolExecutor(1, get_context("spawn"), initializer=django.setup) as process:
            process.submit(fill).result()
    roster.use(pathlib.Path(nights, str(night)))
    context = _course()
    connection.ensure_connection()
    ways: dict[str, Callable[[Any], dict[str, Any]]] = {
        "parse": parse,
        "naive": naive,
        "raw": raw_postgresql if connection.vendor == "postgresql" else raw_sqlite,
        "ours": ours,
    }
    began = time.perf_counter()
    said = ways[way](context)
    seconds = time.perf_counter() - began
    if way in ("ours", "raw"):
        _check(way, context, size, night, said)
    return said | {"rate": said["read"] / seconds, "peak": harness.peak_memory()}


def fill() -> None:
    """The first night, our way."""
    ours(_course())


def _course() -> Any:
    from ltiaas_django.models import Context, Platform, ServiceKey

    platform, _created = Platform.objects.get_or_create(ltiaas_id="large")
    context, is_new = Context.objects.select_related("platform").get_or_create(platform=platform, lti_id="large")
    if is_new:
        key = ServiceKey(context=context, offers_roster=True, refreshed_at=timezone.now())
        key.put("k" * 580)
        key.save()
    return context


def _check(way: str, context: Any, size: int, night: int, said: dict[str, Any]) -> None:
    from ltiaas_django.models import LtiUser, Membership

    few = max(size // 1000, 1) if night == 2 else 0
    assert said["read"] == size, said
    assert LtiUser.objects.count() == Membership.objects.filter(context=context).count() == size + few
    assert LtiUser.objects.filter(given_name__startswith="New").count() == (size // 100 + 1 if night == 2 else 0)
    if way == "ours":
        assert Membership.objects.filter(context=context, status="Active").count() == size


def ours(context: Any) -> dict[str, Any]:
    """As the night does it."""
    from ltiaas_django.operations import leases, rosters

    with leases.own(context.platform_id) as lease:
        assert lease is not None
        change = rosters.sync_roster(context, lease)
    return {"read": change.read, "written": len(change.joined) + len(change.changed) + len(change.left)}


def _pages() -> Iterator[list[dict[str, Any]]]:
    """Fetched and parsed with our own client, and nothing more."""
    from ltiaas_django.connections.ltiaas import auth, http
    from ltiaas_django.operations import connecting

    endpoint, key = connecting.endpoint(), auth.ServiceKeyAuth("the-account's:key", "k" * 580)
    url = None
    while True:
        query = {"url": url} if url else {"limit": str(PAGE)}
        page = http.send(endpoint, key, "GET", "/api/memberships", asked="GET roster", query=query)
        yield page["members"]
        url = page.get("next")
        if url is None:
            return


def parse(context: Any) -> dict[str, Any]:
    """The limit of reading."""
    return {"read": sum(len(page) for page in _pages())}


def naive(context: Any) -> dict[str, Any]:
    """Two `update_or_create` for each member, each in a transaction of its own; of a sample."""
    from ltiaas_django.models import LtiUser, Membership

    read = 0
    for page in _pages():
        for member in page:
            person, _created = LtiUser.objects.update_or_create(
                platform_id=context.platform_id,
                lti_id=member["userId"],
                defaults={ours: member[theirs] for ours, theirs in PERSON.items()},
            )
            Membership.objects.update_or_create(
                context=context,
                lti_user=person,
                defaults={"roles": member["roles"], "is_learner": True, "status": member["status"]},
            )
        read += len(page)
        if read >= SAMPLE:
            break
    return {"read": read}


# --- the limit of writing: all rows, in raw SQL -----------------------------------------------------------------------

_PEOPLE = """INSERT INTO ltiaas_django_ltiuser (platform_id, lti_id, name, given_name, family_name, email, picture) {}
    ON CONFLICT (platform_id, lti_id) DO UPDATE SET name = excluded.name, given_name = excluded.given_name,
    family_name = excluded.family_name, email = excluded.email, picture = excluded.picture"""
_MEMBERSHIPS = """INSERT INTO ltiaas_django_membership
    (context_id, lti_user_id, roles, is_learner, is_instructor, status, fingerprint) {}
    ON CONFLICT (context_id, lti_user_id) DO UPDATE SET roles = excluded.roles, is_learner = excluded.is_learner,
    is_instructor = excluded.is_instructor, status = excluded.status, fingerprint = excluded.fingerprint"""


def _person(member: dict[str, Any]) -> list[Any]:
    return [member["userId"], *(member[name] for name in PERSON.values())]


def raw_sqlite(context: Any) -> dict[str, Any]:
    """executemany, page by page, in one transaction."""
    read, platform = 0, context.platform_id
    people = _PEOPLE.format("VALUES (%s, %s, %s, %s, %s, %s, %s)")
    memberships = _MEMBERSHIPS.format(
        "SELECT %s, id, %s, 1, 0, %s, '' FROM ltiaas_django_ltiuser WHERE platform_id = %s AND lti_id = %s"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        for page in _pages():
            cursor.executemany(people, [[platform, *_person(member)] for member in page])
            rows = [
                [context.pk, json.dumps(member["roles"]), member["status"], platform, member["userId"]]
                for member in page
            ]
            cursor.executemany(memberships, rows)
            read += len(page)
    return {"read": read}


def raw_postgresql(context: Any) -> dict[str, Any]:
    """COPY into a temporary table, then one statement for each table."""
    read = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE given (lti_id text, name text, given_name text, family_name text, email text,"
            " picture text, roles jsonb, status text) ON COMMIT DROP"
        )
        with cursor.copy("COPY given FROM STDIN") as copy:
            for page in _pages():
                for member in page:
                    copy.write_row([*_person(member), json.dumps(member["roles"]), member["status"]])
                read += len(page)
        cursor.execute(
            _PEOPLE.format("SELECT %s, lti_id, name, given_name, family_name, email, picture FROM given"),
            [context.platform_id],
        )
        cursor.execute(
            _MEMBERSHIPS.format(
                "SELECT %s, p.id, given.roles, true, false, given.status, '' FROM given"
                " JOIN ltiaas_django_ltiuser p ON p.platform_id = %s AND p.lti_id = given.lti_id"
            ),
            [context.pk, context.platform_id],
        )
    return {"read": read}


# --- the tables -------------------------------------------------------------------------------------------------------

NAMES = {
    "parse": "fetched and parsed only (limit)",
    "naive": f"two update_or_create a member ({SAMPLE:,} of them, extrapolated)",
    "raw": "all rows in raw SQL (limit)",
    "ours": "ltiaas_django",
}
GOALS = {("sqlite", 1): 10, ("sqlite", 2): 100, ("postgres", 1): 25, ("postgres", 2): 300}


def run(options: harness.Options) -> list[harness.Table]:
    """One table for each database."""
    size = 10_000 if options.quick else SIZE
    with tempfile.TemporaryDirectory(prefix="bench-rosters-") as folder, server.serve() as running:
        for night in (1, 2):
            pathlib.Path(folder, str(night)).mkdir()
            write_pages(pathlib.Path(folder, str(night)), size, night)
        return [_compare(options, running, database, size, folder) for database in options.databases]


def _compare(
    options: harness.Options, running: server.Running, database: Database, size: int, folder: str
) -> harness.Table:
    def configuration(way: str, night: int) -> Callable[[], Measured]:
        return partial(
            harness.measure,
            "benchmarks.rosters:measured",
            database=database,
            environment=running.environment,
            way=way,
            size=size,
            night=night,
            nights=folder,
        )

    chosen = [("parse", 1), *((way, night) for night in (1, 2) for way in ("naive", "raw", "ours"))]
    runs = harness.in_turn(
        {f"{database}, night {night}, {NAMES[way]}": configuration(way, night) for way, night in chosen}, options
    )
    by_way = {} if options.only else dict(zip(chosen, runs.values(), strict=True))
    if not by_way:  # some of them only: the bare figures
        rows = [
            [name, *(harness.number(harness.median(found, key)) for key in ("rate", "peak"))]
            for name, found in runs.items()
        ]
        return harness.Table(f"Roster of {size:,} members", ["", "members/s", "peak MB"], rows)
    return _table(by_way, database, size)


def _table(runs: dict[tuple[str, int], list[Measured]], database: Database, size: int) -> harness.Table:
    rows = []
    floor = runs["parse", 1]
    for (way, night), found in runs.items():
        rate = harness.median(found, "rate")
        cells = ["" if way == "parse" else str(night), f"{rate:,.0f}", harness.number(size / rate), "", "", "", ""]
        above = max(run["peak"] for run in found) - min(run["peak"] for run in floor)
        if way == "ours":
            ratio = harness.ratio(found, runs["naive", night], "rate")
            of_raw = harness.ratio(found, runs["raw", night], "rate")
            written = 100 * harness.median(found, "written") / size
            cells[3] = harness.reached(ratio, at_least=GOALS[database, night])
            cells[4] = harness.reached(of_raw, at_least=0.5) if night == 1 else harness.times(of_raw)
            cells[5] = (
                harness.reached(written, at_most=2.5, unit=" %") if night == 2 else harness.number(written) + " %"
            )
            cells[6] = harness.reached(above, at_most=40, unit=" MB")
        elif way != "parse":
            cells[6] = f"{above:.0f} MB"
        rows.append([NAMES[way], *cells])
    name = {"sqlite": "SQLite (a WAL file)", "postgres": "PostgreSQL"}[database]
    return harness.Table(
        f"Roster of {size:,} members, pages of {PAGE:,}, {name}",
        ["", "night", "members/s", "s", "x two update_or_create", "x raw SQL", "members written", "above parsing only"],
        rows,
        [
            "Night 2: 1 % have another name, 0.1 % are gone, 0.1 % are new; the database holds night 1.",
            "Every run fetches over HTTPS at no added latency and is a process of its own. Memory: the greatest size "
            "in all rounds above the least of fetching and parsing only.",
            "Raw SQL: executemany on SQLite, COPY and two merges on PostgreSQL; it writes every row in both nights.",
        ],
    )
