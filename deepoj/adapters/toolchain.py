"""Finds the languages that this host can judge, by calling their tools. Blocking: call it in a thread."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from deepoj.judging.languages import Language, Toolchain

#: timeout of a tool's version; some compilers run in a JVM, on a host under load
TOOL_S = 30.0
#: tools called at the same time: most of the time is the slow start of a few
AT_ONCE = 4


def versions(languages: Iterable[Language], toolchain: Toolchain, *, has_proc: bool) -> dict[str, str]:
    """Return language key → first line of its tool's version, without languages that cannot be judged here.
    ``has_proc``: whether programs see a /proc."""
    rows = [language for language in languages if has_proc or not language.needs_proc]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda language: version(language, toolchain), rows)
        return {language.key: words for language, words in zip(rows, answers, strict=True) if words}


def version(language: Language, toolchain: Toolchain) -> str:
    """Return the version of a language's tool; empty if the tool is missing or does not know the dialect."""
    if not _output(language.accepts_argv(toolchain))[0]:
        return ""
    works, words = _output(language.version_argv(toolchain))
    return words.partition("\n")[0].strip() if works else ""


def _output(argv: Sequence[str]) -> tuple[bool, str]:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=TOOL_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False, ""
    return done.returncode == 0, done.stdout or done.stderr
