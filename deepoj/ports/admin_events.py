"""The log of administrative acts."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.admin_events import AdminEvent


class AdminEvents(Protocol):
    """The log of administrative acts. Each act writes its own row, in its transaction: ``Accounts``, ``DeadLetters``,
    ``Rejudges`` and ``Problems`` do it for calls that name who asks (``by``). Raises StoreUnavailable. Implemented by
    ``adapters.pg.admin_events``."""

    async def admin_events(self, limit: int, before_id: int | None = None) -> list[AdminEvent]:
        """Return a page, newest first, of those whose ``id`` is below ``before_id``."""
        ...

    async def record_backup(self, directory: str, objects: int, *, by: str) -> None:
        """Note a backup that is whole."""
        ...
