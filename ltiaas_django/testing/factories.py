"""Rows for tests in one line, one factory_boy factory for each model.

    key = factories.ServiceKeyFactory(secret="made-up", offers_roster=False)
    score = factories.OutgoingScoreFactory(line_item__context=key.context, given=8)

What belongs together is together: people come from the platform of their course, an activity from its context.
"""

# mypy: disallow-untyped-calls=False
# factory_boy is typed only in part.

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import factory
from django.conf import settings
from django.db import models as django_models
from django.utils import timezone
from factory.django import DjangoModelFactory

from ltiaas_django import models, sealing, vocabulary

_LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"


class UserFactory(DjangoModelFactory[django_models.Model]):
    """A Django user; `username` suits Django's own user model, subclass this for another."""

    class Meta:
        model = settings.AUTH_USER_MODEL

    username = factory.Sequence(lambda n: f"user-{n}")


class PlatformFactory(DjangoModelFactory[models.Platform]):
    """An LMS."""

    class Meta:
        model = models.Platform

    ltiaas_id = factory.Sequence(lambda n: f"platform-{n}")
    name = factory.Sequence(lambda n: f"University {n}")
    issuer = factory.Sequence(lambda n: f"https://lms-{n}.example")
    client_id = factory.Sequence(lambda n: f"client-{n}")
    product_family = "canvas"


class ContextFactory(DjangoModelFactory[models.Context]):
    """A course."""

    class Meta:
        model = models.Context

    platform = factory.SubFactory(PlatformFactory)
    deployment_id = "1"
    lti_id = factory.Sequence(lambda n: f"course-{n}")
    label = factory.Sequence(lambda n: f"C{n}")
    title = factory.Sequence(lambda n: f"Course {n}")
    launched_at = factory.LazyFunction(timezone.now)


class ResourceLinkFactory(DjangoModelFactory[models.ResourceLink]):
    """An activity."""

    class Meta:
        model = models.ResourceLink

    context = factory.SubFactory(ContextFactory)
    lti_id = factory.Sequence(lambda n: f"link-{n}")
    title = factory.Sequence(lambda n: f"Quiz {n}")


class LtiUserFactory(DjangoModelFactory[models.LtiUser]):
    """A person, without a Django user unless one is given."""

    class Meta:
        model = models.LtiUser

    platform = factory.SubFactory(PlatformFactory)
    lti_id = factory.Sequence(lambda n: f"person-{n}")
    given_name = "Kim"
    family_name = factory.Sequence(lambda n: f"Example {n}")
    name = factory.LazyAttribute(lambda person: f"{person.given_name} {person.family_name}")
    email = factory.LazyAttribute(lambda person: f"{person.lti_id}@school.example")


class MembershipFactory(DjangoModelFactory[models.Membership]):
    """A learner of a course; other `roles` set the two booleans by themselves."""

    class Meta:
        model = models.Membership

    context = factory.SubFactory(ContextFactory)
    lti_user = factory.SubFactory(LtiUserFactory, platform=factory.SelfAttribute("..context.platform"))
    roles = factory.LazyFunction(lambda: [_LEARNER])
    is_learner = factory.LazyAttribute(lambda membership: vocabulary.is_learner(membership.roles))
    is_instructor = factory.LazyAttribute(lambda membership: vocabulary.is_instructor(membership.roles))


class LaunchFactory(DjangoModelFactory[models.Launch]):
    """A live, claimed launch of an activity, by a person with a Django user. `ltik` names the ltik it came with."""

    class Meta:
        model = models.Launch

    class Params:
        ltik = factory.Sequence(lambda n: f"made-up-ltik-{n}")

    context = factory.SubFactory(ContextFactory)
    resource_link = factory.SubFactory(ResourceLinkFactory, context=factory.SelfAttribute("..context"))
    user = factory.SubFactory(UserFactory)
    lti_user = factory.SubFactory(
        LtiUserFactory,
        platform=factory.SelfAttribute("..context.platform"),
        user=factory.SelfAttribute("..user"),
    )
    type = models.Launch.Type.RESOURCE_LINK
    roles = factory.LazyFunction(lambda: [_LEARNER])
    ltik_digest = factory.LazyAttribute(lambda launch: sealing.digest(launch.ltik))
    claimed_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=24))


class ServiceKeyFactory(DjangoModelFactory[models.ServiceKey]):
    """A healthy key of an activity, offering everything. `secret` names the key that is sealed in it."""

    class Meta:
        model = models.ServiceKey

    class Params:
        secret = factory.Sequence(lambda n: f"made-up-service-key-{n}")

    context = factory.SubFactory(ContextFactory)
    resource_link = factory.SubFactory(ResourceLinkFactory, context=factory.SelfAttribute("..context"))
    sealed = factory.LazyAttribute(lambda key: sealing.seal(key.secret))
    sealed_with = factory.LazyFunction(sealing.newest_key)
    fingerprint = factory.LazyAttribute(lambda key: sealing.fingerprint(key.secret))
    offers_roster = True
    offers_grades = True
    refreshed_at = factory.LazyFunction(timezone.now)


class LineItemFactory(DjangoModelFactory[models.LineItem]):
    """An activity's own column, known to the LMS."""

    class Meta:
        model = models.LineItem

    context = factory.SubFactory(ContextFactory)
    resource_link = factory.SubFactory(ResourceLinkFactory, context=factory.SelfAttribute("..context"))
    lti_id = factory.Sequence(lambda n: f"https://lms.example/line-items/{n}")
    label = factory.Sequence(lambda n: f"Quiz column {n}")
    score_maximum = Decimal(10)


class OutgoingScoreFactory(DjangoModelFactory[models.OutgoingScore]):
    """A score that waits for the night. `sent=True` makes it one that the LMS has accepted."""

    class Meta:
        model = models.OutgoingScore

    class Params:
        sent = factory.Trait(
            state=models.OutgoingScore.State.SENT,
            sent_revision=factory.SelfAttribute("revision"),
            sent_at=factory.LazyFunction(timezone.now),
        )

    line_item = factory.SubFactory(LineItemFactory)
    lti_user = factory.SubFactory(LtiUserFactory, platform=factory.SelfAttribute("..line_item.context.platform"))
    given = Decimal(8)
    maximum = Decimal(10)
    revision = 1


class ScoreAttemptFactory(DjangoModelFactory[models.ScoreAttempt]):
    """A send that failed."""

    class Meta:
        model = models.ScoreAttempt

    score = factory.SubFactory(OutgoingScoreFactory)
    revision = factory.SelfAttribute("score.revision")
    outcome = models.ScoreAttempt.Outcome.FAILED
    error_code = "server_error"
    error = "POST score: The LMS said 503 try again later"


class SyncRunFactory(DjangoModelFactory[models.SyncRun]):
    """A nightly pass over a platform's grades that went well."""

    class Meta:
        model = models.SyncRun

    kind = models.SyncRun.Kind.GRADES
    trigger = models.SyncRun.Trigger.NIGHTLY
    platform = factory.SubFactory(PlatformFactory)
    finished_at = factory.LazyFunction(timezone.now)
    counts: Any = factory.LazyFunction(lambda: {"sent": 3})
    outcome = models.SyncRun.Outcome.OK


class HeartbeatFactory(DjangoModelFactory[models.Heartbeat]):
    """Celery's tick, a moment ago."""

    class Meta:
        model = models.Heartbeat
        django_get_or_create = ("name",)

    name = models.Heartbeat.TICK
    beat_at = factory.LazyFunction(timezone.now)
