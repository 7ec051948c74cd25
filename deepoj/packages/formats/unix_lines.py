"""Conversion of line ends for programs that expect those of Unix."""

from __future__ import annotations

from deepoj.packages.formats.archive import Sink


class UnixLines:
    """A sink before another one: converts CR LF to LF, also across chunks.

    ``all_kinds``: a lone CR is converted, too, and a text that is not empty ends with a newline, as DMOJ passes tests.
    ``close`` it after the last chunk; the other sink stays open.
    """

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
