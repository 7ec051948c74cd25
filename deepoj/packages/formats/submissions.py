"""A package's own submissions and their promised verdicts: by folder, by a line in the source, by a list."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from deepoj.judging.paths import base
from deepoj.judging.problem import Example
from deepoj.packages.formats.faults import Unusable, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.programs import entry_of, language_named, main_language, sources_in
from deepoj.packages.formats.texts import as_list, as_map, as_number, as_text, yaml_map

TOP = "submissions/"
LIST = "submissions/submissions.yaml"

AC, WA, PE = "Accepted", "Wrong Answer", "Presentation Error"
TLE, MLE, OLE = "Time Limit Exceeded", "Memory Limit Exceeded", "Output Limit Exceeded"
RE, CE, PARTIAL = "Runtime Error", "Compile Error", "Partial"

#: systems without a verdict for memory call it a run-time error
_CRASH = (RE, MLE)
_REJECTED = (WA, TLE, RE, MLE, OLE, PE)

#: the verdicts that a folder below ``submissions/`` promises
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
#: the words of expected-results lines, letters only
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
#: ends of comments, which may follow the words on a line
_COMMENT_ENDS = ("*/", "-->", "*)", "-}", "#}", "}")

Scores = tuple[tuple[float, float], ...]


def verdicts_of_words(words: str) -> tuple[str, ...] | None:
    """Return the verdicts in a list such as ``WRONG-ANSWER, TIMELIMIT``, any of which will do.

    None: a word is unknown, or says that a person has to check.
    """
    verdicts: list[str] = []
    for word in words.split(","):
        known = _WORDS.get(re.sub(r"[^A-Z]", "", word.upper()))
        if known is None:
            return None
        verdicts += known
    return tuple(dict.fromkeys(verdicts))


def scores_of_words(words: str) -> Scores | None:
    """Return the scores in ``42``, ``10-20`` or ``0, 100`` as ranges, any of which will do; None: no scores."""
    matches = [_SCORE.fullmatch(word.strip()) for word in words.split(",")]
    if not all(matches):
        return None
    return tuple((float(one[1]), float(one[2] or one[1])) for one in matches if one is not None)


def read_submissions(files: Files, notes: list[str], *, outputs: bool = False) -> tuple[Example, ...]:
    """Read everything in the folders of ``submissions/``. Unknown parts are added to ``notes``, a sentence each.

    ``outputs``: the problem takes outputs, so every file in a folder is a submission.
    """
    rules = _list(files, notes) if LIST in files else {}
    examples: list[Example] = []
    for kind in files.folders_in(TOP):
        loose = files.in_folder(kind)
        programs: list[tuple[str, tuple[str, ...]]] = []
        programs += [(name, (name,)) for name in (loose if outputs else sources_in(files, loose))]
        programs += [(one.removesuffix("/"), files.below(one)) for one in files.folders_in(kind)]
        for name, parts in programs:
            if outputs or sources_in(files, parts):
                examples.append(_example(files, name, parts, rules, notes))
            else:
                notes.append(f"{show(name)} is in no known language and is left out.")
        taken = {part for _, parts in programs for part in parts}
        strange = [name for name in loose if name not in taken and not _is_text(name)]
        notes += [f"{show(name)} is in no known language and is left out." for name in strange]
    return tuple(examples)


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
    """Return a submission with the given promise, unless a line in one of its sources says otherwise."""
    for source in sources_in(files, parts):
        text = files.source(source)
        results, score = _RESULTS_LINE.search(text), _SCORE_LINE.search(text)
        if results is not None:
            verdicts = verdicts_of_words(_bare(results[1]))
            if verdicts is None:
                notes.append(f"{show(source)} expects {show(_bare(results[1]))}, which is not a known result.")
            expected, promised_by = verdicts or (), f"@EXPECTED_RESULTS@ in {source}"
        if score is not None:
            ranges = scores_of_words(_bare(score[1]))
            if ranges is None:
                notes.append(f"{show(source)} expects the score {show(_bare(score[1]))}, which is not a score.")
            scores = ranges or ()
            promised_by = promised_by if results is not None else f"@EXPECTED_SCORE@ in {source}"
        if results is not None or score is not None:
            break
    if expected and any(most > 0 for _, most in scores) and PARTIAL not in expected:
        # what other systems call accepted or wrong with a score is partial here
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
    matching = [rule for pattern, rule in rules.items() if _matches(pattern, short)]
    language = entry = None
    scores: Scores = ()
    for rule in matching:
        if "permitted" in rule or "required" in rule:
            # a rule for a folder replaces the folder's promise; one for a submission narrows it
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
    by_pattern = {pattern: as_map(rule, LIST, show(pattern)) for pattern, rule in yaml_map(files, LIST).items()}
    rules = {one: rule for pattern, rule in by_pattern.items() for one in _braces(pattern)}
    if len(rules) > _MAX_RULES:
        raise Unusable(LIST, f"{show(LIST)} has more than {_MAX_RULES} patterns.")
    for pattern, rule in by_pattern.items():
        _of_rule(rule)
        _score_of_rule(rule.get("score", 0))
        if set(rule) - _RULE_KEYS:
            notes.append(f"{show(LIST)}: the rules of {show(pattern)} about single groups of tests are not checked.")
        if "message" in rule:
            notes.append(f"{show(LIST)}: the message that {show(pattern)} asks for is not checked.")
    return rules


def _of_rule(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the verdicts that a rule allows.

    A submission's verdict is that of its first failing test, so Accepted is excluded if a failure is required.
    """
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
    """Return whether the pattern names the submission or a folder above it; ``*`` stays within a name."""
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
    """Expand a pattern: ``a.{py,cpp}`` is two. Beyond ``room`` patterns, the rest stays as written."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        one = waiting.pop()
        braces = re.search(r"\{([^{}]*)\}", one)
        if braces is None or len(done) + len(waiting) >= room:
            done.append(one)
            continue
        waiting += [one[: braces.start()] + choice + one[braces.end() :] for choice in braces[1].split(",")]
    return done
