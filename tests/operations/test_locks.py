"""A tool's long transaction holds back nobody else's score (must 13)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.models import Context, Launch, Membership, OutgoingScore
from ltiaas_django.operations import launching, passes, rosters, sso
from tests.lms import Lms, launch_path, night

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@contextmanager
def open_transaction(launch: Launch, given: int) -> Iterator[threading.Event]:
    """Another thread has recorded a score and does not come to its commit."""
    recorded, finish = threading.Event(), threading.Event()

    def tool() -> None:
        with transaction.atomic():
            grades.record_score(launch, given=given, maximum=10)
            recorded.set()
            finish.wait(30)
        connection.close()

    thread = threading.Thread(target=tool)
    thread.start()
    try:
        assert recorded.wait(10)
        yield finish
    finally:
        finish.set()
        thread.join()


def test_an_open_transaction_delays_no_other_score(postgresql: None, transactional_db: None, lms: Lms) -> None:
    held, other = lms.launch("2001"), lms.launch("2002")
    grades.record_score(held, given=1, maximum=10)
    grades.record_score(other, given=2, maximum=10)
    with open_transaction(held, given=9):
        began = timezone.now()
        night("grades")
        assert timezone.now() - began < timedelta(seconds=5)
        assert [key[0] for key in lms.grades()] == ["2002"]
    night("grades")
    assert {key[0]: int(value[0]) for key, value in lms.grades().items()} == {"2001": 9, "2002": 2}


def test_an_outcome_is_recorded_once_the_row_is_free(postgresql: None, transactional_db: None, lms: Lms) -> None:
    held = lms.launch("2001")
    grades.record_score(held, given=1, maximum=10)
    lms.sandbox.fail_next("/api/lineitems/", method="POST", delay=1.0)

    def send() -> None:
        night("grades")
        connection.close()

    sender = threading.Thread(target=send)
    sender.start()
    while not lms.posts():
        pass
    with open_transaction(held, given=9):
        sender.join(20)
        assert not sender.is_alive()
    row = OutgoingScore.objects.get()
    assert row.revision == 2
    assert row.state == "sending"
    OutgoingScore.objects.update(lease_until=timezone.now() - timedelta(seconds=1), attempted_at=None)
    night("grades")
    assert lms.grades()[("2001", "Quiz 1: Averages")][0] == 9


def test_a_new_column_waits_for_no_open_transaction(postgresql: None, transactional_db: None, lms: Lms) -> None:
    held, other = lms.launch("2001"), lms.launch("2002")
    grades.record_score(held, given=1, maximum=10)
    night("grades")
    course = lms.sandbox.courses["course-101"]
    [item] = course.line_items_of("quiz-1")
    course.gradebook.delete_line_item(item.number)
    grades.record_score(other, given=2, maximum=10)
    with open_transaction(held, given=9):
        began = timezone.now()
        night("grades")
        assert timezone.now() - began < timedelta(seconds=6)
        assert [key[0] for key in lms.grades()] == ["2002"]


def launches_at_once(*urls: str) -> list[int]:
    statuses = []

    def go(url: str) -> None:
        statuses.append(Client(raise_request_exception=False).get(url).status_code)
        connection.close()

    threads = [threading.Thread(target=go, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_two_first_launches_at_once_of_a_person_whom_the_roster_knew(
    postgresql: None, transactional_db: None, lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    lms.launch("2001")
    night("rosters")
    both = threading.Barrier(2)
    provision = sso.SsoPolicy.provision

    def slowly(self: sso.SsoPolicy, *args: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(2)
        return provision(self, *args)

    monkeypatch.setattr(sso.SsoPolicy, "provision", slowly)
    urls = [launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2002")) for _ in range(2)]
    assert launches_at_once(*urls) == [302, 302]


def test_a_launch_and_a_roster_do_not_lock_each_other_out(
    postgresql: None, transactional_db: None, lms: Lms, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = lms.launch("2001")
    Context.objects.update(launched_at=timezone.now() - timedelta(hours=3), roster_due_at=timezone.now())
    Membership.objects.update(status="Inactive", fingerprint="")
    in_launch, wrote = threading.Event(), threading.Event()
    update_membership, write_members, fetch = launching._update_membership, rosters._write_members, rosters._fetch
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    statuses: list[int] = []
    launch = threading.Thread(target=lambda: statuses.extend(launches_at_once(url)))

    def read_while_a_launch_begins(*args: Any) -> Any:
        members = fetch(*args)
        launch.start()
        in_launch.wait(10)
        return members

    def wait_for_the_roster(*args: Any) -> None:
        in_launch.set()
        wrote.wait(1)
        update_membership(*args)

    def write(*args: Any) -> None:
        write_members(*args)
        wrote.set()

    monkeypatch.setattr(rosters, "_fetch", read_while_a_launch_begins)
    monkeypatch.setattr(launching, "_update_membership", wait_for_the_roster)
    monkeypatch.setattr(rosters, "_write_members", write)
    passes.work(first.context.platform_id, ["rosters"], "tick")
    launch.join()
    assert statuses == [302]
