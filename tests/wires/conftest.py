"""A server that misbehaves as told, and connections to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ltiaas_django.connections.ltiaas import http
from ltiaas_django.connections.ltiaas.account import Account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth, LtikAuth, ServiceKeyAuth
from ltiaas_django.connections.ltiaas.connection import LtiaasLaunchConnection, LtiaasServiceConnection
from tests.wires.misbehaving import API_KEY, LTIK, SERVICE_KEY, Server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies and CA bundle stay outside."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def endpoint(server: Server) -> Callable[..., http.Endpoint]:
    """The server as an endpoint, with short waits."""

    def make(**options: Any) -> http.Endpoint:
        return http.Endpoint(server.url, **{"deadline": 5.0, "connect_timeout": 2.0, **options})

    return make


@pytest.fixture
def connection(endpoint: Callable[..., http.Endpoint]) -> LtiaasServiceConnection:
    return LtiaasServiceConnection(endpoint(), ServiceKeyAuth(API_KEY, SERVICE_KEY))


@pytest.fixture
def launch_connection(endpoint: Callable[..., http.Endpoint]) -> LtiaasLaunchConnection:
    return LtiaasLaunchConnection(endpoint(), LtikAuth(API_KEY, LTIK))


@pytest.fixture
def account(endpoint: Callable[..., http.Endpoint]) -> Account:
    return Account(endpoint(), ApiKeyAuth(API_KEY))
