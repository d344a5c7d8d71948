"""The sandbox for a WSGI server, set up by environment variables: for a machine that several people or scripts share.

    LTIAAS_SANDBOX_ORIGIN=http://127.0.0.1:9800 LTIAAS_SANDBOX_PROFILE=canvas \\
      gunicorn --workers 1 --threads 16 --bind 127.0.0.1:9800 ltiaas_django.sandbox.wsgi

LTIAAS_SANDBOX_ORIGIN     where it is served, as in the URLs that it hands out (http://127.0.0.1:9800)
LTIAAS_SANDBOX_API_KEY    the account's API key (sandbox-api-key)
LTIAAS_SANDBOX_TOOL_URL   the launch URL of the tool (http://127.0.0.1:8000/lti/launch/)
LTIAAS_SANDBOX_PROFILE    the LMS to behave like (plain)
LTIAAS_SANDBOX_SCENARIO   what is there at the start (small)

All state is in memory, so it has to be one process; threads serve several callers. It needs no Django project: with
DJANGO_SETTINGS_MODULE unset, Django's own defaults do. Faults that break a connection off work under gunicorn; under
another server, the WSGI environment's `ltiaas_sandbox.drop` may be a function that does it.
It asks nobody for a password: let it listen where only those who may steer it can reach it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from django.conf import settings

from .server import SandboxApplication
from .simulator import Sandbox

_PREFIX = "LTIAAS_SANDBOX_"
_OPTIONS = ("api_key", "tool_url", "profile", "scenario")


def from_environment(environment: Mapping[str, str]) -> SandboxApplication:
    """The application that these variables describe; raises BadRequest for a profile or scenario there is not."""
    given = {name: environment.get(f"{_PREFIX}{name.upper()}") for name in _OPTIONS}
    sandbox = Sandbox(**{name: value for name, value in given.items() if value})
    origin = environment.get(f"{_PREFIX}ORIGIN")
    if origin:
        sandbox.origin = origin.rstrip("/")
    return SandboxApplication(sandbox)


if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
    settings.configure()
application = from_environment(os.environ)
