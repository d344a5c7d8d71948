"""Dynamic registration with pre-approval (LTI Dynamic Registration 1.0): an LMS asks, a person of ours decides.

The LMS's words come from whoever has our registration link. They are shown, and never fetched or followed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence

from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions
from ltiaas_django.models import Platform
from ltiaas_django.operations import connecting, platforms

logger = logging.getLogger(__name__)

_REGISTRATION_ID = re.compile(r"[\x21-\x7e]{1,1024}")  # opaque to us; visible ASCII, as every id in a URL


class Closed(exceptions.LtiError):
    """LTIAAS has no such registration that waits: it was completed before, ran out, or never was."""


def fetch(registration_id: str) -> data.RegistrationRequest:
    """What the LMS says of itself. Raises Closed, or ApiError subclasses."""
    _check(registration_id)
    try:
        return connecting.account().registration(registration_id)
    except exceptions.ApiError as error:
        raise _closed_or(error) from None


def approve(
    registration_id: str,
    request: data.RegistrationRequest,
    *,
    name: str,
    activate: bool,
    messages: Sequence[data.RegistrationMessage],
) -> tuple[Platform, str]:
    """Approve it; returns the platform's row, and LTIAAS's HTML that closes the LMS's window.

    Raises Closed (nothing is changed then), or ApiError subclasses.
    """
    _check(registration_id)
    try:
        approved = connecting.account().complete_registration(
            registration_id, name=name, activate=activate, messages=messages
        )
    except exceptions.ApiError as error:
        raise _closed_or(error) from None
    texts = {
        "name": name,
        "issuer": request.issuer,
        "product_family": request.product_family,
        "version": request.version,
    }
    said = {name: text for name, text in texts.items() if text}
    platform = platforms.record(approved.ltiaas_id, {**said, "active_at_ltiaas": activate})
    logger.info("Platform %s was registered, active: %s.", platform.pk, activate)
    return platform, approved.html


def offers(request: data.RegistrationRequest) -> list[tuple[str, str, str]]:
    """All that may be chosen of a request: (what stands for it in a form, the message's type, the placement)."""
    return [
        (f"{message.type} {placement}".strip(), message.type, placement)
        for message in request.messages
        for placement in (message.placements or ("",))
    ]


def chosen_messages(request: data.RegistrationRequest, chosen: Collection[str]) -> tuple[data.RegistrationMessage, ...]:
    """The messages of a request with the chosen placements only; a message without a chosen one is left out."""
    by_type: dict[str, list[str]] = {}
    for value, type_, placement in offers(request):
        if value in chosen:
            by_type.setdefault(type_, []).extend([placement] if placement else [])
    return tuple(data.RegistrationMessage(type=type_, placements=tuple(them)) for type_, them in by_type.items())


def _check(registration_id: str) -> None:
    if not _REGISTRATION_ID.fullmatch(registration_id):
        raise Closed(_("This address opens only from an LMS: its “registrationId” is missing or malformed."))


def _closed_or(error: exceptions.ApiError) -> exceptions.LtiError:
    """LTIAAS does not say how it answers a used-up id; whichever of these it is, nothing waits there.

    Only a read that it calls wrong can mean the id. An approval may be wrong in itself, and then its words count.
    """
    is_about_id = isinstance(error, exceptions.InvalidRequest) and error.asked.startswith("GET")
    if is_about_id or isinstance(error, exceptions.NotFound | exceptions.Superseded):
        return Closed(
            _("This registration is no longer open: it was decided before, ran out, or never was. "
              "If you have just approved it, it is in the list of platforms.")
        )  # fmt: skip
    return error


# --- in words -------------------------------------------------------------------------------------------------------


def message_in_words(type_: str) -> str:
    """What a message is for; its own name where we do not know it."""
    known = {
        "LtiResourceLinkRequest": _("Open activities"),
        "LtiDeepLinkingRequest": _("Choose content for a course"),
        "LtiSubmissionReviewRequest": _("Look at a learner's work from the gradebook"),
        "LtiDataPrivacyLaunchRequest": _("Ask about data and privacy"),
        "LtiStartProctoring": _("Start a proctored exam"),
    }
    return known.get(type_, type_)


def scope_in_words(scope: str) -> str:
    """What a scope allows this tool (AGS 2.0, section 3.1; NRPS 2.0, section 2.1); itself where we do not know it."""
    grades, people = "https://purl.imsglobal.org/spec/lti-ags/scope/", "https://purl.imsglobal.org/spec/lti-nrps/scope/"
    known = {
        f"{grades}lineitem": _("Create and change its columns in gradebooks"),
        f"{grades}lineitem.readonly": _("See its columns in gradebooks"),
        f"{grades}result.readonly": _("Read the grades in its columns"),
        f"{grades}score": _("Send grades"),
        f"{people}contextmembership.readonly": _("Read who is in a course, with what the LMS shares of them"),
    }
    return known.get(scope, scope)
