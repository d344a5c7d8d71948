"""The connections: what each method asks, and what it makes of the answer; then the same against the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ltiaas_django import data, exceptions
from ltiaas_django.connections import base
from ltiaas_django.connections.ltiaas.account import Account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth, LtikAuth, ServiceKeyAuth
from ltiaas_django.connections.ltiaas.connection import LtiaasLaunchConnection, LtiaasServiceConnection
from ltiaas_django.connections.ltiaas.http import Endpoint
from ltiaas_django.sandbox import Sandbox, SandboxServer
from ltiaas_django.vocabulary import LaunchType, is_learner
from tests.wires.misbehaving import API_KEY, LTIK, SERVICE_KEY, Request, Server, reply

ITEM_ID = "https://lms.org/li/1?type_id=1"
ITEM = {"id": ITEM_ID, "label": "Quiz", "scoreMaximum": 10}
ENCODED_ID = "https%3A%2F%2Flms.org%2Fli%2F1%3Ftype_id%3D1"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def query(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(request.target).query, keep_blank_values=True)


# --- what is asked --------------------------------------------------------------------------------------------------


def test_each_credential_has_its_scheme(
    server: Server, connection: LtiaasServiceConnection, launch_connection: LtiaasLaunchConnection
) -> None:
    server.answer_with(reply(200, ITEM))
    connection.line_item(ITEM_ID)
    launch_connection.line_item(ITEM_ID)
    assert [request.headers["authorization"] for request in server.requests] == [
        f"SERVICE-AUTH-V1 {API_KEY}:{SERVICE_KEY}",
        f"LTIK-AUTH-V2 {API_KEY}:{LTIK}",
    ]


def test_both_connections_are_what_operations_know(
    connection: LtiaasServiceConnection, launch_connection: LtiaasLaunchConnection
) -> None:
    assert isinstance(connection, base.ServiceConnection)
    assert isinstance(launch_connection, base.LaunchConnection)
    assert not isinstance(connection, base.LaunchConnection)
    with launch_connection as entered:
        assert entered is launch_connection


def test_the_roster_is_fetched_page_by_page_and_following_pages_only_by_their_url(
    server: Server, connection: LtiaasServiceConnection
) -> None:
    page_2 = "https://lms.org/members?page=2&role=Learner"
    server.answer_with(
        reply(200, {"members": [{"userId": "1"}], "next": page_2}), reply(200, {"members": [{"userId": "2"}]})
    )
    pages = connection.members(page_size=1000, role="Learner", resource_link_id="link 1")
    assert [member.user_id for member in next(pages)] == ["1"]
    assert len(server.requests) == 1
    assert [member.user_id for page in pages for member in page] == ["2"]
    assert query(server.requests[0]) == [("role", "Learner"), ("resourceLinkId", "link 1"), ("limit", "1000")]
    assert query(server.requests[1]) == [("url", page_2)]


def test_nothing_is_asked_for_that_nobody_wanted(server: Server, connection: LtiaasServiceConnection) -> None:
    server.answer_with(reply(200, {"members": []}), reply(200, []), reply(200, {"scores": []}))
    list(connection.members())
    list(connection.line_items())
    list(connection.results(ITEM_ID))
    assert [request.target for request in server.requests] == [
        "/api/memberships",
        "/api/lineitems",
        f"/api/lineitems/{ENCODED_ID}/scores",
    ]


def test_filters_of_line_items_and_results(server: Server, connection: LtiaasServiceConnection) -> None:
    server.answer_with(
        reply(200, {"lineItems": [ITEM], "next": "https://lms.org/2"}),
        reply(200, [{**ITEM, "id": "other"}]),
        reply(200, {"scores": [{"userId": "7", "resultScore": 0}]}),
    )
    items = connection.line_items(resource_link_id="a&b", resource_id="r", tag="t")
    assert [item.lti_id for item in items] == [ITEM_ID, "other"]
    (result,) = connection.results(ITEM_ID, user_id="7")
    assert result.score == 0
    assert query(server.requests[0]) == [("resourceLinkId", "a&b"), ("resourceId", "r"), ("tag", "t")]
    assert query(server.requests[1]) == [("url", "https://lms.org/2")]
    assert query(server.requests[2]) == [("userId", "7")]


@pytest.mark.parametrize("status", [200, 201])
def test_line_items_are_created_and_replaced(server: Server, connection: LtiaasServiceConnection, status: int) -> None:
    server.answer_with(reply(status, {**ITEM, "tag": "t"}))
    new = data.LineItem(label="Quiz", score_maximum=Decimal(10), tag="t")
    made = connection.create_line_item(new)
    assert (made.lti_id, made.tag) == (ITEM_ID, "t")
    assert connection.replace_line_item(made) == made
    create, replace = server.requests
    assert (create.method, create.target) == ("POST", "/api/lineitems")
    assert (replace.method, replace.target) == ("PUT", f"/api/lineitems/{ENCODED_ID}")
    assert create.json == replace.json == {"label": "Quiz", "scoreMaximum": 10, "tag": "t"}


def test_a_line_item_is_deleted(server: Server, connection: LtiaasServiceConnection) -> None:
    connection.delete_line_item(ITEM_ID)
    (request,) = server.requests
    assert (request.method, request.target) == ("DELETE", f"/api/lineitems/{ENCODED_ID}")


@pytest.mark.parametrize("answer", [reply(204), reply(201), reply(200, {"resultUrl": "https://lms.org/r"})])
def test_a_score_is_sent(server: Server, connection: LtiaasServiceConnection, answer: bytes) -> None:
    server.answer_with(answer)
    connection.send_score(ITEM_ID, data.Score(user_id="7", given=Decimal("8.5"), maximum=Decimal(10), timestamp=NOW))
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", f"/api/lineitems/{ENCODED_ID}/scores")
    assert request.json["scoreGiven"] == 8.5
    assert request.json["timestamp"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize("lti_id", ["", ".", ".."])
def test_a_line_item_without_an_id_is_asked_nothing(
    server: Server, connection: LtiaasServiceConnection, lti_id: str
) -> None:
    item = data.LineItem(lti_id=lti_id, label="Quiz", score_maximum=Decimal(10))
    score = data.Score(user_id="7", given=Decimal(1), maximum=Decimal(10), timestamp=NOW)
    calls: list[Callable[[], object]] = [
        lambda: connection.line_item(lti_id),
        lambda: connection.replace_line_item(item),
        lambda: connection.delete_line_item(lti_id),
        lambda: connection.send_score(lti_id, score),
        lambda: list(connection.results(lti_id)),
    ]
    for call in calls:
        with pytest.raises(exceptions.InvalidRequest):
            call()
    assert server.requests == []


def test_the_id_token_is_asked_for_plainly_or_raw(server: Server, launch_connection: LtiaasLaunchConnection) -> None:
    token = {"user": {"id": "7"}, "platform": {"id": "p"}}
    server.answer_with(reply(200, token), reply(200, {"sub": "7"}), reply(200, ["no claims"]))
    assert launch_connection.id_token(deadline=2).user.lti_id == "7"
    assert launch_connection.raw_id_token() == {"sub": "7"}
    assert [request.target for request in server.requests] == ["/api/idtoken", "/api/idtoken?raw=true"]
    with pytest.raises(exceptions.InvalidResponse):
        launch_connection.raw_id_token()


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "error"),
    [
        (reply(500), exceptions.ServerError),
        (reply(200, b""), exceptions.InvalidResponse),
        (reply(200, {"members": None}), exceptions.InvalidResponse),
        (reply(200, {"members": [{"userId": "1"}]}), exceptions.InvalidResponse),
        (reply(200, {"members": [{"userId": "2"}], "next": "https://lms.org/2"}), exceptions.InvalidResponse),
        (reply(401, {"status": 401, "error": "x"}), exceptions.Refused),
    ],
)
def test_a_roster_that_breaks_off_never_looks_complete(
    server: Server, connection: LtiaasServiceConnection, second: bytes, error: type[Exception]
) -> None:
    server.answer_with(reply(200, {"members": [{"userId": "1"}], "next": "https://lms.org/2"}), second)
    pages = connection.members()
    next(pages)
    with pytest.raises(error):
        list(pages)


def test_a_roster_without_end_stops_at_the_limit(server: Server, endpoint: Callable[..., Endpoint]) -> None:
    endless = [
        reply(200, {"members": [{"userId": f"u{number}"}], "next": f"https://lms.org/{number}"}) for number in range(6)
    ]
    server.answer_with(*endless)
    connection = LtiaasServiceConnection(endpoint(max_pages=3), ServiceKeyAuth(API_KEY, SERVICE_KEY))
    with pytest.raises(exceptions.InvalidResponse, match="more than 3 pages"):
        list(connection.members())
    assert len(server.requests) == 3


def test_an_answer_that_cannot_be_right_names_the_call_and_the_field(
    server: Server, connection: LtiaasServiceConnection
) -> None:
    server.answer_with(reply(200, {**ITEM, "scoreMaximum": "ten"}))
    with pytest.raises(
        exceptions.InvalidResponse,
        match=r"GET line item: the answer of LTIAAS .* scoreMaximum: a number is wanted",
    ):
        connection.line_item(ITEM_ID)


# --- the account ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (reply(200, {"platforms": []}), True),
        (reply(200, []), True),
        (reply(401, {"status": 401, "error": "Unauthorized", "details": {"description": "Invalid API key"}}), False),
        (reply(403, {"status": 403, "error": "Forbidden"}), False),
        (reply(401, b"<html>Who are you?</html>"), None),
        (reply(403, b"<html>Blocked by the firewall</html>"), None),
        (reply(404, {"status": 404, "error": "Not Found"}), None),
        (reply(200, b"<html>Sign in to the Wi-Fi</html>"), None),
        (reply(500), None),
        (reply(429), None),
        (reply(302, b"", Location="https://elsewhere.example"), None),
    ],
)
def test_whether_the_api_key_is_accepted(server: Server, account: Account, answer: bytes, accepted: bool) -> None:
    server.answer_with(answer)
    assert account.accepts_api_key() is accepted
    assert server.requests[0].target == "/api/platforms?id=-"
    assert server.requests[0].headers["authorization"] == f"Bearer {API_KEY}"


def test_nobody_there_is_no_verdict_on_the_api_key() -> None:
    assert Account(Endpoint("http://127.0.0.1:1"), ApiKeyAuth(API_KEY)).accepts_api_key() is None


def test_platforms_are_listed(server: Server, account: Account) -> None:
    platform = {"id": 1, "url": "https://lms.org", "clientId": "c", "name": "LMS", "active": True, "publicKey": "k"}
    server.answer_with(reply(200, {"platforms": [platform, {"id": "2"}]}))
    first, second = account.platforms(issuer="https://lms.org", client_id="c d")
    assert (first.ltiaas_id, first.issuer, first.client_id, first.name, first.is_active) == (
        "1",
        "https://lms.org",
        "c",
        "LMS",
        True,
    )
    assert (second.ltiaas_id, second.is_active) == ("2", None)
    assert query(server.requests[0]) == [("url", "https://lms.org"), ("clientId", "c d")]


# --- against the sandbox, which was written from the contract alone -------------------------------------------------


@pytest.fixture
def lms() -> Iterator[tuple[Sandbox, Endpoint]]:
    sandbox = Sandbox(api_key=API_KEY, tool_url="http://127.0.0.1:8000/lti/launch/")
    with SandboxServer(sandbox) as server:
        yield sandbox, Endpoint(server.url, deadline=10)


@pytest.fixture
def launch(lms: tuple[Sandbox, Endpoint]) -> LtiaasLaunchConnection:
    sandbox, endpoint = lms
    return LtiaasLaunchConnection(endpoint, LtikAuth(API_KEY, sandbox.launch("course-101", "quiz-1", "2001")))


@pytest.fixture
def services(lms: tuple[Sandbox, Endpoint], launch: LtiaasLaunchConnection) -> LtiaasServiceConnection:
    return LtiaasServiceConnection(lms[1], ServiceKeyAuth(API_KEY, launch.id_token().services.service_key))


def test_the_sandbox_s_launch_is_understood(launch: LtiaasLaunchConnection) -> None:
    token = launch.id_token()
    assert token.user.lti_id == "2001"
    assert is_learner(token.user.roles)
    assert token.launch.type is LaunchType.RESOURCE_LINK
    assert token.launch.context is not None
    assert token.services.offers_roster
    assert token.services.offers_grades
    assert launch.raw_id_token()


def test_a_whole_life_of_a_column_in_the_sandbox(services: LtiaasServiceConnection) -> None:
    made = services.create_line_item(
        data.LineItem(label="Übung 1", score_maximum=Decimal("12.5"), resource_id="r/1?x", tag="a b&c")
    )
    assert [item.lti_id for item in services.line_items(resource_id="r/1?x", tag="a b&c")] == [made.lti_id]
    assert services.line_item(made.lti_id) == made
    score = data.Score(
        user_id="2001", given=Decimal("8.25"), maximum=Decimal("12.5"), comment="Gut, Zoë", timestamp=datetime.now(UTC)
    )
    services.send_score(made.lti_id, score)
    (result,) = services.results(made.lti_id, user_id="2001")
    assert (result.user_id, result.score, result.maximum) == ("2001", Decimal("8.25"), Decimal("12.5"))
    services.delete_line_item(made.lti_id)
    with pytest.raises(exceptions.NotFound) as caught:
        services.send_score(made.lti_id, score)
    assert caught.value.origin == "lms"


def test_the_sandbox_s_roster_is_the_same_in_small_and_large_pages(services: LtiaasServiceConnection) -> None:
    small, large = ([*services.members(page_size=size)] for size in (2, 50))
    assert len(small) > len(large)
    assert [member for page in small for member in page] == [member for page in large for member in page]


def test_the_sandbox_refuses_what_it_does_not_know(lms: tuple[Sandbox, Endpoint]) -> None:
    refused: Any
    for refused in (
        LtiaasLaunchConnection(lms[1], LtikAuth(API_KEY, "unknown-ltik")).id_token,
        LtiaasServiceConnection(lms[1], ServiceKeyAuth(API_KEY, "unknown-key")).members().__next__,
        Account(lms[1], ApiKeyAuth("unknown-api-key")).platforms,
    ):
        with pytest.raises(exceptions.Refused) as caught:
            refused()
        assert caught.value.origin == "ltiaas"
    assert Account(lms[1], ApiKeyAuth(API_KEY)).accepts_api_key() is True
    assert Account(lms[1], ApiKeyAuth("unknown-api-key")).accepts_api_key() is False
