"""A stream in memory with the contract of ``ports.JobStream``, and with faults on demand.

One :class:`MemoryStreamServer` plays the Redis server; each :class:`MemoryStream` over it is one consumer. Its
clock is Trio's by default, which ``autojump_clock`` lets jump; any other clock (milliseconds) can be given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import OutboxEvent
from deepoj.words.stream import ALIVE_MS, RUN_PRIORITY, BadEntry, Entry, PressureSnapshot, Unread

type EntryId = tuple[int, int]

#: where MemoryStream's clock starts: a plausible wall clock, so that ids look like ids
EPOCH_MS = 1_700_000_000_000
_ZERO: EntryId = (0, 0)


def trio_clock_ms() -> int:
    """Trio's (jumpable) clock as milliseconds since an arbitrary fixed date."""
    return EPOCH_MS + round(trio.current_time() * 1000)


def _parse(entry_id: str) -> EntryId:
    millis, _, sequence = entry_id.partition("-")
    return int(millis), int(sequence or 0)


def _text(entry_id: EntryId) -> str:
    return f"{entry_id[0]}-{entry_id[1]}"


@dataclass
class _Pending:
    consumer: str
    delivered_ms: int
    deliveries: int = 1


@dataclass
class _Group:
    last_delivered: EntryId = _ZERO
    pending: dict[EntryId, _Pending] = field(default_factory=dict)


class MemoryStreamServer:
    """State that all consumers share. Set ``down`` to make every call raise StreamUnavailable; ``wipe`` is FLUSHALL."""

    def __init__(self, *, clock_ms: Callable[[], int] = trio_clock_ms, maxlen: int = 200_000) -> None:
        self.clock_ms = clock_ms
        self.maxlen = maxlen
        self.down = False
        #: the next ``publish`` stores its events and then raises: the answer is lost
        self.lose_next_publish_answer = False
        self.entries: dict[EntryId, Mapping[str, str]] = {}
        #: time of the last read of each consumer
        self.seen_ms: dict[str, int] = {}
        #: payload envelopes by key
        self.payloads: dict[str, str] = {}
        self.group: _Group | None = None
        self._last_id: EntryId = _ZERO
        self._arrived = trio.Event()

    def wipe(self) -> None:
        """Remove all data, the group included."""
        self.entries.clear()
        self.payloads.clear()
        self.group = None
        self._last_id = _ZERO

    def add(self, fields: Mapping[str, str]) -> str:
        """XADD of raw fields, which may be undecodable."""
        millis, sequence = max((self.clock_ms(), 0), (self._last_id[0], self._last_id[1] + 1))
        self._last_id = (millis, sequence)
        self.entries[self._last_id] = dict(fields)
        for oldest in sorted(self.entries)[: max(0, len(self.entries) - self.maxlen)]:
            del self.entries[oldest]
        self._arrived.set()
        self._arrived = trio.Event()
        return _text(self._last_id)

    def delete(self, entry_id: str) -> None:
        """XDEL, or a trim that removes an unfinished entry."""
        self.entries.pop(_parse(entry_id), None)

    def acked(self, entry_id: str) -> bool:
        """Whether the entry was delivered and acked."""
        group = self.group
        parsed = _parse(entry_id)
        return group is not None and parsed <= group.last_delivered and parsed not in group.pending

    async def wait_arrival(self) -> None:
        await self._arrived.wait()

    def ready_group(self) -> _Group:
        if self.down:
            raise StreamUnavailable("the stream in memory is switched off")
        if self.group is None:
            self.group = _Group()
        return self.group


class MemoryStream:
    """``ports.JobStream`` for one consumer."""

    def __init__(
        self,
        server: MemoryStreamServer | None = None,
        *,
        consumer: str = "worker-1",
        stream_key: str = "deepoj:jobs",
        group: str = "deepoj:workers",
        payload_prefix: str = "deepoj:task:payload:",
    ) -> None:
        self.server = server if server is not None else MemoryStreamServer()
        self.consumer = consumer
        self.stream_key = stream_key
        self.group = group
        self.payload_prefix = payload_prefix

    def beside(self, consumer: str) -> MemoryStream:
        """Return another consumer on the same server."""
        return MemoryStream(
            self.server,
            consumer=consumer,
            stream_key=self.stream_key,
            group=self.group,
            payload_prefix=self.payload_prefix,
        )

    async def publish(self, events: Sequence[OutboxEvent]) -> list[str]:
        await trio.lowlevel.checkpoint()
        self.server.ready_group()
        ids = []
        for event in events:
            ref = f"{self.payload_prefix}{event.job_id}"
            self.server.payloads[ref] = event.payload
            ids.append(
                self.server.add(
                    {
                        "job_id": event.job_id,
                        "enqueue_ts": str(event.enqueue_ts_ms),
                        "payload_ref": ref,
                        "priority": str(event.priority),
                        "event_id": str(event.id),
                    }
                )
            )
        if self.server.lose_next_publish_answer:
            self.server.lose_next_publish_answer = False
            raise StreamUnavailable("the answer to a publish was lost")
        return ids

    async def notify_run(self, run_id: str, at_ms: int) -> str:
        await trio.lowlevel.checkpoint()
        if self.server.down:
            raise StreamUnavailable("the stream in memory is switched off")
        fields = {"job_id": run_id, "enqueue_ts": str(at_ms), "payload_ref": "", "event_id": "0"}
        fields["priority"] = str(RUN_PRIORITY)
        return self.server.add(fields)

    async def read(self, count: int, block_ms: int) -> list[Entry | BadEntry]:
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(max(block_ms, 0) / 1000):
            while True:
                if found := self._deliver(count):
                    return found
                if block_ms <= 0:
                    return []
                await self.server.wait_arrival()
        self.server.ready_group()
        return []

    def _deliver(self, count: int) -> list[Entry | BadEntry]:
        self.server.seen_ms[self.consumer] = self.server.clock_ms()
        group = self.server.ready_group()
        fresh = sorted(i for i in self.server.entries if i > group.last_delivered)[:count]
        for entry_id in fresh:
            group.last_delivered = entry_id
            group.pending[entry_id] = _Pending(self.consumer, self.server.clock_ms())
        return [_decode(i, self.server.entries[i]) for i in fresh]

    async def own_pending(self, count: int) -> list[Entry | BadEntry]:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        mine = [i for i, p in sorted(group.pending.items()) if p.consumer == self.consumer and i in self.server.entries]
        return [_decode(i, self.server.entries[i]) for i in mine[:count]]

    async def ack(self, entry_ids: Sequence[str]) -> int:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        return sum(group.pending.pop(_parse(entry_id), None) is not None for entry_id in entry_ids)

    async def reclaim(self, min_idle_ms: int, cursor: str, count: int) -> tuple[str, list[Entry | BadEntry]]:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        now_ms = self.server.clock_ms()
        self.server.seen_ms[self.consumer] = now_ms
        taken: list[Entry | BadEntry] = []
        for looked, entry_id in enumerate(sorted(i for i in group.pending if i >= _parse(cursor))):
            # as the server: it examines up to ten times COUNT entries
            if len(taken) >= count or looked >= 10 * count:
                return _text(entry_id), taken
            pending = group.pending[entry_id]
            if entry_id not in self.server.entries:
                # as the server: XAUTOCLAIM removes deleted entries from the pending list
                del group.pending[entry_id]
            elif now_ms - pending.delivered_ms >= min_idle_ms:
                group.pending[entry_id] = _Pending(self.consumer, now_ms, pending.deliveries + 1)
                taken.append(_decode(entry_id, self.server.entries[entry_id]))
        return "0-0", taken

    async def set_idle(self, entry_ids: Sequence[str], idle_ms: int) -> None:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        for one in map(_parse, entry_ids):
            if one in group.pending:
                group.pending[one] = _Pending(
                    self.consumer, self.server.clock_ms() - idle_ms, group.pending[one].deliveries
                )

    async def live_entries(self, entry_ids: Sequence[str]) -> set[str]:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        asked = {one: _parse(one) for one in entry_ids}
        return {
            one
            for one, i in asked.items()
            if i in self.server.entries and (i > group.last_delivered or i in group.pending)
        }

    async def trim(self, max_len: int) -> int:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        if len(self.server.entries) <= max_len:
            return 0
        keep_from = min(group.pending, default=(group.last_delivered[0], group.last_delivered[1] + 1))
        gone = [i for i in self.server.entries if i < keep_from]
        for entry_id in gone:
            del self.server.entries[entry_id]
        return len(gone)

    async def unread(self, priority: int, limit: int) -> list[Entry]:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        first = sorted(i for i in self.server.entries if i > group.last_delivered)[:limit]
        found = [_decode(i, self.server.entries[i]) for i in first]
        return [entry for entry in found if isinstance(entry, Entry) and entry.priority == priority]

    async def take_out(self, entry_ids: Sequence[str]) -> None:
        await trio.lowlevel.checkpoint()
        for entry_id in entry_ids:
            self.server.entries.pop(_parse(entry_id), None)

    async def undelivered(self, limit: int) -> Unread:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        unread = sorted(i for i in self.server.entries if i > group.last_delivered)[:limit]
        lanes = [self.server.entries[i].get("priority", "") for i in unread]
        counts = Counter(int(lane) if re.fullmatch(r"-?\d+", lane) else 0 for lane in lanes)
        return Unread(counts, is_all=len(unread) < limit)

    async def pressure(self) -> PressureSnapshot:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        backlog = sorted(i for i in self.server.entries if i > group.last_delivered)
        source, oldest = "none", None
        if group.pending:
            source, oldest = "pending", min(group.pending)
        elif backlog:
            source, oldest = "backlog", backlog[0]
        now_ms = self.server.clock_ms()
        by_id = False
        age_ms = None
        if oldest is not None:
            entry = _decode(oldest, self.server.entries.get(oldest, {}))
            by_id = not isinstance(entry, Entry)
            told = isinstance(entry, Entry) and entry.priority >= 0
            age_ms = max(0, now_ms - (entry.enqueue_ts_ms if isinstance(entry, Entry) and told else oldest[0]))
        return PressureSnapshot(
            ts_ms=now_ms,
            stream_key=self.stream_key,
            group=self.group,
            xlen=len(self.server.entries),
            pending=len(group.pending),
            lag=len(backlog),
            oldest_age_ms=age_ms,
            oldest_age_source=source,
            approx=by_id or source == "backlog",
            consumers=self._count_live(ALIVE_MS),
        )

    async def live_consumers(self, idle_ms: int) -> int:
        await trio.lowlevel.checkpoint()
        self.server.ready_group()
        return self._count_live(idle_ms)

    def _count_live(self, idle_ms: int) -> int:
        now_ms = self.server.clock_ms()
        return sum(1 for seen_ms in self.server.seen_ms.values() if now_ms - seen_ms <= idle_ms)

    async def forget_consumers(self, idle_ms: int) -> list[str]:
        await trio.lowlevel.checkpoint()
        group = self.server.ready_group()
        busy = {pending.consumer for pending in group.pending.values()} | {self.consumer}
        silent_since = self.server.clock_ms() - idle_ms
        gone = [name for name, seen in self.server.seen_ms.items() if name not in busy and seen <= silent_since]
        for name in gone:
            del self.server.seen_ms[name]
        return gone

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()
        self.server.ready_group()

    def has_just_answered(self) -> bool:
        return False


def _decode(entry_id: EntryId, fields: Mapping[str, str]) -> Entry | BadEntry:
    try:
        job_id = fields["job_id"]
        if not job_id:
            return BadEntry(_text(entry_id), "job_id is empty")
        return Entry(
            entry_id=_text(entry_id),
            job_id=job_id,
            enqueue_ts_ms=int(fields["enqueue_ts"]),
            payload_ref=fields.get("payload_ref", ""),
            priority=int(fields.get("priority", "0")),
            event_id=int(fields.get("event_id", "0")),
        )
    except KeyError as missing:
        return BadEntry(_text(entry_id), f"field {missing.args[0]} is missing")
    except ValueError as wrong:
        return BadEntry(_text(entry_id), f"a field is not a number: {wrong}")
