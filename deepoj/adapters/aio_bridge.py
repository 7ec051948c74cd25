"""The bridge to asyncio: a thread with a uvloop loop, which runs whole pieces of work for Trio.

asyncpg and redis-py's client need asyncio; the tree is Trio's. ``await bridge.run(fn, *args)`` runs ``fn(*args)`` as
one task on the bridge's loop and returns or raises its outcome. A crossing costs two thread wake-ups. So a transaction
crosses once, as one coroutine, never once per statement (measured: 0.9–1.3 of plain asyncio against 0.35).

Cancellation. When the waiting Trio task is cancelled, the asyncio task is cancelled and *awaited*. Trio continues only
after that task is over: the query cancelled at the server, the transaction rolled back, the connection back in its
pool. Trio then sees:

* ``trio.Cancelled`` (or the ``KeyboardInterrupt`` that caused it), if the asyncio task ended as cancelled;
* the value, if it ended with one all the same (the cancel came too late). The work has happened, and a won claim must
  not be lost silently; the scope's cancellation is delivered at Trio's next checkpoint;
* the error, if it ended with an error of its own, for the same reason.

So a cancelled crossing takes as long as its clean-up: all work on the bridge needs timeouts of its own.

This is the only file that imports asyncio. Adapters with coroutines for the loop import what they need from here:
``sleep``, ``timeout``, ``Lock``, ``Event``, ``telling_resets``, ``AioCancelled``. Expired deadlines
raise the builtin ``TimeoutError``.

``autojump_clock`` takes a crossing for idleness and fires every deadline at once: use fakes there, real time here.
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

from deepoj.words.errors import Breakage

AioCancelled = asyncio.CancelledError
Event = asyncio.Event
Lock = asyncio.Lock
sleep = asyncio.sleep
timeout = asyncio.timeout


class BridgeClosed(Breakage):
    """The bridge was closed during a crossing, or before it began."""


@contextlib.contextmanager
def telling_resets() -> Iterator[None]:
    """Raise ConnectionResetError, as asyncio's own loop does, where uvloop raises RuntimeError.

    For work on the loop that writes to sockets: uvloop does so if a reset has closed the connection before its protocol
    was notified.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).endswith("the handler is closed"):
            raise
        raise ConnectionResetError(str(error)) from error


class _Crossing:
    """One ``run`` under way. Its methods run in the loop's thread, except ``abort``."""

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
        """Ask the asyncio task to end, and keep waiting for it. Runs in Trio's thread."""
        self._raise_cancel = raise_cancel
        # a loop that has just been closed refuses: then every crossing already has its answer
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
        """Answer that the bridge is closing: the task was cancelled, and not by its waiter."""
        self._deliver(outcome.Error(BridgeClosed("the asyncio bridge was closed while work was under way on it")))

    def _deliver(self, result: outcome.Outcome[Any]) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # that Trio run is over, and its waiter with it
            self._token.run_sync_soon(trio.lowlevel.reschedule, self._trio_task, result)


class AioBridge:
    """A running bridge; made by ``open``. Crossings may come from any task of any Trio run."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="aio-bridge", daemon=False)
        #: guards the next two: every crossing in the set before the loop ends gets an answer
        self._lock = threading.Lock()
        self._crossings: set[_Crossing] = set()
        self._closed = False

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, *, close_deadline_s: float = 10.0) -> AsyncGenerator[Self]:
        """Start the thread. On leaving, cancel the remaining work, close the loop and join the thread.

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
        """Run the asyncio coroutine function ``fn(*args)`` on the loop, as one task in a copy of the caller's context.

        A checkpoint. Raises what ``fn`` raises, and BridgeClosed. On cancellation see the module's docstring.
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
                remaining, self._crossings = self._crossings, set()
            for crossing in remaining:
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
        """Cancel all other tasks until none is left (a cancelled task may start another), then the generators."""
        while remaining := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in remaining:
                task.cancel()
            await asyncio.wait(remaining)
        await self._loop.shutdown_asyncgens()
