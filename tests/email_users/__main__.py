"""Launch as two people in such a project, and once more; print what became of them as JSON."""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings
from django.core.management import call_command

django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)

from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client  # noqa: E402

from ltiaas_django.models import LtiUser  # noqa: E402
from ltiaas_django.sandbox import Sandbox, SandboxServer  # noqa: E402

sandbox = Sandbox(api_key="k", tool_url="http://testserver/lti/launch/")
with SandboxServer(sandbox) as server:
    settings.LTIAAS = {"URL": server.url, "API_KEY": "k"}
    statuses = []
    for person in ("2001", "2002", "2001"):
        browser = Client()
        response = browser.get(sandbox.launch_url("course-101", "quiz-1", person))
        statuses += [response.status_code, browser.get(response.headers.get("Location", "/")).status_code]
users = list(get_user_model()._default_manager.all())
json.dump(
    {
        "statuses": statuses,
        "emails": sorted(user.email for user in users),
        "usable_passwords": [user.has_usable_password() for user in users],
        "linked": LtiUser.objects.filter(user__in=users).count(),
    },
    sys.stdout,
)
