"""Build the wheel: it holds every file of the package that is committed, and nothing else of this repository."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import zipfile

with tempfile.TemporaryDirectory() as folder:
    subprocess.run(  # noqa: S603  our own Python
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."], check=True
    )
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())

listing = subprocess.run(["git", "ls-files", "ltiaas_django"], check=True, capture_output=True, text=True)  # noqa: S607
committed = set(listing.stdout.split())
extra = {name for name in packed - committed if ".dist-info/" not in name}
print(f"{wheel.name}: {len(packed)} files")
if extra or committed - packed:
    sys.exit(f"not committed: {sorted(extra)}; not packed: {sorted(committed - packed)}")
