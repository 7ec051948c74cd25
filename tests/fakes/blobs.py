"""An object store in memory with the contract of ``ports.Blobs``."""

from __future__ import annotations

from pathlib import Path

import trio

from deepoj.words.errors import BlobMissing, BlobsUnavailable


class MemoryBlobs:
    """``ports.Blobs``. Set ``down`` to make every call raise BlobsUnavailable; ``fetches`` counts fetched objects."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False
        self.fetches: list[str] = []

    async def put(self, key: str, source: Path) -> None:
        content = await trio.Path(source).read_bytes()
        self._check()
        self.objects[key] = content

    async def delete(self, key: str) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.objects.pop(key, None)

    async def fetch(self, key: str, target: Path) -> None:
        await trio.lowlevel.checkpoint()
        self._check()
        self.fetches.append(key)
        if key not in self.objects:
            raise BlobMissing(f"there is no object {key} in memory")
        async with await trio.open_file(target, "xb") as file:
            await file.write(self.objects[key])

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()
        self._check()

    def _check(self) -> None:
        if self.down:
            raise BlobsUnavailable("the object store in memory is switched off")
