"""The object store."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    """The object store. Raises BlobsUnavailable, BlobMissing. Implemented by ``adapters.blobs``."""

    async def put(self, key: str, source: Path) -> None:
        """Store an object atomically: a reader sees the old object or the complete new one."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; one that does not exist counts as deleted. A concurrent fetch gets all of it, or fails."""
        ...

    async def fetch(self, key: str, target: Path) -> None:
        """Write the object to ``target``, which must not exist; a failure leaves nothing there."""
        ...

    async def ping(self) -> None: ...
