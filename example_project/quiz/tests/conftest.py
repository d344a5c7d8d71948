"""The quiz's tests also run within the package's suite, whose project has other URLs."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "example_project.urls"
