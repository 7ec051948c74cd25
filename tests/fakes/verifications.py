"""``MemoryVerifications``: the verifications of a ``MemoryStore``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepoj.judging.promises import Kept
from deepoj.judging.verifications import (
    ExampleDraft,
    ExampleOutcome,
    Verification,
    VerificationDraft,
    VerificationState,
    VerifiedExample,
    WorstTime,
    example_json,
)
from deepoj.words.admin_events import AdminAct
from deepoj.words.background import SetterQuota
from deepoj.words.results import Verdict
from deepoj.words.sources import Sources
from deepoj.words.verifications import ExampleClaim, VerificationRefusal
from tests.fakes.background import MemoryBackgroundLeases, why_not_taken

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


@dataclass
class ExampleRow:
    """One row of ``verified_examples``; ``*_at`` are readings of the store's clock."""

    place: int
    draft: ExampleDraft
    due_at: float
    changed_at: float
    state: str = "pending"
    attempt_id: int = 0
    attempts: int = 0
    lease_owner: str | None = None
    outcome: ExampleOutcome | None = None

    @property
    def is_unfinished(self) -> bool:
        return self.state != "done"


@dataclass
class VerificationRow:
    """One row of ``verifications``."""

    id: int
    draft: VerificationDraft
    time_limit_ms: int
    rows: list[ExampleRow]
    state: VerificationState = VerificationState.RUNNING


@dataclass
class MemoryVerifications(MemoryBackgroundLeases[ExampleClaim, ExampleRow]):
    """``ports.Verifications`` and ``ports.ExampleLeases`` in memory."""

    memory: MemoryStore
    kept: list[VerificationRow]

    async def start_verification(
        self, draft: VerificationDraft, *, by: str | None = None, quota: SetterQuota | None = None
    ) -> VerificationRefusal | None:
        problem = await self.memory.problem(draft.problem_id)
        if problem is None or problem.version != draft.problem_version:
            return VerificationRefusal.OUTDATED
        running = self._running(problem.id)
        if running is not None and running.draft.problem_version == draft.problem_version:
            return None
        if quota is not None and self._running_of(quota.setter, problem.id) >= quota.most:
            return VerificationRefusal.TOO_MANY
        if running is not None:
            self._end(running, VerificationState.OUTDATED)
        done = [one.id for one in self._of(problem.id) if one.state is VerificationState.DONE]
        self.kept[:] = [one for one in self.kept if one.draft.problem_id != problem.id or one.id in done[-1:]]
        now = self.memory.clock()
        rows = [ExampleRow(place, one, now, now) for place, one in enumerate(draft.examples, 1)]
        for row in rows:
            if row.draft.why:
                row.state, row.outcome = "done", ExampleOutcome(kept=Kept.SKIPPED, why=row.draft.why)
        number = self.memory._take_id("verification")
        self.kept.append(VerificationRow(number, draft, problem.time_limit_ms, rows))
        self._notify(problem.id)
        self.memory._log(by, AdminAct.PROBLEM_VERIFIED, problem.id, version=problem.version)
        return None

    async def has_verification_room(self, problem_id: int, version: int, quota: SetterQuota) -> bool:
        await self.memory.problem(problem_id)
        running = self._running(problem_id)
        goes_on = running is not None and running.draft.problem_version == version
        return goes_on or self._running_of(quota.setter, problem_id) < quota.most

    async def cancel_verification(self, problem_id: int) -> bool:
        await self.memory.problem(problem_id)
        running = self._running(problem_id)
        if running is not None:
            self._end(running, VerificationState.CANCELLED)
        return running is not None

    async def verifications(self, problem_id: int) -> list[Verification]:
        await self.memory.problem(problem_id)
        return [_shown(one) for one in reversed(list(self._of(problem_id)))]

    async def verified_examples(self, verification_id: int) -> list[VerifiedExample]:
        await self.memory.problem(0)
        found = next((one for one in self.kept if one.id == verification_id), None)
        return [] if found is None else [_example(row) for row in found.rows]

    async def worst_times(self, verification_id: int, limit: int) -> list[WorstTime]:
        await self.memory.problem(0)
        worst: dict[str, WorstTime] = {}
        for one in self.kept:
            for row in one.rows if one.id == verification_id else ():
                if row.outcome is not None and row.outcome.status == Verdict.ACCEPTED:
                    for name, time_ms in row.outcome.tests:
                        if name not in worst or worst[name].time_ms < time_ms:
                            worst[name] = WorstTime(name, time_ms, row.draft.example.name)
        return sorted(worst.values(), key=lambda test: (-test.time_ms, test.test))[:limit]

    async def claim(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> ExampleClaim | None:
        await self.memory.problem(0)
        now = self.memory.clock()
        for one in self.kept:
            for row in one.rows:
                if not (row.is_unfinished and row.due_at <= now and row.attempts < max_attempts):
                    continue
                if row.draft.language not in languages:
                    continue
                # of one that waits, the owner is the node that failed
                if row.state == "pending" and row.lease_owner == owner and row.due_at > now - 60.0:
                    continue
                self._begin(row, owner, lease_s)
                self._notify(one.draft.problem_id)
                sources = row.draft.sources or Sources(code="")
                return ExampleClaim(
                    batch_id=one.id, place=row.place, attempt_id=row.attempt_id, attempts=row.attempts,
                    lease_owner=owner, problem_id=one.draft.problem_id, problem_version=one.draft.problem_version,
                    points=one.draft.points.value, example=example_json(row.draft.example), language=row.draft.language,
                    code=sources.code, entry_point=sources.entry_point, beside=sources.beside,
                )  # fmt: skip
        return None

    async def give_back(self, claim: ExampleClaim, *, counts: bool, delay_s: float) -> bool:
        is_given_back = await super().give_back(claim, counts=counts, delay_s=delay_s)
        row = self._row(claim)
        if is_given_back and counts and row is not None:
            row.lease_owner = claim.lease_owner
        return is_given_back

    async def finish(self, claim: ExampleClaim, outcome: ExampleOutcome) -> bool:
        await self.memory.problem(0)
        row = self._held(claim)
        if row is None:
            row = self._row(claim)
            return row is not None and row.outcome is not None and row.lease_owner == claim.lease_owner
        row.state, row.outcome, row.changed_at = "done", outcome, self.memory.clock()
        self._notify(claim.problem_id)
        return True

    async def sweep_verifications(self, max_attempts: int, max_wait_s: float) -> int:
        await self.memory.problem(0)
        now, ended = self.memory.clock(), 0
        for one in [row for row in self.kept if row.state is VerificationState.RUNNING]:
            problem = await self.memory.problem(one.draft.problem_id)
            if problem is None or problem.version != one.draft.problem_version:
                self._end(one, VerificationState.OUTDATED)
                ended += 1
                continue
            live = self.memory.live_now()
            is_stuck = (
                live is not None and bool(one.rows) and max(row.changed_at for row in one.rows) <= now - max_wait_s
            )
            for row in one.rows:
                if row.is_unfinished and row.due_at <= now and (row.attempts >= max_attempts or is_stuck):
                    kept, why = Kept.SKIPPED, why_not_taken(row.draft.language, live)
                    if row.attempts >= max_attempts:
                        kept, why = Kept.DIFFERS, "not judged: each node that tried stopped answering"
                    row.state, row.lease_owner, row.outcome = "done", None, ExampleOutcome(kept=kept, why=why)
            waiting = [row for row in one.rows if row.is_unfinished and row.attempts < max_attempts]
            if live is None and waiting:
                waiting[0].changed_at = now
            if not any(row.is_unfinished for row in one.rows):
                self._end(one, VerificationState.DONE)
                ended += 1
        return ended

    # -- inside

    def _of(self, problem_id: int) -> Iterator[VerificationRow]:
        return (one for one in self.kept if one.draft.problem_id == problem_id)

    def _running(self, problem_id: int) -> VerificationRow | None:
        return next((one for one in self._of(problem_id) if one.state is VerificationState.RUNNING), None)

    def _running_of(self, setter: int, but: int) -> int:
        made = {number for number, problem in self.memory._problems.items() if problem.created_by == setter}
        running = [one for one in self.kept if one.state is VerificationState.RUNNING]
        return sum(one.draft.problem_id in made - {but} for one in running)

    def _end(self, one: VerificationRow, state: VerificationState) -> None:
        one.state = state
        for row in one.rows:
            if row.is_unfinished:
                row.state, row.lease_owner = "done", None
        self._notify(one.draft.problem_id)

    def _rows(self, batch_id: int) -> list[ExampleRow]:
        return next((one.rows for one in self.kept if one.id == batch_id), [])

    def _rings(self, claim: ExampleClaim) -> None:
        self._notify(claim.problem_id)

    def _notify(self, problem_id: int) -> None:
        self.memory._notify_live(f"verify-{problem_id}")


def _shown(one: VerificationRow) -> Verification:
    kept = Counter(row.outcome.kept for row in one.rows if row.outcome is not None)
    return Verification(
        id=one.id, problem_id=one.draft.problem_id, problem_version=one.draft.problem_version,
        time_limit_ms=one.time_limit_ms, left_out=one.draft.left_out, state=one.state,
        time_factor=one.draft.time_factor, time_resolution_ms=one.draft.time_resolution_ms,
        created_at="2026-11-01T10:00:00+00:00",
        finished_at=None if one.state is VerificationState.RUNNING else "2026-11-01T10:01:00+00:00",
        total=len(one.rows), ended=sum(not row.is_unfinished for row in one.rows), matched=kept[Kept.OK],
        differing=kept[Kept.DIFFERS], skipped=kept[Kept.SKIPPED], unpromised=kept[Kept.NO_PROMISE],
    )  # fmt: skip


def _example(row: ExampleRow) -> VerifiedExample:
    outcome = row.outcome
    return VerifiedExample(
        place=row.place,
        example=row.draft.example,
        language=row.draft.language,
        state=row.state,
        kept=None if outcome is None else outcome.kept,
        why="" if outcome is None else outcome.why,
        status=None if outcome is None else outcome.status,
        score=None if outcome is None else outcome.score,
        slowest_test="" if outcome is None else outcome.slowest_test,
        time_ms=None if outcome is None else outcome.time_ms,
        memory_kb=None if outcome is None else outcome.memory_kb,
    )
