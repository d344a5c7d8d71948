"""Where a frame cannot keep the tool's cookies: the same launch in a tab of its own."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from ltiaas_django import exceptions, languages, pages
from ltiaas_django.models.launches import PARAMETER
from ltiaas_django.operations import launching, sso
from ltiaas_django.views import redirects, replacing


def without_cookie(request: HttpRequest, proof: str) -> HttpResponseBase | None:
    """What to say to a browser that has begun a launch and brings no cookie of it; None if it has not begun it."""
    launch = launching.get_begun(request.GET.get(PARAMETER, ""), proof)
    if launch is None:
        return None
    clean_url = pages.clean_url(request, launch)
    languages.speak(request, launch.locale)
    title = _("Open in a new tab") if launch.framed else _("Your browser keeps no cookies here")
    context = {"title": title, "launch": launch, "proof": proof, "next": clean_url}
    return pages.show(request, "new_tab.html", context, status=403, launch=launch)


@method_decorator(csrf_exempt, name="dispatch")  # a frame without cookies has none for CSRF; the proof stands for it
class NewTabView(View):
    """Begin the launch once more, at the top of a tab, where the browser keeps the tool's cookies.

    By POST only: link scanners and prefetching follow links. The proof serves once, for a few minutes, and only while
    no cookie has come back; the session that the frame could not keep ends.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Sign in here, unframed, and go on as any launch does."""
        with transaction.atomic():
            launch = launching.get_begun(request.POST.get("launch", ""), request.POST.get("proof", ""), lock=True)
            if launch is None:
                message = _("This button was used before, or is too old.")
                return pages.error(request, f"{message} {pages.again()}", status=403, title=_("Please launch again"))
            languages.speak(request, launch.locale)
            clean_url = request.POST.get("next", "")
            if not url_has_allowed_host_and_scheme(clean_url, allowed_hosts=None):
                clean_url = launch.url("ltiaas:launch")
            try:
                sso.policy().check(launch.user)
            except exceptions.SsoRefused as error:
                return pages.error(request, str(error), status=error.status_code)
            sso.end_session_of(launch)
            launch.framed, launch.session_sealed = False, ""
            launch.save(update_fields=["framed", "session_sealed"])
            if sso.would_replace_foreign_session(request, launch.user):
                return replacing.ask_first(request, launch, clean_url, created=None)
            sso.sign_in(request, launch)
        return redirects.after_sign_in(clean_url, launch)
