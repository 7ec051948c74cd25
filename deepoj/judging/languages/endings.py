"""The language of a file by its ending: for programs in packages, and for files sent from a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: ending → language key; for C++ the dialect in common use
_ENDINGS: Mapping[str, str] = MappingProxyType(
    {
        "c": "c17",
        **dict.fromkeys(("cc", "cpp", "cxx", "c++", "C"), "cpp20"),
        **dict.fromkeys(("py", "py3"), "python3"),
        "java": "java",
        "kt": "kotlin",
        **dict.fromkeys(("js", "cjs", "mjs"), "javascript"),
        "rs": "rust",
        "go": "go",
        "cs": "csharp",
        "rb": "ruby",
        "php": "php",
        **dict.fromkeys(("pl", "pm"), "perl"),
        "hs": "haskell",
        "ml": "ocaml",
        **dict.fromkeys(("pas", "pp", "dpr"), "pascal"),
        "lua": "lua",
        **dict.fromkeys(("sh", "bash"), "bash"),
        "scala": "scala",
        # languages that the table lacks: an error can name them by these keys
        "py2": "python2",
        "d": "d",
        "swift": "swift",
        "ts": "typescript",
        "jl": "julia",
        "f90": "fortran",
        "lisp": "lisp",
        "cl": "lisp",
        "erl": "erlang",
        "adb": "ada",
        "fs": "fsharp",
        "vb": "visualbasic",
    }
)


def by_ending(ending: str) -> str | None:
    """Return the key of the language whose sources have this ending (``cpp``); None for an unknown ending."""
    return _ENDINGS.get(ending) or _ENDINGS.get(ending.lower())


def endings_like(ending: str) -> list[str]:
    """Return this ending, and the others of the same language. Without .C: clients that compare without case take a
    program in C for one in C++."""
    key = by_ending(ending)
    return [ending, *(one for one, other in _ENDINGS.items() if other == key and one not in (ending, "C"))]
