"""The sandbox, and the cache of what was compiled in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from deepoj.words.results import CompileResult
from deepoj.words.sandbox import Isolation, Joined, RunOutcome, RunSpec


class Box(Protocol):
    """The sandbox. Raises BoxBroken. Cancelling ``run`` kills the run and all its processes before it returns.
    Implemented by ``adapters.sandbox.box`` and ``quiet_box``."""

    @property
    def isolation(self) -> Isolation: ...

    @property
    def has_proc(self) -> bool:
        """Whether programs see a /proc."""
        ...

    def check(self) -> str:
        """Look whether the sandbox's own processes live and are not stopped; to be called periodically.

        Returns:
          A sentence if a run takes much longer than its limits allow, else an empty text.

        Raises:
          BoxBroken: they have ended, or two looks found the same process stopped; then they are ended, and their runs
            raise BoxBroken.
        """
        ...

    async def restore(self) -> None:
        """Start the sandbox's processes again if they have ended. ``run`` does so, too. Raises BoxAway."""
        ...

    async def run(self, spec: RunSpec) -> RunOutcome: ...

    async def run_joined(
        self, program: RunSpec, interactor: RunSpec, *, is_settled: Callable[[RunOutcome], bool]
    ) -> Joined:
        """Run both at once, the stdout of each a pipe that is the other's stdin; each has its own limits.

        The pair takes one slot, even in a sandbox that has only one. A program that ends closes its side, even if it
        has left processes running; the other gets no SIGPIPE as long as the pipe has room. ``is_settled`` is called
        once, when the interactor ends before the program: whether the program need not go on. Cancelling kills both.

        Raises ValueError if a spec compiles, or names a ``stdin`` or a ``stdout_to``."""
        ...


class CompileCache(Protocol):
    """Results of compilations, by a digest of everything that decides them. It is only a cache: a failure of the disk
    is a miss. Raises StartRefused at the first call if its directory cannot be made. Implemented by
    ``adapters.compile_cache``."""

    def has(self, key: str) -> bool:
        """Return whether ``take`` may have a result; False before the first call of another method."""
        ...

    async def take(self, key: str, into: Path) -> CompileResult | None:
        """Return the result kept under ``key``. Its files are then in ``into``, complete, and must not be written
        to."""
        ...

    async def keep(self, key: str, result: CompileResult, files: Sequence[Path]) -> None:
        """Keep a result. ``files``: those that running needs, to be put under their names into another directory."""
        ...
