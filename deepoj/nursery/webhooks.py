"""Delivers webhooks of submissions, or of contests: takes due deliveries from the database and tries several of them
concurrently.

Delivery is fair between accounts first, then between the targets of an account. It goes round the accounts with due
deliveries, those with the fewest running tries first. An account without a running try may take any free place. It gets
a further place only if at least as many places stay free as it then holds, and at least a quarter of all places. So one
account holds at most half of the places, and accounts whose receivers never answer leave some for others.

A target has at most ``per_target`` concurrent tries, of all accounts together; beyond that it is skipped. The number of
deliveries waiting for it does not matter, because they are not scanned.

Nodes share the work through the database: deliveries taken by one node are hidden from the others. ``per_target`` and
the places of an account apply per node.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NoReturn, Protocol

import trio

from deepoj.nursery.scopes import with_background_tasks
from deepoj.nursery.waiting import WorkSignal
from deepoj.ports.tasks import Start
from deepoj.ports.webhooks import DueDeliveries
from deepoj.words.webhooks import DueHooks

#: accounts per query, and queries without a result between two pauses
PAGE = 100
LOOKS = 10
#: targets per query, shared among its accounts, and the minimum for each account
TARGETS = 400
TARGETS_EACH = 4
#: fraction of the places reserved for accounts without a running try
RESERVED = 1 / 4
#: time after a stop for storing the answers of receivers
SETTLE_S = 3.0


class TakenHook(Protocol):
    """A delivery that has been taken: it holds a place of its account and of its target."""

    @property
    def user_id(self) -> int: ...
    @property
    def target(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Pick:
    """A due delivery chosen to be taken."""

    user_id: int
    target: str
    id: int


@dataclass(slots=True, kw_only=True)
class Deliver[H: TakenHook, A]:
    """Runs until cancelled. A stop aborts running POSTs, which become due again, but never the storing of results."""

    webhooks: DueDeliveries[H]
    attempt: Callable[[H], Awaitable[A]]
    settle: Callable[[H, A], Awaitable[object]]
    concurrency: int
    per_target: int
    poll_s: float
    lease_s: float
    #: set when a delivery may be due, or a place has become free
    due: WorkSignal = field(default_factory=WorkSignal)
    #: number of running tries per target, and per account
    _busy: Counter[str] = field(default_factory=Counter)
    _held: Counter[int] = field(default_factory=Counter)
    #: the account after which the next round continues, and the same per account for its targets
    _after: int = 0
    _targets_after: dict[int, str] = field(default_factory=dict)

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        await with_background_tasks(self._go_round)
        raise AssertionError("it goes round until it breaks or is cancelled")

    async def _go_round(self, start: Start) -> None:
        fruitless = 0
        while True:
            taken: list[H] = []
            is_over = True
            if free := self.concurrency - self._held.total():
                taken, is_over = await self._take(free)
            for hook in taken:
                self._busy[hook.target] += 1
                self._held[hook.user_id] += 1
                start(self._try, hook)
            fruitless = 0 if taken else fruitless + 1
            if not free or (not taken and is_over) or fruitless >= LOOKS:
                fruitless = 0
                await self.due.wait(self.poll_s)

    def _may_take(self, held: int, free: int) -> bool:
        """Return whether an account with ``held`` places may take one more of the ``free`` ones."""
        return held == 0 or free - 1 >= max(held + 1, int(RESERVED * self.concurrency))

    async def _take(self, free: int) -> tuple[list[H], bool]:
        """Take deliveries of the next accounts of the round. Also returns whether another query would find no more."""
        began = self._after
        owners = await self.webhooks.webhook_owners(began, PAGE)
        self._after = max(owners) if len(owners) == PAGE else 0
        is_over = began == self._after == 0
        # forget the positions of accounts without waiting deliveries
        self._targets_after = {
            owner: target
            for owner, target in self._targets_after.items()
            if owner in owners or owner <= began or (self._after and owner > self._after)
        }
        asked = [owner for owner, is_due in owners.items() if is_due and self._may_take(self._held[owner], free)]
        if not asked:
            return [], is_over
        starts = {owner: self._targets_after.pop(owner, "") for owner in asked}
        due = await self.webhooks.due_webhooks(
            starts,
            targets=max(TARGETS_EACH, TARGETS // len(asked)),
            each=min(self.per_target, free),
            without=[target for target, count in self._busy.items() if count >= self.per_target],
        )
        picks = self._pick(starts, due, free)
        if len(picks) == free:  # the accounts after these have not had their turn
            self._after = picks[-1].user_id
        is_over = is_over and not (picks or any(starts.values()) or starts.keys() & self._targets_after.keys())
        taken = await self.webhooks.take_webhooks([pick.id for pick in picks], self.lease_s) if picks else []
        return taken, is_over

    def _pick(self, starts: Mapping[int, str], due: Sequence[DueHooks], free: int) -> list[_Pick]:
        """Choose deliveries one by one, each of the account with the fewest places. ``starts``: the target from which
        each account was queried; the next query continues after the last target chosen."""
        of_owner: dict[int, list[DueHooks]] = {owner: [] for owner in starts}
        for one in due:
            of_owner[one.user_id].append(one)
        queues = {owner: _queue(found) for owner, found in of_owner.items()}
        heap = [(self._held[owner], place, owner) for place, owner in enumerate(starts)]
        heapq.heapify(heap)
        busy, last, picks = self._busy.copy(), dict(starts), list[_Pick]()
        while heap and free > 0:
            held, place, owner = heapq.heappop(heap)
            queue = queues[owner]
            while queue and busy[queue[0].target] >= self.per_target:
                queue.popleft()
            if not queue or not self._may_take(held, free):
                continue
            pick = queue.popleft()
            picks.append(pick)
            last[owner] = pick.target
            busy[pick.target] += 1
            free -= 1
            heapq.heappush(heap, (held + 1, place, owner))
        for owner, found in of_owner.items():
            if queues[owner]:
                self._targets_after[owner] = last[owner]
            elif found and found[-1].is_last:
                self._targets_after[owner] = found[-1].target
        return picks

    async def _try(self, hook: H) -> None:
        try:
            answer = await self.attempt(hook)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + SETTLE_S):
                await self.settle(hook, answer)
        finally:
            _leave(self._busy, hook.target)
            _leave(self._held, hook.user_id)
            self.due.set()


def _queue(due: Sequence[DueHooks]) -> deque[_Pick]:
    """Order an account's deliveries: the first of each target, then the second of each target, and so on."""
    columns = zip_longest(*([_Pick(one.user_id, one.target, number) for number in one.ids] for one in due))
    return deque(pick for column in columns for pick in column if pick is not None)


def _leave[K](counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
