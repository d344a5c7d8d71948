"""What each LTIAAS endpoint does, once the caller is known. JSON names appear here as the contract spells them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import HttpResponse

from ltiaas_django.vocabulary import Role

from . import errors, idtoken, paging, validation
from .courses import MENTOR, Course
from .credentials import Launch
from .gradebook import Cell, LineItem
from .profiles import Profile
from .profiles.profile import LINE_ITEM_FIELDS
from .simulator import Sandbox, profile_of
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

    @property
    def profile(self) -> Profile:
        """The behaviour of the course's LMS."""
        return profile_of(self.course)


# -- launch ------------------------------------------------------------------------------------------------------------


def get_id_token(call: Call) -> HttpResponse:
    raw = validation.read_flag(validation.read_query(call.query, {"raw"}), "raw")
    sandbox, launch, course = call.sandbox, call.launch, call.course
    if launch is None:
        raise errors.Unauthorized("Only an ltik opens an id token.")
    if raw:
        return json_response(idtoken.raw_claims(launch, course, call.profile, sandbox.tool_url))
    token = idtoken.id_token(launch, course, call.profile, sandbox.tool_url)
    if launch.mutate is not None:
        changed = launch.mutate(token)
        token = token if changed is None else changed
    return json_response(token)


# -- roster ------------------------------------------------------------------------------------------------------------


def list_members(call: Call) -> HttpResponse:
    course, profile = call.course, call.profile
    url = f"{course.school.campus.origin}{profile.roster_path(course.number)}"
    at = _position(call, "members", url, {"role", "resourceLinkId"})
    profile.check_roster_query(course, dict(at.filters), url)
    page = _cut(call, "members", profile.listed(course, _role(dict(at.filters).get("role"))), at)
    if not page.entries and profile.empty_roster is not None:
        return HttpResponse(profile.empty_roster, content_type="application/json")
    context = {"id": course.lti_id, "label": course.label, "title": course.title}
    members = [profile.member(one) for one in page.entries]
    return json_response({"id": url, "context": context, "members": members, **page.links})


def _role(text: str | None) -> str | None:
    """The role that a filter means, by short name or URI; nobody has the blank one, which stands for all others."""
    if text is None:
        return None
    role = Role.parse(text)
    return str(role) if role is not None else MENTOR if text.endswith(MENTOR) else ""


# -- line items --------------------------------------------------------------------------------------------------------


def list_line_items(call: Call) -> HttpResponse:
    course, profile = call.course, call.profile
    url = f"{course.school.campus.origin}{profile.line_items_path(course.number)}"
    at = _position(call, "lineItems", url, {"resourceLinkId", "resourceId", "tag"})
    listed = [profile.line_item(item, course) for item in course.gradebook.line_items.values()]
    items = [item for item in listed if all(item.get(name) == value for name, value in at.filters)]
    page = _cut(call, "lineItems", items, at)
    return json_response({"lineItems": page.entries, **page.links})


def create_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    label, maximum, fields = _line_item_body(call)
    item = call.course.gradebook.add_line_item(label, maximum, **fields)
    return json_response(call.profile.line_item(item, call.course), HTTPStatus.CREATED)


def get_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    return json_response(call.profile.line_item(_line_item(call), call.course))


def replace_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    old = _line_item(call)
    label, maximum, fields = _line_item_body(call)
    gradebook, now = call.course.gradebook, call.sandbox.clock.now()
    item = gradebook.replace_line_item(old.number, label, maximum, **fields)
    for cell in gradebook.column(item) if item.score_maximum != old.score_maximum else ():
        call.profile.rescale(cell, old.score_maximum, now)
    return json_response(call.profile.line_item(item, call.course))


def delete_line_item(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    call.course.gradebook.delete_line_item(_line_item(call).number)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _line_item(call: Call) -> LineItem:
    """The line item in the path; raises LmsRefusal if there is none, it is another context's, or the course is over."""
    origin, course = call.sandbox.origin, call.course
    # The URL is told only if it is one of the LMS: anything else was never asked there.
    url = call.item if call.item.startswith(f"{origin}/") else origin
    call.profile.check_course(course, url)
    item: LineItem | None = course.school.line_items.get(call.item.removeprefix(origin)) if url != origin else None
    if item is None:
        raise call.profile.missing_line_item(call.item, url)
    if item.number not in course.gradebook.line_items:
        raise call.profile.foreign_line_item(item)
    return item


def _line_item_body(call: Call) -> tuple[str, Any, dict[str, Any]]:
    course, profile = call.course, call.profile
    body = validation.read_object(call.read_body(), validation.LINE_ITEM)
    url = f"{course.school.campus.origin}{profile.line_items_path(course.number)}"
    profile.check_course(course, url)
    profile.check_new_line_item(body, url)
    fields = {python: body[name] for name, python in LINE_ITEM_FIELDS.items() if name in body}
    if (link := body.get("resourceLinkId")) is not None:
        activity = course.find_activity(link)
        if activity is None:
            said = "Not Found: the resource link doesn't exist in this course."
            raise profile.refusal(HTTPStatus.NOT_FOUND, said, url)
        fields["resource_link_id"] = activity.id
    return body["label"], body["scoreMaximum"], fields


# -- scores ------------------------------------------------------------------------------------------------------------


def list_scores(call: Call) -> HttpResponse:
    item, course, profile = _line_item(call), call.course, call.profile
    at = _position(call, "scores", item.url("/results"), {"userId"})
    wanted = dict(at.filters).get("userId")
    if wanted is None:
        cells: Sequence[Cell] = course.gradebook.column(item)
    else:
        person = course.school.find_person(wanted)
        is_told = person is not None and profile.tells_results_of(course, person)
        cell = course.gradebook.cell(item, person.id) if person is not None and is_told else None
        cells = [cell] if cell else []
    page = _cut(call, "scores", cells, at)
    people = course.school.people
    results = [profile.result(cell, people[cell.user_id], is_alone=wanted is not None) for cell in page.entries]
    return json_response({"scores": results, **page.links})


def post_score(call: Call) -> HttpResponse:
    validation.read_query(call.query, ())
    item = _line_item(call)
    score = validation.read_score(call.read_body())
    call.profile.post(call.course, item, score)
    return HttpResponse(status=call.profile.success)


# -- pages -------------------------------------------------------------------------------------------------------------


def _position(call: Call, kind: str, url: str, filters: set[str]) -> paging.Position:
    """Where the page that is asked for begins; `kind` is the list's name in the answer."""
    profile = call.profile
    query = validation.read_query(call.query, {*filters, "limit", "url"})
    if "url" in query:
        at = call.sandbox.pages.find(query["url"], url)
    else:
        asked = validation.read_limit(query)
        at = paging.Position(url, _page_size(profile, kind, asked), 0, paging.filters_of(query, filters))
    if profile.is_broken(kind, at):
        raise profile.refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error", url)
    return at


def _page_size(profile: Profile, kind: str, asked: int | None) -> int:
    """How many entries a page holds: what was asked for, but no more than the LMS gives."""
    if asked is None or not profile.honours_limit(kind):
        return profile.usual_page(kind) or _EVERYTHING
    return min(asked, profile.largest_page(kind) or _EVERYTHING)


_EVERYTHING = 10**9


def _cut(call: Call, kind: str, everything: Sequence[T], at: paging.Position) -> paging.Page[T]:
    profile = call.profile

    def hand_out(start: int) -> str:
        position = profile.next_position(at, start)
        return call.sandbox.pages.hand_out(profile.page_url(position), position)

    page = paging.cut(everything, at, hand_out, goes_on=profile.goes_on(kind))
    return paging.Page(page.entries, profile.links(kind, page.links, at))
