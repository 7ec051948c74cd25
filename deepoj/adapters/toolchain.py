"""Finds the languages that this host can judge, by calling their tools with the sandbox's environment. Blocking: call
it in a thread.

To call all of them takes a second. Their versions are therefore kept in a file for the next start. A kept version
counts until something changes that decides it: the commands, the files that they name, or the host's packages. It
counts for a day at most.

Files are compared by their change times, too, which no program can set: images give all files one modification time. A
tool that is not of a package (a wrapper, the link of a version manager) can change without a trace here. Versions are
therefore kept only where dpkg is, and only of tools below ``/usr`` and not below ``/usr/local``.

If the process dies here: the file appears by a rename, completely or not at all. Where it is missing, or cannot be read
or written, the tools are called.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deepoj.judging.languages import Language, Toolchain
from deepoj.judging.languages.families import BASE_ENV

#: timeout of a tool's version; some compilers run in a JVM, on a host under load
TOOL_S = 30.0
#: tools called at the same time: most of the time is the slow start of a few
AT_ONCE = 4
#: age at which kept versions are forgotten
KEPT_S = 86_400.0
#: changes whenever dpkg installs, upgrades or removes a package
PACKAGES = Path("/var/lib/dpkg/status")


def versions(
    languages: Iterable[Language], toolchain: Toolchain, *, has_proc: bool, kept: Path | None = None
) -> dict[str, str]:
    """Return language key → first line of its tool's version, without languages that cannot be judged here.
    ``has_proc``: whether programs see a /proc. ``kept``: the file with the versions of an earlier start."""
    rows = [language for language in languages if has_proc or not language.needs_proc]
    known = {} if kept is None else _read(kept)
    marks = {language.key: _mark(language, toolchain) for language in rows} if kept is not None else {}
    found = {key: known[mark] for key, mark in marks.items() if mark in known}
    asked = [language for language in rows if language.key not in found]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda language: version(language, toolchain), asked)
        found |= {language.key: words for language, words in zip(asked, answers, strict=True) if words}
    if kept is not None and asked:
        _write(kept, {mark: found[key] for key, mark in marks.items() if mark and key in found})
    return {language.key: found[language.key] for language in rows if language.key in found}


def version(language: Language, toolchain: Toolchain) -> str:
    """Return the version of a language's tool; empty if the tool is missing or does not know the dialect."""
    if not _output(language.accepts_argv(toolchain))[0]:
        return ""
    return tool_version(language.version_argv(toolchain))


def tool_version(argv: Sequence[str]) -> str:
    """Return the first line of a tool's version; empty if the tool is missing or fails."""
    works, words = _output(argv)
    return words.partition("\n")[0].strip() if works else ""


def _output(argv: Sequence[str]) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            argv, env=dict(BASE_ENV), capture_output=True, text=True, timeout=TOOL_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False, ""
    return done.returncode == 0, done.stdout or done.stderr


def _mark(language: Language, toolchain: Toolchain) -> str:
    """Return a digest of all that decides the version; empty if it must not be kept."""
    packages, tool = _state(PACKAGES), Path(language.tool(toolchain)).resolve()
    if not packages or not tool.is_relative_to("/usr") or tool.is_relative_to("/usr/local"):
        return ""
    commands = (language.accepts_argv(toolchain), language.version_argv(toolchain))
    named = {word for command in commands for word in command if word.startswith("/")}
    files = [(name, *_state(Path(name))) for name in sorted(named)]
    return hashlib.sha256(json.dumps([commands, files, packages]).encode()).hexdigest()


def _state(path: Path) -> tuple[object, ...]:
    """Return a file's real path and what changes with it; empty if it is not there."""
    try:
        real = path.resolve()
        seen = real.stat()
    except OSError:
        return ()
    return str(real), seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def _read(kept: Path) -> dict[str, str]:
    """Return digest → version; empty if there is no such file, or it is old or damaged."""
    try:
        if not 0 <= time.time() - kept.stat().st_mtime < KEPT_S:
            return {}
        found = json.loads(kept.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {mark: words for mark, words in found.items() if isinstance(words, str) and words}


def _write(kept: Path, found: Mapping[str, str]) -> None:
    beside = kept.with_name(f"{kept.name}.{secrets.token_hex(8)}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(found))
        beside.replace(kept)
    except OSError:  # the next start calls the tools
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
