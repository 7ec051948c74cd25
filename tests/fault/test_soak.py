"""What the soak needs of this host. The soak itself is ``make soak``."""

from __future__ import annotations

import os

from deepoj.drill.nodes import faketime
from deepoj.drill.schedule import Kind
from deepoj.drill.soak import what_is_missing


def test_this_host_can_play_every_kind() -> None:
    """A package of the fixed list brings the clocks; only a disk cannot be filled by everybody."""
    assert faketime() is not None, "libfaketime is in tests/apt-packages.txt"
    assert set(what_is_missing()) <= (set() if os.geteuid() == 0 else {Kind.DISK_FULL})
