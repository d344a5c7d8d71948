"""A tool of somebody else's, in a folder of its own, whose tests another pytest runs."""

from __future__ import annotations

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent

SETTINGS = """\
SECRET_KEY = "made-up"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tool"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "ltiaas_django"]
MIDDLEWARE = [
    "ltiaas_django.middleware.LtiMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
STATIC_URL = "static/"
USE_TZ = True
LTIAAS = {"URL": "https://school.ltiaas.com", "API_KEY": "made-up"}
"""
TOOL = """\
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import include, path

from ltiaas_django import grades
from ltiaas_django.decorators import lti_required
from ltiaas_django.views import LaunchView


class ToolLaunch(LaunchView):
    def handle_resource_launch(self, request, launch):
        return redirect(launch.url("home"))


@lti_required
def home(request):
    if request.method == "POST":
        grades.record_score(request.lti, given=request.POST["points"], maximum=10)
    return HttpResponse(f"Welcome, {request.lti.lti_user}")


urlpatterns = [
    path("lti/launch/", ToolLaunch.as_view()),
    path("lti/", include("ltiaas_django.urls")),
    path("home/", home, name="home"),
]
"""


@pytest.fixture
def folder(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty folder. What pytest finds there it runs with the installed plugins, ours among them."""
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")  # of this suite
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return pytester


@pytest.fixture
def tool(folder: pytest.Pytester) -> pytest.Pytester:
    """A folder with a small tool: its launch opens `home`, which grades what is posted to it."""
    folder.makepyfile(tool_settings=SETTINGS, tool=TOOL)
    folder.makeini("[pytest]\nDJANGO_SETTINGS_MODULE = tool_settings\npythonpath = .\nfilterwarnings = error\n")
    return folder
