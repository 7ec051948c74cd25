"""Judges the bundled sample through the public API, at the first start of a new user.

It uses its own account (``sample``, with a random secret password) and leaves ``admin`` unregistered. The problem is
uploaded once and recorded in ``<home>/sample.json``, so that later starts only submit.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import trio

from deepoj import sample
from deepoj.words.errors import Breakage

USERNAME = "sample"
#: a verdict takes well under two seconds on an idle laptop
VERDICT_DEADLINE_S = 120.0
POLL_S = 0.05
#: longest interval between two polls
POLL_MAX_S = 1.0


class SampleFailed(Breakage):
    """The sample could not be judged; the sentence names the failed step."""


class SampleJudge:
    """Has a node judge the sample, as a client with an account of its own. ``home``: the node's directory."""

    def __init__(self, home: Path) -> None:
        self._note_file = home / "sample.json"
        self.username = USERNAME
        #: wiring sets it on the account at every start
        self.password = secrets.token_urlsafe(24)

    async def judge(self, base_url: str) -> dict[str, Any]:
        """Return the status of the sample's submission with its verdict. Raises SampleFailed."""
        try:
            with trio.fail_after(VERDICT_DEADLINE_S):
                return await self._judge(base_url)
        except (httpx.HTTPError, trio.TooSlowError) as failure:
            raise SampleFailed(str(failure) or type(failure).__name__) from failure

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
