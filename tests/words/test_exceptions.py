"""Errors are data for machines and a sentence for people; they cross process borders whole, and hold no secret."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured

from ltiaas_django import exceptions

SECRET = "s3cr3t-Value_0123456789"


def below(kind: type[exceptions.LtiError]) -> Iterator[type[exceptions.LtiError]]:
    """The class itself and every class of the module below it."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == exceptions.__name__:
            yield from below(child)


API_ERRORS = list(below(exceptions.ApiError))
ALL = list(dict.fromkeys(below(exceptions.LtiError)))


@pytest.mark.parametrize("kind", API_ERRORS)
def test_every_api_error_survives_pickling_with_all_it_says(kind: type[exceptions.ApiError]) -> None:
    """Celery's prefork workers and result backends pickle what a task raises; one that cannot be is a hung worker."""
    error = kind("POST score", "no such person", status_code=422, origin="lms")
    error.add_note("a note")
    extra = {"retry_after": 12.5} if kind is exceptions.Throttled else {}
    error.__dict__.update(extra)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301
        assert type(twin) is kind
        assert twin.__dict__ == error.__dict__
        assert (twin.asked, twin.detail, twin.status_code, twin.origin) == (
            "POST score", "no such person", 422, "lms",
        )  # fmt: skip
        assert str(twin) == str(error)
        assert twin.args == error.args
        assert (twin.code, twin.retryable) == (error.code, error.retryable)


def test_a_throttle_keeps_its_retry_after() -> None:
    error = exceptions.Throttled("POST score", "slow down", status_code=429, retry_after=12.5)
    assert pickle.loads(pickle.dumps(error)).retry_after == 12.5  # noqa: S301
    assert copy.copy(error).retry_after == 12.5
    assert exceptions.Throttled("POST score").retry_after is None


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind not in API_ERRORS])
def test_every_other_error_survives_pickling(kind: type[exceptions.LtiError]) -> None:
    twin = pickle.loads(pickle.dumps(kind("A sentence.")))  # noqa: S301
    assert type(twin) is kind
    assert str(twin) == "A sentence."


def test_the_tree_is_the_one_that_is_drawn() -> None:
    drawn = re.findall(r"^([│├└─ ]*)(\w+) ", str(exceptions.__doc__).partition("\n\n")[2], re.MULTILINE)
    drawn = [(len(branch) // 4, name) for branch, name in drawn if name in vars(exceptions)]

    def draw(kind: type[exceptions.LtiError], depth: int = 0) -> Iterator[tuple[int, str]]:
        yield depth, kind.__name__
        for child in kind.__subclasses__():
            if child.__module__ == exceptions.__name__:
                yield from draw(child, depth + 1)

    assert drawn == list(draw(exceptions.LtiError))


def test_what_is_raised_here_is_an_lti_error() -> None:
    for _name, kind in inspect.getmembers(exceptions, inspect.isclass):
        if kind.__module__ == exceptions.__name__:
            assert issubclass(kind, exceptions.LtiError)


def test_django_and_python_know_some_of_them() -> None:
    assert issubclass(exceptions.ConfigurationError, ImproperlyConfigured)
    assert issubclass(exceptions.UnknownPerson, LookupError)


@pytest.mark.parametrize("kind", API_ERRORS)
def test_no_api_error_holds_a_credential(kind: type[exceptions.ApiError]) -> None:
    error = kind("GET idtoken", f'{{"serviceKey": "{SECRET}"}} LTIK-AUTH-V2 {SECRET}:{SECRET} ?ltik={SECRET}')
    assert SECRET not in f"{error} {error!r} {error.args} {error.__dict__}"
    assert "[hidden]" in str(error)


def test_a_credential_at_the_cut_is_hidden_before_it_is_cut() -> None:
    for padding in range(360, 400):
        error = exceptions.ServerError("GET idtoken", "x" * padding + f" ?ltik={SECRET}")
        assert len(error.detail) <= 400
        assert "s3cr3t" not in error.detail


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            exceptions.Refused("POST score", "bad key", status_code=401),
            "POST score: LTIAAS said 401 bad key",
        ),
        (
            exceptions.NotFound("GET line item", "gone", status_code=404, origin="lms"),
            "GET line item: The LMS said 404 gone",
        ),
        (
            exceptions.Unreachable("GET idtoken", "no route", origin="network"),
            "GET idtoken: The network or a gateway said no route",
        ),
        (exceptions.ServerError("GET idtoken", status_code=502), "GET idtoken: LTIAAS said 502 (nothing)"),
    ],
)
def test_the_sentence_says_what_was_asked_and_who_said_what(error: exceptions.ApiError, sentence: str) -> None:
    assert str(error) == sentence


def test_what_may_be_tried_again() -> None:
    assert {kind.__name__ for kind in API_ERRORS if kind.retryable} == {
        "Unreachable", "OutcomeUnknown", "Throttled", "ServerError",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (exceptions.PersonNotGradable, "person_not_gradable"),
        (exceptions.Throttled, "throttled"),
        (exceptions.OutcomeUnknown, "outcome_unknown"),
    ],
)
def test_codes_for_rows_and_metrics(kind: type[exceptions.ApiError], code: str) -> None:
    """`person_not_gradable` is looked up in the database: it is part of the interface."""
    assert kind("POST score").code == code


def test_codes_fit_their_column_and_differ() -> None:
    codes = [kind("POST score").code for kind in API_ERRORS]
    assert len(set(codes)) == len(codes)
    assert all(len(code) <= 64 for code in codes)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (exceptions.InvalidLaunch, 400),
        (exceptions.LaunchExpired, 403),
        (exceptions.LaunchReplayed, 403),
        (exceptions.SsoRefused, 403),
        (exceptions.LaunchUnavailable, 503),
    ],
)
def test_launch_errors_have_a_status_that_is_no_500(kind: type[exceptions.LaunchError], status: int) -> None:
    assert kind("A sentence.").status_code == status
