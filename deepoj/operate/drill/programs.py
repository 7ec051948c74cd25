"""Tiny programs with known verdicts, all different.

They read two numbers and print their sum, or fail to. Most are Python, which needs little compilation, so that the
machine's time is spent on the tested pipeline. Sleeping programs outlast a lease, so their jobs need heartbeats.
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

    #: far more than the sum needs: the wall limit is three times as long, and sleeping counts towards it
    SUM = ("A+B of the drill", 10_000)
    #: for endless programs, which use all of their time
    HURRIED = ("A+B of the drill, in a hurry", 200)


@dataclass(frozen=True, slots=True)
class DrillProgram:
    """One submission and the verdict it must get."""

    task: Task
    language: str
    code: str
    expected: Verdict


#: well below the wall limit, for leases of any length
_LONGEST_SLEEP_S = 8.0

_SUM = "a, b = map(int, input().split())\n"
_SLEEPING = "import time\ntime.sleep({sleep_s:g})\n" + _SUM + "print(a + b)\n"

#: kinds of programs: weight in percent, task, language, code, verdict
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
    """Draw program ``number``. ``sleep_s``: duration of a sleeping program."""
    _, task, language, code, expected = rng.choices(_KINDS, [kind[0] for kind in _KINDS])[0]
    return DrillProgram(task, language, signed(_with_sleep(code, sleep_s), language, number), expected)


def sleeping(number: int, sleep_s: float) -> DrillProgram:
    """Return a program that runs for ``sleep_s`` and is Accepted."""
    code = _with_sleep(_SLEEPING, sleep_s)
    return DrillProgram(Task.SUM, "python3", signed(code, "python3", number), Verdict.ACCEPTED)


def _with_sleep(code: str, sleep_s: float) -> str:
    return code.replace("{sleep_s:g}", f"{min(sleep_s, _LONGEST_SLEEP_S):g}")


def quick(number: int) -> DrillProgram:
    """Return a program that ends at once and is Accepted."""
    return DrillProgram(Task.SUM, "python3", signed(_SUM + "print(a + b)\n", "python3", number), Verdict.ACCEPTED)


def signed(code: str, language: str, number: int) -> str:
    """Make the code unique by a comment, because identical code of one user is one submission."""
    return f"{code}{'#' if language == 'python3' else '//'} program {number} of the drill\n"


def package() -> bytes:
    """Return the zip of both problems."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.in", "1 2\n")
        archive.writestr("1.out", "3\n")
    return packed.getvalue()
