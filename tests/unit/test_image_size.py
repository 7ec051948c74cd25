"""Sizes of images as their heads tell them, and heads that lie or are cut."""

from __future__ import annotations

import struct

import pytest

from deepoj.packages.statements.image_size import image_size

_APP0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF" + bytes(10)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", width, height) + bytes(9)


def jpeg(width: int, height: int, *, before: bytes = _APP0, frame: int = 0xC0) -> bytes:
    return b"\xff\xd8" + before + bytes((0xFF, frame)) + struct.pack(">HBHH", 17, 8, height, width)


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + body


@pytest.mark.parametrize(
    "content",
    [
        png(640, 48),
        b"GIF89a" + struct.pack("<HH", 640, 48),
        jpeg(640, 48),
        jpeg(640, 48, before=b"\xff\xff\xff" + _APP0[1:] + b"\xff\xc4\x00\x04ab", frame=0xC2),
        webp(b"VP8X", bytes(4) + (639).to_bytes(3, "little") + (47).to_bytes(3, "little")),
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 639 | 47 << 14)),
        webp(b"VP8 ", b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 48)),
    ],
    ids=["png", "gif", "jpeg", "progressive jpeg", "webp", "lossless webp", "lossy webp"],
)
def test_image_size_of_each_format(content: bytes) -> None:
    assert image_size(content) == (640, 48)
    # a head that is cut tells nothing, and does not break
    assert {image_size(content[:end]) for end in range(len(content))} <= {None, (640, 48)}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.4",
        png(0, 48),
        png(2**31, 2**31),
        jpeg(0, 0),
        jpeg(640, 48, before=b"\xff" * 5000),
        webp(b"VP9 ", bytes(20)),
    ],
)
def test_image_size_of_others_is_unknown(content: bytes) -> None:
    assert image_size(content) is None
