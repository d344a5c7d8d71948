"""The outbox: what recording a score means, before anything is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ltiaas_django import exceptions, grades
from ltiaas_django.models import LineItem, LtiUser, OutgoingScore
from ltiaas_django.operations import grades as operations
from ltiaas_django.vocabulary import GradingProgress
from tests.lms import Lms

State = OutgoingScore.State


def test_one_row_per_person_whose_revision_grows_at_each_change(lms: Lms) -> None:
    launch = lms.launch("2001")
    first = grades.record_score(launch, given=8, maximum=10)
    assert (first.revision, first.state, first.given) == (1, State.DUE, Decimal(8))
    assert grades.record_score(launch, given=8, maximum=10).revision == 1
    assert grades.record_score(launch, given=8, maximum=10, comment="Well done").revision == 2
    assert grades.record_score(launch, given=0, maximum=10).revision == 3
    assert OutgoingScore.objects.count() == 1
    assert lms.posts() == 0


def test_none_zero_and_a_value_are_three_different_things(lms: Lms) -> None:
    launch = lms.launch("2001")
    revisions = [
        grades.record_score(launch, given=value, maximum=10).revision for value in (5, 0, None, 0, Decimal("0.00"))
    ]
    assert revisions == [1, 2, 3, 4, 4]


def test_a_score_recorded_in_a_transaction_that_is_rolled_back_was_never_wanted(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=3, maximum=10)

    def fail() -> None:
        with transaction.atomic():
            grades.record_score(launch, given=9, maximum=10)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert OutgoingScore.objects.get().given == 3


@pytest.mark.parametrize(
    ("amount", "kept"),
    [(8, "8"), (0.1, "0.1"), ("81.23456", "81.23456"), (Decimal(1) / 3, "0.33333"), (2 / 3, "0.66667"), ("1e2", "100")],
)
def test_amounts_are_decimal_and_mean_what_was_written(lms: Lms, amount: Any, kept: str) -> None:
    grades.record_score(lms.launch("2001"), given=amount, maximum=100)
    assert OutgoingScore.objects.get().given == Decimal(kept)


@pytest.mark.parametrize(
    ("given", "maximum"),
    [
        (-1, 10), (True, 10), (float("nan"), 10), ("Infinity", 10), ("eight", 10), (5, None), (5, 0), (5, -1),
        (10**12, 10), (None.__class__, 10), (5, "x"), (5, "0.000001"), ([], 10), (b"5", 10),
    ],
)  # fmt: skip
def test_an_amount_that_makes_no_sense_is_refused_by_name(lms: Lms, given: Any, maximum: Any) -> None:
    launch = lms.launch("2001")
    with pytest.raises(ValueError, match=r"given|maximum"):
        grades.record_score(launch, given=given, maximum=maximum)
    assert not OutgoingScore.objects.exists()


@pytest.fixture
def launch_for_hypothesis(lms: Lms) -> Any:
    return lms.launch("2001")


NUMBERS = st.integers() | st.floats() | st.decimals()


@given(given=st.none() | NUMBERS | st.text(), maximum=NUMBERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_recording_either_keeps_the_amount_or_raises_value_error(
    launch_for_hypothesis: Any, given: Any, maximum: Any
) -> None:
    try:
        row = grades.record_score(launch_for_hypothesis, given=given, maximum=maximum)
    except ValueError:
        return
    row.refresh_from_db()
    if given is None:
        assert row.given is None
    else:
        assert row.given is not None
        assert abs(row.given - Decimal(str(given))) <= Decimal("0.000005")


def test_extra_credit_may_exceed_the_maximum(lms: Lms) -> None:
    assert grades.record_score(lms.launch("2001"), given=12, maximum=10).given == 12


def test_a_score_from_a_webhook_names_a_django_user_or_an_lti_user(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    by_user = grades.record_score(link, user=launch.user, given=5, maximum=10)
    by_person = grades.record_score(link, user=launch.lti_user, given=5, maximum=10)
    assert by_user == by_person


def test_user_raises_when_none_or_several_lti_users_match(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    stranger = get_user_model().objects.create_user("stranger")
    with pytest.raises(exceptions.UnknownPerson):
        grades.record_score(link, user=stranger, given=5, maximum=10)
    with pytest.raises(exceptions.UnknownPerson):
        grades.record_score(link, given=5, maximum=10)
    LtiUser.objects.create(platform=launch.context.platform, lti_id="again", user=launch.user)
    with pytest.raises(exceptions.UnknownPerson, match="several"):
        grades.record_score(link, user=launch.user, given=5, maximum=10)
    other = LtiUser.objects.create(platform=type(launch.context.platform).objects.create(ltiaas_id="x"), lti_id="2001")
    with pytest.raises(exceptions.UnknownPerson, match="another platform"):
        grades.record_score(link, user=other, given=5, maximum=10)


def test_a_launch_without_an_activity_has_nothing_to_grade(lms: Lms) -> None:
    launch = lms.launch("1001", None, type="deep_linking")  # type: ignore[arg-type]
    with pytest.raises(exceptions.ServiceNotOffered):
        grades.record_score(launch, given=5, maximum=10)


def test_tag_and_resource_id_choose_further_line_items(lms: Lms) -> None:
    launch = lms.launch("2001")
    grades.record_score(launch, given=1, maximum=10)
    grades.record_score(launch, given=2, maximum=10, tag="bonus")
    grades.record_score(launch, given=3, maximum=10, resource_id="part-2", label="Part 2")
    assert sorted(LineItem.objects.values_list("tag", "resource_id", "label")) == [
        ("", "", "Quiz 1: Averages"),
        ("", "part-2", "Part 2"),
        ("bonus", "", "Quiz 1: Averages"),
    ]


def test_a_backfill_writes_what_changed_and_says_how_much(lms: Lms, django_assert_max_num_queries: Any) -> None:
    launch = lms.launch("1001")
    link = launch.resource_link
    assert link is not None
    people = LtiUser.objects.bulk_create(LtiUser(platform=launch.context.platform, lti_id=f"p{n}") for n in range(1200))

    def records(bonus: int) -> list[grades.ScoreRecord]:
        return [
            grades.ScoreRecord(resource_link=link, user=person, given=n % 10 + (bonus if n < 10 else 0), maximum=10)
            for n, person in enumerate(people)
        ]

    with django_assert_max_num_queries(60):  # SQLite takes some 45 rows a statement
        assert grades.record_scores(records(0)) == 1200
    with django_assert_max_num_queries(12):
        assert grades.record_scores(records(0)) == 0
    assert grades.record_scores(records(1)) == 10
    assert OutgoingScore.objects.filter(revision=2).count() == 10


def test_of_two_records_for_one_person_the_later_counts(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    pair = [grades.ScoreRecord(resource_link=link, user=launch.user, given=n, maximum=10) for n in (3, 7)]
    assert grades.record_scores(iter(pair)) == 1
    assert OutgoingScore.objects.get().given == 7


def test_a_backfill_is_all_or_nothing(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    good = grades.ScoreRecord(resource_link=link, user=launch.user, given=3, maximum=10)
    bad = grades.ScoreRecord(resource_link=link, user=launch.user, given=3, maximum=0)
    with pytest.raises(ValueError, match="maximum"):
        grades.record_scores([good, bad])
    assert not OutgoingScore.objects.exists()


def test_a_score_that_is_in_flight_stays_with_its_sender(lms: Lms) -> None:
    launch = lms.launch("2001")
    row = grades.record_score(launch, given=3, maximum=10)
    OutgoingScore.objects.update(
        state=State.SENDING,
        sending_revision=1,
        lease_token="7b0b4b4e-0000-4000-8000-000000000000",
        lease_until=row.recorded_at,
    )
    row = grades.record_score(launch, given=4, maximum=10)
    row.refresh_from_db()
    assert (row.state, row.revision, row.sending_revision) == (State.SENDING, 2, 1)


def test_delivery_says_where_each_score_has_got_to(lms: Lms) -> None:
    launch = lms.launch("2001")
    link = launch.resource_link
    assert link is not None
    row = grades.record_score(launch, given=3, maximum=10)
    [entry] = grades.delivery(link)
    assert (entry.state, entry.why, entry.given, entry.lti_user) == ("pending", "", 3, launch.lti_user)
    for state, attempts, said in [("due", 2, "failed"), ("waiting", 0, "failed"), ("parked", 8, "parked")]:
        OutgoingScore.objects.filter(pk=row.pk).update(state=state, attempts=attempts, last_error="LMS said no")
        [entry] = grades.delivery(link, user=launch.user)
        assert entry.state == said
        assert entry.why
    assert grades.delivery(link, user=get_user_model().objects.create_user("nobody")) == []


def test_a_new_line_item_behind_the_same_activity_resets_what_was_sent(lms: Lms) -> None:
    launch = lms.launch("2001")
    row = grades.record_score(launch, given=3, maximum=10)
    OutgoingScore.objects.update(state=State.SENT, sent_revision=1)
    line_item = LineItem.objects.get()
    operations.adopt_line_item(line_item, line_item.lti_id)
    row.refresh_from_db()
    assert row.state == State.SENT
    operations.adopt_line_item(line_item, "https://lms.example/lineitems/new")
    row.refresh_from_db()
    assert (row.state, row.sent_revision) == (State.DUE, None)


def test_a_launch_that_names_another_line_item_resets_what_was_sent(lms: Lms) -> None:
    row = grades.record_score(lms.launch("2001"), given=3, maximum=10)
    OutgoingScore.objects.update(state=State.SENT, sent_revision=1)

    def reimported(token: dict[str, Any]) -> None:
        token["services"]["assignmentAndGrades"]["lineItemId"] = "https://lms.example/lineitems/new"

    lms.launch("2001", mutate=reimported)
    row.refresh_from_db()
    assert row.state == State.DUE


def test_resend_makes_sent_and_parked_scores_due_with_a_new_revision_where_needed(lms: Lms) -> None:
    sent = grades.record_score(lms.launch("2001"), given=3, maximum=10)
    parked = grades.record_score(lms.launch("2002"), given=3, maximum=10)
    OutgoingScore.objects.filter(pk=sent.pk).update(state=State.SENT, sent_revision=1)
    OutgoingScore.objects.filter(pk=parked.pk).update(state=State.PARKED, attempts=8)
    assert operations.resend([sent.pk, parked.pk]) == 2
    assert list(OutgoingScore.objects.order_by("pk").values_list("state", "revision", "attempts")) == [
        ("due", 2, 0),
        ("due", 1, 0),
    ]


def test_progress_without_a_grade_keeps_its_kind(lms: Lms) -> None:
    row = grades.record_score(lms.launch("2001"), given=None, grading_progress=GradingProgress.PENDING_MANUAL)
    assert row.grading_progress == "PendingManual"
