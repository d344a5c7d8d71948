"""Mount with `path("lti/", include("ltiaas_django.urls"))`."""

from django.urls import path

from ltiaas_django import health, views

app_name = "ltiaas"

urlpatterns = [
    path("launch/", views.LaunchView.as_view(), name="launch"),
    path("continue/", views.ContinueView.as_view(), name="continue"),
    path("health/", health.health, name="health"),
]
