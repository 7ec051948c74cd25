"""Listening sockets, and what the kernel knows of a connected one."""

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
    """What a client can still do on its connection."""

    SENDING = enum.auto()
    #: it has closed its side, and what it sent before is unread
    CLOSING = enum.auto()
    #: the connection is broken, or the client has closed its side and all it sent is read; then it may still read
    GONE = enum.auto()


def client_state(stream: trio.SocketStream) -> ClientState:
    """As the kernel knows it."""
    poll = select.poll()
    poll.register(stream.socket, select.POLLRDHUP)
    if not poll.poll(0):
        return ClientState.SENDING
    return ClientState.CLOSING if has_unread(stream) else ClientState.GONE


def has_unread(stream: trio.SocketStream) -> bool:
    """Whether bytes have come that were not received yet."""
    return any(ioctl(stream.socket.fileno(), FIONREAD, bytes(4)))


def url_of(listener: trio.SocketListener) -> str:
    """As a client would write it."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def listen(host: str, port: int, setting: str, *, user_timeout_s: float) -> list[trio.SocketListener]:
    """On every address of ``host``; on one of them if ``port`` is 0, which stands for a free one.

    ``setting``: how the port is changed, for the sentence of a refusal; ``user_timeout_s``: how long a client may leave
    what is sent unacknowledged.

    Raises:
      StartRefused: it cannot listen there.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    listeners: list[trio.SocketListener] = []
    try:
        found = await trio.socket.getaddrinfo(host.strip("[]") or None, port, type=socket.SOCK_STREAM,
                                              flags=socket.AI_PASSIVE)  # fmt: skip
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found):
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
