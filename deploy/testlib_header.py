"""Fetches ``testlib.h``, which is not ours and stands in no repository of ours, into ``deepoj/judging/testlib``.

    python deploy/testlib_header.py

The file comes out of a wheel that deploy/locks/testlib.txt names by version and hash. setup.py calls this for every
build; scripts call it before, because pip hides what setup.py says. It does nothing where the file is there already.
Without the file the program works: it refuses packages that include the header and do not bring it. Exit codes: 0 it is
there, 3 it could not be downloaded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "deepoj" / "judging" / "testlib" / "testlib.h"
LOCK = ROOT / "deploy" / "locks" / "testlib.txt"
MEMBER = "rbx/resources/predownloaded/testlib.h"
DIGEST = "26facaf1259071eb14ff9e011b6b50473a14ab0e0a8e702087b73cffd1fb1b90"
PATIENCE_S = 120


def fetch(target: Path = TARGET, lock: Path = LOCK) -> str:
    """Why the file could not be had, in a sentence; empty if it is there."""
    try:
        if _digest(target) == DIGEST:
            return ""
        with tempfile.TemporaryDirectory(prefix="deepoj-testlib-") as made:
            fault = _download(lock, Path(made))
            return fault or _take(Path(made), target)
    except OSError as error:
        return f"testlib.h could not be written: {error}."


def _download(lock: Path, into: Path) -> str:
    # -I: within a build of pip's the path names other packages than pip
    words = [
        "-I",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "15",
    ]
    words += ["--no-deps", "--require-hashes", "-r", str(lock), "--dest", str(into)]
    try:
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"testlib.h could not be downloaded: pip had not ended after {PATIENCE_S} s."
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
    return f"testlib.h could not be downloaded with {lock.name}: {said}"


def _take(directory: Path, target: Path) -> str:
    try:
        (wheel,) = directory.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            header = opened.read(MEMBER)
    except (ValueError, KeyError, zipfile.BadZipFile):
        return f"testlib.h could not be taken from the wheel: it has no {MEMBER}."
    if sha256(header).hexdigest() != DIGEST:
        return (
            "testlib.h could not be taken from the wheel: it is not the file whose hash deploy/testlib_header.py has."
        )
    fresh = target.with_name(f"{target.name}.new")
    fresh.write_bytes(header)
    fresh.replace(target)
    return ""


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def warning(fault: str) -> str:
    """What a build says that goes on without the file."""
    return (
        f"{fault} The build goes on without it: packages whose programs include testlib.h and do not bring it will be"
        " refused. Each build tries again; or at once: python deploy/testlib_header.py"
    )


if __name__ == "__main__":
    found = fetch()
    if found:
        sys.stderr.write(f"deepoj: WARNING: {warning(found)}\n")
        sys.exit(3)
