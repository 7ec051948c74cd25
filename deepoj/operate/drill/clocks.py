"""Wall clocks of nodes that can be shifted while they run: a small library, preloaded, and a file it maps.

Not libfaketime, whose ``pthread_cond_timedwait`` ends at once where monotonic clocks are left alone: threads of Python
that wait for one another spin (measured: 0.25 s of work of two threads took 12 s of CPU), so nodes of a stage burnt
what CPU there was and lost lease after lease, with no fault at all. Without that option monotonic clocks jump with
every shift, which no shift of a real clock does.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from deepoj.words.errors import StartRefused

_SOURCE = Path(__file__).with_name("clock.c")
#: what ``clock.c`` maps
_SHIFT_S = struct.Struct("=q")


def compiler() -> str | None:
    """A C compiler of this host."""
    return shutil.which("cc") or shutil.which("gcc")


def build(directory: Path) -> Path:
    """The library, compiled in ``directory``. Blocks for a moment. Raises StartRefused (3)."""
    library = directory / "clock.so"
    command = [compiler() or "cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise StartRefused(f"the clock library of the drills cannot be compiled: {error}", 3) from error
    if done.returncode:
        raise StartRefused(f"the clock library of the drills cannot be compiled: {done.stderr.strip()}", 3)
    return library


def environment(library: Path, file: Path) -> dict[str, str]:
    """What a process is started with whose clock ``shift`` shifts. The file must be there by then."""
    return {"LD_PRELOAD": str(library), "DRILL_CLOCK": str(file)}


def shift(file: Path, seconds: int) -> None:
    """Shift the clocks of the processes that map ``file`` by ``seconds``. Writes in place because they map it."""
    with file.open("r+b" if file.exists() else "wb") as mapped:
        mapped.write(_SHIFT_S.pack(seconds))
