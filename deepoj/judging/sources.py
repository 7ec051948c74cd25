"""A program of one source file or of several, and which words of a compile line stand for them.

One file gets the name that its language's compile line has (``main.cpp``). Of several each keeps its own, for they
refer to each other by name; in the compile and the run line the entry point's stands in place of the language's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from deepoj.judging.languages import Language

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

_JAVA = ".java"
_PUBLIC_CLASS = re.compile(r"^[ \t]*public\s+(?:(?:final|abstract|strictfp)\s+)*class\s+([A-Za-z_]\w*)", re.MULTILINE)
#: what the braces of classes are found by; comments and literals first, for braces in them are none
_JAVA_TOKENS = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    r"|(?P<brace>[{}])|\bclass\s+(?P<name>[A-Za-z_]\w*)|(?P<main>\bstatic\s+(?:final\s+)?void\s+main\b)",
    re.DOTALL,
)
_MAINS = frozenset({"main", "__main__"})
#: what a file may be called beside a program: nothing that a shell, a compiler or a path takes for something else
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


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
    """A run line with ``entry`` where the language's source stands, in whatever directory; of Java, with the class that
    a source is called after."""
    words = [
        f"{word.removesuffix(source_name)}{entry}" if word == source_name or word.endswith(f"/{source_name}") else word
        for word in argv
    ]
    if source_name.endswith(_JAVA) and entry.endswith(_JAVA):
        words = [entry.removesuffix(_JAVA) if word == source_name.removesuffix(_JAVA) else word for word in words]
    return tuple(words)


def name_beside(language: Language, code: str, included: Collection[str]) -> str:
    """What one source that was sent without a name is called where a problem's own files stand beside it: of Java as
    its public class; else as ever, unless one of them is called so."""
    kind = PurePosixPath(language.source_name).suffix
    found = _PUBLIC_CLASS.search(code) if kind == _JAVA else None
    name = f"{found[1]}{_JAVA}" if found is not None else language.source_name
    return f"solution{kind}" if name in included else name


def started_class(code: str) -> str | None:
    """The class of a Java source that is started, outside of all others: the public one, else the one with ``main``."""
    if (public := _PUBLIC_CLASS.search(code)) is not None:
        return public[1]
    depth, outer = 0, None
    for token in _JAVA_TOKENS.finditer(code):
        if token["brace"]:
            depth += 1 if token["brace"] == "{" else -1
        elif token["name"] and depth == 0:
            outer = token["name"]
        elif token["main"]:
            return outer
    return None


def driver_of(language: Language, included: Iterable[str]) -> str | None:
    """The one of a problem's files beside the program that is started in its place: ``main`` in that language."""
    kind = PurePosixPath(language.source_name).suffix
    alike = next((kinds for kinds in _TOGETHER if kind in kinds), frozenset({kind}))
    paths = [PurePosixPath(name) for name in included]
    return next((path.name for path in paths if path.stem.lower() in _MAINS and path.suffix in alike), None)


def takes_several(language: Language) -> bool:
    """Whether its lines name the source by a word of its own, which other names can take the place of."""
    if not language.run:
        return True  # outputs: nothing is run
    lines = [language.compile] if language.artifact else [language.compile, language.run]
    return all(
        any(word.rpartition("/")[2] == language.source_name for word in line) for line in lines if line is not None
    )
