"""The preparations, awaited one after the other between ``servers`` and ``keepers``: dependencies answer, the schema is
there, leftovers of a crash are swept, languages are detected, guests have their accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from deepoj import observe
from deepoj.accounts.passwords import Passwords
from deepoj.adapters.toolchain import versions
from deepoj.config.roles import Role
from deepoj.execution.workdir import sweep
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS
from deepoj.nursery.prepare import Reach, Schema
from deepoj.ports.accounts import Accounts
from deepoj.wiring import settings
from deepoj.wiring.children.jobs import ATTEMPTS
from deepoj.wiring.children.parts import Parts, needs_objects
from deepoj.words.accounts import AccountRefusal
from deepoj.words.errors import StartRefused

#: how late a dependency may be at a start
REACH_S = 30.0


class Guest(Protocol):
    """A program that uses the node's API once it is up, under an account of its own with administrator's rights."""

    username: str
    password: str

    async def __call__(self, base_url: str, stop: Callable[[], None]) -> None: ...


def preparations(parts: Parts, guests: Sequence[Guest]) -> list[Callable[[], Awaitable[None]]]:
    """Return the steps in their order."""
    adapters, steps = parts.adapters, _Steps(parts)
    objects = [Reach(part="objects", ping=adapters.blobs.ping, within_s=REACH_S)] if needs_objects(parts.cfg) else []
    return [
        Reach(part="database", ping=adapters.store.ping, within_s=REACH_S),
        _schema(parts, steps),
        Reach(part="redis", ping=adapters.stream.ping, within_s=REACH_S),
        *objects,
        steps.sweep_workspace,
        steps.detect_languages,
        *(_GuestAccount(adapters.store.accounts, guest).prepare for guest in guests),
    ]


def _schema(parts: Parts, steps: _Steps) -> Callable[[], Awaitable[None]]:
    """Bring the schema up to date, or wait until another program has."""
    if parts.cfg.embedded or parts.cfg.migrate_on_start:
        return steps.migrate
    migrator = parts.adapters.migrator
    return Schema(present=migrator.schema_version, needed=migrator.needed_version, within_s=REACH_S)


@dataclass(frozen=True, slots=True)
class _Steps:
    """Steps that use the shared objects."""

    parts: Parts

    async def migrate(self) -> None:
        self.parts.on_step("bringing the database's schema up to date")
        await self.parts.adapters.migrator.migrate()

    async def sweep_workspace(self) -> None:
        """Delete the directories of attempts that died with an earlier process."""
        if self.parts.jobs is not None:
            swept = await trio.to_thread.run_sync(sweep, self.parts.cfg.workspace / ATTEMPTS)
            if swept:
                observe.log("workspace_swept", count=swept)
        if self.parts.vet is not None:
            await trio.to_thread.run_sync(sweep, self.parts.vet.workdir)

    async def detect_languages(self) -> None:
        """Detect the languages of this host, on nodes that judge or show them."""
        cfg = self.parts.cfg
        if self.parts.jobs is None and Role.API not in cfg.roles:
            return
        self.parts.on_step("looking for compilers and interpreters")
        box = self.parts.adapters.box
        find = partial(
            versions, LANGUAGES.values(), settings.toolchain(cfg),
            has_proc=box is None or box.has_proc, kept=cfg.workspace / "toolchains.json",
        )  # fmt: skip
        tool_versions = await trio.to_thread.run_sync(find)
        # output-only problems need no tool
        self.parts.languages.update({**tool_versions, OUTPUTS.key: OUTPUTS.name})


@dataclass(frozen=True, slots=True)
class _GuestAccount:
    """The account of a guest."""

    accounts: Accounts
    guest: Guest

    async def prepare(self) -> None:
        """Make the account once, and give it a new password at every start.

        Raises:
          StartRefused: the account is not the guest's, or has lost its rights.
        """
        username = self.guest.username
        secret = await Passwords().hash(self.guest.password)
        made = await self.accounts.create_user(username, secret, None, is_admin=True)
        if not isinstance(made, AccountRefusal):
            return
        known = await self.accounts.credentials(username)
        if known is None or not known.user.is_admin or known.is_disabled:
            raise StartRefused(
                f"the bundled sample's account {username} was registered by a user, or was demoted or disabled:"
                " start without --sample, or on another DEEPOJ_HOME",
                2,
            )
        await self.accounts.set_password(known.user.id, secret)
