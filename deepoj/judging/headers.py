"""Choose a precompiled header for a C++ source so that the output of ``g++`` stays the same, byte for byte.

A precompiled header is the state of the compiler after an include. It may replace the include only where the compiler
has just begun: the include is the first thing in the source, except for blanks and comments. GCC rejects some wrong
uses by itself (a macro that the header uses has another value) and accepts others (``#pragma GCC optimize`` before the
include would have affected the header's functions). So the check is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: headers that are precompiled for sources that begin with them: the first is usual in contests, the second in
#: textbooks
HEADERS = ("bits/stdc++.h", "iostream")
#: the name in the scratch of the header to precompile, and of the result
HEADER_NAME = "header.h"
PRECOMPILED_NAME = "header.h.gch"
#: Blanks, comments, then the include, and only blanks behind it on its line. A backslash at the end of a line can make
#: a comment longer or shorter than it looks, so none may precede the include. Quotes could name a file of the
#: submission.
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:[ \t\f\v]|\r?\n|//[^\\\n]*\n|/\*[^\\]*?\*/)*+"
    rb"#[ \t]*include[ \t]*<([^<>\\\n]+)>[ \t]*(?:\r?\n|\Z)"
)


def first_include(source: bytes) -> str | None:
    """Return the header of ``HEADERS`` if the source begins with its include; else None."""
    match = _BEGINS.match(source)
    if match is None:
        return None
    name = match[1].decode("ascii", "replace")
    return name if name in HEADERS else None


def precompile_argv(compile_argv: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """Return the command that precompiles ``HEADER_NAME`` for this compile line. The options must be the same; sources,
    output and libraries are left out, for they are no options of the language."""
    words = list(compile_argv)
    if "-o" in words:
        at = words.index("-o")
        del words[at : at + 2]
    options = [word for word in words if word not in sources and not word.startswith("-l")]
    return (*options, "-x", "c++-header", HEADER_NAME, "-o", PRECOMPILED_NAME)


def with_headers(compile_argv: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the compile line with ``directory`` as the first directory for headers."""
    return (compile_argv[0], "-I", directory, *compile_argv[1:])
