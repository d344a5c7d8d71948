"""The LMS's side of deep linking: what it refuses of a tool's answer, and what it adds to the course."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

EVIL = "<script>alert('x')</script>"
COURSE = "course-101"
PAGE = f"/courses/{COURSE}/deep-linking/"


@pytest.fixture
def tool(by_ltik):
    """A caller with the ltik of a deep linking launch that takes what is given."""
    return lambda **takes: by_ltik(COURSE, None, "1001", type="deep_linking", deep_linking=takes)


@pytest.fixture
def activity(sandbox, server):
    """An activity as a tool hands it over, with changes."""
    return lambda **more: {"type": "ltiResourceLink", "url": f"{sandbox.origin}/lti/launch", **more}


def answer(caller, *items, path="/api/deeplinking", **options):
    body = {"contentItems": list(items), **({"options": options} if options else {})}
    return caller("POST", path, json=body)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"type": "lti"}, "`type`"),
        ({"type": "link"}, "`url` is missing"),
        ({"type": "link", "url": "javascript:alert(1)"}, "`url` must be a URL"),
        ({"type": "link", "url": "https://x", "custom": {"a": "b"}}, "`custom` is not known"),
        ({"type": "html", "html": ""}, "`html` must not be empty"),
        ({"type": "image", "url": "https://x", "width": 0}, "`width` must be at least 1"),
        ({"type": "image", "url": "https://x", "icon": {"width": 1}}, "`icon` is wrong: `url` is missing"),
        ({"type": "file", "url": "https://x", "expiresAt": "tomorrow"}, "`expiresAt` must be a date"),
        ({"lineItem": {"label": "L"}}, "`scoreMaximum` is missing"),
        ({"lineItem": {"scoreMaximum": 0}}, "`scoreMaximum` must be above 0"),
        ({"custom": {"level": 2}}, "`custom` must be a string"),
        ({"title": 5}, "`title` must be a string"),
        ({"url": "https://tool.example/lti/launch"}, "must be http"),
        ("no item", "`type`"),
    ],
)
def test_an_item_that_is_not_in_the_contract_is_refused(tool, activity, sandbox, item, says):
    whole = {**activity(), **item} if isinstance(item, dict) and "type" not in item else item
    response = answer(tool(), whole)
    assert response.status_code == 400
    assert says in response.json()["details"]["description"]
    assert sandbox.answers == {}


def test_what_the_launch_does_not_take_is_refused(tool, activity):
    link = {"type": "link", "url": "https://x/"}
    refused = [
        answer(tool(acceptTypes=["link"]), activity()),
        answer(tool(acceptMultiple=False), link, link),
        answer(tool(acceptPresentationDocumentTargets=["window"]), activity(iframe={"width": 5})),
        answer(tool(acceptMediaTypes=["image/*"]), {"type": "file", "url": "https://x/a.pdf"}),
    ]
    assert [(r.status_code, r.json()["details"]["message"]) for r in refused] == [
        (400, "CONTENT_ITEM_NOT_ACCEPTED")
    ] * 4
    taken = answer(tool(acceptMediaTypes=["application/*"]), {"type": "file", "url": "https://x/a.pdf"}, link)
    assert taken.status_code == 200


def test_a_refusal_holds_no_items_and_no_success(tool, activity):
    assert answer(tool(), activity(), errMessage="No").status_code == 400
    assert answer(tool(), message="Yes", errLog="No").status_code == 400
    assert answer(tool(), errMessage="No").status_code == 200


def test_only_the_ltik_of_a_deep_linking_launch_answers(by_ltik, by_key, activity):
    other = answer(by_ltik(), activity())
    assert (other.status_code, other.json()["details"]["message"]) == (400, "INVALID_LAUNCH_TYPE")
    assert answer(by_key(COURSE, None, "1001", type="deep_linking"), activity()).status_code == 401


def test_the_answer_becomes_activities_and_columns_and_everything_is_escaped(tool, activity, sandbox, browse):
    items = [
        activity(title=EVIL, text=EVIL, custom={"a": "b"}, iframe={"width": 640, "height": 480}),
        activity(lineItem={"scoreMaximum": 7.5, "resourceId": "r", "tag": "t"}),
        {"type": "html", "html": EVIL},
        {"type": "link", "url": "https://x/?a='&b=\"", "title": EVIL},
    ]
    given = answer(tool(), *items, message=EVIL).json()
    assert given["target"] == f"{sandbox.origin}{PAGE}"
    pages = [browse(PAGE, "POST", data={"JWT": given["message"]}).text]
    place = sandbox.course(COURSE)
    first, second = list(place.activities.values())[-2:]
    (column,) = place.line_items_of(second.id)
    assert (first.custom, second.title) == ({"a": "b"}, f"Activity {len(place.activities)}")
    assert (column.label, str(column.score_maximum), column.resource_id, column.tag) == (second.title, "7.5", "r", "t")
    assert [item["type"] for item in place.contents] == ["html", "link"]
    activity_page = browse(f"/courses/{COURSE}/activities/{first.id}/?person=1001").text
    pages += [browse(f"/courses/{COURSE}/").text, activity_page]
    assert "2 activities and 2 other items added" in pages[0]
    assert "width: 640px" in activity_page
    assert not any(EVIL in page for page in pages)


def test_a_column_is_not_made_where_the_lms_ignores_line_items(tool, activity, sandbox, browse):
    given = answer(tool(acceptLineitem=False), activity(lineItem={"scoreMaximum": 5})).json()
    assert browse(PAGE, "POST", data={"JWT": given["message"]}).status_code == 200
    place = sandbox.course(COURSE)
    assert place.line_items_of(list(place.activities)[-1]) == []


def test_an_answer_is_taken_in_its_own_course_only(tool, activity, browse):
    message = answer(tool(), activity()).json()["message"]
    for path, token in (("/courses/course-102/deep-linking/", message), (PAGE, "x"), (PAGE, "")):
        assert browse(path, "POST", data={"JWT": token}).status_code == 400


def test_a_teacher_opens_the_tool_from_the_course_page(sandbox, browse, caller):
    assert f'action="{PAGE}"' in browse(f"/courses/{COURSE}/?person=1001").text
    assert f'action="{PAGE}"' not in browse(f"/courses/{COURSE}/?person=2001").text
    assert f'src="{PAGE}launch/?person=1001"' in browse(f"{PAGE}?person=1001").text
    response = browse(f"{PAGE}launch/?person=1001")
    (ltik,) = parse_qs(urlsplit(response.headers["Location"]).query)["ltik"]
    token = caller(f"LTIK-AUTH-V2 {sandbox.api_key}:{ltik}").json("/api/idtoken")
    assert token["launch"]["type"] == "LtiDeepLinkingRequest"
    assert "resourceLink" not in token["launch"]
    assert [browse(f"{PAGE}{query}").status_code for query in ("?person=2001", "", "?person=nobody")] == [403, 400, 404]


def test_what_a_launch_takes_stands_in_both_forms_of_the_id_token(tool):
    caller = tool(acceptMultiple=False, hideAcceptMultiple=True, acceptMediaTypes=["a/b", "c/*"], acceptLineitem=True)
    said = caller.json("/api/idtoken")["services"]["deepLinking"]
    claim = caller.json("/api/idtoken", raw="true")[
        "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
    ]
    assert ("acceptMultiple" in said, said["acceptMediaTypes"]) == (False, ["a/b", "c/*"])
    assert (claim["accept_multiple"], claim["accept_media_types"], claim["accept_lineitem"]) == (False, "a/b,c/*", True)


def test_the_control_api_says_what_a_launch_takes(browse):
    body = {"course": COURSE, "person": "1001", "type": "deep_linking"}
    good, unknown, wrong = (
        browse("/control/launches/", "POST", json={**body, "deepLinking": takes}).status_code
        for takes in ({"acceptMultiple": False}, {"acceptEverything": True}, "all")
    )
    assert (good, unknown, wrong) == (201, 400, 400)
