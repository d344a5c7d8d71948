"""The sandbox as a Django app; being installed only makes its management command known."""

from __future__ import annotations

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """No models, no migrations, no checks."""

    name = "ltiaas_django.sandbox"
    label = "ltiaas_sandbox"
    verbose_name = "LTIAAS sandbox"
