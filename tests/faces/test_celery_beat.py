"""Our schedule under django-celery-beat, which keeps schedules in the database."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

STORE_THE_SCHEDULE = """
import json
from django.conf import settings
import tests.settings as ours
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "ltiaas_django", "django_celery_beat"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="x", USE_TZ=True, LTIAAS=ours.LTIAAS, DEFAULT_AUTO_FIELD=ours.DEFAULT_AUTO_FIELD,
)
import django
django.setup()
from celery import Celery
from django.core.management import call_command
from ltiaas_django import schedules
call_command("migrate", verbosity=0)
app = Celery("site")
app.conf.beat_schedule = schedules.nightly()
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler
DatabaseScheduler(app=app)
print(json.dumps(dict(PeriodicTask.objects.values_list("name", "task"))))
"""


def test_the_four_entries_are_taken_over() -> None:
    pytest.importorskip("django_celery_beat", reason="django_celery_beat is not installed")
    done = subprocess.run([sys.executable, "-c", STORE_THE_SCHEDULE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    stored = json.loads(done.stdout)
    assert {name: task for name, task in stored.items() if name.startswith("ltiaas")} == {
        "ltiaas-grades": "ltiaas_django.sync_grades",
        "ltiaas-rosters": "ltiaas_django.sync_rosters",
        "ltiaas-housekeeping": "ltiaas_django.housekeeping",
        "ltiaas-tick": "ltiaas_django.tick",
    }
