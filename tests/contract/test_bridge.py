"""The bridge: results and exceptions of coroutines, cancellation, and closing."""

from __future__ import annotations

import contextvars
import threading

import pytest
import trio

from deepoj.adapters import aio_bridge
from deepoj.adapters.aio_bridge import AioBridge, BridgeClosed
from deepoj.words.errors import Breakage

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def _double(number: int) -> int:
    await aio_bridge.sleep(0)
    return 2 * number


async def _fail() -> None:
    raise LookupError("nothing there")


async def _sleep_without_end() -> None:
    await aio_bridge.sleep(3600)


async def test_values_and_errors_come_back_and_the_context_goes_along() -> None:
    async def paint() -> str:
        return colour.get()

    colour.set("green")
    async with AioBridge.open() as bridge:
        assert await bridge.run(_double, 21) == 42
        with pytest.raises(LookupError, match="nothing there"):
            await bridge.run(_fail)
        assert await bridge.run(paint) == "green"


async def test_many_crossings_at_once_each_get_their_own_answer() -> None:
    answers: dict[int, int] = {}

    async with AioBridge.open() as bridge:

        async def ask(number: int) -> None:
            answers[number] = await bridge.run(_double, number)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(ask, number)
    assert answers == {number: 2 * number for number in range(200)}


async def test_cancelled_work_is_over_before_trio_goes_on() -> None:
    steps: list[str] = []
    begun = trio.Event()
    token = trio.lowlevel.current_trio_token()

    async def work() -> None:
        token.run_sync_soon(begun.set)
        try:
            await aio_bridge.sleep(3600)
        finally:
            await aio_bridge.sleep(0.05)
            steps.append("cleaned up")

    async with AioBridge.open() as bridge, trio.open_nursery() as nursery:

        async def ask() -> None:
            try:
                await bridge.run(work)
            finally:
                steps.append("trio went on")

        nursery.start_soon(ask)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert steps == ["cleaned up", "trio went on"]


async def test_a_result_that_came_in_spite_of_the_cancel_is_not_lost() -> None:
    begun = trio.Event()
    token = trio.lowlevel.current_trio_token()
    got: list[str] = []

    async def stubborn() -> str:
        token.run_sync_soon(begun.set)
        try:
            await aio_bridge.sleep(3600)
        except aio_bridge.AioCancelled:
            return "committed"
        return "slept"

    async with AioBridge.open() as bridge, trio.open_nursery() as nursery:

        async def ask() -> None:
            got.append(await bridge.run(stubborn))
            await trio.lowlevel.checkpoint()
            got.append("never reached")

        nursery.start_soon(ask)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert got == ["committed"]


async def test_an_error_that_came_in_spite_of_the_cancel_is_raised() -> None:
    begun = trio.Event()
    token = trio.lowlevel.current_trio_token()

    async def breaks() -> None:
        token.run_sync_soon(begun.set)
        try:
            await aio_bridge.sleep(3600)
        except aio_bridge.AioCancelled:
            raise Breakage("the rollback failed") from None

    async with AioBridge.open() as bridge:
        with pytest.RaisesGroup(pytest.RaisesExc(Breakage, match="the rollback failed")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bridge.run, breaks)
                await begun.wait()
                nursery.cancel_scope.cancel()


async def test_a_crossing_in_a_cancelled_scope_does_not_begin() -> None:
    ran: list[bool] = []

    async def work() -> None:
        ran.append(True)

    async with AioBridge.open() as bridge:
        with trio.CancelScope() as scope:
            scope.cancel()
            await bridge.run(work)
        await bridge.run(_double, 1)
    assert scope.cancelled_caught
    assert not ran


async def test_leaving_cancels_what_is_left_and_joins_the_thread() -> None:
    async with trio.open_nursery() as nursery:
        begun = trio.Event()
        token = trio.lowlevel.current_trio_token()

        async def work() -> None:
            token.run_sync_soon(begun.set)
            await _sleep_without_end()

        async def ask(bridge: AioBridge) -> None:
            with pytest.raises(BridgeClosed):
                await bridge.run(work)

        async with AioBridge.open() as bridge:
            nursery.start_soon(ask, bridge)
            await begun.wait()
    assert not [thread for thread in threading.enumerate() if thread.name == "aio-bridge"]
    with pytest.raises(BridgeClosed):
        await bridge.run(_double, 1)


async def test_work_that_swallows_its_cancellation_is_told_of() -> None:
    token = trio.lowlevel.current_trio_token()
    begun = trio.Event()
    release = threading.Event()

    async def blocks_the_loop() -> None:
        token.run_sync_soon(begun.set)
        release.wait()  # blocking the loop is the point

    async def ask(bridge: AioBridge) -> None:
        with pytest.raises(BridgeClosed):
            await bridge.run(blocks_the_loop)
            await bridge.run(_double, 1)

    async with trio.open_nursery() as nursery:
        with pytest.raises(Breakage, match="did not end within"):
            async with AioBridge.open(close_deadline_s=0.05) as bridge:
                nursery.start_soon(ask, bridge)
                await begun.wait()
        release.set()
    await trio.to_thread.run_sync(bridge._thread.join, 30)
    assert not bridge._thread.is_alive()


def test_one_process_several_trio_runs() -> None:
    async def main() -> int:
        async with AioBridge.open() as bridge:
            return await bridge.run(_double, 4)

    assert [trio.run(main) for _ in range(3)] == [8, 8, 8]


async def test_a_connection_that_was_reset_under_a_writer_is_a_reset() -> None:
    """uvloop's RuntimeError for it would end a node as a bug."""

    async def write_to_a_dead_one(port: int) -> None:
        import asyncio

        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.abort()
        await writer.wait_closed()
        with aio_bridge.telling_resets():
            writer.write(b"anybody there?")

    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener, AioBridge.open() as bridge:
        with pytest.raises(ConnectionResetError):
            await bridge.run(write_to_a_dead_one, listener.socket.getsockname()[1])


async def test_other_runtime_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="a bug"), aio_bridge.telling_resets():
        raise RuntimeError("a bug")
