"""Breaks each promise on purpose, to see its test fail: `python -m tests.sabotage`."""
