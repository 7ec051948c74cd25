"""Running the hostile table: one row, what it did to the host, and what the next program on its slot sees."""

from __future__ import annotations

import dataclasses
import difflib
import os
import random
import re
import secrets
import socket
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import FileIn, Isolation, Policy, RunOutcome, RunSpec, RunVerdict
from tests.sandbox.bench import limits, open_box
from tests.sandbox.hostile.host import HostState, look
from tests.sandbox.hostile.table import Row

HERE = Path(__file__).parent
PROGRAMS = ("bombs", "processes", "streams", "files", "escapes", "inspector")
#: cgroups may be removed with a delay, off the critical path
SETTLE_S = 30.0
#: a host that did not change for so long is taken to be at rest
STEADY_S = 0.2
MEMORY_KB = 256 if "DEEPOJ_TEST_LAUNCHER" not in os.environ else 1 << 20  # a sanitized launcher keeps shadow memory
#: MEMCG_CHARGE_BATCH pages, by CPU: what the kernel takes from a group's limit beforehand
CHARGED_AHEAD_KB = 256
#: an emulated CPU that the host takes away goes on counting
CPU_MS = 5000
#: how often the neighbour must have looked for its word to count
LOOKS = 20
#: of the arenas that tests open
SLOTS_MAX = 2
#: what the kernel tells a program of its user rather than of itself; slots share one user
OF_THE_USER = ("SigQ:",)
#: what a program without a root of its own sees of the host's file systems: how full they are
OF_THE_HOST = ("file system ",)
#: and what it finds out about names: that they are there
OF_NAMES = ("stat ", "name ")
#: counted by the kernel per user, where a run has the node's uid
OF_ONE_USER = ("limit 6 ", "timer ", "passing a descriptor ")
#: how large a pipe is made: by the room left in the quota of its maker, which all processes of that user share
PIPE_SIZE = re.compile(rb" pipe (?:4096|8192|65536|1048576) ")
SECRET = "the answer is forty-two, and it is secret"
GXX = ("/usr/bin/g++", "-O0", "-std=gnu++17", "-o", "main", "main.cpp")
_ENV = (("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("TMPDIR", "."))


def compile_hostile(directory: Path) -> None:
    """Leaves ``hostile-NAME`` for each source file. Static: starting them costs less where processes are emulated."""
    for name in PROGRAMS:
        command = ["gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-static"]
        subprocess.run([*command, "-o", directory / f"hostile-{name}", HERE / f"{name}.c"], check=True, timeout=600)


def differences(expected: bytes, found: bytes, whose: str, but: tuple[str, ...] = ()) -> list[str]:
    """What an inspector saw that it should not have, and the other way round; lines that begin with ``but`` apart."""
    lines = difflib.unified_diff(
        expected.decode(errors="replace").splitlines(), found.decode(errors="replace").splitlines(), n=0, lineterm=""
    )
    return [
        f"{whose} saw: {line}" for line in lines if line[:2] not in ("--", "++", "@@") and not line[1:].startswith(but)
    ][:40]


@dataclass(slots=True, eq=False)
class Arena:
    """A box, the programs, and how the host and an innocent program looked before anything hostile ran."""

    box: LinuxBox
    programs: Path
    directory: Path
    mark: str
    reference: RunOutcome
    before: HostState
    launcher: int
    #: of the programs, as the box numbers it
    uid: int
    #: sockets of the host, which no program may find
    words: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, programs: Path, directory: Path, slots: int = 1, **more: Any) -> AsyncIterator[Arena]:
        """``directory``: the host's, for input and secrets; emptied of nothing, watched as a whole. ``more``: of
        ``LinuxBox.open``."""
        mark = f"HOSTILE_MARK={secrets.token_hex(8)}"
        async with AsyncExitStack() as stack:
            words = _furnish(directory, stack)
            # a user of its own: what the kernel counts by user is also taken by other boxes of this host
            uid = 100_000 + secrets.randbits(20) if os.geteuid() == 0 else 65534
            box = await stack.enter_async_context(open_box(slots, run_uid=uid, run_gid=uid, **more))
            nothing = HostState({}, 0.0, 0)
            fresh = await box.run(inspection(programs, mark))
            arena = cls(box, programs, directory, mark, fresh, nothing, box.launcher_pid, uid, words)
            await arena._settle_in(slots)
            yield arena

    async def _settle_in(self, slots: int) -> None:
        """Every slot is used once for each policy, so that all is there; then the state is the one to keep. What an
        innocent program *sees* is that of the fresh slot; what it weighs may include a slot's buffers."""
        for policy in Policy:
            async with trio.open_nursery() as nursery:
                for _ in range(slots):
                    row = Row(name="warm", program="bombs flood_stdout", expected=("OLE",), policy=policy)
                    nursery.start_soon(self.run, row)
        fresh = self.reference
        self.reference = dataclasses.replace(await self.inspect(), stdout=fresh.stdout, stderr=fresh.stderr)
        self.before = self.look()
        with trio.fail_after(SETTLE_S):  # what is put away after a run is put away, and what is made ready is ready
            while True:
                await trio.sleep(STEADY_S)
                now = self.look()
                if now.harm_since(self.before) == self.before.harm_since(now) == []:
                    return
                self.before = now

    def look(self) -> HostState:
        uids = (self.uid, *self._slot_uids()) if os.geteuid() == 0 else (os.geteuid(),)
        return look(self.box.launcher_pid, self.directory, self.mark, uids)

    def _slot_uids(self) -> range:
        return range(self.uid - 3 * SLOTS_MAX, self.uid)

    async def run(self, row: Row) -> RunOutcome:
        """A program that kills itself while the host, for whomever, ran out of memory, is not told from one that the
        host has killed: that costs an attempt, and is tried again."""
        outcome = await self.box.run(self._spec(row))
        if outcome.sandbox_error is not None and outcome.sandbox_error.step == "killed_by_host":
            outcome = await self.box.run(self._spec(row))
        return outcome

    async def check(self, row: Row) -> list[str]:
        """Runs a row, then the innocent program, then looks at the host. What was wrong, a sentence each."""
        outcome = await self.run(row)
        found = self.judge(row, outcome)
        innocent = await self.inspect()
        found += self.compare(innocent, "the next program") + self.compare_time(innocent)
        found += await self.harm()
        return found

    async def inspect(self) -> RunOutcome:
        return await self.box.run(inspection(self.programs, self.mark))

    def compare(self, now: RunOutcome, whose: str, but: tuple[str, ...] = OF_THE_USER) -> list[str]:
        """How an inspection differs from that of the fresh slot: in what it saw, its verdict, and memory."""
        then = self.reference
        found = []
        if (now.verdict, now.rule) != (RunVerdict.OK, "ok"):
            found.append(f"{whose} came to {now.verdict} {now.rule}, {now.sandbox_error}")
        if self.box.isolation is Isolation.WEAK:
            but = (*but, *OF_THE_HOST)
        if self.shares_its_user:
            but = (*but, *OF_ONE_USER)
        found += differences(self._alike(then.stdout), self._alike(now.stdout), whose, but)
        if now.stderr != b"":
            found.append(f"{whose} has on stderr: {now.stderr[:200]!r}")
        if abs(now.memory_kb - then.memory_kb) > self.memory_slack_kb:
            found.append(f"{whose} weighs {now.memory_kb} KiB, {then.memory_kb} before")
        return found

    def _alike(self, seen: bytes) -> bytes:
        """Without what two inspections may differ in. Where the node is root each slot has a uid, and at ``weak`` a
        directory. The innocent program may run on either slot."""
        seen = PIPE_SIZE.sub(b" pipe as may be ", seen)
        if self.box.isolation is Isolation.WEAK:
            seen = re.sub(rb"/deepoj-weak\.\w+/\d+/", b"/deepoj-weak/", seen)
        if os.geteuid() == 0:
            for uid in self._slot_uids():
                seen = seen.replace(str(uid).encode(), str(self.uid).encode())
        return seen

    @property
    def shares_its_user(self) -> bool:
        """Without namespaces and without root a run is the node's user, among all that this user runs."""
        return self.box.isolation is Isolation.WEAK and os.geteuid() != 0

    def compare_time(self, now: RunOutcome) -> list[str]:
        """The same for its CPU time, which says nothing while a bomb has the other core."""
        then = self.reference
        if now.cpu_ms > 10 * then.cpu_ms + CPU_MS:
            return [f"the next program took {now.cpu_ms} ms of CPU, {then.cpu_ms} before"]
        return []

    @property
    def memory_slack_kb(self) -> int:
        """By how much two weights of one program may differ: a memory controller charges every CPU's stock ahead."""
        if self.box.isolation is Isolation.FULL:
            return MEMORY_KB + (os.cpu_count() or 1) * CHARGED_AHEAD_KB
        # Of a vfork child the kernel takes the parent's weight for its peak. At weak a slot is replaced after a run
        # that was killed, and has touched its buffers or not.
        return MEMORY_KB + (512 if self.box.isolation is Isolation.WEAK else 0)

    async def harm(self) -> list[str]:
        """What is not as it was, when it had time to become so."""
        harm = ["nothing was looked at"]
        if self.box.launcher_pid != self.launcher:
            return ["the launcher fell, or was given up"]
        with trio.move_on_after(SETTLE_S):
            while harm:
                harm = self.look().harm_since(self.before)
                if harm:
                    await trio.sleep(0.02)
        return harm

    def judge(self, row: Row, outcome: RunOutcome) -> list[str]:
        """How an outcome differs from what the row expects."""
        expected = row.expected
        if row.expected_full is not None and self.box.isolation is Isolation.FULL:
            expected = row.expected_full
        weakly = row.expected_weak is not None and self.box.isolation is Isolation.WEAK
        if weakly:
            expected = row.expected_weak or ()
        if row.crowd and self.shares_its_user:
            expected = (*expected, "RE processes")
        found = []
        if not {str(outcome.verdict), f"{outcome.verdict} {outcome.rule}"} & set(expected):
            found.append(
                f"came to {outcome.verdict} {outcome.rule} (exit {outcome.exit_code}, signal {outcome.exit_signal}, "
                f"cpu {outcome.cpu_ms} ms, wall {outcome.wall_ms} ms, {outcome.memory_kb} KiB, "
                f"{outcome.sandbox_error}), "
                f"not to {' or '.join(expected)}"
            )
        said = outcome.stdout.decode(errors="replace")
        if row.says is not None and said != row.says and not weakly:
            found.append(f"said {said[:300]!r}, not {row.says!r}")
        if row.stdout_len is not None and outcome.stdout_len != row.stdout_len:
            found.append(f"wrote {outcome.stdout_len} bytes to stdout, not {row.stdout_len}")
        if row.answers is not None and not weakly:
            found += _answers(said, row.answers, but=OF_NAMES if self.box.isolation is Isolation.WEAK else ())
        if SECRET in said or SECRET in outcome.stderr.decode(errors="replace"):
            found.append("told the secret")
        return found

    def _spec(self, row: Row) -> RunSpec:
        lim = limits(**row.limits)
        if row.source is not None:
            path = self.directory / "sources" / f"{row.name.replace('/', ' ')}.cpp"
            return RunSpec(
                argv=GXX, limits=lim, policy=Policy.COMPILE, files_in=(FileIn("main.cpp", path),), env=self._env(_ENV)
            )
        program, deed = row.program.split(" ")
        return RunSpec(
            argv=("./main", deed, *(word.format(**self.words) for word in row.words)),
            limits=lim,
            policy=row.policy,
            stdin=self.directory / "input" if row.stdin else None,
            files_in=(FileIn("main", self.programs / f"hostile-{program}", executable=True),),
            env=self._env(()),
        )

    def _env(self, more: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        name, _, value = self.mark.partition("=")
        return ((name, value), *more)


def inspection(programs: Path, mark: str) -> RunSpec:
    """The innocent program that tells what it sees."""
    name, _, value = mark.partition("=")
    return RunSpec(
        argv=("./main",),
        limits=limits(),
        files_in=(FileIn("main", programs / "hostile-inspector", executable=True),),
        env=((name, value),),
    )


def _furnish(directory: Path, stack: AsyncExitStack) -> dict[str, str]:
    """What there is to be found and to be spoilt. Returns the words for the table's placeholders."""
    from tests.sandbox.hostile.table import TABLE

    sources = directory / "sources"
    sources.mkdir()
    (directory / "input").write_bytes(b"0123456789abcdef" * 4096)
    (directory / "secret").write_text(f"{SECRET}\n")
    short = stack.enter_context(tempfile.TemporaryDirectory(prefix="hostile-"))  # a socket's path has to be
    words = {
        "secret": str(directory / "secret"),
        "input": str(directory / "input"),
        "socket": f"{short}/socket",
        "abstract": f"deepoj-hostile-{secrets.token_hex(8)}",
    }
    for row in TABLE:
        if row.source is not None:
            text = row.source.replace("{secret}", words["secret"])
            (sources / f"{row.name.replace('/', ' ')}.cpp").write_text(text)
    for address in (words["socket"], f"\0{words['abstract']}"):
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(address)
        listener.listen(8)
    return words


def _answers(said: str, right: frozenset[int], but: tuple[str, ...]) -> list[str]:
    lines = [line for line in said.splitlines() if not line.startswith(but)]
    if not lines:
        return ["tried nothing"]
    return [f"got {line!r}" for line in lines if int(line.rpartition(" ")[2]) not in right]


async def beside(arena: Arena, rows: Sequence[Row], seed: int, but: tuple[str, ...] = OF_THE_USER) -> list[str]:
    """The rows on one slot, in an order drawn from the seed, while on the other an innocent program looks and looks.

    An arena of two slots is needed. What any of the looks saw that a fresh slot does not show, a sentence each; and
    what the host looks like when all is over.
    """
    order = list(rows)
    random.Random(seed).shuffle(order)
    found: list[str] = []
    seen: Counter[str] = Counter()
    first: dict[str, str] = {}
    looks = 0
    current = ""
    over = trio.Event()

    async def watch() -> None:
        nonlocal looks
        while not over.is_set() or looks < LOOKS:
            began = current
            now = await arena.inspect()
            looks += 1
            for line in arena.compare(now, "the neighbour", but):
                seen[line] += 1
                first.setdefault(line, current if began in (current, "") else f"{began}, {current}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        for row in order:
            current = row.name
            try:
                outcome = await arena.run(row)
            except BoxBroken as error:
                raise AssertionError(f"{row.name}: {error}") from error
            found += [f"{row.name}: {line}" for line in arena.judge(row, outcome)]
        over.set()
    found += [f"{line} ({times} times, first beside {first[line]})" for line, times in seen.items()]
    return found + await arena.harm()
