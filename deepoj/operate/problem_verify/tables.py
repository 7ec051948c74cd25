"""What ``deepoj problem verify`` found, for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepoj.judging.format_defaults import ChosenLimit, cut_notes
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.promises import Kept, PromiseResult, promised
from deepoj.judging.verifications import is_tight, slowest_test
from deepoj.packages.formats import PackageFault
from deepoj.words.results import Verdict

if TYPE_CHECKING:
    from deepoj.operate.problem_verify import Verified

_COLORS = {Kept.OK: "green", Kept.DIFFERS: "red", Kept.SKIPPED: "yellow", Kept.NO_PROMISE: "dim"}
_FAULTS_SHOWN = 20
#: of submissions of which there is the same to say
_NAMES_SHOWN = 3
#: in the order of ``Verified.limits``: the word, the unit, the verdict of a program beyond it
_LIMITS = (("time", "ms", Verdict.TIME_LIMIT_EXCEEDED), ("memory", "MB", Verdict.MEMORY_LIMIT_EXCEEDED))


def show(verified: Verified) -> None:
    """A table of the submissions, and what else there is to say."""
    if verified.fault is not None:
        return  # said as the command ends
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 400)
    table = Table("submission", "language", "promised", "got", "slowest test", "time", "memory", "", box=None)
    for finding in verified.findings:
        slowest = slowest_test(finding.report)
        table.add_row(
            Text(finding.example.name),
            Text(_language(verified, finding)),
            Text(promised(finding.example) or "nothing"),
            Text(finding.got),
            Text(slowest.name if slowest else ""),
            f"{slowest.cpu_ms} ms" if slowest else "",
            f"{_memory_kb(finding) // 1024} MB" if slowest else "",
            Text(finding.kept.value, style=_COLORS[finding.kept]),
        )
    if verified.findings:
        console.print(table)
    for (kept, why), names in _reasons(verified.findings).items():
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        console.print(Text(f"{', '.join(names[:_NAMES_SHOWN])}{more}: {kept.value}: {why}"))
    for fault in verified.input_faults[:_FAULTS_SHOWN]:
        what = f" does not accept {fault.input}" if fault.input else ""
        console.print(Text(f"{fault.validator}{what}: {fault.why}"))
    if len(verified.input_faults) > _FAULTS_SHOWN:
        console.print(f"… and {len(verified.input_faults) - _FAULTS_SHOWN} more of these")
    for line in (*hints(verified), *(f"not supported: {one}" for one in verified.plan.unsupported)):
        console.print(Text(line, style="dim"))
    console.print(Text(sentence(verified)))


def _reasons(findings: Sequence[PromiseResult]) -> dict[tuple[Kept, str], list[str]]:
    """The submissions by what there is to say of them: a checker that fails says the same of each."""
    found: dict[tuple[Kept, str], list[str]] = {}
    for finding in findings:
        if finding.why:
            found.setdefault((finding.kept, finding.why), []).append(finding.example.name)
    return found


def sentence(verified: Verified) -> str:
    """All of it in one line."""
    judged = len(verified.findings) - verified.count(Kept.SKIPPED) - verified.count(Kept.NO_PROMISE)
    parts = [f"{verified.count(Kept.OK)} of {judged} submissions came to what was promised"]
    if not verified.findings:
        parts = ["the package carries no submissions"]
    if unpromised := verified.count(Kept.NO_PROMISE):
        parts.append(f"{unpromised} had no promise")
    if verified.skips:
        parts.append(f"{verified.skips} skipped")
    if bad := sum(not fault.skipped for fault in verified.input_faults):
        parts.append(f"{bad} faults with the inputs or their validators")
    elif verified.inputs_checked:
        parts.append("the validators found no fault with the inputs")
    return ", ".join(parts)


def hints(verified: Verified) -> list[str]:
    """What a setter may want to look at."""
    limit_ms = verified.problem.time_limit_ms
    found = []
    if verified.time_limit_measured:
        found.append(
            f"the package states no time limit: {limit_ms} ms is what its accepted submissions need by its format"
        )
    found += _defaults(verified)
    accepted = [
        (slowest.cpu_ms, finding.example.name, slowest.name)
        for finding in verified.findings
        if finding.report is not None
        and finding.report.status is Verdict.ACCEPTED
        and (slowest := slowest_test(finding.report)) is not None
    ]
    if not accepted:
        return found
    worst_ms, submission, test = max(accepted)
    tight = ": little room for a slower machine" if is_tight(worst_ms, limit_ms) else ""
    return [*found, f"time limit {limit_ms} ms, slowest accepted run {worst_ms} ms ({submission}, test {test}){tight}"]


def _unnamed(verified: Verified) -> Iterator[tuple[str, str, Verdict, ChosenLimit]]:
    """Yield the limits that are a default, because the package and the command name none."""
    for (word, unit, verdict), limit in zip(_LIMITS, verified.limits, strict=True):
        if limit.default_of and not (word == "time" and verified.time_limit_measured):
            yield word, unit, verdict, limit


def _defaults(verified: Verified) -> list[str]:
    """Say of each limit that the package does not name whose default it is, and which verdicts it decided."""
    sentences = []
    for word, unit, verdict, limit in _unnamed(verified):
        names = [finding.example.name for finding in verified.findings if _is_beyond(finding, verdict)]
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        decided = f"; it decided {verdict.value} of {', '.join(names[:_NAMES_SHOWN])}{more}" if names else ""
        sentences.append(
            f"the package names no {word} limit: {limit.value} {unit} is the default of {limit.default_of}{decided}"
        )
    return [*sentences, *cut_notes(*verified.limits)]


def _is_beyond(finding: PromiseResult, verdict: Verdict) -> bool:
    """Return whether the submission or a test of it has this verdict."""
    report = finding.report
    return report is not None and (report.status is verdict or any(test.status is verdict for test in report.tests))


def as_json(verified: Verified) -> dict[str, Any]:
    """The contract's ``checked, matched, skipped, cases[]``, and the rest. ``checked`` counts promises that were put to
    the test."""
    return {
        "checked": verified.count(Kept.OK) + verified.count(Kept.DIFFERS),
        "matched": verified.count(Kept.OK),
        "skipped": verified.skips,
        "unpromised": verified.count(Kept.NO_PROMISE),
        "cases": [_case(verified, finding) for finding in verified.findings],
        "inputs": {
            "checked": verified.inputs_checked,
            "faults": [
                {"validator": fault.validator, "input": fault.input, "skipped": fault.skipped, "why": fault.why}
                for fault in verified.input_faults
            ],
        },
        "format": verified.plan.format,
        "time_limit_ms": verified.problem.time_limit_ms,
        "time_limit_measured": verified.time_limit_measured,
        "memory_limit_mb": verified.problem.memory_limit_mb,
        "default_limits": {word: limit.default_of for word, _, _, limit in _unnamed(verified)},
        "unsupported": list(verified.plan.unsupported),
        **({} if verified.fault is None else {"fault": _fault(verified.fault)}),
    }


def _fault(fault: PackageFault) -> dict[str, Any]:
    """With the code by which an upload is refused."""
    return {"code": "INVALID_PACKAGE", "file": fault.file, "problem": fault.sentence}


def _language(verified: Verified, finding: PromiseResult) -> str:
    """What it was judged in; empty if it is unknown."""
    return OUTPUTS.key if verified.plan.output_only else finding.example.language or ""


def _case(verified: Verified, finding: PromiseResult) -> dict[str, Any]:
    language = _language(verified, finding)
    slowest, report, example = slowest_test(finding.report), finding.report, finding.example
    return {
        "submission": example.name,
        "language": language or None,
        "expected": list(example.expected),
        "expected_scores": [list(one) for one in example.expected_scores],
        "promised_by": example.promised_by,
        "got": None if report is None else report.status.value,
        "score": None if report is None else report.score,
        "status": finding.kept.value,
        "why": finding.why,
        "decided_by_default": [word for word, _, verdict, _ in _unnamed(verified) if _is_beyond(finding, verdict)],
        "slowest_test": None if slowest is None else slowest.name,
        "time_ms": None if slowest is None else slowest.cpu_ms,
        "memory_kb": None if slowest is None else _memory_kb(finding),
    }


def _memory_kb(finding: PromiseResult) -> int:
    """Of the test that took most, whichever it was."""
    return finding.report.memory_used_kb if finding.report is not None else 0
