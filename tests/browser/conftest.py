"""A real Chromium, a running tool and a running sandbox, on ports of one host: same-site, as this release supports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from ltiaas_django.sandbox import Sandbox, SandboxServer

API_KEY = "the-account's:key"


@pytest.fixture
def page(chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page of a fresh browser; what the pages log as an error fails the test."""
    # Playwright runs an event loop in this thread; the test's own queries are no concern of it.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*quiet, "--disable-component-update"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert not [error for error in errors if "favicon" not in error and "status of 403" not in error]


@pytest.fixture
def school(live_server: Any, settings: Any) -> Iterator[Sandbox]:
    """A sandbox that launches the tool under test."""
    tool = live_server.url.replace("localhost", "127.0.0.1")
    sandbox = Sandbox(api_key=API_KEY, tool_url=f"{tool}/lti/launch/")
    with SandboxServer(sandbox) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": API_KEY}
        yield sandbox
