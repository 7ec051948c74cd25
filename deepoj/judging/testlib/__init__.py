"""Our own ``testlib.h``: what checkers, interactors and validators of the Codeforces tradition include.

It stands beside a C++ source that includes it, where the package does not bring one. It was written from the interface
that such programs use; it is not the original, whose words and random numbers differ.
"""

from __future__ import annotations

from importlib import resources

NAME = "testlib.h"


def header() -> bytes:
    """The header's text."""
    return resources.files(__name__).joinpath(NAME).read_bytes()
