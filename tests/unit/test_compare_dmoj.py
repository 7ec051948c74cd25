"""DMOJ's checkers against models that read whole files, as DMOJ's own do."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj.judging import blocks
from deepoj.judging.blocks import Mismatch
from deepoj.judging.compare import PACKAGE_WAYS
from deepoj.judging.compare_dmoj import epsilon
from deepoj.judging.problem import Compare


def compared(how: Compare, expected: bytes, got: bytes) -> Mismatch | None:
    return PACKAGE_WAYS[how.way](how, io.BytesIO(expected), io.BytesIO(got))


def filled_lines(text: bytes) -> list[bytes]:
    return [line for line in re.split(rb"[\r\n]", text) if line]


def near(wanted: float, found: float, size: float, mode: str) -> bool:
    if mode == "absolute":
        return abs(found - wanted) <= size
    if mode == "relative":
        ends = wanted * (1 - size), wanted * (1 + size)
        return min(ends) <= found <= max(ends)
    return abs(found - wanted) <= size or (abs(wanted) >= size and abs(1.0 - found / wanted) <= size)


def floats_model(expected: bytes, got: bytes, size: float, mode: str) -> bool:
    ours, theirs = filled_lines(expected), filled_lines(got)
    if len(ours) != len(theirs):
        return False
    for left, right in zip(ours, theirs, strict=True):
        if len(left.split()) != len(right.split()):
            return False
        for wanted, found in zip(left.split(), right.split(), strict=True):
            try:
                value = float(wanted)
            except ValueError:
                if wanted != found:
                    return False
                continue
            try:
                if not near(value, float(found), size, mode):
                    return False
            except (ValueError, ZeroDivisionError):
                return False
    return True


def sorted_model(expected: bytes, got: bytes) -> bool:
    ours, theirs = (sorted(line.split() for line in filled_lines(text)) for text in (expected, got))
    return ours == theirs


def easy_model(expected: bytes, got: bytes) -> bool:
    ours, theirs = (Counter(re.sub(rb"\s+", b"", text).lower()) for text in (expected, got))
    return ours == theirs


def rstripped_model(expected: bytes, got: bytes) -> bool:
    ours, theirs = ([line.rstrip() for line in text.split(b"\n")] for text in (expected, got))
    return ours == theirs


def linecount_model(expected: bytes, got: bytes) -> float:
    ours, theirs = filled_lines(expected), filled_lines(got)
    if len(theirs) > len(ours):
        return 0.0
    if not ours:
        return 1.0
    return sum(left.strip() == right.strip() for left, right in zip(ours, theirs, strict=False)) / len(ours)


def floats_of(mode: str, precision: float = 6) -> Compare:
    size = epsilon(precision)
    return Compare(
        way="dmoj_floats",
        absolute=None if mode == "relative" else size,
        relative=None if mode == "absolute" else size,
    )


_PARTS = st.lists(
    st.sampled_from(
        [b"1", b"1.0000005", b"-1", b"0", b"nan", b"inf", b"-inf", b"1e400", b"1_0", b"10", b"aX", b"Ax", b"0x10",
         b"\0", b"\xff", b" ", b"\n", b"\r\n", b"\r", b"  ", b"\v", b"\n\n", b" \n"]
    )
)  # fmt: skip


@given(_PARTS, _PARTS, st.integers(1, 9))
@settings(max_examples=400)
def test_dmoj_checkers_agree_with_their_models(left: list[bytes], right: list[bytes], chunk_bytes: int) -> None:
    expected = b"".join(left)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", chunk_bytes)
        others = (b"".join(right), expected, expected + b"\n", expected.replace(b"\n", b" \n"), expected.swapcase())
        for got in (*others, b"\n".join(reversed(expected.split(b"\n")))):
            for mode in ("default", "absolute", "relative"):
                found = compared(floats_of(mode), expected, got) is None
                assert found == floats_model(expected, got, 1e-6, mode), (got, mode)
            models: tuple[tuple[Compare, Callable[[bytes, bytes], bool]], ...] = (
                (Compare(way="dmoj_sorted"), sorted_model),
                (Compare(way="dmoj_easy"), easy_model),
                (Compare(way="dmoj_rstripped", space_sensitive=True), rstripped_model),
            )
            for how, model in models:
                assert (compared(how, expected, got) is None) == model(expected, got), (got, how)
            mismatch = compared(Compare(way="dmoj_linecount"), expected, got)
            share = linecount_model(expected, got)
            assert (1.0 if mismatch is None else mismatch.share) == share, got
            assert (mismatch is None) == (share == 1.0), got


@pytest.mark.parametrize(
    ("expected", "got", "agree"),
    [
        (b"nan\n", b"nan\n", False),
        (b"inf\n", b"inf\n", False),
        (b"1 2\n3\n", b"1\n2 3\n", False),
        (b"1 2\n3\n", b"1 2\n\n3", True),
        (b"1 2\n", b"1 2\n \n", False),
        (b"1_0\n", b"10.000001\n", True),
        (b"a 1\n", b"a 1.0000001\n", True),
        (b"a 1\n", b"b 1\n", False),
        (b"1\n", b"x\n", False),
    ],
)
def test_floats_of_dmoj_compare_line_by_line_and_nan_equals_nothing(expected: bytes, got: bytes, agree: bool) -> None:
    assert (compared(floats_of("default"), expected, got) is None) is agree


@pytest.mark.parametrize(("precision", "size"), [(6, 1e-6), (2.9, 1e-2), (-1, 10.0), (400, 0.0), (0, 1.0)])
def test_precision_is_taken_by_its_whole_part(precision: float, size: float) -> None:
    assert epsilon(precision) == size


def test_infinite_tolerance_of_no_digits_divides_by_nothing() -> None:
    assert compared(floats_of("default", 400), b"0\n", b"1\n") is not None
