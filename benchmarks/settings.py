"""Settings of a measured process: a file of SQLite or a PostgreSQL database, named by DATABASE_URL; DEBUG is off."""

from __future__ import annotations

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {  # as in the example project
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }

LTIAAS = {
    "URL": os.environ.get("LTIAAS_URL", "http://127.0.0.1:9"),
    "API_KEY": "the-account's:key",
    "PARALLEL_PLATFORMS": int(os.environ.get("LTIAAS_PARALLEL_PLATFORMS", "16")),  # type: ignore[dict-item]  # else texts only
}

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "memory://")
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CELERY_QUEUE", "benchmarks")
