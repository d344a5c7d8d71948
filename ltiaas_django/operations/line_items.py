"""Find an activity's column in the LMS's gradebook, or create it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ltiaas_django import data
from ltiaas_django.connections.base import ServiceConnection
from ltiaas_django.models import LineItem
from ltiaas_django.operations import grades

_LARGEST = 10**9  # a maximum that an LMS says is for show only: one that makes no sense is not stored


def find_or_create(
    connection: ServiceConnection,
    line_item: LineItem,
    maximum: Decimal | None,
    *,
    key_is_own: bool,
) -> None:
    """Make `line_item.lti_id` that of the LMS's line item: found if there is one, created if not. Raises ApiError."""
    link = line_item.resource_link
    listed = list(
        connection.line_items(
            resource_link_id=link.lti_id if link else "", resource_id=line_item.resource_id, tag=line_item.tag
        )
    )
    found = choose(listed, line_item, key_is_own=key_is_own)
    if found is None:
        found = connection.create_line_item(
            data.LineItem(
                label=line_item.label or (str(link) if link else "") or line_item.resource_id or "Score",
                score_maximum=line_item.score_maximum or maximum or Decimal(100),
                resource_link_id=link.lti_id if link else "",
                resource_id=line_item.resource_id,
                tag=line_item.tag,
            )
        )
    if line_item.score_maximum != found.score_maximum and 0 < found.score_maximum < _LARGEST:
        LineItem.objects.filter(pk=line_item.pk).update(score_maximum=found.score_maximum)
    grades.adopt_line_item(line_item, found.lti_id)


def choose(listed: Sequence[data.LineItem], line_item: LineItem, *, key_is_own: bool) -> data.LineItem | None:
    """The line item that is meant among those that the LMS lists, or None.

    LMSs filter loosely, and some answer by the launch that a key belongs to, whatever was asked: the list may hold
    other activities' columns. One that names what was wanted is taken. One that names nothing is taken only with the
    activity's own key, if it stands alone, and if it has not been taken for another activity.
    """
    for candidate in listed:
        if _names(candidate, line_item):
            return candidate
    nameless = [item for item in listed if not (item.resource_link_id or item.resource_id or item.tag)]
    wants_names = line_item.tag or line_item.resource_id
    if wants_names or not key_is_own or len(listed) != 1 or not nameless:
        return None
    taken = LineItem.objects.filter(context_id=line_item.context_id, lti_id=nameless[0].lti_id)
    return None if taken.exclude(pk=line_item.pk).exists() else nameless[0]


def _names(candidate: data.LineItem, line_item: LineItem) -> bool:
    """Whether the candidate names the activity that is meant, or the resource id and tag."""
    link = line_item.resource_link
    if line_item.tag or line_item.resource_id:
        same_names = (candidate.tag, candidate.resource_id) == (line_item.tag, line_item.resource_id)
        return same_names and (link is None or candidate.resource_link_id in {"", link.lti_id})
    same_link = link is not None and candidate.resource_link_id == link.lti_id
    return same_link and not (candidate.tag or candidate.resource_id)
