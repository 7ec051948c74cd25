"""A program that changed, on a file system that counts in seconds: one of the sandbox's rows, where that one is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from tests.vm.machine import REPOSITORY, Machine
from tests.vm.test_full import settings

_ROW = """
import sys
from pathlib import Path

import trio

from tests.sandbox.bench import Bench, open_box
from tests.sandbox.test_verdicts import test_a_program_that_changed_is_the_new_one as row


async def main(directory: Path) -> None:
    async with open_box(1) as box:
        await row(Bench(box, directory, directory), directory)


trio.run(main, Path(sys.argv[1]))
print("held")
"""


def test_a_file_system_that_counts_in_seconds(vm: Machine, programs: Path) -> None:
    """Two programs of one size, one after the other in one inode, look the same there."""
    script = f"""
        modprobe loop
        modprobe ext4
        truncate -s 16M $TMPDIR/coarse.img
        mke2fs -q -t ext3 -I 128 -F $TMPDIR/coarse.img
        mkdir $TMPDIR/coarse
        mount -o loop $TMPDIR/coarse.img $TMPDIR/coarse
        cd {shlex.quote(str(REPOSITORY))}
        exec env {settings(programs)} {sys.executable} -c {shlex.quote(_ROW)} $TMPDIR/coarse
    """

    done = vm.run(script)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "held"
