"""Cells: badges, times, amounts and links, as lists and pages show them. LMS text is escaped here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from django.contrib import admin
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Tone = Literal["good", "busy", "warn", "bad", "idle"]
NOTHING = "–"
_CLIPPED = 70  # characters of an error in a list; the title has the rest


def badge(tone: Tone, text: StrOrPromise, title: str = "") -> SafeString:
    """A coloured label. The text says all that the colour says; `title` is what a pointer finds out."""
    return format_html('<span class="lti-badge lti-{}" title="{}">{}</span>', tone, title, text)


def ago(at: datetime | None) -> SafeString:
    """How long ago, or how long until, with the exact time in the title."""
    if at is None:
        return format_html("{}", NOTHING)
    now, local = timezone.now(), timezone.localtime(at) if timezone.is_aware(at) else at
    if abs((now - at).total_seconds()) < 60:
        text = _("just now")
    elif at > now:
        text = _("in %(time)s") % {"time": timeuntil(at, now, depth=1)}
    else:
        text = _("%(time)s ago") % {"time": timesince(at, now, depth=1)}
    exact = f"{local:%Y-%m-%d %H:%M:%S %Z}".strip()
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, text)


def below(first: StrOrPromise, second: StrOrPromise) -> SafeString:
    """Two lines, the second one small; one line if there is nothing to say in the second."""
    if not second:
        return format_html("{}", first)
    return format_html('{}<span class="lti-second">{}</span>', first, second)


def clipped(text: str) -> SafeString:
    """The start of a long text, with all of it in the title."""
    if not text:
        return format_html("{}", NOTHING)
    return format_html('<span class="lti-clipped" title="{}">{}</span>', text, Truncator(text).chars(_CLIPPED))


def join(*parts: StrOrPromise) -> SafeString:
    """Parts side by side."""
    return format_html_join(" ", "{}", ((part,) for part in parts))


def since(field: str, label: StrOrPromise) -> Callable[[Any], str]:
    """A column that says how long ago a time was, sorted by that time."""
    read = attrgetter(field.replace("__", "."))

    @admin.display(description=label, ordering=field)
    def column(row: Any) -> str:
        return ago(read(row))

    column.__name__ = f"{field}_ago"
    return column


def duration(span: timedelta) -> str:
    r"""A length of time as a stopwatch shows it.

    >>> duration(timedelta(seconds=3.21)), duration(timedelta(minutes=4, seconds=5)), duration(timedelta(hours=2))
    ('3.2\xa0s', '4:05\xa0min', '2:00\xa0h')
    """
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    minutes, seconds = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{seconds:02d}\N{NO-BREAK SPACE}min"
    return f"{minutes // 60}:{minutes % 60:02d}\N{NO-BREAK SPACE}h"


def points(amount: Decimal) -> str:
    """An amount without the zeros that the database keeps: 8, 7.5.

    >>> points(Decimal("8.00000")), points(Decimal("7.50000")), points(Decimal("100"))
    ('8', '7.5', '100')
    """
    return f"{amount.normalize():f}"


def share(amount: Decimal, maximum: Decimal | None) -> str:
    r"""An amount of a maximum, where that is known.

    >>> share(Decimal("7.50000"), Decimal(10)), share(Decimal(3), None)
    ('7.5\xa0/\xa010', '3')
    """
    return points(amount) + (f"\N{NO-BREAK SPACE}/\N{NO-BREAK SPACE}{points(maximum)}" if maximum is not None else "")


def list_url(site: admin.AdminSite, model: type[models.Model], **query: object) -> str:
    """The list of a model's rows, filtered."""
    url = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist", current_app=site.name)
    return f"{url}?{urlencode(query)}" if query else url


def row_link(site: admin.AdminSite, row: models.Model) -> SafeString:
    """A row's name, leading to its page."""
    name = f"admin:{row._meta.label_lower.replace('.', '_')}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk], current_app=site.name), row)


def count_link(count: int, url: str) -> SafeString:
    """A count that leads to what was counted; nothing to follow at zero."""
    return format_html('<a href="{}">{}</a>', url, count) if count else format_html("{}", "0")


def counting(rows: QuerySet[Any], path: str) -> Coalesce:
    """An annotation: how many of these rows have the annotated row at the end of the path."""
    own = rows.order_by().filter(**{path: OuterRef("pk")}).values(path)
    return Coalesce(Subquery(own.annotate(number=Count("pk")).values("number")), 0)
