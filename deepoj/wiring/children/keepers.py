"""The children of the ``keepers`` nursery, which outlive the jobs. The health loop, the watch and the
announcement are on every node; the others are by role."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.api.live.events import SYSTEM_TOPIC, Live
from deepoj.capacity.backpressure import Backpressure
from deepoj.capacity.roster import PERIOD_S, look
from deepoj.config.roles import Role
from deepoj.nursery import loops
from deepoj.nursery.audits import RunAudits
from deepoj.nursery.contests import PERIOD_S as CONTEST_PERIOD_S
from deepoj.nursery.contests import AdvanceContests, KeepContestSlots
from deepoj.nursery.progress import TellProgress
from deepoj.nursery.rehearsals import RunRehearsals
from deepoj.nursery.supervise import BUDGET, WINDOW_S, Child
from deepoj.nursery.waiting import WorkWatch
from deepoj.packages.objects import sweep_objects
from deepoj.packages.revet import Revet
from deepoj.packages.statements.publisher import RenderLater
from deepoj.pipeline.dlq import measure
from deepoj.pipeline.preview import sweep_previews
from deepoj.pipeline.progress import sweep as sweep_live
from deepoj.pipeline.rejudge import go_on
from deepoj.pipeline.rerun import sweep_reruns
from deepoj.playground.lease import sweep_runs
from deepoj.webhooks.delivery import forget
from deepoj.wiring import settings
from deepoj.wiring.adapters import KEEPS
from deepoj.wiring.children.announcing import announcing
from deepoj.wiring.children.jobs import JobParts
from deepoj.wiring.children.parts import AWAY, Parts, StreamReader, loop, needs_objects
from deepoj.wiring.children.webhooks import contest_webhook_sender, webhook_sender
from deepoj.words.background import MAX_ATTEMPTS, MAX_WAIT_S
from deepoj.words.errors import BoxBroken
from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim
from deepoj.words.waiting import LOOK_PERIOD_S, WorkKind

HEALTH_PERIOD_S = 2.0
#: how long a measurement of what waits stands while no submission is unfinished, besides the period
IDLE_PRESSURE_S = 4.0
#: period of waking the dispatcher while submissions are unfinished, and of its own look if none is
LOST_PERIOD_S, IDLE_DISPATCH_S = 5.0, 60.0
#: period of counting the dead letters
DLQ_PERIOD_S = 15.0
#: period of counting unfinished submissions, while users submit
INFLIGHT_PERIOD_S = 0.25
#: period of looking for orders to rejudge a problem
REJUDGE_PERIOD_S = 2.0
#: period of deleting live results left by nodes that died
LIVE_SWEEP_PERIOD_S = 600.0
#: period of the sweepers of custom runs and of reruns
RUN_SWEEP_PERIOD_S = 2.0
#: period of ending verifications and previews of rejudges
VERIFY_SWEEP_PERIOD_S = 2.0
#: period of deleting webhook deliveries that ended long ago
FORGET_HOOKS_PERIOD_S = 60.0
#: webhooks of the Contest API that were deactivated long ago, at a time
FORGOTTEN_HOOKS = 500
#: period of deleting browsers' sessions and people's tokens that have ended, and how many at a time
SESSION_SWEEP_PERIOD_S = 60.0
ENDED_SESSIONS = 1000
#: how long the address of a browser is kept; the counters of failed logins keep theirs for as long at most
ADDRESS_KEEP_S = 30 * 86_400.0
#: period of removing the sources of erased accounts, and how many at a time
ERASURE_PERIOD_S = 10.0
ERASED_SOURCES = 200
#: pause between two problems that were published unchecked, or without rendered statements
REVET_PERIOD_S = 5.0

DAY_S = 86_400


def keepers(parts: Parts) -> list[Child]:
    """Return the children in order of start."""
    roles = parts.cfg.roles
    rounds, due_loop = _Rounds(parts), _DueLoops(parts.watch)
    children = [loop("health", HEALTH_PERIOD_S, health_check(parts).once), _waiting_work(parts), announcing(parts)]
    if parts.jobs is not None:
        children += _job_keepers(parts, parts.jobs)
    if Role.API in roles:
        children += [
            loop("inflight", INFLIGHT_PERIOD_S, rounds.count_inflight),
            loop("live languages", PERIOD_S, rounds.read_live_languages),
            Child(name="live", run=rounds.listen, restart_on=AWAY),
            Child(name="audits", run=RunAudits(orders=parts.audits, auditor=parts.adapters.store.audit)),
            Child(name="rehearsals", run=RunRehearsals(orders=parts.rehearsals, url=lambda: parts.listens[0])),
        ]
    if roles & (KEEPS | {Role.API}):
        children += [
            due_loop("runs kept", RUN_SWEEP_PERIOD_S, rounds.sweep_runs, WorkKind.RUNS, WorkKind.OLD_RUNS),
            due_loop("verifications", VERIFY_SWEEP_PERIOD_S, rounds.sweep_verifications, WorkKind.VERIFICATIONS),
            due_loop("previews kept", VERIFY_SWEEP_PERIOD_S, rounds.sweep_previews, WorkKind.PREVIEWS),
            due_loop("reruns kept", RUN_SWEEP_PERIOD_S, rounds.sweep_reruns, WorkKind.RERUNS, WorkKind.OLD_RERUNS),
        ]
    if Role.DISPATCHER in roles:
        children += [
            Child(name="bell", run=parts.adapters.notifications.serve, restart_on=AWAY),
            Child(name="dispatcher", run=_dispatcher(parts), restart_on=AWAY),
            due_loop("lost notifications", LOST_PERIOD_S, rounds.notify_dispatcher, WorkKind.SUBMISSIONS),
        ]
    if parts.adapters.hooks is not None:
        children += [
            Child(name="webhooks", run=webhook_sender(parts, parts.adapters.hooks), restart_on=AWAY),
            Child(name="contest webhooks", run=contest_webhook_sender(parts, parts.adapters.hooks), restart_on=AWAY),
            loop("old webhooks", FORGET_HOOKS_PERIOD_S, rounds.forget_webhooks),
        ]
    if Role.RECLAIM in roles and parts.jobs is not None:
        children.append(_reclaim(parts, parts.jobs))
    children += _repair_and_gc(parts, rounds)
    if roles & KEEPS:
        contests = AdvanceContests(contests=parts.adapters.store.contests, metrics=parts.metrics)
        children += [
            due_loop("contests", CONTEST_PERIOD_S, contests.once, WorkKind.CONTESTS),
            loop("dead letters", DLQ_PERIOD_S, rounds.measure_dead_letters),
            due_loop("rejudges", REJUDGE_PERIOD_S, rounds.continue_rejudges, WorkKind.REJUDGES),
            loop("live sweep", LIVE_SWEEP_PERIOD_S, rounds.sweep_live),
        ]
    if roles & (KEEPS | {Role.API, Role.DISPATCHER}):
        children.append(_pressure(parts))
    return children


@dataclass(frozen=True, slots=True)
class _DueLoops:
    """Makes loops that wait until the watch has found work for them."""

    watch: WorkWatch

    def __call__(self, name: str, period_s: float, once: Callable[[], Awaitable[object]], *kinds: WorkKind) -> Child:
        return loop(name, period_s, once, due=self.watch.signal(*kinds, poll_s=period_s))


def _waiting_work(parts: Parts) -> Child:
    """Return the watch. While its statement fails, it tries again at its own pace, and the other loops do at theirs."""
    return Child(
        name="waiting work",
        run=loops.Periodic(LOOK_PERIOD_S, parts.watch.once),
        restart_on=AWAY,
        budget=max(BUDGET, math.ceil(2 * WINDOW_S / LOOK_PERIOD_S)),
        backoff_max_s=LOOK_PERIOD_S,
    )


def health_check(parts: Parts) -> loops.HealthCheck:
    """Return the check of the servers that this node uses."""
    adapters = parts.adapters
    pings = {"database": adapters.store.ping, "redis": adapters.stream.ping}
    if needs_objects(parts.cfg):
        pings["objects"] = adapters.blobs.ping
    # the watch's statement and the consumer's reads bring signs of life
    signs = {"database": adapters.store.has_just_answered, "redis": adapters.stream.has_just_answered}
    return loops.HealthCheck(child_status=parts.child_status, pings=pings, signs=signs)


def _job_keepers(parts: Parts, jobs: JobParts) -> list[Child]:
    """Return the children of every node that judges."""
    cfg, store, metrics = parts.cfg, parts.adapters.store, parts.metrics
    heartbeat = loops.Heartbeat(
        leases=jobs.job_intake.leases,
        stores={Claim: store.leases, CustomClaim: store.run_leases},
        owner=cfg.consumer,
        metrics=metrics,
    )
    publisher = TellProgress(live=store.live, progress=jobs.progress, metrics=metrics)
    rounds = _JobRounds(parts, jobs, _revet(parts), _render_later(parts))
    keep = KeepContestSlots(contests=store.contests, leases=jobs.job_intake.leases, count=cfg.worker.contest_slots)
    due_loop = _DueLoops(parts.watch)
    sandbox = loops.KeepSandbox(box=jobs.box, child_status=parts.child_status)
    return [
        Child(name=loops.SANDBOX, run=sandbox, restart_on=(BoxBroken,)),
        *([due_loop("contest slots", CONTEST_PERIOD_S, keep.once, WorkKind.CONTESTS)] if keep.count else []),
        heartbeat.child(cfg.worker.stream.heartbeat_sec),
        due_loop("revet", REVET_PERIOD_S, rounds.check_published, WorkKind.UNCHECKED),
        due_loop("statements", REVET_PERIOD_S, rounds.render_statements, WorkKind.UNRENDERED),
        Child(name="progress", run=publisher, restart_on=AWAY),
    ]


def _revet(parts: Parts) -> Revet | None:
    if parts.vet is None:
        return None
    return Revet(problems=parts.adapters.store.problems, blobs=parts.adapters.blobs, vetting=parts.vet)


def _render_later(parts: Parts) -> RenderLater | None:
    if parts.statements is None:
        return None
    return RenderLater(
        statements=parts.adapters.store.statements, blobs=parts.adapters.blobs, publisher=parts.statements
    )


def _dispatcher(parts: Parts) -> loops.Dispatch:
    return loops.Dispatch(
        outbox=parts.adapters.store.outbox,
        stream=parts.adapters.stream,
        notifications=parts.adapters.notifications,
        settings=settings.dispatching(parts.cfg),
        metrics=parts.metrics,
        stop_deadline=parts.stop_deadline,
        hand_over=parts.hand_over,
        poll_s=parts.cfg.api.outbox.dispatch_interval_ms / 1000,
        idle_poll_s=IDLE_DISPATCH_S,
    )


def _reclaim(parts: Parts, jobs: JobParts) -> Child:
    cfg = parts.cfg
    reclaimer = loops.Reclaim(
        stream=parts.adapters.stream,
        job_intake=jobs.job_intake,
        settings=settings.reclaiming(cfg),
        metrics=parts.metrics,
        stop_deadline=parts.stop_deadline,
    )
    rounds = loops.Periodic(cfg.worker.stream.reclaim_interval_sec, reclaimer.once)
    return Child(name="reclaim", run=StreamReader(cfg, rounds), restart_on=AWAY)


def _repair_and_gc(parts: Parts, rounds: _Rounds) -> list[Child]:
    cfg, store, stream = parts.cfg, parts.adapters.store, parts.adapters.stream
    control, metrics = cfg.scheduler.control_plane, parts.metrics
    children: list[Child] = []
    if Role.REPAIR in cfg.roles and control.repair_enabled:
        repairer = loops.Repair(strays=store.strays, stream=stream, settings=settings.repairing(cfg), metrics=metrics)
        cycle = loops.RepairCycle(once=repairer.once, metrics=metrics)
        children.append(loop("repair", control.repair_interval_ms / 1000, cycle))
    if Role.GC in cfg.roles and control.gc_enabled:
        sweeper = loops.Gc(
            rows=store.retention,
            stream=stream,
            max_len=control.stream_trim_maxlen,
            retention=settings.retaining(cfg),
            metrics=metrics,
        )
        children += [
            loop("gc", control.gc_interval_ms / 1000, sweeper.once),
            loop("objects", control.gc_interval_ms / 1000, rounds.sweep_objects),
        ]
    if Role.GC in cfg.roles:  # promised to the people whose data it is, so no setting turns it off
        children += [
            loop("sessions", SESSION_SWEEP_PERIOD_S, rounds.delete_ended_sessions),
            _DueLoops(parts.watch)("erasures", ERASURE_PERIOD_S, rounds.erase_sources, WorkKind.ERASURES),
        ]
    return children


def _pressure(parts: Parts) -> Child:
    adapters = parts.adapters
    measuring = loops.Pressure(
        outbox=adapters.store.outbox, stream=adapters.stream, latest=parts.pressure, metrics=parts.metrics
    )
    rounds = PressureRounds(measuring, parts.backpressure, parts.live)
    period_s = parts.cfg.scheduler.metrics_poll_ms / 1000
    due = parts.watch.signal(WorkKind.SUBMISSIONS, poll_s=period_s)
    return loop("pressure", period_s, rounds.once, due=due, idle_s=IDLE_PRESSURE_S)


@dataclass(frozen=True, slots=True)
class _Rounds:
    """One round of each loop that is one step."""

    parts: Parts

    async def count_inflight(self) -> None:
        await self.parts.adapters.store.submissions.count_inflight(self.parts.cfg.api.limits.submit_max_inflight)

    async def notify_dispatcher(self) -> None:
        """Wake the dispatcher, in case that the notification of an event was lost."""
        self.parts.adapters.notifications.notify()

    async def read_live_languages(self) -> None:
        await look(self.parts.adapters.store.roster, self.parts.live_languages)

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.parts.adapters.live_notifications.serve(self.parts.live, task_status=task_status)

    async def sweep_runs(self) -> None:
        await sweep_runs(self.parts.adapters.store.runs, settings.run_keeping(self.parts.cfg), self.parts.metrics)

    async def sweep_verifications(self) -> None:
        await self.parts.adapters.store.example_leases.sweep_verifications(MAX_ATTEMPTS, MAX_WAIT_S)

    async def sweep_previews(self) -> None:
        await sweep_previews(self.parts.adapters.store.preview_leases, self.parts.metrics)

    async def sweep_reruns(self) -> None:
        keep_s = settings.run_keeping(self.parts.cfg).keep_s
        await sweep_reruns(self.parts.adapters.store.rerun_leases, self.parts.metrics, keep_s)

    async def forget_webhooks(self) -> None:
        store, keep_s = self.parts.adapters.store, self.parts.cfg.api.webhooks.keep_days * DAY_S
        await forget(store.webhooks, keep_s)
        await store.contest_webhooks.forget_contest_webhooks(keep_s, FORGOTTEN_HOOKS)

    async def sweep_objects(self) -> None:
        keep_s = self.parts.cfg.scheduler.control_plane.object_retention_days * DAY_S
        await sweep_objects(self.parts.adapters.store.problems, self.parts.adapters.blobs, keep_s, self.parts.metrics)

    async def delete_ended_sessions(self) -> None:
        limits = settings.session_limits(self.parts.cfg)
        sessions = self.parts.adapters.store.sessions
        await sessions.delete_ended_sessions(limits, ENDED_SESSIONS)
        await sessions.forget_addresses(ADDRESS_KEEP_S, ENDED_SESSIONS)
        await self.parts.adapters.store.access_tokens.delete_ended_tokens(ENDED_SESSIONS)
        await self.parts.adapters.store.contest_setup.delete_old_passwords(ENDED_SESSIONS)

    async def erase_sources(self) -> None:
        erased = await self.parts.adapters.store.account_data.erase_sources(ERASED_SOURCES)
        if erased:
            observe.log("sources_erased", count=erased)

    async def measure_dead_letters(self) -> None:
        await measure(self.parts.adapters.store.letters, self.parts.metrics)

    async def continue_rejudges(self) -> None:
        await go_on(self.parts.adapters.store.rejudges, self.parts.cfg.stream_key)

    async def sweep_live(self) -> None:
        await sweep_live(self.parts.adapters.store.live)


@dataclass(frozen=True, slots=True)
class _JobRounds:
    """Rounds of loops on a node that judges. While the canaries' gate is closed, its verdicts may be wrong."""

    parts: Parts
    jobs: JobParts
    #: None on a node that has no package checks
    revet: Revet | None
    render_later: RenderLater | None

    async def check_published(self) -> None:
        """Check one problem that was published unchecked."""
        if self.jobs.gate.is_open and self.revet is not None:
            await self.revet.once()

    async def render_statements(self) -> None:
        """Render the statements of one problem whose package came to a node that could not."""
        if self.jobs.gate.is_open and self.render_later is not None:
            await self.render_later.once()


@dataclass(frozen=True, slots=True)
class PressureRounds:
    """Rounds of measuring what waits. After each it is decided again whether submissions are refused, and the system's
    page is told."""

    measuring: loops.Pressure
    backpressure: Backpressure
    live: Live

    async def once(self) -> None:
        try:
            await self.measuring.once()
            self.backpressure.look()
        finally:
            self.live.notify(SYSTEM_TOPIC)  # an outage changes the page, too
