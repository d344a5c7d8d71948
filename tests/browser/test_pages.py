"""Every page, reached as people reach it, is one that everybody can use: axe finds nothing serious on it.

One mode is enough here: what a page looks like does not depend on cookies. Those about cookies are in `test_new_tabs`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, expect

from ltiaas_django.models import Context, Platform
from ltiaas_django.sandbox import Sandbox
from tests.browser.browsers import Mode
from tests.browser.looking import Findings
from tests.browser.people import (
    JOSE,
    LIAM,
    TEACHER,
    ZOE,
    answer,
    ask_for_accounts,
    open_in_frame,
    press,
    sees_quiz,
    sees_result,
    sign_in,
)
from tests.browser.servers import Pages, Tool
from tests.lms import night

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.browser.urls"),
    pytest.mark.parametrize("mode", [Mode.BLOCKED], ids=["cookies-blocked"]),
]

DJANGO = (".breadcrumbs", "#nav-sidebar", "#changelist-filter", "#changelist-search", ".actions")
"""What Django's admin puts around our pages."""


def fill(page: Page, lms_pages: Pages, url: str) -> Frame:
    """The URL in a frame as wide as the window, on the LMS's site."""
    style = "body { margin: 0 } iframe { display: block; width: 100%; height: 100vh; border: 0 }"
    lms_pages.html["/course"] = f'<style>{style}</style><iframe title="Tool" src="{url}"></iframe>'
    page.goto(f"{lms_pages.url}/course")  # to its load event, and so to the frame's
    return page.frames[1]


def test_the_quiz(page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings) -> None:
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", ZOE))
    hand_in = frame.get_by_role("button", name="Hand in")
    hand_in.click()
    expect(frame.get_by_role("alert")).to_be_visible()
    findings.look(page, "quiz, not all answered", frame)
    page.reload()
    frame = page.frames[1]
    sees_quiz(page.frame_locator("iframe"))
    findings.look(page, "quiz", frame)
    findings.reach(page, "quiz", frame.get_by_role("button", name="Hand in"))
    answer(page.frame_locator("iframe"))
    sees_result(page.frame_locator("iframe"))
    findings.look(page, "quiz, result", frame)
    frame.goto(f"{tool.url}/nothing/")
    findings.look(page, "no such page", frame)


def test_the_quiz_for_teachers(page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings) -> None:
    answer(open_in_frame(page, school, ZOE))
    sees_result(page.frame_locator("iframe"))
    with tool.idle():
        night()
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", TEACHER))
    preview = frame.get_by_role("link", name="Preview the quiz")
    expect(frame.get_by_role("row", name="Zoë")).to_contain_text("delivered")
    findings.look(page, "quiz, learners", frame)
    findings.reach(page, "quiz, learners", preview)
    learners = frame.url
    preview.click()
    expect(frame.get_by_role("button", name="Check the answers")).to_be_visible()
    findings.look(page, "quiz, preview", frame)
    frame.goto(learners.replace("/teacher/", "/"))
    expect(frame.get_by_role("heading", name="For learners")).to_be_visible()
    findings.look(page, "quiz, for learners only", frame)


def test_launches_that_do_not_work(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings
) -> None:
    school.fail_next("/api/idtoken", status=401, body={"status": 401, "error": "Unauthorized"})
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", ZOE))
    expect(frame.get_by_role("alert")).to_be_visible()
    findings.look(page, "launch refused", frame)
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", ZOE))
    sees_quiz(page.frame_locator("iframe"))
    other = browser.new_page()
    sees_quiz(open_in_frame(other, school, LIAM))
    other.close()
    frame.evaluate("location.reload()")
    expect(frame.get_by_role("heading", name="Please launch again")).to_be_visible()
    findings.look(page, "launch again", frame)


def test_launches_that_the_tool_leaves_as_they_are(
    page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings
) -> None:
    school.tool_url = f"{tool.url}/plain/launch/"
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", ZOE))
    expect(frame.get_by_role("heading", name="You are signed in")).to_be_visible()
    findings.look(page, "launched", frame)
    frame = fill(page, lms_pages, school.launch_url("course-101", None, TEACHER, type="deep_linking"))
    expect(frame.get_by_role("heading", name="Nothing to do here")).to_be_visible()
    findings.look(page, "nothing to do", frame)


def test_choosing_a_launch_and_replacing_a_session(page: Page, school: Sandbox, tool: Tool, findings: Findings) -> None:
    sign_in(page, tool)
    page.goto(school.launch_url("course-101", "quiz-1", JOSE, target="window"))
    go_on = page.get_by_role("button", name="Go on as")
    expect(go_on).to_be_visible()
    findings.look(page, "replace session")
    findings.reach(page, "replace session", go_on)
    page.keyboard.press("Enter")
    sees_quiz(page)
    page.goto(school.launch_url("course-102", "essay-1", JOSE, target="window"))
    sees_quiz(page)
    page.goto(f"{tool.url}/quiz/")
    expect(page.get_by_role("heading", name="Which activity?")).to_be_visible()
    findings.look(page, "choose a launch")
    findings.reach(page, "choose a launch", page.get_by_role("link").first)
    page.keyboard.press("Enter")
    sees_quiz(page, "Essay: 1848")


def test_linking_an_account(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings
) -> None:
    ask_for_accounts(page, school, tool)
    frame = fill(page, lms_pages, school.launch_url("course-101", "quiz-1", ZOE))
    findings.look(page, "account, question", frame)
    findings.reach(page, "account, question", frame.get_by_role("button", name="No, go on"))
    tab = press(browser, frame.get_by_role("link", name="Yes, sign in to my account"))
    sign_in(tab, tool, is_there=True)
    expect(tab.get_by_role("heading", name="Choose another account")).to_be_visible()
    findings.look(tab, "account, not this one")
    tab.get_by_role("button", name="Sign in with another account").click()
    sign_in(tab, tool, "zoe", is_there=True)
    link = tab.get_by_role("button", name="Yes, link my account")
    expect(link).to_be_visible()
    findings.look(tab, "account, confirm")
    findings.reach(tab, "account, confirm", link)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Your account is linked")).to_be_visible()
    findings.look(tab, "account, linked")


def test_deep_linking(page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings) -> None:
    # The answer leaves by itself; here it stays, to be looked at.
    page.add_init_script("HTMLFormElement.prototype.submit = () => {}")
    frame = fill(page, lms_pages, school.launch_url("course-101", None, TEACHER, type="deep_linking"))
    add = frame.get_by_role("button", name="Add to the course")
    expect(add).to_be_visible()
    findings.look(page, "picker", frame)
    findings.reach(page, "picker", add)
    page.keyboard.press("Enter")
    expect(frame.get_by_role("alert")).to_be_visible()
    findings.look(page, "picker, nothing chosen", frame)
    frame.get_by_role("checkbox").first.check()
    add.click()
    go_on = frame.get_by_role("button", name="Continue")
    expect(go_on).to_be_visible()
    findings.look(page, "deep linking answer", frame)
    findings.reach(page, "deep linking answer", go_on)
    page.keyboard.press("Enter")
    expect(frame.get_by_role("heading", name="1 activity added")).to_be_visible()


def test_registering_an_lms(
    browser: BrowserContext, page: Page, school: Sandbox, tool: Tool, lms_pages: Pages, findings: Findings
) -> None:
    url = school.register_url(school.registrations.start())
    frame = fill(page, lms_pages, url)
    open_tab = frame.get_by_role("link", name="Open it in a new tab")
    findings.look(page, "register, in a frame", frame)
    findings.reach(page, "register, in a frame", open_tab)
    page.goto(url)
    findings.look(page, "register, sign in")
    sign_in(page, tool, "zoe")
    page.goto(url)
    expect(page.get_by_role("alert")).to_be_visible()
    findings.look(page, "register, may not")
    browser.clear_cookies()
    sign_in(page, tool)
    page.goto(url)
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_visible()
    findings.look(page, "register")
    findings.reach(page, "register", approve)
    for box in page.get_by_role("group").get_by_role("checkbox").all():
        box.uncheck()
    approve.click()
    expect(page.get_by_role("alert")).to_be_visible()
    findings.look(page, "register, nothing ticked")
    page.get_by_role("group").get_by_role("checkbox").first.check()
    approve.click()
    expect(page.get_by_role("status")).to_be_visible()
    findings.look(page, "register, done")
    page.goto(f"{tool.url}/lti/register/?registrationId=unknown")
    expect(page.get_by_role("alert")).to_be_visible()
    findings.look(page, "register, not open")


def test_the_admin(page: Page, school: Sandbox, tool: Tool, findings: Findings) -> None:
    answer(open_in_frame(page, school, ZOE))
    sees_result(page.frame_locator("iframe"))
    with tool.idle():
        night()
        context, platform = Context.objects.get(), Platform.objects.get()
    sign_in(page, tool)
    admin = f"{tool.url}/admin/ltiaas_django"
    paths = {
        "platforms": "platform/",
        "platform at LTIAAS": f"platform/{platform.pk}/ltiaas/",
        "platform, delete at LTIAAS": f"platform/{platform.pk}/ltiaas/delete/",
        "register": "platform/register/",
        "course": f"context/{context.pk}/change/",
        "scores": "outgoingscore/",
    }
    for name, path in paths.items():
        assert page.goto(f"{admin}/{path}").status == 200
        findings.look(page, f"admin, {name}", without=DJANGO)
    page.goto(f"{admin}/platform/{platform.pk}/ltiaas/")
    page.get_by_label("Name").fill("Another name")
    page.get_by_role("button", name="Save at LTIAAS").click()
    yes = page.get_by_role("button", name="Yes, change it at LTIAAS")
    expect(yes).to_be_visible()
    findings.look(page, "admin, platform, change at LTIAAS", without=DJANGO)
    findings.reach(page, "admin, platform, change at LTIAAS", yes)
    page.goto(f"{admin}/context/")
    page.get_by_role("checkbox").nth(1).check()
    page.get_by_role("combobox", name="Action").select_option("send_all")
    page.get_by_role("button", name="Go", exact=True).click()
    yes = page.get_by_role("button", name="Yes, do it")
    expect(yes).to_be_visible()
    findings.look(page, "admin, confirm", without=DJANGO)
    findings.reach(page, "admin, confirm", yes)
