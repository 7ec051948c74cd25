"""Make the children of the tree for a node's roles.

servers       embedded PostgreSQL and Valkey
preparations  dependencies answer, the schema is there, leftovers of a crash are swept
keepers       health always; heartbeat, progress, reclaim where the node judges; notifications and dispatcher; live
              where it serves the API; repair, gc, rejudges, pressure
intake        metrics ports, the API, the canaries, precompiling headers, the consumer, taking custom runs
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import trio

from deepoj import observe
from deepoj.accounts.passwords import Passwords
from deepoj.adapters.embedded import run_postgres, run_valkey
from deepoj.adapters.toolchain import versions
from deepoj.api.app import create_app, create_metrics_app
from deepoj.api.doors import Doors
from deepoj.api.http.server import serve as serve_http
from deepoj.api.live.events import Live
from deepoj.api.redact import result_for
from deepoj.api.settings import ApiSettings
from deepoj.capacity.backpressure import Backpressure
from deepoj.capacity.pressure import LatestPressure
from deepoj.capacity.roster import PERIOD_S, LatestLanguages, announce, look
from deepoj.config import Config, Role
from deepoj.execution.canary import CanaryRound, judge_canaries
from deepoj.execution.compiling import Compiler
from deepoj.execution.context import AttemptContext
from deepoj.execution.header_cache import HeaderShelf
from deepoj.execution.toolchain_cache import Kits
from deepoj.execution.workdir import sweep
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.nursery import loops
from deepoj.nursery.canaries import PART as CANARY
from deepoj.nursery.canaries import Canaries
from deepoj.nursery.gate import Gate
from deepoj.nursery.headers import Precompile
from deepoj.nursery.leases import Leases
from deepoj.nursery.playground import RunDesk, RunWork, TakeRuns
from deepoj.nursery.prepare import Reach, Schema
from deepoj.nursery.progress import TellProgress
from deepoj.nursery.scopes import StopDeadline
from deepoj.nursery.supervise import Board, Child, Run
from deepoj.nursery.webhooks import Deliver
from deepoj.nursery.work import Desk, Work
from deepoj.packages.objects import sweep_objects
from deepoj.packages.revet import Revet
from deepoj.packages.vetting import Vetting
from deepoj.pipeline.dlq import measure
from deepoj.pipeline.judge import judge
from deepoj.pipeline.progress import ProgressBuffer
from deepoj.pipeline.progress import sweep as sweep_live
from deepoj.pipeline.rejudge import former, go_on
from deepoj.playground.attempt import run_custom
from deepoj.playground.lease import sweep_runs
from deepoj.ports.accounts import Accounts
from deepoj.ports.live import Progress
from deepoj.ports.rejudges import Rejudges
from deepoj.ports.sandbox import Box
from deepoj.ports.testdata import TestData
from deepoj.ports.webhooks import HookSender
from deepoj.webhooks.delivery import attempt, forget, settle
from deepoj.wiring import settings
from deepoj.wiring.adapters import JUDGES, KEEPS, Adapters, github_of, webhook_secret
from deepoj.wiring.vetting import ROOMS, vetting_of
from deepoj.words.accounts import AccountRefusal
from deepoj.words.errors import ServerFell, StartRefused, StoreUnavailable, StreamUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.results import Infra, Report
from deepoj.words.sandbox import Isolation
from deepoj.words.webhooks import Hook, HookAnswer

#: breakages after which a child that uses the servers is restarted
AWAY = (StoreUnavailable, StreamUnavailable)
#: how late a dependency may be at a start
REACH_S = 30.0
#: if an embedded server ends more often than this in a minute, another start does not help
SERVER_BUDGET = 5
HEALTH_PERIOD_S = 2.0
#: period of counting the dead letters
DLQ_PERIOD_S = 15.0
#: period of counting unfinished submissions, while users submit
INFLIGHT_PERIOD_S = 0.25
#: period of looking for orders to rejudge a problem
REJUDGE_PERIOD_S = 2.0
#: period of deleting live results left by nodes that died
LIVE_SWEEP_PERIOD_S = 600.0
#: period of the sweeper of custom runs
RUN_SWEEP_PERIOD_S = 2.0
#: period of deleting webhook deliveries that ended long ago
FORGET_HOOKS_PERIOD_S = 60.0
#: pause between two problems that were published unchecked
REVET_PERIOD_S = 5.0
#: period of the canaries; a round takes half a second of CPU
CANARY_PERIOD_S = 600.0


class Guest(Protocol):
    """A program that uses the node's API once it is up, under an account of its own with administrator's rights."""

    username: str
    password: str

    async def __call__(self, base_url: str, stop: Callable[[], None]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The objects that the children share."""

    cfg: Config
    adapters: Adapters
    metrics: observe.Metrics
    board: Board = field(default_factory=Board)
    stop_deadline: StopDeadline = field(default_factory=StopDeadline)
    #: None on a node that does not judge
    desk: Desk | None
    work: Work | None
    #: progress of judging, on its way to watchers; None on a node that does not judge
    progress: ProgressBuffer | None
    run_desk: RunDesk | None
    run_work: RunWork | None
    #: the API's settings
    api: ApiSettings
    #: the event streams of this node
    live: Live
    #: called at the beginning of each step of the start, with a text for users
    on_step: Callable[[str], None]
    #: the URLs the API listens on, once it does
    listens: list[str] = field(default_factory=list)
    #: the pressure loop's last snapshot, where there is such a loop
    pressure: LatestPressure = field(default_factory=LatestPressure)
    #: decides by it whether the API accepts submissions
    backpressure: Backpressure
    #: precompiled headers; None on a node that does not judge, or where they are disabled
    headers: HeaderShelf | None = None
    #: language key → version, of this node; filled while preparing
    languages: dict[str, str]
    #: checks the programs of packages; None on a node that neither accepts packages nor judges
    vet: Vetting | None = None
    #: languages of live nodes, as last read by this node
    live_languages: LatestLanguages = field(default_factory=LatestLanguages)


def furnish(cfg: Config, adapters: Adapters, metrics: observe.Metrics, *, on_step: Callable[[str], None]) -> Parts:
    """Make the objects that the children share."""
    home, box, data = adapters.home, adapters.box, adapters.data
    # The embedded default makes its secret once; other deployments had to configure one before the start. A node that
    # serves only metrics signs nothing.
    jwt_secret = cfg.api.auth.jwt_secret or (home.secret("jwt_secret") if home else "")
    desk = work = run_desk = run_work = headers = progress = vet = compiler = None
    languages: dict[str, str] = {}
    if box is not None and data is not None:
        where = settings.headers_dir(cfg)
        if where is not None and box.isolation is not Isolation.WEAK:  # `weak` cannot mount them for a run
            headers = HeaderShelf(box, where, metrics=metrics)
        options = settings.judging(cfg)
        kits = Kits(box=box, shelf=cfg.workspace / "kits", settings=options)
        compiler = Compiler(box, settings=options, metrics=metrics, cache=adapters.compiled, headers=headers, kits=kits)
        context = AttemptContext(
            box=box, compiler=compiler, workdir=cfg.workspace / "attempts", settings=options, metrics=metrics
        )
        leases = Leases(cfg.worker.stream.lease_sec, cfg.worker.pool_size)
        progress = ProgressBuffer(metrics)
        gate = Gate(is_open=False)  # the canaries open it
        if cfg.api.limits.run_enabled:
            run_desk = RunDesk(
                adapters.store,
                adapters.stream,
                leases,
                settings.run_leasing(cfg, languages),
                metrics,
                share=cfg.worker.run_slots,
                gate=gate,
            )
        desk = Desk(
            adapters.store,
            adapters.stream,
            leases,
            settings.leasing(cfg, languages),
            metrics,
            gate=gate,
            progress=progress,
            on_run=_nothing if run_desk is None else run_desk.ring,
        )
        work = Work(
            jobs=adapters.store,
            stream=adapters.stream,
            judge_claim=_judge_claim(context, data, rejudges=adapters.store, progress=progress),
            metrics=metrics,
            progress=progress,
        )
        run_work = RunWork(
            runs=adapters.store,
            bell=adapters.stream,
            run_claim=functools.partial(run_custom, context),
            metrics=metrics,
            user_max_bytes=cfg.api.limits.run_kept_max_bytes,
        )
    if compiler is not None or Role.API in cfg.roles:
        vet = vetting_of(cfg, languages, metrics, compiler=compiler, workdir=cfg.workspace / ROOMS)
    api = settings.serving(cfg, jwt_secret, webhook_secret(cfg, home))
    latest = LatestPressure()
    return Parts(
        cfg=cfg,
        adapters=adapters,
        metrics=metrics,
        pressure=latest,
        backpressure=Backpressure(latest.get, settings.pressing(cfg)),
        desk=desk,
        work=work,
        run_desk=run_desk,
        run_work=run_work,
        headers=headers,
        progress=progress,
        api=api,
        live=Live(api, metrics),
        on_step=on_step,
        vet=vet,
        languages=languages,
    )


def _judge_claim(
    context: AttemptContext, data: TestData, *, rejudges: Rejudges, progress: Progress
) -> Callable[[Claim], Awaitable[Report | Infra]]:
    async def judge_claim(claim: Claim) -> Report | Infra:
        return await judge(
            context,
            data,
            claim,
            former=await former(rejudges, claim),
            on_test=lambda test, index, count: progress.test_ended(claim, index, count, test),
        )

    return judge_claim


# ---------------------------------------------------------------------------------------------------------------------
# Servers and preparations


def servers(parts: Parts) -> list[Child]:
    home = parts.adapters.home
    if home is None:
        return []

    def progress(sentence: str) -> None:
        observe.log("embedded", text=sentence)
        parts.on_step(sentence)

    async def postgres(*, task_status: trio.TaskStatus[None]) -> None:
        parts.on_step("starting PostgreSQL")
        await run_postgres(home, progress=progress, task_status=task_status)

    async def valkey(*, task_status: trio.TaskStatus[None]) -> None:
        parts.on_step("starting Valkey")
        await run_valkey(home, progress=progress, task_status=task_status)

    return [
        Child(name="postgres", run=postgres, restart_on=(ServerFell,), budget=SERVER_BUDGET),
        Child(name="valkey", run=valkey, restart_on=(ServerFell,), budget=SERVER_BUDGET),
    ]


def preparations(parts: Parts, guests: Sequence[Guest]) -> list[Callable[[], Awaitable[None]]]:
    cfg, adapters = parts.cfg, parts.adapters
    steps: list[Callable[[], Awaitable[None]]] = [
        Reach(part="database", ping=adapters.store.ping, within_s=REACH_S),
        _schema(parts),
        Reach(part="redis", ping=adapters.stream.ping, within_s=REACH_S),
    ]
    if needs_objects(cfg):
        steps.append(Reach(part="objects", ping=adapters.blobs.ping, within_s=REACH_S))

    async def sweep_and_detect() -> None:
        """Sweep leftovers of attempts that died with an earlier process; detect the languages of this host."""
        if parts.desk is not None:
            swept = await trio.to_thread.run_sync(sweep, cfg.workspace / "attempts")
            if swept:
                observe.log("workspace_swept", count=swept)
        if parts.vet is not None:
            await trio.to_thread.run_sync(sweep, parts.vet.workdir)
        if parts.desk is not None or Role.API in cfg.roles:
            parts.on_step("looking for compilers and interpreters")
            tool_versions = await trio.to_thread.run_sync(versions, LANGUAGES.values(), settings.toolchain(cfg))
            # output-only problems need no tool
            parts.languages.update({**tool_versions, OUTPUTS.key: OUTPUTS.name})

    return [*steps, sweep_and_detect, *(_account_for(adapters.store, guest) for guest in guests)]


def needs_objects(cfg: Config) -> bool:
    """Whether the roles use the object store: the control plane never touches test data."""
    return bool(cfg.roles & (JUDGES | {Role.API}))


def _schema(parts: Parts) -> Callable[[], Awaitable[None]]:
    migrator = parts.adapters.migrator
    if not (parts.cfg.embedded or parts.cfg.migrate_on_start):
        return Schema(present=migrator.schema_version, needed=migrator.needed_version, within_s=REACH_S)

    async def migrate() -> None:
        parts.on_step("bringing the database's schema up to date")
        await migrator.migrate()

    return migrate


def _nothing() -> None:
    """Do nothing: the notification of custom runs on a node that takes none."""


def _account_for(accounts: Accounts, guest: Guest) -> Callable[[], Awaitable[None]]:
    async def account() -> None:
        """Make the account once, and give it a new password at every start."""
        secret = await Passwords().hash(guest.password)
        made = await accounts.create_user(guest.username, secret, None, is_admin=True)
        if not isinstance(made, AccountRefusal):
            return
        known = await accounts.credentials(guest.username)
        if known is None or not known.user.is_admin or known.is_disabled:
            raise StartRefused(
                f"the bundled sample's account {guest.username} was registered by a user, or was demoted or disabled:"
                " start without --sample, or on another DEEPOJ_HOME",
                2,
            )
        await accounts.set_password(known.user.id, secret)

    return account


# ---------------------------------------------------------------------------------------------------------------------
# Keepers


def keepers(parts: Parts) -> list[Child]:
    cfg, adapters, metrics = parts.cfg, parts.adapters, parts.metrics
    roles, control = cfg.roles, cfg.scheduler.control_plane
    children = [_loop("health", HEALTH_PERIOD_S, _health(parts).once)]
    if parts.desk is not None:
        leases = parts.desk.leases
        heartbeat = loops.Heartbeat(
            jobs=adapters.store, leases=leases, owner=cfg.consumer, metrics=metrics, runs=adapters.store
        )
        children.append(heartbeat.child(cfg.worker.stream.heartbeat_sec))
        children.append(_loop("revet", REVET_PERIOD_S, _revet(parts, parts.desk.gate)))
        children.append(_loop("languages", PERIOD_S, _announce(parts, parts.desk.gate)))
    if parts.progress is not None:
        publisher = TellProgress(live=adapters.store, progress=parts.progress, metrics=metrics)
        children.append(Child(name="progress", run=publisher, restart_on=AWAY))
    if Role.API in roles:
        cap = cfg.api.limits.submit_max_inflight
        children.append(_loop("inflight", INFLIGHT_PERIOD_S, _round(adapters.store.count_inflight, cap)))
        children.append(_loop("live languages", PERIOD_S, _round(look, adapters.store, parts.live_languages)))
        children.append(Child(name="live", run=_listen(parts), restart_on=AWAY))
    if roles & (KEEPS | {Role.API}):
        sweep_of_runs = _round(sweep_runs, adapters.store, settings.run_keeping(cfg), metrics)
        children.append(_loop("runs kept", RUN_SWEEP_PERIOD_S, sweep_of_runs))
    if Role.DISPATCHER in roles:
        children += [
            Child(name="bell", run=adapters.bell.serve, restart_on=AWAY),
            Child(name="dispatcher", run=_dispatch(parts), restart_on=AWAY),
        ]
    if adapters.hooks is not None:
        keep_s = cfg.api.webhooks.keep_days * 86_400
        children.append(Child(name="webhooks", run=_call_back(parts, adapters.hooks), restart_on=AWAY))
        children.append(_loop("old webhooks", FORGET_HOOKS_PERIOD_S, _round(forget, adapters.store, keep_s)))
    if Role.RECLAIM in roles and parts.desk is not None:
        reclaimer = loops.Reclaim(
            stream=adapters.stream,
            desk=parts.desk,
            settings=settings.reclaiming(cfg),
            metrics=metrics,
            stop_deadline=parts.stop_deadline,
        )
        again = loops.every(cfg.worker.stream.reclaim_interval_sec, reclaimer.once)
        children.append(Child(name="reclaim", run=_reader(cfg, again), restart_on=AWAY))
    if Role.REPAIR in roles and control.repair_enabled:
        repairer = loops.Repair(
            jobs=adapters.store, stream=adapters.stream, settings=settings.repairing(cfg), metrics=metrics
        )
        cycle = loops.RepairCycle(once=repairer.once, metrics=metrics)
        children.append(_loop("repair", control.repair_interval_ms / 1000, cycle))
    if Role.GC in roles and control.gc_enabled:
        sweeper = loops.Gc(
            jobs=adapters.store,
            stream=adapters.stream,
            max_len=control.stream_trim_maxlen,
            retention=settings.retaining(cfg),
            metrics=metrics,
        )
        children.append(_loop("gc", control.gc_interval_ms / 1000, sweeper.once))
        keep_s = control.object_retention_days * 86_400
        sweeping = _round(sweep_objects, adapters.store, adapters.blobs, keep_s, metrics)
        children.append(_loop("objects", control.gc_interval_ms / 1000, sweeping))
    if roles & KEEPS:
        children.append(_loop("dead letters", DLQ_PERIOD_S, _round(measure, adapters.store, metrics)))
        children.append(_loop("rejudges", REJUDGE_PERIOD_S, _round(go_on, adapters.store, cfg.stream_key)))
        children.append(_loop("live sweep", LIVE_SWEEP_PERIOD_S, _round(sweep_live, adapters.store)))
    if roles & (KEEPS | {Role.API, Role.DISPATCHER}):
        poll = loops.Pressure(jobs=adapters.store, stream=adapters.stream, latest=parts.pressure, metrics=metrics)
        children.append(_loop("pressure", cfg.scheduler.metrics_poll_ms / 1000, _looked(poll, parts.backpressure)))
    return children


def _looked(poll: loops.Pressure, backpressure: Backpressure) -> Callable[[], Awaitable[object]]:
    async def once() -> None:
        await poll.once()
        backpressure.look()

    return once


def _announce(parts: Parts, gate: Gate) -> Callable[[], Awaitable[object]]:
    async def once() -> None:
        if gate.is_open:  # a node whose verdicts are not known to be right takes no work
            await announce(parts.adapters.store, parts.cfg.consumer, parts.languages)

    return once


def _listen(parts: Parts) -> Run:
    async def listen(*, task_status: trio.TaskStatus[None]) -> None:
        await parts.adapters.live_bell.serve(parts.live, task_status=task_status)

    return listen


def _revet(parts: Parts, gate: Gate) -> Callable[[], Awaitable[object]]:
    revet = None
    if parts.vet is not None:
        revet = Revet(problems=parts.adapters.store, blobs=parts.adapters.blobs, vetting=parts.vet)

    async def once() -> None:
        if gate.is_open and revet is not None:
            await revet.once()

    return once


def _loop(name: str, period_s: float, once: Callable[[], Awaitable[object]]) -> Child:
    return Child(name=name, run=loops.every(period_s, once), restart_on=AWAY)


def _reader(cfg: Config, run: Run) -> Run:
    """Add consumer and group to every log line of a child that reads the stream, and of the jobs it starts."""

    async def named(*, task_status: trio.TaskStatus[None]) -> None:
        with observe.bound(group=cfg.stream_group, consumer=cfg.consumer):
            await run(task_status=task_status)

    return named


def _round[*Ts](step: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> Callable[[], Awaitable[object]]:
    """Return one round of a loop: the step with its arguments."""

    async def once() -> object:
        return await step(*args)

    return once


def _health(parts: Parts) -> loops.HealthCheck:
    adapters = parts.adapters
    pings = {"database": adapters.store.ping, "redis": adapters.stream.ping}
    if needs_objects(parts.cfg):
        pings["objects"] = adapters.blobs.ping
    return loops.HealthCheck(board=parts.board, pings=pings)


def _dispatch(parts: Parts) -> Run:
    return loops.Dispatch(
        jobs=parts.adapters.store,
        stream=parts.adapters.stream,
        bell=parts.adapters.bell,
        settings=settings.dispatching(parts.cfg),
        metrics=parts.metrics,
        stop_deadline=parts.stop_deadline,
        poll_s=parts.cfg.api.outbox.dispatch_interval_ms / 1000,
    )


def _call_back(parts: Parts, sender: HookSender) -> Run:
    cfg, store = parts.cfg, parts.adapters.store
    section, options = cfg.api.webhooks, settings.calling_back(cfg, webhook_secret(cfg, parts.adapters.home))
    steps = settings.hidden_steps(cfg)

    def redact(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Redact it as for the author, also for an administrator's submission: the receiver is a third party."""
        return result_for(result, is_admin=False, steps=steps)

    async def one_try(hook: Hook) -> HookAnswer:
        return await attempt(sender, hook, options, redact)

    async def write_down(hook: Hook, answer: HookAnswer) -> None:
        await settle(store, hook, answer, options, parts.metrics)

    return Deliver(
        webhooks=store,
        attempt=one_try,
        settle=write_down,
        concurrency=section.concurrency,
        per_target=section.per_target,
        poll_s=section.poll_interval_ms / 1000,
        lease_s=options.lease_s,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Intake


def intake(parts: Parts) -> list[Child]:
    cfg, roles = parts.cfg, parts.cfg.roles
    children: list[Child] = []
    if roles & KEEPS:
        port = cfg.scheduler.metrics_port
        children.append(Child(name="scheduler metrics", run=_metrics_port(parts, port, "SCHEDULER_METRICS_PORT")))
    if roles & JUDGES:
        port = cfg.worker.metrics_port
        children.append(Child(name="worker metrics", run=_metrics_port(parts, port, "WORKER_METRICS_PORT")))
    if Role.API in roles:
        children.append(Child(name="api", run=_api(parts)))
    # After the children that serve, because they must not delay their ports; before those that let jobs in. During a
    # stop they end with the intake, because nothing more is let in.
    if parts.desk is not None and parts.adapters.box is not None:
        children.append(Child(name=CANARY, run=_canaries(parts, parts.adapters.box, parts.desk.gate)))
    if parts.headers is not None:
        children.append(Child(name="headers", run=Precompile(parts.headers)))
    if Role.CONSUMER in roles and parts.desk is not None:
        consume = loops.Consume(
            stream=parts.adapters.stream,
            desk=parts.desk,
            metrics=parts.metrics,
            stop_deadline=parts.stop_deadline,
            read_count=cfg.worker.stream.read_count,
            block_ms=cfg.worker.stream.block_ms,
        )
        children.append(Child(name="consumer", run=_reader(cfg, consume), restart_on=AWAY))
    if Role.CONSUMER in roles and parts.run_desk is not None:
        take = TakeRuns(desk=parts.run_desk, whole=parts.stop_deadline.whole)
        children.append(Child(name="runs", run=take, restart_on=AWAY))
    return children


def _api(parts: Parts) -> Run:
    cfg, store = parts.cfg, parts.adapters.store

    async def api(*, task_status: trio.TaskStatus[None]) -> None:
        app = create_app(
            Doors(
                accounts=store,
                problems=store,
                jobs=store,
                lists=store,
                letters=store,
                rejudges=store,
                results=store,
                live=parts.live,
                runs=store,
                run_bell=parts.adapters.stream,
                webhooks=store,
                blobs=parts.adapters.blobs,
                counters=parts.adapters.counters,
                backpressure=parts.backpressure,
                stream=None if cfg.api.outbox.enabled else parts.adapters.stream,
                ready=parts.board.readiness,
                settings=parts.api,
                metrics=parts.metrics,
                github=github_of(cfg),
                language_versions=parts.languages,
                live_languages=parts.live_languages.get,
                vet=parts.vet,
            )
        )
        status = _Listening(task_status, parts.listens)
        await serve_http(app, host=cfg.api.host, port=cfg.api.port, settings=parts.api, task_status=status)

    return api


def _canaries(parts: Parts, box: Box, gate: Gate) -> Run:
    cfg, options = parts.cfg, settings.judging(parts.cfg)

    async def judge_round() -> CanaryRound:
        return await judge_canaries(box, shelf=cfg.workspace / "canaries", settings=options)

    return Canaries(
        judge_round=judge_round, gate=gate, board=parts.board, metrics=parts.metrics, period_s=CANARY_PERIOD_S
    )


def _metrics_port(parts: Parts, port: int, setting: str) -> Run:
    async def metrics_port(*, task_status: trio.TaskStatus[None]) -> None:
        await serve_http(
            create_metrics_app(parts.metrics, parts.api),
            host=parts.cfg.api.host,
            port=port,
            settings=parts.api,
            setting=setting,
            task_status=_Listening(task_status, []),
        )

    return metrics_port


class _Listening:
    """A child's task status that takes the URLs on which a server listens."""

    def __init__(self, status: trio.TaskStatus[None], listens: list[str]) -> None:
        self._status, self._listens = status, listens

    def started(self, value: Sequence[str] = ()) -> None:
        self._listens[:] = value
        self._status.started()
