"""Every model has a factory, and what it makes can be stored."""

from __future__ import annotations

import pytest
from django.apps import apps
from factory.django import DjangoModelFactory

from ltiaas_django.testing import factories

FACTORIES = {
    one._meta.model: one
    for one in vars(factories).values()
    if isinstance(one, type) and issubclass(one, DjangoModelFactory) and one is not DjangoModelFactory
}


@pytest.mark.parametrize("model", list(apps.get_app_config("ltiaas_django").get_models()))
def test_every_model_has_a_factory_whose_rows_are_valid(model, db):
    assert model in FACTORIES, f"ltiaas_django/testing/factories.py has no factory of {model.__name__}"
    row = FACTORIES[model]()
    assert model.objects.get(pk=row.pk) == row
    row.validate_constraints()
