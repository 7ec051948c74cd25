"""Judges the bundled sample through the public API, at the first start of a new user.

It uses its own account (``sample``, with a random secret password) and leaves ``admin`` unregistered. The problem is
uploaded once and recorded in ``<home>/sample.json``, so that later starts only submit.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import trio
from rich import box
from rich.table import Table

from deepoj import sample
from deepoj.cli import errors
from deepoj.cli.start_view import StartView
from deepoj.config.model import Config
from deepoj.wiring.targets import reachable
from deepoj.words.errors import Breakage
from deepoj.words.exits import CHECK_FAILED, GOOD, INTERRUPTED

USERNAME = "sample"
#: a verdict takes well under two seconds on an idle laptop
VERDICT_DEADLINE_S = 120.0
POLL_S = 0.05
#: longest interval between two polls
POLL_MAX_S = 1.0


class SampleFailed(Breakage):
    """The sample could not be judged; the sentence names the failed step."""


class Sample:
    """Judges the sample as a task of the node's tree. ``exit_code``: 0 after an Accepted, 130 before a verdict."""

    def __init__(self, cfg: Config, view: StartView, *, leave: bool) -> None:
        self._note_file = cfg.home / "sample.json"
        self._view = view
        #: whether the node ends after the verdict
        self.leaves = leave
        self.username = USERNAME
        #: wiring sets it on the account at every start
        self.password = secrets.token_urlsafe(24)
        self.exit_code = INTERRUPTED

    async def __call__(self, base_url: str, stop: Callable[[], None]) -> None:
        """Judge the sample and show the result. A failure prints one line; a node that stays keeps running."""
        base_url = reachable(base_url)
        try:
            self._view.show("judging the canaries, then the bundled sample")
            with trio.fail_after(VERDICT_DEADLINE_S):
                verdict = await self._judge(base_url)
        except (SampleFailed, httpx.HTTPError, trio.TooSlowError) as failure:
            self._view.clear()
            errors.say(f"the sample was not judged: {failure or type(failure).__name__}")
            self.exit_code = CHECK_FAILED
        else:
            self._view.clear()
            self._show(verdict)
            self.exit_code = GOOD if verdict["status"] == "Accepted" else CHECK_FAILED
        self._view.show_ready()
        if self.leaves:
            stop()

    async def _judge(self, base_url: str) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=base_url, timeout=30, trust_env=False) as client:
            account = {"username": self.username, "password": self.password}
            login = await _successful(client.post("/api/v1/auth/login", json=account), "log in")
            client.headers["Authorization"] = f"Bearer {login['token']}"
            problem_id = await self._problem(client)
            body = {"problem_id": problem_id, "language": sample.LANGUAGE, "code": sample.accepted_source()}
            job = await _successful(client.post("/api/v1/submit", json=body), "submit")
            pause_s = POLL_S
            while True:
                status = await _successful(client.get(f"/api/v1/status/{job['job_id']}"), "ask for the verdict")
                if status["state"] in {"done", "dead"}:
                    return status
                await trio.sleep(pause_s)
                pause_s = min(pause_s * 1.2, POLL_MAX_S)

    async def _problem(self, client: httpx.AsyncClient) -> int:
        package = sample.package()
        known = _read_note(self._note_file, sample.package_hash(package))
        if known is not None and (await client.get(f"/api/v1/problems/{known}")).status_code == httpx.codes.OK:
            return known
        problem = await _successful(
            client.post(
                "/api/v1/problems",
                data={"title": sample.TITLE, "time_limit": "1000", "memory_limit": "128"},
                files={"file": ("sample.zip", package, "application/zip")},
            ),
            "upload the problem",
        )
        problem_id = int(problem["id"])
        note = {"problem_id": problem_id, "package": sample.package_hash(package)}
        await trio.Path(self._note_file).write_text(json.dumps(note))
        return problem_id

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


def _read_note(file: Path, package_hash: str) -> int | None:
    """Return the problem uploaded by an earlier start, if it was made from the same package."""
    try:
        note = json.loads(file.read_text())
        return int(note["problem_id"]) if note["package"] == package_hash else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _successful(request: Any, action: str) -> dict[str, Any]:
    """Return the JSON of an awaited request. Raises SampleFailed with the name of the failed ``action``."""
    answer: httpx.Response = await request
    if answer.is_success:
        body: dict[str, Any] = answer.json()
        return body
    raise SampleFailed(f"could not {action}: HTTP {answer.status_code} {answer.text[:300]}")
