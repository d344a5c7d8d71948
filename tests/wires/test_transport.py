"""TLS, proxies, name look-up and forks: what is below a call, on real sockets."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import ipaddress
import os
import pathlib
import signal
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import http, transport
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth
from tests.wires.misbehaving import API_KEY, Peer, Server, reply

AUTH = ApiKeyAuth(API_KEY)


def ask(url: str, method: str = "GET", **options: Any) -> object:
    endpoint = http.Endpoint(url, **{"deadline": 5.0, "connect_timeout": 2.0, "read_attempts": 1, **options})
    return http.send(endpoint, AUTH, method, "/api/x", asked=f"{method} thing", expects_json=False)


# --- TLS ------------------------------------------------------------------------------------------------------------


class Authority:
    """A throw-away certification authority."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A test's own authority")])
        certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None))
        self.bundle = folder / "ca.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: Any) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def server_context(self, name: x509.GeneralName) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName([name]))
        path = self.folder / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_server(authority: Authority) -> Iterator[Server]:
    with Server(tls=authority.server_context(LOOPBACK)) as server:
        yield server


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_of_the_environment_is_trusted(
    variable: str, tls_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.bundle))
    ask(tls_server.url)
    ask(tls_server.url)
    assert len(tls_server.requests) == 2
    assert tls_server.connections == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_authority_is_refused_and_nothing_sent(tls_server: Server, method: str) -> None:
    with pytest.raises(exceptions.Unreachable, match="certificate was not accepted"):
        ask(tls_server.url, method)
    assert tls_server.requests == []


def test_a_certificate_for_another_host_is_refused(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with Server(tls=authority.server_context(x509.DNSName("other.example"))) as server:
        with pytest.raises(exceptions.Unreachable, match=r"certificate was not accepted.*127\.0\.0\.1"):
            ask(server.url, "POST")
        assert server.requests == []


def test_an_unreadable_bundle_is_named(tls_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    with pytest.raises(exceptions.Unreachable, match=r"/no/such/bundle\.pem cannot be read"):
        ask(tls_server.url)


def test_the_bundle_is_read_once_for_all_connections(
    tls_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    reads = []
    original = ssl.SSLContext.load_verify_locations

    def load(context: ssl.SSLContext, **what: Any) -> None:
        reads.append(what)
        original(context, **what)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    together = threading.Barrier(4)

    def answer_together(peer: Peer) -> None:
        together.wait(5)
        peer.send(reply(204))

    tls_server.answer_with(answer_together)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: ask(tls_server.url), range(4)))
    assert tls_server.connections == 4
    assert reads == [{"cafile": str(authority.bundle)}]


def test_bytes_that_trickle_through_tls_end_at_the_deadline(
    tls_server: Server, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    tls_server.answer_with(lambda peer: peer.trickle(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, every=0.03))
    started = time.monotonic()
    with pytest.raises(exceptions.OutcomeUnknown):
        ask(tls_server.url, "POST", deadline=0.5)
    assert time.monotonic() - started < 1.5


def test_a_handshake_that_never_ends_is_unreachable_in_time() -> None:
    def trickle_a_handshake(listener: socket.socket, stop: threading.Event) -> None:
        sock, _ = listener.accept()
        with sock:
            while not stop.wait(0.05):
                try:
                    # A record of the handshake that is announced as long and comes byte by byte.
                    sock.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03" if not sent else b"\x00")
                except OSError:
                    return
                sent.append(1)

    sent: list[int] = []
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle_a_handshake, args=(listener, stop))
        thread.start()
        started = time.monotonic()
        try:
            with pytest.raises(exceptions.Unreachable):
                ask(f"https://127.0.0.1:{listener.getsockname()[1]}", "POST", connect_timeout=0.4)
        finally:
            stop.set()
            thread.join(5)
        assert len(sent) > 2
        assert time.monotonic() - started < 1.5


# --- proxies --------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://somebody:secret@127.0.0.1:{server.port}")
    endpoint = http.Endpoint("http://ltiaas.example", deadline=5)
    path = f"/api/lineitems/{http.segment('https://lms.org/a%2Fb?c=~', 'x')}"
    http.send(endpoint, AUTH, "POST", path, asked="POST thing", body={}, expects_json=False)
    (request,) = server.requests
    assert request.target == "http://ltiaas.example/api/lineitems/https%3A%2F%2Flms.org%2Fa%252Fb%3Fc%3D~"
    assert request.headers["proxy-authorization"] == "Basic c29tZWJvZHk6c2VjcmV0"


def test_no_proxy_is_honoured(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ask(server.url)
    assert server.requests[0].target == "/api/x"


@pytest.mark.parametrize("proxy", ["http://user:the-password@127.0.0.1:1", "socks5://user:the-password@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_unreachable(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(exceptions.Unreachable) as caught:
        ask("http://ltiaas.example", "POST")
    assert "the-password" not in repr(caught.value)


class Tunnel:
    """What a proxy does after CONNECT: refuse, or pass bytes on to the server."""

    def __init__(self, target: Server, answer: bytes) -> None:
        self.target = target
        self.answer = answer

    def __call__(self, peer: Peer) -> None:
        peer.send(self.answer)
        if b" 200 " not in self.answer:
            return
        with socket.create_connection(("127.0.0.1", self.target.port)) as onward:
            back = threading.Thread(target=self._pump, args=(onward, peer.sock))
            back.start()
            self._pump(peer.sock, onward)
            back.join(5)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_tls_goes_through_a_proxy_and_is_verified(
    tls_server: Server, authority: Authority, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answer_with(Tunnel(tls_server, b"HTTP/1.1 200 Connected\r\n\r\n"))
    with pytest.raises(exceptions.Unreachable, match="certificate"):
        ask(tls_server.url, "POST")
    transport.close_pools()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    ask(tls_server.url, "POST")
    assert [request.method for request in server.requests] == ["CONNECT", "CONNECT"]
    assert "authorization" not in server.requests[1].headers
    assert [request.target for request in tls_server.requests] == ["/api/x"]
    transport.close_pools()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 502 Nobody there\r\n\r\n", b""])
def test_a_tunnel_that_is_refused_is_unreachable(
    tls_server: Server, server: Server, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answer_with(Tunnel(tls_server, answer))
    with pytest.raises(exceptions.Unreachable):
        ask(tls_server.url, "POST")
    assert tls_server.requests == []


def test_a_proxy_that_trickles_its_answer_is_unreachable_in_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    server.answer_with(lambda peer: peer.trickle(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, every=0.03))
    started = time.monotonic()
    with pytest.raises(exceptions.Unreachable):
        ask("https://ltiaas.example", "POST", connect_timeout=0.4)
    assert time.monotonic() - started < 1.5


# --- name look-up ---------------------------------------------------------------------------------------------------


def addresses(*hosts: str) -> Callable[..., Any]:
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host != "ltiaas.example":
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in hosts]

    return look_up


def test_the_next_address_is_tried_when_one_is_dead(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses("127.0.0.2", "127.0.0.3", "127.0.0.1"))
    ask(f"http://ltiaas.example:{server.port}")
    assert server.requests[0].headers["host"] == f"ltiaas.example:{server.port}"


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses("127.0.0.2", "127.0.0.1"))
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.2", server.port))
        full.listen(0)  # once its queue is full, Linux leaves further connections without an answer
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", server.port))
        ask(f"http://ltiaas.example:{server.port}", connect_timeout=1.0)
    assert len(server.requests) == 1


def test_a_name_server_that_hangs_is_unreachable_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()

    def hang(*args: object, **kwargs: object) -> list[object]:
        hangs.wait(3)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    try:
        with pytest.raises(exceptions.Unreachable, match="in time"):
            ask("http://ltiaas.example", "POST", connect_timeout=0.3)
    finally:
        hangs.set()
    assert time.monotonic() - started < 1.5


def test_a_name_without_addresses_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses())
    with pytest.raises(exceptions.Unreachable):
        ask("http://ltiaas.example", "POST")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_name_that_is_none_is_unreachable(host: str) -> None:
    with pytest.raises(exceptions.Unreachable):
        ask(f"http://{host}", "POST")


# --- threads and processes ------------------------------------------------------------------------------------------


def test_threads_share_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = transport.Pool.__init__

    def slow_init(pool: transport.Pool, url: str) -> None:
        made.append(url)
        time.sleep(0.05)
        original(pool, url)

    monkeypatch.setattr(transport.Pool, "__init__", slow_init)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        pools = set(threads.map(lambda _: id(transport.pool_for("http://ltiaas.example")), range(8)))
    assert len(pools) == 1
    assert made == ["http://ltiaas.example"]


def test_a_forked_child_uses_connections_of_its_own(server: Server) -> None:
    ask(server.url, "POST")  # the parent keeps this connection
    with transport._lock:  # and another of its threads is just making a pool
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of what we are here to survive
            child = os.fork()
        if child == 0:
            signal.alarm(5)  # a child that waits for its parent's lock is ended, and the test fails
            try:
                ask(server.url, "POST")
                os._exit(0)
            except BaseException:
                os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    ask(server.url, "POST")
    assert [request.connection for request in server.requests] == [1, 2, 1]
