"""Orphans of killed launchers, where this process has become their parent.

The kernel gives the children of a dead process to its next ancestor that is a subreaper, or to process 1, which in a
container may be the node. A process that has ended keeps its number, counts against limits, and lets no process
namespace around it end, until its parent has waited for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: after this time without another end, the orphans that are left are not the launcher's
QUIET_S = 0.05
_PAUSE_S = 0.001


def reap_orphans(launcher: str) -> None:
    """Wait for the processes that a killed launcher left to us. Blocks for moments; call it in a thread.

    Args:
      launcher: the name of the launcher's executable, which its slots, guards and inits have as well.
    """
    quiet_at = time.monotonic() + QUIET_S
    while (orphans := list(_orphans(launcher))) and time.monotonic() < quiet_at:
        if sum(_reap(orphan) for orphan in orphans) > 0:
            quiet_at = time.monotonic() + QUIET_S
        time.sleep(_PAUSE_S)


def _orphans(launcher: str) -> Iterator[int]:
    """Return our children that are, or may be, orphans of the sandbox.

    Children that we started have our session, or lead their own. Programs and guards have the session of their slot.
    Slots lead their own, as launchers of other boxes do: if one of these has just ended, we take its exit status, which
    does no harm.
    """
    own_session = os.getsid(0)
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:  # there is no /proc, or the kernel does not list children
        return
    for child in map(int, children):
        with suppress(OSError):  # it is gone
            name, session = _name_and_session(child)
            if name == launcher or session not in (child, own_session):
                yield child


def _name_and_session(pid: int) -> tuple[str, int]:
    text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    name, _, rest = text.partition("(")[2].rpartition(")")
    _state, _parent, _group, session, *_ = rest.split()
    return name, int(session)


def _reap(pid: int) -> bool:
    """Return whether the process had ended, and is now waited for."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # another thread has waited for it
        return False
