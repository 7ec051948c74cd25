"""What ``deepoj problem verify`` shows on stderr while it works."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

#: each drawing takes about two milliseconds of CPU, and a verification may take an hour
_DRAWINGS_PER_S = 2


class ProgressView:
    """Shows a bar on a terminal, with the tests of the submissions that are being judged; elsewhere a line for each
    submission that was judged."""

    def __init__(self, *, shown: bool) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._has_lines = shown and not self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not shown or self._has_lines,
            refresh_per_second=_DRAWINGS_PER_S,
        )
        self._task = self._bar.add_task("", total=None)
        self._submissions = self._judged = 0

    def __enter__(self) -> ProgressView:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def stage(self, text: str) -> None:
        """Show what is done now."""
        self._bar.update(self._task, description=text)

    def expect(self, *, inputs: int, submissions: int) -> None:
        """Set how many steps there are: inputs times validators, and submissions."""
        self._submissions = submissions
        self._bar.update(self._task, total=inputs + submissions)

    def advance(self) -> None:
        """Count an input that was looked at."""
        self._bar.advance(self._task)

    def judging(self, under_way: Mapping[str, str], judged: str) -> None:
        """Show the submissions that are being judged, each with its tests so far. ``judged``: the name of one that has
        just been judged, or empty."""
        text = ", ".join(f"{name} {tests}".rstrip() for name, tests in under_way.items())
        self._bar.update(self._task, description=text, advance=int(bool(judged)))
        if judged:
            self._judged += 1
        if judged and self._has_lines:
            self._console.print(f"judged {self._judged} of {self._submissions}: {judged}", markup=False)
