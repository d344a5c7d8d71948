"""Open connections: the only module that knows which kind a platform uses.

A stored key is chosen, unsealed and used here; a refused one is marked here, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

from django.utils import timezone
from django.utils.translation import gettext as _

from ltiaas_django import exceptions, sealing, signals
from ltiaas_django.conf import settings
from ltiaas_django.connections.base import LaunchConnection, ServiceConnection
from ltiaas_django.connections.ltiaas import transport
from ltiaas_django.connections.ltiaas.account import Account
from ltiaas_django.connections.ltiaas.auth import ApiKeyAuth, LtikAuth, ServiceKeyAuth
from ltiaas_django.connections.ltiaas.connection import LtiaasLaunchConnection, LtiaasServiceConnection
from ltiaas_django.connections.ltiaas.http import Endpoint
from ltiaas_django.connections.probing import Probe
from ltiaas_django.models import Context, Launch, Platform, ResourceLink, ServiceKey
from ltiaas_django.operations import announcing

logger = logging.getLogger(__name__)

Service = Literal["roster", "grades"]

_API_KEY_VERDICT_LASTS = 60.0  # seconds; a flood of bad ltiks must not double into as many questions about the API key
_api_key_verdict: tuple[str, float, bool | None] = ("", 0.0, None)


def endpoint() -> Endpoint:
    """Where LTIAAS is, and how long it is waited for, from the settings of this moment."""
    return Endpoint(url=settings.URL, deadline=settings.CALL_DEADLINE, max_pages=settings.MAX_PAGES)


def answered_by(url: str, answer: transport.Answer) -> AbstractContextManager[None]:
    """Inside the block a function of this process answers for LTIAAS at this address: for tests without sockets."""
    return transport.standing_in(url, answer)


def close_idle() -> None:
    """Close the connections that wait for a next call, as where LTIAAS has another address from now on."""
    transport.close_pools()


def open_new_launch(ltik: str) -> LaunchConnection:
    """The connection of a launch that has just arrived."""
    return LtiaasLaunchConnection(endpoint(), LtikAuth(settings.API_KEY, ltik))


def open_with_key(key: ServiceKey, kind: str = Platform.ConnectionKind.LTIAAS) -> ServiceConnection:
    """The connection that a stored key opens. Raises SealError if the key cannot be read any more."""
    if kind != Platform.ConnectionKind.LTIAAS:
        raise exceptions.ConfigurationError(f"This version cannot open {kind} connections.")
    return LtiaasServiceConnection(endpoint(), ServiceKeyAuth(settings.API_KEY, key.reveal()))


def account() -> Account:
    """LTIAAS's services that belong to no launch."""
    return Account(endpoint(), ApiKeyAuth(settings.API_KEY))


def probe() -> Probe:
    """Ask LTIAAS once, for as long as a person would wait, whether it takes the API key. Raises ConfigurationError."""
    patience = min(settings.CALL_DEADLINE, settings.LAUNCH_DEADLINE)
    once = dataclasses.replace(endpoint(), deadline=patience, read_attempts=1)
    return Account(once, ApiKeyAuth(settings.API_KEY)).probe()


def usable_keys(context: Context, service: Service, resource_link: ResourceLink | None = None) -> list[ServiceKey]:
    """The healthy keys of a context that offer a service: the resource link's own first, then the freshest."""
    found = keys_by_context([context.pk], service).get(context.pk, [])
    return own_first(found, resource_link.pk if resource_link else None)


def keys_by_context(context_ids: Collection[int], service: Service) -> dict[int, list[ServiceKey]]:
    """The healthy keys that offer a service, of many contexts at once: by context id, the freshest first."""
    found: dict[int, list[ServiceKey]] = {}
    keys = ServiceKey.objects.healthy().filter(context__in=context_ids, **{f"offers_{service}": True})
    for key in keys.freshest_first():
        found.setdefault(key.context_id, []).append(key)
    return found


def own_first(keys: Iterable[ServiceKey], resource_link_id: int | None) -> list[ServiceKey]:
    """A resource link's own key before the others; else their order is kept."""
    return sorted(keys, key=lambda key: resource_link_id is None or key.resource_link_id != resource_link_id)


def why_no_key(context: Context, service: Service) -> str:
    """Why `usable_keys` finds none, and what to do about it: a sentence for teachers and operators."""
    keys = ServiceKey.objects.filter(context=context)
    if keys.filter(**{f"offers_{service}": True}).exists():
        return _("The LMS no longer accepts the stored key; the next launch of this course brings a new one.")
    if keys.filter(is_legacy=True).exists():
        said = {
            "grades": _("This course is launched by LTI 1.1, which brings no key that can send grades."),
            "roster": _("This course is launched by LTI 1.1, which brings no key that can read the roster."),
        }
        return " ".join([said[service], _("It takes a launch by LTI 1.3.")])  # xgettext reads no f-strings
    if keys.exists():
        return _("The LMS does not offer this service to this tool; its administrator can switch it on.")
    return _("No service key of this course is stored yet; its next launch brings one.")


@contextmanager
def using(key: ServiceKey, platform: Platform) -> Iterator[ServiceConnection]:
    """The connection of a stored key; a refusal inside the block is judged and noted before it goes on up."""
    try:
        with open_with_key(key, platform.connection_kind) as connection:
            yield connection
    except (exceptions.Refused, exceptions.SealError) as error:
        judge_refusal(key, error)
        raise


def judge_refusal(key: ServiceKey, error: exceptions.LtiError) -> None:
    """Mark the key as refused, unless it is our API key that LTIAAS does not accept.

    LTIAAS answers a bad API key and a bad service key alike; marking every stored key because of a mistyped setting
    would silence all courses until their next launch. Raises ConfigurationError in that case.
    """
    if isinstance(error, exceptions.Refused) and error.origin == "ltiaas" and api_key_is_refused(error):
        raise exceptions.ConfigurationError(
            'LTIAAS does not accept LTIAAS["API_KEY"]. No key was marked as refused.'
        ) from error
    _mark_as_refused(key, str(error))


def refuse_by_hand(key: ServiceKey) -> bool:
    """Mark a key as refused because a person says so, until a launch replaces it. False if it was refused already."""
    return _mark_as_refused(key, "Marked as refused by hand.")


def _mark_as_refused(key: ServiceKey, reason: str) -> bool:
    now = timezone.now()
    # A launch may have replaced the key meanwhile; the new one was not refused.
    marked = ServiceKey.objects.filter(pk=key.pk, fingerprint=key.fingerprint, refused_at__isnull=True).update(
        refused_at=now, last_error=reason[:500]
    )
    if marked:
        logger.warning("Service key %s (row %s) was refused: %s", key.fingerprint, key.pk, reason)
        key.refused_at, key.last_error = now, reason[:500]
        announcing.announce(signals.key_refused, ServiceKey, key=key)
    return bool(marked)


def api_key_is_refused(refusal: exceptions.Refused) -> bool:
    """Whether LTIAAS turns our API key away, asked at most once a minute. False when it cannot be known."""
    global _api_key_verdict
    if "api key" in refusal.detail.lower():
        return True
    asked_for = sealing.fingerprint(f"{settings.URL} {settings.API_KEY}")
    known_for, asked_at, accepted = _api_key_verdict
    if known_for != asked_for or time.monotonic() - asked_at > _API_KEY_VERDICT_LASTS:
        try:
            accepted = account().accepts_api_key()
        except exceptions.ApiError:
            accepted = None
        _api_key_verdict = (asked_for, time.monotonic(), accepted)
    return accepted is False


def note_use(key_ids: set[int]) -> None:
    """Remember that these keys have worked."""
    if key_ids:
        ServiceKey.objects.filter(pk__in=key_ids).update(used_at=timezone.now(), last_error="")


def open_resource_link(link: ResourceLink) -> AbstractContextManager[ServiceConnection]:
    """An activity's services, by its own key or a healthy sibling's. Raises ServiceNotOffered without one."""
    context = link.context
    keys = usable_keys(context, "grades", link) or usable_keys(context, "roster", link)
    if not keys:
        raise exceptions.ServiceNotOffered(why_no_key(context, "grades"))
    return using(keys[0], context.platform)


def open_launch(launch: Launch) -> AbstractContextManager[ServiceConnection]:
    """A launch's services. Raises ServiceNotOffered if it named no activity or brought no key that still works."""
    if launch.ltik_sealed and launch.is_live:
        return open_new_launch(sealing.unseal(launch.ltik_sealed))
    if launch.resource_link is None:
        raise exceptions.ServiceNotOffered("This launch belongs to no activity.")
    return open_resource_link(launch.resource_link)


# Rows are on a lower floor and cannot import this module: they are given what their `open()` needs.
ResourceLink.opener = staticmethod(open_resource_link)
Launch.opener = staticmethod(open_launch)
