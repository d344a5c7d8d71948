"""What does not work in a frame, or must not: it opens in a tab of its own, and leads back."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from ltiaas_django.models import Platform
from ltiaas_django.sandbox import Sandbox
from tests.browser.browsers import Mode
from tests.browser.looking import Findings
from tests.browser.people import (
    ZOE,
    answer,
    ask_for_accounts,
    await_close,
    grades,
    open_in_frame,
    press,
    sees_quiz,
    sees_result,
    sign_in,
)
from tests.browser.servers import Tool
from tests.lms import night

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.browser.urls")]


@pytest.mark.parametrize("mode", [Mode.NOT_IN_FRAMES])
def test_without_cookies_in_frames_the_activity_opens_in_a_tab(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool, findings: Findings
) -> None:
    button = open_in_frame(page, school, ZOE).get_by_role("button", name="Open in a new tab")
    findings.look(page, "open in a new tab", page.frames[1])
    findings.reach(page, "open in a new tab", button)
    tab = press(browser, button)
    answer(tab)
    assert sees_result(tab) == "5"
    tab.reload()
    assert sees_result(tab) == "5"
    page.bring_to_front()
    again = press(browser, button)
    expect(again.get_by_text("was used before")).to_be_visible()  # it serves once
    tab.bring_to_front()
    tab.get_by_role("link", name="Answer again").click()
    sees_quiz(tab)
    with tool.idle():
        night("grades")
    assert grades(school) == {(ZOE, "quiz-1"): 5}


@pytest.mark.parametrize("mode", [Mode.NOWHERE])
def test_where_no_cookie_can_be_kept_a_page_says_so(
    browser: BrowserContext, page: Page, school: Sandbox, findings: Findings
) -> None:
    button = open_in_frame(page, school, ZOE).get_by_role("button", name="Open in a new tab")
    tab = press(browser, button)
    expect(tab.get_by_role("alert")).to_contain_text("allow them for 127.0.0.1")
    expect(tab.get_by_role("button")).to_have_count(0)
    findings.look(tab, "no cookies")


def test_an_lms_registers_in_a_frame(browser: BrowserContext, page: Page, school: Sandbox, tool: Tool) -> None:
    page.goto(f"{school.origin}/registrations/")
    page.get_by_role("button", name="in a frame").click()
    tab = press(browser, page.frame_locator("iframe").get_by_role("link", name="Open it in a new tab"))
    desk = press(browser, tab.get_by_role("link", name="Sign in"))  # a third: its page cuts itself off from the LMS's
    sign_in(desk, tool, is_there=True)
    tab.bring_to_front()
    tab.get_by_role("link", name="I have signed in").click()
    tab.get_by_label("Name of the LMS").fill("Our School")
    tab.get_by_role("button", name="Approve").click()
    page.bring_to_front()
    expect(page.get_by_text("Registered as “Our School”, active at LTIAAS.")).to_be_visible()
    with tool.idle():
        assert Platform.objects.get(name="Our School").active_at_ltiaas


def test_an_lms_registers_in_a_window_by_somebody_who_has_to_sign_in(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool
) -> None:
    page.goto(f"{school.origin}/registrations/")
    window = press(browser, page.get_by_role("button", name="in a new window"))
    desk = press(browser, window.get_by_role("link", name="Sign in"))
    sign_in(desk, tool, is_there=True)
    window.bring_to_front()
    window.get_by_role("link", name="I have signed in").click()
    window.get_by_role("button", name="Approve").click()
    page.bring_to_front()
    expect(page.get_by_text("active at LTIAAS.")).to_be_visible()
    await_close(window)


def test_an_lms_is_refused(browser: BrowserContext, page: Page, school: Sandbox, tool: Tool) -> None:
    desk = browser.new_page()
    sign_in(desk, tool)
    page.bring_to_front()
    page.goto(f"{school.origin}/registrations/")
    page.get_by_role("button", name="in a frame").click()
    tab = press(browser, page.frame_locator("iframe").get_by_role("link", name="Open it in a new tab"))
    tab.get_by_role("button", name="Refuse").click()
    tab.get_by_role("button", name="Close this window").click()
    page.bring_to_front()
    expect(page.get_by_text("Nobody has approved it yet.")).to_be_visible()
    await_close(tab)


def test_a_person_links_the_account_that_is_there_already(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool
) -> None:
    ask_for_accounts(page, school, tool)
    frame = open_in_frame(page, school, ZOE)
    tab = press(browser, frame.get_by_role("link", name="Yes, sign in to my account"))
    sign_in(tab, tool, "zoe", is_there=True)
    expect(tab.get_by_role("heading", level=1)).to_have_text("Link your account?")
    tab.get_by_role("button", name="Yes, link my account").click()
    tab.get_by_role("button", name="Open it here").click()
    sees_quiz(tab)
    page.bring_to_front()
    answer(open_in_frame(page, school, ZOE))
    assert sees_result(page.frame_locator("iframe")) == "5"
    with tool.idle():
        assert User.objects.get(username="zoe").lti_users.get().lti_id == ZOE  # type: ignore[attr-defined]


def test_a_person_goes_on_without_an_account(page: Page, school: Sandbox, tool: Tool) -> None:
    ask_for_accounts(page, school, tool)
    frame = open_in_frame(page, school, ZOE)
    frame.get_by_role("button", name="No, go on").click()
    answer(frame)
    assert sees_result(frame) == "5"
    page.reload()
    sees_quiz(frame)  # asked once
