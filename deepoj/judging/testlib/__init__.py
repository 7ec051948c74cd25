"""``testlib.h``: what checkers, interactors and validators of the Codeforces tradition include.

It stands beside a C++ source that includes it, where the package does not bring one. The file is Mike Mirzayanov's
(``NOTICE.txt``). A build takes it from a wheel (``deploy/testlib_header.py``), and goes on without it if the wheel
cannot be downloaded. Then a package that needs it is refused: ``MISSING``.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

NAME = "testlib.h"
MISSING = (
    "testlib.h is not in this installation, so packages whose programs include it and do not bring it are refused."
    " Put testlib.h into the package, beside the source; or install Deep-OJ from a build that could download it."
)
#: The exit codes are those of ``verdicts.CHECK_TABLE``, also where a source defines EJUDGE, CONTESTER or TESTSYS, but
#: not where it sets one itself. "Partially correct" begins at ``verdicts.PARTIALLY``: the file would begin at 0, where
#: `_pc(1)` has the exit code of a wrong answer.
_EXIT_CODES = {
    "OK": 0,
    "WA": 1,
    "PE": 2,
    "FAIL": 3,
    "DIRT": 4,
    "POINTS": 7,
    "UNEXPECTED_EOF": 8,
    "PC_BASE": 16,
}


@cache
def header() -> bytes | None:
    """What a source is given: the file, and before it what its exit codes are. None: the file is not there."""
    original = _original()
    if original is None:
        return None
    codes = [f"#ifndef {name}_EXIT_CODE\n#define {name}_EXIT_CODE {code}\n#endif" for name, code in _EXIT_CODES.items()]
    begin = "/* Of Deep-OJ, not of testlib: the exit codes that are understood. */"
    return "\n".join([begin, *codes, f'#line 1 "{NAME}"\n']).encode() + original


@cache
def digest() -> str:
    """The SHA-256 of what a source is given, in hex; empty if there is none."""
    text = header()
    return "" if text is None else hashlib.sha256(text).hexdigest()


def version() -> str | None:
    """The version that the file says it is; None: it is not there."""
    original = _original()
    if original is None:
        return None
    found = re.search(rb'^#define VERSION "([0-9.]+)"', original, re.MULTILINE)
    return found[1].decode() if found else "of an unknown version"


def _original() -> bytes | None:
    try:
        return resources.files(__name__).joinpath(NAME).read_bytes()
    except FileNotFoundError:
        return None
