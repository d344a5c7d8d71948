"""Deep linking: the two calls of LTIAAS's API that end such a launch, and the LMS's pages around it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from ltiaas_django.vocabulary import LaunchType

from . import content, credentials, errors, pages, validation
from .courses import Course
from .lms.viewer import Viewer
from .services import Call
from .simulator import Sandbox
from .web import json_response

# -- the API -----------------------------------------------------------------------------------------------------------


def post_form(call: Call) -> HttpResponse:
    """HTML that posts the answer to the LMS by itself."""
    if call.item != "form":
        raise errors.NotFound("There is no such endpoint.")
    message, target = _answer(call)
    form = format_html(
        '<form id="ltiaas_deep_linking" style="display: none" method="POST" action="{}">'
        '<input type="hidden" name="JWT" value="{}"></form>'
        '<script>document.getElementById("ltiaas_deep_linking").submit()</script>',
        target,
        message,
    )
    return json_response({"form": form})


def post_message(call: Call) -> HttpResponse:
    """The parts of that form."""
    message, target = _answer(call)
    return json_response({"message": message, "target": target})


def _answer(call: Call) -> tuple[str, str]:
    validation.read_query(call.query, ())
    sandbox, launch = call.sandbox, call.launch
    if launch is None or launch.type != LaunchType.DEEP_LINKING:
        raise errors.BadRequest("This launch did not ask for content.", code="INVALID_LAUNCH_TYPE")
    answer = content.read_answer(call.read_body(), launch, f"{sandbox.origin}/lti/launch")
    message = credentials.random_token()  # a real one holds the items, signed; here it only stands for them
    sandbox.answers[message] = answer
    return message, f"{sandbox.origin}{reverse('deep_linking', kwargs={'course_id': call.course.id})}"


# -- the pages ---------------------------------------------------------------------------------------------------------


@pages.page("GET", "HEAD", "POST")
def deep_linking(request: HttpRequest, sandbox: Sandbox, course_id: str) -> HttpResponse:
    """For a teacher, the tool in a frame, to choose from; by POST, what the tool's answer adds to the course."""
    place = sandbox.course(course_id)
    if request.method == "POST":
        return _take(request, sandbox, place)
    viewer = _teacher(request, place)
    launch_url = viewer.url("deep_linking_launch")
    title = "Add activities from the tool"
    return viewer.render("deep_linking", "activities", title, launch_url=launch_url)


@pages.page("GET", "HEAD")
def launch(request: HttpRequest, sandbox: Sandbox, course_id: str) -> HttpResponse:
    """On to the tool, with a deep linking launch."""
    viewer = _teacher(request, sandbox.course(course_id))
    url = sandbox.launch_url(course_id, None, viewer.id, type=LaunchType.DEEP_LINKING)
    return pages.to_tool(url, 302)


def _take(request: HttpRequest, sandbox: Sandbox, place: Course) -> HttpResponse:
    answer = sandbox.answers.get(request.POST.get("JWT", ""))
    if answer is None or answer.launch.course_id != place.id:
        raise errors.BadRequest("The field JWT holds no answer to a launch of this course.")
    added = content.take(answer, place)
    refused = "errMessage" in answer.options or "errLog" in answer.options
    # Shown in the frame where the tool was: without the course's navigation, and its link leads out of the frame.
    context: dict[str, Any] = {
        "title": "Nothing was added" if refused or not answer.items else _count(added),
        "way_out": Viewer(place, place.enrolment(answer.launch.person_id)).url("course"),
        "added": added,
        "message": answer.options.get("message", ""),
        "error_message": answer.options.get("errMessage", ""),
    }
    return pages.render("deep_linking_done", context)


def _count(added: content.Added) -> str:
    counts = [(len(added.activities), "activity", "activities"), (len(added.contents), "other item", "other items")]
    return " and ".join(f"{n} {one if n == 1 else many}" for n, one, many in counts if n) + " added"


def _teacher(request: HttpRequest, place: Course) -> Viewer:
    viewer = Viewer.of(request, place)
    if viewer.enrolment is None:
        raise errors.BadRequest("Choose the person to be: this page needs `person`.")
    if not viewer.is_teacher:
        raise errors.Forbidden("Only teachers add activities. Choose a teacher to be.")
    return viewer
