"""HTML pages as a browser sees them: their forms, their tables, their text."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser


@dataclasses.dataclass
class Form:
    """A form: its fixed fields, and its questions with the values to choose from."""

    action: str = ""
    fields: dict[str, str] = dataclasses.field(default_factory=dict)
    questions: dict[str, dict[str, tuple[str, str]]] = dataclasses.field(default_factory=dict)
    """For each question (the text of its legend) the name and value of the radio button behind each label."""

    def fill_in(self, answers: dict[str, str]) -> dict[str, str]:
        """The data to post. A question is named by how it ends, an answer by its label. Raises KeyError."""
        data = dict(self.fields)
        for question, answer in answers.items():
            legend = next((legend for legend in self.questions if legend.endswith(question)), None)
            if legend is None or answer not in self.questions[legend]:
                raise KeyError(f"The form has no answer {answer!r} to the question {question!r}.")
            name, value = self.questions[legend][answer]
            data[name] = value
        return data


class Page(HTMLParser):
    """What was read out of one page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.rows: list[list[str]] = []
        """The cells of every table row."""
        self.heading = ""
        self._hidden = 0
        self._words: list[str] = []
        self._taking: str | None = None
        self._taken: list[str] = []
        self._legend = ""
        self._radio: tuple[str, str] | None = None
        self.feed(html)
        self.close()

    @property
    def text(self) -> str:
        """All text of the page."""
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in ("style", "script"):
            self._hidden += 1
        elif tag == "form":
            self.forms.append(Form(attributes.get("action", "")))
        elif tag == "input" and self.forms:
            self._input(attributes)
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("h1", "legend", "label", "th", "td"):
            self._taking, self._taken = tag, []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self._hidden -= 1
        if tag != self._taking:
            return
        text = " ".join(" ".join(self._taken).split())
        self._taking = None
        if tag == "h1":
            self.heading = text
        elif tag == "legend":
            self._legend = text
        elif tag == "label" and self._radio:
            self.forms[-1].questions.setdefault(self._legend, {})[text] = self._radio
            self._radio = None
        elif tag in ("th", "td") and self.rows:
            self.rows[-1].append(text)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words.append(data)
            self._taken.append(data)

    def _input(self, attributes: dict[str, str]) -> None:
        kind, name, value = (attributes.get(part, "") for part in ("type", "name", "value"))
        if kind == "hidden":
            self.forms[-1].fields[name] = value
        elif kind == "radio":
            self._radio = (name, value)
            if "checked" in attributes:
                self.forms[-1].fields[name] = value
