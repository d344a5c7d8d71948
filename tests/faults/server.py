"""LTIAAS with LMSs behind it, that misbehaves on cue: an HTTP server in a thread, written from the contract alone.

Each process that calls it has an API key of its own, so that the server knows whose calls it holds. What goes wrong by
chance is dealt from a shuffled deck for each platform; the rest is asked for by the test: storms, throttling, revoked
keys, and calls held back at a chosen point while their sender is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl, unquote

from tests.faults import lms, plan

T = TypeVar("T")
Point = Literal["before storing", "before answering"]

_DECK = ("lost before storing", "lost after storing", "hung, not stored", "hung, stored")
_CUT = ("answer lost", "502")  # what befalls reads


@dataclasses.dataclass(eq=False)
class _Call:
    """A request on its way."""

    method: str
    path: list[str]
    query: dict[str, str]
    body: Any
    scheme: str
    sender: str
    secret: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_stored: bool = False

    def is_dead(self) -> bool:
        """Whether the sender's end of the connection is gone."""
        return self.reader.at_eof() or self.reader.exception() is not None or self.writer.is_closing()


@dataclasses.dataclass(eq=False)
class _Hold:
    """Calls of one sender, held at one point."""

    point: Point
    calls: list[_Call] = dataclasses.field(default_factory=list)
    reached: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    over: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)


class Server:
    """The server; `url` is its address while it runs. `deck`: one in so many scores meets each kind of fault."""

    def __init__(self, seed: int, profiles: Sequence[lms.Profile], activities: int, deck: int) -> None:
        self.platforms = [lms.Platform(number, profile, activities) for number, profile in enumerate(profiles)]
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._random = random.Random(seed)  # noqa: S311  faults, no secrets
        self._deck = deck
        self._decks: dict[tuple[int, str], list[str]] = {}
        self._is_calm = False
        self._storms = [0] * len(profiles)
        self._throttled = [0] * len(profiles)
        self._keys: Counter[tuple[int, int]] = Counter()
        self._revoked: dict[tuple[int, int], int] = {}
        self._holds: dict[str, _Hold] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults-server")

    # --- what the test asks for ---

    def __enter__(self) -> Self:
        self._thread.start()
        self._listener = self._do(asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512))
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self._is_calm = True

    def storm(self, platform: int, calls: int) -> None:
        """The platform answers 502 to so many scores, having stored every other one, and to half of all else."""
        self._storms[platform] += calls

    def throttle(self, platform: int, calls: int) -> None:
        """The platform says to so many calls, in its own words, that it is asked too much."""
        self._throttled[platform] += calls

    def rescale(self) -> None:
        """Teachers change maxima: Moodle counts all their grades as changed just now, by its clock, which is ahead."""
        for platform in self.platforms:
            if platform.profile.refuses_not_later:
                for cell in platform.grades().values():
                    cell.stamp = int(time.time()) + 2

    def is_spent(self) -> bool:
        """Whether all that was asked for has happened."""
        return not any(self._storms) and not any(self._throttled)

    def revoke(self, platform: int, activity: int) -> None:
        """The activity's service keys are refused from now on."""
        self._revoked[platform, activity] = self._keys[platform, activity]

    def hold(self, sender: str, point: Point, timeout: float) -> bool:
        """Hold the sender's scores at a point; returns when there is at least one, False if none comes."""
        return self._do(self._hold(sender, point, timeout))

    def release(self, sender: str) -> tuple[int, int]:
        """Let them go on. How many senders were found dead meanwhile: of all held calls, and of those stored."""
        return self._do(self._release(sender))

    def history(self, pair: plan.Pair) -> list[str]:
        """Every score that was stored for a person, a line each."""
        cell = self.platforms[pair.platform].grades().get(pair, lms.Cell())
        return [
            f"{post.at:.3f} stored revision {post.revision} = {post.points:g} by {post.sender}" for post in cell.posts
        ]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _close(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(self, sender: str, point: Point, timeout: float) -> bool:
        hold = self._holds[sender] = _Hold(point)
        try:
            await asyncio.wait_for(hold.reached.wait(), timeout)
        except TimeoutError:
            del self._holds[sender]
            hold.over.set()
            return False
        await asyncio.sleep(0.05)  # the others of its parallel calls
        return True

    async def _release(self, sender: str) -> tuple[int, int]:
        hold = self._holds.pop(sender)
        for _ in range(20):  # the kernel closes what a killed process had open, one child after the other
            await asyncio.sleep(0.05)
            if all(call.is_dead() for call in hold.calls):
                break
        dead = [call for call in hold.calls if call.is_dead()]
        hold.over.set()
        return len(dead), sum(call.is_stored for call in dead)

    # --- HTTP ---

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (call := await _read(reader, writer)) is not None:
                answer = await self._answer(call)
                if answer is None:
                    break
                writer.write(_render(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # killed, cut, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, call: _Call) -> lms.Answer | None:
        """The answer, or None: the connection is cut."""
        if call.path == ["api", "platforms"] and call.scheme == "Bearer":
            return lms.as_json({"platforms": []})
        if call.path == ["api", "idtoken"] and call.scheme == "LTIK-AUTH-V2":
            return self._id_token(call.secret)
        if call.path[:2] != ["api", "lineitems"] or call.scheme != "SERVICE-AUTH-V1":
            self.counts["requests that no contract knows"] += 1
            return lms.as_json({"status": 404, "error": "Not Found", "details": {"message": "NOT_FOUND"}}, 404)
        number, activity, serial = map(int, call.secret.split("-")[2:])
        if serial <= self._revoked.get((number, activity), 0):
            self.counts["keys refused"] += 1
            return _UNAUTHORIZED
        platform = self.platforms[number]
        await asyncio.sleep(self._random.uniform(0.01, 0.05))
        if self._throttled[number]:
            self._throttled[number] -= 1
            self.counts[f"throttled: {platform.profile.name}"] += 1
            return platform.profile.throttle
        is_score = call.method == "POST" and call.path[3:] == ["scores"]
        fate = self._deal(number, "scores", _DECK, self._deck) if is_score else self._deal(number, "others", _CUT, 10)
        if self._storms[number] and (is_score or self._random.random() < 0.5):
            self._storms[number] -= is_score
            fate = "502"
        if is_score:
            return await self._score(call, platform, fate)
        answer = self._read_or_create(call, platform)
        if fate:
            self.counts[f"{call.method} {call.path[-1] if call.path[3:] else 'columns'}: {fate}"] += 1
        return {"": answer, "502": _BAD_GATEWAY}.get(fate)

    def _deal(self, platform: int, kind: str, faults: Sequence[str], size: int) -> str:
        """What befalls the next call: the top card of the platform's deck, mostly a blank one."""
        if self._is_calm:
            return ""
        deck = self._decks.setdefault((platform, kind), [])
        if not deck:
            deck += [*faults, *[""] * (size - len(faults))]
            self._random.shuffle(deck)
        return deck.pop()

    async def _score(self, call: _Call, platform: lms.Platform, fate: str) -> lms.Answer | None:
        column = platform.columns.get(call.path[2])
        if column is None:
            return lms.refusal(404, "The specified resource does not exist.")
        await self._stop_at("before storing", call)
        if fate:
            self.counts[f"scores: {fate}"] += 1
        answer = lms.Answer(0)
        if fate in ("", "lost after storing", "hung, stored") or (fate == "502" and self._random.random() < 0.5):
            answer = platform.store(column, call.body, call.sender)
            call.is_stored = answer.status == 204
            self.counts[f"scores: answered {answer.status}"] += 1
            await asyncio.sleep(0.005)
            if call.is_stored:
                await self._stop_at("before answering", call)
        if fate.startswith("hung"):
            await asyncio.sleep(1.5 * plan.DEADLINE)
        return {"": answer, "502": _BAD_GATEWAY}.get(fate)

    async def _stop_at(self, point: Point, call: _Call) -> None:
        hold = self._holds.get(call.sender)
        if hold is not None and hold.point == point:
            hold.calls.append(call)
            hold.reached.set()
            await hold.over.wait()

    # --- what LTIAAS does ---

    def _id_token(self, ltik: str) -> lms.Answer:
        """An ltik says what it stands for: `ltik-<platform>-<activity>-<person>-<anything>`."""
        _ltik, number, activity, person, _rest = ltik.split("-")
        platform, place = self.platforms[int(number)], (int(number), int(activity))
        self._keys[place] += 1
        grades: dict[str, Any] = {"available": True, "scopes": []}
        if platform.profile.column == "launch":
            [column] = platform.columns_of(f"activity-{activity}")
            grades["lineItemId"] = column.id
        key = f"service-key-{number}-{activity}-{self._keys[place]}"
        return lms.as_json(
            {
                "ltiVersion": "1.3.0",
                "user": {"id": person, "roles": ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]},
                "platform": {"id": f"platform-{number}", "name": platform.profile.name, "deploymentId": "1"},
                "launch": {
                    "type": "LtiResourceLinkRequest",
                    "context": {"id": "course"},
                    "resourceLink": {"id": f"activity-{activity}", "title": f"Activity {activity}"},
                },
                "services": {
                    "namesAndRoles": {"available": False},
                    "assignmentAndGrades": grades,
                    "serviceKey": key,
                },
            }
        )

    def _read_or_create(self, call: _Call, platform: lms.Platform) -> lms.Answer:
        if call.method == "POST" and len(call.path) == 2:
            activity = int(call.body["resourceLinkId"].removeprefix("activity-"))
            return lms.as_json(platform.create(activity, call.body["scoreMaximum"]).as_json(), 201)
        if len(call.path) == 2:
            columns = platform.columns_of(call.query.get("resourceLinkId", ""))
            return lms.as_json({"lineItems": [column.as_json() for column in columns]})
        column = platform.columns.get(call.path[2])
        if column is None:
            return lms.refusal(404, "The specified resource does not exist.")
        page = re.search(r"page=([0-9]+)", call.query.get("url", ""))
        return lms.as_json(platform.results(column, call.query.get("userId", ""), int(page[1]) if page else 0))


_UNAUTHORIZED = lms.as_json(
    {
        "status": 401,
        "error": "Unauthorized",
        "details": {
            "message": "INVALID_SERVICE_AUTH_AUTHORIZATION_HEADER",
            "description": "Invalid or expired service key.",
        },
    },
    401,
)
_BAD_GATEWAY = lms.Answer(502, "<html><head><title>502 Bad Gateway</title></head></html>", "text/html")


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Call | None:
    """The next request of a connection; None if there is no other."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _version = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _colon, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _mark, query = target.partition("?")
    scheme, _space, credentials = headers.get("authorization", "").partition(" ")
    api_key, _colon, secret = credentials.partition(":")
    return _Call(
        method,
        [unquote(segment) for segment in path.split("/")[1:]],
        dict(parse_qsl(query)),
        json.loads(body) if body else None,
        scheme,
        api_key.removeprefix("account-of-"),
        secret,
        reader,
        writer,
    )


def _render(answer: lms.Answer) -> bytes:
    body = answer.body.encode()
    headers = [("Content-Length", str(len(body))), *answer.headers]
    if body:
        headers.append(("Content-Type", answer.content_type))
    lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode() + body
