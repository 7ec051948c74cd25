"""Replacing a problem's package with a look at what that changes, as routes and pages do it.

A page shows the changes first. Until they are applied the new package is *staged*: it is in the object store under a
key that no problem names. To apply it, it is fetched and published like an upload, under another key.

What if we die here? A staged package that is not applied is an object that no problem names; ``packages.objects``
deletes it. While it is applied: as for an upload (``packages.publish``); the staged one can be applied again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
import trio

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.upload import Form, new_path
from deepoj.api.publishing import Publishing, package_refused, revision_of
from deepoj.packages.changes import PackageChanges, PackageContent, changes_of, content_of
from deepoj.packages.formats import PackageFault
from deepoj.packages.publish import completed_change
from deepoj.packages.vetting import Vet
from deepoj.words.accounts import User
from deepoj.words.errors import BlobMissing
from deepoj.words.problems import Problem, ProblemChange

#: fields that a new package may leave to itself
_LIMITS = ("time_limit", "memory_limit", "compare")
#: the part of a staged package's key that is its own
_STAGED = re.compile(r"[0-9a-f]{16}\.[0-9a-f]{12}")
#: comparisons, and contents of current packages, that are kept
_KEPT_CHANGES, _KEPT_CONTENTS = 32, 4


def package_limits(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the limits and the comparison that a form sets instead of the package."""
    return {name: value for name in _LIMITS if (value := fields.get(name, "").strip())}


class Replacing:
    """Compares new packages with those of problems, and applies staged ones. All methods raise Refused,
    StoreUnavailable or BlobsUnavailable."""

    def __init__(self, context: ApiContext, publishing: Publishing) -> None:
        self._context, self._publishing = context, publishing
        self._settings, self._blobs = context.settings, context.blobs
        self._contents: dict[str, PackageContent] = {}
        self._changes: dict[tuple[object, ...], PackageChanges | PackageFault] = {}
        self._turn = context.package_turn

    async def changes(self, problem: Problem, form: Form, *, vet: Vet | None = None) -> PackageChanges | PackageFault:
        """Return what a form with a package would change; a fault if the problem's own package cannot be read. ``vet``
        checks the programs of the new one; None: they are checked elsewhere."""
        package, change = await self._completed(problem, form, vet)
        return await self._compared(problem, change, package)

    async def stage(self, problem: Problem, form: Form) -> str:
        """Store a package to be looked at. Return its token, for ``staged`` and ``apply``."""
        package, change = await self._completed(problem, form, self._context.vet)
        key = change.data_path
        if key is None:
            raise AssertionError("a package always has a key")
        token = key.removeprefix(f"problems/{problem.id}.").removesuffix(".zip")
        changes = await self._compared(problem, change, package)
        await self._context.problems.note_object(key)
        await self._blobs.put(key, package)
        self._keep(_name(problem, token, form.fields), changes)
        return token

    async def staged(self, problem: Problem, token: str, fields: Mapping[str, str]) -> PackageChanges | PackageFault:
        """Return what a staged package changes, with the limits of ``fields``."""
        name = _name(problem, token, fields)
        known = self._changes.get(name)
        if known is None:
            async with self._fetched(problem, token, fields) as form:
                known = await self.changes(problem, form)
            self._keep(name, known)
        return known

    async def apply(self, problem: Problem, token: str, fields: Mapping[str, str], user: User) -> Problem:
        """Give the problem a staged package."""
        async with self._fetched(problem, token, fields) as form:
            return await self._publishing.change(problem.id, form, user)

    @contextlib.asynccontextmanager
    async def _fetched(self, problem: Problem, token: str, fields: Mapping[str, str]) -> AsyncGenerator[Form]:
        if not _STAGED.fullmatch(token):
            raise Refused(ApiError.INVALID, field="package", problem="choose a package")
        try:
            async with self._file_of(_key(problem, token)) as path:
                yield Form(package_limits(fields), path)
        except BlobMissing as missing:
            gone = "the uploaded package is no longer there: upload it again"
            raise Refused(ApiError.INVALID, field="package", problem=gone) from missing

    @contextlib.asynccontextmanager
    async def _file_of(self, key: str) -> AsyncGenerator[Path]:
        path = new_path(self._settings.upload_dir)
        await anyio.Path(path.parent).mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            await self._blobs.fetch(key, path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    async def _completed(self, problem: Problem, form: Form, vet: Vet | None) -> tuple[Path, ProblemChange]:
        """Return the package of a form, and the change that it makes."""
        if form.file is None:
            raise Refused(ApiError.INVALID, field="file", problem="choose a package")
        revision, rules = revision_of(form, self._settings), self._settings.problems
        completed = await completed_change(problem, form.file, revision, rules, vet=vet)
        if not isinstance(completed, tuple):
            raise package_refused(completed)
        return form.file, completed[0]

    async def _compared(self, problem: Problem, change: ProblemChange, package: Path) -> PackageChanges | PackageFault:
        after = replace(
            problem,
            time_limit_ms=change.time_limit_ms or problem.time_limit_ms,
            memory_limit_mb=change.memory_limit_mb or problem.memory_limit_mb,
            compare=change.compare or problem.compare,
        )
        async with self._turn:
            old = await self._current(problem)
            if isinstance(old, PackageFault):
                return old
            new = await trio.to_thread.run_sync(content_of, package, self._settings.problems.unzip)
            if isinstance(new, PackageFault):
                raise package_refused(new)
            return await trio.to_thread.run_sync(partial(changes_of, old, new, before=problem, after=after))

    async def _current(self, problem: Problem) -> PackageContent | PackageFault:
        if (known := self._contents.get(problem.data_hash)) is not None:
            return known
        try:
            async with self._file_of(problem.data_path) as path:
                content = await trio.to_thread.run_sync(content_of, path, self._settings.problems.unzip)
        except BlobMissing:
            return PackageFault(None, "The problem's current package is missing in the object store.")
        if isinstance(content, PackageFault):
            return content
        while len(self._contents) >= _KEPT_CONTENTS:
            del self._contents[next(iter(self._contents))]
        self._contents[problem.data_hash] = content
        return content

    def _keep(self, name: tuple[object, ...], changes: PackageChanges | PackageFault) -> None:
        if isinstance(changes, PackageFault):  # a backup may bring the current package back
            return
        while len(self._changes) >= _KEPT_CHANGES:
            del self._changes[next(iter(self._changes))]
        self._changes[name] = changes


def _key(problem: Problem, token: str) -> str:
    return f"problems/{problem.id}.{token}.zip"


def _name(problem: Problem, token: str, fields: Mapping[str, str]) -> tuple[object, ...]:
    return problem.id, problem.version, token, *sorted(package_limits(fields).items())
