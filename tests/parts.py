"""The whole suite, in parts beside each other: what ``make test`` runs.

    python -m tests.parts                    everything
    python -m tests.parts --at-once 1        the same, one part after the other
    python -m tests.parts --part rest        one part (repeatable)
    python -m tests.parts -- -k stream       with further words for pytest

Much of the suite waits (for servers, leases, a virtual machine), so three parts share two cores well. Each part is an
ordinary pytest session with servers, directories and ports of its own: they share nothing but the machine, as two
people who test on it. What takes figures of the machine itself comes last, when nothing else runs.

A test that fails here has failed beside others, on a machine that others may use, too. Up to ``SECOND_LOOKS`` of them
are looked at again when all else has ended: alone, ``IN_A_ROW`` times. One that fails again, ever, is a failure; one
that does not is told as *unsteady*, last and loudly, and its first failure stands in the output: it is a fault to be
found, in the test or in what it tests, but none that holds up what has nothing to do with it. More than that many
failures, a session that did not end by itself, a test that is not found again: no second look.

``python -m pytest`` runs the same tests in one session. A test belongs to a part by its path, to ``rest`` if no other
part names it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.ports import SHARE
from tests.servers import tied

ROOT = Path(__file__).parents[1]
AT_ONCE = 3
#: pytest's exit codes when a test failed, and when it found none
FAILED = 1
NO_TESTS = 5
#: of 7,000 tests; what is wrong with the product or the machine fails more of them
SECOND_LOOKS = 2
#: what fails every other time, even alone, passes so often in one run of eight
IN_A_ROW = 3
#: of how many sessions pytest keeps the directories: of all parts, and of the run before
KEPT = 20


@dataclass(frozen=True)
class Part:
    """One pytest session: what is below ``paths``, apart from what another part names."""

    name: str
    paths: tuple[str, ...]
    #: not beside anything else
    alone: bool = False


#: the longest first, so that the end comes for all at about the same time
PARTS = (
    Part("nodes", ("tests/e2e",)),
    Part("engines", ("tests/deploy/test_engines.py",)),
    Part("vm", ("tests/vm",)),
    Part("sandbox", ("tests/sandbox",)),
    Part("servers", ("tests/contract", "tests/fault")),
    Part("rest", ("tests",)),
    Part("compose", ("tests/deploy/test_compose_up.py",)),
    Part("binary", ("tests/deploy/test_binary.py",)),
    Part("users", ("tests/sandbox/test_unprivileged.py",)),
    Part("languages", ("tests/languages",)),
    Part("figures", ("tests/sandbox/test_measures.py",), alone=True),
)


def words_for(part: Part) -> list[str]:
    """pytest's words for a part."""
    others = [path for other in PARTS if other is not part for path in other.paths]
    below = [path for path in others if any(path.startswith(f"{mine}/") for mine in part.paths)]
    return [*part.paths, *(f"--ignore={path}" for path in below)]


def environment() -> dict[str, str]:
    """Ours, but that Python keeps its bytecode: a session starts Python over and over, as itself, as other users and in
    machines, and compiling what is imported takes nearly half of such a start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Run:
    """A part, pytest's words for it, its share of the ports, and where pytest keeps what failed."""

    part: Part
    words: Sequence[str]
    share: str
    cache: Path


@dataclass(eq=False)
class Session:
    """A part that runs, or has run."""

    run: Run
    process: subprocess.Popen[bytes]
    began: float
    #: the last line it printed, and all those that name a test that went wrong
    last: str = ""
    bad: list[str] = field(default_factory=list)
    code: int | None = None
    seconds: float = 0.0
    #: by the names that pytest finds again; none if there was no time to write them
    failed: list[str] = field(default_factory=list)
    _begun_line: bytes = b""

    @classmethod
    def start(cls, run: Run) -> Session:
        keep = ("-o", f"tmp_path_retention_count={KEPT}", "-o", f"cache_dir={run.cache}")
        # INT: whoever kills us ends a session as Ctrl-C does, and it ends what it has started. A terminal's own Ctrl-C
        # does not reach it: it would come twice, the second time into its tidying up.
        process = subprocess.Popen(
            tied(sys.executable, "-m", "pytest", *keep, *run.words, death_signal="INT"),
            cwd=ROOT,
            env=environment() | {SHARE: run.share},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return cls(run, process, time.monotonic())

    def read(self, show: Callable[[str], None]) -> bool:
        """Shows what has come, in whole lines; False when no more will come."""
        assert self.process.stdout is not None
        got = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self._begun_line = (self._begun_line + got).split(b"\n")
        if not got and self._begun_line:
            lines, self._begun_line = [self._begun_line], b""
        for line in lines:
            text = line.decode(errors="replace")
            show(f"{self.part.name:>9} | {text}")
            self.last = text or self.last
            if text.startswith(("FAILED ", "ERROR ")):
                self.bad.append(text)
        return bool(got)

    def end(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.code = self.process.wait()
        self.seconds = time.monotonic() - self.began
        file = self.run.cache / "v/cache/lastfailed"
        self.failed = list(json.loads(file.read_text())) if file.exists() else []

    def interrupt(self, show: Callable[[str], None]) -> None:
        """As a terminal does: whatever pytest has started hears of it, too."""
        os.killpg(self.process.pid, signal.SIGINT)
        while self.read(show):
            pass
        self.end()

    @property
    def part(self) -> Part:
        return self.run.part

    @property
    def summary(self) -> list[str]:
        told = f"{self.part.name:>9} | exit {self.code} after {self.seconds:.0f} s: {self.last.strip('= ')}"
        return [told, *(f"{'':>9} | {line}" for line in self.bad)]


class Crew:
    """Runs parts, so many at once, and then those that want to be alone."""

    def __init__(self, at_once: int, more: Sequence[str], show: Callable[[str], None], caches: Path) -> None:
        self._at_once, self._more, self._show, self._caches = at_once, more, show, caches
        self.sessions: list[Session] = []
        self.again: list[Session] = []

    def run(self, parts: Sequence[Part]) -> None:
        """Raises KeyboardInterrupt when every session has ended."""
        runs = [
            Run(part, [*words_for(part), *self._more], f"{number}/{len(parts)}", self._caches / part.name)
            for number, part in enumerate(parts)
        ]
        self._run_all([run for run in runs if not run.part.alone], self._at_once, self.sessions)
        self._run_all([run for run in runs if run.part.alone], 1, self.sessions)

    def look_again(self) -> bool:
        """Whether each test that failed passes alone, ``IN_A_ROW`` times; as ``run`` on Ctrl-C."""
        for session in [session for session in self.sessions if session.code]:
            for time_ in range(1, IN_A_ROW + 1):
                cache = self._caches / f"{session.part.name}-{time_}"
                shutil.copytree(session.run.cache, cache)
                part = replace(session.part, name=f"again {time_}")
                words = [*session.run.words, "--last-failed", "--last-failed-no-failures=none"]
                self._run_all([Run(part, words, "0/1", cache)], 1, self.again)
                if self.again[-1].code or counted([self.again[-1].last])["passed"] != len(session.failed):
                    return False
        return True

    def _run_all(self, runs: list[Run], at_once: int, kept: list[Session]) -> None:
        with selectors.DefaultSelector() as outputs:
            try:
                while runs or outputs.get_map():
                    while runs and len(outputs.get_map()) < at_once:
                        session = Session.start(runs.pop(0))
                        kept.append(session)
                        outputs.register(session.process.stdout, selectors.EVENT_READ, session)  # type: ignore[arg-type]
                    for key, _ in outputs.select():
                        if not key.data.read(self._show):
                            outputs.unregister(key.fileobj)
                            key.data.end()
            except KeyboardInterrupt:
                for session in kept:
                    if session.code is None:
                        session.interrupt(self._show)
                raise


def counted(last_lines: Sequence[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for line in last_lines:
        for number, word in re.findall(r"(\d+) (failed|passed|skipped|deselected|xfailed|xpassed|error)s?\b", line):
            counts[word] += int(number)
    return counts


def total(last_lines: Sequence[str]) -> str:
    """What pytest's last lines say together, in its words: ``1 failed, 20 passed, 1 skipped``."""
    return ", ".join(f"{count} {word}" for word, count in sorted(counted(last_lines).items())) or "no tests ran"


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def may_look_again(sessions: Sequence[Session]) -> bool:
    bad = [session for session in sessions if session.code]
    known = all(session.code == FAILED and session.failed for session in bad)
    return known and 0 < sum(len(session.failed) for session in bad) <= SECOND_LOOKS


def run_parts(parts: Sequence[Part], *, at_once: int = AT_ONCE, more: Sequence[str] = ()) -> int:
    """The exit code: 0 if every session ended well, otherwise the first bad one's."""
    began = time.monotonic()
    # whoever starts us in the background has it ignored, and the sessions would inherit that: nothing could end them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="deepoj-parts-") as caches:
        crew = Crew(at_once, more, say, Path(caches))
        try:
            crew.run(parts)
            unsteady = may_look_again(crew.sessions) and crew.look_again()
        except KeyboardInterrupt:
            return 130
    say("")
    for session in [*crew.sessions, *crew.again]:
        for line in session.summary:
            say(line)
    # with words of the caller's a part may have nothing to run, but not all of them
    codes = [session.code for session in crew.sessions]
    if more and set(codes) != {NO_TESTS}:
        codes = [code for code in codes if code != NO_TESTS]
    code = next((code for code in codes if code), 0) or 0
    if unsteady:
        say(f"UNSTEADY: what failed passed {IN_A_ROW} times alone. That is a fault: find it before it hides another.")
        code = 0
    say(f"{total([session.last for session in crew.sessions])} in {time.monotonic() - began:.2f}s")
    return abs(code)  # whom a signal has ended has a negative one


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many parts run beside each other")
    parser.add_argument("--part", action="append", choices=[part.name for part in PARTS], help="only these")
    parser.add_argument("more", nargs="*", help="further words for pytest, after --")
    asked = parser.parse_args()
    parts = [part for part in PARTS if asked.part is None or part.name in asked.part]
    return run_parts(parts, at_once=max(1, asked.at_once), more=asked.more)


if __name__ == "__main__":
    sys.exit(main())
