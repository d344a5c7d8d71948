"""Send signals: after the commit of what they tell of, and never so that a receiver could undo or repeat it."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.dispatch import Signal


def announce(signal: Signal, sender: type, **said: Any) -> None:
    """Send it once the transaction is committed; Django logs a receiver's error, which disturbs nobody else."""
    if signal.has_listeners(sender):  # a pass has thousands to tell, mostly to nobody
        transaction.on_commit(lambda: signal.send_robust(sender, **said))
