"""The process that a drill on a running system kills: a node of this account on this host."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepoj.words.errors import StartRefused
from deepoj.words.exits import USAGE


@dataclass(frozen=True, slots=True)
class Victim:
    """A node's process on this host, and the name under which it holds leases. ``pidfd`` refers to this process even if
    its pid is reused."""

    pid: int
    pidfd: int
    name: str


def find_victim(pid: int | None, name_of: Callable[[int], str]) -> Victim:
    """Return the node with this pid, or the only node of this account on this host. The caller closes its ``pidfd``.

    Raises StartRefused (2) if the process is no node, or without a pid if there is not exactly one node.
    """
    if pid is None:
        pid = only_one([node for node, uid in _nodes() if uid == os.getuid()])
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        raise StartRefused(f"process {pid} cannot be killed: {error.strerror}", USAGE) from error
    if not _is_node(pid):
        os.close(pidfd)
        raise StartRefused(f"process {pid} is no deepoj node: it runs neither `deepoj node` nor `deepoj up`", USAGE)
    return Victim(pid, pidfd, name_of(pid))


def only_one(nodes: Sequence[int]) -> int:
    """Return the only node. Raises StartRefused (2) if there is none, or several: then --pid must name the victim."""
    if len(nodes) == 1:
        return nodes[0]
    running = f"{len(nodes)} run ({', '.join(map(str, sorted(nodes)))})" if nodes else "none runs"
    raise StartRefused(
        f"worker-kill needs one deepoj node of this account on this host, and {running}: say which with --pid", USAGE
    )


def _nodes() -> Iterator[tuple[int, int]]:
    """Yield pid and user id of each node on this host, without the children that a node forks."""
    pids = {int(place.name) for place in Path("/proc").glob("[0-9]*") if _is_node(int(place.name))}
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):  # it has ended meanwhile
            place = Path(f"/proc/{pid}")
            parent = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent not in pids:
                yield pid, place.stat().st_uid


def _is_node(pid: int) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return is_node_command(arguments)


def is_node_command(arguments: Sequence[str]) -> bool:
    """Return whether these arguments start ``deepoj node`` or ``deepoj up``, directly or by an interpreter."""
    rest = list(arguments)
    if rest and Path(rest[0]).name.startswith("python"):
        rest = rest[1:]
        while rest and rest[0].startswith("-") and rest[0] != "-m":
            rest = rest[1:]
        rest = rest[1:] if rest[:1] == ["-m"] else rest
    if not rest or Path(rest[0]).name != "deepoj":
        return False
    rest = rest[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("--config", "--home") else rest[1:]
    return rest[:1] in (["node"], ["up"])
