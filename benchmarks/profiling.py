"""Where the CPU goes in a process of many threads: cProfile sees one thread, so each gets a profile of its own."""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LINES = 45


@contextmanager
def threads(wanted: bool = True) -> Iterator[None]:
    """Profile the block, this thread and those that begin and end within it, by CPU time; prints to standard error.

    Python 3.11 only: from 3.12 on an interpreter has one profiler for all its threads.
    """
    if not wanted:
        yield
        return
    profiles = [cProfile.Profile(time.thread_time)]
    run = threading.Thread.run

    def profiled(thread: threading.Thread) -> None:
        profile = cProfile.Profile(time.thread_time)
        profiles.append(profile)
        profile.runcall(run, thread)

    threading.Thread.run = profiled  # type: ignore[method-assign, assignment]
    try:
        profiles[0].enable()
        yield
    finally:
        profiles[0].disable()
        threading.Thread.run = run  # type: ignore[method-assign]
        stats = pstats.Stats(profiles[0], stream=sys.stderr)
        for profile in profiles[1:]:
            stats.add(profile)
        stats.sort_stats("tottime").print_stats(_LINES)
        stats.sort_stats("cumtime").print_stats(_LINES)
