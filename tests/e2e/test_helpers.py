"""The tests' own instruments: each would tell if something were wrong."""

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
from tests.e2e.leftovers import Leftovers, launcher_lives, mounts_of, nothing_left, runs, standing_at
from tests.e2e.nodes import DEEPOJ, until
from tests.e2e.typed import typed
from tests.ports import Ports, free_ports, is_free, outside, share
from tests.servers import tied


@pytest.fixture
def home() -> Iterator[Path]:
    """Short, for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="ojhlp", dir="/tmp") as place:
        made = Path(place) / "home"
        made.mkdir()
        yield made


@contextlib.contextmanager
def orphan(*command: str, cwd: Path, env: dict[str, str] | None = None) -> Iterator[int]:
    """A process whose parent is no longer its own: what an unclean end leaves. Its pid."""
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


def test_who_stands_in_the_home_is_found(home: Path) -> None:
    assert standing_at(home) == []
    (home / "below").mkdir()
    with orphan("sleep", "600", cwd=home / "below") as pid:
        assert standing_at(home) == [pid]
        assert standing_at(home.parent / "hom") == []
    assert standing_at(home) == []


@pytest.mark.parametrize("how", ["told", "argument", "open file"])
def test_who_has_to_do_with_the_home_is_found(home: Path, tmp_path: Path, how: str) -> None:
    command = ["sleep", "600"]
    env = dict(os.environ)
    if how == "told":
        env["DEEPOJ_HOME"] = str(home)
    elif how == "argument":
        command = [sys.executable, "-c", "import time; time.sleep(600)", f"--home={home}"]
    else:
        command = ["sh", "-c", f'exec 9> "{home}/open"; unset PWD; cd /; exec env -i sleep 600']
    with orphan(*command, cwd=tmp_path, env=env) as pid:
        until(lambda: standing_at(home) == [pid], within_s=120, what="it is found")
        if how == "open file":
            until(lambda: psutil.Process(pid).name() == "sleep", within_s=120, what="it is a plain sleep")
            assert standing_at(home) == [pid]


def test_a_process_and_a_socket_that_stay_are_left_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_SOON_S", 0.2)
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


def test_mounts_of_the_home_are_told_from_others() -> None:
    lines = (
        "36 35 98:0 /tmp/a/home /mnt rw - ext4 /dev/root rw",
        "37 35 98:0 / /tmp/a/home/root rw,noatime shared:1 - tmpfs none rw",
        "38 35 98:0 / /tmp/b rw - overlay /tmp/a/home rw",
        "39 35 98:0 / /tmp/a/home2 rw - tmpfs none rw",
        "40 35 98:0 / / rw - ext4 /dev/root rw",
    )
    found = mounts_of(Path("/tmp/a/home"), "\n".join(lines))
    assert [line.split()[0] for line in found] == ["36", "37", "38"]


def test_a_dead_launchers_cgroup_is_told_from_a_live_ones() -> None:
    nobodys_pid = 2**22 + 1  # more than any kernel gives
    assert not launcher_lives(Path(f"/sys/fs/cgroup/deepoj.{nobodys_pid}"))
    assert launcher_lives(Path(f"/sys/fs/cgroup/deepoj.{os.getpid()}"))


def test_what_is_tied_ends_with_us_even_by_kill_9(tmp_path: Path) -> None:
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


def test_ports_are_free_and_none_is_given_twice() -> None:
    given = free_ports(50)
    assert len(set(given)) == 50
    assert all(is_free(port) for port in given)


@pytest.mark.parametrize(
    ("own", "chosen"),
    [
        ((32_768, 60_999), range(10_240, 32_768)),
        ((1024, 60_999), range(61_000, 65_536)),
        ((1024, 65_535), range(10_240, 65_536)),
    ],
)
def test_ports_are_not_those_the_kernel_gives_away(own: tuple[int, int], chosen: range) -> None:
    assert outside(*own) == chosen


def test_test_runs_beside_each_other_have_ports_of_their_own() -> None:
    shares = [share(range(10_240, 32_768), number, 7) for number in range(7)]
    assert len({port for one in shares for port in one}) == sum(map(len, shares)) > 22_500
    assert share(range(10_240, 32_768), 0, 1) == range(10_240, 32_768)


def test_a_port_that_somebody_has_is_passed_over() -> None:
    first, second = free_ports(2)
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", first))
        assert not is_free(first)
        ports = Ports(range(first, first + 1))
        with pytest.raises(AssertionError, match="no port left"):
            ports.take()
    assert Ports(range(second, second + 1)).take() == second


@pytest.mark.parametrize(
    "words",
    [
        ("config", "show"),
        ("status", "x", "--url", "http://127.0.0.1:9", "--retry-for", "0"),
        ("completion", "bash"),
        ("x",),
    ],
)
def test_what_is_typed_is_the_program_as_it_starts_by_itself(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "config.yaml").write_text("api: {port: 12345}\n")
    env = {"PATH": "/usr/bin:/bin", "WORKER_ID": "a-worker", "COLUMNS": "70"}
    itself = subprocess.run(
        [str(DEEPOJ), *words], env=env, cwd=tmp_path, input="", capture_output=True, text=True, check=False
    )
    ours = typed(*words, env=env, cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (itself.returncode, itself.stdout, itself.stderr)
    assert ("12345" in ours.stdout) == (words == ("config", "show"))


def test_what_is_typed_reads_what_it_is_given_and_ends_in_time(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(tmp_path)}
    nobody = ("login", "http://127.0.0.1:9", "--username", "x")
    assert "password" in typed(*nobody, env=env, given="").stderr.lower()
    with pytest.raises(subprocess.TimeoutExpired):
        typed(*nobody, "--retry-for", "600", env=env, given="a password\n", within_s=1.0)
    assert "cannot be reached" in typed(*nobody, "--retry-for", "0", env=env, given="a password\n").stderr
