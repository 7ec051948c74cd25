"""Run all checks of a release one after the other and show one table: `make release-check`.

    python -m tests.release                        everything
    python -m tests.release --only canaries        one check (repeatable)

Each check is a program. It holds if it exits with 0 and, where it prints JSON, if that says so, too. The output of
failed checks follows the table. Exit 1 if one failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.servers import tied

ROOT = Path(__file__).parents[1]
DEEPOJ = Path(sys.executable).parent / "deepoj"
DRILLS = (
    "worker-kill",
    "redis-down",
    "redis-wipe",
    "postgres-restart",
    "stream-trim",
    "partition",
    "clock-skew",
    "queue-flood",
)
#: most lines shown of a failed check
TAIL = 40
#: deadline of a check, on a busy machine
CHECK_S = 3600.0


@dataclass(frozen=True)
class Check:
    """One check. ``reads`` returns whether its stdout is good, and a summary."""

    name: str
    command: tuple[str, ...]
    reads: Callable[[str], tuple[bool, str]]


@dataclass(frozen=True)
class Row:
    """The result of one check."""

    name: str
    good: bool
    seconds: float
    told: str
    output: str


def of_drill(out: str) -> tuple[bool, str]:
    told = json.loads(out)
    times = ", ".join(f"{one['recovery_s']:.1f} s" for one in told["recoveries"] if one["recovery_s"] is not None)
    good = bool(told["ok"]) and told["finished"] == told["jobs"] and not told["violations"]
    return good, f"{told['finished']} of {told['jobs']} jobs, back after {times}"


def of_doctor(out: str) -> tuple[bool, str]:
    """Read the findings of ``doctor`` about judging; servers do not count."""
    found = {one["what"]: one for one in json.loads(out)["findings"]}
    wanted = [found.get(what, {"state": "lacks", "detail": f"{what}: not looked at"}) for what in WANTED]
    return all(one["state"] == "ok" for one in wanted), wanted[0]["detail"]


WANTED = ("canaries", "isolation")


def last_line(out: str) -> tuple[bool, str]:
    lines = [line.strip("= ") for line in out.splitlines() if line.strip()]
    return bool(lines), lines[-1] if lines else "it said nothing"


def passed(out: str) -> tuple[bool, str]:
    """Read pytest's last line; a skipped test is a failure."""
    good, line = last_line(out)
    return good and " passed" in line and "skipped" not in line, line


def pytested(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *words)


CHECKS = (
    *(Check(f"drill {name}", (str(DEEPOJ), "drill", name, "--json"), of_drill) for name in DRILLS),
    Check("kill and clean-up", pytested("tests/sandbox/test_kills.py"), passed),
    Check("hostile table, once", (sys.executable, "-m", "tests.hostile", "--rounds", "1"), last_line),
    Check("canaries", (str(DEEPOJ), "doctor", "--embedded", "--json"), of_doctor),
    Check("backup and restore", pytested("tests/e2e/test_backup.py"), passed),
)


def play(check: Check, *, within_s: float = CHECK_S) -> Row:
    began = time.monotonic()
    # TERM: a check then ends its children
    command = tied(*check.command, death_signal="TERM")
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=within_s
        )
    except subprocess.TimeoutExpired:
        return Row(check.name, False, time.monotonic() - began, f"not within {within_s:g} s", "")
    seconds = time.monotonic() - began
    output = done.stdout + done.stderr
    try:
        good, told = check.reads(done.stdout)
    except (ValueError, KeyError, TypeError):  # it printed no result
        good, told = False, (last_line(done.stderr)[1])
    if done.returncode:
        good, told = False, f"exit {done.returncode}: {told}"
    return Row(check.name, good, seconds, told, output)


def table_of(rows: Sequence[Row]) -> Table:
    table = Table("check", "", "seconds", "what it said", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.name, "ok" if row.good else "FAILED", f"{row.seconds:.0f}", row.told)
    return table


def run(checks: Sequence[Check], console: Console) -> int:
    rows = []
    for check in checks:
        console.print(f"{check.name} …")
        rows.append(play(check))
    bad = [row for row in rows if not row.good]
    for row in bad:
        console.rule(row.name)
        console.print("\n".join(row.output.splitlines()[-TAIL:]), markup=False)
    console.print(table_of(rows))
    console.print(f"{len(rows) - len(bad)} of {len(rows)} hold")
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[check.name for check in CHECKS], help="only these")
    asked = parser.parse_args()
    chosen = [check for check in CHECKS if asked.only is None or check.name in asked.only]
    return run(chosen, Console(highlight=False, width=None if sys.stdout.isatty() else 160))


if __name__ == "__main__":
    sys.exit(main())
