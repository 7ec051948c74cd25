"""Comparing outputs: against a naive reference, across chunk borders, and what a mismatch says."""

from __future__ import annotations

import io
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepoj.judging import compare
from deepoj.judging.compare import COMPARES, Mismatch, compare_files, exact, tokens


def by_tokens(expected: bytes, got: bytes) -> Mismatch | None:
    return tokens(io.BytesIO(expected), io.BytesIO(got))


def by_bytes(expected: bytes, got: bytes) -> Mismatch | None:
    return exact(io.BytesIO(expected), io.BytesIO(got))


def naive(expected: bytes, got: bytes) -> Mismatch | None:
    """The same by splitting whole files."""
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
        patch.setattr(compare, "_CHUNK_BYTES", chunk)
        assert by_tokens(expected, got) == naive(expected, got)
        assert by_tokens(expected, expected) is None
        assert (by_bytes(expected, got) is None) == (expected == got)


@given(words, st.data(), st.integers(1, 9))
@settings(max_examples=300)
def test_one_changed_byte(parts: list[bytes], data: st.DataObject, chunk: int) -> None:
    """Nearly equal files: the case that random pairs seldom meet."""
    expected = b"".join(parts) + b"1"
    changed = bytearray(expected)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = data.draw(st.sampled_from(list(b" \n12x\0")))
    got = bytes(changed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "_CHUNK_BYTES", chunk)
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
    """Several chunks; a file object that gives less than it is asked for."""

    class Dribble(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(max((size or 0) // 3, 1))

    rng = random.Random(7)
    numbers = [b"%d" % rng.randrange(10**9) for _ in range(120_000)]
    expected, loose = b" ".join(numbers), b"\r\n".join(numbers) + b"\r\n"
    assert len(expected) > 4 * compare._CHUNK_BYTES
    assert tokens(io.BytesIO(expected), Dribble(loose)) is None
    assert exact(io.BytesIO(expected), Dribble(expected)) is None
    numbers[110_000] = b"no"
    found = tokens(io.BytesIO(expected), Dribble(b"\n".join(numbers)))
    assert found is not None
    assert (found.position, found.got) == (110_001, b"no")


def test_a_huge_word_needs_little_memory(tmp_path: Path) -> None:
    """16 MiB of one word; the outputs differ in layout, so that the slow way is taken, and in the last byte."""
    (tmp_path / "a").write_bytes(b"1 2 " + b"0" * (16 << 20) + b"1")
    (tmp_path / "b").write_bytes(b"1\n2\n" + b"0" * (16 << 20) + b"2")
    tracemalloc.start()
    try:
        found = compare_files("tokens", tmp_path / "a", tmp_path / "b")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert found.position == 3
    assert peak < 4 << 20


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1 2\n")
    (tmp_path / "b").write_bytes(b"1  2")
    assert compare_files("tokens", tmp_path / "a", tmp_path / "b") is None
    assert compare_files("exact", tmp_path / "a", tmp_path / "b") is not None
    assert set(COMPARES) == {"tokens", "exact"}
    with pytest.raises(KeyError):
        compare_files("telepathy", tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        compare_files("tokens", tmp_path / "nothing", tmp_path / "b")


def test_the_sentence_is_printable() -> None:
    assert str(by_tokens(b"1\0\xff", b"")) == "token 1: expected '1␀�', got the end"
