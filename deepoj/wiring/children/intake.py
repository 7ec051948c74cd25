"""The children of the ``intake`` nursery, which let new work in: metrics ports, the API, the canaries, building
precompiled headers and toolchain archives, the consumer, taking custom runs, judging for verifications, previews and
reruns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj import observe
from deepoj.api.app import Api, create_app, create_metrics_app
from deepoj.api.context import ApiContext
from deepoj.api.http.server import serve as serve_http
from deepoj.config.roles import Role
from deepoj.execution.canary import CanaryRound, judge_canaries
from deepoj.nursery import loops
from deepoj.nursery.canaries import PART as CANARY
from deepoj.nursery.canaries import Canaries
from deepoj.nursery.contests import TakeContestJobs
from deepoj.nursery.headers import Precompile
from deepoj.nursery.playground import TakeRuns
from deepoj.nursery.scopes import with_background_tasks
from deepoj.nursery.supervise import Child
from deepoj.web.app import add_pages
from deepoj.web.assets import STATIC, Assets
from deepoj.wiring import settings
from deepoj.wiring.adapters import JUDGES, KEEPS, github_of
from deepoj.wiring.children.jobs import JobParts
from deepoj.wiring.children.parts import AWAY, Parts, StreamReader

#: period of the canaries; a round takes a third of a second of CPU
CANARY_PERIOD_S = 600.0


def intake(parts: Parts) -> list[Child]:
    """Return the children in order of start."""
    roles, ports = parts.cfg.roles, _Ports(parts)
    children: list[Child] = []
    if roles & KEEPS:
        children.append(Child(name="scheduler metrics", run=ports.serve_scheduler_metrics))
    if roles & JUDGES:
        children.append(Child(name="worker metrics", run=ports.serve_worker_metrics))
    if Role.API in roles:
        children.append(Child(name="api", run=ports.serve_api))
    # After the children that serve, because they must not delay their ports. During a stop they end with the intake,
    # because nothing more is let in.
    return children if parts.jobs is None else [*children, *_job_intake(parts, parts.jobs)]


def _job_intake(parts: Parts, jobs: JobParts) -> list[Child]:
    """Return the canaries first: they decide whether jobs are let in."""
    cfg, stream = parts.cfg, parts.cfg.worker.stream
    canaries = Canaries(
        judge_round=_CanaryRounds(parts, jobs).judge_round,
        gate=jobs.gate,
        child_status=parts.child_status,
        metrics=parts.metrics,
        period_s=CANARY_PERIOD_S,
    )
    children = [Child(name=CANARY, run=canaries)]
    if jobs.headers is not None:
        children.append(Child(name="headers", run=Precompile(jobs.headers)))
    if cfg.compile.archives_at_start:
        children.append(Child(name="toolchains", run=jobs.toolchains))
    if Role.CONSUMER in cfg.roles:
        consume = loops.Consume(
            stream=parts.adapters.stream,
            job_intake=jobs.job_intake,
            metrics=parts.metrics,
            stop_deadline=parts.stop_deadline,
            read_count=stream.read_count,
            block_ms=stream.block_ms,
        )
        children.append(Child(name="consumer", run=StreamReader(cfg, consume), restart_on=AWAY))
        if cfg.worker.contest_slots:
            ahead = TakeContestJobs(
                stream=parts.adapters.stream, job_intake=jobs.job_intake, stop_deadline=parts.stop_deadline
            )
            children.append(Child(name="contest jobs", run=StreamReader(cfg, ahead), restart_on=AWAY))
        if jobs.run_intake is not None:
            take = TakeRuns(run_intake=jobs.run_intake, stop_deadline=parts.stop_deadline)
            children.append(Child(name="runs", run=take, restart_on=AWAY))
        children.append(Child(name="verify", run=jobs.background.verifying, restart_on=AWAY))
        children.append(Child(name="previews", run=jobs.background.previewing, restart_on=AWAY))
        children.append(Child(name="reruns", run=jobs.background.rerunning, restart_on=AWAY))
    return children


@dataclass(frozen=True, slots=True)
class _CanaryRounds:
    parts: Parts
    jobs: JobParts

    async def judge_round(self) -> CanaryRound:
        cfg = self.parts.cfg
        return await judge_canaries(self.jobs.box, cache_dir=cfg.workspace / "canaries", settings=settings.judging(cfg))


@dataclass(frozen=True, slots=True)
class _Ports:
    """Serves the node's HTTP ports."""

    parts: Parts

    async def serve_api(self, *, task_status: trio.TaskStatus[None]) -> None:
        cfg = self.parts.cfg
        await serve_http(
            _application(self.parts),
            host=cfg.api.host,
            port=cfg.api.port,
            settings=self.parts.api,
            reuse_port=cfg.api.reuse_port,
            task_status=_Listening(task_status, self.parts.listens),
        )

    async def serve_scheduler_metrics(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self._serve_metrics(self.parts.cfg.scheduler.metrics_port, "SCHEDULER_METRICS_PORT", task_status)

    async def serve_worker_metrics(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self._serve_metrics(self.parts.cfg.worker.metrics_port, "WORKER_METRICS_PORT", task_status)

    async def _serve_metrics(self, port: int, setting: str, status: trio.TaskStatus[None]) -> None:
        await serve_http(
            create_metrics_app(self.parts.metrics, self.parts.api),
            host=self.parts.cfg.api.host,
            port=port,
            settings=self.parts.api,
            setting=setting,
            task_status=_Listening(status, []),
        )


def _application(parts: Parts) -> Api:
    context = _api_context(parts)
    app = create_app(context)
    if parts.api.has_pages:
        add_pages(app, context, page_assets())
    return app


def page_assets(directory: Path = STATIC) -> Assets:
    """Read the scripts and styles of the pages. Warn if they are missing, before a visitor notices."""
    assets = Assets.load(directory)
    if assets.missing:
        observe.log("assets_missing", level="warning", reason=assets.missing)
    return assets


def _api_context(parts: Parts) -> ApiContext:
    cfg, store = parts.cfg, parts.adapters.store
    return ApiContext(
        accounts=store.accounts,
        account_data=store.account_data,
        sessions=store.sessions,
        access_tokens=store.access_tokens,
        marks=store.marks,
        problems=store.problems,
        submissions=store.submissions,
        lists=store.lists,
        batches=store.batches,
        letters=store.letters,
        rejudges=store.rejudges,
        roster=store.roster,
        admin_events=store.admin_events,
        groups=store.groups,
        system=store.system,
        pressure=parts.pressure,
        audits=parts.audits,
        rehearsals=parts.rehearsals,
        verifications=store.verifications,
        previews=store.previews,
        reruns=store.reruns,
        contests=store.contests,
        contest_rejudges=store.contest_rejudges,
        contest_setup=store.contest_setup,
        contest_webhooks=store.contest_webhooks,
        ledgers=parts.ledgers,
        results=store.live,
        live=parts.live,
        runs=store.runs,
        run_notifier=parts.adapters.stream,
        webhooks=store.webhooks,
        blobs=parts.adapters.blobs,
        counters=parts.adapters.counters,
        backpressure=parts.backpressure,
        stream=None if cfg.api.outbox.enabled else parts.adapters.stream,
        hand_over=parts.hand_over,
        early_compiler=None if parts.jobs is None else parts.jobs.early_compiler,
        ready=parts.child_status.readiness,
        settings=parts.api,
        metrics=parts.metrics,
        with_tasks=with_background_tasks,
        github=github_of(cfg),
        language_versions=parts.languages,
        live_languages=parts.live_languages.get,
        vet=parts.vet,
        publish_statements=parts.statements,
        render_edits=None if parts.statements is None else parts.statements.render_edits,
        statements=parts.adapters.store.statements,
    )


class _Listening:
    """A child's task status that takes the URLs on which a server listens."""

    def __init__(self, status: trio.TaskStatus[None], listens: list[str]) -> None:
        self._status, self._listens = status, listens

    def started(self, value: Sequence[str] = ()) -> None:
        self._listens[:] = value
        self._status.started()
