"""Two workers over one job, a statement at a time, in an order that the test chooses.

A schedule is a sequence of moves. A worker's move is one statement of the pipeline, made by the real step over the
store and stream of the world. ``Clock.EXPIRE`` lets every lease run out and every pending entry become old enough for
reclaim. The workers never look at a clock and go on after a heartbeat reported a lost lease, like a process that was
stopped for longer than its lease. So only the fence of the database keeps them apart.

A killed worker is one whose moves end early. At the end of a schedule a third, healthy worker finishes the job.

All schedules run over fakes, and a sample runs over real servers.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from deepoj.observe import Metrics
from deepoj.pipeline import ack as ack_step
from deepoj.pipeline.ack import Ending, Settled, settles
from deepoj.pipeline.claim import LeaseSettings, claim
from deepoj.pipeline.finalize import finalize, give_back
from deepoj.pipeline.heartbeat import heartbeat
from deepoj.pipeline.outbox import Lanes, OutboxSettings, dispatch
from deepoj.pipeline.reclaim import ReclaimSettings, reclaim
from deepoj.ports.stream import JobStream
from deepoj.words.jobs import Claim, ClaimRefusal, FinalizeRefusal, Held
from deepoj.words.results import Infra, Verdict
from deepoj.words.stream import Entry
from tests.fakes.ports import Store
from tests.unit.makers import a_report

LEASE_S = 60.0
GRACE_S = 15.0
MIN_IDLE_MS = round((LEASE_S + GRACE_S) * 1000)
_DISPATCH = OutboxSettings(100, 0.5, 10.0)
_RECLAIM = ReclaimSettings(MIN_IDLE_MS, 16)


class Do(enum.StrEnum):
    """The statements of a worker."""

    #: reclaim and, if it finds no entry, a dispatcher round and a read: one move, since each alone changes no row
    TAKE = "take"
    CLAIM = "claim"
    #: the judge begins: no statement, but it must not happen without a won claim
    START = "start"
    HEARTBEAT = "heartbeat"
    FINALIZE = "finalize"
    GIVE_BACK = "give back"
    ACK = "ack"


class Clock(enum.StrEnum):
    EXPIRE = "expire"


@dataclass(frozen=True)
class Move:
    """A move of the worker ``who``; the clock's move has none."""

    who: str
    do: Do | Clock

    def __str__(self) -> str:
        return f"{self.who}:{self.do}" if self.who else str(self.do)


EXPIRE = Move("", Clock.EXPIRE)
Schedule = tuple[Move, ...]


def programs(first: Sequence[Do]) -> list[tuple[Do, ...]]:
    """Return the sequences of a worker: up to a verdict or to giving back, and each of their beginnings."""
    walks = [(*first, end, Do.ACK) for end in (Do.FINALIZE, Do.GIVE_BACK)]
    return sorted({walk[:length] for walk in walks for length in range(len(walk) + 1)})


def merges(left: Sequence[Move], right: Sequence[Move], third: Sequence[Move] = ()) -> Iterator[Schedule]:
    """Yield every merge of the sequences once; moves of different sequences differ."""
    total = len(left) + len(right) + len(third)
    for mine in itertools.combinations(range(total), len(left)):
        others = [place for place in range(total) if place not in mine]
        for chosen in itertools.combinations(others, len(right)):
            row: list[Move | None] = [None] * total
            for places, moves in ((mine, left), (chosen, right)):
                for place, move in zip(places, moves, strict=True):
                    row[place] = move
            rest = iter(third)
            yield tuple(next(rest) if move is None else move for move in row)


def number_of_merges(left: int, right: int, third: int = 0) -> int:
    """Return the number of merges of sequences of these lengths: the multinomial coefficient."""
    return math.factorial(left + right + third) // (
        math.factorial(left) * math.factorial(right) * math.factorial(third)
    )


@dataclass(frozen=True)
class Row:
    """The job's row in the database."""

    state: str
    status: str
    attempt_id: int
    judging_attempts: int
    lease_owner: str | None


@dataclass(frozen=True)
class Noted:
    """One ledger row."""

    event: str
    attempt_id: int
    owner: str | None
    outcome: str | None


@dataclass(frozen=True)
class Seen:
    """The visible state of the job between two moves."""

    row: Row
    #: whether a lease is valid now, by the database's clock
    leased: bool
    ledger: tuple[Noted, ...]
    #: waiting events and unacked entries: each brings the job to a claim without repair
    ways_back: int
    #: entries that were delivered and not acked
    pending: int

    def events(self) -> list[str]:
        return [noted.event for noted in self.ledger]


class World(Protocol):
    """A store and a stream with one submitted job, and queries of both."""

    @property
    def store(self) -> Store: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def max_attempts(self) -> int: ...

    def stream(self, who: str) -> JobStream: ...

    async def expire(self) -> None:
        """End every lease and make every pending entry idle for long enough."""
        ...

    async def look(self) -> Seen: ...


class Broken(AssertionError):
    """An invariant does not hold; names the schedule."""


@dataclass
class Worker:
    """The entry and the claim that one node holds."""

    name: str
    verdict: Verdict
    entry: Entry | None = None
    claim: Claim | None = None
    ending: Ending | None = None


@dataclass
class Play:
    """One schedule on one world: makes the moves, checks the invariants after each, and records the answers."""

    world: World
    workers: dict[str, Worker] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    won: list[Claim] = field(default_factory=list)
    ended: list[tuple[Claim, str]] = field(default_factory=list)
    refused: int = 0
    final: tuple[str, str] | None = None
    #: state after the last move
    seen: Seen = field(init=False)

    def worker(self, name: str) -> Worker:
        if name not in self.workers:
            verdict = {"a": Verdict.ACCEPTED, "b": Verdict.WRONG_ANSWER}.get(name, Verdict.RUNTIME_ERROR)
            self.workers[name] = Worker(name, verdict)
        return self.workers[name]

    async def run(self, schedule: Schedule) -> None:
        await self.begin()
        for move in schedule:
            await self.go_on(move)
        await self.go_on(None)

    async def begin(self) -> None:
        self.seen = await self.world.look()

    async def go_on(self, move: Move | None) -> None:
        """Make one move; None: the schedule is over, and a healthy node finishes the job."""
        try:
            await (self._mend() if move is None else self._make(move))
        except AssertionError as broken:
            raise Broken(f"{broken}\n" + "\n".join(self.answers)) from broken

    async def _make(self, move: Move) -> None:
        self.answers.append(f"{move} →")
        answer = await self.make(move)
        self.answers[-1] += f" {answer}"
        self._check()

    async def make(self, move: Move) -> str:
        """Make one move, set ``seen`` to the state after it, and return the answer as a word."""
        answer = await self._answer(move)
        before, self.seen = self.seen, await self.world.look()
        if (move.do is Do.FINALIZE or move.do is Do.GIVE_BACK) and self.workers[move.who].claim is not None:
            self._check_end(self.workers[move.who], move.do, before)
        if move.do is Do.ACK and answer == "kept":
            assert self.seen.pending == before.pending, "an entry was acked that is still needed"
        return answer

    async def _answer(self, move: Move) -> str:
        if move.do is Clock.EXPIRE:
            await self.world.expire()
            return ""
        worker = self.worker(move.who)
        if move.do is Do.TAKE:
            return await self._take(worker)
        if move.do is Do.CLAIM:
            return await self._claim(worker) if worker.entry else "nothing to claim"
        if move.do is Do.ACK:
            return await self._ack(worker) if worker.entry and worker.ending else "nothing to ack"
        return await self._with_claim(worker, worker.claim, move.do) if worker.claim else "nothing in hand"

    async def _with_claim(self, worker: Worker, held: Claim, do: Do) -> str:
        if do is Do.START:
            return self._start(held)
        if do is Do.HEARTBEAT:
            return await self._heartbeat(held)
        return await self._end(worker, held, do)

    # -- the moves

    async def _take(self, worker: Worker) -> str:
        stream = self.world.stream(worker.name)
        _, found = await reclaim(stream, "0-0", _RECLAIM, self.world.metrics)
        how = "reclaimed"
        if not found:
            await dispatch(self.world.store.outbox, stream, _DISPATCH, self.world.metrics, Lanes(), now_s=0.0)
            found, how = await stream.read(1, 0), "read"
        worker.entry = next((entry for entry in found if isinstance(entry, Entry)), None)
        return how if worker.entry else "nothing there"

    async def _claim(self, worker: Worker) -> str:
        assert worker.entry is not None
        free, before = not self.seen.leased, self.seen.row
        settings = LeaseSettings(worker.name, LEASE_S, self.world.max_attempts)
        answers = await claim(self.world.store.leases, [worker.entry], settings, self.world.metrics)
        answer = answers[worker.entry.entry_id]
        if isinstance(answer, Claim):
            assert free, "a claim was won against a valid lease"
            assert before.state in {"pending", "processing"}, "a finished job was claimed"
            assert answer.attempt_id == before.attempt_id + 1, "attempts do not grow by one"
            assert before.judging_attempts < self.world.max_attempts, "more attempts than there may be"
            worker.claim = answer
            self.won.append(answer)
            return f"attempt {answer.attempt_id}"
        expected = {"done": ClaimRefusal.ALREADY_DONE, "dead": ClaimRefusal.DEAD}.get(
            before.state, ClaimRefusal.DEAD if free else ClaimRefusal.LEASED
        )
        assert answer is expected, f"refused as {answer}, and it is {expected}"
        worker.ending = answer
        return answer.value

    def _start(self, held: Claim) -> str:
        claimed = [(noted.attempt_id, noted.owner) for noted in self.seen.ledger if noted.event == "claimed"]
        assert claimed.count((held.attempt_id, held.lease_owner)) == 1, "an execution without a claim in the ledger"
        return "started"

    def _holds(self, held: Claim, seen: Seen) -> bool:
        """Whether the lease of this claim is valid in the database."""
        mine = (seen.row.attempt_id, seen.row.lease_owner) == (held.attempt_id, held.lease_owner)
        return seen.row.state == "processing" and mine and seen.leased

    async def _heartbeat(self, held: Claim) -> str:
        lost = await heartbeat(
            self.world.store.leases, [Held(held.job_id, held.attempt_id)], held.lease_owner, LEASE_S, self.world.metrics
        )
        assert bool(lost) != self._holds(held, self.seen), "a heartbeat that answers other than the row"
        return "lost" if lost else "kept"

    async def _end(self, worker: Worker, held: Claim, how: Do) -> str:
        refusal: FinalizeRefusal | None
        if how is Do.FINALIZE:
            refusal = await finalize(self.world.store.leases, held, a_report(worker.verdict), self.world.metrics)
        else:
            why = Infra("drained", "the node is shutting down")
            refusal = await give_back(
                self.world.store.leases, held, why, counts=True, delay_s=0.0, metrics=self.world.metrics
            )
        worker.ending = refusal or (Settled.FINALIZED if how is Do.FINALIZE else Settled.GIVEN_BACK)
        return worker.ending.value

    def _check_end(self, worker: Worker, how: Do, before: Seen) -> None:
        """Check that the ending was accepted or refused as required, and changed the row accordingly."""
        held, ending, after = worker.claim, worker.ending, self.seen
        assert held is not None
        assert isinstance(ending, Settled) == self._holds(held, before), f"{how} is answered {ending}"
        if isinstance(ending, Settled):
            self.ended.append((held, ending.value))
            assert after.row.state == ("done" if how is Do.FINALIZE else "pending")
            return
        self.refused += 1
        assert (after.row, after.ways_back) == (before.row, before.ways_back), "a refused write took effect"
        stale = before.row.attempt_id != held.attempt_id
        finished = before.row.state == "done"
        assert (ending is FinalizeRefusal.STALE_ATTEMPT) == stale, f"refused as {ending}"
        assert (ending is FinalizeRefusal.ALREADY_FINISHED) == (finished and not stale), f"refused as {ending}"

    async def _ack(self, worker: Worker) -> str:
        assert worker.entry is not None
        assert worker.ending is not None
        done = await ack_step.ack(self.world.stream(worker.name), worker.entry.entry_id, worker.ending)
        assert done == settles(worker.ending)
        return "acked" if done else "kept"

    # -- invariants

    def _check(self) -> None:
        """Check the invariants of "What if a process dies?" (``deploy/docs/architecture.md``) after every move."""
        row, ledger, events = self.seen.row, self.seen.ledger, self.seen.events()
        verdicts = [noted for noted in ledger if noted.event == "finalized"]
        assert len(verdicts) <= 1, "two verdicts"
        # 1: done means complete, by the attempt that the row names
        assert (row.state == "done") == bool(verdicts), "done without a verdict, or a verdict that is not done"
        if verdicts:
            assert (verdicts[0].attempt_id, verdicts[0].outcome) == (row.attempt_id, row.status)
        # a final state that a client has seen stays
        if self.final is not None:
            assert (row.state, row.status) == self.final, "a verdict changed"
        self.final = (row.state, row.status) if row.state in {"done", "dead"} else None
        # 3, 10: every won claim and every ending has its ledger row, and there is no other
        assert [(noted.attempt_id, noted.owner) for noted in ledger if noted.event == "claimed"] == [
            (one.attempt_id, one.lease_owner) for one in self.won
        ]
        assert [(noted.attempt_id, noted.event) for noted in ledger if noted.event in {"finalized", "given_back"}] == [
            (one.attempt_id, event) for one, event in self.ended
        ]
        assert events.count("refused") == self.refused
        # every attempt has one end: its own, or lost; the last one may have none yet
        for attempt in range(1, row.attempt_id + 1):
            fates = [
                noted.event
                for noted in ledger
                if noted.attempt_id == attempt and noted.event in {"finalized", "given_back", "lost"}
            ]
            open_end = attempt == row.attempt_id and row.state == "processing"
            assert len(fates) == (0 if open_end else 1), f"attempt {attempt} has the fates {fates}"
        # 8: attempts are bounded
        assert row.judging_attempts <= self.world.max_attempts
        # 2, 4: after any ack, the job can still be brought back
        if row.state in {"pending", "processing"}:
            assert self.seen.ways_back >= 1, "the job is lost: nothing brings it back but repair"

    async def _mend(self) -> None:
        """Let a healthy node finish the job in a bounded number of rounds."""
        for _ in range(8):
            if self.final is not None and self.seen.ways_back == 0:
                break
            self.answers.append("a healthy node's round")
            await self.world.expire()
            self.seen = await self.world.look()
            self.workers.pop("c", None)
            for do in (Do.TAKE, Do.CLAIM, Do.START, Do.HEARTBEAT, Do.FINALIZE, Do.ACK):
                await self._make(Move("c", do))
        assert self.final is not None, "no verdict in the end"
        assert self.seen.events().count("finalized") == (self.final[0] == "done")
        assert self.seen.ways_back == 0, "an entry stays"
