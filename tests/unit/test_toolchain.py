"""Versions of tools: kept for the next start of a node, and asked again after a change."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deepoj.adapters import toolchain
from deepoj.adapters.toolchain import versions
from deepoj.judging.languages import LANGUAGES, Toolchain


@dataclass(frozen=True)
class Tools:
    """A tool that counts its calls, and a host whose list of packages is a file."""

    place: Path

    @property
    def kept(self) -> Path:
        return self.place / "kept.json"

    def versions(self, *words: str) -> dict[str, str]:
        """Return the versions of one language; ``words`` are more words of its command."""
        script = f"echo >>{self.place}/calls; cat {self.place}/says"
        row = replace(
            LANGUAGES["lua"],
            version=("/bin/sh", "-c", script, "sh", str(self.place / "named"), *words),
            accepts=("/bin/true",),
        )
        return versions([row], Toolchain(), has_proc=True, kept=self.kept)

    @property
    def calls(self) -> int:
        return len((self.place / "calls").read_text().splitlines())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setattr(toolchain, "PACKAGES", tmp_path / "packages")
    for name, text in (("packages", "lua5.4"), ("named", "the program"), ("says", "Lua 5.4\n")):
        (tmp_path / name).write_text(text)
    return Tools(tmp_path)


def test_version_that_is_kept_is_not_asked_again(tools: Tools) -> None:
    assert tools.versions() == tools.versions() == {"lua": "Lua 5.4"}
    assert tools.calls == 1


def _replace(path: Path) -> None:
    """Replace a file by one of the same name, content and modification time."""
    seen, beside = path.stat(), path.with_name("beside")
    beside.write_bytes(path.read_bytes())
    os.utime(beside, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    beside.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tools: _replace(tools.place / "named"),
        lambda tools: (tools.place / "named").unlink(),
        lambda tools: (tools.place / "packages").write_text("lua5.4 and another"),
        lambda tools: tools.kept.write_text("{"),
        lambda tools: tools.kept.write_text("[]"),
        lambda tools: os.utime(tools.kept, (time.time() - 90_000, time.time() - 90_000)),
        lambda tools: os.utime(tools.kept, (time.time() + 3600, time.time() + 3600)),
    ],
    ids=["file", "no file", "packages", "no JSON", "no object", "a day ago", "in an hour"],
)
def test_kept_version_is_asked_again_after_a_change(tools: Tools, change: Callable[[Tools], object]) -> None:
    tools.versions()
    (tools.place / "says").write_text("Lua 5.5\n")
    change(tools)
    assert tools.versions() == tools.versions() == {"lua": "Lua 5.5"}
    assert tools.calls == 2


def test_version_of_another_command_is_not_the_kept_one(tools: Tools) -> None:
    tools.versions()
    tools.versions("another word")
    assert tools.calls == 2


def test_version_is_not_kept_without_packages(tools: Tools) -> None:
    (tools.place / "packages").unlink()
    assert tools.versions() == tools.versions() == {"lua": "Lua 5.4"}
    assert tools.calls == 2


def test_version_of_a_tool_outside_of_the_packages_is_not_kept(tools: Tools) -> None:
    (tools.place / "sh").write_text('#!/bin/sh\nexec /bin/sh "$@"\n')
    (tools.place / "sh").chmod(0o755)
    row = replace(LANGUAGES["python3"], accepts=("/bin/true",), version=("{python3}", "-c", "echo 3.13"))
    own = replace(Toolchain(), python3=str(tools.place / "sh"))
    assert versions([row], own, has_proc=True, kept=tools.kept) == {"python3": "3.13"}
    assert json.loads(tools.kept.read_text()) == {}


def test_language_that_is_missing_is_looked_for_again(tools: Tools) -> None:
    (tools.place / "says").unlink()
    assert tools.versions() == {}
    (tools.place / "says").write_text("Lua 5.4\n")
    assert tools.versions() == {"lua": "Lua 5.4"}
