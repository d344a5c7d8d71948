"""A roster read against what is known says the same as one read in full, only shorter."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from ltiaas_django import data, exceptions
from ltiaas_django.connections.ltiaas import wire

TEXT = st.sampled_from(["", "Ann", " Ann ", "a@b.example", "no address", "https://x/y", "\ud800", "A\x00B", "x" * 300])
ODD = TEXT | st.none() | st.integers(0, 2) | st.booleans() | st.lists(TEXT, max_size=2)
ROLES = st.lists(st.sampled_from(["Learner", "Instructor", ""]), max_size=3)
NAMES = ["name", "givenName", "given_name", "familyName", "email", "picture"]
ENTRY = st.builds(
    lambda user_id, roles, status, more: {"userId": user_id, "roles": roles, "status": status} | more,
    st.sampled_from(["1", "2", " 3 ", 4, "5"]),
    ROLES | st.just("Learner") | st.none(),
    st.sampled_from(["Active", "active", "Inactive", "", None]),
    st.dictionaries(st.sampled_from(NAMES), TEXT | ODD, max_size=6),
)


def parsed(entry: dict[str, Any]) -> data.Member | None:
    try:
        return wire.parse_membership_page({"members": [entry]})[0][0]
    except exceptions.InvalidResponse:
        return None


@given(st.lists(ENTRY, max_size=4), st.lists(ENTRY, max_size=4))
def test_only_those_who_are_known_as_they_are_stand_as_ids(
    last_night: list[dict[str, Any]], tonight: list[dict[str, Any]]
) -> None:
    known = {member.user_id: member.fingerprint() for member in map(parsed, last_night) if member}
    tonight = [entry for entry in [*last_night, *tonight] if parsed(entry)]
    read, _next = wire.parse_membership_page_unlike(known, {"members": tonight})
    for entry, member in zip(read, map(parsed, tonight), strict=True):
        assert member is not None
        if isinstance(entry, str):
            assert entry == member.user_id
            assert known[entry] == member.fingerprint()
        else:
            assert entry == member


def test_a_plain_entry_that_is_known_stands_as_an_id() -> None:
    entry = {"userId": "1", "roles": ["Learner", "Instructor"], "name": "Ann", "email": "ann@school.example"}
    [member], _next = wire.parse_membership_page({"members": [entry]})
    turned = {**entry, "roles": ["Instructor", "Learner"], "status": "Active"}
    known = {"1": member.fingerprint()}
    assert wire.parse_membership_page_unlike(known, {"members": [turned], "next": "n"}) == (["1"], "n")
    renamed = {**entry, "name": "Anne"}
    assert wire.parse_membership_page_unlike(known, {"members": [renamed]})[0] == [parsed(renamed)]
