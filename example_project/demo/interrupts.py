"""Ctrl-C, SIGTERM and a closed terminal all end the demo, but never while a process is started and not yet listed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns the signals into KeyboardInterrupt, at once or when they are no longer held back."""

    def __init__(self) -> None:
        self._holders = 0
        self._is_pending = False

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals, but for those that whoever started us wanted ignored (`nohup`, for one)."""
        former = {number: signal.getsignal(number) for number in SIGNALS}
        chosen = [number for number, handler in former.items() if handler != signal.SIG_IGN]
        for number in chosen:
            signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number in chosen:
                signal.signal(number, former[number])

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """What comes meanwhile waits until the block is over."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        if self._is_pending and not self._holders:
            self._is_pending = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: object) -> None:
        if self._holders:
            self._is_pending = True
        else:
            raise KeyboardInterrupt
