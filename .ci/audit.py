"""Look for known weaknesses: bandit over our code, and the releases of constraints.txt in the advisory databases.

Ends with 1 for a finding. An advisory service that cannot be reached is no finding, but it is said: what could not be
asked about has not been audited.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

OURS = ["ltiaas_django", "example_project"]
SERVICES = ["pypi", "osv"]  # the second is asked about what the first does not know
DEADLINE = 120  # seconds for one service

# Advisories that do not touch us: their id, and why.
ACCEPTED: dict[str, str] = {}


def main() -> int:
    return 0 if all([audit_code(), audit_releases()]) else 1


def audit_code() -> bool:
    """Whether bandit finds nothing in our code, and could look at all of it."""
    print(f"bandit over {' and '.join(OURS)} (what it leaves out, and why: [tool.bandit] in pyproject.toml)")
    bandit = [sys.executable, "-m", "bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", *OURS]
    done = subprocess.run(bandit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603  our own
    is_clean = done.returncode == 0 and "ERROR" not in done.stdout  # a rule that broke has judged nothing
    print("bandit: nothing found" if is_clean else f"{done.stdout}bandit: see above")
    return is_clean


def audit_releases() -> bool:
    """Whether no advisory names a release that we use, as far as anybody could be asked."""
    unknown, weak = set(releases()), []
    total = len(unknown)
    known_to_all = {release for release in unknown if release[0] == "django"}  # asked first: a hundred waits are long
    for service in SERVICES:
        is_there = bool(ask(service, known_to_all))
        print(f"  {service}: {'answers' if is_there else 'cannot be reached, or knows nothing'}")
        for release in ask(service, unknown) if is_there and unknown else []:
            unknown.discard((release["name"], release["version"]))
            weak += [(release, weakness) for weakness in release["vulns"] if weakness["id"] not in ACCEPTED]
    for release, weakness in weak:
        fixed = ", ".join(weakness.get("fix_versions", [])) or "no release yet"
        print(f"  {release['name']} {release['version']}: {weakness['id']}, mended in: {fixed}")
    print(f"advisories: {total - len(unknown)} of {total} releases were asked about; {len(weak)} findings")
    if unknown:
        names = sorted(name for name, _ in unknown)
        print(f"NOT AUDITED: {len(unknown)} of {total} releases ({', '.join(names[:5])}{', ...' * (len(names) > 5)}):")
        print("  no advisory service that knows them could be reached from here. Run make audit where one can.")
    return not weak


def releases() -> Iterator[tuple[str, str]]:
    """Names and versions in constraints.txt."""
    with open("constraints.txt") as lines:  # noqa: PTH123
        for line in lines:
            name, pinned, version = line.strip().partition("==")
            if pinned and not name.startswith("#"):
                yield canonical(name), version


def canonical(name: str) -> str:
    """As advisories are filed under it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def ask(service: str, wanted: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """What this service says of those that it knows; nothing if it cannot be asked."""
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--format", "json"]
    command += ["--requirement", "/dev/stdin", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    lines = "\n".join(f"{name}=={version}" for name, version in sorted(wanted))
    try:
        done = subprocess.run(  # noqa: S603  our own Python
            [*command, "--timeout", "10"], input=lines, capture_output=True, text=True, timeout=DEADLINE
        )
        answered: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):  # it ends with a stack trace where nobody answers
        return []
    return [{**one, "name": canonical(one["name"])} for one in answered if "skip_reason" not in one]


if __name__ == "__main__":
    sys.exit(main())
