"""An arena for callers that are not async: it lives in a thread with an event loop of its own, from row to row."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.sandbox.hostile.arena import Arena
from tests.sandbox.hostile.table import Row


@dataclass(slots=True, eq=False)
class Ring:
    """Checks rows on one slot. A row that left something is not held against the next ones: they get a fresh box."""

    portal: BlockingPortal
    programs: Path
    directory: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _arena: Arena | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    @contextmanager
    def open(cls, programs: Path, directory: Path) -> Iterator[Ring]:
        with start_blocking_portal("trio") as portal:
            ring = cls(portal, programs, directory)
            with ring._stack:
                yield ring

    def check(self, row: Row) -> list[str]:
        """What was wrong with a row, a sentence each."""
        if self._arena is None:
            directory = self.directory / str(next(self._numbers))
            directory.mkdir()
            opening: AbstractContextManager[Arena] = self.portal.wrap_async_context_manager(
                Arena.open(self.programs, directory)
            )
            self._arena = self._stack.enter_context(opening)
        found = self.portal.call(functools.partial(self._arena.check, row))
        if found:
            self._stack.close()
            self._arena = None
        return found
