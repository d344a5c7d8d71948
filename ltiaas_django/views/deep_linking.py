"""What the person has picked on the page of `deep_linking.pick`, on its way to the LMS."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views import View

from ltiaas_django import deep_linking, exceptions, pages
from ltiaas_django.models import Launch


class DeepLinkingView(View):
    """Takes the picker's form, under the deep linking launch that it was shown for."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Nothing is shown here: whoever reloads starts again from the course."""
        response = self._again(request, 405)
        response.headers["Allow"] = "POST"
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        """Hand over what was picked, or say that nothing was."""
        launch = request.lti  # type: ignore[attr-defined]
        if not launch:
            return pages.launch_needed(request, launch)
        offer = deep_linking.read_offer(request.POST.get("offer", ""), launch) if _asked_for_content(launch) else None
        if offer is None:
            return self._again(request, 400)
        if "cancel" in request.POST:
            return deep_linking.refuse(request, launch, message=_("Nothing was chosen."))
        title, choices = offer
        # By their places in the offer; what is no place counts as nothing.
        named = set(request.POST.getlist("choice"))
        picked = [item for place, item in enumerate(choices) if str(place) in named]
        problem = _("Please choose something first, or cancel.")
        try:
            if picked:
                return deep_linking.answer(request, launch, picked)
        except exceptions.ContentNotAccepted as error:
            problem = str(error)
        return deep_linking.show_picker(request, launch, title, choices, problem=problem)

    def _again(self, request: HttpRequest, status: int) -> HttpResponse:
        message = _("This page cannot be used any more. Please open the tool from your course again.")
        return pages.error(request, message, status=status)


def _asked_for_content(launch: Launch) -> bool:
    return launch.type == Launch.Type.DEEP_LINKING
