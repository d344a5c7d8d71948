"""The launch, as a view to subclass."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.debug import sensitive_variables

from ltiaas_django import exceptions, framing, languages, ltiks, pages
from ltiaas_django.models import Launch
from ltiaas_django.models.launches import PARAMETER
from ltiaas_django.operations import launching, sso
from ltiaas_django.operations import linking as account_linking
from ltiaas_django.redaction import Hidden
from ltiaas_django.views import linking, new_tab, redirects, replacing
from ltiaas_django.vocabulary import LaunchType

logger = logging.getLogger(__name__)


class LaunchView(View):
    """Where LTIAAS sends people: `?ltik=...` begins a launch, and its clean URL, `?lti=<launch id>`, goes on with it.

    Subclass it, override the hooks, and mount it before the include of `ltiaas_django.urls`. A hook is called at the
    clean URL, with the person signed in, `request.lti` set, and any query parameters of the tool's own; it may render
    a page or redirect to `launch.url("your-view")`.
    """

    http_method_names = ["get", "head"]

    _given: Sequence[Hidden] = ()  # the ltiks of the request

    # --- hooks ---

    def handle_resource_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A person opens an activity. Default: a page that says the launch worked."""
        return pages.show(request, "launched.html", {"title": _("You are signed in"), "launch": launch})

    def handle_deep_linking_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A teacher wants to choose content: see `ltiaas_django.deep_linking`. Default: a polite page."""
        return self._not_offered(request, launch, _("This tool has no content to choose from."))

    def handle_submission_review_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A teacher opens a learner's work from the gradebook. Default: a polite page."""
        return self._not_offered(request, launch, _("This tool has no review of single submissions."))

    def handle_error(self, request: HttpRequest, error: exceptions.LaunchError) -> HttpResponseBase:
        """A launch that cannot go on. Default: a readable page, in the frame."""
        response = pages.error(request, str(error), status=error.status_code, title=_("The launch did not work"))
        if isinstance(error, exceptions.LaunchThrottled):
            response.headers["Retry-After"] = str(math.ceil(error.retry_after))
        return response

    def throttle(self, request: HttpRequest) -> float | None:
        """Seconds that this client has to wait before a launch of theirs is looked at; None to let it go on.

        Asked before anything is exchanged. Default: no limit; a site that wants one asks its rate limiter here.
        """
        return None

    # --- the story of a launch ---

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view; where a middleware asks everybody to sign in first, it lets launches through: they sign in."""
        return login_not_required(super().as_view(**initkwargs))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Every error of a launch ends in a page for the person, and a line without secrets for the operator."""
        try:
            response = super().dispatch(request, *args, **kwargs)
        except exceptions.LaunchError as error:
            logger.warning("A launch was refused: %s: %s", type(error).__name__, error.__cause__ or error)
            response = self._refuse(request, error)
        except exceptions.ConfigurationError as error:
            logger.error("A launch failed: %s", error)
            message = _("This tool is not set up correctly. Please tell the people who run it.")
            response = self._refuse(request, exceptions.LaunchUnavailable(message))
        response.headers.setdefault("Cache-Control", "no-store")
        if not getattr(request, "lti", None) and not hasattr(response, "xframe_options_exempt"):
            response.xframe_options_exempt = True  # type: ignore[attr-defined]  # under a launch its session decides
        return response

    def head(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Link scanners ask by HEAD: nothing is exchanged."""
        return HttpResponse()

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Begin a launch, or go on with one at its clean URL."""
        if _is_prefetch(request):
            response = HttpResponse(status=204)
            patch_vary_headers(response, ["Sec-Purpose", "Purpose", "X-Moz"])
            return response
        self._given = given = ltiks.given(request)
        if not given and PARAMETER in request.GET:
            return self.go_on(request)
        if len(given) > 1:
            raise exceptions.InvalidLaunch(_("The launch parameter “ltik” is there more than once."))
        ltik = launching.check_ltik(given[0] if given else None)
        if (wait := self.throttle(request)) is not None:
            refusal = exceptions.LaunchThrottled(
                _("Too many launches came from here just now. Please wait a moment, and open the activity again.")
            )
            refusal.retry_after = wait
            raise refusal
        with launching.alone_with(ltik):  # the second half of a double click finds what the first has started
            return self.begin(request, ltik)

    @method_decorator(sensitive_variables())
    def begin(self, request: HttpRequest, ltik: str) -> HttpResponseBase:
        """Exchange the ltik, remember who came from where, sign them in, and send the browser to the clean URL."""
        started = launching.get_started(ltik)
        if started is not None:
            return self.begin_again(request, started)
        id_token = launching.fetch_id_token(ltik)
        languages.speak(request, id_token.launch.locale)
        framed = framing.comes_from_frame(request, id_token.launch.document_target)
        try:
            with transaction.atomic():
                launch, created = launching.record_launch(id_token, ltik, framed=framed)
                if account_linking.must_answer(launch):
                    launch.save(force_insert=True)
                    return linking.ask(launch, pages.clean_url(request, launch), created=created)
                if sso.would_replace_foreign_session(request, launch.user):
                    launch.save(force_insert=True)
                    return replacing.ask_first(request, launch, pages.clean_url(request, launch), created=created)
                sso.sign_in(request, launch)
        except IntegrityError:
            started = launching.get_started(ltik)  # the other half of a double click was faster
            if started is None:
                raise
            return self.begin_again(request, started)
        launching.announce(request, launch, created=created)
        return redirects.after_sign_in(pages.clean_url(request, launch), launch)

    def begin_again(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """The same ltik once more: harmless for the browser that holds the launch, refused elsewhere.

        An answer may have got lost, or a link been clicked twice: for a minute, and until its cookie has come back,
        the launch may start anew, which ends the session that it began before.
        """
        languages.speak(request, launch.locale)
        if request.user.is_authenticated and request.user.pk == launch.user_id:
            return redirects.to(pages.clean_url(request, launch))
        with transaction.atomic():
            # Without joins: its person may be linked to another user this moment, and the join would find nobody.
            launch = Launch.objects.select_for_update().get(pk=launch.pk)
            if not launching.may_start_anew(launch):
                raise exceptions.LaunchReplayed(
                    _("This launch was used before. Please open the activity from your course again.")
                )
            sso.policy().check(launch.user)
            is_first = not launch.session_sealed  # a question was asked, and nobody has answered it
            if account_linking.must_answer(launch):
                return linking.ask(launch, pages.clean_url(request, launch), created=False)
            if sso.would_replace_foreign_session(request, launch.user):
                told = False if is_first else None
                return replacing.ask_first(request, launch, pages.clean_url(request, launch), created=told)
            sso.end_session_of(launch)
            sso.sign_in(request, launch)
        if is_first:
            launching.announce(request, launch, created=False)
        return redirects.after_sign_in(pages.clean_url(request, launch), launch)

    def go_on(self, request: HttpRequest) -> HttpResponseBase:
        """At the clean URL: the cookie has come back, so the launch is claimed, and the tool takes over."""
        launch = request.lti  # type: ignore[attr-defined]
        proof = redirects.take_proof(request)
        if not launch:
            answer = new_tab.without_cookie(request, proof) if proof else None
            return answer or pages.launch_needed(request, launch)
        sso.renew_replaced(request)
        hooks = {
            LaunchType.DEEP_LINKING: self.handle_deep_linking_launch,
            LaunchType.SUBMISSION_REVIEW: self.handle_submission_review_launch,
        }
        return hooks.get(LaunchType(launch.type), self.handle_resource_launch)(request, launch)

    # --- pieces ---

    def _refuse(self, request: HttpRequest, error: exceptions.LaunchError) -> HttpResponseBase:
        response = self.handle_error(request, error)
        if self._given:  # the page's own URL still holds the ltik: what the page loads is not told
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _not_offered(self, request: HttpRequest, launch: Launch, message: str) -> HttpResponseBase:
        return pages.error(
            request, message, status=200, title=_("Nothing to do here"), return_url=launch.safe_return_url
        )


def _is_prefetch(request: HttpRequest) -> bool:
    """Browsers say so when they fetch what nobody has clicked yet."""
    said = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    return any("prefetch" in value or "prerender" in value for value in said)
