"""What each LTIAAS endpoint does, once the caller is known. JSON names appear here as the contract spells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import HttpResponse

from ltiaas_django.vocabulary import Role

from . import errors, idtoken, paging, validation
from .courses import Course, Enrolment
from .credentials import Launch
from .gradebook import Cell, LineItem
from .simulator import Sandbox
from .web import json_response

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """An authorized call. `item` is the id in the path, decoded; a call with the bare API key has no launch."""

    sandbox: Sandbox
    launch: Launch | None
    item: str
    query: str
    read_body: Callable[[], Any]

    @property
    def course(self) -> Course:
        """The launch's context, the only one that the credential reaches."""
        if self.launch is None:
            raise errors.Unauthorized("This needs a launch's credential.")
        return self.sandbox.course(self.launch.course_id)


# -- launch ------------------------------------------------------------------------------------------------------------


def get_id_token(call: Call) -> HttpResponse:
    raw = validation.read_flag(validation.read_query(call.query, {"raw"}), "raw")
    sandbox, launch, course = call.sandbox, call.launch, call.course
    if launch is None:
        raise errors.Unauthorized("Only an ltik opens an id token.")
    if raw:
        return json_response(idtoken.raw_claims(launch, course, sandbox.tool_url, anonymous=sandbox.anonymous))
    token = idtoken.id_token(launch, course, sandbox.tool_url, anonymous=sandbox.anonymous)
    if launch.mutate is not None:
        changed = launch.mutate(token)
        token = token if changed is None else changed
    return json_response(token)


# -- roster ------------------------------------------------------------------------------------------------------------


def list_members(call: Call) -> HttpResponse:
    course = call.course
    url = f"{course.campus.origin}/mod/lti/services.php/CourseSection/{course.number}/bindings/1/memberships"
    at = _position(call, url, {"role", "resourceLinkId"})
    filters = dict(at.filters)
    if filters.get("resourceLinkId", next(iter(course.activities), "")) not in {*course.activities, ""}:
        raise errors.LmsRefusal(HTTPStatus.NOT_FOUND, "Requested ResourceLink was not found", url)
    page = paging.cut(_members(course, filters.get("role")), at, call.sandbox.pages)
    body: dict[str, Any] = {
        "id": url,
        "context": {"id": course.id, "label": course.label, "title": course.title},
        "members": [_member(one, anonymous=call.sandbox.anonymous) for one in page.entries],
    }
    if "next" in page.links:  # of the four links a roster has only this one
        body["next"] = page.links["next"]
    return json_response(body)


def _members(course: Course, role: str | None) -> list[Enrolment]:
    if role is None:
        return course.active()
    wanted = Role.parse(role)  # a short name and a full URI ask for the same
    return course.active(wanted) if wanted is not None else []


def _member(enrolment: Enrolment, *, anonymous: bool) -> dict[str, Any]:
    return {
        "userId": enrolment.person.id,
        "roles": [str(enrolment.role)],
        "status": str(enrolment.status),
        **idtoken.personal(enrolment.person, anonymous=anonymous),
    }


# -- line items --------------------------------------------------------------------------------------------------------

_LINE_ITEM_FIELDS = {
    "resourceLinkId": "resource_link_id",
    "resourceId": "resource_id",
    "tag": "tag",
    "startDateTime": "start_date_time",
    "endDateTime": "end_date_time",
    "gradesReleased": "grades_released",
}


def list_line_items(call: Call) -> HttpResponse:
    course = call.course
    url = f"{course.campus.origin}/mod/lti/services.php/{course.number}/lineitems?type_id=1"
    at = _position(call, url, {"resourceLinkId", "resourceId", "tag"})
    items = [
        item
        for item in course.gradebook.line_items.values()
        if all(getattr(item, _LINE_ITEM_FIELDS[name]) == value for name, value in at.filters)
    ]
    return _page_response(call, "lineItems", items, at, _line_item_json)


def create_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    label, maximum, fields = _line_item_body(call)
    item = call.course.gradebook.add_line_item(label, maximum, **fields)
    return json_response(_line_item_json(item), HTTPStatus.CREATED)


def get_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    return json_response(_line_item_json(_line_item(call)))


def replace_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    item = _line_item(call)
    label, maximum, fields = _line_item_body(call)
    item = call.course.gradebook.replace_line_item(item.number, label, maximum, **fields)
    return json_response(_line_item_json(item))


def delete_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    call.course.gradebook.delete_line_item(_line_item(call).number)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _line_item(call: Call) -> LineItem:
    """The line item in the path; raises LmsRefusal if there is none, or it belongs to another context."""
    for course in call.sandbox.courses.values():
        for item in course.gradebook.line_items.values():
            if item.id == call.item:
                if course is not call.course:
                    raise errors.LmsRefusal(HTTPStatus.FORBIDDEN, "Not allowed in context", item.id)
                return item
    # The URL is told only if it is one of the LMS: anything else was never asked there.
    url = call.item if call.item.startswith(f"{call.sandbox.origin}/") else call.course.campus.origin
    raise errors.LmsRefusal(HTTPStatus.NOT_FOUND, "Not Found: the grade item doesn't exist.", url)


def _line_item_body(call: Call) -> tuple[str, Any, dict[str, Any]]:
    body = validation.read_object(call.read_body(), validation.LINE_ITEM)
    link = body.get("resourceLinkId")
    if link is not None and link not in call.course.activities:
        raise errors.LmsRefusal(
            HTTPStatus.NOT_FOUND, "Not Found: the resource link doesn't exist in this course.", call.sandbox.origin
        )
    fields = {python: body[name] for name, python in _LINE_ITEM_FIELDS.items() if name in body}
    return body["label"], body["scoreMaximum"], fields


def _line_item_json(item: LineItem) -> dict[str, Any]:
    optional = {name: getattr(item, python) for name, python in _LINE_ITEM_FIELDS.items()}
    return {
        "id": item.id,
        "label": item.label,
        "scoreMaximum": item.score_maximum,
        **{name: value for name, value in optional.items() if value is not None},
    }


# -- scores ------------------------------------------------------------------------------------------------------------


def list_scores(call: Call) -> HttpResponse:
    item = _line_item(call)
    at = _position(call, item.id.replace("?", "/results?"), {"userId"})
    wanted = dict(at.filters).get("userId")
    if wanted is None:
        cells: Sequence[Cell] = call.course.gradebook.column(item)
    else:
        cell = call.course.gradebook.cell(item, wanted)
        cells = [cell] if cell else []
    return _page_response(call, "scores", cells, at, _result_json)


def post_score(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    course, item = call.course, _line_item(call)
    score = validation.read_score(call.read_body())
    course.gradebook.post(item, score, course.gradable(), refuse_same_second=call.sandbox.refuse_same_second)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _result_json(cell: Cell) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": f"{cell.line_item_id.replace('?', f'/{cell.user_id}/result?')}",
        "userId": cell.user_id,
        "scoreOf": cell.line_item_id,
        "timestamp": cell.timestamp.isoformat(),
    }
    if cell.score is not None:
        result |= {"resultScore": cell.score, "resultMaximum": cell.maximum}
    if cell.comment is not None:
        result["comment"] = cell.comment
    return result


# -- pages -------------------------------------------------------------------------------------------------------------


def _position(call: Call, url: str, filters: set[str]) -> paging.Position:
    known = {*filters, "limit", "url"}
    query = validation.read_query(call.query, known)
    if "url" in query:
        return call.sandbox.pages.find(query["url"], url)
    limit = validation.read_limit(query, call.sandbox.page_size)
    chosen = tuple((name, value) for name, value in query.items() if name in filters)
    return paging.Position(url, limit, 0, chosen)


def _page_response(
    call: Call, name: str, everything: Sequence[T], at: paging.Position, render: Callable[[T], Mapping[str, Any]]
) -> HttpResponse:
    page = paging.cut(everything, at, call.sandbox.pages)
    return json_response({name: [render(entry) for entry in page.entries], **page.links})
