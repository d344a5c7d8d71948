"""Deep linking, for a tool's own code: `from ltiaas_django import deep_linking`.

A teacher chooses content of the tool, and the LMS adds it to the course:

    class QuizLaunch(LaunchView):
        def handle_deep_linking_launch(self, request, launch):
            choices = [
                deep_linking.ResourceLinkItem(
                    title=quiz.title,
                    custom={"quiz": str(quiz.pk)},
                    line_item=deep_linking.LineItem(score_maximum=quiz.maximum()),
                )
                for quiz in Quiz.objects.all()
            ]
            return deep_linking.pick(request, launch, choices, title="Which quizzes?")

`pick` shows the choices and does the rest. A tool with a page of its own ends the launch with `answer` or `refuse`,
or posts the form by itself with `message`. Later launches of an activity bring its `custom` back in `launch.custom`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from html.parser import HTMLParser

from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ltiaas_django import data, exceptions, pages
from ltiaas_django.content_items import (
    Answer,
    ContentItem,
    FileItem,
    HtmlItem,
    Icon,
    Iframe,
    ImageItem,
    Limits,
    LineItem,
    LinkItem,
    Period,
    ResourceLinkItem,
    Window,
    from_plain,
    to_plain,
)
from ltiaas_django.models import Launch
from ltiaas_django.operations import deep_linking as operations
from ltiaas_django.operations.deep_linking import limits

__all__ = [
    "ContentItem",
    "FileItem",
    "HtmlItem",
    "Icon",
    "Iframe",
    "ImageItem",
    "Limits",
    "LineItem",
    "LinkItem",
    "Period",
    "ResourceLinkItem",
    "Window",
    "answer",
    "limits",
    "message",
    "pick",
    "refuse",
]

logger = logging.getLogger(__name__)

_SALT = "ltiaas_django.deep_linking"


def answer(
    request: HttpRequest, launch: Launch, items: Iterable[ContentItem], *, message: str = "", log: str = ""
) -> HttpResponse:
    """End the launch: a page that hands the items to the LMS, which adds them to the course.

    The LMS shows `message` to the person and keeps `log`. Raises ContentNotAccepted, before anything is sent, for items
    that `limits(launch)` does not allow. Whatever else goes wrong is a readable page.
    """
    return _hand_over(request, launch, operations.compose(launch, items, message=message, log=log))


def refuse(request: HttpRequest, launch: Launch, *, message: str = "", log: str = "") -> HttpResponse:
    """End the launch without any items: the LMS shows `message` to the person and keeps `log`."""
    return _hand_over(request, launch, Answer(message=message, log=log, is_refusal=True))


def message(
    launch: Launch, items: Iterable[ContentItem], *, message: str = "", log: str = ""
) -> data.DeepLinkingMessage:
    """For a tool that posts the answer by itself: `message` goes into the form field `JWT`, posted to `target`.

    Raises ContentNotAccepted, LaunchExpired or LaunchUnavailable.
    """
    return operations.fetch_message(launch, operations.compose(launch, items, message=message, log=log))


def pick(request: HttpRequest, launch: Launch, choices: Sequence[ContentItem], *, title: str = "") -> HttpResponse:
    """A page on which the person picks one or more of the choices, by their titles and texts.

    One or several, as the LMS takes them; what it does not take at all is not shown. The answer goes to the LMS without
    further ado: `views.DeepLinkingView` takes the form. Who reads the page's source can read the choices whole.
    """
    return show_picker(request, launch, title, [item for item in choices if limits(launch).accepts(item)])


def show_picker(
    request: HttpRequest, launch: Launch, title: str, choices: Sequence[ContentItem], *, problem: str = ""
) -> HttpResponse:
    """The picker's page; with what is wrong in the answer that was given, if anything."""
    # Signed, so that no browser can change what the course gets, and for this launch only.
    offer = {"launch": str(launch.pk), "title": str(title), "choices": [to_plain(item) for item in choices]}
    context = {
        "title": title or (_("What would you like to add?") if choices else _("Nothing to add here")),
        "choices": choices,
        "takes_many": limits(launch).accepts_many,
        "problem": problem,
        "offer": signing.dumps(offer, salt=_SALT, compress=True),
    }
    return pages.show(request, "picker.html", context, status=422 if problem else 200)


def read_offer(token: str, launch: Launch) -> tuple[str, list[ContentItem]] | None:
    """Title and choices of the picker that this launch was shown; None if the token is none of it."""
    try:
        offer = signing.loads(token, salt=_SALT)
        choices = [from_plain(plain) for plain in offer["choices"]]
    except (signing.BadSignature, KeyError, TypeError, ValueError):  # also of a page that an older version has shown
        return None
    return (offer["title"], choices) if offer["launch"] == str(launch.pk) else None


def _hand_over(request: HttpRequest, launch: Launch, given: Answer) -> HttpResponse:
    try:
        form = operations.fetch_form(launch, given)
    except (exceptions.LaunchExpired, exceptions.LaunchUnavailable, exceptions.ContentNotAccepted) as error:
        logger.warning("A deep linking launch was not answered: %s", error.__cause__ or error)
        return pages.error(request, str(error), status=error.status_code, return_url=launch.safe_return_url)
    context = {"title": _("Going back to your course …"), "form": form, "fallback": _Form(form)}
    return pages.show(request, "deep_linking_answer.html", context)


class _Form(HTMLParser):
    """The address and the hidden fields of the first form, for a button where scripts are off."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        members = {name: value or "" for name, value in attrs}
        action = members.get("action", "")
        if tag == "form" and not self.action and action.lower().startswith(("http://", "https://")):
            self.action = action
        elif tag == "input" and members.get("name"):
            self.fields[members["name"]] = members.get("value", "")
