"""What the night, the tick and housekeeping set going; what survives a lost message."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import Retry
from django.contrib.auth import get_user_model
from django.utils import timezone

from ltiaas_django import exceptions, grades, sealing, tasks
from ltiaas_django.models import Launch, OutgoingScore, Platform, ScoreAttempt, ServiceKey, SyncRun
from ltiaas_django.operations import leases, passes, waking
from tests.lms import Lms, night


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str], str]]:
    """What workers are told; nobody works."""
    hints: list[tuple[int, list[str], str]] = []

    def send_task(name: str, args: list[Any], **_options: Any) -> None:
        assert name == waking.WORK_TASK
        hints.append(tuple(args))  # type: ignore[arg-type]

    monkeypatch.setattr(waking.current_app, "send_task", send_task, raising=False)
    return hints


def test_recorded_scores_wait_for_the_night_and_the_tick_leaves_them(lms: Lms, told: list[Any]) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    told.clear()
    passes_before = list(SyncRun.objects.all())
    tasks.tick()
    assert not [hint for hint in told if "grades" in hint[1] and OutgoingScore.objects.due().exists()]
    assert list(SyncRun.objects.all()) == passes_before
    tasks.sync_grades()
    assert told[-1] == (Platform.objects.get().pk, ["grades"], "nightly")


def test_any_lost_message_is_made_up_for_by_the_next_tick(lms: Lms, told: list[Any]) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    tasks.sync_grades()
    tasks.sync_rosters()
    told.clear()  # the broker lost them
    tasks.tick()
    [(platform_id, kinds, trigger)] = told
    tasks.work(platform_id, kinds, trigger)
    assert lms.posts() == 1
    assert SyncRun.objects.filter(kind="rosters", outcome="ok").exists()
    told.clear()
    tasks.tick()
    assert told == []


def test_a_broker_that_is_down_fails_neither_launch_nor_recording(
    lms: Lms, settings: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def send_task(*_args: Any, **_options: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(waking.current_app, "send_task", send_task, raising=False)
    settings.LTIAAS = {**settings.LTIAAS, "SEND": "on_commit"}
    with django_capture_on_commit_callbacks(execute=True):
        row = grades.record_score(lms.launch("2001"), given=5, maximum=10)
    assert row.due_at is not None


def test_on_commit_a_worker_is_told_at_once_and_not_before(
    lms: Lms, settings: Any, told: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    settings.LTIAAS = {**settings.LTIAAS, "SEND": "on_commit", "ROSTER_MAX_AGE": None}
    launch = lms.launch("2001")
    with django_capture_on_commit_callbacks(execute=True):
        grades.record_score(launch, given=5, maximum=10)
        assert told == []
    assert told == [(launch.context.platform_id, ["grades"], "commit")]


def source(since: datetime | None) -> Iterator[grades.ScoreRecord]:
    """A tool that keeps grades in its own tables."""
    ASKED.append(since)
    launch = Launch.objects.select_related("resource_link__context", "lti_user").first()
    assert launch is not None
    assert launch.resource_link is not None
    yield grades.ScoreRecord(resource_link=launch.resource_link, user=launch.lti_user, given=7, maximum=10)


def broken_source(since: datetime | None) -> Iterator[grades.ScoreRecord]:
    raise RuntimeError("the tool's own mistake")


ASKED: list[datetime | None] = []


def test_a_score_source_is_asked_every_night_for_what_has_changed_since(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": f"{__name__}.source"}
    ASKED.clear()
    night("grades")
    began = timezone.now()
    night("grades")
    assert ASKED[0] is None
    assert ASKED[1] is not None
    assert ASKED[1] < began - timedelta(minutes=14)  # a row may be stamped before, and committed after
    assert lms.posts() == 1
    assert OutgoingScore.objects.get().given == 7


def test_a_score_source_that_fails_is_asked_for_the_same_time_again(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": f"{__name__}.broken_source"}
    with pytest.raises(RuntimeError):
        passes.release_night("grades")
    assert SyncRun.objects.get().outcome == "failed"
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": f"{__name__}.source"}
    ASKED.clear()
    night("grades")
    assert ASKED == [None]


def test_over_launches_are_purged_by_the_tick(lms: Lms, told: list[Any]) -> None:
    over, live = lms.launch("2001"), lms.launch("2002")
    recent = timezone.now() - timedelta(minutes=1)
    Launch.objects.filter(pk=over.pk).update(expires_at=recent)
    tasks.tick()
    assert Launch.objects.count() == 2  # as long as LTIAAS honours the ltik, its digest tells a replay
    Launch.objects.filter(pk=over.pk).update(created_at=recent - timedelta(hours=25))
    tasks.tick()
    assert list(Launch.objects.all()) == [live]


def test_retention_drops_old_runs_and_attempts_only(lms: Lms, settings: Any) -> None:
    row = grades.record_score(lms.launch("2001"), given=5, maximum=10)
    long_ago = timezone.now() - timedelta(days=91)
    for at in (long_ago, timezone.now()):
        ScoreAttempt.objects.create(score=row, revision=1, outcome="failed", at=at)
        SyncRun.objects.create(kind="grades", trigger="tick", started_at=at)
    tasks.housekeeping()
    assert ScoreAttempt.objects.count() == SyncRun.objects.count() == 1
    assert OutgoingScore.objects.count() == 1


def test_the_nightly_pass_reseals_with_the_newest_key(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    secret = ServiceKey.objects.get().reveal()
    old = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-secret-key-" * 4, [old]
    assert passes.housekeeping()["resealed"] == 1
    assert passes.housekeeping()["resealed"] == 0
    settings.SECRET_KEY_FALLBACKS = []
    key = ServiceKey.objects.get()
    assert key.reveal() == secret
    assert key.sealed_with == sealing.newest_key()


def test_what_cannot_be_read_any_more_is_marked_and_waits_for_a_launch(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.SECRET_KEY = "a-new-secret-key-" * 4
    assert passes.housekeeping()["unreadable"] == 1
    key = ServiceKey.objects.get()
    assert not key.is_healthy
    assert "sealing keys" in key.last_error
    with pytest.raises(exceptions.SealError):
        key.reveal()
    lms.launch("2001")
    assert ServiceKey.objects.get().is_healthy


def test_a_pass_shows_as_running_and_says_when_it_was_interrupted(lms: Lms, monkeypatch: pytest.MonkeyPatch) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)

    def die(*_args: Any) -> None:
        assert SyncRun.objects.get().outcome == "running"
        raise KeyboardInterrupt

    monkeypatch.setattr(passes.delivery, "send_due", die)
    with pytest.raises(KeyboardInterrupt):
        night("grades")
    run = SyncRun.objects.get()
    assert run.outcome == "stopped"
    assert run.finished_at is not None


def test_task_arguments_are_ids_and_words(lms: Lms, told: list[Any]) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    tasks.sync_grades()
    tasks.sync_rosters()
    for platform_id, kinds, trigger in told:
        assert isinstance(platform_id, int)
        assert set(kinds) <= {"grades", "rosters"}
        assert trigger in SyncRun.Trigger.values


def test_a_worker_that_finds_the_platform_taken_comes_back_a_little_later(lms: Lms, told: list[Any]) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    passes.release_night("grades")
    platform_id = Platform.objects.get().pk
    with leases.own(platform_id), pytest.raises(Retry) as retried:
        tasks.work.apply(args=[platform_id, ["grades"], "nightly"], throw=True)
    assert retried.value.when == 5
    tasks.work(platform_id, ["grades"], "nightly")
    assert lms.posts() == 1


def partly_bad_source(since: datetime | None) -> Iterator[grades.ScoreRecord]:
    """One good record between two that cannot be used."""
    [good] = source(since)
    stranger = get_user_model().objects.create_user(f"stranger-{timezone.now().timestamp()}")
    yield dataclasses.replace(good, user=stranger)
    yield good
    yield dataclasses.replace(good, maximum=0)


def test_one_bad_record_of_the_source_holds_back_no_other(lms: Lms, settings: Any) -> None:
    lms.launch("2001")
    settings.LTIAAS = {**settings.LTIAAS, "SCORE_SOURCE": f"{__name__}.partly_bad_source"}
    passes.release_night("grades")
    assert OutgoingScore.objects.get().given == 7
    run = SyncRun.objects.get()
    assert (run.outcome, run.counts) == ("partial", {"recorded": 1, "failed": 2})
    assert "left out" in run.error


def test_a_wrong_api_key_leaves_the_rosters_due(lms: Lms, settings: Any) -> None:
    context = lms.launch("2001").context
    settings.LTIAAS = {**settings.LTIAAS, "API_KEY": "mistyped"}
    passes.release_night("rosters")
    with pytest.raises(exceptions.ConfigurationError):
        passes.work(context.platform_id, ["rosters"], "nightly")
    context.refresh_from_db()
    assert context.roster_due_at is not None
    assert context.roster_error == ""


def test_hints_to_a_busy_worker_do_not_end_in_an_error(lms: Lms) -> None:
    grades.record_score(lms.launch("2001"), given=5, maximum=10)
    with leases.own(Platform.objects.get().pk):
        last = tasks.work.apply(args=[Platform.objects.get().pk, ["grades"], "commit"], retries=10)
    assert last.state == "SUCCESS"
