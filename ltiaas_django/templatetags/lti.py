"""Template tags that keep the launch in a page's links and forms: `{% load lti %}`."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ltiaas_django.models.launches import PARAMETER

register = template.Library()


@register.simple_tag(takes_context=True)
def lti_url(context: Context, view_name: str, *args: Any, **kwargs: Any) -> str:
    """`{% lti_url "quiz:show" pk=1 %}`: as `{% url %}`, with the current launch named in it."""
    launch = context["request"].lti
    url: str = launch.url(reverse(view_name, args=args, kwargs=kwargs))
    return url


@register.simple_tag(takes_context=True)
def lti_field(context: Context) -> SafeString:
    """`{% lti_field %}` inside a form: a hidden field that names the current launch; nothing outside one."""
    launch = context["request"].lti
    return format_html('<input type="hidden" name="{}" value="{}">', PARAMETER, launch.pk) if launch else SafeString("")
