"""SIGKILL of the node, the launcher, a slot or an init at any moment, some of them stopped, leaves no process.

Each process of a test carries its mark in the command line: the launcher's path (which slots and inits share) and a
word of each payload. So a process that is born between a look and a kill is found, too.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.adapters.sandbox import box as linux_box
from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Isolation, RunOutcome, RunVerdict
from tests import host
from tests.sandbox.bench import Bench, limits, open_box
from tests.sandbox.hostile.host import processes
from tests.sandbox.test_life import until

#: deadline on a loaded host; the real time is printed
DEADLINE_S = 60.0
NODE_ROUNDS = 40
#: the other rounds belong to the rest of the suite
ROUNDS = [50, pytest.param(110, marks=pytest.mark.full)]


class Herd:
    """All processes with the mark, and a copy of the launcher whose path contains it."""

    def __init__(self, directory: Path) -> None:
        self.mark = f"herd-{secrets.token_hex(6)}"
        self.launcher = directory / self.mark / "_launcher"
        self.launcher.parent.mkdir()
        shutil.copy2(launching.LAUNCHER, self.launcher)
        for parent in (self.launcher.parent, *directory.parents[:2], directory):
            parent.chmod(0o755)
        self.slowest_s = 0.0

    def living(self) -> list[int]:
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - thousands of them
        return sorted(filter(self.is_marked, pids))

    def is_marked(self, pid: int) -> bool:
        try:
            fd = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY)
        except (FileNotFoundError, ProcessLookupError):
            return False
        try:
            return self.mark.encode() in os.read(fd, 1 << 16)  # empty for a zombie
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)

    def wait_gone(
        self, what: str, spared: Callable[[], set[int]] = set, newborn: Sequence[int] = (), patience_s: float = 3.0
    ) -> None:
        """Wait until all marked processes but the spared have ended; stopped newborn ones are continued, if need be.

        A newborn process may have its parent's descriptors. Guards then wait for it, too.
        """
        killed_at = time.monotonic()
        while left := set(self.living()) - spared():
            # a scan of the host costs as much as a round: scan again when these have ended, or after a while
            looked_at = time.monotonic()
            while any(self.is_marked(pid) for pid in left) and time.monotonic() - looked_at < 0.2:
                time.sleep(0.001)
            if left & set(newborn) and time.monotonic() - killed_at > patience_s:
                for pid in left & set(newborn):
                    send(pid, signal.SIGCONT)
                killed_at, patience_s = time.monotonic(), DEADLINE_S
            if time.monotonic() - killed_at > DEADLINE_S:
                states = [(pid, Path(f"/proc/{pid}/stat").read_text()) for pid in left if psutil.pid_exists(pid)]
                pytest.fail(f"{what}: not gone within {DEADLINE_S:g} s: {states}")
        self.slowest_s = max(self.slowest_s, time.monotonic() - killed_at)


@pytest.fixture
def herd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: None) -> Iterator[Herd]:
    made = Herd(tmp_path)
    monkeypatch.setattr(launching, "LAUNCHER", made.launcher)
    monkeypatch.setattr(linux_box, "RESTARTS", 10_000)
    yield made
    for pid in made.living():
        send(pid, signal.SIGKILL)


def family(launcher: int) -> dict[str, list[int]]:
    """Return slots, inits and payloads below a launcher by one scan of the host, which is most of a round's time."""
    everybody = processes()
    seen: dict[str, list[int]] = {"launcher": [launcher], "slot": [], "init": [], "payload": []}
    seen["slot"] = [process.pid for process in everybody.values() if process.parent == launcher]
    for process in everybody.values():
        if process.parent in seen["slot"]:
            seen["init" if process.name == "_launcher" else "payload"].append(process.pid)
    return seen


def send(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def groups_of(launchers: set[int]) -> list[str]:
    found = Path("/sys/fs/cgroup").rglob("deepoj.*")
    return [str(path) for path in found if path.name.removeprefix("deepoj.") in map(str, launchers)]


async def an_innocent_run(bench: Bench) -> RunOutcome:
    """Run a program, and again if the launcher crashed meanwhile, as a job would."""
    faults: list[object] = []
    for _ in range(10):
        try:
            outcome = await bench.run("exit", 7, bench.directory.name)
        except BoxBroken as broken:
            faults.append(broken)
            continue
        if outcome.sandbox_error is None:
            return outcome
        faults.append(outcome.sandbox_error)
    pytest.fail(f"no run works any more: {faults}")


@pytest.mark.parametrize("rounds", ROUNDS)
async def test_kill_of_any_process_at_any_moment_leaves_no_process(herd: Herd, programs: Path, rounds: int) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice = random.Random(seed)
    launchers: set[int] = set()
    async with open_box(2) as box:
        bench = Bench(box, programs, herd.launcher.parent)

        async def a_run(word: str, number: int) -> None:
            try:
                await bench.run(word, number, herd.mark, lim=limits(wall_ms=300, processes=8))
            except BoxBroken:
                return

        async def a_pair(word: str, number: int) -> None:
            one = bench.spec(word, number, herd.mark, lim=limits(wall_ms=300, processes=8))
            try:
                await box.run_joined(one, one, is_settled=lambda _: number % 2 == 0)
            except BoxBroken:
                return

        for number in range(rounds):
            victim = dice.choice(["launcher", "slot", "init", "payload"])
            async with trio.open_nursery() as nursery:
                for _ in range(dice.randrange(3)):  # none: the kill comes between runs
                    word = dice.choice(["sleep", "bomb", "ok", "burn"])
                    nursery.start_soon(
                        dice.choice([a_run, a_pair]), word, 20 + dice.randrange(2) if word != "burn" else 20_000
                    )
                await trio.sleep(dice.choice([0.0, 0.03]) * dice.random())  # any moment: cells come up, runs begin, end
                launchers.add(box.launcher_pid)
                seen = family(box.launcher_pid)[victim]
                if seen:
                    send(dice.choice(seen), signal.SIGKILL)
                if dice.random() < 0.2:  # and once more, into the renewal or the fall
                    again = dice.choice(["slot", "init"])
                    for pid in family(box.launcher_pid)[again][:1]:
                        send(pid, signal.SIGKILL)
            assert (await an_innocent_run(bench)).exit_code == 7, (number, victim)
            launchers.add(box.launcher_pid)

            def of_the_present(launcher: int = box.launcher_pid) -> set[int]:
                return {pid for kind in family(launcher).values() for pid in kind}

            await trio.to_thread.run_sync(herd.wait_gone, f"round {number}, {victim}, seed {seed}", of_the_present)
            # one that has yet to hear of the second kill falls between two looks
            with suppress(psutil.NoSuchProcess):
                assert psutil.Process(box.launcher_pid).num_fds() <= 20
    herd.wait_gone("the end")
    async with open_box(1):  # what a killed one left is swept by the next
        pass
    assert groups_of(launchers) == []
    print(f"{len(launchers)} launchers; slowest {herd.slowest_s:.3f} s after the next run")  # noqa: T201


def hunt_inits(launcher: int, within_s: float) -> int:
    """Kill each init below a launcher as soon as it is seen, for a while; return their number."""
    until_s, killed = time.monotonic() + within_s, 0
    while time.monotonic() < until_s:
        with suppress(OSError):
            for slot in children(launcher):
                killed += sum(send(init, signal.SIGKILL) for init in children(slot))
    return killed


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.needs("namespaces")
async def test_an_init_that_is_killed_while_it_comes_up_costs_no_slot(herd: Herd, programs: Path) -> None:
    """A slot whose init died before its first word kept the fault, and gave it as the answer to every later run."""
    async with open_box(2) as box:
        bench = Bench(box, programs, herd.launcher.parent)
        killed = 0
        for _ in range(60):
            killed += await trio.to_thread.run_sync(hunt_inits, box.launcher_pid, 0.02)
            assert (await an_innocent_run(bench)).exit_code == 7
        assert killed > 60


#: starts a process in the pid namespace of another one, and waits for it only after the end of the input
GUEST = """
import os, sys
os.setns(os.pidfd_open(int(sys.argv[1])), os.CLONE_NEWPID)
if os.fork() == 0:
    os.execvp("sleep", ["sleep", "1000"])
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def guests(pids: Sequence[int]) -> Iterator[Callable[[], None]]:
    """Start a process in the pid namespace of each of these. Yield what lets them be waited for."""
    made = [
        subprocess.Popen([sys.executable, "-c", GUEST, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for pid in pids
    ]

    def release() -> None:
        for guest in made:
            guest.communicate()

    for guest in made:
        assert guest.stdout is not None
        guest.stdout.readline()
    yield release
    assert [guest.returncode for guest in made] == [0] * len(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: no other user enters the namespace of a cell")
@pytest.mark.parametrize("busy", [False, True], ids=["between", "during"])
@pytest.mark.needs("namespaces", "mounts")
async def test_an_init_that_takes_long_to_die_fails_one_run_at_most(herd: Herd, programs: Path, *, busy: bool) -> None:
    """Until its end, every run in its cell failed, and the answer to a run that it died under did not come. The kernel
    ends an init only after all processes of its namespace were waited for."""
    outcomes: list[RunOutcome] = []
    async with open_box(1) as box:
        bench = Bench(box, programs, herd.launcher.parent)
        await bench.run("exit", 7)
        inits = family(box.launcher_pid)["init"]
        failed = trio.Event()

        async def runs() -> None:
            for number in range(5):
                words = ("sleep", 1_000_000) if busy and number == 0 else ("exit", 7)
                outcomes.append(await bench.run(*words, lim=limits(wall_ms=600_000)))
                failed.set()

        async with trio.open_nursery() as nursery:
            if busy:
                nursery.start_soon(runs)
                await until(lambda: bool(family(box.launcher_pid)["payload"]), "a payload")
            with guests(inits) as release:
                for init in inits:
                    send(init, signal.SIGKILL)
                if not busy:
                    nursery.start_soon(runs)
                try:
                    with trio.fail_after(DEADLINE_S):
                        await failed.wait()
                finally:
                    await trio.to_thread.run_sync(release)
    faults = [outcome.sandbox_error for outcome in outcomes if outcome.sandbox_error is not None]
    assert len(faults) <= 1, faults
    assert outcomes[-1].exit_code == 7


REPOSITORY = Path(__file__).parents[2]
#: forks a node for each line that it is given, and says when that one is gone: a start of Python takes longer than all
#: that a round is about
NURSERY = """
import os, sys, trio
from pathlib import Path
from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, RunLimits, RunSpec
from tests.sandbox.bench import open_box

limits = RunLimits(cpu_ms=60_000, wall_ms=600_000, memory_bytes=64 << 20, output_bytes=1000, processes=16)

async def run(box: LinuxBox, probe: FileIn, words: list[str]) -> None:
    paired = words[0] == "pair"
    spec = RunSpec(argv=(f"{PROGRAM_DIR}/main", *words[paired:]), limits=limits, files_in=(probe,))
    while True:
        await (box.run_joined(spec, spec, is_settled=lambda _: False) if paired else box.run(spec))

async def main(launcher: str, program: str, *words: str) -> None:
    launching.LAUNCHER = Path(launcher)
    probe = FileIn("main", Path(program), executable=True, program=True)
    print(f"starting {os.getpid()}", flush=True)
    async with open_box(2) as box, trio.open_nursery() as nursery:
        print(f"up {os.getpid()}", flush=True)
        for _ in range(2):
            nursery.start_soon(run, box, probe, list(words))

while line := sys.stdin.readline():
    if os.fork() == 0:
        trio.run(main, *line.split())
        os._exit(3)
    os.wait()
    print("gone", flush=True)
"""


@pytest.fixture
def nodes() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
    ) as process:
        yield process
        process.kill()


def kill_a_node(herd: Herd, nodes: subprocess.Popen[str], program: Path, dice: random.Random) -> tuple[str, list[int]]:
    """Kill a node while it starts or works, after stopping some of its processes.

    Return a description, and the processes that may have been stopped before they asked for a death signal: these end
    when they are continued. At `weak` a slot gets new processes while it works, too.
    """
    word, number = dice.choice([("sleep", "1000000"), ("bomb", "0"), ("ok", "0"), ("loop", "0"), ("daemon", "0")])
    pair = ["pair"] if dice.random() < 0.4 else []
    moment = dice.choice(["starting", "up"])
    assert nodes.stdin is not None
    assert nodes.stdout is not None
    nodes.stdin.write(" ".join([str(herd.launcher), str(program), *pair, word, number, herd.mark]) + "\n")
    nodes.stdin.flush()
    node = None
    try:
        while True:
            line = nodes.stdout.readline()
            assert line not in ("", "gone\n"), "the node ended by itself"
            said, _, pid = line.partition(" ")
            node = int(pid)
            if said == moment:
                break
        time.sleep(dice.random() * 0.06)
        living = herd.living()
        stopped = dice.sample(living, min(dice.randrange(4), len(living))) if dice.random() < 0.5 else []
        for one in stopped:
            send(one, signal.SIGSTOP)
    finally:
        if node is not None:
            send(node, signal.SIGKILL)
    while nodes.stdout.readline() != "gone\n":  # it may have come further before it died
        assert nodes.poll() is None
    return (
        f"{' '.join([*pair, word])}, killed at {moment!r}, {len(stopped)} stopped",
        stopped if moment == "starting" or host.asked() is Isolation.WEAK else [],
    )


def test_a_node_killed_at_any_moment_leaves_nothing(herd: Herd, nodes: subprocess.Popen[str], programs: Path) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    dice = random.Random(seed)
    for number in range(NODE_ROUNDS):
        what, newborn = kill_a_node(herd, nodes, programs / "probe", dice)
        herd.wait_gone(f"round {number}, {what}, seed {seed}", newborn=newborn)
    print(f"slowest {herd.slowest_s:.3f} s")  # noqa: T201


async def payload_and_init(box: LinuxBox) -> tuple[int, int]:
    """Return the payload and the init of the only current run."""
    with trio.fail_after(DEADLINE_S):
        while not (payloads := family(box.launcher_pid)["payload"]):
            await trio.sleep(0.005)
    slot = psutil.Process(payloads[0]).parent()
    assert slot is not None
    return payloads[0], next(child.pid for child in slot.children() if child.pid != payloads[0])


@pytest.mark.parametrize("ending", ["cancel", "limit", "itself"])
async def test_hung_init_delays_no_run(herd: Herd, programs: Path, ending: str) -> None:
    """The slot does not need it: the kernel empties the cell, and the launcher and its other runs stay."""
    async with open_box(1) as box:
        bench = Bench(box, programs, herd.launcher.parent)
        launcher = box.launcher_pid
        outcomes: list[RunOutcome] = []
        words: dict[str, tuple[str | int, ...]] = {
            "cancel": ("sleep", 1_000_000),
            "limit": ("loop",),
            "itself": ("daemon", 2000),  # not before its init has been stopped
        }
        lim = limits(cpu_ms=300, wall_ms=60_000) if ending == "limit" else limits(wall_ms=60_000)
        scope = trio.CancelScope()

        async def run() -> None:
            with scope:
                outcomes.append(await bench.run(*words[ending], herd.mark, lim=lim))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            _, init = await payload_and_init(box)
            send(init, signal.SIGSTOP)
            if ending == "cancel":
                scope.cancel()

        verdicts = {"cancel": [], "limit": [RunVerdict.TLE], "itself": [RunVerdict.OK]}
        assert [outcome.verdict for outcome in outcomes] == verdicts[ending]
        assert (await bench.run("exit", 7)).exit_code == 7
        assert box.launcher_pid == launcher
        present = {pid for kind in family(launcher).values() for pid in kind}
        assert init not in present
    herd.wait_gone("the end")


def wait_until(is_true: Callable[[], object]) -> None:
    """Look again and again, without a pause: a state may last for a moment only."""
    until_s = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < until_s


def is_being_killed(pid: int) -> bool:
    """Return whether a process has ended, or has been sent SIGKILL."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    pending = int(status.partition("SigPnd:")[2].split()[0], 16)
    return "State:\tZ" in status or bool(pending >> signal.SIGKILL - 1 & 1)


async def test_launcher_killed_while_it_ends_a_bomb_at_weak_leaves_no_process(
    herd: Herd, no_counting: None, programs: Path
) -> None:
    """The guard must not be killed before its group: if the launcher is killed next, nothing else kills the group.

    The group would end if it were in a cgroup: the next launcher empties those of killed ones.
    """
    for number in range(10):
        async with LinuxBox.open(1, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as box:
            bench = Bench(box, programs, herd.launcher.parent)

            async def bomb(bench: Bench = bench) -> None:
                with pytest.raises(BoxBroken):
                    await bench.run("bomb", 0, herd.mark, lim=limits(processes=8))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(bomb)
                payload, guard = await payload_and_init(box)
                await trio.to_thread.run_sync(wait_until, partial(children, payload))
                # the guard runs when its core has nothing else to do, as on a loaded host
                os.sched_setscheduler(guard, os.SCHED_IDLE, os.sched_param(0))
                send(box.launcher_pid, signal.SIGTERM)
                await trio.to_thread.run_sync(wait_until, partial(is_being_killed, guard))
                send(box.launcher_pid, signal.SIGKILL)
        await trio.to_thread.run_sync(herd.wait_gone, f"round {number}")
