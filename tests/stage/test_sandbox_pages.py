"""The LMS in the browser: plain HTML that launches, shows grades, and edits the roster."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest

EVIL = "<script>alert('x')</script> & \"Co\""
PAGES = [
    "/",
    "/courses/course-101/",
    "/courses/course-101/gradebook/",
    "/courses/course-101/people/",
    "/courses/course-101/activities/quiz-1/",
    "/courses/course-101/activities/quiz-1/?person=2001",
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


def edit(browse, **fields):
    return browse("/courses/course-101/people/", "POST", data=fields)


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
    def test_well_formed_labelled_and_self_contained(self, browse, path):
        response = browse(path)
        page = Elements(response.text)
        assert len(page.all("h1")) == 1
        assert page.all("html")[0]["lang"]
        assert not page.all("script") or path == "/registrations/"  # it must hear when to close a window
        ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
        assert len(ids) == len(set(ids))
        labelled = {label["for"] for label in page.all("label")}
        fields = [field for field in [*page.all("select"), *page.all("input")] if field.get("type") != "hidden"]
        assert {field["id"] for field in fields} == labelled
        assert [table for table in page.all("table") if "caption" not in dict(page.found)] == []
        outside = [link["href"] for link in page.all("a") if not link["href"].startswith(("/", "#"))]
        assert outside == []

    @pytest.mark.parametrize("path", [path for path in PAGES if "course-101" in path])
    def test_names_are_escaped(self, sandbox, browse, path):
        course = sandbox.course("course-101")
        course.title = course.activity("quiz-1").title = course.activity("quiz-1").description = EVIL
        course.rename_person("2001", EVIL)
        sandbox.launch("course-101", "quiz-1", "2001")
        assert "<script" not in browse(path).text
        assert "&lt;script&gt;" in browse(path).text

    def test_course_page_offers_everybody_and_remembers_the_choice(self, browse):
        page = Elements(browse("/courses/course-101/?person=2004").text)
        options = page.all("option")
        assert {option["value"] for option in options} == {"1001", "1002", "2001", "2002", "2003", "2004", "2005"}
        assert [option["value"] for option in options if "selected" in option] == ["2004"]

    def test_gradebook_shows_scores_comments_and_cleared_grades(self, sandbox, browse, by_key, quiz_1):
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

    @pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("GET", "/mod/lti/services.php/2/lineitems")])
    def test_unknown_pages(self, browse, method, path):
        response = browse(path, method)
        assert response.status_code == 404
        assert "no such page" in response.text

    def test_writing_to_a_page_that_only_shows(self, browse):
        assert browse("/courses/course-101/gradebook/", "POST").status_code == 405


class TestRosterEditing:
    def test_add_rename_change_role_remove_and_take_back(self, sandbox, browse):
        course = sandbox.course("course-101")
        added = edit(browse, action="add", name="  Ngô  Bảo Châu ", role="Learner", email="")
        assert added.status_code == 303
        assert "Ngô Bảo Châu was added" in browse(added.headers["Location"]).text
        (user_id,) = [one.person.id for one in course.active() if one.person.name == "Ngô Bảo Châu"]
        edit(browse, action="rename", person=user_id, name="Châu Ngô")
        edit(browse, action="role", person=user_id, role="Instructor")
        assert course.enrolment(user_id).person.name == "Châu Ngô"
        assert course.enrolment(user_id).role == "Instructor"
        edit(browse, action="remove", person=user_id)
        assert user_id not in [one.person.id for one in course.active()]
        assert "Left the course" in browse("/courses/course-101/people/").text
        edit(browse, action="restore", person=user_id)
        assert course.enrolment(user_id).is_active

    def test_person_in_two_courses_has_one_name(self, sandbox, browse):
        edit(browse, action="rename", person="2003", name="Pepe García")
        assert sandbox.course("course-102").enrolment("2003").person.name == "Pepe García"

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"action": "add", "name": " ", "role": "Learner"}, 400),
            ({"action": "add", "name": "x" * 201, "role": "Learner"}, 400),
            ({"action": "add", "name": "A\x07B", "role": "Learner"}, 400),
            ({"action": "add", "name": "A B", "role": "Administrator"}, 400),
            ({"action": "add", "name": "A B", "role": "Learner", "email": "nonsense"}, 400),
            ({"action": "add", "name": "A B", "role": "Learner", "person": "a/b"}, 400),
            ({"action": "add", "name": "A B", "role": "Learner", "person": "2001"}, 400),
            ({"action": "rename", "person": "2001", "name": ""}, 400),
            ({"action": "role", "person": "2001", "role": "King"}, 400),
            ({"action": "remove", "person": "nobody"}, 404),
            ({"action": "fly", "person": "2001"}, 400),
            ({}, 400),
        ],
    )
    def test_refusals_are_shown_on_the_page(self, sandbox, browse, fields, status):
        response = edit(browse, **fields)
        assert response.status_code == status
        assert 'role="alert"' in response.text
        assert "Zoë Müller-Łukasiewicz" in response.text
        assert len(sandbox.course("course-101").active()) == 7

    def test_form_that_cannot_be_read(self, browse):
        headers = {"Content-Type": "multipart/form-data; boundary="}
        assert browse("/courses/course-101/people/", "POST", data=b"x", headers=headers).status_code == 400
        many = "&".join(f"f{number}=1" for number in range(2000))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert browse("/courses/course-101/people/", "POST", data=many, headers=headers).status_code == 400
