"""Which file answers which, and what is refused, by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepoj.packages.formats.faults import PackageFault
from deepoj.packages.formats.names import natural_key
from deepoj.packages.formats.pairs import Pair, pair_up


def test_natural_order_and_both_suffixes() -> None:
    names = ["10.in", "10.ans", "2.out", "2.in", "1.in", "1.out", "readme.txt"]
    assert pair_up(names) == (
        Pair("1", "1.in", "1.out"),
        Pair("2", "2.in", "2.out"),
        Pair("10", "10.in", "10.ans"),
    )


def test_folders_are_kept_and_the_shared_one_is_not_shown() -> None:
    names = ["data/secret/10.in", "data/secret/10.ans", "data/secret/9.in", "data/secret/9.ans", "data/a/1.in"]
    cases = pair_up([*names, "data/a/1.ans"])
    assert isinstance(cases, tuple)
    assert [case.name for case in cases] == ["a/1", "secret/9", "secret/10"]
    assert cases[0].input == "data/a/1.in"
    single = pair_up(["data/1.in", "data/1.out"])
    assert single == (Pair("1", "data/1.in", "data/1.out"),)


def test_suffixes_in_capitals_count() -> None:
    assert pair_up(["1.IN", "1.Out"]) == (Pair("1", "1.IN", "1.Out"),)


@pytest.mark.parametrize(
    ("names", "file", "words"),
    [
        ([], None, "no test case"),
        (["readme.md"], None, "no test case"),
        (["1.in"], "1.in", "without its answer"),
        (["1.in", "1.out", "2.in"], "2.in", "without its answer"),
        (["1.in", "1.out", "2.out"], "2.out", "without its input"),
        (["a/1.in", "b/1.out"], "b/1.out", "without its input"),
        (["1.in", "1.out", "1.ans"], "1.out", "both answer"),
        (["1.in", "1.out", "1.IN"], "1.IN", "upper and lower case"),
        (["a.in", "a.out", "A.in", "A.out"], "A.in", "upper and lower case"),
        # the same letter, composed and decomposed: one file on some systems, two on others
        (["\u00e9.in", "\u00e9.out", "e\u0301.in", "e\u0301.out"], "e\u0301.in", "upper and lower case"),
    ],
)
def test_unpaired_names_are_refused(names: list[str], file: str | None, words: str) -> None:
    found = pair_up(names)
    assert isinstance(found, PackageFault)
    assert found.file == file
    assert words in found.sentence


def test_natural_key_takes_numbers_of_any_length() -> None:
    names = ["a" + "9" * 5000, "a10", "a2", "a02", "b1", "a", "A", "3"]
    assert sorted(names, key=natural_key) == ["3", "A", "a", "a02", "a2", "a10", "a" + "9" * 5000, "b1"]


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1))
def test_natural_order_is_numeric_order(numbers: list[int]) -> None:
    cases = pair_up([f"{n}.{kind}" for n in numbers for kind in ("out", "in")])
    assert isinstance(cases, tuple)
    assert [int(case.name) for case in cases] == sorted(numbers)


@given(st.lists(st.text(max_size=12), max_size=12))
def test_any_names_give_cases_or_a_fault(names: list[str]) -> None:
    found = pair_up(names)
    if isinstance(found, tuple):
        assert found
        assert {case.input for case in found} | {case.answer for case in found} <= set(names)
    else:
        assert found.sentence


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["input1.txt", "output1.txt", "input10.txt", "output10.txt"],
         [("1", "input1.txt", "output1.txt"), ("10", "input10.txt", "output10.txt")]),
        (["1.in", "1.a"], [("1", "1.in", "1.a")]),
        (["tests/01", "tests/01.a", "tests/02", "tests/02.a"],
         [("01", "tests/01", "tests/01.a"), ("02", "tests/02", "tests/02.a")]),
        (["in/1.txt", "out/1.txt"], [("1", "in/1.txt", "out/1.txt")]),
        (["input/input01.txt", "output/output01.txt"], [("01", "input/input01.txt", "output/output01.txt")]),
        (["p/inputs/3", "p/outputs/3"], [("3", "p/inputs/3", "p/outputs/3")]),
        (["in.1", "out.1", "in.2", "out.2"], [("1", "in.1", "out.1"), ("2", "in.2", "out.2")]),
        (["input1.in", "output1.out"], [("1", "input1.in", "output1.out")]),
        (["input1.in", "input1.out"], [("input1", "input1.in", "input1.out")]),
        (["a/in/1.in", "a/out/1.out"], [("1", "a/in/1.in", "a/out/1.out")]),
        (["1.in", "1.out", "libm.a", "in/readme.txt"], [("1", "1.in", "1.out")]),
    ],
)  # fmt: skip
def test_ways_to_name_tests(names: list[str], pairs: list[tuple[str, str, str]]) -> None:
    assert pair_up(names) == tuple(Pair(*pair) for pair in pairs)


@pytest.mark.parametrize(
    ("names", "file"),
    [
        (["input1.txt", "output1.txt", "input2.txt"], "input2.txt"),
        (["input1.txt", "output1.txt", "output2.txt"], "output2.txt"),
        (["in/1.txt", "out/1.txt", "in/2.txt", "out/3.txt"], "out/3.txt"),
        (["1.in", "1.out", "2.in", "in/2.txt", "out/3.txt"], "2.in"),
        (["1.in", "1.out", "1.a"], "1.a"),
    ],
)
def test_unpaired_file_is_named_in_the_fault(names: list[str], file: str) -> None:
    found = pair_up(names)
    assert isinstance(found, PackageFault)
    assert found.file == file or file in found.sentence


def test_input_without_a_partner_in_a_folder_of_inputs_is_no_test() -> None:
    assert pair_up(["1.in", "1.out", "in/1.txt"]) == (Pair("1", "1.in", "1.out"),)
