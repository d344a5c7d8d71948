"""Signals, all sent after the commit of what they tell of.

Every one has `sender`: the model class of its main row. Receivers get rows or ids, never secrets.
"""

from __future__ import annotations

from django.dispatch import Signal

launched = Signal()
"""A person has launched: `launch` (the row), `request`, `created` (whether the person was new)."""

user_provisioned = Signal()
"""A Django user was made for a person: `user`, `lti_user`."""

roster_synced = Signal()
"""A roster has changed memberships: `context`, and lists of membership ids `joined`, `changed`, `left`.

Also sent when a long roster breaks off after some of it was written; nobody has left then.
"""

score_sent = Signal()
"""The LMS has accepted a score: `score_id`, `revision`."""

score_failed = Signal()
"""A score could not be sent: `score_id`, `error_code`, `parked` (whether it waits for a person)."""

key_refused = Signal()
"""A service key was refused and is not used until the next launch replaces it: `key` (the row)."""
