"""One node, from its settings to its end."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj import __version__, observe
from deepoj.adapters.embedded import EmbeddedHome, hold_home
from deepoj.adapters.embedded.home import write_whole
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.judging import testlib
from deepoj.nursery import tree
from deepoj.nursery.scopes import NodeTasks
from deepoj.wiring import settings
from deepoj.wiring.adapters import JUDGES, KEEPS, open_adapters, webhook_secret
from deepoj.wiring.children.intake import intake
from deepoj.wiring.children.keepers import keepers
from deepoj.wiring.children.parts import Parts, furnish
from deepoj.wiring.children.prepare import Guest, preparations
from deepoj.wiring.children.servers import servers
from deepoj.wiring.settings import CALLBACKS_WAIT, calls_nobody_back
from deepoj.words.errors import StartRefused
from deepoj.words.sandbox import Isolation

#: How long claimed jobs may go on after a stop. Most end within it; the others begin on another node within two seconds
#: of the stop, which is what we promise. At most half of ``cleanup_timeout_sec``: the rest is for giving back.
DRAIN_S = 1.0
#: minimum time for writing a verdict or giving a job back: a database that is slow just then is no reason to let the
#: job wait for the end of its lease
GIVE_BACK_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A node that is up. ``address``: the API's URL, None without an API. ``isolation``: None on a node that does not
    judge. ``reasons``: why it is no stronger, a sentence each."""

    address: str | None
    isolation: Isolation | None
    reasons: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Life:
    """Callbacks of the command line: ``on_step`` at each step of the start, with a text for users; ``on_ready`` when
    the node is up; ``on_stop`` when it begins to stop."""

    on_stop: Callable[[], None]
    on_step: Callable[[str], None] = lambda _: None
    on_ready: Callable[[Ready], None] = lambda _: None
    was_up: bool = False


async def serve(cfg: Config, life: Life, guests: Sequence[Guest]) -> None:
    """Run one node until a signal comes.

    Raises:
      StartRefused, or an ExceptionGroup around it: the start failed, and no process is left running.
      ExceptionGroup: a child ended for good, or there is a bug.
    """
    _require_compiler(cfg)
    async with AsyncExitStack() as stack:
        home = stack.enter_context(hold_home(cfg.home)) if cfg.embedded else None
        metrics = settings.metrics_of(cfg)
        life.on_step("trying the sandbox")
        adapters = await open_adapters(cfg, home, metrics, stack)
        parts = furnish(cfg, adapters, metrics, on_step=life.on_step)

        def on_up() -> None:
            life.was_up = True
            _announce(parts)
            if home is not None:
                stack.callback(_note_address(home.home, parts).unlink, missing_ok=True)
            life.on_ready(_ready(parts))

        def on_stop() -> None:
            parts.stopping.set()
            life.on_stop()

        jobs = parts.jobs
        drain_s = min(DRAIN_S, cfg.worker.cleanup_timeout_sec / 2)
        node = tree.Node(
            servers=servers(parts),
            prepare=preparations(parts, guests),
            keepers=keepers(parts),
            intake=intake(parts),
            guests=[_with_address(guest, parts) for guest in guests],
            work=jobs.work if jobs is not None else (),
            tasks=jobs.tasks if jobs is not None else NodeTasks(),
            child_status=parts.child_status,
            metrics=metrics,
            drain_s=drain_s,
            give_back_s=max(GIVE_BACK_S, cfg.worker.cleanup_timeout_sec - drain_s),
            on_up=on_up,
            on_stop=on_stop,
        )
        await tree.run(node, trio.Event())


def _ready(parts: Parts) -> Ready:
    box = parts.adapters.box
    return Ready(
        address=parts.listens[0] if parts.listens else None,
        isolation=box.isolation if box is not None else None,
        reasons=parts.adapters.isolation_reasons,
    )


def _require_compiler(cfg: Config) -> None:
    """Refuse to start a node that judges without a compiler: every submission would fail as an ``Infra``."""
    compiler = Path(cfg.path.compiler_bin)
    if cfg.roles & JUDGES and not os.access(compiler, os.X_OK):
        raise StartRefused(
            f"there is no compiler at {compiler}: install g++ (apt-get install g++), set path.compiler_bin, or start"
            " this node without the worker role",
            3,
        )


def _with_address(guest: Guest, parts: Parts) -> Callable[[Callable[[], None]], Awaitable[None]]:
    async def run_guest(stop: Callable[[], None]) -> None:
        await guest(parts.listens[0], stop)

    return run_guest


def _announce(parts: Parts) -> None:
    """Log what is up. The runbook greps the texts of the control plane and the consumer."""
    cfg, control = parts.cfg, parts.cfg.scheduler.control_plane
    observe.log("roles", roles=",".join(sorted(cfg.roles)), version=__version__, address=", ".join(parts.listens))
    if cfg.roles & KEEPS:
        observe.log(
            "control_plane",
            text="控制面模式 dispatch_mode=streams_only control_plane_only=true legacy_loops_started=0"
            " control_plane_loops_started=repair,gc",
        )
        parts.metrics.control_plane_only.set(1)
        parts.metrics.legacy_loops_started.set(0)
        observe.log("repair_started" if control.repair_enabled else "repair_disabled")
        observe.log("gc_started" if control.gc_enabled else "gc_disabled")
    warn_of_callbacks(cfg, parts.adapters.home)
    warn_of_testlib()
    if Role.CONSUMER in cfg.roles:
        observe.log(
            "consumer_started",
            text="工作节点流消费器",
            consumer=cfg.consumer,
            group=cfg.stream_group,
            stream_key=cfg.stream_key,
        )


def warn_of_callbacks(cfg: Config, home: EmbeddedHome | None) -> None:
    """Warn if webhooks wait for lack of a secret: no other message would say so."""
    if calls_nobody_back(cfg, webhook_secret(cfg, home)):
        observe.log("webhooks_wait", level="warning", reason=CALLBACKS_WAIT)


def warn_of_testlib() -> None:
    """Warn if testlib.h is missing, as after a build without it: setters should not be the first to notice."""
    if testlib.version() is None:
        observe.log("testlib_missing", level="warning", reason=testlib.MISSING)


def _note_address(home: Path, parts: Parts) -> Path:
    """Write ``node.json`` into the home: the address of the running node's API, for commands and for port 0."""
    note = home / "node.json"
    write_whole(note, json.dumps({"pid": os.getpid(), "api": parts.listens[0] if parts.listens else None}) + "\n")
    return note
