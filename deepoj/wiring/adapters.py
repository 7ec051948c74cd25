"""Open the implementation of each port on this node."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import trio

from deepoj import observe
from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.blobs.directory import DirectoryBlobs
from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.pg import PgLiveNotifications, PgOutboxNotifications, PgStore
from deepoj.adapters.pg.migrations import Migrator
from deepoj.adapters.redis.counters import RedisCounters
from deepoj.adapters.redis.stream import RedisStream
from deepoj.adapters.sandbox.quiet_box import QuietBox
from deepoj.adapters.testdata import TestDataCache
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.execution.header_cache import make_cache_dir
from deepoj.judging.exec_rules import MIB
from deepoj.observe.metrics import ISOLATION_LEVELS
from deepoj.ports.accounts import Github
from deepoj.ports.blobs import Blobs
from deepoj.ports.sandbox import Box
from deepoj.ports.webhooks import HookSender
from deepoj.wiring import settings
from deepoj.words.errors import StartRefused
from deepoj.words.webhooks import HookAnswer, HookRequest

#: roles that execute programs
JUDGES = frozenset({Role.CONSUMER, Role.RECLAIM})
#: roles of the control plane
KEEPS = frozenset({Role.REPAIR, Role.GC})


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """The adapters of one node; ``box``, ``data`` and ``compiled`` only where it judges."""

    home: EmbeddedHome | None
    store: PgStore
    notifications: PgOutboxNotifications
    live_notifications: PgLiveNotifications
    migrator: Migrator
    stream: RedisStream
    counters: RedisCounters
    blobs: Blobs
    box: Box | None
    #: why the isolation is no better, a sentence each
    isolation_reasons: tuple[str, ...]
    data: TestDataCache | None
    compiled: DiskCompileCache | None
    #: sends webhooks; None on a node without the dispatcher
    hooks: HookSender | None


class HooksOnFirstUse:
    """Opens the sender of webhooks for the first one: httpx and the TLS roots are memory that most nodes never need.

    ``stack`` closes the sender.
    """

    def __init__(
        self, stack: AsyncExitStack, permits: Callable[[str], bool], *, timeout_s: float, resolvers: int
    ) -> None:
        self._stack = stack
        self._permits = permits
        self._timeout_s = timeout_s
        self._resolvers = resolvers
        self._opening = trio.Lock()
        self._sender: HookSender | None = None

    async def post(self, request: HookRequest) -> HookAnswer:
        async with self._opening:
            if self._sender is None:
                self._sender = await self._open()
        return await self._sender.post(request)

    async def _open(self) -> HookSender:
        # in a thread: loading httpx takes a tenth of a second, and the leases of jobs must not wait for it
        opening = await trio.to_thread.run_sync(self._load)
        return await self._stack.enter_async_context(opening)

    def _load(self) -> AbstractAsyncContextManager[HookSender]:
        from deepoj.adapters.hook_sender import HttpHookSender  # noqa: PLC0415 - see above

        return HttpHookSender.open(self._permits, timeout_s=self._timeout_s, resolvers=self._resolvers)


async def open_adapters(
    cfg: Config, home: EmbeddedHome | None, metrics: observe.Metrics, stack: AsyncExitStack
) -> Adapters:
    """Open the adapters, which ``stack`` closes; wait for no server. The launcher is forked first, while this process
    is still small.

    Raises:
      StartRefused: the sandbox's isolation is too weak, or an address is invalid.
    """
    box, isolation_reasons = await _open_box(cfg, stack) if cfg.roles & JUDGES else (None, ())
    bridge = await stack.enter_async_context(AioBridge.open())
    database_url = home.database_url if home else cfg.database_url
    blobs = blobs_of(cfg, home)
    data = compiled = None
    if box is not None:
        data = _test_data(cfg, blobs, metrics)
        stack.callback(data.close)
        if cfg.compile.cache_max_mb:
            compiled = DiskCompileCache(
                cfg.workspace / "compiled", metrics=metrics, max_bytes=cfg.compile.cache_max_mb * MIB
            )
            stack.callback(compiled.close)
            await compiled.start()
        for level in ISOLATION_LEVELS:
            metrics.sandbox_isolation.labels(level=level).set(level == box.isolation.value)
    hooks = None
    secret = webhook_secret(cfg, home)
    if Role.DISPATCHER in cfg.roles and (rules := settings.callbacks(cfg, secret)).enabled:
        section = cfg.api.webhooks
        hooks = HooksOnFirstUse(stack, rules.permits, timeout_s=section.timeout_sec, resolvers=section.concurrency)
    return Adapters(
        home=home,
        store=await stack.enter_async_context(
            PgStore.open(
                bridge,
                database_url,
                min_conns=cfg.postgres.min_conns,
                max_conns=cfg.postgres.max_conns,
                max_lifetime_s=cfg.postgres.max_conn_lifetime_min * 60,
                max_idle_s=cfg.postgres.max_conn_idle_min * 60,
            )
        ),
        notifications=PgOutboxNotifications(bridge, database_url),
        live_notifications=PgLiveNotifications(bridge, database_url),
        migrator=Migrator(bridge, database_url),
        stream=await stack.enter_async_context(_stream(cfg, home, bridge)),
        counters=await stack.enter_async_context(_counters(cfg, home, bridge)),
        blobs=blobs,
        box=box,
        isolation_reasons=isolation_reasons,
        data=data,
        compiled=compiled,
        hooks=hooks,
    )


def webhook_secret(cfg: Config, home: EmbeddedHome | None) -> str:
    """Return the operator's secret, or that of the embedded home, which makes one once; empty: there is none."""
    return cfg.api.webhooks.secret or (home.secret("webhook_secret") if home else "")


async def _open_box(cfg: Config, stack: AsyncExitStack) -> tuple[Box, tuple[str, ...]]:
    """Return the sandbox, and the reasons for its isolation."""
    from deepoj.adapters.sandbox.box import LinuxBox  # noqa: PLC0415 - only a node that judges has the extension

    headers = settings.headers_dir(cfg)
    if headers is not None:
        try:
            await trio.to_thread.run_sync(make_cache_dir, headers)
        except OSError as error:
            raise StartRefused(f"WORKSPACE: {headers} cannot be made: {error.strerror or error}", 2) from error
    box = await stack.enter_async_context(
        LinuxBox.open(
            cfg.worker.pool_size,
            run_uid=cfg.security.run_as_uid,
            run_gid=cfg.security.run_as_gid,
            min_isolation=cfg.sandbox_min_isolation,
            mounts=cfg.path.mount_dirs,
            headers=headers,
            rates=settings.rates(cfg),
        )
    )
    return QuietBox(box, slots=cfg.worker.pool_size), box.preflight.reasons


def blobs_of(cfg: Config, home: EmbeddedHome | None) -> Blobs:
    """Return the object store: the embedded home's, or that of the settings."""
    if home is not None:
        return DirectoryBlobs(home.objects_dir)
    # minio-py needs some 15 MiB: a node on the embedded default never loads it
    from deepoj.adapters.blobs.s3 import S3Blobs  # noqa: PLC0415

    section = cfg.minio
    return S3Blobs(
        section.endpoint,
        access_key=section.access_key,
        secret_key=section.secret_key,
        bucket=section.bucket,
        secure=section.secure,
    )


def github_of(cfg: Config) -> Github | None:
    """Return GitHub as configured, or None if logging in with it is not configured."""
    section = cfg.api.auth.oauth.github
    if not section.client_id:
        return None
    from deepoj.adapters.github import GithubOverHttp  # noqa: PLC0415 - loads httpx only where it is needed

    return GithubOverHttp(
        client_id=section.client_id,
        client_secret=section.client_secret,
        redirect_url=section.redirect_url,
        base_url=section.base_url,
        api_url=section.api_url,
        timeout_s=section.timeout_sec,
    )


def _stream(cfg: Config, home: EmbeddedHome | None, bridge: AioBridge) -> AbstractAsyncContextManager[RedisStream]:
    return RedisStream.open(
        bridge,
        home.redis_url if home else cfg.redis_url,
        password=home.valkey_password if home else cfg.redis.password,
        tls=False if home else cfg.redis.tls_enabled,
        stream_key=cfg.stream_key,
        group=cfg.stream_group,
        consumer=cfg.consumer,
        payload_prefix=f"{cfg.namespace}:task:payload:",
        payload_ttl_s=cfg.api.stream.job_payload_ttl_sec,
        maxlen=cfg.api.stream.stream_maxlen,
        pool_size=cfg.redis.pool_size,
        connect_timeout_s=cfg.redis.dial_timeout_ms / 1000,
        read_timeout_s=cfg.redis.read_timeout_ms / 1000,
        write_timeout_s=cfg.redis.write_timeout_ms / 1000,
    )


def _counters(cfg: Config, home: EmbeddedHome | None, bridge: AioBridge) -> AbstractAsyncContextManager[RedisCounters]:
    return RedisCounters.open(
        bridge,
        home.redis_url if home else cfg.redis_url,
        password=home.valkey_password if home else cfg.redis.password,
        tls=False if home else cfg.redis.tls_enabled,
        prefix=f"{cfg.namespace}:rate_limit:",
        pool_size=cfg.redis.pool_size,
    )


def _test_data(cfg: Config, blobs: Blobs, metrics: observe.Metrics) -> TestDataCache:
    return TestDataCache(
        blobs,
        cfg.workspace / "testdata",
        metrics=metrics,
        limits=settings.unzipping(cfg),
        max_problems=cfg.worker.testcase_cache.max,
        ttl_s=cfg.worker.testcase_cache.ttl_sec,
        download_timeout_s=cfg.worker.timeouts.download_ms / 1000,
        unzip_timeout_s=cfg.worker.timeouts.unzip_ms / 1000,
    )
