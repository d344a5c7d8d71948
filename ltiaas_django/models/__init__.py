"""What we remember. Rows never touch the network; `operations` do."""

from ltiaas_django.models.grades import LineItem, OutgoingScore, ScoreAttempt
from ltiaas_django.models.keys import ServiceKey
from ltiaas_django.models.launches import AbsentLaunch, Launch
from ltiaas_django.models.places import Context, LtiUser, Membership, Platform, ResourceLink
from ltiaas_django.models.runs import Heartbeat, SyncRun

__all__ = [
    "AbsentLaunch",
    "Context",
    "Heartbeat",
    "Launch",
    "LineItem",
    "LtiUser",
    "Membership",
    "OutgoingScore",
    "Platform",
    "ResourceLink",
    "ScoreAttempt",
    "ServiceKey",
    "SyncRun",
]
