"""The measured process: `python -m benchmarks.child FILE` calls the function that its standard input names.

Writes what the function returns into the file, with the process's CPU seconds and its greatest size.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys

import django

from benchmarks import harness


def main() -> None:
    asked = json.load(sys.stdin)
    django.setup()
    module, _, name = asked["target"].partition(":")
    returned = getattr(importlib.import_module(module), name)(**asked["arguments"])
    own = {"process_cpu": harness.cpu_seconds(), "process_peak_mb": harness.peak_memory()}
    pathlib.Path(sys.argv[1]).write_text(json.dumps(own | returned))


if __name__ == "__main__":
    main()
