"""Processes of a killed launcher or node whose next parent waits for none of them, as process 1 of a container may."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import Isolation, RunVerdict
from tests.sandbox.bench import Bench, is_counted, limits
from tests.sandbox.test_life import NODE, REPOSITORY, alive, descendants, named_main, status_of, until

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
            os.kill(launcher, signal.SIGKILL)  # first: if it sees the node end, it may have time to reap them
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
