"""Every answer of the sandbox has the shape that the contract, LTIAAS's reference restated as OpenAPI, gives it."""

from __future__ import annotations

import pathlib

import jsonschema
import pytest
import yaml

from .conftest import API_KEY
from .test_sandbox_api import item_path

CONTRACT = pathlib.Path(__file__).parents[1] / "contract" / "ltiaas-openapi.yaml"


@pytest.fixture(scope="module")
def contract():
    return yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))


@pytest.fixture
def check(contract):
    """Check an answer against the schema of its operation and status."""

    def check(method, path, response):
        operation = contract["paths"][path][method.lower()]
        answer = operation["responses"].get(str(response.status_code), {"$ref": "Error"})
        if "$ref" in answer:
            schema = {"$ref": "#/components/schemas/Error"}
        else:
            schema = answer["content"]["application/json"]["schema"]
        assert response.headers["Content-Type"] == "application/json"
        jsonschema.Draft202012Validator({**schema, "components": contract["components"]}).validate(response.json())
        return response

    return check


@pytest.mark.parametrize("anonymous", [False, True])
def test_launch_roster_and_grades(sandbox, by_ltik, check, quiz_1, anonymous):
    sandbox.profile.anonymous = anonymous
    caller = by_ltik()
    item = "/api/lineitems/{lineItemId}"
    for user_id, given in (("2001", 0), ("2002", 2.5), ("2003", None), ("2004", 1)):
        assert caller.post_score(quiz_1, user_id, scoreGiven=given, scoreMaximum=3, comment="Well done").ok
    answers = [
        check("GET", "/api/idtoken", caller("GET", "/api/idtoken")),
        check("GET", "/api/memberships", caller("GET", "/api/memberships")),
        check("GET", "/api/lineitems", caller("GET", "/api/lineitems?limit=1")),
        check("POST", "/api/lineitems", caller("POST", "/api/lineitems", json={"label": "L", "scoreMaximum": 1})),
        check("GET", item, caller("GET", item_path(quiz_1))),
        check("PUT", item, caller("PUT", item_path(quiz_1), json={"label": "L", "scoreMaximum": 1})),
        check("GET", f"{item}/scores", caller("GET", item_path(quiz_1, "/scores"))),
    ]
    assert [answer.ok for answer in answers] == [True] * len(answers)


def test_deep_linking_launch(by_ltik, check):
    caller = by_ltik(activity=None, person="1001", type="deep_linking")
    assert check("GET", "/api/idtoken", caller("GET", "/api/idtoken")).ok
    for path in ("/api/deeplinking", "/api/deeplinking/form"):
        assert check("POST", path, caller("POST", path, json={"contentItems": []})).ok
        assert check("POST", path, caller("POST", path, json={"contentItems": [{}]})).status_code == 400


def test_platforms(account, check):
    listed = check("GET", "/api/platforms", account("GET", "/api/platforms")).json()["platforms"]
    one = account("GET", f"/api/platforms/{listed[0]['id']}")
    assert check("GET", "/api/platforms/{platformId}", one).ok


def test_errors(caller, by_ltik, check, quiz_1):
    refused = check("GET", "/api/idtoken", caller(f"LTIK-AUTH-V2 {API_KEY}:x")("GET", "/api/idtoken"))
    wrong = check("GET", "/api/lineitems", by_ltik()("GET", "/api/lineitems?limit=0"))
    of_the_lms = by_ltik().post_score(quiz_1, "1001", scoreGiven=1, scoreMaximum=1)
    check("POST", "/api/lineitems/{lineItemId}/scores", of_the_lms)
    assert [refused.status_code, wrong.status_code, of_the_lms.status_code] == [401, 400, 400]
