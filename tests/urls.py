"""The site of the test suite: admin, the package and the example's quiz."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("lti/", include("ltiaas_django.urls")),
    path("", include("example_project.quiz.urls")),
]
