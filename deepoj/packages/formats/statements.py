"""Problem statements: kept for people, not used for judging."""

from __future__ import annotations

import re

from deepoj.judging.paths import base
from deepoj.judging.problem import Statement
from deepoj.packages.formats.files import Files

_FOLDERS = ("statement/", "problem_statement/", "")
_NAME = re.compile(
    r"(?:problem|statement)(?:\.(?P<language>[a-z]{2,3}(?:-[A-Za-z]{2,4})?))?\.(?P<kind>pdf|html|md|tex)", re.IGNORECASE
)


def read_statements(files: Files) -> tuple[Statement, ...]:
    """Find ``problem.<language>.<kind>`` in the folders of statements; without a language it is English."""
    found = []
    for folder in _FOLDERS:
        for name in files.in_folder(folder):
            match = _NAME.fullmatch(base(name))
            if match is not None:
                found.append(Statement(language=match["language"] or "en", kind=match["kind"].lower(), file=name))
    return tuple(found)
