"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from ltiaas_django.redaction import install_log_redaction


class LtiaasDjangoConfig(AppConfig):
    """App label `ltiaas_django`; tables are called ltiaas_django_*."""

    name = "ltiaas_django"
    verbose_name = _("LTI")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Redact every log record from here on, and register the system checks."""
        install_log_redaction()
        from ltiaas_django import checks  # noqa: F401  checks need the models, which are loaded only now
