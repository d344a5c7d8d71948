"""Content items are right when they are made, and limits say no before anything is sent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import content_items as c
from ltiaas_django.exceptions import ContentNotAccepted, InvalidContent
from tests import content

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAGE = "https://tool.example/page"

anything: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.decimals(), st.datetimes(),
    st.lists(st.text(max_size=3), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["javascript:alert(1)", "http://", "http://[", "https://a:0/", "//a/b", "\ud800"]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: c.LinkItem(url="javascript://x/%0aalert(1)"), "LinkItem.url"),
        (lambda: c.LinkItem(url="https://tool.example/a b"), "LinkItem.url"),
        (lambda: c.LinkItem(url="https:///nowhere"), "LinkItem.url"),
        (lambda: c.LinkItem(url=""), "LinkItem.url"),
        (lambda: c.ImageItem(url=PAGE, width=0), "ImageItem.width"),
        (lambda: c.ImageItem(url=PAGE, height=True), "ImageItem.height"),
        (lambda: c.HtmlItem(html=" "), "HtmlItem.html"),
        (lambda: c.HtmlItem(html="<p>", title="\x00"), "HtmlItem.title"),
        (lambda: c.FileItem(url=PAGE, expires_at=datetime(2026, 1, 1)), "FileItem.expires_at"),  # noqa: DTZ001
        (lambda: c.LineItem(score_maximum=0), "LineItem.score_maximum"),
        (lambda: c.LineItem(score_maximum=Decimal("NaN")), "LineItem.score_maximum"),
        (lambda: c.LineItem(score_maximum=Decimal("0.1234567890123456")), "LineItem.score_maximum"),
        (lambda: c.LineItem(score_maximum=0.5), "LineItem.score_maximum"),
        (lambda: c.Period(starts_at=NOW, ends_at=datetime(2026, 10, 1, tzinfo=UTC)), "Period must not end"),
        (lambda: c.ResourceLinkItem(custom={"level": 2}), "ResourceLinkItem.custom"),  # type: ignore[dict-item]
        (lambda: c.ResourceLinkItem(query={"ltik": "x"}), "ResourceLinkItem.query"),
        (lambda: c.ResourceLinkItem(iframe=c.Iframe(src=PAGE)), "ResourceLinkItem opens this tool"),
        (lambda: c.ResourceLinkItem(line_item=10), "ResourceLinkItem.line_item"),
        (lambda: c.Answer(items=(c.LinkItem(url=PAGE),), is_refusal=True), "Answer is a refusal"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(make: Callable[[], Any], names: str) -> None:
    with pytest.raises(InvalidContent, match=names):
        make()


@given(st.sampled_from([*c._ITEMS.values(), c.LineItem, c.Icon, c.Iframe, c.Window, c.Period]), st.data())
def test_whatever_is_given_ends_in_an_item_or_in_the_typed_error(kind: type[Any], data: st.DataObject) -> None:
    needed = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    optional = [field.name for field in dataclasses.fields(kind) if field.name not in needed]
    values = data.draw(
        st.fixed_dictionaries(dict.fromkeys(needed, anything), optional=dict.fromkeys(optional, anything))
    )
    members = values | ({"url": PAGE} if "url" in needed and data.draw(st.booleans()) else {})
    try:
        kind(**members)
    except InvalidContent:
        pass


@given(content.items)
def test_an_item_survives_a_signed_form_field(item: c.ContentItem) -> None:
    assert c.from_plain(json.loads(json.dumps(c.to_plain(item)))) == item


def test_limits_refuse_before_anything_is_sent() -> None:
    link, activity = c.LinkItem(url=PAGE, title="x"), c.ResourceLinkItem(iframe=c.Iframe(width=600))
    pdf, movie = c.FileItem(url="https://x/a.pdf"), c.FileItem(url="https://x/a", media_type="video/mp4")
    refused: list[tuple[c.Limits, list[c.ContentItem]]] = [
        (c.Limits(accept_types=("ltiResourceLink",)), [activity, link]),
        (c.Limits(accept_multiple=False), [link, link]),
        (c.Limits(accept_presentation_document_targets=("window",)), [activity]),
        (c.Limits(accept_media_types=("image/*", "application/pdf")), [movie]),
    ]
    for limits, items in refused:
        with pytest.raises(ContentNotAccepted):
            limits.check(items)
    c.Limits(accept_media_types=("application/*",)).check([pdf, c.FileItem(url="https://x/unknown")])
    c.Limits(accept_multiple=False).check([link])
    c.Limits().check([link, activity, movie])  # an LMS that says nothing is taken to allow it
