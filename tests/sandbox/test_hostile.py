"""Hostile programs: each ends in bounded time, sees nothing of others and leaves nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deepoj.words.sandbox import FileOut, Policy, RunVerdict
from tests.sandbox.bench import MIB, Bench, limits, said
from tests.sandbox.lent import LentBox
from tests.sandbox.test_life import named_main

OK, TLE, MLE, OLE, RE, SE = RunVerdict


@pytest.fixture
def bench(lent: LentBox, programs: Path, tmp_path: Path) -> Bench:
    return Bench(lent, programs, tmp_path)


async def test_a_fork_bomb_is_bounded_and_gone(bench: Bench) -> None:
    outcome = await bench.run("bomb", lim=limits(cpu_ms=500))  # it uses that much with any share of the cores

    assert (outcome.verdict, outcome.rule) == ((RE, "processes") if bench.counted else (TLE, "cpu"))
    assert (await bench.run("ok")).verdict is OK


async def test_processes_are_limited_for_the_run_alone(bench: Bench) -> None:
    """Two runs of one uid at a time, each with its whole quota: a limit by uid would starve the second."""
    import trio

    outcomes = []

    async def fork_many(mode: str) -> None:
        # where processes are counted, one too many may be missed, and ends the run when it is seen
        outcomes.append(await bench.run(mode, 19 if bench.counted else 50, lim=limits(processes=20)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fork_many, "forks")
        nursery.start_soon(fork_many, "threads")

    assert [(outcome.verdict, outcome.stdout) for outcome in outcomes] == [(OK, b"19\n")] * 2


async def test_threads_count_where_the_first_one_has_ended(bench: Bench) -> None:
    then = "stay" if bench.counted else "exit"
    outcome = await bench.run("threads_without_first", 50, then, lim=limits(processes=20))

    if bench.counted:
        assert (outcome.verdict, outcome.rule) == (RE, "processes")
    else:
        assert (outcome.verdict, outcome.stdout) == (OK, b"18\n")


async def test_a_daemon_does_not_outlive_its_run_nor_hang_it(bench: Bench) -> None:
    outcome = await bench.run("daemon")

    assert (outcome.verdict, outcome.stdout) == (OK, b"gone\n")
    assert outcome.wall_ms < 30_000
    assert named_main(bench.box.launcher_pid) == []


async def test_killing_everybody_kills_only_itself(bench: Bench) -> None:
    outcome = await bench.run("kill_all", lim=limits(wall_ms=500))

    # kill(-1) spares its caller and init; the caller then waits without end
    assert (outcome.verdict, outcome.rule) == (TLE, "wall")
    assert (await bench.run("ok")).verdict is OK


async def test_a_stopped_program_meets_the_wall(bench: Bench) -> None:
    outcome = await bench.run("stop", lim=limits(wall_ms=500))

    assert (outcome.verdict, outcome.rule) == (TLE, "wall")


async def test_a_program_without_streams_is_still_watched(bench: Bench) -> None:
    outcome = await bench.run("close_and_loop", lim=limits(cpu_ms=300))

    assert (outcome.verdict, outcome.rule) == (TLE, "cpu")


async def test_no_program_can_forge_a_system_error(bench: Bench) -> None:
    outcome = await bench.run("forge")

    assert (outcome.verdict, outcome.rule, outcome.exit_code) == (RE, "exit", 127)
    assert outcome.sandbox_error is None


@pytest.mark.parametrize("policy", list(Policy))
async def test_there_is_no_network(bench: Bench, policy: Policy) -> None:
    found = said(await bench.run("network", policy=policy))

    assert found.pop("socketpair") == "0"
    assert set(found.values()) == {str(errno.EAFNOSUPPORT)}


@pytest.mark.parametrize("policy", list(Policy))
async def test_ways_out_are_shut(bench: Bench, policy: Policy) -> None:
    outcome = await bench.run("escape", policy=policy)

    assert outcome.verdict is OK
    found = said(outcome)
    assert len(found) == 28
    assert {name: number for name, number in found.items() if int(number) not in (errno.EPERM, errno.ENOSYS)} == {}


@pytest.mark.parametrize("policy", list(Policy))
async def test_nothing_of_the_host_can_be_written_or_read(bench: Bench, policy: Policy) -> None:
    outcome = await bench.run("look", policy=policy)
    found = said(outcome)

    assert outcome.verdict is OK
    assert {path for path, number in found.items() if number == "0"} == set()


async def test_the_files_of_other_jobs_do_not_exist(bench: Bench, tmp_path: Path) -> None:
    secret = tmp_path / "answer"
    secret.write_text("42")

    can = "opens" if bench.weak else "exists"  # without a root of one's own names are seen, but not what they name
    for path in (secret, Path(__file__), tmp_path):
        assert (await bench.run(can, str(path))).exit_code == 1


async def test_a_program_sees_only_itself(bench: Bench) -> None:
    outcome = await bench.run("self", env=(("LANG", "C"),))
    lines = outcome.stdout.decode().splitlines()
    found = said(outcome)
    assert found["fds"] == "3"
    if bench.weak:
        assert found["processes"] == "-1", "/proc is the host's there, and shut"
        return

    # root gives each slot a uid of its own, below the one that an ordinary user's programs all have
    assert (found["uid"] == "65534") is bench.shares_user
    assert 65534 - 8192 < int(found["uid"]) <= 65534
    assert found["gid"] == "65534"
    # init is hidden from a payload of another uid
    assert found["processes"] in (("1", "2") if bench.box.has_proc else ("0",))
    assert (found["pid_is_1"], found["group_leader"]) == ("0", "1")
    assert [line for line in lines if line.startswith("env")] == ["env LANG=C"]


async def test_input_cannot_be_written_through_its_descriptor(bench: Bench, tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.write_text("input")
    outcome = await bench.run("reopen_stdin", stdin=given)

    assert outcome.verdict is OK
    assert "0" not in said(outcome).values()
    assert given.read_text() == "input"
    assert given.stat().st_mode & 0o777 != 0o777


@pytest.mark.parametrize("policy", list(Policy))
async def test_no_program_alters_a_file_of_the_node(bench: Bench, tmp_path: Path, policy: Policy) -> None:
    """Without root and namespaces the node's files belong to the program's own user."""
    secrets, secret = tmp_path / "secrets", tmp_path / "secrets" / "key"
    secrets.mkdir(0o700)
    secret.write_text("key")
    secret.chmod(0o600)
    before = [path.stat() for path in (secrets, secret)]

    for path in (secrets, secret):
        assert (await bench.run("alter", str(path), policy=policy)).verdict is OK

    after = [path.stat() for path in (secrets, secret)]
    assert [(it.st_mode, it.st_ctime_ns, it.st_mtime_ns) for it in after] == [
        (it.st_mode, it.st_ctime_ns, it.st_mtime_ns) for it in before
    ]
    assert secret.read_text() == "key"


@pytest.mark.parametrize("policy", list(Policy))
async def test_no_program_leaves_a_time_on_a_device(bench: Bench, policy: Policy) -> None:
    """Devices belong to the host: the next run would read times that are written there."""
    devices = [Path("/dev") / name for name in ("null", "full", "random", "urandom")]
    before = [device.stat() for device in devices]

    for device in devices:
        assert (await bench.run("touch", str(device), policy=policy)).verdict is OK

    after = [device.stat() for device in devices]
    assert [(it.st_mtime_ns, it.st_ctime_ns) for it in after] == [(it.st_mtime_ns, it.st_ctime_ns) for it in before]


@pytest.fixture
def batch() -> Iterator[int]:
    """A process of this user under SCHED_BATCH."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            os.sched_setscheduler(process.pid, os.SCHED_BATCH, os.sched_param(0))
            yield process.pid
        finally:
            process.kill()


@pytest.mark.parametrize("policy", list(Policy))
async def test_no_program_reschedules_a_process_of_the_host(bench: Bench, batch: int, policy: Policy) -> None:
    """Some runtimes ask for the scheduler that they have: the call succeeds and changes nothing."""
    assert (await bench.run("schedule", batch, policy=policy)).verdict is OK

    assert os.sched_getscheduler(batch) == os.SCHED_BATCH


@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/self/environ", "main", "/dev/zero"])
async def test_a_link_is_not_followed_out(bench: Bench, tmp_path: Path, target: str) -> None:
    out = FileOut("made", tmp_path / "made", MIB)
    outcome = await bench.run("link_file", "made", target, policy=Policy.COMPILE, files_out=(out,))

    assert (outcome.verdict, outcome.files_out) == (OK, ())
    assert not out.path.exists()


async def test_a_directory_is_no_output_file(bench: Bench, tmp_path: Path) -> None:
    out = FileOut("made", tmp_path / "made", MIB)
    outcome = await bench.run("make_directory", "made", files_out=(out,))

    assert (outcome.verdict, outcome.files_out) == (OK, ())


async def test_one_run_leaves_nothing_for_the_next(bench: Bench) -> None:
    for place in ("note",) if bench.weak else ("note", "/tmp/note", "/dev/shm/note"):
        assert (await bench.run("write_file", 10, place)).verdict is OK
        assert (await bench.run("exists", place)).exit_code == 1


def pages_taken(launcher: int) -> int:
    """Return the page faults of all its slots since their start."""
    slots = psutil.Process(launcher).children()
    return sum(int(Path(f"/proc/{slot.pid}/stat").read_text().rpartition(")")[2].split()[7]) for slot in slots)


async def test_no_program_can_tell_by_its_weight_that_another_wrote_much(bench: Bench) -> None:
    """The kernel's peak for a program begins with that of the slot in whose memory it was born: a slot's grows by its
    first run, of any program, and no more. Sanitizers take some pages in every run."""
    for _ in range(3):
        await bench.run("ok")
    before = pages_taken(bench.box.launcher_pid)
    await bench.run("ok")
    ordinary = pages_taken(bench.box.launcher_pid) - before
    await bench.run("out", 4 * MIB, lim=limits(output_bytes=8 * MIB))

    assert pages_taken(bench.box.launcher_pid) - before - 2 * ordinary < 32


async def test_foreign_system_calls_kill(bench: Bench) -> None:
    outcome = await bench.run("x32")

    assert (outcome.verdict, outcome.exit_signal) == (RE, 31)
