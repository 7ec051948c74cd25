"""Which precompiled header a C++ source may use: what ``g++`` makes of the source must not change by a byte.

A precompiled header is the state of the compiler after an include. It may stand in for the include only where the
compiler has just begun: the include is the first thing in the source, but for blanks and comments. GCC refuses some of
the others by itself (a macro that the header uses has another value) and takes some that it should not (``#pragma GCC
optimize`` before the include would have reached the header's functions), so it is we who look.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: precompiled where a source begins with them: the first is the one of contests, the second of textbooks
HEADERS = ("bits/stdc++.h", "iostream")
#: what the header to precompile is called in the scratch, and what comes of it
HEADER_NAME = "header.h"
PRECOMPILED_NAME = "header.h.gch"
#: Blanks, comments, then the include and nothing else on its line but blanks. A backslash at the end of a line can make
#: a comment longer or shorter than it looks, so none may stand before the include. Quotes could name a file of the
#: submission.
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t\f\v]|\r?\n|//[^\\\n]*\n|/\*[^\\]*?\*/)*+"
    rb"#[ \t]*include[ \t]*<([^<>\\\n]+)>[ \t]*(?:\r?\n|\Z)"
)


def first_include(source: bytes) -> str | None:
    """The header of ``HEADERS`` with whose include the source begins; else None."""
    found = _BEGINS.match(source)
    if found is None:
        return None
    name = found[1].decode("ascii", "replace")
    return name if name in HEADERS else None


def precompile_argv(compile_argv: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """The command that precompiles ``HEADER_NAME`` for what this compile line compiles: its options must be the same,
    its sources, output and libraries are not options of the language."""
    words = list(compile_argv)
    if "-o" in words:
        at = words.index("-o")
        del words[at : at + 2]
    options = [word for word in words if word not in sources and not word.startswith("-l")]
    return (*options, "-x", "c++-header", HEADER_NAME, "-o", PRECOMPILED_NAME)


def with_headers(compile_argv: Sequence[str], directory: str) -> tuple[str, ...]:
    """The compile line, where the compiler first looks for headers in ``directory``."""
    return (compile_argv[0], "-I", directory, *compile_argv[1:])
