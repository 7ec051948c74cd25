"""Stages, quarantine and failures of ``tests/conftest.py``, and the rows of ``tests/mutants``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.mutants.table import MUTANTS

SKIPS = "import pytest\n\ndef test_skips():\n    pytest.skip('no second core')\n"
FAILS = "def test_fails():\n    assert False\n"
PASSES = "def test_passes():\n    pass\n"


def test_every_path_of_the_stages_exists() -> None:
    paths = (*conftest.FULL, *conftest.ALONE, *conftest.LONGEST)
    assert [path for path in paths if not (conftest.ROOT / path).exists()] == []


def test_every_quarantined_test_exists() -> None:
    files = {name: conftest.ROOT / name.partition("::")[0] for name in conftest.quarantined()}
    functions = {name: name.rpartition("::")[2].partition("[")[0] for name in files}
    missing = [name for name, file in files.items() if f"def {functions[name]}(" not in file.read_text()]
    assert missing == []


def test_every_planted_fault_names_one_line_of_the_product() -> None:
    counts = {(one.file, one.was): (conftest.ROOT / one.file).read_text().count(one.was) for one in MUTANTS}
    assert [place for place, count in counts.items() if count != 1] == []


@pytest.mark.parametrize(
    ("source", "options", "quarantine", "code", "printed"),
    [
        (PASSES, ["--all-shown"], "", 0, "1 passed"),
        (SKIPS, [], "", 0, "tests/test_one.py::test_skips: no second core"),
        (SKIPS, ["--all-shown"], "", 1, "NOT SHOWN ON THIS HOST"),
        (FAILS, [], "", 1, "1 failed"),
        (FAILS, [], "tests/test_one.py::test_fails  fails once in 200 runs\n", 0, "quarantine: fails once in 200 runs"),
    ],
)
def test_session_ends_by_the_rules(
    tmp_path: Path, *, source: str, options: list[str], quarantine: str, code: int, printed: str
) -> None:
    directory = tmp_path / "tests"
    directory.mkdir()
    (directory / "conftest.py").write_text(Path(conftest.__file__).read_text())
    (directory / "quarantine.txt").write_text(f"# a comment\n{quarantine}")
    (directory / "test_one.py").write_text(source)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-n", "1", "--dist", "loadfile", *options, "tests"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert done.returncode == code, done.stdout + done.stderr
    assert printed in done.stdout
