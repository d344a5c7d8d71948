"""A small extension for Sphinx: pages of the reference are written from the code while the site is built.

A page says where: a line `<!-- reference: settings -->` becomes the settings, and so on for each name in `WRITERS`;
words after the name are handed on (`<!-- reference: models LtiUser Membership -->`). Docstrings that autodoc reads are
plain text with names in single backticks; an indented example in them becomes a block of code.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

from docs._ext import facts
from ltiaas_django import exceptions

_WRITTEN_BY_AUTODOC = {"ApiError", "Launch", "Throttled"}
"""Classes that a page shows in full as well: signatures lead there."""
_WIDTH = 90  # columns of a block that fit on a page
MARK = re.compile(r"^<!-- reference: (?P<name>[\w-]+)(?P<words>[^>\n]*) -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("source-read", _write_pages)
    app.connect(
        "env-get-outdated", lambda _app, env, *_changes: [name for name in env.found_docs if "reference/" in name]
    )
    app.connect("autodoc-process-docstring", _mark_examples)
    app.connect("autodoc-process-signature", _say_default)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _written_pages(_app: Sphinx, env: BuildEnvironment, *_changes: object) -> list[str]:
    """Whatever in the code has changed, Sphinx does not see it."""
    return [name for name in env.found_docs if name.startswith("reference/")]


def _write_pages(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = MARK.sub(lambda mark: write(mark["name"], mark["words"].split()), source[0])


def write(name: str, words: Sequence[str] = ()) -> str:
    """One part of the reference, in Markdown. Raises ExtensionError for a name that there is not."""
    if name not in WRITERS:
        raise ExtensionError(f"The reference has no part {name!r}; there are {', '.join(WRITERS)}.")
    return "\n\n".join(WRITERS[name](*words))


def _settings() -> Iterator[str]:
    for one in facts.settings():
        yield f"(setting-{one.name.lower()})=\n## `{one.name}`"
        default = f"Default: `{one.default}`." if one.default else "Required."
        yield f"`{one.type}` · {default}"
        yield one.text
        yield f"It must be {_as_text(one.must)}."
        example = re.split(", (?:or|with) ", one.example)[0]  # what follows is advice
        if example.replace('"', "'") != one.default:
            yield _code("python", f'LTIAAS = {{"{one.name}": {example}, ...}}')


def _commands() -> Iterator[str]:
    for one in facts.commands():
        yield f"(command-{one.name})=\n## `{one.name}`"
        yield _as_text(one.text)
        yield _code("text", one.help)


def _checks() -> Iterator[str]:
    for one in facts.checks_found():
        yield f"(check-{one.id.partition('.')[2].lower()})=\n## {one.id}: {one.title}"
        yield _code("text", "\n".join(textwrap.fill(line, _WIDTH) for line in (one.says, f"HINT: {one.hint}")))


def _signals() -> Iterator[str]:
    for one in facts.signals_sent():
        yield f"(signal-{one.name})=\n## `{one.name}`"
        yield one.text


def _errors() -> Iterator[str]:
    found = facts.errors()
    yield _code("text", "\n".join(_branch(one) for one in found))
    rows = ["| error | status or code | says |", "|---|---|---|"]
    for one in found:
        text = one.text.replace("\n\n", " ").replace("\n", " ")
        rows.append(f"| `{one.name}` | {_about(one.kind)} | {text} |")
        if one.name not in _WRITTEN_BY_AUTODOC:
            yield _target("exception", f"{exceptions.__name__}.{one.name}")
    yield "\n".join(rows)


def _branch(one: facts.Error) -> str:
    others = [base.__name__ for base in one.kind.__bases__ if base.__module__ != exceptions.__name__ and one.depth]
    return "    " * one.depth + one.name + (f" (also {', '.join(others)})" if others else "")


def _about(kind: type[exceptions.LtiError]) -> str:
    """What a program may do with it."""
    if issubclass(kind, exceptions.LaunchError):
        return f"status {kind.status_code}"
    if issubclass(kind, exceptions.ApiError) and kind is not exceptions.ApiError:
        return f"`{kind('', '').code}`" + (", retryable" if kind.retryable else "")
    return ""


def _tasks() -> Iterator[str]:
    for one in facts.celery_tasks():
        yield f"## `{one.name}`"
        yield f"Arguments: {f'`{one.arguments}`' if one.arguments else 'none'}."
        yield one.text


def _models(*names: str) -> Iterator[str]:
    for model in facts.tables(names):
        if model.name not in _WRITTEN_BY_AUTODOC:
            yield _target("class", model.path)
        yield f"(model-{model.name.lower()})=\n## `{model.name}`"
        yield model.text
        rows = [f"| `{field.name}` | {field.holds} | {field.text.replace(chr(10), ' ')} |" for field in model.fields]
        yield "\n".join(["| field | holds | meaning |", "|---|---|---|", *rows])


def _addresses() -> Iterator[str]:
    rows = [f"| `{one.path}` | `{one.name}` | {one.text} |" for one in facts.addresses()]
    yield "\n".join(["| address | name | meaning |", "|---|---|---|", *rows])


def _lmss() -> Iterator[str]:
    for one in facts.lmss():
        yield f"## {one.title}: `{one.name}`"
        yield one.text + (f" What `{one.like}` does, and:" if one.like else "")
        yield "\n".join(f"- {_as_text(quirk.text)} <small>({_as_text(quirk.source)})</small>" for quirk in one.quirks)


def _control() -> Iterator[str]:
    yield _code("text", facts.control_api())


WRITERS: dict[str, Callable[..., Iterator[str]]] = {
    "addresses": _addresses,
    "checks": _checks,
    "commands": _commands,
    "control": _control,
    "errors": _errors,
    "lmss": _lmss,
    "models": _models,
    "settings": _settings,
    "signals": _signals,
    "tasks": _tasks,
}


def _code(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _target(kind: str, path: str) -> str:
    """Lets signatures lead to this place; nothing is shown."""
    return f"```{{py:{kind}}} {path}\n:no-typesetting:\n```"


def _as_text(text: str) -> str:
    """Text that was not written as Markdown."""
    return re.sub(r"([*_`<\[])", r"\\\1", text)


def _mark_examples(_app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    """Let an indented paragraph after a sentence that ends with a colon, or stands alone, be a block of code."""
    marked: list[str] = []
    for line in lines:
        is_example = line.startswith("    ") and (len(marked) < 2 or not marked[-1])
        last = next((one for one in reversed(marked) if one), "")
        if is_example and not last.startswith("    ") and not _is_in_field(last):
            marked += [".. code-block:: python", ""]
        marked.append(line)
    lines[:] = marked


def _is_in_field(line: str) -> bool:
    """Whether the line opens a list, whose items are indented as well."""
    return line.lstrip().startswith(("-", "*", ":", ".."))


def _say_default(
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """A dataclass's default that is made anew each time has no text that could be read as Python."""
    return (signature.replace("<factory>", "...") if signature else signature), returned
