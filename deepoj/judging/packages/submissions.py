"""A package's own submissions and what their authors promise of them: by folder, by a line in the source, by a list."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from deepoj.judging.packages.faults import Unusable, show
from deepoj.judging.packages.files import Files
from deepoj.judging.packages.names import base
from deepoj.judging.packages.programs import entry_of, language_named, main_language, sources_in
from deepoj.judging.packages.texts import as_list, as_map, as_number, as_text, yaml_map
from deepoj.judging.problem import Example

TOP = "submissions/"
LIST = "submissions/submissions.yaml"

AC, WA, PE = "Accepted", "Wrong Answer", "Presentation Error"
TLE, MLE, OLE = "Time Limit Exceeded", "Memory Limit Exceeded", "Output Limit Exceeded"
RE, CE, PARTIAL = "Runtime Error", "Compile Error", "Partial"

#: systems without a word for memory call that a run-time error
_CRASH = (RE, MLE)
_REJECTED = (WA, TLE, RE, MLE, OLE, PE)

#: what a folder below ``submissions/`` promises
_FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "accepted": (AC,),
        "partially_accepted": (PARTIAL,),
        "slow_accepted": (AC, TLE),
        "rejected": _REJECTED,
        "wrong_answer": (WA,),
        "presentation_error": (PE,),
        "time_limit_exceeded": (TLE,),
        "run_time_error": _CRASH,
        "runtime_error": _CRASH,
        "memory_limit_exceeded": (MLE,),
        "memory_limit": (MLE,),
        "output_limit_exceeded": (OLE,),
        "output_limit": (OLE,),
        "no_output": (WA,),
        "compiler_error": (CE,),
        "compile_error": (CE,),
        "brute_force": (RE, MLE, TLE),
    }
)
#: the words of expected-results lines, without what stands between their letters
_WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("CORRECT", "ACCEPTED", "AC"), (AC,)),
        **dict.fromkeys(("WRONGANSWER", "WA"), (WA,)),
        **dict.fromkeys(("NOOUTPUT",), (WA,)),
        **dict.fromkeys(("PRESENTATIONERROR", "PE"), (PE,)),
        **dict.fromkeys(("TIMELIMIT", "TIMELIMITEXCEEDED", "TLE"), (TLE,)),
        **dict.fromkeys(("RUNERROR", "RUNTIMEERROR", "RTE", "RE"), _CRASH),
        **dict.fromkeys(("MEMORYLIMIT", "MEMORYLIMITEXCEEDED", "MLE"), (MLE,)),
        **dict.fromkeys(("OUTPUTLIMIT", "OUTPUTLIMITEXCEEDED", "OLE"), (OLE,)),
        **dict.fromkeys(("COMPILERERROR", "COMPILEERROR", "COMPILATIONERROR", "CE"), (CE,)),
        **dict.fromkeys(("PARTIAL", "PARTIALLYACCEPTED"), (PARTIAL,)),
    }
)
_RESULTS_LINE = re.compile(r"@EXPECTED_RESULTS@:[ \t]*([^\n]*)")
_SCORE_LINE = re.compile(r"@EXPECTED_SCORE@:[ \t]*([^\n]*)")
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SCORE = re.compile(rf"({_NUMBER})(?:\s*(?:-|\.\.|:)\s*({_NUMBER}))?")
#: what a line may end with where it stands in a comment
_COMMENT_ENDS = ("*/", "-->", "*)", "-}", "#}", "}")

Scores = tuple[tuple[float, float], ...]


def verdicts_of_words(words: str) -> tuple[str, ...] | None:
    """The verdicts that a list such as ``WRONG-ANSWER, TIMELIMIT`` stands for, any of which will do; None: it is none
    that we know, or says that a person is to look."""
    found: list[str] = []
    for word in words.split(","):
        known = _WORDS.get(re.sub(r"[^A-Z]", "", word.upper()))
        if known is None:
            return None
        found += known
    return tuple(dict.fromkeys(found))


def scores_of_words(words: str) -> Scores | None:
    """The scores that ``42``, ``10-20`` or ``0, 100`` stand for, as ranges, any of which will do; None: no scores."""
    found = [_SCORE.fullmatch(word.strip()) for word in words.split(",")]
    if not all(found):
        return None
    return tuple((float(one[1]), float(one[2] or one[1])) for one in found if one is not None)


def read_submissions(files: Files, notes: list[str], *, outputs: bool = False) -> tuple[Example, ...]:
    """Everything in the folders of ``submissions/``. What is not understood is added to ``notes``, a sentence each.

    ``outputs``: what is submitted are outputs, so whatever lies in a folder is a submission.
    """
    rules = _list(files, notes) if LIST in files else {}
    found: list[Example] = []
    for kind in files.folders_in(TOP):
        loose = files.in_folder(kind)
        programs: list[tuple[str, tuple[str, ...]]] = []
        programs += [(name, (name,)) for name in (loose if outputs else sources_in(files, loose))]
        programs += [(one.removesuffix("/"), files.below(one)) for one in files.folders_in(kind)]
        for name, parts in programs:
            if outputs or sources_in(files, parts):
                found.append(_example(files, name, parts, rules, notes))
            else:
                notes.append(f"{show(name)} is in no known language and is left out.")
        taken = {part for _, parts in programs for part in parts}
        strange = [name for name in loose if name not in taken and not _is_text(name)]
        notes += [f"{show(name)} is in no known language and is left out." for name in strange]
    return tuple(found)


def example_of(
    files: Files,
    name: str,
    parts: Sequence[str],
    notes: list[str],
    *,
    expected: tuple[str, ...] = (),
    promised_by: str = "",
    language: str | None = None,
    entry: str | None = None,
    scores: Scores = (),
) -> Example:
    """A submission with the promise given, unless a line in one of its sources says otherwise."""
    for source in sources_in(files, parts):
        text = files.source(source)
        results, score = _RESULTS_LINE.search(text), _SCORE_LINE.search(text)
        if results is not None:
            verdicts = verdicts_of_words(_bare(results[1]))
            if verdicts is None:
                notes.append(f"{show(source)} expects {show(_bare(results[1]))}, which is no result that we know.")
            expected, promised_by = verdicts or (), f"@EXPECTED_RESULTS@ in {source}"
        if score is not None:
            ranges = scores_of_words(_bare(score[1]))
            if ranges is None:
                notes.append(f"{show(source)} expects the score {show(_bare(score[1]))}, which is none.")
            scores = ranges or ()
            promised_by = promised_by if results is not None else f"@EXPECTED_SCORE@ in {source}"
        if results is not None or score is not None:
            break
    if expected and any(most > 0 for _, most in scores) and PARTIAL not in expected:
        # what others call accepted or wrong with a score is partial here
        expected = (*expected, PARTIAL)
    key = language or main_language(files, parts)
    return Example(
        name=name,
        language=key,
        files=tuple(parts),
        entry=entry or entry_of(files, key, parts),
        expected=expected,
        expected_scores=scores,
        promised_by=promised_by,
    )


def _example(
    files: Files, name: str, parts: Sequence[str], rules: Mapping[str, Mapping[str, Any]], notes: list[str]
) -> Example:
    kind = name.removeprefix(TOP).partition("/")[0]
    expected, promised_by = _FOLDERS.get(kind, ()), kind if kind in _FOLDERS else ""
    short = name.removeprefix(TOP)
    told = [rule for pattern, rule in rules.items() if _matches(pattern, short)]
    language = entry = None
    scores: Scores = ()
    for rule in told:
        if "permitted" in rule or "required" in rule:
            # a rule for a folder replaces what the folder promises; one for a submission is there beside it
            verdicts = _of_rule(rule)
            both = tuple(one for one in verdicts if one in expected)
            expected, promised_by = both if expected and both else verdicts, LIST
        if rule.get("language") is not None:
            language = language_named(as_text(rule["language"], LIST, "language"))
        if rule.get("entrypoint") is not None:
            wanted = as_text(rule["entrypoint"], LIST, "entrypoint")
            entry = next((one for one in parts if base(one) == wanted or base(one).startswith(wanted + ".")), None)
        if rule.get("score") is not None:
            scores, promised_by = _score_of_rule(rule["score"]), LIST
    return example_of(
        files, name, parts, notes,
        expected=expected, promised_by=promised_by, language=language, entry=entry, scores=scores,
    )  # fmt: skip


def _bare(words: str) -> str:
    words = words.strip()
    for end in _COMMENT_ENDS:
        words = words.removesuffix(end).strip()
    return words


def _is_text(name: str) -> bool:
    return base(name).lower().startswith(("readme", ".")) or name.lower().endswith((".md", ".txt", ".yaml", ".desc"))


# ---------------------------------------------------------------------------------------------------------------------
# submissions.yaml

_CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"AC": (AC,), "WA": (WA, PE, OLE), "TLE": (TLE,), "RTE": _CRASH}
)
_MAX_RULES = 1000
_RULE_KEYS = frozenset(
    {
        "language", "entrypoint", "authors", "model_solution", "permitted", "required", "score", "message",
        "use_for_time_limit",
    }
)  # fmt: skip


def _list(files: Files, notes: list[str]) -> dict[str, dict[str, Any]]:
    told = {pattern: as_map(rule, LIST, show(pattern)) for pattern, rule in yaml_map(files, LIST).items()}
    rules = {one: rule for pattern, rule in told.items() for one in _braces(pattern)}
    if len(rules) > _MAX_RULES:
        raise Unusable(LIST, f"{show(LIST)} has more than {_MAX_RULES} patterns.")
    for pattern, rule in told.items():
        _of_rule(rule)
        _score_of_rule(rule.get("score", 0))
        if set(rule) - _RULE_KEYS:
            notes.append(f"{show(LIST)}: what {show(pattern)} says of single groups of tests is not checked.")
        if "message" in rule:
            notes.append(f"{show(LIST)}: the message that {show(pattern)} asks for is not checked.")
    return rules


def _of_rule(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """The submission's verdict is that of its first test that fails: Accepted, where a failure is required, is out."""
    permitted = _codes(rule, "permitted") if "permitted" in rule else tuple(_CODES)
    required = _codes(rule, "required") if "required" in rule else tuple(_CODES)
    left = [code for code in permitted if code != "AC" or "AC" in required]
    return tuple(dict.fromkeys(verdict for code in left for verdict in _CODES[code]))


def _codes(rule: Mapping[str, Any], key: str) -> tuple[str, ...]:
    codes = tuple(as_text(code, LIST, key) for code in as_list(rule[key], LIST, key))
    for code in codes:
        if code not in _CODES:
            raise Unusable(LIST, f"{show(LIST)}: {key} knows {', '.join(_CODES)}, not {show(code)}.")
    return codes


def _score_of_rule(value: object) -> Scores:
    if isinstance(value, list):
        ends = [as_number(one, LIST, "score") for one in value]
        if len(ends) != 2:
            raise Unusable(LIST, f"{show(LIST)}: a score is a number or a list of two.")
        return ((ends[0], ends[1]),)
    number = as_number(value, LIST, "score")
    return ((number, number),)


def _matches(pattern: str, name: str) -> bool:
    """Whether the pattern names the submission or a folder that it is in; ``*`` stays within a name."""
    parts = name.split("/")
    heads = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return any(_glob(pattern, head) for head in heads)


def _glob(pattern: str, name: str) -> bool:
    wanted, given = pattern.strip("/").split("/"), name.split("/")
    if len(wanted) != len(given):
        return False
    escaped = (re.sub(r"([?\[])", r"[\1]", one) for one in wanted)
    return all(fnmatch.fnmatchcase(part, one) for part, one in zip(given, escaped, strict=True))


def _braces(pattern: str, room: int = 64) -> Iterable[str]:
    """``a.{py,cpp}`` is two patterns; of more than ``room`` the rest is taken as written."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        one = waiting.pop()
        found = re.search(r"\{([^{}]*)\}", one)
        if found is None or len(done) + len(waiting) >= room:
            done.append(one)
            continue
        waiting += [one[: found.start()] + choice + one[found.end() :] for choice in found[1].split(",")]
    return done
