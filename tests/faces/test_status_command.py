"""`ltiaas_status`: what it says, to people and to scripts, and what it ends with."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from ltiaas_django.models import Platform
from ltiaas_django.operations import status
from ltiaas_django.testing import factories

pytestmark = pytest.mark.django_db


def say(*arguments: str) -> str:
    """What the command writes to stdout, where it ends with 0."""
    out = io.StringIO()
    call_command("ltiaas_status", *arguments, stdout=out)
    return out.getvalue()


def fail(*arguments: str) -> str:
    """What the command writes to stdout, where it ends with 1."""
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("ltiaas_status", *arguments, stdout=out)
    assert caught.value.code == 1
    return out.getvalue()


def tomorrow() -> Any:
    return timezone.now() + timedelta(days=1)


def test_on_a_new_site_all_is_well() -> None:
    lines = say().splitlines()
    assert lines[0] == "ok"
    assert lines[1:] == [
        "Scores: nothing.", "Rosters: nothing.", "Gradebooks: nothing.", "Keys: nothing.", "Stopped: nothing.",
    ]  # fmt: skip


def test_each_thing_has_its_line() -> None:
    platform = factories.PlatformFactory(name="North", paused_until=tomorrow(), pause_reason="The LMS said 429")
    context = factories.ContextFactory(platform=platform, title="Botany", roster_failures=3, roster_error="cut off")
    item = factories.LineItemFactory(context=context)
    factories.OutgoingScoreFactory(line_item=item, state="waiting")
    factories.OutgoingScoreFactory(line_item=item, state="parked")
    factories.OutgoingScoreFactory(line_item=item, due_at=timezone.now())
    factories.OutgoingScoreFactory(line_item=item, sent=True, drift="overridden")
    factories.ServiceKeyFactory(context=context, refused_at=timezone.now())
    factories.SyncRunFactory(platform=platform, outcome="partial", counts={"sent": 3, "failed": 1}, error="no luck")
    text = say()
    assert text.splitlines()[0] == (
        "attention: parked scores, scores waiting for a launch, failing courses, paused platforms"
    )
    for part in (
        "1 due now (since ", "1 waiting for a launch (of 1 courses), 1 parked", "The oldest score on its way was",
        "Rosters: 1 failing.", "Gradebooks: 1 scores changed in the LMS.", "Keys: 1 refused.",
    ):  # fmt: skip
        assert part in text, part
    rows = [line.split("  ") for line in text.splitlines()]
    assert any(row[0] == f"{platform.pk} North" and row[-1].strip() == "The LMS said 429" for row in rows)
    assert any(row[0] == f"{context.pk} Botany" and row[-1].strip() == "cut off" for row in rows)
    assert any(row[0] == "grades" and row[-1].strip() == "no luck" and "3 sent, 1 failed" in str(row) for row in rows)


def test_failing_ends_with_one_and_says_which_run() -> None:
    factories.SyncRunFactory(platform__name="North", outcome="failed", counts={"failed": 30}, error="The LMS said 500")
    text = fail()
    assert text.startswith("failing: fruitless runs")
    assert text.count("The LMS said 500") == 2, "as the run in which nothing worked, and as the last of its kind"
    assert json.loads(fail("--json"))["status"] == "failing"


def test_the_stop_switch_is_said_and_is_no_failure(settings: Any) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "STOPPED": True}
    factories.PlatformFactory(is_active=False)
    text = say()
    assert text.splitlines()[0] == "stopped"
    assert 'Everything is stopped: LTIAAS["STOPPED"] is on.' in text
    assert "Stopped: 1 platforms." in text


def test_scripts_get_everything_as_one_object() -> None:
    factories.ContextFactory(roster_failures=3, roster_error="cut off", title="Botany")
    said = json.loads(say("--json"))
    assert said["status"] == "attention"
    assert said["rosters"]["failing"] == 1
    assert [one["course"] for one in said["courses"]] == ["Botany"]
    assert said.keys() >= status.Status.__dataclass_fields__.keys()


def test_one_platform() -> None:
    score = factories.OutgoingScoreFactory(state="parked")
    other = factories.OutgoingScoreFactory(state="parked")
    factories.OutgoingScoreFactory(state="parked", line_item=other.line_item)
    assert "Scores: 1 parked." in say("--platform", str(score.line_item.context.platform_id))


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(CommandError, match="no platform 77") as caught:
        say("--platform", "77")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="invalid int"):
        say("--platform", "x")


def test_an_lms_steers_no_terminal() -> None:
    Platform.objects.create(name="Uni\x1b[31m", ltiaas_id="1", paused_until=tomorrow(), pause_reason="a\rb")
    text = say()
    assert "Uni�[31m" in text
    assert not {"\x1b", "\r"} & set(text)
