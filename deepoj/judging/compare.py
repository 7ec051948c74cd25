"""Compare an output with the answer by one of the built-in ways, in bounded memory, for any bytes.

===================  ==================================================================================================
``tokens``           words between ASCII whitespace must agree; the default. With ``space_sensitive``, all bytes
``lines``            as tokens, and a line ends where the answer's does; empty lines are ignored
``exact``            every byte must agree
``floats``           as tokens, numbers within ``absolute`` or ``relative`` (Kattis' semantics)
``unordered_lines``  the same lines in any order; each by its words, or with ``space_sensitive`` by its bytes
``unordered_tokens`` the same words in any order
``dmoj_…``           in packages alone: as DMOJ's own checkers (``compare_dmoj``)
``…_lines``          in packages alone: line by line, as other judges' default checkers (``compare_lines``)
``domjudge_floats``  in packages alone: as ``floats``, with DOMjudge's arithmetic
===================  ==================================================================================================

All compare bytes, never text: NULs and broken UTF-8 are bytes like others. Without ``case_sensitive`` only the case of
ASCII letters is ignored.

Functions here block on the two files: call them in a thread.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from deepoj.judging import compare_dmoj, compare_lines
from deepoj.judging import compare_unordered as unordered
from deepoj.judging.blocks import Mismatch
from deepoj.judging.compare_floats import floats
from deepoj.judging.compare_tokens import exact, tokens
from deepoj.judging.problem import Compare

__all__ = [
    "DOMJUDGE_FLOATS",
    "PACKAGE_WAYS",
    "WAYS",
    "Mismatch",
    "as_text",
    "compare_bytes",
    "compare_files",
    "of_text",
]

#: the default of Kattis' default validator and of DMOJ's ``floats``
DEFAULT_TOLERANCE = 1e-6
#: the way of DOMjudge's packages
DOMJUDGE_FLOATS = "domjudge_floats"


def _tokens(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    # a file consists of nothing but words and the blanks between them
    way = exact if how.space_sensitive else tokens
    return way(expected, got, case_sensitive=how.case_sensitive)


def _lines(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    if how.space_sensitive:
        return _exact(how, expected, got)
    return tokens(expected, got, case_sensitive=how.case_sensitive, by_line=True)


def _exact(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    return exact(expected, got, case_sensitive=how.case_sensitive)


def _floats(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    return floats(
        expected,
        got,
        absolute=how.absolute,
        relative=how.relative,
        case_sensitive=how.case_sensitive,
        space_sensitive=how.space_sensitive,
        extended=how.way == DOMJUDGE_FLOATS,
    )


def _unordered_lines(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    return unordered.lines(expected, got, case_sensitive=how.case_sensitive, space_sensitive=how.space_sensitive)


def _unordered_tokens(how: Compare, expected: BinaryIO, got: BinaryIO) -> Mismatch | None:
    return unordered.words(expected, got, case_sensitive=how.case_sensitive)


#: the ways of comparing that an upload can name
WAYS: Mapping[str, Callable[[Compare, BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    {
        "tokens": _tokens,
        "lines": _lines,
        "exact": _exact,
        "floats": _floats,
        "unordered_lines": _unordered_lines,
        "unordered_tokens": _unordered_tokens,
    }
)

#: all ways of comparing, by ``Compare.way``
PACKAGE_WAYS: Mapping[str, Callable[[Compare, BinaryIO, BinaryIO], Mismatch | None]] = MappingProxyType(
    {**WAYS, **compare_dmoj.WAYS, **compare_lines.WAYS, DOMJUDGE_FLOATS: _floats}
)


def compare_files(how: Compare, expected: Path, got: Path) -> Mismatch | None:
    """Compare two files. None: they match.

    Raises:
      KeyError: there is no such way (see ``PACKAGE_WAYS``).
      OSError: one of the files cannot be read.
    """
    way = PACKAGE_WAYS[how.way]
    with expected.open("rb", buffering=0) as expected_file, got.open("rb", buffering=0) as got_file:
        return way(how, expected_file, got_file)


def compare_bytes(how: Compare, expected: bytes, got: bytes) -> Mismatch | None:
    """Compare two short outputs in memory, as ``compare_files`` does."""
    return PACKAGE_WAYS[how.way](how, io.BytesIO(expected), io.BytesIO(got))


# ---------------------------------------------------------------------------------------------------------------------
# A way of comparing as a short text, as in an upload and in the problem's row


def of_text(text: str) -> Compare | None:
    """``way[:option,…]`` with the options ``nocase``, ``spaces``, ``abs=1e-9``, ``rel=1e-9``, or a number for both.
    None if the text is invalid. ``floats`` alone has the default tolerance."""
    way, colon, options = text.partition(":")
    if way not in WAYS or (colon and not options):
        return None
    case_sensitive, space_sensitive = True, False
    tolerances: dict[str, float] = {}
    for option in options.split(",") if options else ():
        name, _, value = option.rpartition("=")
        if option == "nocase":
            case_sensitive = False
        elif option == "spaces":
            space_sensitive = True
        elif way == "floats" and name in ("", "abs", "rel") and (size := _size(value)) is not None:
            tolerances |= {name: size} if name else {"abs": size, "rel": size}
        else:
            return None
    if way == "floats" and not tolerances:
        tolerances = {"abs": DEFAULT_TOLERANCE, "rel": DEFAULT_TOLERANCE}
    return Compare(
        way=way,
        case_sensitive=case_sensitive,
        space_sensitive=space_sensitive,
        absolute=tolerances.get("abs"),
        relative=tolerances.get("rel"),
    )


def as_text(how: Compare) -> str:
    """Return the text that ``of_text`` reads."""
    if how.way == "floats" and how.absolute is None and how.relative is None:
        how = replace(how, way="tokens")
    options = [
        *(["nocase"] if not how.case_sensitive else []),
        *(["spaces"] if how.space_sensitive else []),
        *([f"abs={how.absolute!r}"] if how.way == "floats" and how.absolute is not None else []),
        *([f"rel={how.relative!r}"] if how.way == "floats" and how.relative is not None else []),
    ]
    return f"{how.way}:{','.join(options)}" if options else how.way


def _size(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
