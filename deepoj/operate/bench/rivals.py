"""Other sandboxes, as they are installed here: how each runs one program, with namespaces where it can."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TRY_S = 30.0
#: stands in a command for the program measured, and for its directory
PROGRAM, DIRECTORY = "{program}", "{directory}"


@dataclass(frozen=True, slots=True)
class Rival:
    """``command[0]`` is looked for on PATH. ``before`` and ``after`` (arguments of the same command) are not timed."""

    name: str
    command: tuple[str, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


# What a C program needs of the host is shown read-only; everything else is each one's default.
RIVALS = (
    Rival(
        "bubblewrap",
        (
            "bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--ro-bind-try", "/lib", "/lib",
            "--ro-bind-try", "/lib64", "/lib64", "--ro-bind", PROGRAM, "/p/main", "/p/main",
        ),
    ),
    Rival(
        "isolate",
        ("isolate", "--silent", "--run", f"--dir=/p={DIRECTORY}", "--", f"/p/{PROGRAM}"),
        before=("--init",),
        after=("--cleanup",),
    ),
    Rival(
        "nsjail",
        (
            "nsjail", "-Mo", "--quiet", "-R", "/usr", "-R", "/lib", "-R", "/lib64", "-R", f"{PROGRAM}:/p/main",
            "--", "/p/main",
        ),
    ),
    Rival("firejail", ("firejail", "--quiet", "--noprofile", "--net=none", PROGRAM)),
    Rival("runguard", ("runguard", "--user=nobody", "--", PROGRAM)),
)  # fmt: skip


@contextmanager
def ready(rival: Rival, program: Path) -> Iterator[list[str] | str]:
    """The command that runs the program in it, tried once; or why there is none."""
    tool = shutil.which(rival.command[0])
    if tool is None:
        yield "not installed"
        return
    try:
        why = _complaint([tool, *rival.before]) if rival.before else None
        command = [tool, *(_filled(word, program) for word in rival.command[1:])]
        yield why or _complaint(command) or command
    finally:
        if rival.after:
            _complaint([tool, *rival.after])


def _filled(word: str, program: Path) -> str:
    # isolate shows a directory, and the program stands in it under its own name
    if word == f"/p/{PROGRAM}":
        return f"/p/{program.name}"
    return word.replace(PROGRAM, str(program)).replace(DIRECTORY, str(program.parent))


def _complaint(command: Sequence[str]) -> str | None:
    """None if it ends well."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env={}, cwd="/",
            timeout=TRY_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"does not end within {TRY_S:g} s here"
    except OSError as error:
        return f"cannot be started here: {error.strerror}"
    if done.returncode == 0:
        return None
    words = (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]
    return f"does not run here: {words[:100]}"
