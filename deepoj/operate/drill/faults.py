"""The faults, a function for each kind. It returns when the fault is over and its target works again.

A fault waits while another fault disturbs its target. Links are an exception: they bear several faults at once.
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
#: how long a link waits for the request of its trick, and then for any request, with leases of a second or less
_PATIENCE_S, _ANY_S = 1.5, 6.0
_REDIS_TRIES = 200


async def inflict(stage: Stage, fault: Fault) -> bool:
    """Cause the fault. Returns False if no request arrived that it could affect."""
    return await _KINDS[fault.kind](stage, fault)


def _duration_s(fault: Fault, least_s: float, most_s: float) -> float:
    return least_s + fault.share * (most_s - least_s)


# ---------------------------------------------------------------------------------------------------------------------
# Nodes


async def _node_kill(stage: Stage, fault: Fault) -> bool:
    return await _restarted_node(
        stage.nodes[fault.node], NodeProcess.kill, _duration_s(fault, 0.0, stage.timing.recovery_s)
    )


async def _node_stop(stage: Stage, fault: Fault) -> bool:
    return await _restarted_node(stage.nodes[fault.node], NodeProcess.stop, _duration_s(fault, 0.0, 1.0))


async def _restarted_node(node: NodeProcess, end: Callable[[NodeProcess], Awaitable[None]], away_s: float) -> bool:
    async with node.busy:
        await end(node)
        await trio.sleep(away_s)
        await node.start()
    return True


async def _node_pause(stage: Stage, fault: Fault) -> bool:
    """Stop the process for longer than a lease. It continues as if it still held jobs that others have claimed."""
    node = stage.nodes[fault.node]
    async with node.busy:
        node.signal(signal.SIGSTOP)
        try:
            await trio.sleep(_duration_s(fault, 1.1, 2.5) * stage.timing.lease_s)
        finally:
            node.signal(signal.SIGCONT)
    return True


async def _clock_shift(stage: Stage, fault: Fault) -> bool:
    """Shift the node's clock until the next shift."""
    stage.nodes[fault.node].shift_clock(fault.minutes)
    return True


async def _disk_full(stage: Stage, fault: Fault) -> bool:
    node = stage.nodes[fault.node]
    async with node.busy:
        with node.full_disk():
            await trio.sleep(_duration_s(fault, 0.5, 2.0))
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Servers


async def _redis_restart(stage: Stage, fault: Fault) -> bool:
    return await _restarted_server(stage, stage.valkey, EmbeddedServer.down, _duration_s(fault, 0.0, 1.5))


async def _redis_crash(stage: Stage, fault: Fault) -> bool:
    return await _restarted_server(stage, stage.valkey, EmbeddedServer.crash, _duration_s(fault, 0.0, 1.5))


async def _postgres_restart(stage: Stage, fault: Fault) -> bool:
    return await _restarted_server(stage, stage.postgres, EmbeddedServer.down, _duration_s(fault, 0.0, 1.5))


async def _postgres_crash(stage: Stage, fault: Fault) -> bool:
    return await _restarted_server(stage, stage.postgres, EmbeddedServer.crash, _duration_s(fault, 0.0, 1.5))


async def _restarted_server(
    stage: Stage, server: EmbeddedServer, end: Callable[[EmbeddedServer], Awaitable[None]], away_s: float
) -> bool:
    async with server.busy:
        await end(server)
        await trio.sleep(away_s)
        await server.up(stage.tasks)
    return True


async def _redis_wipe(stage: Stage, _fault: Fault) -> bool:
    return await _sent_to_redis(stage, "FLUSHALL")


async def _group_destroy(stage: Stage, _fault: Fault) -> bool:
    return await _sent_to_redis(stage, "XGROUP", "DESTROY", STREAM, GROUP)


async def _stream_trim(stage: Stage, _fault: Fault) -> bool:
    return await _sent_to_redis(stage, "XTRIM", STREAM, "MAXLEN", "0")


async def _sent_to_redis(stage: Stage, *words: str) -> bool:
    """Send a command to Valkey when it is available. The answer does not matter: it may be that there is no group."""
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
        await trio.sleep(_duration_s(fault, 0.3, 2.5))
    return True


async def _link_delay(stage: Stage, fault: Fault) -> bool:
    with stage.links[fault.node][fault.wire].delayed(_duration_s(fault, 0.01, 0.1)):
        await trio.sleep(2.0)
    return True


async def _partition(stage: Stage, fault: Fault) -> bool:
    """Disconnect a node from database, Redis and object store for longer than a lease. Clients still reach it."""
    links = stage.links[fault.node]
    with links[Wire.POSTGRES].stalled(), links[Wire.REDIS].stalled(), links[Wire.OBJECTS].stalled():
        await trio.sleep(_duration_s(fault, 1.1, 2.5) * stage.timing.lease_s)
    return True


async def _answer_lost(stage: Stage, fault: Fault) -> bool:
    return await _play(stage, fault, twice=False)


async def _said_twice(stage: Stage, fault: Fault) -> bool:
    return await _play(stage, fault, twice=True)


async def _play(stage: Stage, fault: Fault, *, twice: bool) -> bool:
    link = stage.links[fault.node][fault.wire]
    factor = max(1.0, stage.timing.lease_s)
    return await link.play(Trick(twice, fault.word, trio.current_time() + _PATIENCE_S * factor), _ANY_S * factor)


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
