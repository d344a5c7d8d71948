"""In process the client meets what it meets over a socket."""

from __future__ import annotations

import pytest

from ltiaas_django import exceptions
from ltiaas_django.connections.ltiaas import transport
from ltiaas_django.models import ServiceKey
from ltiaas_django.operations import connecting
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.testing import serving

pytestmark = pytest.mark.urls("example_project.urls")


@pytest.fixture(params=["socket", "in_process"])
def lms(request):
    request.node.add_marker(pytest.mark.lti_sandbox(transport=request.param))
    return request.getfixturevalue("lti_lms")


@pytest.mark.parametrize(
    ("failure", "error", "reason"),
    [
        ("drop_before", exceptions.OutcomeUnknown, "RemoteDisconnected"),
        ("drop_after", exceptions.OutcomeUnknown, "RemoteDisconnected"),
        ("cut", exceptions.OutcomeUnknown, "IncompleteRead"),
        ("hang", exceptions.OutcomeUnknown, "No whole answer in time"),
        ("gateway", exceptions.ServerError, "502"),
        ("refused_key", exceptions.Refused, "401"),
    ],
)
def test_failures_are_the_same(lms, failure, error, reason, db, settings):
    if failure == "hang":  # else it would last as long as a call may
        settings.LTIAAS = {**settings.LTIAAS, "CALL_DEADLINE": 0.5}
    lms.launch()
    lms.fail(failure, "memberships", times=None)
    key = ServiceKey.objects.get()
    with connecting.open_with_key(key) as connection, pytest.raises(error, match=reason):
        list(connection.members())


def test_a_whole_list_arrives_page_by_page(lms, db):
    lms.sandbox.profile.page_size = 2
    lms.launch()
    with connecting.open_with_key(ServiceKey.objects.get()) as connection:
        assert [len(page) for page in connection.members()] == [2, 2, 2, 1]
    assert not lms.sandbox.warnings


def test_a_served_sandbox_leaves_no_connection_behind(settings):
    """A suite of thousands of tests would have more of them than a process may."""
    sandbox = Sandbox(api_key="key")
    with serving.serving(sandbox, "socket") as url:
        settings.LTIAAS = {"URL": url, "API_KEY": "key"}
        assert connecting.account().accepts_api_key()
        assert transport._pools
    assert not transport._pools


def test_a_function_answers_for_as_long_as_it_stands_in(lti_lms):
    account = connecting.account()
    assert account.accepts_api_key()
    with connecting.answered_by(lti_lms.url, lambda *request: (503, {}, b"")):
        assert account.accepts_api_key() is None  # it cannot be known
    assert account.accepts_api_key()
