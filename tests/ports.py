"""Ports for the servers that tests start.

A port that ``bind(0)`` gave and that was closed may be in use a moment later: the kernel takes the ports of outgoing
connections from the same range. So ports are chosen outside of that range, and each only once.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

#: ports below it belong to well-known services
LOWEST = 10_240
#: a smaller range has too few ports
FEW = 4_000
HOST = "127.0.0.1"


def kernels_own() -> tuple[int, int]:
    """Return the lowest and the highest port that the kernel gives to a socket bound to port 0."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return low, high


def outside(low: int, high: int) -> range:
    """Return the larger range outside of ``low`` to ``high``; if it is too small, all but the well-known ports."""
    for ports in (range(LOWEST, low), range(high + 1, 65_536)):
        if len(ports) >= FEW:
            return ports
    return range(LOWEST, 65_536)


def share(ports: range, number: int, count: int) -> range:
    """Return part ``number`` (from 0) of ``count`` equal parts of the ports."""
    size = len(ports) // count
    return ports[number * size : (number + 1) * size]


def own_share(ports: range) -> range:
    """Return the part of this pytest-xdist worker; all ports in a session without workers."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return share(ports, number, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


class Ports:
    """Gives each port of the loopback once. Concurrent test runs begin at different ports."""

    def __init__(self, ports: range) -> None:
        self._ports = ports
        self._next = random.SystemRandom().randrange(len(ports))
        self._left = len(ports)

    def take(self) -> int:
        """Return a free port. Raises AssertionError when all have been given or are in use."""
        while self._left:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            self._left -= 1
            if is_free(port):
                return port
        raise AssertionError(f"no port left of {self._ports}")


def is_free(port: int) -> bool:
    """Whether a server can listen on the port, also without SO_REUSEADDR."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


#: one for the process, which remembers given ports
_PORTS = Ports(own_share(outside(*kernels_own())))


def free_port() -> int:
    """Return a free port of 127.0.0.1 that no other caller in this process gets."""
    return _PORTS.take()


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
