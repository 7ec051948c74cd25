"""The runbook's chapter 3, extracted from its text and executed as it stands there, against ``make run``."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.chapter3 import follow_chapter_3
from tests.e2e.nodes import MAKE_RUN, running


def test_chapter_3_gives_accepted(home: Path, tmp_path: Path) -> None:
    with running(home, command=MAKE_RUN) as node:
        follow_chapter_3(node.base, tmp_path)
        os.killpg(node.process.pid, signal.SIGINT)
        node.process.wait(60)
