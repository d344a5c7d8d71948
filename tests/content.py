"""Hypothesis strategies for content items: all that our classes take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from ltiaas_django import content_items

texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=40)
filled = texts.filter(str.strip)
sizes = st.none() | st.integers(1, 5000)
urls = st.builds(
    lambda scheme, host, path: f"{scheme}://{host}/{quote(path)}",
    st.sampled_from(["http", "https"]),
    st.sampled_from(["x", "tool.example:8443", "[::1]", "a.b-c.example"]),
    texts,
)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)).map(  # noqa: DTZ001 -- made aware here
    lambda moment: moment.replace(tzinfo=UTC)
)
amounts = st.decimals(Decimal("0.001"), 10**9, places=3) | st.integers(1, 10**9)
icons = st.none() | st.builds(content_items.Icon, url=urls, width=sizes, height=sizes)
windows = st.none() | st.builds(content_items.Window, target_name=texts, width=sizes, height=sizes, features=texts)
frames = st.none() | st.builds(content_items.Iframe, width=sizes, height=sizes)
periods = st.none() | st.builds(
    lambda start, length: content_items.Period(starts_at=start, ends_at=None if length is None else start + length),
    moments,
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
)
line_items = st.none() | st.builds(
    content_items.LineItem,
    score_maximum=amounts,
    label=texts,
    resource_id=texts,
    tag=texts,
    grades_released=st.none() | st.booleans(),
)
custom = st.dictionaries(filled, texts, max_size=4)
query = st.dictionaries(filled.filter(lambda name: name not in ("lti", "ltik")), texts, max_size=3)
shared: dict[str, Any] = {"title": texts, "text": texts}
pictured = shared | {"icon": icons, "thumbnail": icons}

items: st.SearchStrategy[content_items.ContentItem] = st.one_of(
    st.builds(
        content_items.ResourceLinkItem,
        **pictured,
        custom=custom,
        query=query,
        line_item=line_items,
        available=periods,
        submission=periods,
        iframe=frames,
        window=windows,
    ),
    st.builds(content_items.LinkItem, **pictured, url=urls, embed_html=texts, iframe=frames, window=windows),
    st.builds(content_items.HtmlItem, **shared, html=filled),
    st.builds(content_items.FileItem, **pictured, url=urls, expires_at=st.none() | moments),
    st.builds(content_items.ImageItem, **pictured, url=urls, width=sizes, height=sizes),
)
