"""All rows of a returning person's launch, read by one statement.

Django's ORM takes longer to put such a join together than the database to answer it, and every launch waits for it. So
its text is made once, from the models; what comes back passes through the fields' own converters.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models

from ltiaas_django import data
from ltiaas_django.models import (
    Context,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ServiceKey,
)
from ltiaas_django.operations.grades import COURSE_NOT_GRADABLE


@dataclasses.dataclass
class Rows:
    """Who launches, and from where; the relations between the rows are set."""

    context: Context
    lti_user: LtiUser
    membership: Membership
    link: ResourceLink | None
    key: ServiceKey | None
    """Of the activity, or of the course where the launch names no activity."""
    line_item: LineItem | None
    """The activity's own one."""
    has_not_gradable: bool
    """Whether scores of this course wait for the LMS to take any at all."""

    @property
    def platform(self) -> Platform:
        """The LMS."""
        return self.context.platform


def place_of(id_token: data.IdToken) -> tuple[str, str]:
    """Deployment and context; the context is blank for a launch outside any course."""
    context = id_token.launch.context
    return id_token.platform.deployment_id, context.lti_id if context else ""


def find(id_token: data.IdToken) -> Rows | None:
    """The rows that the ID token names, if the person has been in the context before."""
    link = id_token.launch.resource_link
    query = _query(connection.vendor, link is not None)
    wanted = (id_token.platform.ltiaas_id, *place_of(id_token), id_token.user.lti_id)
    with connection.cursor() as cursor:
        cursor.execute(query.sql, (link.lti_id, *wanted) if link else wanted)
        values = cursor.fetchone()
    return _related(*query.read(values)) if values else None


def _related(
    membership: Membership,
    context: Context,
    platform: Platform,
    lti_user: LtiUser,
    link: ResourceLink | None,
    key: ServiceKey | None,
    line_item: LineItem | None,
    user: Any,
    has_not_gradable: bool,
) -> Rows:
    context.platform = lti_user.platform = platform
    lti_user.user = user
    membership.context, membership.lti_user = context, lti_user
    if link is not None:
        link.context = context
    for row in (key, line_item):
        if row is not None:
            row.context, row.resource_link = context, link
    return Rows(context, lti_user, membership, link, key, line_item, has_not_gradable)


class _Part:
    """One model's columns of the join, from `start` on; the same for all connections to one kind of database."""

    def __init__(self, model: type[models.Model], alias: str, start: int) -> None:
        self.model, self.start = model, start
        self.columns = [field.get_col(alias, field) for field in model._meta.concrete_fields]
        self.names = [column.target.attname for column in self.columns]
        self.stop = start + len(self.columns)
        self.pk_at = start + self.names.index(model._meta.pk.attname)
        converters = [
            (position, column, [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)])
            for position, column in enumerate(self.columns)
        ]
        self.converters = [one for one in converters if one[2]]

    def read(self, values: Sequence[Any]) -> models.Model | None:
        """The row, or None where the join found none."""
        if values[self.pk_at] is None:
            return None
        own = list(values[self.start : self.stop])
        for position, column, converters in self.converters:
            for convert in converters:
                own[position] = convert(own[position], column, connection)
        return self.model.from_db(connection.alias, self.names, own)


@dataclasses.dataclass
class _Query:
    sql: str
    parts: list[_Part]

    def read(self, values: Sequence[Any]) -> list[Any]:
        """The row of each model, and whether there are scores that the LMS would not take."""
        return [*(part.read(values) for part in self.parts), bool(values[-1])]


_MODELS: dict[str, type[models.Model]] = {
    "m": Membership,
    "c": Context,
    "p": Platform,
    "u": LtiUser,
    "l": ResourceLink,
    "k": ServiceKey,
    "i": LineItem,
}
_TEXT = """
SELECT {columns}, EXISTS (
    SELECT 1 FROM {s} s JOIN {i} n ON n.id = s.line_item_id
    WHERE n.context_id = c.id AND NOT (s.state = 'sent') AND s.due_at IS NULL AND s.last_error_code = '{code}'
)
FROM {p} p
JOIN {c} c ON c.platform_id = p.id
JOIN {u} u ON u.platform_id = p.id
JOIN {m} m ON m.context_id = c.id AND m.lti_user_id = u.id
LEFT JOIN {d} d ON d.{user_pk} = u.user_id
{link}
{key}
{line_item}
WHERE p.ltiaas_id = %s AND c.deployment_id = %s AND c.lti_id = %s AND u.lti_id = %s
"""


@functools.cache
def _query(vendor: str, names_link: bool) -> _Query:
    """The statement, in the database's own spelling; it differs for launches that name no activity."""
    models_of = _MODELS | {"d": get_user_model()}
    parts: list[_Part] = []
    for alias, model in models_of.items():
        parts.append(_Part(model, alias, parts[-1].stop if parts else 0))
    quote = connection.ops.quote_name
    tables = {alias: quote(model._meta.db_table) for alias, model in models_of.items()}
    is_link = "l.context_id = c.id AND l.lti_id = %s" if names_link else "1 = 0"
    is_key = "k.resource_link_id = l.id" if names_link else "k.resource_link_id IS NULL"
    is_own = "i.resource_link_id = l.id AND i.tag = '' AND i.resource_id = ''"
    text = _TEXT.format(
        **tables,
        s=quote(OutgoingScore._meta.db_table),
        columns=", ".join(f"{quote(c.alias)}.{quote(str(c.target.column))}" for part in parts for c in part.columns),
        user_pk=quote(str(get_user_model()._meta.pk.column)),
        link=_join_one(vendor, tables["l"], "l", is_link),
        key=_join_one(vendor, tables["k"], "k", f"k.context_id = c.id AND {is_key}"),
        line_item=_join_one(vendor, tables["i"], "i", is_own),
        code=COURSE_NOT_GRADABLE,
    )
    return _Query(text, parts)


def _join_one(vendor: str, table: str, alias: str, condition: str) -> str:
    """The join of one row at most, or none."""
    if vendor != "postgresql":
        return f"LEFT JOIN {table} {alias} ON {condition}"
    # It would weigh all orders of eight tables, which takes longer than to read them: these join last, in this order.
    found = f"SELECT * FROM {table} {alias} WHERE {condition} LIMIT 1"  # noqa: S608  only names of our own
    return f"LEFT JOIN LATERAL ({found}) {alias} ON TRUE"
