"""A browser that a launch has brought to the tool."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpResponseBase
from django.test import Client
from django.utils.html import strip_tags

from ltiaas_django import sealing
from ltiaas_django.models import Launch
from ltiaas_django.sandbox.courses import Activity, Course
from ltiaas_django.sandbox.school import Person

_SHOWN = 400  # characters of a page that say why a launch failed


class Browser(Client):
    """A Django test client in which a person of the LMS has opened the tool: one tab.

    `launch`, its row, is what `request.lti` is on the pages of this tab.
    """

    launch: Launch
    page: Any
    """The response that the launch ended with, all redirects followed."""

    def __init__(self, person: Person, course: Course, activity: Activity | None, beside: Browser | None) -> None:
        """`beside`: another tab of the same browser, whose cookies this one shares."""
        super().__init__()
        self.person = person
        self.course = course
        self.activity = activity
        if beside is not None:
            self.cookies = beside.cookies

    def arrive(self, url: str, ltik: str) -> None:
        """Go where the LMS sends the person, and on to where the tool does. Raises AssertionError if it refuses."""
        parts = urlsplit(url)
        self.page = self.get(f"{parts.path}?{parts.query}", follow=True)
        launch = (
            Launch.objects.select_related("lti_user", "user", "context__platform", "resource_link__context")
            .filter(ltik_digest=sealing.digest(ltik))
            .first()
        )
        if launch is None:
            raise AssertionError(self._why_refused())
        self.launch = launch

    def lti_url(self, to: Any, *args: Any, **kwargs: Any) -> str:
        """The URL of a page of the tool (as for `redirect`: a view's name, a model, a path) with this launch named in
        it, as `launch.url` and `{% lti_url %}` make it."""
        return self.launch.url(to, *args, **kwargs)

    def _why_refused(self) -> str:
        where = f"{self.activity.id} of {self.course.id}" if self.activity else self.course.id
        page, address = self.page, self.page.request["PATH_INFO"]
        return f"{self.person.id}'s launch of {where} did not work: {page.status_code} at {address}: “{_text(page)}”"


def _text(page: HttpResponseBase) -> str:
    """What a person reads on a page."""
    if page.streaming:
        return "(a stream)"
    html = getattr(page, "content", b"").decode(errors="replace")
    body = re.sub(r"(?s)<(style|script|title)\b.*?</\1>", "", html)
    return " ".join(strip_tags(body).split())[:_SHOWN]
