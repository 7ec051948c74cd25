"""Drills on a running system: submit canaries over its HTTP API, cause one fault from outside, check the ledger.

Only the product itself repairs the damage. The drill uses only what the settings name (API, database, Redis) and the
processes of this account on this host. Drills that would need more are refused.

A drill harms only parts that it can identify as the product's: a process that runs ``deepoj node`` or ``deepoj up``,
the stream by its name (with its group), and database backends with our application name. Before that, it checks that a
canary accepted by the API is in the database, so settings that mix two systems harm neither. If the drill dies, the
canaries are judged like other submissions, and nothing else has to be cleaned up.
"""

from __future__ import annotations

import datetime as dt
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from deepoj.adapters.pg.audit import PgAudit
from deepoj.operate.drill.drills import PAUSE_S, SETTLE_S, TAKEN_OVER, Recovery, Result
from deepoj.operate.drill.history import Violation, Wrong, check
from deepoj.operate.drill.live_canaries import CLAIM_S, LiveCanaries, System, open_canaries, wait_for
from deepoj.operate.drill.stage import ledger_of, rows_of
from deepoj.pipeline.audit import audit
from deepoj.words.errors import StartRefused
from deepoj.words.exits import USAGE

if TYPE_CHECKING:
    import asyncpg

#: number of entries searched for a canary
_NEWEST = 1000

_ELSEWHERE = "; without --live it runs on a temporary deployment"
#: drill → why it is not possible on a running system
IMPOSSIBLE: Mapping[str, str] = {
    "redis-down": "the drill may not stop and start the Redis of a running system",
    "partition": "connections to Redis carry no node's name, so a single node cannot be cut off",
    "clock-skew": "the clock of a running process cannot be shifted from outside",
    "queue-flood": "users' submissions would wait behind the flood",
}


def refuse_impossible(name: str) -> None:
    """Raise StartRefused (2) for a drill that is not possible from outside."""
    if name in IMPOSSIBLE:
        raise StartRefused(f"{name} is not possible on a running system: {IMPOSSIBLE[name]}{_ELSEWHERE}", USAGE)


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
    async with open_canaries(system) as canaries:
        start = await _now(canaries)
        after_id = (await canaries.ask("SELECT coalesce(max(id), 0) AS id FROM submissions"))[0]["id"]
        lines_after_id = (await canaries.ask("SELECT coalesce(max(id), 0) AS id FROM attempts"))[0]["id"]
        recoveries = await LIVE_DRILLS[name](canaries)
        recovered = all(recovery.recovery_s != float("inf") for recovery in recoveries)
        # without recovery the drill has already waited for long
        await canaries.wait_for_verdicts(_settle_s(system) if recovered else CLAIM_S)
        history = canaries.client.history
        history.rows = await rows_of(canaries.pool, after_id, canaries.prefix)
        history.ledger = await ledger_of(canaries.pool, lines_after_id, canaries.jobs)
        outcome = await audit(PgAudit(canaries.pool), since=start.isoformat())
    violations = check(history)
    violations += [Violation(Wrong.AUDIT, one.job_id, f"{one.fault}: {one.detail}") for one in outcome.found]
    violations += [Violation(Wrong.ODD, "", sentence) for sentence in dict.fromkeys(canaries.client.odd)]
    violations += [
        Violation(Wrong.LOST, job, f"its verdict was not shown by {system.api} in time")
        for job in canaries.jobs
        if job not in canaries.client.finished
    ]
    return Result(name, len(canaries.jobs), len(canaries.client.finished), recoveries, violations)


def _settle_s(system: System) -> float:
    return SETTLE_S + system.timing.recovery_s + system.timing.repaired_s


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
#: all connections of the product to this database under this account, except for this one
_CUT_OFF = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS count FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND application_name IN ('deepoj', 'deepoj-bell', 'deepoj-live')
"""


async def _worker_kill(canaries: LiveCanaries) -> list[Recovery]:
    victim, timing = canaries.system.victim, canaries.system.timing
    if victim is None:
        raise AssertionError("worker-kill has a victim")
    leased = await canaries.lure(victim)
    since = await _now(canaries)
    try:
        signal.pidfd_send_signal(victim.pidfd, signal.SIGKILL)
    except OSError as error:
        raise StartRefused(f"process {victim.pid} cannot be killed: {error.strerror}", USAGE) from error

    async def taken_over() -> list[asyncpg.Record] | None:
        rows = await canaries.ask(TAKEN_OVER, leased, since)
        return rows if len(rows) == len(leased) else None

    rows = await wait_for(taken_over, timing.recovery_s + SETTLE_S)
    claims = [float(row["seconds"]) for row in rows or () if row["event"] == "claimed"]
    seconds = float("inf") if rows is None else max(claims, default=None)
    what = f"kill -9 of process {victim.pid} (node {victim.name})"
    return [Recovery(what, "lease + grace + one reclaim interval", timing.recovery_s, seconds)]


async def _postgres_restart(canaries: LiveCanaries) -> list[Recovery]:
    """Close all connections of the nodes, as a restart of the server does. The drill may not restart the server."""
    await canaries.send(1, quick_too=False)  # only one: the drill times a claim, which needs a free slot
    await canaries.wait_for_unread_entry()
    cut = (await canaries.ask(_CUT_OFF))[0]
    since = await _now(canaries)
    if not cut["count"]:
        raise StartRefused("no Deep-OJ node is connected to the database of the settings", USAGE)
    await canaries.send(canaries.system.jobs - 1)
    bound_s = PAUSE_S + canaries.system.timing.recovery_s
    seconds = await canaries.seconds_until(_NEXT_CLAIM, since, bound_s)
    what = f"{cut['count']} connections to PostgreSQL were cut off"
    return [Recovery(what, "longest pause + lease + grace + one reclaim interval", bound_s, seconds)]


async def _redis_wipe(canaries: LiveCanaries) -> list[Recovery]:
    return [await _entries_gone(canaries, "stream and group deleted", "DEL", canaries.system.stream_key)]


async def _stream_trim(canaries: LiveCanaries) -> list[Recovery]:
    command = ("XTRIM", canaries.system.stream_key, "MAXLEN", "0")
    return [await _entries_gone(canaries, "stream trimmed to nothing", *command)]


async def _entries_gone(canaries: LiveCanaries, what: str, *command: str) -> Recovery:
    """Remove the stream's entries by ``command``, and time the last repair of a canary."""
    system, timing = canaries.system, canaries.system.timing
    await canaries.send(system.jobs)  # more than the nodes have slots: some wait in the stream
    await canaries.wait_for_unread_entry()
    newest = ("XREVRANGE", system.stream_key, "+", "-", "COUNT", _NEWEST)
    entries = await canaries.redis.call(lambda commands: commands.execute_command(*newest))
    canary_ids = {job.encode() for job in canaries.jobs}
    if not any(canary_ids.intersection(fields) for _, fields in entries):
        raise StartRefused(
            f"no canary is in {system.stream_key} in Redis at {system.redis}, so nothing was done to it. Either it is"
            " not this system's stream, or the nodes read all canaries at once (submit more with --jobs).",
            USAGE,
        )
    since = await _now(canaries)
    await canaries.redis.call(lambda commands: commands.execute_command(*command))
    bound_s = timing.repaired_s + timing.recovery_s
    seconds = await canaries.seconds_until(_LAST_REPAIR, since, bound_s)
    return Recovery(what, "repair's least age + one interval, + a lease's end", bound_s, seconds)


async def _now(canaries: LiveCanaries) -> dt.datetime:
    now: dt.datetime = (await canaries.ask("SELECT clock_timestamp() AS now"))[0]["now"]
    return now


_HARM: Mapping[str, str] = {
    "worker-kill": "kills {victim} with SIGKILL and does not start it again",
    "redis-wipe": "deletes the stream {stream} and its group",
    "stream-trim": "trims the stream {stream} to no entries",
    "postgres-restart": "cuts off every connection that Deep-OJ has to its database",
}
LIVE_DRILLS: Mapping[str, Callable[[LiveCanaries], Awaitable[list[Recovery]]]] = {
    "worker-kill": _worker_kill,
    "redis-wipe": _redis_wipe,
    "stream-trim": _stream_trim,
    "postgres-restart": _postgres_restart,
}
