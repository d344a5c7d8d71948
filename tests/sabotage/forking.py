"""One process for each copy of the tree: it has imported what is not ours, and forks for each run of pytest.

Run with the copy as working directory, never imported. Takes a line of JSON for each run, [arguments, output file,
deadline in seconds], and answers with a line: pytest's exit code, or -1 for out of time. A run shares nothing with
another one: our own modules are imported in the fork, from the copy as it stands then.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import time

import pytest

# What nearly every test imports and does not import us. Of no consequence but for the time that it takes.
PACKAGES = (
    *("_pytest.main", "_pytest.python", "_pytest.fixtures", "_pytest.doctest", "_pytest.junitxml", "xdist"),
    *("pytest_django.plugin", "pytest_django.fixtures", "pytest_cov.plugin", "hypothesis", "hypothesis.strategies"),
    *("hypothesis.stateful", "celery", "celery.app.amqp", "celery.app.control", "kombu.transport.memory", "anyio"),
    *("kombu.transport.filesystem", "requests", "cryptography.fernet", "cryptography.x509", "rich.progress", "factory"),
    *("factory.django", "jsonschema", "yaml", "time_machine", "prometheus_client", "environ", "django.test.client"),
    *("django.contrib.admin", "django.db.backends.sqlite3.base", "django.db.migrations.executor", "django.forms"),
    *("django.core.management", "django.core.management.base", "django.template.defaulttags", "django.views.generic"),
    *("django.template.loader_tags", "django.middleware.csrf", "django.contrib.sessions.middleware"),
)
OUT_OF_TIME = -1


def main() -> None:
    """Serve until the other side closes our standard input."""
    sys.path[0] = ""  # the copy, in place of this file's folder
    for name in PACKAGES:
        importlib.import_module(name)
    gc.freeze()  # a collection would copy every page that the forks share,
    gc.disable()  # and takes a seventh of a run's time, which is over before it matters
    for line in sys.stdin:
        arguments, output, deadline = json.loads(line)
        print(run(arguments, output, deadline), flush=True)


def run(arguments: list[str], output: str, deadline: float) -> int:
    """Fork, and wait for what pytest says; what it leaves running is ended."""
    child = os.fork()
    if child == 0:
        test(arguments, output)
    ends, code = time.monotonic() + deadline, OUT_OF_TIME
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code == OUT_OF_TIME:
        os.waitpid(child, 0)
    return code


def test(arguments: list[str], output: str) -> None:
    """In the fork: pytest, with a session and streams of its own. Does not return."""
    code = 70  # as for an internal error
    try:
        os.setsid()
        for number, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, os.open(output, os.O_WRONLY))):
            os.dup2(target, number)
        os.dup2(1, 2)
        code = int(pytest.main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
