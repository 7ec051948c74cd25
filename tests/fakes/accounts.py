"""Accounts in ``MemoryStore``: rights, passwords, deletion, and accounts from GitHub."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from deepoj.words.accounts import Account, AccountRefusal, Credentials, NewAccount, RightsRefusal, User, UserRole
from deepoj.words.admin_events import AdminAct, AdminEvent
from deepoj.words.groups import UserGroup
from deepoj.words.sessions import MAX_SESSIONS, SessionLimits, WebSession


@dataclass(kw_only=True)
class Record:
    """Columns of a row of ``users`` beside its credentials; times are readings of the injected clock, in seconds."""

    created_at: float
    updated_at: float
    github_id: str | None = None
    avatar_url: str | None = None
    password_is_temporary: bool = False
    erased_at: float | None = None


@dataclass(kw_only=True)
class SessionRow:
    """A row of ``web_sessions``."""

    user_id: int
    epoch: int
    client: str
    address: str
    created_at: float
    seen_at: float

    def is_within(self, limits: SessionLimits, now: float) -> bool:
        return self.seen_at > now - limits.idle_s and self.created_at > now - limits.max_age_s


@dataclass(kw_only=True)
class MemoryAccountRecords:
    """``ports.Accounts`` without the methods that create and find an account."""

    clock: Callable[[], float]
    _users: dict[int, Credentials] = field(default_factory=dict)
    _records: dict[int, Record] = field(default_factory=dict)
    #: nonces of OAuth states that are spent
    _spent: set[bytes] = field(default_factory=set)
    #: digest → a session of a browser
    _sessions: dict[bytes, SessionRow] = field(default_factory=dict)
    #: the log of administrative acts
    events: list[AdminEvent] = field(default_factory=list)
    _groups: dict[int, UserGroup] = field(default_factory=dict)
    #: group → ids of its members
    group_members: dict[int, set[int]] = field(default_factory=dict)

    async def _enter(self, method: str) -> bool:
        raise NotImplementedError

    @staticmethod
    def _answer[T](answer: T, lost: bool) -> T:
        raise NotImplementedError

    def _take_id(self, table: str) -> int:
        raise NotImplementedError

    def _dated(self, at: float) -> dt.datetime:
        raise NotImplementedError

    def _put_new(self, user: User, password_hash: str, github_id: str | None = None, avatar: str | None = None) -> None:
        now = self.clock()
        self._users[user.id] = Credentials(user, password_hash, 0)
        self._records[user.id] = Record(created_at=now, updated_at=now, github_id=github_id, avatar_url=avatar)

    def _put_changed(self, account: Credentials) -> None:
        self._users[account.user.id] = account
        self._records[account.user.id].updated_at = self.clock()

    def _log(self, by: str | None, act: AdminAct, subject: object, **details: object) -> None:
        """Write a row of ``admin_events``, if this is an administrator's act."""
        if by is not None:
            at, number = self._dated(self.clock()).isoformat(), len(self.events) + 1
            event = AdminEvent(id=number, at=at, actor=by, act=act, subject=str(subject), details=details)
            self.events.append(event)

    def log_act(self, by: str | None, act: AdminAct, subject: object, **details: object) -> None:
        """Write a row for a fake of another port."""
        self._log(by, act, subject, **details)

    async def record_backup(self, directory: str, objects: int, *, by: str) -> None:
        lost = await self._enter("record_backup")
        self._log(by, AdminAct.BACKED_UP, directory, objects=objects)
        self._answer(None, lost)

    async def admin_events(self, limit: int, before_id: int | None = None) -> list[AdminEvent]:
        lost = await self._enter("admin_events")
        found = [event for event in reversed(self.events) if before_id is None or event.id < before_id]
        return self._answer(found[:limit], lost)

    def _put_into_groups(self, accounts: Sequence[NewAccount], by: str) -> None:
        raise NotImplementedError

    def _by_name(self, username: str) -> Credentials | None:
        return next((c for c in self._users.values() if c.user.username.lower() == username.lower()), None)

    def _is_erased(self, user_id: int) -> bool:
        record = self._records.get(user_id)
        return record is not None and record.erased_at is not None

    def _is_disabled(self, user_id: int) -> bool:
        held = self._users.get(user_id)
        return held is not None and held.is_disabled

    def _account(self, user_id: int) -> Account | None:
        held, record = self._users.get(user_id), self._records.get(user_id)
        if held is None or record is None or record.erased_at is not None:
            return None
        return Account(
            user=held.user,
            github_id=record.github_id,
            avatar_url=record.avatar_url,
            has_password=held.password_hash != "",
            password_is_temporary=record.password_is_temporary,
            is_disabled=held.is_disabled,
            created_at=self._dated(record.created_at).isoformat(),
            updated_at=self._dated(record.updated_at).isoformat(),
        )

    async def taken_names(self, usernames: Sequence[str]) -> frozenset[str]:
        lost = await self._enter("taken_names")
        return self._answer(frozenset(name for name in usernames if self._by_name(name) is not None), lost)

    async def create_users(self, accounts: Sequence[NewAccount], *, by: str) -> frozenset[str]:
        lost = await self._enter("create_users")
        counts = Counter(account.username.lower() for account in accounts)
        taken = {one.username for one in accounts if counts[one.username.lower()] > 1 or self._by_name(one.username)}
        for one in accounts if not taken else ():
            user = User(id=self._take_id("user"), username=one.username, email=one.email, is_admin=False)
            self._put_new(user, one.password_hash)
            self._records[user.id].password_is_temporary = True
            self._log(by, AdminAct.ACCOUNT_CREATED, user.username, user_id=user.id, is_admin=False)
        self._put_into_groups(() if taken else accounts, by)
        return self._answer(frozenset(taken), lost)

    async def account(self, user_id: int) -> Account | None:
        lost = await self._enter("account")
        return self._answer(self._account(user_id), lost)

    async def accounts(
        self, limit: int, *, after: str = "", prefix: str = "", group_id: int | None = None
    ) -> list[Account]:
        lost = await self._enter("accounts")
        among = set(self._users) if group_id is None else self.group_members.get(group_id, set())
        named = sorted((held.user.username.lower(), held.user.id) for i, held in self._users.items() if i in among)
        named = [(name, i) for name, i in named if not self._is_erased(i)]
        ids = [i for name, i in named if name > after.lower() and name.startswith(prefix.lower())]
        found = [account for account in map(self._account, ids[:limit]) if account is not None]
        return self._answer(found, lost)

    async def set_password(
        self, user_id: int, password_hash: str, *, temporary: bool = False, by: str | None = None
    ) -> int:
        lost = await self._enter("set_password")
        old = self._users[user_id]
        if old.password_hash != password_hash:
            self._log(by, AdminAct.PASSWORD_RESET, old.user.username, user_id=user_id)
        self._put_changed(replace(old, password_hash=password_hash, token_epoch=old.token_epoch + 1))
        self._records[user_id].password_is_temporary = temporary
        return self._answer(old.token_epoch + 1, lost)

    async def change_password(self, user_id: int, password_hash: str, *, epoch: int) -> int | None:
        lost = await self._enter("change_password")
        old = self._users.get(user_id)
        if old is None or old.token_epoch != epoch or old.is_disabled:
            return self._answer(None, lost)
        self._put_changed(replace(old, password_hash=password_hash, token_epoch=epoch + 1))
        self._records[user_id].password_is_temporary = False
        return self._answer(epoch + 1, lost)

    async def change_rights(
        self,
        user_id: int,
        *,
        is_admin: bool | None = None,
        is_disabled: bool | None = None,
        roles: Collection[UserRole] | None = None,
        by: int | None,
        operator: str = "operator",
    ) -> Account | RightsRefusal:
        lost = await self._enter("change_rights")
        takes_away = is_admin is False or is_disabled is True
        able = {i for i, held in self._users.items() if held.user.is_admin and not held.is_disabled}
        if by is not None and by not in able:
            return self._answer(RightsRefusal.NOT_ADMINISTRATOR, lost)
        if takes_away and by == user_id:
            return self._answer(RightsRefusal.OWN_ACCOUNT, lost)
        if takes_away and able == {user_id}:
            return self._answer(RightsRefusal.LAST_ADMINISTRATOR, lost)
        old = self._users.get(user_id)
        if old is None or self._is_erased(user_id):
            return self._answer(RightsRefusal.UNKNOWN_USER, lost)
        off = old.is_disabled if is_disabled is None else is_disabled
        self._put_changed(
            Credentials(
                replace(
                    old.user,
                    is_admin=old.user.is_admin if is_admin is None else is_admin,
                    roles=old.user.roles if roles is None else frozenset(roles),
                ),
                old.password_hash,
                old.token_epoch + (off and not old.is_disabled),
                off,
            )
        )
        changed = self._account(user_id)
        assert changed is not None
        actor = operator if by is None else self._users[by].user.username
        acts = {
            AdminAct.PROMOTED: changed.user.is_admin and not old.user.is_admin,
            AdminAct.DEMOTED: old.user.is_admin and not changed.user.is_admin,
            AdminAct.ROLES_CHANGED: changed.user.roles != old.user.roles,
            AdminAct.DISABLED: off and not old.is_disabled,
            AdminAct.ENABLED: old.is_disabled and not off,
        }
        for act in [act for act, is_so in acts.items() if is_so][:1]:
            given = {} if changed.user.roles == old.user.roles else {"roles": sorted(changed.user.roles)}
            self._log(actor, act, old.user.username, user_id=user_id, **given)
        return self._answer(changed, lost)

    # -- GitHub

    def _by_github(self, github_id: str) -> Credentials | None:
        return next((self._users[i] for i, one in self._records.items() if one.github_id == github_id), None)

    async def github_credentials(self, github_id: str, avatar_url: str | None) -> Credentials | None:
        lost = await self._enter("github_credentials")
        found = self._by_github(github_id)
        if found is not None:
            self._records[found.user.id].avatar_url = avatar_url
        return self._answer(found, lost)

    async def create_github_user(
        self, username: str, github_id: str, avatar_url: str | None
    ) -> Credentials | AccountRefusal:
        lost = await self._enter("create_github_user")
        found = self._by_github(github_id)
        if found is not None:
            return self._answer(found, lost)
        if self._by_name(username) is not None:
            return self._answer(AccountRefusal.USERNAME_TAKEN, lost)
        user = User(id=self._take_id("user"), username=username, email=None, is_admin=False)
        self._put_new(user, "", github_id, avatar_url)
        return self._answer(self._users[user.id], lost)

    async def database_time_s(self) -> float:
        lost = await self._enter("database_time_s")
        return self._answer(self._dated(self.clock()).timestamp(), lost)

    async def spend_oauth_state(self, nonce: bytes, expires_at_s: float) -> bool:
        lost = await self._enter("spend_oauth_state")
        if nonce in self._spent or expires_at_s <= self._dated(self.clock()).timestamp():
            return self._answer(False, lost)
        self._spent.add(nonce)
        return self._answer(True, lost)

    # -- sessions of browsers

    async def open_session(self, digest: bytes, account: Credentials, *, client: str, address: str) -> None:
        lost = await self._enter("open_session")
        now = self.clock()
        row = SessionRow(
            user_id=account.user.id,
            epoch=account.token_epoch,
            client=client,
            address=address,
            created_at=now,
            seen_at=now,
        )
        own = [key for key, held in self._sessions.items() if held.user_id == account.user.id and key != digest]
        own.sort(key=lambda key: (-self._sessions[key].seen_at, key))
        for oldest in own[MAX_SESSIONS - 1 :]:
            del self._sessions[oldest]
        self._sessions.setdefault(digest, row)
        self._answer(None, lost)

    async def session(self, digest: bytes, limits: SessionLimits) -> Credentials | None:
        lost = await self._enter("session")
        row, now = self._sessions.get(digest), self.clock()
        account = None if row is None else self._users.get(row.user_id)
        if row is None or account is None or account.is_disabled or account.token_epoch != row.epoch:
            return self._answer(None, lost)
        if not row.is_within(limits, now):
            return self._answer(None, lost)
        if row.seen_at < now - 60:
            row.seen_at = now
        return self._answer(account, lost)

    async def sessions_of(self, user_id: int, limits: SessionLimits, limit: int) -> list[WebSession]:
        lost = await self._enter("sessions_of")
        account, now = self._users.get(user_id), self.clock()
        rows = [
            (digest, row)
            for digest, row in self._sessions.items()
            if account is not None and row.user_id == user_id and row.epoch == account.token_epoch
            if row.is_within(limits, now)
        ]
        rows.sort(key=lambda pair: (-pair[1].seen_at, pair[0]))
        found = [
            WebSession(
                digest=digest,
                client=row.client,
                address=row.address,
                created_at=self._dated(row.created_at).isoformat(),
                seen_at=self._dated(row.seen_at).isoformat(),
            )
            for digest, row in rows[:limit]
        ]
        return self._answer(found, lost)

    async def close_session(self, user_id: int, digest: bytes) -> bool:
        lost = await self._enter("close_session")
        row = self._sessions.get(digest)
        is_own = row is not None and row.user_id == user_id
        if is_own:
            del self._sessions[digest]
        return self._answer(is_own, lost)

    async def close_other_sessions(self, user_id: int, keep: bytes) -> int:
        lost = await self._enter("close_other_sessions")
        others = [digest for digest, row in self._sessions.items() if row.user_id == user_id and digest != keep]
        for digest in others:
            del self._sessions[digest]
        return self._answer(len(others), lost)

    async def delete_ended_sessions(self, limits: SessionLimits, limit: int) -> int:
        lost = await self._enter("delete_ended_sessions")
        now = self.clock()
        ended = [digest for digest, row in self._sessions.items() if not row.is_within(limits, now)][:limit]
        for digest in ended:
            del self._sessions[digest]
        return self._answer(len(ended), lost)

    async def forget_addresses(self, age_s: float, limit: int) -> int:
        lost = await self._enter("forget_addresses")
        old = [row for row in self._sessions.values() if row.address and row.created_at <= self.clock() - age_s][:limit]
        for row in old:
            row.address = ""
        return self._answer(len(old), lost)
