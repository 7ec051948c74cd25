"""What the kernel counts for a user: a run that takes all of it leaves its neighbour its part."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from deepoj.words.sandbox import RunVerdict
from sandbox_ext.make_policy import parse
from tests.sandbox.bench import Bench, limits

READY_S = 120.0
POLICY = parse((Path(__file__).parents[2] / "sandbox_ext" / "policy.txt").read_text())
#: an ordinary user has one uid for all slots, so the kernel counts these for all of them; at `weak` nothing is bounded
SHARED_BY_ORDINARY_USER = {"flight"}
#: what an honest program needs, and gets alone
NEEDS = {
    "pipes": b"0 40000\n",
    "sent-pipes": b"0 40000\n",
    "hidden-pipes": b"0 40000\n",
    "thread-pipes": b"0 40000\n",
    "many-pipes": b"5000\n",
    "signals": b"700\n",
    "flight": b"0\n",
    "watches": b"18\n",
}


@asynccontextmanager
async def hog(bench: Bench, kind: str) -> AsyncIterator[None]:
    """A run in the other slot that holds as much as it gets."""
    output = bench.directory / "hog.out"
    lim = limits(wall_ms=600_000)
    spec = bench.spec("take", kind, program="counted", lim=lim, stdout_to=output)

    async def run() -> None:
        raise AssertionError(await bench.box.run(spec))  # it holds what it has until its end

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        with trio.fail_after(READY_S):
            while not (output.exists() and output.read_bytes() == b"ready\n"):
                await trio.sleep(0.005)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", NEEDS)
async def test_run_beside_a_hog_gets_what_it_gets_alone(bench: Bench, kind: str) -> None:
    if bench.shares_user and (bench.weak or kind in SHARED_BY_ORDINARY_USER or (bench.full and kind == "signals")):
        return
    if bench.weak and kind == "hidden-pipes":
        # what hides its descriptors could hold any files there: no such hog stays (sandbox_ext/unlinked.c)
        ended = await bench.run("take", kind, program="counted")
        assert (ended.verdict, ended.rule) == (RunVerdict.OLE, "output")
        return
    alone = await bench.run("need", kind, program="counted")
    async with hog(bench, kind):
        beside = await bench.run("need", kind, program="counted")

    assert (alone.verdict, alone.stdout) == (RunVerdict.OK, NEEDS[kind])
    assert (beside.verdict, beside.stdout) == (alone.verdict, alone.stdout)


#: what the kernel counts by user, and the calls that take it; test_policy.py tries each call
REFUSED = {
    "inotify": ("inotify_init1", "inotify_init", "inotify_add_watch"),
    "fanotify": ("fanotify_init", "fanotify_mark"),
    "message queues": ("mq_open", "mq_timedsend", "msgget", "msgsnd"),
    "keys": ("add_key", "request_key", "keyctl"),
    "memory locked for rings, programs and counters": ("io_uring_setup", "io_setup", "bpf", "perf_event_open"),
    "memory locked at once": ("mlock2", "mlockall"),
    "System V memory": ("semget",),
    "namespaces": ("unshare", "setns", "clone3"),
    "pages moved into pipes": ("vmsplice", "splice", "tee"),
}


@pytest.mark.parametrize("limit", REFUSED)
def test_calls_that_take_what_a_user_has_are_answered_by_no_kernel(limit: str) -> None:
    answers = {call.name: call.answer for call in (*POLICY.calls, *POLICY.weak)}
    assert {name for name in REFUSED[limit] if answers[name] not in ("refuse", "absent")} == set()


@pytest.mark.parametrize("name", ["clone", "fcntl", "socket"])
def test_calls_that_take_it_by_an_argument_are_checked(name: str) -> None:
    assert all(call.answer.startswith("check:") for call in (*POLICY.calls, *POLICY.weak) if call.name == name)


async def test_program_locks_no_more_memory_than_its_limit(bench: Bench) -> None:
    assert (await bench.run("need", "locked", program="counted")).stdout == b"0 -1\n"
