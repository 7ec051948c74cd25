"""The release check: one table, and an exit code that one failure is enough for."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from deepoj.operate.drill.drills import DRILLS
from tests import release
from tests.release import CHECKS, Check, last_line, of_doctor, of_drill, passed, play


def saying(text: str, code: int = 0, reads: Callable[[str], tuple[bool, str]] = last_line) -> Check:
    return Check("one", (sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"), reads)


def test_everything_of_the_contract_is_checked() -> None:
    names = [check.name for check in CHECKS]
    assert [name.removeprefix("drill ") for name in names if name.startswith("drill ")] == list(DRILLS)
    assert names[len(DRILLS) :] == ["kill and clean-up", "hostile table, once", "canaries", "backup and restore"]


def drilled(**other: object) -> str:
    good = {"ok": True, "jobs": 9, "finished": 9, "violations": [], "recoveries": [{"recovery_s": 1.25}]}
    return json.dumps(good | other)


def doctored(**states: str) -> str:
    found = {"canaries": "ok", "isolation": "ok"} | states
    return json.dumps({"findings": [{"what": what, "state": state, "detail": ""} for what, state in found.items()]})


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (saying("all is well"), True),
        (saying("all is well", 1), False),
        (saying(""), False),
        (saying("3 passed in 1 s", 0, passed), True),
        (saying("3 passed, 1 skipped in 1 s", 0, passed), False),
        (saying("no tests ran", 0, passed), False),
        (saying(drilled(), 0, of_drill), True),
        (saying(drilled(ok=False), 0, of_drill), False),
        (saying(drilled(finished=8), 0, of_drill), False),
        (saying(drilled(violations=["lost"]), 0, of_drill), False),
        (saying("no JSON", 0, of_drill), False),
        (saying("{}", 0, of_drill), False),
        (saying(doctored(), 0, of_doctor), True),
        (saying(doctored(canaries="lacks"), 0, of_doctor), False),
        (saying(json.dumps({"findings": []}), 0, of_doctor), False),
    ],
)
def test_a_row_is_good_only_if_all_says_so(check: Check, good: bool) -> None:
    assert play(check).good is good


def test_one_failure_is_enough_and_its_words_are_shown() -> None:
    for checks, code in (([saying("well")], 0), ([saying("well"), saying("a [fault]\nthe end", 3)], 1)):
        said = io.StringIO()
        assert release.run(checks, Console(file=said, width=120)) == code
        assert ("a [fault]" in said.getvalue()) is bool(code)
        assert f"{1} of {len(checks)} hold" in said.getvalue()


def test_a_check_that_hangs_fails() -> None:
    hanging = Check("one", (sys.executable, "-c", "import time; time.sleep(600)"), last_line)
    row = play(hanging, within_s=0.5)
    assert not row.good
    assert "not within" in row.told
