"""Compilations that begin before their job is claimed.

Between the request of a submission and its compiler are the commit, the stream, the claim and the attempt's own
preparation: 8 ms on an idle node, of 16 to 18 that a verdict takes beside its compiler and its program. So a node that
takes in a submission, has an idle slot and is the only one that claims jobs compiles it at once. The attempt finds the
same compilation under way, by the digest of everything that decides it, and takes over its result. The compiler of a
submission that is refused is killed. No program runs before it is stored, nor a compiler that runs the source.

The commit begins once the request for the compiler is sent, which takes 1 ms. When the two ran beside each other in one
interpreter, the request took 2 to 3 ms longer, and so did the verdict, which waits for the compiler: medians of the
time beside it 12.9 and 11.7 ms then, 9.7 and 9.2 now.

What if we die, or the job is claimed elsewhere? The result is dropped, and the next start removes the directory
(``workdir.sweep``). A job never depends on it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path

import trio

from deepoj.execution.context import AttemptContext
from deepoj.execution.deferred import DeferredWork, StartTask
from deepoj.execution.workdir import AttemptDir, do_blocking
from deepoj.judging.languages import Language, resolve
from deepoj.judging.sources import scratch_names, takes_several
from deepoj.words.errors import BoxBroken
from deepoj.words.sandbox import FileIn
from deepoj.words.sources import SourceFile
from deepoj.words.submissions import Draft

#: how long no submission of a problem is compiled early after one whose result no job asked for
UNUSED_S = 600.0
#: of how many such problems a node knows
MOST_UNUSED = 1000
#: how long a draft may be compiled before it is stored. A commit takes milliseconds; a draft that is refused by a slow
#: database takes no more of a slot than that
UNSETTLED_S = 0.25
#: how long a commit waits at most for the request to its compiler. A disk that hangs keeps no submission from being
#: stored
BEGIN_S = 0.02


@dataclass(slots=True, eq=False)
class _Early:
    """A compilation. Implements ``ports.EarlyCompilation``."""

    scope: trio.CancelScope = field(default_factory=lambda: trio.move_on_at(trio.current_time() + UNSETTLED_S))
    #: set once its compiler is about to begin, or will not
    begun: trio.Event = field(default_factory=trio.Event)

    def settle(self, *, is_stored: bool) -> None:
        self.scope.deadline = inf if is_stored else -inf


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSlotCompiler:
    """Implements ``ports.EarlyCompiler``."""

    context: AttemptContext
    start_task: StartTask
    #: whether a slot is idle beside so many compilations that no job has taken over, and the job will be claimed here
    has_room: Callable[[int], bool]
    #: empty directories for results. Only the first is made while a submission waits to be stored: a file system that
    #: is writing its journal, as it does for a commit on the same disk, let the node's thread wait for 1 to 2 ms
    _directories: list[AttemptDir] = field(default_factory=list)
    #: those whose compiler has not begun
    beginning: set[_Early] = field(default_factory=set)
    #: problem → when its result was not used: its package adds files to each program, or its judging is paused
    _unused: dict[int, float] = field(default_factory=dict)

    async def begin(self, draft: Draft) -> _Early | None:
        language = resolve(draft.language)
        if language is None or language.compile_argv(self.context.settings.toolchain) is None:
            return None
        # The failure of a compiler that runs code of the source is judged by what the host killed meanwhile. An archive
        # may have to be made first, which takes seconds.
        if language.compile_runs_source or language.archive or (draft.files and not takes_several(language)):
            return None
        if not self._has_room() or self._is_unused(draft.problem_id):
            return None
        early = _Early()
        self.start_task(partial(self._compile, draft, language, early))
        self.beginning.add(early)
        try:
            with trio.move_on_after(BEGIN_S):
                await early.begun.wait()
        except trio.Cancelled:
            early.settle(is_stored=False)
            raise
        return early

    def _has_room(self) -> bool:
        return self.has_room(len(self.beginning) + self.context.compiler.early_count)

    def _is_unused(self, problem_id: int) -> bool:
        since = self._unused.get(problem_id)
        return since is not None and trio.current_time() - since < UNUSED_S

    async def _compile(self, draft: Draft, language: Language, early: _Early) -> None:
        try:
            # The attempt compiles by itself what is not compiled here, and meets the breakage again.
            with suppress(OSError, BoxBroken, ValueError):
                directory = self._directories.pop() if self._directories else await self._new_directory()
                is_used = True
                try:
                    with early.scope:
                        is_used = await self._compile_in(directory, draft, language, early)
                finally:
                    await self._give_back(directory, is_empty=early in self.beginning)
                if not is_used:
                    self._note_unused(draft.problem_id)
        finally:
            self._note_begun(early)

    def _note_begun(self, early: _Early) -> None:
        self.beginning.discard(early)
        early.begun.set()

    async def _compile_in(self, directory: AttemptDir, draft: Draft, language: Language, early: _Early) -> bool:
        with _in_memory(language, draft) as sources:
            return await self.context.compiler.compile_early(
                language,
                sources,
                into=directory.path,
                user_id=draft.user_id,
                on_begin=partial(self._note_begun, early),
                about={"trace_id": draft.trace_id, "problem_id": draft.problem_id, "language": language.key},
            )

    def _note_unused(self, problem_id: int) -> None:
        if len(self._unused) >= MOST_UNUSED:
            self._unused.clear()
        self._unused[problem_id] = trio.current_time()

    async def _new_directory(self) -> AttemptDir:
        """Make a directory that is there until the node stops."""
        directory = await trio.to_thread.run_sync(AttemptDir.unnamed, self.context.workdir)
        self.start_task(partial(_hold, directory))
        return directory

    async def _give_back(self, directory: AttemptDir, *, is_empty: bool) -> None:
        if is_empty:
            self._directories.append(directory)
        else:  # not beside the job's first test
            await DeferredWork(self.start_task).add(partial(self._empty, directory))

    async def _empty(self, directory: AttemptDir) -> None:
        with suppress(OSError):  # else it is not used again
            await do_blocking(_remove_files, directory.path, is_short=True)  # usually there is none
            self._directories.append(directory)


async def _hold(directory: AttemptDir) -> None:
    try:
        await trio.sleep_forever()
    finally:
        await directory.leave(keep=False)


@contextmanager
def _in_memory(language: Language, draft: Draft) -> Iterator[list[FileIn]]:
    """Put the sources into files in memory, with their names in the sandbox. Raises OSError."""
    files = draft.files or (SourceFile("", draft.code),)
    with ExitStack() as opened:
        sources = []
        for name, file in zip(scratch_names(language, files), files, strict=True):
            memory = opened.enter_context(os.fdopen(os.memfd_create("source", os.MFD_CLOEXEC), "wb"))
            memory.write(file.content.encode("utf-8", "replace"))
            memory.flush()
            sources.append(FileIn(name, Path(f"/proc/self/fd/{memory.fileno()}")))
        yield sources


def _remove_files(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()
