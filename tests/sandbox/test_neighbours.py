"""What a program does to its neighbour in the other slot, and what a host that is busy with others does to a run.

``python -m tests.neighbours`` makes a table of it, with many rounds."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.judging.borderline import is_starved
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, Isolation, Policy, RunSpec, RunVerdict
from tests.host import PROC
from tests.neighbours import KINDS, PROGRAM, WORKERS, Figures, Street, compile_hogs
from tests.sandbox.bench import limits, open_box
from tests.sandbox.test_life import run_as_owner, until
from tests.servers import tied

#: the other rounds belong to the rest of the suite
ROUNDS = [1, pytest.param(2, marks=pytest.mark.full)]


@pytest.fixture(scope="module")
def hogs(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    if (programs / "hogs").exists():
        return programs
    directory = tmp_path_factory.mktemp("hogs")
    compile_hogs(directory)
    return directory


@pytest.fixture
async def street(box: LinuxBox, hogs: Path, tmp_path: Path) -> Street:
    street = Street(box, hogs, tmp_path)
    await street.calibrate()
    return street


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_hog_does_not_make_its_neighbour_fail(street: Street, kind: str, rounds: int) -> None:
    figures = Figures()

    for _ in range(rounds):
        await street.round(kind, figures)

    assert figures.wrong == []


@pytest.mark.parametrize("policy", list(Policy))
async def test_a_run_cannot_change_its_share(box: LinuxBox, policy: Policy) -> None:
    """A session of its own would be one more share, and the slot's is there for the next run as well."""
    tries = (
        "setsid true || echo session; nice -n 5 true 2>&1; echo 5 2>/dev/null > /proc/self/autogroup || echo autogroup"
    )

    outcome = await box.run(RunSpec(argv=("/bin/sh", "-c", tries), limits=limits(), policy=policy))

    refused = outcome.stdout.decode().splitlines()
    assert refused == ["session", "nice: cannot set niceness: Operation not permitted", "autogroup"]


def children(pid: str) -> list[str]:
    return Path("/proc", pid, "task", pid, "children").read_text().split()


async def test_slot_shares_its_session_with_the_init_of_its_run(box: LinuxBox) -> None:
    """In another session an init would wait for the run that it is to end, where that leaves others nothing."""
    await box.run(RunSpec(argv=("/bin/true",), limits=limits()))

    pairs = [(slot, child) for slot in children(str(box.launcher_pid)) for child in children(slot)]

    assert pairs
    assert [os.getsid(int(child)) for _, child in pairs] == [int(slot) for slot, _ in pairs]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="a host with one core")
@pytest.mark.parametrize("policy", list(Policy))
async def test_a_run_of_many_runnable_tasks_is_bound_to_one_core(box: LinuxBox, policy: Policy) -> None:
    script = (
        "for i in 1 2 3 4; do while :; do :; done & done; while test $(nproc) -gt 1; do :; done;"
        " (while test $(nproc) -gt 1; do :; done; echo $(nproc))"
    )

    outcome = await box.run(RunSpec(argv=("/bin/sh", "-c", script), limits=limits(), policy=policy))

    assert (outcome.verdict, outcome.stdout) == (RunVerdict.OK, b"1\n")


async def test_a_run_of_one_task_may_use_all_cores(box: LinuxBox) -> None:
    script = "i=0; while test $i -lt 500000; do i=$((i + 1)); done; nproc"

    outcome = await box.run(RunSpec(argv=("/bin/sh", "-c", script), limits=limits()))

    assert int(outcome.stdout) == len(os.sched_getaffinity(0))


@contextmanager
def busy(hogs: Path) -> Iterator[None]:
    """Each core is wanted by a program that is none of the box's."""
    command = tied(hogs / PROGRAM, "processes", "0")
    spinners = []
    try:
        for _ in os.sched_getaffinity(0):
            spinner = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
            spinners.append(spinner)
            assert spinner.stdout is not None
            assert spinner.stdout.readline() == b"ready\n"
        yield
    finally:
        for spinner in spinners:
            with spinner:
                spinner.send_signal(signal.SIGKILL)


async def lower_share(box: LinuxBox) -> None:
    """Let the box's runs weigh a tenth of other programs, by groups, sessions or tasks."""
    launcher = Path("/proc", str(box.launcher_pid))
    if box.isolation is Isolation.FULL:
        own = launcher.joinpath("cgroup").read_text().strip().removeprefix("0::")
        Path(f"/sys/fs/cgroup{own}").with_name(f"deepoj.{box.launcher_pid}").joinpath("cpu.weight").write_text("10")
        return
    for slot in children(launcher.name):
        nice = max(10, os.getpriority(os.PRIO_PROCESS, int(slot)))  # lowering it would need a right
        assert run_as_owner(psutil.Process(int(slot)), "renice", "--priority", str(nice), "--pid", slot)
        if (group := Path("/proc", slot, "autogroup")).exists():
            # a root without CAP_SYS_ADMIN may set niceness of a session ten times a second, on the whole host
            await until(partial(is_written, group, "10"), "the niceness of a session set")


def is_written(file: Path, text: str) -> bool:
    try:
        file.write_text(text)
    except BlockingIOError:
        return False
    return True


@pytest.mark.measured
async def test_a_starved_run_has_the_time_that_others_took(street: Street, hogs: Path) -> None:
    """Ten times as long by the clock as alone, where the limit is six times."""
    lim = limits(cpu_ms=street.cpu_ms, wall_ms=3 * street.cpu_ms)
    await lower_share(street.box)

    with busy(hogs):
        outcome = await street.run("work", street.work, lim=lim)

    # a host that is busy with others as well may keep it waiting beyond the last moment
    assert outcome.verdict is RunVerdict.OK or is_starved(outcome, lim)
    assert outcome.delay_ms > lim.wall_ms / 4


@pytest.mark.measured
@pytest.mark.parametrize("kind", ["crowd", "mob"])
async def test_a_run_cannot_make_itself_look_delayed(street: Street, kind: str) -> None:
    """Each of its tasks waits for the others most of the time."""
    outcome = await street.run(kind, WORKERS)

    assert outcome.verdict is RunVerdict.OK
    idle_ms = outcome.wall_ms - outcome.cpu_ms / len(os.sched_getaffinity(0))
    assert outcome.delay_ms <= idle_ms + 50, "what is left when its own work is done side by side"


@pytest.mark.measured
async def test_zombies_do_not_make_their_parent_look_delayed(no_counting: None, hogs: Path, tmp_path: Path) -> None:
    """Each has used less than a tick, which is what is read of it until somebody waits for it."""
    async with open_box(1) as box:
        assert not box.preflight.cpu_counted
        outcome = await Street(box, hogs, tmp_path).run("litter", 2 * WORKERS)

    assert outcome.verdict is RunVerdict.OK
    assert outcome.delay_ms <= max(0, outcome.wall_ms - outcome.cpu_ms) + 50


@pytest.mark.measured
@pytest.mark.needs("namespaces", PROC)  # how long it waited is read in there
@pytest.mark.skipif(os.environ.get("DEEPOJ_TEST_ISOLATION") == Isolation.WEAK, reason="programs see no /proc")
async def test_naps_do_not_make_a_run_look_delayed(box: LinuxBox, hogs: Path, tmp_path: Path) -> None:
    """Each time it takes a moment until it runs again, also on an idle host."""
    outcome = await Street(box, hogs, tmp_path).run("naps", 20_000)

    assert outcome.verdict is RunVerdict.OK
    _, waited_ns, turns = map(int, outcome.stdout.split())
    assert turns >= 10_000, "some naps are over before it has left the processor"
    assert outcome.delay_ms <= max(0, waited_ns // 1_000_000 - turns * 50 // 1000) + 10


#: 14 children that share 200 MB and sleep: the slot weighs all of them each millisecond. Four threads give the run a
#: smaller share than the slot has; then it works, ends the children, and sleeps until its wall limit
_COSTLY = r"""
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static double now(clockid_t clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static void *burst(void *unused) {
    double end = now(CLOCK_MONOTONIC) + 0.05;
    while (now(CLOCK_MONOTONIC) < end);
    return unused;
}
int main(void) {
    size_t bytes = 200u << 20;
    pid_t children[14];
    pthread_t threads[3];
    double begin = now(CLOCK_THREAD_CPUTIME_ID);
    memset(mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, bytes);
    for (int i = 0; i < 14; i++)
        if ((children[i] = fork()) == 0)
            for (;;) pause();
    for (int i = 0; i < 3; i++) pthread_create(threads + i, 0, burst, 0);
    burst(0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
    while (now(CLOCK_THREAD_CPUTIME_ID) - begin < 0.8);
    for (int i = 0; i < 14; i++) kill(children[i], SIGKILL);
    while (wait(0) > 0);
    for (;;) pause();
}
"""


@pytest.fixture
def costly(tmp_path: Path) -> Iterator[Path]:
    """The program; meanwhile all that is started here has the same one core."""
    source, program, cores = tmp_path / "costly.c", tmp_path / "costly", os.sched_getaffinity(0)
    source.write_text(_COSTLY)
    subprocess.run(["gcc", "-O1", "-pthread", "-static", "-o", program, source], check=True, timeout=600)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield program
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.alone
@pytest.mark.full
@pytest.mark.measured
async def test_what_the_sandbox_does_for_a_run_is_no_delay_by_others(no_counting: None, costly: Path) -> None:
    lim = limits(cpu_ms=1200, wall_ms=3600, memory_bytes=256 << 20)
    files = (FileIn("main", costly, executable=True, program=True),)
    async with open_box(1) as box:
        outcome = await box.run(RunSpec(argv=(f"{PROGRAM_DIR}/main",), limits=lim, files_in=files))

    assert (outcome.verdict, outcome.rule) == (RunVerdict.TLE, "wall")
    assert not is_starved(outcome, lim), outcome
