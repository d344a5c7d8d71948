"""The id token of a launch, in LTIAAS's form and as the LMS's own claims (`raw=true`)."""

from __future__ import annotations

from typing import Any

from ltiaas_django.vocabulary import LaunchType, Role

from . import content
from .campus import Campus, Person
from .courses import Course
from .credentials import LTIK_LIFETIME, Launch

PLATFORM_ID = "5f6c0e9b1d2a4c7e8f90a1b2c3d4e5f6"
CLIENT_ID = "sandbox-client"
CONSUMER_KEY = "sandbox-consumer"
PLATFORM_NAME = "Sandbox School"
_DEPLOYMENT_ID = "1"
_GUID = "sandbox.school.example"
_LEGACY_CONTEXT_ROLE = "urn:lti:role:ims/lis/"
_CONTEXT_ROLE = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
_CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
_DEEP_LINKING_CLAIM = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/"
_SCOPES = [
    f"{_AGS}scope/lineitem",
    f"{_AGS}scope/lineitem.readonly",
    f"{_AGS}scope/result.readonly",
    f"{_AGS}scope/score",
]


def role_uri(role: Role) -> str:
    """The role as launches spell it; rosters use the short name."""
    return f"{_CONTEXT_ROLE}{role}"


def legacy_role(role: Role) -> str:
    """The role as launches of LTI 1.1 spell it."""
    return f"{_LEGACY_CONTEXT_ROLE}{role}"


def personal(person: Person, *, anonymous: bool) -> dict[str, str]:
    """What the LMS tells of a person beside the id; nothing if it keeps people anonymous."""
    if anonymous:
        return {}
    facts = {
        "name": person.name,
        "givenName": person.given_name,
        "familyName": person.family_name,
        "email": person.email,
    }
    return {name: value for name, value in facts.items() if value}


def id_token(launch: Launch, course: Course, tool_url: str, *, anonymous: bool) -> dict[str, Any]:
    """The id token as LTIAAS gives it; what does not apply is left out, never null."""
    enrolment = course.enrolment(launch.person_id)
    role = legacy_role(enrolment.role) if launch.is_legacy else role_uri(enrolment.role)
    return {
        "ltiVersion": "1.2.0" if launch.is_legacy else "1.3.0",
        "user": {
            "id": launch.person_id,
            "roles": [role],
            **personal(enrolment.person, anonymous=anonymous),
        },
        "platform": _platform(launch, course.campus),
        "launch": _launch(launch, course, tool_url),
        "services": _legacy_services(launch) if launch.is_legacy else _services(launch, course),
    }


def _platform(launch: Launch, campus: Campus) -> dict[str, Any]:
    registered = {"url": campus.origin, "clientId": CLIENT_ID, "deploymentId": _DEPLOYMENT_ID}
    return {
        "id": PLATFORM_ID,
        **({"consumerKey": CONSUMER_KEY} if launch.is_legacy else registered),
        "name": PLATFORM_NAME,
        "description": "A simulated LMS",
        "guid": _GUID,
        "productFamilyCode": "moodle",
        "version": "2025100600",
        "contactEmail": "help@school.example",
    }


def _launch(launch: Launch, course: Course, tool_url: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": str(launch.type),
        "target": tool_url,
        "context": {"id": course.id, "label": course.label, "title": course.title, "type": ["CourseSection"]},
        "presentation": _presentation(launch, course),
        "custom": {},
    }
    if launch.activity_id is not None:
        activity = course.activity(launch.activity_id)
        described["resourceLink"] = _resource_link(launch, course)
        described["custom"] = dict(activity.custom)
    return described


def _resource_link(launch: Launch, course: Course) -> dict[str, str]:
    activity = course.activity(launch.activity_id or "")
    link = {"id": activity.id, "title": activity.title, "description": activity.description}
    return {name: value for name, value in link.items() if value}


def _presentation(launch: Launch, course: Course) -> dict[str, str]:
    return {
        "documentTarget": launch.target,
        "locale": "en-GB",
        "returnUrl": f"{course.campus.origin}/courses/{course.id}/",
    }


def _services(launch: Launch, course: Course) -> dict[str, Any]:
    grades: dict[str, Any] = {"available": True, "scopes": _SCOPES}
    items = course.line_items_of(launch.activity_id) if launch.activity_id is not None else []
    if len(items) == 1:  # declared only when exactly one belongs to the launch
        grades["lineItemId"] = items[0].id
    deep_linking = content.formatted(launch.deep_linking)  # nothing in any other launch
    return {
        "deepLinking": {"available": launch.type == LaunchType.DEEP_LINKING, **deep_linking},
        "namesAndRoles": {"available": True},
        "assignmentAndGrades": grades,
        "outcomes": {"available": False},
        "serviceKey": launch.service_key,
    }


def _legacy_services(launch: Launch) -> dict[str, Any]:
    """LTI 1.1 has outcomes only; the key that comes with them opens none of the services above."""
    return {
        "deepLinking": {"available": False},
        "namesAndRoles": {"available": False},
        "assignmentAndGrades": {"available": False},
        "outcomes": {"available": True},
        "legacyServiceKey": launch.service_key,
    }


def legacy_parameters(launch: Launch, course: Course, *, anonymous: bool) -> dict[str, str]:
    """The parameters of the form that an LMS of LTI 1.1 posts, without its signature."""
    enrolment = course.enrolment(launch.person_id)
    spelling = {
        "name": "lis_person_name_full",
        "givenName": "lis_person_name_given",
        "familyName": "lis_person_name_family",
        "email": "lis_person_contact_email_primary",
    }
    link = _resource_link(launch, course)
    return {
        "lti_message_type": str(launch.type),
        "lti_version": "LTI-1p0",
        "oauth_consumer_key": CONSUMER_KEY,
        "user_id": launch.person_id,
        "roles": legacy_role(enrolment.role),
        **{spelling[name]: value for name, value in personal(enrolment.person, anonymous=anonymous).items()},
        "context_id": course.id,
        "context_label": course.label,
        "context_title": course.title,
        "resource_link_id": link["id"],
        "resource_link_title": link["title"],
        "tool_consumer_instance_guid": _GUID,
    }


def raw_claims(launch: Launch, course: Course, tool_url: str, *, anonymous: bool) -> dict[str, Any]:
    """The claims as an LMS signs them (LTI Core 1.3, section 5.3); the form's parameters for LTI 1.1."""
    if launch.is_legacy:
        return legacy_parameters(launch, course, anonymous=anonymous)
    campus, enrolment = course.campus, course.enrolment(launch.person_id)
    names = personal(enrolment.person, anonymous=anonymous)
    spelling = {"name": "name", "givenName": "given_name", "familyName": "family_name", "email": "email"}
    presentation = _presentation(launch, course)
    claims: dict[str, Any] = {
        "iss": campus.origin,
        "aud": CLIENT_ID,
        "sub": launch.person_id,
        "iat": int(launch.at.timestamp()),
        "exp": int((launch.at + LTIK_LIFETIME).timestamp()),
        **{spelling[name]: value for name, value in names.items()},
        f"{_CLAIM}message_type": str(launch.type),
        f"{_CLAIM}version": "1.3.0",
        f"{_CLAIM}deployment_id": _DEPLOYMENT_ID,
        f"{_CLAIM}target_link_uri": tool_url,
        f"{_CLAIM}roles": [role_uri(enrolment.role)],
        f"{_CLAIM}context": {
            "id": course.id,
            "label": course.label,
            "title": course.title,
            "type": ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseSection"],
        },
        f"{_CLAIM}tool_platform": {
            "guid": _GUID,
            "name": PLATFORM_NAME,
            "product_family_code": "moodle",
            "version": "2025100600",
        },
        f"{_CLAIM}launch_presentation": {
            "document_target": presentation["documentTarget"],
            "locale": presentation["locale"],
            "return_url": presentation["returnUrl"],
        },
    }
    if launch.activity_id is not None:
        claims[f"{_CLAIM}resource_link"] = _resource_link(launch, course)
        claims[f"{_CLAIM}custom"] = dict(course.activity(launch.activity_id).custom)
    if launch.type == LaunchType.SUBMISSION_REVIEW:
        claims[f"{_CLAIM}for_user"] = {"user_id": launch.for_user or launch.person_id}
    if launch.type == LaunchType.DEEP_LINKING:
        return_url = f"{campus.origin}/courses/{course.id}/deep-linking/"
        claims[_DEEP_LINKING_CLAIM] = content.claim(launch.deep_linking, return_url)
    return claims
