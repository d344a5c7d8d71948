"""`python -m example_project.demo`: set up, play, compare, and with a terminal go on serving until Ctrl-C."""

from __future__ import annotations

import argparse
import io
import select
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from example_project.demo import processes
from example_project.demo.interrupts import Interrupts
from example_project.demo.processes import ProcessFailed
from example_project.demo.stage import ROOT, FolderRefused, Stage
from example_project.demo.story import COURSE, StepFailed, Story


def main(arguments: Sequence[str] | None = None, *, environment: Mapping[str, str] | None = None) -> int:
    """Run the demo, its processes with changes to their environment; returns the exit status."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names in many scripts, and a terminal that may not know them
    console = Console()
    interrupts = Interrupts()
    with interrupts.installed():
        try:
            stage = Stage(options.directory, interrupts, environment)
            with stage.folder(), stage:
                story = Story(stage, console)
                story.set_up()
                story.play()
                if options.keep_going or _is_at_terminal():
                    _keep_going(story, console)
        except KeyboardInterrupt:
            console.print("Stopped. Every process has ended.")
            return 130
        except (FolderRefused, ProcessFailed) as error:
            console.print(f"[red]✗ {escape(str(error))}[/red]", soft_wrap=True)
            return 2
        except StepFailed as failure:
            _tell_failure(console, failure)
            return 1
    console.print("[green]The demo is complete.[/green] Every process has ended.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m example_project.demo",
        description="Launch the example quiz from a simulated LMS, and let a night's sync run.",
    )
    parser.add_argument(
        "--directory", type=Path, default=ROOT / "var" / "demo", help="emptied at the start (default: var/demo)"
    )
    parser.add_argument("--keep-going", action="store_true", help="serve until Ctrl-C, also without a terminal")
    return parser


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _keep_going(story: Story, console: Console) -> None:
    """Serve until Ctrl-C; with a terminal, Enter makes another night."""
    stage = story.stage
    console.print(
        "\n[bold]Everything is still running.[/bold] Open in a browser:\n"
        f"  {stage.lms.url}/courses/{COURSE}/ to open the quiz as anybody in the course,\n"
        f"  {stage.lms.url}/courses/{COURSE}/gradebook/ to see the grades arrive,\n"
        f"  {stage.lms.url}/courses/{COURSE}/people/ to let people join and leave.\n"
        "New grades travel at night. " + ("Enter makes a night; " if _is_at_terminal() else "") + "Ctrl-C stops.",
        soft_wrap=True,
        highlight=False,
    )
    try:
        while True:
            for process in stage.running:
                process.check()
            if _enter_was_pressed(0.5):
                story.make_night()
    except KeyboardInterrupt:
        console.print("\nStopping …")
    except ProcessFailed as error:
        logs = [process.log for process in stage.running if f"“{process.name}”" in str(error)]
        raise StepFailed("Go on serving", str(error), logs) from error


def _enter_was_pressed(wait: float) -> bool:
    """Wait a while for a line; the end of the input (Ctrl-D) means to stop, as Ctrl-C does."""
    if not _is_at_terminal():
        time.sleep(wait)
        return False
    if not select.select([sys.stdin], [], [], wait)[0]:
        return False
    if not sys.stdin.readline():
        raise KeyboardInterrupt
    return True


def _tell_failure(console: Console, failure: StepFailed) -> None:
    console.print(f"[red]✗ This step failed: {escape(failure.step)}[/red]", soft_wrap=True)
    console.print(f"  {escape(str(failure))}", soft_wrap=True, highlight=False)
    for log in failure.logs:
        end = processes.tail(log)
        if end:
            console.print(f"\nThe end of {escape(str(log))}:", soft_wrap=True, highlight=False)
            console.print(escape(end), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
