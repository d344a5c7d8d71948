"""Django groups that follow people's roles in their courses, as LTIAAS["ROLE_GROUPS"] says.

A user is in a group as long as one of their active memberships gives it. Only groups that the setting can name are
touched, and neither is_staff nor is_superuser ever is. Without the setting nothing is asked of the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, models, transaction

from ltiaas_django import exceptions, vocabulary
from ltiaas_django.conf import settings
from ltiaas_django.models import Membership
from ltiaas_django.vocabulary import Role

CONTEXT = "{context}"
"""Stands in a group's name for the course's number here: one group for each course."""

_LONGEST = 120  # characters of a name, of 150 that Django keeps; a number has to fit in
_MANY = 500  # users at a time
_Held = set[tuple[Any, str]]
"""Users' keys and names of groups."""


def parse_rules(given: Any) -> dict[Role, str]:
    """The setting's value: which role gives which group. Raises ConfigurationError."""
    if not isinstance(given, Mapping):
        raise exceptions.ConfigurationError('LTIAAS["ROLE_GROUPS"] must be a dict from roles to names of groups.')
    rules = {}
    for role, name in given.items():
        if role not in Role._value2member_map_:
            raise exceptions.ConfigurationError(f'LTIAAS["ROLE_GROUPS"] has a key that is none of: {", ".join(Role)}.')
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST:
            raise exceptions.ConfigurationError(f'LTIAAS["ROLE_GROUPS"]["{role}"] is no name of a group.')
        if re.search("[{}]", name.replace(CONTEXT, "")):
            raise exceptions.ConfigurationError(
                f'LTIAAS["ROLE_GROUPS"]["{role}"] may hold {CONTEXT}, and no other brace.'
            )
        rules[Role(role)] = name
    return rules


def users_have_groups() -> bool:
    """Whether the project's user model has Django's groups."""
    try:
        field = get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return False
    return isinstance(field, models.ManyToManyField) and field.related_model is Group


def follow(users: Iterable[Any]) -> None:
    """Bring the groups of these users (primary keys) in step with all their memberships, within a transaction."""
    rules = parse_rules(settings.ROLE_GROUPS)
    if not rules or not users_have_groups():
        return
    ids = sorted(set(users))
    for start in range(0, len(ids), _MANY):
        _follow(ids[start : start + _MANY], rules)


def follow_memberships(memberships: Sequence[int]) -> None:
    """The same for the users of memberships that have just changed, by primary key."""
    if not settings.ROLE_GROUPS:
        return
    users: set[Any] = set()
    for start in range(0, len(memberships), _MANY):
        changed = Membership.objects.filter(pk__in=memberships[start : start + _MANY], lti_user__user__isnull=False)
        users.update(changed.values_list("lti_user__user", flat=True))
    follow(users)


def _follow(users: Sequence[Any], rules: Mapping[Role, str]) -> None:
    with transaction.atomic():
        # Two courses' changes for one user at once: the second one must see what the first has written.
        light = connection.features.has_select_for_no_key_update  # rows that point to the user may be written
        list(_users(users).order_by("pk").select_for_update(no_key=light).values_list("pk", flat=True))
        wanted, held = _wanted(users, rules), _held(users, rules)
        if wanted == held:
            return
        groups = _groups({name for _user, name in wanted ^ held})
        accessor = str(get_user_model()._meta.get_field("groups").remote_field.get_accessor_name())
        for name, group in groups.items():
            members = getattr(group, accessor)
            members.remove(*_of(name, held - wanted))
            members.add(*_of(name, wanted - held))


def _users(users: Sequence[Any]) -> models.QuerySet[Any]:
    return get_user_model()._base_manager.filter(pk__in=users)


def _of(name: str, pairs: _Held) -> Collection[Any]:
    return sorted(user for user, group in pairs if group == name)


def _wanted(users: Sequence[Any], rules: Mapping[Role, str]) -> _Held:
    active = Membership.objects.filter(
        lti_user__user__in=users, lti_user__is_provisional=False, status=Membership.Status.ACTIVE
    )
    return {
        (user, rules[role].replace(CONTEXT, str(context)))
        for user, context, roles in active.values_list("lti_user__user", "context", "roles")
        for role in vocabulary.context_roles(roles) & rules.keys()
    }


def _held(users: Sequence[Any], rules: Mapping[Role, str]) -> _Held:
    is_ours = _namer(rules)
    pairs = _users(users).filter(groups__isnull=False).values_list("pk", "groups__name")
    return {(user, name) for user, name in pairs if is_ours(name)}


def _namer(rules: Mapping[Role, str]) -> Callable[[str], bool]:
    """Whether a group's name is one that the setting can give."""
    parts = (r"\d+".join(map(re.escape, name.split(CONTEXT))) for name in rules.values())
    pattern = re.compile("|".join(parts))
    return lambda name: pattern.fullmatch(name) is not None


def _groups(names: Collection[str]) -> dict[str, Group]:
    """The groups of these names, made where they are missing."""
    found = {group.name: group for group in Group.objects.filter(name__in=names)}
    missing = sorted(set(names) - found.keys())
    if missing:
        Group.objects.bulk_create([Group(name=name) for name in missing], ignore_conflicts=True)
        found |= {group.name: group for group in Group.objects.filter(name__in=missing)}
    return found
