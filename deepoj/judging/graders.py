"""Graders of ICPC/Kattis' legacy packages: a program of the package computes the result of a test group.

It is called ``grader [flags…] < results``. ``results`` has a line for each test or group directly in the group that was
judged: a code of ``CODES`` and a score. The grader prints one such line, the group's result, and exits with 0. Anything
else is its failure, never the contestant's fault. This module executes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from deepoj.judging import checkers, exec_rules
from deepoj.judging.scoring.outcome import MAX_POINTS, Graded, tidy
from deepoj.judging.text import cut, visible
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import FileIn, RunLimits, RunOutcome, RunSpec, RunVerdict

#: the codes of the specification; problemtools sends no others
CODES: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.ACCEPTED: "AC",
        Verdict.WRONG_ANSWER: "WA",
        Verdict.PRESENTATION_ERROR: "WA",
        Verdict.TIME_LIMIT_EXCEEDED: "TLE",
        Verdict.RUNTIME_ERROR: "RTE",
        Verdict.MEMORY_LIMIT_EXCEEDED: "RTE",
        Verdict.OUTPUT_LIMIT_EXCEEDED: "RTE",
    }
)
#: of what a grader says; a character has at most 4 bytes
_KEPT_BYTES = 4 * checkers.MESSAGE_CHARS
#: problemtools takes MLE and OLE, too
_VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        "AC": Verdict.ACCEPTED,
        "WA": Verdict.WRONG_ANSWER,
        "TLE": Verdict.TIME_LIMIT_EXCEEDED,
        "RTE": Verdict.RUNTIME_ERROR,
        "MLE": Verdict.MEMORY_LIMIT_EXCEEDED,
        "OLE": Verdict.OUTPUT_LIMIT_EXCEEDED,
    }
)


def lines_of(members: Sequence[Graded]) -> str:
    """Return a grader's input."""
    return "".join(f"{CODES[member.status]} {member.score}\n" for member in members)


def grader_spec(
    argv: tuple[str, ...],
    files_in: tuple[FileIn, ...],
    env: tuple[tuple[str, str], ...],
    *,
    results: Path,
    limits: RunLimits,
) -> RunSpec:
    """Return the execution of a grader that reads ``results``."""
    return RunSpec(
        argv=argv,
        limits=limits,
        stdin=results,
        files_in=files_in,
        env=env,
        keep_stdout_bytes=limits.output_bytes,
        keep_stderr_bytes=limits.output_bytes,
    )


def grade_of(outcome: RunOutcome, group: str) -> Graded | Infra:
    """Return a group's result from the execution of its grader."""
    where = f"the group '{group or 'data'}'"
    if outcome.sandbox_error is not None:
        return exec_rules.sandbox_trouble(f"grading {where}", outcome.sandbox_error)
    if outcome.verdict is RunVerdict.SE:
        return Infra("sandbox", f"grading {where}: rule '{outcome.rule}'")
    if outcome.verdict is not RunVerdict.OK:
        ended = f"with exit code {outcome.exit_code}" if outcome.rule == "exit" else f"by the rule '{outcome.rule}'"
        return broken(where, f"it ended {ended}", outcome.stderr)
    words = outcome.stdout[: checkers.MESSAGE_CHARS].decode("utf-8", "replace").split()
    verdict = _VERDICTS.get(words[0]) if words else None
    try:
        score = float(words[1]) if len(words) == 2 else math.nan
    except ValueError:
        score = math.nan
    if verdict is None or not abs(score) <= MAX_POINTS:  # nor NaN
        said = cut(visible(outcome.stdout[:_KEPT_BYTES]), checkers.MESSAGE_CHARS) or "nothing"
        return broken(where, f"it printed no line such as 'AC 40': {said.strip()}", outcome.stderr)
    return Graded(verdict, tidy(score))


def broken(where: str, sentence: str, stderr: bytes) -> Infra:
    """Return the failure of a grader, with its own message as evidence."""
    kept = stderr[:_KEPT_BYTES]
    message = cut(visible(kept), checkers.MESSAGE_CHARS, len(stderr) - len(kept))
    evidence = f"\nIt said:\n{message}" if message else ""
    return Infra(checkers.BROKEN, f"the grader failed on {where}: {sentence}{evidence}")
