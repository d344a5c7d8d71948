"""Where a launch sends the browser: to the clean URL, and with what it has to bring along."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseRedirect

from ltiaas_django import ltiks
from ltiaas_django.models import Launch
from ltiaas_django.operations import launching

STARTED = "lti_start"
"""Query parameter: the proof that this browser has begun the launch; worth nothing once the cookie has come back."""


def to(url: str, **parameters: str) -> HttpResponseRedirect:
    """A redirect that tells the next page nothing of the URL it came from, which may have held a secret."""
    if parameters:
        path, _, query = url.partition("?")
        url = f"{path}?{urlencode(parameters)}{'&' if query else ''}{query}"
    return HttpResponseRedirect(url, headers={"Referrer-Policy": "no-referrer"})


def after_sign_in(clean_url: str, launch: Launch) -> HttpResponseRedirect:
    """On to the clean URL, with the proof that shows there who began the launch, should no cookie come back."""
    return to(clean_url, **{STARTED: launching.prove_start(launch)})


def take_proof(request: HttpRequest) -> str:
    """The proof; blank if there is none."""
    return (ltiks.take_parameter(request, STARTED) or [""])[-1]
