"""The site builds without a warning, and its pages need nothing from elsewhere."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

from ltiaas_django import conf
from tests.blocks import ROOT

pytestmark = pytest.mark.long

LOADED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["'](?:https?:)?//[^>]*"""
    r"""|<link[^>]*\srel=["'](?:stylesheet|icon|preload)["'][^>]*\shref=["'](?:https?:)?//[^>]*"""
)
"""What a page takes from another site."""


@pytest.mark.long
def test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {page.relative_to(tmp_path).as_posix(): page.read_text() for page in tmp_path.rglob("*.html")}
    ids = {f'id="setting-{name.lower().replace("_", "-")}"' for name in conf.Settings.__annotations__}
    assert {one for one in ids if one not in pages["reference/settings.html"]} == set()
    assert {name: found for name, text in pages.items() if (found := LOADED.findall(text))} == {}


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_says_in_words_what_it_shows(picture: pathlib.Path) -> None:
    text = picture.read_text()
    ids = re.search(r'role="img" aria-labelledby="([\w-]+) ([\w-]+)"', text)
    assert ids
    title, described = (re.search(rf'id="{one}">([^<]+)<', text) for one in ids.groups())
    assert title
    assert described
    assert len(described[1].split()) > 30
    assert "currentColor" in text
    assert not re.search(r'(?:fill|stroke)="#', text)  # one colour of its own would be lost in the dark
