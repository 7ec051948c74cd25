"""Reads the width and height of an image from its head, so that a page keeps its place free while it is loaded."""

from __future__ import annotations

import struct

#: markers of JPEG (ITU-T T.81, B.1.1.3) without a length: TEM, RST0 to RST7, SOI
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
#: markers of a JPEG frame (SOF0 to SOF15), without DHT, JPG and DAC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: a browser takes larger figures, but no page has room for them
_MAX_PIXELS = 20_000
#: segments and fill bytes of a JPEG that are read; cameras write some twenty before the frame
_MAX_SEGMENTS = 1000


def image_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels of a PNG, GIF, JPEG or WebP; None: the head does not tell them."""
    try:
        size = _size(content)
    except struct.error:  # the head is cut
        return None
    return size if size is not None and all(1 <= side <= _MAX_PIXELS for side in size) else None


def _size(content: bytes) -> tuple[int, int] | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        width, height = struct.unpack_from(">II", content, 16)
        return width, height
    if content.startswith((b"GIF87a", b"GIF89a")):
        width, height = struct.unpack_from("<HH", content, 6)
        return width, height
    if content.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    return _webp_size(content) if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if content[at : at + 1] != b"\xff":
            return None
        marker = content[at + 1] if at + 1 < len(content) else 0
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    """Sizes as the container (RFC 9649) and the two codecs write them."""
    match content[12:16]:
        case b"VP8X":
            low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", content, 24)
            width, height = (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
        case b"VP8L":
            bits = struct.unpack_from("<I", content, 21)[0]
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
        case _:
            return None
    return width, height
