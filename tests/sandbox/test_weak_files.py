"""What a run at `weak` can do to files: anything to its own, nothing to those of the node, other tests and slots."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import MIB, limits

PYTHON = "/usr/bin/python3"

#: removes, renames, links and replaces what it is told, and prints what was not refused
ATTACK = """import os, sys
tries = []
def attempt(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return
    tries.append((what.__name__, *arguments))
own = os.getcwd()
open("mine", "w").write("forged")
for path in map(os.path.abspath, sys.argv[1:]):
    attempt(os.unlink, path)
    attempt(os.rmdir, path)
    attempt(os.rename, path, "taken")
    attempt(os.rename, path, path + ".moved")
    attempt(os.rename, "mine", path)
    attempt(os.link, path, "linked")
    attempt(os.link, "mine", path + ".linked")
    attempt(os.mkdir, path + ".made")
    attempt(os.truncate, path, 0)
    attempt(open, path, "a")
    if path != own:
        attempt(open, os.path.join(path, "new"), "w")
print(tries)
"""
ORDINARY = """import os, tempfile
for attempt in range(20):
    open("a", "w").write("x" * (8 << 20))
    os.rename("a", "b")
    os.mkdir("d")
    os.rename("b", "d/b")
    os.link("d/b", "hard")
    os.unlink("d/b")
    os.rmdir("d")
    os.unlink("hard")
    with tempfile.TemporaryFile() as held, tempfile.NamedTemporaryFile() as named:
        held.write(b"x" * (8 << 20))
        named.write(b"x")
assert os.listdir() == [], os.listdir()
"""


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with LinuxBox.open(2, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as opened:
        yield opened


async def run(
    box: LinuxBox, script: Path, *words: str, files: tuple[FileIn, ...] = (), stdin: Path | None = None
) -> RunOutcome:
    return await box.run(
        RunSpec(
            argv=(PYTHON, f"{PROGRAM_DIR}/main.py", *words),
            stdin=stdin,
            limits=limits(scratch_bytes=32 * MIB),
            env=(("PATH", "/usr/bin:/bin"), ("TMPDIR", "/w")),
            files_in=(FileIn("main.py", script, program=True), *files),
            keep_stdout_bytes=MIB,
            keep_stderr_bytes=MIB,
        )
    )


async def test_ordinary_files_are_made_moved_and_removed(box: LinuxBox, tmp_path: Path) -> None:
    """Of 340 MB in all no more than 17 at once: what was removed and let go does not count."""
    script = tmp_path / "main.py"
    script.write_text(ORDINARY)

    outcome = await run(box, script)

    assert outcome.verdict is RunVerdict.OK, outcome


@dataclass(frozen=True)
class House:
    """Files of the node whose modes let every user read and write them."""

    top: Path

    @property
    def texts(self) -> dict[str, str]:
        return {str(path.relative_to(self.top)): path.read_text() for path in self.top.rglob("*") if path.is_file()}


@pytest.fixture
def house() -> Iterator[House]:
    with TemporaryDirectory(dir="/tmp") as directory:
        top = Path(directory)
        (top / "cache").mkdir()
        for name in ("beside", "answer", "cache/made"):
            (top / name).write_text("kept")
            (top / name).chmod(0o666)
        (top / "main.py").write_text(ATTACK)
        top.chmod(0o777)
        (top / "cache").chmod(0o777)
        yield House(top)


async def test_run_changes_no_file_beyond_its_scratch(box: LinuxBox, house: House) -> None:
    """Its program and what stands beside it (the next test finds both there), the directories of all slots, the node's
    own files."""
    before = house.texts
    words = [PROGRAM_DIR, f"{PROGRAM_DIR}/main.py", f"{PROGRAM_DIR}/beside", "/w", "..", "../..", "/tmp", "/dev/shm"]
    words += [f"../../{slot}/{name}" for slot in range(4) for name in "pw"]
    words += [str(house.top / name) for name in ("", "answer", "cache", "cache/made")]
    files = (FileIn("beside", house.top / "beside", program=True),)

    # several: the directories keep what runs left there, if anything
    outcomes = [await run(box, house.top / "main.py", *words, files=files) for _ in range(4)]

    for outcome in outcomes:
        assert (outcome.verdict, outcome.stdout) == (RunVerdict.OK, b"[]\n"), outcome
    assert house.texts == before


PRETENDED = """import os, sys
open("mine", "w").close()
paths = ["mine", *sys.argv[1:]]
def seen():
    return [(path, os.stat(path).st_mode, os.stat(path).st_mtime_ns) for path in paths]
before = seen()
for path in paths:
    os.chmod(path, 0o7777)
    os.utime(path, (1, 1))
with open("mine") as mine:
    for fd in (0, mine.fileno()):
        os.fchmod(fd, 0o7777)
        os.utime(fd, (1, 1))
assert seen() == before, seen()
"""


async def test_changes_of_modes_and_times_are_pretended(box: LinuxBox, house: House) -> None:
    script = house.top / "main.py"
    script.write_text(PRETENDED)
    given = house.top / "answer"
    before = given.stat()

    outcome = await run(box, script, "/usr/bin/true", f"{PROGRAM_DIR}/main.py", "/w", str(given), stdin=given)

    assert outcome.verdict is RunVerdict.OK, outcome
    after = given.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


async def test_next_test_finds_program_and_scratch_as_they_were(box: LinuxBox, tmp_path: Path) -> None:
    """The input file of the scratch is the run's own copy, which it may remove; the next run has another."""
    script, given = tmp_path / "main.py", tmp_path / "given"
    script.write_text(
        "import os\nprint(sorted(os.listdir()), open('given').read())\n"
        "os.rename('given', 'taken')\nos.mkdir('left')\nopen('left/note', 'w').write('x')\n"
    )
    given.write_text("kept")

    for _ in range(4):
        outcome = await run(box, script, files=(FileIn("given", given),))
        assert (outcome.verdict, outcome.stdout) == (RunVerdict.OK, b"['given'] kept\n"), outcome
    assert given.read_text() == "kept"
