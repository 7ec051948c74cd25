"""``MemoryWebhooks``: the part of ``MemoryStore`` that keeps ``ports.Webhooks``."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deepoj.ports.webhooks import DueDeliveries
from deepoj.words.webhooks import DueHooks, Hook, HookFailure, HookStanding, HookStatus, Redelivered

if TYPE_CHECKING:
    from tests.fakes.store import KeptRow, Row

#: the date of the clock's 0
EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclass(kw_only=True)
class HookRow:
    """One row of ``webhook_deliveries``."""

    id: int
    delivery_id: str
    job_id: str
    judging: int
    attempt_id: int
    event: str
    verdict: str
    error_code: str | None
    target: str
    created_at: float
    begun_at: float
    next_attempt_at: float
    status: HookStatus = HookStatus.PENDING
    attempts: int = 0
    tried_before: int = 0
    http_status: int | None = None
    last_error: HookFailure | None = None
    ended_at: float | None = None


async def take_due[H](store: DueDeliveries[H], *, limit: int = 100, each: int = 100, lease_s: float = 40.0) -> list[H]:
    """Take up to ``limit`` due deliveries of any account, the earliest of each target first."""
    owners = await store.webhook_owners(0, 100)
    found = await store.due_webhooks(dict.fromkeys(owners, ""), targets=100, each=each, without=())
    return await store.take_webhooks([number for one in found for number in one.ids][:limit], lease_s)


@dataclass
class MemoryWebhooks:
    """``ports.Webhooks``, as a base class of ``MemoryStore``; the fields that it needs are declared as there."""

    hooks: dict[int, HookRow] = field(default_factory=dict, init=False)
    #: user → rotations of the signing secret
    secret_epochs: dict[int, int] = field(default_factory=dict, init=False)

    if TYPE_CHECKING:
        clock: Callable[[], float]
        rows: dict[str, Row]
        kept: dict[str, list[KeptRow]]

        async def _enter(self, method: str) -> bool: ...
        def _is_disabled(self, user_id: int) -> bool: ...
        @staticmethod
        def _answer[T](answer: T, lost: bool) -> T: ...

    def _call_back(self, row: Row) -> None:
        """Create the deliveries of a judging that ended, as the database's trigger does."""
        url = row.draft.callback_url
        if url is None:
            return
        now, number = self.clock(), 5000 + len(self.hooks)
        self.hooks[number] = HookRow(
            id=number,
            delivery_id=str(uuid.uuid4()),
            job_id=row.job_id,
            judging=row.judging,
            attempt_id=row.attempt_id,
            event=row.state,
            verdict=row.status,
            error_code=row.error_code,
            target="://".join(urlsplit(url)[:2]),
            created_at=now,
            begun_at=now,
            next_attempt_at=now,
        )

    def _owner(self, hook: HookRow) -> int:
        return self.rows[hook.job_id].draft.user_id

    async def webhook_owners(self, after: int, limit: int) -> dict[int, bool]:
        lost = await self._enter("webhook_owners")
        now = self.clock()
        due: dict[int, bool] = {}
        for hook in self.hooks.values():
            if hook.status == "pending" and (owner := self._owner(hook)) > after:
                due[owner] = due.get(owner, False) or hook.next_attempt_at <= now
        return self._answer(dict(sorted(due.items())[:limit]), lost)

    async def due_webhooks(
        self, owners: Mapping[int, str], *, targets: int, each: int, without: Collection[str]
    ) -> list[DueHooks]:
        lost = await self._enter("due_webhooks")
        now = self.clock()
        waiting: dict[int, dict[str, list[HookRow]]] = {owner: {} for owner in owners}
        for hook in self.hooks.values():
            owner = self._owner(hook)
            if hook.status == "pending" and owner in owners and hook.target > owners[owner]:
                waiting[owner].setdefault(hook.target, []).append(hook)
        found: list[DueHooks] = []
        for owner, of_target in waiting.items():
            for step, target in enumerate(sorted(of_target)[:targets], 1):
                due = sorted((hook.next_attempt_at, hook.id) for hook in of_target[target])
                ids = tuple(number for at, number in due if at <= now and target not in without)[:each]
                if ids or step == targets:
                    found.append(DueHooks(owner, target, ids, step == targets))
        return self._answer(found, lost)

    async def take_webhooks(self, ids: Sequence[int], lease_s: float) -> list[Hook]:
        lost = await self._enter("take_webhooks")
        now, taken = self.clock(), []
        for number in sorted(ids):
            hook = self.hooks.get(number)
            if hook is not None and hook.status == "pending" and hook.next_attempt_at <= now:
                hook.attempts += 1
                hook.next_attempt_at = now + lease_s
                taken.append(hook)
        return self._answer([self._hook(hook) for hook in taken], lost)

    def _hook(self, hook: HookRow) -> Hook:
        row = self.rows[hook.job_id]
        assert row.draft.callback_url is not None
        result: Mapping[str, Any] | None = None
        if hook.event == "done":
            old = [
                kept.verdict.result for kept in self.kept.get(row.job_id, []) if kept.verdict.judging == hook.judging
            ]
            result = row.result if row.judging == hook.judging else old[0]
        return Hook(
            id=hook.id,
            delivery_id=hook.delivery_id,
            job_id=hook.job_id,
            judging=hook.judging,
            attempt_id=hook.attempt_id,
            event=hook.event,
            verdict=hook.verdict,
            error_code=hook.error_code,
            target=hook.target,
            url=row.draft.callback_url,
            user_id=row.draft.user_id,
            problem_id=row.draft.problem_id,
            language=row.draft.language,
            trace_id=row.draft.trace_id,
            result=result,
            attempts=hook.attempts,
            tries=hook.attempts - hook.tried_before,
            secret_epoch=self.secret_epochs.get(row.draft.user_id, 0),
            owner_is_disabled=self._is_disabled(row.draft.user_id),
            sent_at_s=int((EPOCH + dt.timedelta(seconds=self.clock())).timestamp()),
            created_at=self._date(hook.created_at) or "",
        )

    async def settle_webhook(
        self,
        hook: Hook,
        status: HookStatus,
        *,
        http_status: int | None,
        failure: HookFailure | None,
        delay_s: float = 0.0,
        give_up_s: float = 0.0,
    ) -> HookStatus | None:
        lost = await self._enter("settle_webhook")
        row, now = self.hooks.get(hook.id), self.clock()
        late = row is not None and row.attempts != hook.attempts and status is not HookStatus.DELIVERED
        if row is None or row.status is not HookStatus.PENDING or late:
            return self._answer(None, lost)
        over = status is HookStatus.PENDING and now + delay_s > row.begun_at + give_up_s
        row.status = HookStatus.GIVEN_UP if over else status
        row.http_status, row.last_error = http_status, failure
        if row.status is HookStatus.PENDING:
            row.next_attempt_at = now + delay_s
        else:
            row.ended_at = now
        return self._answer(row.status, lost)

    async def webhooks_of_job(self, job_id: str, limit: int) -> list[HookStanding]:
        lost = await self._enter("webhooks_of_job")
        found = [self._standing(hook) for hook in self.hooks.values() if hook.job_id == job_id]
        return self._answer(found[-limit:], lost)

    async def given_up_webhooks(self, limit: int, before_id: int | None = None) -> list[HookStanding]:
        lost = await self._enter("given_up_webhooks")
        found = [self._standing(hook) for hook in reversed(self.hooks.values()) if hook.status == "given_up"]
        return self._answer([one for one in found if before_id is None or one.id < before_id][:limit], lost)

    def _standing(self, hook: HookRow) -> HookStanding:
        waits = hook.status is HookStatus.PENDING
        return HookStanding(
            id=hook.id,
            delivery_id=hook.delivery_id,
            job_id=hook.job_id,
            judging=hook.judging,
            event=hook.event,
            target=hook.target,
            status=hook.status,
            attempts=hook.attempts,
            http_status=hook.http_status,
            last_error=hook.last_error,
            next_attempt_at=self._date(hook.next_attempt_at) if waits else None,
            created_at=self._date(hook.created_at) or "",
            ended_at=self._date(hook.ended_at),
        )

    @staticmethod
    def _date(at: float | None) -> str | None:
        return None if at is None else (EPOCH + dt.timedelta(seconds=at)).isoformat()

    async def redeliver_webhook(self, delivery_id: str) -> Redelivered | None:
        lost = await self._enter("redeliver_webhook")
        found = next((hook for hook in self.hooks.values() if hook.delivery_id == delivery_id), None)
        if found is None:
            return self._answer(None, lost)
        waits = found.status is HookStatus.PENDING
        if not waits:
            found.status, found.ended_at, found.tried_before = HookStatus.PENDING, None, found.attempts
            found.begun_at = found.next_attempt_at = self.clock()
        return self._answer(Redelivered(found.job_id, repeated=waits), lost)

    async def forget_webhooks(self, keep_s: float, limit: int) -> int:
        lost = await self._enter("forget_webhooks")
        before = self.clock() - keep_s
        old = [hook.id for hook in self.hooks.values() if hook.ended_at is not None and hook.ended_at <= before][:limit]
        for number in old:
            del self.hooks[number]
        return self._answer(len(old), lost)

    async def webhook_secret_epoch(self, user_id: int) -> int:
        lost = await self._enter("webhook_secret_epoch")
        return self._answer(self.secret_epochs.get(user_id, 0), lost)

    async def rotate_webhook_secret(self, user_id: int, seen_epoch: int) -> int:
        lost = await self._enter("rotate_webhook_secret")
        epoch = self.secret_epochs.get(user_id, 0)
        if epoch == seen_epoch:
            self.secret_epochs[user_id] = epoch = epoch + 1
        return self._answer(epoch, lost)
