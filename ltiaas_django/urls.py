"""Mount with `path("lti/", include("ltiaas_django.urls"))`."""

from django.contrib.auth.decorators import login_not_required
from django.urls import path

from ltiaas_django import health, views

app_name = "ltiaas"

urlpatterns = [
    path("launch/", views.LaunchView.as_view(), name="launch"),
    # Each says itself who may see it, on sites too where a middleware asks everybody to sign in first.
    path("new-tab/", login_not_required(views.NewTabView.as_view()), name="new_tab"),
    path("deep-linking/", login_not_required(views.DeepLinkingView.as_view()), name="deep_linking"),
    path("continue/", login_not_required(views.ContinueView.as_view()), name="continue"),
    path("link/", login_not_required(views.LinkView.as_view()), name="link"),
    path("link/confirm/", login_not_required(views.LinkConfirmView.as_view()), name="link_confirm"),
    path("register/", login_not_required(views.RegisterView.as_view()), name="register"),
    path("health/", login_not_required(health.health), name="health"),
]
