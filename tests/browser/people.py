"""What a person does in the LMS and in the tool."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, FrameLocator, Locator, Page, expect

from ltiaas_django.models import Platform
from ltiaas_django.sandbox import Sandbox
from tests.browser.servers import Tool

ZOE, LIAM, JOSE, TEACHER = "2001", "2002", "2003", "1001"
"""Of course-101; José learns in course-102 as well."""

Place = Page | FrameLocator


def open_in_frame(
    page: Page, school: Sandbox, person: str, activity: str = "quiz-1", course: str = "course-101"
) -> FrameLocator:
    """Open an activity in the LMS; the frame that the tool is shown in."""
    page.goto(f"{school.origin}/courses/{course}/activities/{activity}/?person={person}")
    return page.frame_locator("iframe")


def sees_quiz(place: Place, title: str = "") -> None:
    """The quiz is there to be answered."""
    expect(place.get_by_role("button", name="Hand in")).to_be_visible()
    expect(place.get_by_role("heading", level=1)).to_contain_text(title)


def answer(place: Place, choice: int = 0) -> None:
    """Choose the same place in every question, and hand in."""
    expect(place.get_by_role("button", name="Hand in")).to_be_visible()
    for group in place.get_by_role("group").all():
        group.get_by_role("radio").nth(choice).check()
    place.get_by_role("button", name="Hand in").click()


def sees_result(place: Place) -> str:
    """The result is there; its points, as text."""
    expect(place.get_by_text("gradebook tonight")).to_be_visible()
    return place.locator(".points").inner_text().split()[0]


def grades(school: Sandbox, course: str = "course-101") -> dict[tuple[str, str | None], Decimal | None]:
    """What the gradebook holds: (person, activity) to the score."""
    items = school.course(course).gradebook.line_items.values()
    activities = {item.id: item.resource_link_id for item in items}
    return {(cell.user_id, activities[cell.line_item_id]): cell.score for cell in school.gradebook(course)}


def sign_in(page: Page, tool: Tool, name: str = "operator", *, is_there: bool = False) -> None:
    """Sign in with a password; an operator may do everything, others nothing. `is_there`: at the form."""
    with tool.idle():
        rights = {"is_staff": name == "operator", "is_superuser": name == "operator"}
        User.objects.create_user(name, password="a password", **rights)
    if not is_there:
        page.goto(f"{tool.url}/accounts/login/?next=/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill("a password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "login" not in url)


def press(browser: BrowserContext, what: Locator) -> Page:
    """Press what opens a tab; the tab."""
    with browser.expect_page() as opened:
        what.click()
    return opened.value


def ask_for_accounts(page: Page, school: Sandbox, tool: Tool) -> None:
    """The operator lets new people of this LMS be asked for an account."""
    open_in_frame(page, school, TEACHER)
    expect(page.frame_locator("iframe").get_by_role("heading")).to_be_visible()
    with tool.idle():
        Platform.objects.update(account_linking=Platform.AccountLinking.ASK)
    page.context.clear_cookies()


def await_close(tab: Page) -> None:
    """The tab closes itself; the LMS may hear of it a moment before. Fails if it stays open."""
    if not tab.is_closed():
        tab.wait_for_event("close", timeout=5000)
