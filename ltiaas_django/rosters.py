"""Rosters, for a tool's own code: `from ltiaas_django import rosters`."""

from ltiaas_django.operations.passes import request_roster

__all__ = ["request_roster"]
