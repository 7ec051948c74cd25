"""``ports.Batches`` in memory, over the rows of a ``MemoryStore``."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deepoj.words.batches import BatchLine, BatchPage, SubmissionBatch
from deepoj.words.jobs import State
from deepoj.words.submissions import Receipt, SubmitRefusal, VerdictCount

if TYPE_CHECKING:
    from tests.fakes.store import MemoryStore


@dataclass(slots=True)
class KeptBatches:
    """The tables of batches."""

    made: dict[str, SubmissionBatch] = field(default_factory=dict)
    keys: dict[tuple[int, str], str] = field(default_factory=dict)
    #: batch id → line → job id
    lines: dict[str, dict[int, str]] = field(default_factory=dict)


class MemoryBatches:
    """Batches of a ``MemoryStore``."""

    def __init__(self, memory: MemoryStore, kept: KeptBatches) -> None:
        self._memory = memory
        self._kept = kept
        self.lines = kept.lines

    async def open_batch(self, user_id: int, key: str) -> str:
        lost = await self._memory._enter("open_batch")
        if (user_id, key) not in self._kept.keys:
            batch_id = str(uuid.uuid4())
            self._kept.made[batch_id] = SubmissionBatch(
                batch_id, user_id, self._memory._dated(self._memory.clock()).isoformat()
            )
            self._kept.keys[user_id, key], self.lines[batch_id] = batch_id, {}
        return self._memory._answer(self._kept.keys[user_id, key], lost)

    async def submit_lines(
        self,
        batch_id: str,
        user_id: int,
        lines: Sequence[BatchLine],
        *,
        dedup_window_s: float,
        quota: int,
        stream_key: str,
    ) -> list[Receipt | SubmitRefusal]:
        lost = await self._memory._enter("submit_lines")
        answers = [
            self._submit(batch_id, one, dedup_window_s=dedup_window_s, quota=quota, stream_key=stream_key)
            for one in lines
        ]
        return self._memory._answer(answers, lost)

    def _submit(
        self, batch_id: str, one: BatchLine, *, dedup_window_s: float, quota: int, stream_key: str
    ) -> Receipt | SubmitRefusal:
        kept = self.lines[batch_id].get(one.line)
        if kept is not None:
            row = self._memory.rows[kept]
            is_same = (row.draft.problem_id, row.draft.language, row.code_hash) == (
                one.draft.problem_id,
                one.draft.language,
                one.draft.digest(),
            )
            return Receipt(kept, repeated=True) if is_same else SubmitRefusal.IDEMPOTENCY_KEY_REUSED
        answer = self._memory._submit(one.draft, quota, quota, dedup_window_s, {}, stream_key, in_batch=True)
        if isinstance(answer, Receipt):
            self.lines[batch_id][one.line] = answer.job_id
        elif answer in {SubmitRefusal.INFLIGHT_CAP_REACHED, SubmitRefusal.USER_INFLIGHT_CAP_REACHED}:
            return SubmitRefusal.USER_BATCH_QUOTA_REACHED
        return answer

    async def batch(self, batch_id: str) -> SubmissionBatch | None:
        lost = await self._memory._enter("batch")
        made = self._kept.made.get(batch_id)
        if made is None:
            return self._memory._answer(None, lost)
        rows = [self._memory.rows[job_id] for job_id in self.lines[batch_id].values()]
        counts = Counter((row.state, row.status) for row in rows)
        found = [VerdictCount(state, status, count) for (state, status), count in counts.items()]
        found.sort(key=lambda one: (-one.count, one.status))
        return self._memory._answer(SubmissionBatch(made.batch_id, made.user_id, made.created_at, tuple(found)), lost)

    async def cancel_batch(self, batch_id: str, user_id: int) -> int:
        lost = await self._memory._enter("cancel_batch")
        others = {job_id for other, lines in self.lines.items() if other != batch_id for job_id in lines.values()}
        waiting = {
            job_id
            for job_id in set(self.lines.get(batch_id, {}).values()) - others
            if (row := self._memory.rows[job_id]).state is State.PENDING and row.attempt_id == 0 and row.in_batch
        }
        made, keys = dict(self._kept.made), dict(self._kept.keys)
        self._memory._forget(waiting)
        # a batch that has lost its lines stays until it is old
        self._kept.made, self._kept.keys = made, keys
        self.lines.setdefault(batch_id, {})
        return self._memory._answer(len(waiting), lost)

    async def batches_of(self, user_id: int, limit: int) -> list[SubmissionBatch]:
        lost = await self._memory._enter("batches_of")
        own = [batch for batch in self._kept.made.values() if batch.user_id == user_id and self.lines[batch.batch_id]]
        return self._memory._answer(own[::-1][:limit], lost)

    async def batch_results(self, batch_id: str, after: int, without: Collection[int], limit: int) -> BatchPage:
        lost = await self._memory._enter("batch_results")
        rows = {
            line: self._memory.rows[job_id] for line, job_id in sorted(self.lines[batch_id].items()) if line > after
        }
        items = [
            (line, self._memory._listed(row))
            for line, row in rows.items()
            if not row.unfinished and line not in without
        ]
        first_unfinished = next((line for line, row in rows.items() if row.unfinished), None)
        return self._memory._answer(BatchPage(items[:limit], first_unfinished), lost)

    def forget(self, gone: Collection[str]) -> None:
        """Drop lines of deleted submissions, and batches without lines."""
        for batch_id, lines in list(self.lines.items()):
            self.lines[batch_id] = {line: job_id for line, job_id in lines.items() if job_id not in gone}
            if lines and not self.lines[batch_id]:
                del self.lines[batch_id], self._kept.made[batch_id]
                self._kept.keys = {key: kept for key, kept in self._kept.keys.items() if kept != batch_id}
