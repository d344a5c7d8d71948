"""Celery for the example project: `celery -A example_project worker --beat`."""

import os

from celery import Celery
from celery.schedules import crontab

from ltiaas_django import schedules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.beat_schedule = schedules.nightly(grades=crontab(hour="2", minute="0"), rosters=crontab(hour="3", minute="0"))
