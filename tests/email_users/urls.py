"""Nothing but the launch."""

from django.urls import include, path

urlpatterns = [path("lti/", include("ltiaas_django.urls"))]
