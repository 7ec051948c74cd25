"""The faults of a soak, drawn from a seed: the list depends on the seed only, not on events during the soak.

A fault is due when its share of the jobs has been submitted, or at the latest ``LONGEST_WAIT_S`` after the previous
fault: a deployment that makes no progress because of one fault must not delay the next one.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

LONGEST_WAIT_S = 1.5


class FaultKind(enum.StrEnum):
    """The kinds of faults."""

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
    """The links of a node."""

    POSTGRES = "postgres"
    REDIS = "redis"
    HTTP = "http"
    OBJECTS = "objects"


#: weights of the random choice, after each kind was chosen once. Faults that restart a node or a server are rarer
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

#: wire → requests that a trick waits for; after a while it takes any request
_WORDS: dict[Wire, tuple[str, ...]] = {
    Wire.POSTGRES: ("WRITE",),
    Wire.REDIS: ("XADD", "XACK", "XREADGROUP", "XAUTOCLAIM"),
    Wire.HTTP: ("POST", "GET"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Fields that its kind does not use have their defaults.

    ``node``: index of the node. ``wire``: one of its links. ``word``: the request that a trick waits for. ``share``:
    the duration, from 0 (least) to 1 (most) for its kind. ``minutes``: shift of the clock.
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
    """Draw ``faults`` faults for ``nodes`` nodes. Each kind occurs, if there are at least as many faults as kinds."""
    rng = random.Random(seed)  # noqa: S311 - a schedule, not a secret
    allowed = [kind for kind in FaultKind if kind in kinds]
    chosen = allowed[:faults]
    chosen += rng.choices(allowed, [_WEIGHTS[kind] for kind in allowed], k=faults - len(chosen))
    rng.shuffle(chosen)
    return tuple(_one(rng, number, kind, nodes) for number, kind in enumerate(chosen))


def _one(rng: random.Random, number: int, kind: FaultKind, nodes: int) -> Fault:
    is_trick = kind in (FaultKind.ANSWER_LOST, FaultKind.SAID_TWICE)
    wire = rng.choice(list(_WORDS if is_trick else Wire))
    return Fault(
        number,
        kind,
        node=rng.randrange(nodes),
        wire=wire,
        word=rng.choice(_WORDS[wire]) if is_trick else "",
        share=rng.random(),
        minutes=rng.choice((-1, 1)) * rng.randint(1, 30),
    )
