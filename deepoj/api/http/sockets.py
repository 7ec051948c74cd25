"""Listening sockets, and the kernel's view of connected ones."""

from __future__ import annotations

import enum
import errno
import os
import select
import socket
from fcntl import ioctl
from termios import FIONREAD

import trio

from deepoj.words.errors import StartRefused

_BACKLOG = 1024
_CONFIGURATION = 2
_REASONS = {
    errno.EADDRINUSE: "the port is taken by another program",
    errno.EACCES: "this user may not use that port",
    errno.EADDRNOTAVAIL: "this host has no such address",
}


class ClientState(enum.Enum):
    """State of the client's side of a connection."""

    SENDING = enum.auto()
    #: it has closed its side, and sent data is still unread
    CLOSING = enum.auto()
    #: the connection is broken, or the client has closed its side and all data was read; it may still read the answer
    GONE = enum.auto()


def client_state(stream: trio.SocketStream) -> ClientState:
    """Ask the kernel for the client's state."""
    poll = select.poll()
    poll.register(stream.socket, select.POLLRDHUP)
    if not poll.poll(0):
        return ClientState.SENDING
    return ClientState.CLOSING if has_unread(stream) else ClientState.GONE


def has_unread(stream: trio.SocketStream) -> bool:
    """Return whether there is unread data."""
    return any(ioctl(stream.socket.fileno(), FIONREAD, bytes(4)))


def url_of(listener: trio.SocketListener) -> str:
    """Return the URL of a listener for clients."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def listen(host: str, port: int, setting: str, *, user_timeout_s: float) -> list[trio.SocketListener]:
    """Listen on every address of ``host``; with ``port`` 0, on a free port of one of them.

    ``setting``: name of the port's setting, for error sentences; ``user_timeout_s``: how long sent data may stay
    unacknowledged.

    Raises:
      StartRefused: the address cannot be used.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    listeners: list[trio.SocketListener] = []
    try:
        addresses = await trio.socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM,
                                                  flags=socket.AI_PASSIVE)  # fmt: skip
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in addresses):
            if not listeners or port:
                listeners += await trio.open_tcp_listeners(port, host=address, backlog=_BACKLOG)
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise StartRefused(f"cannot listen on {where}: {error} (set API_HOST or api.host).", _CONFIGURATION) from error
    except OSError as error:
        for listener in listeners:
            listener.socket.close()
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise StartRefused(f"cannot listen on {where}: {reason} (set {setting}).", _CONFIGURATION) from error
    for listener in listeners:
        # inherited by the connections: a peer that vanished, or stopped reading, is given up by the kernel too
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1000))
    return listeners
