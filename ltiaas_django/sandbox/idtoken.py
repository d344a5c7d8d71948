"""The id token of a launch, in LTIAAS's form and as the LMS's own claims (`raw=true`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ltiaas_django.vocabulary import LaunchType

from . import content
from .courses import Course
from .credentials import LTIK_LIFETIME, Launch
from .profiles import Profile
from .school import School

CONSUMER_KEY = "sandbox-consumer"
_LEGACY_CONTEXT_ROLE = "urn:lti:role:ims/lis/"
_CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
_DEEP_LINKING_CLAIM = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/"
_SCOPES = [
    f"{_AGS}scope/lineitem",
    f"{_AGS}scope/lineitem.readonly",
    f"{_AGS}scope/result.readonly",
    f"{_AGS}scope/score",
]


def legacy_role(role: str) -> str:
    """The role as launches of LTI 1.1 spell it."""
    return f"{_LEGACY_CONTEXT_ROLE}{role}"


def id_token(launch: Launch, course: Course, profile: Profile, tool_url: str) -> dict[str, Any]:
    """The id token as LTIAAS gives it; what does not apply is left out, never null."""
    enrolment = course.enrolment(launch.person_id)
    roles = [legacy_role(enrolment.role)] if launch.is_legacy else profile.launch_roles(enrolment)
    return {
        "ltiVersion": _lti_version(launch),
        "user": {"id": enrolment.person.lti_id, "roles": roles, **profile.tells(enrolment.person)},
        "platform": _platform(launch, course.school, profile),
        "launch": _launch(launch, course, tool_url),
        "services": _legacy_services(launch) if launch.is_legacy else _services(launch, course, profile),
    }


def _lti_version(launch: Launch) -> str:
    """As LTIAAS says it, which adds it to the LMS's own claims too: its Python client refuses these without it."""
    return "1.2.0" if launch.is_legacy else "1.3.0"


def _guid(school: School) -> str:
    return f"{school.id}.school.example"


def _platform(launch: Launch, school: School, profile: Profile) -> dict[str, Any]:
    registered = {
        "url": profile.issuer(school),
        "clientId": school.client_id,
        "deploymentId": profile.deployment_id(school),
    }
    said = {
        "id": school.platform_id,
        **({"consumerKey": CONSUMER_KEY} if launch.is_legacy else registered),
        "name": school.name,
        "description": "A simulated LMS",
        "guid": _guid(school),
        "productFamilyCode": profile.family,
        "version": profile.version,
        "contactEmail": "help@school.example",
    }
    return {name: value for name, value in said.items() if value}


def _launch(launch: Launch, course: Course, tool_url: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": str(launch.type),
        "target": tool_url,
        "context": {"id": course.lti_id, "label": course.label, "title": course.title, "type": ["CourseSection"]},
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
    link = {"id": course.link_id(activity.id), "title": activity.title, "description": activity.description}
    return {name: value for name, value in link.items() if value}


def _presentation(launch: Launch, course: Course) -> dict[str, str]:
    return {
        "documentTarget": launch.target,
        "locale": "en-GB",
        "returnUrl": _course_url(course),
    }


def _course_url(course: Course) -> str:
    return f"{course.school.campus.origin}/courses/{quote(course.id, safe='')}/"


def _services(launch: Launch, course: Course, profile: Profile) -> dict[str, Any]:
    grades: dict[str, Any] = {"available": True, "scopes": _SCOPES}
    items = course.line_items_of(launch.activity_id) if launch.activity_id is not None else []
    if profile.declares_line_item(items):
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


def _legacy_parameters(launch: Launch, course: Course, profile: Profile) -> dict[str, str]:
    """The parameters of the form that an LMS of LTI 1.1 posts, without its signature."""
    person = course.enrolment(launch.person_id).person
    spelling = {
        "name": "lis_person_name_full",
        "givenName": "lis_person_name_given",
        "familyName": "lis_person_name_family",
        "email": "lis_person_contact_email_primary",
    }
    link = _resource_link(launch, course)
    return {
        "ltiVersion": _lti_version(launch),
        "lti_message_type": str(launch.type),
        "lti_version": "LTI-1p0",
        "oauth_consumer_key": CONSUMER_KEY,
        "user_id": person.lti_id,
        "roles": legacy_role(course.enrolment(launch.person_id).role),
        **{spelling[name]: value for name, value in profile.tells(person).items()},
        "context_id": course.lti_id,
        "context_label": course.label,
        "context_title": course.title,
        "resource_link_id": link["id"],
        "resource_link_title": link["title"],
        "tool_consumer_instance_guid": _guid(course.school),
    }


def raw_claims(launch: Launch, course: Course, profile: Profile, tool_url: str) -> dict[str, Any]:
    """The claims as an LMS signs them (LTI Core 1.3, section 5.3); the form's parameters for LTI 1.1."""
    if launch.is_legacy:
        return _legacy_parameters(launch, course, profile)
    school, enrolment = course.school, course.enrolment(launch.person_id)
    spelling = {"name": "name", "givenName": "given_name", "familyName": "family_name", "email": "email"}
    presentation = _presentation(launch, course)
    claims: dict[str, Any] = {
        "ltiVersion": _lti_version(launch),
        "iss": profile.issuer(school),
        "aud": school.client_id,
        "sub": enrolment.person.lti_id,
        "iat": int(launch.at.timestamp()),
        "exp": int((launch.at + LTIK_LIFETIME).timestamp()),
        "nonce": launch.nonce,
        **{spelling[name]: value for name, value in profile.tells(enrolment.person).items()},
        f"{_CLAIM}message_type": str(launch.type),
        f"{_CLAIM}version": "1.3.0",
        f"{_CLAIM}deployment_id": profile.deployment_id(school),
        f"{_CLAIM}target_link_uri": tool_url,
        f"{_CLAIM}roles": profile.launch_roles(enrolment),
        f"{_CLAIM}context": {
            "id": course.lti_id,
            "label": course.label,
            "title": course.title,
            "type": ["http://purl.imsglobal.org/vocab/lis/v2/course#CourseSection"],
        },
        f"{_CLAIM}tool_platform": {
            "guid": _guid(school),
            "name": school.name,
            "product_family_code": profile.family,
            "version": profile.version,
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
        reviewed = course.enrolment(launch.for_user or launch.person_id).person
        claims[f"{_CLAIM}for_user"] = {"user_id": reviewed.lti_id}
    if launch.type == LaunchType.DEEP_LINKING:
        claims[_DEEP_LINKING_CLAIM] = content.claim(launch.deep_linking, f"{_course_url(course)}deep-linking/")
    return claims
