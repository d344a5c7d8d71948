"""Chromium with a profile for each way of treating cookies, each of which first shows that it does so.

Command-line switches do not set this; a profile's `Preferences`, written before the first start, do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Playwright, expect

from tests.browser.servers import LMS_HOST, TOOL_HOST, Pages

_THIRD_PARTY_ALLOWED, _THIRD_PARTY_BLOCKED, _BLOCK = 0, 1, 2  # Chromium's numbers
_SWITCHES = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
]


class Mode(StrEnum):
    """How the browser treats cookies."""

    ALLOWED = "third-party cookies allowed"
    BLOCKED = "third-party cookies blocked"
    NOT_IN_FRAMES = "no cookies of the tool in the LMS's pages"
    NOWHERE = "no cookies at all"


_BOTH = {"plain=1", "partitioned=1"}
_KEPT: dict[Mode, tuple[set[str], set[str]]] = {
    Mode.ALLOWED: (_BOTH, _BOTH),
    Mode.BLOCKED: ({"partitioned=1"}, _BOTH),
    Mode.NOT_IN_FRAMES: (set(), _BOTH),
    Mode.NOWHERE: (set(), set()),
}
"""Which cookies a site gets back in a frame of another site's page, and in a tab of its own."""

_PROFILES: dict[Mode, dict[str, Any]] = {
    Mode.ALLOWED: {"cookie_controls_mode": _THIRD_PARTY_ALLOWED},
    Mode.BLOCKED: {"cookie_controls_mode": _THIRD_PARTY_BLOCKED},
    Mode.NOT_IN_FRAMES: {
        "cookie_controls_mode": _THIRD_PARTY_BLOCKED,
        "content_settings": {"exceptions": {"cookies": {f"{TOOL_HOST},{LMS_HOST}": {"setting": _BLOCK}}}},
    },
    Mode.NOWHERE: {"default_content_setting_values": {"cookies": _BLOCK}},
}


class Browsers:
    """One browser for each mode, started when it is first asked for, and used by one test after the other."""

    def __init__(self, playwright: Playwright, executable: str, new_folder: Callable[[], Path]) -> None:
        self._playwright = playwright
        self._executable = executable
        self._new_folder = new_folder
        self._open: dict[Mode, BrowserContext] = {}

    def get(self, mode: Mode) -> BrowserContext:
        """The browser of this mode, without cookies and with no page but a blank one."""
        if mode not in self._open:
            self._open[mode] = self._start(mode)
        self._open[mode].clear_cookies()
        return self._open[mode]

    def close(self) -> None:
        """End them all."""
        for browser in self._open.values():
            browser.close()

    def _start(self, mode: Mode) -> BrowserContext:
        folder = self._new_folder()
        (folder / "Default").mkdir()
        (folder / "Default" / "Preferences").write_text(json.dumps({"profile": _PROFILES[mode]}))
        browser = self._playwright.chromium.launch_persistent_context(
            str(folder),
            executable_path=self._executable,
            args=_SWITCHES,
            headless=True,
            viewport={"width": 1280, "height": 900},
        )
        browser.set_default_timeout(10_000)  # milliseconds; a busy machine is no bug
        prove(browser, mode)
        return browser


def prove(browser: BrowserContext, mode: Mode) -> None:
    """Fail unless the browser keeps the cookies that its mode says: else the tests would show nothing."""
    with Pages(LMS_HOST) as school, Pages(TOOL_HOST) as tool:
        tool.cookies["/set"] = ["plain=1; SameSite=None; Secure", "partitioned=1; SameSite=None; Secure; Partitioned"]
        tool.html["/set"] = '<a href="/show">Show</a>'
        school.html["/course"] = f'<iframe src="{tool.url}/set"></iframe>'
        page = browser.new_page()
        page.goto(f"{school.url}/course")
        frame = page.frame_locator("iframe")
        frame.get_by_role("link").click()
        expect(frame.locator("#cookies")).to_be_attached()
        in_frame = frame.locator("#cookies").inner_text()
        page.goto(f"{tool.url}/set")
        page.get_by_role("link").click()
        in_tab = page.locator("#cookies").inner_text()
        page.close()
    kept = tuple(set(filter(None, cookies.split("; "))) for cookies in (in_frame, in_tab))
    assert kept == _KEPT[mode], f"This Chromium does not do as the mode says: {mode}"
