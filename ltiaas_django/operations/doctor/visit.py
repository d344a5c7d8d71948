"""One visit of the doctor: what its examinations share, so that nothing is asked twice."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks.registry import registry
from django.db import Error, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from ltiaas_django import conf, findings
from ltiaas_django.connections.probing import Probe
from ltiaas_django.findings import Finding
from ltiaas_django.models import Heartbeat
from ltiaas_django.operations import connecting
from ltiaas_django.redaction import HIDDEN, redact

TAG = "ltiaas"

_SECRET_LENGTH = 6  # what is shorter is no secret, and would only garble the text

# Warnings of ours with which nothing works on a public server; in development they can wait.
_GRAVE = {"ltiaas.W001", "ltiaas.W005"}


class Visit:
    """What is looked at once. `offline`: nothing is asked over the network but the database."""

    def __init__(self, *, offline: bool = False) -> None:
        self.offline = offline

    @functools.cached_property
    def probe(self) -> Probe:
        """How LTIAAS answers. Raises ConfigurationError."""
        return connecting.probe()

    @functools.cached_property
    def connection(self) -> BaseDatabaseWrapper:
        """The database with our tables."""
        return connections[router.db_for_write(Heartbeat)]

    @functools.cached_property
    def database_trouble(self) -> str:
        """Why the database cannot be asked; blank if it can."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Exception as error:  # of the driver, or of a setting that is wrong
            return said(error)
        return ""

    @functools.cached_property
    def tables_are_there(self) -> bool:
        """Whether our tables can be asked."""
        try:
            Heartbeat.objects.exists()
        except Error:
            return False
        return True

    def hide(self, text: str) -> str:
        """Without the site's secrets, should the error of a library quote one."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    @functools.cached_property
    def _secrets(self) -> list[str]:
        """The longest first, for one may hold another."""
        found = {secret for secret in _secrets() if isinstance(secret, str) and len(secret) >= _SECRET_LENGTH}
        return sorted(found, key=len, reverse=True)

    def checks(self, *names: str) -> Iterator[Finding]:
        """What our system checks find: those with these names."""
        for name, check in _our_checks().items():
            if name in names:
                for message in check(app_configs=None, databases=None):
                    if not message.is_silenced():
                        yield _as_finding(message)


def _secrets() -> Iterator[object]:
    """What the settings hold of them, as far as they can be read."""
    given = getattr(django_settings, conf.DICT_NAME, {})
    given = given if isinstance(given, dict) else {}
    yield from (given.get("API_KEY"), given.get("HEALTH_TOKEN"))
    for keys in (given.get("SEALING_KEYS"), getattr(django_settings, "SECRET_KEY_FALLBACKS", ())):
        yield from keys if isinstance(keys, list | tuple) else ()
    with contextlib.suppress(Exception):
        yield django_settings.SECRET_KEY
    with contextlib.suppress(Exception):
        yield from _broker_passwords()
    with contextlib.suppress(Exception):
        yield from [database.get("PASSWORD") for database in connections.settings.values()]


def _broker_passwords() -> Iterator[str | None]:
    conf = current_app.conf
    for urls in (conf.broker_url, conf.broker_read_url, conf.broker_write_url, conf.result_backend):
        for url in [urls] if isinstance(urls, str) else urls or ():  # one, or several to fail over to
            yield from (urlsplit(part).password for part in url.split(";"))


def check_names() -> set[str]:
    """Of all system checks of ours."""
    return set(_our_checks())


def _our_checks() -> dict[str, Any]:
    registered: Iterable[Any] = registry.get_checks(include_deployment_checks=True)
    return {check.__name__: check for check in registered if TAG in getattr(check, "tags", ())}


def _as_finding(message: checks.CheckMessage) -> Finding:
    is_grave = message.level >= checks.ERROR or (message.id in _GRAVE and not django_settings.DEBUG)
    make = findings.problem if is_grave else findings.advice
    return make(str(message.msg), str(message.hint or ""), message.id or "")


def said(error: BaseException) -> str:
    """An error in one line: its kind, and the first line of its text, without secrets."""
    lines = redact(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}".rstrip(".") if lines else type(error).__name__
