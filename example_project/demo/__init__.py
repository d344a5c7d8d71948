"""The demo: a simulated LMS, the quiz tool and a Celery worker, and a day and a night in a school.

    python -m example_project.demo

Everything runs in processes of its own and in a folder of its own, and the story is played over real HTTP.
"""
