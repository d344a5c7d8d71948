"""The example project's Celery app, with a tick every second."""

from example_project.celery import app as app
from ltiaas_django import schedules

app.conf.beat_schedule = schedules.nightly(tick=1.0)
