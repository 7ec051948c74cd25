"""A run that is alone in a shared box: who waits for whom, how long, and that no run waits without end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
import trio.testing

from deepoj.adapters.sandbox.quiet_box import PAUSE, PAUSE_MAX_S, QuietBox
from deepoj.words.sandbox import Isolation, Joined, RunLimits, RunOutcome, RunSpec
from tests.fakes.box import outcome

LIMITS = RunLimits(cpu_ms=1000, wall_ms=3000, memory_bytes=1 << 20, output_bytes=1 << 20)


@dataclass(eq=False)
class Scene:
    """A box whose runs take as many seconds as their argument; ``seen`` records which runs ran concurrently."""

    nursery: trio.Nursery
    slots: int = 2
    now: list[str] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, RunOutcome] = field(default_factory=dict)
    beside: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.box = QuietBox(self, slots=self.slots)
        self._start = trio.current_time()

    isolation = Isolation.FULL
    has_proc = True

    def check(self) -> str:
        return ""

    async def restore(self) -> None: ...

    async def run(self, spec: RunSpec) -> RunOutcome:
        name = spec.argv[0]
        self.began[name] = trio.current_time() - self._start
        self.now.append(name)
        for other in self.now:
            self.beside.setdefault(other, set()).update(set(self.now) - {other})
        self.beside[name] = set(self.now) - {name}
        try:
            await trio.sleep(float(spec.argv[1]))
        finally:
            self.now.remove(name)
        return outcome()

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        return Joined(
            program=await self.run(program), interactor=outcome(), interactor_first=False, apart_ms=0,
            unread_by_interactor=0, unread_by_program=0, program_cut=False,
        )  # fmt: skip

    async def _ask(self, spec: RunSpec) -> None:
        self.ended[spec.argv[0]] = await self.box.run(spec)

    async def ask(
        self, name: str, takes_s: float, *, within_s: float | None = None, user_id: int | None = None
    ) -> None:
        """Start a run now, in the background."""
        spec = RunSpec(argv=(name, str(takes_s)), limits=LIMITS, alone_within_s=within_s, user_id=user_id)
        self.nursery.start_soon(self._ask, spec)
        await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def scene(slots: int = 2) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(nursery, slots)


async def test_runs_share_the_box(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        for name in "abc":
            await s.ask(name, 1)
    assert set(s.began.values()) == {0.0}
    assert not any(ended.alone for ended in s.ended.values())
    assert s.box.isolation is Isolation.FULL


async def test_one_that_asks_is_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("a", 3)
        await s.ask("quiet", 1, within_s=10)
        await s.ask("late", 1)
        await s.ask("later", 1)
    assert s.began == {"a": 0.0, "quiet": 3.0, "late": 4.0, "later": 4.0}
    assert [name for name, ended in s.ended.items() if ended.alone] == ["quiet"]
    assert s.beside["quiet"] == set()


async def test_an_empty_box_is_quiet(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("quiet", 1, within_s=0)
    assert s.ended["quiet"].alone


async def test_patience_ends(autojump_clock: trio.testing.MockClock) -> None:
    """It runs all the same, beside the others, and says so; runs that waited behind it go on, too."""
    async with scene() as s:
        await s.ask("long", 100)
        await s.ask("quiet", 1, within_s=2)
        await s.ask("late", 1)
    assert s.began == {"long": 0.0, "quiet": 2.0, "late": 2.0}
    assert not s.ended["quiet"].alone


async def test_neither_kind_starves_the_other(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("a", 1)
        for number in range(3):
            await s.ask(f"quiet{number}", 1, within_s=100)
            await s.ask(f"other{number}", 1)
    assert list(s.began) == ["a", "quiet0", "other0", "quiet1", "other1", "quiet2", "other2"]
    assert all(s.ended[f"quiet{number}"].alone for number in range(3))


async def test_two_that_ask_come_one_after_the_other(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("first", 5, within_s=10)
        await s.ask("second", 1, within_s=2)
    # the second's patience was over long before, but it does not break into a run that was promised to be alone
    assert s.began == {"first": 0.0, "second": 5.0}
    assert s.ended["first"].alone
    assert not s.ended["second"].alone


@pytest.mark.parametrize("cut_at", [0.5, 3.5])
async def test_cancelled_run_alone_lets_others_in(autojump_clock: trio.testing.MockClock, cut_at: float) -> None:
    """Cancelled while it waits or while it runs."""
    async with scene() as s:
        await s.ask("a", 3)
        with trio.move_on_after(cut_at):
            async with trio.open_nursery() as short:
                spec = RunSpec(argv=("quiet", "9"), limits=LIMITS, alone_within_s=100)
                short.start_soon(s.box.run, spec)
                await trio.testing.wait_all_tasks_blocked()
                await s.ask("late", 1)
        await s.ask("after", 1)
    assert s.began["late"] == cut_at
    assert s.began["after"] == cut_at
    assert s.ended.keys() == {"a", "late", "after"}


async def test_broken_run_alone_lets_others_in(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        with pytest.raises(ValueError, match="could not convert"):
            await s.box.run(RunSpec(argv=("broken", "x"), limits=LIMITS, alone_within_s=1))
        await s.ask("after", 1)
    assert s.ended.keys() == {"after"}


async def test_a_pair_shares_the_box_as_one_run_does(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("quiet", 2, within_s=10)
        spec = RunSpec(argv=("pair", "1"), limits=LIMITS)
        await s.box.run_joined(spec, spec, is_settled=lambda _: True)
    assert s.began == {"quiet": 0.0, "pair": 2.0}


async def test_time_alone_is_free_without_waiting_runs(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        for number in range(3):
            await s.ask(f"alone{number}", 3, within_s=100, user_id=1)
    assert list(s.began.values()) == [0.0, 3.0, 6.0]


@pytest.mark.parametrize("slots", [2, 8])
async def test_time_alone_is_rationed_and_others_pass(autojump_clock: trio.testing.MockClock, slots: int) -> None:
    """Each second that others wait costs its user a pause that grows with the slots; then the run is alone."""
    pause_s = PAUSE * slots - 1
    async with scene(slots) as s:
        await s.ask("first", 3, within_s=100, user_id=1)
        await trio.sleep(2)
        await s.ask("other", 1, user_id=2)  # waits for a second
        await trio.sleep(1.5)
        await s.ask("second", 3, within_s=100, user_id=1)
        for number in range(4):
            await s.ask(f"passes{number}", 0.1, user_id=2)
            await trio.sleep(0.2)
        assert "second" not in s.began
    assert s.began["other"] == 3.0
    assert s.began["second"] == pytest.approx(3.0 + pause_s)
    assert s.ended["second"].alone
    assert s.beside["second"] == set()


async def test_another_users_ration_is_his_own(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("first", 3, within_s=100, user_id=1)
        await s.ask("other", 1, user_id=2)
        await trio.sleep(10)
        await s.ask("his", 1, within_s=100, user_id=2)
        await s.ask("hers", 1, within_s=100, user_id=1)
    assert s.began["his"] == 10.0
    assert s.began["hers"] > 20.0


async def test_a_drain_that_was_given_up_is_charged_too(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("long", 100, user_id=2)
        await s.ask("quiet", 1, within_s=2, user_id=1)
        await s.ask("late", 1, user_id=3)
        await trio.sleep(50)
        for number in range(2):
            await s.ask(f"again{number}", 1, within_s=2, user_id=1)
    assert s.began["late"] == 2.0
    assert s.began["again0"] >= 50.0
    assert not s.ended["quiet"].alone


async def test_slots_that_are_all_paused_go_on(autojump_clock: trio.testing.MockClock) -> None:
    """Otherwise a user who fills the node would stop it for the length of the pause."""
    async with scene(slots=2) as s:
        await s.ask("first", 10, within_s=100, user_id=1)
        await s.ask("other", 1, user_id=2)
        await trio.sleep(12)
        await s.ask("second", 1, within_s=100, user_id=1)
        await trio.sleep(1)
        assert "second" not in s.began
        await s.ask("third", 1, within_s=100, user_id=1)
        assert s.began["second"] == 13.0
    assert s.began["third"] > 14.0


async def test_a_paused_run_that_is_cancelled_leaves_no_trace(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("first", 10, within_s=100, user_id=1)
        await s.ask("other", 1, user_id=2)
        await trio.sleep(12)
        with trio.move_on_after(1):
            await s.box.run(RunSpec(argv=("cut", "1"), limits=LIMITS, alone_within_s=100, user_id=1))
        assert "cut" not in s.began
        assert not s.box._ration._paused
        await s.ask("after", 1, user_id=2)
    assert s.began["after"] == 13.0


async def test_a_pair_that_asks_is_alone(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await s.ask("a", 3)
        spec = RunSpec(argv=("pair", "1"), limits=LIMITS)
        joined = await s.box.run_joined(replace(spec, alone_within_s=10), spec, is_settled=lambda _: True)
    assert joined.program.alone
    assert s.began == {"a": 0.0, "pair": 3.0}


async def park_four(s: Scene) -> None:
    """After 3 s, four runs of user 1 wait for his pause to end: at 62 s."""
    await s.ask("first", 2, within_s=100, user_id=1)
    await s.ask("other", 1, user_id=2)
    await trio.sleep(3)
    for number in range(4):
        await s.ask(f"paused{number}", 1, within_s=100, user_id=1)


async def test_paused_runs_leave_half_of_the_slots_to_others(autojump_clock: trio.testing.MockClock) -> None:
    """A paused run holds a slot. A user with many of them must not hold all slots but one for his whole pause."""
    async with scene(slots=8) as s:
        await park_four(s)
        assert not [name for name in s.began if name.startswith("paused")]
        await s.ask("paused4", 1, within_s=100, user_id=1)
        assert s.began["paused0"] == 3.0
        assert "paused1" not in s.began


async def test_two_paused_runs_that_come_at_once_release_two(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(slots=8) as s:
        await park_four(s)
        for name in ("paused4", "paused5"):
            spec = RunSpec(argv=(name, "1"), limits=LIMITS, alone_within_s=100, user_id=1)
            s.nursery.start_soon(s.box.run, spec)
        await trio.sleep(5)
        assert sorted(name for name in s.began if name.startswith("paused")) == ["paused0", "paused1"]  # in any order


@pytest.mark.parametrize("_again", range(5))
async def test_paused_run_keeps_its_place_when_the_pause_grows(
    autojump_clock: trio.testing.MockClock, _again: int
) -> None:
    """Five times: trio wakes in any order those whose pause is over at the same moment."""
    async with scene(slots=8) as s:
        await park_four(s)
        s.box._ration.charge(1, 1)  # from 62 to 63
        await trio.sleep(PAUSE_MAX_S - 0.5)
        await s.ask("paused4", 1, within_s=100, user_id=1)
        assert [name for name in s.began if name.startswith("paused")] == ["paused0"]


async def test_no_pause_is_longer_than_the_longest(autojump_clock: trio.testing.MockClock) -> None:
    """A verdict must come: every test of a slow program may be close to its limit, and each would wait for minutes."""
    async with scene(slots=64) as s:
        await s.ask("first", 10, within_s=100, user_id=1)
        await s.ask("other", 1, user_id=2)
        await trio.sleep(11)
        await s.ask("second", 1, within_s=100, user_id=1)
    assert s.began["second"] == 10.0 + PAUSE_MAX_S
    assert s.ended["second"].alone
