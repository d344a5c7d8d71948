"""Which error an answer stands for: by what its body says first, by its status only then.

LTIAAS passes on the LMS's status and text, so the same 403 may mean "slow down" (Canvas), "this person cannot be
graded" (Brightspace), "that column is gone" (Moodle) or "your key is not accepted" (LTIAAS). Pure, no network.
"""

from __future__ import annotations

import dataclasses
import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ltiaas_django import exceptions
from ltiaas_django.redaction import redact


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One named case: this text under one of these statuses is that error."""

    said_by: str
    statuses: frozenset[int]
    text: str
    """Lower case; a part of the answer's texts."""
    kind: type[exceptions.ApiError]


def _rule(said_by: str, statuses: set[int], text: str, kind: type[exceptions.ApiError]) -> Rule:
    return Rule(said_by, frozenset(statuses), text, kind)


# The first that fits counts. Sources: the LMS's own code or forum where named, LTIAAS's reference for its codes.
RULES: Final = (
    # canvas-lms, app/middleware/request_throttle.rb: text/plain, no Retry-After, no 429
    _rule("Canvas", {403}, "rate limit exceeded", exceptions.Throttled),
    # canvas-lms, lti/ims/scores_controller.rb: also teachers, people who left, and everybody in an unpublished course
    _rule("Canvas", {422}, "user not found in course or is not a student", exceptions.PersonNotGradable),
    # moodle, mod/lti/service/gradebookservices, scores.php: teacher, administrator, not enrolled
    _rule("Moodle", {400}, "incorrect score received", exceptions.PersonNotGradable),
    # docs.anthology.com, Assignment and Grade Services
    _rule("Blackboard", {400}, "user could not be found", exceptions.PersonNotGradable),
    # community.d2l.com 23661, 23752 and 23756
    _rule("Brightspace", {403}, "not enrolled in the org unit", exceptions.PersonNotGradable),
    _rule("Brightspace", {404}, "user in requested score does not exist", exceptions.PersonNotGradable),
    _rule("Brightspace", {422}, "can be graded", exceptions.PersonNotGradable),
    _rule("Brightspace", {422}, "gradable", exceptions.PersonNotGradable),
    # sakai, LTI13Servlet.java: 400 for nearly everything
    _rule("Sakai", {400}, "user does not belong to site", exceptions.PersonNotGradable),
    # canvas-lms, lti/ims/scores_controller.rb; sakai, LTI13Servlet.java; moodle, mod/lti/service/gradebookservices
    _rule("Canvas", {400, 403, 422}, "this course has concluded", exceptions.CourseConcluded),
    _rule("Canvas", {404}, "context not found", exceptions.CourseConcluded),
    _rule("Sakai", {400}, "could not load site", exceptions.CourseConcluded),
    _rule("Moodle", {404}, "not found: course", exceptions.CourseConcluded),
    # moodle, mod/lti/service/gradebookservices: a column that is gone, or another tool's
    _rule("Moodle", {403}, "line item does not exist", exceptions.NotFound),
    # sakai, LTI13Servlet.java: of a column it says 404 when it is read, and 400 like of all else when a score comes
    _rule("Sakai", {400}, "could not load column", exceptions.NotFound),
    _rule("Sakai", {400}, "could not load line item", exceptions.NotFound),
    # moodle, scores.php; canvas-lms, scores_controller.rb (an equal time is fine there)
    _rule("Moodle", {400, 409}, "earlier timestamp", exceptions.Superseded),
    _rule("Canvas", {400}, "before last updated timestamp", exceptions.Superseded),
    # LTIAAS's codes of authority; the status of the middle ones is not documented
    _rule("LTIAAS", {400, 401, 403}, "_authorization_header", exceptions.Refused),
    _rule("LTIAAS", {400, 401, 403, 404}, "inactive_service", exceptions.Refused),
    _rule("LTIAAS", {400, 401, 403, 404}, "service_not_available_for_context", exceptions.Refused),
    _rule("LTIAAS", {400, 401, 403}, "unregistered_or_inactive_platform", exceptions.Refused),
    # canvas-lms, lti/ims/concerns/advantage_services.rb: the tool was removed from the course
    _rule("Canvas", {401, 403}, "access token not linked", exceptions.Refused),
    _rule("Moodle", {403}, "not allowed in context", exceptions.Refused),
    _rule("Sakai", {400, 403}, "signature_error", exceptions.Refused),
    _rule("Sakai", {400, 403}, "invalid_authorization", exceptions.Refused),
    _rule("Sakai", {400, 403}, "not in access token", exceptions.Refused),
    # RFC 6749, section 5.2 and RFC 6750, section 3.1: the LMS gives LTIAAS no token, or one without the scope
    _rule("any LMS", {400, 403}, "invalid_client", exceptions.Refused),
    _rule("any LMS", {400, 403}, "invalid_token", exceptions.Refused),
    _rule("any LMS", {400, 403}, "invalid_scope", exceptions.Refused),
    _rule("any LMS", {400, 403}, "insufficient_scope", exceptions.Refused),
    _rule("any LMS", {403}, "scope", exceptions.Refused),
)

_TRANSIENT_4XX: Final = frozenset({408, 425})  # request time-out, too early: the server asks for another try


def classify(
    asked: str, status: int, headers: Mapping[str, str], body: str, *, hide: Callable[[str], str] = redact
) -> exceptions.ApiError:
    """The error that a status of 400 or more stands for; `hide` takes secrets out of what becomes its detail."""
    answer = _read(body)
    detail = answer.detail(hide)
    kind = _kind(status, answer)
    if kind is exceptions.Throttled:
        return exceptions.Throttled(
            asked, detail, status_code=status, origin=answer.origin, retry_after=parse_retry_after(headers)
        )
    return kind(asked, detail, status_code=status, origin=answer.origin)


def _kind(status: int, answer: _Answer) -> type[exceptions.ApiError]:
    if status == 429:
        return exceptions.Throttled
    said = " ".join(answer.texts).lower()
    for rule in RULES:
        if status in rule.statuses and rule.text in said:
            return rule.kind
    if status >= 500 or status in _TRANSIENT_4XX:
        return exceptions.ServerError
    if status == 401 or (status == 403 and answer.is_ltiaas_error and answer.origin == "ltiaas"):
        return exceptions.Refused
    if status == 404 and not answer.is_html:
        # A 404 page in HTML comes from a gateway or from a path nobody serves; it says nothing about the line item.
        return exceptions.NotFound
    return exceptions.Superseded if status == 409 else exceptions.InvalidRequest


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds to hold back (RFC 9110, section 10.2.3: a number or a date), at most a day; None if it does not say."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return min(float(value), _LONGEST_PAUSE)
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(moment - now(), 0.0), _LONGEST_PAUSE)


_LONGEST_PAUSE: Final = 86_400.0


# Which members of an error body hold texts for people or codes. Everything else may echo what we sent, personal data
# included, and is left out.
_TEXT_MEMBERS: Final = frozenset(
    {
        *("error", "errors", "errorcode", "error_description", "errordescription", "code", "type", "reason"),
        *("message", "messages", "msg", "developermessage", "description", "title", "detail", "details"),
        "bodyreceived",
    }
)
_MAX_DEPTH: Final = 8
_MAX_TEXTS: Final = 12
_LONGEST_TEXT: Final = 1000
_LONGEST_PAGE: Final = 4000  # enough for the head of a gateway's page; removing tags costs the square of it
# Begins only where a word begins, or a long text without spaces would cost the square of its length.
_EMAIL: Final = re.compile(r"(?:^|(?<=[\s\"'<>@,;:]))[^\s\"'<>@,;:]+@[^\s\"'<>@,;]+")
_TAGS: Final = re.compile(r"<(style|script|title)\b[^>]*>.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """What an error body says, whoever wrote it."""

    origin: exceptions.Origin
    texts: tuple[str, ...]
    is_ltiaas_error: bool = False
    is_html: bool = False

    def detail(self, hide: Callable[[str], str]) -> str:
        """The texts for an operator, without secrets and e-mail addresses; a text that repeats is said once."""
        # Secrets are hidden before anything is cut, or half of one might stay, and again in the whole.
        texts = (_EMAIL.sub("[address]", hide(text)[:_LONGEST_TEXT]) for text in dict.fromkeys(self.texts))
        return hide(": ".join(texts)[: 2 * _LONGEST_TEXT])


def _read(body: str) -> _Answer:
    """LTIAAS's error object, an LMS's JSON, a gateway's HTML page, or plain text (an LMS's: LTIAAS never sends it)."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = body
    if isinstance(said, dict) and isinstance(said.get("error"), str) and "status" in said:
        details = said.get("details")
        external = isinstance(details, dict) and (details.get("externalError") is True or "bodyReceived" in details)
        return _Answer("lms" if external else "ltiaas", _texts(_ordered(said)), is_ltiaas_error=True)
    if not isinstance(said, str):
        return _Answer("lms", _texts(said))
    if said.lstrip("\ufeff \t\r\n").startswith("<"):
        return _Answer("network", _texts(_TAGS.sub(" ", said[:_LONGEST_PAGE])), is_html=True)
    return _Answer("lms" if said.strip() else "ltiaas", _texts(said))


def _ordered(said: dict[str, Any]) -> list[object]:
    """LTIAAS's error with what the LMS said first: that is what an operator needs of it."""
    details = said.get("details")
    if not isinstance(details, dict):
        return [said.get("error"), details]
    rest = {name: value for name, value in details.items() if name not in ("bodyReceived", "description", "message")}
    return [details.get("bodyReceived"), details.get("description"), details.get("message"), rest, said["error"]]


def _texts(said: object) -> tuple[str, ...]:
    found: list[str] = []
    for text in _walk(said, 0):
        text = " ".join(text.split())
        if text:
            found.append(text)
        if len(found) == _MAX_TEXTS:
            break
    return tuple(found)


def _walk(said: object, depth: int) -> Iterator[str]:
    """The texts of an answer, from the members that may hold one."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(said, str):
        yield from _walk_text(said, depth)
    elif isinstance(said, list):
        for item in said:
            yield from _walk(item, depth + 1)
    elif isinstance(said, dict):
        for name, value in said.items():
            if name.lower() in _TEXT_MEMBERS:
                yield from _walk(value, depth + 1)


def _walk_text(text: str, depth: int) -> Iterator[str]:
    """A text, or the texts of the JSON in it; `bodyReceived` may be either."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _walk(json.loads(text), depth + 1)
            return
        except (ValueError, RecursionError):
            pass
    # Moodle says "Incorrect score received" and appends the score as we sent it, with the comment on a person.
    yield text.partition("{")[0]
