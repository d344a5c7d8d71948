"""Any custom user model will do: the launch is tried in a process of its own, with another AUTH_USER_MODEL."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def test_people_are_provisioned_in_a_user_model_of_the_projects_own() -> None:
    process = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.email_users"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.email_users.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["statuses"] == [302, 200] * 3
    assert len(set(found["emails"])) == 2
    assert all(email.endswith("@lti.invalid") for email in found["emails"])
    assert found["usable_passwords"] == [False, False]
    assert found["linked"] == 2
