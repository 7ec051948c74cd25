"""Our own ``testlib.h``: what checkers, interactors and validators of the Codeforces tradition include.

It stands beside a C++ source that includes it, where the package does not bring one. It was written from the interface
that such programs use; it is not the original, whose words and random numbers differ.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

NAME = "testlib.h"


@cache
def digest() -> str:
    """The header's SHA-256, in hex."""
    return hashlib.sha256(header()).hexdigest()


def header() -> bytes:
    """The header's text."""
    return resources.files(__name__).joinpath(NAME).read_bytes()
