"""The words of LTI: enumerations and roles, as the 1EdTech specifications spell them.

Nothing here touches the database or the network, so that every other module (the sandbox too) may use it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Self


class LaunchType(enum.StrEnum):
    """What the LMS wants of a launch (LTI Core 1.3, section 5.3.1, `message_type`)."""

    RESOURCE_LINK = "LtiResourceLinkRequest"
    DEEP_LINKING = "LtiDeepLinkingRequest"
    SUBMISSION_REVIEW = "LtiSubmissionReviewRequest"
    LEGACY = "basic-lti-launch-request"


class ActivityProgress(enum.StrEnum):
    """How far the person has come (Assignment and Grade Services 2.0, section 3.4.7)."""

    INITIALIZED = "Initialized"
    STARTED = "Started"
    IN_PROGRESS = "InProgress"
    SUBMITTED = "Submitted"
    COMPLETED = "Completed"


class GradingProgress(enum.StrEnum):
    """How far the grading has come (Assignment and Grade Services 2.0, section 3.4.8).

    Many LMSs show a grade only for FULLY_GRADED, and some wipe the grade on anything else.
    """

    FULLY_GRADED = "FullyGraded"
    PENDING = "Pending"
    PENDING_MANUAL = "PendingManual"
    FAILED = "Failed"
    NOT_READY = "NotReady"


class MembershipStatus(enum.StrEnum):
    """Whether a person still belongs to a context (Names and Role Provisioning Services 2.0, section 2.3)."""

    ACTIVE = "Active"
    INACTIVE = "Inactive"
    DELETED = "Deleted"


class ContentItemType(enum.StrEnum):
    """What a deep linking answer may hold (Deep Linking 2.0, section 3)."""

    LTI_RESOURCE_LINK = "ltiResourceLink"
    LINK = "link"
    HTML = "html"
    FILE = "file"
    IMAGE = "image"


_CONTEXT_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
_CONTEXT_SUBROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership/"
_LEGACY_CONTEXT_ROLE = "urn:lti:role:ims/lis/"
_TEST_USER = "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"


class Role(enum.StrEnum):
    """A context role (LTI Core 1.3, appendix A.2.3), the only kind that gives rights.

    Institution and system roles say who a person is elsewhere; they, mentors and everything unknown parse to no role.
    """

    ADMINISTRATOR = "Administrator"
    CONTENT_DEVELOPER = "ContentDeveloper"
    INSTRUCTOR = "Instructor"
    LEARNER = "Learner"
    TEACHING_ASSISTANT = "TeachingAssistant"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The context role that a URI or short name stands for, or None if it gives no rights.

        >>> Role.parse("http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor")
        <Role.INSTRUCTOR: 'Instructor'>
        >>> Role.parse("http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor") is None
        True
        """
        return cls._value2member_map_.get(_context_role_name(text))  # type: ignore[return-value]


_ALIASES = {"Student": "Learner"}  # the contract's short name for a learner


def _context_role_name(text: str) -> str:
    """The principal role's short name; blank if the text is no context role."""
    if text.startswith(_CONTEXT_ROLE):
        name = text.removeprefix(_CONTEXT_ROLE)
    elif text.startswith(_CONTEXT_SUBROLE):
        # A sub-role is `membership/Principal#Sub`. An assistant is her own word, all others count as their principal.
        principal, _, sub = text.removeprefix(_CONTEXT_SUBROLE).partition("#")
        name = "TeachingAssistant" if sub.startswith("TeachingAssistant") else principal
    elif text.startswith(_LEGACY_CONTEXT_ROLE):
        name = text.removeprefix(_LEGACY_CONTEXT_ROLE).partition("/")[0]
    elif "/" in text or ":" in text:
        return ""
    else:
        name = text
    return _ALIASES.get(name, name)


def context_roles(roles: Iterable[str]) -> frozenset[Role]:
    """The context roles among LMS role texts; what is not on the list is left out (it gives no rights)."""
    return frozenset(role for role in map(Role.parse, roles) if role is not None)


def is_instructor(roles: Iterable[str]) -> bool:
    """Whether one of the roles teaches in this context: instructor, or teaching assistant."""
    return not context_roles(roles).isdisjoint({Role.INSTRUCTOR, Role.TEACHING_ASSISTANT})


def is_learner(roles: Iterable[str]) -> bool:
    """Whether one of the roles learns in this context."""
    return Role.LEARNER in context_roles(roles)


def is_test_user(roles: Iterable[str]) -> bool:
    """Whether the LMS says that this person is its own test student (LTI Core 1.3, appendix A.2.1)."""
    return _TEST_USER in roles
