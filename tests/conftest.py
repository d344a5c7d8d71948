"""What every test may use: Hypothesis profiles, services that may be absent, a gate on skipped tests."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from django.utils import translation

from ltiaas_django.connections.ltiaas import transport
from tests import skips
from tests.lms import lms  # noqa: F401  a fixture for every folder

HERE = pathlib.Path(__file__).parent

collect_ignore = ["email_users"]  # a project of its own, with settings of its own; its modules hold no tests

# A failing example prints a line to repeat it with. No deadline: a busy machine is no bug.
hypothesis.settings.register_profile("dev", deadline=None, print_blob=True, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, max_examples=200)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") == "true" else "dev")
)


def pytest_configure(config: pytest.Config) -> None:
    for gate in skips.gate(dict(os.environ), HERE / "allowed_skips.txt"):
        config.pluginmanager.register(gate, "skip-gate")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`--numprocesses auto`: one more than there are cores, for the suite waits a third of its time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE / "browser"):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """No test leaves a language behind for those that come after it."""
    yield
    left = translation.get_language()
    translation.deactivate()
    assert left == settings.LANGUAGE_CODE, f"{left} is still spoken after the test"


@pytest.fixture(autouse=True)
def _connections() -> Iterator[None]:
    """No test leaves a connection to its own server behind: together they would be more than a process may have."""
    yield
    transport.close_pools()


def do_without(reason: str) -> None:
    """Skip the running test, or fail it where CI promised that everything is there."""
    if os.environ.get("CI_SERVICES_REQUIRED") == "1":
        pytest.fail(f"CI_SERVICES_REQUIRED is set, but the test {reason}")
    pytest.skip(reason)


def service_url(service: str, variable: str, port: int) -> str:
    """The URL in the environment variable, once something answers there."""
    url = os.environ.get(variable, "")
    if not url:
        do_without(f"needs {service}: set {variable}")
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or port)
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        do_without(f"needs {service}: nothing answers at {address[0]}:{address[1]}")
    return url


@pytest.fixture
def redis_url() -> str:
    """A running Redis, from TEST_REDIS_URL. Use keys and queues of your own: others may use it too."""
    return service_url("Redis", "TEST_REDIS_URL", 6379)


@pytest.fixture
def rabbitmq_url() -> str:
    """A running RabbitMQ, from TEST_RABBITMQ_URL. Use queues of your own: others may use it too."""
    return service_url("RabbitMQ", "TEST_RABBITMQ_URL", 5672)


@pytest.fixture(
    params=[
        "filesystem",
        pytest.param("redis", marks=pytest.mark.services),
        pytest.param("rabbitmq", marks=pytest.mark.services),
    ]
)
def broker_url(request: pytest.FixtureRequest) -> str:
    """Each broker that Celery is supported on, in turn; those that are absent are skipped."""
    if request.param == "filesystem":
        return "filesystem://"
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def postgresql() -> None:
    """The suite runs on PostgreSQL (the test still asks for the database itself)."""
    if connection.vendor != "postgresql":
        do_without("needs PostgreSQL: set DATABASE_URL")


@pytest.fixture
def sqlite() -> None:
    """The suite runs on SQLite (the test still asks for the database itself)."""
    if connection.vendor != "sqlite":
        pytest.skip("needs SQLite")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium, for Playwright's `executable_path`; CHROMIUM names one in an unusual place."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    path = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if path is None:
        pytest.skip("needs Chromium: install it, or set CHROMIUM to its path")
    return path
