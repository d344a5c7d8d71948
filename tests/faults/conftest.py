"""What the processes of these tests import is no test, and must not be imported by one's collection."""

collect_ignore = ["settings.py", "app.py", "tool.py"]
