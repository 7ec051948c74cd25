"""The audit: check that each submission has exactly one final verdict by a fenced attempt, or report what is wrong.

It trusts neither the row nor the ledger. Both are written in one transaction each time, so they must agree; and the
ledger alone must show a legal history:

    claimed n ─▶ lost | given_back | finalized          then claimed n+1, or the end
    (pending or lost) ─▶ dead ─▶ requeued | discarded
    (finalized or discarded) ─▶ rejudged                claimed n+1, of the next judging

Every code of :class:`AuditFault` is stable: scripts branch on it. Unfinished submissions are counted separately, with
the age of the oldest. One page of rows is in memory at a time, and each page is one statement as of one moment, so the
system may go on working meanwhile.

Retention deletes a finished row and its part of the ledger in one statement. So deleted submissions are no exceptions,
and every remaining row has its whole history. The refusal of a late writer after that leaves a ledger line without a
row, and is no exception either. Any other line without its row is one (``row_missing``): a row deleted by hand takes a
verdict with it, and the audit must not be clean because there is less to look at.

A contest's boards are computed from its own ledger. It must say of each submission and verdict, of the contest, its
problems and its accounts, what their rows say, and its numbers must have no gap (``contest_differs``).
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from deepoj.ports.ledger import Auditor
from deepoj.words.ledger import AuditedEvent, AuditedJob

#: page sizes: submissions; and ledger events, when looking for older submissions with events after ``since``
PAGE = 1000
#: page size of ledger events when looking for events without a row: hardly any of them is returned
LINES = 5000


class AuditFault(enum.StrEnum):
    """The kinds of exceptions that a submission can have."""

    #: done, and the ledger has no verdict of this judging
    DONE_WITHOUT_VERDICT = "done_without_verdict"
    #: an earlier judging that has no verdict
    JUDGING_WITHOUT_VERDICT = "judging_without_verdict"
    #: two verdicts in one judging
    VERDICT_TWICE = "verdict_twice"
    #: the ledger has the verdict, the row is not done
    VERDICT_LOST = "verdict_lost"
    #: row, result and ledger name different verdicts, or different attempts
    VERDICT_DIFFERS = "verdict_differs"
    #: a verdict of an attempt that was never claimed, or that another node had claimed
    VERDICT_UNCLAIMED = "verdict_unclaimed"
    #: a verdict that was written at or after the end of its lease, or after the attempt had ended
    VERDICT_WITHOUT_LEASE = "verdict_without_lease"
    #: an attempt that went on after it had ended, or a claim after the verdict
    CLAIM_AFTER_VERDICT = "claim_after_verdict"
    #: an attempt claimed while the one before it still held its lease
    CLAIMS_OVERLAP = "claims_overlap"
    #: attempt numbers that do not go 1, 2, 3 …, or a row whose number is not the last claim's
    ATTEMPT_GAP = "attempt_gap"
    #: the end of an attempt that was not running, or written by a node that did not hold it
    END_UNCLAIMED = "end_unclaimed"
    #: a judging that the ledger returns to, that the row has not begun, or that was never opened
    JUDGING_ASTRAY = "judging_astray"
    #: in processing, leased by a node that is not the ledger's last claimer
    LEASE_UNCLAIMED = "lease_unclaimed"
    #: attempts used up: an administrator must decide
    DEAD_LETTER = "dead_letter"
    #: dead in the row and not in the ledger, or the reverse
    DEAD_UNACCOUNTED = "dead_unaccounted"
    #: a history without its submission
    ROW_MISSING = "row_missing"
    #: the ledger of a contest and the rows say different things: a submission or a judgement without its event, …
    CONTEST_DIFFERS = "contest_differs"


@dataclass(frozen=True, slots=True)
class Found:
    """One exception."""

    fault: AuditFault
    job_id: str
    judging: int
    attempt_id: int
    detail: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Submissions that have no verdict yet, and need none yet."""

    pending: int = 0
    processing: int = 0
    #: in processing with an expired lease: reclaim will take them over
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
class AuditReport:
    """The result of an audit. ``found`` holds the first ``keep`` exceptions, ``by_fault`` counts all."""

    keep: int
    checked: int = 0
    verdicts: int = 0
    unfinished: Unfinished = field(default_factory=Unfinished)
    found: list[Found] = field(default_factory=list)
    by_fault: Counter[AuditFault] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        return not self.by_fault

    def take(self, job: AuditedJob) -> None:
        """Count one more submission and its exceptions."""
        self.checked += 1
        if job.state == "done":
            self.verdicts += 1
        elif job.state in ("pending", "processing"):
            self.unfinished = self.unfinished.with_job(job)
        for one in faults_of(job):
            self.name(one)

    def name(self, one: Found) -> None:
        """Count one exception, and keep it while there is room."""
        self.by_fault[one.fault] += 1
        if len(self.found) < self.keep:
            self.found.append(one)


async def audit(
    auditor: Auditor, *, since: str | None = None, keep: int = 1000, progress: Callable[[int], None] = lambda _: None
) -> AuditReport:
    """Check all submissions, or those submitted or changed since an ISO 8601 time.

    Args:
      keep: how many exceptions are kept in full; all are counted.
      progress: called after each page with the number of submissions checked.

    Raises:
      StoreUnavailable: nothing is proven.
    """
    outcome = AuditReport(keep=keep)
    async for job in _jobs(auditor, since):
        outcome.take(job)
        if outcome.checked % PAGE == 0:
            progress(outcome.checked)
    async for one in _rowless(auditor, since):
        outcome.name(one)
    for contest_id in await auditor.audit_contests(since):
        for drift in await auditor.audit_contest(contest_id, PAGE):
            detail = f"contest {drift.contest}, {drift.object}: told {drift.told}, stored {drift.stored}"
            outcome.name(Found(AuditFault.CONTEST_DIFFERS, drift.job_id, 0, 0, detail))
    progress(outcome.checked)
    return outcome


async def _rowless(auditor: Auditor, since: str | None) -> AsyncIterator[Found]:
    """Yield an exception for each history without a submission."""
    start = 0 if since is None else (await auditor.audit_start(since))[1]
    reached: int | None = start
    while reached is not None:
        lines, reached = await auditor.audit_rowless(start, reached, LINES)
        for job_id, event in lines:
            detail = f"{event.event} by {event.node}, and there is no such submission"
            yield Found(AuditFault.ROW_MISSING, job_id, event.judging, event.attempt_id, detail)


async def _jobs(auditor: Auditor, since: str | None) -> AsyncIterator[AuditedJob]:
    """Yield each submission once."""
    start, ledger_start = (0, None) if since is None else await auditor.audit_start(since)
    if ledger_start is not None:
        # Older submissions with events since then.
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
    """Return every exception of one submission; pure."""
    return [*_history(job), *_row(job)]


def _exception(job: AuditedJob, fault: AuditFault, event: AuditedEvent | None, detail: str) -> Found:
    where = (job.judging, job.attempt_id) if event is None else (event.judging, event.attempt_id)
    return Found(fault, job.job_id, *where, detail)


@dataclass(slots=True)
class _LedgerState:
    """The state of the ledger's history while it is read."""

    #: the attempt that is claimed and has not ended
    open: AuditedEvent | None = None
    #: the last claim
    claim: AuditedEvent | None = None
    #: judging → its verdicts
    verdicts: dict[int, list[AuditedEvent]] = field(default_factory=dict)
    #: the last event about the job's death: dead, or the decision that ended it
    death: AuditedEvent | None = None
    #: the judging that was opened last
    judging: int = 1


def _history(job: AuditedJob) -> Iterator[Found]:
    """Check the ledger's history by itself."""
    state = _LedgerState()
    for event in job.events:
        match event.event:
            case "claimed":
                yield from _claimed(job, state, event)
            case "finalized":
                yield from _finalized(job, state, event)
            case "lost" | "given_back":
                yield from _ended(job, state, event)
            case "dead":
                if state.open is not None:
                    yield _exception(
                        job, AuditFault.CLAIMS_OVERLAP, event, f"dead while attempt {state.open.attempt_id} was open"
                    )
                state.death, state.open = event, None
            case "rejudged":
                yield from _rejudged(job, state, event)
            case "requeued" | "discarded":
                if state.death is None or (state.death.judging, state.death.attempt_id) != (
                    event.judging,
                    event.attempt_id,
                ):
                    yield _exception(
                        job, AuditFault.DEAD_UNACCOUNTED, event, f"{event.event}, but not dead by that attempt"
                    )
                state.death = None
                if event.event == "discarded":
                    state.verdicts.setdefault(event.judging, []).append(event)
    yield from _agreement(job, state)


def _claimed(job: AuditedJob, state: _LedgerState, event: AuditedEvent) -> Iterator[Found]:
    last = 0 if state.claim is None else state.claim.attempt_id
    if event.attempt_id != last + 1:
        yield _exception(
            job, AuditFault.ATTEMPT_GAP, event, f"attempt {event.attempt_id} was claimed after attempt {last}"
        )
    if event.judging != state.judging or event.judging > job.judging:
        detail = f"judging {event.judging} was claimed while {state.judging} was open, the row is at {job.judging}"
        yield _exception(job, AuditFault.JUDGING_ASTRAY, event, detail)
    if state.open is not None:
        yield _exception(
            job, AuditFault.CLAIMS_OVERLAP, event, f"claimed by {event.node} while {state.open.node} had not lost it"
        )  # fmt: skip
    if event.judging in state.verdicts:
        yield _exception(job, AuditFault.CLAIM_AFTER_VERDICT, event, f"claimed by {event.node} after the verdict")
    if state.death is not None and state.death.judging == event.judging:
        yield _exception(job, AuditFault.DEAD_UNACCOUNTED, event, "claimed after it had died, without a requeue")
    state.claim = state.open = event


def _rejudged(job: AuditedJob, state: _LedgerState, event: AuditedEvent) -> Iterator[Found]:
    if event.judging != state.judging + 1 or event.judging > job.judging:
        detail = f"judging {event.judging} was opened after judging {state.judging}, the row is at {job.judging}"
        yield _exception(job, AuditFault.JUDGING_ASTRAY, event, detail)
    if state.open is not None:
        yield _exception(
            job, AuditFault.CLAIMS_OVERLAP, event, f"opened while {state.open.node} had not lost the one before"
        )
    state.judging = event.judging


def _ended(job: AuditedJob, state: _LedgerState, event: AuditedEvent) -> Iterator[Found]:
    if event.event == "lost" and event.in_lease:
        yield _exception(job, AuditFault.CLAIMS_OVERLAP, event, f"taken from {event.node} before its lease was over")
    if state.open is None or state.open.attempt_id != event.attempt_id or state.open.node != event.node:
        yield _exception(
            job, AuditFault.END_UNCLAIMED, event, f"{event.event} by {event.node}, which did not hold that attempt"
        )
    if state.open is not None and state.open.attempt_id == event.attempt_id:
        state.open = None


def _finalized(job: AuditedJob, state: _LedgerState, event: AuditedEvent) -> Iterator[Found]:
    claim = state.claim
    if claim is None or (claim.judging, claim.attempt_id) != (event.judging, event.attempt_id):
        yield _exception(
            job, AuditFault.VERDICT_UNCLAIMED, event, f"finalized by {event.node}, not as the last claimed attempt"
        )
    elif claim.node != event.node:
        yield _exception(
            job, AuditFault.VERDICT_UNCLAIMED, event, f"claimed by {claim.node}, finalized by {event.node}"
        )
    elif state.open is None and event.judging not in state.verdicts:
        yield _exception(
            job, AuditFault.VERDICT_WITHOUT_LEASE, event, f"finalized by {event.node} after the attempt had ended"
        )
    elif not event.in_lease:
        yield _exception(
            job, AuditFault.VERDICT_WITHOUT_LEASE, event, f"finalized by {event.node} without a valid lease"
        )
    state.verdicts.setdefault(event.judging, []).append(event)
    if state.open is not None and state.open.attempt_id == event.attempt_id:
        state.open = None


def _agreement(job: AuditedJob, state: _LedgerState) -> Iterator[Found]:
    """Compare the end of the ledger with the row."""
    for judging, judging_verdicts in state.verdicts.items():
        if len(judging_verdicts) > 1:
            detail = ", ".join(f"{one.outcome} (attempt {one.attempt_id})" for one in judging_verdicts)
            yield _exception(job, AuditFault.VERDICT_TWICE, judging_verdicts[-1], f"judging {judging}: {detail}")
    if job.judging > state.judging:
        detail = f"the row is at judging {job.judging}, and none was opened after {state.judging}"
        yield _exception(job, AuditFault.JUDGING_ASTRAY, None, detail)
    for judging in range(1, job.judging):
        if judging not in state.verdicts:
            yield Found(
                AuditFault.JUDGING_WITHOUT_VERDICT, job.job_id, judging, job.attempt_id, "and a later one was begun"
            )
    last = 0 if state.claim is None else state.claim.attempt_id
    if job.attempt_id != last:
        yield _exception(
            job, AuditFault.ATTEMPT_GAP, None, f"the row is at attempt {job.attempt_id}, the last claim was {last}"
        )
    yield from _ending(job, state, state.verdicts.get(job.judging, []))


def _ending(job: AuditedJob, state: _LedgerState, judging_verdicts: list[AuditedEvent]) -> Iterator[Found]:
    dead = state.death is not None and state.death.judging == job.judging
    if dead != (job.state == "dead"):
        word = "dead" if dead else "not dead"
        yield _exception(job, AuditFault.DEAD_UNACCOUNTED, None, f"the row is {job.state}, the ledger says {word}")
    if job.state != "done":
        for one in judging_verdicts:
            yield _exception(job, AuditFault.VERDICT_LOST, one, f"{one.outcome} in the ledger, the row is {job.state}")
        if job.state == "processing" and (state.open is None or state.open.node != job.lease_owner):
            yield _exception(
                job, AuditFault.LEASE_UNCLAIMED, None, f"leased by {job.lease_owner}, which is not the last claimer"
            )
        elif job.state == "pending" and state.open is not None:
            yield _exception(
                job, AuditFault.LEASE_UNCLAIMED, state.open, f"pending, while {state.open.node} holds its last claim"
            )
    elif not judging_verdicts:
        yield _exception(
            job, AuditFault.DONE_WITHOUT_VERDICT, None, f"{job.status} in the row, no verdict in the ledger"
        )
    elif judging_verdicts[-1].outcome != job.status or judging_verdicts[-1].attempt_id != job.attempt_id:
        detail = f"{judging_verdicts[-1].outcome} of attempt {judging_verdicts[-1].attempt_id}"
        yield _exception(
            job, AuditFault.VERDICT_DIFFERS, judging_verdicts[-1], f"{detail} in the ledger, {job.status} in the row"
        )


def _row(job: AuditedJob) -> Iterator[Found]:
    """Check the row by itself."""
    if job.state == "done":
        yield from _result(job)
    if job.state == "dead":
        yield _exception(
            job, AuditFault.DEAD_LETTER, None, f"attempts used up {job.age_s:.0f} s after it was submitted, or sooner"
        )


def _result(job: AuditedJob) -> Iterator[Found]:
    """Compare the row with its result, which is all that a contestant sees."""
    if job.result_status != job.status:
        detail = f"{job.status} in the row, {job.result_status or 'no verdict'} in its result"
        yield _exception(job, AuditFault.VERDICT_DIFFERS, None, detail)
    if job.result_attempt not in (None, str(job.attempt_id)):
        detail = f"the row is at attempt {job.attempt_id}, its result is of attempt {job.result_attempt}"
        yield _exception(job, AuditFault.VERDICT_DIFFERS, None, detail)
    if job.result_job not in (None, job.job_id):
        yield _exception(job, AuditFault.VERDICT_DIFFERS, None, f"its result is of job {job.result_job}")
