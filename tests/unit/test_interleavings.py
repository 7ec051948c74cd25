"""All interleavings of two workers over one job, at every statement boundary: see ``tests.interleaving``."""

from __future__ import annotations

import hashlib
import io
import itertools
import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import pytest
import trio

from deepoj.observe import Metrics
from deepoj.words.submissions import Draft, Receipt
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream, MemoryStreamServer
from tests.interleaving import (
    EXPIRE,
    GRACE_S,
    LEASE_S,
    Do,
    Move,
    Noted,
    Play,
    Row,
    Schedule,
    Seen,
    merges,
    number_of_merges,
    programs,
)
from tests.unit.makers import a_problem

#: a taker has an entry in its hands already
FIRST_WALK = (Do.CLAIM, Do.START, Do.HEARTBEAT)
FIRST = programs(FIRST_WALK)
SECOND = programs([Do.TAKE, *FIRST_WALK])
#: no worker is killed, and the start, which is no statement, is left out
SHORT = [(Do.CLAIM, Do.HEARTBEAT, end, Do.ACK) for end in (Do.FINALIZE, Do.GIVE_BACK)]
SHORT_TAKEN = [(Do.TAKE, *walk) for walk in SHORT]


class MemoryWorld:
    """``tests.interleaving.World`` over fakes, with a clock that only ``expire`` moves."""

    def __init__(self, metrics: Metrics, *, entries: int, max_attempts: int) -> None:
        self._now = 1_000.0
        self._server = MemoryStreamServer(clock_ms=self._clock_ms)
        self._streams = {name: MemoryStream(self._server, consumer=name) for name in "abc"}
        self._store = MemoryStore(clock=self._clock_s)
        self.store = self._store.ports
        self.metrics = metrics
        self.max_attempts = max_attempts
        self._entries = entries
        self.job_id = ""

    def _clock_s(self) -> float:
        return self._now

    def _clock_ms(self) -> int:
        return round(self._now * 1000)

    async def prepare(self) -> None:
        """One job, with this many entries in the stream: more than one is an answer of XADD that was lost."""
        problem = a_problem()
        await self._store.insert_problem(problem)
        draft = Draft(user_id=1001, problem_id=problem.id, language="cpp17", code="x", trace_id="t")
        receipt = await self._store.submit(draft, inflight_cap=9, dedup_window_s=9, payload={}, stream_key="s")
        assert isinstance(receipt, Receipt)
        self.job_id = receipt.job_id
        [event] = await self._store.take_outbox(1, 1.0, 1.0)
        for _ in range(self._entries):
            [entry_id] = await self._streams["a"].publish([event])
        await self._store.mark_delivered([(event.id, entry_id)])

    def stream(self, who: str) -> MemoryStream:
        return self._streams[who]

    async def expire(self) -> None:
        self._now += LEASE_S + GRACE_S

    async def look(self) -> Seen:
        row, group = self._store.rows[self.job_id], self._server.ready_group()
        live = sum(one > group.last_delivered or one in group.pending for one in self._server.entries)
        return Seen(
            row=Row(row.state, row.status, row.attempt_id, row.judging_attempts, row.lease_owner),
            leased=self._store._leased(row),
            ledger=tuple(Noted(one.event, one.attempt_id, one.owner, one.outcome) for one in self._store.ledger),
            ways_back=live + sum(event.status == "pending" for event in self._store.outbox.values()),
            pending=len(group.pending),
        )


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes never yield and the steps log nothing: there is one task, and some hundred thousand schedules."""

    async def go_on() -> None:
        pass

    monkeypatch.setattr(trio.lowlevel, "checkpoint", go_on)
    monkeypatch.setattr("deepoj.observe.log", lambda *_args, **_fields: None)


class _Photographer(pickle.Pickler):
    """``plain``: so that equal states come to equal bytes, however much of them is one object in several places."""

    def __init__(self, out: io.BytesIO, *, plain: bool) -> None:
        super().__init__(out, pickle.HIGHEST_PROTOCOL)
        self.fast = self._plain = plain

    def persistent_id(self, thing: Any) -> str | None:
        if isinstance(thing, Metrics):
            return "metrics"
        # a clock leads back to the world that it is of
        return thing.__name__ if self._plain and isinstance(thing, MethodType) else None


class _Restorer(pickle.Unpickler):
    def __init__(self, photograph: bytes, metrics: Metrics) -> None:
        super().__init__(io.BytesIO(photograph))
        self._metrics = metrics

    def persistent_load(self, name: str) -> Metrics:
        assert name == "metrics"
        return self._metrics


def photograph(one: Play, *, plain: bool = False) -> bytes:
    """All that a play holds: the rows, the entries, the clock, the workers' hands, what was seen and counted. Only the
    answers so far are left out, which are for people to read."""
    answers, one.answers = one.answers, []
    out = io.BytesIO()
    _Photographer(out, plain=plain).dump(one)
    one.answers = answers
    return out.getvalue()


@dataclass
class State:
    """What some schedules have come to, and what each move made of it: a state's number, and its answers."""

    photograph: bytes
    seen: Seen
    after: dict[Move | None, tuple[int, list[str]]] = field(default_factory=dict)


@dataclass
class Plays:
    """Plays every schedule from the start, but each move from the same state only once: its result, and
    whether the invariants hold then, depends on nothing else."""

    metrics: Metrics
    entries: int = 1
    max_attempts: int = 9
    states: list[State] = field(default_factory=list)
    _numbers: dict[bytes, int] = field(default_factory=dict)

    async def prepare(self) -> None:
        world = MemoryWorld(self.metrics, entries=self.entries, max_attempts=self.max_attempts)
        await world.prepare()
        one = Play(world)
        await one.begin()
        self._number(one)

    def _number(self, one: Play) -> int:
        key = hashlib.blake2b(photograph(one, plain=True)).digest()
        if key not in self._numbers:
            self._numbers[key] = len(self.states)
            self.states.append(State(photograph(one), one.seen))
        return self._numbers[key]

    async def play(self, schedule: Schedule) -> Seen:
        """What there is to see when it is over and mended.

        Raises:
          Broken: an invariant did not hold.
        """
        state, answers = self.states[0], list[str]()
        for move in (Move("a", Do.TAKE), *schedule, None):
            if move not in state.after:
                one: Play = _Restorer(state.photograph, self.metrics).load()
                one.answers = list(answers)
                await one.go_on(move)
                state.after[move] = self._number(one), one.answers[len(answers) :]
            number, said = state.after[move]
            state = self.states[number]
            answers += said
        return state.seen


@dataclass
class Tally:
    """How often it came to what: shows that the schedules reach what they are about."""

    schedules: int = 0
    verdicts_by: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def add(self, seen: Seen) -> None:
        ledger = seen.ledger
        self.schedules += 1
        self.ends[seen.row.state] += 1
        self.verdicts_by.update(noted.owner or "" for noted in ledger if noted.event == "finalized")
        self.refusals.update(noted.outcome or "" for noted in ledger if noted.event == "refused")


def played(schedules: Iterable[Schedule], metrics: Metrics, *, entries: int = 1, max_attempts: int = 9) -> Tally:
    tally = Tally()

    async def all_of_them() -> None:
        plays = Plays(metrics, entries, max_attempts)
        await plays.prepare()
        for schedule in schedules:
            tally.add(await plays.play(schedule))

    trio.run(all_of_them)
    return tally


def shuffled(first: Iterable[Sequence[Do]], second: Iterable[Sequence[Do]], *, expiries: int) -> Iterator[Schedule]:
    for mine, other in itertools.product(first, second):
        yield from merges([Move("a", do) for do in mine], [Move("b", do) for do in other], [EXPIRE] * expiries)


def expected(first: Iterable[Sequence[Do]], second: Iterable[Sequence[Do]], *, expiries: int) -> int:
    """By the formula; the schedules themselves are counted beside it."""
    return sum(number_of_merges(len(mine), len(other), expiries) for mine, other in itertools.product(first, second))


def test_shared_play_gives_the_same_as_a_separate_one(at_once: None, metrics: Metrics) -> None:
    """A sample, each schedule of it in a world of its own."""
    sample = [*itertools.islice(shuffled(FIRST, SECOND, expiries=1), 0, None, 151)]

    async def both() -> None:
        plays = Plays(metrics)
        await plays.prepare()
        for schedule in sample:
            world = MemoryWorld(metrics, entries=1, max_attempts=9)
            await world.prepare()
            separate = Play(world)
            await separate.run((Move("a", Do.TAKE), *schedule))
            assert await plays.play(schedule) == separate.seen, schedule
        assert len(plays.states) > 50

    trio.run(both)
    assert len(sample) > 300


# The figures stand here as numbers too: a change to the moves must be a decision, not an accident.


def test_a_reclaimed_entry_and_deaths_everywhere(at_once: None, metrics: Metrics) -> None:
    """One entry; the second worker gets it by reclaim. Each may be killed between any two of its statements."""
    tally = played(shuffled(FIRST, SECOND, expiries=1), metrics)
    assert tally.schedules == expected(FIRST, SECOND, expiries=1) == 58_153
    assert tally.ends == {"done": tally.schedules}
    assert set(tally.verdicts_by) == {"a", "b", "c"}
    assert set(tally.refusals) == {"stale_attempt", "lease_lost_or_owner_mismatch"}


def test_a_doubled_entry(at_once: None, metrics: Metrics) -> None:
    """An answer of XADD was lost, so the job has two entries, and each worker has one of them."""
    tally = played(shuffled(SHORT, SHORT_TAKEN, expiries=1), metrics, entries=2)
    assert tally.schedules == expected(SHORT, SHORT_TAKEN, expiries=1) == 5040
    assert tally.ends == {"done": tally.schedules}
    assert set(tally.verdicts_by) == {"a", "b", "c"}


def test_two_leases_run_out(at_once: None, metrics: Metrics) -> None:
    """Each worker may lose its lease, at any two moments."""
    first, second = SHORT[:1], SHORT_TAKEN[:1]  # both end in a verdict
    tally = played(shuffled(first, second, expiries=2), metrics)
    assert tally.schedules == expected(first, second, expiries=2) == 6930
    assert tally.ends == {"done": tally.schedules}


@pytest.mark.parametrize("max_attempts", [1, 2])
def test_attempts_that_are_used_up(at_once: None, metrics: Metrics, max_attempts: int) -> None:
    """The last attempt is lost or given back: the job is dead, and no late verdict changes it."""
    tally = played(shuffled(SHORT, SHORT_TAKEN, expiries=1), metrics, max_attempts=max_attempts)
    assert tally.schedules == expected(SHORT, SHORT_TAKEN, expiries=1) == 5040
    assert set(tally.ends) == {"done", "dead"}
    assert tally.ends.total() == tally.schedules
    # a late verdict meets the dead row under its own number when no second claim was won
    assert ("not_in_expected_state" in tally.refusals) == (max_attempts == 1)
