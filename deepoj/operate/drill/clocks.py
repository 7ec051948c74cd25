"""Shifts the wall clocks of running nodes with a small preloaded library, which maps a file with the shift.

It is not libfaketime. If that leaves monotonic clocks alone, its ``pthread_cond_timedwait`` returns at once, and
waiting Python threads spin: 0.25 s of work of two threads took 12 s of CPU. Nodes then used all CPU and lost their
leases without any fault. If it does not leave them alone, monotonic clocks jump with every shift, as no real clock
does.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from deepoj.words.errors import StartRefused

_SOURCE = Path(__file__).with_name("clock.c")
#: contents of the file that ``clock.c`` maps
_SHIFT_S = struct.Struct("=q")


def compiler() -> str | None:
    """Return the path of a C compiler on this host, or None."""
    return shutil.which("cc") or shutil.which("gcc")


def build(directory: Path) -> Path:
    """Compile the library in ``directory``, and return its path. Blocks for a moment. Raises StartRefused (3)."""
    library = directory / "clock.so"
    command = [compiler() or "cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise StartRefused(f"the clock library of the drills cannot be compiled: {error}", 3) from error
    if result.returncode:
        raise StartRefused(f"the clock library of the drills cannot be compiled: {result.stderr.strip()}", 3)
    return library


def environment(library: Path, file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock ``shift`` shifts. The file must exist when it starts."""
    return {"LD_PRELOAD": str(library), "DRILL_CLOCK": str(file)}


def shift(file: Path, seconds: int) -> None:
    """Shift the clocks of the processes that map ``file`` by ``seconds``. Writes in place because they map it."""
    with file.open("r+b" if file.exists() else "wb") as mapped:
        mapped.write(_SHIFT_S.pack(seconds))
