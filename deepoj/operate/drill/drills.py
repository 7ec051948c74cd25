"""The drills: submit a few canary jobs, cause one fault, check that no job is lost or duplicated, measure the recovery.

The recovery time is read from the ledger, on the database's clock, and compared with the promises of the product:

* A lost node (killed, or cut off from everything): other nodes claim its jobs within lease + grace + one reclaim
  interval, independently of the nodes' clocks; after a clean stop within two seconds.
* A stream that lost its entries: repair requeues the jobs once they are old enough and a round begins.
* A server outage: work continues within supervision's longest pause plus the recovery time of a lost node.
* A flood from one account: another account's submission waits only for running jobs and the dispatchers' windows, and
  the pressure includes the outbox.

The machine's own delays are not part of a promise: ``Timing.scaled`` lengthens the intervals on a slow machine, and
``ALLOWANCE_S`` is added to each bound, as the output says.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.operate.drill import clocks, programs
from deepoj.operate.drill.faults import inflict
from deepoj.operate.drill.history import Violation, Wrong, check
from deepoj.operate.drill.schedule import Fault, FaultKind
from deepoj.operate.drill.stage import Stage, Timing, staged
from deepoj.pipeline.outbox import WINDOW_MIN

DRILL_TIMING = Timing(lease_s=2.0, heartbeat_s=0.5, grace_s=0.5, reclaim_s=0.5)
NODES = 3
CANARY_JOBS = 12
#: number of jobs in drills that measure a takeover: another node must have a free slot
FEW_JOBS = 2
#: number of submissions of one account, and the duration of each
FLOOD_JOBS = 40
FLOOD_SLEEP_S = 2.0
#: interval between two measurements of the pressure
PRESSURE_S = 1.0
#: promised time until another node claims the jobs of a node that was stopped cleanly
CLEAN_STOP_S = 2.0
#: longest pause of nursery.supervise, including its jitter
PAUSE_S = 3.0 * 1.25
ALLOWANCE_S = 1.0
#: more than any promise: a job without a verdict after this time is lost
SETTLE_S = 180.0
_AWAY_S = 2.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Recovery:
    """A measured recovery time and its promise. ``recovery_s`` None: nothing had to recover, so nothing is proved."""

    what: str
    promise: str
    bound_s: float
    recovery_s: float | None

    @property
    def met(self) -> bool:
        return self.recovery_s is not None and self.recovery_s <= self.bound_s + ALLOWANCE_S


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a drill."""

    drill: str
    jobs: int
    finished: int
    recoveries: Sequence[Recovery]
    violations: Sequence[Violation]

    @property
    def good(self) -> bool:
        return not self.violations and all(recovery.met for recovery in self.recoveries)


async def drill(name: str, directory: Path, timing: Timing = DRILL_TIMING) -> Result:
    """Run one drill in ``directory``. Raises StartRefused, alone or in a group."""
    async with staged(
        directory, nodes=NODES, timing=timing, seed=0, small_disk=False,
        clock_library=clocks.build(directory) if name == "clock-skew" else None,
    ) as stage:  # fmt: skip
        await stage.await_ready()
        canaries = _StageCanaries(stage)
        recoveries = await DRILLS[name](canaries)
        with trio.move_on_after(SETTLE_S):
            await canaries.finished(canaries.sent)
        history = stage.client.history
        history.rows, history.ledger = await stage.rows(), await stage.ledger()
        violations = await stage.audited()
    violations += check(history)
    violations += [Violation(Wrong.ODD, "", answer) for answer in dict.fromkeys(stage.client.odd)]
    violations += [
        Violation(Wrong.FELL, "", f"{fall.node} ended with {fall.exit_code}: {fall.words}")
        for node in stage.nodes
        for fall in node.falls
    ]
    return Result(name, canaries.sent, len(stage.client.finished), recoveries, violations)


class _StageCanaries:
    """Submits jobs with known verdicts to a stage, and finds their events in the ledger."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.sent = 0

    def send(self, count: int = CANARY_JOBS, *, quick_too: bool = True) -> None:
        """Submit slow programs, and a third of quick ones unless ``quick_too`` is False. A client watches each."""
        for _ in range(count):
            number, self.sent = self.sent, self.sent + 1
            is_slow = not quick_too or number % 3 != 2
            program = programs.sleeping(number, self.stage.timing.lease_s * 1.5) if is_slow else programs.quick(number)
            self.stage.tasks.start_soon(self.stage.client.see_through, f"drill-{number}", program)

    async def finished(self, count: int) -> None:
        while len(self.stage.client.finished) < count:
            await trio.sleep(_LOOK_S)

    async def held(self) -> tuple[int, list[str]]:
        """Wait until a node holds leases. Return its index and its jobs."""
        while not (rows := await self.stage.ask(_HELD)):
            await trio.sleep(_LOOK_S)
        owner = rows[0]["lease_owner"]
        number = [node.name for node in self.stage.nodes].index(owner)
        return number, [row["job_id"] for row in rows if row["lease_owner"] == owner]

    async def taken_over_s(self, jobs: Sequence[str], since: dt.datetime) -> float | None:
        """Return the seconds until the last of these jobs was claimed again, or finalized by its old holder.

        None: no job was claimed again, so there was nothing to take over.
        """
        with trio.move_on_after(SETTLE_S):
            while len(rows := await self.stage.ask(TAKEN_OVER, list(jobs), since)) < len(jobs):
                await trio.sleep(_LOOK_S)
            return max((float(row["seconds"]) for row in rows if row["event"] == "claimed"), default=None)
        return float("inf")

    async def first_s(self, sql: str, since: dt.datetime) -> float | None:
        """Wait until ``sql`` finds an event. Return the seconds from ``since`` to it."""
        with trio.move_on_after(SETTLE_S):
            while (seconds := (await self.stage.ask(sql, since))[0]["seconds"]) is None:
                await trio.sleep(_LOOK_S)
            return float(seconds)
        return float("inf")


_HELD = "SELECT lease_owner, job_id::text FROM submissions WHERE lease_until > now() ORDER BY id"
TAKEN_OVER = """
SELECT DISTINCT ON (job_id) event, extract(epoch FROM created_at - $2) AS seconds
FROM attempts WHERE job_id = ANY ($1::text[]::uuid[]) AND created_at > $2 AND event IN ('claimed', 'finalized')
ORDER BY job_id, id
"""
_NEXT_CLAIM = """
SELECT extract(epoch FROM min(created_at) - $1) AS seconds FROM attempts
WHERE created_at > $1 AND event = 'claimed'
"""
_LAST_REPAIR = """
SELECT CASE WHEN count(*) FILTER (WHERE s.state IN ('pending', 'processing')
                AND NOT EXISTS (SELECT FROM outbox_events AS e
                                WHERE e.job_id = s.job_id AND e.created_at > $1)) = 0
       THEN extract(epoch FROM (SELECT max(created_at) FROM outbox_events WHERE event_type = 'repair') - $1)
       END AS seconds
FROM submissions AS s WHERE s.created_at < $1
"""


# ---------------------------------------------------------------------------------------------------------------------
# The drills, one function each


async def _worker_kill(canaries: _StageCanaries) -> list[Recovery]:
    """Kill one node with SIGKILL, then stop another cleanly."""
    killed = await _node_gone(canaries, FaultKind.NODE_KILL, "kill -9 of a node")
    await canaries.finished(canaries.sent)
    await canaries.stage.await_ready()
    canaries.send(FEW_JOBS, quick_too=False)
    node, held = await canaries.held()
    since = await canaries.stage.now()
    canaries.stage.tasks.start_soon(inflict, canaries.stage, Fault(1, FaultKind.NODE_STOP, node=node, share=1.0))
    seconds = await canaries.taken_over_s(held, since)
    clean = Recovery("clean stop of a node", "under 2 s", CLEAN_STOP_S, seconds)
    return [killed, clean]


async def _partition(canaries: _StageCanaries) -> list[Recovery]:
    return [await _node_gone(canaries, FaultKind.PARTITION, "a node cut off from everything")]


async def _clock_skew(canaries: _StageCanaries) -> list[Recovery]:
    """Shift every node's clock by a different amount, then kill a node: only the database's clock decides."""
    for node, minutes in zip(canaries.stage.nodes, (17, -23, 5), strict=True):
        node.shift_clock(minutes)
    return [await _node_gone(canaries, FaultKind.NODE_KILL, "kill -9 of a node, clocks +17, −23 and +5 min")]


async def _node_gone(canaries: _StageCanaries, kind: FaultKind, what: str) -> Recovery:
    stage = canaries.stage
    canaries.send(FEW_JOBS, quick_too=False)
    node, held = await canaries.held()
    since = await stage.now()
    stage.tasks.start_soon(inflict, stage, Fault(0, kind, node=node, share=1.0))
    seconds = await canaries.taken_over_s(held, since)
    return Recovery(what, "lease + grace + one reclaim interval", stage.timing.recovery_s, seconds)


async def _redis_down(canaries: _StageCanaries) -> list[Recovery]:
    """Kill Valkey for a while; the API must still accept submissions."""
    stage = canaries.stage
    canaries.send(CANARY_JOBS // 2)
    async with stage.valkey.busy:
        await stage.valkey.crash()
        canaries.send(CANARY_JOBS // 2)
        await trio.sleep(_AWAY_S)
        await stage.valkey.up(stage.tasks)
    since = await stage.now()
    return [_after_outage("Redis is back", stage, await canaries.first_s(_NEXT_CLAIM, since))]


async def _postgres_restart(canaries: _StageCanaries) -> list[Recovery]:
    stage = canaries.stage
    canaries.send()
    await canaries.held()
    async with stage.postgres.busy:
        await stage.postgres.down()
        await trio.sleep(_AWAY_S)
        await stage.postgres.up(stage.tasks)
    since = await stage.now()
    return [_after_outage("PostgreSQL is back", stage, await canaries.first_s(_NEXT_CLAIM, since))]


def _after_outage(what: str, stage: Stage, seconds: float | None) -> Recovery:
    promise = "longest pause + lease + grace + one reclaim interval"
    return Recovery(what, promise, PAUSE_S + stage.timing.recovery_s, seconds)


async def _redis_wipe(canaries: _StageCanaries) -> list[Recovery]:
    return [await _entries_gone(canaries, FaultKind.REDIS_WIPE, "FLUSHALL")]


async def _stream_trim(canaries: _StageCanaries) -> list[Recovery]:
    return [await _entries_gone(canaries, FaultKind.STREAM_TRIM, "stream trimmed to nothing")]


async def _entries_gone(canaries: _StageCanaries, kind: FaultKind, what: str) -> Recovery:
    stage = canaries.stage
    canaries.send(2 * CANARY_JOBS)  # more than there are slots: some wait in the stream
    await canaries.held()
    while (await stage.ask(_UNDELIVERED))[0]["count"]:
        await trio.sleep(_LOOK_S)
    since = await stage.now()
    await inflict(stage, Fault(0, kind))
    seconds = await canaries.first_s(_LAST_REPAIR, since)
    # a row with a lease is lost only when its holder has ended, so repair has until then
    return Recovery(what, "repair's least age + one interval, + a lease's end", stage.timing.repaired_s
                    + stage.timing.recovery_s, seconds)  # fmt: skip


async def _queue_flood(canaries: _StageCanaries) -> list[Recovery]:
    """Submit far more jobs from one account than there are slots, then one job from another account."""
    stage = canaries.stage
    other = await stage.client.second_account("other")
    for number in range(FLOOD_JOBS):
        program = programs.sleeping(number, FLOOD_SLEEP_S)
        stage.tasks.start_soon(stage.client.see_through, f"drill-flood-{number}", program)
    canaries.sent += FLOOD_JOBS + 1
    while (await stage.ask(_SUBMITTED))[0]["count"] < FLOOD_JOBS:
        await trio.sleep(_LOOK_S)
    counted_s = await _pressure_counts_the_outbox(stage)
    slots = max(1, (await stage.ask(_BUSY))[0]["count"])
    since = await stage.now()
    stage.tasks.start_soon(other.see_through, "drill-other", programs.quick(FLOOD_JOBS))
    taken_s = await canaries.first_s(_OTHER_IS_CLAIMED, since)
    # the dispatcher of each node may fill its own window; entries in the windows and running jobs go first
    bound_s = (NODES * WINDOW_MIN / slots + 2) * FLOOD_SLEEP_S
    return [
        Recovery("pressure counts what waits in the outbox", "three looks", 3 * PRESSURE_S, counted_s),
        Recovery("a submission of another account", "the jobs in hand and in the windows", bound_s, taken_s),
    ]


async def _pressure_counts_the_outbox(stage: Stage) -> float:
    """Return the seconds until a node's metrics count most of the flood as waiting, although the stream holds at most
    the dispatchers' windows."""
    begun_s = trio.current_time()
    with trio.move_on_after(SETTLE_S):
        while True:
            waiting = await stage.client.gauge("api_pressure_snapshot", field="waiting")
            lag = await stage.client.gauge("stream_lag")
            if waiting is not None and lag is not None and waiting >= FLOOD_JOBS / 2 and lag <= NODES * WINDOW_MIN:
                return trio.current_time() - begun_s
            await trio.sleep(_LOOK_S)
    return float("inf")


_SUBMITTED = "SELECT count(*) AS count FROM submissions"
_BUSY = "SELECT count(*) AS count FROM submissions WHERE state = 'processing'"
_OTHER_IS_CLAIMED = """
SELECT extract(epoch FROM min(a.created_at) - $1) AS seconds
FROM attempts AS a JOIN submissions AS s ON s.job_id = a.job_id
WHERE a.event = 'claimed' AND s.idempotency_key = 'drill-other'
"""
_UNDELIVERED = "SELECT count(*) AS count FROM outbox_events WHERE status = 'pending'"

DRILLS: Mapping[str, Callable[[_StageCanaries], Awaitable[list[Recovery]]]] = {
    "worker-kill": _worker_kill,
    "redis-down": _redis_down,
    "redis-wipe": _redis_wipe,
    "postgres-restart": _postgres_restart,
    "stream-trim": _stream_trim,
    "partition": _partition,
    "clock-skew": _clock_skew,
    "queue-flood": _queue_flood,
}
