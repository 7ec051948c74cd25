"""Instruments of the end-to-end tests that could make a broken program look well."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e import leftovers
from tests.e2e.leftovers import Leftovers, nothing_left, runs
from tests.e2e.nodes import DEEPOJ, until
from tests.e2e.typed import typed
from tests.servers import tied


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a short path, for its sockets."""
    with tempfile.TemporaryDirectory(prefix="ojhlp", dir="/tmp") as place:
        made = Path(place) / "home"
        made.mkdir()
        yield made


@contextlib.contextmanager
def orphan(*command: str, cwd: Path, env: dict[str, str] | None = None) -> Iterator[int]:
    """Run a process that outlives its parent, as after a crash. Yield its pid."""
    told = cwd / "pid"
    script = f'"$@" <&0 & echo $! > "{told}"'
    subprocess.run(["/bin/sh", "-c", script, "sh", *command], cwd=cwd, env=env, check=True)
    pid = int(told.read_text())
    told.unlink()
    process = psutil.Process(pid)
    try:
        assert process.ppid() != os.getpid()
        yield pid
    finally:
        process.kill()
        until(lambda: not runs(process), within_s=120, what="it is gone")


def test_nothing_left_fails_for_a_process_and_a_socket_of_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_SOON_S", 0.2)
    monkeypatch.setattr(leftovers, "_CGROUPS", home)  # other tests kill launchers meanwhile
    before = Leftovers.count(home)
    nothing_left(home, before)
    with orphan("sleep", "600", cwd=home), pytest.raises(AssertionError, match=r"left behind: .*sleep 600"):
        nothing_left(home, before)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as bound:
        bound.bind(str(home / "a.sock"))
        with pytest.raises(AssertionError, match=r"left behind: .*a\.sock"):
            nothing_left(home, before)
    with pytest.raises(AssertionError, match=r"left behind: .*a\.sock"):
        nothing_left(home, before)
    (home / "a.sock").unlink()
    nothing_left(home, before)


def test_tied_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = (
        "import subprocess, sys, time\n"
        "from pathlib import Path\n"
        "from tests.servers import tied\n"
        f"child = subprocess.Popen(tied('sleep', '600'), start_new_session=True)\n"
        f"Path({str(told)!r} + '.new').write_text(str(child.pid))\n"
        f"Path({str(told)!r} + '.new').rename({str(told)!r})\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(tied(sys.executable, "-c", script), cwd=Path(__file__).parents[2]) as parent:
        until(told.exists, within_s=120, what="the child is started")
        child = psutil.Process(int(told.read_text()))
        until(lambda: child.name() == "sleep", within_s=120, what="setpriv has done its part")
        parent.send_signal(signal.SIGKILL)
    until(lambda: not runs(child), within_s=120, what="the child follows")


@pytest.mark.parametrize(
    "words",
    [
        ("config", "show"),
        ("status", "x", "--url", "http://127.0.0.1:9", "--retry-for", "0"),
        ("completion", "bash"),
        ("x",),
    ],
)
def test_typed_command_prints_and_exits_like_the_installed_program(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "config.yaml").write_text("api: {port: 12345}\n")
    env = {"PATH": "/usr/bin:/bin", "WORKER_ID": "a-worker", "COLUMNS": "70"}
    itself = subprocess.run(
        [str(DEEPOJ), *words], env=env, cwd=tmp_path, input="", capture_output=True, text=True, check=False
    )
    ours = typed(*words, env=env, cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (itself.returncode, itself.stdout, itself.stderr)
    assert ("12345" in ours.stdout) == (words == ("config", "show"))
