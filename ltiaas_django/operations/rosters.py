"""Bring the memberships of a context in step with the LMS's roster.

The next page is fetched while this one is compared with what is stored. Who is new or changed is written, in steps, as
soon as there are many; what takes something away from people waits until every page has arrived.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from ltiaas_django import data, exceptions, signals, vocabulary
from ltiaas_django.conf import settings
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models import Context, Launch, OutgoingScore, roster_rows
from ltiaas_django.operations import announcing, connecting, grades, groups, leases, verdicts
from ltiaas_django.vocabulary import MembershipStatus

_Page = list[data.Member | str]

_FEW = 5  # people who may always leave at once
_NIGHTS = 3  # the same departures on so many nights in a row need no person's yes
_A_NIGHT = timedelta(hours=16)  # two readings closer together are one night
_MANY = 5000  # entries that are written without waiting for the end
_GIVE_UP_AFTER = 5  # failures in a row; then the next night, or the next launch, tries again


@dataclasses.dataclass
class RosterChange:
    """What one reading changed: ids of memberships, and how many departures are held."""

    read: int = 0
    joined: list[int] = dataclasses.field(default_factory=list)
    changed: list[int] = dataclasses.field(default_factory=list)
    left: list[int] = dataclasses.field(default_factory=list)
    held: int = 0

    def add(self, other: RosterChange) -> None:
        """Count what one transaction has written."""
        self.joined += other.joined
        self.changed += other.changed
        self.left += other.left


def sync_roster(context: Context, lease: leases.Lease) -> RosterChange:
    """Read the whole roster with the freshest healthy key, and make our memberships agree.

    Raises ServiceNotOffered (no key; waits for a launch), ApiError, ConfigurationError; the context's row says why,
    and when it is tried again. Of a roster that could not be read whole, joins and changes may have been written, and
    nothing that takes something away from anybody.
    """
    began = timezone.now()
    Context.objects.filter(pk=context.pk).update(roster_attempted_at=began)
    reading = _Reading(context, began)
    try:
        _read(reading, lease)
        reading.finish()
    except exceptions.ConfigurationError:
        raise  # no fault of this course's: it stays due
    except exceptions.LtiError as error:
        if not lease.is_over:  # else it is another worker's, or stays due
            _note_failure(context, error)
        raise
    finally:  # tells of what was written before a reading broke off, too: the next one finds it unchanged
        reading.announce()
    return reading.change


def _note_failure(context: Context, error: exceptions.LtiError) -> None:
    failures = context.roster_failures + 1
    retry = isinstance(error, exceptions.ApiError) and error.retryable and failures < _GIVE_UP_AFTER
    Context.objects.filter(pk=context.pk).update(
        roster_failures=failures,
        roster_error=str(error)[:500],
        roster_due_at=timezone.now() + verdicts.back_off(failures) if retry else None,
    )


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(reading: _Reading, lease: leases.Lease) -> None:
    """Give every page to the reading, with the first key that works to the end."""
    refused: exceptions.LtiError | None = None
    for key in connecting.usable_keys(reading.context, "roster"):
        try:
            with connecting.using(key, reading.context.platform) as connection:
                _read_pages(connection, reading, lease)
            connecting.note_use({key.pk})
            return
        except (exceptions.Refused, exceptions.SealError) as error:
            refused = error  # noted by `using`; a sibling may do
    raise refused or exceptions.ServiceNotOffered(
        "No healthy service key offers the roster; the next launch brings one."
    )


def _read_pages(connection: ServiceConnection, reading: _Reading, lease: leases.Lease) -> None:
    """Compare each page while a thread fetches the next."""
    reading.begin()
    pages = connection.members_unlike(reading.known.marks, page_size=settings.ROSTER_PAGE_SIZE)
    with ThreadPoolExecutor(1, thread_name_prefix="ltiaas-roster") as fetcher:
        coming = fetcher.submit(_fetch, pages, lease)
        while (page := coming.result()) is not None:
            coming = fetcher.submit(_fetch, pages, lease)
            if not lease.renew():
                why = "this worker is to end" if lease.was_stopped else "another worker has taken over"
                raise exceptions.LtiError(f"The roster was not read to its end: {why}.")
            reading.take(page)


def _fetch(pages: Iterator[_Page], lease: leases.Lease) -> _Page | None:
    """The next page, at the platform's pace; None after the last."""
    page = next(pages, None)
    if page is not None:
        lease.wait_turn()
    return page


class _Reading:
    """One reading of a roster: what it has seen, and what still has to be written."""

    def __init__(self, context: Context, began: datetime) -> None:
        self.context = context
        self.began = began
        self.change = RosterChange()
        self.known = roster_rows.Known()
        self.waiting: dict[str, data.Member] = {}
        """Entries that differ from what is stored, by LMS user id; each person once, with all roles named so far."""
        self._enough = _MANY

    def begin(self) -> None:
        """The roster is read from its first page on, perhaps with another key after something has been written."""
        if not self.known.marks:
            self.known.read(self.context.pk)
        self.known.begin()
        self.waiting.clear()

    def take(self, page: _Page) -> None:
        """Compare a page; write what waits, if that is much."""
        known, waiting = self.known, self.waiting
        again: list[data.Member | str] = []
        unchanged = [entry for entry in page if isinstance(entry, str)]
        for member in page:
            if isinstance(member, str):
                continue
            user_id = member.user_id
            if user_id in waiting:
                self._put_off(_merge(waiting[user_id], member))
            elif user_id not in known.marks or user_id in known.unseen:
                known.unseen.discard(user_id)
                self._put_off(member)
            else:
                again.append(member)
        known.unseen.difference_update(unchanged)
        if waiting:
            again += [user_id for user_id in unchanged if user_id in waiting]
        if again:
            self._take_again(again)
        if len(waiting) >= self._enough:
            self._write_some()
            self._enough = len(waiting) + _MANY

    def _put_off(self, member: data.Member) -> None:
        """Let an entry wait to be written, unless it is what is stored."""
        mark = self.known.marks.get(member.user_id)
        if mark is not None and mark == member.fingerprint():
            self.waiting.pop(member.user_id, None)
        else:
            self.waiting[member.user_id] = member

    def _take_again(self, again: Sequence[data.Member | str]) -> None:
        """Some LMSs list a person once for each role: take further entries of people together with their first ones."""
        ids = [entry if isinstance(entry, str) else entry.user_id for entry in again]
        stored = roster_rows.stored_entries(self.context, ids)
        for user_id, entry in zip(ids, again, strict=True):
            first = self.waiting.get(user_id) or stored.get(user_id)
            second = stored.get(user_id) if isinstance(entry, str) else entry
            merged = _merge(first, second) if first and second else first or second
            if merged is not None and merged != first:
                self._put_off(merged)

    def _write_some(self) -> None:
        """Write what waits, save what takes something away: a later page may name the person again."""
        ids = [user_id for user_id in self.waiting if user_id in self.known.marks]
        stored = roster_rows.stored_entries(self.context, ids)
        ready = [
            member
            for user_id, member in self.waiting.items()
            if user_id not in stored or not _takes_away(stored[user_id], member)
        ]
        with transaction.atomic():
            self._lock()
            change = self._write(ready, self._launched_since())
            groups.follow_memberships([*change.joined, *change.changed, *change.left])
        self.change.add(change)
        for member in ready:
            del self.waiting[member.user_id]

    def finish(self) -> None:
        """Every page has arrived: write the rest, and let those leave who are named no more."""
        with transaction.atomic():
            self.context = context = self._lock()
            launched_since = self._launched_since()
            leavers, held = self._departures(launched_since)
            ready = [member for user_id, member in self.waiting.items() if user_id not in held]
            change = self._write(ready, launched_since)
            # Absent and not said to be Inactive: most LMSs just leave people out.
            absent = [user_id for user_id in leavers if user_id not in self.waiting]
            change.left += roster_rows.deactivate(context, absent)
            groups.follow_memberships([*change.joined, *change.changed, *change.left])
            Context.objects.filter(pk=context.pk).update(
                roster_synced_at=self.began, roster_due_at=None, roster_failures=0, roster_error=""
            )
        self.change.add(change)
        self.change.held = len(held)
        self.change.read = self.known.count_seen()

    def announce(self) -> None:
        """Tell the tool what was written."""
        change = self.change
        if change.joined or change.changed or change.left:
            said = {"joined": change.joined, "changed": change.changed, "left": change.left}
            announcing.announce(signals.roster_synced, Context, context=self.context, **said)

    def _lock(self) -> Context:
        # A launch locks its course before its person; whoever takes them the other way round ends in a deadlock.
        return Context.objects.select_for_update(of=("self",)).select_related("platform").get(pk=self.context.pk)

    def _launched_since(self) -> set[str]:
        """Who has launched since this reading began: they are active, whatever the roster says."""
        launches = Launch.objects.filter(context=self.context, created_at__gte=self.began)
        return set(launches.values_list("lti_user__lti_id", flat=True))

    def _write(self, members: Iterable[data.Member], launched_since: set[str]) -> RosterChange:
        """Write entries, within a transaction that has locked the course."""
        entries = [
            (member, member.fingerprint())
            for member in members
            if member.status == MembershipStatus.ACTIVE or member.user_id not in launched_since
        ]
        change, learners = RosterChange(), []
        refused = self._refused()
        for start in range(0, len(entries), _MANY):
            batch = {member.user_id: (member, mark) for member, mark in entries[start : start + _MANY]}
            for row in roster_rows.write_entries(self.context, batch.values()):
                member, mark = batch[row.lti_id]
                was_active, is_active = self.known.is_active(row.lti_id), member.status == MembershipStatus.ACTIVE
                if is_active and not was_active:
                    change.joined.append(row.membership_id)
                elif was_active and not is_active:
                    change.left.append(row.membership_id)
                else:
                    change.changed.append(row.membership_id)
                if row.lti_user_id in refused and is_active and vocabulary.is_learner(member.roles):
                    learners.append(row.lti_user_id)
                self.known.put(row.lti_id, mark, is_active=is_active)
        if learners:  # whose scores the LMS would not take before: they are due again
            grades.wake_not_gradable(self.context, learners)
        return change

    def _refused(self) -> set[int]:
        """For whom the LMS would take no score because they were no active learners; few, and mostly nobody."""
        parked = OutgoingScore.objects.filter(line_item__context=self.context, state=OutgoingScore.State.PARKED)
        return set(parked.filter(last_error_code__in=grades.REFUSED_TO_A_PERSON).values_list("lti_user", flat=True))

    def _departures(self, launched_since: set[str]) -> tuple[set[str], set[str]]:
        """Who leaves now, and who would but is held for a person's yes (must 16 in docs/design.md)."""
        said = {user_id for user_id, member in self.waiting.items() if member.status != MembershipStatus.ACTIVE}
        leavers = (self.known.unseen | said & self.known.marks.keys()) - self.known.inactive - launched_since
        active = self.known.count_active()
        many = len(leavers) > _FEW and len(leavers) > settings.ROSTER_LEAVE_SHARE * active
        is_empty = bool(leavers) and not self.known.count_seen()  # not even those are in it who read it
        if not (many or is_empty):
            _keep_hold(self.context, None)
            return leavers, set()
        mark = hashlib.blake2b("\0".join(sorted(leavers)).encode(), digest_size=16).hexdigest()
        hold = self.context.roster_held
        hold = _one_more_night(hold if hold and hold.get("fingerprint") == mark else None, mark, len(leavers), active)
        if hold.get("confirmed") or hold["nights"] >= _NIGHTS:
            _keep_hold(self.context, None)
            return leavers, set()
        _keep_hold(self.context, hold)
        return set(), leavers


def _merge(known: data.Member, again: data.Member) -> data.Member:
    """Two entries of one person, listed once for each role: all roles, active if one is; the later one's texts."""
    return dataclasses.replace(
        known,
        roles=tuple(dict.fromkeys([*known.roles, *again.roles])),
        status=known.status if known.status == MembershipStatus.ACTIVE else again.status,
        **{name: getattr(again, name) or getattr(known, name) for name in roster_rows.PERSON},
    )


def _takes_away(before: data.Member, now: data.Member) -> bool:
    """Whether a member leaves, or loses a role that gives rights."""
    leaves = before.status == MembershipStatus.ACTIVE and now.status != MembershipStatus.ACTIVE
    return leaves or not vocabulary.context_roles(before.roles) <= vocabulary.context_roles(now.roles)


# --- departures that are held -----------------------------------------------------------------------------------------


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
