"""URLs of the quiz. Which quiz is meant is said by the launch that each URL names (`?lti=…`)."""

from django.urls import path

from example_project.quiz import views

app_name = "quiz"
urlpatterns = [
    path("", views.home, name="home"),
    path("quiz/", views.show, name="show"),
    path("quiz/result/", views.result, name="result"),
    path("quiz/teacher/", views.teacher, name="teacher"),
    path("quiz/preview/", views.preview, name="preview"),
]
