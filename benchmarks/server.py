"""A small LTIAAS of the benchmarks' own, over HTTPS, in a process of its own: it answers what it is asked and counts.

Nothing is checked and nothing remembered, so that it is not what is measured. Whatever it costs is counted as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import datetime
import ipaddress
import json
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks import harness

# --- from the outside -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that runs."""

    url: str
    ca_bundle: str

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process must know to reach and trust it."""
        return {"LTIAAS_URL": self.url, "REQUESTS_CA_BUNDLE": self.ca_bundle}

    def reset(self) -> None:
        """Count from zero."""
        self._control("reset")

    def use(self, pages: pathlib.Path) -> None:
        """Serve the roster whose pages are the files 1.json, 2.json, ... in a folder."""
        self._control(f"use?folder={quote(str(pages))}")

    def counts(self) -> dict[str, Any]:
        """Since the start or the last reset: `posts` of scores, `misencoded` ones among them, `requests`,
        `connections`, `cpu` seconds, and `held`, the mean seconds between a request and its answer."""
        counts: dict[str, Any] = self._control("counts")
        return counts

    def _control(self, command: str) -> Any:
        answer = requests.get(f"{self.url}/control/{command}", verify=self.ca_bundle, timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def serve(latency: float = 0.0, pages: pathlib.Path | None = None) -> Iterator[Running]:
    """A server in a process of its own, which answers `latency` seconds after a request has arrived."""
    with tempfile.TemporaryDirectory(prefix="bench-server-") as folder:
        ca_bundle = _make_certificates(pathlib.Path(folder))
        command = [sys.executable, "-m", "benchmarks.server", folder, "--latency", str(latency)]
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            running = Running(f"https://127.0.0.1:{port}", str(ca_bundle))
            if pages is not None:
                running.use(pages)
            yield running
        finally:
            process.terminate()
            process.communicate()


def _make_certificates(folder: pathlib.Path) -> pathlib.Path:
    """A certificate for 127.0.0.1 in server.pem; returns the usual CA bundle with its authority at the end.

    With the whole bundle, since reading it is a large part of what opening a connection costs.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the benchmarks")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    authority = (
        _certificate(name, name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), name, key.public_key())
        .add_extension(here, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(key.private_bytes(pem, *plain) + leaf.public_bytes(pem))
    bundle = folder / "ca-bundle.pem"
    bundle.write_bytes(
        pathlib.Path(requests.utils.DEFAULT_CA_BUNDLE_PATH).read_bytes() + b"\n" + authority.public_bytes(pem)
    )
    return bundle


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
    )


# --- inside -----------------------------------------------------------------------------------------------------------

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PAGE = re.compile(r"page(?:=|%3D)(\d+)")
_SOUND = re.compile(r"/api/lineitems/[^/]+/scores")
_LATE = 0.0005  # the loop wakes on whole milliseconds, half of one too late in the mean
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_TOKEN = {"access_token": "made-up", "token_type": "Bearer", "expires_in": 3600, "scope": ""}


class _Counts:
    """What has been asked."""

    def __init__(self) -> None:
        self.posts = self.misencoded = self.requests = self.connections = 0
        self.held = 0.0
        self.cpu = harness.cpu_seconds()

    def as_json(self) -> dict[str, float]:
        held = self.held / self.requests if self.requests else 0.0
        return vars(self) | {"cpu": harness.cpu_seconds() - self.cpu, "held": held}


class _Server:
    """Answers by path. LTIAAS's scores lie under /api, an LMS's own under /lms (pylti1p3next speaks to the LMS)."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.counts = _Counts()
        self.pages: list[bytes] = []

    def answer(self, method: str, target: str) -> bytes:
        path = target.partition("?")[0]
        if method == "POST" and path.endswith("/scores"):
            self.counts.posts += 1
            if not path.startswith("/lms/") and not _SOUND.fullmatch(path):
                self.counts.misencoded += 1
            return _NO_CONTENT
        if path == "/lms/token":
            return _ok(json.dumps(_TOKEN).encode())
        if path == "/api/memberships":
            page = _PAGE.search(target)
            return self.pages[int(page[1]) - 1 if page else 0]
        if path.endswith("/api/lineitems"):
            link = parse_qs(urlsplit(target).query).get("resourceLinkId", ["all"])[0]
            item = {"id": line_item_id(link), "label": link, "scoreMaximum": 100, "resourceLinkId": link}
            return _ok(json.dumps({"lineItems": [item]}).encode())
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def control(self, target: str) -> bytes:
        command, _, query = target.removeprefix("/control/").partition("?")
        if command == "use":
            files = pathlib.Path(unquote(query.partition("=")[2])).glob("*.json")
            self.pages = [_ok(file.read_bytes()) for file in sorted(files, key=lambda file: int(file.stem))]
        if command == "reset":
            self.counts = _Counts()
        return _ok(json.dumps(self.counts.as_json()).encode())


def line_item_id(link: str) -> str:
    """What an LMS calls a line item: a URL, whose slashes must not be taken for the path's."""
    return f"https://lms.example/api/lti/courses/101/line_items/{link}"


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as the benchmarks' clients speak it."""

    def __init__(self, server: _Server) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.counts.connections += 1

    def data_received(self, data: bytes) -> None:
        arrived = self.loop.time()
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self.buffer, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.buffer) < whole:
                return
            method, target = self.buffer[: self.buffer.index(b"\r\n")].decode("latin-1").split(" ")[:2]
            self.buffer = self.buffer[whole:]
            if target.startswith("/control/"):
                self.transport.write(self.server.control(target))
                continue
            answer = self.server.answer(method, target)
            self.loop.call_at(arrived + self.server.latency - _LATE, self.write, answer, arrived)

    def write(self, answer: bytes, arrived: float) -> None:
        self.transport.write(answer)
        self.server.counts.requests += 1
        self.server.counts.held += self.loop.time() - arrived


async def _run(folder: pathlib.Path, latency: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = _Server(latency)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0, ssl=context, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--latency", type=float, default=0.0)
    asked = parser.parse_args()
    asyncio.run(_run(asked.folder, asked.latency))


if __name__ == "__main__":
    main()
