"""Processes of a killed launcher or node whose next parent waits for none of them, as process 1 of a container may."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Isolation, RunVerdict
from tests.sandbox.bench import Bench, is_counted, limits
from tests.sandbox.test_life import DEADLINE_S, NODE, REPOSITORY, alive, descendants, named_main, status_of, until

#: prctl, of <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36
#: as many processes as a run may have
ALL = 20
TRIAL = """
import sys, trio
from pathlib import Path
from tests.sandbox.bench import Bench, limits, open_box

async def main(programs: Path, processes: int) -> None:
    async with open_box(1) as box:
        outcome = await Bench(box, programs, programs).run("forks", processes - 1, lim=limits(processes=processes))
        print(outcome.verdict, outcome.stdout.decode().strip())

trio.run(main, Path(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Make this process the parent of all orphans below it."""
    libc = ctypes.CDLL(None)
    known = {child.pid for child in psutil.Process().children()}
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0
    for child in psutil.Process().children():
        if child.pid not in known:
            with suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)


@pytest.mark.usefixtures("subreaper")
async def test_run_beside_unreaped_processes_of_a_killed_node_may_have_all_its_own(programs: Path) -> None:
    """They count for the user of their slot, which the next node must not take for its own."""
    env = {**os.environ, "DEEPOJ_TEST_ISOLATION": Isolation.WEAK}
    words, count = (("sleep", "1000000"), 1) if is_counted(Isolation.WEAK) else (("bomb",), ALL)
    command = [sys.executable, "-c", NODE, str(programs / "probe"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=env) as node:  # noqa: ASYNC220 - vfork, some ms
        try:
            assert node.stdout is not None
            launcher = int(node.stdout.readline())
            await until(lambda: len(named_main(launcher)) == count, "a run with all its processes")
            below = descendants(launcher)
            slots = children(launcher)
            for slot in slots:
                os.kill(slot, signal.SIGSTOP)  # else it may reap its run before it gets its death signal
            os.kill(launcher, signal.SIGKILL)  # first: if it sees the node end, it may have time to reap them
            for slot in slots:
                os.kill(slot, signal.SIGKILL)  # one that was stopped as the programs' user has no death signal
        finally:
            node.kill()
    await until(lambda: not alive(below), "all of them ended")
    assert [status_of(process) for process in below].count(psutil.STATUS_ZOMBIE) >= count

    trial = await trio.run_process(
        [sys.executable, "-c", TRIAL, str(programs), str(ALL)],
        cwd=REPOSITORY, env=env, capture_stdout=True, capture_stderr=True, check=False,
    )  # fmt: skip

    assert trial.stdout.decode() == f"{RunVerdict.OK} {ALL - 1}\n", trial.stderr.decode()


@pytest.mark.usefixtures("subreaper")
async def test_node_whose_launcher_is_killed_reaps_its_processes(bench: Bench) -> None:
    """At other levels an init ends only when its cell's other processes have been waited for."""
    launcher = bench.box.launcher_pid

    async def run() -> None:
        with pytest.raises(BoxBroken):
            await bench.run("sleep", 1_000_000, lim=limits(cpu_ms=3_000_000, wall_ms=3_000_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(lambda: bool(named_main(launcher)), "a payload")
        below = descendants(launcher)
        os.kill(launcher, signal.SIGKILL)

    assert (await bench.run("ok")).verdict is RunVerdict.OK
    await until(lambda: not alive(below), "all of them ended")
    assert [process.pid for process in below if process.pid in psutil.pids()] == []


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_ended(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def stop_a_newborn(guards: Mapping[int, Sequence[int]]) -> tuple[int, int]:
    """Stop the next child of a slot as soon as it is seen. Return the slot and the child."""
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        for slot, guard in guards.items():
            for child in set(children(slot)) - set(guard):
                os.kill(child, signal.SIGSTOP)
                return slot, child
    pytest.fail(f"no run within {DEADLINE_S:g} s")


@contextmanager
def busy(core: int) -> Iterator[None]:
    """Let a core have something else to do than processes of the policy SCHED_IDLE."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as loop:
        try:
            os.sched_setaffinity(loop.pid, {core})
            assert loop.stdout is not None
            loop.stdout.readline()
            yield
        finally:
            loop.kill()


async def kill_all_but_a_newborn(bench: Bench) -> int:
    """Kill launcher, guard and slot while a payload sets itself up, and let it go on. Return the payload."""

    async def run() -> None:
        with pytest.raises(BoxBroken):
            await bench.run("sleep", 1_000_000)  # would not end by itself, nor by a limit of the kernel's

    launcher = bench.box.launcher_pid
    await until(lambda: len(slots := children(launcher)) == 3 and all(map(children, slots)), "guards")
    guards = {slot: children(slot) for slot in children(launcher)}
    core = min(os.sched_getaffinity(0))
    for slot in guards:  # and so their children: the payload is stopped before it has done anything
        os.sched_setaffinity(slot, {core})
        # the flag, which may be set already, is not taken away without CAP_SYS_NICE; children stay idle all the same
        os.sched_setscheduler(slot, os.SCHED_IDLE | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    async with trio.open_nursery() as nursery:
        with busy(core):
            nursery.start_soon(run)
            slot, newborn = await trio.to_thread.run_sync(stop_a_newborn, guards)
            os.kill(slot, signal.SIGSTOP)  # else it may see the guard's end, and answer before its own
            for pid in (launcher, *guards[slot], slot):
                os.kill(pid, signal.SIGKILL)
        await until(lambda: newborn in children(os.getpid()), "the slot's end")
        os.kill(newborn, signal.SIGCONT)
    return newborn


@pytest.mark.usefixtures("subreaper", "no_counting")
async def test_payload_born_while_all_others_are_killed_does_not_become_the_program_at_weak(programs: Path) -> None:
    """It joins its group after the guard's end, and asks for a death signal after its parent's end.

    The program would live on: it is in no cgroup that another launcher empties. The name of what has ended says
    nothing: a death signal may come in the middle of the exec.
    """
    for _ in range(5):
        async with LinuxBox.open(1, at_most=Isolation.WEAK, min_isolation=Isolation.WEAK) as box:
            newborn = await kill_all_but_a_newborn(Bench(box, programs, programs))
            try:
                await until(partial(has_ended, newborn), "the payload's end")
            finally:
                with suppress(ProcessLookupError):
                    os.kill(newborn, signal.SIGKILL)
