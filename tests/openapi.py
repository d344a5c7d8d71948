"""The contract as a judge: whether a request is one that it describes, and whether an answer is.

Both sides are judged by LTIAAS's reference, restated as OpenAPI, and by nothing of the client's or the sandbox's.
"""

from __future__ import annotations

import functools
import io
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote

import jsonschema
import yaml

PATH = pathlib.Path(__file__).parent / "contract" / "ltiaas-openapi.yaml"
JSON = "application/json"
_METHODS = ("get", "post", "put", "delete")
_SCHEMES = {"ltik": r"LTIK-AUTH-V2 .+:[^:\s]+", "serviceKey": r"SERVICE-AUTH-V1 .+:[^:\s]+", "bearer": r"Bearer .+"}
_URL_NAMED = "^https?://"  # AGS 2.0, section 3.4.9: extensions of a score are named by a URL

ALSO_RIGHT: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("PUT", "/api/lineitems/{lineItemId}"): (201,),  # so says LTIAAS's reference; the contract: accept both
    ("POST", "/api/lineitems/{lineItemId}/scores"): (201,),  # so says LTIAAS's own Moodle plugin; Open edX's answer
}
"""Statuses of success that the contract has in its texts only."""

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return datetime.fromisoformat(value).tzinfo is not None and "T" in value
    except ValueError:
        return False


@FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.match(r"https?://[^/?#\s]+", value))


@dataclass(frozen=True, eq=False)
class Operation:
    """One method of one path."""

    method: str
    path: str
    spec: Mapping[str, Any] = field(repr=False)
    parameters: tuple[Mapping[str, Any], ...] = field(repr=False)  # of the path, and of the method

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def schemes(self) -> list[str]:
        """The security schemes that open it."""
        return [name for one in self.spec["security"] for name in one]


class Contract:
    """The contract; each method returns what is wrong, in sentences, or nothing."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
        launch = self.document["components"]["schemas"]["IdToken"]["properties"]["launch"]["properties"]
        launch["type"]["enum"].append("LtiSubmissionReviewRequest")  # Moodle sends it; LTIAAS's reference names three
        self.operations = list(self._read_operations())
        self._validators: dict[tuple[Operation, str], jsonschema.Draft202012Validator] = {}
        self._by_path = {
            (one.method, len(one.path.split("/"))): [
                two for two in self.operations if (two.method, two.path.count("/")) == (one.method, one.path.count("/"))
            ]
            for one in self.operations
        }

    def operation(self, method: str, raw_path: str) -> Operation | None:
        """The operation that a path, still percent-encoded, means; None if there is none."""
        segments = raw_path.split("/")
        if segments[:3] == ["", "admin", "platforms"]:  # the contract: LTIAAS's reference has them here
            segments[1] = "api"
        for one in self._by_path.get((method, len(segments)), ()):
            if all(a == b or (a[:1] == "{" and b) for a, b in zip(one.path.split("/"), segments, strict=True)):
                return one
        return None

    # -- requests ------------------------------------------------------------------------------------------------------

    def request_faults(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """What is wrong with a request; `target` is its path and query as they were sent."""
        raw_path, _, raw_query = target.partition("?")
        operation = self.operation(method, raw_path)
        if operation is None:
            return ["There is no such operation."]
        return [
            *self._path_faults(operation, raw_path),
            *self._query_faults(operation, raw_query),
            *_scheme_faults(operation, headers.get("Authorization", "")),
            *self._body_faults(operation, headers.get("Content-Type", ""), body),
        ]

    def _path_faults(self, operation: Operation, raw_path: str) -> Iterator[str]:
        for name, segment in zip(operation.path.split("/"), raw_path.split("/"), strict=True):
            if name[:1] == "{":
                value = unquote(segment)
                if segment != quote(value, safe=""):
                    yield f"The {name} is not percent-encoded whole, once."
                yield from self._value_faults(operation, name[1:-1], value)

    def _query_faults(self, operation: Operation, raw_query: str) -> Iterator[str]:
        pairs = parse_qsl(raw_query, keep_blank_values=True, errors="strict")
        known = {one["name"] for one in operation.parameters if one["in"] == "query"}
        names = [name for name, _ in pairs]
        yield from (f"The query parameter {name} is unknown." for name in names if name not in known)
        if len(set(names)) != len(names):
            yield "A query parameter is given twice."
        if "url" in names and len(names) > 1:
            yield "Beside `url`, every other parameter is ignored."
        for raw, (name, value) in zip(filter(None, raw_query.split("&")), pairs, strict=True):
            if raw.partition("=")[2] not in (quote(value, safe=""), quote_plus(value)):
                yield f"The query parameter {name} is not percent-encoded once."
            if name in known:
                yield from self._value_faults(operation, name, value)

    def _value_faults(self, operation: Operation, name: str, text: str) -> Iterator[str]:
        (schema,) = [one["schema"] for one in operation.parameters if one["name"] == name]
        value: object = text
        if schema["type"] == "integer" and re.fullmatch(r"\d+", text, re.ASCII):
            value = int(text)
        elif schema["type"] == "boolean" and text in ("true", "false"):
            value = text == "true"
        yield from self._schema_faults(operation, f"parameter {name}", schema, value)

    def _body_faults(self, operation: Operation, content_type: str, body: bytes) -> Iterator[str]:
        described = operation.spec.get("requestBody")
        if not body:
            if described and described.get("required"):
                yield "The body is missing."
            return
        if not described:
            yield "There is a body that nobody asked for."
            return
        if content_type.partition(";")[0] != JSON:
            yield f"The body is said to be {content_type!r}."
        yield from self._schema_faults(operation, "request", self.request_schema(operation), json.loads(body))

    def request_schema(self, operation: Operation) -> dict[str, Any]:
        """What a body may hold, with nothing beside what is named: a sender has no excuse for anything else."""
        return self._without_extras(operation.spec["requestBody"]["content"][JSON]["schema"], operation)

    # -- answers -------------------------------------------------------------------------------------------------------

    def answer_faults(
        self, operation: Operation, target: str, status: int, content_type: str, body: bytes
    ) -> list[str]:
        """What is wrong with the answer to a request; of refusals the contract has the form only."""
        if status >= 400:
            return list(self._refusal_faults(operation, status, content_type, body))
        described = operation.spec["responses"]
        if status in ALSO_RIGHT.get((operation.method, operation.path), ()):
            status = next(int(code) for code in described if code.startswith("2"))
        if str(status) not in described:
            return [f"The status {status} is not in the contract."]
        answer = self._resolved(described[str(status)])
        if "content" not in answer:
            return ["There is a body, where none is described."] if body else []
        kind, schema = str(status), answer["content"][JSON]["schema"]
        if "raw=true" in target.partition("?")[2].split("&"):
            kind, schema = "raw", {"type": "object"}  # the LMS's own words, unformatted
        return list(self._json_faults(operation, kind, schema, content_type, body))

    def _refusal_faults(self, operation: Operation, status: int, content_type: str, body: bytes) -> Iterator[str]:
        schema = {"$ref": "#/components/schemas/Error"}
        wrong = list(self._json_faults(operation, "error", schema, content_type, body))
        yield from wrong
        if wrong:
            return
        error = json.loads(body)
        if (error["status"], error["error"]) != (status, HTTPStatus(status).phrase):
            yield f"The answer {status} calls itself {error['status']} {error['error']}."
        details = error.get("details", {})
        if not {"message", "description"} <= set(details):
            yield "A refusal says neither `message` nor `description`."
        of_the_lms = {"externalError", "externalUrl", "bodyReceived"} & set(details)
        if of_the_lms and (len(of_the_lms) < 3 or details["externalError"] is not True):
            yield f"A refusal by the LMS has only {', '.join(sorted(of_the_lms))}."

    def _json_faults(
        self, operation: Operation, kind: str, schema: Mapping[str, Any], content_type: str, body: bytes
    ) -> Iterator[str]:
        if content_type != JSON:
            yield f"The answer is said to be {content_type!r}."
            return
        try:
            payload = json.loads(body)
        except ValueError:
            yield "The answer is no JSON."
            return
        yield from self._schema_faults(operation, kind, schema, payload)
        yield from (f"{path} is null: what is absent is to be left out." for path in _nulls(payload, ""))

    # -- schemas -------------------------------------------------------------------------------------------------------

    def _schema_faults(
        self, operation: Operation, kind: str, schema: Mapping[str, Any], value: object
    ) -> Iterator[str]:
        key = operation, kind
        if key not in self._validators:  # made once: it is slow to make
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = jsonschema.Draft202012Validator(whole, format_checker=FORMATS)
        for error in self._validators[key].iter_errors(value):
            yield f"{kind}: {error.json_path} {error.message}"

    def _without_extras(self, schema: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
        strict = dict(self._resolved(schema))
        if "properties" in strict:
            properties = strict["properties"].items()
            strict["properties"] = {name: self._without_extras(one, operation) for name, one in properties}
            strict.setdefault("additionalProperties", False)
            if operation.path.endswith("/scores"):
                strict["patternProperties"] = {_URL_NAMED: {}}
        if "items" in strict:
            strict["items"] = self._without_extras(strict["items"], operation)
        return strict

    def _resolved(self, node: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in node:
            return node
        found = self.document
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return found

    def _read_operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method in _METHODS:
                if method in item:
                    listed = [*item.get("parameters", ()), *item[method].get("parameters", ())]
                    parameters = tuple(self._resolved(one) for one in listed)
                    yield Operation(method.upper(), path, item[method], parameters)


def _scheme_faults(operation: Operation, authorization: str) -> Iterator[str]:
    if not any(re.fullmatch(_SCHEMES[name], authorization) for name in operation.schemes):
        yield f"The scheme {authorization.partition(' ')[0]!r} is none of {', '.join(operation.schemes)}."


def _nulls(value: object, path: str) -> Iterator[str]:
    """Where a null is, but for what an LMS has said, or the LMS was told."""
    if value is None:
        yield path
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _nulls(entry, f"{path}[{number}]")
    elif isinstance(value, dict):
        for name, entry in value.items():
            if name not in ("bodyReceived", "bodySent"):
                yield from _nulls(entry, f"{path}.{name}")


@functools.cache
def contract() -> Contract:
    """The one contract."""
    return Contract()


Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Watch:
    """A sandbox's WSGI application under watch: what our client asks, and what it is told, is the contract's.

    Judged is what goes to the API. An answer that is to be wrong (a fault, a launch with a `mutate` hook) is not.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.wrong_requests: list[str] = []
        self.wrong_answers: list[str] = []
        self.asked: set[tuple[str, int]] = set()
        """The operations, such as "GET /api/lineitems", and the statuses of their answers."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target = environ["REQUEST_URI"]
        if not target.startswith(("/api/", "/admin/")):
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        headers = {
            "Authorization": environ.get("HTTP_AUTHORIZATION", ""),
            "Content-Type": environ.get("CONTENT_TYPE", ""),
        }
        told: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            told[:] = [int(status[:3]), dict(headers).get("Content-Type", "")]
            return start_response(status, headers, *more)

        answer = self._application(environ, keep)
        self._judge(environ, target, headers, body, told, answer)
        return answer

    def _judge(
        self,
        environ: Mapping[str, Any],
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        told: Sequence[Any],
        answer: Iterable[bytes],
    ) -> None:
        method, contracted = environ["REQUEST_METHOD"], contract()
        place = f"{method} {target.partition('?')[0]}"
        wrong = contracted.request_faults(method, target, headers, body)
        self.wrong_requests += [f"{place}: {text}" for text in wrong]
        operation = contracted.operation(method, target.partition("?")[0])
        if operation is not None:
            self.asked.add((str(operation), told[0]))
            content = b"".join(answer) if isinstance(answer, list) else b""
            is_sakais = str(operation) == "GET /api/memberships" and told[0] == 200 and not content  # of nobody
            if not environ.get("ltiaas_sandbox.is_spoilt") and isinstance(answer, list) and not is_sakais:
                wrong = contracted.answer_faults(operation, target, told[0], told[1], content)
                self.wrong_answers += [f"{place}: {text}" for text in wrong]
