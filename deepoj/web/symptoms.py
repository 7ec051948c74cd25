"""What of a node's state needs a person, in sentences, each with the section of the runbook that says what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deepoj.web.shown import as_sentence, elapsed, size
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.roster import AnnouncedNode
from deepoj.words.sandbox import Isolation
from deepoj.words.stream import MAX_AGE_S, PressureSnapshot, QueueOutage


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: number and title of the section in ``deploy/runbook.md``; its Chinese titles are translations
REDIS, DATABASE, BACKLOG = _("4.1 Redis is away"), _("4.2 The database does not answer"), _("4.3 The backlog grows")
NO_WORKER, OBJECTS = _("4.4 No worker takes jobs"), _("4.13 Test data cannot be fetched")
SANDBOX, DISK = _("4.7 The sandbox has ended or is stopped"), _("4.12 The disk is full")
LETTERS, CANARY, ISOLATION = _("4.15 Dead letters"), _("4.16 A canary fails"), _("4.17 Isolation too low")

#: beginning of the reason of a part that only waits for Redis
_REDIS_SAYS = "Redis at "
#: events that are due go to the stream at once, if it has room
_MAX_DISPATCH_MS = 30_000

#: a file system that is fuller needs a person, and one with less room: a package may have 256 MiB when unpacked
_MAX_USED_PERCENT, _LEAST_FREE_BYTES = 95, 1024**3

#: sections about what does not delay the judging
_NO_DELAY = frozenset({LETTERS, ISOLATION})

_OF_PART: Mapping[str, str] = {
    "redis": REDIS,
    "database": DATABASE,
    "objects": OBJECTS,
    "canary": CANARY,
    "sandbox": SANDBOX,
}


@dataclass(frozen=True, slots=True)
class Symptom:
    """A sentence for the catalogue with its parameters, and a section of the runbook; empty: it has none of its own."""

    sentence: str
    section: str
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def delays_judging(self) -> bool:
        return self.section not in _NO_DELAY


def symptoms(
    readiness: Readiness,
    nodes: Sequence[AnnouncedNode] | None,
    snapshot: PressureSnapshot | None,
    outage: QueueOutage | None,
    *,
    refuses: bool,
    has_letters: bool,
    unclaimed_since: str | None = None,
) -> Iterator[Symptom]:
    """Yield what needs a person, as this node sees it. ``nodes``: None if they were never read. ``refuses``: new
    submissions are refused now. ``unclaimed_since``: ISO 8601; entries of the stream have waited since then without any
    claim."""
    if outage is not None:
        yield Symptom(
            _(
                "The queue (Redis) has been away for %(duration)s. Submissions that wait in the database: %(count)s."
                " They are judged when it is back. %(reason)s"
            ),
            REDIS,
            {
                "duration": elapsed(outage.since),
                "count": outage.outbox.total,
                "reason": as_sentence(readiness.reasons.get("redis", "")),
            },
        )
    for part, state in readiness.parts.items():
        reason = readiness.reasons.get(part, "")
        if outage is not None and (part == "redis" or reason.startswith(_REDIS_SAYS)):
            continue
        if part == "canary" and any(node.fails_canaries and _canaries_say(node) == reason for node in nodes or ()):
            continue
        if state is not PartState.UP:
            params = {"part": part, "reason": as_sentence(reason)}
            yield Symptom(_("%(part)s is not up on this node. %(reason)s"), _OF_PART.get(part, ""), params)
    if nodes is not None and not any(node.takes_work for node in nodes):
        yield Symptom(_("No node judges: submissions wait."), NO_WORKER)
    for node in nodes or ():
        yield from _of_node(node)
        yield from _of_judge(node, readiness, outage)
    yield from _of_queue(snapshot, outage, unclaimed_since, refuses=refuses)
    if has_letters:
        yield Symptom(_("There are dead letters: decide about each below."), LETTERS)


def _of_queue(
    snapshot: PressureSnapshot | None, outage: QueueOutage | None, unclaimed_since: str | None, *, refuses: bool
) -> Iterator[Symptom]:
    if unclaimed_since is not None and snapshot is not None and snapshot.consumers != 0:
        sentence = _("Submissions wait in the queue, and no node has claimed one for %(duration)s.")
        yield Symptom(sentence, NO_WORKER, {"duration": elapsed(unclaimed_since)})
    if refuses:
        yield Symptom(_("New submissions are refused: too much waits."), BACKLOG)
    elif snapshot is not None and _is_not_dispatched(snapshot):
        yield Symptom(_("Submissions wait in the database, and none is sent to the queue."), BACKLOG)
    elif snapshot is not None and snapshot.oldest_age_s > MAX_AGE_S:
        oldest = dt.datetime.fromtimestamp(snapshot.ts_ms / 1000 - snapshot.oldest_age_s, dt.UTC)
        params = {"duration": elapsed(oldest.isoformat())}
        yield Symptom(_("The oldest unfinished submission has waited or run for %(duration)s."), BACKLOG, params)
    elif snapshot is not None and snapshot.consumers == 0 and snapshot.waiting_at_most > 0:
        yield Symptom(_("Submissions wait, and no judge node reads the queue."), NO_WORKER)
    elif snapshot is None and outage is None:
        yield Symptom(_("This node does not know how much waits: its figures are too old."), REDIS)


def _of_node(node: AnnouncedNode) -> Iterator[Symptom]:
    """Yield what needs a person on a node. A node without languages does not judge."""
    if not node.is_live and node.languages:
        yield Symptom(_("Node %(node)s judged within a day and is silent now."), NO_WORKER, {"node": node.node})
    elif not node.is_live:
        params = {"node": node.node, "roles": ", ".join(node.facts.roles)}
        yield Symptom(_("Node %(node)s (%(roles)s) was there within a day and is silent now."), "", params)
    elif node.fails_canaries:
        params = {"node": node.node, "reason": as_sentence(_canaries_say(node))}
        yield Symptom(_("Node %(node)s takes no work: its canaries fail. %(reason)s"), CANARY, params)
    for disk in node.facts.disks if node.is_live else ():
        if disk.used_percent >= _MAX_USED_PERCENT or disk.free_bytes < _LEAST_FREE_BYTES:
            params = {"node": node.node, "percent": str(disk.used_percent), "free": size(disk.free_bytes)}
            yield Symptom(_("A disk of node %(node)s is %(percent)s %% full: %(free)s are free."), DISK, params)
    if node.is_live and node.isolation == Isolation.WEAK:
        yield Symptom(_("Node %(node)s contains programs weakly."), ISOLATION, {"node": node.node})


def _of_judge(node: AnnouncedNode, readiness: Readiness, outage: QueueOutage | None) -> Iterator[Symptom]:
    """Yield what keeps a live node from judging, unless it is named already: as a part of the node that serves the
    page, or as a server that both use."""
    for part, reason in node.facts.not_up.items() if node.is_live else ():
        is_up_here = readiness.parts.get(part, PartState.UP) is PartState.UP
        is_named = not is_up_here and (part != "sandbox" or readiness.reasons.get(part) == reason)
        if not is_named and not (part == "redis" and outage is not None):
            params = {"node": node.node, "part": part, "reason": as_sentence(reason)}
            yield Symptom(
                _("Node %(node)s cannot judge: %(part)s is not up. %(reason)s"), _OF_PART.get(part, ""), params
            )


def _canaries_say(node: AnnouncedNode) -> str:
    return "" if node.facts.canaries is None else node.facts.canaries.reason


def _is_not_dispatched(snapshot: PressureSnapshot) -> bool:
    """Return whether events have waited for long although the stream is empty."""
    outbox = snapshot.outbox
    if outbox is None or outbox.oldest_age_ms is None:
        return False
    return snapshot.lag == 0 and outbox.submitted > 0 and outbox.oldest_age_ms >= _MAX_DISPATCH_MS
