"""No ltik and no key stays behind in clear: not in the database, a session, a log or a message."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import sqlite3
from collections.abc import Iterable, Iterator

import pytest
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from rich.console import Console

from example_project.demo import processes
from example_project.demo.browser import Browser
from example_project.demo.interrupts import Interrupts
from example_project.demo.stage import API_KEY, Stage
from example_project.demo.story import Story

SESSION_SALT = "django.contrib.sessions.SessionStore"


def needles(secrets: Iterable[str]) -> set[bytes]:
    """The secrets and their long parts: half a token is a leak too."""
    parts = {part for secret in secrets for part in (secret, *secret.split(".")) if len(part) >= 12}
    return {part.encode() for part in parts}


def texts(folder: pathlib.Path, secret_key: str) -> Iterator[tuple[str, bytes]]:
    """Everything that is kept in a folder, each piece as it is and as it can be decoded, with its place."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        name = str(path.relative_to(folder))
        yield name, raw
        if raw.startswith(b"SQLite format 3"):
            yield from ((f"{name}, {place}", text) for place, text in rows(path, secret_key))
        elif raw.startswith(b"{"):  # a message of kombu's
            message = json.loads(raw)
            yield f"{name}, body", base64.b64decode(message.get("body", ""))


def rows(path: pathlib.Path, secret_key: str) -> Iterator[tuple[str, bytes]]:
    """Every value of every table (a long one may be scattered over the file), and what the sessions hold."""
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608  names from the database itself
                for value in row:
                    yield table, value if isinstance(value, bytes) else str(value).encode()
        if "django_session" in tables:
            for (data,) in connection.execute("SELECT session_data FROM django_session"):
                session = signing.loads(data, key=secret_key, salt=SESSION_SALT, serializer=JSONSerializer)
                yield "session", json.dumps(session).encode()
    finally:
        connection.close()


def leaks(folder: pathlib.Path, secrets: Iterable[str], secret_key: str) -> set[str]:
    """Where a secret is found."""
    wanted = needles(secrets)
    return {place for place, text in texts(folder, secret_key) if any(needle in text for needle in wanted)}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The demo was played, and a message is still on its way: the folder, the secrets, Django's SECRET_KEY."""
    stage = Stage(tmp_path_factory.mktemp("demo"), Interrupts(), ports=(0, 0))
    with stage.folder(), stage:
        story = Story(stage, Console(file=io.StringIO()))
        story.set_up()
        story.play()
        processes.stop([process for process in stage.running if process.name in ("worker", "beat")])
        launch = stage.lms.post("launches/", course="course-102", activity="reading-1", person="2006")
        Browser().open(launch["url"])  # the first of its course: a worker is to read the roster
        launch = stage.lms.post("launches/", course="course-101", person="1001", type="deep_linking")
        Browser().open(launch["url"])  # such a launch keeps its ltik, sealed
        handed_out = stage.lms.get("secrets/")
        yield stage.directory, handed_out, stage.environment["SECRET_KEY"]


def test_nothing_is_kept_in_clear(played):
    folder, handed_out, secret_key = played
    assert len(handed_out["ltiks"]) == len(handed_out["serviceKeys"]) == 8
    assert leaks(folder, [*handed_out["ltiks"], *handed_out["serviceKeys"], API_KEY], secret_key) == set()


def test_every_kind_of_place_was_looked_at(played):
    folder, _, secret_key = played
    places = {place for place, _ in texts(folder, secret_key)}
    assert {"db.sqlite3", "logs/tool.log", "logs/worker.log", "logs/sandbox.log"} <= places
    assert {"db.sqlite3, session", "db.sqlite3, ltiaas_django_servicekey", "db.sqlite3, ltiaas_django_launch"} <= places
    assert [place for place in places if place.startswith("broker/messages/") and place.endswith("body")]
    log = (folder / "logs" / "tool.log").read_text()
    assert "ltik=[hidden]" in log


SECRET = "eyJhbGciOiJIUzI1NiJ9." + "payload-of-a-token-" * 30 + ".signature-of-the-token"
SECRET_KEY = "django-secret-key"


def plant_in_log(folder: pathlib.Path, secret: str) -> None:
    (folder / "tool.log").write_text(f"GET /lti/launch/?ltik={secret} 302")


def plant_in_column(folder: pathlib.Path, secret: str) -> None:
    connection = sqlite3.connect(folder / "db.sqlite3")
    connection.execute("CREATE TABLE launch (id INTEGER, ltik TEXT)")
    connection.execute("INSERT INTO launch VALUES (1, ?)", [secret])
    connection.commit()
    connection.close()


def plant_in_long_row(folder: pathlib.Path, secret: str) -> None:
    plant_in_column(folder, "x" * 4000 + secret)  # it ends on an overflow page


def plant_in_session(folder: pathlib.Path, secret: str) -> None:
    data = signing.dumps(
        {"page": "x" * 200, "ltik": secret},
        key=SECRET_KEY,
        salt=SESSION_SALT,
        serializer=JSONSerializer,
        compress=True,
    )
    connection = sqlite3.connect(folder / "db.sqlite3")
    connection.execute("CREATE TABLE django_session (session_data TEXT)")
    connection.execute("INSERT INTO django_session VALUES (?)", [data])
    connection.commit()
    connection.close()


def plant_in_message(folder: pathlib.Path, secret: str) -> None:
    body = base64.b64encode(json.dumps([[secret], {}, {}]).encode()).decode()
    (folder / "1.quiz.msg").write_text(json.dumps({"body": body, "headers": {}}))


@pytest.mark.parametrize("secret", [SECRET, SECRET.split(".")[1], SECRET.split(".")[2]], ids=["all", "middle", "end"])
@pytest.mark.parametrize(
    "plant", [plant_in_log, plant_in_column, plant_in_long_row, plant_in_session, plant_in_message]
)
def test_a_planted_secret_is_found(tmp_path, plant, secret):
    plant(tmp_path, secret)
    assert leaks(tmp_path, [SECRET], SECRET_KEY)
    assert leaks(tmp_path, ["eyJanother.token-altogether.with-its-signature"], SECRET_KEY) == set()
