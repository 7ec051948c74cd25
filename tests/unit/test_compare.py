"""Comparing outputs: against naive references, across chunk borders, and what a mismatch says."""

from __future__ import annotations

import io
import math
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj.judging import blocks, compare_floats, compare_lines, compare_unordered
from deepoj.judging.blocks import Mismatch, Unmatched
from deepoj.judging.compare import DOMJUDGE_FLOATS, PACKAGE_WAYS, WAYS, as_text, compare_files, of_text
from deepoj.judging.compare_floats import floats
from deepoj.judging.compare_tokens import exact, tokens
from deepoj.judging.problem import Compare


def by_tokens(expected: bytes, got: bytes) -> Mismatch | None:
    return tokens(io.BytesIO(expected), io.BytesIO(got))


def by_bytes(expected: bytes, got: bytes) -> Mismatch | None:
    return exact(io.BytesIO(expected), io.BytesIO(got))


def naive(expected: bytes, got: bytes) -> Mismatch | None:
    """Compare by splitting whole files."""
    left, right = expected.split(), got.split()
    if left == right:
        return None
    at = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    pick = [side[at][:64] if at < len(side) else None for side in (left, right)]
    return Mismatch("token", at + 1, pick[0], pick[1])


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (b"", b""),
        (b"", b" \n\t\r\v\f"),
        (b"1 2\n3\n", b"1 2\r\n3"),
        (b"1 2 3", b"\n\n1\t2\v\f 3 \n\n"),
        (b"a\0b \xff\xfe", b"a\0b\n\xff\xfe\n"),
    ],
)
def test_tokens_match(expected: bytes, got: bytes) -> None:
    assert by_tokens(expected, got) is None


@pytest.mark.parametrize(
    ("expected", "got", "position", "left", "right"),
    [
        (b"1 2 3", b"1 2 4", 3, b"3", b"4"),
        (b"1", b"", 1, b"1", None),
        (b"", b"x", 1, None, b"x"),
        (b"1 2", b"1", 2, b"2", None),
        (b"1", b"1 2", 2, None, b"2"),
        (b"12", b"1 2", 1, b"12", b"1"),
        (b"1", b"1x", 1, b"1", b"1x"),
        (b"1\0", b"1", 1, b"1\0", b"1"),
        (b"A", b"a", 1, b"A", b"a"),
        (b"1\xc2\xa02", b"1 2", 1, b"1\xc2\xa02", b"1"),  # a no-break space is no ASCII whitespace
        (b"x" * 100, b"x" * 100 + b"y", 1, b"x" * 64, b"x" * 64),
    ],
)
def test_tokens_differ(expected: bytes, got: bytes, position: int, left: bytes | None, right: bytes | None) -> None:
    assert by_tokens(expected, got) == Mismatch("token", position, left, right) == naive(expected, got)


words = st.lists(st.sampled_from([b"1", b"2", b"12", b"x" * 7, b"\0", b"\xff", b" ", b"\n", b"\r\n", b"  ", b"\v"]))


@given(words, words, st.integers(1, 9))
@settings(max_examples=300)
def test_tokens_agree_with_the_reference_at_every_chunk_size(left: list[bytes], right: list[bytes], chunk: int) -> None:
    expected, got = b"".join(left), b"".join(right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", chunk)
        assert by_tokens(expected, got) == naive(expected, got)
        assert by_tokens(expected, expected) is None
        assert (by_bytes(expected, got) is None) == (expected == got)


@given(words, st.data(), st.integers(1, 9))
@settings(max_examples=300)
def test_one_changed_byte(parts: list[bytes], data: st.DataObject, chunk: int) -> None:
    """Nearly equal files, which random pairs seldom are."""
    expected = b"".join(parts) + b"1"
    changed = bytearray(expected)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.sampled_from(list(b" \n12x\0")))
    got = bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", chunk)
        assert by_tokens(expected, got) == naive(expected, got)
        found = by_bytes(expected, got)
        assert (found is None) == (expected == got)
        if found is not None:
            assert found.position == at + 1


def test_exact_says_where() -> None:
    assert by_bytes(b"abc\n", b"abc\n") is None
    assert by_bytes(b"abc\n", b"abc") == Mismatch("byte", 4, b"\n", None)
    assert by_bytes(b"abc", b"abc\n") == Mismatch("byte", 4, None, b"\n")
    assert by_bytes(b"abc", b"abd") == Mismatch("byte", 3, b"c", b"d")
    assert by_bytes(b"", b"") is None


def test_real_sizes_and_short_reads() -> None:
    """Several chunks, read from a file object that returns less than requested."""

    class Dribble(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(max((size or 0) // 3, 1))

    rng = random.Random(7)
    numbers = [b"%d" % rng.randrange(10**9) for _ in range(120_000)]
    expected, loose = b" ".join(numbers), b"\r\n".join(numbers) + b"\r\n"
    assert len(expected) > 4 * blocks.CHUNK_BYTES
    assert tokens(io.BytesIO(expected), Dribble(loose)) is None
    assert exact(io.BytesIO(expected), Dribble(expected)) is None
    numbers[110_000] = b"no"
    found = tokens(io.BytesIO(expected), Dribble(b"\n".join(numbers)))
    assert found is not None
    assert (found.position, found.got) == (110_001, b"no")


def test_a_huge_word_needs_little_memory(tmp_path: Path) -> None:
    """16 MiB of one word. The outputs differ in layout, so that the slow path runs, and in the last byte."""
    (tmp_path / "a").write_bytes(b"1 2 " + b"0" * (16 << 20) + b"1")
    (tmp_path / "b").write_bytes(b"1\n2\n" + b"0" * (16 << 20) + b"2")
    tracemalloc.start()
    try:
        found = compare_files(Compare(), tmp_path / "a", tmp_path / "b")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.position == 3
    assert peak < 4 << 20


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1 2\n")
    (tmp_path / "b").write_bytes(b"1  2")
    assert compare_files(Compare(), tmp_path / "a", tmp_path / "b") is None
    assert compare_files(Compare(way="exact"), tmp_path / "a", tmp_path / "b") is not None
    with pytest.raises(KeyError):
        compare_files(Compare(way="telepathy"), tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        compare_files(Compare(), tmp_path / "nothing", tmp_path / "b")


def test_the_sentence_is_printable() -> None:
    assert str(by_tokens(b"1\0\xff", b"")) == "token 1: expected '1␀�', got the end"


# ---------------------------------------------------------------------------------------------------------------------
# All ways, against models that hold whole files


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


class Pair:
    """An answer and an output in files."""

    def __init__(self, directory: Path) -> None:
        self._answer, self._output = directory / "answer", directory / "output"

    def differ(self, how: Compare, expected: bytes, got: bytes) -> Mismatch | None:
        self.write(expected, got)
        return self.compare(how)

    def write(self, expected: bytes, got: bytes) -> None:
        self._answer.write_bytes(expected)
        self._output.write_bytes(got)

    def compare(self, how: Compare) -> Mismatch | None:
        return compare_files(how, self._answer, self._output)

    def peak_bytes(self, how: Compare) -> tuple[Mismatch | None, int]:
        """Compare, and return the result and the peak memory."""
        tracemalloc.start()
        try:
            return self.compare(how), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def lines_of(text: bytes, *, space_sensitive: bool) -> Counter[bytes]:
    if not space_sensitive:
        return Counter(b" ".join(line.split()) for line in text.split(b"\n") if line.split())
    found = text.split(b"\n")
    return Counter(found if found[-1] else found[:-1])


def words_by_line(text: bytes) -> list[list[bytes]]:
    return [line.split() for line in text.replace(b"\r", b"\n").split(b"\n") if line.split()]


def model(how: Compare, expected: bytes, got: bytes) -> bool:
    """Whether the files agree, without tolerances."""
    left, right = (expected, got) if how.case_sensitive else (expected.lower(), got.lower())
    if how.way == "unordered_lines":
        return lines_of(left, space_sensitive=how.space_sensitive) == lines_of(
            right, space_sensitive=how.space_sensitive
        )
    if how.way == "unordered_tokens":
        return Counter(left.split()) == Counter(right.split())
    if how.way == "lines" and not how.space_sensitive:
        return words_by_line(left) == words_by_line(right)
    if how.way == "exact" or how.space_sensitive:
        return left == right
    return left.split() == right.split()


letters = st.lists(
    st.sampled_from([b"1", b"2", b"aX", b"Ax", b"x" * 9, b"\0", b"\xff", b" ", b"\n", b"\r\n", b"  ", b"\v", b"\n\n"])
)
ways = st.builds(
    Compare, way=st.sampled_from(sorted(WAYS)), case_sensitive=st.booleans(), space_sensitive=st.booleans()
)


@given(letters, letters, ways, st.randoms(use_true_random=False), st.tuples(st.integers(1, 9), st.integers(2, 5)))
@settings(max_examples=200)
def test_every_way_agrees_with_its_model(
    left: list[bytes], right: list[bytes], how: Compare, rng: random.Random, sizes: tuple[int, int]
) -> None:
    """Also for nearly equal files: shuffled lines, other case, an additional blank."""
    expected = b"".join(left)
    shuffled = expected.split(b"\n")
    rng.shuffle(shuffled)
    others = (
        b"".join(right),
        b"\n".join(shuffled),
        expected.swapcase(),
        expected.replace(b" ", b"  "),
        expected + b"\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", sizes[0])
        patch.setattr(compare_floats, "PIECE_BYTES", sizes[1])
        patch.setattr(compare_unordered, "PART_BYTES", sizes[1])
        for got in others:
            found = WAYS[how.way](how, io.BytesIO(expected), io.BytesIO(got))
            assert (found is None) == model(how, expected, got), (got, found)


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


def near(expected: bytes, got: bytes, *, absolute: float | None = None, relative: float | None = None) -> bool:
    return floats(io.BytesIO(expected), io.BytesIO(got), absolute=absolute, relative=relative) is None


@pytest.mark.parametrize(
    ("expected", "got", "agree"),
    [
        (b"1.0", b"1", True),
        (b"1.0", b"1.0000009", True),
        (b"1.0", b"1.000002", False),
        (b"1000000", b"1000000.9", True),  # by the relative one
        (b"0", b"0.0000009", True),  # by the absolute one
        (b"0", b"-0.000002", False),
        (b"1", b"+1.", True),
        (b".5", b"5e-1", True),
        (b"1e400", b"1e401", False),  # no double holds them: words
        (b"1e400", b"1e400", True),
        (b"inf", b"Infinity", False),
        (b"inf", b"-inf", False),
        (b"inf", b"5", False),
        (b"5", b"inf", False),
        (b"1.7e308", b"-1.7e308", False),
        (b"nan", b"NaN", False),
        (b"nan", b"nan", True),
        (b"nan", b"0", False),
        (b"0", b"nan", False),
        (b"0x10", b"16", True),
        (b"255", b"0xFF", True),
        (b"1_0", b"10", False),  # Python's, not C's
        (b"10", b"1_0", False),
        (b"\xd9\xa1", b"1", False),  # an Arabic one
        (b"1", b"one", False),
        (b"one", b"1", False),
        (b"word", b"word", True),
        (b"word", b"Word", False),
        (b"1.0e", b"1.0e", True),
        (b"1.0e", b"1", True),
        (b"1.0e", b"1.0ex", False),
        (b"1 2", b"1", False),
        (b"1", b"1 2", False),
        (b"x 1.0 y", b"x\n1.0000001\ty\n", True),
        (b"1" * 2000, b"1" * 1999 + b"2", False),  # too large for a double: a word
        (b"0." + b"1" * 2000, b"0." + b"1" * 1999 + b"2", True),
        (b"", b" \n", True),
    ],
)
def test_numbers(expected: bytes, got: bytes, agree: bool) -> None:
    assert near(expected, got, absolute=1e-6, relative=1e-6) is agree


#: what Kattis' default validator and DOMjudge's own say: (answer, output, absolute, relative, Kattis, DOMjudge)
VALIDATORS: tuple[tuple[bytes, bytes, float | None, float | None, bool, bool], ...] = (
    # an exponent without digits
    (b"1", b"1e", 1e-6, 1e-6, True, True),
    (b"1", b"1E+", 1e-6, 1e-6, True, True),
    (b"1e-", b"1", 1e-6, 1e-6, True, True),
    (b"1", b"1ex", 1e-6, 1e-6, False, False),
    (b"16", b"0x1p4", 0, None, True, True),
    (b"1", b"0x1p", 0, None, True, True),
    (b"0x.", b"0", 0, None, True, True),
    (b"0x", b"0", 0, None, False, False),
    # what is no finite double, or no finite long double
    (b"1e400", b"10e399", 1e-6, 1e-6, False, True),
    (b"1e400", b"1e401", 1e-6, 1e-6, False, False),
    (b"1e5000", b"2e5000", 1e-6, 1e-6, False, True),
    (b"1e99999999999999999999", b"0x1p99999999", 1e-6, 1e-6, False, True),
    (b"0e99999999999999999999", b"0x0p99999999", 1e-6, 1e-6, True, True),
    (b"1", b"1e400", 1e-6, 1e-6, False, False),
    (b"1e-400", b"0", 1e-6, 1e-6, True, True),
    (b"inf", b"Infinity", 1e-6, 1e-6, False, True),
    (b"inf", b"-inf", 1e-6, 1e-6, False, False),
    (b"inf", b"3e69", None, 1e300, False, False),
    (b"nan", b"-NAN", 1e-6, 1e-6, False, True),
    (b"nan", b"nan(1)", 1e-6, 1e-6, False, True),
    (b"nan", b"0", 1e-6, 1e-6, False, False),
    (b"1e308", b"-1e308", None, 2, True, True),
    (b"1e308", b"-1e308", None, 1, False, False),
    # at the tolerance, the roundings of each decide
    (b"0.824", b"0.824000001", 1e-9, None, False, True),
    (b"0.1", b"0.4", 0.3, None, False, True),
    (b"0.3", b"0.2", 0.1, None, True, False),
    (b"-4", b"-3.999999999", 1e-9, None, False, True),
    (b"-4", b"-3.9999999989999", 1e-9, None, False, False),
    (b"0.1", b"0.10000000000000000001", 0, None, True, False),
    (b"0.1", b"0.1000000000000000000001", 0, None, True, True),
    # halfway between two long doubles, the even one
    (b"18446744073709551617", b"18446744073709551616", 0, None, True, True),
    (b"18446744073709551619", b"18446744073709551618", 0, None, True, False),
    # of the answer, of the output
    (b"2", b"1", None, 0.5, True, False),
    (b"1", b"2", None, 0.5, False, True),
    (b"1", b"0", None, 3, True, False),
    (b"0", b"0.0", None, 0, True, True),
    # bytes like others, and blanks like others
    (b"\xef\xbb\xbf1", b"1", 1, 1, False, False),
    (b"1", b"\xef\xbb\xbf1", 1, 1, False, False),
    (b"1\n2\n", b"1\r\n2\r\n", 0, 0, True, True),
)


@pytest.mark.parametrize(("expected", "got", "absolute", "relative", "kattis", "domjudge"), VALIDATORS)
def test_numbers_are_near_as_each_default_validator_says(
    *, expected: bytes, got: bytes, absolute: float | None, relative: float | None, kattis: bool, domjudge: bool
) -> None:
    """Alone, and among others that are plainly near, which are compared together."""
    for before in (b"", b"3.5 "):
        for way, accepts in (("floats", kattis), (DOMJUDGE_FLOATS, domjudge)):
            how = Compare(way=way, absolute=absolute, relative=relative)
            left, right = io.BytesIO(before + expected), io.BytesIO(before + got)
            assert (PACKAGE_WAYS[way](how, left, right) is None) is accepts, (way, before)


def test_line_ends_count_where_blanks_do() -> None:
    for way in ("floats", DOMJUDGE_FLOATS):
        how = Compare(way=way, absolute=0, relative=0, space_sensitive=True)
        assert PACKAGE_WAYS[way](how, io.BytesIO(b"1\n"), io.BytesIO(b"1\n")) is None
        assert PACKAGE_WAYS[way](how, io.BytesIO(b"1\n"), io.BytesIO(b"1\r\n")) is not None


@pytest.mark.parametrize(
    "word",
    [
        b"1" * 60_000, b"1e" + b"9" * 60_000, b"0x" + b"f" * 60_000, b"0." + b"0" * 60_000 + b"1",
        b"1" * 60_000 + b"x", b"1." + b"1" * 60_000 + b"x", b"1e" + b"9" * 60_000 + b"x", b"0x" + b"f" * 60_000 + b"x",
    ],
)  # fmt: skip
def test_a_long_number_is_compared_in_bounded_time(word: bytes) -> None:
    """One that ends with a letter was looked at from each of its digits: that took 100 s, and held all threads."""
    how = Compare(way=DOMJUDGE_FLOATS, absolute=0, relative=0)
    for other in (b"7", b"0e5", b"0x7"):
        assert PACKAGE_WAYS[how.way](how, io.BytesIO(word), io.BytesIO(other)) is not None or other == b"0e5"
    assert PACKAGE_WAYS["floats"](how, io.BytesIO(word), io.BytesIO(b"7")) is not None


def test_a_tolerance_that_is_not_given_is_not_used() -> None:
    assert near(b"1000000", b"1000000.9", relative=1e-6)
    assert not near(b"1000000", b"1000000.9", absolute=1e-6)
    assert near(b"0", b"1e-7", absolute=1e-6)
    assert not near(b"0", b"1e-7", relative=1e-6)
    assert near(b"0", b"0.0", relative=0.0)
    assert not near(b"1", b"1.0"), "no tolerance: words"


def test_case_and_blanks_of_numbers() -> None:
    def differ(expected: bytes, got: bytes, **how: bool) -> Mismatch | None:
        return floats(io.BytesIO(expected), io.BytesIO(got), absolute=0.1, relative=None, **how)

    assert differ(b"Yes 1", b"yES 1.01", case_sensitive=False) is None
    assert differ(b"Yes 1", b"yES 1.01") == Mismatch("token", 1, b"Yes", b"yES")
    assert differ(b"a 1\n", b"a 1.01\n", space_sensitive=True) is None
    assert differ(b"a 1\n", b"a  1\n", space_sensitive=True) == Mismatch("space", 1, b" ", b"  ")
    assert differ(b"a 1\n", b"a 1", space_sensitive=True) == Mismatch("space", 2, b"\n", None)
    assert differ(b"a 1 b", b"a 1.01 c", space_sensitive=True) == Mismatch("token", 3, b"b", b"c")


finite = st.floats(allow_nan=False, allow_infinity=False)
sizes = st.one_of(st.none(), st.floats(0, 10))
numbers = st.lists(st.tuples(finite, st.floats(-2, 2)), max_size=8)


@given(numbers, sizes, sizes, st.integers(1, 9))
@settings(max_examples=300)
def test_tolerances_agree_with_the_reference(
    pairs: list[tuple[float, float]], absolute: float | None, relative: float | None, chunk: int
) -> None:
    """Numbers with a small absolute, a relative, or no difference."""
    wanted = [value for value, _ in pairs]
    found = [value + off if index % 2 else value * (1 + off) for index, (value, off) in enumerate(pairs)]
    agree = all(
        repr(a) == repr(b)
        or (a == b and (absolute, relative) != (None, None))
        or (absolute is not None and abs(a - b) <= absolute)
        or (relative is not None and math.isfinite(b) and abs(a - b) <= relative * abs(a))
        for a, b in zip(wanted, found, strict=True)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", chunk)
        left, right = (b" ".join(repr(value).encode() for value in side) for side in (wanted, found))
        assert near(left, right, absolute=absolute, relative=relative) is agree


def test_where_a_number_is_off() -> None:
    found = floats(io.BytesIO(b"1 2 3.5 4"), io.BytesIO(b"1\n2.0\n3.7\n4"), absolute=0.1, relative=None)
    assert found == Mismatch("token", 3, b"3.5", b"3.7")


@pytest.mark.parametrize("way", ["floats", "unordered_lines", "unordered_tokens"])
def test_a_huge_word_needs_little_memory_in_any_way(pair: Pair, way: str) -> None:
    pair.write(b"1 2 " + b"0" * (16 << 20) + b"1", b"1\n2\n" + b"0" * (16 << 20) + b"2")
    found, peak = pair.peak_bytes(Compare(way=way, absolute=1e-6))
    assert found is not None
    assert peak < 8 << 20


def test_many_lines_need_little_memory(pair: Pair) -> None:
    """3 MiB of different lines: kept, they would be 20 MiB."""
    some = [b"%d" % number for number in range(400_000)]
    pair.write(b"\n".join(some), b"\r\n".join(reversed(some)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", 64 * 1024)
        found, peak = pair.peak_bytes(Compare(way="unordered_lines"))
    assert found is None
    assert peak < 4 << 20


# ---------------------------------------------------------------------------------------------------------------------
# Line by line

NORMAL_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "numbered_lines": lambda line: b" ".join(line.split()),
    "trimmed_lines": bytes.rstrip,
    "whole_lines": lambda line: line.removesuffix(b"\r"),
}


def by_line(way: str, expected: bytes, got: bytes) -> Mismatch | None:
    """Compare whole files."""
    pairs = zip_longest(*(map(NORMAL_FORMS[way], text.split(b"\n")) for text in (expected, got)), fillvalue=b"")
    for number, (left, right) in enumerate(pairs, 1):
        if left != right:
            return Mismatch("line", number, left[:64] or None, right[:64] or None)
    return None


@given(letters, letters, st.sampled_from(sorted(NORMAL_FORMS)), st.integers(1, 9))
@settings(max_examples=200)
def test_ways_by_line_agree_with_their_model(left: list[bytes], right: list[bytes], way: str, chunk: int) -> None:
    expected = b"".join(left)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "CHUNK_BYTES", chunk)
        for got in (b"".join(right), expected + b"\n\n\n", expected.replace(b"\n", b" \n"), b"\n" + expected):
            found = PACKAGE_WAYS[way](Compare(way=way), io.BytesIO(expected), io.BytesIO(got))
            assert found == by_line(way, expected, got), got


@pytest.mark.parametrize("way", ["numbered_lines", "dmoj_floats", "dmoj_sorted"])
def test_long_line_of_many_words_needs_little_memory(pair: Pair, way: str) -> None:
    line = b"1 " * (4 << 20)
    pair.write(line, line)
    found, peak = pair.peak_bytes(Compare(way=way, absolute=1e-6))
    assert found is None
    assert peak < 8 * len(line)


def test_empty_lines_after_the_answers_end_are_skipped_in_blocks(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[bytes] = []
    monkeypatch.setitem(NORMAL_FORMS, "looked_at", lambda line: looked_at.append(line) or line)  # type: ignore[func-returns-value]
    monkeypatch.setattr(compare_lines, "_NORMAL_FORMS", NORMAL_FORMS)
    with io.BytesIO(b"1\n") as answer, io.BytesIO(b"1\n" + b"\n" * (1 << 20)) as output:
        assert PACKAGE_WAYS["numbered_lines"](Compare(way="looked_at"), answer, output) is None
    assert len(looked_at) < 2 * blocks.CHUNK_BYTES


# ---------------------------------------------------------------------------------------------------------------------
# Lines in any order


@pytest.mark.parametrize(
    ("expected", "got", "unit", "position", "sentence"),
    [
        (b"a b\nc\n", b"c\nd\n", "line", 2, "line 2 is one too many: 'd'"),
        (b"a\nb\n", b"b\n", "line", 1, "line 1 of the answer is missing: 'a'"),
        (b"a\nb\n", b"b\na\na\n", "line", 3, "line 3 is one too many: 'a'"),
    ],
)
def test_which_line(pair: Pair, *, expected: bytes, got: bytes, unit: str, position: int, sentence: str) -> None:
    found = pair.differ(Compare(way="unordered_lines"), expected, got)
    assert isinstance(found, Unmatched)
    assert (found.unit, found.position, str(found)) == (unit, position, sentence)


def test_which_line_of_a_large_file_is_not_said(pair: Pair) -> None:
    large = b"x\n" * (3 << 20)
    found = pair.differ(Compare(way="unordered_lines"), large, large + b"y")
    assert str(found) == "not the lines of the answer"


# ---------------------------------------------------------------------------------------------------------------------
# In one word


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("tokens", Compare()),
        ("tokens:nocase", Compare(case_sensitive=False)),
        ("tokens:nocase,spaces", Compare(case_sensitive=False, space_sensitive=True)),
        ("exact", Compare(way="exact")),
        ("floats", Compare(way="floats", absolute=1e-6, relative=1e-6)),
        ("floats:1e-9", Compare(way="floats", absolute=1e-9, relative=1e-9)),
        ("floats:abs=0.5", Compare(way="floats", absolute=0.5)),
        ("floats:nocase,abs=0.5,rel=1e-7", Compare(way="floats", absolute=0.5, relative=1e-7, case_sensitive=False)),
        ("unordered_lines", Compare(way="unordered_lines")),
        ("unordered_tokens", Compare(way="unordered_tokens")),
    ],
)
def test_of_text(text: str, how: Compare) -> None:
    assert of_text(text) == how
    assert of_text(as_text(how)) == how


@pytest.mark.parametrize(
    "text",
    ["", "vibes", "tokens:", "tokens:1e-6", "tokens:loud", "floats:abs=-1", "floats:nan", "floats:abs=inf",
     "floats:x=1", "floats:1e-6,,nocase", "floats:abs="],
)  # fmt: skip
def test_no_way_of_comparing(text: str) -> None:
    assert of_text(text) is None


@pytest.mark.parametrize(
    ("got", "sentence"),
    [
        (b"\n 1\t 2 \r\n\n3", None),
        (b"1\n2\n3\n", "space 1: expected ' ', got '\n'"),
        (b"1 2 3\n", "space 2: expected '\n', got ' '"),
        (b"1 2\n4\n", "token 3: expected '3', got '4'"),
        (b"1 2\n", "token 3: expected '3', got the end"),
        (b"1 22\n3\n", "token 2: expected '2', got '22'"),
    ],
)
def test_where_lines_end(pair: Pair, got: bytes, sentence: str | None) -> None:
    found = pair.differ(Compare(way="lines"), b"1 2\n3\n", got)
    assert (found and str(found)) == sentence
