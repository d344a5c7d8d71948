"""Erase a person: their name and addresses, launches, memberships, scores and what was said of these.

The books stay as they are: what a run counted was done. A score that a worker has on its way at that moment still
reaches the LMS; what came of it is then dropped, for its row is gone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, router, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError

from ltiaas_django import exceptions
from ltiaas_django.models import LtiUser, OutgoingScore
from ltiaas_django.operations import groups

_ERASED = "(erased)"


class CannotForget(exceptions.LtiError):
    """The person cannot be erased; the text says what is in the way."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traces:
    """What is there of some people."""

    people: tuple[LtiUser, ...]
    users: tuple[Any, ...]
    """Their Django users."""
    rows: dict[str, int]
    """How many rows go, by the plural name of their model, the tool's own that point to ours too."""
    unsent: int
    """Scores that the LMS has not accepted."""


def find(people: Iterable[LtiUser], *, delete_users: bool = False) -> Traces:
    """What `erase` would take away. Raises CannotForget as it does, save for unsent scores."""
    known = tuple(people)
    users = _users(known)
    if delete_users:
        _check_users(users, known)
    rows = _go_along([*known, *users] if delete_users else known)
    unsent = OutgoingScore.objects.open().filter(lti_user__in=[one.pk for one in known]).count()
    return Traces(people=known, users=users, rows=rows, unsent=unsent)


def erase(people: Iterable[LtiUser], *, drop_unsent: bool = False, delete_users: bool = False) -> Traces:
    """Erase these people, and their Django users if asked for; returns what has gone.

    Raises CannotForget: scores are unsent and `drop_unsent` is not given; a Django user is staff, or is somebody
    else too; the tool's own rows protect them; or a transaction is at work on them. Nothing is erased then.
    """
    pks = [one.pk for one in people]
    try:
        with transaction.atomic():
            # Locked in the order of a launch: what it writes meanwhile waits, and finds that nobody is there.
            locked = LtiUser.objects.select_for_update(of=("self",)).select_related("platform", "user")
            traces = find(locked.filter(pk__in=pks).order_by("pk"), delete_users=delete_users)
            if traces.unsent and not drop_unsent:
                raise CannotForget(
                    f"{traces.unsent} grades have not reached the LMS yet. Send them first, or say that they are to be "
                    "dropped."
                )
            _erase_from_admin_log(traces, users_too=delete_users)
            LtiUser.objects.filter(pk__in=pks).delete()
            if delete_users:
                get_user_model()._default_manager.filter(pk__in=[user.pk for user in traces.users]).delete()
            else:
                groups.follow(user.pk for user in traces.users)
    except DatabaseError as error:
        raise CannotForget(f"Somebody is at work on this person; please try again ({error}).") from error
    return traces


def _users(people: Sequence[LtiUser]) -> tuple[Any, ...]:
    return tuple({one.user_id: one.user for one in people if one.user is not None}.values())


def _check_users(users: Sequence[Any], people: Sequence[LtiUser]) -> None:
    """A Django user may be deleted only if it is nobody else than these people."""
    for user in users:
        if getattr(user, "is_staff", False) or getattr(user, "is_superuser", False):
            raise CannotForget(f"Django user {user.pk} is staff: delete it in the admin, if that is meant.")
        others = LtiUser.objects.filter(user=user.pk).exclude(pk__in=[one.pk for one in people])
        if others.exists():
            ids = ", ".join(str(pk) for pk in others.order_by("pk").values_list("pk", flat=True)[:10])
            raise CannotForget(f"Django user {user.pk} is other people too (LTI users {ids}): forget them together.")


def _go_along(doomed: Sequence[models.Model]) -> dict[str, int]:
    """How many rows a deletion takes, by name. Raises CannotForget where the tool's own rows protect one."""
    collector = Collector(using=router.db_for_write(LtiUser))
    try:
        for row in doomed:
            collector.collect([row])
    except (ProtectedError, RestrictedError) as error:
        kept = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
        names = sorted({f"{row._meta.verbose_name} #{row.pk}" for row in kept})
        raise CannotForget(f"The tool's own rows protect this person: {', '.join(names[:10])}.") from error
    going: dict[type[models.Model], set[Any]] = {
        model: {row.pk for row in rows} for model, rows in collector.data.items()
    }
    unseen: list[Any] = collector.fast_deletes
    for rows in unseen:
        going.setdefault(rows.model, set()).update(rows.values_list("pk", flat=True))
    return {str(model._meta.verbose_name_plural): len(pks) for model, pks in going.items() if pks}


def _erase_from_admin_log(traces: Traces, *, users_too: bool) -> None:
    """The admin's history names the rows that operators acted on: the lines stay, the names go."""
    if not apps.is_installed("django.contrib.admin"):
        return
    log, types = apps.get_model("admin", "LogEntry"), apps.get_model("contenttypes", "ContentType")
    people = [one.pk for one in traces.people]
    named = [(relation.related_model, relation.field.name, people) for relation in LtiUser._meta.related_objects]
    named.append((LtiUser, "pk", people))
    if users_too:
        named.append((get_user_model(), "pk", [user.pk for user in traces.users]))
    for model, path, pks in named:
        ids = model._base_manager.filter(**{f"{path}__in": pks}).values_list("pk", flat=True)
        lines = log._default_manager.filter(content_type=types._default_manager.get_for_model(model))
        lines.filter(object_id__in=[str(pk) for pk in ids]).update(object_repr=_ERASED)


# --- who is meant -----------------------------------------------------------------------------------------------------


def people_of_user(name: str) -> list[LtiUser]:
    """The LTI users of a Django user, named by username or by id. Raises UnknownPerson, also for an ambiguous name."""
    model = get_user_model()
    named = list(model._default_manager.filter(**{model.USERNAME_FIELD: name}))
    try:
        numbered = list(model._default_manager.filter(pk=model._meta.pk.to_python(name)))
    except ValidationError:
        numbered = []
    found = {user.pk: user for user in [*named, *numbered]}
    if len(found) != 1:
        why = "is both a username and another user's id" if found else "is nobody's username or id"
        raise exceptions.UnknownPerson(f"“{name}” {why}.")
    return list(LtiUser.objects.filter(user__in=found).select_related("platform", "user").order_by("pk"))
