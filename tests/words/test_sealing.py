"""Secrets at rest: sealed with the newest key, read with any, and found again while keys are rotated."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import exceptions, sealing

SECRET = "service-key: Zoë’s course"


def keys(settings: Any, *newest_first: str) -> None:
    """Set LTIAAS["SEALING_KEYS"]."""
    settings.LTIAAS = {"SEALING_KEYS": list(newest_first)}


def site(settings: Any, secret_key: str, *fallbacks: str) -> None:
    """Set Django's own keys, with none of ours."""
    settings.LTIAAS, settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = {}, secret_key, list(fallbacks)


@given(st.text())
def test_what_is_sealed_comes_back(secret: str) -> None:
    assert sealing.unseal(sealing.seal(secret)) == secret


def test_sealed_text_gives_nothing_away() -> None:
    first, second = sealing.seal(SECRET), sealing.seal(SECRET)
    assert first != second, "the same secret in two rows must not be seen to be the same"
    for sealed in (first, second):
        assert sealed.isascii()
        assert SECRET.encode() not in base64.urlsafe_b64decode(sealed)


def test_django_keys_can_be_rotated(settings: Any) -> None:
    site(settings, "old")
    sealed, sealed_with = sealing.seal(SECRET), sealing.newest_key()
    site(settings, "new", "old")
    assert sealing.unseal(sealed) == SECRET
    assert sealing.newest_key() != sealed_with
    again = sealing.seal(sealing.unseal(sealed))
    site(settings, "new")
    assert sealing.unseal(again) == SECRET
    with pytest.raises(exceptions.SealError):
        sealing.unseal(sealed)


def test_own_keys_can_be_rotated_and_take_the_place_of_djangos(settings: Any) -> None:
    site(settings, "django-key")
    with_django_key = sealing.seal(SECRET)
    keys(settings, "first")
    with pytest.raises(exceptions.SealError):
        sealing.unseal(with_django_key)
    sealed = sealing.seal(SECRET)
    keys(settings, "third", "second", "first")
    assert sealing.unseal(sealed) == SECRET
    settings.SECRET_KEY = "another-django-key"
    assert sealing.unseal(sealed) == SECRET
    keys(settings, "third", "second")
    with pytest.raises(exceptions.SealError):
        sealing.unseal(sealed)


def test_a_site_can_move_from_djangos_key_to_its_own(settings: Any) -> None:
    site(settings, "django-key")
    sealed, digest = sealing.seal(SECRET), sealing.digest(SECRET)
    keys(settings, "own-key", "django-key")
    assert sealing.unseal(sealed) == SECRET
    assert sealing.digest(SECRET) == digest


@pytest.mark.parametrize("damage", ["", "x", "gAAAAA", "süß", "\x00"])
def test_what_is_no_sealed_text_is_a_seal_error(damage: str) -> None:
    with pytest.raises(exceptions.SealError):
        sealing.unseal(damage)


def test_a_sealed_text_that_was_changed_is_a_seal_error() -> None:
    sealed = sealing.seal(SECRET)
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    with pytest.raises(exceptions.SealError) as caught:
        sealing.unseal(changed)
    assert sealed not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_digests_stay_findable_while_a_newer_key_is_put_in_front(settings: Any) -> None:
    """Launches are looked up by the digest of their ltik: with another one, a used ltik would pass as new."""
    site(settings, "old")
    digest, fingerprint = sealing.digest("an ltik"), sealing.fingerprint("an ltik")
    site(settings, "new", "old")
    assert sealing.digest("an ltik") == digest
    assert sealing.fingerprint("an ltik") == fingerprint
    site(settings, "new")
    assert sealing.digest("an ltik") != digest


def test_digests_are_keyed_and_of_fixed_form(settings: Any) -> None:
    site(settings, "one")
    digest = sealing.digest(SECRET)
    assert len(digest) == 64
    assert int(digest, 16)
    assert sealing.digest(SECRET + " ") != digest
    assert digest.startswith(sealing.fingerprint(SECRET))
    assert len(sealing.fingerprint(SECRET)) == 12
    site(settings, "two")
    assert sealing.digest(SECRET) != digest, "a plain hash of an ltik could be looked for by anybody"


def test_a_digest_does_not_help_to_unseal(settings: Any) -> None:
    """The keys that are derived from one sealing key differ."""
    derived = {sealing._derive("a key", purpose) for purpose in (b"seal", b"digest", b"name")}
    assert len(derived) == 3
