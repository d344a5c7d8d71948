"""All examinations in their order, and how one that fails becomes a finding itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator

from django.core.exceptions import ImproperlyConfigured

from ltiaas_django.findings import Finding, problem, skipped
from ltiaas_django.operations.doctor import outside, site, stored, workers
from ltiaas_django.operations.doctor.visit import Visit, said


@dataclasses.dataclass(frozen=True, slots=True)
class Examination:
    """One thing to look at."""

    name: str
    about: str
    """What is looked at: a few words for the help and while it goes on."""
    look: Callable[[Visit], Iterable[Finding]]
    asks_network: bool = False
    asks_tables: bool = False


EXAMINATIONS = (
    Examination("settings", "the LTIAAS settings, and what they need of Django", site.settings),
    Examination("middleware", "the order of MIDDLEWARE", site.middleware),
    Examination("cookies", "whether cookies come back in a frame", site.cookies),
    Examination("https", "DEBUG, https, hosts and SECRET_KEY", site.https),
    Examination("database", "whether it answers", stored.database),
    Examination("migrations", "whether all are applied", stored.migrations),
    Examination("launch", "whether the launch URL answers, and what to enter in LTIAAS", site.launch),
    Examination("frames", "X-Frame-Options and Content-Security-Policy", site.frames),
    Examination("keys", "whether every stored key can be read", stored.keys, asks_tables=True),
    Examination("ltiaas", "LTIAAS's address, TLS and the API key", outside.ltiaas, asks_network=True),
    Examination("clock", "this machine's clock against LTIAAS's", outside.clock, asks_network=True),
    Examination("schedule", "Celery's schedule", workers.schedule),
    Examination("worker", "the broker, and a worker that answers", workers.worker, asks_network=True),
    Examination("beat", "whether the tick runs", workers.beat, asks_tables=True),
    Examination("deliveries", "what ltiaas_status says, in short", stored.deliveries, asks_tables=True),
)
NAMES = tuple(examination.name for examination in EXAMINATIONS)


def examine(
    names: Collection[str] = NAMES, *, offline: bool = False, announce: Callable[[Examination], None] | None = None
) -> Iterator[Finding]:
    """Look at these things, one after the other; `announce` is told of each before. Raises nothing."""
    visit = Visit(offline=offline)
    for examination in EXAMINATIONS:
        if examination.name in names:
            if announce is not None:
                announce(examination)
            for finding in _look(examination, visit):
                text, hint = visit.hide(finding.text), visit.hide(finding.hint)
                yield dataclasses.replace(finding, name=examination.name, text=text, hint=hint)


def _look(examination: Examination, visit: Visit) -> list[Finding]:
    if examination.asks_network and visit.offline:
        return [skipped("Not looked at: --offline.")]
    needs_database = examination.asks_tables or examination.name == "migrations"
    if needs_database and visit.database_trouble:
        return [skipped("Not looked at: the database cannot be asked.")]
    if examination.asks_tables and not visit.tables_are_there:
        return [skipped("Not looked at: there are no tables yet (manage.py migrate).")]
    try:
        return list(examination.look(visit))
    except ImproperlyConfigured as error:  # ours too: ConfigurationError says what to write
        return [problem(f"A setting is wrong: {said(error)}.", "Type manage.py check.")]
    except Exception as error:  # settings may be anything, and so may what they name
        return [problem(f"This could not be looked at: {said(error)}.", "Type manage.py check --deploy.")]
