"""A running sandbox, and callers of its API with each kind of credential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests

from ltiaas_django.sandbox import Sandbox, SandboxServer

API_KEY = "the-account's:key"  # LTIAAS says nothing of what a key holds; a colon must not confuse


@dataclass
class Caller:
    """Calls the API with one Authorization header."""

    session: requests.Session
    url: str
    authorization: str

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": self.authorization, **options.pop("headers", {})}
        return self.session.request(method, f"{self.url}{path}", headers=headers, timeout=10, **options)

    def json(self, path: str, **params: str) -> Any:
        response = self("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def post_score(self, item_id: str, user_id: str, **fields: Any) -> requests.Response:
        score = {"userId": user_id, "activityProgress": "Completed", "gradingProgress": "FullyGraded", **fields}
        return self("POST", f"/api/lineitems/{quote(item_id, safe='')}/scores", json=score)

    def results(self, item_id: str, **params: str) -> Any:
        return self.json(f"/api/lineitems/{quote(item_id, safe='')}/scores", **params)["scores"]


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox(api_key=API_KEY, tool_url="http://127.0.0.1:8000/lti/launch/")


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[SandboxServer]:
    with SandboxServer(sandbox) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def caller(server: SandboxServer, session: requests.Session) -> Callable[[str], Caller]:
    """A caller with the Authorization header given."""
    return lambda authorization: Caller(session, server.url, authorization)


@pytest.fixture
def by_ltik(sandbox: Sandbox, caller: Callable[[str], Caller]) -> Callable[..., Caller]:
    """A caller with the ltik of a new launch."""

    def launch(
        course: str = "course-101", activity: str | None = "quiz-1", person: str = "2001", **more: Any
    ) -> Caller:
        return caller(f"LTIK-AUTH-V2 {API_KEY}:{sandbox.launch(course, activity, person, **more)}")

    return launch


@pytest.fixture
def by_key(by_ltik: Callable[..., Caller], caller: Callable[[str], Caller]) -> Callable[..., Caller]:
    """A caller with the service key of a new launch."""

    def launch(*args: Any, **more: Any) -> Caller:
        key = by_ltik(*args, **more).json("/api/idtoken")["services"]["serviceKey"]
        return caller(f"SERVICE-AUTH-V1 {API_KEY}:{key}")

    return launch


@pytest.fixture
def account(caller: Callable[[str], Caller]) -> Caller:
    """A caller with the bare API key."""
    return caller(f"Bearer {API_KEY}")


@pytest.fixture
def quiz_1(sandbox: Sandbox) -> str:
    """The id of the line item of course-101's quiz-1, of 10 points."""
    return sandbox.course("course-101").line_items_of("quiz-1")[0].id


@pytest.fixture
def browse(server: SandboxServer, session: requests.Session) -> Callable[..., requests.Response]:
    """Open a page of the LMS, as a browser would (redirects are shown, not followed)."""

    def request(path: str, method: str = "GET", **options: Any) -> requests.Response:
        return session.request(method, f"{server.url}{path}", timeout=10, allow_redirects=False, **options)

    return request
