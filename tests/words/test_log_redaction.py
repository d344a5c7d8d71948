"""No log line holds an ltik or a key: not in its text, its arguments, nor the traceback beneath it."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import QueryDict

from ltiaas_django import exceptions
from ltiaas_django.redaction import HIDDEN, install_log_redaction

SECRET = "s3cr3t-Value_0123456789"
LINE = f"GET /lti/launch/?ltik={SECRET} HTTP/1.1"


class Log:
    """A logger of its own, and what its handler has written."""

    def __init__(self) -> None:
        self.logger = logging.Logger("somebody.else")
        self._stream = io.StringIO()
        self.logger.addHandler(logging.StreamHandler(self._stream))

    @property
    def text(self) -> str:
        return self._stream.getvalue()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    former = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    install_log_redaction()
    yield Log()
    logging.setLogRecordFactory(former)


@pytest.mark.parametrize(
    ("message", "args"),
    [
        (LINE, ()),
        ("%s", (LINE,)),
        ('"%s" %d %s', (LINE, 200, "-")),
        ("%(r)s", ({"r": LINE},)),
        ("%s", (ValueError(LINE),)),
        (ValueError(LINE), ()),
        ("%(ltik)s", ({"ltik": SECRET},)),
        ("%s", ({"serviceKey": SECRET},)),
        ("%s", (QueryDict(f"ltik={SECRET}&x=1"),)),
        ("%s", (dict(QueryDict(f"ltik={SECRET}&x=1")),)),
        (repr(QueryDict(f"ltik={SECRET}&x=1")), ()),
        (f"next=/login/?next=%2Flti%2F%253Fltik%253D{SECRET}", ()),
        ("%s", (f"Authorization: SERVICE-AUTH-V1 key:{SECRET}",)),
    ],
)
def test_texts_and_arguments(log: Log, message: Any, args: tuple[Any, ...]) -> None:
    log.logger.warning(message, *args)
    assert HIDDEN in log.text
    assert SECRET not in log.text


def test_what_is_no_credential_stays(log: Log) -> None:
    log.logger.warning('"%s" %d %s', "GET /lti/continue/?lti=abc HTTP/1.1", 200, {"x": [1]})
    log.logger.warning("%(x)s and %(n)05d", {"x": "y", "n": 7})
    assert log.text == "\"GET /lti/continue/?lti=abc HTTP/1.1\" 200 {'x': [1]}\ny and 00007\n"


def test_the_callers_own_arguments_are_not_changed(log: Log) -> None:
    args = {"r": LINE}
    log.logger.warning("%(r)s", args)
    assert args == {"r": LINE}


class Atoms(dict[str, str]):
    """As gunicorn's access log has them: a header that the request lacks is a dash."""

    def __init__(self, atoms: dict[str, str]) -> None:
        dict.__init__(self, atoms)

    def __missing__(self, name: str) -> str:
        return "-"


class Frozen(dict[str, str]):
    """Lets nobody change it."""

    def __setitem__(self, name: str, value: str) -> None:
        raise TypeError("frozen")


def test_a_web_servers_own_kind_of_mapping_keeps_its_ways(log: Log) -> None:
    log.logger.warning("%(r)s %({x-forwarded-for}i)s", Atoms({"r": LINE}))
    log.logger.warning("%(r)s", Frozen({"r": LINE}))
    assert log.text == f"GET /lti/launch/?ltik={HIDDEN} HTTP/1.1 -\nGET /lti/launch/?ltik={HIDDEN} HTTP/1.1\n"


def test_a_traceback_is_redacted_with_its_causes(log: Log) -> None:
    try:
        try:
            raise ConnectionError(f"could not open https://tool.example/lti/launch/?ltik={SECRET}")
        except ConnectionError as error:
            raise RuntimeError("gave up") from error
    except RuntimeError:
        log.logger.exception("A launch failed.")
    assert SECRET not in log.text
    assert f"ConnectionError: could not open https://tool.example/lti/launch/?ltik={HIDDEN}" in log.text
    assert "RuntimeError: gave up" in log.text
    assert "test_a_traceback_is_redacted_with_its_causes" in log.text


class OwnFormatter(logging.Formatter):
    """Makes a text of its own of an error, as JSON formatters and error trackers do."""

    def format(self, record: logging.LogRecord) -> str:
        return f"own: {record.exc_info[1]}" if record.exc_info else f"text: {record.exc_text}"


def test_a_formatter_of_ones_own_gets_no_secret_either(log: Log) -> None:
    log.logger.handlers[0].setFormatter(OwnFormatter())
    for text in (f"ltik={SECRET}", "harmless"):
        try:
            raise ValueError(text)
        except ValueError:
            log.logger.exception("failed")
    assert SECRET not in log.text
    assert "own: harmless" in log.text


@pytest.mark.parametrize("exc_info", [None, False, True, (None, None, None), ValueError("plain")])
def test_any_exc_info_is_taken(log: Log, exc_info: Any) -> None:
    log.logger.error("failed", exc_info=exc_info)
    assert log.text.startswith("failed\n")


def test_an_api_error_holds_no_secret_to_begin_with(log: Log) -> None:
    error = exceptions.ServerError("GET idtoken", f'{{"serviceKey": "{SECRET}", "ltik": "{SECRET}"}}', status_code=500)
    assert SECRET not in f"{error} {error!r} {error.args} {error.__dict__}"


def test_a_factory_of_the_sites_own_goes_on_working(log: Log) -> None:
    def number(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.number = 7
        return record

    logging.setLogRecordFactory(number)
    install_log_redaction()
    log.logger.handlers[0].setFormatter(logging.Formatter("%(number)d %(message)s"))
    log.logger.warning(LINE)
    assert log.text == f"7 GET /lti/launch/?ltik={HIDDEN} HTTP/1.1\n"


def test_django_setup_installs_it() -> None:
    """A launch's first log line comes from the web server, before any of our code has run for it."""
    code = (
        "import django, logging; django.setup(); logging.basicConfig(format='%(message)s');"
        f"logging.getLogger('some.server').warning('GET /?ltik={SECRET}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == f"GET /?ltik={HIDDEN}"
