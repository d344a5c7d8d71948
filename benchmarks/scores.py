"""A night's scores: how fast they leave, how much of the machine that takes, beside others and beside the limit."""

from __future__ import annotations

import functools
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from kombu import Connection

from benchmarks import harness, peers, profiling, server
from benchmarks.harness import Measured, Options, Table, median, number, ratio, reached, times
from ltiaas_django import grades, models
from ltiaas_django.models import OutgoingScore
from ltiaas_django.operations import passes, waking

LATENCY = 0.05
CALLS = 4  # in flight to one platform, the default of PARALLEL_CALLS
SCORES = 2000
SERIAL = 80  # scores of the ways that send one at a time: their rate hangs on the number only by the first connection
ALONE = 400  # scores of one platform alone
LINE_ITEMS = 48  # over all platforms

GUIDE, CLIENT, PYLTI = "LTIAAS's async guide", "official client ltiaas 0.0.4", "pylti1p3next put_grade"


def redis_url() -> str:
    """Redis for Celery, where one answers; else blank."""
    url = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        with Connection(url, connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
    except Exception:
        return ""
    return url


# --- what is measured, in a process of its own ------------------------------------------------------------------------


def ours(platforms: int, scores: int, profile: bool = False) -> Measured:
    """Work the platforms off in this process, as `ltiaas_sync` does."""

    def work(platform_id: int, stop: threading.Event) -> bool:
        return bool(passes.work(platform_id, ["grades"], "command", stop=stop))

    _record(platforms, scores)
    passes.release_night("grades")
    with profiling.threads(profile), harness.timed() as took:
        passes.work_all(["grades"], work, parallel=16)
    return took | _outcome()


def ours_through_celery(platforms: int, scores: int) -> Measured:
    """A hint for each platform, and a worker that was started before; until the last outcome is recorded."""
    _record(platforms, scores)
    passes.release_night("grades")
    left = OutgoingScore.objects.open()
    with _worker() as worker, harness.timed() as took:
        cpu = _cpu_of(worker)
        until = time.monotonic() + 120
        for platform_id in passes.due_platforms(["grades"]):
            waking.wake(platform_id, ["grades"], "nightly")
        while left.exists() and time.monotonic() < until:
            time.sleep(0.02)
        cpu = _cpu_of(worker) - cpu
    return took | {"cpu": cpu} | _outcome()


@contextmanager
def _worker() -> Iterator[int]:
    """The process id of a Celery worker that is ready."""
    command = [sys.executable, "-m", "celery", "--app", "example_project", "worker", "--pool", "threads"]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([*command, "--concurrency", "16", "--loglevel", "INFO"], stdout=log, stderr=log)
        try:
            for _ in range(600):
                log.seek(0)
                if " ready." in log.read():
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError("The Celery worker does not get ready.")
            yield process.pid
        finally:
            process.terminate()
            process.wait()
            _remove_queue(os.environ["CELERY_BROKER_URL"], os.environ["CELERY_QUEUE"])


def _remove_queue(url: str, name: str) -> None:
    """Leave nothing of ours in Redis."""
    with Connection(url) as broker:
        channel: Any = broker.channel()  # typed without what Redis adds
        channel.queue_delete(name)
        channel.client.delete(f"_kombu.binding.{name}", f"_kombu.binding_permanent.{name}")


def _cpu_of(process_id: int) -> float:
    """CPU seconds of another process, all its threads."""
    fields = pathlib.Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _record(platforms: int, scores: int) -> None:
    """A night's scores in the outbox, spread evenly; the columns are known, as on every night but the first."""
    now = timezone.now()
    joined = max(1, LINE_ITEMS // 16 if platforms == 1 else LINE_ITEMS // platforms)
    places = [
        models.Platform.objects.create(ltiaas_id=f"platform-{n}", name=f"LMS {n}", product_family="canvas")
        for n in range(platforms)
    ]
    records: list[grades.ScoreRecord] = []
    for place_number, platform in enumerate(places):
        mine = len(range(place_number, scores, platforms))
        people = models.LtiUser.objects.bulk_create(
            models.LtiUser(platform=platform, lti_id=f"person-{n}") for n in range(-(-mine // joined))
        )
        for n in range(joined):
            course = models.Context.objects.create(platform=platform, lti_id=f"course-{n}", launched_at=now)
            link = models.ResourceLink.objects.create(context=course, lti_id=f"link-{place_number}-{n}")
            key = models.ServiceKey(context=course, resource_link=link, offers_grades=True, refreshed_at=now)
            key.put(peers.service_key(place_number * 1000 + n))
            key.save()
            lti_id = server.line_item_id(link.lti_id)
            models.LineItem.objects.create(context=course, resource_link=link, lti_id=lti_id, score_maximum=10)
            records += [
                grades.ScoreRecord(resource_link=link, user=person, given=8, maximum=10)
                for person in people[: len(range(n, mine, joined))]
            ]
    assert grades.record_scores(records) == scores


def _outcome() -> Measured:
    """How many are recorded as sent; all of them, or the run counts for nothing."""
    states = list(OutgoingScore.objects.values_list("state", flat=True))
    assert set(states) == {OutgoingScore.State.SENT}, {state: states.count(state) for state in set(states)}
    return {"posts": len(states)}


# --- the comparison ---------------------------------------------------------------------------------------------------


def run(options: Options) -> list[Table]:
    """Measure in turn, and show rates and goals."""
    scale = 10 if options.quick else 1
    with server.serve(LATENCY) as running:
        runs = harness.in_turn(_configurations(options, running, scale), options)
    return [_rates(runs, [])] if options.only else [_rates(runs, _notes(runs)), _goals(runs)]


def _configurations(options: Options, running: server.Running, scale: int) -> dict[str, Callable[[], Measured]]:
    measured = functools.partial(_measured, running)
    serial, many, alone = SERIAL // scale * (2 if scale > 1 else 1), SCORES // scale, ALONE // scale
    configurations: dict[str, Callable[[], Measured]] = {
        GUIDE: lambda: measured("peers:guide_loop", 1, scores=serial),
        CLIENT: lambda: measured("peers:official_client", 1, scores=serial),
        PYLTI: lambda: measured("peers:pylti1p3next", 1, scores=serial),
    }
    for in_flight in (64, 32):
        configurations[f"bare sockets, {in_flight}"] = functools.partial(
            measured, "peers:bare_sockets", in_flight, scores=many, in_flight=in_flight
        )
    for database in options.databases:
        for in_flight in (64, 32):
            configurations[f"ours, {database}, {in_flight}"] = functools.partial(
                measured,
                "scores:ours",
                in_flight,
                database=database,
                platforms=in_flight // CALLS,
                scores=many,
                profile=options.profile,
            )
    best = options.databases[-1]
    configurations[f"ours, {best}, one platform"] = lambda: measured(
        "scores:ours", CALLS, database=best, platforms=1, scores=alone, profile=options.profile
    )
    if redis := redis_url():
        configurations[f"ours, {best}, Celery on Redis, 64"] = lambda: measured(
            "scores:ours_through_celery",
            64,
            database=best,
            environment={"CELERY_BROKER_URL": redis, "CELERY_QUEUE": f"benchmarks-{uuid.uuid4().hex}"},
            platforms=16,
            scores=many,
        )
    return configurations


def _measured(
    running: server.Running,
    function: str,
    calls: int,
    *,
    environment: dict[str, str] | None = None,
    **arguments: Any,
) -> Measured:
    """One run with `calls` in flight, whose posts the server must have seen; with its rate and share of the limit."""
    running.reset()
    own = running.environment | (environment or {})
    run = harness.measure(f"benchmarks.{function}", environment=own, **arguments)
    seen = running.counts()
    assert seen["posts"] == run["posts"], f"{run['posts']} posts were claimed, the server saw {seen['posts']}."
    rate = run["posts"] / run["seconds"]
    return run | {
        "in_flight": calls,
        "rate": rate,
        "of_limit": rate * LATENCY / calls,
        "cpu_per_1000": run["cpu"] / run["posts"] * 1000,
        "misencoded": seen["misencoded"],
        "connections": seen["connections"],
        "server_cpu": seen["cpu"] / seen["requests"],
        "held": seen["held"],
    }


def _rates(runs: dict[str, list[Measured]], notes: list[str]) -> Table:
    columns = ["", "in flight", "scores/s", "to the guide", "to the client", "of calls/latency"]
    columns += ["of bare sockets", "CPU s per 1,000", "of the guide's"]
    rows = []
    for name, own in runs.items():
        row = [name.rpartition(", ")[0] if name.endswith(("64", "32")) else name, str(own[0]["in_flight"])]
        row.append(number(median(own, "rate")))
        row += [times(ratio(own, runs[peer], "rate")) if peer in runs else "" for peer in (GUIDE, CLIENT)]
        row.append(number(median(own, "of_limit")))
        bare = runs.get(f"bare sockets, {own[0]['in_flight']}")
        row.append(number(ratio(own, bare, "rate")) if bare else "")
        row.append(number(median(own, "cpu_per_1000")))
        row.append(number(ratio(own, runs[GUIDE], "cpu_per_1000")) if GUIDE in runs else "")
        rows.append(row)
    return Table(f"Sending scores over HTTPS at {LATENCY * 1000:.0f} ms", columns, rows, notes)


def _notes(runs: dict[str, list[Measured]]) -> list[str]:
    every = [run for own in runs.values() for run in own]
    notes = [
        f"Ours: {SCORES:,} scores over 16 platforms, or 8, with {CALLS} calls to each; {LINE_ITEMS} line items. "
        "From the first lease taken to the last outcome in the database. "
        "A run counts only if all rows end as sent and the server saw as many posts as were claimed.",
        f"One call at a time (the guide, both clients): {SERIAL} scores over {SERIAL // 40} line items. "
        "That gives a rate, and is no extrapolation.",
        "The guide is its own code in Python: `requests.get` and `requests.post`, "
        "a new connection and the CA bundle read anew for each.",
        "The official client needed no patch here, since it may be given any domain that speaks HTTPS. "
        f"{_misencoded(runs)} of its posts arrived mis-encoded: `quote()` leaves the slashes of a line item's id. "
        "This server takes them all the same.",
        "pylti1p3next: `put_grade` straight to the LMS's own service, one connector which keeps its token.",
        "CPU is that of the process that sends; PostgreSQL's is not in it.",
        f"The server takes {median(every, 'server_cpu') * 1e6:.0f} us of CPU for a request at these rates, "
        f"and answers {median(every, 'held') * 1000:.1f} ms after it. Bare sockets show what it allows.",
    ]
    if not any("Celery" in name for name in runs):
        notes.append("Celery was left out: no Redis answers (BENCH_REDIS_URL).")
    return notes


def _misencoded(runs: dict[str, list[Measured]]) -> str:
    return f"{sum(run['misencoded'] for run in runs[CLIENT])} of {sum(run['posts'] for run in runs[CLIENT])}"


def _goals(runs: dict[str, list[Measured]]) -> Table:
    best = "postgres" if any("postgres" in name for name in runs) else "sqlite"
    at_64, at_32 = runs[f"ours, {best}, 64"], runs[f"ours, {best}, 32"]
    alone = runs[f"ours, {best}, one platform"]
    rows = [
        ["rate, 64 in flight, to the guide's", reached(ratio(at_64, runs[GUIDE], "rate"), at_least=70)],
        ["rate, 64 in flight, to the official client's", reached(ratio(at_64, runs[CLIENT], "rate"), at_least=50)],
        ["rate, 64 in flight, of calls/latency", reached(median(at_64, "of_limit"), at_least=0.8, unit="")],
        ["rate, 32 in flight, of calls/latency", reached(median(at_32, "of_limit"), at_least=0.9, unit="")],
        ["rate, one platform, of calls/latency", reached(median(alone, "of_limit"), at_least=0.95, unit="")],
        ["CPU per score, of the guide's", reached(ratio(at_64, runs[GUIDE], "cpu_per_1000"), at_most=0.05, unit="")],
    ]
    celery = runs.get(f"ours, {best}, Celery on Redis, 64")
    if celery:
        rows.append(
            ["rate through Celery, of the one in process", reached(ratio(celery, at_64, "rate"), at_least=0.8, unit="")]
        )
    return Table(f"Sending scores: goals, {best}", ["", "figure"], rows)
