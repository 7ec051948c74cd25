"""Makes a picture of a page small: a palette instead of three bytes for each point. A page has few colours."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: of the palette
_MAX_COLOURS = 256
#: bits of each component that are tried in turn until the colours are few enough
_BITS = (8, 7, 6, 5, 4)


def quantised(picture: bytes) -> bytes:
    """Return a PNG of Chromium (8 bits, RGB or RGBA, not interlaced) as one of at most 256 colours."""
    parts = dict(_parts(picture))
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, interlaced) == (8, 0) and kind in (2, 6), "no picture of Chromium"
    rows = list(_rows(zlib.decompress(parts[b"IDAT"]), width, 3 if kind == 2 else 4))
    for bits in _BITS:
        mask = 0xFF << (8 - bits) & 0xFF
        table = bytes(value & mask for value in range(256))
        coarse = [row.translate(table) for row in rows]
        points = [[row[at : at + 3] for at in range(0, len(row), 3)] for row in coarse]
        names = {colour: name for name, colour in enumerate(dict.fromkeys(p for row in points for p in row))}
        if len(names) <= _MAX_COLOURS:
            break
    # each coarse colour is shown as the true one that is most frequent in it
    true: dict[bytes, Counter[bytes]] = {colour: Counter() for colour in names}
    for row, fine in zip(points, rows, strict=True):
        for at, colour in enumerate(row):
            true[colour][fine[3 * at : 3 * at + 3]] += 1
    palette = b"".join(true[colour].most_common(1)[0][0] for colour in names)
    data = b"".join(b"\0" + bytes(names[colour] for colour in row) for row in points)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    made = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(data, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(map(_chunk, made))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, data = part
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _parts(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks by their names; those of the image are one."""
    at, image = len(_SIGNATURE), b""
    while at < len(picture):
        (length,) = struct.unpack_from(">I", picture, at)
        name, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        image += data if name == b"IDAT" else b""
        yield name, image if name == b"IDAT" else data
        at += 12 + length


def _rows(raw: bytes, width: int, size: int) -> Iterator[bytes]:
    """Yield the RGB of each line, without its filter."""
    length, above = width * size, bytearray(width * size)
    for at in range(0, len(raw), length + 1):
        line = bytearray(raw[at + 1 : at + 1 + length])
        _unfilter(raw[at], line, above, size)
        above = line
        yield bytes(line) if size == 3 else bytes(value for n, value in enumerate(line) if n % 4 != 3)


def _unfilter(way: int, line: bytearray, above: bytearray, size: int) -> None:
    for at in range(len(line)) if way else ():
        left, up = line[at - size] if at >= size else 0, above[at]
        if way == 1:
            base = left
        elif way == 2:
            base = up
        elif way == 3:
            base = (left + up) // 2
        else:
            corner = above[at - size] if at >= size else 0
            guess = left + up - corner
            base = min((left, up, corner), key=lambda value: abs(guess - value))
        line[at] = (line[at] + base) & 0xFF
