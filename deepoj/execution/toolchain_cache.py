"""Toolchain archives: files that compiling a language needs besides the toolchain's packages (Go: its library).

An archive is built in the sandbox, by the toolchain alone, after a start of the node (``nursery.toolchains``) or when
it is needed for the first time. It is kept under ``<cache_dir>/<key>-<digest of the command and the tool>``.
Compilations that need it meanwhile wait.

What if we die here? An archive appears by a rename, completely or not at all; the next compilation that needs it
builds it. Two nodes on one workspace may both build it: the later one replaces the other's by an equal one.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from deepoj.judging import exec_rules
from deepoj.judging.exec_rules import JudgeSettings
from deepoj.judging.languages import LANGUAGES, Language, ToolchainArchive
from deepoj.judging.text import visible
from deepoj.ports.sandbox import Box
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Infra

#: age at which an archive is removed: its toolchain is gone
FORGOTTEN_S = 7 * 86_400.0


@dataclass(slots=True, kw_only=True)
class ToolchainCache:
    """The toolchain archives of one node."""

    box: Box
    cache_dir: Path
    settings: JudgeSettings
    _making: dict[str, trio.Lock] = field(default_factory=lambda: defaultdict(trio.Lock))

    async def get(self, language: Language) -> Path | Infra | None:
        """Return the path of the language's archive; None if it needs none, or does without while none is built.

        Raises:
          BoxBroken: as the box does.
          OSError: ``cache_dir`` cannot be read or written.
        """
        archive = language.archive
        if archive is None or (not archive.is_required and await self.missing([language.key])):
            return None
        return await self._get(language, archive)

    async def _get(self, language: Language, archive: ToolchainArchive) -> Path | Infra:
        path = await trio.to_thread.run_sync(archive_path, self.cache_dir, language, archive, self.settings)
        async with self._making[path.name]:
            if not await trio.Path(path).is_file():
                trouble = await self._make(language, archive, path)
                if trouble is not None:
                    return trouble
        return path

    async def missing(self, keys: Iterable[str]) -> list[str]:
        """Return those of the languages that have an archive that is not built yet."""
        found = []
        for key in keys:
            archive = LANGUAGES[key].archive if key in LANGUAGES else None
            if archive is not None:
                path = await trio.to_thread.run_sync(
                    archive_path, self.cache_dir, LANGUAGES[key], archive, self.settings
                )
                if not await trio.Path(path).is_file():
                    found.append(key)
        return found

    async def build(self, key: str) -> str:
        """Build the language's archive, unless it is there. Return why that failed; empty if it did not."""
        language = LANGUAGES[key]
        if language.archive is None:
            return ""
        try:
            made = await self._get(language, language.archive)
        except (BoxBroken, OSError) as error:
            return str(error)
        return made.message if isinstance(made, Infra) else ""

    async def _make(self, language: Language, archive: ToolchainArchive, path: Path) -> Infra | None:
        made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")  # another node may be building it, too
        await trio.to_thread.run_sync(_make_room, path, language)
        outcome = await self.box.run(exec_rules.archive_spec(archive, made, self.settings))
        if outcome.sandbox_error is not None:
            return exec_rules.sandbox_trouble(f"making the toolchain archive of {language.key}", outcome.sandbox_error)
        if outcome.files_out:
            await trio.Path(made).rename(path)
            return None
        message = visible(outcome.stderr[-1000:]).strip()
        return Infra(
            "kit",
            f"making the toolchain archive of {language.key}: {outcome.verdict} by rule '{outcome.rule}': {message}",
        )


def archive_path(cache_dir: Path, language: Language, archive: ToolchainArchive, settings: JudgeSettings) -> Path:
    """Return the archive's path, whose name is a digest of all that decides it: a tool by path, size and mtime.
    Blocking."""
    tool = Path(language.tool(settings.toolchain)).resolve()
    stat = tool.stat() if tool.exists() else None
    made_by = [str(tool), *((stat.st_size, stat.st_mtime_ns) if stat else ())]
    parts = [settings.toolchain.fill(archive.make), archive.env, made_by]
    return cache_dir / f"{language.key}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]}"


def _make_room(path: Path, language: Language) -> None:
    """Make the directory, and remove old archives of the language, which another toolchain made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in path.parent.glob(f"{language.key}-*"):
        if time.time() - old.stat().st_mtime > FORGOTTEN_S:
            old.unlink(missing_ok=True)
