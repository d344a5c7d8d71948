"""Answer a deep linking launch: what the LMS takes, and the form that hands the chosen items to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions, sealing
from ltiaas_django.conf import settings
from ltiaas_django.connections.base import LaunchConnection
from ltiaas_django.content_items import Answer, ContentItem, Limits
from ltiaas_django.models import Launch
from ltiaas_django.operations import connecting, explaining

Got = TypeVar("Got")


def limits(launch: Launch) -> Limits:
    """What the LMS takes from this deep linking launch (Deep Linking 2.0, section 4.4.1).

    Raises InvalidLaunch for a launch that asked for no content.
    """
    _check_type(launch)
    said: Mapping[str, Any] = launch.deep_linking
    members: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Limits(**members)


def compose(launch: Launch, items: Iterable[ContentItem], *, message: str = "", log: str = "") -> Answer:
    """The answer with these items. Raises ContentNotAccepted if the LMS would not take them."""
    answer = Answer(items=tuple(items), message=message, log=log)
    limits(launch).check(answer.items)
    return answer


def fetch_form(launch: Launch, answer: Answer) -> str:
    """LTIAAS's HTML for a page: a form that hands the answer to the LMS.

    Raises LaunchExpired, LaunchUnavailable or ContentNotAccepted, in words for the person.
    """
    return _ask(launch, lambda connection: connection.deep_linking_form(answer, deadline=settings.LAUNCH_DEADLINE))


def fetch_message(launch: Launch, answer: Answer) -> data.DeepLinkingMessage:
    """The parts of that form, for a tool that posts it by itself. Raises as `fetch_form`."""
    return _ask(launch, lambda connection: connection.deep_linking_message(answer, deadline=settings.LAUNCH_DEADLINE))


def _ask(launch: Launch, ask: Callable[[LaunchConnection], Got]) -> Got:
    _check_type(launch)
    try:
        with explaining.in_words_for_the_person(), _open(launch) as connection:
            return _ask_for_content(connection, ask)
    except exceptions.ConfigurationError as error:
        raise exceptions.LaunchUnavailable(
            _("This tool is not set up correctly. Please tell the people who run it.")
        ) from error


def _open(launch: Launch) -> LaunchConnection:
    """The ltik stays in this frame: those that an error passes through are shown in reports."""
    try:
        return connecting.open_new_launch(sealing.unseal(launch.ltik_sealed))
    except exceptions.SealError as error:
        raise exceptions.LaunchExpired(
            _("This launch cannot be answered any more. Please open the tool from your course again.")
        ) from error


def _ask_for_content(connection: LaunchConnection, ask: Callable[[LaunchConnection], Got]) -> Got:
    try:
        return ask(connection)
    except exceptions.InvalidRequest as error:
        raise exceptions.ContentNotAccepted(
            _("Your learning platform did not take what was chosen. Nothing was added to the course.")
        ) from error


def _check_type(launch: Launch) -> None:
    if launch.type != Launch.Type.DEEP_LINKING:
        raise exceptions.InvalidLaunch(_("This launch did not ask for content."))
