"""How LMSs count calls, at times that are given. (What a throttled call is told: `profiles/`.)"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from ltiaas_django.sandbox.profiles.brightspace import Brightspace
from ltiaas_django.sandbox.profiles.canvas import Canvas

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class TestLeakyBucket:
    def test_the_twelfth_at_once_is_one_too_many(self):
        bucket = Canvas().bucket
        with contextlib.ExitStack() as running:
            allowed = [running.enter_context(bucket.running(NOW)) for _ in range(12)]
        assert allowed == [True] * 11 + [False]

    def test_one_after_another_is_never_too_much(self):
        bucket = Canvas().bucket
        for number in range(2000):
            with bucket.running(NOW + number * seconds(0.05)) as is_allowed:
                assert is_allowed

    def test_what_calls_cost_adds_up_and_leaks(self):
        bucket = Canvas().bucket
        calls = 0
        while bucket.left > 50:  # all in one instant
            with bucket.running(NOW) as is_allowed:
                assert is_allowed
            calls += 1
        assert calls * bucket.cost == 550
        with bucket.running(NOW) as is_allowed:
            assert not is_allowed
        with bucket.running(NOW + seconds(1)) as is_allowed:
            assert is_allowed
        with bucket.running(NOW + seconds(3600)):
            assert bucket.left == 550

    def test_calls_that_are_refused_fill_it_while_they_run_up_to_its_brim(self):
        bucket = Canvas().bucket
        with contextlib.ExitStack() as running:
            for _ in range(100):
                running.enter_context(bucket.running(NOW))
            assert bucket.left == -200
        with bucket.running(NOW) as is_allowed:
            assert is_allowed

    def test_a_clock_that_is_set_back_fills_nothing(self):
        bucket = Canvas().bucket
        for now in (NOW + seconds(3600), NOW):
            with bucket.running(now) as is_allowed:
                assert is_allowed


class TestCreditWindow:
    def test_five_thousand_calls_a_minute(self):
        window = Brightspace().credits
        assert all(window.spend(NOW + number * seconds(0.01)) for number in range(5000))
        assert not window.spend(NOW + seconds(51))
        assert window.seconds_to_next(NOW + seconds(51)) == 9
        assert window.spend(NOW + seconds(60))
        assert window.left == 49_990
