"""Settings become adapters, adapters become the children of the tree: the one place that knows which implementation
stands behind which port. Nothing here has behaviour of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from deepoj import __version__, observe, ports
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.blobs_dir import DirectoryBlobs
from deepoj.adapters.embedded import EmbeddedHome, hold_home, run_postgres, run_valkey
from deepoj.adapters.migrations import Migrator
from deepoj.adapters.pg import PgBell, PgStore
from deepoj.adapters.redis_stream import RedisStream
from deepoj.adapters.testdata import TestDataCache
from deepoj.api.app import create_app
from deepoj.api.auth import Passwords
from deepoj.api.doors import Doors
from deepoj.api.serve import serve as serve_http
from deepoj.api.serve import serve_metrics
from deepoj.api.settings import ApiSettings
from deepoj.config import Config, Role
from deepoj.judging.languages import Toolchain
from deepoj.judging.packages import UnzipLimits
from deepoj.judging.runs import MIB, JudgeSettings
from deepoj.nursery import loops, tree
from deepoj.nursery.leases import Leases
from deepoj.nursery.prepare import Reach, Schema
from deepoj.nursery.supervise import Board, Child, Run
from deepoj.nursery.work import Desk, Work
from deepoj.pipeline.claim import LeaseSettings
from deepoj.pipeline.gc import trim
from deepoj.pipeline.judge import judge, sweep
from deepoj.pipeline.outbox import OutboxSettings
from deepoj.pipeline.reclaim import ReclaimSettings
from deepoj.pipeline.repair import RepairSettings, repair
from deepoj.words import (
    AccountRefusal,
    Claim,
    Infra,
    Report,
    ServerFell,
    StartRefused,
    StoreUnavailable,
    StreamUnavailable,
)

if TYPE_CHECKING:
    from deepoj.adapters.linux_box import LinuxBox

AWAY = (StoreUnavailable, StreamUnavailable)
#: how long a dependency may be late at a start
REACH_S = 30.0
#: an embedded server that falls more often than this is not helped by another start
SERVER_BUDGET = 5
HEALTH_PERIOD_S = 2.0

JUDGES = frozenset({Role.CONSUMER, Role.RECLAIM})
KEEPS = frozenset({Role.REPAIR, Role.GC})


@dataclass(slots=True, kw_only=True)
class Life:
    """What the command line hears of a node's life. ``say`` writes one line for a person."""

    say: Callable[[str], None]
    on_stop: Callable[[], None]
    was_up: bool = False


class Guest(Protocol):
    """Something that uses the node once it is up, under an account of its own with administrator's rights."""

    username: str
    password: str

    async def __call__(self, stop: Callable[[], None]) -> None: ...


async def serve(cfg: Config, life: Life, guests: Sequence[Guest]) -> None:
    """Runs one node until a signal comes.

    Raises:
      StartRefused, or an ExceptionGroup around it: the start failed, nothing is left running.
      ExceptionGroup: a child fell for good, or there is a bug.
    """
    _toolchain_is_there(cfg)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(hold_home(cfg.home)) if cfg.embedded else None
        metrics = _metrics(cfg)
        house = _House(cfg, home, metrics)
        await house.open(stack)
        node = tree.Node(
            servers=house.servers(),
            prepare=house.preparations(guests),
            keepers=house.keepers(),
            intake=house.intake(),
            guests=guests,
            work=house.work,
            desk=house.desk,
            board=house.board,
            metrics=metrics,
            drain_s=cfg.worker.cleanup_timeout_sec,
            on_up=lambda: house.is_up(life),
            on_stop=life.on_stop,
        )
        try:
            await tree.run(node, trio.Event())
        finally:
            house.note.unlink(missing_ok=True)


def _toolchain_is_there(cfg: Config) -> None:
    """A node that judges and has no compiler would turn every submission into trouble of ours."""
    compiler = Path(cfg.path.compiler_bin)
    if cfg.roles & JUDGES and not os.access(compiler, os.X_OK):
        raise StartRefused(
            f"there is no compiler at {compiler}: install g++ (apt-get install g++), set path.compiler_bin, or start"
            " this node without the worker role",
            3,
        )


def _metrics(cfg: Config) -> observe.Metrics:
    def identity(told: object, default: str) -> observe.Identity:
        service = cfg.observability.service_name or str(getattr(told, "service_name", "")) or default
        return observe.Identity(service, str(getattr(told, "instance_id", "")) or cfg.instance_id)

    return observe.Metrics(
        api=identity(cfg.api.metrics, "deep-oj-api"),
        scheduler=identity(cfg.scheduler.metrics, "deep-oj-scheduler"),
        worker=identity(cfg.worker.metrics, "deep-oj-worker"),
    )


@dataclass(slots=True)
class _House:
    """The adapters of one node, and the children made of them."""

    cfg: Config
    home: EmbeddedHome | None
    metrics: observe.Metrics
    board: Board = field(default_factory=Board)
    work: Work | None = None
    desk: Desk | None = None
    listens: list[str] = field(default_factory=list)
    bridge: AioBridge = field(init=False)
    store: PgStore = field(init=False)
    bell: PgBell = field(init=False)
    stream: RedisStream = field(init=False)
    blobs: ports.Blobs = field(init=False)
    leases: Leases = field(init=False)

    # -- adapters

    async def open(self, stack: AsyncExitStack) -> None:
        """Opens what needs closing; nothing here waits for a server. The launcher first: it is small while we are."""
        cfg = self.cfg
        box = await self._open_box(stack) if cfg.roles & JUDGES else None
        self.bridge = await stack.enter_async_context(AioBridge.open())
        database_url = self.home.database_url if self.home else cfg.database_url
        self.store = await stack.enter_async_context(
            PgStore.open(self.bridge, database_url, min_conns=cfg.postgres.min_conns, max_conns=cfg.postgres.max_conns)
        )
        self.bell = PgBell(self.bridge, database_url)
        self.stream = await stack.enter_async_context(
            RedisStream.open(
                self.bridge,
                self.home.redis_url if self.home else cfg.redis_url,
                password=self.home.valkey_password if self.home else cfg.redis.password,
                tls=False if self.home else cfg.redis.tls_enabled,
                stream_key=cfg.stream_key,
                group=cfg.stream_group,
                consumer=cfg.consumer,
                payload_prefix=f"{cfg.namespace}:task:payload:",
                payload_ttl_s=cfg.api.stream.job_payload_ttl_sec,
                maxlen=cfg.api.stream.stream_maxlen,
                pool_size=cfg.redis.pool_size,
                connect_timeout_s=cfg.redis.dial_timeout_ms / 1000,
                read_timeout_s=cfg.redis.read_timeout_ms / 1000,
            )
        )
        self.blobs = self._blobs()
        self.leases = Leases(cfg.worker.stream.lease_sec, cfg.worker.pool_size)
        if box is not None:
            data = self._test_data()
            stack.callback(data.close)
            self._furnish(box, data)

    async def _open_box(self, stack: AsyncExitStack) -> LinuxBox:
        from deepoj.adapters.linux_box import LinuxBox  # noqa: PLC0415 - only a node that judges has the extension

        cfg = self.cfg
        return await stack.enter_async_context(
            LinuxBox.open(
                cfg.worker.pool_size,
                run_uid=cfg.security.run_as_uid,
                run_gid=cfg.security.run_as_gid,
                min_isolation=cfg.sandbox_min_isolation,
                mounts=cfg.path.mount_dirs,
            )
        )

    def _blobs(self) -> ports.Blobs:
        if self.home is not None:
            return DirectoryBlobs(self.home.objects_dir)
        # minio-py weighs some 15 MiB: a node on the embedded default never loads it
        from deepoj.adapters.blobs_s3 import S3Blobs  # noqa: PLC0415

        told = self.cfg.minio
        return S3Blobs(
            told.endpoint, access_key=told.access_key, secret_key=told.secret_key, bucket=told.bucket,
            secure=told.secure,
        )  # fmt: skip

    def _test_data(self) -> TestDataCache:
        cfg = self.cfg
        return TestDataCache(
            self.blobs,
            cfg.workspace / "testdata",
            metrics=self.metrics,
            limits=_unzip(cfg),
            max_problems=cfg.worker.testcase_cache.max,
            ttl_s=cfg.worker.testcase_cache.ttl_sec,
            download_timeout_s=cfg.worker.timeouts.download_ms / 1000,
            unzip_timeout_s=cfg.worker.timeouts.unzip_ms / 1000,
        )

    def _furnish(self, box: LinuxBox, data: TestDataCache) -> None:
        """What judging needs: test data, slots, a desk."""
        cfg = self.cfg
        for level in observe.ISOLATION_LEVELS:
            self.metrics.sandbox_isolation.labels(level=level).set(level == box.isolation.value)
        settings = _judge_settings(cfg)

        async def judge_claim(claim: Claim) -> Report | Infra:
            return await judge(
                box, data, claim, workdir=cfg.workspace / "attempts", settings=settings, metrics=self.metrics
            )

        lease = LeaseSettings(cfg.consumer, cfg.worker.stream.lease_sec, cfg.job_max_attempts)
        self.desk = Desk(self.store, self.stream, self.leases, lease, self.metrics)
        self.work = Work(jobs=self.store, stream=self.stream, judge_claim=judge_claim, metrics=self.metrics)

    # -- children

    def servers(self) -> list[Child]:
        home = self.home
        if home is None:
            return []

        async def postgres(*, task_status: trio.TaskStatus[None]) -> None:
            await run_postgres(home, task_status=task_status)

        async def valkey(*, task_status: trio.TaskStatus[None]) -> None:
            await run_valkey(home, task_status=task_status)

        return [
            Child(name="postgres", run=postgres, restart_on=(ServerFell,), budget=SERVER_BUDGET),
            Child(name="valkey", run=valkey, restart_on=(ServerFell,), budget=SERVER_BUDGET),
        ]

    def preparations(self, guests: Sequence[Guest]) -> list[Callable[[], Awaitable[None]]]:
        steps: list[Callable[[], Awaitable[None]]] = [
            Reach(part="database", ping=self.store.ping, within_s=REACH_S),
            self._schema(),
            Reach(part="redis", ping=self.stream.ping, within_s=REACH_S),
        ]
        if self.desk is not None:
            steps.append(self._sweep)
        if self.cfg.roles & (JUDGES | {Role.API}):
            steps.append(Reach(part="objects", ping=self.blobs.ping, within_s=REACH_S))
        return [*steps, *(self._account_for(guest) for guest in guests)]

    def keepers(self) -> list[Child]:
        cfg, roles = self.cfg, self.cfg.roles
        children = [_loop("health", HEALTH_PERIOD_S, self._health().once)]
        if self.desk is not None:
            beat = loops.Heartbeat(jobs=self.store, leases=self.leases, owner=cfg.consumer, metrics=self.metrics)
            children.append(_loop("heartbeat", cfg.worker.stream.heartbeat_sec, beat.once))
        if Role.DISPATCHER in roles:
            children += [
                Child(name="bell", run=self.bell.serve, restart_on=AWAY),
                Child(name="dispatcher", run=self._dispatch(), restart_on=AWAY),
            ]
        if Role.RECLAIM in roles and self.desk is not None:
            children.append(_loop("reclaim", cfg.worker.stream.reclaim_interval_sec, self._reclaim(self.desk).once))
        if Role.REPAIR in roles and cfg.scheduler.control_plane.repair_enabled:
            children.append(_loop("repair", cfg.scheduler.control_plane.repair_interval_ms / 1000, self._repair))
        if Role.GC in roles and cfg.scheduler.control_plane.gc_enabled:
            children.append(_loop("gc", cfg.scheduler.control_plane.gc_interval_ms / 1000, self._gc))
        if roles & (KEEPS | {Role.API}):
            poll = loops.Pressure(stream=self.stream, metrics=self.metrics)
            children.append(_loop("pressure", cfg.scheduler.metrics_poll_ms / 1000, poll.once))
        return children

    def intake(self) -> list[Child]:
        cfg, roles = self.cfg, self.cfg.roles
        children: list[Child] = []
        if roles & KEEPS:
            children.append(Child(name="scheduler metrics", run=self._metrics_port(cfg.scheduler.metrics_port)))
        if roles & JUDGES:
            children.append(Child(name="worker metrics", run=self._metrics_port(cfg.worker.metrics_port)))
        if Role.API in roles:
            children.append(Child(name="api", run=self._api()))
        if Role.CONSUMER in roles and self.desk is not None:
            consume = loops.Consume(
                stream=self.stream,
                desk=self.desk,
                metrics=self.metrics,
                read_count=cfg.worker.stream.read_count,
                block_ms=cfg.worker.stream.block_ms,
            )
            children.append(Child(name="consumer", run=consume, restart_on=AWAY))
        return children

    # -- the pieces of the children

    def _schema(self) -> Callable[[], Awaitable[None]]:
        migrator = Migrator(self.bridge, self.home.database_url if self.home else self.cfg.database_url)
        if not (self.cfg.embedded or self.cfg.migrate_on_start):
            return Schema(present=migrator.schema_version, needed=migrator.needed_version, within_s=REACH_S)

        async def migrate() -> None:
            await migrator.migrate()

        return migrate

    async def _sweep(self) -> None:
        """Work directories of attempts that died with an earlier process."""
        swept = await trio.to_thread.run_sync(sweep, self.cfg.workspace / "attempts")
        if swept:
            observe.log("workspace_swept", count=swept)

    def _account_for(self, guest: Guest) -> Callable[[], Awaitable[None]]:
        async def account() -> None:
            await _account(self.store, guest)

        return account

    def _health(self) -> loops.Health:
        pings = {"database": self.store.ping, "redis": self.stream.ping, "objects": self.blobs.ping}
        return loops.Health(board=self.board, pings=pings)

    def _dispatch(self) -> Run:
        told = self.cfg.api.outbox
        return loops.Dispatch(
            jobs=self.store,
            stream=self.stream,
            bell=self.bell,
            settings=OutboxSettings(told.dispatch_batch_size, told.retry_base_ms / 1000, told.retry_max_ms / 1000),
            metrics=self.metrics,
            poll_s=told.dispatch_interval_ms / 1000,
        )

    def _reclaim(self, desk: Desk) -> loops.Reclaim:
        told = self.cfg.worker.stream
        idle_ms = round((told.lease_sec + told.reclaim_grace_sec) * 1000)
        settings = ReclaimSettings(idle_ms, told.reclaim_count)
        return loops.Reclaim(stream=self.stream, desk=desk, settings=settings, metrics=self.metrics)

    async def _repair(self) -> None:
        told = self.cfg.scheduler.control_plane
        settings = RepairSettings(told.repair_min_age_sec, told.repair_batch_size, self.cfg.stream_key)
        await repair(self.store, self.stream, settings, self.metrics)

    async def _gc(self) -> None:
        await trim(self.stream, self.cfg.scheduler.control_plane.stream_trim_maxlen, self.metrics)

    def _api(self) -> Run:
        settings = _api_settings(self.cfg, self.home)
        app = create_app(
            Doors(
                accounts=self.store,
                problems=self.store,
                jobs=self.store,
                blobs=self.blobs,
                ready=self.board.readiness,
                settings=settings,
                metrics=self.metrics,
            )
        )

        async def api(*, task_status: trio.TaskStatus[None]) -> None:
            status = _Listening(task_status, self.listens)
            await serve_http(app, host=self.cfg.api.host, port=self.cfg.api.port, settings=settings, task_status=status)

        return api

    def _metrics_port(self, port: int) -> Run:
        settings = _api_settings(self.cfg, self.home)

        async def metrics_port(*, task_status: trio.TaskStatus[None]) -> None:
            status = _Listening(task_status, [])
            await serve_metrics(self.metrics, host=self.cfg.api.host, port=port, settings=settings, task_status=status)

        return metrics_port

    def is_up(self, life: Life) -> None:
        """Tells what is up: in the log, and in ``node.json`` for commands that look for a running node."""
        life.was_up = True
        roles = ",".join(sorted(self.cfg.roles))
        observe.log("roles", roles=roles, version=__version__, address=", ".join(self.listens))
        if self.cfg.roles & KEEPS:
            # The words the runbook greps for, as they stand there.
            observe.log(
                "control_plane",
                text="控制面模式 dispatch_mode=streams_only control_plane_only=true legacy_loops_started=0"
                " control_plane_loops_started=repair,gc",
            )
            self.metrics.control_plane_only.set(1)
            self.metrics.legacy_loops_started.set(0)
            told = self.cfg.scheduler.control_plane
            observe.log("repair_started" if told.repair_enabled else "repair_disabled")
            observe.log("gc_started" if told.gc_enabled else "gc_disabled")
        if Role.CONSUMER in self.cfg.roles:
            observe.log(
                "consumer_started",
                text="工作节点流消费器",
                consumer=self.cfg.consumer,
                group=self.cfg.stream_group,
                stream_key=self.cfg.stream_key,
            )
        self.cfg.home.mkdir(parents=True, exist_ok=True)
        told_of = {"pid": os.getpid(), "api": self.listens[0] if self.listens else None}
        self.note.write_text(json.dumps(told_of) + "\n")

    @property
    def note(self) -> Path:
        """Where a running node says where its API is."""
        return self.cfg.home / "node.json"


class _Listening:
    """A child's task status that takes the URLs a server says it listens on."""

    def __init__(self, status: trio.TaskStatus[None], listens: list[str]) -> None:
        self._status, self._listens = status, listens

    def started(self, value: Sequence[str] = ()) -> None:
        self._listens[:] = value
        self._status.started()


def _loop(name: str, period_s: float, once: Callable[[], Awaitable[object]]) -> Child:
    return Child(name=name, run=loops.every(period_s, once), restart_on=AWAY)


async def _account(accounts: ports.Accounts, guest: Guest) -> None:
    """The guest's account: made once, with a new password at every start."""
    secret = await Passwords().hash(guest.password)
    made = await accounts.create_user(guest.username, secret, None, is_admin=True)
    if isinstance(made, AccountRefusal):
        known = await accounts.credentials(guest.username)
        if known is not None:
            await accounts.set_password(known.user.id, secret)


def _unzip(cfg: Config) -> UnzipLimits:
    told = cfg.worker.unzip_limits
    return UnzipLimits(told.max_bytes, told.max_files, told.max_file_bytes)


def _judge_settings(cfg: Config) -> JudgeSettings:
    return JudgeSettings(
        toolchain=Toolchain(gxx=cfg.path.compiler_bin, max_errors=cfg.compile.max_errors),
        compile_cpu_ms=min(round(cfg.compile.cpu_limit_s * 1000), cfg.worker.timeouts.compile_ms),
        compile_wall_ms=round(cfg.compile.real_time_limit_s * 1000),
        compile_memory_bytes=cfg.compile.memory_limit_mb * MIB,
        compile_scratch_bytes=cfg.compile.tmpfs_size_mb * MIB,
        compile_output_bytes=cfg.compile.log_max_size_mb * MIB,
        run_output_bytes=cfg.runner.max_output_size,
        run_scratch_bytes=cfg.runner.tmpfs_size_mb * MIB,
        run_processes=cfg.runner.cgroup_pids_limit,
        stdout_limit_bytes=cfg.worker.executor.stdout_limit_bytes,
        stderr_limit_bytes=cfg.worker.executor.stderr_limit_bytes,
        keep_workdir=cfg.worker.keep_workdir,
    )


def _api_settings(cfg: Config, home: EmbeddedHome | None) -> ApiSettings:
    told, limits, timeouts = cfg.api, cfg.api.limits, cfg.api.timeouts
    return ApiSettings(
        # The embedded default makes its secret once; anybody else is asked for one before the start.
        jwt_secret=told.auth.jwt_secret or (home.secret("jwt_secret") if home is not None else ""),
        jwt_expire_s=told.auth.jwt_expire_hours * 3600,
        admin_users=frozenset(told.auth.admin_users),
        admin_registration_open=told.auth.admin_registration == "open",
        metrics_token=told.metrics_token,
        trusted_proxies=told.trusted_proxies,
        cors_allowed_origins=frozenset(told.cors_allowed_origins),
        submit_body_max_bytes=limits.submit_body_max_bytes,
        submit_code_max_bytes=limits.submit_code_max_bytes,
        problem_zip_max_bytes=limits.problem_zip_max_bytes,
        unzip=_unzip(cfg),
        upload_dir=cfg.workspace / "uploads",
        default_time_limit_ms=limits.problem_defaults.time_limit_ms,
        max_time_limit_ms=limits.max_time_limit_ms,
        default_memory_limit_mb=limits.problem_defaults.memory_limit_mb,
        max_memory_limit_mb=limits.max_memory_limit_kb // 1024,
        inflight_cap=limits.submit_max_inflight,
        inflight_ttl_s=limits.inflight_ttl_sec,
        stream_key=cfg.stream_key,
        read_header_timeout_s=timeouts.read_header_sec,
        read_timeout_s=timeouts.read_sec,
        write_timeout_s=timeouts.write_sec,
        idle_timeout_s=timeouts.idle_sec,
        shutdown_timeout_s=told.shutdown_timeout_sec,
    )
