"""Everything that this package raises.

LtiError                          everything we raise
├── ConfigurationError            (also ImproperlyConfigured) the site's owner must change a setting
├── SealError                     a stored secret cannot be read with any of the sealing keys
├── LaunchError                   this launch cannot go on; shown to the person; has .status_code
│   ├── ContentNotAccepted        the LMS does not take such content items from this deep linking launch
│   ├── InvalidLaunch             the request or the ID token is not a launch that we can open
│   ├── LaunchExpired             the ltik is older than 24 hours, or unknown
│   ├── LaunchReplayed            the ltik was used before, and not by this browser
│   ├── LaunchThrottled           the site's rate limiter said no; has .retry_after
│   ├── LaunchUnavailable         LTIAAS cannot be asked just now, or not with our API key
│   └── SsoRefused                the sign-in policy said no
├── InvalidContent                (also ValueError) a content item that cannot be one; names the field
├── UnknownPerson                 `user=` names no LTI user, or several
├── ServiceNotOffered             no usable key offers what is asked (roster, grades)
└── ApiError                      we asked, and it did not work; has .origin, .status_code, .retryable
    ├── Unreachable               no connection: nothing was sent                       retryable
    ├── OutcomeUnknown            sent, but no whole answer came; it may have worked    retryable
    ├── Throttled                 429, or a 403 whose body says so; has .retry_after    retryable
    ├── ServerError               5xx                                                   retryable
    ├── Refused                   the key, the ltik or the API key is not accepted
    ├── NotFound                  404: line item, context or platform is gone
    ├── CourseConcluded           the LMS says that the course is over
    ├── PersonNotGradable         the LMS takes no score for this person
    ├── Superseded                the LMS holds something as new or newer
    ├── InvalidRequest            the LMS or LTIAAS says that our request is wrong
    └── InvalidResponse           an answer that does not parse; names the field

No error carries a key, an ltik or an Authorization header: texts that come from the wire are redacted here.
"""

from __future__ import annotations

from typing import Literal

from django.core.exceptions import ImproperlyConfigured

from ltiaas_django.redaction import redact

Origin = Literal["ltiaas", "lms", "network"]

_EXCERPT = 400  # characters of an answer that an operator needs to see; enough for every LMS text known


class LtiError(Exception):
    """Base of all; its text is a sentence for people."""


class ConfigurationError(LtiError, ImproperlyConfigured):
    """A setting of the LTIAAS dict is missing or wrong; the text says which and what to write."""


class SealError(LtiError):
    """A stored secret cannot be read with any of the sealing keys (were they changed?)."""


class LaunchError(LtiError):
    """This launch cannot go on. The text is shown to the person, in the frame, with `status_code`."""

    status_code = 400


class ContentNotAccepted(LaunchError):
    """The LMS does not take such content items from this deep linking launch; nothing was sent."""

    status_code = 422


class InvalidLaunch(LaunchError):
    """The request or the ID token is not a launch that we can open."""


class LaunchExpired(LaunchError):
    """The ltik is older than 24 hours, or LTIAAS does not know it."""

    status_code = 403


class LaunchReplayed(LaunchError):
    """The ltik was used before, and not by this browser."""

    status_code = 403


class LaunchThrottled(LaunchError):
    """The site's rate limiter said no."""

    status_code = 429
    retry_after = 60.0
    """Seconds to wait."""


class LaunchUnavailable(LaunchError):
    """LTIAAS cannot be asked just now, or does not accept our API key: nothing that the person could mend."""

    status_code = 503


class SsoRefused(LaunchError):
    """The sign-in policy said no."""

    status_code = 403


class InvalidContent(LtiError, ValueError):
    """A content item that cannot be one; the text names the field."""


class UnknownPerson(LtiError, LookupError):
    """`user=` names no LTI user of the platform, or several."""


class ServiceNotOffered(LtiError):
    """No healthy key of the context offers the service asked for; the next launch may bring one."""


class ApiError(LtiError):
    """A call to LTIAAS that did not work.

    `asked`: what was asked, such as "POST score"; `status_code`: of the answer, or None; `origin`: who said it:
    "ltiaas", "lms" (LTIAAS passes on what the LMS said) or "network"; `detail`: what came back, redacted and cut short.
    """

    retryable = False

    def __init__(
        self, asked: str, detail: str = "", *, status_code: int | None = None, origin: Origin = "ltiaas"
    ) -> None:
        self.asked = asked
        self.detail = redact(detail)[:_EXCERPT]
        self.status_code = status_code
        self.origin = origin
        super().__init__(asked, self.detail)

    def __str__(self) -> str:
        said_by = {"ltiaas": "LTIAAS", "lms": "The LMS", "network": "The network or a gateway"}[self.origin]
        status = f" {self.status_code}" if self.status_code else ""
        return f"{self.asked}: {said_by} said{status} {self.detail or '(nothing)'}"

    def __reduce__(self) -> tuple[object, ...]:
        # Celery pickles or re-creates errors from their arguments; keep all of them.
        return (_rebuild, (type(self), self.asked, self.detail, self.__dict__))

    @property
    def code(self) -> str:
        """A short word for rows and metrics, such as `throttled` or `person_not_gradable`."""
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(self).__name__).lstrip("_")


def _rebuild(kind: type[ApiError], asked: str, detail: str, state: dict[str, object]) -> ApiError:
    error = kind(asked, detail)
    error.__dict__.update(state)
    return error


class Unreachable(ApiError):
    """No connection could be made: nothing was sent."""

    retryable = True


class OutcomeUnknown(ApiError):
    """The request went out, but no whole answer came back: it may have been carried out."""

    retryable = True


class Throttled(ApiError):
    """Too many calls; `retry_after` says for how many seconds to hold back, if the answer said so."""

    retryable = True

    def __init__(
        self,
        asked: str,
        detail: str = "",
        *,
        status_code: int | None = None,
        origin: Origin = "ltiaas",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(asked, detail, status_code=status_code, origin=origin)
        self.retry_after = retry_after


class ServerError(ApiError):
    """LTIAAS, the LMS or a gateway between them failed (5xx)."""

    retryable = True


class Refused(ApiError):
    """The credential is not accepted: key, ltik or API key."""


class NotFound(ApiError):
    """What was asked about is not there (any more)."""


class CourseConcluded(ApiError):
    """The LMS says that the course is over, or gone: it takes no grades and gives no roster for it."""


class PersonNotGradable(ApiError):
    """The LMS takes no score for this person: a teacher, a test user, or somebody who has left."""


class Superseded(ApiError):
    """The LMS holds something as new or newer for this person and line item."""


class InvalidRequest(ApiError):
    """LTIAAS or the LMS says that the request is wrong."""


class InvalidResponse(ApiError):
    """An answer that does not parse; `detail` names the field or what came instead of JSON."""

    def __str__(self) -> str:
        said_by = "the LMS" if self.origin == "lms" else "LTIAAS"
        return f"{self.asked}: the answer of {said_by} cannot be used: {self.detail}"
