"""``deepoj problem verify`` through the real sandbox: every folder's word, and every example package of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deepoj import cli
from tests.host import PROC
from tests.logs import logs_put_back

EXAMPLES = Path(__file__).parents[1] / "packages"
#: whose checker or comparison says what is right, and not our comparison: either way
DECIDES = {"kattis-checker", "kattis-floats", "own-checker", "polygon-checker"}
RIGHT = "print(sum(map(int, input().split())))\n"
WRONG = "print(-1)\n"
#: folder → a submission that gets the verdict of the folder, and one that does not
FOLDERS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "accepted": (("a.py", RIGHT), ("b.py", WRONG)),
    "wrong_answer": (("a.py", WRONG), ("b.py", RIGHT)),
    "time_limit_exceeded": (("a.cpp", "int main() { for (volatile int i = 0;; i = i + 1) {} }\n"), ("b.py", RIGHT)),
    "run_time_error": (("a.py", "raise SystemExit(3)\n"), ("b.py", WRONG)),
    "compiler_error": (("a.cpp", "int main() { return x; }\n"), ("b.py", WRONG)),
    "memory_limit_exceeded": (
        (
            "a.cpp",
            "#include <cstring>\n#include <cstdlib>\n"
            "int main() { for (;;) { void* p = malloc(1 << 20); if (!p) abort(); memset(p, 1, 1 << 20); } }\n",
        ),
        ("b.py", RIGHT),
    ),
    "output_limit_exceeded": (("a.py", "for _ in range(64): print('x' * (1 << 20))\n"), ("b.py", WRONG)),
    "rejected": (("a.py", WRONG), ("b.py", RIGHT)),
    "mixed": (
        ("a.py", f"# @EXPECTED_RESULTS@: WRONG-ANSWER, CORRECT\n{RIGHT}"),
        ("b.py", "# @EXPECTED_RESULTS@: TLE\n"),
    ),
}


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilers beside other parts of the suite take their time by the clock."""
    monkeypatch.setenv("DEEPOJ_COMPILE_REAL_TIME_LIMIT_S", "100")


def verify(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    with logs_put_back():
        code = cli.run(["problem", "verify", str(path), "--json", *options])
    out = capsys.readouterr().out
    assert out.count("\n") == 1, out
    found = json.loads(out)
    assert isinstance(found, dict)
    return code, found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folders_word(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {f"submissions/{folder}/{name}": text for name, text in FOLDERS[folder]}
    for name, text in {"1.in": "1 2\n", "1.out": "3\n", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code, told = verify(tmp_path, capsys, "--time-limit", "2000", "--memory-limit", "64")
    assert [case["status"] for case in told["cases"]] == ["ok", "differs"], told
    assert (code, told["checked"], told["matched"], told["skipped"]) == (1, 2, 1, 0)


@pytest.mark.needs(PROC)
def test_a_java_file_may_be_called_otherwise_than_its_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "class Node { }\nclass Solution { public static void main(String[] a) {"
        " var in = new java.util.Scanner(System.in); System.out.println(in.nextInt() + in.nextInt()); } }\n"
    )
    files = {"1.in": "1 2\n", "1.out": "3\n", "submissions/accepted/alice.java": code}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    code_, told = verify(tmp_path, capsys, "--time-limit", "5000", "--memory-limit", "256")
    assert (code_, told["matched"]) == (0, 1), told


#: they take longest, so they belong to the rest of the suite
LONG = ("polygon", "kattis-floats", "kattis-interactive", "own-sums")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[pytest.mark.full] if name.startswith(LONG) else [],
        )
        for name in sorted(path.name for path in EXAMPLES.iterdir())
    ],
)
def test_the_example_packages(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = verify(EXAMPLES / name, capsys)
    assert (code, told["matched"], told["skipped"]) == (0, len(told["cases"]), 0), told
    assert told["matched"] >= 2
    if name in DECIDES:
        assert {"Accepted", "Wrong Answer"} <= {case["got"] for case in told["cases"]}, told
