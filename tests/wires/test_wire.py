"""Reading and writing LTIAAS's JSON: tolerant where LMSs differ, exact in ids and amounts, loud in everything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltiaas_django import data, exceptions
from ltiaas_django.connections.ltiaas import reading, wire
from ltiaas_django.vocabulary import ActivityProgress, GradingProgress, LaunchType, MembershipStatus


def id_token(**changes: Any) -> dict[str, Any]:
    """A whole ID token, with members replaced by dotted path (None takes one away)."""
    token: dict[str, Any] = {
        "ltiVersion": "1.3.0",
        "user": {
            "id": "2001",
            "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
            "email": "ada@example.org",
            "name": "Ada Lovelace",
            "givenName": "Ada",
            "familyName": "Lovelace",
            "picture": "https://lms.org/ada.png",
        },
        "platform": {
            "id": "platform-1",
            "url": "https://lms.org",
            "clientId": "client-1",
            "deploymentId": "deployment-1",
            "name": "The LMS",
            "guid": "guid-1",
            "productFamilyCode": "moodle",
            "version": "5.1",
        },
        "launch": {
            "type": "LtiResourceLinkRequest",
            "target": "https://your.ltiaas.com/lti/launch",
            "context": {"id": "course-1", "label": "C1", "title": "Course 1", "type": ["CourseSection"]},
            "resourceLink": {"id": "link-1", "title": "Quiz", "description": "A quiz"},
            "presentation": {"documentTarget": "iframe", "locale": "de", "returnUrl": "https://lms.org/back"},
            "custom": {"level": "3"},
        },
        "services": {
            "deepLinking": {"available": False},
            "namesAndRoles": {"available": True},
            "assignmentAndGrades": {"available": True, "lineItemId": "https://lms.org/li/1?t=1", "scopes": ["s"]},
            "serviceKey": "eyJ.service.key",
        },
    }
    for path, value in changes.items():
        *parents, name = path.split("__")
        node = token
        for parent in parents:
            node = node[parent]
        node[name] = value
    return token


# --- ID tokens ------------------------------------------------------------------------------------------------------


def test_an_id_token_is_read_whole() -> None:
    raw = id_token()
    token = wire.parse_id_token(raw)
    assert token == data.IdToken(
        lti_version="1.3.0",
        user=data.User(
            lti_id="2001",
            roles=("http://purl.imsglobal.org/vocab/lis/v2/membership#Learner",),
            name="Ada Lovelace",
            given_name="Ada",
            family_name="Lovelace",
            email="ada@example.org",
            picture="https://lms.org/ada.png",
        ),
        platform=data.Platform(
            ltiaas_id="platform-1",
            issuer="https://lms.org",
            client_id="client-1",
            deployment_id="deployment-1",
            name="The LMS",
            guid="guid-1",
            product_family="moodle",
            version="5.1",
        ),
        launch=data.Launch(
            type=LaunchType.RESOURCE_LINK,
            target="https://your.ltiaas.com/lti/launch",
            context=data.Context(lti_id="course-1", label="C1", title="Course 1", types=("CourseSection",)),
            resource_link=data.ResourceLink(lti_id="link-1", title="Quiz", description="A quiz"),
            document_target="iframe",
            locale="de",
            return_url="https://lms.org/back",
            custom={"level": "3"},
        ),
        services=data.Services(
            offers_roster=True,
            offers_grades=True,
            line_item_id="https://lms.org/li/1?t=1",
            scopes=("s",),
            service_key="eyJ.service.key",
        ),
    )
    assert token.raw is raw
    assert "service.key" not in repr(token)


def test_an_id_token_may_say_next_to_nothing() -> None:
    token = wire.parse_id_token({"user": {"id": 7}, "platform": {"id": 8}, "unknown": {"members": []}})
    assert token.user == data.User(lti_id="7")
    assert token.platform == data.Platform(ltiaas_id="8")
    assert token.launch == data.Launch(type=LaunchType.RESOURCE_LINK)
    assert token.services == data.Services()
    assert token.lti_version == "1.3.0"


@pytest.mark.parametrize(
    "path", ["user__email", "user__roles", "launch__context", "launch__presentation", "services", "platform__url"]
)
def test_null_is_the_same_as_missing(path: str) -> None:
    missing = id_token()
    *parents, name = path.split("__")
    node = missing
    for parent in parents:
        node = node[parent]
    del node[name]
    assert wire.parse_id_token(id_token(**{path: None})) == wire.parse_id_token(missing)


@pytest.mark.parametrize(
    ("changes", "get", "value"),
    [
        ({"user__id": 2001}, lambda t: t.user.lti_id, "2001"),
        ({"user__id": Decimal("20.50")}, lambda t: t.user.lti_id, "20.50"),
        ({"user__id": " 7 "}, lambda t: t.user.lti_id, " 7 "),
        ({"user__id": "Ä/日"}, lambda t: t.user.lti_id, "Ä/日"),
        ({"user__id": "x" * 255}, lambda t: t.user.lti_id, "x" * 255),
        ({"user__name": 7}, lambda t: t.user.name, "7"),
        ({"user__name": "A\x00d\ud800a"}, lambda t: t.user.name, "Ada"),
        ({"user__name": "x" * 300}, lambda t: t.user.name, "x" * 255),
        ({"user__email": "not an address"}, lambda t: t.user.email, ""),
        ({"user__email": "a@b@c"}, lambda t: t.user.email, ""),
        ({"user__email": "x" * 250 + "@e.org"}, lambda t: t.user.email, ""),
        ({"user__email": "Ada <ada@example.org>"}, lambda t: t.user.email, ""),
        ({"user__email": "a\ud800@example.org"}, lambda t: t.user.email, ""),
        ({"user__email": "ada@localhost"}, lambda t: t.user.email, "ada@localhost"),
        ({"user__picture": "javascript:alert(1)"}, lambda t: t.user.picture, ""),
        ({"user__roles": "Learner"}, lambda t: t.user.roles, ("Learner",)),
        ({"user__roles": ["A", None, 3, "x" * 256, "\x00", ""]}, lambda t: t.user.roles, ("A", "3")),
        ({"platform__deploymentId": 3}, lambda t: t.platform.deployment_id, "3"),
        ({"launch__type": ""}, lambda t: t.launch.type, LaunchType.RESOURCE_LINK),
        ({"launch__type": "LtiDeepLinkingRequest"}, lambda t: t.launch.type, LaunchType.DEEP_LINKING),
        ({"launch__type": "LtiSubmissionReviewRequest"}, lambda t: t.launch.type, LaunchType.SUBMISSION_REVIEW),
        ({"launch__type": "basic-lti-launch-request", "ltiVersion": "1.2.0"}, lambda t: t.lti_version, "1.2.0"),
        ({"launch__presentation": {"document_target": "window"}}, lambda t: t.launch.document_target, "window"),
        ({"launch__presentation": {"documentTarget": "popup"}}, lambda t: t.launch.document_target, ""),
        ({"launch__presentation": {"width": "800", "height": 3}}, lambda t: t.launch.document_target, ""),
        ({"launch__presentation": {"returnUrl": "data:x"}}, lambda t: t.launch.return_url, ""),
        ({"launch__presentation": {"returnUrl": "https://x/" + "y" * 2000}}, lambda t: t.launch.return_url, ""),
        ({"launch__custom": {"n": Decimal("1.50"), "b": True, "l": [1]}}, lambda t: t.launch.custom,
         {"n": "1.50", "b": True, "l": ["1"]}),
        ({"launch__custom": {"a\x00": {"b": "\ud800c"}}}, lambda t: t.launch.custom, {"a": {"b": "c"}}),
        ({"launch__resourceLink": None}, lambda t: t.launch.resource_link, None),
        ({"launch__resourceLink__description": "x" * 3000}, lambda t: len(t.launch.resource_link.description), 2000),
        ({"services__namesAndRoles": {"available": "true"}}, lambda t: t.services.offers_roster, False),
        ({"services__namesAndRoles": {"available": 1}}, lambda t: t.services.offers_roster, False),
        ({"services__namesAndRoles": None}, lambda t: t.services.offers_roster, False),
        ({"services__deepLinking": {"available": True}}, lambda t: t.services.offers_deep_linking, True),
        ({"services__serviceKey": ""}, lambda t: t.services.service_key, ""),
        ({"services__serviceKey": "k" * 8192}, lambda t: len(t.services.service_key), 8192),
        ({"services__legacyServiceKey": "old"}, lambda t: t.services.service_key, "eyJ.service.key"),
    ],
)  # fmt: skip
def test_shapes_that_lmss_send_are_read(
    changes: dict[str, Any], get: Callable[[data.IdToken], object], value: object
) -> None:
    assert get(wire.parse_id_token(id_token(**changes))) == value


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"user": None}, "user.id"),
        ({"user": []}, "user:"),
        ({"user": "2001"}, "user:"),
        ({"user__id": None}, "user.id"),
        ({"user__id": "  "}, "user.id"),
        ({"user__id": True}, "user.id"),
        ({"user__id": ["2001"]}, "user.id"),
        ({"user__id": "x" * 256}, "user.id"),
        ({"user__id": "a\x00b"}, "user.id"),
        ({"user__id": "a\ud800b"}, "user.id"),
        ({"user__id": 10**400}, "user.id"),
        ({"user__name": {"full": "Ada"}}, "user.name"),
        ({"user__name": False}, "user.name"),
        ({"user__email": ["ada@example.org"]}, "user.email"),
        ({"user__roles": {"0": "Learner"}}, "user.roles[0]"),
        ({"user__roles": ["Learner", {"role": "x"}]}, "user.roles[1]"),
        ({"user__roles": ["Learner", True]}, "user.roles[1]"),
        ({"platform": {}}, "platform.id"),
        ({"platform__deploymentId": "d" * 256}, "platform.deploymentId"),
        ({"launch": []}, "launch:"),
        ({"launch__type": "LtiAssetProcessorSettingsRequest"}, "launch.type: LtiAssetProcessorSettingsRequest"),
        ({"launch__type": "nonsense"}, "launch.type"),
        ({"launch__type": 7}, "launch.type"),
        ({"launch__context": {}}, "launch.context.id"),
        ({"launch__context": {"id": "", "title": "x"}}, "launch.context.id"),
        ({"launch__context__id": "c" * 256}, "launch.context.id"),
        ({"launch__resourceLink": {"title": "x"}}, "launch.resourceLink.id"),
        ({"launch__custom": ["x"]}, "launch.custom"),
        ({"launch__presentation": "iframe"}, "launch.presentation"),
        ({"services__serviceKey": "ключ"}, "services.serviceKey"),
        ({"services__serviceKey": "two words"}, "services.serviceKey"),
        ({"services__serviceKey": "line\nbreak"}, "services.serviceKey"),
        ({"services__serviceKey": "k" * 8193}, "services.serviceKey"),
        ({"services__assignmentAndGrades": [1]}, "services.assignmentAndGrades"),
        ({"services__assignmentAndGrades__lineItemId": "x" * 2001}, "services.assignmentAndGrades.lineItemId"),
    ],
)
def test_what_cannot_be_right_is_named(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(exceptions.InvalidResponse) as caught:
        wire.parse_id_token(id_token(**changes))
    assert caught.value.detail.startswith(names)
    assert caught.value.asked == "GET id token"


@pytest.mark.parametrize("obj", [None, [], [{}], "text", 7, True])
@pytest.mark.parametrize("parse", [wire.parse_id_token, wire.parse_membership_page, wire.parse_line_item])
def test_an_answer_that_is_no_object_is_an_error(parse: Callable[[object], object], obj: object) -> None:
    with pytest.raises(exceptions.InvalidResponse, match="the answer: an object is wanted"):
        parse(obj)


def test_a_custom_parameter_nested_without_end_is_an_error() -> None:
    value: object = "x"
    for _ in range(500):
        value = [value]
    with pytest.raises(exceptions.InvalidResponse, match=r"launch\.custom"):
        wire.parse_id_token(id_token(launch__custom={"a": value}))


# --- rosters --------------------------------------------------------------------------------------------------------


def test_a_page_of_members_is_read() -> None:
    members, next_url = wire.parse_membership_page(
        {
            "id": "x",
            "context": {"id": "c"},
            "members": [
                {"userId": "1", "roles": ["Learner"], "status": "Active", "name": "Ada", "givenName": "A",
                 "familyName": "L", "email": "a@b.org", "picture": "https://x.org/p", "lisPersonSourcedId": "s"},
                {"user_id": 2},
                {"userId": "3", "status": "Inactive", "roles": "Instructor"},
                {"userId": "4", "status": "Deleted", "roles": None},
                {"userId": "5", "status": None},
                {"userId": "6", "status": "active"},
            ],
            "next": "https://lms.org/members?page=2",
        }
    )  # fmt: skip
    assert members[0] == data.Member(
        user_id="1", roles=("Learner",), name="Ada", given_name="A", family_name="L", email="a@b.org",
        picture="https://x.org/p",
    )  # fmt: skip
    assert [member.user_id for member in members] == ["1", "2", "3", "4", "5", "6"]
    active, inactive, deleted = MembershipStatus
    assert [member.status for member in members] == [active, active, inactive, deleted, active, active]
    assert next_url == "https://lms.org/members?page=2"


@pytest.mark.parametrize("more", [{}, {"next": None}, {"next": ""}, {"next": " "}, {"context": None}, {"context": 7}])
def test_the_last_page_may_be_empty(more: dict[str, Any]) -> None:
    assert wire.parse_membership_page({"members": [], **more}) == ([], None)


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ({}, "members: a list is wanted, not nothing"),
        ({"members": None}, "members:"),
        ({"members": {"0": {}}}, "members:"),
        ({"members": [7]}, "members[0]:"),
        ({"members": [{"userId": "1"}, {"roles": []}]}, "members[1].userId: missing or blank"),
        ({"members": [{"userId": "1", "status": "Suspended"}]}, "members[0].status: Suspended is no status"),
        ({"members": [{"userId": "1", "status": "a much longer text"}]}, "members[0].status: it is no status"),
        ({"members": [{"userId": "1", "status": True}]}, "members[0].status"),
        ({"members": [{"userId": "1", "name": []}]}, "members[0].name"),
        ({"members": [], "next": ["x"]}, "next"),
        ({"members": [], "next": "\ud800"}, "next"),
    ],
)
def test_a_page_that_cannot_be_right_is_no_page(page: dict[str, Any], names: str) -> None:
    with pytest.raises(exceptions.InvalidResponse) as caught:
        wire.parse_membership_page(page)
    assert caught.value.detail.startswith(names)


# --- line items, results --------------------------------------------------------------------------------------------

LINE_ITEM = {"id": "https://lms.org/li/1", "label": "Quiz", "scoreMaximum": 10}


@pytest.mark.parametrize("page", [[LINE_ITEM], {"lineItems": [LINE_ITEM]}, {"lineItems": [LINE_ITEM], "next": None}])
def test_line_items_come_as_a_list_or_in_an_object(page: object) -> None:
    items, next_url = wire.parse_line_item_page(page)
    assert items == [data.LineItem(lti_id="https://lms.org/li/1", label="Quiz", score_maximum=Decimal(10))]
    assert next_url is None


def test_a_line_item_is_read_whole() -> None:
    item = wire.parse_line_item(
        {
            **LINE_ITEM,
            "scoreMaximum": "10.50",
            "resourceLinkId": 5,
            "resourceId": "",
            "tag": "grade",
            "startDateTime": "2026-03-01T12:00:00+02:00",
            "endDateTime": "2026-03-02T12:00:00Z",
            "gradesReleased": False,
        }
    )
    assert item == data.LineItem(
        lti_id="https://lms.org/li/1",
        label="Quiz",
        score_maximum=Decimal("10.50"),
        resource_link_id="5",
        tag="grade",
        starts_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
        ends_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        grades_released=False,
    )


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01T00:00:00Z", 7, None, "0001-01-01T00:00:00+10:00"])
def test_a_date_that_is_none_hides_no_column(text: object) -> None:
    assert wire.parse_line_item({**LINE_ITEM, "endDateTime": text}).ends_at is None


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"id": None}, "id"),
        ({"id": "x" * 2001}, "id"),
        ({"scoreMaximum": None}, "scoreMaximum"),
        ({"scoreMaximum": "ten"}, "scoreMaximum"),
        ({"scoreMaximum": "NaN"}, "scoreMaximum"),
        ({"scoreMaximum": "Infinity"}, "scoreMaximum"),
        ({"scoreMaximum": True}, "scoreMaximum"),
        ({"scoreMaximum": []}, "scoreMaximum"),
        ({"scoreMaximum": Decimal("1e400")}, "scoreMaximum"),
        ({"scoreMaximum": 10**400}, "scoreMaximum"),
        ({"label": {}}, "label"),
    ],
)
def test_a_line_item_that_cannot_be_right_is_an_error(changes: dict[str, Any], names: str) -> None:
    with pytest.raises(exceptions.InvalidResponse) as caught:
        wire.parse_line_item_page([LINE_ITEM, {**LINE_ITEM, **changes}])
    assert caught.value.detail.startswith(f"lineItems[1].{names}:")


@pytest.mark.parametrize("length", [1, 2000])
def test_a_line_item_id_survives_unchanged(length: int) -> None:
    assert wire.parse_line_item({**LINE_ITEM, "id": "x" * length}).lti_id == "x" * length


def test_results_are_read() -> None:
    results, next_url = wire.parse_result_page(
        {
            "scores": [
                {"id": "r1", "userId": "1", "scoreOf": "x", "resultScore": Decimal("8.50"), "resultMaximum": 10,
                 "comment": "Good"},
                {"id": "r2", "user_id": 2, "resultScore": 0, "resultMaximum": "10.0", "comment": ""},
                {"userId": "3", "resultScore": None, "comment": None},
                {"userId": "4", "resultScore": ""},
            ],
            "next": "https://lms.org/2",
        }
    )  # fmt: skip
    assert results == [
        data.Result(user_id="1", lti_id="r1", score=Decimal("8.50"), maximum=Decimal(10), comment="Good"),
        data.Result(user_id="2", lti_id="r2", score=Decimal(0), maximum=Decimal(10), comment=""),
        data.Result(user_id="3", score=None, maximum=None, comment=None),
        data.Result(user_id="4"),
    ]
    assert next_url == "https://lms.org/2"


# --- writing --------------------------------------------------------------------------------------------------------


def score(**changes: Any) -> data.Score:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    return data.Score(**{"user_id": "7", "given": Decimal(8), "maximum": Decimal(10), "timestamp": moment, **changes})


def test_a_score_is_written_whole() -> None:
    assert wire.render_score(score(comment="Well done")) == {
        "userId": "7",
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        "timestamp": "2026-03-01T10:00:00.123Z",
        "scoreGiven": 8,
        "scoreMaximum": 10,
        "comment": "Well done",
    }


def test_none_clears_and_zero_is_a_score() -> None:
    cleared = wire.render_score(score(given=None))
    assert "scoreGiven" not in cleared
    assert "scoreMaximum" not in cleared
    assert wire.render_score(score(given=Decimal(0)))["scoreGiven"] == 0


@pytest.mark.parametrize("comment", ["", "  ", "\n"])
def test_a_blank_comment_is_left_out(comment: str) -> None:
    assert "comment" not in wire.render_score(score(comment=comment))


def test_extra_members_are_passed_on_but_override_nothing() -> None:
    submission = {"new_submission": False, "note": None}
    extra = {"https://canvas.instructure.com/lti/submission": submission, "userId": "8", "scoreGiven": 99, "x": None}
    body = wire.render_score(score(given=None, extra=extra))
    assert body["https://canvas.instructure.com/lti/submission"] == {"new_submission": False}
    assert body["userId"] == "7"
    assert "scoreGiven" not in body
    assert "x" not in body


def test_the_words_of_progress_are_the_specification_s() -> None:
    body = wire.render_score(
        score(activity_progress=ActivityProgress.INITIALIZED, grading_progress=GradingProgress.PENDING_MANUAL)
    )
    assert (body["activityProgress"], body["gradingProgress"]) == ("Initialized", "PendingManual")


@pytest.mark.parametrize(
    ("amount", "literal"),
    [
        ("0", "0"),
        ("8", "8"),
        ("8.00", "8"),
        ("8.5", "8.5"),
        ("0.1", "0.1"),
        ("0.3333", "0.3333"),
        ("1E+3", "1000"),
        ("81.23456", "81.23456"),
        ("123456789012.345", "123456789012.345"),
        ("0.123456789012345", "0.123456789012345"),
        ("-0", "0"),
    ],
)
def test_amounts_are_written_as_they_are(amount: str, literal: str) -> None:
    body = reading.encode(wire.render_score(score(given=Decimal(amount))))
    assert f'"scoreGiven":{literal},' in body.decode()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=5))
def test_an_amount_survives_the_way_to_the_server(amount: Decimal) -> None:
    body = reading.encode(wire.render_score(score(given=amount)))
    assert reading.decode(body)["scoreGiven"] == amount


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN", "0.1234567890123456", "1E+20", "1E-20"])
def test_amounts_that_json_could_not_carry_are_refused(amount: str) -> None:
    with pytest.raises(ValueError):
        wire.render_score(score(given=Decimal(amount)))


def test_a_score_needs_its_maximum_and_its_zone() -> None:
    with pytest.raises(ValueError, match="maximum"):
        wire.render_score(score(maximum=None))
    with pytest.raises(ValueError, match="zone"):
        wire.render_score(score(timestamp=datetime(2026, 3, 1)))  # noqa: DTZ001


def test_a_line_item_is_written_without_its_id_and_without_nulls() -> None:
    item = data.LineItem(lti_id="https://lms.org/li/1", label="Quiz", score_maximum=Decimal("10.50"))
    assert wire.render_line_item(item) == {"label": "Quiz", "scoreMaximum": 10.5}


def test_a_line_item_survives_being_written_and_read() -> None:
    item = data.LineItem(
        lti_id="https://lms.org/li/1",
        label="Quiz",
        score_maximum=Decimal("10.5"),
        resource_link_id="link",
        resource_id="resource",
        tag="tag",
        starts_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
        ends_at=datetime(2026, 3, 2, 10, 0, 0, 500_000, tzinfo=UTC),
        grades_released=False,
    )
    body = reading.decode(reading.encode(wire.render_line_item(item)))
    assert "id" not in body
    assert wire.parse_line_item({**body, "id": item.lti_id}) == item


# --- anything at all ------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(["Active", "\ud800", "\x00", "1e999", "https://x"])
NUMBER = st.integers() | st.decimals() | st.just(10**4000) | st.just(Decimal("1e999999"))
KEYS = st.sampled_from(
    [
        *("user", "platform", "launch", "services", "id", "roles", "name", "email", "type", "target", "context"),
        *("resourceLink", "presentation", "documentTarget", "custom", "assignmentAndGrades", "available"),
        *("lineItemId", "scopes", "serviceKey", "members", "userId", "status", "next", "lineItems", "label"),
        *("scoreMaximum", "endDateTime", "scores", "resultScore", "comment", "title"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | TEXT | NUMBER,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXT, inner, max_size=5),
    max_leaves=30,
)
PARSERS = [
    wire.parse_id_token,
    wire.parse_membership_page,
    wire.parse_line_item,
    wire.parse_line_item_page,
    wire.parse_result_page,
]


@pytest.mark.parametrize("parse", PARSERS)
@given(answer=ANYTHING)
def test_any_json_gives_a_value_or_a_typed_error(parse: Callable[[Any], Any], answer: Any) -> None:
    try:
        parse(answer)
    except exceptions.InvalidResponse:
        pass


PATHS = [
    *("ltiVersion", "user__id", "user__name", "user__email", "user__roles", "platform__id", "platform__url"),
    *("platform__guid", "launch__type", "launch__context", "launch__context__id", "launch__context__type"),
    *("launch__resourceLink__title", "launch__presentation", "launch__custom", "services", "services__serviceKey"),
    *("services__namesAndRoles", "services__assignmentAndGrades__lineItemId"),
]


@given(st.sampled_from(PATHS), ANYTHING)
def test_anything_in_place_of_a_member_gives_a_value_or_names_it(path: str, value: object) -> None:
    blamed = ""
    try:
        wire.parse_id_token(id_token(**{path: value}))
    except exceptions.InvalidResponse as error:
        blamed = error.detail
    assert not blamed or blamed.startswith(path.replace("__", "."))


LONG_TEXT = st.text(st.characters(), min_size=250, max_size=300)
FIELD = TEXT | LONG_TEXT | st.lists(TEXT | LONG_TEXT, max_size=3) | st.integers() | st.none()


@given(st.dictionaries(st.sampled_from(["id", "name", "email", "roles", "givenName", "picture"]), FIELD))
def test_what_is_read_of_a_person_fits_into_a_database(user: dict[str, Any]) -> None:
    try:
        token = wire.parse_id_token(id_token(user={"id": "7", **user}))
    except exceptions.InvalidResponse:
        return
    person = token.user
    for text in (person.lti_id, person.name, person.email, person.given_name, person.picture, *person.roles):
        assert "\x00" not in text
        text.encode()
    for text in (person.lti_id, person.name, person.email, person.given_name, *person.roles):
        assert len(text) <= 255


@given(st.dictionaries(TEXT, ANYTHING, max_size=4))
def test_custom_parameters_fit_into_a_json_column(custom: dict[str, Any]) -> None:
    token = wire.parse_id_token(id_token(launch__custom=custom))
    text = json.dumps(token.launch.custom, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text


@given(st.binary() | ANYTHING.map(lambda answer: json.dumps(answer, default=str).encode("utf-8", "surrogatepass")))
def test_any_bytes_decode_or_raise_value_error(body: bytes) -> None:
    try:
        reading.decode(body)
    except ValueError:
        pass
