"""What owners decide about the data of their accounts."""

from __future__ import annotations

from typing import Protocol

from deepoj.words.account_data import OwnRun, OwnSubmissions, ProfileFor
from deepoj.words.accounts import RightsRefusal
from deepoj.words.submissions import ListPlace


class AccountData(Protocol):
    """Privacy, export and erasure of accounts. Raises StoreUnavailable. Implemented by ``adapters.pg.account_data``.

    An erased account is no account for ``Accounts`` any more, and its name is free. Its submissions keep their verdicts
    and figures, under the pseudonym ``deleted-<id>``, and lose their sources: at once in the eyes of others, in the
    store by ``erase_sources``, which any node continues.
    """

    async def change_email(self, user_id: int, email: str | None) -> bool:
        """Set or remove the e-mail address; False: there is no such account."""
        ...

    async def profile_for(self, user_id: int) -> ProfileFor:
        """Return who sees the profile; administrators only, if there is no such account."""
        ...

    async def set_profile_for(self, user_id: int, profile_for: ProfileFor) -> None: ...

    async def own_submissions(self, user_id: int, after: ListPlace | None, limit: int) -> OwnSubmissions:
        """Return the next ``limit`` submissions of an account, oldest first."""
        ...

    async def own_runs(self, user_id: int, keep_s: float) -> list[OwnRun]:
        """Return the custom runs of an account that have not ended, or ended less than ``keep_s`` ago."""
        ...

    async def erase(self, user_id: int, *, by: int | None, operator: str = "operator") -> str | RightsRefusal:
        """Erase an account and return its pseudonym: sessions, tokens and custom runs end at once. The log of
        administrative acts gets a row.

        ``by``: who asks, its owner or an administrator; None: an operator with the database's password. The last
        administrator is refused."""
        ...

    async def erase_sources(self, limit: int) -> int:
        """Remove the sources of at most ``limit`` submissions of erased accounts that have a verdict; return their
        number."""
        ...
