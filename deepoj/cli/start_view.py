"""Output of ``deepoj up``: progress of the start on one line of a terminal, then how to use the node."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from deepoj.config.model import Config
from deepoj.wiring.targets import reachable
from deepoj.words.sandbox import Isolation

if TYPE_CHECKING:
    from deepoj.wiring.node import Life, Ready

#: maximum number of reasons in the warning about weak isolation: more would push the verdicts off a small terminal
REASONS_SHOWN = 3


class _Output(Console):
    """A console that ignores a closed pipe: the rest of the output is lost, and the node keeps running."""

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


class StartView:
    """Shows progress on stderr if ``shows_progress``, and permanent lines on stdout.

    ``stays``: whether the node keeps running after the sample's verdict.
    """

    def __init__(self, cfg: Config, *, shows_progress: bool, stays: bool) -> None:
        self._cfg, self._stays = cfg, stays
        self.shows_progress = shows_progress
        self._began = time.monotonic()
        self._terminal = Console(stderr=True)
        self._redraws = shows_progress and not self._terminal.is_dumb_terminal
        self._arrow = "\033[1m==>\033[0m" if self._redraws and not self._terminal.no_color else "==>"
        self._ready: Ready | None = None
        self.out = _Output(highlight=False)

    def follow(self, life: Life, *, has_sample: bool) -> None:
        """Show the steps of a node's life. With a sample, :meth:`show_ready` is called after its verdict."""
        stop = life.on_stop

        def on_step(title: str) -> None:
            if self._ready is None:  # a server that is restarted later is not a step of the start
                self.show(title)

        def on_ready(ready: Ready) -> None:
            self._ready = ready
            self.clear()
            self._write(f"the node is up ({time.monotonic() - self._began:.1f} s)")
            if not has_sample:
                self.show_ready()

        def on_stop() -> None:
            stop()
            self.show("stopping")

        life.on_step, life.on_ready, life.on_stop = on_step, on_ready, on_stop

    def show(self, title: str) -> None:
        """Replace the progress line. The cursor stays at its start, so that a log line overwrites it."""
        if self._redraws:
            print("\r", end="", file=sys.stderr)
            self._write(f"{title} …"[: self._terminal.width - len("==> ") - 1], end="\033[K\r")
        else:
            self._write(title)

    def clear(self) -> None:
        """Remove the progress line."""
        if self._redraws:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def show_ready(self) -> None:
        """Print the isolation level, the address of the API, and how to stop. On a terminal also print the warnings of
        the settings; otherwise they are in the log."""
        ready = self._ready
        if ready is None:
            return
        if ready.isolation is Isolation.WEAK:
            self.out.print(self._weak_panel(ready.reasons, in_ascii=not self.out.is_terminal))
        elif ready.isolation is not None:
            why = f"; {ready.reasons[0]}" if ready.reasons else ""
            self._say(f"Isolation: [bold]{ready.isolation}[/bold]{escape(why)}. `{_doctor()}` says more.")
        if self.shows_progress:
            for warning in self._cfg.warnings:
                self._say(f"[yellow]{escape(warning)}[/yellow]")
        if ready.address is not None:
            verb = "is" if self._stays else "was"
            address = escape(reachable(ready.address))
            self._say(f"Deep-OJ {verb} up at [bold]{address}[/bold] (API: /api/v1, described at /docs).")
        if self._stays:
            self._say(f"Ctrl-C stops it; its data stays in {escape(str(self._cfg.home))}.")

    def _write(self, line: str, *, end: str = "\n") -> None:
        if self.shows_progress:
            print(f"{self._arrow} {line}", end=end, file=sys.stderr, flush=True)

    def _say(self, text: str) -> None:
        # lines in a pipe are not wrapped, so that they can be searched with grep
        self.out.print(text, soft_wrap=not self.out.is_terminal)

    @staticmethod
    def _weak_panel(reasons: tuple[str, ...], *, in_ascii: bool) -> Panel:
        lines = [
            "Submitted programs are contained less well here: let no strangers submit.",
            *(f"- {reason}" for reason in reasons[:REASONS_SHOWN]),
            f"`{_doctor()}` says what is missing for a stronger level: root or user namespaces.",
        ]
        return Panel(
            escape("\n".join(lines)),
            title=f"Isolation: {Isolation.WEAK}",
            title_align="left",
            border_style="yellow",
            box=box.ASCII if in_ascii else box.ROUNDED,
        )


def _doctor() -> str:
    """Return the command as the user must type it: `make run` starts a program that is not on the PATH."""
    program = sys.argv[0]
    return f"{program if Path(program).name == 'deepoj' else 'deepoj'} doctor"
