"""What the box leaves behind: nothing, however a run, the launcher or the node ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.adapters.sandbox import box as linux_box
from deepoj.adapters.sandbox import launcher as launching
from deepoj.adapters.sandbox import talk
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxAway, BoxBroken, StartRefused
from deepoj.words.sandbox import FileIn, Isolation, RunVerdict
from tests import host
from tests.sandbox.bench import MIB, Bench, is_counted, limits, open_box, said

DEADLINE_S = 60.0
#: of one slot: three processes (running, compiling, the partner), each with the init of its cell
STANDING = 6


async def until(condition: Callable[[], bool], what: str) -> None:
    """Poll for a state of the host that sends no event."""
    with trio.move_on_after(DEADLINE_S):
        while not condition():
            await trio.sleep(0.01)
        return
    pytest.fail(f"not within {DEADLINE_S:g} s: {what}")


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


async def stop(process: psutil.Process) -> None:
    process.suspend()
    await until(lambda: process.status() == psutil.STATUS_STOPPED, "it is stopped")


def named_main(pid: int) -> list[psutil.Process]:
    """Running payloads below a launcher."""
    found = []
    for process in descendants(pid):
        try:
            if process.name() == "main":
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if lives(process)]


async def standing(launcher: int, slots: int) -> list[psutil.Process]:
    """The launcher's processes once all cells are up and no run is under way.

    They are up when all sleep, and none has run between two looks: one that is there may be half made yet, and if it
    is stopped then, before it asked for its parent's death signal, nothing ends it.
    """
    found: list[psutil.Process] = []
    seen: list[int] = []

    def complete() -> bool:
        found[:] = descendants(launcher)
        before, seen[:] = list(seen), [turns(process) for process in found]
        return len(found) == STANDING * slots and 0 not in seen and seen == before

    await until(complete, "all cells, and no other process")
    return found


def turns(process: psutil.Process) -> int:
    """How often a process that sleeps went to sleep; 0 of one that does not."""
    try:
        return sum(process.num_ctx_switches()) if process.status() == psutil.STATUS_SLEEPING else 0
    except psutil.NoSuchProcess:
        return 0


async def start_run(bench: Bench, nursery: trio.Nursery, *words: str | int) -> trio.CancelScope:
    """A run under way: its payload can be seen."""
    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await bench.run(*words, lim=limits(cpu_ms=3_000_000, wall_ms=3_000_000))
        over.set()

    over = trio.Event()
    nursery.start_soon(run)
    # where processes are counted a bomb is ended at once, maybe between two looks
    brief = bench.counted and words == ("bomb",)
    await until(lambda: bool(named_main(bench.box.launcher_pid)) or (brief and over.is_set()), "a payload")
    return scope


@pytest.mark.parametrize("words", [("loop",), ("sleep", 1_000_000), ("bomb",), ("kill_all",), ("stop",)])
async def test_a_cancelled_run_leaves_no_process(bench: Bench, words: tuple[str | int, ...]) -> None:
    launcher = bench.box.launcher_pid
    before = await standing(launcher, 2)
    async with trio.open_nursery() as nursery:
        scope = await start_run(bench, nursery, *words)
        scope.cancel()

    assert named_main(launcher) == []
    after = await standing(launcher, 2)
    # without a pid namespace a slot whose run was killed is replaced
    assert bench.weak or {process.pid for process in after} == {process.pid for process in before}
    assert (await bench.run("ok")).verdict is RunVerdict.OK
    assert bench.box.launcher_pid == launcher, "the slot came clean, no new launcher was needed"


async def test_cancelling_at_any_moment_keeps_the_slots_in_step(bench: Bench) -> None:
    # `full` is tested in an emulated machine, where a run takes ten times longer
    attempts, step_s = (12, 0.01) if bench.full else (40, 0.0005)
    for attempt in range(attempts):
        with trio.move_on_after(attempt * step_s):
            await bench.run("burn", 5)
        outcome = await bench.run("exit", attempt)
        assert outcome.exit_code == attempt


async def test_more_runs_than_slots_wait_their_turn(bench: Bench) -> None:
    codes: list[int] = []

    async def one(code: int) -> None:
        codes.append((await bench.run("exit", code)).exit_code)

    async with trio.open_nursery() as nursery:
        for code in range(12):
            nursery.start_soon(one, code)

    assert sorted(codes) == list(range(12))


async def test_runs_of_two_slots_run_at_the_same_time(bench: Bench) -> None:
    async with trio.open_nursery() as nursery:
        scopes = [await start_run(bench, nursery, "sleep", 1_000_000) for _ in range(2)]
        await until(lambda: len(named_main(bench.box.launcher_pid)) == 2, "two payloads")
        for scope in scopes:
            scope.cancel()


async def test_a_run_waits_for_its_gate_with_its_files_open(bench: Bench, tmp_path: Path) -> None:
    gate, stdin, codes = trio.Lock(), tmp_path / "stdin", list[int]()
    stdin.write_bytes(b"all of it")

    async def run() -> None:
        codes.append((await bench.run("swallow", 5, stdin=stdin, gate=gate)).exit_code)

    async with trio.open_nursery() as nursery, gate:
        nursery.start_soon(run)
        await until(lambda: gate.statistics().tasks_waiting == 1, "the run waits for its turn")
        assert not named_main(bench.box.launcher_pid)
        stdin.unlink()
    assert codes == [5]
    assert not gate.locked()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"files": 300}, "more than 208 files in"),
        ({"words": 600}, "more than 512 members"),
        ({"word": "x" * 100_000}, "more than 98304 bytes"),
        ({"word": "a\0b"}, "null byte"),
        ({"word": "\ud800"}, "surrogates"),
    ],
)
async def test_a_run_that_cannot_be_asked_for_has_an_outcome(
    bench: Bench, asked: dict[str, int | str], sentence: str
) -> None:
    """Packages and submissions decide what a run brings: no refusal may end the node."""
    file = bench.programs / "probe"
    more = tuple(FileIn(f"f{number}", file) for number in range(int(asked.get("files", 0))))
    words = (str(asked.get("word", "exit")),) * int(asked.get("words", 1))
    spec = bench.spec(*words, files_in=more)
    outcome = await bench.box.run(spec)
    joined = await bench.box.run_joined(bench.spec("exit", 0), spec, is_settled=lambda _: True)

    assert outcome.verdict is joined.program.verdict is RunVerdict.SE
    for refused in (outcome, joined.program, joined.interactor):
        assert sentence in str(refused.sandbox_error)
    assert (await bench.run("exit", 3)).exit_code == 3


@pytest.mark.parametrize("victim", ["launcher", "slot", "init"])
async def test_kill_of_launcher_slot_init_or_payload_leaves_no_process(bench: Bench, victim: str) -> None:
    launcher = bench.box.launcher_pid
    broken: list[BoxBroken] = []

    async def run() -> None:
        try:
            outcome = await bench.run("sleep", 1_000_000, lim=limits(wall_ms=3_000_000))
        except BoxBroken as error:
            broken.append(error)
        else:
            # its init was killed: the kernel took the payload along, and it was not the program's doing
            assert victim == "init"
            assert outcome.verdict is RunVerdict.SE
            assert outcome.sandbox_error is not None
            assert outcome.sandbox_error.step == "init_died"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(lambda: bool(named_main(launcher)), "a payload")
        below = descendants(launcher)
        payload = named_main(launcher)[0]
        slot = payload.parent()
        assert slot is not None
        init = next(process for process in slot.children() if process != payload)
        os.kill({"launcher": launcher, "slot": slot.pid, "init": init.pid}[victim], signal.SIGKILL)
        await until(lambda: not alive([payload, init]), "the run's processes gone")

    if victim != "init":
        assert len(broken) == 1
        await until(lambda: not alive(below), "everything below the launcher gone")
    assert (await bench.run("ok")).verdict is RunVerdict.OK, "a broken launcher is replaced"


async def test_answer_with_the_serial_of_another_run_is_box_broken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        asked = talk.request
        patch.setattr(talk, "request", lambda serial, spec: asked(serial + 1, spec))
        with pytest.raises(BoxBroken, match="another run"):
            await bench.run("ok")
    assert (await bench.run("ok")).verdict is RunVerdict.OK


async def test_launcher_that_keeps_crashing_is_restarted_a_bounded_number_of_times(
    bench: Bench, box: LinuxBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux_box, "RESTART_WINDOW_S", 3600.0)  # a loaded host takes long for five
    for _ in range(5):
        os.kill(bench.box.launcher_pid, signal.SIGKILL)
        box._launcher.process.wait()
        assert (await bench.run("ok")).verdict is RunVerdict.OK
    os.kill(bench.box.launcher_pid, signal.SIGKILL)
    box._launcher.process.wait()

    with pytest.raises(BoxAway, match="fell 5 times"):
        await bench.run("ok")


async def test_run_of_a_hung_launcher_ends_with_box_broken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "LEAVE_S", 0.5)
    launcher = bench.box.launcher_pid
    everything = [psutil.Process(launcher), *await standing(launcher, 2)]
    for process in everything:
        process.suspend()

    with monkeypatch.context() as patch:
        patch.setattr(talk, "OVERDUE_S", 0.5)
        with pytest.raises(BoxBroken, match="did not answer"):
            await bench.run("ok", lim=limits(wall_ms=100))

    assert (await bench.run("ok")).verdict is RunVerdict.OK, "a hung launcher is replaced"
    await until(lambda: not alive(everything), "everything of the hung one gone")


@pytest.mark.parametrize("victim", ["launcher", "slot"])
async def test_run_of_a_stopped_sandbox_ends_with_box_broken_and_the_next_one_has_a_new_launcher(
    bench: Bench, victim: str
) -> None:
    launcher = bench.box.launcher_pid
    with pytest.RaisesGroup(pytest.RaisesExc(BoxBroken, match="processes of the sandbox are stopped")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: bench.run("sleep", 1_000_000, lim=limits(wall_ms=600_000)))
            await until(lambda: bool(named_main(launcher)), "a payload")
            slot = named_main(launcher)[0].parent()
            assert slot is not None
            os.kill({"launcher": launcher, "slot": slot.pid}[victim], signal.SIGSTOP)
    assert (await bench.run("exit", 7)).exit_code == 7
    assert bench.box.launcher_pid != launcher
    await until(lambda: not psutil.pid_exists(launcher), "the stopped launcher gone")


#: without a pid namespace there is no init
VICTIMS = (
    ("launcher", "slot")
    if os.environ.get("DEEPOJ_TEST_ISOLATION", host.level()) == Isolation.WEAK
    else ("launcher", "slot", "init")
)


@pytest.mark.parametrize("victim", VICTIMS)
async def test_idle_sandbox_that_is_stopped_takes_no_run_until_two_looks_have_replaced_it(
    bench: Bench, box: LinuxBox, victim: str
) -> None:
    launcher, processes = bench.box.launcher_pid, await standing(bench.box.launcher_pid, 2)
    slots = [one for one in processes if one.ppid() == launcher]
    inits = [one for one in processes if one.ppid() != launcher]
    chosen = {"launcher": [psutil.Process(launcher)], "slot": slots[-1:], "init": inits[-1:]}[victim]
    for process in chosen:
        await stop(process)

    box.check()
    with pytest.raises(BoxAway, match="are stopped"):
        await bench.run("ok")
    with pytest.raises(BoxBroken, match=rf"processes of the sandbox are stopped: {chosen[0].pid}$"):
        box.check()
    await box.restore()

    box.check()
    assert (await bench.run("exit", 7)).exit_code == 7
    assert bench.box.launcher_pid != launcher
    await until(lambda: not alive(processes), "everything of the stopped launcher gone")


async def test_run_of_a_stopped_init_ends_with_box_broken_at_the_second_look(bench: Bench, box: LinuxBox) -> None:
    """Without a pid namespace there is none, and the slot itself is beside the payload."""
    launcher = bench.box.launcher_pid
    with pytest.RaisesGroup(pytest.RaisesExc(BoxBroken, match="the sandbox launcher fell")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: bench.run("sleep", 1_000_000, lim=limits(wall_ms=600_000)))
            await until(lambda: bool(named_main(launcher)), "a payload")
            beside = named_main(launcher)[0].parent()
            assert beside is not None
            inits = [one for one in psutil.Process(beside.pid).children() if one.name() != "main"]
            victim = beside if bench.weak else inits[0]
            await stop(victim)
            box.check()
            with pytest.raises(BoxBroken, match=rf"processes of the sandbox are stopped: {victim.pid}$"):
                box.check()
    await box.restore()
    assert (await bench.run("exit", 7)).exit_code == 7
    assert bench.box.launcher_pid != launcher


async def test_run_that_takes_longer_than_its_limits_allow_is_told_until_it_ends(
    bench: Bench, box: LinuxBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trio.open_nursery() as nursery:
        scope = await start_run(bench, nursery, "stop")
        assert not box.check(), "it is within its limits"
        monkeypatch.setattr(linux_box, "LATE_S", -1e9)
        assert "longer than its limits allow" in box.check()
        scope.cancel()
    assert not box.check()


async def test_sandbox_that_goes_on_between_two_looks_is_left_alone(bench: Bench, box: LinuxBox) -> None:
    launcher = psutil.Process(bench.box.launcher_pid)
    for _ in range(3):
        await stop(launcher)
        box.check()
        launcher.resume()
        await until(lambda: launcher.status() != psutil.STATUS_STOPPED, "it goes on")
        box.check()
    assert (await bench.run("exit", 7)).exit_code == 7
    assert bench.box.launcher_pid == launcher.pid


async def test_idle_sandbox_whose_launcher_has_ended_is_found_and_restored(bench: Bench, box: LinuxBox) -> None:
    launcher = bench.box.launcher_pid
    os.kill(launcher, signal.SIGKILL)
    box._launcher.process.wait()
    with pytest.raises(BoxBroken, match="has ended"):
        box.check()
    await box.restore()
    box.check()
    assert bench.box.launcher_pid != launcher


async def test_looks_at_a_sandbox_pass_a_program_that_stops_itself(bench: Bench, box: LinuxBox) -> None:
    launcher = bench.box.launcher_pid
    async with trio.open_nursery() as nursery:
        scope = await start_run(bench, nursery, "stop")
        await until(lambda: named_main(launcher)[0].status() == psutil.STATUS_STOPPED, "the program is stopped")
        for _ in range(3):
            box.check()
        scope.cancel()
    assert bench.box.launcher_pid == launcher


async def test_a_program_that_stops_itself_is_none_of_the_sandbox(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "LOOK_S", 0.05)
    launcher = bench.box.launcher_pid
    outcome = await bench.run("stop", lim=limits(wall_ms=1000))
    assert outcome.verdict is RunVerdict.TLE
    assert bench.box.launcher_pid == launcher


async def test_a_launcher_that_cannot_be_started_again_is_away(
    bench: Bench, box: LinuxBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(bench.box.launcher_pid, signal.SIGKILL)
    box._launcher.process.wait()
    with monkeypatch.context() as patch:
        patch.setattr(launching, "LAUNCHER", Path("/nonexistent/launcher"))
        with pytest.raises(BoxAway, match="cannot be started again"):
            await bench.run("ok")
    assert (await bench.run("ok")).verdict is RunVerdict.OK


REPOSITORY = Path(__file__).parents[2]
NODE = """
import sys, trio
from pathlib import Path
from deepoj.words.sandbox import FileIn, RunLimits, RunSpec
from tests import host
from tests.sandbox.bench import open_box

async def main() -> None:
    async with open_box(1) as box:
        print(box.launcher_pid, flush=True)
        limits = RunLimits(cpu_ms=3_000_000, wall_ms=3_000_000, memory_bytes=64 << 20, output_bytes=1000)
        main_file = FileIn("main", Path(sys.argv[1]), executable=True)  # a copy in the scratch
        await box.run(RunSpec(argv=("./main", *sys.argv[2:]), limits=limits, files_in=(main_file,)))

trio.run(main)
"""


async def test_a_killed_node_leaves_nothing(programs: Path) -> None:
    # where processes are counted a bomb does not last
    level = os.environ.get("DEEPOJ_TEST_ISOLATION", host.level())
    words = ("sleep", "1000000") if is_counted(level) else ("bomb",)
    command = [sys.executable, "-c", NODE, str(programs / "probe"), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as node:  # noqa: ASYNC220 - vfork, some ms
        try:
            assert node.stdout is not None
            launcher = psutil.Process(int(node.stdout.readline()))
            await until(lambda: len(named_main(launcher.pid)) > (5 if words == ("bomb",) else 0), "a bomb")
            below = [launcher, *descendants(launcher.pid)]
        finally:
            node.kill()
        await until(lambda: not alive(below), "everything gone")


def traces() -> dict[str, object]:
    """What a run could leave on the host, apart from processes."""
    return {
        "fds": len(list(Path("/proc/self/fd").iterdir())),
        "mounts": Path("/proc/self/mountinfo").read_text(),
    }


def groups_of(launcher: int) -> list[Path]:
    """Others on this host, a node or another test run, have groups of their own, which come and go."""
    return [path for path in Path("/sys/fs/cgroup").rglob(f"deepoj.{launcher}") if path.is_dir()]


def run_groups(launcher: int) -> int:
    """A slot that has run keeps one ready for the next run."""
    return sum(path.is_dir() for group in groups_of(launcher) for path in group.iterdir())


def held(process: psutil.Process) -> int | None:
    """Its descriptors. None of a slot that an ordinary user may not look into; root's tests count them."""
    try:
        return int(process.num_fds())
    except psutil.AccessDenied:
        assert os.geteuid() != 0 or "DEEPOJ_TEST_ISOLATION" in os.environ, "root may look anywhere"
        return None


async def at_rest(launcher: int, slots: int) -> list[psutil.Process]:
    """The launcher's processes once each of them waits for orders: a slot tidies up after its answer."""
    found: list[psutil.Process] = []

    def complete() -> bool:
        found[:] = descendants(launcher)
        return len(found) == STANDING * slots and {status_of(process) for process in found} == {psutil.STATUS_SLEEPING}

    await until(complete, "all cells at rest")
    return found


def status_of(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return ""


async def test_many_runs_leave_nothing(bench: Bench) -> None:
    await bench.run("ok")
    before = traces()
    groups = run_groups(bench.box.launcher_pid)
    slots = {process.pid: held(process) for process in await at_rest(bench.box.launcher_pid, 2)}
    for _ in range(50 if bench.full else 200):  # `full` is tested in an emulated machine
        assert (await bench.run("exit", 3, program="probe-static")).exit_code == 3

    assert traces() == before
    await until(lambda: run_groups(bench.box.launcher_pid) <= max(groups, 2), "the groups of ended runs gone")
    assert {process.pid: held(process) for process in await at_rest(bench.box.launcher_pid, 2)} == slots


def cores_of(process: psutil.Process) -> list[int]:
    """None of one that is gone."""
    try:
        return list(process.cpu_affinity())
    except psutil.NoSuchProcess:
        return []


def run_as_owner(process: psutil.Process, *words: str) -> bool:
    """Run a command as the process's user: a root without CAP_SYS_NICE may schedule processes of its own user alone.
    Return whether it succeeded."""
    done = subprocess.run(words, user=process.uids().real, stdout=subprocess.DEVNULL, check=False, timeout=60)
    return done.returncode == 0


def bind(process: psutil.Process, cores: list[int]) -> bool:
    return run_as_owner(process, "taskset", "--pid", "--cpu-list", ",".join(map(str, cores)), str(process.pid))


@contextmanager
def slots_on_one_core(launcher: int, core: int) -> Iterator[list[psutil.Process]]:
    """The scheduler may move a slot as often as it likes, on a loaded host after every run."""
    slots = psutil.Process(launcher).children()
    before = [cores_of(slot) for slot in slots]
    assert all(bind(slot, [core]) for slot in slots)
    try:
        yield slots
    finally:
        for slot, cores in zip(slots, before, strict=True):
            with suppress(psutil.NoSuchProcess):  # replaced, if a bomb took long to end
                bind(slot, cores)


async def test_an_init_stays_where_its_slot_is_but_for_a_bomb(bench: Bench) -> None:
    """A rest on another core than the slot's interrupts what runs there; see init.c. At weak there is a guard instead,
    which has nothing to do between runs."""
    everywhere = sorted(os.sched_getaffinity(0))
    if len(everywhere) == 1:
        pytest.skip("this host has one core, so no process can move")
    await standing(bench.box.launcher_pid, 2)  # a process that a slot starts later stays on its core
    with slots_on_one_core(bench.box.launcher_pid, everywhere[-1]) as slots:
        inits = [child for slot in slots for child in slot.children()]

        def bound() -> set[int]:
            return {init.pid for init in inits if cores_of(init) == everywhere[-1:]}

        for _ in range(18):  # one after the other, so on one slot
            assert (await bench.run("exit", 3, program="probe-static")).exit_code == 3
        assert bool(bound()) is not bench.weak

        followed = bound()
        for _ in range(2 * len(slots)):
            await bench.run("bomb", lim=limits(cpu_ms=200))
        assert not followed & bound()


@pytest.mark.needs(host.PROC)  # numbers start again by a file of it
@pytest.mark.parametrize("words", [("ok",), ("forks", 5), ("threads", 5), ("daemon",)], ids=lambda words: words[0])
async def test_process_numbers_do_not_tell_what_ran_before(bench: Bench, words: tuple[str | int, ...]) -> None:
    """By them the init knows, too, whether there is anybody to kill."""
    for _ in range(3):
        await bench.run(*words)
        outcome = await bench.run("self")
        assert bench.weak or said(outcome)["pid"] == "2"
        assert named_main(bench.box.launcher_pid) == []


async def test_launchers_that_start_together_do_not_sweep_each_other(bench: Bench) -> None:
    """A directory is made first and locked then; a launcher that sees it in between takes it for a dead one's."""
    setting = launching.Setting(slots=1, run_uid=65534, run_gid=65534, mounts=(), weak=bench.weak)
    hellos: list[launching.Hello] = []

    async def start() -> None:
        launcher = await launching.start(setting)
        hellos.append(launcher.hello)
        await launcher.close()

    for _ in range(2 if bench.full else 20):  # where processes are emulated, and where the race was seen in 1 of 80
        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(start)

    assert {hello.isolation for hello in hellos} == {bench.box.isolation}
    assert {hello.cpu_counted for hello in hellos} == {bench.box.preflight.cpu_counted}


async def test_boxes_of_one_host_share_no_limit_on_processes(programs: Path, tmp_path: Path) -> None:
    """Two nodes, say: a bomb of one's must not keep the other's programs from starting."""
    async with open_box(1) as one, open_box(1) as other, trio.open_nursery() as nursery:
        scope = await start_run(Bench(one, programs, tmp_path), nursery, "bomb")
        bench = Bench(other, programs, tmp_path)
        if not bench.counted:
            await until(lambda: len(named_main(one.launcher_pid)) > 10, "a bomb")
        outcome = await bench.run("forks", 19, lim=limits(processes=20))
        scope.cancel()

    assert (outcome.verdict, outcome.sandbox_error, outcome.stdout) == (RunVerdict.OK, None, b"19\n")


async def test_closing_the_box_ends_the_launcher_and_its_groups() -> None:
    async with open_box(3) as box:
        launcher = psutil.Process(box.launcher_pid)
        below = [launcher, *await standing(launcher.pid, 3)]
        assert groups_of(launcher.pid) or box.isolation is not Isolation.FULL

    assert alive(below) == []
    assert groups_of(launcher.pid) == []


async def test_a_mount_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="not an absolute path that exists here") as refused:
        async with open_box(1, mounts=(str(tmp_path / "absent"),)):
            pass
    assert refused.value.exit_code == 2


@pytest.fixture
def shown() -> Iterator[Path]:
    """A directory where everybody may do everything, and may come to: no root of its own helps a run at ``weak``."""
    with tempfile.TemporaryDirectory(prefix="deepoj-shown-") as directory:
        Path(directory, "shown").write_text("x")
        Path(directory).chmod(0o777)
        yield Path(directory)


async def test_a_mount_is_shown_read_only(programs: Path, tmp_path: Path, shown: Path) -> None:
    async with open_box(1, mounts=(str(shown), "/usr", "/lib")) as box:
        bench = Bench(box, programs, tmp_path)
        assert (await bench.run("opens", str(shown / "shown"))).exit_code == 0
        assert (await bench.run("write_file", 1, str(shown / "new"))).exit_code != 0
    assert not (shown / "new").exists()


async def test_root_is_not_a_uid_to_run_as() -> None:
    with pytest.raises(StartRefused, match="must not be 0"):
        async with open_box(1, run_uid=0):
            pass


def starve(launcher: int, processes: list[psutil.Process], limit: int) -> Path | None:
    """Leaves all runs of a launcher together ``limit`` bytes of memory, by whichever cgroup can be had; the group that
    was made for it. Raises OSError where that is refused."""
    group = next(Path("/sys/fs/cgroup").rglob(f"deepoj.{launcher}"), None)
    if group is not None and (group / "memory.max").exists():
        (group / "memory.max").write_text(str(limit))
        return None
    made = host.memory_group(f"deepoj-test.{launcher}")
    (made / "memory.limit_in_bytes").write_text(str(limit))
    for process in (psutil.Process(launcher), *processes):
        (made / "cgroup.procs").write_text(str(process.pid))
    return made


@pytest.mark.needs("memory controller")
async def test_kill_by_a_host_without_memory_is_a_system_error(programs: Path, tmp_path: Path) -> None:
    """Not a Runtime Error for a SIGKILL that the program never saw, nor a Memory Limit Exceeded below the limit."""
    async with open_box(1) as box:
        processes = await standing(box.launcher_pid, 1)
        made = starve(box.launcher_pid, processes, 64 * MIB)
        bench = Bench(box, programs, tmp_path)
        outcome = await bench.run("heap", 200, lim=limits(memory_bytes=400 * MIB))
        own = await bench.run("signal", int(signal.SIGKILL))

    if made is not None:
        await until(lambda: not (made / "cgroup.procs").read_text(), "the group is empty")
        made.rmdir()
    assert outcome.sandbox_error is not None, outcome
    assert outcome.sandbox_error.step == "killed_by_host"
    assert (own.verdict, own.rule, own.exit_signal) == (RunVerdict.RE, "signal", signal.SIGKILL)


async def test_largest_request_fits_with_any_socket_buffer_of_the_host(box: LinuxBox) -> None:
    """One that did not go out would make the launcher look fallen, and end every other run on it."""
    async with box.lend() as slot:
        room = [sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for sock in slot.socks.values()]

    assert min(room) >= 2 * 128 * 1024
