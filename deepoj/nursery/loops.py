"""The loops of the node, as data. Each is ``Periodic(period_s, once)``, or waits and then does a round. No loop retries
by itself: a breakage ends it, and supervision starts it again.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.capacity.pressure import LatestPressure, measure_outage, pressure, show
from deepoj.nursery.hand_over import LocalHandOver
from deepoj.nursery.leases import Leases
from deepoj.nursery.scopes import STOP_LEAST_S, StopDeadline, with_background_tasks
from deepoj.nursery.supervise import BACKOFF_BASE_S, BACKOFF_MAX_S, BUDGET, WINDOW_S, Child, ChildStatus
from deepoj.nursery.waiting import WorkSignal
from deepoj.nursery.work import JobIntake
from deepoj.pipeline.gc import trim
from deepoj.pipeline.heartbeat import heartbeat
from deepoj.pipeline.outbox import DispatchRound, Lanes, OutboxSettings, dispatch, mark_published, publish_handed
from deepoj.pipeline.reclaim import ReclaimSettings, forget_consumers, reclaim
from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.pipeline.retention import RetentionSettings, retain
from deepoj.pipeline.stream import left_behind, read
from deepoj.ports.jobs import Retention, Strays
from deepoj.ports.leases import LeaseStore
from deepoj.ports.outbox import Outbox
from deepoj.ports.sandbox import Box
from deepoj.ports.stream import JobStream, OutboxNotifications
from deepoj.ports.tasks import Start
from deepoj.words.errors import Breakage, StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.outbox import OutboxEvent, PublishedEvent
from deepoj.words.playground import CustomClaim
from deepoj.words.readiness import PartState
from deepoj.words.stream import BadEntry, Entry

#: how many of its own pending entries a consumer looks at when it starts, and when it ends
OWN_PENDING = 1000
#: how long a consumer that ends may take to hand its entries over
LEAVE_S = 1.5
#: maximum calls of ``reclaim`` per round: with a single free slot, they pass a thousand entries
LOOKS = 100
#: a consumer that was idle for an hour and has no pending entry is forgotten; checked at this period
FORGET_IDLE_MS = 3_600_000
FORGET_PERIOD_S = 60.0
#: the child that looks at the sandbox, and its part in ``ready``
SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Periodic:
    """Calls ``once`` at the start and then again and again, with a pause of ``period_s`` seconds after each call."""

    period_s: float
    once: Callable[[], Awaitable[object]]
    #: after the pause, wait until there may be something to do, but at most for ``idle_s``
    due: WorkSignal | None = None
    idle_s: float = math.inf

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            await self.once()
            await trio.sleep(self.period_s)
            if self.due is not None:
                await self.due.wait(0.0, watched_s=self.idle_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """The dispatcher's loop, woken by the outbox notification. While events wait for their time or for room in the
    stream it polls, too. A pause is twice as long as the last one, or half as long if the readers had taken all jobs.
    But it is no longer than they need for half of those that are unread now. When it looked 20 ms after each event that
    it moved, it looked 2.5 times for each program of a queue of Python programs.

    While events wait and none could go, notifications of new events that have to wait behind them begin no round for
    ``quick_poll_s``. Under a flood of submits they would begin one after the other: each asks Redis and the database,
    and moves nothing.

    A stop does not cut a round, nor an event that is being published. The events it has taken are hidden from other
    nodes for its backoff; and jobs given back during the stop notify the node that stops, too.
    """

    outbox: Outbox
    stream: JobStream
    notifications: OutboxNotifications
    settings: OutboxSettings
    metrics: observe.Metrics
    stop_deadline: StopDeadline
    #: events that requests of this process hand over
    hand_over: LocalHandOver
    #: the longest pause while events wait
    poll_s: float
    #: the pause while none waits; it only covers a lost notification
    idle_poll_s: float = 5.0
    #: the shortest pause while events wait
    quick_poll_s: float = 0.02

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        try:
            await with_background_tasks(self._rounds, cut=True)
        finally:
            with trio.move_on_after(STOP_LEAST_S, shield=True):
                await self._mark_rest()
        raise AssertionError("rounds end only by an error")

    async def _rounds(self, start: Start) -> NoReturn:
        lanes, pause_s = Lanes(), 0.0
        self.hand_over.begin(start, self._publish)
        try:
            while True:
                done = await self.stop_deadline.finish_despite_stop("a round of dispatch", self._once, lanes)
                lanes = done.lanes
                self.hand_over.open(lanes.room if lanes.is_calm else 0)
                pause_s = self._pause_s(pause_s, done)
                rest_s = self.quick_poll_s if done.is_waiting and not done.moved else 0.0
                await trio.sleep(rest_s)
                await self.notifications.wait(max(0.0, (pause_s if done.is_waiting else self.idle_poll_s) - rest_s))
                if lanes.is_calm:
                    lanes = replace(lanes, room=self.hand_over.room)
        finally:
            self.hand_over.end()

    def _pause_s(self, last_s: float, done: DispatchRound) -> float:
        if done.lanes.is_calm:
            last_s = 0.0
        next_s = last_s / 2 if done.moved and done.lanes.is_used_up else last_s * 2
        return min(self.poll_s, max(min(next_s, done.lanes.half_used_s), self.quick_poll_s))

    async def _once(self, lanes: Lanes) -> DispatchRound:
        published = self.hand_over.published
        handed = self.hand_over.take()
        done = await dispatch(
            self.outbox,
            self.stream,
            self.settings,
            self.metrics,
            lanes,
            now_s=trio.current_time(),
            handed=handed,
            published=published,
        )
        self.hand_over.marked(len(published))
        return done

    async def _publish(self, event: OutboxEvent) -> PublishedEvent | None:
        return await publish_handed(self.stream, event, self.metrics)

    async def _mark_rest(self) -> None:
        """Mark what was published since the last round. If it fails, the next start does it, or the events are
        published again."""
        published = self.hand_over.published
        if published:
            try:
                await mark_published(self.outbox, published)
            except StoreUnavailable as away:
                observe.log("mark_failed", level="warning", reason=str(away))
            else:
                self.hand_over.marked(len(published))


@dataclass(frozen=True, slots=True, kw_only=True)
class Consume:
    """The consumer's loop: handles its own pending entries of before, then reads entries while slots are free.

    A clean stop leaves no entry pending under this consumer's name. Entries that were read (or delivered to a read that
    was cut) and not claimed are handed over. Another node then has them at once, and not only after they have been idle
    for a lease.
    """

    stream: JobStream
    job_intake: JobIntake
    metrics: observe.Metrics
    stop_deadline: StopDeadline
    read_count: int
    block_ms: int

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        left = await left_behind(self.stream, OWN_PENDING, self.metrics)
        task_status.started()
        try:
            await self._admit(left)
            while True:
                count = min(await self.job_intake.wait_room(), self.read_count)
                self.job_intake.leases.read_began()
                entries = await read(self.stream, count, self.block_ms, self.metrics)
                self.job_intake.leases.read_ended(is_full=len(entries) >= count)
                await self._admit(entries)
        except trio.Cancelled:
            with trio.move_on_after(LEAVE_S, shield=True):
                await self._leave()
            raise

    async def _leave(self) -> None:
        try:
            await self.job_intake.hand_over(await self.stream.own_pending(OWN_PENDING))
        except (StoreUnavailable, StreamUnavailable) as away:
            observe.log("hand_over_failed", level="warning", reason=str(away))  # reclaim takes them, as after a crash

    async def _admit(self, entries: Sequence[Entry | BadEntry]) -> None:
        """Admit the entries in portions of the free slots, which may be fewer than when the read began. A job claimed
        here that cannot be judged yet would be held back from nodes that could judge it.

        Entries that wait here for the gate are pending under this consumer's name. Other nodes reclaim them meanwhile,
        and the claim then refuses them here."""
        left = entries
        while left:
            free = await self.job_intake.wait_room()
            now, left = left[:free], left[free:]
            # A stop does not cut it: a claim might be won and never judged. If it breaks, reclaim brings its jobs.
            await self.stop_deadline.finish_despite_stop("a claim", self.job_intake.admit, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One round extends all leases of the node, kind by kind."""

    leases: Leases
    #: kind of claim → its leases in the database
    stores: Mapping[type[Claim | CustomClaim], LeaseStore]
    owner: str
    metrics: observe.Metrics

    def child(self, period_s: float) -> Child:
        """Return the supervised child. Its pauses after a breakage grow only to ``period_s``: the leases run on
        meanwhile, and must still be held when the database answers again. The budget has room for an outage at that
        pace."""
        longest_s = min(BACKOFF_MAX_S, period_s)
        return Child(
            name="heartbeat",
            run=Periodic(period_s, self.once),
            restart_on=(StoreUnavailable,),
            budget=max(BUDGET, math.ceil(2 * WINDOW_S / longest_s)),
            backoff_base_s=min(BACKOFF_BASE_S, longest_s),
            backoff_max_s=longest_s,
        )

    async def once(self) -> None:
        for kind, store in self.stores.items():
            held, sent_at, of_runs = self.leases.held(kind), trio.current_time(), kind is CustomClaim
            lost = await heartbeat(store, held, self.owner, self.leases.lease_s, self.metrics, of_runs=of_runs)
            self.leases.extended(held, lost, sent_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairCycle:
    """Does a round of repair and counts it, and logs a breakage. ``once`` itself logs the jobs that it repaired."""

    once: Callable[[], Awaitable[object]]
    metrics: observe.Metrics

    async def __call__(self) -> None:
        try:
            await self.once()
        except Breakage as breakage:
            self.metrics.repair.labels(result="error", reason=type(breakage).__name__).inc()
            observe.log("repair_cycle_error", level="warning", reason=str(breakage))
            raise
        self.metrics.repair.labels(result="round", reason="").inc()


@dataclass(slots=True, kw_only=True)
class Gc:
    """One round trims the stream and sweeps the database. The next round goes on where the sweep stopped."""

    rows: Retention
    stream: JobStream
    max_len: int
    retention: RetentionSettings
    metrics: observe.Metrics
    after_id: int = 0

    async def once(self) -> None:
        try:
            await trim(self.stream, self.max_len, self.metrics)
        except StreamUnavailable:
            self.metrics.stream_trim.labels(result="error").inc()
            raise
        try:
            swept = await retain(self.rows, self.retention, self.metrics, self.after_id)
        except StoreUnavailable as away:
            self.metrics.db_gc.labels(result="error", reason=type(away).__name__).inc()
            raise
        self.after_id = swept.after_id


@dataclass(slots=True, kw_only=True)
class Reclaim:
    """One round takes over at most as many entries as there are free slots. The cursor is kept across rounds (runbook
    4.1).

    A round goes once through the whole pending list while there are slots. One call passes ten entries per entry that
    it may take; with one call a round, and many entries pending, a dead node's entries would be found only some rounds
    later. After ``LOOKS`` calls the rest of a very long list is left to the next round.

    It waits for a slot as the consumer does. Without waiting it would never get one during a backlog, because the
    consumer takes every slot the moment it is free, and the jobs of a dead node would wait for the end of the backlog.
    """

    stream: JobStream
    job_intake: JobIntake
    settings: ReclaimSettings
    metrics: observe.Metrics
    stop_deadline: StopDeadline
    cursor: str = "0-0"
    forgot_at: float = -math.inf

    async def once(self) -> None:
        if trio.current_time() - self.forgot_at >= FORGET_PERIOD_S:
            await forget_consumers(self.stream, FORGET_IDLE_MS, self.metrics)
            self.forgot_at = trio.current_time()
        free = await self.job_intake.wait_room()
        turns = 1 if self.cursor == "0-0" else 2  # from the middle of the list: to its end, then from its beginning
        for _ in range(LOOKS):
            if not (turns and free and self.job_intake.is_open and self.job_intake.gate.is_open):
                return
            # A job claimed here that cannot be judged yet would be held back from nodes that could judge it.
            settings = replace(self.settings, count=min(free, self.settings.count))
            self.cursor, entries = await reclaim(self.stream, self.cursor, settings, self.metrics)
            turns -= self.cursor == "0-0"
            if entries:
                await self.job_intake.gate.wait_open()  # it may be shut by now: others reclaim the entries meanwhile
                # A stop does not cut it, as in the consumer: a claim won during a stop is given back at once.
                await self.stop_deadline.finish_despite_stop("a claim", self.job_intake.admit_reclaimed, entries)
            free = self.job_intake.leases.free


@dataclass(slots=True, kw_only=True)
class Repair:
    """One round looks for rows without a live entry. The next round goes on where it stopped."""

    strays: Strays
    stream: JobStream
    settings: RepairSettings
    metrics: observe.Metrics
    after_id: int = 0

    async def once(self) -> None:
        outcome = await repair(self.strays, self.stream, self.settings, self.metrics, after_id=self.after_id)
        self.after_id = outcome.after_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """One round measures the waiting work and counts the live consumers. It sets the metrics and stores the snapshot
    for backpressure."""

    outbox: Outbox
    stream: JobStream
    latest: LatestPressure
    metrics: observe.Metrics

    async def once(self) -> None:
        try:
            snapshot = await pressure(self.outbox, self.stream)
        except StreamUnavailable:
            await measure_outage(self.outbox, self.latest, self.metrics)
            raise
        except StoreUnavailable:
            show(None, self.metrics)
            raise
        self.latest.put(snapshot)
        show(snapshot, self.metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSandbox:
    """Looks at the sandbox's processes, also while nothing is judged. What it finds ended or stopped is a breakage: the
    child's state is then that of the sandbox, until another launcher has run for two looks: one that is stopped or
    killed again and again would seem to be up nearly always. While a run is overdue, the part is down."""

    box: Box
    child_status: ChildStatus
    period_s: float = 2.0

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        await self.box.restore()
        if self.child_status.readiness().parts.get(SANDBOX) is PartState.RESTARTING:
            for _ in range(2):
                await trio.sleep(self.period_s)
                self.box.check()
        task_status.started()
        while True:
            await trio.sleep(self.period_s)
            reason = self.box.check()
            self.child_status.set(SANDBOX, PartState.DOWN if reason else PartState.UP, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One round pings every dependency and puts the result into the child status. It pings them at once: one that hangs
    delays no other, and an idle node's threads wake once for all. One whose sign says that it has just answered is not
    asked again."""

    child_status: ChildStatus
    pings: Mapping[str, Callable[[], Awaitable[None]]]
    signs: Mapping[str, Callable[[], bool]]
    timeout_s: float = 2.0

    async def once(self) -> None:
        await with_background_tasks(self._check_all)

    async def _check_all(self, start: Start) -> None:
        for part, ping in self.pings.items():
            if part in self.signs and self.signs[part]():
                self.child_status.set(part, PartState.UP)
            else:
                start(self._check, part, ping)

    async def _check(self, part: str, ping: Callable[[], Awaitable[None]]) -> None:
        try:
            with trio.fail_after(self.timeout_s):
                await ping()
        except Breakage as breakage:
            self.child_status.set(part, PartState.DOWN, str(breakage))
        except trio.TooSlowError:
            self.child_status.set(part, PartState.DOWN, f"{part} did not answer within {self.timeout_s:g} s")
        else:
            self.child_status.set(part, PartState.UP)
