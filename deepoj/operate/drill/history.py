"""What was seen and what was written down, and whether the two can be true of a system that loses and doubles nothing.

The history is the client's: what it sent and when, what it was told and when, on the clock of this process. The ledger
and the rows are the database's, on the database's clock. Nothing here compares the one clock with the other.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from deepoj.words.jobs import FinalizeRefusal, State


class Answer(enum.StrEnum):
    """What came of one try to submit."""

    ACCEPTED = "accepted"
    #: a clear no, after which nothing may stand: the request itself was wrong
    REFUSED = "refused"
    #: trouble of ours (5xx, 429), or no answer: it may have happened or not
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Try:
    """One POST. ``key`` is the Idempotency-Key: all tries of one program carry the same."""

    key: str
    expected: str
    begun_s: float
    ended_s: float
    answer: Answer
    job_id: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One GET of a status that was answered. ``state`` is empty when the answer was 404."""

    job_id: str
    begun_s: float
    ended_s: float
    state: str
    status: str
    node: str = ""

    @property
    def final(self) -> bool:
        return self.state in (State.DONE, State.DEAD)


@dataclass(frozen=True, slots=True)
class Row:
    """A submission as it stands in the end. ``result_*`` is what the stored result says of itself."""

    job_id: str
    key: str
    state: str
    status: str
    judging: int
    attempt_id: int
    result_status: str | None
    result_attempt: int | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the ledger, in the order of ``id``."""

    id: int
    job_id: str
    judging: int
    attempt_id: int
    event: str
    node: str
    at: dt.datetime
    lease_until: dt.datetime | None = None
    outcome: str = ""


@dataclass(slots=True)
class History:
    """Everything the checker looks at."""

    tries: list[Try] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    rows: Sequence[Row] = ()
    ledger: Sequence[Line] = ()


class Wrong(enum.StrEnum):
    """What can be wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    WRONG_VERDICT = "wrong verdict"
    UNEXPLAINED = "unexplained verdict"
    REFUSED_WRITE = "refused write took effect"
    OVERLAP = "overlap of leases"
    LATE_WRITE = "write after the lease"
    CHANGED = "verdict changed"
    VANISHED = "verdict vanished"
    DEAD = "dead"
    AUDIT = "audit"
    FELL = "node fell"
    ODD = "odd answer"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    wrong: Wrong
    job_id: str
    words: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.job_id} {self.words}"


def check(history: History) -> list[Violation]:
    """Every violation, each once; empty: nothing lost, nothing doubled."""
    found: set[Violation] = set()
    found.update(_accepted(history))
    found.update(_refused(history))
    found.update(_watched(history))
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in sorted(history.ledger, key=lambda line: line.id):
        lines[line.job_id].append(line)
    rows = {row.job_id: row for row in history.rows}
    for job_id in lines.keys() | rows.keys():
        found.update(_verdict(job_id, rows.get(job_id), lines[job_id]))
        found.update(_leases(job_id, lines[job_id]))
        found.update(_writes(job_id, lines[job_id]))
    return sorted(found)


# ---------------------------------------------------------------------------------------------------------------------
# What the client was told


def _accepted(history: History) -> Iterator[Violation]:
    """Each accepted submission is there, once, under the id that was told, with the right verdict."""
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in history.rows:
        by_key[row.key].append(row)
    told: dict[str, set[str]] = defaultdict(set)
    expected: dict[str, str] = {}
    for one in history.tries:
        expected[one.key] = one.expected
        if one.answer is Answer.ACCEPTED:
            told[one.key].add(one.job_id)
    for key, rows in by_key.items():
        if len(rows) > 1:
            yield Violation(Wrong.DOUBLED, rows[0].job_id, f"{len(rows)} submissions of {key}")
        if key not in expected:
            yield Violation(Wrong.UNEXPLAINED, rows[0].job_id, f"no client submitted {key}")
    for key, job_ids in told.items():
        if len(job_ids) > 1:
            yield Violation(Wrong.DOUBLED, min(job_ids), f"{key} was accepted as {len(job_ids)} jobs")
        for job_id in job_ids - {row.job_id for row in by_key[key]}:
            yield Violation(Wrong.LOST, job_id, f"{key} was accepted and is not there")
    for row in history.rows:
        yield from _right(row, expected.get(row.key, row.status))


def _right(row: Row, expected: str) -> Iterator[Violation]:
    if row.state == State.DEAD:
        yield Violation(Wrong.DEAD, row.job_id, "attempts are used up")
    elif row.state != State.DONE:
        yield Violation(Wrong.LOST, row.job_id, f"no verdict in the end: {row.state}, attempt {row.attempt_id}")
    elif row.status != expected:
        yield Violation(Wrong.WRONG_VERDICT, row.job_id, f"{row.status}, not {expected}")


def _refused(history: History) -> Iterator[Violation]:
    """What was clearly refused, and never taken, is not there."""
    refused = {one.key for one in history.tries if one.answer is Answer.REFUSED}
    taken = {one.key for one in history.tries if one.answer is not Answer.REFUSED}
    for row in history.rows:
        if row.key in refused - taken:
            yield Violation(Wrong.REFUSED_WRITE, row.job_id, f"{row.key} was refused to the client and is there")


def _watched(history: History) -> Iterator[Violation]:
    """Check that a reported verdict never changes in later reads. Concurrent reads may be answered in any order."""
    accepted: dict[str, float] = {}
    for one in history.tries:
        if one.answer is Answer.ACCEPTED:
            accepted[one.job_id] = min(one.ended_s, accepted.get(one.job_id, one.ended_s))
    verdicts: dict[str, str] = {row.job_id: row.status for row in history.rows if row.state == State.DONE}
    known: dict[str, float] = {}
    for seen in sorted((seen for seen in history.seen if seen.final), key=lambda seen: seen.ended_s):
        known.setdefault(seen.job_id, seen.ended_s)
        before = verdicts.setdefault(seen.job_id, seen.status)
        if before != seen.status:
            yield Violation(Wrong.CHANGED, seen.job_id, f"{seen.status} and {before}")
    for seen in history.seen:
        if not seen.final and seen.begun_s > known.get(seen.job_id, seen.begun_s):
            yield Violation(
                Wrong.VANISHED, seen.job_id, f"{seen.state or 'not found'} at {seen.node} after its verdict"
            )
        elif not seen.state and seen.begun_s > accepted.get(seen.job_id, seen.begun_s):
            yield Violation(Wrong.VANISHED, seen.job_id, f"not found at {seen.node} after it was accepted")


# ---------------------------------------------------------------------------------------------------------------------
# What the ledger says


def _of(lines: Iterable[Line], event: str) -> list[Line]:
    return [line for line in lines if line.event == event]


def _verdict(job_id: str, row: Row | None, lines: Sequence[Line]) -> Iterator[Violation]:
    """One verdict for each judging, by an attempt that was claimed, and it is the one that stands."""
    finals = _of(lines, "finalized")
    claims = {(line.judging, line.attempt_id) for line in _of(lines, "claimed")}
    for judging in {line.judging for line in finals}:
        count = sum(line.judging == judging for line in finals)
        if count > 1:
            yield Violation(Wrong.DOUBLED, job_id, f"{count} verdicts of judging {judging}")
    for final in finals:
        if (final.judging, final.attempt_id) not in claims:
            yield Violation(Wrong.UNEXPLAINED, job_id, f"attempt {final.attempt_id} was never claimed")
        if any(line.event in ("claimed", "lost", "given_back") and line.id > final.id and line.judging == final.judging
               for line in lines):  # fmt: skip
            yield Violation(Wrong.DOUBLED, job_id, f"it went on after the verdict of attempt {final.attempt_id}")
    if row is None or row.state != State.DONE:
        return
    last = next((line for line in reversed(finals) if line.judging == row.judging), None)
    if last is None:
        yield Violation(Wrong.UNEXPLAINED, job_id, f"{row.status} without a line in the ledger")
    elif (last.attempt_id, last.outcome) != (row.attempt_id, row.status):
        words = f"{row.status} of attempt {row.attempt_id}, but the ledger has {last.outcome} of {last.attempt_id}"
        yield Violation(Wrong.UNEXPLAINED, job_id, words)
    if (row.result_attempt, row.result_status) != (row.attempt_id, row.status):
        words = f"{row.status} of attempt {row.attempt_id}, but its result is {row.result_status} of"
        yield Violation(Wrong.UNEXPLAINED, job_id, f"{words} {row.result_attempt}")


def _leases(job_id: str, lines: Sequence[Line]) -> Iterator[Violation]:
    """Attempts come one after the other: before the next claim the last one was lost, its lease over, or given back."""
    holder: Line | None = None
    latest = 0
    for line in lines:
        match line.event:
            case "claimed":
                if holder is not None:
                    words = f"attempt {line.attempt_id} was claimed while attempt {holder.attempt_id} held it"
                    yield Violation(Wrong.OVERLAP, job_id, words)
                if line.attempt_id != latest + 1:
                    yield Violation(Wrong.OVERLAP, job_id, f"attempt {line.attempt_id} came after attempt {latest}")
                if line.lease_until is None or line.lease_until <= line.at:
                    yield Violation(Wrong.OVERLAP, job_id, f"attempt {line.attempt_id} was claimed without a lease")
                holder, latest = line, line.attempt_id
            case "lost":
                if holder is None or holder.attempt_id != line.attempt_id:
                    yield Violation(Wrong.OVERLAP, job_id, f"attempt {line.attempt_id} was lost and did not hold it")
                elif line.lease_until is None or line.lease_until > line.at:
                    words = f"attempt {line.attempt_id} of {line.node} was robbed: its lease was valid"
                    yield Violation(Wrong.OVERLAP, job_id, words)
                holder = None
            case "given_back" | "finalized":
                if holder is None or (holder.attempt_id, holder.node) != (line.attempt_id, line.node):
                    yield Violation(Wrong.OVERLAP, job_id, f"{line.event} by attempt {line.attempt_id}, not the holder")
                elif line.lease_until is None or line.lease_until <= line.at:
                    yield Violation(Wrong.LATE_WRITE, job_id, f"{line.event} by attempt {line.attempt_id}")
                holder = None
            case "dead":
                holder = None


def _writes(job_id: str, lines: Sequence[Line]) -> Iterator[Violation]:
    """What an attempt was refused it has not done, before or after; only a verdict of its own may explain the no."""
    done = {line.attempt_id: line for line in lines if line.event in ("finalized", "given_back")}
    for line in _of(lines, "refused"):
        effect = done.get(line.attempt_id)
        if effect is None or (effect.id < line.id and _explained(effect, line)):
            continue
        words = f"attempt {line.attempt_id} was refused ({line.outcome}) and is {effect.event} all the same"
        yield Violation(Wrong.REFUSED_WRITE, job_id, words)


def _explained(effect: Line, refusal: Line) -> bool:
    """Said again by somebody who had not heard that it was done."""
    if effect.event == "finalized":
        return refusal.outcome in (FinalizeRefusal.ALREADY_FINISHED, FinalizeRefusal.STALE_ATTEMPT)
    return True  # given back, and by now pending, held by another or finished by another: each a proper no
