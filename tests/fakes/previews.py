"""``MemoryPreviews``: the previews of rejudges of a ``MemoryStore``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deepoj.ports.previews import PreviewSweep
from deepoj.words.admin_events import AdminAct
from deepoj.words.background import SetterQuota
from deepoj.words.jobs import State
from deepoj.words.previews import (
    MAX_JOBS,
    OPEN,
    UNDECIDED_S,
    PastRejudge,
    Preview,
    PreviewChange,
    PreviewClaim,
    PreviewFailure,
    PreviewOutcome,
    PreviewRefusal,
    PreviewState,
)
from deepoj.words.rejudges import RejudgeScope, VerdictChange
from deepoj.words.results import Verdict
from tests.fakes.background import MemoryBackgroundLeases, why_not_taken

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


@dataclass
class PreviewJobRow:
    """One row of ``preview_jobs``; ``*_at`` are readings of the store's clock."""

    place: int
    job_id: str
    judging: int
    base_attempt_id: int
    old_status: str
    old_score: float | None
    language: str
    due_at: float
    changed_at: float
    state: str = "pending"
    attempt_id: int = 0
    attempts: int = 0
    lease_owner: str | None = None
    avoid_owner: str | None = None
    avoid_until: float = 0.0
    outcome: PreviewOutcome = field(default_factory=PreviewOutcome)
    is_applied: bool = False

    @property
    def is_unfinished(self) -> bool:
        return self.state != "done"

    @property
    def is_changed(self) -> bool:
        found = self.outcome
        return found.status is not None and (found.status != self.old_status or found.score != self.old_score)

    def end(self, outcome: PreviewOutcome | None = None) -> None:
        """End it without an outcome of a node."""
        self.state, self.lease_owner = "done", None
        if outcome is not None:
            self.outcome = outcome


@dataclass
class PreviewRow:
    """One row of ``previews``."""

    id: int
    problem_id: int
    problem_version: int
    in_full: bool
    scope: RejudgeScope
    ordered_by: int
    created_at: float
    jobs: list[PreviewJobRow]
    state: PreviewState = PreviewState.RUNNING
    judged_at: float | None = None
    decided_by: int | None = None
    decided_at: float | None = None
    submissions: int = 0
    applied: int = 0

    def __post_init__(self) -> None:
        self.submissions = len(self.jobs)

    @property
    def left_out(self) -> int:
        return self.submissions - self.applied if self.state is PreviewState.APPLIED else 0


@dataclass
class MemoryPreviews(MemoryBackgroundLeases[PreviewClaim, PreviewJobRow]):
    """``ports.Previews`` and ``ports.PreviewLeases`` in memory."""

    memory: MemoryStore
    kept: list[PreviewRow]

    async def start_preview(
        self, problem_id: int, *, by: int, in_full: bool, scope: RejudgeScope, quota: SetterQuota | None = None
    ) -> Preview | PreviewRefusal:
        problem = await self.memory.problem(problem_id)
        if problem is None:
            return PreviewRefusal.UNKNOWN
        standing = next((one for one in self.kept if one.problem_id == problem_id and one.state in OPEN), None)
        if standing is not None and standing.problem_version == problem.version:
            if (standing.scope, standing.in_full) == (scope, in_full):
                return self._shown(standing)
            if standing.state is PreviewState.RUNNING:
                return PreviewRefusal.ANOTHER
        if quota is not None and self._running_of(quota.setter, problem_id) >= quota.most:
            return PreviewRefusal.QUOTA
        now = self.memory.clock()
        rows = [
            row
            for row in self.memory.rows.values()
            if row.draft.problem_id == problem_id and row.state is State.DONE and not row.is_erased
            if self.memory._asked(row, scope)
        ]
        if not rows or len(rows) > MAX_JOBS:
            return PreviewRefusal.TOO_MANY if rows else PreviewRefusal.EMPTY
        if standing is not None:
            self._cancel(standing, by)
        jobs = [
            PreviewJobRow(
                place, row.job_id, row.judging, row.attempt_id, row.status, (row.result or {}).get("score"),
                row.draft.language, now, now,
            )
            for place, row in enumerate(sorted(rows, key=lambda row: row.id), 1)
        ]  # fmt: skip
        number = self.memory._take_id("preview")
        self.kept.append(PreviewRow(number, problem_id, problem.version, in_full, scope, by, now, jobs))
        filters = {
            "verdict": scope.verdict and scope.verdict.value, "language": scope.language,
            "since": scope.since and scope.since.isoformat(), "until": scope.until and scope.until.isoformat(),
        }  # fmt: skip
        named = {name: value for name, value in filters.items() if value is not None}
        self._log(
            by, AdminAct.PREVIEW_STARTED, problem_id, preview=number, submissions=len(jobs), in_full=in_full, **named
        )
        return self._shown(self.kept[-1])

    async def apply_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        problem, one = await self.memory.problem(problem_id), self._one(problem_id, preview_id)
        if one is None or problem is None:
            return PreviewRefusal.UNKNOWN
        if one.state is PreviewState.CANCELLED:
            return PreviewRefusal.ENDED
        is_current = problem.version == one.problem_version
        if one.state is PreviewState.OUTDATED or (one.state in OPEN and not is_current):
            return PreviewRefusal.OUTDATED
        if one.state is PreviewState.RUNNING:
            return PreviewRefusal.NOT_READY
        if one.state is PreviewState.READY:
            for job in one.jobs:
                self._apply(one, job, by)
            one.state, one.decided_by, one.decided_at = PreviewState.APPLIED, by, self.memory.clock()
            one.applied = sum(job.is_applied for job in one.jobs)
            counts = {"submissions": one.applied, "left_out": one.left_out}
            self._log(by, AdminAct.PREVIEW_APPLIED, problem_id, preview=one.id, **counts)
            self._notify(one)
        return self._shown(one)

    def _apply(self, one: PreviewRow, job: PreviewJobRow, by: int) -> None:
        memory, row, found = self.memory, self.memory.rows.get(job.job_id), job.outcome
        if row is None or found.status is None or row.state is not State.DONE or row.is_erased:
            return
        if (row.judging, row.attempt_id) != (job.judging, job.base_attempt_id):
            return
        memory._keep_verdict(row, in_full=one.in_full)
        row.judging, row.judging_attempts, row.attempt_id = row.judging + 1, 1, row.attempt_id + 1
        row.error_code = row.error_message = row.avoid_owner = None
        row.deduplicates, row.updated_at, job.is_applied = False, memory.clock(), True
        row.status, row.result = found.status, json.loads(json.dumps(found.result))
        for event, owner in (
            ("rejudged", self._name(by)),
            ("claimed", job.lease_owner),
            ("finalized", job.lease_owner),
        ):
            memory._note_preview(row, event, one.id, owner=owner, isolation=found.isolation)
        memory._call_back(row)
        memory._mark(row, memory.rows.values())

    async def cancel_preview(self, problem_id: int, preview_id: int, *, by: int) -> Preview | PreviewRefusal:
        await self.memory.problem(problem_id)
        one = self._one(problem_id, preview_id)
        if one is None:
            return PreviewRefusal.UNKNOWN
        refusals = {PreviewState.APPLIED: PreviewRefusal.ENDED, PreviewState.OUTDATED: PreviewRefusal.OUTDATED}
        if one.state in refusals:
            return refusals[one.state]
        if one.state in OPEN:
            self._cancel(one, by)
        return self._shown(one)

    async def preview(self, problem_id: int, preview_id: int) -> Preview | None:
        await self.memory.problem(problem_id)
        one = self._one(problem_id, preview_id)
        return None if one is None else self._shown(one)

    async def preview_verdicts(self, preview_id: int) -> list[VerdictChange]:
        await self.memory.problem(0)
        jobs = [job for one in self.kept if one.id == preview_id for job in one.jobs]
        counts = Counter((job.old_status, job.outcome.status) for job in jobs)
        scores = Counter(
            job.old_status
            for job in jobs
            if job.old_status == job.outcome.status and job.old_score != job.outcome.score
        )
        found = [
            VerdictChange(before, after, count, scores[before] if before == after else 0)
            for (before, after), count in counts.items()
        ]
        return sorted(found, key=lambda it: (-it.count, it.before, it.after or "~"))

    async def preview_failures(self, preview_id: int, limit: int) -> list[PreviewFailure]:
        await self.memory.problem(0)
        jobs = [job.outcome for one in self.kept if one.id == preview_id for job in one.jobs]
        counts = Counter(found.why for found in jobs if found.status is None and found.why)
        found = [PreviewFailure(why, count) for why, count in counts.items()]
        return sorted(found, key=lambda it: (-it.count, it.why))[:limit]

    async def preview_changes(self, preview_id: int, limit: int) -> list[PreviewChange]:
        await self.memory.problem(0)
        jobs = [job for one in self.kept if one.id == preview_id for job in one.jobs if job.is_changed]
        return [
            PreviewChange(
                job_id=job.job_id, username=self._name(self.memory.rows[job.job_id].draft.user_id) or "",
                before=job.old_status, after=job.outcome.status or "", score_before=job.old_score,
                score_after=job.outcome.score, is_applied=job.is_applied,
            )
            for job in jobs[::-1][:limit]
        ]  # fmt: skip

    async def past_rejudges(self, problem_id: int, limit: int) -> list[PastRejudge]:
        await self.memory.problem(problem_id)
        orders = [
            (it.ordered_at, PastRejudge(
                preview_id=None, by=it.order.ordered_by, at=self.memory._dated(it.ordered_at).isoformat(),
                state=PreviewState.APPLIED if it.order.finished else PreviewState.RUNNING,
                problem_version=it.order.problem_version, in_full=it.order.in_full, scope=it.order.scope,
                submissions=it.order.submissions, rejudged=it.order.opened,
            ))
            for it in self.memory.orders if it.order.problem_id == problem_id
        ]  # fmt: skip
        previews = [
            (one.created_at, PastRejudge(
                preview_id=one.id, by=self._name(one.ordered_by), at=self.memory._dated(one.created_at).isoformat(),
                state=one.state, problem_version=one.problem_version, in_full=one.in_full, scope=one.scope,
                submissions=one.submissions, rejudged=one.applied,
            ))
            for one in self.kept if one.problem_id == problem_id
        ]  # fmt: skip
        found = sorted(orders + previews, key=lambda it: (it[0], it[1].preview_id or 0), reverse=True)
        return [past for _, past in found[:limit]]

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> PreviewClaim | None:
        await self.memory.problem(0)
        now = self.memory.clock()
        due = (
            (one, job)
            for one in self.kept
            for job in one.jobs
            if job.is_unfinished and job.due_at <= now and job.attempts < max_attempts and job.language in languages
            if job.avoid_owner != owner or job.avoid_until <= now
        )
        one, job = next(due, (None, None))
        if one is None or job is None:
            return None
        self._begin(job, owner, lease_s)
        row = self.memory.rows[job.job_id]
        reuses = not one.in_full and row.judging == job.judging and row.status != Verdict.SYSTEM_ERROR
        return PreviewClaim(
            batch_id=one.id, place=job.place, attempt_id=job.attempt_id, attempts=job.attempts, lease_owner=owner,
            problem_id=one.problem_id, problem_version=one.problem_version, language=job.language, code=row.draft.code,
            entry_point=row.draft.entry_point, beside=row.draft.beside, job_id=job.job_id, trace_id=row.draft.trace_id,
            base_attempt_id=job.base_attempt_id, former=row.result if reuses else None,
        )  # fmt: skip

    async def give_back(self, claim: PreviewClaim, *, counts: bool, delay_s: float) -> bool:
        is_given_back = await super().give_back(claim, counts=counts, delay_s=delay_s)
        job = self._row(claim)
        if is_given_back and job is not None:
            job.avoid_owner = claim.lease_owner if counts else None
            job.avoid_until = self.memory.clock() + delay_s + 60.0
        return is_given_back

    async def finish(self, claim: PreviewClaim, outcome: PreviewOutcome) -> bool:
        await self.memory.problem(0)
        job = self._held(claim)
        if job is None:
            job = self._row(claim)
            return job is not None and not job.is_unfinished and job.lease_owner == claim.lease_owner
        job.state, job.outcome, job.changed_at = "done", outcome, self.memory.clock()
        self._notify(next(one for one in self.kept if one.id == claim.batch_id))
        return True

    async def sweep_previews(self, max_attempts: int, max_wait_s: float, keep_s: float) -> PreviewSweep:
        await self.memory.problem(0)
        now, ended = self.memory.clock(), 0
        changes = [job.changed_at for one in self.kept for job in one.jobs]
        live = self.memory.live_now()
        is_idle = live is not None and max(changes, default=now) <= now - max_wait_s
        for one in [row for row in self.kept if row.state in OPEN]:
            problem = await self.memory.problem(one.problem_id)
            if problem is None or problem.version != one.problem_version:
                for job in one.jobs:
                    job.end()
                one.state, one.judged_at, ended = PreviewState.OUTDATED, now, ended + 1
                self._notify(one)
                continue
            for job in one.jobs:
                if job.is_unfinished and job.due_at <= now and (job.attempts >= max_attempts or is_idle):
                    is_used_up = job.attempts >= max_attempts
                    why = "each node that tried stopped answering" if is_used_up else why_not_taken(job.language, live)
                    job.end(PreviewOutcome(why=why))
            waiting = [job for job in one.jobs if job.is_unfinished and job.attempts < max_attempts]
            if live is None and waiting:
                waiting[0].changed_at = now
            if one.state is PreviewState.RUNNING and not any(job.is_unfinished for job in one.jobs):
                one.state, one.judged_at, ended = PreviewState.READY, now, ended + 1
                self._notify(one)
        for one in self.kept:
            if one.state is PreviewState.READY and one.judged_at is not None and one.judged_at < now - UNDECIDED_S:
                for job in one.jobs:
                    job.outcome = replace(job.outcome, result=None)
                one.state, one.decided_at, ended = PreviewState.CANCELLED, now, ended + 1
                self._notify(one)
        self.kept[:] = [one for one in self.kept if one.created_at >= now - keep_s]
        return PreviewSweep(ended, sum(one.state is PreviewState.RUNNING for one in self.kept))

    # -- inside

    def forget_jobs(self, gone: set[str]) -> None:
        """Delete the rows of submissions that are deleted."""
        for one in self.kept:
            one.jobs[:] = [job for job in one.jobs if job.job_id not in gone]

    def drop_source(self, job_id: str) -> None:
        """End what needs or quotes the source of an erased submission."""
        for job in (job for one in self.kept for job in one.jobs if job.job_id == job_id):
            if job.is_unfinished or job.outcome.result is not None:
                job.end(PreviewOutcome(why="its source was erased"))

    def _one(self, problem_id: int, preview_id: int) -> PreviewRow | None:
        return next((one for one in self.kept if (one.problem_id, one.id) == (problem_id, preview_id)), None)

    def _running_of(self, setter: int, but: int) -> int:
        made = {number for number, problem in self.memory._problems.items() if problem.created_by == setter}
        return sum(one.problem_id in made - {but} for one in self.kept if one.state is PreviewState.RUNNING)

    def _cancel(self, one: PreviewRow, by: int) -> None:
        for job in one.jobs:
            job.end()
        one.state, one.decided_by, one.decided_at = PreviewState.CANCELLED, by, self.memory.clock()
        self._log(by, AdminAct.PREVIEW_CANCELLED, one.problem_id, preview=one.id)
        self._notify(one)

    def _rows(self, batch_id: int) -> list[PreviewJobRow]:
        return next((one.jobs for one in self.kept if one.id == batch_id), [])

    def _name(self, user_id: int | None) -> str | None:
        found = None if user_id is None else self.memory._users.get(user_id)
        return None if found is None else found.user.username

    def _log(self, by: int, act: AdminAct, problem_id: int, **details: object) -> None:
        self.memory._log(self._name(by), act, problem_id, **details)

    def _notify(self, one: PreviewRow) -> None:
        self.memory._notify_live(f"preview-{one.id}")

    def _shown(self, one: PreviewRow) -> Preview:
        def iso(at: float | None) -> str | None:
            return None if at is None else self.memory._dated(at).isoformat()

        return Preview(
            id=one.id, problem_id=one.problem_id, problem_version=one.problem_version, in_full=one.in_full,
            scope=one.scope, ordered_by=self._name(one.ordered_by), decided_by=self._name(one.decided_by),
            state=one.state, created_at=self.memory._dated(one.created_at).isoformat(), judged_at=iso(one.judged_at),
            decided_at=iso(one.decided_at), submissions=one.submissions,
            ended=sum(not job.is_unfinished for job in one.jobs),
            judged=sum(job.outcome.status is not None for job in one.jobs),
            changed=sum(job.is_changed for job in one.jobs), applied=one.applied, left_out=one.left_out,
        )  # fmt: skip
