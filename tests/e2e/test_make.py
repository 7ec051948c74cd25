"""``make run`` and ``make demo`` as a newcomer uses them, with the runbook's first check; and what they leave behind:
nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.leftovers import Leftovers, gone, nothing_left
from tests.e2e.nodes import MAKE_RUN, ROOT, START_S, STOP_S, VERDICT_S, environment, family, running, until
from tests.e2e.runbook import CHECKED, ENGLISH, blocks


@pytest.fixture(scope="module")
def kept_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home through all of these: first start, second start, and after kill -9."""
    yield tmp_path_factory.mktemp("make") / "home"


def sample_verdict(out: Path) -> bool:
    return "Result: Accepted" in out.read_text()


def asked_as_the_runbook_says(home: Path) -> list[str]:
    """What the servers of such a node answer: is the stream there, and how many submissions are done."""
    [ways] = [block.text for block in blocks(ENGLISH) if block.kind == CHECKED and "DEEPOJ_HOME" in block.text]
    questions = "redis EXISTS deepoj:jobs; sql \"SELECT count(*) FROM submissions WHERE state = 'done'\""
    env = {**os.environ, "DEEPOJ_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-euc", ways + questions], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_run_shows_accepted_passes_the_first_check_twice_and_ctrl_c_leaves_nothing(kept_home: Path) -> None:
    before = Leftovers.count(kept_home)
    with running(kept_home, command=MAKE_RUN) as node:
        until(lambda: sample_verdict(node.out), within_s=120, what=f"the sample's verdict; log: {node.tail()}")
        table = node.out.read_text()
        assert " ms" in table
        assert " KB" in table
        assert asked_as_the_runbook_says(kept_home) == ["1", "1"]
        node.passes_e2e_script()
        node.passes_e2e_script()
        processes = family(psutil.Process(node.process.pid))
        assert len(processes) > 3
        # What a terminal does on Ctrl-C: the whole foreground group gets it, make too.
        os.killpg(node.process.pid, signal.SIGINT)
        node.process.wait(STOP_S)
        until(lambda: gone(processes), within_s=120, what="every process is gone")
    nothing_left(kept_home, before)


def test_after_kill_9_of_the_whole_group_demo_works_and_ends_by_itself_with_0(kept_home: Path) -> None:
    before = Leftovers.count(kept_home)
    with running(kept_home, command=MAKE_RUN) as node:
        until(lambda: sample_verdict(node.out), within_s=120, what="the sample's verdict")
        processes = family(psutil.Process(node.process.pid))
        os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait(30)
        until(lambda: gone(processes), within_s=120, what="servers and sandboxes follow their node")
    settings, _ports = environment(kept_home)
    done = subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=ROOT, env=settings, capture_output=True, text=True, timeout=START_S + VERDICT_S + STOP_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Result: Accepted" in done.stdout
    nothing_left(kept_home, before)
