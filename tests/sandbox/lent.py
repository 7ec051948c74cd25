"""One box for many tests, in a thread with an event loop of its own, since each test has its own loop.

Opening a box costs as much as ten runs, on an emulated processor seconds. A test that cancels runs, or ends a launcher,
needs a box of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.adapters.sandbox.preflight import Preflight
from deepoj.words.sandbox import Isolation, Joined, RunOutcome, RunSpec
from tests.sandbox.bench import open_box


@dataclass(frozen=True)
class LentBox:
    """The part of ``LinuxBox`` that tests use. A cancelled run goes on to its end."""

    _portal: BlockingPortal
    _box: LinuxBox

    @property
    def isolation(self) -> Isolation:
        return self._box.isolation

    @property
    def has_proc(self) -> bool:
        return self._box.has_proc

    @property
    def preflight(self) -> Preflight:
        return self._box.preflight

    @property
    def launcher_pid(self) -> int:
        return self._box.launcher_pid

    def check(self) -> str:
        return self._portal.call(self._box.check)

    async def restore(self) -> None:
        await trio.to_thread.run_sync(self._portal.call, self._box.restore)

    async def run(self, spec: RunSpec) -> RunOutcome:
        return await trio.to_thread.run_sync(self._portal.call, self._box.run, spec)

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        joined = functools.partial(self._box.run_joined, is_settled=is_settled)
        return await trio.to_thread.run_sync(self._portal.call, joined, program, interactor)


@contextmanager
def lent_box(slots: int) -> Iterator[LentBox]:
    with start_blocking_portal("trio") as portal, portal.wrap_async_context_manager(open_box(slots)) as box:
        yield LentBox(portal, box)
