"""Every fenced block of the README and the documentation is run or checked.

The line before a block names its handler here: `<!-- test: NAME -->`, or `<!-- test: NAME WORDS -->`. A block without
one fails, and so does a name that nobody handles. Blocks named `file` and `settings-too` of one page make one project.
"""

from __future__ import annotations

import ast
import configparser
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.core import management
from django.core.management import ManagementUtility
from django.urls import resolve

import noxfile
from docs._ext import facts
from tests.blocks import ROOT, Block, all_blocks, read_blocks

pytestmark = pytest.mark.long

SCRATCH = {  # what a reader's project would hold, for the processes that check a block in a project of its own
    "DJANGO_SETTINGS_MODULE": "mysite.settings",
    "LTIAAS_URL": "https://school.ltiaas.com",
    "LTIAAS_API_KEY": "made-up-api-key",
    "LTIAAS_SEALING_KEY": "made-up-sealing-key",
    "LTIAAS_HEALTH_TOKEN": "made-up-health-token",
}
HANDLED_ELSEWHERE = {"docs/how-to/testing.md"}  # its blocks are tests: tests/testing/test_page.py runs them
BLOCKS = [block for block in all_blocks() if block.page not in HANDLED_ELSEWHERE]


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """A new Django project, `mysite`, with nothing of ours in it."""
    management.call_command("startproject", "mysite", str(tmp_path))
    return tmp_path


def run(project: pathlib.Path, *arguments: str) -> str:
    """Run Python in the reader's project; give back what it printed."""
    environment = {**os.environ, **SCRATCH, "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_settings(project: pathlib.Path, code: str) -> None:
    """Put a block at the end of the project's settings; its `...` stands for the apps that are there already."""
    before = "import environ\n\nenv = environ.Env()\n_apps = INSTALLED_APPS\n"
    after = "INSTALLED_APPS = [app for part in INSTALLED_APPS for app in (_apps if part is ... else [part])]\n"
    path = project / "mysite" / "settings.py"
    path.write_text("\n".join([path.read_text(), before, code, after]))


def add_ours(project: pathlib.Path) -> None:
    """The settings that the README tells the reader to add, in short, for blocks that come after them."""
    add_settings(
        project,
        textwrap.dedent("""\
            INSTALLED_APPS = [..., "ltiaas_django"]
            MIDDLEWARE = ["ltiaas_django.middleware.LtiMiddleware", *MIDDLEWARE]
            LTIAAS = {"URL": env("LTIAAS_URL"), "API_KEY": env("LTIAAS_API_KEY")}
        """),
    )


def check_settings(block: Block, request: pytest.FixtureRequest) -> None:
    """With the block at the end of a new project's settings, Django's checks find nothing wrong."""
    project = request.getfixturevalue("project")
    add_settings(project, block.code)
    run(project, "manage.py", "check")
    run(project, "-c", "import django; django.setup(); assert django.apps.apps.is_installed('ltiaas_django')")


def check_urls(block: Block, request: pytest.FixtureRequest) -> None:
    """With the block in the project's urls, the launch has an address."""
    project = request.getfixturevalue("project")
    add_ours(project)
    code = block.code
    if "urlpatterns" not in code:  # the bare entries of the list
        code = f"urlpatterns += [\n{code}\n]\n"
    path = project / "mysite" / "urls.py"
    path.write_text(f"{path.read_text()}\nfrom django.urls import include\n{code}")
    run(project, "-c", "import django; django.setup(); from django.urls import resolve; resolve('/lti/launch/')")


def check_views(block: Block, request: pytest.FixtureRequest) -> None:
    """The block is a module of the reader's that loads, and names at least one class or function."""
    project = request.getfixturevalue("project")
    add_ours(project)
    (project / "mysite" / "views.py").write_text(block.code)
    run(project, "-c", "import django; django.setup(); import mysite.views")
    assert any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in ast.parse(block.code).body)


FIND_TASKS = textwrap.dedent("""\
    import django; django.setup()
    from mysite.celery import app
    import ltiaas_django.tasks
    names = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert names, "the schedule is empty"
    assert names <= set(app.tasks), names - set(app.tasks)
""")


def check_celery(block: Block, request: pytest.FixtureRequest) -> None:
    """After the block, beat's schedule has entries, and each names a task that a worker would find."""
    project = request.getfixturevalue("project")
    add_ours(project)
    before = 'from celery import Celery\nfrom celery.schedules import crontab\n\napp = Celery("mysite")\n'
    (project / "mysite" / "celery.py").write_text(before + block.code)
    run(project, "-c", FIND_TASKS)


def check_grades(block: Block, request: pytest.FixtureRequest) -> None:
    """The block compiles, and every `module.name` of ours in it exists."""
    tree = ast.parse(block.code)
    ours: dict[str, object] = {}
    imports: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "ltiaas_django"
    ]
    exec(compile(ast.Module(imports, []), block.page, "exec"), ours)  # noqa: S102  imports from the documentation
    used = [
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours
    ]
    assert used, "the block uses nothing of ours"
    assert [pair for pair in used if not hasattr(ours[pair[0]], pair[1])] == []


def rebuild(block: Block, project: pathlib.Path) -> None:
    """What the reader has by the end of this block: the files and settings of the page so far."""
    add_ours(project)
    before = [one for one in BLOCKS if one.page == block.page and one.line <= block.line]
    for one in before:
        if one.handler in ("file", "celery-file"):
            (project / (one.words or "mysite/celery.py")).write_text(one.code)
        elif one.handler == "settings-too":
            add_settings(project, one.code)
    if "from quiz.models" in "".join(one.code for one in before):  # the reader's own app
        (project / "quiz").mkdir()
        (project / "quiz" / "models.py").write_text("from example_project.quiz.models import *\n")
        add_settings(project, 'INSTALLED_APPS = [..., "example_project.quiz"]')


def check_file(block: Block, request: pytest.FixtureRequest) -> None:
    """The file is a module of the reader's project that loads, with the settings and files that came before."""
    project = request.getfixturevalue("project")
    rebuild(block, project)
    module = block.words.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    run(project, "-c", f"import django; django.setup(); import {module}")


def check_celery_file(block: Block, request: pytest.FixtureRequest) -> None:
    """The whole celery.py: as `check_celery`, with the settings of the page."""
    project = request.getfixturevalue("project")
    rebuild(block, project)
    run(project, "-c", FIND_TASKS)


def check_settings_too(block: Block, request: pytest.FixtureRequest) -> None:
    """At the end of settings that have ours already: Django's checks find nothing wrong, nor do they for a server."""
    project = request.getfixturevalue("project")
    rebuild(block, project)
    run(project, "manage.py", "check", "--fail-level", "ERROR", "--deploy")


def check_syntax(block: Block, request: pytest.FixtureRequest) -> None:
    """For code that needs another library, which is not here: it is Python."""
    ast.parse(block.code)


def check_unit(block: Block, request: pytest.FixtureRequest) -> None:
    """A unit of systemd: it starts a Celery command of this project, and starts it again whenever it ends."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read_string(block.code.replace("\\\n", " "))
    check_celery_command([pathlib.PurePath(word).name for word in shlex.split(unit["Service"]["ExecStart"])])
    assert unit["Service"]["Restart"] == "always"


def check_log_format(block: Block, request: pytest.FixtureRequest) -> None:
    """What nginx is told to log holds no query: neither the request line nor the referrer."""
    [logged] = re.findall(r"log_format \w+ (.*?);\n", block.code, re.DOTALL)
    names = set(re.findall(r"\$(\w+)", logged))
    assert "uri" in names
    assert not names & {"request", "request_uri", "args", "query_string", "http_referer"}


def check_shell(block: Block, request: pytest.FixtureRequest) -> None:
    """Every command of the block exists and takes these arguments; nothing is run."""
    commands = list(read_commands(block.code.replace("\\\n", " ")))
    assert commands, "an empty block"
    for words in commands:
        while "=" in words[0]:  # VARIABLE=value in front of a command
            words = words[1:]
        checker = COMMANDS.get(words[0].removeprefix(".venv/bin/"))
        assert checker, f"no check for the command {words[0]!r}"
        checker(words)


def read_commands(code: str) -> Iterator[list[str]]:
    """The words of each command."""
    begun = ""
    for line in code.splitlines():
        begun += line.removeprefix("$ ") + "\n"
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:
            continue  # a quotation goes on in the next line
        begun = ""
        if words:
            yield words
    assert not begun, "a quotation has no end"


def check_make(words: list[str]) -> None:
    subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)  # noqa: S607


def check_python(words: list[str]) -> None:
    match words[1:]:
        case ["manage.py", "shell", "-c", code]:
            ast.parse(code)
        case ["manage.py", command, *arguments]:
            ManagementUtility().fetch_command(command).create_parser("manage.py", command).parse_args(arguments)
        case ["-m", "venv", _]:
            pass
        case ["-m", "benchmarks", *arguments]:
            benches = [sys.executable, "-m", "benchmarks", "--help"]
            said = subprocess.run(benches, cwd=ROOT, capture_output=True, text=True).stdout
            assert {one for one in arguments if one.startswith("--")} <= set(re.findall(r"--[\w-]+", said))
        case ["-m", "pytest", *arguments]:
            check_pytest(["pytest", *arguments])
        case ["-m", "pip", *arguments]:
            check_pip(["pip", *arguments])
        case _:
            raise AssertionError(f"no check for {shlex.join(words)}")


def check_pip(words: list[str]) -> None:
    """`pip install` of this project, with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert words[1] == "install"
    for argument in words[2:]:
        match = re.fullmatch(r"(?P<name>\.|[\w-]+)(\[(?P<extras>[\w,-]+)\])?", argument)
        if not argument.startswith("-"):
            assert match, argument
            assert match["name"] in {".", project["name"]}, f"{match['name']} is another project"
            assert set((match["extras"] or "").split(",")) - {""} <= set(project["optional-dependencies"])


def check_celery_command(words: list[str]) -> None:
    match words:
        case ["celery", "-A", "mysite", "call", task]:
            assert task in {known.name for known in facts.celery_tasks()}
        case _:
            assert {"worker", "beat"} & set(words), f"no check for {shlex.join(words)}"


def check_nox(words: list[str]) -> None:
    """The sessions exist."""
    sessions = {name for name, value in vars(noxfile).items() if hasattr(value, "python") and callable(value)}
    named = [words[place + 1].partition("-")[0] for place, word in enumerate(words) if word == "-s"]
    assert named or "--list" in words
    assert set(named) <= sessions


def check_pytest(words: list[str]) -> None:
    """The files exist."""
    assert [word for word in words[1:] if word.endswith(".py") and not (ROOT / word).is_file()] == []


def check_gunicorn(words: list[str]) -> None:
    """What it logs is neither the request line nor the referrer: a query would stand in both."""
    logged = words[words.index("--access-logformat") + 1]
    assert not set(re.findall(r"%\((\w+)\)", logged)) & {"r", "q", "f"}


def check_curl(words: list[str]) -> None:
    """It asks for an address that the tool has, with a header that it heeds."""
    resolve(urlsplit(words[-1]).path)
    assert any(word.startswith("Authorization: Bearer ") for word in words)


def accept(words: list[str]) -> None:
    """Nothing of ours is in this command."""


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "cd": accept,
    "celery": check_celery_command,
    "cp": accept,
    "curl": check_curl,
    "git": accept,
    "gunicorn": check_gunicorn,
    "make": check_make,
    "nox": check_nox,
    "pip": check_pip,
    "python": check_python,
    "pytest": check_pytest,
    "python3": check_python,
    "source": accept,
}
HANDLERS: dict[str, Callable[[Block, pytest.FixtureRequest], None]] = {
    "celery": check_celery,
    "celery-file": check_celery_file,
    "file": check_file,
    "grades": check_grades,
    "log-format": check_log_format,
    "make": check_shell,
    "manage": check_shell,
    "settings": check_settings,
    "settings-too": check_settings_too,
    "shell": check_shell,
    "syntax": check_syntax,
    "unit": check_unit,
    "urls": check_urls,
    "views": check_views,
}


def test_readme_and_documentation_show_code():
    assert {"README.md", "docs/index.md", "docs/how-to/sso.md"} <= {block.page for block in BLOCKS}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page} line {block.line} {block.handler}")
def test_block(block, request):
    assert block.name, f"the block at line {block.line} has no line `<!-- test: NAME -->` before it"
    assert block.handler in HANDLERS, f"no handler {block.handler!r}; there are {', '.join(HANDLERS)}"
    HANDLERS[block.handler](block, request)


def test_blocks_are_found_with_and_without_a_name():
    text = "<!-- test: make -->\n```shell\nmake demo\n```\n\nText.\n\n```python\nx = 1\n```\n"
    assert list(read_blocks(text)) == [
        Block("make", "shell", "make demo\n", 2),
        Block("", "python", "x = 1\n", 8),
    ]


@pytest.mark.parametrize("code", ["make nonsense", "python manage.py nonsense", "rm -rf /", "pip install other", ""])
def test_a_wrong_command_is_found(code, request):
    with pytest.raises((AssertionError, subprocess.CalledProcessError, management.CommandError, SystemExit)):
        check_shell(Block("shell", "shell", code, 1), request)
