"""Imports only go down: the floors of the package, proved from its source.

words        no models, no network
wires        arguments in, data out; never sees settings or models
rows         what is remembered; never touches the network
operations   one module per thing the app does; rows and wires meet here only
names        the public names for a tool's own code, re-exports of operations
faces        views, tasks, admin, commands: each calls an operation
stage        the sandbox and the helpers for tests; no floor below imports it
"""

from __future__ import annotations

import ast
import pathlib
import sys
from collections.abc import Iterator, Mapping

import pytest

PACKAGE = "ltiaas_django"
ROOT = pathlib.Path(__file__).parent.parent / PACKAGE

# Every module or subpackage directly below the package, on its floor, lowest first. A new one needs a place here.
FLOORS = {
    "words": {
        "conf",
        "content_items",
        "data",
        "exceptions",
        "findings",
        "redaction",
        "schedules",
        "sealing",
        "signals",
        "vocabulary",
    },
    "wires": {"connections"},
    "rows": {"fields", "migrations", "models"},
    "operations": {"operations"},
    "names": {"grades", "rosters"},
    "faces": {
        "admin",
        "apps",
        "checks",
        "decorators",
        "deep_linking",
        "doctor",
        "framing",
        "health",
        "languages",
        "ltiks",
        "management",
        "metrics",
        "middleware",
        "mixins",
        "pages",
        "tasks",
        "templatetags",
        "urls",
        "views",
    },
    "stage": {"pytest_plugin", "sandbox", "testing"},
}
RANKS = {name: rank for rank, names in enumerate(FLOORS.values()) for name in names}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}

NETWORK = ("aiohttp", "http.client", "httpx", "requests", "socket", "urllib.request", "urllib3")
# What the modules of a floor, or one module, never import, however low it lies.
FORBIDDEN = {
    "words": (*NETWORK, "django.db"),
    "wires": ("django.conf", "django.db", f"{PACKAGE}.conf"),
    "rows": NETWORK,
    "schedules": ("django.conf", f"{PACKAGE}.conf"),
}
# How a platform is reached is one module's business.
CONNECTION_KINDS = (f"{PACKAGE}.connections.ltiaas", f"{PACKAGE}.connections.lti13")
KNOWS_THE_KINDS = f"{PACKAGE}.operations.connecting"
# The simulator writes its JSON from the contract: nothing of the client's may help it.
SANDBOX_MAY_IMPORT = ("django", "cryptography", f"{PACKAGE}.sandbox", f"{PACKAGE}.vocabulary")
IMPORTED_LATE = {
    # Checks may look at everything, so they are loaded once the apps are ready.
    (f"{PACKAGE}.apps", "ready", f"{PACKAGE}.checks"),
    # pytest loads its plugins before Django's settings are there, and where there are none.
    (f"{PACKAGE}.pytest_plugin", "lti_lms", f"{PACKAGE}.testing"),
}


def within(module: str, *roots: str) -> bool:
    """Whether the module is one of the roots or lies below one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def top(module: str) -> str:
    """The part of a module's name that FLOORS knows; blank for the package itself."""
    return module.removeprefix(PACKAGE).removeprefix(".").partition(".")[0]


def read_package() -> dict[str, str]:
    """The source of every module, by dotted name. A package stands under its own name, with `__init__` left out."""
    sources = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        sources[f"{name}.__init__" if parts[-1] == "__init__" else name] = path.read_text()
    return sources


def violations(sources: Mapping[str, str]) -> list[str]:
    """Every breach of the import rule, one sentence each. Packages are named `package.__init__`."""
    known = {name.removesuffix(".__init__") for name in sources}
    found = []
    graph: dict[str, set[str]] = {}
    for name, source in sorted(sources.items()):
        module = name.removesuffix(".__init__")
        is_package = name.endswith(".__init__")
        if module != PACKAGE and top(module) not in RANKS:
            found.append(f"{module}: on no floor; place it on a floor in FLOORS")
            continue
        imports = list(find_imports(ast.parse(source), module if is_package else module.rpartition(".")[0], known))
        graph[module] = {target for target, _ in imports}
        for target, function in imports:
            found += (f"{module}: {problem}" for problem in judge(module, target, function))
    return found + [f"{' -> '.join(circle)}: a circle" for circle in circles(graph)]


def find_imports(tree: ast.AST, package: str, known: set[str], function: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of an imported module and the function it is imported in (blank at the top of a module)."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, function) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = ".".join(filter(None, [*package.split(".")[: len(package.split(".")) - level + 1], source]))
                base = base if level else source or ""
                for alias in names:
                    submodule = f"{base}.{alias.name}"
                    yield submodule if submodule in known else base, function
            case ast.Call(
                func=ast.Name(id="import_module" | "import_string" | "__import__")
                | ast.Attribute(attr="import_module" | "import_string"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield target, function
        inner = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from find_imports(node, package, known, inner)


def judge(module: str, target: str, function: str) -> Iterator[str]:
    """What is wrong with one import."""
    if function and (module, function, target) not in IMPORTED_LATE:
        yield f"imports {target} inside {function}(); import at the top, from a lower floor"
    for key in {FLOOR_OF.get(top(module), ""), top(module)}:
        if within(target, *FORBIDDEN.get(key, ())):
            yield f"imports {target}, which {key} never does"
    if within(module, f"{PACKAGE}.sandbox"):
        is_standard = target.partition(".")[0] in sys.stdlib_module_names
        if not is_standard and not within(target, *SANDBOX_MAY_IMPORT):
            yield f"imports {target}; the sandbox imports only Django, cryptography and vocabulary"
    if not within(target, PACKAGE):
        return
    if module == PACKAGE:
        yield f"imports {target}; the package itself imports nothing of its own"
        return
    here, there = RANKS[top(module)], RANKS.get(top(target))
    if there is not None and there > here:
        yield f"imports {target}, upward from {FLOOR_OF[top(module)]} to {FLOOR_OF[top(target)]}"
    if within(target, *CONNECTION_KINDS) and module != KNOWS_THE_KINDS and FLOOR_OF[top(module)] != "wires":
        yield f"imports {target}; only operations/connecting.py names a kind of connection"


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """One circle of imports for each module where a walk along the imports comes back to its own path."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> Iterator[list[str]]:
        if module in path:
            yield [*path[path.index(module) :], module]
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                yield from walk(target, [*path, module])
            done.add(module)

    for module in sorted(graph):
        yield from walk(module, [])


def test_imports_only_go_down():
    assert violations(read_package()) == []


def test_public_names_are_re_exports():
    """`grades` and `rosters` hold a docstring, imports and `__all__`, nothing else."""
    for name in FLOORS["names"]:
        path = ROOT / f"{name}.py"
        body = ast.parse(path.read_text()).body[1:] if path.exists() else []
        assert all(isinstance(node, ast.Import | ast.ImportFrom | ast.Assign) for node in body), name


def plant(sources: Mapping[str, str]) -> dict[str, str]:
    """A package with an empty module for every name on the floors, and these modules in place of theirs."""
    names = {*RANKS, "__init__", "connections.ltiaas.__init__"} - set(sources)
    names -= {name.removesuffix(".__init__") for name in sources}
    return {f"{PACKAGE}.{name}": source for name, source in {**dict.fromkeys(names, ""), **sources}.items()}


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("data", "from ltiaas_django import models", "upward from words to rows"),
        ("data", "from ltiaas_django.models import Launch", "upward from words to rows"),
        ("data", "import ltiaas_django.models.launches", "upward from words to rows"),
        ("models.launches", "from .. import operations", "upward from rows to operations"),
        ("models.launches", "from ..operations.grades import record_score", "upward from rows to operations"),
        ("operations.grades", "from ltiaas_django import tasks", "upward from operations to faces"),
        ("views", "from ltiaas_django import sandbox", "upward from faces to stage"),
        ("management.commands.ltiaas_status", "from ltiaas_django.testing import factories", "to stage"),
        (
            "data",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ltiaas_django import models",
            "upward from words to rows",
        ),
        ("operations.grades", "def send():\n    from ltiaas_django import models", "inside send()"),
        ("operations.grades", "async def send():\n    import json", "inside send()"),
        ("operations.grades", "import importlib\nimportlib.import_module('ltiaas_django.tasks')", "to faces"),
        ("apps", "def ready():\n    from ltiaas_django import tasks", "inside ready()"),
        ("views", "def ready():\n    from ltiaas_django import checks", "inside ready()"),
        ("pytest_plugin", "def lti_lms():\n    from ltiaas_django import models", "inside lti_lms()"),
        ("sandbox.server", "from ltiaas_django import data", "only Django, cryptography and vocabulary"),
        ("sandbox.server", "import requests", "only Django, cryptography and vocabulary"),
        ("operations.grades", "from ltiaas_django.connections import ltiaas", "only operations/connecting.py"),
        ("views", "from ltiaas_django.connections.ltiaas.http import send", "only operations/connecting.py"),
        ("connections.base", "from django.conf import settings", "which wires never does"),
        ("connections.base", "from ltiaas_django import conf", "which wires never does"),
        ("connections.base", "from django.db import models", "which wires never does"),
        ("models.launches", "import requests", "which rows never does"),
        ("schedules", "from ltiaas_django import conf", "which schedules never does"),
        ("__init__", "from ltiaas_django import grades", "imports nothing of its own"),
        ("novelties", "", "place it on a floor"),
    ],
)
def test_a_planted_breach_is_found(module, source, breach):
    found = violations(plant({module: source}))
    assert len(found) == 1
    assert breach in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("operations.connecting", "from ltiaas_django.connections import ltiaas\nfrom ltiaas_django import models"),
        ("apps", "class Config:\n    def ready(self):\n        from ltiaas_django import checks"),
        ("connections.ltiaas.http", "import requests\nfrom ltiaas_django import data, exceptions"),
        ("sandbox.server", "import json\nfrom django.http import JsonResponse\nfrom ltiaas_django import vocabulary"),
        ("testing.factories", "from ltiaas_django import models, sandbox"),
        ("pytest_plugin", "def lti_lms():\n    from ltiaas_django import testing"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module, source):
    assert violations(plant({module: source})) == []


@pytest.mark.parametrize(
    "sources",
    [
        {"data": "from ltiaas_django import sealing", "sealing": "from ltiaas_django import data"},
        {
            "operations.grades": "from ltiaas_django.operations import delivery",
            "operations.delivery": "from ltiaas_django.operations import sso",
            "operations.sso": "from ltiaas_django.operations.grades import record_score",
        },
        {
            "models.__init__": "from ltiaas_django.models.launches import Launch",
            "models.launches": "from ltiaas_django.models import Context",
        },
    ],
)
def test_a_circle_within_a_floor_is_found(sources):
    found = violations(plant(sources))
    assert [line.endswith("a circle") for line in found] == [True]
