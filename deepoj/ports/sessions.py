"""Logins in a browser."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.accounts import Credentials
from deepoj.words.sessions import SessionLimits, WebSession


class Sessions(Protocol):
    """Sessions. One belongs to the token epoch of its account: a new password ends it. Raises StoreUnavailable.
    Implemented by ``adapters.pg.sessions``."""

    async def open_session(self, digest: bytes, account: Credentials, *, client: str, address: str) -> None:
        """Begin a session. ``digest``: SHA-256 of its secret; ``client``: the browser, as it names itself."""
        ...

    async def session(self, digest: bytes, limits: SessionLimits) -> Credentials | None:
        """Return the account of a session, and note that it was seen; None: there is no such session, or it has
        ended."""
        ...

    async def sessions_of(self, user_id: int, limits: SessionLimits, limit: int) -> list[WebSession]:
        """Return the account's sessions that have not ended, the one seen last first."""
        ...

    async def close_session(self, user_id: int, digest: bytes) -> bool:
        """End a session of this account; False: it has none such."""
        ...

    async def close_other_sessions(self, user_id: int, keep: bytes) -> int:
        """End the account's sessions but one; return their number."""
        ...

    async def delete_ended_sessions(self, limits: SessionLimits, limit: int) -> int:
        """Delete up to ``limit`` rows of sessions that have ended by themselves; return their number."""
        ...

    async def forget_addresses(self, age_s: float, limit: int) -> int:
        """Forget the addresses from which up to ``limit`` sessions began ``age_s`` ago; return their number."""
        ...
