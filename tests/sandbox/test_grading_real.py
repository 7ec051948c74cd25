"""Graders of ICPC/Kattis' legacy packages (``grading: custom``) through ``deepoj problem verify``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deepoj import cli
from tests.logs import logs_put_back

#: accepts if as many members are accepted as its flag says, and gives their sum
AT_LEAST = """import sys
rows = [line.split() for line in sys.stdin]
scores = [float(score) for code, score in rows if code == "AC"]
print("AC", sum(scores)) if len(scores) >= int(sys.argv[1]) else print("WA 0")
"""
AT_LEAST_C = r"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
    char code[8];
    double score, sum = 0;
    int count = 0;
    while (scanf("%7s %lf", code, &score) == 2)
        if (strcmp(code, "AC") == 0) { count++; sum += score; }
    if (argc == 2 && count >= atoi(argv[1])) printf("AC %f\n", sum); else puts("WA 0");
}
"""
#: answers the first N of the numbers 1, 2 and 3
ANSWERS = "n = int(input())\nprint(n * n if n <= {} else 0)\n"
GROUP = "grading: default\ngrader_flags: min\naccept_score: 10\n"
SCORING = {
    "problem.yaml": "name: graded\ntype: scoring\n",
    "data/testdata.yaml": "on_reject: continue\ngrader_flags: always_accept ignore_sample\n",
    "data/sample/1.in": "1\n",
    "data/sample/1.ans": "1\n",
    "data/secret/testdata.yaml": "on_reject: continue\ngrading: custom\ngrader_flags: 2\n",
    **{f"data/secret/{n}/testdata.yaml": GROUP for n in (1, 2, 3)},
    **{f"data/secret/{n}/1.in": f"{n}\n" for n in (1, 2, 3)},
    **{f"data/secret/{n}/1.ans": f"{n * n}\n" for n in (1, 2, 3)},
}
PASS_FAIL = {
    **{name: text for name, text in SCORING.items() if "/1.in" in name or "/1.ans" in name},
    "problem.yaml": "name: graded\n",
    "data/testdata.yaml": "on_reject: continue\n",
    "data/secret/testdata.yaml": "grading: custom\ngrader_flags: 2\n",
    **{f"data/secret/{n}/testdata.yaml": "grading: default\ngrader_flags: ''\n" for n in (1, 2, 3)},
}


def verify(home: Path, files: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Judge submissions that solve the numbers up to 1, 2 and 3."""
    submissions = {f"submissions/accepted/{n}.py": ANSWERS.format(n) for n in (1, 2, 3)}
    for name, text in {**files, **submissions}.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    with logs_put_back():
        cli.run(["problem", "verify", str(home), "--json", "--time-limit", "5000", "--memory-limit", "256"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPOJ_COMPILE_REAL_TIME_LIMIT_S", "100")


@pytest.mark.parametrize(
    "graders",
    [
        {"graders/grader.py": AT_LEAST},
        {"graders/mine/main.c": AT_LEAST_C},
        {
            "graders/mine/run": '#!/bin/sh\nexec python3 "$(dirname "$0")/code.py" "$@"\n',
            "graders/mine/code.py": AT_LEAST,
        },
    ],
    ids=["python3", "c17", "run"],
)
@pytest.mark.parametrize(
    ("files", "results"),
    [
        (SCORING, [("Wrong Answer", 0.0), ("Partial", 20.0), ("Accepted", 30.0)]),
        (PASS_FAIL, [("Wrong Answer", 0.0), ("Accepted", 100.0), ("Accepted", 100.0)]),
    ],
    ids=["scoring", "pass-fail"],
)
def test_grader_decides_the_group_by_its_members(
    files: Mapping[str, str],
    results: list[tuple[str, float]],
    graders: Mapping[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = verify(tmp_path, {**files, **graders}, capsys)

    assert [(case["got"], case["score"]) for case in told["cases"]] == results, told


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        ("raise SystemExit(3)", "it ended with exit code 3"),
        ("print('JE 0')", "it printed no line such as 'AC 40': JE 0"),
        ("import sys\nprint('the setter errs', file=sys.stderr)\nraise SystemExit(1)", "the setter errs"),
    ],
)
def test_grader_that_fails_gives_no_verdict(
    grader: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = verify(tmp_path, {**SCORING, "graders/grader.py": grader}, capsys)

    for case in told["cases"]:
        assert (case["got"], case["status"]) == (None, "differs"), case
        assert "the grader failed on the group 'secret'" in case["why"]
        assert words in case["why"]


def test_grader_that_does_not_compile_is_a_fault_of_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = verify(tmp_path, {**SCORING, "graders/grader.c": "int main(void) { return x; }\n"}, capsys)

    assert "The grader 'grader.c' does not compile" in told["fault"]["problem"]
