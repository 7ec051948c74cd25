"""The history checker: checks that the records of a test are those of a system that loses and duplicates nothing.

The history contains the client's requests and answers with their times by the clock of this process. The ledger and the
rows have times of the database's clock. The two clocks are never compared.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from deepoj.words.jobs import FinalizeRefusal, State


class Answer(enum.StrEnum):
    """The outcome of one try to submit."""

    ACCEPTED = "accepted"
    #: the request was invalid: no submission may exist
    REFUSED = "refused"
    #: an error of the server (5xx, 429), or no answer: the submission may exist or not
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Try:
    """One POST. ``key``: the Idempotency-Key, the same for all tries of one program. ``text``: the answer."""

    key: str
    expected: str
    begun_s: float
    ended_s: float
    answer: Answer
    job_id: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answered GET of a status. ``state`` is empty if the answer was 404."""

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
    """A submission at the end of the test. ``result_*``: fields of the stored result."""

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
    """A row of the ledger, ordered by ``id``."""

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
    """All records that the checker reads."""

    tries: list[Try] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    rows: Sequence[Row] = ()
    ledger: Sequence[Line] = ()


class Wrong(enum.StrEnum):
    """Kinds of violations."""

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
    FEED = "event feed"
    BOARD = "scoreboard"


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One violation, with its explanation in ``words``."""

    wrong: Wrong
    job_id: str
    words: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.job_id} {self.words}"


def check(history: History) -> list[Violation]:
    """Return every violation once. Empty: nothing was lost or duplicated."""
    violations: set[Violation] = set()
    violations.update(_accepted(history))
    violations.update(_refused(history))
    violations.update(_watched(history))
    lines: dict[str, list[Line]] = defaultdict(list)
    for line in sorted(history.ledger, key=lambda line: line.id):
        lines[line.job_id].append(line)
    rows = {row.job_id: row for row in history.rows}
    for job_id in lines.keys() | rows.keys():
        violations.update(_verdict(job_id, rows.get(job_id), lines[job_id]))
        violations.update(_leases(job_id, lines[job_id]))
        violations.update(_writes(job_id, lines[job_id]))
    return sorted(violations)


# ---------------------------------------------------------------------------------------------------------------------
# Checks of the client's records


def _accepted(history: History) -> Iterator[Violation]:
    """Check that each accepted submission exists once, with the reported id and the expected verdict."""
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in history.rows:
        by_key[row.key].append(row)
    accepted_ids: dict[str, set[str]] = defaultdict(set)
    expected: dict[str, str] = {}
    for attempt in history.tries:
        expected[attempt.key] = attempt.expected
        if attempt.answer is Answer.ACCEPTED:
            accepted_ids[attempt.key].add(attempt.job_id)
    for key, rows in by_key.items():
        if len(rows) > 1:
            yield Violation(Wrong.DOUBLED, rows[0].job_id, f"{len(rows)} submissions of {key}")
        if key not in expected:
            yield Violation(Wrong.UNEXPLAINED, rows[0].job_id, f"no client submitted {key}")
    for key, job_ids in accepted_ids.items():
        if len(job_ids) > 1:
            yield Violation(Wrong.DOUBLED, min(job_ids), f"{key} was accepted as {len(job_ids)} jobs")
        for job_id in job_ids - {row.job_id for row in by_key[key]}:
            yield Violation(Wrong.LOST, job_id, f"{key} was accepted and does not exist")
    for row in history.rows:
        yield from _right(row, expected.get(row.key, row.status))


def _right(row: Row, expected: str) -> Iterator[Violation]:
    if row.state == State.DEAD:
        yield Violation(Wrong.DEAD, row.job_id, "attempts are used up")
    elif row.state != State.DONE:
        yield Violation(Wrong.LOST, row.job_id, f"no verdict at the end: {row.state}, attempt {row.attempt_id}")
    elif row.status != expected:
        yield Violation(Wrong.WRONG_VERDICT, row.job_id, f"{row.status}, not {expected}")


def _refused(history: History) -> Iterator[Violation]:
    """Check that submissions of which all tries were refused do not exist."""
    refused = {attempt.key for attempt in history.tries if attempt.answer is Answer.REFUSED}
    maybe_accepted = {attempt.key for attempt in history.tries if attempt.answer is not Answer.REFUSED}
    for row in history.rows:
        if row.key in refused - maybe_accepted:
            yield Violation(Wrong.REFUSED_WRITE, row.job_id, f"{row.key} was refused to the client and exists")


def _watched(history: History) -> Iterator[Violation]:
    """Check that a reported verdict never changes in later reads. Concurrent reads may be answered in any order."""
    accepted: dict[str, float] = {}
    for attempt in history.tries:
        if attempt.answer is Answer.ACCEPTED:
            accepted[attempt.job_id] = min(attempt.ended_s, accepted.get(attempt.job_id, attempt.ended_s))
    verdicts: dict[str, str] = {row.job_id: row.status for row in history.rows if row.state == State.DONE}
    known: dict[str, float] = {}
    for seen in sorted((seen for seen in history.seen if seen.final), key=lambda seen: seen.ended_s):
        known.setdefault(seen.job_id, seen.ended_s)
        verdict = verdicts.setdefault(seen.job_id, seen.status)
        if verdict != seen.status:
            yield Violation(Wrong.CHANGED, seen.job_id, f"{seen.status} and {verdict}")
    for seen in history.seen:
        if not seen.final and seen.begun_s > known.get(seen.job_id, seen.begun_s):
            yield Violation(
                Wrong.VANISHED, seen.job_id, f"{seen.state or 'not found'} at {seen.node} after its verdict"
            )
        elif not seen.state and seen.begun_s > accepted.get(seen.job_id, seen.begun_s):
            yield Violation(Wrong.VANISHED, seen.job_id, f"not found at {seen.node} after it was accepted")


# ---------------------------------------------------------------------------------------------------------------------
# Checks of the ledger


def _of(lines: Iterable[Line], event: str) -> list[Line]:
    return [line for line in lines if line.event == event]


def _verdict(job_id: str, row: Row | None, lines: Sequence[Line]) -> Iterator[Violation]:
    """Check that each judging has one verdict, by a claimed attempt, and that the row has the last one."""
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
            yield Violation(Wrong.DOUBLED, job_id, f"it continued after the verdict of attempt {final.attempt_id}")
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
    """Check that attempts do not overlap: each ends, or is lost after its lease, before the next claim."""
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
                    words = f"attempt {line.attempt_id} of {line.node} was taken over although its lease was valid"
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
    """Check that refused writes had no effect. An earlier effect of the same attempt may explain the refusal."""
    done = {line.attempt_id: line for line in lines if line.event in ("finalized", "given_back")}
    for line in _of(lines, "refused"):
        effect = done.get(line.attempt_id)
        if effect is None or (effect.id < line.id and _explained(effect, line)):
            continue
        words = f"attempt {line.attempt_id} was refused ({line.outcome}) and is {effect.event} nevertheless"
        yield Violation(Wrong.REFUSED_WRITE, job_id, words)


def _explained(effect: Line, refusal: Line) -> bool:
    """Return whether the refusal is that of a repeated write whose first answer was lost."""
    if effect.event == "finalized":
        return refusal.outcome in (FinalizeRefusal.ALREADY_FINISHED, FinalizeRefusal.STALE_ATTEMPT)
    return True  # given back; by now it is pending, or claimed or finished by another attempt: a correct refusal
