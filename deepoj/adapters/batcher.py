"""Batches concurrent calls of one kind: one crossing of the asyncio bridge, one round trip to the server, one commit.

No call waits for others to form a batch while the node has nothing else to do. If fewer than ``lanes`` batches are in
progress, a call starts one, except under load (see below). Otherwise it waits until a batch ends; the first waiting
call then starts the next batch with all waiting calls. So a quiet node does not batch, and a busy node's batches grow
with its load.

While another batch is in progress, or the last one had several calls, a call that starts a batch first lets the other
tasks of this scheduler turn run. Requests that arrived together then share a batch. Without that, the first two of them
took both lanes, each with a statement for itself.

Under load, when the last batch had several calls, a free lane is only for more calls than a batch takes, and for the
case that a batch hangs, for instance in a lock: a call takes it once the youngest batch is older than ``_PATIENCE_S``.
Each batch costs the node, the server and the disk something of its own: with 32 clients and batches of up to 64 a
submit took 0.60 crossings of the bridge when both lanes were always used, and 0.36 so. The first call of the queue
measures the time for all of them.

A batch of several calls begins its successor before its own calls go on: answering 15 submits takes the node 4 ms, in
which the database would wait. The call that executed the batch goes on in the same turn as the others. Otherwise it
would reach the next batcher first, and take a lane there alone. Submits ÷ bare POSTs with 32 clients, in a new
database: 0.48 without these two rules, 0.53 with them, and 0.57 with batches of half the clients, of which one is
answered while the other is stored.

CPU of node and database per request with 32 clients (``deepoj bench api``), unbatched and batched, medians of 10 to 25
alternating stretches: a submit 2.78 and 1.96 ms; with only the account look-ups batched, 1.92 and 1.64 ms; a status
read 0.80 and 0.67 ms. With a single client there is no difference.

There is no background task: the call that starts a batch executes it, shielded from its own cancellation, because other
calls depend on the result. So the work needs its own time limits. A call cancelled while it waits is removed from the
queue. A call cancelled while its batch is in progress returns, but its work is still done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import trio

from deepoj.words.errors import Breakage, StoreUnavailable, StreamUnavailable

#: how long a batch may take, under load, until another lane is used
_PATIENCE_S = 0.05


class _Waiting[A, R]:
    """A call that waits in the queue, then in a batch."""

    __slots__ = ("answer", "argument", "begins", "failed", "woken")

    def __init__(self, argument: A) -> None:
        self.argument = argument
        self.woken = trio.Event()
        #: whether it was woken to start the next batch
        self.begins = False
        #: the answer, or empty
        self.answer: list[R] = []
        self.failed: StoreUnavailable | StreamUnavailable | None = None


class Batcher[A, R]:
    """Batches calls of ``work``, which takes several arguments and returns one answer for each, in order.

    StoreUnavailable and StreamUnavailable raised by ``work`` reach each call of the batch. Any other Breakage may be
    caused by a single argument, so each call is then repeated alone. ``most``: maximum number of arguments in a batch.
    """

    def __init__(self, work: Callable[[Sequence[A]], Awaitable[Sequence[R]]], *, lanes: int, most: int) -> None:
        self._work = work
        self._lanes = self._free_lanes = lanes
        self._most = most
        #: a call lets others join before it starts its batch
        self._is_gathering = False
        self._had_company = False
        #: when each batch in progress began, on Trio's clock
        self._begun: list[float] = []
        self._queue: deque[_Waiting[A, R]] = deque()

    async def do(self, argument: A) -> R:
        """Return the answer to one argument. Raises as ``work`` does."""
        mine: _Waiting[A, R] = _Waiting(argument)
        is_idle = self._free_lanes == self._lanes
        is_next = self._free_lanes > 0 and not self._queue and not self._is_gathering
        if is_next and (is_idle or not self._had_company):
            self._free_lanes -= 1
            if self._had_company or not is_idle:
                await self._gather()
            return await self._begin(mine)
        self._queue.append(mine)
        try:
            if is_next:
                with trio.move_on_at(max(self._begun, default=trio.current_time()) + _PATIENCE_S):
                    await mine.woken.wait()
                if mine in self._queue:
                    self._use_free_lane()
            if not mine.woken.is_set():  # otherwise this takes a turn, in which the last batch is answered
                await mine.woken.wait()
        except trio.Cancelled:
            if mine.begins:  # pass the lane on to the next call
                self._hand_on()
            elif mine in self._queue:
                self._queue.remove(mine)
                if is_next:  # the others rely on this call to measure the time
                    self._use_free_lane()
            raise
        if mine.begins:
            return await self._begin(mine)
        return await self._answer_of(mine)

    async def _gather(self) -> None:
        """Let the other tasks of this scheduler turn join the queue. When cancelled, pass the lane on."""
        self._is_gathering = True
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self._hand_on()
            raise
        finally:
            self._is_gathering = False

    async def _answer_of(self, mine: _Waiting[A, R]) -> R:
        if mine.failed is not None:
            raise type(mine.failed)(str(mine.failed)) from mine.failed
        if not mine.answer:
            return await self._alone(mine.argument)
        return mine.answer[0]

    async def _alone(self, argument: A) -> R:
        [answer] = await self._work([argument])
        return answer

    async def _begin(self, mine: _Waiting[A, R]) -> R:
        """Execute a batch in the lane of this call, and pass the lane on."""
        group = [mine]
        while self._queue and len(group) < self._most:
            group.append(self._queue.popleft())
        self._had_company = len(group) > 1
        self._use_free_lane()  # if more had gathered than a batch takes
        began = trio.current_time()
        self._begun.append(began)
        if len(group) == 1:
            try:
                return await self._alone(mine.argument)
            finally:
                self._begun.remove(began)
                self._hand_on()
        try:
            with trio.CancelScope(shield=True):
                answers = await self._work([one.argument for one in group])
        except (StoreUnavailable, StreamUnavailable) as error:
            for one in group[1:]:
                one.failed = error
            raise
        except Breakage:
            pass  # the calls find no answer and repeat alone
        else:
            for one, answer in zip(group, answers, strict=True):
                one.answer.append(answer)
        finally:
            self._begun.remove(began)
            await self._wake(group[1:])
        return await self._answer_of(mine)

    async def _wake(self, others: Sequence[_Waiting[A, R]]) -> None:
        """Pass the lane on, then wake the other calls of the batch."""
        is_followed = bool(self._queue)
        self._hand_on()
        if is_followed:  # let the next batch begin
            await trio.lowlevel.cancel_shielded_checkpoint()
        for one in others:
            one.woken.set()
        await trio.lowlevel.cancel_shielded_checkpoint()  # go on with them, not ahead of them

    def _use_free_lane(self) -> None:
        """Let the first call of the queue start a batch, if there are one and a free lane."""
        if self._queue and self._free_lanes:
            self._free_lanes -= 1
            self._hand_on()

    def _hand_on(self) -> None:
        if not self._queue:
            self._free_lanes += 1
            return
        following = self._queue.popleft()
        following.begins = True
        following.woken.set()
