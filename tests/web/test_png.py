"""The pictures of the README keep their colours when they are made small."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.web.png import _SIGNATURE, _chunk, _parts, quantised

RED, GREEN, BLUE, GREY = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff", b"\x80\x81\x82"


def filtered(way: int, line: bytes, above: bytes) -> bytes:
    """Return a line of RGB as the filter writes it."""
    left = b"\0\0\0" + line[:-3]
    corner = b"\0\0\0" + above[:-3]

    def paeth(a: int, b: int, c: int) -> int:
        return min((a, b, c), key=lambda value: abs(a + b - c - value))

    bases = {
        0: bytes(len(line)),
        1: left,
        2: above,
        3: bytes((a + b) // 2 for a, b in zip(left, above, strict=True)),
        4: bytes(paeth(*three) for three in zip(left, above, corner, strict=True)),
    }
    return bytes([way]) + bytes((value - base) & 0xFF for value, base in zip(line, bases[way], strict=True))


@pytest.mark.parametrize("way", range(5))
def test_a_picture_keeps_each_point(way: int) -> None:
    lines = [RED + GREEN + GREY, BLUE + GREY + GREY, RED + RED + BLUE]
    data, above = b"", bytes(9)
    for line in lines:
        data, above = data + filtered(way, line, above), line
    head = struct.pack(">IIBBBBB", 3, 3, 8, 2, 0, 0, 0)
    whole = ((b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    parts = dict(_parts(quantised(_SIGNATURE + b"".join(map(_chunk, whole)))))
    raw, palette = zlib.decompress(parts[b"IDAT"]), parts[b"PLTE"]
    shown = [b"".join(palette[3 * n : 3 * n + 3] for n in raw[at + 1 : at + 4]) for at in range(0, 12, 4)]
    assert shown == lines
