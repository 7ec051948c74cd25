"""The faults of a soak, drawn from a seed: the list depends on the seed only, not on events during the soak.

A fault is due when its share of the jobs has been submitted, or at the latest ``LONGEST_WAIT_S`` after the one before
it: a deployment that stands still because of one fault must not keep the next one waiting.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

LONGEST_WAIT_S = 1.5


class FaultKind(enum.StrEnum):
    """What is broken."""

    NODE_KILL = "node-kill"
    NODE_STOP = "node-stop"
    NODE_PAUSE = "node-pause"
    CLOCK_SHIFT = "clock-shift"
    DISK_FULL = "disk-full"
    REDIS_RESTART = "redis-restart"
    REDIS_CRASH = "redis-crash"
    REDIS_WIPE = "redis-wipe"
    GROUP_DESTROY = "group-destroy"
    STREAM_TRIM = "stream-trim"
    POSTGRES_RESTART = "postgres-restart"
    POSTGRES_CRASH = "postgres-crash"
    LINK_CUT = "link-cut"
    LINK_STALL = "link-stall"
    LINK_DELAY = "link-delay"
    ANSWER_LOST = "answer-lost"
    SAID_TWICE = "said-twice"
    PARTITION = "partition"


class Wire(enum.StrEnum):
    """Which of a node's links."""

    POSTGRES = "postgres"
    REDIS = "redis"
    HTTP = "http"
    OBJECTS = "objects"


#: how often, by weight, once each has been there: what costs a start of a node or a server is rarer
_WEIGHTS: dict[FaultKind, int] = {
    FaultKind.NODE_KILL: 3,
    FaultKind.NODE_STOP: 2,
    FaultKind.NODE_PAUSE: 6,
    FaultKind.CLOCK_SHIFT: 5,
    FaultKind.DISK_FULL: 4,
    FaultKind.REDIS_RESTART: 4,
    FaultKind.REDIS_CRASH: 4,
    FaultKind.REDIS_WIPE: 6,
    FaultKind.GROUP_DESTROY: 6,
    FaultKind.STREAM_TRIM: 6,
    FaultKind.POSTGRES_RESTART: 3,
    FaultKind.POSTGRES_CRASH: 3,
    FaultKind.LINK_CUT: 8,
    FaultKind.LINK_STALL: 6,
    FaultKind.LINK_DELAY: 6,
    FaultKind.ANSWER_LOST: 14,
    FaultKind.SAID_TWICE: 12,
    FaultKind.PARTITION: 6,
}

#: what an armed link waits for, by wire; any request will do after a while
_WORDS: dict[Wire, tuple[str, ...]] = {
    Wire.POSTGRES: ("WRITE",),
    Wire.REDIS: ("XADD", "XACK", "XREADGROUP", "XAUTOCLAIM"),
    Wire.HTTP: ("POST", "GET"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; what a kind does not use stands at its default.

    node: which node, from 0. wire: which of its links. word: the request that a link waits for.
    share: how long it lasts, from 0 to 1 of what its kind allows. minutes: how far a clock is shifted.
    """

    number: int
    kind: FaultKind
    node: int = 0
    wire: Wire = Wire.POSTGRES
    word: str = ""
    share: float = 0.0
    minutes: int = 0

    def __str__(self) -> str:
        where = {
            FaultKind.CLOCK_SHIFT: f"n{self.node + 1} {self.minutes:+d} min",
            FaultKind.ANSWER_LOST: f"n{self.node + 1} {self.wire} {self.word}",
            FaultKind.SAID_TWICE: f"n{self.node + 1} {self.wire} {self.word}",
            FaultKind.LINK_CUT: f"n{self.node + 1} {self.wire}",
            FaultKind.LINK_STALL: f"n{self.node + 1} {self.wire}",
            FaultKind.LINK_DELAY: f"n{self.node + 1} {self.wire}",
        }
        of_node = self.kind.startswith(("node-", "disk-", "partition"))
        return f"{self.kind} {where.get(self.kind, f'n{self.node + 1}' if of_node else '')}".strip()


def draw(seed: int, faults: int, nodes: int, kinds: frozenset[FaultKind] = frozenset(FaultKind)) -> tuple[Fault, ...]:
    """``faults`` of them over so many nodes; with at least as many as there are kinds, each kind is among them."""
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    allowed = [kind for kind in FaultKind if kind in kinds]
    chosen = allowed[:faults]
    chosen += rng.choices(allowed, [_WEIGHTS[kind] for kind in allowed], k=faults - len(chosen))
    rng.shuffle(chosen)
    return tuple(_one(rng, number, kind, nodes) for number, kind in enumerate(chosen))


def _one(rng: random.Random, number: int, kind: FaultKind, nodes: int) -> Fault:
    talks = kind in (FaultKind.ANSWER_LOST, FaultKind.SAID_TWICE)
    wire = rng.choice(list(_WORDS if talks else Wire))
    return Fault(
        number,
        kind,
        node=rng.randrange(nodes),
        wire=wire,
        word=rng.choice(_WORDS[wire]) if talks else "",
        share=rng.random(),
        minutes=rng.choice((-1, 1)) * rng.randint(1, 30),
    )
