"""Habits of LTIAAS's own client are forgiven and told; what a right client sends passes unchanged, without a word."""

from __future__ import annotations

from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django.sandbox import habits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# Ids as LMSs make them, and worse: with queries, with percent signs, with slashes at either end.
IDS = st.builds("https://{}{}".format, st.sampled_from(["lms.example", "localhost:9800"]), TEXTS)
ENCODE = st.sampled_from([lambda text: quote(text, safe=""), quote_plus])
PLAIN_TEXTS = TEXTS.filter(lambda text: "%" not in text)  # a role or page URL that was encoded once decodes to itself


@given(IDS, st.sampled_from([[], ["scores"]]))
def test_line_item_id_encoded_whole_is_left_alone(line_item_id, tail):
    warnings: list[str] = []
    right = ["api", "lineitems", quote(line_item_id, safe=""), *tail]
    assert habits.forgive_path("/" + "/".join(right), warnings) == right
    assert warnings == []


@given(st.sampled_from(["idtoken", "memberships", "lineitems", "deeplinking/form", "platforms/a/activate", "x//y", ""]))
def test_other_paths_are_left_alone(path):
    warnings: list[str] = []
    assert "/".join(habits.forgive_path(f"/api/{path}", warnings)) == f"api/{path}"
    assert warnings == []


@given(IDS.filter(lambda text: text.strip("/").count("/") > 1), st.sampled_from(["", "/scores"]))
def test_line_item_id_with_bare_slashes_is_put_together(line_item_id, tail):
    warnings: list[str] = []
    segments = habits.forgive_path(f"/api/lineitems/{quote(line_item_id)}{tail}", warnings)
    is_ambiguous = not tail and line_item_id.endswith("/scores")  # whose `scores`? as for LTIAAS itself, the path's
    assert is_ambiguous or segments[2] == quote(line_item_id, safe="")
    assert warnings == [habits.UNENCODED_ID]


@given(st.dictionaries(st.sampled_from(["role", "limit", "tag", "resourceId", "userId"]), PLAIN_TEXTS), ENCODE)
def test_query_encoded_once_is_left_alone(query, encode):
    sent = "&".join(f"{name}={encode(value)}" for name, value in query.items())
    warnings: list[str] = []
    assert habits.forgive_query(sent, lambda url: False, warnings) == sent
    assert warnings == []


@given(IDS, ENCODE)
def test_page_url_encoded_once_is_left_alone(url, encode):
    """Also one that holds percent signs of its own."""
    sent = f"url={encode(url)}"
    warnings: list[str] = []
    assert habits.forgive_query(sent, {url}.__contains__, warnings) == sent
    assert warnings == []


@given(IDS)
def test_page_url_encoded_twice_is_known_again(url):
    if quote(url) == url:
        return
    warnings: list[str] = []
    forgiven = habits.forgive_query(urlencode({"url": quote(url)}), {url}.__contains__, warnings)
    assert forgiven == urlencode({"url": url})
    assert warnings == [habits.ENCODED_TWICE.format("url")]


JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=10,
)


@given(JSON, st.booleans())
def test_body_without_nulls_is_left_alone(body, clears):
    """A null where a score's value stands is none: it clears the grade."""
    if clears and isinstance(body, dict):
        body["scoreGiven"] = None
    warnings: list[str] = []
    assert habits.forgive_body(body, warnings) == body
    assert warnings == []


@given(st.dictionaries(TEXTS.filter(lambda name: name != "scoreGiven"), JSON), st.sampled_from(["tag", "comment"]))
def test_members_that_are_null_are_left_out(body, name):
    body.pop(name, None)
    warnings: list[str] = []
    assert habits.forgive_body({**body, name: None}, warnings) == body
    assert warnings == [habits.NULLS.format(name)]


@pytest.mark.parametrize("query", ["%", "a=%ff", "&".join(["a=b"] * 101), "raw=true", "raw=maybe", "a", "a=&=b"])
def test_odd_queries_are_left_to_the_check_that_follows(query):
    warnings: list[str] = []
    assert habits.forgive_query(query, lambda url: True, warnings) == query
    assert warnings == []
