"""Settings of a project with its own user model."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "ltiaas_django",
    "ltiaas_django.sandbox",
    "tests.email_users",
]
AUTH_USER_MODEL = "email_users.Person"
ROOT_URLCONF = "tests.email_users.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
