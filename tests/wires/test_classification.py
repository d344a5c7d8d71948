"""What an error answer stands for, by what its body says: a table of what LTIAAS and LMSs have been seen to answer."""

from __future__ import annotations

import email.utils
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas.auth import LtikAuth
from ltiaas_django.connections.ltiaas.classification import classify, parse_retry_after

E = exceptions


def own(status: int, message: str = "", description: str = "") -> str:
    """An error of LTIAAS's own."""
    return json.dumps({"status": status, "error": "E", "details": {"message": message, "description": description}})


def wrapped(status: int, received: object, **more: object) -> str:
    """What the LMS said, wrapped by LTIAAS."""
    details = {"message": "PLATFORM_REQUEST_FAILED", "externalError": True, "bodyReceived": received, **more}
    return json.dumps({"status": status, "error": "E", "details": details})


CANVAS_NO_STUDENT = {
    "errors": {"type": "unprocessable_entity", "message": "User not found in course or is not a student"}
}
EXPIRED = own(401, "INVALID_LTIK_AUTH_AUTHORIZATION_HEADER", "Invalid or expired ltik.")
EARLIER = "Refusing score with an earlier timestamp for item 7 and user 12"
OLDER = "Provided timestamp of 2026-01-01 before last updated timestamp of 2026-01-02"
PAGE = "<html><head><title>403</title></head><body><h1>Rate Limit Exceeded?</h1></body></html>"

CASES = [
    # status, body, error, origin
    (403, "403 Forbidden (Rate Limit Exceeded)\n", E.Throttled, "lms"),
    (403, wrapped(403, "403 Forbidden (Rate Limit Exceeded)\n"), E.Throttled, "lms"),
    (429, "", E.Throttled, "ltiaas"),
    (429, wrapped(429, ""), E.Throttled, "lms"),
    (429, "<html>slow down", E.Throttled, "network"),
    (401, EXPIRED, E.Refused, "ltiaas"),
    (401, wrapped(401, {"errors": [{"message": "Invalid Developer Key"}]}), E.Refused, "lms"),
    (401, "Unauthorized", E.Refused, "lms"),
    (403, own(403, "INACTIVE_SERVICE"), E.Refused, "ltiaas"),
    (400, own(400, "SERVICE_NOT_AVAILABLE_FOR_CONTEXT"), E.Refused, "ltiaas"),
    (403, own(403, "SOMETHING_NEW"), E.Refused, "ltiaas"),
    (400, own(400, "UNREGISTERED_OR_INACTIVE_PLATFORM"), E.Refused, "ltiaas"),
    (403, wrapped(403, "Access Token not linked to a Tool associated with this Context"), E.Refused, "lms"),
    (403, wrapped(403, "signature_error"), E.Refused, "lms"),
    (403, wrapped(403, "invalid_authorization"), E.Refused, "lms"),
    (400, wrapped(400, "Scope score not in access token"), E.Refused, "lms"),
    (403, wrapped(403, {"error": "insufficient_scope"}), E.Refused, "lms"),
    (403, wrapped(403, "Not allowed in context"), E.Refused, "lms"),
    (403, wrapped(403, "requirement failed: Invalid grade: 2.0"), E.InvalidRequest, "lms"),
    (403, wrapped(403, ""), E.InvalidRequest, "lms"),
    (403, json.dumps({"message": "no"}), E.InvalidRequest, "lms"),
    (403, PAGE.replace("Rate", "No"), E.InvalidRequest, "network"),
    (403, "", E.InvalidRequest, "ltiaas"),
    (422, wrapped(422, CANVAS_NO_STUDENT), E.PersonNotGradable, "lms"),
    (422, wrapped(422, json.dumps(CANVAS_NO_STUDENT)), E.PersonNotGradable, "lms"),
    (422, json.dumps(CANVAS_NO_STUDENT), E.PersonNotGradable, "lms"),
    (400, wrapped(400, "Incorrect score received{...}"), E.PersonNotGradable, "lms"),
    (400, wrapped(400, {"status": 400, "message": "User could not be found: "}), E.PersonNotGradable, "lms"),
    (403, wrapped(403, "User in requested score is not enrolled in the org unit"), E.PersonNotGradable, "lms"),
    (404, wrapped(404, "User in requested score does not exist"), E.PersonNotGradable, "lms"),
    (422, wrapped(422, 'The role is not "Can be graded in Grades"'), E.PersonNotGradable, "lms"),
    (400, wrapped(400, "User does not belong to site"), E.PersonNotGradable, "lms"),
    (422, wrapped(422, "This course has concluded. AGS requests are no longer accepted."), E.CourseConcluded, "lms"),
    (404, wrapped(404, "Context not found"), E.CourseConcluded, "lms"),
    (404, wrapped(404, "Not Found: Course 5 doesn't exist"), E.CourseConcluded, "lms"),
    (400, wrapped(400, "Could not load site associated with content"), E.CourseConcluded, "lms"),
    (422, wrapped(422, "ScoreMaximum not supplied when ScoreGiven present."), E.InvalidRequest, "lms"),
    (404, wrapped(404, "The specified resource does not exist."), E.NotFound, "lms"),
    (404, wrapped(404, "Not Found: Grade item 7 doesn't exist."), E.NotFound, "lms"),
    (403, wrapped(403, "Line item does not exist."), E.NotFound, "lms"),
    (400, wrapped(400, "Could not load column"), E.NotFound, "lms"),
    (400, wrapped(400, "Could not load line item"), E.NotFound, "lms"),
    (404, own(404, "NOT_FOUND"), E.NotFound, "ltiaas"),
    (404, "<pre>Cannot GET /api/x</pre>", E.InvalidRequest, "network"),
    (409, wrapped(409, EARLIER), E.Superseded, "lms"),
    (409, wrapped(409, ""), E.Superseded, "lms"),
    (400, wrapped(400, OLDER), E.Superseded, "lms"),
    (412, wrapped(412, "Tool does not have permission to view line_item"), E.InvalidRequest, "lms"),
    (400, own(400, "MISSING_SCORE"), E.InvalidRequest, "ltiaas"),
    (418, "", E.InvalidRequest, "ltiaas"),
    (408, "", E.ServerError, "ltiaas"),
    (500, own(500), E.ServerError, "ltiaas"),
    (500, wrapped(500, "Exception - Object of class stdClass could not be converted"), E.ServerError, "lms"),
    (502, "<html><center>nginx</center></html>", E.ServerError, "network"),
    (504, "", E.ServerError, "ltiaas"),
    (503, "[]", E.ServerError, "lms"),
    (500, "null", E.ServerError, "lms"),
    (400, "[" * 100_000, E.InvalidRequest, "lms"),
]


@pytest.mark.parametrize(("status", "body", "kind", "origin"), CASES)
def test_the_body_says_what_the_status_means(status: int, body: str, kind: type[E.ApiError], origin: str) -> None:
    error = classify("POST score", status, {}, body)
    assert type(error) is kind
    assert error.origin == origin
    assert error.status_code == status
    assert error.asked == "POST score"


def test_a_throttled_answer_is_no_matter_of_authority() -> None:
    """The mistake that other clients make: taking every 403 for a refused key."""
    for body in (
        "403 Forbidden (Rate Limit Exceeded)",
        wrapped(403, "Rate Limit Exceeded"),
        own(403, "Rate limit exceeded"),
    ):
        assert type(classify("POST score", 403, {}, body)) is E.Throttled


def test_the_detail_says_what_the_lms_said_before_what_ltiaas_says_of_it() -> None:
    error = classify("POST score", 422, {}, wrapped(422, CANVAS_NO_STUDENT))
    assert "User not found in course or is not a student" in error.detail
    assert error.detail.index("User not found") < error.detail.index("PLATFORM_REQUEST_FAILED")
    assert str(error).startswith("POST score: The LMS said 422 ")


def test_the_detail_of_a_page_is_its_text() -> None:
    error = classify(
        "GET roster", 502, {}, "<html><style>p {x: y}</style><body><h1>Bad  Gateway</h1>\n<p>nginx</body></html>"
    )
    assert error.detail == "Bad Gateway nginx"


@pytest.mark.parametrize(
    "received",
    [
        {"message": "Wrong", "userName": "Ada Lovelace", "data": {"comment": "Ada Lovelace"}},
        'Incorrect score received{"userId": "7", "comment": "Ada Lovelace"}',
        {"errors": [{"message": "Wrong", "value": "Ada Lovelace"}]},
        "No such person: ada.lovelace@example.org",
    ],
)
def test_what_an_lms_echoes_of_a_person_stays_out(received: object) -> None:
    sent = {"userId": "7", "comment": "Ada Lovelace, well done"}
    error = classify("POST score", 400, {}, wrapped(400, received, bodySent=sent))
    assert "Lovelace" not in repr(error)
    assert "lovelace" not in repr(error)
    assert error.detail


def test_a_comment_that_we_sent_does_not_decide() -> None:
    sent = {"comment": "rate limit exceeded"}
    assert type(classify("POST score", 403, {}, wrapped(403, "No.", bodySent=sent))) is E.InvalidRequest
    assert type(classify("POST score", 403, {}, wrapped(403, {"message": "No.", **sent}))) is E.InvalidRequest


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 1.5 ", 1.5),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("1e5", None),
        ("999999999", 86_400.0),
        ("9" * 400, None),
        (email.utils.formatdate(1_000_060, usegmt=True), 60.0),
        (email.utils.formatdate(999_000, usegmt=True), 0.0),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert parse_retry_after({"retry-after": value}, now=lambda: 1_000_000.0) == seconds


def test_a_throttled_error_carries_its_retry_after() -> None:
    error = classify("GET roster", 429, {"Retry-After": "7"}, "")
    assert isinstance(error, E.Throttled)
    assert error.retry_after == 7.0
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    error = classify("GET roster", 403, {"Retry-After": date}, "Rate Limit Exceeded")
    assert isinstance(error, E.Throttled)
    assert error.retry_after == pytest.approx(30, abs=3)


@pytest.mark.parametrize(
    "body",
    [
        "x" * 2_000_000,
        "<" * 2_000_000,
        "<style>" * 300_000,
        "eyJ" * 600_000,
        "a@" * 900_000,
        '{"a":' * 300_000,
        "[" * 900_000,
    ],
)
def test_an_endless_error_costs_little(body: str) -> None:
    started = time.process_time()
    classify("POST score", 400, {}, body)
    classify("POST score", 400, {}, wrapped(400, body))
    assert time.process_time() - started < 2  # some 0.2 s; the square of the length would be hours


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(["message", "description", "bodyReceived", "bodySent", "errors", "error", "code", "comment"])


@given(st.integers(400, 599), st.text() | JSON.map(json.dumps), st.dictionaries(st.text(), st.text(), max_size=3))
def test_any_answer_becomes_some_error(status: int, body: str, headers: dict[str, str]) -> None:
    error = classify("POST score", status, headers, body)
    assert isinstance(error, E.ApiError)
    assert len(error.detail) <= 400


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@given(
    secret=SECRETS,
    status=st.integers(400, 599),
    name=NAMES,
    shape=st.sampled_from(["{}", "x {} y", '{{"message": "{}"}}', "<p>{}</p>", "key={}&", "{{{}}}"]),
    nested=st.booleans(),
)
def test_no_error_shows_a_secret_that_the_answer_echoes(
    secret: str, status: int, name: str, shape: str, nested: bool
) -> None:
    auth = LtikAuth(secret, secret[::-1] + "-ltik")
    text = shape.format(secret)
    body = json.dumps({"status": status, "error": text, "details": {name: text}}) if nested else text
    error = classify("POST score", status, {}, body, hide=auth.hide)
    for shown in (str(error), repr(error), repr(error.args), repr(error.__dict__)):
        assert secret not in shown
