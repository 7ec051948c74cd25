"""What needs a person, in sentences, each with the section of the runbook that says what to do. The system's page shows
them, and ``deepoj doctor``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deepoj.ports.roster import Roster
from deepoj.ports.system import SystemView
from deepoj.web.shown import as_sentence, elapsed, size
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.roster import MAX_NODES, AnnouncedNode, DiskUse
from deepoj.words.sandbox import Isolation
from deepoj.words.stream import MAX_AGE_S, PressureSnapshot, QueueOutage
from deepoj.words.system import Standing


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: number and title of the section in ``deploy/runbook.md``; its Chinese titles are translations
REDIS, DATABASE, BACKLOG = _("4.1 Redis is away"), _("4.2 The database does not answer"), _("4.3 The backlog grows")
NO_WORKER, OBJECTS = _("4.4 No worker takes jobs"), _("4.13 Test data cannot be fetched")
SANDBOX, DISK = _("4.7 The sandbox has ended or is stopped"), _("4.12 The disk is full")
CLOCKS, SILENT, BACKUP = _("4.11 Clocks apart"), _("4.25 A node is silent"), _("4.26 No backup of late")
LETTERS, CANARY, ISOLATION = _("4.15 Dead letters"), _("4.16 A canary fails"), _("4.17 Isolation too low")

#: embedded server → the part that the connection to it is
_PART_OF_SERVER = {"postgres": "database", "valkey": "redis"}
#: server → beginnings of the reason of another part that only waits for it
_SAYS: Mapping[str, tuple[str, ...]] = {
    "redis": ("Redis at ",),
    "database": ("PostgreSQL at ", "the connection to PostgreSQL at "),
}
#: events that are due go to the stream at once, if it has room
_MAX_DISPATCH_MS = 30_000

#: a file system needs a person below a tenth of its bytes and a twentieth of its files, or below this on a large one
_LOW_BYTES, _LOW_FILES = 5 * 1024**3, 10_000
#: a clock that is further off than this spoils tokens and the times that people see
_MAX_CLOCK_OFF_S = 5.0
_MAX_BACKUP_AGE_S = 48 * 3600.0

#: sections about what does not delay the judging
_NO_DELAY = frozenset({LETTERS, ISOLATION, CLOCKS, BACKUP})

#: in the reason of a part that cannot write
_NO_SPACE = "No space left on device"
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


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database knows of the system. None: never read."""

    nodes: Sequence[AnnouncedNode] | None = None
    standing: Standing | None = None


async def read_stored(roster: Roster, system: SystemView) -> Stored:
    """Read it. Raises StoreUnavailable."""
    return Stored(await roster.announced_nodes(MAX_NODES), await system.standing())


def symptoms(
    readiness: Readiness,
    snapshot: PressureSnapshot | None,
    outage: QueueOutage | None,
    *,
    refuses: bool,
    stored: Stored,
    unclaimed_since: str | None = None,
) -> Iterator[Symptom]:
    """Yield what needs a person, as this node sees it. ``refuses``: new submissions are refused now.
    ``unclaimed_since``: ISO 8601; entries of the stream have waited since then without any claim."""
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
                "reason": as_sentence(as_operators_name(readiness).reasons.get("redis", "")),
            },
        )
    named = ("redis",) if outage is not None else ()
    yield from of_parts(readiness, stored.nodes or (), named)
    is_database_up = as_operators_name(readiness).parts.get("database", PartState.UP) is PartState.UP
    if refuses or snapshot is not None or (outage is None and is_database_up):
        yield from of_queue(snapshot, unclaimed_since, refuses=refuses)
    yield from of_stored(stored, readiness, named)


def as_operators_name(readiness: Readiness) -> Readiness:
    """Return the node's parts with an embedded server and the connection to it as one: it is up if both are."""
    parts, reasons = dict(readiness.parts), dict(readiness.reasons)
    for server, part in _PART_OF_SERVER.items():
        state, reason = parts.pop(server, None), reasons.pop(server, "")
        if state is None:
            continue
        if state is not PartState.UP or part not in parts:
            parts[part] = state
        reasons[part] = " ".join(as_sentence(one) for one in (reason, reasons.get(part, "")) if one)
    return Readiness(parts, reasons)


def of_parts(readiness: Readiness, nodes: Sequence[AnnouncedNode] = (), named: Sequence[str] = ()) -> Iterator[Symptom]:
    """Yield the parts of a node that are not up, without those that only wait for one of these. ``named``: parts that
    have a symptom already; ``nodes``: their failed canaries have one, too."""
    shown = as_operators_name(readiness)
    away = {part for part in _SAYS if part in named or shown.parts.get(part, PartState.UP) is not PartState.UP}
    for part, state in shown.parts.items():
        reason = shown.reasons.get(part, "")
        if state is PartState.UP or part in named:
            continue
        if part not in away and any(reason.startswith(_SAYS[server]) for server in away):
            continue
        if part == "canary" and any(node.fails_canaries and _canaries_say(node) == reason for node in nodes):
            continue
        params = {"part": part, "reason": as_sentence(reason)}
        yield Symptom(_("%(part)s is not up on this node. %(reason)s"), _section(part, reason), params)


def _section(part: str, reason: str) -> str:
    """Return the section about a part that is not up for this reason; empty: there is none."""
    if _NO_SPACE in reason:
        return DISK
    server = next((server for server, beginnings in _SAYS.items() if reason.startswith(beginnings)), part)
    return _OF_PART.get(part) or _OF_PART.get(server, "")


def of_stored(stored: Stored, readiness: Readiness, named: Sequence[str] = ()) -> Iterator[Symptom]:
    """Yield what needs a person in the whole system. ``readiness``: of the node here; ``named``: parts that have a
    symptom already."""
    shown = as_operators_name(readiness)
    if stored.nodes is not None and not any(node.takes_work for node in stored.nodes):
        yield Symptom(_("No node judges: submissions wait."), NO_WORKER)
    for node in stored.nodes or ():
        yield from _of_node(node)
        yield from _of_judge(node, shown, named)
    standing = stored.standing
    if standing is None:
        return
    if standing.has_letters:
        yield Symptom(_("There are dead letters: decide about each."), LETTERS)
    if standing.backup_age_s > _MAX_BACKUP_AGE_S:
        says = _("No backup was ever made by deepoj backup.")
        if standing.is_backed_up:
            says = _("The last backup is %(duration)s old.")
        made = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=standing.backup_age_s)
        yield Symptom(says, BACKUP, {"duration": elapsed(made.isoformat())})


def of_queue(
    snapshot: PressureSnapshot | None, unclaimed_since: str | None = None, *, refuses: bool
) -> Iterator[Symptom]:
    """Yield what is wrong with the work that waits. ``snapshot``: None if it is not known."""
    if unclaimed_since is not None and snapshot is not None and snapshot.consumers != 0:
        sentence = _("Submissions wait in the queue, and no node has claimed one for %(duration)s.")
        yield Symptom(sentence, NO_WORKER, {"duration": elapsed(unclaimed_since)})
    if refuses:
        yield Symptom(_("New submissions are refused: too much waits."), BACKLOG)
    elif snapshot is None:
        yield Symptom(_("This node does not know how much waits: its figures are too old."), REDIS)
    elif _is_not_dispatched(snapshot):
        yield Symptom(_("Submissions wait in the database, and none is sent to the queue."), BACKLOG)
    elif snapshot.oldest_age_s > MAX_AGE_S:
        oldest = dt.datetime.fromtimestamp(snapshot.ts_ms / 1000 - snapshot.oldest_age_s, dt.UTC)
        params = {"duration": elapsed(oldest.isoformat())}
        yield Symptom(_("The oldest unfinished submission has waited or run for %(duration)s."), BACKLOG, params)
    elif snapshot.consumers == 0 and snapshot.waiting_at_most > 0:
        yield Symptom(_("Submissions wait, and no judge node reads the queue."), NO_WORKER)


def _of_node(node: AnnouncedNode) -> Iterator[Symptom]:
    """Yield what needs a person on a node. A node without languages does not judge."""
    if not node.is_live and node.languages:
        yield Symptom(_("Node %(node)s judged within a day and is silent now."), SILENT, {"node": node.node})
    elif not node.is_live:
        params = {"node": node.node, "roles": ", ".join(node.facts.roles)}
        yield Symptom(_("Node %(node)s (%(roles)s) was there within a day and is silent now."), SILENT, params)
    elif node.fails_canaries:
        params = {"node": node.node, "reason": as_sentence(_canaries_say(node))}
        yield Symptom(_("Node %(node)s takes no work: its canaries fail. %(reason)s"), CANARY, params)
    for disk in node.facts.disks if node.is_live else ():
        yield from of_disk(node.node, disk)
    ahead = round(node.clock_off_s)
    if node.is_live and abs(ahead) > _MAX_CLOCK_OFF_S:
        says = _("The clock of node %(node)s is %(seconds)s s ahead of the database's.")
        if ahead < 0:
            says = _("The clock of node %(node)s is %(seconds)s s behind the database's.")
        yield Symptom(says, CLOCKS, {"node": node.node, "seconds": str(abs(ahead))})
    if node.is_live and node.isolation == Isolation.WEAK:
        yield Symptom(_("Node %(node)s contains programs weakly."), ISOLATION, {"node": node.node})


def _of_judge(node: AnnouncedNode, readiness: Readiness, named: Sequence[str]) -> Iterator[Symptom]:
    """Yield what keeps a live node from judging, unless it is named already: as a part of the node that serves the
    page, or as a server that both use."""
    for part, reason in node.facts.not_up.items() if node.is_live else ():
        is_up_here = readiness.parts.get(part, PartState.UP) is PartState.UP
        is_named = not is_up_here and (part != "sandbox" or readiness.reasons.get(part) == reason)
        if not is_named and part not in named:
            params = {"node": node.node, "part": part, "reason": as_sentence(reason)}
            yield Symptom(
                _("Node %(node)s cannot judge: %(part)s is not up. %(reason)s"), _OF_PART.get(part, ""), params
            )


def of_disk(node: str, disk: DiskUse) -> Iterator[Symptom]:
    """Yield what needs a person on a file system of a node."""
    if disk.free_bytes < min(disk.total_bytes / 10, _LOW_BYTES):
        params = {"node": node, "percent": str(disk.used_percent), "free": size(disk.free_bytes)}
        yield Symptom(_("A disk of node %(node)s is %(percent)s %% full: %(free)s are free."), DISK, params)
    if disk.free_files < min(disk.total_files / 20, _LOW_FILES):
        params = {"node": node, "free": str(disk.free_files)}
        yield Symptom(_("A disk of node %(node)s has room for %(free)s more files only (inodes)."), DISK, params)


def _canaries_say(node: AnnouncedNode) -> str:
    return "" if node.facts.canaries is None else node.facts.canaries.reason


def _is_not_dispatched(snapshot: PressureSnapshot) -> bool:
    """Return whether events have waited for long although the stream is empty."""
    outbox = snapshot.outbox
    if outbox is None or outbox.oldest_age_ms is None:
        return False
    return snapshot.lag == 0 and outbox.submitted > 0 and outbox.oldest_age_ms >= _MAX_DISPATCH_MS
