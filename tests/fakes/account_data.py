"""``MemoryAccountData``: privacy, export and erasure of accounts in memory, a part of ``MemoryStore``."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deepoj.words.account_data import OwnRun, OwnSubmissions, ProfileFor
from deepoj.words.accounts import Credentials, RightsRefusal, User
from deepoj.words.admin_events import AdminAct
from deepoj.words.jobs import State
from deepoj.words.submissions import ListPlace
from tests.fakes.accounts import MemoryAccountRecords

if TYPE_CHECKING:
    from deepoj.words.submissions import Submission
    from tests.fakes.access_tokens import AccessTokenRow
    from tests.fakes.runs import RunRow
    from tests.fakes.store import KeptRow, OutboxRow, Row
    from tests.fakes.webhooks import HookRow

_UNIX = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(kw_only=True)
class MemoryAccountData(MemoryAccountRecords):
    """``ports.AccountData``, as a base class of ``MemoryStore``; the fields that it needs are declared as there."""

    _profiles: dict[int, ProfileFor] = field(default_factory=dict)

    if TYPE_CHECKING:
        rows: dict[str, Row]
        token_rows: dict[str, AccessTokenRow]
        runs: dict[str, RunRow]
        hooks: dict[int, HookRow]
        kept: dict[str, list[KeptRow]]
        outbox: dict[int, OutboxRow]
        secret_epochs: dict[int, int]
        _keys: dict[tuple[int, str], str]

        def _as_submission(self, row: Row) -> Submission: ...
        def _drop_previews(self, job_id: str) -> None: ...

    async def change_email(self, user_id: int, email: str | None) -> bool:
        lost = await self._enter("change_email")
        held = self._users.get(user_id)
        if held is None or self._is_erased(user_id):
            return self._answer(False, lost)
        self._put_changed(replace(held, user=replace(held.user, email=email)))
        return self._answer(True, lost)

    async def profile_for(self, user_id: int) -> ProfileFor:
        lost = await self._enter("profile_for")
        default = ProfileFor.MEMBERS if user_id in self._users else ProfileFor.ADMINISTRATORS
        return self._answer(self._profiles.get(user_id, default), lost)

    async def set_profile_for(self, user_id: int, profile_for: ProfileFor) -> None:
        lost = await self._enter("set_profile_for")
        self._profiles[user_id] = profile_for
        self._answer(None, lost)

    async def own_submissions(self, user_id: int, after: ListPlace | None, limit: int) -> OwnSubmissions:
        lost = await self._enter("own_submissions")

        def place(row: Row) -> ListPlace:
            return ListPlace((self._dated(row.created_at) - _UNIX) // dt.timedelta(microseconds=1), row.id)

        start = (after.created_us, after.id) if after is not None else (-1, -1)
        own = [row for row in self.rows.values() if row.draft.user_id == user_id]
        own.sort(key=lambda row: (row.created_at, row.id))
        rest = [row for row in own if (place(row).created_us, row.id) > start]
        page = rest[:limit]
        following = place(page[-1]) if len(rest) > limit else None
        return self._answer(OwnSubmissions(tuple(map(self._as_submission, page)), following), lost)

    async def own_runs(self, user_id: int, keep_s: float) -> list[OwnRun]:
        lost = await self._enter("own_runs")
        least = self.clock() - keep_s
        own = [
            row
            for row in self.runs.values()
            if row.draft.user_id == user_id and (row.finished_at is None or row.finished_at > least)
        ]
        found = [
            OwnRun(
                run_id=row.run_id, language=row.draft.language, code=row.draft.code, stdin=row.draft.stdin,
                status=row.status, stdout=row.stdout, stderr=row.stderr,
                created_at=self._dated(row.created_at).isoformat(),
            )
            for row in own
        ]  # fmt: skip
        return self._answer(found, lost)

    async def erase(self, user_id: int, *, by: int | None, operator: str = "operator") -> str | RightsRefusal:
        lost = await self._enter("erase")
        able = {i for i, held in self._users.items() if held.user.is_admin and not held.is_disabled}
        if by is not None and by != user_id and by not in able:
            return self._answer(RightsRefusal.NOT_ADMINISTRATOR, lost)
        if able == {user_id}:
            return self._answer(RightsRefusal.LAST_ADMINISTRATOR, lost)
        held, record = self._users.get(user_id), self._records.get(user_id)
        if held is None or record is None or self._is_erased(user_id):
            return self._answer(RightsRefusal.UNKNOWN_USER, lost)
        name = f"deleted-{user_id}"
        if any(other.user.username.lower() == name for other in self._users.values()):
            name = f"{name}-{len(self.events):08x}"
        user = User(id=user_id, username=name, email=None, is_admin=False)
        self._put_changed(Credentials(user, "", held.token_epoch + 1, is_disabled=True))
        record.github_id = record.avatar_url = None
        record.password_is_temporary = False
        record.erased_at = self.clock()
        self._profiles[user_id] = ProfileFor.ADMINISTRATORS
        self.secret_epochs[user_id] = self.secret_epochs.get(user_id, 0) + 1
        self._sessions = {digest: row for digest, row in self._sessions.items() if row.user_id != user_id}
        self.token_rows = {token_id: row for token_id, row in self.token_rows.items() if row.user_id != user_id}
        self.runs = {run_id: row for run_id, row in self.runs.items() if row.draft.user_id != user_id}
        self._keys = {key: job for key, job in self._keys.items() if key[0] != user_id}
        for members in self.group_members.values():
            members.discard(user_id)
        actor = operator if by is None else self._users[by].user.username
        self._log(actor, AdminAct.ACCOUNT_ERASED, name, user_id=user_id)
        return self._answer(name, lost)

    async def erase_sources(self, limit: int) -> int:
        lost = await self._enter("erase_sources")
        due = [
            row
            for row in self.rows.values()
            if self._is_erased(row.draft.user_id) and row.state is State.DONE and not row.is_erased
        ][:limit]
        for row in due:
            row.draft = replace(
                row.draft, code="", entry_point=None, beside=(), idempotency_key=None, callback_url=None
            )
            row.is_erased, row.deduplicates, row.code_hash = True, False, b""
            self._drop_previews(row.job_id)
            row.result = _without_output(row.result)
            for kept in self.kept.get(row.job_id, []):
                kept.verdict = replace(kept.verdict, result=_without_output(kept.verdict.result) or {})
        gone = {row.job_id for row in due}
        self.hooks = {number: hook for number, hook in self.hooks.items() if hook.job_id not in gone}
        for event in self.outbox.values():
            if event.job_id in gone:
                event.payload = "{}"
        return self._answer(len(due), lost)


def _without_output(result: object) -> dict[str, object] | None:
    if not isinstance(result, dict):
        return None
    compiled = result.get("compile")
    return result | ({"compile": compiled | {"output": ""}} if isinstance(compiled, dict) else {})
