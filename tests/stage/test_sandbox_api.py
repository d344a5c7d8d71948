"""The sandbox answers as the contract says, and refuses what the contract refuses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

import pytest

from .conftest import API_KEY

FULL_LEARNER = "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"
GOOD_SCORE = {
    "userId": "2001",
    "activityProgress": "Completed",
    "gradingProgress": "FullyGraded",
    "scoreGiven": 8,
    "scoreMaximum": 10,
}


def error(response, status):
    """The description of an error in LTIAAS's form."""
    assert response.status_code == status, response.text
    body = response.json()
    assert body["status"] == status
    assert body["error"]
    return body["details"]


def item_path(item_id, tail=""):
    return f"/api/lineitems/{quote(item_id, safe='')}{tail}"


class TestCredentials:
    @pytest.mark.parametrize(
        "path",
        ["/api/idtoken", "/api/memberships", "/api/lineitems", "/api/platforms", "/admin/platforms"],
    )
    @pytest.mark.parametrize(
        "header", ["", "Basic abc", f"Bearer {API_KEY}x", f"LTIK-AUTH-V2 {API_KEY}", "LTIK-AUTH-V2"]
    )
    def test_no_good_credential(self, caller, path, header):
        error(caller(header)("GET", path), 401)

    def test_each_operation_takes_only_its_schemes(self, by_ltik, by_key, account):
        launch, service = by_ltik(), by_key()
        answers = {
            path: [caller("GET", path).status_code for caller in (launch, service, account)]
            for path in ("/api/idtoken", "/api/memberships", "/api/lineitems", "/api/platforms")
        }
        assert answers == {
            "/api/idtoken": [200, 401, 401],
            "/api/memberships": [200, 200, 401],
            "/api/lineitems": [200, 200, 401],
            "/api/platforms": [401, 401, 200],
        }

    def test_ltik_with_another_accounts_api_key(self, sandbox, caller):
        ltik = sandbox.launch("course-101", "quiz-1", "2001")
        details = error(caller(f"LTIK-AUTH-V2 other:{ltik}")("GET", "/api/idtoken"), 401)
        assert details["description"] == "Invalid API key"

    def test_ltik_and_service_key_are_not_interchangeable(self, sandbox, caller):
        ltik = sandbox.launch("course-101", "quiz-1", "2001")
        error(caller(f"SERVICE-AUTH-V1 {API_KEY}:{ltik}")("GET", "/api/memberships"), 401)

    def test_ltik_ends_after_a_day(self, sandbox, by_ltik):
        caller = by_ltik()
        sandbox.advance_clock(24 * 3600 - 60)
        assert caller("GET", "/api/idtoken").status_code == 200
        sandbox.advance_clock(61)
        assert error(caller("GET", "/api/idtoken"), 401) == {
            "message": "INVALID_LTIK_AUTH_AUTHORIZATION_HEADER",
            "description": "Invalid or expired ltik.",
        }

    def test_one_ltik_can_be_ended_early(self, sandbox, caller):
        first, second = (sandbox.launch("course-101", "quiz-1", "2001") for _ in range(2))
        sandbox.expire_ltik(first)
        error(caller(f"LTIK-AUTH-V2 {API_KEY}:{first}")("GET", "/api/idtoken"), 401)
        assert caller(f"LTIK-AUTH-V2 {API_KEY}:{second}")("GET", "/api/idtoken").status_code == 200

    def test_service_keys_outlive_the_ltik_and_each_other_until_revoked(self, sandbox, by_key):
        older, newer = by_key(), by_key()
        assert older.authorization != newer.authorization
        sandbox.advance_clock(100 * 24 * 3600)
        assert [caller("GET", "/api/lineitems").status_code for caller in (older, newer)] == [200, 200]
        assert sandbox.revoke_service_keys("course-101") == 2
        error(older("GET", "/api/lineitems"), 401)
        error(newer("GET", "/api/lineitems"), 401)
        assert by_key()("GET", "/api/lineitems").status_code == 200  # the next launch brings a new one

    def test_they_look_like_the_real_ones(self, sandbox, by_ltik):
        ltik = sandbox.launch("course-101", "quiz-1", "2001")
        key = by_ltik().json("/api/idtoken")["services"]["serviceKey"]
        assert [token.count(".") for token in (ltik, key)] == [2, 2]
        assert 350 < len(ltik) < 450 < len(key) < 650
        assert {ltik, key} <= sandbox.secrets()


class TestIdToken:
    def test_who_where_and_what_is_offered(self, by_ltik, quiz_1):
        token = by_ltik("course-101", "quiz-1", "2001").json("/api/idtoken")
        assert token["user"] == {
            "id": "2001",
            "roles": [FULL_LEARNER],
            "name": "Zoë Müller-Łukasiewicz",
            "givenName": "Zoë",
            "familyName": "Müller-Łukasiewicz",
            "email": "zoe.mueller@school.example",
        }
        assert token["launch"]["context"]["id"] == "course-101"
        assert token["launch"]["resourceLink"]["id"] == "quiz-1"
        assert token["launch"]["presentation"]["documentTarget"] == "iframe"
        assert token["services"]["assignmentAndGrades"]["lineItemId"] == quiz_1

    def test_line_item_is_declared_only_when_there_is_exactly_one(self, sandbox, by_ltik):
        def declared():
            return by_ltik(activity="quiz-2").json("/api/idtoken")["services"]["assignmentAndGrades"].get("lineItemId")

        assert declared() is None
        item = sandbox.course("course-101").add_line_item("quiz-2", 5)
        assert declared() == item.id
        sandbox.course("course-101").add_line_item("quiz-2", 5)
        assert declared() is None

    def test_deep_linking_launch_has_no_resource_link(self, by_ltik):
        token = by_ltik(activity=None, person="1001", type="deep_linking").json("/api/idtoken")
        assert token["launch"]["type"] == "LtiDeepLinkingRequest"
        assert "resourceLink" not in token["launch"]
        assert "ltiResourceLink" in token["services"]["deepLinking"]["acceptTypes"]

    def test_anonymous_platform_tells_no_names(self, sandbox, by_ltik):
        sandbox.profile.anonymous = True
        caller = by_ltik()
        assert set(caller.json("/api/idtoken")["user"]) == {"id", "roles"}
        assert {*caller.json("/api/memberships")["members"][0]} == {"userId", "roles", "status"}
        assert not {"name", "given_name", "family_name", "email"} & set(caller.json("/api/idtoken", raw="true"))

    def test_raw_gives_the_lms_claims(self, by_ltik):
        claims = by_ltik().json("/api/idtoken", raw="true")
        assert claims["sub"] == "2001"
        assert claims["https://purl.imsglobal.org/spec/lti/claim/resource_link"]["id"] == "quiz-1"

    def test_a_test_may_change_it(self, by_ltik):
        def spoil(token):
            token["user"]["email"] = None
            del token["launch"]["context"]

        token = by_ltik(mutate=spoil).json("/api/idtoken")
        assert token["user"]["email"] is None
        assert "context" not in token["launch"]
        assert by_ltik(mutate=lambda token: {"odd": True}).json("/api/idtoken") == {"odd": True}

    @pytest.mark.parametrize("query", ["raw=yes", "raw=", "raw=true&raw=true", "nonsense=1", "raw=%FF"])
    def test_wrong_query(self, by_ltik, query):
        error(by_ltik()("GET", f"/api/idtoken?{query}"), 400)


class TestRoster:
    def walk(self, caller, key, path, **params):
        pages = [caller.json(path, **params)]
        while "next" in pages[-1]:
            pages.append(caller.json(path, url=pages[-1]["next"]))
        return [[entry.get("userId", entry.get("id")) for entry in page[key]] for page in pages]

    def test_pages_hold_everybody_once(self, by_key):
        assert self.walk(by_key(), "members", "/api/memberships") == [
            ["1001", "1002", "2001"],
            ["2002", "2003", "2004"],
            ["2005"],
        ]

    def test_smaller_limit_is_kept_through_the_pages_and_a_larger_one_is_cut(self, by_key):
        assert [len(page) for page in self.walk(by_key(), "members", "/api/memberships", limit="2")] == [2, 2, 2, 1]
        assert [len(page) for page in self.walk(by_key(), "members", "/api/memberships", limit="50")] == [3, 3, 1]

    @pytest.mark.parametrize("role", ["Learner", FULL_LEARNER])
    def test_role_filter_holds_on_every_page(self, by_key, role):
        pages = self.walk(by_key(), "members", "/api/memberships", role=role)
        assert pages == [["2001", "2002", "2003"], ["2004", "2005"]]

    def test_who_left_is_not_on_it_and_who_came_is(self, sandbox, by_key):
        course = sandbox.course("course-101")
        course.remove_person("2002")
        course.rename_person("2001", "Zoë Novák")
        course.change_role("2004", "Instructor")
        newcomer = course.add_person("Iñaki O'Neil")
        sandbox.profile.page_size = 100
        members = {one["userId"]: one for one in by_key().json("/api/memberships")["members"]}
        assert "2002" not in members
        assert members["2001"]["name"] == "Zoë Novák"
        assert members["2004"]["roles"] == ["Instructor"]
        assert members[newcomer.id]["name"] == "Iñaki O'Neil"
        assert members["1001"]["roles"] == ["Instructor"]

    def test_url_wins_over_every_other_parameter(self, by_key):
        caller = by_key()
        next_url = caller.json("/api/memberships", limit="2")["next"]
        page = caller.json("/api/memberships", url=next_url, limit="0", nonsense="1")
        assert [one["userId"] for one in page["members"]] == ["2001", "2002"]

    def test_url_not_encoded_encoded_thrice_or_not_from_here(self, by_key, server):
        caller = by_key()
        next_url = caller.json("/api/memberships", role=FULL_LEARNER)["next"]
        good = quote(next_url, safe="")
        assert caller("GET", f"/api/memberships?url={good}").status_code == 200
        for wrong in (
            next_url,
            quote(quote(good, safe=""), safe=""),
            quote("http://elsewhere.example/?a=1", safe=""),
            "",
        ):
            error(caller("GET", f"/api/memberships?url={wrong}"), 400)
        error(caller("GET", f"/api/lineitems?url={good}"), 400)  # a page of another list

    def test_url_of_another_course(self, by_key):
        next_url = by_key("course-102", "reading-1", "2003").json("/api/memberships")["next"]
        error(by_key()("GET", "/api/memberships", params={"url": next_url}), 400)

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "page=2", "limit=1&limit=2"]
    )
    def test_wrong_query(self, by_key, query):
        error(by_key()("GET", f"/api/memberships?{query}"), 400)

    def test_unknown_resource_link(self, by_key):
        details = error(by_key()("GET", "/api/memberships?resourceLinkId=nope"), 404)
        assert details["externalError"] is True

    def test_line_items_link_both_ways(self, sandbox, by_key):
        for label in ("a", "b", "c"):
            sandbox.course("course-101").gradebook.add_line_item(label, 1)
        caller = by_key()
        first = caller.json("/api/lineitems", limit="2")
        second = caller.json("/api/lineitems", url=first["next"])
        last = caller.json("/api/lineitems", url=first["last"])
        assert [len(page["lineItems"]) for page in (first, second, last)] == [2, 2, 1]
        assert "prev" not in first
        assert "next" not in last
        assert caller.json("/api/lineitems", url=second["prev"]) == first
        assert caller.json("/api/lineitems", url=second["first"]) == first


class TestLineItems:
    def test_create_read_replace_delete(self, by_key):
        caller = by_key(activity="quiz-2")
        body = {
            "label": "Spread",
            "scoreMaximum": 7.5,
            "resourceLinkId": "quiz-2",
            "resourceId": "r-1",
            "tag": "grade",
            "startDateTime": "2026-01-01T00:00:00Z",
            "endDateTime": "2026-02-01T00:00:00.5+01:00",
            "gradesReleased": False,
        }
        created = caller("POST", "/api/lineitems", json=body)
        assert created.status_code == 201
        item_id = created.json()["id"]
        assert created.json() == {"id": item_id, **body}
        assert caller.json(item_path(item_id)) == created.json()
        assert caller.json("/api/lineitems", resourceId="r-1", tag="grade")["lineItems"] == [created.json()]
        assert caller.json("/api/lineitems", resourceId="r-1", tag="other")["lineItems"] == []
        replaced = caller("PUT", item_path(item_id), json={"label": "New", "scoreMaximum": 5})
        assert replaced.status_code == 200
        assert caller.json(item_path(item_id)) == {"id": item_id, "label": "New", "scoreMaximum": 5}
        assert caller("DELETE", item_path(item_id)).status_code == 204
        error(caller("GET", item_path(item_id)), 404)

    def test_replacing_keeps_the_share_of_the_maximum(self, by_key, quiz_1):
        caller = by_key()
        caller.post_score(quiz_1, "2001", scoreGiven=8, scoreMaximum=10)
        caller("PUT", item_path(quiz_1), json={"label": "Quiz", "scoreMaximum": 50})
        assert [(one["resultScore"], one["resultMaximum"]) for one in caller.results(quiz_1)] == [(40, 50)]

    @pytest.mark.parametrize(
        "change",
        [
            {"label": ""},
            {"label": None},  # as if it were missing
            {"label": 5},
            {"label": "\ud800"},
            {"scoreMaximum": 0},
            {"scoreMaximum": -1},
            {"scoreMaximum": "10"},
            {"scoreMaximum": True},
            {"scoreMaximum": None},
            {"gradesReleased": "yes"},
            {"startDateTime": "2026-01-01"},
            {"startDateTime": "2026-01-01T00:00:00"},
            {"endDateTime": "2026-02-30T00:00:00Z"},
            {"extra": 1},
        ],
    )
    def test_wrong_body(self, by_key, change):
        error(by_key()("POST", "/api/lineitems", json={"label": "L", "scoreMaximum": 1, **change}), 400)

    @pytest.mark.parametrize("missing", ["label", "scoreMaximum"])
    def test_missing_member(self, by_key, quiz_1, missing):
        body = {"label": "L", "scoreMaximum": 1}
        del body[missing]
        assert missing in error(by_key()("PUT", item_path(quiz_1), json=body), 400)["description"]

    def test_resource_link_of_another_course(self, by_key):
        body = {"label": "L", "scoreMaximum": 1, "resourceLinkId": "reading-1"}
        error(by_key()("POST", "/api/lineitems", json=body), 404)

    def test_id_must_be_one_percent_encoded_segment(self, by_key, quiz_1):
        caller = by_key()
        assert caller("GET", item_path(quiz_1)).status_code == 200
        for wrong in (quote(quote(quiz_1, safe=""), safe=""), ""):
            error(caller("GET", f"/api/lineitems/{wrong}"), 404)
            error(caller("POST", f"/api/lineitems/{wrong}/scores", json=GOOD_SCORE), 404)

    def test_unknown_one_is_the_lms_s_error(self, by_key, quiz_1):
        gone = quiz_1.replace("lineitems/", "lineitems/99")
        details = error(by_key()("GET", item_path(gone)), 404)
        assert details["externalError"] is True
        assert details["externalUrl"] == gone
        assert "doesn't exist" in details["bodyReceived"]

    def test_key_reaches_only_its_own_context(self, sandbox, by_key, quiz_1):
        other = by_key("course-102", "reading-1", "2003")
        assert error(other("GET", item_path(quiz_1)), 403)["externalError"] is True
        assert other.post_score(quiz_1, "2003", scoreGiven=1, scoreMaximum=1).status_code == 403
        assert sandbox.gradebook("course-101") == []
        assert quiz_1 not in [item["id"] for item in other.json("/api/lineitems")["lineItems"]]


class TestScores:
    def test_score_is_rescaled_and_read_back(self, sandbox, by_key, quiz_1):
        caller = by_key()
        assert caller.post_score(quiz_1, "2001", scoreGiven=3, scoreMaximum=4, comment="Gut & schön").status_code == 204
        (cell,) = sandbox.gradebook("course-101")
        assert (cell.user_id, cell.score, cell.maximum, cell.comment) == ("2001", Decimal("7.5"), 10, "Gut & schön")
        (result,) = caller.results(quiz_1)
        assert (result["userId"], result["resultScore"], result["resultMaximum"]) == ("2001", 7.5, 10)
        assert result["scoreOf"] == quiz_1

    def test_zero_is_a_score_more_than_the_maximum_too_and_none_clears(self, sandbox, by_key, quiz_1):
        caller = by_key()
        seen = []
        for fields in (
            {"scoreGiven": 0, "scoreMaximum": 10},
            {"scoreGiven": 12.5, "scoreMaximum": 10},
            {"scoreGiven": None},
            {"scoreGiven": 4, "scoreMaximum": 10},
            {},
        ):
            assert caller.post_score(quiz_1, "2001", **fields).status_code == 204
            seen.append(caller.results(quiz_1)[0].get("resultScore", "cleared"))
            sandbox.advance_clock(1)
        assert seen == [0, 12.5, "cleared", 4, "cleared"]

    def test_later_score_without_comment_clears_it(self, sandbox, by_key, quiz_1):
        caller = by_key()
        caller.post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1, comment="first")
        sandbox.advance_clock(1)
        caller.post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1)
        assert "comment" not in caller.results(quiz_1)[0]

    def test_unfinished_grading_shows_no_grade(self, by_key, quiz_1):
        caller = by_key()
        assert caller.post_score(quiz_1, "2001", scoreGiven=5, scoreMaximum=10, gradingProgress="Pending").ok
        assert "resultScore" not in caller.results(quiz_1)[0]

    @pytest.mark.parametrize(
        ("first", "second", "status"),
        [
            ("12:00:00.000", "12:00:00.999", 409),  # Moodle compares whole seconds
            ("12:00:00.999", "12:00:01.000", 204),
            ("12:00:01.000", "12:00:00.999", 409),
        ],
    )
    def test_score_must_come_in_a_later_second(self, sandbox, by_key, quiz_1, monkeypatch, first, second, status):
        caller = by_key()
        for time, given in ((first, 1), (second, 2)):
            moment = datetime.fromisoformat(f"2026-01-01T{time}+00:00")
            monkeypatch.setattr(sandbox.clock, "now", lambda moment=moment: moment)
            # What the caller says of the time changes nothing: LTIAAS puts its own in place.
            stamp = {"timestamp": f"2026-01-01T12:30:0{given}.000Z"}
            response = caller.post_score(quiz_1, "2001", scoreGiven=given, scoreMaximum=10, **stamp)
        assert response.status_code == status
        assert caller.results(quiz_1)[0]["resultScore"] == (1 if status == 409 else 2)
        if status == 409:
            details = error(response, 409)
            assert details["externalError"] is True
            assert details["bodyReceived"].startswith("Refusing score with an earlier timestamp")
            sandbox.profile.refuse_same_second = False
            assert caller.post_score(quiz_1, "2001", scoreGiven=3, scoreMaximum=10).status_code == 204

    @pytest.mark.parametrize("user_id", ["1001", "2006", "nobody"])
    def test_who_is_no_learner_of_the_course(self, sandbox, by_key, quiz_1, user_id):
        details = error(by_key().post_score(quiz_1, user_id, scoreGiven=1, scoreMaximum=1), 400)
        assert details["externalError"] is True
        assert details["bodyReceived"].startswith("Incorrect score received")
        assert sandbox.gradebook("course-101") == []

    def test_who_has_left(self, sandbox, by_key, quiz_1):
        sandbox.course("course-101").remove_person("2001")
        error(by_key(person="2002").post_score(quiz_1, "2001", scoreGiven=1, scoreMaximum=1), 400)

    def test_results_of_one_person_and_in_pages(self, by_key, quiz_1):
        caller = by_key()
        for user_id in ("2001", "2002", "2003", "2004"):
            caller.post_score(quiz_1, user_id, scoreGiven=1, scoreMaximum=1)
        assert [one["userId"] for one in caller.results(quiz_1, userId="2003")] == ["2003"]
        assert caller.results(quiz_1, userId="2005") == []
        page = caller.json(item_path(quiz_1, "/scores"))
        assert len(page["scores"]) == 3
        assert [one["userId"] for one in caller.results(quiz_1, url=page["next"])] == ["2004"]

    @pytest.mark.parametrize("word", ["Initialized", "Initiated"])
    def test_both_spellings_of_the_first_progress(self, by_key, quiz_1, word):
        assert by_key().post_score(quiz_1, "2001", activityProgress=word).status_code == 204

    def test_extensions_named_by_a_url_are_let_through(self, sandbox, by_key, quiz_1):
        name = "https://canvas.instructure.com/lti/submission"
        assert by_key().post_score(quiz_1, "2001", **{name: {"new_submission": False}}).status_code == 204
        assert sandbox.gradebook("course-101")[0].extra == {name: {"new_submission": False}}

    @pytest.mark.parametrize(
        "change",
        [
            {"userId": ""},
            {"userId": 2001},
            {"userId": None},
            {"user_id": "2001"},
            {"activityProgress": "Done"},
            {"activityProgress": None},
            {"gradingProgress": "fullygraded"},
            {"gradingProgress": []},
            {"scoreGiven": -1},
            {"scoreGiven": "8"},
            {"scoreGiven": False},
            {"scoreMaximum": 0},
            {"scoreMaximum": -5},
            {"scoreMaximum": None},
            {"scoreGiven": 1e300},
            {"scoreMaximum": 1e-300},
            {"comment": 5},
            {"timestamp": "2026-01-01T10:00:00"},
            {"timestamp": "yesterday"},
        ],
    )
    def test_wrong_body(self, sandbox, by_key, quiz_1, change):
        error(by_key()("POST", item_path(quiz_1, "/scores"), json={**GOOD_SCORE, **change}), 400)
        assert sandbox.gradebook("course-101") == []

    @pytest.mark.parametrize("missing", ["userId", "activityProgress", "gradingProgress", "scoreMaximum"])
    def test_missing_member(self, by_key, quiz_1, missing):
        score = {name: value for name, value in GOOD_SCORE.items() if name != missing}
        assert missing in error(by_key()("POST", item_path(quiz_1, "/scores"), json=score), 400)["description"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff\xfe",
            b'{"userId": NaN}',
            b"[" * 100_000,
            b'{"scoreGiven": 1e999999999999999999999}',
            b'{"scoreGiven": ' + b"9" * 5000 + b"}",
        ],
    )
    def test_malformed_json(self, by_key, quiz_1, body):
        headers = {"Content-Type": "application/json"}
        error(by_key()("POST", item_path(quiz_1, "/scores"), data=body, headers=headers), 400)

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
    )
    def test_other_content_types(self, by_key, quiz_1, content_type):
        headers = {"Content-Type": content_type}
        error(by_key()("POST", item_path(quiz_1, "/scores"), data=b"{}", headers=headers), 400)


class TestPlatforms:
    @pytest.mark.parametrize("prefix", ["/api", "/admin"])
    def test_listed_and_one(self, account, prefix):
        (platform,) = account.json(f"{prefix}/platforms")["platforms"]
        assert account.json(f"{prefix}/platforms/{platform['id']}") == platform
        assert account.json(f"{prefix}/platforms", clientId="other")["platforms"] == []
        error(account("GET", f"{prefix}/platforms/other"), 404)

    def test_it_is_the_one_of_the_launches(self, account, by_ltik):
        (platform,) = account.json("/api/platforms")["platforms"]
        assert by_ltik().json("/api/idtoken")["platform"]["id"] == platform["id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/deeplinking/other", 404),
        ("GET", "/api/registrations", 404),
        ("GET", "/api/", 404),
        ("GET", "/api/idtoken/", 404),
        ("GET", "/api/lineitems//scores", 404),
        ("POST", "/api/idtoken", 405),
        ("DELETE", "/api/memberships", 405),
    ],
)
def test_what_is_not_there(by_ltik, method, path, status):
    error(by_ltik()(method, path), status)
