"""A simulated LMS with the LTIAAS HTTP API over it, on an origin of its own: for development, demos and tests.

    from ltiaas_django.sandbox import Sandbox, SandboxServer

    sandbox = Sandbox(api_key="secret", tool_url="http://127.0.0.1:8000/lti/launch/")
    with SandboxServer(sandbox) as server:
        ltik = sandbox.launch("course-101", "quiz-1", "2001")
        ...  # the tool talks to server.url as it would talk to https://your.ltiaas.com

From a shell: `manage.py ltiaas_sandbox`. Everything lives in memory; nothing of the host project is used or changed.
Its JSON is written straight from LTIAAS's reference, with no code of the client's, so the two cannot share a mistake.
"""

from __future__ import annotations

from .errors import SandboxError
from .server import SandboxServer
from .simulator import Sandbox

__all__ = ["Sandbox", "SandboxError", "SandboxServer"]
