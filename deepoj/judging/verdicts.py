"""The verdict table: from the outcome of a run, a comparison or a checker to the test's verdict. ``scoring`` continues.

``RUN_TABLE`` has a row for each (run verdict, rule) that the sandbox may report, ``CHECK_TABLE`` one for each valid
exit code of a checker. A missing row is a System Error. So a new rule in the sandbox or an unknown exit code can never
decide for or against a contestant by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from deepoj.judging.problem import Protocol
from deepoj.words.results import Verdict
from deepoj.words.sandbox import RunVerdict

#: the program ended well: the comparison decides
COMPARE: Final = None

#: (run verdict, rule) → the test's verdict; ``COMPARE`` where the output decides
RUN_TABLE: Mapping[tuple[RunVerdict, str], Verdict | None] = MappingProxyType(
    {
        (RunVerdict.OK, "ok"): COMPARE,
        (RunVerdict.TLE, "cpu"): Verdict.TIME_LIMIT_EXCEEDED,
        (RunVerdict.TLE, "wall"): Verdict.TIME_LIMIT_EXCEEDED,
        (RunVerdict.MLE, "memory"): Verdict.MEMORY_LIMIT_EXCEEDED,
        (RunVerdict.MLE, "heap"): Verdict.MEMORY_LIMIT_EXCEEDED,
        (RunVerdict.OLE, "output"): Verdict.OUTPUT_LIMIT_EXCEEDED,
        (RunVerdict.RE, "signal"): Verdict.RUNTIME_ERROR,
        (RunVerdict.RE, "exit"): Verdict.RUNTIME_ERROR,
        (RunVerdict.RE, "exec"): Verdict.RUNTIME_ERROR,
        (RunVerdict.RE, "processes"): Verdict.RUNTIME_ERROR,
        (RunVerdict.SE, "sandbox"): Verdict.SYSTEM_ERROR,
    }
)


def of_run(verdict: RunVerdict, rule: str, *, exit_code: int, exit_signal: int) -> Verdict | None:
    """Return the test's verdict, or ``COMPARE``. A program that reports its own failure has failed, with any
    output."""
    test_verdict = RUN_TABLE.get((verdict, rule), Verdict.SYSTEM_ERROR)
    if test_verdict is COMPARE and (exit_code != 0 or exit_signal != 0):
        return Verdict.RUNTIME_ERROR
    return test_verdict


#: ends of a checker's run for which its exit code counts; all else (a crash, a limit, the sandbox) is its failure
CHECKER_SPEAKS: frozenset[tuple[RunVerdict, str]] = frozenset({(RunVerdict.OK, "ok"), (RunVerdict.RE, "exit")})

#: testlib's `_pc(x)` exits with x more than this (``testlib.header``)
PARTIALLY: Final = 16

#: protocols whose checkers include testlib.h; they differ in the meaning of its points
TESTLIBS: Final = (Protocol.TESTLIB, Protocol.HYDRO, Protocol.UOJ)

_TESTLIB_CODES: Final = (
    (0, Verdict.ACCEPTED),
    (1, Verdict.WRONG_ANSWER),
    (2, Verdict.PRESENTATION_ERROR),
    # `_fail`: the answer or the checker is wrong, by the checker's own report
    (3, Verdict.SYSTEM_ERROR),
    # `_dirt`: right, but followed by more output
    (4, Verdict.PRESENTATION_ERROR),
    # `_points`: 7, or 5 where testlib.h was set up for PCMS2
    (5, Verdict.PARTIAL),
    (7, Verdict.PARTIAL),
    # `_unexpected_eof`: the output ends too early
    (8, Verdict.WRONG_ANSWER),
)

#: (protocol, the checker's exit code) → the test's verdict; PARTIAL: the points that it left decide
CHECK_TABLE: Mapping[tuple[Protocol, int], Verdict] = MappingProxyType(
    {
        **{(protocol, code): verdict for protocol in TESTLIBS for code, verdict in _TESTLIB_CODES},
        (Protocol.VALIDATOR, 42): Verdict.ACCEPTED,
        (Protocol.VALIDATOR, 43): Verdict.WRONG_ANSWER,
        (Protocol.PLAIN, 0): Verdict.ACCEPTED,
        (Protocol.PLAIN, 1): Verdict.WRONG_ANSWER,
        (Protocol.COCI, 0): Verdict.ACCEPTED,
        (Protocol.COCI, 1): Verdict.WRONG_ANSWER,
        (Protocol.COCI, 2): Verdict.PRESENTATION_ERROR,
        (Protocol.COCI, 3): Verdict.SYSTEM_ERROR,
        (Protocol.COCI, 7): Verdict.PARTIAL,
        (Protocol.PEG, 0): Verdict.ACCEPTED,
        # or, with both codes, the share that it prints
        (Protocol.PEG, 1): Verdict.WRONG_ANSWER,
        (Protocol.CMS, 0): Verdict.PARTIAL,
    }
)


def of_check(protocol: Protocol, verdict: RunVerdict, rule: str, *, exit_code: int, exit_signal: int) -> Verdict:
    """Return the test's verdict by its checker's run; System Error unless the checker exited with a valid code."""
    if (verdict, rule) not in CHECKER_SPEAKS or exit_signal != 0:
        return Verdict.SYSTEM_ERROR
    return CHECK_TABLE.get((protocol, exit_code), Verdict.SYSTEM_ERROR)
