"""The example project, with a sign-in to the site's own accounts, and a tool that leaves all launches as they are."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.urls import path

from example_project.urls import urlpatterns as of_the_example
from ltiaas_django.views import LaunchView

urlpatterns = [
    path("accounts/login/", LoginView.as_view(template_name="admin/login.html")),
    path("plain/launch/", LaunchView.as_view()),
    *of_the_example,
]
