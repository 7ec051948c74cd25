"""The job stream on Redis or Valkey: one stream, one consumer group, payloads beside it.

What if we die here?

* between SET of a payload and XADD: the payload has no entry; it expires.
* between XADD and the caller's mark: the event is published again, as a second entry (``pipeline/outbox``).
* between XREADGROUP at the server and its reply here (killed, or the blocking read cancelled): the entry is pending for
  this consumer and was never seen. ``own_pending`` at the next start finds it, or ``reclaim`` on another node.
* the server loses its data: the group is created again at 0; repair sends the jobs without an entry again.

Every command here can be repeated without harm, so the link retries once after a broken connection. A repeated XADD may
leave a second entry, as above. A repeated read may leave the entries of the first one pending and unseen, as above.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import ResponseError

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.redis.link import Address, Arg, Commands, RedisLink, pipelined
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import OutboxEvent, Priority
from deepoj.words.stream import ALIVE_MS, RUN_PRIORITY, BadEntry, Entry, PressureSnapshot, Unread

#: how many entries one round trip asks about
_CHUNK = 500
#: the lag is counted up to this number; dispatchers leave fewer jobs unread
LAG_COUNTED = 1_000
#: One script, because a consumer could read an entry between the check and its deletion, and the entry would be lost.
_FORGET = """
local gone = {}
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local of = {}
    for i = 1, #consumer, 2 do of[consumer[i]] = consumer[i + 1] end
    if of['pending'] == 0 and of['idle'] >= tonumber(ARGV[2]) and of['name'] ~= ARGV[3] then
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of['name'])
        table.insert(gone, of['name'])
    end
end
return gone
"""
#: The server counts: eight entries with their sources took 0.4 ms to receive, in each round of the dispatcher.
_UNDELIVERED = """
local found = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if found.err and not string.find(found.err, 'no such key') then return found end
for _, group in ipairs(found) do
    local of = {}
    for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
    if of['name'] == ARGV[1] then
        local counts, flat = {}, {}
        for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '(' .. of['last-delivered-id'], '+', 'COUNT', ARGV[2])) do
            local lane, fields = '0', entry[2]
            for i = 1, #fields, 2 do
                if fields[i] == 'priority' and string.match(fields[i + 1], '^-?%d+$') then lane = fields[i + 1] end
            end
            counts[lane] = (counts[lane] or 0) + 1
        end
        for lane, count in pairs(counts) do
            table.insert(flat, lane)
            table.insert(flat, count)
        end
        return flat
    end
end
return redis.error_reply('NOGROUP there is no group ' .. ARGV[1])
"""


class RedisStream:
    """The job stream (``ports.JobStream``). Made by :meth:`open`."""

    def __init__(
        self,
        link: RedisLink,
        *,
        stream_key: str,
        group: str,
        consumer: str,
        payload_prefix: str,
        payload_ttl_s: float,
        maxlen: int,
    ) -> None:
        self.stream_key = stream_key
        self.group = group
        self.consumer = consumer
        self._link = link
        self._payload_prefix = payload_prefix
        self._payload_ttl_ms = max(1, round(payload_ttl_s * 1000))
        self._maxlen = maxlen

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        bridge: AioBridge,
        url: str,
        *,
        password: str = "",
        tls: bool = False,
        stream_key: str = "deepoj:jobs",
        group: str = "deepoj:workers",
        consumer: str,
        payload_prefix: str = "deepoj:task:payload:",
        payload_ttl_s: float = 86_400.0,
        maxlen: int = 200_000,
        pool_size: int = 10,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 3.0,
        write_timeout_s: float = 3.0,
    ) -> AsyncIterator[RedisStream]:
        """Connects when first used, closes its connections at the end. Raises StartRefused for a malformed ``url``."""
        address = Address.parse(url, password=password, tls=tls)
        link = RedisLink(
            bridge,
            address,
            pool_size=pool_size,
            connect_timeout_s=connect_timeout_s,
            read_timeout_s=read_timeout_s,
            write_timeout_s=write_timeout_s,
        )
        try:
            yield cls(
                link,
                stream_key=stream_key,
                group=group,
                consumer=consumer,
                payload_prefix=payload_prefix,
                payload_ttl_s=payload_ttl_s,
                maxlen=maxlen,
            )
        finally:
            await link.aclose()

    # -- writing

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        if not events:
            return []
        # Payloads first, so that every entry that is read has its payload.
        commands = [self._set_payload(event) for event in events] + [self._add(event) for event in events]
        replies = await self._link.pipeline(commands)
        return [_text(reply) for reply in replies[len(events) :]]

    async def notify_run(self, run_id: str, at_ms: int) -> str:
        fields: list[Arg] = ["job_id", run_id, "enqueue_ts", at_ms, "payload_ref", ""]
        fields += ["priority", RUN_PRIORITY, "event_id", 0]
        return _text(await self._command("XADD", self.stream_key, "MAXLEN", "~", self._maxlen, "*", *fields))

    def _payload_key(self, job_id: str) -> str:
        return f"{self._payload_prefix}{job_id}"

    def _set_payload(self, event: OutboxEvent) -> Sequence[Arg]:
        envelope = {
            "schema_version": 1,
            "task_data_b64": base64.b64encode(event.payload.encode()).decode(),
            "encoding": "base64",
            "content_type": "application/json",
        }
        value = json.dumps(envelope, separators=(",", ":"))
        return "SET", self._payload_key(event.job_id), value, "PX", self._payload_ttl_ms

    def _add(self, event: OutboxEvent) -> Sequence[Arg]:
        key = event.stream_key or self.stream_key
        fields: list[Arg] = ["job_id", event.job_id, "enqueue_ts", event.enqueue_ts_ms]
        # redis-py would write a Priority as <Priority.BATCH: -1>
        fields += ["payload_ref", self._payload_key(event.job_id), "priority", int(event.priority)]
        fields += ["event_id", event.id]
        return "XADD", key, "MAXLEN", "~", self._maxlen, "*", *fields

    # -- reading

    async def read(self, count: int, block_ms: int) -> list[Entry | BadEntry]:
        """Read new entries; wait for them if ``block_ms`` is above 0.

        A cancelled wait can leave an entry pending and unseen.
        """
        command: list[Arg] = ["XREADGROUP", "GROUP", self.group, self.consumer, "COUNT", count]
        streams: list[Arg] = ["STREAMS", self.stream_key, ">"]
        if block_ms <= 0:
            return _from_read(await self._with_group(*command, *streams))

        async def wait(commands: Commands) -> Any:
            return await self._in_group(commands, *command, "BLOCK", block_ms, *streams)

        return _from_read(await self._link.call_blocking(wait, block_ms / 1000))

    async def own_pending(self, count: int) -> list[Entry | BadEntry]:
        """Return this consumer's pending entries.

        Trimmed entries have no body and are skipped: ``reclaim`` clears them from the pending list, and repair sends
        their jobs again.
        """
        entries: list[Entry | BadEntry] = []
        after = "0"
        while len(entries) < count:
            command = ("XREADGROUP", "GROUP", self.group, self.consumer, "COUNT", count)
            reply = await self._with_group(*command, "STREAMS", self.stream_key, after)
            items = reply[0][1] if reply else []
            entries += _decode_all(items)
            if len(items) < count:
                break
            after = _text(items[-1][0])
        return entries[:count]

    async def unread(self, priority: int, limit: int) -> list[Entry]:
        async def look(commands: Commands) -> Any:
            last = _text((await self._group_info(commands))[b"last-delivered-id"])
            return await commands.execute_command("XRANGE", self.stream_key, f"({last}", "+", "COUNT", limit)

        entries = _decode_all(await self._link.call(look))
        return [entry for entry in entries if isinstance(entry, Entry) and entry.priority == priority]

    async def take_out(self, entry_ids: Sequence[str]) -> None:
        if entry_ids:
            await self._command("XDEL", self.stream_key, *entry_ids)

    async def ack(self, entry_ids: Sequence[str]) -> int:
        if not entry_ids:
            return 0
        return int(await self._command("XACK", self.stream_key, self.group, *entry_ids))

    async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Entry | BadEntry]]:
        command = ("XAUTOCLAIM", self.stream_key, self.group, self.consumer, min_idle_ms, cursor, "COUNT", count)
        reply = await self._with_group(*command)
        return _text(reply[0]), _decode_all(reply[1])

    async def set_idle(self, entry_ids: Sequence[str], idle_ms: int) -> None:
        # JUSTID returns no bodies, and the server does not count it as a delivery
        command: list[Arg] = ["XCLAIM", self.stream_key, self.group, self.consumer, 0, *entry_ids]
        command += ["IDLE", idle_ms, "JUSTID"]
        await self._with_group(*command)

    # -- inspecting

    async def live_entries(self, entry_ids: Sequence[str]) -> set[str]:
        async def look(commands: Commands) -> set[str]:
            # Read the last delivered id first: entries delivered after it count as undelivered, hence as live.
            last = _numbers((await self._group_info(commands))[b"last-delivered-id"])
            live: set[str] = set()
            for start in range(0, len(entry_ids), _CHUNK):
                chunk = entry_ids[start : start + _CHUNK]
                delivered = [entry_id for entry_id in chunk if _numbers(entry_id) <= last]
                asked: list[Sequence[Arg]] = [("XRANGE", self.stream_key, entry_id, entry_id) for entry_id in chunk]
                asked += [("XPENDING", self.stream_key, self.group, entry_id, entry_id, 1) for entry_id in delivered]
                replies = await pipelined(commands, asked)
                present = {entry_id for entry_id, body in zip(chunk, replies, strict=False) if body}
                marks = replies[len(chunk) :]
                settled = {entry_id for entry_id, mark in zip(delivered, marks, strict=True) if not mark}
                live |= present - settled
            return live

        return await self._link.call(look)

    async def trim(self, max_len: int) -> int:
        """Trim the stream to what some group, ours or another, has not finished."""

        async def work(commands: Commands) -> int:
            if int(await commands.execute_command("XLEN", self.stream_key)) <= max_len:
                return 0
            await self._group_info(commands)
            keep_from = await self._oldest_unfinished(commands)
            return int(await commands.execute_command("XTRIM", self.stream_key, "MINID", keep_from))

        return await self._link.call(work)

    async def _oldest_unfinished(self, commands: Commands) -> str:
        # Later deliveries only have greater ids than the last one, so this bound stays safe while it is computed.
        groups = [_pairs(item) for item in await commands.execute_command("XINFO GROUPS", self.stream_key)]
        summaries = await pipelined(commands, [("XPENDING", self.stream_key, group[b"name"]) for group in groups])
        bounds = []
        for group, summary in zip(groups, summaries, strict=True):
            millis, sequence = _numbers(group[b"last-delivered-id"])
            bounds.append(_numbers(summary[1]) if summary[0] else (millis, sequence + 1))
        return "{}-{}".format(*min(bounds))

    async def undelivered(self, limit: int) -> Unread:
        counts = Counter[int]()
        reply = await self._with_group("EVAL", _UNDELIVERED, 1, self.stream_key, self.group, limit)
        for lane, count in _pairs(reply).items():
            counts[int(lane)] += count
        return Unread(counts, is_all=counts.total() < limit)

    async def pressure(self) -> PressureSnapshot:
        async def look(commands: Commands) -> PressureSnapshot:
            group = await self._group_info(commands)
            last = _text(group[b"last-delivered-id"])
            time, xlen, pending, backlog, consumers, unread = await pipelined(
                commands,
                [
                    ("TIME",),
                    ("XLEN", self.stream_key),
                    ("XPENDING", self.stream_key, self.group),
                    ("XRANGE", self.stream_key, f"({last}", "+", "COUNT", 1),
                    ("XINFO", "CONSUMERS", self.stream_key, self.group),
                    ("EVAL", _UNDELIVERED, 1, self.stream_key, self.group, LAG_COUNTED),
                ],
            )
            # Counted: the server's lag is unknown while an entry ahead is deleted, and in some versions wrong from then
            # on (redis#13337, valkey#1951).
            lag = sum(unread[1::2])
            now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
            source, oldest_id, body = "none", "", []
            if pending[0]:
                source, oldest_id = "pending", _text(pending[1])
                body = await commands.execute_command("XRANGE", self.stream_key, oldest_id, oldest_id)
            elif backlog:
                source, oldest_id, body = "backlog", _text(backlog[0][0]), backlog
            entry = next((e for e in _decode_all(body) if isinstance(e, Entry)), None)
            age_ms = None
            if oldest_id:
                # The entry's own time; its id (when the server took it) if the entry is gone or names no time. Also for
                # a batch and a rejudge, which wait by design until they are sent.
                has_own_time = entry is not None and entry.priority >= Priority.INTERACTIVE
                since_ms = entry.enqueue_ts_ms if entry and has_own_time else _numbers(oldest_id)[0]
                age_ms = max(0, now_ms - since_ms)
            return PressureSnapshot(
                ts_ms=now_ms,
                stream_key=self.stream_key,
                group=self.group,
                xlen=int(xlen),
                pending=int(pending[0]),
                lag=lag if lag < LAG_COUNTED else _number(group.get(b"lag")),
                oldest_age_ms=age_ms,
                oldest_age_source=source,
                approx=source == "backlog" or (source == "pending" and entry is None),
                consumers=_count_live(consumers, ALIVE_MS),
            )

        return await self._link.call(look)

    async def live_consumers(self, idle_ms: int) -> int:
        return _count_live(await self._with_group("XINFO", "CONSUMERS", self.stream_key, self.group), idle_ms)

    async def forget_consumers(self, idle_ms: int) -> list[str]:
        async def forget(commands: Commands) -> list[str]:
            await self._group_info(commands)
            names = await commands.execute_command(
                "EVAL", _FORGET, 1, self.stream_key, self.group, idle_ms, self.consumer
            )
            return [_text(name) for name in names]

        return await self._link.call(forget)

    async def ping(self) -> None:
        await self._command("PING")

    def has_just_answered(self) -> bool:
        return self._link.has_just_answered()

    # -- the group

    async def _command(self, *command: Arg) -> Any:
        return await self._link.call(lambda commands: commands.execute_command(*command))

    async def _with_group(self, *command: Arg) -> Any:
        return await self._link.call(lambda commands: self._in_group(commands, *command))

    async def _in_group(self, commands: Commands, *command: Arg) -> Any:
        """Run a command of the group. If the group is missing, create it and run the command again."""
        try:
            return await commands.execute_command(*command)
        except ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
        await self._create_group(commands)
        return await commands.execute_command(*command)

    async def _create_group(self, commands: Commands) -> None:
        # At 0, not at $: entries published before the first consumer came must be read, too.
        try:
            await commands.execute_command("XGROUP CREATE", self.stream_key, self.group, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def _group_info(self, commands: Commands) -> dict[bytes, Any]:
        for attempt in range(2):
            try:
                groups = [_pairs(item) for item in await commands.execute_command("XINFO GROUPS", self.stream_key)]
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise
                groups = []
            for group in groups:
                if _text(group[b"name"]) == self.group:
                    return group
            if attempt == 0:
                await self._create_group(commands)
        raise StreamUnavailable(f"the group {self.group} vanished while it was being created; is Redis being wiped?")


# ---------------------------------------------------------------------------------------------------------------------
# Decoding of replies


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode()


def _numbers(entry_id: bytes | str) -> tuple[int, int]:
    millis, _, sequence = _text(entry_id).partition("-")
    return int(millis), int(sequence or 0)


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _pairs(flat: Sequence[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _count_live(rows: Iterable[Sequence[Any]], idle_ms: int) -> int:
    # ``idle`` is the time since the consumer's last command, including a blocking read that returned nothing
    return sum(1 for row in rows if int(row[row.index(b"idle") + 1]) <= idle_ms)


def _from_read(reply: Any) -> list[Entry | BadEntry]:
    return _decode_all(reply[0][1]) if reply else []


def _decode_all(items: Iterable[Any]) -> list[Entry | BadEntry]:
    """Decode entries, and skip items without a body: these were trimmed or deleted."""
    return [_decode(_text(item[0]), item[1]) for item in items if item is not None and item[1]]


def _decode(entry_id: str, flat: Sequence[bytes]) -> Entry | BadEntry:
    try:
        fields = {name.decode(): value.decode() for name, value in _pairs(flat).items()}
        job_id = fields["job_id"]
        if not job_id:
            return BadEntry(entry_id, "job_id is empty")
        return Entry(
            entry_id=entry_id,
            job_id=job_id,
            enqueue_ts_ms=int(fields["enqueue_ts"]),
            payload_ref=fields.get("payload_ref", ""),
            priority=int(fields.get("priority", "0")),
            event_id=int(fields.get("event_id", "0")),
        )
    except KeyError as missing:
        return BadEntry(entry_id, f"field {missing.args[0]} is missing")
    except UnicodeDecodeError:
        return BadEntry(entry_id, "a field is not UTF-8")
    except ValueError as wrong:
        return BadEntry(entry_id, f"a field is not a number: {wrong}")
