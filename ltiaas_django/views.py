"""The launch, as a view to subclass."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.debug import sensitive_variables

from ltiaas_django import exceptions, pages, sealing, signals
from ltiaas_django.models import Launch
from ltiaas_django.models.launches import PARAMETER, add_launch
from ltiaas_django.operations import announcing, launching, sso
from ltiaas_django.redaction import Hidden, redact
from ltiaas_django.vocabulary import LaunchType

logger = logging.getLogger(__name__)

_CONSENT_SALT = "ltiaas_django.replace_session"
_CONSENT_LASTS = 600  # seconds that the question "replace the session?" may be answered


class LaunchView(View):
    """Where LTIAAS sends people: `?ltik=...` begins a launch, and its clean URL, `?lti=<launch id>`, goes on with it.

    Subclass it, override the hooks, and mount it before the include of `ltiaas_django.urls`. A hook is called at the
    clean URL, with the person signed in, `request.lti` set, and any query parameters of the tool's own; it may render
    a page or redirect to `launch.url("your-view")`.
    """

    http_method_names = ["get", "head"]

    # --- hooks ---

    def handle_resource_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A person opens an activity. Default: a page that says the launch worked."""
        return pages.show(request, "launched.html", {"title": _("You are signed in"), "launch": launch})

    def handle_deep_linking_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A teacher wants to choose content. Default: a polite page."""
        return self._not_offered(request, launch, _("This tool has no content to choose from."))

    def handle_submission_review_launch(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """A teacher opens a learner's work from the gradebook. Default: a polite page."""
        return self._not_offered(request, launch, _("This tool has no review of single submissions."))

    def handle_error(self, request: HttpRequest, error: exceptions.LaunchError) -> HttpResponseBase:
        """A launch that cannot go on. Default: a readable page, in the frame."""
        return pages.error(request, str(error), status=error.status_code, title=_("The launch did not work"))

    # --- the story of a launch ---

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Every error of a launch ends in a page for the person, and a line without secrets for the operator."""
        try:
            response = super().dispatch(request, *args, **kwargs)
        except exceptions.LaunchError as error:
            logger.warning("A launch was refused: %s: %s", type(error).__name__, error.__cause__ or error)
            response = self.handle_error(request, error)
        except exceptions.ConfigurationError as error:
            logger.error("A launch failed: %s", error)
            message = _("This tool is not set up correctly. Please tell the people who run it.")
            response = self.handle_error(request, exceptions.LaunchUnavailable(message))
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Cache-Control", "no-store")
        response.xframe_options_exempt = True  # type: ignore[attr-defined]
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
        given = _take_ltik(request)
        if not given and PARAMETER in request.GET:
            return self.go_on(request)
        if len(given) > 1:
            raise exceptions.InvalidLaunch(_("The launch parameter “ltik” is there more than once."))
        return self.begin(request, launching.check_ltik(given[0] if given else None))

    @method_decorator(sensitive_variables())
    def begin(self, request: HttpRequest, ltik: str) -> HttpResponseBase:
        """Exchange the ltik, remember who came from where, sign them in, and send the browser to the clean URL."""
        started = launching.get_started(ltik)
        if started is not None:
            return self.begin_again(request, started)
        id_token = launching.fetch_id_token(ltik)
        framed = _is_framed(request, id_token.launch.document_target)
        try:
            with transaction.atomic():
                launch, created = launching.record_launch(id_token, ltik, framed=framed)
                if sso.would_replace_foreign_session(request, launch.user):
                    launch.save(force_insert=True)
                    return self._ask_first(request, launch, created)
                sso.sign_in(request, launch)
        except IntegrityError:
            started = launching.get_started(ltik)  # the other half of a double click was faster
            if started is None:
                raise
            return self.begin_again(request, started)
        _announce(request, launch, created)
        return HttpResponseRedirect(_clean_url(request, launch))

    def begin_again(self, request: HttpRequest, launch: Launch) -> HttpResponseBase:
        """The same ltik once more: harmless for the browser that holds the launch, refused elsewhere.

        An answer may have got lost, or a link been clicked twice: for a minute, and until its cookie has come back,
        the launch may start anew, which ends the session that it began before.
        """
        if request.user.is_authenticated and request.user.pk == launch.user_id:
            return HttpResponseRedirect(_clean_url(request, launch))
        with transaction.atomic():
            launch = Launch.objects.select_for_update(of=("self",)).select_related("user").get(pk=launch.pk)
            if not launching.may_start_anew(launch):
                raise exceptions.LaunchReplayed(
                    _("This launch was used before. Please open the activity from your course again.")
                )
            sso.policy().check(launch.user)
            if sso.would_replace_foreign_session(request, launch.user):
                return self._ask_first(request, launch, created=False)
            sso.end_session_of(launch)
            sso.sign_in(request, launch)
        return HttpResponseRedirect(_clean_url(request, launch))

    def go_on(self, request: HttpRequest) -> HttpResponseBase:
        """At the clean URL: the cookie has come back, so the launch is claimed, and the tool takes over."""
        launch = request.lti  # type: ignore[attr-defined]
        if not launch:
            return pages.launch_needed(request, launch.reason)
        hooks = {
            LaunchType.DEEP_LINKING: self.handle_deep_linking_launch,
            LaunchType.SUBMISSION_REVIEW: self.handle_submission_review_launch,
        }
        return hooks.get(LaunchType(launch.type), self.handle_resource_launch)(request, launch)

    # --- pieces ---

    def _ask_first(self, request: HttpRequest, launch: Launch, created: bool) -> HttpResponseBase:
        """Somebody is signed in here, and not by a launch: an operator, say. Their session is not ended unasked.

        The question stands at a URL of its own, so that the ltik is in no Referer header of the answer.
        """
        asked = {
            "launch": str(launch.pk),
            "session": sealing.digest(request.session.session_key or ""),
            "next": _clean_url(request, launch),
            "created": created,
        }
        query = urlencode({"token": signing.dumps(asked, salt=_CONSENT_SALT)})
        return HttpResponseRedirect(f"{reverse('ltiaas:continue')}?{query}")

    def _not_offered(self, request: HttpRequest, launch: Launch, message: str) -> HttpResponseBase:
        return pages.error(
            request, message, status=200, title=_("Nothing to do here"), return_url=launch.safe_return_url
        )


class ContinueView(View):
    """The question "replace your session?", and its answer: a yes signs the launch's person in."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Ask."""
        asked = self._asked(request, request.GET)
        launch = asked and self._launch(asked)
        if not launch:
            return self._refuse(request)
        context = {"title": _("Replace your session?"), "person": launch.lti_user, "token": request.GET["token"]}
        return pages.show(request, "replace_session.html", context)

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Sign in, if the question was asked in this very session, lately, and is not answered yet."""
        asked = self._asked(request, request.POST)
        if not asked:
            return self._refuse(request)
        with transaction.atomic():
            launch = self._launch(asked)
            if not launch:
                return self._refuse(request)
            try:
                sso.policy().check(launch.user)
            except exceptions.SsoRefused as error:
                return pages.error(request, str(error), status=error.status_code)
            sso.sign_in(request, launch)
        _announce(request, launch, asked["created"])
        return HttpResponseRedirect(asked["next"])

    def _asked(self, request: HttpRequest, given: QueryDict) -> dict[str, Any]:
        """What was asked in this session; empty if nothing was, or too long ago."""
        try:
            asked: dict[str, Any] = signing.loads(given.get("token", ""), salt=_CONSENT_SALT, max_age=_CONSENT_LASTS)
        except signing.BadSignature:
            return {}
        return asked if asked["session"] == sealing.digest(request.session.session_key or "") else {}

    def _launch(self, asked: dict[str, Any]) -> Launch | None:
        open_ones = Launch.objects.live().filter(claimed_at=None, session_sealed="")
        with transaction.atomic():
            locked = open_ones.select_for_update(of=("self",)).select_related("user", "lti_user")
            return locked.filter(pk=asked["launch"]).first()

    def _refuse(self, request: HttpRequest) -> HttpResponseBase:
        message = _("This question is no longer open. Please open the activity from your course again.")
        return pages.error(request, message, status=403)


def _announce(request: HttpRequest, launch: Launch, created: bool) -> None:
    announcing.announce(signals.launched, Launch, launch=launch, request=request, created=created)


def _take_ltik(request: HttpRequest) -> list[Hidden]:
    """The values of `ltik`, which are taken out of the request: no error page or tracker may find them there."""
    query = request.GET.copy()
    given = query.pop("ltik", [])
    if given:
        query._mutable = False
        request.GET = query  # type: ignore[assignment]
        request.META["QUERY_STRING"] = query.urlencode()
        for name in ("RAW_URI", "REQUEST_URI", "HTTP_REFERER"):
            if name in request.META:
                request.META[name] = redact(request.META[name])
    return [Hidden(value) for value in given]


def _clean_url(request: HttpRequest, launch: Launch) -> str:
    """This view's URL with the launch named, and with the tool's own query parameters, but without the ltik."""
    query = request.GET.copy()
    query.pop(PARAMETER, None)
    return add_launch(f"{request.path}?{query.urlencode()}" if query else request.path, str(launch.pk))


def _is_prefetch(request: HttpRequest) -> bool:
    """Browsers say so when they fetch what nobody has clicked yet."""
    said = (request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    return any("prefetch" in value or "prerender" in value for value in said)


def _is_framed(request: HttpRequest, document_target: str) -> bool:
    """The browser knows best; where it does not say, the LMS's word counts."""
    said = request.headers.get("Sec-Fetch-Dest")
    return said in {"iframe", "frame"} if said else document_target in {"iframe", "frame"}
