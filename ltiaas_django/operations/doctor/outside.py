"""LTIAAS itself: whether it answers, takes our API key, and agrees with us about the time."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from ltiaas_django import exceptions
from ltiaas_django.findings import Finding, advice, ok, problem, skipped
from ltiaas_django.operations import connecting
from ltiaas_django.operations.doctor.visit import Visit

SLOW = 2.0
"""Seconds: a launch waits for a call such as this one, and a person for the launch."""
ASTRAY = timedelta(seconds=60)
"""Scores say when they were given, and an LMS takes none from the future or from before the last one."""

_URL = 'Write LTIAAS = {"URL": "https://your.ltiaas.com", ...}, as the LTIAAS portal shows it.'
_WRONG = exceptions.NotFound | exceptions.InvalidRequest | exceptions.InvalidResponse


def ltiaas(visit: Visit) -> Iterator[Finding]:
    """Whether it can be reached and takes the API key, and how long that takes."""
    url = connecting.endpoint().url
    probe = visit.probe
    if probe.error is not None:
        yield _failure(url, probe.error)
    elif probe.seconds is not None and probe.seconds > SLOW:
        text = f"LTIAAS at {url} takes the API key, but needed {probe.seconds:.1f} s; people wait for that at a launch."
        yield advice(text, f"Type curl --output /dev/null --silent --write-out '%{{time_total}}\\n' {url} a few times.")
    else:
        yield ok(f"LTIAAS at {url} answered in {probe.seconds or 0:.2f} s and takes the API key.")


def _failure(url: str, error: exceptions.ApiError) -> Finding:
    if isinstance(error, exceptions.Refused):
        hint = 'Copy the API key from the LTIAAS portal again: LTIAAS = {"API_KEY": os.environ["LTIAAS_API_KEY"], ...}.'
        return problem(f"LTIAAS at {url} refuses the API key ({error.status_code}).", hint)
    if isinstance(error, exceptions.Unreachable | exceptions.OutcomeUnknown):
        return problem(f"LTIAAS at {url} cannot be reached: {error.detail}.", _how_to_reach(url, error.detail))
    if isinstance(error, _WRONG):
        return problem(
            f"Something answers at {url}, but not as LTIAAS does: {error.detail or error.status_code}.", _URL
        )
    if isinstance(error, exceptions.Throttled):
        return advice(f"LTIAAS at {url} takes no more calls just now.", "Run this again in a minute.")
    return problem(f"LTIAAS at {url} fails: {error}.", "Run this again in a minute; then ask LTIAAS's support.")


def _how_to_reach(url: str, detail: str) -> str:
    if "certificate" in detail.lower():
        return (
            "Mend the server's certificate; where a proxy of yours puts its own in between, set REQUESTS_CA_BUNDLE to "
            "the file of its CA in the environment."
        )
    if _is_this_machine(url):
        return f"Type manage.py ltiaas_sandbox to start the sandbox there. Or: {_URL}"
    return (
        f"Type curl --head {url} on this machine: name server, firewall and HTTPS_PROXY may be in the way. Or: {_URL}"
    )


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clock(visit: Visit) -> Iterator[Finding]:
    """Whether our clock agrees with LTIAAS's."""
    ahead = visit.probe.ahead
    if ahead is None:
        yield skipped("LTIAAS did not say what time it is.")
    elif abs(ahead) > ASTRAY:
        way = "behind" if ahead > timedelta() else "ahead of"
        yield problem(
            f"This machine's clock is {abs(ahead).total_seconds():.0f} s {way} LTIAAS's: LMSs may refuse its scores.",
            "Type timedatectl set-ntp true, and timedatectl to see what became of it.",
        )
    else:
        yield ok(f"This machine's clock is within {ASTRAY.total_seconds():.0f} s of LTIAAS's.")
