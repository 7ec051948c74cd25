"""``runner.cgroup_cpu_max_cores`` and ``runner.cgroup_io_read_bps`` where they have an effect: at level ``full``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.vm.machine import REPOSITORY, Machine
from tests.vm.test_full import settings

_ROWS = """
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from deepoj.adapters.sandbox.rates import Rates
from deepoj.words.sandbox import Policy, RunSpec, RunVerdict
from tests.sandbox.bench import Bench, limits, open_box

MIB = 1024 * 1024


async def group_of_a_run():
    # the group made for the next run is empty
    with trio.fail_after(60):
        while True:
            for group in Path("/sys/fs/cgroup").glob("command*/deepoj.*/*-*-*"):
                with suppress(FileNotFoundError):  # the group of the run before is being removed
                    if "populated 1" in (group / "cgroup.events").read_text():
                        return group
            await trio.sleep(0.05)


async def lines_of(bench, policy):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(bench.run, "sleep", 100_000, policy=policy, lim=limits(wall_ms=120_000)))
        group = await group_of_a_run()
        lines = [(group / name).read_text().split() for name in ("cpu.max", "io.max")]
        nursery.cancel_scope.cancel()
    return lines


async def read_ms(box, file):
    outcome = await box.run(RunSpec(argv=("/usr/bin/md5sum", str(file)), limits=limits()))
    assert outcome.verdict is RunVerdict.OK, outcome
    return outcome.wall_ms


async def main(directory, device):
    programs = Path(sys.argv[3])
    rates = Rates(cpu_cores=0.1, read_bps=2 * MIB)
    async with open_box(1, rates=rates, mounts=(str(directory),)) as box:
        assert "limit nothing" not in str(box.preflight.reasons), box.preflight
        bench = Bench(box, programs, directory)
        cpu, io = await lines_of(bench, Policy.RUN)
        assert cpu == ["10000", "100000"], cpu
        assert (io[0], io[1]) == (device, f"rbps={2 * MIB}"), io
        assert await lines_of(bench, Policy.COMPILE) == [["max", "100000"], []]
        limited_ms = await read_ms(box, directory / "limited")

        # A hundred periods. Its pauses make it pass its wall limit, and they are delay. A loaded host keeps an emulated
        # machine from running, which the machine cannot tell from the program's own time: so the limit is not tight.
        outcome = await bench.run("burn", 1000, lim=limits(wall_ms=8000))
        assert (outcome.verdict, outcome.rule) == (RunVerdict.OK, "ok"), outcome
        assert outcome.wall_ms > 8000, outcome
    async with open_box(1, mounts=(str(directory),)) as box:
        free_ms = await read_ms(box, directory / "free")
    print(f"read in {limited_ms} ms limited, {free_ms} ms free; {outcome.wall_ms} ms by the clock, "
          f"{outcome.cpu_ms} ms of CPU, {outcome.delay_ms} ms of delay")
    assert limited_ms > 2000, limited_ms
    assert limited_ms > 2 * free_ms, (limited_ms, free_ms)
    print("held")


trio.run(main, Path(sys.argv[1]), sys.argv[2])
"""

_NO_DISK = """
import trio

from deepoj.adapters.sandbox.launcher import Setting
from deepoj.adapters.sandbox.preflight import settle
from deepoj.adapters.sandbox.rates import RateLines, Rates
from tests.sandbox.bench import open_box


async def main():
    async with open_box(1, rates=Rates(read_bps=1000)) as box:
        print(box.preflight.reasons)
    unknown = RateLines(io_max=("250:250 rbps=1000",))
    launcher, found = await settle(Setting(slots=1, run_uid=65534, run_gid=65534, mounts=(), rates=unknown))
    await launcher.close()
    print(found.isolation, found.reasons)


trio.run(main)
"""


# Beside what it measures: the first limit of CPU makes the kernel patch its scheduler. On a loaded host an emulated
# kernel has run into that patch (an int3 in pick_task_fair).
@pytest.mark.measured
def test_rates_limit_programs_and_no_compilers(vm: Machine, programs: Path) -> None:
    script = f"""
        modprobe loop
        modprobe ext4
        truncate -s 32M $TMPDIR/disk.img
        mke2fs -q -t ext4 -F $TMPDIR/disk.img
        mkdir $TMPDIR/disk
        mount -o loop $TMPDIR/disk.img $TMPDIR/disk
        dd if=/dev/urandom of=$TMPDIR/disk/limited bs=1M count=8 status=none
        dd if=/dev/urandom of=$TMPDIR/disk/free bs=1M count=8 status=none
        sync
        echo 3 > /proc/sys/vm/drop_caches
        cd {shlex.quote(str(REPOSITORY))}
        exec env {settings(programs)} {sys.executable} -c {shlex.quote(_ROWS)} \\
            $TMPDIR/disk $(mountpoint -d $TMPDIR/disk) {shlex.quote(str(programs))}
    """

    done = vm.run(script)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "held"


def test_rates_that_limit_nothing_are_named_among_the_reasons(vm: Machine, programs: Path) -> None:
    """The machine's root is an overlay, which has no disk of its own; and the kernel refuses a disk that it lacks."""
    script = f"""
        cd {shlex.quote(str(REPOSITORY))}
        exec env {settings(programs)} {sys.executable} -c {shlex.quote(_NO_DISK)}
    """

    done = vm.run(script)

    assert done.returncode == 0, done.stdout + done.stderr
    no_disk, unknown_disk = done.stdout.splitlines()
    assert "no disk is under the paths they see" in no_disk
    assert unknown_disk.startswith("full ")
    assert "limit nothing" in unknown_disk
