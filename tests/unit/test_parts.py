"""``tests.parts``: no test is left out, none is run twice, and what went wrong in any part is said and decides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.parts import PARTS, ROOT, SECOND_LOOKS, words_for

RUN = """
import sys
from tests.parts import Part, run_parts
sys.exit(run_parts([Part(*one.split("=")[:1], (one.split("=")[1],)) for one in sys.argv[1:]]))
"""
DEADLINE_S = 300.0
#: sessions that need no plugin start in half the time
BARE = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def taken_by(words: Sequence[str], path: str) -> bool:
    """Whether pytest finds a file by these words, which are paths and what of it to ignore."""
    ignored = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    mine = [word for word in words if not word.startswith("-")]
    under = [any(path == one or path.startswith(f"{one}/") for one in paths) for paths in (mine, ignored)]
    return under == [True, False]


def test_every_test_belongs_to_one_part() -> None:
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(files) > 100
    owners = {path: [part.name for part in PARTS if taken_by(words_for(part), path)] for path in files}
    assert {path: names for path, names in owners.items() if len(names) != 1} == {}
    assert {name for names in owners.values() for name in names} == {part.name for part in PARTS}


def test_what_a_part_names_is_there() -> None:
    assert [path for part in PARTS for path in part.paths if not (ROOT / path).exists()] == []


def write(directory: Path, name: str, body: str) -> str:
    path = directory / f"test_{name}.py"
    path.write_text(f"import os, time\n\ndef test_{name}():\n    {body}\n")
    return f"{name}={path}"


def run(*parts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *parts],
        cwd=ROOT, env=BARE, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def test_all_is_well(tmp_path: Path) -> None:
    done = run(write(tmp_path, "one", "pass"), write(tmp_path, "two", "pass"), write(tmp_path, "three", "pass"))

    assert done.returncode == 0, done.stdout + done.stderr
    *_, one, two, three, last = done.stdout.splitlines()
    assert last.startswith("3 passed in ")
    assert [line.count("| exit 0 after ") for line in (one, two, three)] == [1, 1, 1]
    assert [line.count("1 passed") for line in (one, two, three)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("body", "code"), [("assert 1 == 2", 1), ("os.kill(os.getpid(), 9)", 9)], ids=["it fails", "it kills the session"]
)
def test_one_that_fails_is_named_and_decides(tmp_path: Path, body: str, code: int) -> None:
    done = run(write(tmp_path, "bad", body), write(tmp_path, "good", "pass"))

    assert done.returncode == code
    end = done.stdout.rpartition("\n\n")[2].splitlines()
    assert end[-1].startswith("1 failed, 1 passed in " if code == 1 else "1 passed in ")
    assert end[0].startswith("      bad | exit ")
    assert any("test_bad" in line for line in end)
    assert "     good | exit 0" in done.stdout


FAILS_THE_FIRST = "open('{0}', 'a').write('.'); assert len(open('{0}').read()) > {1}"


def test_one_that_passes_alone_is_unsteady(tmp_path: Path) -> None:
    good = write(tmp_path, "good", f"open({str(tmp_path / 'good')!r}, 'a').write('.')")
    done = run(write(tmp_path, "bad", FAILS_THE_FIRST.format(tmp_path / "bad", 1)), good)

    assert done.returncode == 0, done.stdout
    *_, told, last = done.stdout.splitlines()
    assert told.startswith("UNSTEADY: ")
    assert "test_bad.py::test_bad" in done.stdout
    assert last.startswith("1 failed, 1 passed in ")
    # once and three times; nothing but what failed is run again
    assert [len((tmp_path / name).read_text()) for name in ("bad", "good")] == [4, 1]


@pytest.mark.parametrize("times", [2, 3])
def test_one_that_fails_again_decides(tmp_path: Path, times: int) -> None:
    body = f"open('{tmp_path}/n', 'a').write('.'); assert len(open('{tmp_path}/n').read()) not in (1, {times})"
    done = run(write(tmp_path, "bad", body))

    assert done.returncode == 1
    assert len((tmp_path / "n").read_text()) == times
    assert "UNSTEADY" not in done.stdout


def test_too_many_are_not_looked_at_again(tmp_path: Path) -> None:
    bodies = [FAILS_THE_FIRST.format(tmp_path / str(number), 1) for number in range(SECOND_LOOKS + 1)]
    done = run(*(write(tmp_path, f"bad{number}", body) for number, body in enumerate(bodies)))

    assert done.returncode == 1
    assert [len((tmp_path / str(number)).read_text()) for number in range(SECOND_LOOKS + 1)] == [1] * (SECOND_LOOKS + 1)


def test_one_that_is_not_found_again_decides(tmp_path: Path) -> None:
    done = run(write(tmp_path, "bad", "os.unlink(__file__); assert False"))

    assert done.returncode != 0
    assert "UNSTEADY" not in done.stdout


def test_what_was_compiled_is_kept_whatever_the_caller_wants(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BARE, "PYTHONDONTWRITEBYTECODE", "1")
        done = run(write(tmp_path, "kept", "assert 'PYTHONDONTWRITEBYTECODE' not in os.environ"))

    assert done.returncode == 0, done.stdout
    assert list(tmp_path.glob("__pycache__/*.pyc"))


def test_a_part_without_tests_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "test_empty.py").write_text("")

    assert run(f"empty={tmp_path}/test_empty.py").returncode == 5


def test_ctrl_c_ends_all_sessions_and_lets_them_tidy_up(tmp_path: Path) -> None:
    tidied = tmp_path / "tidied"
    # in short sleeps: a signal that comes just before a system call does not end that call
    lasting = f"""
    try:
        print("begun", flush=True)
        while True:
            time.sleep(0.1)
    finally:
        open({str(tidied)!r}, "w").close()
"""
    part = write(tmp_path, "lasting", lasting.strip())
    # in the background of a script, where it is ignored to begin with
    ignored = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    with subprocess.Popen(
        [*ignored, sys.executable, "-c", RUN.replace("])", "], more=['-s'])"), part],
        cwd=ROOT, env=BARE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as crew:  # fmt: skip
        assert crew.stdout is not None
        assert any("begun" in line for line in crew.stdout)
        os.killpg(crew.pid, signal.SIGINT)
        crew.stdout.read()
        assert crew.wait(DEADLINE_S) == 130
    assert tidied.exists()
