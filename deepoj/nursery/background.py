"""Judges the programs of verifications, of previews of rejudges and of reruns, below what people wait for.

Each kind is a queue of its own, claimed from its table like playground runs: its programs are no submissions, so
nothing that counts, lists, marks, rejudges or deletes submissions can meet them. (As submissions with a purpose, each
of these would have to leave them out, and one that forgot would show them to people.) A node takes one with a slot that
submissions leave: it waits until another slot stays free, but at most for ``PATIENCE_S``, so that a busy node does not
starve it. While it has a slot, the last free one is left to submissions. So a submission finds a slot at once on a node
that has several and judges no others; on a node with one slot, it waits for the end of at most one program.

What if we die while judging one? Its lease runs out, and the next node claims it as attempt+1. After ``MAX_ATTEMPTS``
it ends as not judged. A stop gives it back at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.nursery.scopes import with_background_tasks
from deepoj.nursery.waiting import WorkSignal
from deepoj.ports.leases import BackgroundLeases
from deepoj.ports.tasks import Start
from deepoj.words.background import MAX_ATTEMPTS, BackgroundClaim
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxAway, BoxBroken, StoreUnavailable
from deepoj.words.results import Infra

#: pause between two polls while nothing is due, and no watch looks for it
POLL_S = 2.0
#: how long a program waits for a slot beside which another one is free
PATIENCE_S = 60.0
#: how often the lease of a program is extended: so late a cancelled one stops
KEEP_S = 5.0
#: pause before a program that was not judged is due again
_AGAIN_S = 2.0
#: how long giving back may take in a stop
_GIVE_BACK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundJudge[C: BackgroundClaim, O, R]:
    """The child. ``judge`` returns what it found (``R``), or None if the problem has another version by now; ``settle``
    writes that as the outcome."""

    store: BackgroundLeases[C, O]
    leases: Leases
    gate: Gate
    owner: str
    #: those that this node judges, as known at the time of a claim
    languages: Collection[str]
    judge: Callable[[C], Awaitable[R | Infra | None]]
    settle: Callable[[C, R | Infra], Awaitable[None]]
    #: how many it judges at a time
    at_most: int = 1
    patience_s: float = PATIENCE_S
    poll_s: float = POLL_S
    #: set when a program may be due
    due: WorkSignal = field(default_factory=WorkSignal)

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        room = trio.Semaphore(self.at_most)

        async def judge_one(claim: C) -> None:
            try:
                await self._judge_and_return(claim)
            except StoreUnavailable as away:
                observe.log("background_unwritten", level="warning", reason=str(away), problem_id=claim.problem_id)
            finally:
                room.release()

        async def work(start: Start) -> NoReturn:
            while True:
                await room.acquire()
                claim = await self._take()
                if claim is None:
                    room.release()
                    await self.due.wait(self.poll_s)
                else:
                    start(judge_one, claim)

        await with_background_tasks(work)
        raise AssertionError("work ends only by cancellation")

    async def once(self) -> bool:
        """Judge the next program that is due; return whether there was one.

        Raises:
          StoreUnavailable: a claim or an outcome may be lost; then the lease runs out.
        """
        claim = await self._take()
        if claim is not None:
            await self._judge_and_return(claim)
        return claim is not None

    async def _take(self) -> C | None:
        """Claim the next program that is due. The slot is taken exactly if there is one."""
        await self.gate.wait_open()
        await self.leases.lend(self.patience_s)
        claim = None
        try:
            if self.gate.is_open:  # it may have been shut while this waited for a slot
                claim = await self.store.claim(self.owner, self.leases.lease_s, MAX_ATTEMPTS, self.languages)
        finally:
            if claim is None:
                self.leases.take_back()
        return claim

    async def _judge_and_return(self, claim: C) -> None:
        try:
            await self._judge(claim)
        finally:
            self.leases.take_back()

    async def _judge(self, claim: C) -> None:
        is_settled = False
        try:
            with trio.CancelScope() as judging:
                await self._settle(claim, await self._kept_while(claim, judging))
                is_settled = True
            is_settled = is_settled or judging.cancelled_caught
        finally:
            if not is_settled:
                with trio.move_on_after(_GIVE_BACK_S, shield=True), contextlib.suppress(StoreUnavailable):
                    await self.store.give_back(claim, counts=False, delay_s=0.0)

    async def _settle(self, claim: C, judged: R | Infra | None) -> None:
        """Write the outcome, or give the claim back for another attempt. None: the sweeper ends the batch."""
        if judged is None or (isinstance(judged, Infra) and (judged.outage or claim.attempts < MAX_ATTEMPTS)):
            counts = isinstance(judged, Infra) and not judged.outage
            await self.store.give_back(claim, counts=counts, delay_s=_AGAIN_S)
        else:
            await self.settle(claim, judged)

    async def _kept_while(self, claim: C, judging: trio.CancelScope) -> R | Infra | None:
        """Judge while the lease is extended; cancel ``judging`` when the lease is lost."""
        keeping = trio.CancelScope()

        async def keep() -> None:
            with keeping:
                while True:
                    await trio.sleep(min(KEEP_S, self.leases.lease_s / 3))
                    with contextlib.suppress(StoreUnavailable):  # the outcome is refused then, if that lasts
                        if not await self.store.extend(claim, self.leases.lease_s):
                            judging.cancel()

        async def work(start: Start) -> R | Infra | None:
            start(keep)
            try:
                return await self._tried(claim)
            finally:
                keeping.cancel()

        return await with_background_tasks(work)

    async def _tried(self, claim: C) -> R | Infra | None:
        try:
            return await self.judge(claim)
        except (BlobsUnavailable, BlobMissing, BoxBroken) as breakage:
            away = isinstance(breakage, BlobsUnavailable | BoxAway)
            return Infra(type(breakage).__name__, str(breakage), outage=away)
