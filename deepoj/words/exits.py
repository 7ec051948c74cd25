"""Exit codes of the contract, and the exception that a negative check ends a command with."""

from __future__ import annotations

GOOD, CHECK_FAILED, USAGE, UNREACHABLE, FELL = range(5)
INTERRUPTED = 130


class CheckFailed(Exception):
    """A command's check came out negative: exit code 1. The message, if any, is the last line on stderr."""
