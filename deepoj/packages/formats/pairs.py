"""Pairs inputs with answers by the usual ways of naming them.

They are tried in this order, each on the files that are left over:

* same folder and stem: ``1.in`` with ``1.out``, ``1.ans`` or ``1.a``; a bare ``01`` with ``01.a``;
* the kind as the first word: ``input1.txt`` with ``output1.txt``, ``in.1`` with ``out.1``;
* the kind as a folder: ``in/1.txt`` with ``out/1.txt``, ``input/input01.txt`` with ``output/output01.txt``.

A file that looks like an input or an answer and has no partner is a fault, so that no test is lost silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from deepoj.judging.paths import base, folder
from deepoj.packages.formats.faults import PackageFault, show
from deepoj.packages.formats.names import lookalikes, natural_key, shared_folder

_INPUT_ENDS = ("in", "inp")
_ANSWER_ENDS = ("out", "ans")
#: an answer's ending only if the input exists: elsewhere it is a library
_WEAK_ANSWER_END = "a"
_FIRST_WORD = re.compile(
    r"(?P<kind>input|output|in|out|answer|ans)(?P<rest>[._-]?[0-9][0-9A-Za-z._-]*?)(?P<end>\.(?:txt|dat|in|inp|out|ans))?",
    re.IGNORECASE,
)
_INPUT_WORDS = frozenset({"in", "input", "inputs"})
_ANSWER_WORDS = frozenset({"out", "output", "outputs", "ans", "answer", "answers"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One case: its shown name (``2``, ``sample/1``) and the names of its two files."""

    name: str
    input: str
    answer: str


def pair_up(names: Sequence[str]) -> tuple[Pair, ...] | PackageFault:
    """Return the cases in natural order, named by path and stem without the folders that all of them share.

    Refused: no case at all, a lone input or answer, an input with two answers, two names that differ only by case.
    """
    fault = lookalikes(names)
    if fault is not None:
        return fault
    inputs, answers = _by_ending(names)
    pairs: dict[str, tuple[str, str]] = {}
    fault = _match(inputs, answers, pairs)
    if fault is not None:
        return fault
    used = {name for pair in pairs.values() for name in pair}
    left = [name for name in names if name not in used]
    for way in (_by_first_word, _by_folder):
        more_inputs, more_answers = way(left)
        fault = _match(more_inputs, more_answers, pairs)
        if fault is not None:
            return fault
        used = {name for pair in pairs.values() for name in pair}
        left = [name for name in left if name not in used]
    fault = _alone(left)
    if fault is not None:
        return fault
    if not pairs:
        return PackageFault(None, "The package has no test case: it needs pairs such as 1.in and 1.out (or 1.ans).")
    shared = shared_folder(pairs)
    ordered = sorted(pairs, key=natural_key)
    return tuple(Pair(stem[len(shared) :], *pairs[stem]) for stem in ordered)


#: inputs and answers by the key that they share
Found = tuple[dict[str, str], dict[str, list[str]]]


def _match(
    inputs: dict[str, str], answers: dict[str, list[str]], pairs: dict[str, tuple[str, str]]
) -> PackageFault | None:
    """Add the pairs; a lone input or answer may still be paired by another way."""
    for stem, name in inputs.items():
        partners = answers.get(stem, [])
        if len(partners) > 1:
            both = " and ".join(show(one) for one in sorted(partners))
            return PackageFault(partners[0], f"{both} both answer {show(name)}: keep one of them.")
        if not partners:
            continue
        if stem in pairs:
            return PackageFault(name, f"{show(name)} and {show(pairs[stem][0])} would be the same test {show(stem)}.")
        pairs[stem] = (name, partners[0])
    return None


def _by_ending(names: Sequence[str]) -> Found:
    inputs: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    weak: list[tuple[str, str]] = []
    for name in names:
        stem, _, end = name.rpartition(".")
        if end.lower() in _INPUT_ENDS:
            inputs.setdefault(stem, name)
        elif end.lower() in _ANSWER_ENDS:
            answers.setdefault(stem, []).append(name)
        elif end.lower() == _WEAK_ANSWER_END:
            weak.append((stem, name))
    bare = frozenset(names)
    for stem, name in weak:
        if stem not in inputs and stem in bare:
            inputs[stem] = stem
        if stem in inputs:
            answers.setdefault(stem, []).append(name)
    return inputs, answers


def _by_first_word(names: Sequence[str]) -> Found:
    inputs: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    for name in names:
        word = _FIRST_WORD.fullmatch(base(name))
        if word is None:
            continue
        key = folder(name) + word["rest"].lstrip("._-")
        if word["kind"].lower() in _INPUT_WORDS:
            inputs.setdefault(key, name)
        else:
            answers.setdefault(key, []).append(name)
    return inputs, answers


def _by_folder(names: Sequence[str]) -> Found:
    inputs: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        for place, part in enumerate(parts[:-1]):
            kind = part.lower()
            if kind not in _INPUT_WORDS | _ANSWER_WORDS:
                continue
            key = "".join(one + "/" for one in (*parts[:place], *parts[place + 1 : -1])) + _plain_stem(parts[-1])
            if kind in _INPUT_WORDS:
                inputs.setdefault(key, name)
            else:
                answers.setdefault(key, []).append(name)
            break
    return inputs, answers


def _plain_stem(last: str) -> str:
    word = _FIRST_WORD.fullmatch(last)
    if word is not None:
        return word["rest"].lstrip("._-")
    stem, dot, end = last.rpartition(".")
    return stem if dot and stem and end.lower() in {"txt", "dat", *_INPUT_ENDS, *_ANSWER_ENDS, "a"} else last


def _alone(left: Sequence[str]) -> PackageFault | None:
    """Return a fault for the first file that looks like an answer or an input and has no partner."""
    inputs, answers = _by_ending(left)
    for names in answers.values():
        stem = names[0].rpartition(".")[0]
        return PackageFault(names[0], f"{show(names[0])} is an answer without its input {show(stem + '.in')}.")
    for stem, name in inputs.items():
        return PackageFault(name, f"{show(name)} is an input without its answer {show(stem + '.out')} (or .ans).")
    for way in (_by_first_word, _by_folder):
        if way is _by_folder and not _both_folders(left):
            continue
        inputs, answers = way(left)
        for names in answers.values():
            return PackageFault(names[0], f"{show(names[0])} is an answer without its input.")
        for name in inputs.values():
            return PackageFault(name, f"{show(name)} is an input without its answer.")
    return None


def _both_folders(names: Sequence[str]) -> bool:
    """Return whether there are folders of both kinds: only then are the files in them tests."""
    words = {part.lower() for name in names for part in name.split("/")[:-1]}
    return bool(words & _INPUT_WORDS) and bool(words & _ANSWER_WORDS)
