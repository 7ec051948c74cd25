"""Says in sentences why a test, or a submission, has its verdict. Texts are English; ``translate`` makes the visitor's.

The reasons are the rules of ``judging.verdicts`` and ``judging.explain``, as ``api.redact`` shows them to this visitor.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deepoj.web.shown import memory, milliseconds
from deepoj.words.reruns import RerunOutcome
from deepoj.words.results import Verdict

type Translate = Callable[[str], str]


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


_BY_REASON: Mapping[str, str] = {
    "cpu": _("It used more CPU time than the limit."),
    "wall": _("It ran for longer than the limit by the clock, mostly waiting."),
    "memory": _("It used more memory than the limit."),
    "heap": _("Its runtime ran out of memory."),
    "output": _("It wrote more than it may."),
    "exit": _("It ended with an exit code that means failure."),
    "signal": _("It was ended by a signal."),
    "compare": _("Its output differs from the expected one."),
    "checker": _("The problem's checker refused its output."),
    "interactor": _("The problem's interactor refused what it said."),
    "left": _("It ended before the interactor was done."),
    "exec": _("It could not be started."),
    "processes": _("It began more processes than it may."),
}
_BY_CLASS: Mapping[str, str] = {
    "crashed": _("The program crashed, for example by an index out of bounds or a division by zero."),
    "aborted": _("The program aborted itself, for example by an assertion or an uncaught exception."),
    "killed": _("It was ended by a signal."),
}

_BY_RUN_ERROR: Mapping[str, str] = {
    "ATTEMPTS_EXHAUSTED": _("The judge failed twice to run it. Run it again."),
    "RUN_EXPIRED": _("No judge had room for it in time. Run it again."),
}


def of_tests(result: Mapping[str, Any], translate: Translate, *, is_whole: bool) -> list[str]:
    """Return why each test has its verdict; empty for an accepted one, and where nothing is known. ``is_whole``: the
    figures of hidden tests are exact, too."""
    reasons = {why.get("test"): why for why in result.get("explanation") or () if why.get("rule") in _IN_ROWS}
    names = Counter(test.get("name") for test in _tests(result))
    return [
        _of_test(test, reasons.get(name) if names[name] == 1 and (is_whole or test.get("sample")) else None, translate)
        for test in _tests(result)
        for name in (test.get("name"),)
    ]


def first_failure(
    tests: Sequence[Mapping[str, Any]], why: Sequence[str]
) -> tuple[tuple[str, str] | None, Sequence[str]]:
    """Return the first failed test, as its name and its sentence (None: no test failed), and the sentences of the other
    tests. ``why``: one of each test. A sentence is in the answer once, at the first test that it is about."""
    is_failed = (test.get("status") not in (Verdict.ACCEPTED, "Skipped") for test in tests)
    first = next(itertools.compress(itertools.count(), is_failed), None)
    said = set() if first is None else {why[first]}
    others = []
    for sentence in why:
        others.append("" if sentence in said else sentence)
        said.add(sentence)
    return None if first is None else (str(tests[first].get("name")), why[first]), others


def _of_test(test: Mapping[str, Any], why: Mapping[str, Any] | None, translate: Translate) -> str:
    """Return why a test has its verdict. ``why``: its reason with exact figures; None: those of the test must do."""
    if test.get("status") == Verdict.ACCEPTED:
        return ""
    reason = str(test.get("reason"))
    parts = []
    if why is not None and why.get("rule") == reason and reason in _IN_ROW_WITH_FIGURES:
        parts.append(translate(_IN_ROW_WITH_FIGURES[reason]).format_map(_figures(why)))
    elif sentence := _BY_CLASS.get(str(test.get("signal_class"))) or _BY_REASON.get(reason):
        parts.append(translate(sentence))
    if said := test.get("checker_message"):
        found = _mismatch(str(said), translate) if reason == "compare" else None
        parts.append(found or translate(_SAID).format(said=said))
    return " ".join(parts)


def _mismatch(message: str, translate: Translate) -> str | None:
    """Return where an output differs in the visitor's language; None: the message is not of ``judging.blocks``."""
    for pattern, sentence in _MISMATCHES:
        if (found := pattern.fullmatch(message)) and found["unit"] in _UNITS:
            quoted = {
                name: translate(_THE_END) if text == _THE_END else text for name, text in found.groupdict().items()
            }
            return translate(sentence).format_map({**quoted, "unit": translate(_UNITS[found["unit"]])})
    return None


def of_submission(result: Mapping[str, Any], translate: Translate) -> Iterator[str]:
    """Yield the sentences about the whole submission, from effect to cause; not those that are beside the tests."""
    shown = {test.get("name") for test in _tests(result)}
    for why in result.get("explanation") or ():
        if why.get("rule") in _IN_ROWS and why.get("test") in shown:
            continue
        sentence = _of_reason(why, translate)
        if sentence:
            yield sentence


def _tests(result: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return result.get("tests") or ()


def of_rerun(test: str, outcome: RerunOutcome, translate: Translate) -> str:
    """Return why the rerun of a test has its verdict; empty if it is accepted, and where nothing is known."""
    row = {"status": outcome.status, "reason": outcome.reason.get("rule"), "checker_message": outcome.message}
    if outcome.status is None:
        return ""
    if row["reason"] == "compile":
        return _of_reason(outcome.reason, translate)
    return _of_test({**row, "signal_class": outcome.reason.get("signal_class")}, outcome.reason, translate)


def of_run(data: Mapping[str, Any], translate: Translate) -> Iterator[str]:
    """Yield why a playground run did not finish well."""
    for why in data.get("explanation") or ():
        sentence = _BY_CLASS.get(str(why.get("signal_class"))) or _BY_REASON.get(str(why.get("rule")), "")
        if sentence:
            yield translate(sentence)
        elif why.get("sentence"):
            yield str(why["sentence"])
    if data.get("error_code") in _BY_RUN_ERROR:
        yield translate(_BY_RUN_ERROR[data["error_code"]])


def _of_reason(why: Mapping[str, Any], translate: Translate) -> str:
    rule = str(why.get("rule"))
    if rule == "compile":
        # "exit": the compiler has said why, and that is shown
        return "" if why.get("why") == "exit" else str(why.get("sentence") or "")
    if rule in _WITH_FIGURES:
        return translate(_WITH_FIGURES[rule]).format_map(_figures(why))
    if why.get("test") is None or rule not in _BY_REASON:
        return ""
    return f"{translate(_OF_TEST).format_map(_figures(why))} {translate(_BY_REASON[rule])}"


_OF_TEST = _("Test {test}:")
_WITH_FIGURES: Mapping[str, str] = {
    "budget": _("The other tests were not run, since they could change nothing."),
    "borderline": _(
        "Test {test} was near its time limit of {limit} and was run again: {first}, then {again}, which counts."
    ),
    "dependency": _("Group {group} was skipped because of {because}."),
    "short_circuit": _("Group {group} was skipped because of {because}."),
    "cpu": _("Test {test} used {measured} of CPU time; the limit is {limit}."),
    "memory": _("Test {test} used {measured} of memory; the limit is {limit}."),
}
#: rules of a test that are said beside it
_IN_ROWS = frozenset(_BY_REASON)
_IN_ROW_WITH_FIGURES: Mapping[str, str] = {
    "cpu": _("It used {measured} of CPU time; the limit is {limit}."),
    "memory": _("It used {measured} of memory; the limit is {limit}."),
}
#: what ``judging.blocks.Mismatch`` says → the sentence
_MISMATCHES: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"(?P<unit>\w+) (?P<position>\d+): expected (?P<expected>.+), got (?P<got>.+)", re.DOTALL),
        _("{unit} {position}: expected {expected}, got {got}."),
    ),
    (
        re.compile(r"(?P<unit>\w+) (?P<position>\d+) is one too many: (?P<got>.+)", re.DOTALL),
        _("{unit} {position} is one too many: {got}."),
    ),
    (
        re.compile(r"(?P<unit>\w+) (?P<position>\d+) of the answer is missing: (?P<expected>.+)", re.DOTALL),
        _("{unit} {position} of the answer is missing: {expected}."),
    ),
)
_UNITS: Mapping[str, str] = {
    "token": _("Token"),
    "byte": _("Byte"),
    "space": _("Space"),
    "line": _("Line"),
    "character": _("Character"),
}
_THE_END = _("the end")
#: of its checker or interactor, in the language in which the author of the package wrote it
_SAID = _("The package says: “{said}”")


def _figures(why: Mapping[str, Any]) -> Mapping[str, str]:
    is_memory = why.get("limit_kb") is not None
    return {
        "test": str(why.get("test") or "–"),
        "group": str(why.get("group") or "–"),
        "because": str(why.get("depends_on") or why.get("test") or "–"),
        "measured": memory(why.get("measured_kb")) if is_memory else milliseconds(why.get("measured_ms")),
        "limit": memory(why.get("limit_kb")) if is_memory else milliseconds(why.get("limit_ms")),
        "first": milliseconds(why.get("first_ms")),
        "again": milliseconds(why.get("again_ms")),
    }
