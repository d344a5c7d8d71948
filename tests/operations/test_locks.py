"""A tool's long transaction holds back nobody else's score (must 13)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.models import Launch, OutgoingScore
from tests.lms import Lms, night

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
    OutgoingScore.objects.update(due_at=timezone.now())
    with open_transaction(held, given=9):
        began = timezone.now()
        night("grades")
        assert timezone.now() - began < timedelta(seconds=5)
        assert [key[0] for key in lms.grades()] == ["2002"]
    OutgoingScore.objects.filter(state="due").update(due_at=timezone.now())
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
