"""Starts and stops a temporary deployment: servers, links, nodes and a client. The nursery tree of this process.

The start order is servers, links and nodes, then the test. At the end the nodes are killed first, because their output
is no longer needed.
"""

from __future__ import annotations

import datetime as dt
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome, hold_home
from deepoj.adapters.pg.audit import PgAudit
from deepoj.adapters.pg.pool import PgPool
from deepoj.operate.drill import servers
from deepoj.operate.drill.client import Client, client_for
from deepoj.operate.drill.history import Line, Row, Violation, Wrong
from deepoj.operate.drill.nodes import NodeProcess, Setup
from deepoj.operate.drill.objects import Objects
from deepoj.operate.drill.proxy import Dial, Link
from deepoj.operate.drill.schedule import Wire
from deepoj.operate.drill.wire import HttpParser, PostgresParser, RedisParser
from deepoj.pipeline.audit import audit
from deepoj.words.errors import StartRefused

if TYPE_CHECKING:
    import asyncpg

    from deepoj.adapters.pg.pool import Connection

_HOST = "127.0.0.1"
_READY_S = 300.0
#: three nodes load their program in 1.5 s on two idle cores; in this time, leases of a second still live
_SLOW_START_S = 3.0
_STARTS = 3
_SLOWEST = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Timing settings of a stage's nodes; ``recovery_s`` is their promised recovery time after kill -9."""

    lease_s: float
    heartbeat_s: float
    grace_s: float
    reclaim_s: float
    repair_s: float = 0.5
    repair_min_age_s: float = 1.5

    @property
    def patience_s(self) -> float:
        """Timeout of a client's request."""
        return 4.0 * max(1.0, self.lease_s)

    @property
    def recovery_s(self) -> float:
        return self.lease_s + self.grace_s + self.reclaim_s

    def scaled(self, factor: float) -> Timing:
        """Return the timing scaled for a machine that is slower by this factor; never scaled down."""
        by = max(1.0, factor)
        longer = {name: round(getattr(self, name) * by, 3) for name in self.__slots__}
        return Timing(**longer)

    @property
    def repaired_s(self) -> float:
        """Promised time until repair: a row becomes old enough, then a round begins."""
        return self.repair_min_age_s + self.repair_s


def slowness() -> float:
    """Measure how many times slower than two idle cores this machine currently is, to scale leases of a second.

    A lease must be longer than the time that its holder may have to wait for a CPU. The measurement imitates the start
    of a stage: several nodes load their program at once.
    """
    load = [sys.executable, "-c", "import deepoj.wiring.node"]
    began = time.monotonic()
    starts = [subprocess.Popen(load, stdin=subprocess.DEVNULL) for _ in range(_STARTS)]
    for start in starts:
        start.wait()
    return max(1.0, min((time.monotonic() - began) / _SLOW_START_S, _SLOWEST))


@dataclass(slots=True, kw_only=True)
class Stage:
    """A running stage, as faults and tests use it."""

    directory: Path
    home: EmbeddedHome
    timing: Timing
    tasks: trio.Nursery
    postgres: servers.EmbeddedServer
    valkey: servers.EmbeddedServer
    nodes: Sequence[NodeProcess]
    links: Sequence[Mapping[Wire, Link]]
    client: Client
    pool: PgPool

    async def redis(self, *words: str) -> str:
        """Send one command to Valkey directly, bypassing the links. Raises StreamUnavailable."""
        return await servers.ask_valkey(self.home, *words)

    async def rows(self) -> list[Row]:
        """Return all submissions in their current state. Raises StoreUnavailable."""
        return await rows_of(self.pool)

    async def ledger(self) -> list[Line]:
        """Return the whole ledger, in order. Raises StoreUnavailable."""
        return await ledger_of(self.pool)

    async def audited(self) -> list[Violation]:
        """Return the exceptions that ``deepoj audit`` finds. Raises StoreUnavailable.

        The history checker also knows the client's observations; an operator has only the audit. Both must be clean.
        """
        outcome = await audit(PgAudit(self.pool))
        return [Violation(Wrong.AUDIT, one.job_id, f"{one.fault}: {one.detail}") for one in outcome.found]

    async def now(self) -> dt.datetime:
        """Return the database's time. Raises StoreUnavailable."""
        now: dt.datetime = (await self.ask("SELECT clock_timestamp() AS now"))[0]["now"]
        return now

    async def ask(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return await ask(self.pool, sql, *args)

    async def await_ready(self) -> None:
        """Wait until every node is ready and has judged its canaries. Raises StartRefused."""
        with trio.move_on_after(_READY_S):
            while not await self.client.ready():
                await trio.sleep(0.1)
            return
        raise StartRefused(f"the drill's nodes were not ready within {_READY_S:g} s; see {self.directory}", 3)


async def ask(pool: PgPool, sql: str, *args: object) -> list[asyncpg.Record]:
    """Run a statement that may be repeated, and return its rows. Raises StoreUnavailable."""

    async def work(connection: Connection, _again: bool) -> list[asyncpg.Record]:
        return await connection.fetch(sql, *args)

    return await pool.do(work, repeatable=True)


async def rows_of(pool: PgPool, after_id: int = 0, prefix: str = "") -> list[Row]:
    """Return the submissions above an id whose keys begin with ``prefix``. Raises StoreUnavailable."""
    return [
        Row(r["job_id"], r["key"] or "", r["state"], r["status"], r["judging"], r["attempt_id"],
            r["result_status"], r["result_attempt"])
        for r in await ask(pool, _ROWS, after_id, prefix)
    ]  # fmt: skip


async def ledger_of(pool: PgPool, after_id: int = 0, jobs: Sequence[str] | None = None) -> list[Line]:
    """Return the ledger's lines above an id, in order: of these jobs, or of all. Raises StoreUnavailable."""
    return [
        Line(r["id"], r["job_id"], r["judging"], r["attempt_id"], r["event"], r["node"] or "", r["created_at"],
             r["lease_until"], r["outcome"] or "")
        for r in await ask(pool, _LEDGER, after_id, jobs)
    ]  # fmt: skip


_ROWS = """
SELECT job_id::text, idempotency_key AS key, state, status, judging, attempt_id,
       result ->> 'status' AS result_status, (result ->> 'attempt_id')::int AS result_attempt
FROM submissions WHERE id > $1 AND starts_with(coalesce(idempotency_key, ''), $2) ORDER BY id
"""
_LEDGER = """
SELECT id, job_id::text, judging, attempt_id, event, node, lease_until, outcome, created_at FROM attempts
WHERE id > $1 AND ($2::text[] IS NULL OR job_id = ANY ($2::text[]::uuid[])) ORDER BY id
"""


@asynccontextmanager
async def submitters() -> AsyncGenerator[trio.Nursery]:
    """Open a nursery for submitting tasks, so that all of them have ended before the ledger is read."""
    async with trio.open_nursery() as clients:
        yield clients
        clients.cancel_scope.cancel()


@asynccontextmanager
async def staged(
    directory: Path, *, nodes: int, timing: Timing, seed: int, clock_library: Path | None, small_disk: bool
) -> AsyncGenerator[Stage]:
    """Start a stage in ``directory``, with running nodes and an account for its client.

    Raises StartRefused (3), alone or in a group, if a part does not start.
    """
    with hold_home(directory / "servers") as home:
        async with AioBridge.open() as bridge, trio.open_nursery() as server_tasks:
            postgres, valkey = servers.postgres(home), servers.valkey(home)
            await postgres.up(server_tasks)
            await valkey.up(server_tasks)
            async with (
                PgPool.open(bridge, home.database_url, min_conns=1, max_conns=2) as pool,
                trio.open_nursery() as tasks,
            ):
                objects = Objects(directory / "objects")
                await tasks.start(objects.serve, tasks)
                shared = _settings(home, timing, secrets.token_hex(16))
                processes: list[NodeProcess] = []
                links: list[Mapping[Wire, Link]] = []
                for number in range(nodes):
                    name = f"n{number + 1}"
                    node_settings = dict(shared)
                    process = NodeProcess(name, Setup(directory, node_settings, clock_library, small_disk))
                    node_links = _links(name, home, process, objects)
                    for link in node_links.values():
                        await tasks.start(link.serve, tasks)
                    node_settings |= _addresses(home, node_links)
                    processes.append(process)
                    links.append(node_links)
                apis = [
                    (node.name, f"http://{_HOST}:{node_links[Wire.HTTP].port}")
                    for node, node_links in zip(processes, links, strict=True)
                ]
                client = client_for(apis, seed, timing.patience_s, home.secret("metrics_token"))
                for process in processes:
                    tasks.start_soon(process.keep, name=process.name)
                async with client.http:
                    async with trio.open_nursery() as starting:
                        for process in processes:
                            starting.start_soon(process.start, name=f"start of {process.name}")
                    await client.settle_in()
                    async with trio.open_nursery() as jobs:  # ends here even if the test stopped waiting for them
                        yield Stage(
                            directory=directory, home=home, timing=timing, tasks=jobs, postgres=postgres, valkey=valkey,
                            nodes=processes, links=links, client=client, pool=pool,
                        )  # fmt: skip
                        jobs.cancel_scope.cancel()
                tasks.cancel_scope.cancel()
            server_tasks.cancel_scope.cancel()


def _links(name: str, home: EmbeddedHome, process: NodeProcess, objects: Objects) -> dict[Wire, Link]:
    async def to_node() -> trio.abc.Stream:
        return await trio.open_tcp_stream(_HOST, process.port or 1)  # nothing listens on port 1: the node is down

    async def to_objects() -> trio.abc.Stream:
        return await trio.open_tcp_stream(_HOST, objects.port)

    return {
        Wire.POSTGRES: Link(f"{name} postgres", _to_socket(home.postgres_socket), PostgresParser),
        Wire.REDIS: Link(f"{name} redis", _to_socket(home.valkey_socket), partial(RedisParser, home.valkey_password)),
        Wire.HTTP: Link(f"{name} http", to_node, HttpParser),
        Wire.OBJECTS: Link(f"{name} objects", to_objects, HttpParser),
    }


def _to_socket(path: Path) -> Dial:
    async def dial() -> trio.abc.Stream:
        return await trio.open_unix_socket(str(path))

    return dial


def _addresses(home: EmbeddedHome, links: Mapping[Wire, Link]) -> dict[str, str]:
    login = f"deep_oj:{home.postgres_password}@{_HOST}:{links[Wire.POSTGRES].port}"
    return {
        "DATABASE_URL": f"postgres://{login}/deep_oj?sslmode=disable",
        "REDIS_URL": f"{_HOST}:{links[Wire.REDIS].port}",
        "MINIO_ENDPOINT": f"http://{_HOST}:{links[Wire.OBJECTS].port}",
    }


def _settings(home: EmbeddedHome, timing: Timing, secret: str) -> dict[str, str]:
    """Return the settings of all nodes of a stage: short leases, intervals and timeouts."""
    many = str(1_000_000)
    redis_ms = round(1000 * max(1.0, timing.lease_s))
    return {
        "JWT_SECRET": secret,
        "METRICS_TOKEN": home.secret("metrics_token"),
        "ADMIN_USERS": "admin",
        "ADMIN_REGISTRATION": "open",
        "MIGRATE_ON_START": "true",
        "PORT": "0",
        "SCHEDULER_METRICS_PORT": "0",
        "WORKER_METRICS_PORT": "0",
        "REDIS_PASSWORD": home.valkey_password,
        "MINIO_ACCESS_KEY": "drill",
        "MINIO_SECRET_KEY": "drill-secret",
        "JOB_LEASE_SEC": str(timing.lease_s),
        "JOB_HEARTBEAT_SEC": str(timing.heartbeat_s),
        "JOB_RECLAIM_GRACE_SEC": str(timing.grace_s),
        "JOB_RECLAIM_INTERVAL_SEC": str(timing.reclaim_s),
        "JOB_STREAM_BLOCK_MS": "300",
        "SCHEDULER_REPAIR_INTERVAL_MS": str(round(timing.repair_s * 1000)),
        "SCHEDULER_REPAIR_MIN_AGE_SEC": str(timing.repair_min_age_s),
        "SCHEDULER_GC_ENABLED": "true",
        "SCHEDULER_GC_INTERVAL_MS": "1000",
        "SCHEDULER_STREAM_TRIM_MAXLEN": "20",
        "OUTBOX_RETRY_BASE_MS": "100",
        "OUTBOX_RETRY_MAX_MS": "1000",
        "API_SHUTDOWN_TIMEOUT_SEC": "1",
        # injected faults must not use up the attempts: the drill tests that no job is lost
        "JOB_MAX_ATTEMPTS": "1000",
        "REDIS_DIAL_TIMEOUT_MS": str(redis_ms),
        "REDIS_READ_TIMEOUT_MS": str(redis_ms),
        "PG_MAX_CONNS": "8",
        # all requests come from one client
        **{f"{kind}RATE_LIMIT_{who}_PER_WINDOW": many for kind in ("", "AUTH_", "SUBMIT_") for who in ("IP", "USER")},
        "SUBMIT_MAX_INFLIGHT_PER_USER": many,
    }
