"""``MemoryGroups``: groups of people in memory, a part of ``MemoryStore``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deepoj.words.accounts import NewAccount
from deepoj.words.admin_events import AdminAct
from deepoj.words.groups import GroupRefusal, UserGroup
from deepoj.words.names import name_key
from tests.fakes.accounts import MemoryAccountRecords


@dataclass(kw_only=True)
class MemoryGroups(MemoryAccountRecords):
    """``ports.Groups``."""

    def _shown(self, group_id: int) -> UserGroup | None:
        held = self._groups.get(group_id)
        return None if held is None else replace(held, members=len(self.group_members[group_id]))

    def _is_taken(self, name: str, but: int | None = None) -> bool:
        return any(one.name.lower() == name.lower() and one.id != but for one in self._groups.values())

    async def create_group(self, name: str, *, by: str) -> UserGroup | GroupRefusal:
        lost = await self._enter("create_group")
        if self._is_taken(name):
            return self._answer(GroupRefusal.NAME_TAKEN, lost)
        return self._answer(self._make_group(name, by), lost)

    def _make_group(self, name: str, by: str) -> UserGroup:
        created_at = self._dated(self.clock()).isoformat()
        group = UserGroup(id=self._take_id("group"), name=name, created_at=created_at, members=0)
        self._groups[group.id], self.group_members[group.id] = group, set()
        self._log(by, AdminAct.GROUP_CREATED, name, group_id=group.id)
        return group

    async def rename_group(self, group_id: int, name: str, *, by: str) -> UserGroup | GroupRefusal:
        lost = await self._enter("rename_group")
        held = self._groups.get(group_id)
        if held is None:
            return self._answer(GroupRefusal.UNKNOWN_GROUP, lost)
        if self._is_taken(name, but=group_id):
            return self._answer(GroupRefusal.NAME_TAKEN, lost)
        if held.name != name:
            self._log(by, AdminAct.GROUP_RENAMED, name, group_id=group_id, former_name=held.name)
        self._groups[group_id] = replace(held, name=name)
        return self._answer(self._shown(group_id) or GroupRefusal.UNKNOWN_GROUP, lost)

    async def remove_group(self, group_id: int, *, by: str) -> bool:
        lost = await self._enter("remove_group")
        held = self._groups.pop(group_id, None)
        if held is not None:
            del self.group_members[group_id]
            self._log(by, AdminAct.GROUP_REMOVED, held.name, group_id=group_id)
        return self._answer(held is not None, lost)

    async def group(self, group_id: int) -> UserGroup | None:
        lost = await self._enter("group")
        return self._answer(self._shown(group_id), lost)

    async def group_named(self, name: str) -> UserGroup | None:
        lost = await self._enter("group_named")
        named = [one.id for one in self._groups.values() if one.name.lower() == name.lower()]
        return self._answer(self._shown(named[0]) if named else None, lost)

    def _sorted_groups(self) -> list[UserGroup]:
        return sorted(self._groups.values(), key=lambda one: one.name.lower())

    async def groups(self, limit: int, *, after: str = "") -> list[UserGroup]:
        lost = await self._enter("groups")
        ids = [one.id for one in self._sorted_groups() if one.name.lower() > after.lower()][:limit]
        return self._answer([group for group in map(self._shown, ids) if group is not None], lost)

    async def groups_of(self, user_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        lost = await self._enter("groups_of")
        named = {i: [one.name for one in self._sorted_groups() if i in self.group_members[one.id]] for i in user_ids}
        return self._answer({i: sorted(names, key=name_key) for i, names in named.items() if names}, lost)

    async def add_members(self, group_id: int, usernames: Sequence[str], *, by: str) -> frozenset[str] | GroupRefusal:
        lost = await self._enter("add_members")
        group = self._groups.get(group_id)
        if group is None:
            return self._answer(GroupRefusal.UNKNOWN_GROUP, lost)
        accounts = {name: self._by_name(name) for name in usernames}
        unknown = frozenset(name for name, account in accounts.items() if account is None)
        if not unknown:
            self._put_members(group, [account.user.id for account in accounts.values() if account is not None], by)
        return self._answer(unknown, lost)

    def _put_into_groups(self, accounts: Sequence[NewAccount], by: str) -> None:
        members: dict[str, list[int]] = {}
        for one in accounts:
            account = self._by_name(one.username)
            if one.group is not None and account is not None:
                members.setdefault(one.group.lower(), []).append(account.user.id)
                if not self._is_taken(one.group):
                    self._make_group(one.group, by)
        for group in [one for one in self._groups.values() if one.name.lower() in members]:
            self._put_members(group, members[group.name.lower()], by)

    def _put_members(self, group: UserGroup, user_ids: Sequence[int], by: str) -> None:
        added = set(user_ids) - self.group_members[group.id]
        self.group_members[group.id] |= added
        if added:
            names = sorted((self._users[i].user.username for i in added), key=str.lower)
            self._log(by, AdminAct.MEMBERS_ADDED, group.name, group_id=group.id, usernames=names)

    async def remove_member(self, group_id: int, user_id: int, *, by: str) -> bool:
        lost = await self._enter("remove_member")
        members = self.group_members.get(group_id, set())
        is_member = user_id in members
        if is_member:
            members.remove(user_id)
            name = self._users[user_id].user.username
            self._log(by, AdminAct.MEMBER_REMOVED, self._groups[group_id].name, group_id=group_id, username=name)
        return self._answer(is_member, lost)
