"""A program of one source file or of several, and which words of a compile line stand for them.

One file gets the name that its language's compile line has (``main.cpp``). Of several each keeps its own, for they
refer to each other by name; in the compile and the run line the entry point's stands in place of the language's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

#: endings of sources that one command compiles together, the entry point first; of other languages the compiler is told
#: the entry point alone and finds the rest
_TOGETHER: tuple[frozenset[str], ...] = (
    frozenset({".cpp", ".cc", ".cxx", ".c++", ".C"}),
    frozenset({".c"}),
    frozenset({".cs"}),
    frozenset({".go"}),
    frozenset({".java"}),
    frozenset({".kt"}),
    frozenset({".py"}),
    frozenset({".scala"}),
)


def compiled_names(names: Iterable[str], entry: str) -> tuple[str, ...]:
    """Of a program's files those that the compiler is told of: the entry point, then its like, in order of name."""
    kind = PurePosixPath(entry).suffix
    together = next((kinds for kinds in _TOGETHER if kind in kinds), frozenset[str]())
    others = sorted(name for name in names if name != entry and PurePosixPath(name).suffix in together)
    return (entry, *others)


def with_sources(argv: Sequence[str], source_name: str, names: Sequence[str]) -> tuple[str, ...]:
    """A compile line with ``names`` in the place of the word ``source_name``."""
    words: list[str] = []
    for word in argv:
        words += names if word == source_name else (word,)
    return tuple(words)


def with_entry(argv: Sequence[str], source_name: str, entry: str) -> tuple[str, ...]:
    """A run line with ``entry`` where the language's source stands, in whatever directory."""
    return tuple(
        f"{word.removesuffix(source_name)}{entry}" if word == source_name or word.endswith(f"/{source_name}") else word
        for word in argv
    )
