"""A plan whose runs the sandbox would refuse is refused itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deepoj.judging.problem import Case, Checker, Group, Included, Plan, Program, Protocol
from deepoj.judging.run_bounds import MAX_EXTRA, MAX_INCLUDED, MAX_SOURCES, MAX_WORDS, fault_of

CASE = Case(name="1", input="1.in", answer=None)
PLAN = Plan(format="own", cases=(CASE,))


def names(count: int) -> tuple[str, ...]:
    return tuple(f"f{number}" for number in range(count))


def program(count: int = 1, flags: tuple[str, ...] = ()) -> Program:
    return Program(language="cpp17", files=names(count), entry="f0", flags=flags)


def case(**more: object) -> Plan:
    return replace(PLAN, cases=(replace(CASE, **more),))  # type: ignore[arg-type]


def included(*counts: int, languages: tuple[str, ...] = ()) -> Plan:
    return replace(
        PLAN,
        included=tuple(
            Included(languages=languages, files=tuple((f"{at}.{name}", name) for name in names(count)))
            for at, count in enumerate(counts)
        ),
    )


def checked(one: Checker, *of_test: str) -> Plan:
    return replace(PLAN, checker=one, cases=(replace(CASE, checker_args=of_test),))


CHECKER = Checker(program=program(), protocol=Protocol.PLAIN, args=("x",) * MAX_WORDS)


@pytest.mark.parametrize(
    ("within", "beyond", "words"),
    [
        (included(MAX_INCLUDED), included(MAX_INCLUDED - 1, 2), "33 files are put beside a submission"),
        (included(5), included(MAX_INCLUDED + 1, languages=("lua",)), "33 files"),
        (case(extra_files=names(MAX_EXTRA)), case(extra_files=names(MAX_EXTRA + 1)), "the test '1' brings 17 files"),
        (case(args=("x",) * MAX_WORDS), case(args=("a\0b",)), "arguments of the test '1' contain a NUL"),
        (checked(CHECKER), checked(CHECKER, "x"), "the checker's arguments of the test '1' are 241 words"),
        (
            replace(PLAN, grader=program(MAX_SOURCES)),
            replace(PLAN, grader=program(MAX_SOURCES + 1)),
            "'f0' has 65 files, and 64 is the most",
        ),
        (
            replace(PLAN, grader=program(flags=("-O2",))),
            replace(PLAN, grader=program(flags=("-O2\udcff",))),
            "the compiler's options of 'f0' contain",
        ),
        (
            case(input_args=(("", ("é" * 16384,)),)),
            case(input_args=(("", ("é" * 16385,)),)),
            "32770 bytes, and 32768 is the most",
        ),
        (
            replace(PLAN, groups=(Group(name="g", grader_args=("min",)),)),
            replace(PLAN, groups=(Group(name="g", grader_args=("x" * 40_000,)),)),
            "the grader's arguments of the group 'g' are 40000 bytes",
        ),
    ],
)
def test_what_one_run_can_bring(within: Plan, beyond: Plan, words: str) -> None:
    assert fault_of(within) is None
    assert words in (fault_of(beyond) or "")
