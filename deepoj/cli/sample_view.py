"""``deepoj up --sample``: judges the bundled sample when the node is up, and shows the verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from rich import box
from rich.table import Table

from deepoj import sample
from deepoj.cli import errors
from deepoj.cli.start_view import StartView
from deepoj.client.sample import SampleFailed, SampleJudge
from deepoj.config.model import Config
from deepoj.wiring.targets import reachable
from deepoj.words.exits import CHECK_FAILED, GOOD, INTERRUPTED


class SampleGuest:
    """A task of the node's tree. ``exit_code``: 0 after an Accepted, 130 before a verdict."""

    def __init__(self, cfg: Config, view: StartView, *, leave: bool) -> None:
        self._judge = SampleJudge(cfg.home)
        self.username, self.password = self._judge.username, self._judge.password
        self._view = view
        #: whether the node ends after the verdict
        self.leaves = leave
        self.exit_code = INTERRUPTED

    async def __call__(self, base_url: str, stop: Callable[[], None]) -> None:
        """Judge the sample and show the result. A failure prints one line; a node that stays keeps running."""
        try:
            self._view.show("judging the canaries, then the bundled sample")
            status = await self._judge.judge(reachable(base_url))
        except SampleFailed as failure:
            self._view.clear()
            errors.say(f"the sample was not judged: {failure}")
            self.exit_code = CHECK_FAILED
        else:
            self._view.clear()
            self._show(status)
            self.exit_code = GOOD if status["status"] == "Accepted" else CHECK_FAILED
        self._view.show_ready()
        if self.leaves:
            stop()

    def _show(self, status: dict[str, Any]) -> None:
        verdict, result = status["status"], status.get("data") or {}
        colour = "green" if verdict == "Accepted" else "red"
        table = Table("test", "verdict", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        table.add_column("time", justify="right")
        table.add_column("memory", justify="right")
        for test in result.get("tests", []):
            table.add_row(test["name"], test["status"], f"{test['cpu_ms']} ms", f"{test['memory_kb']} KB")
        out = self._view.out
        out.print()
        out.print(table)
        out.print(f"Result: [bold {colour}]{verdict}[/bold {colour}] ({sample.TITLE}, {sample.LANGUAGE})\n")
        if verdict != "Accepted":
            out.print_json(json.dumps(status))
