"""Ports for the servers that tests start.

A port that ``bind(0)`` gave and that was freed again may be anybody's a moment later: the kernel gives outgoing
connections theirs out of the same range. So ports are chosen where the kernel chooses none, and none twice.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

#: below it stand the well-known services of a machine
LOWEST = 10_240
#: a range that holds fewer than this is not worth choosing from
FEW = 4_000
HOST = "127.0.0.1"


def kernels_own() -> tuple[int, int]:
    """The lowest and the highest port that the kernel gives to whoever asks for just any."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return low, high


def outside(low: int, high: int) -> range:
    """Ports that are none of ``low`` to ``high``; when that leaves too few, all but the well-known ones."""
    for ports in (range(LOWEST, low), range(high + 1, 65_536)):
        if len(ports) >= FEW:
            return ports
    return range(LOWEST, 65_536)


def share(ports: range, number: int, count: int) -> range:
    """The ``number``-th (from 0) of ``count`` equal parts of the ports."""
    size = len(ports) // count
    return ports[number * size : (number + 1) * size]


def own_share(ports: range) -> range:
    """The part of this pytest-xdist worker; all ports in a session without workers."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return share(ports, number, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


class Ports:
    """Hands out ports of the loopback, each once. Two test runs beside each other begin at different places."""

    def __init__(self, ports: range) -> None:
        self._ports = ports
        self._next = random.SystemRandom().randrange(len(ports))
        self._left = len(ports)

    def take(self) -> int:
        """A port that nobody holds now. Raises AssertionError when every one has been looked at."""
        while self._left:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            self._left -= 1
            if is_free(port):
                return port
        raise AssertionError(f"no port left of {self._ports}")


def is_free(port: int) -> bool:
    """Whether a server could listen there, one without SO_REUSEADDR too."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


#: one for the process: what was handed out must be remembered somewhere
_PORTS = Ports(own_share(outside(*kernels_own())))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that nobody else in this process is given."""
    return _PORTS.take()


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
