"""Settings are read when they are used, and one that is missing is named."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from ltiaas_django import conf, exceptions


def test_a_setting_is_read_at_each_use() -> None:
    with override_settings(LTIAAS={"LEASE": 7}):
        assert conf.settings.LEASE == 7
        with override_settings(LTIAAS={"LEASE": 8}):
            assert conf.settings.LEASE == 8
        assert conf.settings.LEASE == 7


def test_what_is_not_given_has_its_default(settings: Any) -> None:
    settings.LTIAAS = {"URL": "https://school.ltiaas.com", "SEND": "on_commit"}
    assert conf.settings.SEND == "on_commit"
    assert conf.settings.MAX_ATTEMPTS == 8
    assert conf.settings.SEALING_KEYS == ()
    del settings.LTIAAS
    assert conf.settings.SEND == "nightly"


def test_none_and_false_that_are_given_are_no_defaults(settings: Any) -> None:
    settings.LTIAAS = {"ROSTER_MAX_AGE": None, "ROSTER_LEAVE_SHARE": 0}
    assert conf.settings.ROSTER_MAX_AGE is None
    assert conf.settings.ROSTER_LEAVE_SHARE == 0


@pytest.mark.parametrize("name", ["URL", "API_KEY"])
def test_a_required_setting_that_is_missing_is_named_with_what_to_write(name: str, settings: Any) -> None:
    settings.LTIAAS = {}
    with pytest.raises(exceptions.ConfigurationError) as caught:
        getattr(conf.settings, name)
    assert str(caught.value) == f'LTIAAS["{name}"] is missing. Write LTIAAS = {{"{name}": "...", ...}}.'
    assert isinstance(caught.value, ImproperlyConfigured)


def test_only_the_settings_without_a_default_are_required() -> None:
    without = {name for name in conf.Settings.__annotations__ if name not in vars(conf.Settings)}
    assert without == set(conf.REQUIRED)


@pytest.mark.parametrize("value", [None, [], "https://school.ltiaas.com"])
def test_a_value_that_is_no_dict_is_said_so(value: Any, settings: Any) -> None:
    settings.LTIAAS = value
    with pytest.raises(exceptions.ConfigurationError, match="must be a dict"):
        _ = conf.settings.LEASE


def test_a_name_that_is_no_setting_is_a_mistake_of_ours(settings: Any) -> None:
    settings.LTIAAS = {}
    with pytest.raises(AttributeError):
        _ = conf.settings.NO_SUCH_SETTING  # type: ignore[attr-defined]
