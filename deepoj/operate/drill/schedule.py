"""The faults of a soak, drawn from a seed: the same seed is the same list, whatever happens while it is played.

A fault is due when its share of the jobs has been submitted, or at the latest ``LONGEST_WAIT_S`` after the one before
it: a deployment that stands still because of one fault must not keep the next one waiting.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

LONGEST_WAIT_S = 1.5


class Kind(enum.StrEnum):
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
_WEIGHTS: dict[Kind, int] = {
    Kind.NODE_KILL: 3,
    Kind.NODE_STOP: 2,
    Kind.NODE_PAUSE: 6,
    Kind.CLOCK_SHIFT: 5,
    Kind.DISK_FULL: 4,
    Kind.REDIS_RESTART: 4,
    Kind.REDIS_CRASH: 4,
    Kind.REDIS_WIPE: 6,
    Kind.GROUP_DESTROY: 6,
    Kind.STREAM_TRIM: 6,
    Kind.POSTGRES_RESTART: 3,
    Kind.POSTGRES_CRASH: 3,
    Kind.LINK_CUT: 8,
    Kind.LINK_STALL: 6,
    Kind.LINK_DELAY: 6,
    Kind.ANSWER_LOST: 14,
    Kind.SAID_TWICE: 12,
    Kind.PARTITION: 6,
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
    kind: Kind
    node: int = 0
    wire: Wire = Wire.POSTGRES
    word: str = ""
    share: float = 0.0
    minutes: int = 0

    def __str__(self) -> str:
        where = {
            Kind.CLOCK_SHIFT: f"n{self.node + 1} {self.minutes:+d} min",
            Kind.ANSWER_LOST: f"n{self.node + 1} {self.wire} {self.word}",
            Kind.SAID_TWICE: f"n{self.node + 1} {self.wire} {self.word}",
            Kind.LINK_CUT: f"n{self.node + 1} {self.wire}",
            Kind.LINK_STALL: f"n{self.node + 1} {self.wire}",
            Kind.LINK_DELAY: f"n{self.node + 1} {self.wire}",
        }
        of_node = self.kind.startswith(("node-", "disk-", "partition"))
        return f"{self.kind} {where.get(self.kind, f'n{self.node + 1}' if of_node else '')}".strip()


def draw(seed: int, faults: int, nodes: int, kinds: frozenset[Kind] = frozenset(Kind)) -> tuple[Fault, ...]:
    """``faults`` of them over so many nodes; with at least as many as there are kinds, each kind is among them."""
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    allowed = [kind for kind in Kind if kind in kinds]
    chosen = allowed[:faults]
    chosen += rng.choices(allowed, [_WEIGHTS[kind] for kind in allowed], k=faults - len(chosen))
    rng.shuffle(chosen)
    return tuple(_one(rng, number, kind, nodes) for number, kind in enumerate(chosen))


def _one(rng: random.Random, number: int, kind: Kind, nodes: int) -> Fault:
    talks = kind in (Kind.ANSWER_LOST, Kind.SAID_TWICE)
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
