"""Seal and unseal secrets at rest: Fernet (AES-CBC with HMAC, see cryptography's docs), rotation by MultiFernet.

Sealing keys are any texts; Fernet keys are derived from them, so that a Django SECRET_KEY serves as it is.
The newest key seals; all of them unseal.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings as django_settings

from ltiaas_django.conf import settings
from ltiaas_django.exceptions import SealError

_PURPOSE = b"ltiaas_django.sealing"


def seal(secret: str) -> str:
    """The secret as text that is safe to store."""
    return _box(_sealing_keys()).encrypt(secret.encode()).decode("ascii")


def unseal(sealed: str) -> str:
    """The secret again. Raises SealError if none of the sealing keys fits."""
    try:
        return _box(_sealing_keys()).decrypt(sealed.encode("ascii")).decode()
    except (InvalidToken, UnicodeError) as error:
        raise SealError("A stored secret cannot be read with any of the sealing keys.") from error


def newest_key() -> str:
    """A name of the sealing key that seals now: what bears another name is due for re-sealing."""
    return _derive(_sealing_keys()[0], b"name").hex()[:12]


def digest(secret: str) -> str:
    """A keyed digest, 64 hex digits, to look a secret up by without storing it.

    Keyed with the oldest sealing key that is configured, so that adding a newer key keeps stored digests findable.
    """
    return hmac.new(_derive(_sealing_keys()[-1], b"digest"), secret.encode(), hashlib.sha256).hexdigest()


def fingerprint(secret: str) -> str:
    """Twelve hex digits that tell two secrets apart in admin and logs, and give nothing away."""
    return digest(secret)[:12]


def _sealing_keys() -> tuple[str, ...]:
    own = tuple(settings.SEALING_KEYS)
    return own or tuple(map(str, (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS)))


def _derive(key: str, purpose: bytes) -> bytes:
    return hmac.new(key.encode(), _PURPOSE + b":" + purpose, hashlib.sha256).digest()


@functools.lru_cache(maxsize=8)
def _box(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key, b"seal"))) for key in keys])
