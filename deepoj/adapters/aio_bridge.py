"""The bridge to asyncio: a thread with a uvloop loop, into which whole pieces of work are handed from Trio.

asyncpg and redis-py's client speak asyncio only; the tree is Trio's. ``await bridge.run(fn, *args)`` runs ``fn(*args)``
as one task on the bridge's loop and brings back what it returned or raised. A crossing costs two thread wake-ups, so a
transaction crosses once, as one coroutine, never once a statement (measured: 0.9–1.3 of plain asyncio against 0.35).

Cancellation. When the waiting Trio task is cancelled, the asyncio task is cancelled and *awaited*: only when it is over
(the query cancelled at the server, the transaction rolled back, the connection back in its pool) does Trio go on.
What it then sees:

* the asyncio task ended as cancelled: ``trio.Cancelled`` (or the ``KeyboardInterrupt`` that asked for it);
* it ended with a value all the same (the cancel came too late): the value is returned. The work has happened, and a
  claim that was won must not be lost silently; the scope's cancellation is delivered at Trio's next checkpoint;
* it ended with an error of its own: that error is raised, for the same reason.

So a cancelled crossing lasts as long as its clean-up does: everything handed in needs timeouts of its own.

This is the only file that imports asyncio. Adapters that write coroutines for the loop take what they need from here:
``sleep``, ``timeout``, ``Lock``, ``Event``, ``wait_first``, ``telling_resets``, ``AioCancelled``. Deadlines that pass
raise the builtin ``TimeoutError``.

Under ``autojump_clock`` a crossing looks like idleness and every deadline fires at once: fakes there, real time here.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, NoReturn, Self

import outcome
import trio
import uvloop

from deepoj.words import Breakage

AioCancelled = asyncio.CancelledError
Event = asyncio.Event
Lock = asyncio.Lock
sleep = asyncio.sleep
timeout = asyncio.timeout


class BridgeClosed(Breakage):
    """The bridge was closed under a crossing, or was not open any more when it began."""


async def wait_first(*events: Event) -> None:
    """Returns as soon as one of the asyncio events is set; leaves no waiter behind."""
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


@contextlib.contextmanager
def telling_resets() -> Iterator[None]:
    """Around work on the loop that writes to sockets: a connection that a reset has closed under the writer, before its
    protocol heard of it, is a ConnectionResetError, as it is on asyncio's own loop. uvloop says RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).endswith("the handler is closed"):
            raise
        raise ConnectionResetError(str(error)) from error


class _Crossing:
    """One ``run`` under way. Its methods, ``abort`` apart, run in the loop's thread."""

    def __init__(self, bridge: AioBridge, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._bridge = bridge
        self._work = work
        self._context = contextvars.copy_context()
        self._trio_task = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self._aio_task: asyncio.Task[Any] | None = None
        self._raise_cancel: Callable[[], NoReturn] | None = None

    def start(self) -> None:
        self._aio_task = self._bridge._loop.create_task(self._body(), context=self._context)
        self._aio_task.add_done_callback(self._done)

    async def _body(self) -> Any:
        return await self._work()

    def cancel(self) -> None:
        if self._aio_task is not None:
            self._aio_task.cancel()

    def abort(self, raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
        """Trio's side: asks the asyncio task to end and keeps waiting for it."""
        self._raise_cancel = raise_cancel
        # a loop that has just been closed refuses: then every crossing has got its answer already
        with contextlib.suppress(RuntimeError):
            self._bridge._loop.call_soon_threadsafe(self.cancel)
        return trio.lowlevel.Abort.FAILED

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._bridge._crossings.discard(self)
        if not task.cancelled():
            error = task.exception()
            self._deliver(outcome.Value(task.result()) if error is None else outcome.Error(error))
        elif self._raise_cancel is not None:
            self._deliver(outcome.capture(self._raise_cancel))
        else:
            self.abandon()

    def abandon(self) -> None:
        """Cancelled, and not by the one who waits: the bridge is closing."""
        self._deliver(outcome.Error(BridgeClosed("the asyncio bridge was closed while work was under way on it")))

    def _deliver(self, result: outcome.Outcome[Any]) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # that Trio run is over, nobody waits
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._trio_task, result)


class AioBridge:
    """A running bridge; made by ``open``. Crossings may come from any task of any Trio run."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="aio-bridge", daemon=False)
        #: guards the next two: whoever is in the set before the loop has ended gets an answer
        self._lock = threading.Lock()
        self._crossings: set[_Crossing] = set()
        self._closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, *, close_deadline_s: float = 10.0) -> AsyncGenerator[Self]:
        """Starts the thread; leaving cancels what is left, closes the loop and joins the thread.

        Raises Breakage on leaving if the thread has not ended within ``close_deadline_s`` seconds (a coroutine that
        swallows its cancellation or blocks the loop: a bug of ours).
        """
        bridge = cls()
        bridge._thread.start()
        try:
            yield bridge
        finally:
            with trio.CancelScope(shield=True):
                await bridge._close(close_deadline_s)

    async def run[*Ts, T](self, fn: Callable[[*Ts], Coroutine[Any, Any, T]], *args: *Ts) -> T:
        """Runs the asyncio coroutine function ``fn(*args)`` on the loop, as one task in a copy of the caller's context.

        A checkpoint. Raises what ``fn`` raises, and BridgeClosed. About cancellation see the head of this module.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        crossing = _Crossing(self, lambda: fn(*args))
        with self._lock:
            if self._closed:
                raise BridgeClosed("the asyncio bridge is closed")
            self._crossings.add(crossing)
            self._loop.call_soon_threadsafe(crossing.start)
        answer: T = await trio.lowlevel.wait_task_rescheduled(crossing.abort)
        return answer

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            with self._lock:
                self._closed = True
                left, self._crossings = self._crossings, set()
            for crossing in left:
                crossing.abandon()
            self._loop.close()

    async def _close(self, deadline_s: float) -> None:
        self._loop.call_soon_threadsafe(self._begin_close)
        await trio.to_thread.run_sync(self._thread.join, deadline_s)
        if self._thread.is_alive():
            raise Breakage(f"work on the asyncio bridge did not end within {deadline_s:g} s of being cancelled")

    def _begin_close(self) -> None:
        self._ending = self._loop.create_task(self._end())
        self._ending.add_done_callback(lambda _task: self._loop.stop())

    async def _end(self) -> None:
        """Cancels all other tasks until there are none (a cancelled task may start another), then the generators."""
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in left:
                task.cancel()
            await asyncio.wait(left)
        await self._loop.shutdown_asyncgens()
