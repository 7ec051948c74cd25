"""Tiny programs with known verdicts, no two alike.

They read two numbers and print their sum, or fail to. Most are Python: nothing worth mentioning is compiled, so that
the machine's time goes to the walk that is under test. Sleeping ones outlast a lease: their jobs live by heartbeats.
"""

from __future__ import annotations

import enum
import io
import random
import zipfile
from dataclasses import dataclass

from deepoj.words.results import Verdict


class Task(enum.Enum):
    """The two problems of a stage: title and time limit."""

    #: far more than the sum needs: on the wall three times that is allowed, and sleeping counts there
    SUM = ("A+B of the drill", 10_000)
    #: for the endless ones, which burn all that they may
    HURRIED = ("A+B of the drill, in a hurry", 200)


@dataclass(frozen=True, slots=True)
class DrillProgram:
    """One submission and the verdict it must get."""

    task: Task
    language: str
    code: str
    expected: Verdict


#: well below what the wall allows, however long the leases
_LONGEST_SLEEP_S = 8.0

_SUM = "a, b = map(int, input().split())\n"
_SLEEPING = "import time\ntime.sleep({sleep_s:g})\n" + _SUM + "print(a + b)\n"

#: kind → how often in a hundred, task, language, code, verdict
_KINDS: tuple[tuple[int, Task, str, str, Verdict], ...] = (
    (34, Task.SUM, "python3", _SUM + "print(a + b)\n", Verdict.ACCEPTED),
    (24, Task.SUM, "python3", _SLEEPING, Verdict.ACCEPTED),
    (16, Task.SUM, "python3", _SUM + "print(a - b)\n", Verdict.WRONG_ANSWER),
    (10, Task.SUM, "python3", _SUM + "raise SystemExit(3)\n", Verdict.RUNTIME_ERROR),
    (6, Task.SUM, "python3", "def (:\n", Verdict.COMPILE_ERROR),
    (5, Task.HURRIED, "python3", "while True:\n    pass\n", Verdict.TIME_LIMIT_EXCEEDED),
    (5, Task.SUM, "c17", '#include <stdio.h>\nint main(void){int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}\n',
     Verdict.ACCEPTED),
)  # fmt: skip


def draw(rng: random.Random, number: int, sleep_s: float) -> DrillProgram:
    """The ``number``th program; ``sleep_s`` is how long the sleeping kind sleeps."""
    _, task, language, code, expected = rng.choices(_KINDS, [kind[0] for kind in _KINDS])[0]
    return DrillProgram(task, language, signed(_asleep_for(code, sleep_s), language, number), expected)


def sleeping(number: int, sleep_s: float) -> DrillProgram:
    """One that holds its lease for a while and is Accepted."""
    code = _asleep_for(_SLEEPING, sleep_s)
    return DrillProgram(Task.SUM, "python3", signed(code, "python3", number), Verdict.ACCEPTED)


def _asleep_for(code: str, sleep_s: float) -> str:
    return code.replace("{sleep_s:g}", f"{min(sleep_s, _LONGEST_SLEEP_S):g}")


def quick(number: int) -> DrillProgram:
    return DrillProgram(Task.SUM, "python3", signed(_SUM + "print(a + b)\n", "python3", number), Verdict.ACCEPTED)


def signed(code: str, language: str, number: int) -> str:
    """The code made unlike every other one: identical code of one user is one submission."""
    return f"{code}{'#' if language == 'python3' else '//'} program {number} of the drill\n"


def package() -> bytes:
    """The problem's zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.in", "1 2\n")
        archive.writestr("1.out", "3\n")
    return packed.getvalue()
