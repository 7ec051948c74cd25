"""Which languages this host really has, by asking its tools. Blocking: call it in a thread."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from deepoj.judging.languages import Language, Toolchain

#: a compiler that has not said its version by then does not work
TOOL_S = 10.0


def versions(languages: Iterable[Language], toolchain: Toolchain) -> dict[str, str]:
    """Language key → the first line of its tool's version; a language that cannot be judged here is absent."""
    found = {language.key: version(language, toolchain) for language in languages}
    return {key: words for key, words in found.items() if words}


def version(language: Language, toolchain: Toolchain) -> str:
    """Empty if the tool is missing or does not know the dialect."""
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
