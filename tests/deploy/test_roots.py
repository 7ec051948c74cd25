"""What runs in a root goes with whoever started it."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.deploy.roots import Within
from tests.e2e.leftovers import gone
from tests.e2e.nodes import until


@pytest.mark.parametrize("user", [0, 10001])
def test_no_process_outlives_its_starter(tmp_path: Path, user: int) -> None:
    """This machine's own files serve as the root: what counts is how a command is started."""
    (tmp_path / "root").mkdir()
    for name in ("usr", "proc", "dev", "etc"):
        (tmp_path / "root" / name).mkdir()
    for link in ("bin", "sbin", "lib", "lib64"):
        (tmp_path / "root" / link).symlink_to(f"usr/{link}")
    within = Within(tmp_path / "root", {}, user=user, setpriv=["--no-new-privs"], binds={"/usr": Path("/usr")})
    started = subprocess.Popen(within.command("sleep", "1000"), stdin=subprocess.DEVNULL)

    def sleeping() -> list[psutil.Process]:
        processes = []
        for process in psutil.Process(started.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a step of the start that has just ended
                if process.name() == "sleep":
                    processes.append(process)
        return processes

    try:
        until(lambda: bool(sleeping()), within_s=60, what="the command runs")
        processes = sleeping()
        assert {one.uids().real for one in processes} == {user}
    finally:
        started.kill()
        started.wait(30)
    until(lambda: gone(processes), within_s=30, what="it has gone, too")
