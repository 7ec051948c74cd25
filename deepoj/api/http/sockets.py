"""Listening sockets, and the kernel's view of connected ones."""

from __future__ import annotations

import enum
import errno
import os
import select
import socket
import struct
from fcntl import ioctl
from termios import FIONREAD

import trio

from deepoj.words.errors import StartRefused

#: the settings of the API's port, for error sentences
API_PORT = "PORT or api.port"
_BACKLOG = 1024
#: of the kernel, for data that a client has not read; it takes twice as much. By itself it takes up to 4 MiB for each
#: connection. On a way of 0.1 s, 1.2 MiB/s are possible with it
_SEND_BUFFER_BYTES = 64 * 1024
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


def reset_on_close(stream: trio.SocketStream) -> None:
    """Let the kernel drop unsent data when the connection is closed, and tell the client so (RST)."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def url_of(listener: trio.SocketListener) -> str:
    """Return the URL of a listener for clients."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def listen(
    host: str, port: int, setting: str, *, user_timeout_s: float, reuse_port: bool = False
) -> list[trio.SocketListener]:
    """Listen on every address of ``host``; with ``port`` 0, on a free port of one of them.

    ``setting``: name of the port's setting, for error sentences; ``user_timeout_s``: how long sent data may stay
    unacknowledged; ``reuse_port``: share the port with other processes of this user that do so too.

    Raises:
      StartRefused: the address cannot be used.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    listeners: list[trio.SocketListener] = []
    try:
        addresses = await trio.socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM,
                                                  flags=socket.AI_PASSIVE)  # fmt: skip
        for family, address in dict.fromkeys((family, str(sockaddr[0])) for family, *_, sockaddr in addresses):
            if not listeners or port:
                listeners.append(await _bound(family, address, port, reuse_port=reuse_port))
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise StartRefused(f"cannot listen on {where}: {error} (set API_HOST or api.host).", _CONFIGURATION) from error
    except OSError as error:
        for listener in listeners:
            listener.socket.close()
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0)
        way = setting
        if error.errno == errno.EADDRINUSE and setting == API_PORT:
            way += "; nodes of one host share a port if each of them has API_REUSE_PORT=true"
        raise StartRefused(f"cannot listen on {where}: {reason} (set {way}).", _CONFIGURATION) from error
    for listener in listeners:
        # inherited by the connections: a peer that vanished, or stopped reading, is given up by the kernel too
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(user_timeout_s * 1000))
    return listeners


async def _bound(family: int, address: str, port: int, *, reuse_port: bool) -> trio.SocketListener:
    """Listen on one address. ``trio.open_tcp_listeners`` does the same, but for SO_REUSEPORT.

    Raises OSError.
    """
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await sock.bind((address, port))
        sock.listen(_BACKLOG)
        return trio.SocketListener(sock)
    except BaseException:
        sock.close()
        raise
