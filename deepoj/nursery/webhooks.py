"""The keeper that tells callbacks: it takes what is due and tries several deliveries at a time.

Fair by account first, then by target within an account: a circle goes through the accounts that have something due,
those with the fewest tries under way first. An account without a try under way may take any free place. Another place
it gets only while at least as many stay free as it then holds, and at least a quarter of all: one account holds half of
the places at most, and several whose receivers never answer leave some for the others.

A target has ``per_target`` tries at a time, whichever accounts they are of, and is passed over beyond that. How many
deliveries wait for it does not matter: nothing reads through them.

Nodes share the work by the database: what one has taken is hidden from the others. ``per_target`` and the places of an
account are for each node.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NoReturn

import trio

from deepoj.nursery.scopes import Start, with_background_tasks
from deepoj.ports.webhooks import Webhooks
from deepoj.words.webhooks import DueHooks, Hook, HookAnswer

#: accounts in one look, and looks without finding anything between two pauses
PAGE = 100
LOOKS = 10
#: targets in one look, shared among its accounts, and at least so many of each
TARGETS = 400
TARGETS_EACH = 4
#: the part of the places that only accounts without a try under way may take
RESERVED = 1 / 4
#: what is left, after a stop, for writing down what a receiver has answered
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Pick:
    """A due delivery that is to be taken."""

    user_id: int
    target: str
    id: int


@dataclass(slots=True, kw_only=True)
class Deliver:
    """Runs until it is cancelled; a stop cuts the POSTs under way (they come due again), never the writing after."""

    webhooks: Webhooks
    attempt: Callable[[Hook], Awaitable[HookAnswer]]
    settle: Callable[[Hook, HookAnswer], Awaitable[object]]
    concurrency: int
    per_target: int
    poll_s: float
    lease_s: float
    #: tries under way of each target, and of each account
    _busy: Counter[str] = field(default_factory=Counter)
    _held: Counter[int] = field(default_factory=Counter)
    #: where the circle of accounts goes on, and that of an account's targets if not at its first
    _after: int = 0
    _targets_after: dict[int, str] = field(default_factory=dict)
    _ended: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        await with_background_tasks(self._go_round)
        raise AssertionError("it goes round until it breaks or is cancelled")

    async def _go_round(self, start: Start) -> None:
        fruitless = 0
        while True:
            self._ended = trio.Event()
            taken: list[Hook] = []
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
                with trio.move_on_after(self.poll_s):
                    await self._ended.wait()

    def _may_take(self, held: int, free: int) -> bool:
        """Whether an account that holds ``held`` places may take one more of the ``free`` ones."""
        return held == 0 or free - 1 >= max(held + 1, int(RESERVED * self.concurrency))

    async def _take(self, free: int) -> tuple[list[Hook], bool]:
        """Deliveries of the next accounts of the circle; and whether another look would see nothing more."""
        began = self._after
        owners = await self.webhooks.webhook_owners(began, PAGE)
        self._after = max(owners) if len(owners) == PAGE else 0
        is_over = began == self._after == 0
        # an account that has nothing waiting any more needs no place in its circle
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
        if len(picks) == free:  # the accounts behind have not had their turn
            self._after = picks[-1].user_id
        is_over = is_over and not (picks or any(starts.values()) or starts.keys() & self._targets_after.keys())
        taken = await self.webhooks.take_webhooks([pick.id for pick in picks], self.lease_s) if picks else []
        return taken, is_over

    def _pick(self, starts: Mapping[int, str], due: Sequence[DueHooks], free: int) -> list[_Pick]:
        """One delivery at a time, of the account that holds the fewest places. ``starts``: where the targets of each
        account were looked for from; the next look goes on after the last one that was picked."""
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

    async def _try(self, hook: Hook) -> None:
        try:
            answer = await self.attempt(hook)
            with trio.CancelScope(shield=True, deadline=trio.current_time() + SETTLE_S):
                await self.settle(hook, answer)
        finally:
            _leave(self._busy, hook.target)
            _leave(self._held, hook.user_id)
            self._ended.set()


def _queue(due: Sequence[DueHooks]) -> deque[_Pick]:
    """The deliveries of an account: the first of each target, then the second of each, and so on."""
    columns = zip_longest(*([_Pick(one.user_id, one.target, number) for number in one.ids] for one in due))
    return deque(pick for column in columns for pick in column if pick is not None)


def _leave[K](counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
