"""The sandbox's console, in a browser: everybody can use it, at every width, and its log follows by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from ltiaas_django.sandbox import Sandbox
from tests.browser.browsers import Mode
from tests.browser.looking import Findings
from tests.browser.people import LIAM, TEACHER, ZOE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.browser.urls"),
    pytest.mark.parametrize("mode", [Mode.BLOCKED], ids=["cookies-blocked"]),
]


@pytest.fixture
def busy(school: Sandbox) -> Sandbox:
    """A sandbox that a tool has asked all kinds of things."""
    ltik = school.launch("course-101", "quiz-1", ZOE)
    item = school.course("course-101").line_items_of("quiz-1")[0].id
    score = {"userId": LIAM, "activityProgress": "Completed", "gradingProgress": "FullyGraded", "comment": "Good <b>"}
    school.fault("status", route="memberships", status=503)
    ask(school, ltik, "GET", "/api/idtoken")
    ask(school, ltik, "GET", "//api/memberships?role=Learner")
    ask(school, ltik, "POST", f"/api/lineitems/{requests.utils.quote(item, safe='')}/scores", json=score)
    ask(school, ltik, "GET", f"/api/lineitems?resourceLinkId={'x' * 200}")
    return school


def ask(school: Sandbox, ltik: str, method: str, path: str, **options: object) -> None:
    """Ask the API as a tool does."""
    headers = {"Authorization": f"LTIK-AUTH-V2 {school.api_key}:{ltik}"}
    requests.request(method, f"{school.origin}{path}", headers=headers, timeout=10, **options)


def test_every_page(page: Page, busy: Sandbox, findings: Findings) -> None:
    busy.set_profile("canvas")
    busy.add_school("north", "North High", profile="generic_strict")
    busy.fault("throttle", times=None, course="course-101", person=TEACHER)
    busy.fault("delay", delay=2, route="scores")
    busy.advance_clock(90_000)
    paths = {
        "log": "",
        "warnings": "?warnings=1",
        "request": "requests/3/",
        "no request": "requests/99/",
        "faults": "faults/",
        "lms": "lms/",
        "another lms": "lms/north/",
        "clock": "clock/",
        "tool": "tool/",
        "state": "state/",
    }
    for name, path in paths.items():
        page.goto(f"{busy.origin}/console/{path}")
        findings.look(page, f"console, {name}")


def test_a_fault_is_planned_by_the_keyboard(page: Page, busy: Sandbox, findings: Findings) -> None:
    page.goto(f"{busy.origin}/console/faults/")
    summary = page.locator("summary").first
    findings.reach(page, "console, faults", summary)
    page.keyboard.press("Enter")
    status = page.get_by_label("Status", exact=True)
    expect(status).to_be_visible()
    findings.look(page, "console, fault's form")
    status.fill("700")
    page.locator("form", has=status).evaluate("form => form.noValidate = true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("from 200 to 599")
    expect(status).to_have_value("700")
    findings.look(page, "console, fault refused")
    status.fill("429")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_visible()
    findings.look(page, "console, fault planned")
    findings.reach(page, "console, fault planned", page.get_by_role("button", name="Take back fault"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is to go wrong")).to_be_visible()


def test_another_lms_is_chosen_after_a_question(page: Page, busy: Sandbox, findings: Findings) -> None:
    page.goto(f"{busy.origin}/console/lms/")
    page.get_by_label("Profile").select_option("moodle")
    page.get_by_role("button", name="Change").click()
    yes = page.get_by_role("button", name="Yes, change to Moodle")
    expect(yes).to_be_visible()
    findings.look(page, "console, confirm")
    findings.reach(page, "console, confirm", yes)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Moodle", level=1)).to_be_visible()
    expect(page.get_by_role("status")).to_be_visible()


def test_the_log_follows_by_itself_until_it_is_told_not_to(page: Page, busy: Sandbox) -> None:
    ltik = busy.launches.ltiks()[0]
    page.goto(f"{busy.origin}/console/")
    expect(page.get_by_role("row")).to_have_count(5)
    ask(busy, ltik, "GET", "/api/lineitems")
    expect(page.get_by_role("row")).to_have_count(6)
    page.get_by_label("The log follows by itself").uncheck()
    ask(busy, ltik, "GET", "/api/lineitems")
    with page.expect_request("**/console/", timeout=5000) as asked:
        page.get_by_label("The log follows by itself").check()
    assert asked.value.resource_type == "fetch"
    expect(page.get_by_role("row")).to_have_count(7)


def test_the_state_is_saved_and_loaded(page: Page, busy: Sandbox, findings: Findings, tmp_path: Path) -> None:
    page.goto(f"{busy.origin}/console/state/")
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save the state").click()
    saving.value.save_as(tmp_path / "state.json")
    busy.reset()
    page.get_by_label("A file that was saved").set_input_files(tmp_path / "state.json")
    page.get_by_role("button", name="Replace everything").click()
    expect(page.get_by_role("status")).to_be_visible()
    findings.look(page, "console, state loaded")
    assert [cell.comment for cell in busy.gradebook("course-101")] == ["Good <b>"]
    page.get_by_role("button", name="Reset").click()
    findings.look(page, "console, confirm reset")
    page.get_by_role("link", name="No, go back").click()
    expect(page.get_by_role("heading", name="State")).to_be_visible()


def test_settings_are_copied(page: Page, busy: Sandbox) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=busy.origin)
    page.goto(f"{busy.origin}/console/tool/")
    page.get_by_role("button", name="Copy the settings").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert busy.api_key in page.evaluate("navigator.clipboard.readText()")
