"""Pages that only make sense under a launch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, overload

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from ltiaas_django import pages

View = Callable[..., HttpResponseBase]


@overload
def lti_required(view: View) -> View: ...
@overload
def lti_required(*, instructor: bool = False) -> Callable[[View], View]: ...


def lti_required(view: View | None = None, *, instructor: bool = False) -> View | Callable[[View], View]:
    """Call the view only under a live launch of the person who is signed in, so that `request.lti` is a Launch.

    `instructor`: only for people who teach in the launch's context. Otherwise the person gets a readable page: the
    live launches to choose from, or a word on where to launch again; the view acts on nothing.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            launch = request.lti  # type: ignore[attr-defined]
            if not launch:
                return pages.launch_needed(request, launch.reason)
            if instructor and not launch.is_instructor:
                return pages.error(request, _("This page is for the teachers of the course."), status=403)
            return view(request, *args, **kwargs)

        return guarded

    return decorate if view is None else decorate(view)
