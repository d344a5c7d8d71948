"""Look at a page as everybody must be able to use it: at three widths, light and dark, with axe and with the keyboard.

With BROWSER_SCREENSHOTS set to a folder, a picture of every page is left there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Frame, Locator, Page

WIDTHS = (320, 768, 1280)
_HEIGHT = 900
_SERIOUS = {"serious", "critical"}
_MOST_TABS = 60

_RUN = """options => axe.run(options).then(found => found.violations.map(
    one => [one.impact, one.id, one.nodes.map(node => node.target.join(" ")).slice(0, 3).join(", ")]))"""
_OVERFLOW = """() => [document.documentElement.scrollWidth, document.documentElement.clientWidth,
    [...document.querySelectorAll("body *")].filter(one => one.getBoundingClientRect().right > innerWidth + 1)
        .map(one => one.tagName + "." + one.className).slice(0, 3).join(", ")]"""


class Findings:
    """What was found wrong on the pages that were looked at; `check` fails with all of it at once."""

    def __init__(self) -> None:
        self.found: list[str] = []
        folder = os.environ.get("BROWSER_SCREENSHOTS")
        self.folder = Path(folder) if folder else None

    def look(self, page: Page, name: str, frame: Frame | None = None, *, without: tuple[str, ...] = ()) -> None:
        """Look at the page, or at what its frame shows.

        `without`: selectors of parts that are not ours to mend, such as what Django's admin puts around our pages.
        """
        looked_at = frame or page.main_frame
        looked_at.wait_for_load_state()
        looked_at.evaluate(f"window.axe || (() => {{ {AXE_SCRIPT} }})()")
        looked_at.add_style_tag(content="* { transition: none !important }")  # colours are measured at once
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": _HEIGHT})
            page.emulate_media(color_scheme="light")
            self._axe(looked_at, f"{name}, {width} px, light", without)
            if width == WIDTHS[0]:
                self._overflow(looked_at, f"{name}, {width} px")
            self._picture(page, f"{name}-{width}-light")
            page.emulate_media(color_scheme="dark")
            self._axe(looked_at, f"{name}, {width} px, dark", without, only="color-contrast")
            self._picture(page, f"{name}-{width}-dark")
        page.emulate_media(color_scheme="light")

    def reach(self, page: Page, name: str, wanted: Locator) -> None:
        """The keyboard alone gets to the main action, and it shows that it is there."""
        page.keyboard.press("Escape")
        for _press in range(_MOST_TABS):
            page.keyboard.press("Tab")
            if wanted.evaluate("one => one === document.activeElement && document.hasFocus()"):
                break
        else:
            self.found.append(f"{name}: the keyboard does not get to the main action")
            return
        if wanted.evaluate("one => getComputedStyle(one).outlineStyle") == "none":
            self.found.append(f"{name}: the main action does not show that it has the focus")

    def check(self) -> None:
        """Fail if anything was found."""
        assert not self.found, "\n".join(self.found)

    def _axe(self, frame: Frame, name: str, without: tuple[str, ...], only: str = "") -> None:
        options: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False}
        if only:
            options["runOnly"] = [only]
        context = {"exclude": [[selector] for selector in without]}
        run = _RUN.replace("axe.run(options)", "axe.run(options.context, options.options)")
        for impact, rule, where in frame.evaluate(run, {"context": context, "options": options}):
            if impact in _SERIOUS:
                self.found.append(f"{name}: {impact}, {rule}: {where}")

    def _overflow(self, frame: Frame, name: str) -> None:
        wide, room, what = frame.evaluate(_OVERFLOW)
        if wide > room:
            self.found.append(f"{name}: it scrolls sideways, {wide} px in {room}: {what}")

    def _picture(self, page: Page, name: str) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=self.folder / f"{name.replace(' ', '-')}.png", full_page=True)
