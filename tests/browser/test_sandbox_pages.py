"""The LMS's own pages, as a teacher, a learner and nobody yet see them: for everybody, and by the keyboard alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from ltiaas_django.sandbox import Sandbox
from tests.browser.browsers import Mode
from tests.browser.looking import Findings
from tests.browser.people import JOSE, LIAM, TEACHER, ZOE, press, sees_quiz
from tests.browser.servers import Tool

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.browser.urls"),
    pytest.mark.parametrize("mode", [Mode.BLOCKED], ids=["cookies-blocked"]),
]

COURSE = "course-101"


@pytest.fixture
def lived_in(school: Sandbox) -> Sandbox:
    """A Canvas after some weeks: many people, long comments, a second institution."""
    school.set_profile("canvas")
    school.add_school("north", "North High School", profile="moodle")
    for number in range(30):
        school.add_course(f"north-{number}", f"Woodwork {number}", f"WOOD{number}", "north")
    course = school.course(COURSE)
    for number in range(60):
        course.add_person(f"Learner Number {number}")
    course.remove_person(LIAM)
    course.enrolment(JOSE).person.is_hidden = True
    post(school, ZOE, 7, "Careful with the median.")
    post(school, ZOE, 9, "Much better! " * 20)
    post(school, "2004", 10)
    course.override(course.line_items_of("quiz-1")[0], "2005", Decimal("4.5"))
    course.contents.append({"type": "link", "title": "Further reading", "url": "https://example.org/statistics"})
    return school


def post(school: Sandbox, person: str, points: int, comment: str = "") -> None:
    """The tool sends a score for the first quiz."""
    course = school.course(COURSE)
    score = {
        "userId": course.enrolment(person).person.lti_id,
        "scoreGiven": Decimal(points),
        "scoreMaximum": Decimal(10),
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        **({"comment": comment} if comment else {}),
    }
    school.profile.post(course, course.line_items_of("quiz-1")[0], score)


def test_home_and_an_institution_more(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(lived_in.origin)
    findings.look(page, "lms, home")
    findings.reach(page, "lms, home", page.get_by_role("link", name="Introduction to Statistics"))
    page.get_by_text("Add an institution").click()
    page.get_by_label("Name", exact=True).fill("South College")
    page.get_by_label("LMS", exact=True).select_option("Moodle")
    page.get_by_role("button", name="Add the institution").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("South College")
    findings.look(page, "lms, home, empty institution")


def test_nobody_yet_chooses_who_to_be(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/")
    findings.look(page, "lms, course, nobody yet")
    page.goto(f"{lived_in.origin}/courses/{COURSE}/activities/quiz-1/")
    findings.look(page, "lms, activity, nobody yet")
    page.get_by_role("link", name="All 66 people").click()
    findings.look(page, "lms, who")
    page.get_by_label("Find somebody").fill("zoe")
    page.keyboard.press("Enter")
    zoe = page.get_by_role("link", name="Zoë")
    findings.reach(page, "lms, who", zoe)
    page.keyboard.press("Enter")
    sees_quiz(page.frame_locator("iframe"))
    expect(page.get_by_role("region", name="Who you are")).to_contain_text("Zoë Müller-Łukasiewicz (Learner)")


def test_a_learners_course(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/?person={ZOE}")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    findings.look(page, "lms, course, learner")
    page.get_by_role("link", name="Grades").click()
    findings.look(page, "lms, grades, learner")
    page.get_by_role("link", name="Activities").click()
    begin = page.get_by_role("link", name="Open Quiz 1: Averages")
    findings.reach(page, "lms, course, learner", begin)
    page.keyboard.press("Enter")
    sees_quiz(page.frame_locator("iframe"))
    findings.look(page, "lms, activity, learner")
    lived_in.course(COURSE).is_published = False
    page.get_by_role("link", name="Activities").click()
    expect(page.get_by_role("link", name="Open Quiz 1: Averages")).to_have_count(0)
    findings.look(page, "lms, course, not published")
    page.goto(f"{lived_in.origin}/courses/{COURSE}/people/?person={ZOE}")
    findings.look(page, "lms, refused")


def test_a_frame_of_any_size_and_a_tab(page: Page, lived_in: Sandbox, tool: Tool, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/activities/quiz-1/?person={ZOE}")
    sees_quiz(page.frame_locator("iframe"))
    page.get_by_text("Another size").click()
    page.get_by_role("button", name="Phone").click()
    sees_quiz(page.frame_locator("iframe"))
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (320, 568)
    page.get_by_role("button", name="Wide").click()
    sees_quiz(page.frame_locator("iframe"))
    findings.look(page, "lms, activity, wide frame")
    tab = press(page.context, page.get_by_role("button", name="Open in a new tab"))
    sees_quiz(tab)
    assert tab.url.startswith(tool.url)


def test_a_teachers_course(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/?person={TEACHER}")
    findings.look(page, "lms, course, teacher")
    by_hand = page.get_by_role("link", name="Add an activity by hand")
    findings.reach(page, "lms, course, teacher", by_hand)
    by_hand.click()
    findings.look(page, "lms, add an activity")
    page.get_by_label("Title").fill("Quiz 3")
    page.get_by_label("Gradebook column").fill("12.5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The activity was added.")
    expect(page.get_by_text("“Quiz 3”, 12.5 points")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Concluded").check()
    page.get_by_role("button", name="Save").click()
    findings.look(page, "lms, settings")
    assert lived_in.course(COURSE).is_concluded


def test_a_teachers_people(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/people/?person={TEACHER}&state=all")
    findings.look(page, "lms, people")
    page.get_by_role("link", name="Add people").click()
    findings.look(page, "lms, add people")
    page.get_by_role("textbox", name="Table").fill("Ana Souza,ana@school.example,Mentor\n,nameless@school.example\n")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("alert")).to_contain_text("1 line was not taken")
    findings.look(page, "lms, add people, refused")
    page.goto(f"{lived_in.origin}/courses/{COURSE}/people/?person={TEACHER}&q=souza")
    ana = page.get_by_role("link", name="Ana Souza", exact=True)
    findings.reach(page, "lms, people", ana)
    page.keyboard.press("Enter")
    page.get_by_label("Hidden").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_be_visible()
    findings.look(page, "lms, person")


def test_a_teachers_gradebook(page: Page, lived_in: Sandbox, findings: Findings) -> None:
    page.goto(f"{lived_in.origin}/courses/{COURSE}/gradebook/?person={TEACHER}")
    findings.look(page, "lms, gradebook")
    zoe = page.get_by_role("link", name="9 / 10 for Zoë")
    findings.reach(page, "lms, gradebook", zoe)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Careful with the median.")).to_be_visible()
    page.get_by_label("Points").fill("9.5")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("The grade was set.")
    findings.look(page, "lms, cell")
    page.get_by_role("button", name="Review the submission").click()
    expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
    findings.look(page, "lms, submission review")
    page.get_by_role("link", name="Gradebook").click()
    page.get_by_role("link", name="Lab: Rolling dice", exact=True).click()
    findings.look(page, "lms, column")
    page.get_by_role("button", name="Delete the column").click()
    expect(page.get_by_role("status")).to_have_text("The column was deleted.")


def test_registration_and_deep_linking(page: Page, school: Sandbox, tool: Tool, findings: Findings) -> None:
    page.goto(f"{school.origin}/registrations/")
    findings.look(page, "lms, registrations")
    page.get_by_role("button", name="in a frame").click()
    expect(page.frame_locator("iframe").get_by_role("heading")).to_be_visible()
    findings.look(page, "lms, registration")
    page.goto(f"{school.origin}/courses/{COURSE}/deep-linking/?person={TEACHER}")
    frame = page.frame_locator("iframe")
    frame.get_by_role("checkbox").first.check()
    findings.look(page, "lms, deep linking")
    frame.get_by_role("button", name="Add to the course").click()
    expect(frame.get_by_role("heading", name="added")).to_be_visible()
    findings.look(page, "lms, deep linking done", page.frames[1])
