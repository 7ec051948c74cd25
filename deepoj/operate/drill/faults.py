"""What each kind of fault does to a stage. Each returns when the fault is over and what was broken stands again.

A fault whose target is being broken by another one waits for it; links, which suffer anything at once, do not.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping

import trio

from deepoj.operate.drill.nodes import NodeProcess
from deepoj.operate.drill.proxy import Trick
from deepoj.operate.drill.schedule import Fault, FaultKind, Wire
from deepoj.operate.drill.servers import EmbeddedServer
from deepoj.operate.drill.stage import Stage
from deepoj.words.errors import StreamUnavailable

STREAM, GROUP = "deepoj:jobs", "deepoj:workers"
#: how long an armed link waits for the request that it was told of, and in all, with leases of a second or less
_PATIENCE_S, _ANY_S = 1.5, 6.0
_REDIS_TRIES = 200


async def inflict(stage: Stage, fault: Fault) -> bool:
    """False: it could not be played, because no request came that it could have been played on."""
    return await _KINDS[fault.kind](stage, fault)


def _longest(fault: Fault, least_s: float, most_s: float) -> float:
    return least_s + fault.share * (most_s - least_s)


# ---------------------------------------------------------------------------------------------------------------------
# Nodes


async def _node_kill(stage: Stage, fault: Fault) -> bool:
    return await _restarted(stage.nodes[fault.node], NodeProcess.kill, _longest(fault, 0.0, stage.timing.recovery_s))


async def _node_stop(stage: Stage, fault: Fault) -> bool:
    return await _restarted(stage.nodes[fault.node], NodeProcess.stop, _longest(fault, 0.0, 1.0))


async def _restarted(node: NodeProcess, end: Callable[[NodeProcess], Awaitable[None]], away_s: float) -> bool:
    async with node.busy:
        await end(node)
        await trio.sleep(away_s)
        await node.start()
    return True


async def _node_pause(stage: Stage, fault: Fault) -> bool:
    """Stopped for longer than a lease: it wakes up believing that it holds what others have long claimed."""
    node = stage.nodes[fault.node]
    async with node.busy:
        node.signal(signal.SIGSTOP)
        try:
            await trio.sleep(_longest(fault, 1.1, 2.5) * stage.timing.lease_s)
        finally:
            node.signal(signal.SIGCONT)
    return True


async def _clock_shift(stage: Stage, fault: Fault) -> bool:
    """It stays shifted until it is shifted again."""
    stage.nodes[fault.node].shift_clock(fault.minutes)
    return True


async def _disk_full(stage: Stage, fault: Fault) -> bool:
    node = stage.nodes[fault.node]
    async with node.busy:
        with node.full_disk():
            await trio.sleep(_longest(fault, 0.5, 2.0))
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Servers


async def _redis_restart(stage: Stage, fault: Fault) -> bool:
    return await _brought_back(stage, stage.valkey, EmbeddedServer.down, _longest(fault, 0.0, 1.5))


async def _redis_crash(stage: Stage, fault: Fault) -> bool:
    return await _brought_back(stage, stage.valkey, EmbeddedServer.crash, _longest(fault, 0.0, 1.5))


async def _postgres_restart(stage: Stage, fault: Fault) -> bool:
    return await _brought_back(stage, stage.postgres, EmbeddedServer.down, _longest(fault, 0.0, 1.5))


async def _postgres_crash(stage: Stage, fault: Fault) -> bool:
    return await _brought_back(stage, stage.postgres, EmbeddedServer.crash, _longest(fault, 0.0, 1.5))


async def _brought_back(
    stage: Stage, server: EmbeddedServer, end: Callable[[EmbeddedServer], Awaitable[None]], away_s: float
) -> bool:
    async with server.busy:
        await end(server)
        await trio.sleep(away_s)
        await server.up(stage.tasks)
    return True


async def _redis_wipe(stage: Stage, _fault: Fault) -> bool:
    return await _told(stage, "FLUSHALL")


async def _group_destroy(stage: Stage, _fault: Fault) -> bool:
    return await _told(stage, "XGROUP", "DESTROY", STREAM, GROUP)


async def _stream_trim(stage: Stage, _fault: Fault) -> bool:
    return await _told(stage, "XTRIM", STREAM, "MAXLEN", "0")


async def _told(stage: Stage, *words: str) -> bool:
    """Said to Valkey once it is there; what it says to that is its own affair (no group to destroy, say)."""
    for _ in range(_REDIS_TRIES):
        try:
            await stage.redis(*words)
        except StreamUnavailable:
            await trio.sleep(0.05)
        else:
            return True
    return False


# ---------------------------------------------------------------------------------------------------------------------
# Links


async def _link_cut(stage: Stage, fault: Fault) -> bool:
    stage.links[fault.node][fault.wire].cut()
    return True


async def _link_stall(stage: Stage, fault: Fault) -> bool:
    with stage.links[fault.node][fault.wire].stalled():
        await trio.sleep(_longest(fault, 0.3, 2.5))
    return True


async def _link_delay(stage: Stage, fault: Fault) -> bool:
    with stage.links[fault.node][fault.wire].delayed(_longest(fault, 0.01, 0.1)):
        await trio.sleep(2.0)
    return True


async def _partition(stage: Stage, fault: Fault) -> bool:
    """One node is alone: neither database, Redis nor objects hear it, for longer than a lease. Its clients still do."""
    mine = stage.links[fault.node]
    with mine[Wire.POSTGRES].stalled(), mine[Wire.REDIS].stalled(), mine[Wire.OBJECTS].stalled():
        await trio.sleep(_longest(fault, 1.1, 2.5) * stage.timing.lease_s)
    return True


async def _answer_lost(stage: Stage, fault: Fault) -> bool:
    return await _play(stage, fault, twice=False)


async def _said_twice(stage: Stage, fault: Fault) -> bool:
    return await _play(stage, fault, twice=True)


async def _play(stage: Stage, fault: Fault, *, twice: bool) -> bool:
    link = stage.links[fault.node][fault.wire]
    slower = max(1.0, stage.timing.lease_s)
    return await link.play(Trick(twice, fault.word, trio.current_time() + _PATIENCE_S * slower), _ANY_S * slower)


_KINDS: Mapping[FaultKind, Callable[[Stage, Fault], Awaitable[bool]]] = {
    FaultKind.NODE_KILL: _node_kill,
    FaultKind.NODE_STOP: _node_stop,
    FaultKind.NODE_PAUSE: _node_pause,
    FaultKind.CLOCK_SHIFT: _clock_shift,
    FaultKind.DISK_FULL: _disk_full,
    FaultKind.REDIS_RESTART: _redis_restart,
    FaultKind.REDIS_CRASH: _redis_crash,
    FaultKind.REDIS_WIPE: _redis_wipe,
    FaultKind.GROUP_DESTROY: _group_destroy,
    FaultKind.STREAM_TRIM: _stream_trim,
    FaultKind.POSTGRES_RESTART: _postgres_restart,
    FaultKind.POSTGRES_CRASH: _postgres_crash,
    FaultKind.LINK_CUT: _link_cut,
    FaultKind.LINK_STALL: _link_stall,
    FaultKind.LINK_DELAY: _link_delay,
    FaultKind.ANSWER_LOST: _answer_lost,
    FaultKind.SAID_TWICE: _said_twice,
    FaultKind.PARTITION: _partition,
}
