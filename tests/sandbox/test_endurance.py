"""Ten thousand runs leave nothing behind: no descriptor, process or mount, and no memory to speak of."""

from __future__ import annotations

import faulthandler
import gc
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.words.sandbox import FileIn, FileOut, RunVerdict
from tests.sandbox.bench import Bench, limits
from tests.sandbox.test_life import at_rest, traces

RUNS = 10_000
MIXED = 600
SLOTS = 2
#: what all processes of the launcher may weigh more afterwards, and what the node may: a leak of 26 bytes a run is more
LAUNCHER_GROWTH_BYTES = 256 << 10
NODE_GROWTH_BYTES = 1 << 20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="slots let only root look into them")


@dataclass(frozen=True)
class Footprint:
    """What is there while nothing runs. Of each process of the launcher: descriptors and mounts."""

    held: dict[int, tuple[int, int]]
    host: dict[str, object]
    launcher_bytes: int
    node_bytes: int


def pss_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) << 10


def mounts(pid: int) -> int:
    return len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())


async def footprint(bench: Bench) -> Footprint:
    launcher = bench.box.launcher_pid
    everybody = [launcher, *sorted(process.pid for process in await at_rest(launcher, SLOTS))]
    held = {pid: (psutil.Process(pid).num_fds(), mounts(pid)) for pid in everybody}
    gc.collect()
    return Footprint(held, traces(), sum(map(pss_bytes, everybody)), pss_bytes(os.getpid()))


async def share(work: Callable[[int], Awaitable[None]], count: int) -> None:
    """The work ``count`` times, by as many as there are slots."""

    async def part(first: int) -> None:
        for number in range(first, count, SLOTS):
            await work(number)

    async with trio.open_nursery() as nursery:
        for first in range(SLOTS):
            nursery.start_soon(part, first)


def mixture(bench: Bench) -> Callable[[int], Awaitable[None]]:
    """All that leaves something to clear away, in turn."""
    source = bench.directory / "brought"
    source.write_bytes(b"x" * 10_000)

    async def files(number: int) -> None:
        target = bench.directory / f"taken-{number}"
        outcome = await bench.run(
            *("write_file", 5000, "out.bin"),
            files_in=(FileIn("in.txt", source),),
            files_out=(FileOut("out.bin", target, max_bytes=1 << 20),),
        )
        assert outcome.files_out == ("out.bin",), outcome
        target.unlink()

    async def failure(number: int) -> None:
        assert (await bench.run("exit", number % 200 + 1)).verdict is RunVerdict.RE
        assert (await bench.run("signal", 11)).exit_signal == 11

    async def dirt(number: int) -> None:
        assert (await bench.run("make_directory", f"left-{number}")).verdict is RunVerdict.OK

    async def cancelled(number: int) -> None:
        with trio.move_on_after(number % 7 * 0.0005):
            await bench.run("burn", 5)

    async def crowd(_: int) -> None:
        assert (await bench.run("daemon")).verdict is RunVerdict.OK

    async def no_program(_: int) -> None:
        unfit = bench.spec("ok", files_in=())
        brought = FileIn("main", source, executable=True, program=True)
        outcome = await bench.box.run(type(unfit)(argv=unfit.argv, limits=limits(), files_in=(brought,)))
        assert outcome.rule == "exec", outcome

    kinds = (files, failure, dirt, cancelled, crowd, no_program)

    async def one(number: int) -> None:
        await kinds[number // SLOTS % len(kinds)](number)

    return one


async def test_ten_thousand_runs_leave_nothing(bench: Bench) -> None:
    faulthandler.cancel_dump_traceback_later()  # a loaded host takes minutes, honestly

    async def trivial(_: int) -> None:
        assert (await bench.run("ok", program="probe-static")).verdict is RunVerdict.OK

    mixed = mixture(bench)
    await share(mixed, 60)
    await share(trivial, 500)
    before = await footprint(bench)
    await share(mixed, MIXED)
    await share(trivial, RUNS - MIXED)
    after = await footprint(bench)

    grown = (after.launcher_bytes - before.launcher_bytes, after.node_bytes - before.node_bytes)
    print(f"grown by {grown[0] / 1024:.0f} KiB below the launcher, {grown[1] / 1024:.0f} KiB in the node")  # noqa: T201
    assert after.held == before.held
    assert after.host == before.host
    assert grown[0] < LAUNCHER_GROWTH_BYTES, grown
    assert grown[1] < NODE_GROWTH_BYTES, grown
