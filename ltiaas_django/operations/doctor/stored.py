"""What is in the database: whether it answers, its tables, the sealed keys, how deliveries stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db.migrations.executor import MigrationExecutor

from ltiaas_django import exceptions, sealing
from ltiaas_django.conf import settings
from ltiaas_django.findings import Finding, advice, ok, problem
from ltiaas_django.models import ServiceKey
from ltiaas_django.operations import status
from ltiaas_django.operations.doctor.visit import Visit

_NAMED = 5  # migrations


def database(visit: Visit) -> Iterator[Finding]:
    """Whether it can be asked, and is one that we are tested on."""
    if visit.database_trouble:
        yield problem(
            f"The database cannot be asked: {visit.database_trouble}.",
            "Start the database server, or mend DATABASES in the settings; manage.py dbshell shows what it says.",
        )
        return
    found = list(visit.checks("check_database"))
    yield from found or [ok(f"{visit.connection.display_name} answers.")]


def migrations(visit: Visit) -> Iterator[Finding]:
    """Whether the tables are as the code expects them."""
    executor = MigrationExecutor(visit.connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        yield ok("All migrations are applied.")
        return
    names = [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    text = f"Migrations are not applied: {', '.join(names[:_NAMED])}{more}."
    yield problem(text, "Type manage.py migrate.")


def keys(visit: Visit) -> Iterator[Finding]:
    """Whether every stored key can be read with the sealing keys of now."""
    newest, counts = sealing.newest_key(), Counter[str]()
    rows = ServiceKey.objects.healthy().values_list("sealed", "sealed_with")
    for sealed, sealed_with in rows.iterator(chunk_size=2000):
        counts["all"] += 1
        try:
            sealing.unseal(sealed)
        except exceptions.SealError:
            counts["unreadable"] += 1
        else:
            counts["older"] += sealed_with != newest
    yield from _say_keys(counts)


def _say_keys(counts: Counter[str]) -> Iterator[Finding]:
    own = bool(settings.SEALING_KEYS)
    setting = 'LTIAAS["SEALING_KEYS"]' if own else "SECRET_KEY_FALLBACKS"
    if counts["unreadable"]:
        yield problem(
            f"{counts['unreadable']} of {counts['all']} stored keys cannot be read with any of the sealing keys: "
            "their courses get no grades and no roster until somebody launches them again.",
            f"Add the former sealing key to {setting}. (Where there is none: was SECRET_KEY changed?)",
        )
    if counts["older"]:
        yield advice(
            f"{counts['older']} of {counts['all']} stored keys are sealed with an older sealing key; "
            "the next night's housekeeping seals them anew.",
            f"Keep the older key in {setting} until then, or type manage.py ltiaas_sync all.",
        )
    if not (counts["unreadable"] or counts["older"]):
        with_what = setting if own else "SECRET_KEY; when you change it, keep the former one in SECRET_KEY_FALLBACKS"
        yield ok(f"{counts['all']} stored keys, all readable, sealed with {with_what}.")


def deliveries(visit: Visit) -> Iterator[Finding]:
    """What ltiaas_status would say, in short."""
    standing = status.look()
    said = [
        f"{count} {what}"
        for count, what in (
            (standing.keys_refused, "keys refused"),
            (standing.platforms_paused, "LMSs paused"),
            (standing.platforms_stopped, "LMSs stopped"),
        )
        if count
    ]
    said += [word.replace("_", " ") for word in (*standing.failures, *standing.attention) if "paused" not in word]
    if standing.everything_is_stopped:
        yield advice('LTIAAS["STOPPED"] is on: nothing is sent or read.', 'Write LTIAAS = {"STOPPED": False, ...}.')
    if said:
        yield advice(f"Some deliveries need a look: {', '.join(said)}.", "Type manage.py ltiaas_status.")
    elif not standing.everything_is_stopped:
        yield ok("Grades and rosters are on their way, or have arrived.")
