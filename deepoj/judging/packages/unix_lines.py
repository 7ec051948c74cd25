"""Texts of Windows on their way to programs that know the line ends of Unix."""

from __future__ import annotations

from deepoj.judging.packages.archive import Sink


class UnixLines:
    """A sink before another: CR LF becomes LF, also where a chunk ends between the two. ``close`` it after the last
    chunk; the other stays open."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = b""

    def write(self, data: bytes) -> None:
        data = self._held + data
        self._held = data[-1:] if data.endswith(b"\r") else b""
        self._sink.write(data.removesuffix(self._held).replace(b"\r\n", b"\n"))

    def close(self) -> None:
        self._sink.write(self._held)
