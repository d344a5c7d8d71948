"""What people type or scripts send, made fit to be a name, an id or an address; raises BadRequest if it cannot."""

from __future__ import annotations

from . import errors

_LONGEST_NAME = 200


def clean_name(name: str) -> str:
    """The name with its white space in order."""
    cleaned = " ".join(name.split())
    if not cleaned:
        raise errors.BadRequest("A name must not be empty.")
    if len(cleaned) > _LONGEST_NAME:
        raise errors.BadRequest(f"A name has at most {_LONGEST_NAME} characters.")
    return _printable(cleaned, "A name")


def clean_id(text: str) -> str:
    """The id; it must be able to stand in a path of the sandbox's pages."""
    if not text or "/" in text or text in {".", ".."} or len(text) > 255 or text != text.strip():
        raise errors.BadRequest("An id has 1 to 255 characters, no slash and no white space at its ends.")
    return _printable(text, "An id")


def clean_email(email: str | None, user_id: str) -> str:
    """The address, or one made of the id when there is none."""
    if not email:
        return f"{user_id}@school.example"
    local, _, domain = email.rpartition("@")
    if not local or not domain or " " in email or len(email) > 254:
        raise errors.BadRequest("An e-mail address looks like name@school.example.")
    return _printable(email, "An e-mail address")


def _printable(text: str, what: str) -> str:
    if not text.isprintable():
        raise errors.BadRequest(f"{what} must not hold control characters.")
    return text
