"""`http.send` against a real server that answers as told: what is sent, what is retried, what becomes of failures."""

from __future__ import annotations

import gzip
import logging
import socket
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import http
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth
from tests.wires.misbehaving import API_KEY, Peer, Server, Talk, reply

AUTH = ApiKeyAuth(API_KEY)
MakeEndpoint = Callable[..., http.Endpoint]


def get(endpoint: http.Endpoint, path: str = "/api/platforms", **options: object) -> object:
    return http.send(endpoint, AUTH, "GET", path, asked="GET thing", **options)  # type: ignore[arg-type]


def post(endpoint: http.Endpoint, **options: object) -> object:
    options = {"body": {"a": 1}, "expects_json": False, **options}
    return http.send(endpoint, AUTH, "POST", "/api/things", asked="POST thing", **options)  # type: ignore[arg-type]


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_read_asks_for_json_with_the_credential(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, {"answer": 42}))
    assert get(endpoint()) == {"answer": 42}
    (request,) = server.requests
    assert request.method == "GET"
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("ltiaas-django")
    assert "cookie" not in request.headers
    assert "content-type" not in request.headers


def test_a_write_sends_utf8_json(server: Server, endpoint: MakeEndpoint) -> None:
    post(endpoint(), body={"comment": "Gut gemacht, Zoë", "points": Decimal("0.1")})
    (request,) = server.requests
    assert request.body == '{"comment":"Gut gemacht, Zoë","points":0.1}'.encode()
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("line_item_id", "target"),
    [
        ("https://lms.org/li/1?type_id=1&x=2", "https%3A%2F%2Flms.org%2Fli%2F1%3Ftype_id%3D1%26x%3D2"),
        ("https://lms.org/a%2Fb%3Fc", "https%3A%2F%2Flms.org%2Fa%252Fb%253Fc"),
        ("https://lms.org/~user", "https%3A%2F%2Flms.org%2F~user"),
        ("https://lms.org/ü/日", "https%3A%2F%2Flms.org%2F%C3%BC%2F%E6%97%A5"),
        ("a b+c;d#e", "a%20b%2Bc%3Bd%23e"),
        ("100%", "100%25"),
        ("%7e%41", "%257e%2541"),
        ("a/../b/./c", "a%2F..%2Fb%2F.%2Fc"),
        ("//x", "%2F%2Fx"),
    ],
)
def test_an_id_is_one_path_segment_encoded_once(
    server: Server, endpoint: MakeEndpoint, line_item_id: str, target: str
) -> None:
    post(endpoint(), expects_json=False)
    http.send(
        endpoint(), AUTH, "DELETE", f"/api/lineitems/{http.segment(line_item_id, 'x')}", asked="x", expects_json=False
    )
    assert server.requests[-1].target == f"/api/lineitems/{target}"


@pytest.mark.parametrize("line_item_id", ["", ".", "..", "\ud800"])
def test_an_id_that_no_path_can_carry_is_not_sent(line_item_id: str) -> None:
    with pytest.raises(exceptions.InvalidRequest, match="Not sent"):
        http.segment(line_item_id, "GET line item")


def test_a_query_is_encoded_once_and_spaces_are_no_plus(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, {}))
    page = "https://lms.org/members?from=2&role=a%20b+c#x"
    get(endpoint(), query={"url": page, "tag": "a b/c"})
    assert server.requests[0].target == (
        "/api/platforms?url=https%3A%2F%2Flms.org%2Fmembers%3Ffrom%3D2%26role%3Da%2520b%2Bc%23x&tag=a%20b%2Fc"
    )


def test_a_body_that_json_cannot_say_is_refused_before_sending(server: Server, endpoint: MakeEndpoint) -> None:
    for value in (object(), float("nan"), Decimal("NaN"), Decimal("0.1234567890123456789")):
        with pytest.raises(ValueError):
            post(endpoint(), body={"a": value})
    assert server.requests == []


# --- what comes back ------------------------------------------------------------------------------------------------


def test_numbers_are_exact(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, b'{"score": 0.1, "n": 10.10}'))
    assert get(endpoint()) == {"score": Decimal("0.1"), "n": Decimal("10.10")}


def test_a_packed_answer_is_unpacked(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, gzip.compress(b'{"a": "packed"}'), Content_Encoding="gzip"))
    assert get(endpoint()) == {"a": "packed"}
    assert "gzip" in server.requests[0].headers["accept-encoding"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (reply(200, b""), "empty body"),
        (reply(200, b"  \n"), "empty body"),
        (reply(204), "empty body"),
        (reply(200, b"<!DOCTYPE html><html>Maintenance"), "HTML page"),
        (reply(200, b"not json"), "not JSON"),
        (reply(200, b'{"a": NaN}'), "not JSON"),
        (reply(200, b'{"a": -Infinity}'), "not JSON"),
        (reply(200, b'{"a": 1e99999999999999999999}'), "not JSON"),
        (reply(200, b'{"a": ' + b"9" * 5000 + b"}"), "not JSON"),
        (reply(200, b"[" * 100_000), "not JSON"),
        (reply(200, b'{"a": "\xff"}'), "not JSON"),
        (reply(200, '{"a": 1}'.encode("utf-16")), "not JSON"),
        (reply(200, b"not gzip", Content_Encoding="gzip"), ""),
    ],
)
def test_an_answer_that_is_no_json_is_a_typed_error(
    server: Server, endpoint: MakeEndpoint, answer: bytes, why: str
) -> None:
    server.answer_with(answer)
    with pytest.raises(exceptions.ApiError) as caught:
        get(endpoint(read_attempts=1))
    assert why in caught.value.detail
    assert isinstance(caught.value, exceptions.InvalidResponse) or not why


def test_a_byte_order_mark_is_no_harm(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, b'\xef\xbb\xbf{"a": 1}'))
    assert get(endpoint()) == {"a": 1}


@pytest.mark.parametrize("answer", [reply(204), reply(200), reply(201, b"Created"), reply(202, {"resultUrl": "x"})])
def test_any_success_accepts_a_write(server: Server, endpoint: MakeEndpoint, answer: bytes) -> None:
    server.answer_with(answer)
    assert post(endpoint()) is None


def test_a_web_page_accepts_no_write(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, b"<html>Please sign in to the Wi-Fi</html>"))
    with pytest.raises(exceptions.InvalidResponse, match="HTML page"):
        post(endpoint())


def test_an_endless_answer_is_cut_off(server: Server, endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1_000_000)
    server.answer_with(reply(200, b'"' + b"x" * 999_998 + b'"'), reply(200, b'"' + b"x" * 1_000_000 + b'"'))
    assert len(str(get(endpoint()))) == 999_998
    with pytest.raises(exceptions.InvalidResponse, match="more than 1000000 bytes"):
        get(endpoint())


def test_a_small_answer_that_unpacks_to_an_endless_one_is_cut_off(
    server: Server, endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1_000_000)
    server.answer_with(reply(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"))
    with pytest.raises(exceptions.InvalidResponse, match="more than 1000000 bytes"):
        get(endpoint())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", [get, post])
def test_a_redirect_is_not_followed(
    server: Server, endpoint: MakeEndpoint, status: int, call: Callable[..., object]
) -> None:
    with Server() as elsewhere:
        server.answer_with(reply(status, b"moved", Location=f"{elsewhere.url}/api"))
        with pytest.raises(exceptions.InvalidResponse, match="redirect") as caught:
            call(endpoint())
        assert caught.value.status_code == status
        assert elsewhere.requests == []
    assert len(server.requests) == 1


def test_cookies_are_not_kept(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, {}, Set_Cookie="session=1; Path=/"))
    get(endpoint())
    get(endpoint())
    assert "cookie" not in server.requests[1].headers


def test_credentials_of_netrc_are_left_alone(
    server: Server, endpoint: MakeEndpoint, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"  # type: ignore[operator]
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.answer_with(reply(200, {}))
    get(endpoint())
    assert server.requests[0].headers["authorization"] == f"Bearer {API_KEY}"


# --- the deadline ---------------------------------------------------------------------------------------------------


def trickling_headers(peer: Peer) -> None:
    peer.trickle(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000, every=0.03)


def trickling_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    peer.trickle(b" " * 1000, every=0.03)


def trickling_chunks(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.trickle(b"1\r\n \r\n" * 1000, every=0.01)


def endless_continue(peer: Peer) -> None:
    peer.trickle(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, every=0.005)


def silence(peer: Peer) -> None:
    peer.wait()


SLOW_ANSWERS = [trickling_headers, trickling_body, trickling_chunks, endless_continue, silence]


@pytest.mark.parametrize("slow", SLOW_ANSWERS)
@pytest.mark.parametrize("call", [get, post])
def test_a_call_ends_at_its_deadline_however_slowly_bytes_come(
    server: Server, endpoint: MakeEndpoint, slow: Talk, call: Callable[..., object]
) -> None:
    server.answer_with(slow)
    started = time.monotonic()
    with pytest.raises(exceptions.OutcomeUnknown, match="in time") as caught:
        call(endpoint(deadline=0.4))
    assert time.monotonic() - started < 1.5
    assert caught.value.origin == "network"
    assert caught.value.retryable


def test_a_call_may_have_a_shorter_deadline_of_its_own(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(silence)
    started = time.monotonic()
    with pytest.raises(exceptions.OutcomeUnknown):
        get(endpoint(deadline=30), deadline=0.3)
    assert time.monotonic() - started < 1.5


def test_the_deadline_holds_for_all_attempts_together(
    server: Server, endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda least, most: most)

    def slow_failure(peer: Peer) -> None:
        time.sleep(0.25)
        peer.send(reply(503))

    server.answer_with(slow_failure)
    started = time.monotonic()
    with pytest.raises(exceptions.ApiError):
        get(endpoint(deadline=0.85, read_attempts=5))
    assert time.monotonic() - started < 1.5
    assert len(server.requests) == 2


def test_a_slow_answer_within_the_deadline_arrives(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(lambda peer: peer.trickle(reply(200, {"a": 1}), every=0.002))
    assert get(endpoint()) == {"a": 1}


# --- failures and retries -------------------------------------------------------------------------------------------


def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for call in (get, post):
        with pytest.raises(exceptions.Unreachable, match="refused") as caught:
            call(http.Endpoint(f"http://127.0.0.1:{port}", read_attempts=1))
        assert caught.value.origin == "network"


def test_an_unknown_host_is_unreachable() -> None:
    with pytest.raises(exceptions.Unreachable):
        post(http.Endpoint("http://no-such-host.invalid", deadline=5))


def closing(peer: Peer) -> None:
    return None


def half_an_answer(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def half_a_chunk(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{")


def reset_midway(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    peer.reset()


def nonsense(peer: Peer) -> None:
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def nonsense_length(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")


def endless_header(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")


BROKEN_ANSWERS = [
    closing,
    half_an_answer,
    half_a_chunk,
    reset_midway,
    nonsense,
    nonsense_length,
    endless_header,
]


@pytest.mark.parametrize("broken", BROKEN_ANSWERS)
def test_a_write_without_a_whole_answer_is_unknown_and_not_repeated(
    server: Server, endpoint: MakeEndpoint, broken: Talk
) -> None:
    server.answer_with(broken)
    with pytest.raises(exceptions.OutcomeUnknown):
        post(endpoint())
    assert len(server.requests) == 1


@pytest.mark.parametrize("broken", BROKEN_ANSWERS)
def test_a_read_without_a_whole_answer_is_repeated(server: Server, endpoint: MakeEndpoint, broken: Talk) -> None:
    server.answer_with(broken, reply(200, {"a": 1}))
    assert get(endpoint()) == {"a": 1}
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_repeated_after_an_error_that_may_pass(server: Server, endpoint: MakeEndpoint, status: int) -> None:
    server.answer_with(reply(status), reply(status), reply(200, {"a": 1}))
    assert get(endpoint()) == {"a": 1}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_write_is_never_repeated(server: Server, endpoint: MakeEndpoint, status: int) -> None:
    server.answer_with(reply(status, Retry_After="0"), reply(204))
    with pytest.raises(exceptions.ApiError) as caught:
        post(endpoint())
    assert caught.value.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_read_is_not_repeated_after_a_lasting_error(server: Server, endpoint: MakeEndpoint, status: int) -> None:
    server.answer_with(reply(status), reply(200, {}))
    with pytest.raises(exceptions.ApiError):
        get(endpoint())
    assert len(server.requests) == 1


def test_attempts_are_bounded(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(500))
    with pytest.raises(exceptions.ServerError):
        get(endpoint(read_attempts=2))
    assert len(server.requests) == 2


def test_a_short_retry_after_is_waited_for(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(429, Retry_After="1"), reply(200, {}))
    started = time.monotonic()
    get(endpoint())
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("seconds", ["6", "3600"])
def test_a_long_retry_after_is_left_to_the_caller(server: Server, endpoint: MakeEndpoint, seconds: str) -> None:
    server.answer_with(reply(429, Retry_After=seconds), reply(200, {}))
    with pytest.raises(exceptions.Throttled) as caught:
        get(endpoint(deadline=10_000.0))
    assert caught.value.retry_after == float(seconds)
    assert len(server.requests) == 1


# --- connections ----------------------------------------------------------------------------------------------------


def test_connections_are_kept_alive(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(200, {}))
    for _ in range(3):
        get(endpoint())
        post(endpoint())
    assert server.connections == 1


def test_an_error_keeps_the_connection(server: Server, endpoint: MakeEndpoint) -> None:
    server.answer_with(reply(404, {"status": 404, "error": "Not Found"}))
    for _ in range(2):
        with pytest.raises(exceptions.NotFound):
            get(endpoint())
    assert server.connections == 1


def test_a_connection_with_an_unread_rest_is_not_used_again(
    server: Server, endpoint: MakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BODY", 1000)
    server.answer_with(reply(200, b" " * 2_000_000), reply(200, {"a": 1}))
    with pytest.raises(exceptions.InvalidResponse):
        get(endpoint())
    assert get(endpoint()) == {"a": 1}
    assert server.requests[1].connection == 2


def test_a_kept_connection_that_the_server_closes_leaves_a_write_unknown(
    server: Server, endpoint: MakeEndpoint
) -> None:
    server.answer_with(reply(204), closing)
    post(endpoint())
    with pytest.raises(exceptions.OutcomeUnknown):
        post(endpoint())
    assert [request.connection for request in server.requests] == [1, 1]


def test_a_kept_connection_closed_in_between_is_opened_anew(server: Server, endpoint: MakeEndpoint) -> None:
    def answer_and_close(peer: Peer) -> None:
        peer.send(reply(204))

    server.answer_with(answer_and_close, reply(204))
    post(endpoint())
    time.sleep(0.1)  # until the server's FIN is here
    post(endpoint())
    assert [request.connection for request in server.requests] == [1, 2]


# --- logging, addresses ---------------------------------------------------------------------------------------------


def test_each_call_leaves_one_line_without_ids(
    server: Server, endpoint: MakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer_with(reply(200, {}), reply(403))
    with caplog.at_level(logging.DEBUG, logger="ltiaas_django"):
        get(endpoint(), query={"userId": "person-2001"})
        with pytest.raises(exceptions.ApiError):
            get(endpoint(), query={"userId": "person-2001"})
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("ltiaas_django")]
    assert [line.rpartition(" after ")[0] for line in lines] == ["GET thing: 200", "GET thing: 403"]
    assert "person-2001" not in " ".join(lines)
    assert API_KEY not in caplog.text


@pytest.mark.parametrize("url", ["https://your.ltiaas.com/", " https://your.ltiaas.com// ", "https://your.ltiaas.com"])
def test_an_address_is_normalised(url: str) -> None:
    assert http.Endpoint(url).url == "https://your.ltiaas.com"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "your.ltiaas.com",
        "ftp://your.ltiaas.com",
        "https://",
        "https://user:password@your.ltiaas.com",
        "https://your.ltiaas.com?x=1",
        "https://your.ltiaas.com#x",
        "https://your.ltiaas.com:port",
        "https://your.ltiaas.com:0",
        "https://[::1",
        "https://your ltiaas.com",
        "https://your.ltiaas.com\r\nX: y",
        "https://yöur.ltiaas.com",
        None,
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(exceptions.ConfigurationError, match="must look like"):
        http.Endpoint(url)


@pytest.mark.parametrize("times", [{"deadline": 0}, {"deadline": -1.0}, {"connect_timeout": 0}])
def test_times_must_be_positive(times: dict[str, float]) -> None:
    with pytest.raises(exceptions.ConfigurationError, match="above 0"):
        http.Endpoint("https://your.ltiaas.com", **times)  # type: ignore[arg-type]
