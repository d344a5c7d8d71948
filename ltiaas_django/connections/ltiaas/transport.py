"""Sockets and TLS below `http`: one pool of kept-alive connections, a deadline for the whole of a call.

requests and urllib3 know a time-out for each socket operation only, so a server that sends a byte a second holds a call
for ever. Here every wait of a call (name look-up, connecting, TLS, each read) gets what is left until its deadline.
"""

from __future__ import annotations

import contextvars
import dataclasses
import http.client
import io
import ipaddress
import os
import pathlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import requests.utils
import urllib3
import urllib3.util.connection

POOL_SIZE: Final = 64  # the interpreter lock gains nothing from more threads
_CHUNK: Final = 256 * 2**10


@dataclasses.dataclass(slots=True)
class Call:
    """One request on its way; the connection below urllib3 reads and marks it."""

    until: float
    """`time.monotonic()` at which the current phase must be over."""
    connect_timeout: float
    is_sent: bool = False
    """Whether any of the request itself has left: from then on nobody knows whether it was carried out."""

    def remaining(self) -> float:
        """Seconds left; raises `TimeoutError` when there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline of the call has passed")
        return left

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """While connecting, the connect time-out holds; what is sent meanwhile (CONNECT) is no part of the request."""
        deadline = self.until
        self.until = min(deadline, time.monotonic() + self.connect_timeout)
        try:
            yield
        finally:
            self.until = deadline
            self.is_sent = False


_call: contextvars.ContextVar[Call] = contextvars.ContextVar("call")


# --- connections that keep the deadline -----------------------------------------------------------------------------


class _DeadlineReader(io.RawIOBase):
    """A socket's file whose every read waits no longer than the call may take."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, call: Call) -> None:
        self._raw = raw
        self._sock = sock
        self._call = call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._call.remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Status line, headers and body are all read through the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock, _call.get()))


class _DeadlineMixin:
    """For both connection classes of urllib3."""

    sock: Any
    _held: bytearray | None = None

    def connect(self) -> None:
        with _call.get().connecting():
            super().connect()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        call = _call.get()
        return _connect(self._dns_host, self.port, call, self.socket_options)  # type: ignore[attr-defined]

    def request(self, *arguments: Any, **options: Any) -> None:
        """Headers and body leave in one piece: one TLS record and one wake-up at the other end instead of two."""
        self._held = bytearray()
        try:
            super().request(*arguments, **options)  # type: ignore[misc]
        finally:
            whole, self._held = self._held, None
        self.send(whole)

    def send(self, piece: Any) -> None:
        if self._held is not None:
            self._held += piece
            return
        if self.sock is None:
            self.connect()
        call = _call.get()
        self.sock.settimeout(call.remaining())
        call.is_sent = True
        super().send(piece)  # type: ignore[misc]


class _Connection(_DeadlineMixin, urllib3.connection.HTTPConnection):
    response_class = _Response


class _TlsConnection(_DeadlineMixin, urllib3.connection.HTTPSConnection):
    response_class = _Response


class _ConnectionPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsConnectionPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOL_CLASSES: Final = {"http": _ConnectionPool, "https": _TlsConnectionPool}


def _connect(host: str, port: int, call: Call, options: Any) -> socket.socket:
    """Connect to one of the host's addresses, giving each its share of the time, so that a dead one is not the end."""
    addresses = _resolve(host.strip("[]"), port, call)
    for tried, address in enumerate(addresses):
        share = call.remaining() / (len(addresses) - tried)
        try:
            sock = urllib3.util.connection.create_connection((address, port), share, socket_options=options)
        except OSError:
            if tried == len(addresses) - 1:
                raise
            continue
        sock.settimeout(call.remaining())  # for the TLS handshake; OpenSSL takes it for the handshake as a whole
        return sock
    raise OSError("the name has no address")


def _resolve(host: str, port: int, call: Call) -> list[str]:
    """The host's addresses. `getaddrinfo` knows no time-out, so a thread asks while we wait as long as we may."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, urllib3.util.connection.allowed_gai_family(), socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError("no host name"))

    threading.Thread(target=ask, daemon=True, name="ltiaas-resolve").start()
    try:
        answer = answers.get(timeout=call.remaining())
    except queue.Empty:
        raise TimeoutError("the name server did not answer in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


# --- TLS and proxies ------------------------------------------------------------------------------------------------


class _SharedContext(ssl.SSLContext):
    """A TLS context for all connections: reading the CA bundle takes 20 ms, too long to do for each of them.

    urllib3 sets the protocols anew for each connection, which frees memory that another thread's handshake may be
    reading; we set them once.
    """

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        return None


def _make_tls_context() -> ssl.SSLContext:
    """Trusts what requests would: REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, or certifi's bundle. `OSError` if unreadable."""
    bundle = (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or requests.utils.DEFAULT_CA_BUNDLE_PATH
    )
    context = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    is_directory = pathlib.Path(bundle).is_dir()
    try:
        context.load_verify_locations(**{"capath" if is_directory else "cafile": bundle})
    except OSError as error:
        raise OSError(error.errno, f"the CA bundle {bundle} cannot be read") from None
    return context


class Pool:
    """The kept-alive connections to one endpoint, for all threads.

    A `requests.Session` would look for redirects, cookies, netrc and proxies at each call, all of which must be off
    here; that costs more than the call, so urllib3 is used directly. Proxies and the CA bundle are what requests would
    take, read from the environment once, now.
    """

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {"maxsize": POOL_SIZE, "block": False}
        proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        if "https" in (urlsplit(url).scheme, urlsplit(proxy or "").scheme):
            options["ssl_context"] = _make_tls_context()
        if proxy:
            options |= {"proxy_ssl_context": options.get("ssl_context"), "proxy_headers": _proxy_headers(proxy)}
            manager: urllib3.PoolManager = urllib3.ProxyManager(proxy, **options)
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = _POOL_CLASSES
        self._manager = manager
        self._connections = manager.connection_from_url(url)
        # A proxy for plain http is told the whole address; everybody else gets what comes behind the host.
        parts = urlsplit(url)
        is_told_all = bool(proxy) and parts.scheme == "http"
        self._left_out = 0 if is_told_all else len(f"{parts.scheme}://{parts.netloc}")
        self._more_headers = options["proxy_headers"] if is_told_all else {}
        self._tunnels = bool(proxy) and parts.scheme == "https"

    def exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, call: Call, max_body: int
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        """Send one request and read the whole answer: status, headers, and the body unpacked, None if it is too large.

        To be called under `bind(call)`. Nothing is repeated here, and a connection serves again only after a whole
        answer. It works as urllib3's `urlopen` does, without its second encoding of the address.
        """
        pool = self._connections
        connection: Any = pool._get_conn()  # one that the other side has closed meanwhile is replaced
        is_whole = False
        try:
            if self._tunnels and connection.is_closed:
                pool._prepare_proxy(connection)
            connection.request(
                method, url[self._left_out :], body, {**headers, **self._more_headers}, preload_content=False
            )
            response = connection.getresponse()
            content = _read(response, max_body)
            is_whole = content is not None
            return response.status, response.headers, content
        finally:
            if not is_whole:
                connection.close()
            pool._put_conn(connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._manager.clear()


def _read(response: urllib3.BaseHTTPResponse, max_body: int) -> bytes | None:
    body = bytearray()
    while chunk := response.read(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_body:
            return None
    return bytes(body)


def _proxy_headers(proxy: str) -> dict[str, str]:
    name, password = requests.utils.get_auth_from_url(proxy)
    return dict(urllib3.make_headers(proxy_basic_auth=f"{name}:{password}")) if name else {}


@contextmanager
def bind(call: Call) -> Iterator[Call]:
    """Make the call known to the connections that work for it in this thread."""
    token = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(token)


# --- no network at all ----------------------------------------------------------------------------------------------

Answer = Callable[[str, str, Mapping[str, str], bytes | None, float], tuple[int, Mapping[str, str], bytes]]
"""Takes method, URL, headers, body and the seconds that are left; gives status, headers and body. What a socket would
raise it raises: `TimeoutError`, `ConnectionError`, `http.client.HTTPException`."""


class StandIn:
    """In a pool's place: a function of this process that answers for an endpoint."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, call: Call, max_body: int
    ) -> tuple[int, Mapping[str, str], bytes | None]:
        """As a pool does."""
        left = call.remaining()
        call.is_sent = True
        status, said, content = self._answer(method, url, headers, body, left)
        return status, urllib3.HTTPHeaderDict(said), content if len(content) <= max_body else None

    def close(self) -> None:
        """Nothing is open."""


_stand_ins: dict[str, StandIn] = {}


@contextmanager
def standing_in(url: str, answer: Answer) -> Iterator[None]:
    """Inside the block a function answers for this endpoint, and no socket is opened to it: for tests."""
    _stand_ins[url] = StandIn(answer)
    _forget(url)
    try:
        yield
    finally:
        del _stand_ins[url]
        _forget(url)


# --- one pool per process and endpoint ------------------------------------------------------------------------------

_pools: dict[str, Pool | StandIn] = {}
_inherited: list[dict[str, Pool | StandIn]] = []
_lock = threading.Lock()


def pool_for(url: str) -> Pool | StandIn:
    """This process's pool for an endpoint. `OSError` if the CA bundle cannot be read."""
    pool = _pools.get(url)
    if pool is None:
        with _lock:
            pool = _pools.get(url)
            if pool is None:
                pool = _pools[url] = _stand_ins.get(url) or Pool(url)
    return pool


def _forget(url: str) -> None:
    with _lock:
        pool = _pools.pop(url, None)
    if pool is not None:
        pool.close()


def close_pools() -> None:
    """Close all idle connections of this process; the next call opens new ones, under the environment as it is then."""
    global _pools
    with _lock:
        closing, _pools = _pools, {}
    for pool in closing.values():
        pool.close()


def _start_afresh_in_child() -> None:
    """A forked child must not share sockets or locks with its parent. The parent's pools are kept, unused: to free them
    would take locks that another thread of the parent may have held."""
    global _pools, _lock
    _inherited.append(_pools)
    _pools, _lock = {}, threading.Lock()


os.register_at_fork(after_in_child=_start_afresh_in_child)
