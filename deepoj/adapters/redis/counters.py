"""Request counters in Redis or Valkey, shared by all nodes (``<ns>:rate_limit:…``).

A counter is a number with an expiry. One script sets both, so neither exists without the other. A counter that has no
expiry all the same (edited by hand, a persisted key) gets one when it is next used.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.exceptions import NoScriptError

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.batcher import Batcher
from deepoj.adapters.redis.link import Address, Arg, Commands, RedisLink, pipelined
from deepoj.words.limits import Overdrawn, Quota

#: KEYS: the counters. ARGV: limit and window in ms of each. Returns the 1-based index of a used-up counter and the ms
#: until its window ends (of several, the latest end), or {0, 0} after counting one request in each.
_TAKE = """
local worst, wait = 0, 0
for i, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then
        local left = redis.call('PTTL', key)
        if left < 0 then
            left = tonumber(ARGV[2 * i])
            redis.call('PEXPIRE', key, left)
        end
        if left < 1 then left = 1 end
        if left > wait then worst, wait = i, left end
    end
end
if worst > 0 then return {worst, wait} end
for i, key in ipairs(KEYS) do
    redis.call('INCR', key)
    if redis.call('PTTL', key) < 0 then redis.call('PEXPIRE', key, ARGV[2 * i]) end
end
return {0, 0}
"""
#: The same KEYS and ARGV. Returns for each counter the ms until its window ends if it is used up, else 0.
_WAITS = """
local waits = {}
for i, key in ipairs(KEYS) do
    waits[i] = 0
    if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then
        waits[i] = redis.call('PTTL', key)
        if waits[i] < 0 then
            waits[i] = tonumber(ARGV[2 * i])
            redis.call('PEXPIRE', key, waits[i])
        end
        if waits[i] < 1 then waits[i] = 1 end
    end
end
return waits
"""
#: The same KEYS and ARGV. Counts one request less in each; a counter that has ended is not made again.
_GIVE_BACK = """
for i, key in ipairs(KEYS) do
    if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end
return {}
"""
_GIVE_BACK_SHA = hashlib.sha1(_GIVE_BACK.encode(), usedforsecurity=False).hexdigest()
_WAITS_SHA = hashlib.sha1(_WAITS.encode(), usedforsecurity=False).hexdigest()
_TAKE_SHA = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()
#: timeout for connecting and for each answer; a slower counter is not waited for
_TIMEOUT_S = 1.0
#: requests that are counted in one round trip, and how many of those run at once
_MOST_TAKES = 64
_TAKE_LANES = 2


class RedisCounters:
    """Request counters (``ports.Counters``). Made by :meth:`open`.

    They have connections of their own, so that a flood of requests does not block the stream.
    """

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._takes = Batcher(self._take, lanes=_TAKE_LANES, most=_MOST_TAKES)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        bridge: AioBridge,
        url: str,
        *,
        password: str = "",
        tls: bool = False,
        prefix: str = "deepoj:rate_limit:",
        pool_size: int = 10,
    ) -> AsyncIterator[RedisCounters]:
        """Connects when first used, closes its connections at the end. Raises StartRefused for a malformed ``url``."""
        link = RedisLink(
            bridge,
            Address.parse(url, password=password, tls=tls),
            pool_size=pool_size,
            connect_timeout_s=_TIMEOUT_S,
            read_timeout_s=_TIMEOUT_S,
            write_timeout_s=_TIMEOUT_S,
        )
        try:
            yield cls(link, prefix)
        finally:
            await link.aclose()

    async def take(self, quotas: Sequence[Quota]) -> Overdrawn | None:
        """Count a request, as the port says. Concurrent calls share a round trip; each is counted by itself."""
        which, wait_ms = await self._takes.do(quotas)
        return Overdrawn(quotas[which - 1], wait_ms) if which else None

    async def _take(self, asked: Sequence[Sequence[Quota]]) -> Sequence[Sequence[int]]:
        return await self._run(_TAKE, _TAKE_SHA, asked)

    async def give_back(self, quotas: Sequence[Quota]) -> None:
        await self._run(_GIVE_BACK, _GIVE_BACK_SHA, [quotas])

    async def waits(self, quotas: Sequence[Quota]) -> Sequence[int]:
        [waits] = await self._run(_WAITS, _WAITS_SHA, [quotas])
        return waits

    async def _run(self, script: str, sha: str, asked: Sequence[Sequence[Quota]]) -> list[list[int]]:
        """Run the script for each of ``asked``, and return their answers."""
        calls: list[tuple[Arg, ...]] = [
            (
                len(quotas),
                *(f"{self._prefix}{quota.name}" for quota in quotas),
                *(number for quota in quotas for number in (quota.limit, quota.window_ms)),
            )
            for quotas in asked
        ]

        async def work(commands: Commands) -> list[list[int]]:
            try:
                answers = await pipelined(commands, [("EVALSHA", sha, *call) for call in calls])
            except NoScriptError:  # a new server, or one that was flushed: it has run none of them
                answers = await pipelined(commands, [("EVAL", script, *call) for call in calls])
            return [[int(number) for number in answer] for answer in answers]

        return await self._link.call(work)
