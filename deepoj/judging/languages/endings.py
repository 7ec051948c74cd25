"""What a file's ending says of its language: of programs in packages, and of what people send from a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: ending → language key; of C++ the dialect that people write today
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
        # known by name only: whoever wants to run them finds no such language and can say so
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
    """The key of the language whose sources end so (``cpp``); None for what is no source that we know."""
    return _ENDINGS.get(ending) or _ENDINGS.get(ending.lower())
