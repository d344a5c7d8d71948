"""A small quiz tool that schools reach through LTIAAS: the project to copy from."""

from example_project.celery import app as celery_app  # so that the tasks of all apps find their Celery app

__all__ = ["celery_app"]
