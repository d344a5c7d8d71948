"""Pages that only make sense under a launch. Views may be `def` or `async def`; for classes there is `mixins`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ltiaas_django import pages, vocabulary
from ltiaas_django.vocabulary import Role

View = Callable[..., Any]
Requirement = Role | Callable[[Iterable[str]], bool]
"""A role in the launch's context, or a predicate of its roles such as `vocabulary.is_instructor`."""

_HOLDERS = {
    Role.ADMINISTRATOR: gettext_lazy("administrators"),
    Role.CONTENT_DEVELOPER: gettext_lazy("content developers"),
    Role.INSTRUCTOR: gettext_lazy("teachers"),
    Role.LEARNER: gettext_lazy("learners"),
    Role.TEACHING_ASSISTANT: gettext_lazy("teaching assistants"),
    vocabulary.is_instructor: gettext_lazy("teachers"),
    vocabulary.is_learner: gettext_lazy("learners"),
}


def lti_required(view: View) -> View:
    """Call the view only under a live launch of the person who is signed in, so that `request.lti` is a Launch.

    Otherwise the person gets a readable page: the live launches to choose from, or a word on where to launch again;
    the view acts on nothing.
    """
    return _guarded(view, ())


def role_required(*required: Requirement) -> Callable[[View], View]:
    """As `lti_required`, and only for people who have one of these roles in the launch's context.

    `@role_required(Role.INSTRUCTOR, Role.TEACHING_ASSISTANT)`, or with a predicate,
    `@role_required(vocabulary.is_instructor)`, which means the same. Others get a page that says whom it is for.
    """
    check_requirements(required)
    if not required:
        raise TypeError("role_required() takes one role at least; lti_required takes everybody who has launched.")
    return functools.partial(_guarded, required=required)


def check_requirements(required: Collection[object]) -> None:
    """Raises TypeError for what is neither a Role nor a predicate, such as a role's name misspelt."""
    for one in required:
        if not (isinstance(one, Role) or callable(one)):
            raise TypeError(f"{one!r} is no vocabulary.Role, and no predicate of a launch's roles.")


def refusal(request: HttpRequest, required: Collection[Requirement] = ()) -> HttpResponse | None:
    """The page for somebody who may not see the one they asked for; None for those who may."""
    launch: Any = request.lti  # type: ignore[attr-defined]
    if not launch:
        return pages.launch_needed(request, launch)
    roles = vocabulary.context_roles(launch.roles)
    if not required or any(one in roles if isinstance(one, Role) else one(launch.roles) for one in required):
        return None
    return pages.error(request, _for_whom(required), status=403, return_url=launch.safe_return_url)


def _for_whom(required: Collection[Requirement]) -> str:
    if not _HOLDERS.keys() >= set(required):
        return _("This page is not for the role that you have in the course.")
    holders = list(dict.fromkeys(str(_HOLDERS[one]) for one in required))
    return _("This page is for the %(holders)s of the course.") % {"holders": get_text_list(holders, _("and"))}


def _guarded(view: View, required: Collection[Requirement]) -> View:
    if iscoroutinefunction(view):

        @login_not_required
        @functools.wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            refused = await sync_to_async(refusal)(request, required)
            return refused or await view(request, *args, **kwargs)

        return guarded_async

    @login_not_required
    @functools.wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return refusal(request, required) or view(request, *args, **kwargs)

    return guarded
