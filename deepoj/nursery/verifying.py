"""Judges the submissions of verifications, one at a time on each node, below what people wait for.

A verification is a queue of its own, claimed from its table like playground runs: it is no submission, so nothing that
counts, lists, marks, rejudges or deletes submissions can meet it. (As submissions with a purpose, each of these would
have to leave them out, and one that forgot would show them to people.) A node takes one with a slot that submissions
leave: it waits until another slot stays free, but at most for ``PATIENCE_S``, so that a busy node does not starve it.

What if we die while judging one? Its lease runs out, and the next node claims it as attempt+1. After ``MAX_ATTEMPTS``
it ends as not judged. A stop gives it back at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import NoReturn

import trio

from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.nursery.scopes import Start, with_background_tasks
from deepoj.pipeline.verify import MAX_ATTEMPTS, settle_example
from deepoj.ports.verifications import ExampleLeases
from deepoj.words.errors import BlobMissing, BlobsUnavailable, BoxAway, BoxBroken, StoreUnavailable
from deepoj.words.results import Infra, Report
from deepoj.words.verifications import ExampleClaim

#: pause between two polls while nothing is due
POLL_S = 2.0
#: how long a verification waits for a slot beside which another one is free
PATIENCE_S = 60.0
#: how often the lease of a submission is extended: so late a cancelled one stops
KEEP_S = 5.0
#: how long giving back may take in a stop
_GIVE_BACK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyExamples:
    """The child. ``judge_example`` returns None if the problem has another version by now."""

    store: ExampleLeases
    leases: Leases
    gate: Gate
    owner: str
    #: those that this node judges, as known at the time of a claim
    languages: Collection[str]
    judge_example: Callable[[ExampleClaim], Awaitable[Report | Infra | None]]
    patience_s: float = PATIENCE_S
    poll_s: float = POLL_S

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            if not await self.once():
                await trio.sleep(self.poll_s)

    async def once(self) -> bool:
        """Judge the next submission that is due; return whether there was one.

        Raises:
          StoreUnavailable: a claim or an outcome may be lost; then the lease runs out.
        """
        await self.gate.wait_open()
        await self.leases.lend(self.patience_s)
        try:
            if not self.gate.is_open:  # it may have been shut while this waited for a slot
                return False
            claim = await self.store.claim_example(self.owner, self.leases.lease_s, MAX_ATTEMPTS, self.languages)
            if claim is not None:
                await self._judge(claim)
            return claim is not None
        finally:
            self.leases.take_back()

    async def _judge(self, claim: ExampleClaim) -> None:
        is_settled = False
        try:
            with trio.CancelScope() as judging:
                await settle_example(self.store, claim, await self._kept_while(claim, judging))
                is_settled = True
            is_settled = is_settled or judging.cancelled_caught
        finally:
            if not is_settled:
                with trio.move_on_after(_GIVE_BACK_S, shield=True), contextlib.suppress(StoreUnavailable):
                    await self.store.give_back_example(claim, counts=False, delay_s=0.0)

    async def _kept_while(self, claim: ExampleClaim, judging: trio.CancelScope) -> Report | Infra | None:
        """Judge while the lease is extended; cancel ``judging`` when the lease is lost."""
        keeping = trio.CancelScope()

        async def keep() -> None:
            with keeping:
                while True:
                    await trio.sleep(min(KEEP_S, self.leases.lease_s / 3))
                    with contextlib.suppress(StoreUnavailable):  # the outcome is refused then, if that lasts
                        if not await self.store.extend_example(claim, self.leases.lease_s):
                            judging.cancel()

        async def work(start: Start) -> Report | Infra | None:
            start(keep)
            try:
                return await self._tried(claim)
            finally:
                keeping.cancel()

        return await with_background_tasks(work)

    async def _tried(self, claim: ExampleClaim) -> Report | Infra | None:
        try:
            return await self.judge_example(claim)
        except (BlobsUnavailable, BlobMissing, BoxBroken) as breakage:
            away = isinstance(breakage, BlobsUnavailable | BoxAway)
            return Infra(type(breakage).__name__, str(breakage), outage=away)
