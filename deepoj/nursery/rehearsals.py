"""The child that plays the dress rehearsals that are ordered on this node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import trio

from deepoj import observe
from deepoj.api.rehearsals import RehearsalOrder, RehearsalOrders

#: how often the page's progress is brought up to date
_LOOK_PERIOD_S = 1.0
#: how long the command may take to end its contest when it is cancelled
_END_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRehearsals:
    """The child: one rehearsal after the other. ``url`` returns that of this node's API."""

    orders: RehearsalOrders
    url: Callable[[], str]

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> NoReturn:
        task_status.started()
        while True:
            order = await self.orders.take()
            with tempfile.TemporaryDirectory(prefix="deepoj-rehearsal-") as folder:
                await self._play(order, Path(folder))

    async def _play(self, order: RehearsalOrder, folder: Path) -> None:
        feed, log, report = (folder / name for name in ("feed.ndjson", "log", "report.json"))
        feed.write_bytes(order.feed)
        command = [sys.executable, "-m", "deepoj", "contest", "replay", str(feed), "--judge", "--json"]
        command += ["--url", self.url(), "--speed", f"{order.speed:g}"]
        if order.minutes is not None:
            command += ["--minutes", str(order.minutes)]
        # the token is in the environment, which other accounts of the host cannot read
        environment = {
            "DEEPOJ_TOKEN": order.token,
            "XDG_CONFIG_HOME": str(folder),
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
        }
        observe.log("rehearsal", text=f"{order.by} plays {order.feed_name}")
        try:
            with trio.CancelScope() as playing, log.open("wb") as said, report.open("wb") as printed:
                self.orders.begin(playing)
                process = await trio.lowlevel.open_process(
                    command, stdin=subprocess.DEVNULL, stdout=printed, stderr=said, env=environment
                )
                try:
                    while process.poll() is None:
                        self.orders.say(log.read_text("utf-8", "replace"))
                        await trio.sleep(_LOOK_PERIOD_S)
                finally:
                    await _end(process)
        finally:
            self.orders.say(log.read_text("utf-8", "replace"))
            self.orders.end(report.read_bytes())


async def _end(process: trio.Process) -> None:
    """End the process as Ctrl-C does, or, if that takes too long, by force."""
    with trio.CancelScope(shield=True):
        with trio.move_on_after(_END_S):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()
