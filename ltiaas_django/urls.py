"""Mount with `path("lti/", include("ltiaas_django.urls"))`."""

from django.urls import path

from ltiaas_django import health, views

app_name = "ltiaas"

urlpatterns = [
    path("launch/", views.LaunchView.as_view(), name="launch"),
    path("new-tab/", views.NewTabView.as_view(), name="new_tab"),
    path("deep-linking/", views.DeepLinkingView.as_view(), name="deep_linking"),
    path("continue/", views.ContinueView.as_view(), name="continue"),
    path("link/", views.LinkView.as_view(), name="link"),
    path("link/confirm/", views.LinkConfirmView.as_view(), name="link_confirm"),
    path("register/", views.RegisterView.as_view(), name="register"),
    path("health/", health.health, name="health"),
]
