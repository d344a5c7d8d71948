"""The LMS that a test is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ltiaas_django.sandbox import Sandbox

from ..conftest import Caller
from .lms import Lms


@pytest.fixture
def lms(
    request: pytest.FixtureRequest, sandbox: Sandbox, by_key: Callable[..., Caller], by_ltik: Callable[..., Caller]
) -> Lms:
    sandbox.set_profile(request.param)
    return Lms(sandbox, by_key(person="1001"), by_ltik)
