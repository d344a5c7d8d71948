"""What the database itself refuses, whatever code writes to it: every constraint of every model.

Rows are written by `bulk_create` and `update`, past `full_clean` and `save`.
"""

from __future__ import annotations

import dataclasses
import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from ltiaas_django.models import (
    Context,
    Launch,
    LineItem,
    LtiUser,
    Membership,
    OutgoingScore,
    Platform,
    ResourceLink,
    ServiceKey,
)

pytestmark = pytest.mark.django_db


@dataclasses.dataclass
class World:
    """One platform with a course, an activity, a person and a column."""

    platform: Platform
    other_platform: Platform
    context: Context
    other_context: Context
    link: ResourceLink
    other_link: ResourceLink
    person: LtiUser
    other_person: LtiUser
    line_item: LineItem
    other_line_item: LineItem
    user: Any


@pytest.fixture
def world(db: None) -> World:
    platform, other_platform = (Platform.objects.create(ltiaas_id=name) for name in ("one", "two"))
    context, other_context = (Context.objects.create(platform=platform, lti_id=name) for name in ("c1", "c2"))
    link, other_link = (ResourceLink.objects.create(context=context, lti_id=name) for name in ("r1", "r2"))
    person, other_person = (LtiUser.objects.create(platform=platform, lti_id=name) for name in ("7", "8"))
    line_item, other_line_item = (
        LineItem.objects.create(context=context, resource_link=one, tag="of the world") for one in (link, other_link)
    )
    user = get_user_model().objects.create(username="somebody")
    return World(
        platform, other_platform, context, other_context, link, other_link, person, other_person, line_item,
        other_line_item, user,
    )  # fmt: skip


def insert(*rows: models.Model) -> None:
    """Straight into the database; all or none."""
    with transaction.atomic():
        for row in rows:
            type(row)._default_manager.bulk_create([row])


def refused(*rows: models.Model) -> str:
    """What the database says when it refuses the last of these rows (the others must get in)."""
    with transaction.atomic():
        insert(*rows[:-1])
        with pytest.raises(IntegrityError) as caught:
            insert(rows[-1])
    return str(caught.value)


# --- unique keys ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Unique:
    """A unique key: a row that stands for itself once, and rows that differ from it in one part of the key."""

    model: type[models.Model]
    row: Callable[[World], dict[str, Any]]
    others: Callable[[World], list[dict[str, Any]]]
    beside: dict[str, Any]
    """What may differ besides, and changes nothing."""


UNIQUE = {
    "ltiaas_context_unique": Unique(
        Context,
        lambda w: {"platform": w.platform, "deployment_id": "d", "lti_id": "x"},
        lambda w: [{"platform": w.other_platform}, {"deployment_id": "e"}, {"lti_id": "y"}, {"deployment_id": ""}],
        {"title": "another"},
    ),
    "ltiaas_resource_link_unique": Unique(
        ResourceLink,
        lambda w: {"context": w.context, "lti_id": "x"},
        lambda w: [{"context": w.other_context}, {"lti_id": "y"}],
        {"title": "another"},
    ),
    "ltiaas_lti_user_unique": Unique(
        LtiUser,
        lambda w: {"platform": w.platform, "lti_id": "x"},
        lambda w: [{"platform": w.other_platform}, {"lti_id": "y"}],
        {"name": "Another"},
    ),
    "ltiaas_membership_unique": Unique(
        Membership,
        lambda w: {"context": w.context, "lti_user": w.person},
        lambda w: [{"context": w.other_context}, {"lti_user": w.other_person}],
        {"status": "Deleted", "roles": ["Learner"]},
    ),
    "ltiaas_line_item_unique": Unique(
        LineItem,
        lambda w: {"context": w.context, "resource_link": w.link, "resource_id": "", "tag": ""},
        lambda w: [{"resource_link": w.other_link}, {"resource_id": "x"}, {"tag": "x"}, {"resource_link": None}],
        {"label": "another", "lti_id": "https://lms.example/2"},
    ),
    "ltiaas_line_item_unique_no_link": Unique(
        LineItem,
        lambda w: {"context": w.context, "resource_link": None, "resource_id": "", "tag": ""},
        lambda w: [{"context": w.other_context}, {"resource_id": "x"}, {"tag": "x"}, {"resource_link": w.link}],
        {"label": "another", "lti_id": "https://lms.example/2"},
    ),
    "ltiaas_service_key_unique": Unique(
        ServiceKey,
        lambda w: {"context": w.context, "resource_link": w.link, "refreshed_at": timezone.now()},
        lambda w: [{"resource_link": w.other_link}, {"resource_link": None}],
        {"fingerprint": "another", "refused_at": timezone.now()},
    ),
    "ltiaas_service_key_unique_no_link": Unique(
        ServiceKey,
        lambda w: {"context": w.context, "resource_link": None, "refreshed_at": timezone.now()},
        lambda w: [{"context": w.other_context}, {"resource_link": w.link}],
        {"fingerprint": "another", "refused_at": timezone.now()},
    ),
    "ltiaas_score_unique": Unique(
        OutgoingScore,
        lambda w: {"line_item": w.line_item, "lti_user": w.person},
        lambda w: [{"line_item": w.other_line_item}, {"lti_user": w.other_person}],
        {"revision": 2, "state": "parked"},
    ),
    "ltiaas_id": Unique(
        Platform,
        lambda w: {"ltiaas_id": "x", "issuer": "https://lms.example"},
        lambda w: [{"ltiaas_id": "y"}, {"ltiaas_id": "X"}, {"ltiaas_id": None}, {"ltiaas_id": None}],
        {"issuer": "https://another.example", "client_id": "2"},
    ),
    "ltik_digest": Unique(
        Launch,
        lambda w: {
            "lti_user": w.person, "user": w.user, "ltik_digest": "x", "expires_at": timezone.now(),
        },
        lambda w: [{"ltik_digest": "y"}],
        {"type": "LtiDeepLinkingRequest"},
    ),
}  # fmt: skip


def rows_of(unique: Unique, world: World) -> tuple[models.Model, models.Model, list[models.Model]]:
    values = unique.row(world)
    others = [unique.model(**{**values, **changed}) for changed in unique.others(world)]
    return unique.model(**values), unique.model(**{**values, **unique.beside}), others


@pytest.mark.parametrize("name", UNIQUE)
def test_the_same_key_twice_is_refused(name: str, world: World) -> None:
    first, second, _others = rows_of(UNIQUE[name], world)
    said = refused(first, second)
    assert "unique" in said.lower()
    if connection.vendor == "postgresql":
        assert name in said


@pytest.mark.parametrize("name", UNIQUE)
def test_each_part_of_the_key_counts(name: str, world: World) -> None:
    first, _second, others = rows_of(UNIQUE[name], world)
    insert(first, *others)
    assert all(row.pk for row in (first, *others))


CASED: list[tuple[type[models.Model], str, Callable[[World], dict[str, Any]]]] = [
    (Context, "lti_id", lambda w: {"platform": w.platform}),
    (Context, "deployment_id", lambda w: {"platform": w.platform, "lti_id": "c"}),
    (ResourceLink, "lti_id", lambda w: {"context": w.context}),
    (LtiUser, "lti_id", lambda w: {"platform": w.platform}),
    (LineItem, "tag", lambda w: {"context": w.context, "resource_link": w.link}),
    (LineItem, "resource_id", lambda w: {"context": w.context, "resource_link": w.link}),
    (Platform, "ltiaas_id", lambda w: {}),
]


@pytest.mark.parametrize(("model", "field", "values"), CASED, ids=lambda part: getattr(part, "__name__", part))
def test_an_lms_id_is_kept_and_found_letter_by_letter(
    model: type[models.Model], field: str, values: Callable[[World], dict[str, Any]], world: World
) -> None:
    """LTI ids are case-sensitive (LTI Core 1.3, section 5.3): `aB` and `Ab` are two courses, as are all of these."""
    ids = ["aB", "Ab", "ab", "AB", "aB ", " aB", "äB", "a\u0308B", "ÄB", "a%", "a_", "0", "00"]
    insert(*(model(**values(world), **{field: text}) for text in ids))
    for text in ids:
        found = model._default_manager.filter(**values(world), **{field: text})
        assert [getattr(row, field) for row in found] == [text]


def test_a_blank_id_is_one_place_and_no_unknown_one(world: World) -> None:
    """The sentinel of launches outside any course: a null would let in a new row with every launch."""
    row = {"platform": world.platform, "deployment_id": "", "lti_id": ""}
    assert "unique" in refused(Context(**row), Context(**row)).lower()
    for name in ("deployment_id", "lti_id"):
        assert "null" in refused(Context(**{**row, name: None})).lower()


def test_no_part_of_a_unique_key_may_be_unknown() -> None:
    """But where a second, conditional key stands for the unknown; and a platform that LTIAAS does not know."""
    nullable = set()
    for model in apps.get_app_config("ltiaas_django").get_models():
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None:
                fields = [model._meta.get_field(name) for name in constraint.fields]
                nullable |= {f"{model.__name__}.{field.name}" for field in fields if field.null}
        nullable |= {
            f"{model.__name__}.{field.name}"
            for field in model._meta.concrete_fields
            if field.unique and field.null and not field.one_to_one
        }
    assert nullable == {"Platform.ltiaas_id"}


# --- checks -----------------------------------------------------------------------------------------------------------

NOW = timezone.now()
LEASED = {"lease_token": uuid.uuid4(), "lease_until": NOW + timedelta(hours=1), "sending_revision": 1}

Values = dict[str, Any]
# How a row is made, values that are let through, and values that are refused.
CHECKS: dict[str, tuple[Callable[[World, Values], models.Model], list[Values], list[Values]]] = {
    "ltiaas_line_item_maximum": (
        lambda w, more: LineItem(context=w.context, tag=str(uuid.uuid4()), **more),
        [{"score_maximum": None}, {"score_maximum": Decimal("0.00001")}],
        [{"score_maximum": Decimal(0)}, {"score_maximum": Decimal(-1)}],
    ),
    "ltiaas_score_amounts": (
        lambda w, more: OutgoingScore(line_item=w.line_item, lti_user=w.person, **more),
        [
            {"given": None, "maximum": None},
            {"given": None, "maximum": Decimal(10)},
            {"given": Decimal(0), "maximum": Decimal(10)},
            {"given": Decimal(12), "maximum": Decimal(10)},
        ],
        [
            {"given": Decimal(8), "maximum": Decimal(0)},
            {"given": Decimal(8), "maximum": Decimal(-1)},
            {"given": Decimal("-0.00001"), "maximum": Decimal(10)},
            {"given": Decimal(8), "maximum": None},
        ],
    ),
    "ltiaas_score_sent_is_newest": (
        lambda w, more: OutgoingScore(line_item=w.line_item, lti_user=w.person, **more),
        [
            {"state": "sent", "revision": 3, "sent_revision": 3},
            {"state": "due", "revision": 3, "sent_revision": 2},
            {"state": "due", "revision": 3, "sent_revision": None},
        ],
        [
            {"state": "sent", "revision": 3, "sent_revision": 2},
            {"state": "sent", "revision": 2, "sent_revision": 3},
            {"state": "sent", "revision": 1, "sent_revision": None},
        ],
    ),
    "ltiaas_score_sending_is_leased": (
        lambda w, more: OutgoingScore(line_item=w.line_item, lti_user=w.person, **more),
        [{"state": "sending", **LEASED}, {"state": "due"}, {"state": "unknown", "sending_revision": 1}],
        [{"state": "sending", **LEASED, name: None} for name in LEASED],
    ),
}  # fmt: skip

BAD = [(name, number) for name, (_make, _good, bad) in CHECKS.items() for number in range(len(bad))]
GOOD = [(name, number) for name, (_make, good, _bad) in CHECKS.items() for number in range(len(good))]


@pytest.mark.parametrize(("name", "number"), BAD)
def test_a_check_refuses(name: str, number: int, world: World) -> None:
    make, _good, bad = CHECKS[name]
    assert name in refused(make(world, bad[number]))


@pytest.mark.parametrize(("name", "number"), GOOD)
def test_a_check_lets_through(name: str, number: int, world: World) -> None:
    make, good, _bad = CHECKS[name]
    row = make(world, good[number])
    insert(row)
    assert row.pk


def test_a_check_holds_for_updates_too(world: World) -> None:
    """A worker's `update()` that forgets `sent_revision` must fail, rather than lose the newest grade."""
    insert(OutgoingScore(line_item=world.line_item, lti_user=world.person, revision=3, sent_revision=2))
    with pytest.raises(IntegrityError, match="ltiaas_score_sent_is_newest"), transaction.atomic():
        OutgoingScore.objects.update(state="sent")
    assert OutgoingScore.objects.get().state == "due"


# --- all of them ------------------------------------------------------------------------------------------------------


def test_every_constraint_of_every_model_is_tried_here() -> None:
    found = set()
    for model in apps.get_app_config("ltiaas_django").get_models():
        found |= {constraint.name for constraint in model._meta.constraints}
        found |= {field.name for field in model._meta.concrete_fields if field.unique and not field.primary_key}
    assert found == {*UNIQUE, *CHECKS}


def test_the_database_has_every_constraint_that_the_models_name() -> None:
    for model in apps.get_app_config("ltiaas_django").get_models():
        with connection.cursor() as cursor:
            there = connection.introspection.get_constraints(cursor, model._meta.db_table)
        assert {constraint.name for constraint in model._meta.constraints} <= set(there), model


def test_no_migration_is_missing() -> None:
    """It would end in SystemExit, and say which."""
    out = io.StringIO()
    call_command("makemigrations", "ltiaas_django", check=True, dry_run=True, stdout=out)
    assert out.getvalue() == "No changes detected in app 'ltiaas_django'\n"
