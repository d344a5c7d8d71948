"""Keep bearer credentials out of every string that people, logs or error trackers may see.

An ltik, a service key or the account's API key opens a course's gradebook to whoever holds it, so text that came from
the wire goes through `redact` before it becomes part of an error or a log line.
"""

from __future__ import annotations

import copy
import logging
import re
import traceback
from typing import Any, Final

HIDDEN: Final = "[hidden]"

_SECRETS: Final = re.compile(
    r"""
      # an Authorization value
      (?P<scheme>(?:LTIK-AUTH-V[12]|SERVICE-AUTH-V1|Bearer)(?:\s|%20)+)[^\s"',]+
      # a parameter or a JSON member; percent-encoded (twice, in a `next`), escaped, or in a list (QueryDict's repr)
    | (?P<name>(?:ltik|service_?key)\\*["']?\s*(?:[=:]|%(?:25)*3[AD])\s*\[?\\*["']?)[^\s"'&,}\\]+
      # anything shaped like a JWT, where a word begins
    | (?:(?<![\w-])|(?<=%[0-9A-F]{2}))eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SECRET_NAMES: Final = {"ltik", "servicekey", "service_key", "legacyservicekey"}
_QUICK_LOOK: Final = re.compile(r"ltik|service_?Key|AUTH-V|Bearer|eyJ", re.IGNORECASE)


class Hidden(str):
    """A credential that does not show itself where debug pages and error trackers print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(HIDDEN)


def redact(text: str) -> str:
    """The same text with every credential in it replaced by `[hidden]`.

    >>> redact("GET /lti/launch/?ltik=abc.def&x=1")
    'GET /lti/launch/?ltik=[hidden]&x=1'
    """
    if not _QUICK_LOOK.search(text):
        return text
    return _SECRETS.sub(lambda found: (found["scheme"] or found["name"] or "") + HIDDEN, text)


def _redact_logged(arg: Any) -> Any:
    """Texts, and errors as their texts; other objects stay, for to write them out may be costly (a query set)."""
    return redact(str(arg)) if isinstance(arg, str | BaseException) else arg


def _redact_mapping(args: dict[Any, Any]) -> dict[Any, Any]:
    """Of the same class: gunicorn's knows what to say of a name that is missing."""
    changed = {}
    for name, arg in args.items():
        if isinstance(name, str) and name.lower() in _SECRET_NAMES:
            changed[name] = HIDDEN  # request.GET, say
        elif isinstance(arg, str | BaseException):
            changed[name] = _redact_logged(arg)
    try:
        redacted = copy.copy(args)
        for name, arg in changed.items():
            redacted[name] = arg
    except Exception:  # a class that lets nobody change it
        return {**args, **changed}
    return redacted


def install_log_redaction() -> None:
    """Have every log record of this process redacted when it is made, whoever logs it and to whatever handler.

    Web servers log request lines, and a launch's request line holds the ltik. Installing twice does nothing more.
    """
    make_record = logging.getLogRecordFactory()
    if getattr(make_record, "redacts_ltiks", False):
        return

    def make_redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        record.msg = _redact_logged(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_redact_logged, record.args))
        elif isinstance(record.args, dict):
            record.args = _redact_mapping(record.args)
        if record.exc_info and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (redacted := redact(text)) != text:
                # Formatters print `exc_text` as it is; those that make a text of their own must not get at the error.
                record.exc_info, record.exc_text = None, redacted
        return record

    make_redacted_record.redacts_ltiks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_redacted_record)
