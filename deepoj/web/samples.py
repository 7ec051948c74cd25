"""*Run on samples*: a playground run for each sample of a problem, compared with the sample's output.

The runs of one press count as one against the author's bound of unfinished runs; ``MOST`` samples are run. The page's
address names the runs, so nothing but them is kept.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.base import reply
from deepoj.api.playground_view import run_view
from deepoj.judging.compare import compare_bytes, of_text
from deepoj.judging.problem import Compare
from deepoj.judging.text import visible
from deepoj.web import forms, sentences
from deepoj.web.render import gettext_of
from deepoj.web.runs import PageRuns
from deepoj.web.visitor import Visitor
from deepoj.words.jobs import State
from deepoj.words.playground import CustomRun, CustomStatus
from deepoj.words.problems import Problem
from deepoj.words.results import Verdict
from deepoj.words.statements import StatementIndex, StatementSample

#: samples that are run: each costs a statement
MOST = 8
#: of the table of differences
_MAX_LINES, _MAX_LINE = 100, 400
#: longer outputs are compared line by line, without looking for lines that are missing; so are those with more pairs of
#: equal lines, as many lines that repeat make: an alignment would hold the node for a second
_MAX_ALIGNED, _MAX_PAIRS = 300, 10_000
_RUN_IDS = re.compile(r"run-[0-9a-f-]{36}(?:\.run-[0-9a-f-]{36}){0,7}")


def _(text: str) -> str:
    """Mark a word for the catalogue."""
    return text


PASSED, DIFFERS = _("Passed"), _("Differs")
_BY_CHECKER = _("The sample shows one possible output; the problem's own checker decides about yours.")
_CUT = _("Only the beginning of its output was compared.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSample:
    """The result of one sample. ``word``: its result; ``verdict``: the verdict whose glyph and colour it has."""

    number: int
    word: str
    verdict: str
    is_over: bool
    time_used: int | None = None
    why: Sequence[str] = ()
    compiled: str = ""
    stderr: str = ""
    #: (mark, expected, found) of each line, if they differ
    lines: Sequence[tuple[str, str, str]] = ()


def runnable(index: StatementIndex) -> list[tuple[int, StatementSample]]:
    """Return the samples that can be run, with their numbers: an interaction is none."""
    numbered = enumerate(index.samples, 1)
    return [(number, sample) for number, sample in numbered if not sample.interaction][:MOST]


class SampleRuns:
    """Orders runs on the samples of a problem, and compares what they printed."""

    def __init__(self, context: ApiContext, runs: PageRuns) -> None:
        self._context, self._runs = context, runs

    async def take(self, visitor: Visitor, problem: Problem, index: StatementIndex, form: forms.SentForm) -> str:
        """Order a run for each sample. Return their ids as ``asked`` reads them. Raises Refused."""
        samples = runnable(index)
        if not samples:
            raise Refused(ApiError.INVALID, field="samples", problem="this problem has none")
        taken: list[str] = []
        for _number, sample in samples:
            try:
                run_id = await self._runs.take(
                    visitor,
                    form,
                    time_limit_ms=problem.time_limit_ms,
                    memory_limit_kb=problem.memory_limit_mb * 1024,
                    stdin=sample.input,
                    besides=len(taken),
                )
            except Refused:
                if not taken:
                    raise
                break  # those that were taken are shown
            taken.append(run_id)
        return ".".join(taken)

    async def asked(self, visitor: Visitor, run_ids: str) -> list[CustomRun | None]:
        """Return the visitor's runs; None for one that is no longer kept. Raises Refused if there is none."""
        ids = run_ids.split(".") if _RUN_IDS.fullmatch(run_ids) else []
        found = await self._context.runs.custom_runs(visitor.member.id, ids, self._context.settings.runs.keep_s)
        if not found:
            raise Refused(ApiError.NO_SUCH_RUN)
        return [found.get(run_id) for run_id in ids]

    def values(
        self, visitor: Visitor, problem: Problem, index: StatementIndex, runs: Sequence[CustomRun | None], path: str
    ) -> dict[str, Any]:
        """Return what ``_samples.html`` needs. ``path``: of the problem's page."""
        shown = [
            _shown(visitor, problem, number, sample, run)
            for (number, sample), run in zip(runnable(index), runs, strict=False)
            if run is not None
        ]
        return {
            "sample_runs": shown,
            "samples_path": f"{path}/samples",
            "samples_over": all(one.is_over for one in shown),
            "samples_passed": sum(one.word == PASSED for one in shown),
        }


def _shown(visitor: Visitor, problem: Problem, number: int, sample: StatementSample, run: CustomRun) -> ShownSample:
    view = reply(run_view(run))
    data: Mapping[str, Any] | None = view["data"]
    if data is None:
        is_over = run.state in (State.DONE, State.DEAD)
        return ShownSample(number=number, word=view["status"], verdict=view["status"], is_over=is_over)
    compiled = (data.get("compile") or {}).get("output") or ""
    why = list(sentences.of_run(data, gettext_of(visitor.language)))
    word = verdict = view["status"]
    lines: Sequence[tuple[str, str, str]] = ()
    if run.status == CustomStatus.FINISHED:
        how, expected = of_text(problem.compare), sample.output.encode()
        is_same = compare_bytes(how or Compare(), expected, run.stdout) is None
        word, verdict = (PASSED, Verdict.ACCEPTED) if is_same else (DIFFERS, Verdict.WRONG_ANSWER)
        if not is_same:
            lines = list(itertools.islice(differences(sample.output, visible(run.stdout)), _MAX_LINES))
            if how is None:
                verdict = Verdict.PARTIAL
                why.append(gettext_of(visitor.language)(_BY_CHECKER))
        if data.get("truncated_stdout"):
            why.append(gettext_of(visitor.language)(_CUT))
    return ShownSample(
        number=number,
        word=word,
        verdict=verdict,
        is_over=True,
        time_used=data.get("time_used"),
        why=why,
        compiled=compiled,
        stderr=visible(run.stderr)[:4000],
        lines=lines,
    )


def differences(expected: str, found: str) -> Iterator[tuple[str, str, str]]:
    """Yield (mark, expected line, found line): ``=`` same, ``≠`` different, ``−`` missing, ``+`` one too many."""
    wanted, got = _lines(expected), _lines(found)
    if max(len(wanted), len(got)) > _MAX_ALIGNED or _pairs(wanted, got) > _MAX_PAIRS:
        yield from _side_by_side(wanted, got)
        return
    for tag, w1, w2, g1, g2 in difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (("=", line, line) for line in wanted[w1:w2])
        else:
            yield from _side_by_side(wanted[w1:w2], got[g1:g2])


def _pairs(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Return the number of pairs of equal lines."""
    found = Counter(got)
    return sum(found[line] for line in wanted)


def _side_by_side(wanted: Sequence[str], got: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for expected, found in itertools.zip_longest(wanted, got):
        if expected is None or found is None:
            yield ("+", "", found) if expected is None else ("−", expected, "")
        else:
            yield "=" if expected == found else "≠", expected, found


def _lines(text: str) -> list[str]:
    return [line.rstrip()[:_MAX_LINE] for line in text.rstrip().split("\n")]
