"""The audit: that each submission has exactly one final verdict by a fenced attempt, or what is wrong with it.

It believes nobody: the row and the ledger are written in one transaction each time, so they must agree, and the
ledger alone must tell a legal history:

    claimed n ─▶ lost | given_back | finalized          then claimed n+1, or the end
    (pending or lost) ─▶ dead ─▶ requeued | discarded
    (finalized or discarded) ─▶ rejudged                claimed n+1, of the next judging

Every code of :class:`Fault` is stable: scripts branch on it. What is merely unfinished is counted apart, with the age
of the oldest. One page of rows is in memory at a time, each page is one statement as of one moment, so the system may
go on working meanwhile.

Retention takes a finished row and its part of the ledger in one statement, so what it deleted is no exception: it is
not there to be counted, and what is there has its whole history. What a late writer is refused after that leaves a line
of the ledger without a row, and is no exception either. Any other line without its row is one (``row_missing``): who
deletes rows by hand takes a verdict with them, and the audit must not be clean because there is less to look at.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from deepoj.ports import Auditor
from deepoj.words import AuditedEvent, AuditedJob

#: submissions in one page; events of the ledger in one page of what is older than ``since``
PAGE = 1000
#: events of the ledger in one page of the look for those without a row, of which hardly any comes back
LINES = 5000


class Fault(enum.StrEnum):
    """What can be wrong with a submission."""

    #: done, and the ledger knows no verdict of this judging
    DONE_WITHOUT_VERDICT = "done_without_verdict"
    #: an earlier judging that ended in nothing
    JUDGING_WITHOUT_VERDICT = "judging_without_verdict"
    #: two verdicts in one judging
    VERDICT_TWICE = "verdict_twice"
    #: the ledger has the verdict, the row is not done
    VERDICT_LOST = "verdict_lost"
    #: row, result and ledger name different verdicts, or different attempts
    VERDICT_DIFFERS = "verdict_differs"
    #: a verdict of an attempt that nobody claimed, or that another node had claimed
    VERDICT_UNCLAIMED = "verdict_unclaimed"
    #: a verdict that was written at or after the end of its lease, or after the attempt had ended
    VERDICT_WITHOUT_LEASE = "verdict_without_lease"
    #: an attempt that went on after it had ended, or a claim after the verdict
    CLAIM_AFTER_VERDICT = "claim_after_verdict"
    #: an attempt claimed while the one before it still held its lease
    CLAIMS_OVERLAP = "claims_overlap"
    #: attempt numbers that do not go 1, 2, 3 …, or a row whose number is not the last claim's
    ATTEMPT_GAP = "attempt_gap"
    #: an attempt that ended without being under way, or by the word of a node that did not hold it
    END_UNCLAIMED = "end_unclaimed"
    #: a judging that the ledger goes back to, that the row has not begun, or that nobody has opened
    JUDGING_ASTRAY = "judging_astray"
    #: in processing, by somebody the ledger does not know as the last claimer
    LEASE_UNCLAIMED = "lease_unclaimed"
    #: attempts used up: waits for a person
    DEAD_LETTER = "dead_letter"
    #: dead in the row and not in the ledger, or the other way round
    DEAD_UNACCOUNTED = "dead_unaccounted"
    #: a history, and no submission that it is of
    ROW_MISSING = "row_missing"


@dataclass(frozen=True, slots=True)
class Found:
    """One exception."""

    fault: Fault
    job_id: str
    judging: int
    attempt_id: int
    detail: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What has no verdict yet, and no reason to have one."""

    pending: int = 0
    processing: int = 0
    #: in processing, with a lease that is over: reclaim's
    expired: int = 0
    oldest_age_s: float | None = None

    def with_job(self, job: AuditedJob) -> Unfinished:
        processing = job.state == "processing"
        return Unfinished(
            pending=self.pending + (not processing),
            processing=self.processing + processing,
            expired=self.expired + (processing and not job.leased),
            oldest_age_s=max(self.oldest_age_s or 0.0, job.age_s),
        )


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What an audit came to. ``found`` holds the first ``keep`` exceptions, ``by_fault`` counts all."""

    keep: int
    checked: int = 0
    verdicts: int = 0
    unfinished: Unfinished = field(default_factory=Unfinished)
    found: list[Found] = field(default_factory=list)
    by_fault: Counter[Fault] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not self.by_fault

    def take(self, job: AuditedJob) -> None:
        """Counts one more submission."""
        self.checked += 1
        if job.state == "done":
            self.verdicts += 1
        elif job.state in ("pending", "processing"):
            self.unfinished = self.unfinished.with_job(job)
        for one in faults_of(job):
            self.name(one)

    def name(self, one: Found) -> None:
        """Counts one exception, and keeps it while there is room."""
        self.by_fault[one.fault] += 1
        if len(self.found) < self.keep:
            self.found.append(one)


async def audit(
    auditor: Auditor, *, since: str | None = None, keep: int = 1000, progress: Callable[[int], None] = lambda _: None
) -> Outcome:
    """Reads everything, or what was submitted or happened since an ISO 8601 time.

    Args:
      keep: how many exceptions are kept by name; all are counted.
      progress: told how many submissions have been checked, after each page.

    Raises:
      StoreUnavailable: nothing is proven.
    """
    outcome = Outcome(keep=keep)
    async for job in _jobs(auditor, since):
        outcome.take(job)
        if outcome.checked % PAGE == 0:
            progress(outcome.checked)
    async for one in _rowless(auditor, since):
        outcome.name(one)
    progress(outcome.checked)
    return outcome


async def _rowless(auditor: Auditor, since: str | None) -> AsyncIterator[Found]:
    """Each history without a submission once."""
    start = 0 if since is None else (await auditor.audit_start(since))[1]
    reached: int | None = start
    while reached is not None:
        lines, reached = await auditor.audit_rowless(start, reached, LINES)
        for job_id, event in lines:
            detail = f"{event.event} by {event.node}, and there is no such submission"
            yield Found(Fault.ROW_MISSING, job_id, event.judging, event.attempt_id, detail)


async def _jobs(auditor: Auditor, since: str | None) -> AsyncIterator[AuditedJob]:
    """Each submission once."""
    start, ledger_start = (0, None) if since is None else await auditor.audit_start(since)
    if ledger_start is not None:
        # Older submissions that something has happened to since.
        reached: int | None = ledger_start
        while reached is not None:
            older, reached = await auditor.audit_older(ledger_start, reached, start, PAGE)
            for job in older:
                yield job
    after_id = start
    while page := await auditor.audit_page(after_id, PAGE):
        for job in page:
            yield job
        after_id = page[-1].id


# ---------------------------------------------------------------------------------------------------------------------
# One submission


def faults_of(job: AuditedJob) -> list[Found]:
    """Everything that is wrong with one submission; pure."""
    return [*_history(job), *_row(job)]


def _say(job: AuditedJob, fault: Fault, event: AuditedEvent | None, detail: str) -> Found:
    where = (job.judging, job.attempt_id) if event is None else (event.judging, event.attempt_id)
    return Found(fault, job.job_id, *where, detail)


@dataclass(slots=True)
class _Walk:
    """Where the ledger's story stands while it is read."""

    #: the attempt that is claimed and has not ended
    open: AuditedEvent | None = None
    #: the last claim
    claim: AuditedEvent | None = None
    #: judging → its verdicts
    verdicts: dict[int, list[AuditedEvent]] = field(default_factory=dict)
    #: the last thing said of the job's death: dead, or what undid it
    death: AuditedEvent | None = None
    #: the judging that was opened last
    judging: int = 1


def _history(job: AuditedJob) -> Iterator[Found]:
    """What the ledger alone says."""
    walk = _Walk()
    for event in job.events:
        match event.event:
            case "claimed":
                yield from _claimed(job, walk, event)
            case "finalized":
                yield from _finalized(job, walk, event)
            case "lost" | "given_back":
                yield from _ended(job, walk, event)
            case "dead":
                if walk.open is not None:
                    yield _say(job, Fault.CLAIMS_OVERLAP, event, f"dead while attempt {walk.open.attempt_id} was open")
                walk.death, walk.open = event, None
            case "rejudged":
                yield from _rejudged(job, walk, event)
            case "requeued" | "discarded":
                if walk.death is None or (walk.death.judging, walk.death.attempt_id) != (
                    event.judging,
                    event.attempt_id,
                ):
                    yield _say(job, Fault.DEAD_UNACCOUNTED, event, f"{event.event}, and had not died with that attempt")
                walk.death = None
                if event.event == "discarded":
                    walk.verdicts.setdefault(event.judging, []).append(event)
    yield from _agreement(job, walk)


def _claimed(job: AuditedJob, walk: _Walk, event: AuditedEvent) -> Iterator[Found]:
    last = 0 if walk.claim is None else walk.claim.attempt_id
    if event.attempt_id != last + 1:
        yield _say(job, Fault.ATTEMPT_GAP, event, f"attempt {event.attempt_id} was claimed after attempt {last}")
    if event.judging != walk.judging or event.judging > job.judging:
        words = f"judging {event.judging} was claimed while {walk.judging} was open, the row is at {job.judging}"
        yield _say(job, Fault.JUDGING_ASTRAY, event, words)
    if walk.open is not None:
        yield _say(
            job, Fault.CLAIMS_OVERLAP, event, f"claimed by {event.node} while {walk.open.node} had not lost it"
        )  # fmt: skip
    if event.judging in walk.verdicts:
        yield _say(job, Fault.CLAIM_AFTER_VERDICT, event, f"claimed by {event.node} after the verdict")
    if walk.death is not None and walk.death.judging == event.judging:
        yield _say(job, Fault.DEAD_UNACCOUNTED, event, "claimed after it had died, and nobody requeued it")
    walk.claim = walk.open = event


def _rejudged(job: AuditedJob, walk: _Walk, event: AuditedEvent) -> Iterator[Found]:
    if event.judging != walk.judging + 1 or event.judging > job.judging:
        words = f"judging {event.judging} was opened after judging {walk.judging}, the row is at {job.judging}"
        yield _say(job, Fault.JUDGING_ASTRAY, event, words)
    if walk.open is not None:
        yield _say(job, Fault.CLAIMS_OVERLAP, event, f"opened while {walk.open.node} had not lost the one before")
    walk.judging = event.judging


def _ended(job: AuditedJob, walk: _Walk, event: AuditedEvent) -> Iterator[Found]:
    if event.event == "lost" and event.in_lease:
        yield _say(job, Fault.CLAIMS_OVERLAP, event, f"taken from {event.node} before its lease was over")
    if walk.open is None or walk.open.attempt_id != event.attempt_id or walk.open.node != event.node:
        yield _say(job, Fault.END_UNCLAIMED, event, f"{event.event} by {event.node}, who had no such attempt in hand")
    if walk.open is not None and walk.open.attempt_id == event.attempt_id:
        walk.open = None


def _finalized(job: AuditedJob, walk: _Walk, event: AuditedEvent) -> Iterator[Found]:
    claim = walk.claim
    if claim is None or (claim.judging, claim.attempt_id) != (event.judging, event.attempt_id):
        yield _say(job, Fault.VERDICT_UNCLAIMED, event, f"finalized by {event.node}, and not the attempt claimed last")
    elif claim.node != event.node:
        yield _say(job, Fault.VERDICT_UNCLAIMED, event, f"claimed by {claim.node}, finalized by {event.node}")
    elif walk.open is None and event.judging not in walk.verdicts:
        yield _say(job, Fault.VERDICT_WITHOUT_LEASE, event, f"finalized by {event.node} after the attempt had ended")
    elif not event.in_lease:
        yield _say(job, Fault.VERDICT_WITHOUT_LEASE, event, f"finalized by {event.node} without a valid lease")
    walk.verdicts.setdefault(event.judging, []).append(event)
    if walk.open is not None and walk.open.attempt_id == event.attempt_id:
        walk.open = None


def _agreement(job: AuditedJob, walk: _Walk) -> Iterator[Found]:
    """The ledger's end against the row."""
    for judging, said in walk.verdicts.items():
        if len(said) > 1:
            words = ", ".join(f"{one.outcome} (attempt {one.attempt_id})" for one in said)
            yield _say(job, Fault.VERDICT_TWICE, said[-1], f"judging {judging}: {words}")
    if job.judging > walk.judging:
        words = f"the row is at judging {job.judging}, and nobody has opened one after {walk.judging}"
        yield _say(job, Fault.JUDGING_ASTRAY, None, words)
    for judging in range(1, job.judging):
        if judging not in walk.verdicts:
            yield Found(Fault.JUDGING_WITHOUT_VERDICT, job.job_id, judging, job.attempt_id, "and a later one was begun")
    last = 0 if walk.claim is None else walk.claim.attempt_id
    if job.attempt_id != last:
        yield _say(job, Fault.ATTEMPT_GAP, None, f"the row is at attempt {job.attempt_id}, the last claim was {last}")
    yield from _ending(job, walk, walk.verdicts.get(job.judging, []))


def _ending(job: AuditedJob, walk: _Walk, said: list[AuditedEvent]) -> Iterator[Found]:
    dead = walk.death is not None and walk.death.judging == job.judging
    if dead != (job.state == "dead"):
        word = "dead" if dead else "not dead"
        yield _say(job, Fault.DEAD_UNACCOUNTED, None, f"the row is {job.state}, the ledger says {word}")
    if job.state != "done":
        for one in said:
            yield _say(job, Fault.VERDICT_LOST, one, f"{one.outcome} in the ledger, the row is {job.state}")
        if job.state == "processing" and (walk.open is None or walk.open.node != job.lease_owner):
            yield _say(job, Fault.LEASE_UNCLAIMED, None, f"leased by {job.lease_owner}, who is not the last claimer")
        elif job.state == "pending" and walk.open is not None:
            yield _say(job, Fault.LEASE_UNCLAIMED, walk.open, f"pending, while {walk.open.node} holds its last claim")
    elif not said:
        yield _say(job, Fault.DONE_WITHOUT_VERDICT, None, f"{job.status}, and nobody has said so")
    elif said[-1].outcome != job.status or said[-1].attempt_id != job.attempt_id:
        words = f"{said[-1].outcome} of attempt {said[-1].attempt_id}"
        yield _say(job, Fault.VERDICT_DIFFERS, said[-1], f"{words} in the ledger, {job.status} in the row")


def _row(job: AuditedJob) -> Iterator[Found]:
    """What the row alone says."""
    if job.state == "done":
        yield from _result(job)
    if job.state == "dead":
        yield _say(
            job, Fault.DEAD_LETTER, None, f"attempts used up {job.age_s:.0f} s after it was submitted, or sooner"
        )


def _result(job: AuditedJob) -> Iterator[Found]:
    """What the row and its result, which is all that a contestant sees, say of each other."""
    if job.result_status != job.status:
        words = f"{job.status} in the row, {job.result_status or 'no verdict'} in its result"
        yield _say(job, Fault.VERDICT_DIFFERS, None, words)
    if job.result_attempt not in (None, str(job.attempt_id)):
        words = f"the row is at attempt {job.attempt_id}, its result is of attempt {job.result_attempt}"
        yield _say(job, Fault.VERDICT_DIFFERS, None, words)
    if job.result_job not in (None, job.job_id):
        yield _say(job, Fault.VERDICT_DIFFERS, None, f"its result is of job {job.result_job}")
