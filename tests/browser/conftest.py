"""A real Chromium, a running tool and a running sandbox, cross-site to each other; see `servers` and `browsers`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from ltiaas_django.operations import connecting
from ltiaas_django.sandbox import Sandbox, SandboxServer
from tests.browser.browsers import Browsers, Mode
from tests.browser.looking import Findings
from tests.browser.servers import LMS_HOST, Pages, Tool

API_KEY = "the-account's:key"

expect.set_options(timeout=10_000)  # milliseconds


@pytest.fixture(scope="module")
def browsers(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    """The browsers of a file of tests."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Playwright runs an event loop in this thread; the tests' own queries are no concern of it.
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright:
            browsers = Browsers(playwright, chromium, lambda: tmp_path_factory.mktemp("profile"))
            yield browsers
            browsers.close()


@pytest.fixture(params=[Mode.ALLOWED, Mode.BLOCKED], ids=["cookies-allowed", "cookies-blocked"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both ways in which browsers treat third-party cookies."""
    return Mode(request.param)


@pytest.fixture
def browser(browsers: Browsers, mode: Mode, tool: Tool) -> Iterator[BrowserContext]:
    """A browser without cookies; what its pages log as an error fails the test.

    A refusal is no such error: a browser logs each answer of 400 or above.
    """
    browser = browsers.get(mode)
    blank = browser.pages[0]
    errors: list[str] = []
    answers = "the server responded with a status of 4"

    def listen(message: Any) -> None:
        if message.type == "error" and answers not in message.text:
            errors.append(message.text)

    def hear(error: Any) -> None:
        errors.append(str(error.error))

    browser.on("console", listen)
    browser.on("weberror", hear)
    yield browser
    for page in browser.pages:
        if page is not blank:
            page.close()
    browser.remove_listener("console", listen)
    browser.remove_listener("weberror", hear)
    assert not errors


@pytest.fixture
def page(browser: BrowserContext) -> Page:
    """A tab."""
    return browser.new_page()


@pytest.fixture
def tool(transactional_db: None) -> Iterator[Tool]:
    """The tool under test."""
    with Tool() as tool:
        yield tool


@pytest.fixture
def school(tool: Tool, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox that launches the tool under test."""
    monkeypatch.setattr(connecting, "_api_key_verdict", ("", 0.0, None))
    sandbox = Sandbox(api_key=API_KEY, tool_url=f"{tool.url}/lti/launch/")
    sandbox.profile.refuse_same_second = False
    with SandboxServer(sandbox, host=LMS_HOST) as server:
        settings.LTIAAS = {"URL": server.url, "API_KEY": API_KEY}
        yield sandbox


@pytest.fixture
def lms_pages() -> Iterator[Pages]:
    """Pages of the test's own on the LMS's site."""
    with Pages(LMS_HOST) as pages:
        yield pages


@pytest.fixture
def findings() -> Iterator[Findings]:
    """To look at pages with; fails the test for what was found, all of it at once."""
    findings = Findings()
    yield findings
    findings.check()
