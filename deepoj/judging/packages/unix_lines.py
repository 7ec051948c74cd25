"""Texts of other systems on their way to programs that know the line ends of Unix."""

from __future__ import annotations

from deepoj.judging.packages.archive import Sink


class UnixLines:
    """A sink before another: CR LF becomes LF, also where a chunk ends between the two. ``all_kinds``: a CR alone does
    so too, and a text that is not empty ends with one, as DMOJ hands tests out. ``close`` it after the last chunk; the
    other stays open."""

    def __init__(self, sink: Sink, *, all_kinds: bool = False) -> None:
        self._sink, self._all_kinds = sink, all_kinds
        self._held = b""
        self._last = b""

    def write(self, data: bytes) -> None:
        data = self._held + data
        self._held = data[-1:] if data.endswith(b"\r") else b""
        self._pass_on(data.removesuffix(self._held))

    def close(self) -> None:
        self._pass_on(self._held)
        if self._all_kinds and self._last not in (b"", b"\n"):
            self._sink.write(b"\n")

    def _pass_on(self, data: bytes) -> None:
        data = data.replace(b"\r\n", b"\n")
        if self._all_kinds:
            data = data.replace(b"\r", b"\n")
        self._last = data[-1:] or self._last
        self._sink.write(data)
