"""Plants each fault of the table in a copy of the repository, and sees that the test named beside it fails.

``python -m tests.mutants``; words are parts of file names that choose among the faults. Before, all tests of the table
are run without a fault, and must pass: a test that fails anyway proves nothing.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
#: what the build leaves beside the sources
BUILT = (
    "deepoj/*.so",
    "deepoj/adapters/embedded/*.so",
    "deepoj/_launcher",
    "deepoj/_meter",
    "deepoj/judging/testlib/*.h",
    "deepoj/web/static/*",
)
#: a fault may make a test wait for what never comes: that is found, too
PATIENCE_S = 300.0
#: of pytest: a test failed
FAILED = 1


def main() -> int:
    """0: every fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults in files whose path contains one of these")
    parser.add_argument("--share", type=share, default=(1, 1), metavar="K/N", help="only the K-th of N equal shares")
    asked = parser.parse_args()
    words, (number, count) = asked.words, asked.share
    chosen = [one for one in MUTANTS if not words or any(word in one.file for word in words)][number - 1 :: count]
    if not chosen:
        parser.error(f"no fault is in a file whose path contains {' or '.join(words)}")
    workers = min(os.cpu_count() or 1, len(chosen))
    with tempfile.TemporaryDirectory(prefix="deepoj-mutants-") as made:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(workers):
            copies.put(copy_of_repository(Path(made) / str(number)))
        click.echo(f"{len({one.test for one in chosen})} tests without a fault")
        first = copies.get()
        done = pytest(first, sorted({one.test for one in chosen}), patience_s=10 * PATIENCE_S)
        copies.put(first)
        if done is None or done.returncode != 0:
            said = "it took too long" if done is None else done.stdout[-3000:]
            click.echo(f"Nothing is proved: a test fails without a fault.\n{said}")
            return 2
        survivors = 0
        with ThreadPoolExecutor(workers) as pool:
            for number, future in enumerate(as_completed([pool.submit(play, one, copies) for one in chosen]), 1):
                mutant, verdict, seconds = future.result()
                survivors += verdict != "found"
                click.echo(f"{number:3}/{len(chosen)} {verdict:8} {seconds:5.1f} s  {mutant.file}  {mutant.test}")
                if verdict != "found":
                    click.echo(f"    - {mutant.was!r}\n    + {mutant.becomes!r}")
    click.echo(f"{len(chosen) - survivors} of {len(chosen)} faults found")
    return 1 if survivors else 0


def share(text: str) -> tuple[int, int]:
    """``3/7`` as numbers. Raises ValueError."""
    number, count = map(int, text.split("/"))
    if not 1 <= number <= count:
        raise ValueError(text)
    return number, count


def copy_of_repository(directory: Path) -> Path:
    """The files that git knows or would take, and what was built of them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = [name for name in listed.stdout.split("\0") if name]
    built = [str(path.relative_to(ROOT)) for pattern in BUILT for path in ROOT.glob(pattern)]
    for name in (*names, *built):
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name, follow_symlinks=False)
    (directory / ".venv").symlink_to(ROOT / ".venv")
    return directory


def play(mutant: Mutant, copies: queue.SimpleQueue[Path]) -> tuple[Mutant, str, float]:
    """Plants one fault in a copy, runs its test there, and mends the copy again."""
    copy = copies.get()
    began = time.monotonic()
    path = copy / mutant.file
    sound = path.read_text()
    try:
        if sound.count(mutant.was) != 1:
            return mutant, "not one", 0.0
        path.write_text(sound.replace(mutant.was, mutant.becomes))
        if not rebuild(copy, mutant):
            return mutant, "no build", time.monotonic() - began
        done = pytest(copy, [mutant.test], patience_s=PATIENCE_S)
        is_found = done is None or done.returncode == FAILED
        return mutant, "found" if is_found else "SURVIVED", time.monotonic() - began
    finally:
        path.write_text(sound)
        rebuild(copy, mutant)
        copies.put(copy)


def rebuild(copy: Path, mutant: Mutant) -> bool:
    """Whether there is nothing to build, or it was built."""
    if not mutant.file.startswith("sandbox_ext/"):
        return True
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    return subprocess.run(command, cwd=copy, capture_output=True, check=False).returncode == 0


def pytest(copy: Path, tests: Sequence[str], *, patience_s: float) -> subprocess.CompletedProcess[str] | None:
    """None: it took too long. No byte code is kept, which could be that of another fault in the same second."""
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(
            command, cwd=copy, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=patience_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None


if __name__ == "__main__":
    sys.exit(main())
