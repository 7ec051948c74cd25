"""Canaries in a running system: the drill submits them over the API and follows them in the database."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.redis.link import Address, RedisLink
from deepoj.operate.drill import programs
from deepoj.operate.drill.client import Client
from deepoj.operate.drill.drills import SETTLE_S
from deepoj.operate.drill.programs import Task
from deepoj.operate.drill.stage import Timing, ask
from deepoj.operate.drill.victim import Victim
from deepoj.words.errors import StartRefused, StoreUnavailable
from deepoj.words.exits import UNREACHABLE, USAGE

if TYPE_CHECKING:
    import asyncpg

#: seconds between two looks at a condition
_LOOK_S = 0.2
#: timeout of operations that take milliseconds in a healthy system
_WITHIN_S = 60.0
#: timeout of one HTTP request
_ASK_S = 30.0
#: seconds for one canary to be claimed; then another one is submitted, until the node to be killed claims one
CLAIM_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running system, from this host's settings. ``token``: of the account that submits; empty: a new one does."""

    api: str
    token: str = field(repr=False)
    database_url: str = field(repr=False)
    redis: Address
    stream_key: str
    timing: Timing
    jobs: int
    victim: Victim | None = None


@dataclass(slots=True)
class LiveCanaries:
    """Jobs with known verdicts, in a system that also judges jobs of its users."""

    system: System
    client: Client
    pool: PgPool
    redis: RedisLink
    #: prefix of their Idempotency-Keys
    prefix: str
    jobs: list[str] = field(default_factory=list)

    async def ask(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Return the rows of a query."""
        return await ask(self.pool, sql, *args)

    async def send(self, count: int, *, quick_too: bool = True) -> None:
        """Submit canaries that outlive a lease, every third one quick. Raises StartRefused if one is not accepted.

        ``quick_too`` false: submit no quick ones.
        """
        for _ in range(count):
            number = len(self.jobs)
            # Differs from that of all other drills: identical code of one account is one submission.
            mark = number + secrets.randbelow(2**48) * 1000
            long = not quick_too or number % 3 != 2
            program = programs.sleeping(mark, self.system.timing.lease_s * 1.5) if long else programs.quick(mark)
            with trio.move_on_after(_WITHIN_S) as scope:
                self.jobs.append(await self.client.submit(f"{self.prefix}{number}", program))
            if scope.cancelled_caught:
                answer = self.client.history.tries[-1].text if self.client.history.tries else "no answer"
                raise StartRefused(f"a canary was not accepted within {_WITHIN_S:g} s: {answer}", UNREACHABLE)
            if number == 0 and not await self.ask(_THERE, self.jobs):
                raise StartRefused(
                    f"{self.system.api} accepted a canary that is not in the database of the settings: they belong to"
                    " two systems. Nothing was done to either.",
                    USAGE,
                )

    async def leased(self, owner: str | None = None) -> list[str] | None:
        """Return the canaries that a node, or this one, has a lease of; None: there is none."""
        rows = await self.ask(_HELD, self.jobs)
        return [row["job_id"] for row in rows if owner in (None, row["lease_owner"])] or None

    async def wait_for_unread_entry(self) -> None:
        """Wait until a canary is leased and another one is unread in the stream, or the outbox has delivered all.

        Raises StartRefused.
        """

        async def is_delivered() -> bool | None:
            row = (await self.ask(_UNREAD, self.jobs))[0]
            return True if (row["unread"] or not row["waiting"]) and await self.leased() else None

        if await wait_for(is_delivered, _WITHIN_S) is None:
            raise StartRefused(
                f"no node claimed a canary within {_WITHIN_S:g} s: this system is not healthy. Nothing was done to it.",
                UNREACHABLE,
            )

    async def lure(self, victim: Victim) -> list[str]:
        """Submit canaries until the victim has leased one, and return those that it has. They are few, so that other
        nodes have free slots to take them over.

        Raises StartRefused.
        """
        for _ in range(self.system.jobs):
            await self.send(1, quick_too=False)
            newest = self.jobs[-1:]

            async def claimed(newest: Sequence[str] = newest) -> bool | None:
                return bool(await self.ask(_HELD, newest)) or None

            await wait_for(claimed, CLAIM_S)
            if (leased := await self.leased(victim.name)) is not None:
                return leased
        raise StartRefused(
            f"node {victim.name} claimed none of {self.system.jobs} canaries, so process {victim.pid} was left alone:"
            " if it has another name in the ledger, give it with --node",
            USAGE,
        )

    async def seconds_until(self, sql: str, since: dt.datetime, bound_s: float) -> float | None:
        """Wait until ``sql`` is done for the canaries, and return its seconds; inf: it was not done in time."""

        async def look() -> asyncpg.Record | None:
            row = (await self.ask(sql, self.jobs, since))[0]
            return row if row["done"] else None

        row = await wait_for(look, bound_s + SETTLE_S)
        if row is None:
            return float("inf")
        return None if row["seconds"] is None else float(row["seconds"])

    async def wait_for_verdicts(self, within_s: float) -> None:
        """Wait until the client has read each verdict twice. Polls the ledger for finished jobs, to spare the API and
        its rate limits."""

        async def look() -> bool | None:
            final = {row["job_id"] for row in await self.ask(_FINAL, self.jobs)}
            for job in sorted(final - self.client.finished):
                if await self.client.poll(job):
                    self.client.finished.add(job)
            return self.client.finished >= set(self.jobs) or None

        await wait_for(look, within_s)
        for job in self.client.finished:
            await self.client.poll(job)


@asynccontextmanager
async def open_canaries(system: System) -> AsyncGenerator[LiveCanaries]:
    """Check the system, and connect to its API, database and Redis. Raises StartRefused."""
    headers = {"Authorization": f"Bearer {system.token}"} if system.token else {}
    async with (
        AioBridge.open() as bridge,
        # One connection: postgres-restart cuts off all others of this account.
        PgPool.open(bridge, system.database_url, min_conns=0, max_conns=1) as pool,
        httpx.AsyncClient(timeout=_ASK_S, trust_env=False, headers=headers) as http,
    ):
        redis = RedisLink(bridge, system.redis, pool_size=1)
        try:
            rng = random.Random()  # noqa: S311 - chooses one of the APIs, of which there is one
            prefix = f"drill-{secrets.token_hex(8)}-"
            client = Client(http, [("the API", system.api)], rng)
            await _require_ready(system, http)
            client.problems = {Task.SUM: await _problem(system, client, pool)}
            if not system.token:
                await _sign_up(system, http)
            yield LiveCanaries(system, client, pool, redis, prefix)
        finally:
            await redis.aclose()


async def _require_ready(system: System, http: httpx.AsyncClient) -> None:
    """Raise StartRefused unless the system is ready."""
    try:
        answer = await http.get(f"{system.api}/api/v1/ready")
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise StartRefused(f"there is no system at {system.api}: {reason}", UNREACHABLE) from error
    if answer.status_code != httpx.codes.OK:
        raise StartRefused(
            f"the system at {system.api} is not ready ({answer.status_code} {answer.text[:200]}): start the drill"
            " when it is",
            UNREACHABLE,
        )


async def _problem(system: System, client: Client, pool: PgPool) -> int:
    """Return the problem that canaries solve: that of an earlier drill, or a new one if the token may create it."""
    title, limit_ms = Task.SUM.value
    if known := await ask(pool, _PROBLEM, title, limit_ms):
        return int(known[0]["id"])
    reason = "no token was given"
    if system.token:
        answer = await client.post_problem(Task.SUM, system.api)
        if answer.is_success:
            return int(answer.json()["id"])
        reason = f"{answer.status_code} {answer.text[:200]}"
    raise StartRefused(
        f"the problem of the canaries ({title}) does not exist yet: give an administrator's token once (TOKEN or"
        f" --token), and the drill creates it ({reason})",
        USAGE,
    )


async def _sign_up(system: System, http: httpx.AsyncClient) -> None:
    """Register an account for this drill, and use its token."""
    account = {"username": f"drill-{secrets.token_hex(6)}", "password": secrets.token_urlsafe(16)}
    for path in ("register", "login"):
        answer = await http.post(f"{system.api}/api/v1/auth/{path}", json=account)
        if not answer.is_success:
            reason = f"{answer.status_code} {answer.text[:200]}"
            raise StartRefused(f"the drill could not {path} an account (give it a TOKEN): {reason}", USAGE)
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"


async def wait_for[T](look: Callable[[], Awaitable[T | None]], within_s: float) -> T | None:
    """Call ``look`` until it returns a value; None: it returned none in time.

    An unavailable database is asked again: some drills wait for its return.
    """
    with trio.move_on_after(within_s):
        while True:
            with contextlib.suppress(StoreUnavailable):
                if (value := await look()) is not None:
                    return value
            await trio.sleep(_LOOK_S)
    return None


_PROBLEM = "SELECT id FROM problems WHERE title = $1 AND time_limit_ms = $2 ORDER BY id LIMIT 1"
_THERE = "SELECT id FROM submissions WHERE job_id = ANY ($1::text[]::uuid[])"
_HELD = """
SELECT job_id::text, lease_owner FROM submissions WHERE job_id = ANY ($1::text[]::uuid[]) AND lease_until > now()
"""
_FINAL = """
SELECT job_id::text FROM submissions WHERE job_id = ANY ($1::text[]::uuid[]) AND state IN ('done', 'dead')
"""
_UNREAD = """
SELECT count(*) FILTER (WHERE is_waiting) AS waiting, count(*) FILTER (WHERE NOT is_waiting) AS unread
FROM (SELECT EXISTS (SELECT FROM outbox_events AS e
                     WHERE e.job_id = s.job_id AND e.status = 'pending') AS is_waiting
      FROM submissions AS s WHERE s.job_id = ANY ($1::text[]::uuid[]) AND s.state = 'pending') AS of_jobs
"""
