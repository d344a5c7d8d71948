"""Open a launch: exchange the ltik once, bring our rows in step with what the LMS says, remember the launch."""

from __future__ import annotations

import dataclasses
import re
import threading
import uuid
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core import signing
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions, sealing, signals, vocabulary
from ltiaas_django.conf import settings
from ltiaas_django.models import (
    AbsentLaunch,
    Context,
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ServiceKey,
    SyncRun,
)
from ltiaas_django.operations import announcing, connecting, explaining, grades, groups, returning, sso, waking
from ltiaas_django.redaction import Hidden

GRACE = timedelta(seconds=60)
"""How long the same ltik may start an unclaimed launch anew: a lost answer, or a double click."""

_LTIK = re.compile(r"[\x21-\x39\x3b-\x7e]{1,8192}\Z")  # visible, and no colon: that parts the API key from it
_SHORT_WHILE = timedelta(hours=1)  # "last launch" need not be exact to the minute, and a write is a write
_PROOF = "ltiaas_django.started"
_PROOF_LASTS = timedelta(minutes=5)  # for the cookie to come back, and the person to choose the new tab
_ROSTER_PATIENCE = timedelta(minutes=10)  # a roster that has just failed is not asked for by every launch


def check_ltik(ltik: str | None) -> str:
    """The ltik, if it looks like one, as a text that hides itself from debug pages. Raises InvalidLaunch."""
    if ltik is None or not ltik:
        raise exceptions.InvalidLaunch(
            _("This address opens only from your course: the launch parameter “ltik” is missing.")
        )
    if not _LTIK.match(ltik):
        raise exceptions.InvalidLaunch(_("The launch parameter “ltik” is malformed. Please open the activity again."))
    return Hidden(ltik)


def fetch_id_token(ltik: str) -> data.IdToken:
    """Exchange the ltik, server to server. Raises LaunchExpired or LaunchUnavailable, in words for the person."""
    with explaining.in_words_for_the_person(), connecting.open_new_launch(ltik) as connection:
        return connection.id_token(deadline=settings.LAUNCH_DEADLINE)


def get_started(ltik: str) -> Launch | None:
    """The launch that this ltik has started before, if any."""
    try:
        return Launch.objects.only("user").get(ltik_digest=sealing.digest(ltik))
    except Launch.DoesNotExist:
        return None


def may_start_anew(launch: Launch) -> bool:
    """Whether its ltik may start this launch once more: its cookie has not come back, and the minute is not over."""
    return launch.claimed_at is None and timezone.now() - launch.created_at <= GRACE


@contextmanager
def alone_with(ltik: str) -> Iterator[None]:
    """The block of one thread of this process at a time, for the same ltik: so it is exchanged once.

    Between processes two halves of a double click may both ask LTIAAS; the unique digest lets one of them start.
    Who has waited for one that LTIAAS refused, or left hanging, is refused likewise: else a link that is opened again
    and again would hold one thread after the other.
    """
    digest = sealing.digest(ltik)
    with _guard:
        lock = _at_work.setdefault(digest, _Lock())
    known = lock.refusal
    with lock.lock:
        if lock.refusal and lock.refusal is not known:
            kind, words = lock.refusal
            raise kind(words)
        try:
            yield
        except (exceptions.LaunchExpired, exceptions.LaunchUnavailable) as error:
            lock.refusal = (type(error), str(error))
            raise


class _Lock:
    """Gone with the last thread that knows it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.refusal: tuple[type[exceptions.LaunchError], str] | None = None
        """The last one; a new object each time."""


_guard = threading.Lock()
_at_work: weakref.WeakValueDictionary[str, _Lock] = weakref.WeakValueDictionary()


def prove_start(launch: Launch) -> str:
    """For the browser that has just begun the launch: it may begin it once more, in another tab."""
    return signing.Signer(salt=_PROOF).signature(f"{launch.pk}:{launch.session_sealed}")


def get_begun(launch_id: str, proof: str, *, lock: bool = False) -> Launch | None:
    """The launch that was begun with this proof; None if its cookie came back, it was begun anew, or is too old."""
    since = timezone.now() - _PROOF_LASTS
    unclaimed = Launch.objects.live().filter(claimed_at=None, created_at__gt=since).exclude(session_sealed="")
    if lock:
        unclaimed = unclaimed.select_for_update(of=("self",))
    try:
        launch = unclaimed.select_related("user", "lti_user__platform").get(pk=uuid.UUID(launch_id))
    except (ValueError, Launch.DoesNotExist):
        return None
    return launch if proof.isascii() and constant_time_compare(proof, prove_start(launch)) else None


def claim(launch: Launch) -> None:
    """The launch's cookie has come back: from now on only this browser gets through."""
    if launch.claimed_at is None:
        launch.claimed_at = timezone.now()
        Launch.objects.filter(pk=launch.pk, claimed_at__isnull=True).update(
            claimed_at=launch.claimed_at, session_sealed=""
        )


def record_launch(id_token: data.IdToken, ltik: str, *, framed: bool) -> tuple[Launch, bool]:
    """Write all that the ID token says; returns the new launch, which the caller saves, and whether its person was new.

    To be called in one transaction with the sign-in: nothing is half written. A known person's rows are read,
    compared, and written only where something changed. Raises SsoRefused.
    """
    rows, person_is_new = returning.find(id_token), False
    if rows is None or (rows.link is None and id_token.launch.resource_link is not None):
        person_is_new = _make_rows(id_token)
        rows = returning.find(id_token)
    if rows is None:
        raise exceptions.LaunchUnavailable(_("Something of this course was deleted just now. Please open it again."))
    _update_rows(rows, id_token)
    _keep_key(rows, id_token.services)
    _keep_line_item(rows, id_token.services)
    user: Any = sso.policy().user_for(rows.lti_user, id_token)
    groups.follow([user.pk])
    launch = Launch(
        lti_user=rows.lti_user,
        user=user,
        context=rows.context,
        resource_link=rows.link,
        type=id_token.launch.type.value,
        for_user=_for_user(rows.platform, id_token.for_user_id),
        deep_linking=_limits(id_token),
        roles=list(id_token.user.roles),
        locale=id_token.launch.locale[:64],
        return_url=id_token.launch.return_url,
        custom=dict(id_token.launch.custom),
        framed=framed,
        ltik_digest=sealing.digest(ltik),
        ltik_sealed=sealing.seal(ltik) if id_token.launch.type is vocabulary.LaunchType.DEEP_LINKING else "",
        expires_at=timezone.now() + timedelta(seconds=settings.LAUNCH_LIFETIME),
    )
    return launch, person_is_new


def _for_user(platform: Platform, user_id: str) -> LtiUser | None:
    """Whose work is reviewed, if that person is known here."""
    return LtiUser.objects.filter(platform=platform, lti_id=user_id).first() if user_id else None


def _limits(id_token: data.IdToken) -> dict[str, Any]:
    if id_token.launch.type is not vocabulary.LaunchType.DEEP_LINKING:
        return {}
    return dataclasses.asdict(id_token.services.deep_linking)


def announce(request: HttpRequest, launch: Launch, *, created: bool) -> None:
    """Send `launched` once the sign-in is committed; `created`: the person was not known before."""
    announcing.announce(signals.launched, Launch, launch=launch, request=request, created=created)


def _make_rows(id_token: data.IdToken) -> bool:
    """Make what of the rows is new; whether the person is. Two first launches at once end in the same rows."""
    deployment_id, context_id = returning.place_of(id_token)
    platform, _created = Platform.objects.get_or_create(ltiaas_id=id_token.platform.ltiaas_id)
    context, _created = Context.objects.get_or_create(platform=platform, deployment_id=deployment_id, lti_id=context_id)
    lti_user, person_is_new = LtiUser.objects.get_or_create(platform=platform, lti_id=id_token.user.lti_id)
    Membership.objects.get_or_create(context=context, lti_user=lti_user)
    link = id_token.launch.resource_link
    if link is not None:
        said = {"title": link.title, "description": link.description}
        ResourceLink.objects.get_or_create(context=context, lti_id=link.lti_id, defaults=said)
    return person_is_new


def write_changed(row: models.Model, wanted: dict[str, Any]) -> bool:
    """Save those fields that differ, if any. A blank text never erases a known one: the LMS may just not say."""
    changed = [name for name, value in wanted.items() if value != "" and getattr(row, name) != value]
    for name in changed:
        setattr(row, name, wanted[name])
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _update_rows(rows: returning.Rows, id_token: data.IdToken) -> None:
    platform, user = id_token.platform, id_token.user
    write_changed(
        rows.platform,
        {
            "issuer": platform.issuer,
            "client_id": platform.client_id,
            "name": platform.name,
            "product_family": platform.product_family,
            "version": platform.version,
            "guid": platform.guid,
        },
    )
    _update_context(rows, id_token)
    said = id_token.launch.resource_link
    if rows.link is not None and said is not None:
        write_changed(rows.link, {"title": said.title, "description": said.description})
    write_changed(
        rows.lti_user,
        {
            "name": user.name,
            "given_name": user.given_name,
            "family_name": user.family_name,
            "email": user.email,
            "picture": user.picture,
        },
    )
    _update_membership(rows.membership, user.roles)
    if rows.has_not_gradable and vocabulary.is_learner(user.roles) and grades.wake_course_not_gradable(rows.context):
        waking.wake_on_commit(rows.platform.pk, [SyncRun.Kind.GRADES], SyncRun.Trigger.LAUNCH)


def _update_context(rows: returning.Rows, id_token: data.IdToken) -> None:
    """A launch shows that the course goes on, whatever the LMS said before: its scores are tried again."""
    context, place, now = rows.context, id_token.launch.context, timezone.now()
    wanted: dict[str, Any] = {}
    if place is not None:
        wanted = {"label": place.label, "title": place.title, "types": list(place.types) or context.types}
    if context.launched_at is None or now - context.launched_at > _SHORT_WHILE:
        wanted["launched_at"] = now
    if context.concluded_at is not None:
        wanted["concluded_at"] = None
    if id_token.services.offers_roster and _roster_is_stale(context):
        wanted["roster_due_at"] = now
        waking.wake_on_commit(context.platform_id, [SyncRun.Kind.ROSTERS], SyncRun.Trigger.LAUNCH)
    write_changed(context, wanted)
    if "concluded_at" in wanted:
        _wake_waiting(context)


def _update_membership(membership: Membership, roles: tuple[str, ...]) -> None:
    """A launch makes its person active, in the roles that the launch names.

    Launches name roles by URI and rosters by short name: only a difference in meaning is written, and then the
    fingerprint is blanked so that the next roster compares anew.
    """
    same_roles = vocabulary.context_roles(membership.roles) == vocabulary.context_roles(roles) and membership.roles
    if same_roles and membership.status == Membership.Status.ACTIVE:
        return
    became_learner = vocabulary.is_learner(roles)
    membership.roles = list(roles)
    membership.is_learner = became_learner
    membership.is_instructor = vocabulary.is_instructor(roles)
    membership.status = Membership.Status.ACTIVE
    membership.fingerprint = ""
    membership.save(update_fields=["roles", "is_learner", "is_instructor", "status", "fingerprint"])
    if became_learner:
        grades.wake_not_gradable(membership.context, [membership.lti_user_id])


def _roster_is_stale(context: Context) -> bool:
    if settings.ROSTER_MAX_AGE is None or not context.lti_id or context.roster_due_at is not None:
        return False
    now = timezone.now()
    read = context.roster_synced_at
    tried = context.roster_attempted_at
    is_old = read is None or now - read > timedelta(seconds=settings.ROSTER_MAX_AGE)
    return is_old and (tried is None or now - tried > _ROSTER_PATIENCE)


def _keep_key(rows: returning.Rows, services: data.Services) -> None:
    """Replace the stored key of this place; what waited for a healthy key is due again."""
    context, link, key = rows.context, rows.link, rows.key
    secret = services.service_key or services.legacy_service_key
    is_legacy = not services.service_key
    if not secret or (is_legacy and key is not None and not key.is_legacy):
        return  # no launch of LTI 1.1 takes away a key that opens more than its own
    was_good = key is not None and key.is_healthy and key.offers_grades
    is_new, key = key is None, key or ServiceKey(context=context, resource_link=link)
    key.put(secret)
    key.is_legacy = is_legacy
    key.offers_roster = services.offers_roster and not is_legacy
    key.offers_grades = services.offers_grades and not is_legacy
    key.refreshed_at, key.refused_at, key.last_error = timezone.now(), None, ""
    if is_new:
        try:
            with transaction.atomic():
                key.save(force_insert=True)
        except IntegrityError:  # two first launches at once: the other one's row is there now
            key.pk = ServiceKey.objects.values_list("pk", flat=True).get(context=context, resource_link=link)
            key.save(force_update=True)
    else:
        key.save(force_update=True)
    if key.offers_grades and not was_good:  # else nothing waits: it would have been sent with the key that was there
        _wake_waiting(context)


def _wake_waiting(context: Context) -> None:
    waiting = OutgoingScore.objects.filter(line_item__context=context, state=OutgoingScore.State.WAITING)
    if grades.wake(waiting):
        waking.wake_on_commit(context.platform_id, [SyncRun.Kind.GRADES], SyncRun.Trigger.LAUNCH)


def _keep_line_item(rows: returning.Rows, services: data.Services) -> None:
    """The activity's own line item exists from its first launch on, and has the id that the launch names."""
    context, link, line_item = rows.context, rows.link, rows.line_item
    if link is None or not services.offers_grades:
        return
    if line_item is None:
        # Made here and not by the first score: a tool's long transaction would hold it back from all others.
        line_item, _created = LineItem.objects.get_or_create(
            context=context, resource_link=link, tag="", resource_id="", defaults={"label": link.title}
        )
    if services.line_item_id and services.line_item_id != line_item.lti_id:
        grades.adopt_line_item(line_item, services.line_item_id)


# --- pages under a launch ---------------------------------------------------------------------------------------------


def find_launch(launch_id: str, user: AbstractBaseUser | AnonymousUser) -> Launch | AbsentLaunch:
    """The launch that a request names, if it is live and its person is the one signed in; claims it.

    The id is no credential: whoever else names it gets an AbsentLaunch that says why.
    """
    try:
        wanted = uuid.UUID(launch_id)
    except ValueError:
        return AbsentLaunch("unknown")
    launch = Launch.objects.select_related("lti_user", "context__platform", "resource_link").filter(pk=wanted).first()
    if launch is None:
        return AbsentLaunch("unknown")
    if not user.is_authenticated or launch.user_id != user.pk:
        return AbsentLaunch("not_yours", launch)
    if not launch.is_live:
        return AbsentLaunch("expired", launch)
    if launch.resource_link is not None and launch.context is not None:
        launch.resource_link.context = launch.context  # the same row, read once
    claim(launch)
    return launch


def place_of(absent: AbsentLaunch, user: AbstractBaseUser | AnonymousUser) -> dict[str, str]:
    """The names of the activity and course to launch again, for those who belong to that course; else empty."""
    launch = absent.launch
    if launch is None or launch.resource_link is None or launch.context is None or not user.is_authenticated:
        return {}
    members = Membership.objects.filter(context=launch.context, status=Membership.Status.ACTIVE)
    if not members.filter(lti_user__user=user.pk).exists():
        return {}
    return {"activity": str(launch.resource_link), "course": str(launch.context)}


def live_launches(user: AbstractBaseUser | AnonymousUser) -> list[Launch]:
    """The launches that this person may choose from: the newest of each activity first."""
    if not user.is_authenticated:
        return []
    newest: dict[tuple[int | None, int | None, str], Launch] = {}
    rows = Launch.objects.live().filter(user=user.pk).select_related("context", "resource_link").order_by("-created_at")
    for launch in rows[:200]:
        newest.setdefault((launch.context_id, launch.resource_link_id, launch.type), launch)
    return list(newest.values())
