"""The launch of a known person: its key is new, its Launch row is written, a session begins.

The exchange of the ltik over HTTP is left out, and so is the view's answer: what is timed begins with the look-up of
the ltik's digest and ends with the commit. The variants run in turn, launch by launch, on one database:

- the floor: Django's own log-in of a known user, its session saved, in one transaction;
- six `update_or_create`, each committed by itself, then the same Launch row and log-in, as many tools write it;
- ours.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import auth
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import harness
from ltiaas_django import data, sealing, vocabulary
from ltiaas_django.models import Context, Launch, LtiUser, Membership, Platform, ResourceLink, ServiceKey
from ltiaas_django.operations import launching, sso

FLOOR, NAIVE, OURS = "Django's log-in alone", "six update_or_create", "ours"
OF_NAIVE: dict[harness.Database, float] = {"sqlite": 0.75, "postgres": 0.6}
OF_FLOOR: dict[harness.Database, float] = {"sqlite": 3.5, "postgres": 2.6}
_LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
_BACKEND = "django.contrib.auth.backends.ModelBackend"

Step = Callable[[data.IdToken, str], Any]


def run(options: harness.Options) -> list[harness.Table]:
    """One table for each database."""
    launches = 30 if options.quick else 300

    def measured(database: harness.Database) -> Callable[[], harness.Measured]:
        return lambda: harness.measure("benchmarks.launches:compare", database=database, launches=launches)

    runs = harness.in_turn({database: measured(database) for database in options.databases}, options)
    return [_table(database, runs[database], launches) for database in options.databases if database in runs]


def _table(database: harness.Database, runs: list[harness.Measured], launches: int) -> harness.Table:
    rows = [
        [
            name,
            " / ".join(str(runs[0][f"{name} {kind}"]) for kind in ("SELECTs", "writes", "commits")),
            harness.number(harness.median(runs, f"{name} ms")),
            harness.number(harness.median(runs, f"{name} CPU ms")),
            harness.times(harness.median(runs, f"{name} of naive")),
            harness.times(harness.median(runs, f"{name} of floor")),
        ]
        for name in (FLOOR, NAIVE, OURS)
    ]
    of_naive, of_floor = harness.median(runs, f"{OURS} of naive"), harness.median(runs, f"{OURS} of floor")
    notes = [
        f"Medians of {launches} launches of each kind a round; a known person, course and activity, a new browser.",
        "CPU is that of our process; a machine that is busy otherwise stretches the ms, and long ones more than short.",
        f"Of six update_or_create: {harness.reached(of_naive, at_most=OF_NAIVE[database])}.",
        f"Of Django's log-in alone: {harness.reached(of_floor, at_most=OF_FLOOR[database])}.",
        f"SELECTs: {harness.reached(runs[0][f'{OURS} SELECTs'], at_most=3, unit='')}; "
        f"commits: {harness.reached(runs[0][f'{OURS} commits'], at_most=1, unit='')}.",
    ]
    title = f"Launch of a known person, {'SQLite (WAL)' if database == 'sqlite' else 'PostgreSQL'}"
    return harness.Table(
        title, ["", "SELECTs / writes / commits", "ms", "CPU ms", "of naive", "of log-in"], rows, notes
    )


# --- in the measured process ------------------------------------------------------------------------------------------


def compare(launches: int) -> harness.Measured:
    """Launch in each way in turn; milliseconds and statements of each."""
    for school in ("naive", "ours"):
        _ours(*next(_launches(school)))
    user = LtiUser.objects.select_related("user").get(platform__ltiaas_id="ours").user
    ways: dict[str, tuple[Iterator[tuple[data.IdToken, str]], Step]] = {
        FLOOR: (_launches("ours"), lambda _token, _ltik: _log_in(user)),
        NAIVE: (_launches("naive"), _naive),
        OURS: (_launches("ours"), _ours),
    }
    measured: harness.Measured = {}
    for name, (arriving, step) in ways.items():
        with CaptureQueriesContext(connection) as asked:
            step(*next(arriving))
        measured |= {f"{name} {kind}": count for kind, count in _count([query["sql"] for query in asked]).items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(launches):
        for name, (arriving, step) in ways.items():
            token, ltik = next(arriving)
            began, used = time.perf_counter(), time.thread_time()
            step(token, ltik)
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(time.thread_time() - used)
    medians = {name: statistics.median(one) for name, one in seconds.items()}
    for name, median in medians.items():
        measured[f"{name} ms"], measured[f"{name} CPU ms"] = median * 1000, statistics.median(cpu[name]) * 1000
        measured[f"{name} of naive"], measured[f"{name} of floor"] = median / medians[NAIVE], median / medians[FLOOR]
    return measured


def _count(statements: list[str]) -> dict[str, int]:
    """SELECTs, writes, and commits: a write outside a transaction is one of its own."""
    counts = {"SELECTs": 0, "writes": 0, "commits": 0}
    is_open = False
    for statement in statements:
        word = statement.split(None, 1)[0].upper()
        if word in {"BEGIN", "COMMIT"}:
            is_open = word == "BEGIN"
            counts["commits"] += not is_open
        elif word == "SELECT":
            counts["SELECTs"] += 1
        elif word in {"INSERT", "UPDATE", "DELETE"}:
            counts["writes"] += 1
            counts["commits"] += not is_open
    return counts


def _launches(school: str) -> Iterator[tuple[data.IdToken, str]]:
    """What the same person's launches bring, one after the other: always a new ltik and a new key."""
    while True:
        token = data.IdToken(
            user=data.User(
                lti_id="2001",
                roles=(_LEARNER,),
                name="Kim Example",
                given_name="Kim",
                family_name="Example",
                email="kim@school.example",
            ),
            platform=data.Platform(
                ltiaas_id=school,
                issuer=f"https://{school}.example",
                client_id="client",
                deployment_id="1",
                name="School",
                product_family="moodle",
                version="5",
            ),
            launch=data.Launch(
                type=vocabulary.LaunchType.RESOURCE_LINK,
                context=data.Context(lti_id="course-101", label="C101", title="Course", types=("CourseSection",)),
                resource_link=data.ResourceLink(lti_id="quiz-1", title="Quiz 1"),
                locale="en-GB",
                return_url=f"https://{school}.example/courses/101/",
            ),
            services=data.Services(
                offers_roster=True,
                offers_grades=True,
                line_item_id=f"https://{school}.example/line-items/1",
                service_key=f"eyJ{secrets.token_urlsafe(430)}",
            ),
        )
        yield token, f"eyJ{secrets.token_urlsafe(296)}"


def _new_browser() -> HttpRequest:
    request = HttpRequest()
    request.session, request.user = SessionStore(), AnonymousUser()
    return request


def _log_in(user: Any) -> HttpRequest:
    request = _new_browser()
    with transaction.atomic():
        auth.login(request, user, backend=_BACKEND)
        request.session.save()
    return request


def _ours(token: data.IdToken, ltik: str) -> None:
    request = _new_browser()
    if launching.get_started(ltik) is not None:
        raise RuntimeError("The ltik is not new.")
    with transaction.atomic():
        launch, _created = launching.record_launch(token, ltik, framed=True)
        if sso.would_replace_foreign_session(request, launch.user):
            raise RuntimeError("The browser is not new.")
        sso.sign_in(request, launch)


def _naive(token: data.IdToken, ltik: str) -> None:
    said, place, activity = token.platform, token.launch.context, token.launch.resource_link
    if place is None or activity is None:
        raise RuntimeError("The launch names a course and an activity.")
    platform, _ = Platform.objects.update_or_create(
        ltiaas_id=said.ltiaas_id,
        defaults={
            "issuer": said.issuer,
            "client_id": said.client_id,
            "name": said.name,
            "product_family": said.product_family,
            "version": said.version,
        },
    )
    context, _ = Context.objects.update_or_create(
        platform=platform,
        deployment_id=said.deployment_id,
        lti_id=place.lti_id,
        defaults={"label": place.label, "title": place.title, "launched_at": timezone.now()},
    )
    link, _ = ResourceLink.objects.update_or_create(
        context=context, lti_id=activity.lti_id, defaults={"title": activity.title}
    )
    person, _ = LtiUser.objects.update_or_create(
        platform=platform,
        lti_id=token.user.lti_id,
        defaults={
            "name": token.user.name,
            "given_name": token.user.given_name,
            "family_name": token.user.family_name,
            "email": token.user.email,
        },
    )
    Membership.objects.update_or_create(
        context=context,
        lti_user=person,
        defaults={"roles": list(token.user.roles), "is_learner": True, "status": Membership.Status.ACTIVE},
    )
    secret = token.services.service_key
    ServiceKey.objects.update_or_create(
        context=context,
        resource_link=link,
        defaults={
            "sealed": sealing.seal(secret),
            "sealed_with": sealing.newest_key(),
            "fingerprint": sealing.fingerprint(secret),
            "offers_roster": True,
            "offers_grades": True,
            "refreshed_at": timezone.now(),
        },
    )
    user: Any = person.user
    Launch.objects.create(
        lti_user=person,
        user=user,
        context=context,
        resource_link=link,
        type=token.launch.type.value,
        roles=list(token.user.roles),
        locale=token.launch.locale,
        return_url=token.launch.return_url,
        ltik_digest=sealing.digest(ltik),
        expires_at=timezone.now(),
    )
    request = _new_browser()
    auth.login(request, user, backend=_BACKEND)
    request.session.save()
