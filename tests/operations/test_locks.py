"""A tool's long transaction holds back nobody else's score (must 13)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from ltiaas_django import grades
from ltiaas_django.models import Context, Launch, LtiUser, Membership, OutgoingScore, ResourceLink, roster_rows
from ltiaas_django.operations import grades as outbox
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
    update_membership, write_entries, fetch = launching._update_membership, roster_rows.write_entries, rosters._fetch
    url = launch_path(lms.sandbox.launch_url("course-101", "quiz-1", "2001"))
    statuses: list[int] = []
    launch = threading.Thread(target=lambda: statuses.extend(launches_at_once(url)))

    def read_while_a_launch_begins(*args: Any) -> Any:
        page = fetch(*args)
        if page is None:
            launch.start()
            in_launch.wait(10)
        return page

    def wait_for_the_roster(*args: Any) -> None:
        in_launch.set()
        wrote.wait(1)
        update_membership(*args)

    def write(*args: Any) -> Any:
        rows = write_entries(*args)
        wrote.set()
        return rows

    monkeypatch.setattr(rosters, "_fetch", read_while_a_launch_begins)
    monkeypatch.setattr(launching, "_update_membership", wait_for_the_roster)
    monkeypatch.setattr(roster_rows, "write_entries", write)
    passes.work(first.context.platform_id, ["rosters"], "tick")
    launch.join()
    assert statuses == [302]


# --- a tool that holds rows of several line items for a minute, and locks them in an order of its own -----------------

LEARNERS = ("2001", "2002", "2003")
ACTIVITIES = ("quiz-1", "quiz-2", "lab-1")


@contextmanager
def no_waiting() -> Iterator[None]:
    """Whoever waits longer than a second for somebody else's lock gets an error."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        try:
            yield
        finally:
            cursor.execute("RESET lock_timeout")


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Run it in a thread with a connection of its own; its error is raised here."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(120)
    assert not thread.is_alive()
    if errors:
        raise errors[0]


def record_everywhere(people: Sequence[str], given: int) -> None:
    """Scores in every line item, from the last to the first, and from the last person to the first."""
    persons = {person.lti_id: person for person in LtiUser.objects.filter(lti_id__in=people)}
    for link in ResourceLink.objects.select_related("context").order_by("-pk"):
        for person in sorted(people, reverse=True):
            grades.record_score(link, user=persons[person], given=given, maximum=100)


def launch_all(lms: Lms) -> None:
    for activity in ACTIVITIES:
        for person in LEARNERS:
            lms.launch(person, activity)


def everything_that_touches_the_outbox(lms: Lms, round_: int) -> None:
    """What workers, launches and operators do, each of which meets rows that a tool holds."""
    lms.sandbox.revoke_service_keys("course-101")
    passes.work(Context.objects.get().platform_id, ["grades"], "tick")  # the keys are refused
    lms.launch(LEARNERS[0], ACTIVITIES[round_ % len(ACTIVITIES)])  # and what waits is woken
    course = lms.sandbox.courses["course-101"]
    for item in course.line_items_of(ACTIVITIES[1]):
        course.gradebook.delete_line_item(item.number)
    record_everywhere(LEARNERS[-1:], round_)
    night("grades")  # the column is found to be gone, and made anew
    outbox.resend(OutgoingScore.objects.values_list("pk", flat=True))
    passes.request_scores(Context.objects.get())
    night("grades")
    for row in OutgoingScore.objects.filter(state="sent", lti_user__lti_id=LEARNERS[-1]):
        # As a worker leaves them that has died. One by one: it is this statement that must not lock the tool out.
        OutgoingScore.objects.filter(pk=row.pk).update(
            state="sending", sending_revision=1, lease_token="0" * 32, lease_until=timezone.now() - timedelta(seconds=1)
        )
    passes.tidy()
    night("rosters")
    night("grades")


@pytest.mark.parametrize("rounds", [2, pytest.param(30, marks=pytest.mark.full)])
def test_a_minute_of_a_tools_transaction_delays_nobody_elses_score(
    postgresql: None, transactional_db: None, lms: Lms, rounds: int
) -> None:
    launch_all(lms)
    record_everywhere(LEARNERS, given=50)
    night("grades")
    recorded, finish = threading.Event(), threading.Event()
    began = time.monotonic()

    def tool() -> None:
        with transaction.atomic():
            record_everywhere(LEARNERS[:-1], given=99)
            recorded.set()
            finish.wait(100)

    with beside(tool):
        try:
            assert recorded.wait(20)
            with no_waiting():
                for round_ in range(rounds):
                    everything_that_touches_the_outbox(lms, round_)
                    assert newest(lms, LEARNERS[-1]) == dict.fromkeys(ACTIVITIES, round_)
                    OutgoingScore.objects.filter(lti_user__lti_id=LEARNERS[-1]).update(attempted_at=None)
                    time.sleep(60 / rounds if rounds > 2 else 0)
        finally:
            finish.set()
    assert rounds == 2 or time.monotonic() - began > 60
    launch_all(lms)
    night("grades")
    for person in LEARNERS[:-1]:
        assert newest(lms, person) == dict.fromkeys(ACTIVITIES, 99)


def newest(lms: Lms, person: str) -> dict[str, int]:
    """What the LMS shows of one person, in hundredths of the maximum."""
    course = lms.sandbox.courses["course-101"]
    return {
        str(cell.line_item.resource_link_id): int(cell.score * 100 / cell.maximum)
        for cell in course.gradebook.cells()
        if cell.user_id == person and cell.score is not None
    }


def test_a_tool_that_locks_in_another_order_and_everything_else_lock_nobody_out(
    postgresql: None, transactional_db: None, lms: Lms
) -> None:
    launch_all(lms)
    record_everywhere(LEARNERS, given=50)
    night("grades")
    finish = threading.Event()

    def tool() -> None:
        given = 50
        while not finish.is_set():
            given += 1
            with transaction.atomic():
                for row in OutgoingScore.objects.order_by("-pk"):
                    OutgoingScore.objects.select_for_update().get(pk=row.pk)
                    time.sleep(0.02)
                record_everywhere(LEARNERS[:-1], given)

    with beside(tool):
        try:
            for round_ in range(3):
                everything_that_touches_the_outbox(lms, round_)
        finally:
            finish.set()
    launch_all(lms)
    for _ in range(3):  # what was put off, or belongs to a worker that died
        OutgoingScore.objects.update(attempted_at=None)
        OutgoingScore.objects.filter(state="sending").update(lease_until=timezone.now() - timedelta(seconds=1))
        passes.tidy()
        passes.request_scores(Context.objects.get())
        night("grades")
    assert not OutgoingScore.objects.open().exists()


def test_two_tools_that_record_in_opposite_orders_do_not_lock_each_other_out(
    postgresql: None, transactional_db: None, lms: Lms
) -> None:
    links = [lms.launch("2001", activity).resource_link for activity in ("quiz-1", "lab-1")]
    platform = links[0].context.platform
    people = LtiUser.objects.bulk_create(LtiUser(platform=platform, lti_id=f"n{n}") for n in range(500))
    both = threading.Barrier(2)

    def tool(order: Sequence[ResourceLink], given: int) -> None:
        records = [
            grades.ScoreRecord(resource_link=link, user=person, given=given, maximum=10)
            for link in order
            for person in people
        ]
        both.wait(10)
        grades.record_scores(records)

    with beside(lambda: tool(links, 1)), beside(lambda: tool(links[::-1], 2)):
        pass
    assert OutgoingScore.objects.count() == 2 * len(people)
