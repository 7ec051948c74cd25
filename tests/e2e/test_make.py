"""``make run`` and ``make demo``, with the runbook's first check and commands of chapter 3; no leftovers."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from deepoj.words.sandbox import Isolation
from tests import host
from tests.e2e.chapter3 import follow_chapter_3
from tests.e2e.leftovers import Leftovers, gone, nothing_left
from tests.e2e.nodes import MAKE_RUN, ROOT, START_S, STOP_S, VERDICT_S, environment, family, running, until
from tests.e2e.runbook import CHECKED, ENGLISH, blocks


@pytest.fixture(scope="module")
def kept_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for all tests: first start, second start, and after SIGKILL."""
    yield tmp_path_factory.mktemp("make") / "home"


def sample_verdict(out: Path) -> bool:
    return "Result: Accepted" in out.read_text()


def asked_as_the_runbook_says(home: Path) -> list[str]:
    """Ask the node's servers as the runbook says: whether the stream exists, and the number of finished submissions."""
    [ways] = [block.text for block in blocks(ENGLISH) if block.kind == CHECKED and "export DEEPOJ_HOME" in block.text]
    questions = "redis EXISTS deepoj:jobs; sql \"SELECT count(*) FROM submissions WHERE state = 'done'\""
    env = {**os.environ, "DEEPOJ_HOME": str(home)}
    done = subprocess.run(
        ["bash", "-euc", ways + questions], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_run_shows_accepted_passes_the_runbooks_checks_and_ctrl_c_leaves_nothing(
    kept_home: Path, tmp_path: Path
) -> None:
    before = Leftovers.count(kept_home)
    with running(kept_home, command=MAKE_RUN) as node:
        until(lambda: sample_verdict(node.out), within_s=120, what=f"the sample's verdict; log: {node.tail()}")
        table = node.out.read_text()
        assert " ms" in table
        assert " KB" in table
        assert asked_as_the_runbook_says(kept_home) == ["1", "1"]
        node.passes_e2e_script()
        node.passes_e2e_script()
        follow_chapter_3(node.base, tmp_path)
        processes = family(psutil.Process(node.process.pid))
        assert len(processes) > 3
        # as a terminal does on Ctrl-C: the whole foreground group gets it, make included
        os.killpg(node.process.pid, signal.SIGINT)
        node.process.wait(STOP_S)
        until(lambda: gone(processes), within_s=120, what="every process is gone")
    nothing_left(kept_home, before)


@pytest.mark.full
def test_after_kill_9_of_the_whole_group_demo_works_and_ends_by_itself_with_0(kept_home: Path) -> None:
    before = Leftovers.count(kept_home)
    with running(kept_home, command=MAKE_RUN) as node:
        until(lambda: sample_verdict(node.out), within_s=120, what="the sample's verdict")
        processes = family(psutil.Process(node.process.pid))
        os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait(30)
        until(lambda: gone(processes), within_s=120, what="servers and sandboxes follow their node")
    settings, _ports = environment(kept_home, of_newcomer=True)
    done = subprocess.run(
        ["make", "--no-print-directory", "demo"],
        cwd=ROOT, env=settings, capture_output=True, text=True, timeout=START_S + VERDICT_S + STOP_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Result: Accepted" in done.stdout
    nothing_left(kept_home, before)


def on_terminal(command: list[str], env: Mapping[str, str], *, within_s: float) -> tuple[int, str]:
    """Run a command on a terminal of 24 lines of 80 columns. Return exit code and output."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    written = bytearray()
    deadline = time.monotonic() + within_s
    try:
        while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            written += os.read(ours, 65536)
    except OSError:  # EIO: no process has the terminal open any more
        return process.wait(STOP_S), written.decode()
    finally:
        os.close(ours)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError(f"not within {within_s:g} s: {written.decode()}")


def shown(written: str) -> list[str]:
    """Return the lines that stay on the screen, without cleared and overwritten ones."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    lines = [re.split(r"\r|\x1b\[K", line.rstrip("\r"))[-1] for line in plain.split("\n")]
    assert "\x1b" not in "".join(lines)
    return lines


@pytest.mark.full
def test_first_demo_on_a_terminal_fits_the_screen(tmp_path: Path) -> None:
    settings, _ports = environment(tmp_path / "home", {"TERM": "xterm-256color"}, of_newcomer=True)
    command = ["make", "--no-print-directory", "demo"]
    code, written = on_terminal(command, settings, within_s=START_S + VERDICT_S + STOP_S)
    assert code == 0, written
    lines = shown(written)
    is_weak = host.level() is Isolation.WEAK
    box = ("╭", "│", "╰") if is_weak else ()  # what this host needs for a stronger level, in a dozen lines
    assert len([line for line in lines if not line.startswith(box)]) <= 24, written
    assert all(len(line) <= 80 for line in lines), written
    assert not [line for line in lines if line.startswith("{")], written
    # progress is shown and cleared
    assert "creating the database cluster" in written
    assert "creating the database cluster" not in "\n".join(lines)
    assert re.search(r"^1 +Accepted +\d+ ms +\d+ KB$", "\n".join(lines), re.MULTILINE), written
    address = f"http://127.0.0.1:{settings['PORT']}"
    isolation = "╭─ Isolation: weak " if is_weak else "Isolation: "
    for begin in ("==> the node is up (", "Result: Accepted", isolation, f"Deep-OJ was up at {address} "):
        assert [line for line in lines if line.startswith(begin)], (begin, written)


#: `deepoj` on a host that offers weak isolation and no more
WEAK_HOST = """
import functools, sys
from deepoj import cli
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.sandbox import Isolation
LinuxBox.open = functools.partial(LinuxBox.open, at_most=Isolation.WEAK)
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "extra", "code"),
    [
        # tests/e2e/test_without_root.py judges the sample at `weak`, too
        pytest.param(["up", "--sample", "--exit"], {}, 0, marks=pytest.mark.full),
        (["up", "--sample", "--exit"], {"SANDBOX_MIN_ISOLATION": "namespaces"}, 2),
        (["up"], {}, 2),
    ],
)
def test_weak_host_is_accepted_with_a_warning_for_the_sample_alone(
    tmp_path: Path, words: list[str], extra: Mapping[str, str], code: int
) -> None:
    settings, _ports = environment(tmp_path / "home", extra, of_newcomer=True)
    done = subprocess.run(
        [sys.executable, "-c", WEAK_HOST, *words],
        cwd=ROOT, env=settings, capture_output=True, text=True, timeout=START_S + VERDICT_S + STOP_S, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    if code == 0:
        assert "Result: Accepted" in done.stdout
        assert "+- Isolation: weak -" in done.stdout
        assert last.startswith("{")
    else:
        assert done.stdout == ""
        assert "only 'weak' isolation where SANDBOX_MIN_ISOLATION=namespaces" in last
