"""The child that announces the node, on every node (``capacity/roster.py``)."""

from __future__ import annotations

import datetime as dt
import os
import socket
from dataclasses import dataclass

import trio

from deepoj import __version__
from deepoj.capacity.disks import disks
from deepoj.capacity.roster import PERIOD_S, announce, withdraw
from deepoj.config.roles import Role
from deepoj.nursery import loops
from deepoj.nursery.canaries import PART
from deepoj.nursery.supervise import Child
from deepoj.wiring.children.parts import AWAY, Parts
from deepoj.words.readiness import PartState, Readiness
from deepoj.words.roster import CanaryFacts, NodeFacts


def announcing(parts: Parts) -> Child:
    """Return the child that announces the node."""
    return Child(name="roster", run=_Announcing(parts, _name(parts)), restart_on=AWAY)


def _name(parts: Parts) -> str:
    """Return the node's name in the roster.

    A node that does not judge may have the settings of one that does, and so its consumer's name; and with the host's
    network both may be process 1 of one host name.
    """
    if parts.jobs is not None:
        return parts.cfg.consumer
    kind, labels = ("api", parts.cfg.api) if Role.API in parts.cfg.roles else ("scheduler", parts.cfg.scheduler)
    # an id that is set stays when the node is started again after a crash
    return f"{socket.gethostname()}-{labels.metrics.instance_id or os.getpid()}-{kind}"


@dataclass(frozen=True, slots=True)
class _Announcing:
    """Announces the node, and takes the announcement back when a stop was asked for."""

    parts: Parts
    name: str

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            while True:
                await self.once()
                await self._pause()
        finally:
            if self.parts.stopping.is_set():
                await withdraw(self.parts.adapters.store.roster, self.name)

    async def _pause(self) -> None:
        """Wait for a period, or until a shut gate opens: ``deepoj doctor``, asked as soon as the node was ready, said
        that no node judges."""
        with trio.move_on_after(PERIOD_S):
            if self.parts.jobs is not None and not self.parts.jobs.gate.is_open:
                await self.parts.jobs.gate.wait_open()
            else:
                await trio.sleep_forever()

    async def once(self) -> None:
        """Announce the node. While the canaries' gate is shut, it takes no work: its verdicts may be wrong."""
        parts = self.parts
        languages = {} if parts.jobs is None else parts.languages
        facts = await _facts(parts)
        is_starting = facts.canaries is not None and facts.canaries.state is PartState.STARTING
        takes_work = parts.jobs is not None and parts.jobs.gate.is_open
        await announce(
            parts.adapters.store.roster,
            self.name,
            languages,
            facts,
            takes_work=None if is_starting and not takes_work else takes_work,
        )


async def _facts(parts: Parts) -> NodeFacts:
    home, box = parts.adapters.home, parts.adapters.box
    directories = {"work": parts.cfg.workspace} | ({"blobs": home.objects_dir} if home is not None else {})
    return NodeFacts(
        version=__version__,
        roles=tuple(sorted(parts.cfg.roles)),
        disks=await disks(directories),
        isolation=None if box is None else box.isolation.value,
        canaries=_canaries(parts),
        not_up={} if box is None else _not_up(parts.child_status.readiness()),
        upkeep=dict(parts.metrics.upkeep()),
        clock=dt.datetime.now(dt.UTC).isoformat(),
    )


def _not_up(readiness: Readiness) -> dict[str, str]:
    """Return the parts that keep the node from judging, with their reasons. Without the database it is silent, and
    canaries are announced on their own."""
    states = {part: readiness.parts.get(part, PartState.UP) for part in (loops.SANDBOX, "redis", "objects")}
    return {
        part: readiness.reasons.get(part, "")
        for part, state in states.items()
        if state in (PartState.DOWN, PartState.RESTARTING)
    }


def _canaries(parts: Parts) -> CanaryFacts | None:
    """Return what the node's readiness says of its canaries."""
    readiness, since = parts.child_status.readiness(), parts.child_status.since(PART)
    if PART not in readiness.parts or since is None:
        return None
    return CanaryFacts(
        state=readiness.parts[PART], since=since.isoformat(timespec="seconds"), reason=readiness.reasons.get(PART, "")
    )
