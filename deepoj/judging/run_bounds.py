"""How many files and arguments a run may bring, and why a plan asks for more.

The sandbox refuses a run beyond its own bounds (``sandbox_ext/wire.h``) as a System Error. These bounds keep every run
of an accepted package and submission within them. A program in an interpreted language brings each file twice
(``Compiler._executable``), so that ``2 * (MAX_SOURCES + MAX_INCLUDED) + MAX_EXTRA`` files are the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from deepoj.judging.problem import Plan, Program

#: files of a submission, or of a program of the setter
MAX_SOURCES = 64
#: files that a package puts beside every submission in a language
MAX_INCLUDED = 32
#: files that a test puts beside the program
MAX_EXTRA = 16
#: arguments of a run from the package, and their UTF-8 bytes
MAX_WORDS = 240
MAX_WORDS_BYTES = 32 * 1024


def fault_of(plan: Plan) -> str | None:
    """Return why a run of the plan would be refused, as a sentence without a full stop; None if none would."""
    return next(_faults(plan), None)


def _faults(plan: Plan) -> Iterator[str]:
    checkers = [one for one in (plan.checker, plan.output_checker) if one is not None]
    programs = [one.program for one in (*checkers, *plan.input_validators)]
    for program in (*programs, *([] if plan.grader is None else [plan.grader])):
        yield from _program_faults(program)
    for language in {"", *chain.from_iterable(one.languages for one in plan.included)}:
        if (count := len(plan.included_for(language))) > MAX_INCLUDED:
            yield f"{count} files are put beside a submission, and {MAX_INCLUDED} is the most"
    for case in plan.cases:
        if len(case.extra_files) > MAX_EXTRA:
            yield f"the test '{case.name}' brings {len(case.extra_files)} files, and {MAX_EXTRA} is the most"
        test = f"of the test '{case.name}'"
        yield from _word_faults(f"the program's arguments {test}", case.args)
        for one in checkers:
            yield from _word_faults(f"the checker's arguments {test}", (*one.args, *case.checker_args))
        for _, words in case.input_args:
            yield from _word_faults(f"the input validator's arguments {test}", words)
    for group in plan.groups:
        yield from _word_faults(f"the grader's arguments of the group '{group.name}'", group.grader_args or ())


def _program_faults(program: Program) -> Iterator[str]:
    if len(program.files) > MAX_SOURCES:
        yield f"the program '{program.entry}' has {len(program.files)} files, and {MAX_SOURCES} is the most"
    yield from _word_faults(f"the compiler's options of '{program.entry}'", program.flags)


def _word_faults(what: str, words: Sequence[str]) -> Iterator[str]:
    if len(words) > MAX_WORDS:
        yield f"{what} are {len(words)} words, and {MAX_WORDS} is the most"
    if any("\0" in word or not _is_utf8(word) for word in words):
        yield f"{what} contain a NUL or half a character"
    elif (size := sum(len(word.encode()) for word in words)) > MAX_WORDS_BYTES:
        yield f"{what} are {size} bytes, and {MAX_WORDS_BYTES} is the most"


def _is_utf8(word: str) -> bool:
    return word.isascii() or not any("\ud800" <= char <= "\udfff" for char in word)
