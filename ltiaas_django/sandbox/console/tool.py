"""The tool: where launches go, and what the tool must be told to find the sandbox."""

from __future__ import annotations

import json
from urllib.parse import urljoin

from django.http import HttpRequest, HttpResponse

from .. import errors, pages, validation
from ..simulator import Sandbox
from . import frame


@pages.page("GET", "HEAD", "POST")
def tool(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    """The tool's address, and settings to copy."""
    return frame.answer(request, sandbox, _show, {"tool_url": _change})


def _show(request: HttpRequest, sandbox: Sandbox, error: errors.SandboxError | None) -> HttpResponse:
    url, key = sandbox.origin, sandbox.api_key
    return frame.render(
        request,
        "console_tool",
        "Tool",
        error,
        tool_url=frame.text(request, "tool_url") if error else sandbox.tool_url,
        origin=url,
        api_key=key,
        settings=f'LTIAAS = {{"URL": {json.dumps(url)}, "API_KEY": {json.dumps(key)}}}',
        environment=f"LTIAAS_URL={url}\nLTIAAS_API_KEY={key}",
        register_url=urljoin(sandbox.tool_url, "../register/"),
        is_https=url.startswith("https:"),
    )


def _change(request: HttpRequest, sandbox: Sandbox) -> HttpResponse:
    typed = {"tool_url": frame.text(request, "tool_url")}
    sandbox.tool_url = validation.read_object(typed, {"tool_url": validation.Field(validation.http_url)})["tool_url"]
    return frame.done("console_tool", "tool_url")
