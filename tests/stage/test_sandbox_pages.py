"""The LMS in the browser: plain HTML that launches, shows grades, and edits the roster."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from html.parser import HTMLParser
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django.sandbox import Sandbox
from ltiaas_django.sandbox.courses import Plan
from ltiaas_django.sandbox.lms import crowd, enrolling

EVIL = "<script>alert('x')</script> & \"Co\""
COURSE = "/courses/course-101/"
PAGES = [
    "/",
    "/?school=school&q=stat",
    COURSE,
    f"{COURSE}?person=1001",
    f"{COURSE}?person=2001",
    f"{COURSE}who/?person=1001",
    f"{COURSE}settings/",
    f"{COURSE}add-activity/",
    f"{COURSE}gradebook/?person=1001",
    f"{COURSE}gradebook/?person=2001",
    f"{COURSE}gradebook/1/",
    f"{COURSE}gradebook/1/2001/?person=1001",
    f"{COURSE}gradebook/1/2003/",
    f"{COURSE}people/?state=all",
    f"{COURSE}people/2001/",
    f"{COURSE}add-people/?person=1001",
    f"{COURSE}activities/quiz-1/",
    f"{COURSE}activities/quiz-1/?person=2001&size=320x568",
    f"{COURSE}deep-linking/?person=1001",
    "/courses/nope/",
    "/registrations/",
]


class Elements(HTMLParser):
    """The elements of a page, by tag, with their attributes; refuses tags that are not closed."""

    VOID = frozenset({"meta", "link", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def lived_in(sandbox):
    """With grades in the first column, the one by the tool and the other by a teacher."""
    course = sandbox.course("course-101")
    item = course.line_items_of("quiz-1")[0]
    score = {"activityProgress": "Completed", "gradingProgress": "FullyGraded", "scoreMaximum": Decimal(10)}
    sandbox.profile.post(
        course, item, {**score, "userId": "2001", "scoreGiven": Decimal("7.25"), "comment": "Well done, Zoë."}
    )
    course.override(item, "2002", Decimal(3))
    return sandbox


def change(browse, user_id, **fields):
    return browse(f"/courses/course-101/people/{user_id}/", "POST", data=fields)


class TestLaunch:
    @pytest.mark.parametrize(("method", "status"), [("GET", 302), ("POST", 303)])
    def test_sends_the_browser_to_the_tool_with_a_new_ltik(self, sandbox, browse, method, status):
        sandbox.tool_url = "http://tool.example/launch?school=7#top"
        responses = [browse("/courses/course-101/activities/quiz-1/launch/?person=2001", method) for _ in range(2)]
        assert {response.status_code for response in responses} == {status}
        targets = [urlsplit(response.headers["Location"]) for response in responses]
        queries = [parse_qs(target.query) for target in targets]
        assert {(target.netloc, target.path, target.fragment) for target in targets} == {
            ("tool.example", "/launch", "top")
        }
        assert [query["school"] for query in queries] == [["7"], ["7"]]
        assert {query["ltik"][0] for query in queries} < sandbox.secrets()
        assert queries[0]["ltik"] != queries[1]["ltik"]
        assert responses[0].headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in responses[0].headers

    @pytest.mark.parametrize(
        ("query", "launch_type", "target"),
        [
            ("", "LtiResourceLinkRequest", "window"),
            ("&target=iframe&type=resource", "LtiResourceLinkRequest", "iframe"),
            ("&type=deep_linking", "LtiDeepLinkingRequest", "window"),
            ("&type=submission_review", "LtiSubmissionReviewRequest", "window"),
        ],
    )
    def test_type_and_target(self, browse, caller, query, launch_type, target):
        response = browse(f"/courses/course-101/activities/quiz-1/launch/?person=1001{query}")
        (ltik,) = parse_qs(urlsplit(response.headers["Location"]).query)["ltik"]
        launch = caller(f"LTIK-AUTH-V2 the-account's:key:{ltik}").json("/api/idtoken")["launch"]
        assert (launch["type"], launch["presentation"]["documentTarget"]) == (launch_type, target)

    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/courses/course-101/activities/quiz-1/launch/", 400),
            ("/courses/course-101/activities/quiz-1/launch/?person=2001&type=odd", 400),
            ("/courses/course-101/activities/quiz-1/launch/?person=2001&target=odd", 400),
            ("/courses/course-101/activities/quiz-1/launch/?person=2009", 404),
            ("/courses/course-101/activities/nope/launch/?person=2001", 404),
            ("/courses/nope/activities/quiz-1/launch/?person=2001", 404),
        ],
    )
    def test_what_cannot_be_launched(self, sandbox, browse, path, status):
        response = browse(path)
        assert response.status_code == status
        assert 'role="alert"' in response.text
        assert sandbox.secrets() == set()

    def test_prefetching_with_head_launches_nothing(self, sandbox, browse):
        assert browse("/courses/course-101/activities/quiz-1/launch/?person=2001", "HEAD").status_code == 405
        assert sandbox.secrets() == set()

    def test_who_has_left_cannot_launch(self, sandbox, browse):
        sandbox.course("course-101").remove_person("2001")
        assert browse("/courses/course-101/activities/quiz-1/launch/?person=2001").status_code == 400

    def test_activity_page_frames_the_launch(self, browse):
        page = Elements(browse("/courses/course-101/activities/quiz-2/?person=2001").text)
        (frame,) = page.all("iframe")
        assert frame["title"] == "Quiz 2: Spread & variance"
        response = browse(frame["src"])
        assert response.status_code == 302
        assert "ltik=" in response.headers["Location"]


class TestPages:
    @pytest.mark.parametrize("path", PAGES)
    def test_well_formed_labelled_and_self_contained(self, lived_in, browse, path):
        response = browse(path)
        page = Elements(response.text)
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"]
        assert not page.all("script") or path == "/registrations/"  # it must hear when to close a window
        ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {label["for"] for label in page.all("label")}
        fields = [field for tag in ("select", "input", "textarea") for field in page.all(tag)]
        assert {field["id"] for field in fields if field.get("type") != "hidden"} == labelled
        assert [table for table in page.all("table") if "caption" not in dict(page.found)] == []
        outside = [link["href"] for link in page.all("a") if not link["href"].startswith(("/", "#", "?"))]
        assert outside == []
        assert "Set-Cookie" not in response.headers

    @pytest.mark.parametrize("path", PAGES)
    def test_every_text_is_escaped(self, lived_in, browse, path):
        course = lived_in.course("course-101")
        course.title = course.label = course.activity("quiz-1").title = course.activity("quiz-1").description = EVIL
        lived_in.school.name = course.enrolment("1001").person.email = course.enrolment("2001").person.email = EVIL
        course.rename_person("1001", EVIL)
        course.rename_person("2001", EVIL)
        course.line_items_of("quiz-1")[0].label = EVIL
        course.line_items_of("quiz-1")[0].tag = EVIL
        course.contents.append({"type": "html", "title": EVIL, "text": EVIL, "html": EVIL})
        for cell in course.gradebook.cells():
            cell.comment, cell.comments = EVIL, [EVIL]
        text = browse(path).text
        assert "<script>alert" not in text
        if path not in ("/courses/nope/", "/registrations/"):
            assert "&lt;script&gt;" in text

    @pytest.mark.parametrize(
        "path",
        [
            "/?q={}",
            "/courses/course-101/?done={}",
            "/courses/course-101/people/?q={}&role={}&state={}",
            "/courses/course-101/people/?done=imported&count={}",
            "/courses/course-101/who/?q={}",
            "/courses/course-101/gradebook/?q={}&page={}",
            "/courses/course-101/activities/quiz-1/?person=2001&type={}",
            "/courses/course-101/activities/quiz-1/?person=2001&size={}",
            "/courses/course-101/who/?activity={}",
            "/?school={}",
            "/courses/course-101/?person={}",
            "/courses/{}/",
        ],
    )
    def test_what_the_url_says_is_escaped(self, browse, path):
        response = browse(path.replace("{}", quote(EVIL)))
        assert response.status_code in (200, 400, 404)
        assert "<script" not in response.text

    @pytest.mark.parametrize("evil", ["\"'><script>", "a b&c=d#e?f", "é%2F;"])
    def test_ids_of_any_kind_stand_in_links_that_work(self, sandbox, browse, evil):
        course = sandbox.add_course(evil, "Odd")
        course.add_person("Odd Teacher", "Instructor", user_id=evil)
        course.add_activity("Odd activity", activity_id=evil)
        course.override(course.add_line_item(evil, 5), evil, Decimal(1))
        start = reverse("course", "ltiaas_django.sandbox.urls", kwargs={"course_id": evil})
        pages, seen = [start], set()
        while pages:
            path = pages.pop()
            seen.add(path)
            response = browse(path)
            assert response.status_code in (200, 302), path
            assert "<script>" not in response.text
            links = [urljoin(path, link["href"]) for link in Elements(response.text).all("a")] if response.text else []
            pages += [link for link in set(links) if link.startswith(start) and link not in {*seen, *pages}]
        assert {urlsplit(path).path.removeprefix(start).partition("/")[0] for path in seen} >= {
            "", "who", "people", "gradebook", "settings", "activities", "add-people", "add-activity",
        }  # fmt: skip

    def test_a_launch_leads_back_to_a_course_of_any_id(self, sandbox, browse, by_ltik):
        course = sandbox.add_course("a b#c?d", "Odd")
        course.add_person("Odd", user_id="1")
        course.add_activity("Odd", activity_id="x")
        back = by_ltik("a b#c?d", "x", "1").json("/api/idtoken")["launch"]["presentation"]["returnUrl"]
        assert browse(back.removeprefix(sandbox.origin)).status_code == 200

    @pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("GET", "/mod/lti/services.php/2/lineitems")])
    def test_unknown_pages(self, browse, method, path):
        response = browse(path, method)
        assert response.status_code == 404
        assert "no such page" in response.text

    def test_writing_to_a_page_that_only_shows(self, browse):
        assert browse("/courses/course-101/gradebook/", "POST").status_code == 405


class TestHome:
    def test_lists_and_finds_two_thousand_courses_and_makes_none(self, sandbox, browse):
        north = sandbox.add_school("north", "North High", profile="moodle")

        def make():
            raise AssertionError("A course was made to be listed.")

        for number in range(2000):
            plan = Plan(f"N{number}", f"Geometry {number}", north, make)
            sandbox.courses.plan(f"north-{number}", plan)
        text = browse("/").text
        assert "2002 courses" in text
        assert "Page 1 of 84" in text
        assert text.count("Geometry") == 22
        assert "Geometry 1999" in browse("/?page=999999").text
        assert browse("/?q=GEOMETRY+199").text.count("<h2><a") == 12  # 199, 1199, and 1990 to 1999
        text = browse("/?school=school").text
        assert "Geometry" not in text
        assert "Introduction to Statistics" in text
        assert "North High" in text

    def test_shows_what_is_special_about_an_lms(self, sandbox, browse):
        sandbox.set_profile("canvas")
        assert "Comments are appended, never replaced." in browse("/").text

    def test_add_an_institution_and_a_course_of_it(self, sandbox, browse):
        made = browse("/", "POST", data={"action": "school", "name": "South College", "profile": "moodle"})
        assert (made.status_code, made.headers["Location"]) == (303, "/?school=school-2")
        school = sandbox.find_school("school-2")
        assert (school.name, school.profile.name) == ("South College", "moodle")
        form = {"action": "course", "title": "Botany", "label": "BOT", "id": "bot", "school": "school-2"}
        assert browse("/", "POST", data=form).headers["Location"] == "/courses/bot/"
        assert (sandbox.course("bot").title, sandbox.course("bot").school) == ("Botany", school)
        assert "Botany" in browse("/?school=school-2").text

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"action": "school", "name": " ", "profile": "moodle"}, 400),
            ({"action": "school", "name": "X", "profile": "WebCT"}, 400),
            ({"action": "school", "name": "X", "profile": "moodle", "id": "school"}, 400),
            ({"action": "course", "title": "", "school": "school"}, 400),
            ({"action": "course", "title": "X", "id": "course-101", "school": "school"}, 400),
            ({"action": "course", "title": "X", "id": "a/b", "school": "school"}, 400),
            ({"action": "course", "title": "X", "school": "none"}, 404),
            ({}, 400),
        ],
    )
    def test_refusals_are_shown_on_the_page(self, sandbox, browse, fields, status):
        response = browse("/", "POST", data=fields)
        assert response.status_code == status
        assert 'role="alert"' in response.text
        assert (len(sandbox.courses), len(sandbox.schools)) == (2, 1)


class TestViewer:
    @pytest.mark.parametrize("person", ["1001", "2001"])
    def test_every_link_and_form_of_a_course_keeps_who_one_is(self, lived_in, browse, person):
        """But those by which one becomes somebody else."""
        start = "/courses/course-101/"
        pages, seen = [f"{start}?person={person}"], set()
        while pages:
            path = pages.pop()
            seen.add(path)
            response = browse(path)
            assert response.status_code in (200, 302), path
            if not response.text:
                continue
            assert f"<strong>{lived_in.school.people[person].name}</strong>" in response.text
            targets = [urljoin(path, link["href"]) for link in Elements(response.text).all("a")]
            targets += [urljoin(path, frame["src"]) for frame in Elements(response.text).all("iframe")]
            inside = [target for target in targets if target.startswith(start)]
            others = [target for target in inside if parse_qs(urlsplit(target).query).get("person") != [person]]
            assert {urlsplit(other).path for other in others} <= {
                start,
                f"{start}activities/quiz-1/",
                f"{start}activities/quiz-2/",
                f"{start}activities/lab-1/",
            }, path
            assert not others or "/who/" in path or "/people/" in path
            pages += [target for target in set(inside) - set(others) if target not in {*seen, *pages}]
        assert len(seen) > 8

    def test_learners_see_their_own_course(self, lived_in, browse):
        text = browse("/courses/course-101/?person=2001").text
        assert "7.25 / 10" in text
        assert "Well done, Zoë." in text
        for teachers in ("People", "Settings", "Add an activity", "Gradebook"):
            assert teachers not in text
        grades = browse("/courses/course-101/gradebook/?person=2001").text
        assert "7.25 / 10" in grades
        assert "Liam" not in grades
        for path in ("people/", "people/2002/", "settings/", "add-people/", "add-activity/"):
            for method in ("GET",) if path == "people/" else ("GET", "POST"):
                response = browse(f"/courses/course-101/{path}?person=2001", method)
                assert response.status_code == 403
                assert 'href="/courses/course-101/?person=2001"' in response.text  # the way out

    def test_learners_see_nothing_of_a_course_that_is_not_published(self, sandbox, browse):
        sandbox.course("course-101").is_published = False
        assert "Quiz 1" not in browse("/courses/course-101/?person=2001").text
        assert "Quiz 1" in browse("/courses/course-101/?person=1001").text

    @pytest.mark.parametrize("role", ["TeachingAssistant", "ContentDeveloper"])
    def test_whoever_teaches_is_a_teacher(self, sandbox, browse, role):
        sandbox.course("course-101").change_role("2001", role)
        assert browse("/courses/course-101/people/?person=2001").status_code == 200

    def test_nobody_yet_is_asked_who_they_are(self, sandbox, browse):
        for path in ("", "activities/quiz-1/", "who/", "who/?activity=quiz-1"):
            page = Elements(browse(f"/courses/course-101/{path}").text)
            assert page.all("iframe") == []
            found = [parse_qs(urlsplit(link["href"]).query).get("person") for link in page.all("a")]
            assert [person[0] for person in found if person] == [
                "1001", "1002", "2001", "2002", "2003", "2004", "2005",
            ]  # fmt: skip

    def test_one_is_found_among_five_thousand_without_accents(self, sandbox, browse):
        crowd.enrol(sandbox.course("course-101"), 5000)
        page = Elements(browse("/courses/course-101/who/?activity=quiz-1&q=MULLER+zoe&person=1001").text)
        chosen = [link["href"] for link in page.all("a") if "/activities/quiz-1/?" in link["href"]]
        assert "/courses/course-101/activities/quiz-1/?person=2001" in chosen
        assert len(chosen) < 5
        assert "Page 1 of 167" in browse("/courses/course-101/who/").text


class TestActivity:
    @pytest.mark.parametrize(
        ("query", "style"),
        [
            ("", None),
            ("&size=320x568", "width: 320px; height: 568px; min-height: 0"),
            ("&width=640", "width: 640px;"),
            ("&height=200", "height: 200px; min-height: 0"),
            ("&size=320x568&width=640&height=200", "width: 320px; height: 568px; min-height: 0"),
            ("&size=fill&width=640", None),
        ],
    )
    def test_a_frame_of_any_size(self, browse, query, style):
        (frame,) = Elements(browse(f"/courses/course-101/activities/quiz-1/?person=2001{query}").text).all("iframe")
        assert frame.get("style", "").strip() == (style or "")

    @pytest.mark.parametrize("query", ["size=1x1", "size=x", "width=-5", "width=9999999999", "height=1e3", "type=odd"])
    def test_no_frame_of_no_size(self, browse, query):
        assert browse(f"/courses/course-101/activities/quiz-1/?person=2001&{query}").status_code == 400

    def test_the_type_of_launch_goes_into_the_frame(self, browse, caller):
        path = "/courses/course-101/activities/quiz-1/?person=1001&type=submission_review&for_user=2002"
        page = browse(path)
        assert "Liam O&#x27;Brien" in page.text
        (frame,) = Elements(page.text).all("iframe")
        (ltik,) = parse_qs(urlsplit(browse(frame["src"]).headers["Location"]).query)["ltik"]
        claims = caller(f"LTIK-AUTH-V2 the-account's:key:{ltik}").json("/api/idtoken", raw="true")
        assert claims["https://purl.imsglobal.org/spec/lti/claim/message_type"] == "LtiSubmissionReviewRequest"
        assert claims["https://purl.imsglobal.org/spec/lti/claim/for_user"] == {"user_id": "2002"}
        assert browse(path.replace("2002", "nobody")).status_code == 404

    def test_add_one_by_hand(self, sandbox, browse):
        path = "/courses/course-101/add-activity/?person=1001"
        form = {"title": " Quiz  3 ", "description": "More of it.", "maximum": "12,5"}
        assert browse(path, "POST", data=form).headers["Location"] == "/courses/course-101/?person=1001&done=activity"
        course = sandbox.course("course-101")
        added = list(course.activities.values())[-1]
        assert (added.title, added.description) == ("Quiz 3", "More of it.")
        assert [item.score_maximum for item in course.line_items_of(added.id)] == [Decimal("12.5")]
        browse(path, "POST", data={"title": "Quiz 4"})
        assert course.line_items_of(list(course.activities)[-1]) == []
        for wrong in ({"title": ""}, {"title": "Q", "maximum": "0"}, {"title": "Q", "maximum": "ten"}):
            refused = browse(path, "POST", data=wrong)
            assert refused.status_code == 400
            assert 'role="alert"' in refused.text
        assert len(course.activities) == 5


class TestSettings:
    def test_rename_publish_and_conclude(self, sandbox, browse):
        course, path = sandbox.course("course-101"), "/courses/course-101/settings/?person=1001"
        form = {"title": "Statistics II", "label": "STAT201", "is_concluded": "on"}
        saved = browse(path, "POST", data=form)
        assert saved.headers["Location"] == f"{path}&done=saved"
        assert (course.title, course.label) == ("Statistics II", "STAT201")
        assert (course.is_published, course.is_concluded) == (False, True)
        browse(path, "POST", data={**form, "is_published": "on"})
        assert course.is_published
        assert browse(path, "POST", data={"title": " ", "label": "X"}).status_code == 400
        assert (course.title, course.is_concluded) == ("Statistics II", True)


class TestPeople:
    def test_five_thousand_are_made_up_listed_and_searched(self, sandbox, browse):
        path = "/courses/course-101/add-people/?person=1001"
        made = browse(path, "POST", data={"action": "crowd", "count": "5000"})
        assert made.headers["Location"].startswith("/courses/course-101/people/?person=1001")
        assert "5000 people were added" in browse(made.headers["Location"]).text
        course = sandbox.course("course-101")
        assert len(course.active()) == 5007
        assert len({one.person.name for one in course.active()}) > 4500
        response = browse("/courses/course-101/people/?page=2")
        page = Elements(response.text)
        assert "Page 2 of 201" in response.text
        assert len(page.all("tr")) == 26
        assert len(page.all("form")) == 1
        assert len(response.content) < 60_000
        assert "1 person with" in browse("/courses/course-101/people/?q=fatima+al-zahra").text
        assert "2 people with" in browse("/courses/course-101/people/?q=school.example&role=Instructor").text
        for count in ("0", "-1", "many", "99999999", "²"):
            assert browse(path, "POST", data={"action": "crowd", "count": count}).status_code == 400

    def test_next_page_keeps_what_was_asked_for(self, sandbox, browse):
        crowd.enrol(sandbox.course("course-101"), 100)
        path = "/courses/course-101/people/?person=1001&q=school&role=Learner&done=added&who=2001"
        (link,) = [one["href"] for one in Elements(browse(path).text).all("a") if one.get("rel") == "next"]
        assert parse_qs(link[1:]) == {"person": ["1001"], "q": ["school"], "role": ["Learner"], "page": ["2"]}

    def test_add_change_remove_and_take_back(self, sandbox, browse):
        course = sandbox.course("course-101")
        form = {"action": "add", "name": "  Ngô  Bảo Châu ", "role": "Learner", "email": ""}
        added = browse("/courses/course-101/add-people/", "POST", data=form)
        assert added.status_code == 303
        assert "Ngô Bảo Châu was added" in browse(added.headers["Location"]).text
        (person,) = [one.person for one in course.active() if one.person.name == "Ngô Bảo Châu"]
        form = {
            "name": "Châu Ngô", "email": "chau@school.example", "role": "Mentor",
            "is_hidden": "on", "is_test_student": "on",
        }  # fmt: skip
        assert change(browse, person.id, action="save", **form).status_code == 303
        assert (person.name, person.email, course.enrolment(person.id).role) == (
            "Châu Ngô",
            "chau@school.example",
            "Mentor",
        )
        assert (person.is_hidden, person.is_test_student) == (True, True)
        change(browse, person.id, action="save", name="Châu Ngô", role="Learner")
        assert (person.is_hidden, person.is_test_student) == (False, False)
        for action, status in (("remove", "Deleted"), ("restore", "Active"), ("deactivate", "Inactive")):
            response = change(browse, person.id, action=action)
            assert 'role="status"' in browse(response.headers["Location"]).text
            assert course.enrolment(person.id).status == status
        assert "Châu Ngô" not in browse("/courses/course-101/people/").text
        assert "Châu Ngô" in browse("/courses/course-101/people/?state=left").text

    def test_person_in_two_courses_has_one_name(self, sandbox, browse):
        change(browse, "2003", action="save", name="Pepe García", role="Learner")
        assert sandbox.course("course-102").enrolment("2003").person.name == "Pepe García"

    @pytest.mark.parametrize(
        "fields",
        [
            {"name": " ", "role": "Learner"},
            {"name": "x" * 201, "role": "Learner"},
            {"name": "A\x07B", "role": "Learner"},
            {"name": "A B", "role": "Administrator"},
            {"name": "A B", "role": "Learner", "email": "nonsense"},
            {"name": "A B", "role": "Learner", "id": "a/b"},
            {"name": "A B", "role": "Learner", "id": "2001"},
            {"action": "fly"},
            {"action": ""},
        ],
    )
    def test_who_is_not_added(self, sandbox, browse, fields):
        response = browse("/courses/course-101/add-people/", "POST", data={"action": "add", **fields})
        assert response.status_code == 400
        assert 'role="alert"' in response.text
        assert fields.get("name", "").strip() in response.text
        assert len(sandbox.course("course-101").people) == 7

    @pytest.mark.parametrize(
        "fields",
        [
            {"action": "save", "name": "", "role": "Learner"},
            {"action": "save", "name": "New", "role": "King"},
            {"action": "save", "name": "New", "role": "Mentor", "email": "nonsense"},
            {"action": "fly"},
            {},
        ],
    )
    def test_what_is_not_changed(self, sandbox, browse, fields):
        response = change(browse, "2001", **fields)
        assert response.status_code == 400
        assert 'role="alert"' in response.text
        zoe = sandbox.course("course-101").enrolment("2001")
        assert (zoe.person.name, zoe.role) == ("Zoë Müller-Łukasiewicz", "Learner")

    def test_nobody_to_change(self, browse):
        assert change(browse, "nobody", action="remove").status_code == 404

    def test_form_that_cannot_be_read(self, browse):
        headers = {"Content-Type": "multipart/form-data; boundary="}
        assert browse("/courses/course-101/add-people/", "POST", data=b"x", headers=headers).status_code == 400
        many = "&".join(f"f{number}=1" for number in range(2000))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert browse("/courses/course-101/add-people/", "POST", data=many, headers=headers).status_code == 400


class TestImport:
    TABLE = 'Name,E-mail,Role,Id\n"Doe, Jane",jane@school.example,teacher,9001\nAda\n\nRui,,Mentor\nOlga,,,2009\n'

    @pytest.mark.parametrize("as_file", [False, True])
    def test_a_table_with_or_without_a_header(self, sandbox, browse, as_file):
        table = {"files": {"file": ("people.csv", b"\xef\xbb\xbf" + self.TABLE.encode())}} if as_file else {}
        data = {"action": "import", "table": "" if as_file else self.TABLE}
        response = browse("/courses/course-101/add-people/?person=1001", "POST", data=data, **table)
        assert response.headers["Location"].endswith("person=1001&done=imported&count=4")
        course = sandbox.course("course-101")
        jane = course.enrolment("9001")
        assert (jane.person.name, jane.person.email, jane.role) == ("Doe, Jane", "jane@school.example", "Instructor")
        assert course.enrolment("2009").person is sandbox.course("course-102").enrolment("2009").person
        assert {one.person.name: one.role for one in course.active()}.items() >= {
            "Ada": "Learner",
            "Rui": "Mentor",
        }.items()

    def test_lines_that_cannot_be_taken_are_told_and_left_to_be_mended(self, sandbox, browse):
        table = f"Ada\nBob,,King\nCy,nonsense\nDan,,,2001\n{EVIL},a,b,c\n"
        response = browse("/courses/course-101/add-people/", "POST", data={"action": "import", "table": table})
        assert response.status_code == 200
        assert "1 person was added. 4 lines were not taken" in response.text
        assert "Line 2: A role is one of" in response.text
        assert ">Bob,,King\n" in response.text
        assert "Ada" not in response.text
        assert "<script" not in response.text
        assert len(sandbox.course("course-101").people) == 8

    @pytest.mark.parametrize("table", ["", "\n , \n", "name,email\n", 'a,"b\x00', "x\n" * 20_001])
    def test_what_is_no_table(self, sandbox, browse, table):
        response = browse("/courses/course-101/add-people/", "POST", data={"action": "import", "table": table})
        assert response.status_code == 400
        assert 'role="alert"' in response.text
        assert len(sandbox.course("course-101").people) == 7

    @given(st.lists(st.lists(st.text("aé,\"'\n\r;\x00@ 1<"), max_size=6), max_size=6))
    def test_whoever_is_written_as_a_table_is_read_from_it(self, rows):
        """Each line is taken or told, and what is told can be handed in again as it is."""
        course = Sandbox().course("course-101")
        table = io.StringIO()
        csv.writer(table).writerows(rows)
        lines = [cells for cells in ([cell.strip() for cell in row] for row in rows) if any(cells)]
        if not lines:
            return
        intake = enrolling.take(table.getvalue(), course)
        assert intake.added + len(intake.refused) == len(lines)
        assert len(course.people) == 7 + intake.added
        if intake.refused:
            assert len(enrolling.take(intake.left, course).refused) == len(intake.refused)

    def test_a_file_that_is_no_text(self, browse):
        files = {"file": ("people.xlsx", b"PK\x03\x04\xff\xfe")}
        response = browse("/courses/course-101/add-people/", "POST", data={"action": "import"}, files=files)
        assert response.status_code == 400
        assert "not text in UTF-8" in response.text


class TestGradebook:
    def test_shows_scores_comments_and_cleared_grades(self, sandbox, browse, by_key, quiz_1):
        caller = by_key()
        caller.post_score(quiz_1, "2001", scoreGiven=7.25, scoreMaximum=10, comment=EVIL)
        caller.post_score(quiz_1, "2002", scoreGiven=0, scoreMaximum=10)
        caller.post_score(quiz_1, "2003", scoreGiven=None)
        text = browse("/courses/course-101/gradebook/").text
        assert "7.25 / 10" in text
        assert "0 / 10" in text
        assert text.count("no grade") == 1
        assert "<script" not in text
        sandbox.course("course-101").remove_person("2001")
        assert "7.25 / 10" in browse("/courses/course-101/gradebook/").text  # the grade outlives the enrolment

    def test_all_comments_where_the_lms_keeps_them_and_the_last_where_not(self, sandbox, browse, by_key):
        for profile, first_stays in (("canvas", True), ("plain", False)):
            sandbox.set_profile(profile)
            sandbox.profile.refuse_same_second = False
            course = sandbox.course("course-101")
            item, person = course.line_items_of("quiz-1")[0], course.enrolment("2001").person
            course.gradebook.delete_line_item(item.number)
            item = course.add_line_item("quiz-1", 10)
            for comment in ("First try.", "Second try."):
                by_key().post_score(item.id, person.lti_id, scoreGiven=1, scoreMaximum=10, comment=comment)
            for path in ("gradebook/", f"gradebook/{item.number}/2001/", "?person=2001", "gradebook/?person=2001"):
                text = browse(f"/courses/course-101/{path}").text
                assert "Second try." in text
                assert ("First try." in text) is first_stays, path
                assert "2 attempts" in text or "<dd>2</dd>" in text or not first_stays

    def test_a_teacher_sets_and_clears_a_grade(self, sandbox, browse):
        course = sandbox.course("course-101")
        item = course.line_items_of("quiz-1")[0]
        path = f"/courses/course-101/gradebook/{item.number}/2001/?person=1001"
        assert "Nothing yet" in browse(path).text
        done = browse(path, "POST", data={"action": "set", "points": "8,5"})
        assert done.headers["Location"] == f"{path}&done=set"
        cell = course.gradebook.cell(item, "2001")
        assert (cell.score, cell.is_overridden) == (Decimal("8.5"), True)
        assert "set by a teacher" in browse("/courses/course-101/gradebook/").text
        for points in ("", "ten", "-1", "NaN", "Infinity", "1e99", "<b>"):
            refused = browse(path, "POST", data={"action": "set", "points": points})
            assert refused.status_code == 400
            assert 'role="alert"' in refused.text
        assert browse(path, "POST", data={}).status_code == 400
        assert cell.score == Decimal("8.5")
        browse(path, "POST", data={"action": "clear"})
        assert cell.score is None
        assert browse(f"/courses/course-101/gradebook/{item.number}/2001/?person=2001").status_code == 403

    def test_a_cell_leads_to_the_review_of_the_submission(self, sandbox, browse):
        item = sandbox.course("course-101").line_items_of("quiz-1")[0]
        path = f"/courses/course-101/gradebook/{item.number}/2001/"
        page = Elements(browse(f"{path}?person=1001").text)
        (form,) = [form for form in page.all("form") if form["method"] == "get"]
        fields = {field["name"]: field["value"] for field in page.all("input") if field.get("type") == "hidden"}
        assert fields == {"person": "1001", "type": "submission_review", "for_user": "2001"}
        assert browse(form["action"] + "?" + urlencode(fields)).status_code == 200

    def test_a_column_is_deleted(self, sandbox, browse, quiz_1):
        course = sandbox.course("course-101")
        item = course.line_items_of("quiz-1")[0]
        course.override(item, "2001", Decimal(4))
        course.override(item, "2002", Decimal(7))
        path = f"/courses/course-101/gradebook/{item.number}/?person=1001"
        assert "2, 5.5 points on average" in browse(path).text
        assert browse(path, "POST").status_code == 400
        assert item.number in course.gradebook.line_items
        deleted = browse(path, "POST", data={"action": "delete"})
        assert deleted.headers["Location"] == "/courses/course-101/gradebook/?person=1001&done=deleted"
        assert course.line_items_of("quiz-1") == []
        assert browse(path).status_code == 404

    def test_five_thousand_people_are_shown_by_pages(self, sandbox, browse):
        course = sandbox.course("course-101")
        crowd.enrol(course, 5000)
        for number in range(10):
            course.add_line_item("quiz-2", 10, f"Column {number}")
        response = browse("/courses/course-101/gradebook/?page=3")
        assert "Page 3 of 201" in response.text
        assert len(Elements(response.text).all("tr")) == 26
        assert "1 person with" in browse("/courses/course-101/gradebook/?q=fatima+zahra").text
