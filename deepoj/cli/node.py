"""``deepoj node`` and ``deepoj up``: run one node with the given roles until it is stopped."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click
import trio

from deepoj import observe
from deepoj.cli import errors
from deepoj.cli.common import settings
from deepoj.cli.imports import importing
from deepoj.config.checks import require_startable
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.observe.logs import LEVELS
from deepoj.words.exits import FELL, GOOD, INTERRUPTED
from deepoj.words.sandbox import Isolation

if TYPE_CHECKING:
    from deepoj.cli.sample_view import SampleGuest
    from deepoj.cli.start_view import StartView

#: time beyond the drains of the settings before the watchdog ends a hanging node: an execution that does not end (15),
#: the launcher (10), a give-back (at least 3), the shutdown of embedded servers
WATCHDOG_SLACK_S = 45.0

# <malloc.h>
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MIB = 1024 * 1024


def _node_options(command: Callable[..., object]) -> Callable[..., object]:
    options = [
        click.option("--roles", metavar="LIST", help="Comma separated: api, dispatcher, consumer, reclaim, repair, gc;"
                     " or worker, scheduler, all (default)."),
        *(click.option(f"--no-{role.value}", is_flag=True, help=f"Without the role {role.value}.") for role in Role),
        click.option("--no-web", is_flag=True, help="Without the pages for people."),
        click.option("--host", metavar="ADDRESS", help="Address of the API (default 127.0.0.1)."),
        click.option("--port", type=int, metavar="N", help="Port of the API (default 18080)."),
        click.option("--log", "style", type=click.Choice(["auto", "json", "human"]), default="auto", show_default=True,
                     help="One JSON object per line, lines for people, or by whether stderr is a terminal."),
        click.option("--log-level", type=click.Choice(list(LEVELS)), help="Lowest level that is logged."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _flags(given: Mapping[str, object], *, embedded: bool | None) -> dict[str, object]:
    without = [role.value for role in Role if given.get(f"no_{role.value}")]
    return {
        "roles": given["roles"],
        "without_roles": ",".join(without) or None,
        "api.web.enabled": False if given["no_web"] else None,
        "api.host": given["host"],
        "api.port": given["port"],
        "embedded": embedded,
    }


@click.command()
@click.option("--embedded", is_flag=True, help="With its own PostgreSQL, Valkey and object store.")
@_node_options
def node(embedded: bool, style: observe.LogStyle, log_level: str | None, **given: object) -> int:
    """Run one node with the roles you choose."""
    cfg = settings(_flags(given, embedded=embedded or None))
    observe.configure(style, level=log_level or "info", throttle_s=cfg.worker.stream.log_throttle_sec)
    return _run(cfg)


@click.command()
@click.option(
    "--sample", is_flag=True, help="After the start, judge the bundled sample through the API, and show the verdict."
)
@click.option(
    "--exit", "leave", is_flag=True, help="With --sample: end after the verdict; exit code 0 if it was Accepted."
)
@_node_options
def up(sample: bool, leave: bool, style: observe.LogStyle, log_level: str | None, **given: object) -> int:
    """Run a node with its own PostgreSQL, Valkey and object store, stored under DEEPOJ_HOME (./.deepoj)."""
    sample = sample or leave
    cfg = settings(_flags(given, embedded=True))
    if sample:
        cfg = accept_weak_isolation(cfg)
    # people at a terminal want the verdict, not every event; a file or a pipe gets all events
    on_terminal = sys.stderr.isatty()
    level = log_level or ("warning" if on_terminal else "info")
    observe.configure(style, level=level, throttle_s=cfg.worker.stream.log_throttle_sec)
    shows_progress = on_terminal and style != "json"
    if not (sample or shows_progress):
        return _run(cfg)
    from deepoj.cli.sample_view import SampleGuest  # noqa: PLC0415 - these load rich and httpx
    from deepoj.cli.start_view import StartView  # noqa: PLC0415

    view = StartView(cfg, shows_progress=shows_progress, stays=not leave)
    guest = SampleGuest(cfg, view, leave=leave) if sample else None
    try:
        view.show("loading the program")
        return _run(cfg, view, guest)
    finally:
        view.clear()


def accept_weak_isolation(cfg: Config) -> Config:
    """Let the node start at any isolation level, unless a setting requires one.

    Its first program is the bundled sample, which is trusted; :class:`StartView` warns about other programs.
    """
    name = "sandbox_min_isolation"
    if cfg.sources[name] != "default":
        return cfg
    sources = {**cfg.sources, name: "default (of --sample)"}
    return cfg.model_copy(update={name: Isolation.WEAK, "sources": sources})


def _run(cfg: Config, view: StartView | None = None, guest: SampleGuest | None = None) -> int:
    """Run a node from start to stop; return the exit code."""
    with importing():
        from deepoj.wiring.node import Life, serve  # noqa: PLC0415 - loads every adapter: only a node pays for that

    require_startable(cfg)
    _return_memory()
    if view is None or not view.shows_progress:
        for warning in cfg.warnings:
            observe.log("setting", level="warning", text=warning)
    watchdog = Watchdog(longest_stop_s(cfg))
    life = Life(on_stop=watchdog.arm)
    if view is not None:
        view.follow(life, has_sample=guest is not None)
    try:
        trio.run(serve, cfg, life, [guest] if guest is not None else [])
    except BaseExceptionGroup as group:
        ending = errors.verdict(group)
        if ending is None or not life.was_up:
            raise
        # the node was up, so this is a child that failed permanently, not a wrong setting
        errors.say(ending[0])
        return FELL
    finally:
        watchdog.disarm()
        observe.flush()
    if view is not None:
        view.clear()
        if not life.was_up:
            errors.say("stopped before the node was up")
            return INTERRUPTED
        if guest is not None and guest.leaves and guest.exit_code == INTERRUPTED:
            errors.say("stopped before the sample's verdict")
    return guest.exit_code if guest is not None and guest.leaves else GOOD


def _return_memory() -> None:
    """Configure glibc to return large blocks to the system, and to use two arenas instead of one per thread.

    Hashing a password takes 19 MiB. By default, freeing the first such block raises glibc's mmap threshold, so later
    blocks stay in the heaps of their threads: an idle node would keep 20 to 40 MiB until it ends.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # glibc only
        mallopt(_M_MMAP_THRESHOLD, _MIB)
        mallopt(_M_ARENA_MAX, 2)


def longest_stop_s(cfg: Config) -> float:
    """Return the maximum duration of a stop: drains of the API and of the jobs, plus time for the servers."""
    return cfg.api.shutdown_timeout_sec + cfg.worker.cleanup_timeout_sec + WATCHDOG_SLACK_S


class Watchdog:
    """Ends the process if its shutdown hangs: a server library can block a hard cancel while a client keeps a
    connection open without reading. By then, all important data is in the database."""

    def __init__(self, after_s: float) -> None:
        self._timer = threading.Timer(after_s, self._bite)
        self._timer.daemon = True

    def arm(self) -> None:
        if not self._timer.is_alive():
            self._timer.start()

    def disarm(self) -> None:
        self._timer.cancel()

    @staticmethod
    def _bite() -> None:
        errors.say("the shutdown hangs: ending at once; unfinished jobs are reclaimed when their leases expire")
        os._exit(FELL)
