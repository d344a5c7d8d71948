"""Platforms as LTIAAS holds them: list them, keep our rows in step, switch, register, change and delete them there.

Our rows are never deleted here: courses, people and scores hang on them.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions
from ltiaas_django.models import Platform
from ltiaas_django.models.places import LTI_ID_LENGTH
from ltiaas_django.operations import connecting, launching

METHODS: Final = ("JWK_SET", "JWK_KEY", "RSA_KEY")
_MAX_URL: Final = 2000
_BATCH: Final = 500  # rows

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, slots=True)
class Synced:
    """What a sync found, as counts of platforms."""

    listed: int
    """By LTIAAS."""
    created: int = 0
    changed: int = 0
    gone: int = 0
    """Rows of ours that LTIAAS lists no more."""


def fetch_all() -> list[data.PlatformRegistration]:
    """Every platform of the account. Raises ApiError subclasses."""
    return connecting.account().platforms()


def sync() -> Synced:
    """Make our rows agree with LTIAAS's list: new ones are made, none is deleted. Raises ApiError subclasses."""
    listed = {one.ltiaas_id: one for one in fetch_all()}
    created = changed = 0
    for batch in _batches(listed.values()):
        known = {row.ltiaas_id: row for row in Platform.objects.filter(ltiaas_id__in=[one.ltiaas_id for one in batch])}
        new = [Platform(ltiaas_id=one.ltiaas_id, **_wanted(one)) for one in batch if one.ltiaas_id not in known]
        # A launch may make the same row meanwhile; it is as good as ours.
        created += len(Platform.objects.bulk_create(new, ignore_conflicts=True))
        changed += sum(
            launching.write_changed(known[one.ltiaas_id], _wanted(one)) for one in batch if one.ltiaas_id in known
        )
    return Synced(len(listed), created, changed, _note_gone(set(listed)))


def _note_gone(listed: set[str]) -> int:
    ours = Platform.objects.filter(ltiaas_id__isnull=False).values_list("ltiaas_id", "pk")
    gone = [pk for ltiaas_id, pk in ours if ltiaas_id not in listed]
    for batch in _batches(gone):
        Platform.objects.filter(pk__in=batch).exclude(active_at_ltiaas=False).update(active_at_ltiaas=False)
    return len(gone)


def fetch(platform: Platform) -> data.PlatformRegistration:
    """What LTIAAS holds of a platform; notes whether it may launch. Raises ApiError subclasses."""
    try:
        held = connecting.account().platform(_ltiaas_id(platform))
    except exceptions.NotFound:
        _note_active(platform, is_active=False)
        raise
    if held.is_active is not None:
        _note_active(platform, is_active=held.is_active)
    return held


def register(wanted: data.PlatformRegistration) -> Platform:
    """Register a platform by hand; returns its row. Raises ApiError subclasses."""
    held = connecting.account().register_platform(wanted)
    return record(held.ltiaas_id, _wanted(wanted) | _wanted(held))


def replace(platform: Platform, wanted: data.PlatformRegistration) -> None:
    """Change what LTIAAS holds of a platform. Raises ApiError subclasses."""
    wanted = dataclasses.replace(wanted, ltiaas_id=_ltiaas_id(platform))
    held = connecting.account().replace_platform(wanted)
    launching.write_changed(platform, _wanted(wanted) | _wanted(held))


def set_active(platform: Platform, *, is_active: bool) -> None:
    """Let a platform launch, or no longer. Raises ApiError subclasses."""
    account, ltiaas_id = connecting.account(), _ltiaas_id(platform)
    if is_active:
        account.activate_platform(ltiaas_id)
    else:
        account.deactivate_platform(ltiaas_id)
    _note_active(platform, is_active=is_active)


def delete(platform: Platform) -> None:
    """Take a platform out of the account; its row stays. Raises ApiError subclasses, NotFound if it is gone already."""
    try:
        connecting.account().delete_platform(_ltiaas_id(platform))
    except exceptions.NotFound:
        _note_active(platform, is_active=False)
        raise
    _note_active(platform, is_active=False)


def record(ltiaas_id: str, wanted: dict[str, Any]) -> Platform:
    """The row of a platform that LTIAAS has just told of, new or brought up to date."""
    platform, created = Platform.objects.get_or_create(ltiaas_id=ltiaas_id, defaults=wanted)
    if not created:
        launching.write_changed(platform, wanted)
    return platform


def _wanted(held: data.PlatformRegistration) -> dict[str, Any]:
    """What a row takes over; a blank never erases what a launch has told."""
    texts = {"issuer": held.issuer, "client_id": held.client_id, "name": held.name}
    said = {name: text for name, text in texts.items() if text}
    return said if held.is_active is None else {**said, "active_at_ltiaas": held.is_active}


def _note_active(platform: Platform, *, is_active: bool) -> None:
    launching.write_changed(platform, {"active_at_ltiaas": is_active})


def _ltiaas_id(platform: Platform) -> str:
    if not platform.ltiaas_id:
        raise exceptions.NotFound("platform", _("This LMS is not connected through LTIAAS."))
    return platform.ltiaas_id


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch


# --- what a person typed --------------------------------------------------------------------------------------------


def problems(wanted: data.PlatformRegistration) -> dict[str, str]:
    """What is wrong with a registration by hand: field name to sentence. Empty if LTIAAS may be asked."""
    found = {}
    for name in ("issuer", "authentication_endpoint", "access_token_endpoint"):
        if not _is_web_address(getattr(wanted, name)):
            found[name] = _("This must be an address such as https://lms.school.edu/.")
    for name in ("name", "client_id"):
        text = getattr(wanted, name)
        if not text.strip() or len(text) > LTI_ID_LENGTH or not text.isprintable():
            found[name] = _("This must be one line of 1 to %(n)d characters.") % {"n": LTI_ID_LENGTH}
    if wanted.auth_method not in METHODS:
        found["auth_method"] = _("This must be one of %(methods)s.") % {"methods": ", ".join(METHODS)}
    elif problem := _key_problem(wanted.auth_method, wanted.auth_key):
        found["auth_key"] = problem
    return found


def _is_web_address(text: str) -> bool:
    if len(text) > _MAX_URL or " " in text or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _key_problem(method: str, key: str) -> str:
    if not "".join(key.split()).isprintable():
        return _("This holds characters that cannot be printed.")
    if "PRIVATE KEY" in key:
        return _("This is a private key. It belongs to the LMS alone; paste the public one.")
    if method == "JWK_SET":
        return "" if _is_web_address(key) else _("With JWK_SET, this is the address of the LMS's key set.")
    if method == "RSA_KEY":
        return "" if "-----BEGIN" in key else _("With RSA_KEY, this is the public key, from -----BEGIN to END-----.")
    try:
        jwk = json.loads(key)
    except (ValueError, RecursionError):
        jwk = None
    if not isinstance(jwk, dict) or "kty" not in jwk:
        return _("With JWK_KEY, this is one public key as JSON, with its “kty”.")
    # RFC 7518, section 6: `d` is the private part of RSA and EC keys, `k` the whole of a symmetric one.
    private = {"d", "k"} & set(jwk)
    return _("This is a private key. It belongs to the LMS alone; paste the public one.") if private else ""


# --- what went wrong ------------------------------------------------------------------------------------------------


def explain(error: exceptions.LtiError) -> str:
    """What an error means to an operator, and what to do: a sentence or two."""
    said = error.detail if isinstance(error, exceptions.ApiError) else str(error)
    is_write = isinstance(error, exceptions.ApiError) and not error.asked.startswith("GET")
    match error:
        case exceptions.ConfigurationError():
            return said
        case exceptions.Refused():
            text = _('LTIAAS refused (%(said)s). Check LTIAAS["API_KEY"] against the LTIAAS portal.')
        case exceptions.Unreachable():
            text = _("LTIAAS cannot be reached just now (%(said)s). Nothing was changed; please try again in a moment.")
        case exceptions.OutcomeUnknown() | exceptions.InvalidResponse() | exceptions.ServerError() if is_write:
            text = _(
                "LTIAAS gave no clear answer (%(said)s). It may have done what it was asked: look at the list of "
                "platforms after a sync."
            )
        case exceptions.OutcomeUnknown():
            text = _("LTIAAS gave no whole answer (%(said)s). Please try again in a moment.")
        case exceptions.Throttled():
            text = _("LTIAAS wants fewer calls just now (%(said)s). Please try again in a minute.")
        case exceptions.NotFound():
            text = _("LTIAAS does not know it, or no longer (%(said)s).")
        case exceptions.InvalidResponse():
            text = _('The answer of LTIAAS could not be read (%(said)s). Is LTIAAS["URL"] right?')
        case exceptions.ServerError():
            text = _("LTIAAS has a problem of its own just now (%(said)s). Please try again in a moment.")
        case _:
            text = _("LTIAAS does not accept this (%(said)s).")
    return text % {"said": said or _("without a word")}
