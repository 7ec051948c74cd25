"""Drills on a running system: submit canaries over its HTTP API, cause one fault from outside, check the ledger.

Only the product itself repairs the damage. The drill uses only what the settings name (API, database, Redis) and the
processes of this account on this host. Drills that would need more are refused.

A drill harms only parts that it can identify as the product's: a process that runs ``deepoj node`` or ``deepoj up``,
the stream by its name (with its group), and database backends with our application name. Before that, it checks that a
canary accepted by the API is in the database, so settings that mix two systems harm neither. If the drill dies, the
canaries are judged like other submissions, and nothing else has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import secrets
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg.audit import PgAudit
from deepoj.adapters.pg.pool import PgPool
from deepoj.adapters.redis.link import Address, RedisLink
from deepoj.operate.audit import audit
from deepoj.operate.drill import programs
from deepoj.operate.drill.client import Client
from deepoj.operate.drill.drills import PAUSE_S, SETTLE_S, TAKEN_OVER, Recovery, Result
from deepoj.operate.drill.history import Violation, Wrong, check
from deepoj.operate.drill.programs import Task
from deepoj.operate.drill.stage import Timing, ask, ledger_of, rows_of
from deepoj.words.errors import StartRefused, StoreUnavailable

if TYPE_CHECKING:
    import asyncpg

_LOOK_S = 0.2
#: timeout of operations that take milliseconds in a healthy system
_WITHIN_S = 60.0
_ASK_S = 30.0
#: number of entries searched for a canary
_NEWEST = 1000
#: how long one canary may take to be claimed before another one is sent to lure the node that is to be killed
_CLAIM_S = 5.0
_REFUSED, _UNREACHABLE = 2, 3

_ELSEWHERE = "; without --live it is played on a stage of its own"
#: drill → why it cannot be played from outside
IMPOSSIBLE: Mapping[str, str] = {
    "redis-down": "a running system's Redis is not ours to stop, nor to start again",
    "partition": "connections in Redis carry no node's name, so one node cannot be cut off and the others left alone",
    "clock-skew": "the clock of a process that runs already cannot be shifted from outside",
    "queue-flood": "on a running system the users of others would wait behind the flood",
}


@dataclass(frozen=True, slots=True)
class Victim:
    """A node's process on this host, and the name under which it holds leases. ``pidfd`` refers to this process even if
    its pid is reused."""

    pid: int
    pidfd: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running system, from this host's settings. ``token``: of an account to submit as, or empty."""

    api: str
    token: str = field(repr=False)
    database_url: str = field(repr=False)
    redis: Address
    stream_key: str
    timing: Timing
    jobs: int
    victim: Victim | None = None


def refuse_impossible(name: str) -> None:
    """Raises StartRefused (2) for a drill that cannot be played from outside."""
    if name in IMPOSSIBLE:
        raise StartRefused(f"{name} cannot be played on a running system: {IMPOSSIBLE[name]}{_ELSEWHERE}", _REFUSED)


def what_it_does(name: str, system: System) -> str:
    """Describe what the drill will do to the system, for the operator's confirmation."""
    harm = _HARM[name].format(
        stream=f"{system.stream_key} in Redis at {system.redis}",
        victim=system.victim and f"process {system.victim.pid} (node {system.victim.name})",
    )
    return f"{name} submits up to {system.jobs} canaries to {system.api}, and then {harm}"


async def live_drill(name: str, system: System) -> Result:
    """Run one drill. Raises StartRefused, StoreUnavailable and StreamUnavailable, alone or in a group. If that happens
    before the fault, nothing was changed; after it, nothing is proven."""
    async with _opened(system) as canaries:
        start = await _now(canaries)
        after_id = (await canaries.ask("SELECT coalesce(max(id), 0) AS id FROM submissions"))[0]["id"]
        lines_after_id = (await canaries.ask("SELECT coalesce(max(id), 0) AS id FROM attempts"))[0]["id"]
        recoveries = await LIVE_DRILLS[name](canaries)
        recovered = all(recovery.recovery_s != float("inf") for recovery in recoveries)
        await canaries.seen_through(_settle_s(system) if recovered else _CLAIM_S)  # it has had its time already
        history = canaries.client.history
        history.rows = await rows_of(canaries.pool, after_id, canaries.prefix)
        history.ledger = await ledger_of(canaries.pool, lines_after_id, canaries.jobs)
        outcome = await audit(PgAudit(canaries.pool), since=start.isoformat())
    violations = check(history)
    violations += [Violation(Wrong.AUDIT, one.job_id, f"{one.fault}: {one.detail}") for one in outcome.found]
    violations += [Violation(Wrong.ODD, "", words) for words in dict.fromkeys(canaries.client.odd)]
    violations += [
        Violation(Wrong.LOST, job, f"its verdict was not shown by {system.api} in time")
        for job in canaries.jobs
        if job not in canaries.client.finished
    ]
    return Result(name, len(canaries.jobs), len(canaries.client.finished), recoveries, violations)


def _settle_s(system: System) -> float:
    return SETTLE_S + system.timing.recovery_s + system.timing.repaired_s


# ---------------------------------------------------------------------------------------------------------------------
# The process to be killed


def find_victim(pid: int | None, name_of: Callable[[int], str]) -> Victim:
    """The process that was named, or the only node of this account on this host. Close its ``pidfd``.

    Raises StartRefused (2) when it is none, or not the only one.
    """
    if pid is None:
        pid = only_one([node for node, uid in _nodes() if uid == os.getuid()])
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        raise StartRefused(f"process {pid} cannot be killed: {error.strerror}", _REFUSED) from error
    if not _is_node(pid):
        os.close(pidfd)
        raise StartRefused(f"process {pid} is no deepoj node: it runs neither `deepoj node` nor `deepoj up`", _REFUSED)
    return Victim(pid, pidfd, name_of(pid))


def only_one(nodes: Sequence[int]) -> int:
    """Return the only node. Raises StartRefused (2) if there are several: the victim must then be named."""
    if len(nodes) == 1:
        return nodes[0]
    found = f"{len(nodes)} run ({', '.join(map(str, sorted(nodes)))})" if nodes else "none runs"
    raise StartRefused(
        f"worker-kill needs one deepoj node of this account on this host, and {found}: say which with --pid", _REFUSED
    )


def _nodes() -> Iterator[tuple[int, int]]:
    """Process and account of each node on this host, without the children that a node forks."""
    found = {int(place.name) for place in Path("/proc").glob("[0-9]*") if _is_node(int(place.name))}
    for pid in found:
        with contextlib.suppress(OSError, ValueError):  # it is gone meanwhile
            place = Path(f"/proc/{pid}")
            parent = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent not in found:
                yield pid, place.stat().st_uid


def _is_node(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return is_node_command(words)


def is_node_command(words: Sequence[str]) -> bool:
    """Whether a process with these arguments is ``deepoj node`` or ``deepoj up``, however that was started."""
    rest = list(words)
    if rest and Path(rest[0]).name.startswith("python"):
        rest = rest[1:]
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            rest = rest[1:]
        rest = rest[1:] if rest[:1] == ["-m"] else rest
    if not rest or Path(rest[0]).name != "deepoj":
        return False
    rest = rest[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("--config", "--home") else rest[1:]
    return rest[:1] in (["node"], ["up"])


# ---------------------------------------------------------------------------------------------------------------------
# Canaries


@dataclass(slots=True)
class _LiveCanaries:
    """Jobs with known verdicts in a system that has others as well."""

    system: System
    client: Client
    pool: PgPool
    redis: RedisLink
    #: of their Idempotency-Keys
    prefix: str
    jobs: list[str] = field(default_factory=list)

    async def ask(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return await ask(self.pool, sql, *args)

    async def send(self, count: int, *, quick_too: bool = True) -> None:
        """Ones that take their time, and quick ones among them. Raises StartRefused when one is not accepted."""
        for _ in range(count):
            number = len(self.jobs)
            # Unlike those of every other drill: identical code of one account is one submission.
            mark = number + secrets.randbelow(2**48) * 1000
            long = not quick_too or number % 3 != 2
            program = programs.sleeping(mark, self.system.timing.lease_s * 1.5) if long else programs.quick(mark)
            with trio.move_on_after(_WITHIN_S) as scope:
                self.jobs.append(await self.client.submit(f"{self.prefix}{number}", program))
            if scope.cancelled_caught:
                told = self.client.history.tries[-1].told if self.client.history.tries else "no answer"
                raise StartRefused(f"a canary was not accepted within {_WITHIN_S:g} s: {told}", _UNREACHABLE)
            if number == 0 and not await self.ask(_THERE, self.jobs):
                raise StartRefused(
                    f"{self.system.api} took a canary that is not in the database of the settings: they speak of two"
                    " systems, and nothing was done to either",
                    _REFUSED,
                )

    async def held(self, owner: str | None = None) -> list[str] | None:
        """Those that a node has in hand."""
        rows = await self.ask(_HELD, self.jobs)
        return [row["job_id"] for row in rows if owner in (None, row["lease_owner"])] or None

    async def in_the_stream(self) -> None:
        """Until one is in hand, and another one unread in the stream or all have been sent. Raises StartRefused."""

        async def sent() -> bool | None:
            found = (await self.ask(_UNREAD, self.jobs))[0]
            return True if (found["unread"] or not found["waiting"]) and await self.held() else None

        if await _until(sent, _WITHIN_S) is None:
            raise StartRefused(
                f"no node took a canary within {_WITHIN_S:g} s: this system is not well, and nothing was done to it",
                _UNREACHABLE,
            )

    async def lure(self, victim: Victim) -> list[str]:
        """Those that the victim has in hand, once it has one. Few, so that others have slots left to take them over.

        Raises StartRefused.
        """
        for _ in range(self.system.jobs):
            await self.send(1, quick_too=False)
            newest = self.jobs[-1:]

            async def claimed(newest: Sequence[str] = newest) -> bool | None:
                return bool(await self.ask(_HELD, newest)) or None

            await _until(claimed, _CLAIM_S)
            if (mine := await self.held(victim.name)) is not None:
                return mine
        raise StartRefused(
            f"node {victim.name} took none of {self.system.jobs} canaries, so process {victim.pid} was left alone:"
            " if it has another name in the ledger, say it with --node",
            _REFUSED,
        )

    async def seconds(self, sql: str, since: dt.datetime, bound_s: float) -> float | None:
        """What ``sql`` says of the canaries, once it says something."""

        async def look() -> asyncpg.Record | None:
            row = (await self.ask(sql, self.jobs, since))[0]
            return row if row["done"] else None

        row = await _until(look, bound_s + SETTLE_S)
        if row is None:
            return float("inf")
        return None if row["seconds"] is None else float(row["seconds"])

    async def seen_through(self, within_s: float) -> None:
        """Wait until the client has read each verdict twice. Polls the ledger for finished jobs, to spare the API and
        its rate limits."""

        async def look() -> bool | None:
            final = {row["job_id"] for row in await self.ask(_FINAL, self.jobs)}
            for job in sorted(final - self.client.finished):
                if await self.client.poll(job):
                    self.client.finished.add(job)
            return self.client.finished >= set(self.jobs) or None

        await _until(look, within_s)
        for job in self.client.finished:
            await self.client.poll(job)


@asynccontextmanager
async def _opened(system: System) -> AsyncGenerator[_LiveCanaries]:
    """Raises StartRefused."""
    headers = {"Authorization": f"Bearer {system.token}"} if system.token else {}
    async with (
        AioBridge.open() as bridge,
        # One connection: it is the only one of ours that must live when all others are cut off.
        PgPool.open(bridge, system.database_url, min_conns=0, max_conns=1) as pool,
        httpx.AsyncClient(timeout=_ASK_S, trust_env=False, headers=headers) as http,
    ):
        redis = RedisLink(bridge, system.redis, pool_size=1)
        try:
            rng = random.Random()  # noqa: S311 - chooses a door, of which there is one
            prefix = f"drill-{secrets.token_hex(8)}-"
            client = Client(http, [("the API", system.api)], rng)
            await _in_order(system, http)
            client.problems = {Task.SUM: await _problem(system, client, pool)}
            if not system.token:
                await _sign_up(system, http)
            yield _LiveCanaries(system, client, pool, redis, prefix)
        finally:
            await redis.aclose()


async def _in_order(system: System, http: httpx.AsyncClient) -> None:
    try:
        answer = await http.get(f"{system.api}/api/v1/ready")
    except httpx.HTTPError as error:
        words = str(error) or type(error).__name__
        raise StartRefused(f"there is no system at {system.api}: {words}", _UNREACHABLE) from error
    if answer.status_code != httpx.codes.OK:
        raise StartRefused(
            f"the system at {system.api} is not ready ({answer.status_code} {answer.text[:200]}): a drill begins with"
            " one that is",
            _UNREACHABLE,
        )


async def _problem(system: System, client: Client, pool: PgPool) -> int:
    """The problem that canaries are for: the one of an earlier drill, or a new one if the token may make it."""
    title, limit_ms = Task.SUM.value
    if known := await ask(pool, _PROBLEM, title, limit_ms):
        return int(known[0]["id"])
    told = "no token was given"
    if system.token:
        answer = await client.post_problem(Task.SUM, system.api)
        if answer.is_success:
            return int(answer.json()["id"])
        told = f"{answer.status_code} {answer.text[:200]}"
    raise StartRefused(
        f"the problem of the canaries ({title}) is not there yet: give an administrator's token once (TOKEN or --token)"
        f" and the drill makes it ({told})",
        _REFUSED,
    )


async def _sign_up(system: System, http: httpx.AsyncClient) -> None:
    """An account of this drill's own, through the front door."""
    account = {"username": f"drill-{secrets.token_hex(6)}", "password": secrets.token_urlsafe(16)}
    for path in ("register", "login"):
        answer = await http.post(f"{system.api}/api/v1/auth/{path}", json=account)
        if not answer.is_success:
            words = f"{answer.status_code} {answer.text[:200]}"
            raise StartRefused(f"the drill could not {path} an account (give it a TOKEN): {words}", _REFUSED)
    http.headers["Authorization"] = f"Bearer {answer.json()['token']}"


async def _until[T](look: Callable[[], Awaitable[T | None]], within_s: float) -> T | None:
    """The first answer that is one; None when none came in time. A database that is away is asked again: its coming
    back is what some drills wait for."""
    with trio.move_on_after(within_s):
        while True:
            with contextlib.suppress(StoreUnavailable):
                if (answer := await look()) is not None:
                    return answer
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
_NEXT_CLAIM = """
SELECT count(*) > 0 AS done, extract(epoch FROM min(created_at) - $2) AS seconds FROM attempts
WHERE job_id = ANY ($1::text[]::uuid[]) AND created_at > $2 AND event = 'claimed'
"""
_LAST_REPAIR = """
SELECT NOT EXISTS (SELECT FROM submissions AS s
                   WHERE s.job_id = ANY ($1::text[]::uuid[]) AND s.state IN ('pending', 'processing')
                     AND NOT EXISTS (SELECT FROM outbox_events AS e WHERE e.job_id = s.job_id AND e.created_at > $2)
                  ) AS done,
       extract(epoch FROM (SELECT max(created_at) FROM outbox_events
                           WHERE job_id = ANY ($1::text[]::uuid[]) AND event_type = 'repair') - $2) AS seconds
"""
#: all that the product has open in this database under this account, but for our own one connection
_CUT_OFF = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS count FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name IN ('deepoj', 'deepoj-bell', 'deepoj-live')
"""


# ---------------------------------------------------------------------------------------------------------------------
# One function each


async def _worker_kill(canaries: _LiveCanaries) -> list[Recovery]:
    victim, timing = canaries.system.victim, canaries.system.timing
    if victim is None:
        raise AssertionError("worker-kill has a victim")
    held = await canaries.lure(victim)
    since = await _now(canaries)
    try:
        signal.pidfd_send_signal(victim.pidfd, signal.SIGKILL)
    except OSError as error:
        raise StartRefused(f"process {victim.pid} cannot be killed: {error.strerror}", _REFUSED) from error

    async def taken_over() -> list[asyncpg.Record] | None:
        rows = await canaries.ask(TAKEN_OVER, held, since)
        return rows if len(rows) == len(held) else None

    rows = await _until(taken_over, timing.recovery_s + SETTLE_S)
    claims = [float(row["seconds"]) for row in rows or () if row["event"] == "claimed"]
    seconds = float("inf") if rows is None else max(claims, default=None)
    what = f"kill -9 of process {victim.pid} (node {victim.name})"
    return [Recovery(what, "lease + grace + one reclaim interval", timing.recovery_s, seconds)]


async def _postgres_restart(canaries: _LiveCanaries) -> list[Recovery]:
    """What a restart does to those who are connected; the server itself is not ours to restart."""
    await canaries.send(1, quick_too=False)  # no more: what is timed is a claim, and needs a slot that is free
    await canaries.in_the_stream()
    cut = (await canaries.ask(_CUT_OFF))[0]
    since = await _now(canaries)
    if not cut["count"]:
        raise StartRefused("no Deep-OJ node is connected to the database of the settings", _REFUSED)
    await canaries.send(canaries.system.jobs - 1)
    bound_s = PAUSE_S + canaries.system.timing.recovery_s
    seconds = await canaries.seconds(_NEXT_CLAIM, since, bound_s)
    what = f"{cut['count']} connections to PostgreSQL were cut off"
    return [Recovery(what, "longest pause + lease + grace + one reclaim interval", bound_s, seconds)]


async def _redis_wipe(canaries: _LiveCanaries) -> list[Recovery]:
    return [await _entries_gone(canaries, "stream and group deleted", "DEL", canaries.system.stream_key)]


async def _stream_trim(canaries: _LiveCanaries) -> list[Recovery]:
    command = ("XTRIM", canaries.system.stream_key, "MAXLEN", "0")
    return [await _entries_gone(canaries, "stream trimmed to nothing", *command)]


async def _entries_gone(canaries: _LiveCanaries, what: str, *command: str) -> Recovery:
    system, timing = canaries.system, canaries.system.timing
    await canaries.send(system.jobs)  # more than there are slots: some wait in the stream
    await canaries.in_the_stream()
    newest = ("XREVRANGE", system.stream_key, "+", "-", "COUNT", _NEWEST)
    entries = await canaries.redis.call(lambda commands: commands.execute_command(*newest))
    ours = {job.encode() for job in canaries.jobs}
    if not any(ours.intersection(fields) for _, fields in entries):
        raise StartRefused(
            f"no canary is in {system.stream_key} in Redis at {system.redis}, and nothing was done to it: either that"
            " is not this system's stream, or its nodes were quicker than the drill (send more with --jobs)",
            _REFUSED,
        )
    since = await _now(canaries)
    await canaries.redis.call(lambda commands: commands.execute_command(*command))
    bound_s = timing.repaired_s + timing.recovery_s
    seconds = await canaries.seconds(_LAST_REPAIR, since, bound_s)
    return Recovery(what, "repair's least age + one interval, + a lease's end", bound_s, seconds)


async def _now(canaries: _LiveCanaries) -> dt.datetime:
    now: dt.datetime = (await canaries.ask("SELECT clock_timestamp() AS now"))[0]["now"]
    return now


_HARM: Mapping[str, str] = {
    "worker-kill": "kills {victim} with SIGKILL and leaves it to others to start it again",
    "redis-wipe": "deletes the stream {stream}, its group with it",
    "stream-trim": "trims the stream {stream} to nothing",
    "postgres-restart": "cuts off every connection that Deep-OJ has to its database",
}
LIVE_DRILLS: Mapping[str, Callable[[_LiveCanaries], Awaitable[list[Recovery]]]] = {
    "worker-kill": _worker_kill,
    "redis-wipe": _redis_wipe,
    "stream-trim": _stream_trim,
    "postgres-restart": _postgres_restart,
}
