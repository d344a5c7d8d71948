"""Credentials are taken out of every text, in all the shapes in which they travel."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django.redaction import HIDDEN, install_log_redaction, redact

SECRET = "s3cr3t-Value_0123456789"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl-_"


@pytest.mark.parametrize(
    "text",
    [
        f"GET /lti/launch/?ltik={SECRET}&x=1 HTTP/1.1",
        f"GET /lti/launch/?x=1&ltik={SECRET}",
        f"GET /?next=%2Flti%2Flaunch%2F%3Fltik%3D{SECRET}%26x%3D1",
        f"Authorization: LTIK-AUTH-V2 key-{SECRET}:{SECRET}",
        f"Authorization: LTIK-AUTH-V1 Token={SECRET}, Additional=Bearer {SECRET}",
        f"Authorization: SERVICE-AUTH-V1 {SECRET}:{SECRET}",
        f"authorization: bearer {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f'{{"serviceKey": "{SECRET}", "legacyServiceKey":"{SECRET}"}}',
        f'"{{\\"serviceKey\\": \\"{SECRET}\\"}}"',
        f"{{'ltik': '{SECRET}'}}",
        f"service_key={SECRET}",
        f"LtikAuth(ltik='{SECRET}')",
        f"x%3D{JWT} and {JWT}",
        f"sent {JWT}, refused",
    ],
)
def test_credentials_are_hidden_wherever_they_stand(text: str) -> None:
    redacted = redact(text)
    assert SECRET not in redacted
    assert "eyJ" not in redacted
    assert HIDDEN in redacted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Invalid or expired ltik.",
        "The serviceKey was refused",
        "No healthy service key offers the roster",
        "GET /lti/continue/?lti=abc HTTP/1.1",
    ],
)
def test_texts_without_credentials_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", ["eyJ" * 300_000, "Bearer " * 100_000, "ltik " * 100_000, "ltik\\" + "\\" * 500_000])
def test_a_long_line_costs_little(text: str) -> None:
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 2  # some 0.1 s; the square of the length would be minutes


@given(
    before=st.text("äöüß \n\t\"'&=:{}[]<>?#", max_size=30),
    secret=st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~+/=:", min_size=12, max_size=80),
    shape=st.sampled_from(
        ["?ltik={}", '"serviceKey": "{}"', "Bearer {}", "LTIK-AUTH-V2 {}:{}", "SERVICE-AUTH-V1 k:{}"]
    ),
    after=st.sampled_from(["", " ", '"', "'", "&x=1", ", more", "}", "\n"]),
)
def test_no_secret_survives(before: str, secret: str, shape: str, after: str) -> None:
    text = before + " " + shape.format(secret, secret) + after
    assert secret not in redact(text)
    assert redact(redact(text)).count(secret) == 0


@pytest.fixture
def redacting() -> Iterator[None]:
    former = logging.getLogRecordFactory()
    install_log_redaction()
    yield
    logging.setLogRecordFactory(former)


@pytest.mark.usefixtures("redacting")
def test_log_records_are_redacted_whoever_logs(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("somebody.else")
    logger.warning(f"GET /lti/launch/?ltik={SECRET}")
    logger.warning('"%s" %s', f"GET /lti/launch/?ltik={SECRET} HTTP/1.1", 200)
    logger.warning("%(line)s", {"line": f"GET /lti/launch/?ltik={SECRET} HTTP/1.1"})
    logger.warning(ValueError(f"ltik={SECRET}"))
    logger.warning("%s", ValueError(f"ltik={SECRET}"))
    assert len(caplog.records) == 5
    assert SECRET not in caplog.text
    assert "200" in caplog.text


@pytest.mark.usefixtures("redacting")
def test_installing_twice_does_nothing_more() -> None:
    installed = logging.getLogRecordFactory()
    install_log_redaction()
    assert logging.getLogRecordFactory() is installed
