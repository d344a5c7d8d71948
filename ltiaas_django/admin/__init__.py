"""Django admin: what works, what is stale, what failed and why, and the clicks that mend it.

Rows are written by launches and syncs; a person may change the few fields that are an operator's. Secrets (`sealed`,
`ltik_sealed`, `session_sealed`, `ltik_digest`) are on no page: every class here lists its fields by name.
"""

from ltiaas_django.admin import contexts, grades, keys, launches, places, platforms, runs

__all__ = ["contexts", "grades", "keys", "launches", "places", "platforms", "runs"]
