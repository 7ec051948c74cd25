"""``MemoryRuns``: the table of custom runs in memory, a part of ``MemoryStore``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from deepoj.words.jobs import FinalizeRefusal, Held, State
from deepoj.words.playground import (
    RUN_ID_PREFIX,
    CustomClaim,
    CustomDraft,
    CustomProgram,
    CustomReceipt,
    CustomRefusal,
    CustomRun,
    CustomStatus,
    CustomSwept,
)


@dataclass(kw_only=True)
class RunRow:
    """One row of ``runs``; ``*_at`` are readings of the store's clock."""

    run_id: str
    draft: CustomDraft
    created_at: float
    due_at: float
    id: int
    state: State = State.PENDING
    status: str = "pending"
    attempt_id: int = 0
    attempts: int = 0
    lease_owner: str | None = None
    error_code: str | None = None
    result: Mapping[str, Any] | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    finished_at: float | None = None

    @property
    def unfinished(self) -> bool:
        return self.state in {State.PENDING, State.PROCESSING}


@dataclass
class MemoryRuns:
    """``ports.CustomRuns``, and what ``MemoryRunLeases`` needs, as a base class of ``MemoryStore``, which simulates
    outages."""

    clock: Callable[[], float] = trio.current_time
    runs: dict[str, RunRow] = field(default_factory=dict)

    async def _enter(self, method: str) -> bool:
        raise NotImplementedError

    @staticmethod
    def _answer[T](answer: T, lost: bool) -> T:
        raise NotImplementedError

    def _notify_live(self, job_id: str) -> None:
        raise NotImplementedError

    def _changed(self, row: RunRow) -> None:
        self._notify_live(row.run_id.removeprefix(RUN_ID_PREFIX))

    async def take_run(self, draft: CustomDraft, *, per_user: int) -> CustomReceipt | CustomRefusal:
        lost = await self._enter("take_run")
        if sum(row.unfinished and row.draft.user_id == draft.user_id for row in self.runs.values()) >= per_user:
            return self._answer(CustomRefusal.INFLIGHT_CAP_REACHED, lost)
        run_id, now = f"{RUN_ID_PREFIX}{uuid.uuid4()}", self.clock()
        self.runs[run_id] = RunRow(run_id=run_id, draft=draft, created_at=now, due_at=now, id=len(self.runs))
        return self._answer(CustomReceipt(run_id, round(now * 1000)), lost)

    async def drop_run(self, run_id: str) -> None:
        lost = await self._enter("drop_run")
        self.runs.pop(run_id, None)
        self._answer(None, lost)

    async def custom_run(self, run_id: str, keep_s: float) -> CustomRun | None:
        lost = await self._enter("custom_run")
        row = self.runs.get(run_id)
        if row is None or (row.finished_at is not None and row.finished_at <= self.clock() - keep_s):
            return self._answer(None, lost)
        draft = row.draft
        run = CustomRun(
            run_id=run_id, user_id=draft.user_id, language=draft.language, time_limit_ms=draft.time_limit_ms,
            memory_limit_kb=draft.memory_limit_kb, state=row.state, status=row.status, attempt_id=row.attempt_id,
            error_code=row.error_code, result=row.result, stdout=row.stdout, stderr=row.stderr,
        )  # fmt: skip
        return self._answer(run, lost)

    async def custom_runs(self, user_id: int, run_ids: Collection[str], keep_s: float) -> dict[str, CustomRun]:
        found = [await self.custom_run(run_id, keep_s) for run_id in run_ids]
        return {run.run_id: run for run in found if run is not None and run.user_id == user_id}

    async def custom_program(self, run_id: str, keep_s: float) -> CustomProgram | None:
        lost = await self._enter("custom_program")
        row = self.runs.get(run_id)
        if row is None or (row.finished_at is not None and row.finished_at <= self.clock() - keep_s):
            return self._answer(None, lost)
        return self._answer(CustomProgram(row.draft.code, row.draft.stdin), lost)

    async def claim_run(
        self, owner: str, lease_s: float, max_attempts: int, languages: Collection[str]
    ) -> CustomClaim | None:
        lost = await self._enter("claim_run")
        now = self.clock()
        due = [
            row
            for row in self.runs.values()
            if row.unfinished and row.due_at <= now and row.attempts < max_attempts and row.draft.language in languages
        ]
        if not due:
            return self._answer(None, lost)
        row = min(due, key=lambda row: (row.due_at, row.id))
        row.state, row.status, row.lease_owner, row.due_at = State.PROCESSING, "running", owner, now + lease_s
        row.attempt_id += 1
        row.attempts += 1
        self._changed(row)
        draft = row.draft
        claim = CustomClaim(
            run_id=row.run_id, attempt_id=row.attempt_id, lease_owner=owner, user_id=draft.user_id,
            language=draft.language, code=draft.code, stdin=draft.stdin, time_limit_ms=draft.time_limit_ms,
            memory_limit_kb=draft.memory_limit_kb, trace_id=draft.trace_id, at_ms=round(row.created_at * 1000),
            waited_ms=round((now - row.created_at) * 1000),
        )  # fmt: skip
        return self._answer(claim, lost)

    async def extend_runs(self, held: Sequence[Held], owner: str, lease_s: float) -> set[str]:
        lost = await self._enter("extend_runs")
        now, alive = self.clock(), set()
        for one in held:
            row = self.runs.get(one.job_id)
            if row is not None and _refusal(row, one.attempt_id, owner, now) is None:
                row.due_at = max(row.due_at, now + lease_s)
                alive.add(one.job_id)
        return self._answer(alive, lost)

    async def finish_run(
        self,
        claim: CustomClaim,
        status: CustomStatus,
        result: Mapping[str, object],
        stdout: bytes,
        stderr: bytes,
        *,
        user_max_bytes: int,
    ) -> FinalizeRefusal | None:
        lost = await self._enter("finish_run")
        row = self.runs.get(claim.run_id)
        refusal = _refusal(row, claim.attempt_id, claim.lease_owner, self.clock())
        if row is not None and refusal is None:
            row.state, row.status, row.result = State.DONE, status.value, result
            row.stdout, row.stderr, row.finished_at = stdout, stderr, self.clock()
            self._make_room(claim.user_id, user_max_bytes)
            self._changed(row)
        elif row is not None and row.state is State.DONE and row.attempt_id == claim.attempt_id:
            refusal = None if row.lease_owner == claim.lease_owner else refusal
        return self._answer(refusal, lost)

    def _make_room(self, user_id: int, max_bytes: int) -> None:
        mine = [row for row in self.runs.values() if row.finished_at is not None and row.draft.user_id == user_id]
        total = 0
        for number, row in enumerate(sorted(mine, key=lambda row: (row.finished_at or 0.0, row.id), reverse=True)):
            total += len(row.draft.code.encode()) + len(row.draft.stdin)
            total += len(row.stdout) + len(row.stderr) + len(json.dumps(row.result))
            if number > 0 and total > max_bytes:
                del self.runs[row.run_id]

    async def give_back_run(
        self, claim: CustomClaim, *, counts: bool, delay_s: float, max_attempts: int
    ) -> FinalizeRefusal | None:
        lost = await self._enter("give_back_run")
        row, now = self.runs.get(claim.run_id), self.clock()
        refusal = _refusal(row, claim.attempt_id, claim.lease_owner, now)
        if row is not None and refusal is None:
            if counts and row.attempts >= max_attempts:
                _end(row, "ATTEMPTS_EXHAUSTED", now)
            else:
                row.state, row.status, row.lease_owner, row.due_at = State.PENDING, "pending", None, now + delay_s
                row.attempts -= 0 if counts else 1
            self._changed(row)
        return self._answer(refusal, lost)

    async def sweep_runs(self, max_attempts: int, max_wait_s: float, keep_s: float, limit: int) -> CustomSwept:
        lost = await self._enter("sweep_runs")
        now = self.clock()
        over = [
            row
            for row in self.runs.values()
            if row.unfinished
            and row.due_at <= now
            and (row.attempts >= max_attempts or row.created_at <= now - max_wait_s)
        ][:limit]
        for row in over:
            _end(row, "ATTEMPTS_EXHAUSTED" if row.attempts >= max_attempts else "RUN_EXPIRED", now)
            self._changed(row)
        stale = [row.run_id for row in self.runs.values() if row.finished_at is not None]
        stale = [run_id for run_id in stale if (self.runs[run_id].finished_at or 0.0) <= now - keep_s][:limit]
        for run_id in stale:
            del self.runs[run_id]
        return self._answer(CustomSwept(tuple(row.run_id for row in over), len(stale)), lost)


class MemoryRunLeases:
    """``ports.RunLeases`` of a store, whose own ``extend`` is that of submissions."""

    def __init__(self, memory: MemoryRuns) -> None:
        self.claim_run, self.extend = memory.claim_run, memory.extend_runs
        self.finish_run, self.give_back_run = memory.finish_run, memory.give_back_run


def _refusal(row: RunRow | None, attempt_id: int, owner: str, now: float) -> FinalizeRefusal | None:
    if row is None:
        return FinalizeRefusal.NOT_IN_EXPECTED_STATE
    if row.attempt_id != attempt_id:
        return FinalizeRefusal.STALE_ATTEMPT
    if row.state is State.DONE:
        return FinalizeRefusal.ALREADY_FINISHED
    if row.state is not State.PROCESSING:
        return FinalizeRefusal.NOT_IN_EXPECTED_STATE
    if row.lease_owner != owner or row.due_at <= now:
        return FinalizeRefusal.LEASE_LOST
    return None


def _end(row: RunRow, error_code: str, now: float) -> None:
    row.state, row.status, row.error_code = State.DONE, "System Error", error_code
    row.lease_owner, row.finished_at = None, now
