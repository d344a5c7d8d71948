"""The views: mount them with `ltiaas_django.urls`, and subclass `LaunchView`."""

from ltiaas_django.views.deep_linking import DeepLinkingView
from ltiaas_django.views.launch import LaunchView
from ltiaas_django.views.linking import LinkConfirmView, LinkView
from ltiaas_django.views.new_tab import NewTabView
from ltiaas_django.views.registration import RegisterView
from ltiaas_django.views.replacing import ContinueView

__all__ = ["ContinueView", "DeepLinkingView", "LaunchView", "LinkConfirmView", "LinkView", "NewTabView", "RegisterView"]
