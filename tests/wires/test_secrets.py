"""No secret leaves a call: by no error's text, arguments or cause, no log line, no local variable of a frame."""

from __future__ import annotations

import io
import json
import logging
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from urllib.parse import quote

import pytest

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas.account import Account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth, Auth, LtikAuth, ServiceKeyAuth
from ltiaas_django.connections.ltiaas.connection import LtiaasLaunchConnection, LtiaasServiceConnection
from ltiaas_django.connections.ltiaas.http import Endpoint
from tests.wires.misbehaving import API_KEY, LTIK, SERVICE_KEY, Peer, Server, Talk, reply

SECRETS = (API_KEY, LTIK, SERVICE_KEY)
AUTHS = [ApiKeyAuth(API_KEY), LtikAuth(API_KEY, LTIK), ServiceKeyAuth(API_KEY, SERVICE_KEY)]
ECHO = f"You sent {API_KEY}:{LTIK} and {SERVICE_KEY}"


def everything_shown(error: BaseException) -> Iterator[str]:
    """Whatever an error reporter could send on: texts, arguments, causes, and each frame's local variables."""
    yield "".join(traceback.format_exception(error))
    chain: BaseException | None = error
    while chain is not None:
        yield repr(chain)
        yield repr(chain.args)
        yield repr(vars(chain))
        frame = chain.__traceback__
        while frame is not None:
            if "/tests/" not in frame.tb_frame.f_code.co_filename:
                yield from (repr(value) for value in frame.tb_frame.f_locals.values())
            frame = frame.tb_next
        chain = chain.__cause__ or chain.__context__


def assert_no_secret(error: BaseException, *secrets: str) -> None:
    for shown in everything_shown(error):
        for secret in secrets:
            assert secret not in shown


def cut(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + ECHO.encode())


def echo_in_header(peer: Peer) -> None:
    peer.send(f"HTTP/1.1 {ECHO} 200 OK\r\n\r\n".encode())


ANSWERS: list[bytes | Talk] = [
    reply(400, ECHO.encode()),
    reply(401, {"status": 401, "error": "Unauthorized", "details": {"message": ECHO, "description": quote(ECHO)}}),
    reply(422, {"status": 422, "error": "x", "details": {"bodyReceived": json.dumps({"message": ECHO})}}),
    reply(403, f"<html><body>{ECHO}</body></html>".encode()),
    reply(500, {"message": [ECHO]}),
    reply(302, ECHO.encode(), Location=f"https://elsewhere.example/{LTIK}"),
    reply(200, ECHO.encode()),
    reply(200, f"<html>{ECHO}".encode()),
    reply(200, {"user": ECHO, "members": ECHO, "platforms": ECHO}),
    reply(200, {"members": [{"userId": "7", "status": ECHO}], "platforms": [{"name": ECHO}], "user": {"id": [ECHO]}}),
    reply(429, ECHO.encode(), Retry_After=LTIK),
    cut,
    echo_in_header,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_error_shows_a_secret(
    server: Server, endpoint: Callable[..., Endpoint], answer: bytes | Talk, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer_with(answer)
    target = endpoint(read_attempts=1)
    calls: list[tuple[Callable[[], object], tuple[str, ...]]] = [
        (LtiaasLaunchConnection(target, LtikAuth(API_KEY, LTIK)).id_token, (API_KEY, LTIK)),
        (
            LtiaasServiceConnection(target, ServiceKeyAuth(API_KEY, SERVICE_KEY)).members().__next__,
            (API_KEY, SERVICE_KEY),
        ),
        (Account(target, ApiKeyAuth(API_KEY)).platforms, (API_KEY,)),
    ]
    with caplog.at_level(logging.DEBUG):
        for call, secrets in calls:
            with pytest.raises(exceptions.ApiError) as caught:
                call()
            assert_no_secret(caught.value, *secrets)
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None
    for secret in SECRETS:
        assert secret not in caplog.text


def test_an_error_of_somebody_else_s_shows_no_secret_either(server: Server, endpoint: Callable[..., Endpoint]) -> None:
    """Celery's time limit, a signal: what strikes in the middle of a call passes through with all frames on it."""

    class TimeLimit(Exception):
        pass

    def strike(number: int, frame: FrameType | None) -> None:
        raise TimeLimit

    server.answer_with(lambda peer: peer.wait())
    former = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TimeLimit) as caught:
            LtiaasLaunchConnection(endpoint(), LtikAuth(API_KEY, LTIK)).id_token()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    assert_no_secret(caught.value, API_KEY, LTIK)
    assert len(list(everything_shown(caught.value))) > 20  # the frames were there


def test_an_interrupted_connection_is_not_used_again(server: Server, endpoint: Callable[..., Endpoint]) -> None:
    def strike(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def stop_midway(peer: Peer) -> None:
        peer.send(reply(200, {})[:-1])
        peer.wait()

    server.answer_with(stop_midway, reply(200, {"sub": "7"}))
    connection = LtiaasLaunchConnection(endpoint(), LtikAuth(API_KEY, LTIK))
    former = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            connection.raw_id_token()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    time.sleep(0.05)
    assert connection.raw_id_token() == {"sub": "7"}
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("auth", AUTHS)
def test_a_credential_does_not_show_itself(auth: Auth) -> None:
    shown = io.StringIO()
    print(auth, repr(auth), [auth], {"auth": auth}, {"Authorization": auth.header}, file=shown)
    for secret in SECRETS:
        assert secret not in shown.getvalue()
    assert API_KEY in auth.header


@pytest.mark.parametrize("form", [str, quote, lambda text: quote(text, safe=""), json.dumps])
def test_a_credential_hides_itself_in_any_form(form: Callable[[str], str]) -> None:
    key, ltik = 'key/with+"odd"\\signs%', "ltik.with~dots/and=more"
    hidden = LtikAuth(key, ltik).hide(f"a {form(key)} b {form(ltik)} c")
    assert "odd" not in hidden
    assert "dots" not in hidden
    assert hidden.startswith("a ")
    assert hidden.endswith(" c")


UNUSABLE = ["", " ", "two words", "tab\t", "line\nbreak", "nul\x00", "ключ", "\x7f", "x" * 8193]


@pytest.mark.parametrize("secret", UNUSABLE)
def test_a_secret_that_no_header_can_carry_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(exceptions.ConfigurationError, match="API key") as caught:
        ApiKeyAuth(secret)
    texts = [str(caught.value)]
    for make in (LtikAuth, ServiceKeyAuth):
        with pytest.raises(exceptions.ConfigurationError):
            make(secret, LTIK)
        with pytest.raises(exceptions.Refused, match="Not sent") as refused:
            make(API_KEY, secret)
        texts.append(str(refused.value))
    assert not secret.strip() or all(secret not in text for text in texts)


def test_errors_survive_being_pickled_as_celery_does() -> None:
    error = exceptions.Throttled("GET roster", f"Bearer {API_KEY}", status_code=429, origin="lms", retry_after=7.0)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert (copy.asked, copy.status_code, copy.origin, copy.retry_after) == ("GET roster", 429, "lms", 7.0)
    assert str(copy) == str(error)
    assert API_KEY not in repr(copy)
