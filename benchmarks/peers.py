"""Other ways to send scores, each as its documentation shows it, and the least that any way could cost.

Run in a process of their own; they find the server through LTIAAS_URL and REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import ltiaas
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ltiaas.resources.scores.enums import ActivityProgress, GradingProgress
from pylti1p3.assignments_grades import AssignmentsGradesService
from pylti1p3.contrib.django.service_connector import DjangoServiceConnector
from pylti1p3.grade import Grade
from pylti1p3.lineitem import LineItem
from pylti1p3.registration import Registration

from benchmarks import harness, server

API_KEY = "the-account's:key"
_SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
_JOINED = 40  # scores to a line item


def service_key(number: int) -> str:
    """A made-up one of the usual size."""
    return f"header.{number:0568}.seal"


def _activities(scores: int) -> Iterator[tuple[int, range]]:
    for number in range(-(-scores // _JOINED)):
        yield number, range(number * _JOINED, min((number + 1) * _JOINED, scores))


def guide_loop(scores: int) -> dict[str, Any]:
    """LTIAAS's guide to asynchronous access: no session, and the line item is asked for each night."""
    url = os.environ["LTIAAS_URL"]
    with harness.timed() as took:
        for number, people in _activities(scores):
            headers = {"Authorization": f"SERVICE-AUTH-V1 {API_KEY}:{service_key(number)}"}
            answer = requests.get(f"{url}/api/lineitems?resourceLinkId=link-{number}", headers=headers)  # noqa: S113
            line_item_id = quote(answer.json()["lineItems"][0]["id"], safe="")
            for person in people:
                score = {
                    "userId": f"person-{person}",
                    "scoreGiven": 8,
                    "scoreMaximum": 10,
                    "activityProgress": "Completed",
                    "gradingProgress": "FullyGraded",
                }
                requests.post(f"{url}/api/lineitems/{line_item_id}/scores", json=score, headers=headers)  # noqa: S113
    return took | {"posts": scores}


def official_client(scores: int) -> dict[str, Any]:
    """The client that LTIAAS publishes on PyPI: one for each service key."""
    domain = urlsplit(os.environ["LTIAAS_URL"]).netloc
    with harness.timed() as took:
        for number, people in _activities(scores):
            launch = ltiaas.LTIAASLaunch(domain, API_KEY, service_key=service_key(number))
            line_item_id = server.line_item_id(f"link-{number}")
            for person in people:
                score = ltiaas.Score(
                    user_id=f"person-{person}",
                    score_given=8,
                    score_maximum=10,
                    activity_progress=ActivityProgress.COMPLETED,
                    grading_progress=GradingProgress.FULLY_GRADED,
                )
                launch.submit_score(line_item_id, score)
    return took | {"posts": scores}


def pylti1p3next(scores: int) -> dict[str, Any]:
    """`put_grade` of the LTI 1.3 library, one connector for everything, its token in Django's cache."""
    url = os.environ["LTIAAS_URL"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    registration = Registration()
    registration.set_issuer("https://lms.example").set_client_id("a-tool").set_auth_token_url(f"{url}/lms/token")
    registration.set_tool_private_key(key.private_bytes(serialization.Encoding.PEM, *plain).decode())
    with harness.timed() as took:
        connector = DjangoServiceConnector(registration)
        service = AssignmentsGradesService(connector, {"scope": [_SCORE_SCOPE], "lineitems": f"{url}/lms/lineitems"})
        for number, people in _activities(scores):
            line_item = LineItem({"id": f"{url}/lms/lineitems/{number}"})
            for person in people:
                grade = Grade().set_user_id(f"person-{person}").set_score_given(8).set_score_maximum(10)
                grade.set_activity_progress("Completed").set_grading_progress("FullyGraded")
                grade.set_timestamp("2026-09-01T08:00:00+00:00")
                service.put_grade(grade, line_item)
    return took | {"posts": scores}


def bare_sockets(scores: int, in_flight: int) -> dict[str, Any]:
    """No HTTP client, no database: the same bytes over as many connections, which shows what the server allows."""
    address = urlsplit(os.environ["LTIAAS_URL"])
    context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    path = f"/api/lineitems/{quote(server.line_item_id('link'), safe='')}/scores"
    body = json.dumps({"userId": "person", "scoreGiven": 8, "scoreMaximum": 10, "gradingProgress": "FullyGraded"})
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: SERVICE-AUTH-V1 {API_KEY}:{service_key(1)}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()

    async def connect(posts: int) -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
        for _ in range(posts):
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def connect_all() -> None:
        await asyncio.gather(*(connect(len(range(one, scores, in_flight))) for one in range(in_flight)))

    with harness.timed() as took:
        asyncio.run(connect_all())
    return took | {"posts": scores}
