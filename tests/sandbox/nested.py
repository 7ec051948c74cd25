"""Rows that a pytest session of its own runs: under another launcher, as another user."""

from __future__ import annotations

import subprocess

#: pytest's summary of what failed then has each reason's whole first line, however narrow the terminal
TELL = {"CI": "true"}


def told_by(done: subprocess.CompletedProcess[str]) -> str:
    """What a session printed. What failed stands first, in one line: of a message the summary of the session around it
    keeps no more."""
    bad = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    last = done.stdout.splitlines()[-1:]
    return "\n".join([" | ".join([*bad, *last, f"exit {done.returncode}"]), done.stdout[-8000:], done.stderr[-4000:]])


def assert_all_held(done: subprocess.CompletedProcess[str]) -> None:
    """No report shows a skip in there, so there may be none: impossible tests are deselected by name."""
    told = told_by(done)
    assert done.returncode == 0, told
    assert " skipped" not in done.stdout.splitlines()[-1], told
