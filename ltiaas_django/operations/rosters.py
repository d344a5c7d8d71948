"""Bring the memberships of a context in step with the LMS's roster.

Every page is read before anything is written: nobody leaves because a page was missing. Only what changed is written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ltiaas_django import data, exceptions, signals, vocabulary
from ltiaas_django.conf import settings
from ltiaas_django.models import Context, Launch, LtiUser, Membership
from ltiaas_django.operations import announcing, connecting, grades, leases, verdicts
from ltiaas_django.vocabulary import MembershipStatus

logger = logging.getLogger(__name__)

Status = Membership.Status

_FEW = 5  # people who may always leave at once
_NIGHTS = 3  # the same departures on so many nights in a row need no person's yes
_A_NIGHT = timedelta(hours=16)  # two readings closer together are one night
_CHUNK = 1000
_GIVE_UP_AFTER = 5  # failures in a row; then the next night, or the next launch, tries again
_PERSON = ("name", "given_name", "family_name", "email", "picture")


@dataclasses.dataclass
class RosterChange:
    """What one reading changed: ids of memberships, and how many departures are held."""

    read: int = 0
    joined: list[int] = dataclasses.field(default_factory=list)
    changed: list[int] = dataclasses.field(default_factory=list)
    left: list[int] = dataclasses.field(default_factory=list)
    held: int = 0


def sync_roster(context: Context, lease: leases.Lease) -> RosterChange:
    """Read the whole roster with the freshest healthy key, and make our memberships agree.

    Raises ServiceNotOffered (no key; waits for a launch), ApiError, ConfigurationError; the context's row says why,
    and when it is tried again. Nothing of a roster that could not be read whole is written.
    """
    began = timezone.now()
    Context.objects.filter(pk=context.pk).update(roster_attempted_at=began)
    try:
        members = _fetch(context, lease)
    except exceptions.ConfigurationError:
        raise  # no fault of this course's: it stays due
    except exceptions.LtiError as error:
        _note_failure(context, error)
        raise
    with transaction.atomic():
        # A launch locks its course before its person; whoever takes them the other way round ends in a deadlock.
        context = Context.objects.select_for_update(of=("self",)).select_related("platform").get(pk=context.pk)
        change = _apply(context, members, began)
        Context.objects.filter(pk=context.pk).update(
            roster_synced_at=began, roster_due_at=None, roster_failures=0, roster_error=""
        )
        if change.joined or change.changed or change.left:
            said = {"joined": change.joined, "changed": change.changed, "left": change.left}
            announcing.announce(signals.roster_synced, Context, context=context, **said)
    return change


def _note_failure(context: Context, error: exceptions.LtiError) -> None:
    failures = context.roster_failures + 1
    retry = isinstance(error, exceptions.ApiError) and error.retryable and failures < _GIVE_UP_AFTER
    Context.objects.filter(pk=context.pk).update(
        roster_failures=failures,
        roster_error=str(error)[:500],
        roster_due_at=timezone.now() + verdicts.back_off(failures) if retry else None,
    )


def _fetch(context: Context, lease: leases.Lease) -> dict[str, data.Member]:
    """Everybody in the LMS's roster, by LMS user id, read with the first key that works."""
    refused: exceptions.LtiError | None = None
    for key in connecting.usable_keys(context, "roster"):
        try:
            with connecting.using(key, context.platform) as connection:
                members: dict[str, data.Member] = {}
                for page in connection.members(page_size=settings.ROSTER_PAGE_SIZE):
                    _add_page(members, page)
                    lease.wait_turn()
                    if not lease.renew():
                        raise exceptions.Unreachable("GET memberships", "another worker took over", origin="network")
            connecting.note_use({key.pk})
            return members
        except (exceptions.Refused, exceptions.SealError) as error:
            refused = error  # noted by `using`; a sibling may do
    raise refused or exceptions.ServiceNotOffered(
        "No healthy service key offers the roster; the next launch brings one."
    )


def _add_page(members: dict[str, data.Member], page: Iterable[data.Member]) -> None:
    """Some LMSs list a person once for each role: their roles are taken together."""
    for member in page:
        known = members.get(member.user_id)
        if known is not None:
            roles = tuple(dict.fromkeys([*known.roles, *member.roles]))
            status = known.status if known.status == MembershipStatus.ACTIVE else member.status
            member = dataclasses.replace(member, roles=roles, status=status)
        members[member.user_id] = member


def fingerprint(member: data.Member) -> str:
    """Tells whether an entry is the same as last night's."""
    said = (member.roles, member.status.value, *(getattr(member, name) for name in _PERSON))
    return hashlib.blake2b(repr(said).encode(), digest_size=16).hexdigest()


@dataclasses.dataclass(slots=True)
class _Known:
    """The little that is read of every membership."""

    pk: int
    lti_user_id: int
    fingerprint: str
    is_active: bool


def _apply(context: Context, members: dict[str, data.Member], began: datetime) -> RosterChange:
    known = {
        lti_id: _Known(pk, lti_user_id, mark, status == Status.ACTIVE)
        for lti_id, pk, lti_user_id, mark, status in Membership.objects.filter(context=context)
        .values_list("lti_user__lti_id", "pk", "lti_user_id", "fingerprint", "status")
        .iterator(chunk_size=2000)
    }
    launched_since = set(
        Launch.objects.filter(context=context, created_at__gte=began).values_list("lti_user__lti_id", flat=True)
    )
    change = RosterChange(read=len(members))
    leavers, held = _departures(context, members, known, launched_since, change)
    marks = {user_id: fingerprint(member) for user_id, member in members.items()}
    touched = [
        member
        for user_id, member in members.items()
        if user_id not in held
        and (member.status == MembershipStatus.ACTIVE or user_id not in launched_since)
        and (user_id not in known or known[user_id].fingerprint != marks[user_id])
    ]
    for start in range(0, len(touched), _CHUNK):
        _write_members(context, touched[start : start + _CHUNK], known, marks, change)
    gone = [known[user_id].pk for user_id in leavers if user_id not in members]
    for start in range(0, len(gone), _CHUNK):
        # Absent and not said to be Inactive: most LMSs just leave people out.
        Membership.objects.filter(pk__in=gone[start : start + _CHUNK]).update(status=Status.INACTIVE, fingerprint="")
    change.left += gone
    return change


def _departures(
    context: Context,
    members: dict[str, data.Member],
    known: dict[str, _Known],
    launched_since: set[str],
    change: RosterChange,
) -> tuple[set[str], set[str]]:
    """Who leaves now, and who would but is held for a person's yes (must 16 in docs/design.md)."""
    active = {user_id for user_id, row in known.items() if row.is_active}
    leavers = {
        user_id
        for user_id in active - launched_since
        if user_id not in members or members[user_id].status != MembershipStatus.ACTIVE
    }
    many = len(leavers) > _FEW and len(leavers) > settings.ROSTER_LEAVE_SHARE * len(active)
    if not many:
        _keep_hold(context, None)
        return leavers, set()
    mark = hashlib.blake2b("\0".join(sorted(leavers)).encode(), digest_size=16).hexdigest()
    hold = context.roster_held if context.roster_held and context.roster_held.get("fingerprint") == mark else None
    hold = _one_more_night(hold, mark, len(leavers), len(active))
    if hold.get("confirmed") or hold["nights"] >= _NIGHTS:
        _keep_hold(context, None)
        return leavers, set()
    _keep_hold(context, hold)
    change.held = len(leavers)
    return set(), leavers


def _one_more_night(hold: dict[str, Any] | None, mark: str, count: int, of: int) -> dict[str, Any]:
    now = timezone.now()
    if hold is None:
        return {"fingerprint": mark, "count": count, "of": of, "nights": 1, "counted_at": now.isoformat()}
    if now - datetime.fromisoformat(hold["counted_at"]) >= _A_NIGHT:
        hold = {**hold, "nights": hold["nights"] + 1, "counted_at": now.isoformat()}
    return hold


def _keep_hold(context: Context, hold: dict[str, Any] | None) -> None:
    if context.roster_held != hold:
        context.roster_held = hold
        context.save(update_fields=["roster_held"])


def confirm_departures(context: Context) -> bool:
    """A person's yes to the departures that are held: the next reading carries them out, if they are the same then.

    False if nothing is held.
    """
    if not context.roster_held:
        return False
    context.roster_held = {**context.roster_held, "confirmed": True}
    context.roster_due_at = timezone.now()
    context.save(update_fields=["roster_held", "roster_due_at"])
    return True


def _write_members(
    context: Context,
    touched: Sequence[data.Member],
    known: dict[str, _Known],
    marks: dict[str, str],
    change: RosterChange,
) -> None:
    """Write people and memberships of the entries that are new or not as they were."""
    people = _write_people(context, touched)
    rows = [
        Membership(
            context=context,
            lti_user_id=people[member.user_id],
            roles=list(member.roles),
            is_learner=vocabulary.is_learner(member.roles),
            is_instructor=vocabulary.is_instructor(member.roles),
            status=member.status.value,
            fingerprint=marks[member.user_id],
        )
        for member in touched
    ]
    Membership.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["context", "lti_user"],
        update_fields=["roles", "is_learner", "is_instructor", "status", "fingerprint"],
    )
    pks = dict(
        Membership.objects.filter(context=context, lti_user__in=people.values()).values_list("lti_user__lti_id", "pk")
    )
    learners = []
    for member in touched:
        before, is_active = known.get(member.user_id), member.status == MembershipStatus.ACTIVE
        if is_active and (before is None or not before.is_active):
            change.joined.append(pks[member.user_id])
        elif not is_active and before is not None and before.is_active:
            change.left.append(pks[member.user_id])
        else:
            change.changed.append(pks[member.user_id])
        if is_active and vocabulary.is_learner(member.roles):
            learners.append(people[member.user_id])
    grades.wake_not_gradable(context, learners)


def _write_people(context: Context, touched: Sequence[data.Member]) -> dict[str, int]:
    """The people of these entries, by LMS user id; a name or an e-mail that is missing never erases a known one."""
    platform_id = context.platform_id
    by_id = {member.user_id: member for member in touched}

    def stored() -> dict[str, LtiUser]:
        found = LtiUser.objects.filter(platform_id=platform_id, lti_id__in=by_id)
        return {person.lti_id: person for person in found}

    rows = stored()
    new = [
        LtiUser(platform_id=platform_id, lti_id=user_id, **{name: getattr(member, name) for name in _PERSON})
        for user_id, member in by_id.items()
        if user_id not in rows
    ]
    if new:
        LtiUser.objects.bulk_create(new, ignore_conflicts=True)  # a launch may be making the same person right now
        rows = stored()
    changed = [person for user_id, person in rows.items() if _take_over_person(person, by_id[user_id])]
    if changed:
        LtiUser.objects.bulk_update(changed, _PERSON, batch_size=200)
    return {user_id: person.pk for user_id, person in rows.items()}


def _take_over_person(person: LtiUser, member: data.Member) -> bool:
    wanted = {name: getattr(member, name) for name in _PERSON}
    changed = {name: value for name, value in wanted.items() if value and value != getattr(person, name)}
    for name, value in changed.items():
        setattr(person, name, value)
    return bool(changed)
