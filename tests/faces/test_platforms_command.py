"""`ltiaas_platforms`: what it prints, what it asks, and how it ends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from ltiaas_django.models import Platform
from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.platforms import described
from ltiaas_django.testing import factories
from tests.lms import Lms

OURS = Sandbox().school
SCHOOL = [
    "--issuer", "https://lms.school.example", "--client-id", "c1", "--name", "Northern School",
    "--authentication-endpoint", "https://lms.school.example/auth",
    "--access-token-endpoint", "https://lms.school.example/token",
    "--method", "JWK_SET",
]  # fmt: skip
KEY = ["--key", "https://lms.school.example/jwks"]
Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command; what it prints. `typed` is the answer to its question."""

    def run(*args: object, typed: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        printed = io.StringIO()
        call_command("ltiaas_platforms", *map(str, args), stdout=printed)
        return printed.getvalue()

    return run


@pytest.fixture
def own(lms: Lms) -> Platform:
    platform: Platform = factories.PlatformFactory.create(ltiaas_id=OURS.platform_id, name="Ours")
    return platform


def held(lms: Lms) -> dict[str, Any]:
    return lms.sandbox.platforms.shown(OURS.platform_id)


def test_the_list_joins_what_is_here_and_at_ltiaas(lms: Lms, run: Run, own: Platform) -> None:
    gone = factories.PlatformFactory.create(ltiaas_id="gone", name="Old\x1b[31m", is_active=False)
    new = lms.sandbox.platforms.add(described("https://x.example", "c", "New"), is_active=False)
    lines = [line.split() for line in run("list").splitlines()]
    assert ["Ours", str(own.pk), own.issuer, own.client_id, "active", "active", OURS.platform_id] in lines
    assert any(
        line[:2] == ["Old�[31m", str(gone.pk)] and line[-4:] == ["stopped", "not", "there", "gone"] for line in lines
    )
    assert ["New", "–", "https://x.example", "c", "no", "row", "inactive", new["id"]] in lines
    listed = json.loads(run("list", "--json"))
    assert [(one["number"], one["here"], one["at_ltiaas"]) for one in listed] == [
        (own.pk, "active", "active"), (gone.pk, "stopped", "not there"), (None, "no row", "inactive"),
    ]  # fmt: skip
    assert run("sync") == (
        "LTIAAS lists 2: 1 new here, 1 changed.\n1 here are not known to LTIAAS any more, and cannot launch.\n"
    )
    assert Platform.objects.get(ltiaas_id=new["id"]).name == "New"


def test_one_is_shown_by_number_or_id(lms: Lms, run: Run, own: Platform) -> None:
    shown = run("show", own.pk)
    assert f"client id: {OURS.client_id}" in shown
    assert "public key: -----BEGIN PUBLIC KEY-----\n  simulated" in shown
    assert json.loads(run("show", OURS.platform_id, "--json"))["auth_method"] == "JWK_SET"


def test_register_and_edit(lms: Lms, run: Run, tmp_path: Any) -> None:
    printed = run("register", *SCHOOL, *KEY)
    platform = Platform.objects.get()
    assert printed == f"Registered: Northern School has the number {platform.pk} here.\n"
    pem = tmp_path / "key.pem"
    pem.write_text("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n")
    run("edit", platform.pk, "--method", "RSA_KEY", "--key-file", pem, "--name", "The school", "--yes")
    changed = lms.sandbox.platforms.shown(platform.ltiaas_id or "")
    assert (changed["name"], changed["clientId"]) == ("The school", "c1")
    assert changed["authConfig"] == {"method": "RSA_KEY", "key": pem.read_text().strip()}
    platform.refresh_from_db()
    assert platform.name == "The school"


@pytest.mark.parametrize(
    ("typed", "is_done"), [("Ours\n", True), ("yes\n", False), ("", False)], ids=["name", "yes", "nothing"]
)
@pytest.mark.parametrize("what", [["activate"], ["deactivate"], ["delete"], ["edit", "--name", "New"]], ids=" ".join)
def test_the_name_must_be_typed(lms: Lms, run: Run, own: Platform, what: list[str], typed: str, is_done: bool) -> None:
    lms.sandbox.platforms.set_active(OURS.platform_id, is_active=what != ["activate"])
    before = lms.sandbox.platforms.all()
    if is_done:
        assert "Type its name, Ours" in run(*what, own.pk, typed=typed)
    else:
        with pytest.raises(CommandError, match="Nothing was changed"):
            run(*what, own.pk, typed=typed)
    assert (lms.sandbox.platforms.all() != before) is is_done
    assert Platform.objects.filter(pk=own.pk).exists()


def test_yes_asks_nothing(lms: Lms, run: Run, own: Platform) -> None:
    assert run("deactivate", own.pk, "--yes") == "Inactive at LTIAAS: Ours.\n"
    assert not held(lms)["active"]
    own.refresh_from_db()
    assert own.active_at_ltiaas is False


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["show", "99"], "There is no platform 99"),
        (["delete", "x\x1b", "--yes"], "There is no platform x�"),
        (["show", "\udcff"], "There is no platform �"),  # a byte that is no UTF-8, as Python hands it on
        (["edit", OURS.platform_id], "Say what to change"),
        (["edit", OURS.platform_id, "--issuer", "ftp://x"], "issuer: This must be an address"),
        (["edit", OURS.platform_id, "--issuer", "https://x/\udcff"], "issuer: This must be an address"),
        (
            ["edit", OURS.platform_id, "--method", "RSA_KEY", "--key", "-----BEGIN A KEY\n\x00"],
            "auth key: .* printed",
        ),
        (["register", *SCHOOL, "--key", "none"], "auth key"),
        (["register", *SCHOOL, "--key-file", "/nowhere"], "The key cannot be read"),
    ],
)
def test_wrong_arguments_end_with_2(lms: Lms, run: Run, own: Platform, args: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words) as caught:
        run(*args)
    assert caught.value.returncode == 2
    assert held(lms)["active"]


@pytest.mark.parametrize("change", [{"URL": "http://127.0.0.1:9"}, {"API_KEY": "old"}])
def test_a_no_of_ltiaas_ends_with_1(lms: Lms, run: Run, own: Platform, settings: Any, change: dict[str, str]) -> None:
    settings.LTIAAS = {**settings.LTIAAS, **change}
    for args in (["list"], ["sync"], ["show", own.pk], ["register", *SCHOOL, *KEY], ["delete", own.pk, "--yes"]):
        with pytest.raises(CommandError, match="LTIAAS") as caught:
            run(*args)
        assert caught.value.returncode == 1
