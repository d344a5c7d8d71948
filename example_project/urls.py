"""URLs of the example project."""

from django.contrib import admin
from django.urls import include, path

from example_project.quiz.views import QuizLaunch

urlpatterns = [
    path("lti/launch/", QuizLaunch.as_view()),  # before the package's own, which it takes the place of
    path("lti/", include("ltiaas_django.urls")),
    path("admin/", admin.site.urls),
    path("", include("example_project.quiz.urls")),
]
