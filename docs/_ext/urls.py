"""The URLs of the site that the documentation speaks of."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("lti/", include("ltiaas_django.urls"))]
