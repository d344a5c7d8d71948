"""What comes over the wire, parsed once: frozen dataclasses that know neither JSON nor the database.

Field names are the specification's words in snake case; `lti_id` is always the LMS's own id of the thing itself.
A blank string means that the LMS did not say. Amounts are `Decimal`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, dataclass_transform

from ltiaas_django import content_items
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress, LaunchType, MembershipStatus

_Class = TypeVar("_Class")


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(dataclasses.field,))
def _frozen(cls: type[_Class]) -> type[_Class]:
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)


@_frozen
class Platform:
    """The LMS installation that a launch came from."""

    ltiaas_id: str
    """LTIAAS's id of the registration, globally unique."""
    issuer: str = ""
    """The LMS's issuer URL; all hosted Canvas schools share one."""
    client_id: str = ""
    """In LTI 1.1, the consumer key."""
    deployment_id: str = ""
    """One installation of a multi-tenant LMS; context and resource link ids are unique within it."""
    name: str = ""
    guid: str = ""
    product_family: str = ""
    """Such as `canvas`, `moodle`, `BlackboardLearn`."""
    version: str = ""


@_frozen
class User:
    """The person who launches."""

    lti_id: str
    """Unique within the platform only."""
    roles: tuple[str, ...] = ()
    """Role URIs or short names, as the LMS sent them; `vocabulary` judges them."""
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    """As the institution asserts it: neither verified nor unique."""
    picture: str = ""


@_frozen
class Context:
    """Usually a course."""

    lti_id: str
    label: str = ""
    title: str = ""
    types: tuple[str, ...] = ()


@_frozen
class ResourceLink:
    """Usually an activity of the course."""

    lti_id: str
    title: str = ""
    description: str = ""


@_frozen
class Launch:
    """What is launched, and how it is shown."""

    type: LaunchType
    target: str = ""
    """The target link URI that the LMS launched."""
    context: Context | None = None
    resource_link: ResourceLink | None = None
    document_target: str = ""
    """`iframe`, `frame` or `window`."""
    locale: str = ""
    return_url: str = ""
    custom: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@_frozen
class Services:
    """What the LMS offers to this launch."""

    offers_roster: bool = False
    offers_grades: bool = False
    line_item_id: str = ""
    """Only when exactly one line item belongs to the launch."""
    scopes: tuple[str, ...] = ()
    offers_deep_linking: bool = False
    deep_linking: content_items.Limits = dataclasses.field(default_factory=content_items.Limits)
    """Of a deep linking launch: what the LMS takes."""
    service_key: str = dataclasses.field(default="", repr=False)
    """Opaque and long-lived; opens the context's services outside the launch."""
    legacy_service_key: str = dataclasses.field(default="", repr=False)
    """Of a launch of LTI 1.1 or 1.2; opens none of the services above."""


@_frozen
class IdToken:
    """All that LTIAAS says of one launch."""

    lti_version: str = "1.3.0"
    user: User
    platform: Platform
    launch: Launch
    services: Services
    for_user_id: str = ""
    """Of a submission review: whose work is looked at (Submission Review 1.0, section 3.1)."""
    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """The whole answer, for what is not parsed here. Holds the service key: never store or log it."""


@_frozen
class Member:
    """One entry of a roster answer."""

    user_id: str
    roles: tuple[str, ...] = ()
    status: MembershipStatus = MembershipStatus.ACTIVE
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    picture: str = ""

    def fingerprint(self) -> str:
        """The same for as long as the LMS says the same of this person, in whatever order it names the roles."""
        texts = (self.status, self.name, self.given_name, self.family_name, self.email, self.picture)
        return member_fingerprint(self.roles, texts)


def member_fingerprint(roles: Collection[str], texts: tuple[str, str, str, str, str, str]) -> str:
    """`Member.fingerprint` of its roles, status, names, e-mail and picture. Raises TypeError if one is no text."""
    if len(roles) > 1:
        roles = sorted(set(roles))
    # None holds a NUL, and all but the roles are always there: other texts are never joined to the same.
    return hashlib.blake2b("\0".join((*roles, *texts)).encode("utf-8", "replace"), digest_size=16).hexdigest()


@_frozen
class LineItem:
    """A column of the LMS's gradebook; `lti_id` is its URL at the LMS, blank before it is created."""

    lti_id: str = ""
    label: str
    score_maximum: Decimal
    """In points, above 0."""
    resource_link_id: str = ""
    resource_id: str = ""
    tag: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    grades_released: bool | None = None


@_frozen
class DeepLinkingMessage:
    """The answer to a deep linking launch, to be posted by the person's browser (Deep Linking 2.0, section 4.4.2)."""

    message: str = dataclasses.field(repr=False)
    """A signed JWT, for the form field `JWT`."""
    target: str
    """The LMS's page that takes it."""


@_frozen
class Score:
    """What we send about one person's work (Assignment and Grade Services 2.0, section 3.4)."""

    user_id: str
    given: Decimal | None
    """In points of `maximum`; 0 is a score, None clears the grade, more than the maximum is extra credit."""
    maximum: Decimal | None
    activity_progress: ActivityProgress = ActivityProgress.COMPLETED
    grading_progress: GradingProgress = GradingProgress.FULLY_GRADED
    comment: str = ""
    """Shown to learner and teacher; a later score without a comment clears it."""
    timestamp: datetime
    """When the score changed; aware."""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further members passed on as they are, such as Canvas's submission extension."""


@_frozen
class PlatformRegistration:
    """A platform of the account, as LTIAAS holds it, or as it is to be registered (then without id and key)."""

    ltiaas_id: str = ""
    issuer: str = ""
    client_id: str = ""
    name: str = ""
    authentication_endpoint: str = ""
    access_token_endpoint: str = ""
    auth_method: str = ""
    """How the LMS's signatures are checked: `JWK_SET`, `JWK_KEY` or `RSA_KEY`."""
    auth_key: str = ""
    """The URL of the key set, or the public key itself, of the LMS."""
    public_key: str = ""
    """LTIAAS's own for this platform; some LMSs ask for it."""
    is_active: bool | None = None
    """Whether it may launch; None: LTIAAS did not say."""


@_frozen
class RegistrationMessage:
    """A message that an LMS can send (LTI Dynamic Registration 1.0, section 2.1.2), and where it offers it."""

    type: str
    placements: tuple[str, ...] = ()


@_frozen
class RegistrationRequest:
    """What an LMS that wants to be registered says of itself. Nobody has checked any of it."""

    issuer: str = ""
    """Shown to people, never fetched: it may point anywhere, into our own network too."""
    product_family: str = ""
    version: str = ""
    scopes: tuple[str, ...] = ()
    messages: tuple[RegistrationMessage, ...] = ()


@_frozen
class ApprovedRegistration:
    """What LTIAAS answers to an approval."""

    ltiaas_id: str
    html: str = dataclasses.field(repr=False)
    """LTIAAS's own, to be put into the page as it is: it closes the LMS's window."""


@_frozen
class Result:
    """What the gradebook holds for one person (Assignment and Grade Services 2.0, section 3.3)."""

    user_id: str
    lti_id: str = ""
    score: Decimal | None = None
    maximum: Decimal | None = None
    comment: str | None = None
    """None when the LMS does not say (then it cannot be compared), blank when there is none."""
