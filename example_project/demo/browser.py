"""A person's browser, and the LMS's control API, over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import requests

from example_project.demo.pages import Page

TIMEOUT = 30


class UnexpectedAnswer(Exception):
    """A page came with a status that the story has no use for."""


def new_session() -> requests.Session:
    """A session with cookies of its own, and without the proxy that the environment may name."""
    session = requests.Session()
    session.trust_env = False
    return session


class Browser:
    """One person's browser: it keeps cookies and follows redirects."""

    def __init__(self) -> None:
        self._session = new_session()
        # A tab, as browsers say: in a frame the cookies would be Secure, and the demo is served without HTTPS.
        self._session.headers["Sec-Fetch-Dest"] = "document"
        self.url = ""
        self.page = Page("")

    def open(self, url: str) -> Page:
        """Go to an address."""
        return self._show(self._session.get(url, timeout=TIMEOUT))

    def answer(self, answers: dict[str, str]) -> Page:
        """Fill in the form of the page, and send it."""
        form = self.page.forms[0]
        url = urljoin(self.url, form.action)
        return self._show(self._session.post(url, data=form.fill_in(answers), timeout=TIMEOUT))

    def _show(self, response: requests.Response) -> Page:
        self.url, self.page = response.url, Page(response.text)
        if response.status_code != 200:
            # The address may hold an ltik; the page says enough.
            raise UnexpectedAnswer(f"The tool answered {response.status_code}: {self.page.text[:300]}")
        return self.page


class Lms:
    """The simulated LMS, by way of its control API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = new_session()

    def get(self, path: str) -> Any:
        """What the LMS holds."""
        return self._call("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        """Something happens in the LMS."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> None:
        """Something leaves the LMS."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._session.request(method, f"{self.url}/control/{path}", json=body, timeout=TIMEOUT)
        if not response.ok:
            raise UnexpectedAnswer(f"The LMS answered {response.status_code}: {response.text[:300]}")
        return response.json() if response.content else None
