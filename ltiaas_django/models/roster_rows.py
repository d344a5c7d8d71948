"""Rows of a roster, many at a time: what is known of a context's members, and how entries are written in bulk.

SQLite and PostgreSQL are told in their own SQL, near the limit of what they can do; any other database by the ORM.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import connection, models

from ltiaas_django import data, vocabulary
from ltiaas_django.models.places import Context, LtiUser, Membership

PERSON = ("name", "given_name", "family_name", "email", "picture")
_ENTRY = ("roles", "is_learner", "is_instructor", "status", "fingerprint")
_CHUNK = 1000  # far below every database's limit of parameters


class Known:
    """The little that is kept of each member while a roster is read, some 250 bytes: courses may be large."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}
        """The fingerprint of everybody's stored entry, by LMS user id."""
        self.inactive: set[str] = set()
        """Members who have left."""
        self.unseen: set[str] = set()
        """Members whom the roster has not named yet."""

    def read(self, context_id: int) -> None:
        """Take in what is stored of a context."""
        rows = Membership.objects.filter(context=context_id)
        for lti_id, mark, status in rows.values_list("lti_user__lti_id", "fingerprint", "status").iterator():
            self.marks[lti_id] = mark
            if status != "Active":
                self.inactive.add(lti_id)

    def begin(self) -> None:
        """The roster is read from its first page on."""
        self.unseen = set(self.marks)

    def put(self, lti_id: str, mark: str, *, is_active: bool) -> None:
        """This person's entry has been written."""
        self.marks[lti_id] = mark
        if is_active:
            self.inactive.discard(lti_id)
        else:
            self.inactive.add(lti_id)

    def is_active(self, lti_id: str) -> bool:
        """Whether the person is stored as an active member."""
        return lti_id in self.marks and lti_id not in self.inactive

    def count_active(self) -> int:
        """How many are stored as active members."""
        return len(self.marks) - len(self.inactive)

    def count_seen(self) -> int:
        """How many of the stored members the roster has named."""
        return len(self.marks) - len(self.unseen)


def stored_entries(context: Context, lti_ids: Sequence[str]) -> dict[str, data.Member]:
    """What is stored of these members, by LMS user id, as entries of a roster."""
    columns = ("lti_user__lti_id", "roles", "status", *(f"lti_user__{name}" for name in PERSON))
    found = {}
    for chunk in _chunks(lti_ids):
        for lti_id, roles, status, *person in _members(context, chunk).values_list(*columns):
            found[lti_id] = data.Member(
                user_id=lti_id,
                roles=tuple(roles),
                status=vocabulary.MembershipStatus(status),
                **dict(zip(PERSON, person, strict=True)),
            )
    return found


def deactivate(context: Context, lti_ids: Sequence[str]) -> list[int]:
    """These members have left; returns their memberships' ids."""
    gone: list[int] = []
    for chunk in _chunks(lti_ids):
        ids = list(_members(context, chunk).values_list("pk", flat=True))
        Membership.objects.filter(pk__in=ids).update(status=Membership.Status.INACTIVE, fingerprint="")
        gone += ids
    return gone


def _members(context: Context, lti_ids: Sequence[str]) -> models.QuerySet[Membership]:
    # The platform is named so that an index finds the people, and nobody walks through a whole course.
    people = {"lti_user__platform": context.platform_id, "lti_user__lti_id__in": lti_ids}
    return Membership.objects.filter(context=context, **people)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]


class Written(NamedTuple):
    """Which rows hold an entry."""

    lti_id: str
    membership_id: int
    lti_user_id: int


Entry = tuple[data.Member, str]
"""What the roster says of a person, and its fingerprint."""


def write_entries(context: Context, entries: Iterable[Entry]) -> list[Written]:
    """Write people and memberships, each person once; a name or an e-mail that is missing never erases a known one."""
    # In one order everywhere, so that two writers of the same people cannot lock each other out.
    ordered = sorted(entries, key=lambda entry: entry[0].user_id)
    return _WRITERS.get(connection.vendor, write_by_orm)(context.platform_id, context.pk, ordered)


def _membership(member: data.Member, mark: str) -> tuple[str, bool, bool, str, str]:
    """The columns of a membership, in the order of `_ENTRY`."""
    return *_of_roles(member.roles), member.status.value, mark


@functools.lru_cache(maxsize=1000)  # few combinations, many people
def _of_roles(roles: tuple[str, ...]) -> tuple[str, bool, bool]:
    return json.dumps(roles), vocabulary.is_learner(roles), vocabulary.is_instructor(roles)


def _person(member: data.Member) -> tuple[str, ...]:
    return member.user_id, member.name, member.given_name, member.family_name, member.email, member.picture


# --- SQL --------------------------------------------------------------------------------------------------------------


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _columns(model: type[models.Model], *names: str) -> list[str]:
    columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
    return [connection.ops.quote_name(columns[name]) for name in names]


def _upsert_people() -> tuple[str, str]:
    """What stands before and after the rows of a statement that writes people."""
    table, columns = _table(LtiUser), _columns(LtiUser, "platform", "lti_id", *PERSON)
    kept = {name: f"COALESCE(NULLIF(excluded.{name}, ''), {table}.{name})" for name in columns[2:]}
    wanted = ", ".join(f"{name} = {value}" for name, value in kept.items())
    differs = " OR ".join(f"{value} <> {table}.{name}" for name, value in kept.items())
    return (
        f"INSERT INTO {table} ({', '.join(columns)})",
        f"ON CONFLICT ({columns[0]}, {columns[1]}) DO UPDATE SET {wanted} WHERE {differs}",
    )


def _upsert_memberships() -> tuple[str, str]:
    """The same for memberships."""
    columns = _columns(Membership, "context", "lti_user", *_ENTRY)
    wanted = ", ".join(f"{name} = excluded.{name}" for name in columns[2:])
    return (
        f"INSERT INTO {_table(Membership)} ({', '.join(columns)})",
        f"ON CONFLICT ({columns[0]}, {columns[1]}) DO UPDATE SET {wanted}",
    )


def _write_by_sqlite(platform_id: int, context_id: int, entries: Sequence[Entry]) -> list[Written]:
    people, people_end = _upsert_people()
    memberships, memberships_end = _upsert_memberships()
    person, person_id, platform, lti_id = _table(LtiUser), *_columns(LtiUser, "id", "platform", "lti_id")
    table, pk, context, lti_user = _table(Membership), *_columns(Membership, "id", "context", "lti_user")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"{people} VALUES (%s, %s, %s, %s, %s, %s, %s) {people_end}",
            [(platform_id, *_person(member)) for member, _mark in entries],
        )
        cursor.executemany(
            f"{memberships} SELECT %s, {person_id}, %s, %s, %s, %s, %s FROM {person}"  # noqa: S608  our own names
            f" WHERE {platform} = %s AND {lti_id} = %s {memberships_end}",
            [(context_id, *_membership(*entry), platform_id, entry[0].user_id) for entry in entries],
        )
        cursor.execute(
            f"SELECT p.{lti_id}, m.{pk}, p.{person_id} FROM {person} p"  # noqa: S608  our own names
            f" JOIN {table} m ON m.{context} = %s AND m.{lti_user} = p.{person_id}"
            f" WHERE p.{platform} = %s AND p.{lti_id} IN (SELECT value FROM json_each(%s))",
            [context_id, platform_id, json.dumps([member.user_id for member, _mark in entries])],
        )
        return [Written(*row) for row in cursor.fetchall()]


def _write_by_postgresql(platform_id: int, context_id: int, entries: Sequence[Entry]) -> list[Written]:
    people, people_end = _upsert_people()
    memberships, memberships_end = _upsert_memberships()
    person, person_id, platform, lti_id = _table(LtiUser), *_columns(LtiUser, "id", "platform", "lti_id")
    pk, lti_user = _columns(Membership, "id", "lti_user")
    with connection.cursor() as cursor:
        cursor.execute(
            f"{people} SELECT %s, given.* FROM unnest({', '.join(['%s::text[]'] * 6)}) AS given {people_end}",  # noqa: S608  our own names
            [platform_id, *_by_column(_person(member) for member, _mark in entries)],
        )
        cursor.execute(
            f"WITH written AS ({memberships} SELECT %s, p.{person_id}, g.roles::jsonb, g.l, g.i, g.status, g.mark"  # noqa: S608  our own names
            " FROM unnest(%s::text[], %s::text[], %s::bool[], %s::bool[], %s::text[], %s::text[])"
            f" AS g(lti_id, roles, l, i, status, mark) JOIN {person} p ON p.{platform} = %s AND p.{lti_id} = g.lti_id"
            f" {memberships_end} RETURNING {pk}, {lti_user})"
            f" SELECT p.{lti_id}, w.{pk}, p.{person_id} FROM written w JOIN {person} p ON p.{person_id} = w.{lti_user}",
            [
                context_id,
                [member.user_id for member, _mark in entries],
                *_by_column(itertools.starmap(_membership, entries)),
                platform_id,
            ],
        )
        return [Written(*row) for row in cursor.fetchall()]


def _by_column(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


# --- the ORM ----------------------------------------------------------------------------------------------------------


def write_by_orm(platform_id: int, context_id: int, entries: Sequence[Entry]) -> list[Written]:
    """The same on any database that knows an upsert."""
    written = []
    for start in range(0, len(entries), _CHUNK):
        written += _write_chunk(platform_id, context_id, entries[start : start + _CHUNK])
    return written


def _write_chunk(platform_id: int, context_id: int, entries: Sequence[Entry]) -> list[Written]:
    people = _write_people(platform_id, {member.user_id: member for member, _mark in entries})
    rows = [
        Membership(
            context_id=context_id,
            lti_user_id=people[member.user_id],
            **dict(zip(_ENTRY, (list(member.roles), *_membership(member, mark)[1:]), strict=True)),
        )
        for member, mark in entries
    ]
    names_target = connection.features.supports_update_conflicts_with_target
    Membership.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["context", "lti_user"] if names_target else None,
        update_fields=_ENTRY,
    )
    stored = Membership.objects.filter(context=context_id, lti_user__in=people.values())
    return [Written(*row) for row in stored.values_list("lti_user__lti_id", "pk", "lti_user_id")]


def _write_people(platform_id: int, wanted: dict[str, data.Member]) -> dict[str, int]:
    def stored() -> dict[str, LtiUser]:
        found = LtiUser.objects.filter(platform=platform_id, lti_id__in=wanted)
        return {person.lti_id: person for person in found}

    rows = stored()
    new = [
        LtiUser(platform_id=platform_id, lti_id=lti_id, **{name: getattr(member, name) for name in PERSON})
        for lti_id, member in wanted.items()
        if lti_id not in rows
    ]
    if new:
        LtiUser.objects.bulk_create(new, ignore_conflicts=True)  # a launch may be making the same person right now
        rows = stored()
    changed = [person for lti_id, person in rows.items() if _take_over(person, wanted[lti_id])]
    if changed:
        LtiUser.objects.bulk_update(changed, PERSON, batch_size=200)
    return {lti_id: person.pk for lti_id, person in rows.items()}


def _take_over(person: LtiUser, member: data.Member) -> bool:
    given = {name: getattr(member, name) for name in PERSON}
    changed = {name: value for name, value in given.items() if value and value != getattr(person, name)}
    for name, value in changed.items():
        setattr(person, name, value)
    return bool(changed)


_WRITERS: dict[str, Callable[[int, int, Sequence[Entry]], list[Written]]] = {
    "sqlite": _write_by_sqlite,
    "postgresql": _write_by_postgresql,
}
