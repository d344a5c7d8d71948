"""A sandbox as a file: schools, people, courses and gradebooks, in JSON, to be kept and begun with another time.

{
  "format": 1,
  "clockOffset": 0.0,                           seconds ahead of the real time
  "schools": [{
    "id": "school", "name": "Sandbox School", "profile": "canvas",
    "switches": {"pageSize": 10},               the profile's switches, where they are not as usual
    "people": [{"id": "2001", "name": "Zoë Müller", "email": "zoe@school.example"}]
  }],
  "courses": [{
    "id": "course-101", "school": "school", "number": 2, "label": "STAT101", "title": "Statistics",
    "isPublished": true, "isConcluded": false,
    "people": [{"id": "2001", "role": "Learner", "status": "Active"}],
    "activities": [{"id": "quiz-1", "title": "Quiz 1"}],
    "lineItems": [{"number": 1, "label": "Quiz 1", "scoreMaximum": 10, "activity": "quiz-1"}],
    "contents": [],                             what deep linking added beside activities
    "grades": [{"lineItem": 1, "person": "2001", "score": 8.5, "timestamp": "2026-01-31T12:00:00+00:00"}]
  }]
}

What has a usual value may be left out. Amounts are numbers, or strings where a number of JSON would not be exact.
Launches, requests and faults are not kept: credentials have no place in a file.
"""

from __future__ import annotations

from .reading import DEEPEST, Loaded, load
from .writing import FORMAT, Data, export

FILE = "file"
"""The name of the scenario that was loaded."""

__all__ = ["DEEPEST", "FILE", "FORMAT", "Data", "Loaded", "export", "load"]
