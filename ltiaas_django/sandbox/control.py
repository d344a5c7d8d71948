"""The control API: what scripts and browser tests ask of the sandbox beside LTIAAS's own API. JSON, no credentials.

    GET    /control/state/                       courses with people, activities and line items
    GET    /control/courses/<id>/gradebook/      {"lineItems": [...], "rows": [...]}, only cells that hold something
    GET    /control/courses/<id>/roster/         {"members": [...]}, those who left with status Deleted
    POST   /control/courses/<id>/people/         {"name", "role", "email"?, "userId"?} -> 201 and the person
    PATCH  /control/courses/<id>/people/<uid>/   {"name"?, "role"?, "status"?: "Active"} -> the person
    DELETE /control/courses/<id>/people/<uid>/   the person leaves -> 204
    POST   /control/launches/                    {"course", "activity", "person", "type"?, "target"?,
                                                 "deepLinking"?: {"acceptMultiple"?, ...}, "forUser"?}
                                                 -> 201 and {"ltik", "url"}
    POST   /control/registrations/               {"url"?, "familyCode"?, "version"?}: an LMS asks to be registered
                                                 -> 201 and {"registrationId", "url"}
    GET    /control/requests/                    {"requests": [...]}, what came to the API so far
    GET    /control/secrets/                     {"ltiks": [...], "serviceKeys": [...]}, all handed out so far
    DELETE /control/requests/                    forget them -> 204
    POST   /control/reset/                       {"scenario"?}: back to the start, or to another one -> 204
    GET    /control/scenario/                    schools, people, courses and gradebooks, as a file (`scenario_file`)
    PUT    /control/scenario/                    such a file: begin anew with it -> 204
    GET    /control/clock/                       {"now", "offsetSeconds"}
    POST   /control/clock/                       {"advanceSeconds": n} -> the same two
    DELETE /control/clock/                       back to the real time -> 204
    POST   /control/ltiks/expire/                {"ltik"?}, one or all -> {"count"}
    POST   /control/service-keys/revoke/         {"course"?, "activity"?} -> {"count"}
    POST   /control/settings/                    {"anonymous"?, "pageSize"?, "refuseSameSecond"?, "toolUrl"?}
                                                 -> all four; the first three are switches of the first school
    GET    /control/profiles/                    {"profiles": [...]}, each with its quirks and switches
    POST   /control/schools/                     {"id", "name", "profile"?}: one more institution -> 201 and the school
    GET    /control/schools/<id>/                the school: its profile, and how its switches stand
    PATCH  /control/schools/<id>/                {"profile"?, "switches"?: {"pageSize"?, ...}}: it takes another LMS,
                                                 or what its LMS does is changed -> the school
    PATCH  /control/courses/<id>/                {"isPublished"?, "isConcluded"?} -> both
    POST   /control/courses/<id>/grades/         {"lineItem", "userId", "score"}: a teacher sets a grade -> 204
    GET    /control/faults/                      {"faults": [...]}, what waits
    POST   /control/faults/                      {"kind", "route"?, "method"?, "course"?, "person"?, "pathPrefix"?,
                                                 "times"?: a number or null for always, "status"?, "body"?,
                                                 "contentType"?, "headers"?, "delay"?, "afterStoring"?}
                                                 -> 201 and the fault
    DELETE /control/faults/                      nothing goes wrong any more -> 204
    DELETE /control/faults/<number>/             this one is taken back -> 204

`kind` is status, delay, hang, drop_before, drop_after, cut, gateway, expired_ltik, refused_key, tool_removed or
throttle, and may be left out with a `status`, "drop": true or a `delay`. `route` is idtoken, memberships, lineitems,
scores, results, deeplinking, platforms or registrations.
`type` is resource, deep_linking, submission_review or legacy (LTI 1.1); `target` iframe or window; `role` Learner,
Instructor, TeachingAssistant, ContentDeveloper or Mentor.
An error has LTIAAS's form: {"status", "error", "details": {"message", "description"}}.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from ltiaas_django.vocabulary import MembershipStatus

from . import errors, scenario_file, validation, web
from .courses import Course, Enrolment
from .profiles import switches
from .school import School
from .simulator import Sandbox, profile_of
from .validation import Field

View = Callable[..., HttpResponse]
Handler = Callable[..., HttpResponse]


def endpoint(**handlers: Handler) -> View:
    """A view with one handler a method, called with the sandbox, under its lock, and the body where it may have one."""

    def view(request: HttpRequest, **ids: str) -> HttpResponse:
        sandbox = web.sandbox_of(request)
        try:
            handler = handlers.get(request.method or "")
            if handler is None:
                raise errors.WrongMethod(f"{request.method} is not possible here, only {', '.join(handlers)}.")
            with sandbox.lock:
                if request.method == "PUT":
                    return handler(sandbox, web.large_json_body(request, scenario_file.DEEPEST), **ids)
                if request.method in ("POST", "PATCH"):
                    return handler(sandbox, web.json_body(request) if web.body_of(request) else {}, **ids)
                return handler(sandbox, **ids)
        except errors.SandboxError as error:
            return web.error_response(error)

    return view


def body_of(**fields: Field) -> Callable[[Handler], Handler]:
    """Check the body of a handler against its fields."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def checked(sandbox: Sandbox, body: Any, **ids: str) -> HttpResponse:
            return handler(sandbox, validation.read_object(body, fields), **ids)

        return checked

    return decorate


def no_such(request: HttpRequest) -> HttpResponse:
    """Any other path below /control/."""
    return web.error_response(errors.NotFound("The control API has no such path; it needs its slash at the end."))


# -- looking -----------------------------------------------------------------------------------------------------------


def get_state(sandbox: Sandbox) -> HttpResponse:
    return web.json_response(
        {
            "now": sandbox.clock.now().isoformat(),
            "toolUrl": sandbox.tool_url,
            "platformId": sandbox.school.platform_id,
            "scenario": sandbox.scenario,
            "schools": [school_facts(school) for school in sandbox.schools.values()],
            "courses": [_course(course) for course in sandbox.courses.values()],
        }
    )


def get_gradebook(sandbox: Sandbox, course_id: str) -> HttpResponse:
    course = sandbox.course(course_id)
    rows = [
        {
            "userId": cell.user_id,
            "name": course.enrolment(cell.user_id).person.name,
            "lineItemId": cell.line_item_id,
            "score": cell.score,
            "maximum": cell.maximum,
            "comment": cell.comment,
            "timestamp": cell.timestamp.isoformat(),
            "attempts": cell.attempts,
            "comments": cell.comments,
            "isOverridden": cell.is_overridden,
        }
        for cell in course.gradebook.cells()
    ]
    return web.json_response({"lineItems": _line_items(course), "rows": rows})


def get_roster(sandbox: Sandbox, course_id: str) -> HttpResponse:
    return web.json_response({"members": [_person(one) for one in sandbox.course(course_id).people.values()]})


def get_requests(sandbox: Sandbox) -> HttpResponse:
    requests = [
        {
            "number": one.number,
            "method": one.method,
            "path": one.path,
            "scheme": one.scheme,
            "status": one.status,
            "at": one.at.isoformat(),
            "body": one.body,
            "route": one.route,
            "course": one.course,
            "person": one.person,
            "seconds": round(one.duration, 6),
            "fault": one.fault,
            "warnings": one.warnings,
            "answer": one.answer,
        }
        for one in sandbox.requests
    ]
    return web.json_response({"requests": requests})


def clear_requests(sandbox: Sandbox) -> HttpResponse:
    sandbox.traffic.clear()
    return HttpResponse(status=204)


def get_secrets(sandbox: Sandbox) -> HttpResponse:
    launches = sandbox.launches
    return web.json_response({"ltiks": launches.ltiks(), "serviceKeys": launches.service_keys()})


# -- the whole ---------------------------------------------------------------------------------------------------------


def get_scenario(sandbox: Sandbox) -> HttpResponse:
    return web.json_response(sandbox.export())


def put_scenario(sandbox: Sandbox, body: Any) -> HttpResponse:
    sandbox.load(body)
    return HttpResponse(status=204)


# -- people ------------------------------------------------------------------------------------------------------------


@body_of(
    name=Field(validation.text, required=True),
    role=Field(validation.text),
    email=Field(validation.text),
    userId=Field(validation.text),
)
def add_person(sandbox: Sandbox, body: dict[str, Any], course_id: str) -> HttpResponse:
    course = sandbox.course(course_id)
    person = course.add_person(
        body["name"], body.get("role", "Learner"), email=body.get("email"), user_id=body.get("userId")
    )
    return web.json_response(_person(course.enrolment(person.id)), 201)


@body_of(
    name=Field(validation.text),
    role=Field(validation.text),
    status=Field(validation.one_of([*map(str, MembershipStatus)])),
)
def change_person(sandbox: Sandbox, body: dict[str, Any], course_id: str, user_id: str) -> HttpResponse:
    course = sandbox.course(course_id)
    enrolment = course.enrolment(user_id)
    if "name" in body:
        course.rename_person(user_id, body["name"])
    if "role" in body:
        course.change_role(user_id, body["role"])
    if "status" in body:
        enrolment.status = MembershipStatus(body["status"])
    return web.json_response(_person(enrolment))


def remove_person(sandbox: Sandbox, course_id: str, user_id: str) -> HttpResponse:
    sandbox.course(course_id).remove_person(user_id)
    return HttpResponse(status=204)


# -- doing -------------------------------------------------------------------------------------------------------------


@body_of(
    course=Field(validation.text, required=True),
    activity=Field(validation.text),
    person=Field(validation.text, required=True),
    type=Field(validation.text),
    target=Field(validation.text),
    deepLinking=Field(validation.anything),
    forUser=Field(validation.text),
)
def launch(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    ltik = sandbox.launch(
        body["course"],
        body.get("activity"),
        body["person"],
        type=body.get("type", "resource"),
        target=body.get("target", "iframe"),
        deep_linking=body.get("deepLinking"),
        for_user=body.get("forUser"),
    )
    return web.json_response({"ltik": ltik, "url": sandbox.url_for(ltik)}, 201)


@body_of(url=Field(validation.text), familyCode=Field(validation.text), version=Field(validation.text))
def register(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    registration = sandbox.registrations.start(**body)
    url = sandbox.register_url(registration)
    return web.json_response({"registrationId": registration.id, "url": url}, 201)


@body_of(scenario=Field(validation.text))
def reset(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    sandbox.reset(body.get("scenario"))
    return HttpResponse(status=204)


@body_of(ltik=Field(validation.text))
def expire_ltiks(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    return web.json_response({"count": sandbox.expire_ltik(body.get("ltik"))})


@body_of(course=Field(validation.text), activity=Field(validation.text))
def revoke_service_keys(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    return web.json_response({"count": sandbox.revoke_service_keys(body.get("course"), body.get("activity"))})


_SETTINGS = {
    "anonymous": ("anonymous", Field(validation.boolean)),
    "pageSize": ("page_size", Field(validation.positive_integer)),
    "refuseSameSecond": ("refuse_same_second", Field(validation.boolean)),
}


@body_of(toolUrl=Field(validation.http_url), **{name: field for name, (_, field) in _SETTINGS.items()})
def change_settings(sandbox: Sandbox, body: dict[str, Any]) -> HttpResponse:
    sandbox.tool_url = body.pop("toolUrl", sandbox.tool_url)
    for name, value in body.items():
        setattr(sandbox.profile, _SETTINGS[name][0], value)
    settings = {name: getattr(sandbox.profile, python) for name, (python, _) in _SETTINGS.items()}
    return web.json_response({**settings, "toolUrl": sandbox.tool_url})


# -- courses -----------------------------------------------------------------------------------------------------------


@body_of(isPublished=Field(validation.boolean), isConcluded=Field(validation.boolean))
def change_course(sandbox: Sandbox, body: dict[str, Any], course_id: str) -> HttpResponse:
    course = sandbox.course(course_id)
    course.is_published = body.get("isPublished", course.is_published)
    course.is_concluded = body.get("isConcluded", course.is_concluded)
    return web.json_response({"isPublished": course.is_published, "isConcluded": course.is_concluded})


@body_of(
    lineItem=Field(validation.text, required=True),
    userId=Field(validation.text, required=True),
    score=Field(validation.score_given, required=True),
)
def override(sandbox: Sandbox, body: dict[str, Any], course_id: str) -> HttpResponse:
    course = sandbox.course(course_id)
    item = next((one for one in course.gradebook.line_items.values() if one.id == body["lineItem"]), None)
    if item is None:
        raise errors.NotFound("This gradebook has no such column.")
    course.override(item, body["userId"], body["score"])
    return HttpResponse(status=204)


# -- how things look in JSON -------------------------------------------------------------------------------------------


def school_facts(school: School) -> dict[str, Any]:
    return {
        "id": school.id,
        "name": school.name,
        "profile": school.profile.name,
        "platformId": school.platform_id,
        "switches": switches.values(profile_of(school)),
    }


def _course(course: Course) -> dict[str, Any]:
    return {
        "id": course.id,
        "label": course.label,
        "title": course.title,
        "school": course.school.id,
        "ltiId": course.lti_id,
        "people": [_person(one) for one in course.people.values()],
        "activities": [
            {
                "id": activity.id,
                "title": activity.title,
                "description": activity.description,
                "custom": dict(activity.custom),
            }
            for activity in course.activities.values()
        ],
        "contents": course.contents,
        "lineItems": _line_items(course),
    }


def _person(enrolment: Enrolment) -> dict[str, Any]:
    person = enrolment.person
    return {
        "userId": person.id,
        "ltiId": person.lti_id,
        "name": person.name,
        "email": person.email,
        "roles": list(enrolment.roles),
        "status": str(enrolment.status),
    }


def _line_items(course: Course) -> list[dict[str, Any]]:
    return [
        {
            "id": item.id,
            "label": item.label,
            "activity": item.resource_link_id,
            "scoreMaximum": item.score_maximum,
        }
        for item in course.gradebook.line_items.values()
    ]
