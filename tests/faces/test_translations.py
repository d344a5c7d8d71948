"""Spanish: every text has a translation that fits it, and whoever launches from a Spanish course reads our pages in it.

To mend what the first half finds: `make messages`, translate what is new in the .po file, and `make messages` again.
"""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.base import NodeList
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.test import Client
from django.urls import include, path
from django.utils import timezone, translation
from django.utils.html import escape

import ltiaas_django
from ltiaas_django import deep_linking
from ltiaas_django.decorators import role_required
from ltiaas_django.models import Launch, Platform
from ltiaas_django.views import LaunchView
from ltiaas_django.vocabulary import Role
from tests.lms import Lms, launch_path

PACKAGE = Path(ltiaas_django.__file__).parent
SPANISH = PACKAGE / "locale/es/LC_MESSAGES/django"
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}

Text = tuple[str, str]
"""Context, mostly blank, and the English text; of one with a plural the singular."""

# --- the catalogue ----------------------------------------------------------------------------------------------------


def texts_of_code() -> set[Text]:
    """What the modules of the package hand to gettext. The sandbox is for developers and speaks English."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        if "sandbox" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS:
                given = [ast.literal_eval(text) for text in node.args[:2] if isinstance(text, ast.Constant)]
                found.add((given[0], given[1]) if node.func.id.startswith("pgettext") else ("", given[0]))
    return found


def texts_of_templates() -> set[Text]:
    found = set()
    for file in (PACKAGE / "templates").rglob("*.html"):
        nodes: NodeList = engines["django"].from_string(file.read_text("utf-8")).template.nodelist  # type: ignore[attr-defined]
        for node in nodes.get_nodes_by_type(TranslateNode):  # type: ignore[arg-type]
            context = node.message_context.resolve({}) if node.message_context else ""
            found.add((context, node.filter_expression.var.literal))
        for node in nodes.get_nodes_by_type(BlockTranslateNode):  # type: ignore[arg-type]
            found.add(("", node.render_token_list(node.singular)[0]))
    return found


def catalogue() -> dict[Text, dict[str, str]]:
    """The entries of the .po file: keyword, such as msgstr or msgstr[1], to text."""
    entries: list[dict[str, str]] = []
    for block in SPANISH.with_suffix(".po").read_text("utf-8").split("\n\n"):
        said = re.findall(r'^(msg\S+) ((?:"[^\n]*"\n?)+)', block, re.MULTILINE)
        entries.append({keyword: ast.literal_eval(f"({text})") for keyword, text in said})
    return {(entry.get("msgctxt", ""), entry["msgid"]): entry for entry in entries if entry["msgid"]}


def translations(entry: dict[str, str]) -> list[str]:
    return [text for keyword, text in entry.items() if keyword.startswith("msgstr")]


def test_every_text_has_a_spanish_one_and_none_is_a_guess() -> None:
    entries, source = catalogue(), texts_of_code() | texts_of_templates()
    assert len(source) > 400
    assert not source - entries.keys()
    assert not entries.keys() - source
    assert not [text for text, entry in entries.items() if not all(translations(entry))]
    assert "fuzzy" not in re.findall(r"^#, (.*)$", SPANISH.with_suffix(".po").read_text("utf-8"), re.MULTILINE)


def test_placeholders_and_plurals_agree() -> None:
    def places(text: str) -> list[str]:
        return sorted(re.findall(r"%(?:\(\w+\))?[sd]|\{\}", text))

    for (_context, text), entry in catalogue().items():
        assert [places(spanish) for spanish in translations(entry)] == [places(text)] * len(translations(entry))
        assert len(translations(entry)) == (2 if "msgid_plural" in entry else 1)


def test_what_is_installed_was_compiled_from_what_was_translated() -> None:
    with SPANISH.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for (context, text), entry in catalogue().items():
        if "msgid_plural" in entry:
            got = [compiled.ngettext(text, entry["msgid_plural"], n) for n in (1, 2)]
        else:
            got = [compiled.pgettext(context, text) if context else compiled.gettext(text)]
        assert got == translations(entry)


def test_the_catalogue_tells_nothing_of_who_made_it() -> None:
    text = SPANISH.with_suffix(".po").read_text("utf-8")
    assert not re.search(r"Translator|@|:\d+$|^#: /", text, re.MULTILINE)


# --- the pages --------------------------------------------------------------------------------------------------------


class ToolLaunch(LaunchView):
    def handle_deep_linking_launch(self, request: HttpRequest, launch: Launch) -> HttpResponse:
        return deep_linking.pick(request, launch, [deep_linking.ResourceLinkItem(title="Uno")])


@role_required(Role.INSTRUCTOR)
def for_teachers(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("lti/launch/", ToolLaunch.as_view()),
    path("lti/", include("ltiaas_django.urls")),
    path("teachers/", for_teachers),
]

LAUNCH = "/lti/launch/"
IN_FRAME = {"Sec-Fetch-Dest": "iframe"}


def arrive(
    lms: Lms, browser: Client, person: str = "2001", activity: str | None = "quiz-1", locale: str = "es_MX", **more: Any
) -> Any:
    """Launch from a course in that language, in a frame; the first page that is no redirect."""

    def speak(token: dict[str, Any]) -> None:
        token["launch"]["presentation"]["locale"] = locale

    url = launch_path(lms.sandbox.launch_url("course-101", activity, person, mutate=speak, **more))
    return browser.get(url, headers=IN_FRAME, follow=True)


def language_of(response: Any) -> str:
    return str(re.findall(r'<html lang="(.*?)">', response.content.decode())[0])


def assert_spanish(response: Any, title: str, *, status: int = 200) -> None:
    """The page is in Spanish, to its last word, and says so."""
    text = response.content.decode()
    assert f"<h1>{title}</h1>" in text
    assert (language_of(response), response.status_code) == ("es", status)
    assert not [english for _context, english in catalogue() if len(english) > 9 and escape(english) in text]
    assert translation.get_language() == "en-us", "the next request is in the language of the site"


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("es_MX", "es"),
        ("es-419", "es"),
        ("de_DE", "en"),  # Django speaks German, we do not: the page is English, and says so
        ("tlh", "en"),
    ],
)
@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_page_says_the_language_that_it_is_in(lms: Lms, locale: str, language: str) -> None:
    page = arrive(lms, Client(), locale=locale)
    assert {"es": "<h1>Ha iniciado sesión", "en": "<h1>You are signed in"}[language] in page.content.decode()
    assert language_of(page) == language


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_every_page_on_the_way_of_a_launch_speaks_spanish(lms: Lms) -> None:
    browser = Client()
    assert_spanish(arrive(lms, browser), "Ha iniciado sesión")
    launch = Launch.objects.get()
    assert_spanish(browser.get("/teachers/"), "¿Qué actividad?")
    assert_spanish(browser.get("/teachers/", {"lti": launch.pk}), "No ha funcionado", status=403)
    assert_spanish(Client().get("/teachers/", {"lti": launch.pk}), "Abra de nuevo la actividad", status=403)
    Launch.objects.update(expires_at=timezone.now())
    expired = browser.get("/teachers/", {"lti": launch.pk})
    assert_spanish(expired, "Abra de nuevo la actividad", status=403)
    assert f"Abra de nuevo “{launch.resource_link}” desde el curso “{launch.context}”." in expired.content.decode()
    picker = arrive(lms, browser, "1001", None, type="deep_linking")
    assert_spanish(picker, "¿Qué desea añadir?")
    operator = Client()
    operator.force_login(User.objects.create_superuser("root"))
    assert_spanish(arrive(lms, operator), "¿Reemplazar su sesión?")
    User.objects.filter(lti_users__lti_id="2001").update(is_active=False)
    assert_spanish(arrive(lms, Client()), "No se pudo abrir la actividad", status=403)


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_new_tab_speaks_spanish(lms: Lms) -> None:
    class Forgetful(Client):
        """A browser that keeps no cookies in a frame."""

        def request(self, **request: Any) -> Any:
            self.cookies.clear()
            return super().request(**request)

    assert_spanish(arrive(lms, Forgetful()), "Abrir en una pestaña nueva", status=403)


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_the_question_for_an_account_speaks_spanish(lms: Lms) -> None:
    lms.launch("1001")
    Platform.objects.update(account_linking=Platform.AccountLinking.ASK)
    question = arrive(lms, Client())
    assert_spanish(question, "¿Ya tiene una cuenta aquí?")
    account = Client()
    account.force_login(User.objects.create_user("zoe"))
    confirm = account.get(question.context["account_url"])
    assert_spanish(confirm, "¿Vincular su cuenta?")
    assert_spanish(account.post(question.context["account_url"], {"answer": "link"}), "Su cuenta está vinculada")
    again = Client().get(question.request["PATH_INFO"] + "?" + question.request["QUERY_STRING"])
    assert_spanish(again, "No ha funcionado", status=403)
