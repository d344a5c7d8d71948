"""The question whether a new person has an account here already, and the page that links it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.contrib import auth
from django.contrib.auth.mixins import AccessMixin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from ltiaas_django import exceptions, languages, pages
from ltiaas_django.models import Launch
from ltiaas_django.operations import launching, linking, sso
from ltiaas_django.operations.linking import Question
from ltiaas_django.views import redirects, replacing

logger = logging.getLogger(__name__)


def ask(launch: Launch, clean_url: str, *, created: bool) -> HttpResponseBase:
    """Nobody is signed in before the person has answered. The page has a URL of its own, without the ltik."""
    return redirects.to(reverse("ltiaas:link"), token=Question(launch, clean_url, created).token())


class _QuestionView(View):
    """What both pages share: every error ends in a page that can be read."""

    http_method_names = ["get", "head", "post"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except exceptions.LaunchError as error:
            return pages.error(request, str(error), status=error.status_code)
        except (exceptions.ConfigurationError, NoReverseMatch) as error:
            logger.error("An account could not be linked: %s", error)
            message = _("This tool is not set up correctly. Please tell the people who run it.")
            return pages.error(request, message, status=503)

    def read(self, get: Callable[[str], Question | None]) -> Question | None:
        """The question that the token stands for; from here on the page speaks the language of its launch."""
        question = get(self.request.GET.get("token", ""))
        if question is not None:
            languages.speak(self.request, question.launch.locale)
        return question

    def refuse(self, question: Question | None) -> HttpResponse:
        """The question cannot be answered, or not any more."""
        message = _("This question is no longer open.")
        if question is not None:
            message = _("This question has been answered, and the answer stays.")
        return pages.error(self.request, f"{message} {pages.again()}", status=403)


# No CSRF token: a frame without cookies has none. What the page was given stands for it; to forge an answer is to
# know it, and who does could as well have sent the launch itself.
@method_decorator(csrf_exempt, name="dispatch")
class LinkView(_QuestionView):
    """Do you have an account here already? No: go on. Yes: sign in to it, in a tab of its own."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Ask, in the frame."""
        question = self.read(linking.get_asked)
        if question is None or not question.is_open:
            return self.refuse(question)
        context = {
            "title": _("Do you have an account here already?"),
            "launch": question.launch,
            "account_url": f"{reverse('ltiaas:link_confirm')}?{urlencode({'token': question.account_token()})}",
        }
        return pages.show(request, "link_account.html", context, launch=question.launch)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """No: go on with the launch as any other does, in the account that was made for the person."""
        question = self.read(linking.get_asked)
        if question is None:
            return self.refuse(question)
        with transaction.atomic():
            launch = linking.get_waiting(question.launch) if linking.go_on_without(question.launch) else None
            if launch is None:
                return self.refuse(question)
            sso.policy().check(launch.user)
            if sso.would_replace_foreign_session(request, launch.user):
                return replacing.ask_first(request, launch, question.clean_url, created=question.created)
            sso.sign_in(request, launch)
        launching.announce(request, launch, created=question.created)
        return redirects.after_sign_in(question.clean_url, launch)


@method_decorator(csrf_protect, name="dispatch")
class LinkConfirmView(AccessMixin, _QuestionView):
    """Link the account that is signed in here with the person of the launch, for good. Never shown in a frame."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The click that gives an account away is no frame's to catch."""
        response = super().dispatch(request, *args, **kwargs)
        pages.keep_out_of_frames(response)
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Say who is about to be linked with which account, once that is signed in."""
        question = self.read(linking.get_account_question)
        if question is None:
            return self.refuse(question)
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        return self._done(question) if self._is_linked(question) else self._confirm(question)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Link; or sign out, to take another account; or open the activity here."""
        question = self.read(linking.get_account_question)
        if question is None:
            return self.refuse(question)
        answer = request.POST.get("answer")
        if answer == "other":
            auth.logout(request)
            return HttpResponseRedirect(request.get_full_path())
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        if self._is_linked(question):
            return self._open(question) if answer == "open" else self._done(question)
        if answer != "link" or sso.began_by_launch(request.session):
            return self._confirm(question)
        try:
            linking.link(question.launch, request.user)
        except exceptions.SsoRefused as error:
            return self._confirm(question, str(error))
        question = self.read(linking.get_account_question)  # as it stands now: another answer may have been faster
        return self._done(question) if question and self._is_linked(question) else self.refuse(question)

    def _is_linked(self, question: Question) -> bool:
        person = question.launch.lti_user
        return not question.is_open and person.linked_at is not None and person.user_id == self.request.user.pk

    def _confirm(self, question: Question, problem: str = "") -> HttpResponse:
        if not question.is_open:
            return self.refuse(question)
        if sso.began_by_launch(self.request.session):
            problem = _("You are signed in here by way of a course. Please sign in to your own account.")
        try:
            linking.check_account(self.request.user, question.launch.lti_user)  # type: ignore[arg-type]
        except exceptions.SsoRefused as error:
            problem = problem or str(error)
        title = _("Choose another account") if problem else _("Link your account?")
        return self._show("link_account_confirm.html", question, title, problem=problem)

    def _done(self, question: Question) -> HttpResponse:
        return self._show("link_account_done.html", question, _("Your account is linked"))

    def _show(self, template: str, question: Question, title: str, **more: str) -> HttpResponse:
        context = {"title": title, "launch": question.launch, **more}
        status = 403 if more.get("problem") else 200
        return pages.show(self.request, template, context, status, launch=question.launch)

    def _open(self, question: Question) -> HttpResponseBase:
        """Go on with the launch in this tab; the person's own session stays theirs."""
        with transaction.atomic():
            launch = linking.get_waiting(question.launch)
            if launch is None or launch.user_id != self.request.user.pk:
                return self.refuse(question)
            launch.framed = False
            launch.save(update_fields=["framed"])
            sso.sign_in(self.request, launch)
        launching.announce(self.request, launch, created=question.created)
        return redirects.after_sign_in(question.clean_url, launch)
