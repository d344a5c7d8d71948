"""What comes over the wire cannot be changed, mistaken for something else, or shown with its key."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from ltiaas_django import data
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress, LaunchType, MembershipStatus

CLASSES = [kind for _name, kind in inspect.getmembers(data, dataclasses.is_dataclass)]
SECRET = "s3cr3t-Value_0123456789"
TIME = datetime(2026, 11, 21, tzinfo=UTC)


def id_token() -> data.IdToken:
    return data.IdToken(
        user=data.User(lti_id="7"),
        platform=data.Platform(ltiaas_id="p"),
        launch=data.Launch(type=LaunchType.RESOURCE_LINK, custom={"level": "2"}),
        services=data.Services(service_key=SECRET),
        raw={"services": {"serviceKey": SECRET}},
    )


SAMPLES: list[Any] = [
    data.Platform(ltiaas_id="p"),
    data.User(lti_id="7"),
    data.Context(lti_id="c"),
    data.ResourceLink(lti_id="r"),
    data.Launch(type=LaunchType.RESOURCE_LINK),
    data.Services(),
    id_token(),
    data.Member(user_id="7"),
    data.LineItem(label="Quiz", score_maximum=Decimal(10)),
    data.Score(user_id="7", given=Decimal(8), maximum=Decimal(10), timestamp=TIME),
    data.Result(user_id="7"),
    data.DeepLinkingMessage(message="eyJ", target="https://lms.example/"),
    data.PlatformRegistration(ltiaas_id="p"),
    data.RegistrationMessage(type="LtiDeepLinkingRequest"),
    data.RegistrationRequest(),
    data.ApprovedRegistration(ltiaas_id="p", html="<script></script>"),
]


def test_every_class_has_a_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(CLASSES)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_none_can_be_changed(sample: Any) -> None:
    for field in dataclasses.fields(sample):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(sample, field.name, getattr(sample, field.name))
    # A misspelled field must not go unnoticed. Python 3.11's frozen slotted classes say it by a TypeError.
    with pytest.raises((AttributeError, TypeError)):
        sample.no_such_field = 1


@pytest.mark.parametrize("kind", CLASSES)
def test_fields_are_given_by_name(kind: Any) -> None:
    """Two texts side by side are easily swapped."""
    with pytest.raises(TypeError):
        kind(*["x"] * len(dataclasses.fields(kind)))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_each_can_be_copied_and_sent_to_another_process(sample: Any) -> None:
    assert copy.deepcopy(sample) == sample
    assert pickle.loads(pickle.dumps(sample)) == sample  # noqa: S301
    assert dataclasses.replace(sample) == sample


def test_no_repr_shows_the_service_key() -> None:
    assert SECRET not in repr(id_token())
    assert SECRET not in f"{id_token().services}"


def test_the_raw_answer_makes_no_difference_to_equality() -> None:
    assert dataclasses.replace(id_token(), raw={}) == id_token()


def test_mappings_are_not_shared_between_two() -> None:
    first, second = (data.Launch(type=LaunchType.RESOURCE_LINK) for _ in range(2))
    assert first.custom is not second.custom


def test_defaults_say_what_the_specification_says() -> None:
    """A member without a status is active (NRPS 2.0, section 2.3); a score is a finished one unless said otherwise."""
    assert data.Member(user_id="7").status is MembershipStatus.ACTIVE
    score = data.Score(user_id="7", given=None, maximum=None, timestamp=TIME)
    assert (score.activity_progress, score.grading_progress) == (
        ActivityProgress.COMPLETED,
        GradingProgress.FULLY_GRADED,
    )


def test_a_comment_that_is_unknown_is_not_a_blank_one() -> None:
    assert data.Result(user_id="7").comment is None
    assert data.Result(user_id="7", comment="") != data.Result(user_id="7")


def test_no_score_and_a_score_of_zero_are_two_things() -> None:
    assert data.Result(user_id="7", score=Decimal(0)) != data.Result(user_id="7")
