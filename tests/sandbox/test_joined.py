"""Two programs joined by pipes: the outcome of each, which ended first, and that nothing is left of either."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import trio

from deepoj.adapters.sandbox import joined as joining
from deepoj.adapters.sandbox import talk
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import FileIn, FileOut, Joined, Policy, RunLimits, RunOutcome, RunSpec, RunVerdict
from tests.host import PROC
from tests.sandbox.bench import MIB, Bench, limits, open_box
from tests.sandbox.lent import LentBox
from tests.sandbox.test_life import named_main, standing, until

#: exit codes of an interactor in ``talk.c``
RIGHT, WRONG = 42, 43
V = RunVerdict


@dataclass(frozen=True)
class Table:
    """A box and the programs that are joined in it."""

    box: LinuxBox | LentBox
    bench: Bench

    def side(self, who: str, words: tuple[str | int, ...], lim: RunLimits | None) -> RunSpec:
        return self.bench.spec(who, *words, program="talk", lim=lim, keep_stdout_bytes=0)

    async def play(
        self,
        program: tuple[str | int, ...],
        interactor: tuple[str | int, ...],
        *,
        lim: RunLimits | None = None,
        interactor_lim: RunLimits | None = None,
    ) -> Joined:
        return await self.box.run_joined(
            self.side("player", program, lim), self.side("judge", interactor, interactor_lim), is_settled=is_settled
        )


def is_settled(interactor: RunOutcome) -> bool:
    return interactor.exit_code != RIGHT


@pytest.fixture
def table(lent: LentBox, programs: Path, tmp_path: Path) -> Table:
    return Table(lent, Bench(lent, programs, tmp_path))


def codes(joined: Joined) -> tuple[int, int]:
    return joined.program.exit_code, joined.interactor.exit_code


async def test_a_game_by_the_book(table: Table) -> None:
    joined = await table.play(("play",), ("referee", 77))

    assert (joined.program.verdict, codes(joined)) == (V.OK, (0, RIGHT))
    assert not joined.program_cut
    assert joined.program.isolation is table.box.isolation


@pytest.mark.needs(PROC)
async def test_program_may_open_its_streams_again(table: Table) -> None:
    joined = await table.play(("reopen",), ("referee", 500))

    assert codes(joined) == (0, RIGHT)


async def test_program_that_ends_after_its_partner_is_never_the_first(table: Table) -> None:
    """Each pair many times, under a scheduler that picks a different order each time."""
    for _ in range(5 if table.bench.full else 20):  # `full` is tested in an emulated machine
        followed = await table.play(("crash",), ("referee", 1))
        assert not followed.interactor_first
        assert (followed.program.exit_signal, followed.interactor.exit_code) == (signal.SIGSEGV, WRONG)

        left = await table.play(("leave",), ("referee", 1))
        assert not left.interactor_first
        assert codes(left) == (0, WRONG)

        refused = await table.play(("crash_at_end",), ("refuse",))
        assert refused.interactor_first
        assert refused.interactor.exit_code == WRONG
        assert refused.program_cut or refused.program.exit_signal == signal.SIGSEGV

        closed = await table.play(("shut_and_crash",), ("refuse_at_end",))
        assert closed.interactor_first, "it had closed its output before, and ended because its input did"
        assert closed.program_cut or closed.program.exit_signal == signal.SIGSEGV


async def test_a_program_that_is_refused_is_not_waited_for(table: Table) -> None:
    joined = await table.play(("spin_after",), ("refuse",), lim=limits(cpu_ms=3_000_000, wall_ms=3_000_000))

    assert joined.program_cut
    assert joined.interactor_first
    assert joined.interactor.exit_code == WRONG


async def test_a_program_that_is_accepted_has_all_its_time(table: Table) -> None:
    within = await table.play(("late", 200), ("referee", 500))
    assert (within.program.verdict, within.interactor_first, within.program_cut) == (V.OK, True, False)

    beyond = await table.play(("late_and_spin",), ("referee", 500), lim=limits(cpu_ms=300))
    assert (beyond.program.verdict, beyond.program.rule, beyond.interactor_first) == (V.TLE, "cpu", True)
    assert not beyond.program_cut


async def test_write_to_a_partner_that_has_exited_kills_no_program(table: Table) -> None:
    """It is chance whether a last line comes before or after the partner's exit: the outcome must be the same."""
    joined = await table.play(("trailing",), ("referee", 500))
    assert codes(joined) == (0, RIGHT)

    blind = await table.play(("leave",), ("blind", 7))
    assert codes(blind) == (0, WRONG)


async def test_an_interactor_that_fills_the_pipe_of_one_who_has_left_ends(table: Table) -> None:
    joined = await table.play(("leave",), ("stuff",))

    assert (joined.program.verdict, joined.interactor_first) == (V.OK, False)
    assert joined.interactor.exit_signal == signal.SIGPIPE


async def test_the_end_comes_though_a_child_holds_the_pipe(table: Table) -> None:
    joined = await table.play(("orphan", 1_000_000), ("until_eof", 8))

    assert codes(joined) == (0, WRONG)
    assert joined.program.wall_ms < 30_000


SHUT = (
    "shut", "shut_dup", "shut_child", "shut_dead_child", pytest.param("shut_anew", marks=pytest.mark.needs(PROC)),
    "shut_thread", "shut_exec",
)  # fmt: skip


@pytest.mark.parametrize("how", SHUT)
@pytest.mark.parametrize("closer", ["program", "interactor"])
async def test_an_output_closed_by_a_living_side_ends_the_others_input(how: str, closer: str, table: Table) -> None:
    """The side that closed its output waits for a line that the partner writes at the end of its input."""
    pair = ((how,), ("speak_at_end",))
    program, interactor = pair if closer == "program" else pair[::-1]
    lim = limits(wall_ms=60_000)
    joined = await table.play(program, interactor, lim=lim, interactor_lim=lim)

    assert codes(joined) == (RIGHT, RIGHT)


@pytest.mark.parametrize(
    ("program", "changed", "verdict", "rule"),
    [
        (("mute",), {"wall_ms": 300}, V.TLE, "wall"),
        (("sleep", 1_000_000), {"wall_ms": 300}, V.TLE, "wall"),
        (("spin",), {"cpu_ms": 300}, V.TLE, "cpu"),
        (("hoard",), {}, V.MLE, "memory"),
        (("flood",), {}, V.OLE, "output"),
    ],
)
async def test_a_program_over_a_limit_is_first(
    program: tuple[str | int, ...], changed: dict[str, int], verdict: RunVerdict, rule: str, table: Table
) -> None:
    joined = await table.play(program, ("referee" if program != ("flood",) else "keep_all", 7), lim=limits(**changed))

    assert (joined.program.verdict, joined.program.rule) == (verdict, rule)
    assert not joined.interactor_first
    assert not joined.program_cut
    assert joined.interactor.exit_code == WRONG, "it saw the end of its input and could say so"


async def test_waiting_for_the_other_is_no_cpu_time(table: Table) -> None:
    joined = await table.play(("mute",), ("referee", 7), lim=limits(wall_ms=900))

    assert joined.program.cpu_ms < 300
    assert joined.interactor.cpu_ms < 300


async def test_unread_bytes_of_each_pipe_are_reported(table: Table) -> None:
    """They tell which side had to read."""
    deaf = await table.play(("stare",), ("blind", 7), lim=limits(cpu_ms=200))
    assert (deaf.program.rule, deaf.unread_by_program, deaf.unread_by_interactor) == ("cpu", len("more\n"), 0)

    waited = await table.play(("play",), ("stare",), interactor_lim=limits(cpu_ms=200))
    assert (waited.interactor.rule, waited.unread_by_program, waited.unread_by_interactor) == ("cpu", 0, len("500\n"))


async def test_a_flood_is_counted(table: Table) -> None:
    """Also of a program that is stopped: it tells whose fault the end of an interactor was."""
    joined = await table.play(("flood",), ("keep_all",), lim=limits(output_bytes=3 * MIB))

    assert joined.program.stdout_len > 3 * MIB
    assert joined.program.stdout_len < 1024 * MIB


@pytest.mark.parametrize(
    ("interactor", "changed", "verdict", "rule"),
    [
        (("sleep", 1_000_000), {"wall_ms": 300}, V.TLE, "wall"),
        (("spin",), {"cpu_ms": 300}, V.TLE, "cpu"),
        (("hoard",), {}, V.MLE, "memory"),
        (("abort",), {}, V.RE, "signal"),
    ],
)
async def test_an_interactor_that_fails_while_the_program_waits_is_first(
    interactor: tuple[str | int, ...], changed: dict[str, int], verdict: RunVerdict, rule: str, table: Table
) -> None:
    joined = await table.play(("play",), interactor, interactor_lim=limits(**changed))

    assert (joined.interactor.verdict, joined.interactor.rule) == (verdict, rule)
    assert joined.interactor_first


async def test_an_interactor_that_floods_a_reader_is_over_its_limit(table: Table) -> None:
    joined = await table.play(("listen",), ("flood",))

    assert (joined.interactor.verdict, joined.interactor.rule) == (V.OLE, "output")
    assert joined.interactor_first


@pytest.mark.parametrize("bomber", ["program", "interactor"])
async def test_bomb_on_either_side_leaves_the_partner_alone(bomber: str, table: Table) -> None:
    small = limits(cpu_ms=500, wall_ms=3000, processes=8)
    before = await standing(table.box.launcher_pid, 2)
    if bomber == "program":
        joined = await table.play(("bomb",), ("referee", 7), lim=small)
        assert joined.interactor.exit_code == WRONG
    else:
        joined = await table.play(("play",), ("bomb",), interactor_lim=small)
        assert joined.interactor.verdict is not V.OK
    assert named_main(table.box.launcher_pid) == []
    assert len(await standing(table.box.launcher_pid, 2)) == len(before)


async def test_pairs_do_not_wait_for_each_other(table: Table) -> None:
    """With two slots, more pairs than slots, and ordinary runs among them."""
    seen: list[tuple[int, int]] = []

    async def pair(secret: int) -> None:
        seen.append(codes(await table.play(("play",), ("referee", secret))))

    async def single(code: int) -> None:
        seen.append(((await table.bench.run("exit", code)).exit_code, 0))

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for number in range(1, 9):
                nursery.start_soon(pair, number)
                nursery.start_soon(single, number)

    assert sorted(seen) == sorted([(0, RIGHT)] * 8 + [(number, 0) for number in range(1, 9)])


@pytest.fixture
async def lone(programs: Path, tmp_path: Path) -> AsyncIterator[Table]:
    async with open_box(1) as box:
        yield Table(box, Bench(box, programs, tmp_path))


async def test_one_slot_is_enough(lone: Table) -> None:
    with trio.fail_after(60):
        assert codes(await lone.play(("play",), ("referee", 3))) == (0, RIGHT)
        assert (await lone.bench.run("exit", 7)).exit_code == 7


async def test_cancelling_at_any_moment_leaves_nothing_of_either(lone: Table) -> None:
    forever = limits(wall_ms=3_000_000, cpu_ms=3_000_000)
    before = await standing(lone.box.launcher_pid, 1)
    # `full` is tested in an emulated machine, where a run takes ten times longer
    attempts, step_s = (10, 0.02) if lone.bench.full else (30, 0.001)
    for attempt in range(attempts):
        with trio.move_on_after(attempt * step_s):
            await lone.play(("mute",), ("referee", 7), lim=forever, interactor_lim=forever)
        assert named_main(lone.box.launcher_pid) == []
        assert codes(await lone.play(("play",), ("referee", 3))) == (0, RIGHT)
    assert len(await standing(lone.box.launcher_pid, 1)) == len(before)


async def test_side_whose_file_cannot_be_put_in_its_place_is_not_waited_for_again(lone: Table, tmp_path: Path) -> None:
    """A full disk ends a pair in this way, too."""
    (tmp_path / "taken" / "full").mkdir(parents=True)  # which no file can replace
    judge = lone.bench.spec(
        "write_file", 10, "verdict", keep_stdout_bytes=0, files_out=(FileOut("verdict", tmp_path / "taken", 1000),)
    )
    launcher = lone.box.launcher_pid
    with pytest.raises(OSError, match="taken"), trio.fail_after(talk.CANCEL_S):
        await lone.box.run_joined(lone.side("player", ("mute",), None), judge, is_settled=is_settled)

    assert codes(await lone.play(("play",), ("referee", 3))) == (0, RIGHT)
    assert lone.box.launcher_pid == launcher


async def test_no_end_of_a_pipe_stays_with_us(lone: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "QUIET_S", 0.05)
    await lone.play(("play",), ("referee", 3))
    before = psutil.Process().num_fds()
    for _ in range(5):
        await lone.play(("play",), ("referee", 3))
        await lone.play(("leave",), ("stuff",))
    assert psutil.Process().num_fds() == before


def sides_of(launcher: int) -> dict[str, psutil.Process]:
    """Return the pids of both sides by their arguments, which appear a moment after their name."""
    sides = {"player": "program", "judge": "interactor"}
    found: dict[str, psutil.Process] = {}
    for process in named_main(launcher):
        try:
            words = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        found |= {side: process for word, side in sides.items() if word in words}
    return found


@pytest.mark.parametrize("victim", ["program", "interactor", "launcher"])
async def test_kill_of_one_side_ends_the_other(victim: str, lone: Table) -> None:
    broken: list[BoxBroken] = []
    ended: list[Joined] = []
    forever = limits(wall_ms=3_000_000, cpu_ms=3_000_000)

    async def run() -> None:
        try:
            ended.append(await lone.play(("mute",), ("referee", 7), lim=forever, interactor_lim=forever))
        except BoxBroken as error:
            broken.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        launcher = lone.box.launcher_pid
        await until(lambda: set(sides_of(launcher)) == {"program", "interactor"}, "both sides")
        sides = sides_of(launcher)
        os.kill(launcher if victim == "launcher" else sides[victim].pid, signal.SIGKILL)
        await until(lambda: not named_main(launcher), "both gone")

    assert len(broken) == (victim == "launcher")
    for joined in ended:
        assert joined.interactor_first == (victim == "interactor")
    assert codes(await lone.play(("play",), ("referee", 3))) == (0, RIGHT)


async def test_run_joined_with_a_spec_that_cannot_be_joined_is_refused(table: Table, tmp_path: Path) -> None:
    one, other = table.side("player", ("play",), None), table.side("judge", ("referee", 1), None)
    (tmp_path / "in").touch()

    for spec in (
        replace(one, policy=Policy.COMPILE),
        replace(one, stdin=tmp_path / "in"),
        replace(one, stdout_to=tmp_path / "out"),
    ):
        with pytest.raises(ValueError, match="joined"):
            await table.box.run_joined(spec, other, is_settled=is_settled)
    with pytest.raises(FileNotFoundError):
        await table.box.run_joined(
            one, replace(other, files_in=(FileIn("gone", tmp_path / "gone"),)), is_settled=is_settled
        )
    assert codes(await table.play(("play",), ("referee", 3))) == (0, RIGHT)
