"""Grades, for a tool's own code: `from ltiaas_django import grades`."""

from ltiaas_django.operations.grades import Delivery, ScoreRecord, delivery, record_score, record_scores

__all__ = ["Delivery", "ScoreRecord", "delivery", "record_score", "record_scores"]
