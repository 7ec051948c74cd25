"""Many jobs through one node, and what they leave in it: ``python -m tests.soak_memory --jobs 10000 --first 1000``.

The node is the one that ``deepoj up`` runs, with every role, its own servers and the real sandbox; in its tree sits a
guest that submits over HTTP, waits for the verdicts, and after the first jobs and after the last weighs the process it
is in: resident memory, open descriptors, living tasks, threads. Exit code 1 when the second weighing is not what it
must be.

The programs are Python's, for nothing is compiled then; each is a different one, and some are wrong.
"""

from __future__ import annotations

import argparse
import gc
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import trio

from deepoj import observe
from deepoj.cli.node import _return_memory
from deepoj.config.loader import load
from deepoj.wiring.node import Life, serve
from tests.e2e.nodes import package
from tests.ports import free_ports

#: what the soak allows between the two weighings
GROWTH_MIB = 5.0
#: jobs under way at a time: more than the node has slots, so that it never waits for us
ABREAST = 8
#: of the last jobs of a weighing: their tasks and connections end a moment after their verdicts
QUIET_S = 60.0
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, slots=True)
class Weight:
    """What the process holds when nothing is under way."""

    rss_mib: float
    descriptors: int
    tasks: int
    threads: int

    @classmethod
    def now(cls) -> Weight:
        gc.collect()
        return cls(
            rss_mib=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MIB,
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            tasks=trio.lowlevel.current_statistics().tasks_living,
            threads=len(list(Path("/proc/self/task").iterdir())),
        )

    def complaints(self, first: Weight) -> list[str]:
        """What has grown since ``first`` and must not have. Threads of Trio's cache come and go with the load."""
        found = []
        if self.rss_mib - first.rss_mib > GROWTH_MIB:
            found.append(f"memory grew from {first.rss_mib:.1f} to {self.rss_mib:.1f} MiB")
        if self.descriptors > first.descriptors:
            found.append(f"{self.descriptors - first.descriptors} descriptors are left open")
        if self.tasks > first.tasks:
            found.append(f"{self.tasks - first.tasks} tasks are left")
        return found


class Soaker:
    """The guest. ``complaints`` is None until it has weighed twice."""

    username = "soak"

    def __init__(self, jobs: int, first: int) -> None:
        self.password = secrets.token_urlsafe(24)
        self._jobs, self._first = jobs, first
        self.complaints: list[str] | None = None

    async def __call__(self, base_url: str, stop: Callable[[], None]) -> None:
        try:
            await self._soak(base_url)
        finally:
            stop()

    async def _soak(self, base_url: str) -> None:
        async with httpx.AsyncClient(base_url=base_url, timeout=120, trust_env=False) as client:
            account = {"username": self.username, "password": self.password}
            token = (await client.post("/api/v1/auth/login", json=account)).raise_for_status().json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            made = await client.post(
                "/api/v1/problems", data={"title": "A+B", "time_limit": "8000"}, files={"file": ("p.zip", package())}
            )
            problem_id: int = made.raise_for_status().json()["id"]
            began = time.monotonic()
            await self._submit(client, problem_id, 0, self._first)
            first = await self._weigh(self._first, began)
            await self._submit(client, problem_id, self._first, self._jobs)
            last = await self._weigh(self._jobs, began, first)
        self.complaints = last.complaints(first)

    async def _submit(self, client: httpx.AsyncClient, problem_id: int, start: int, end: int) -> None:
        numbers = iter(range(start, end))

        async def one_after_the_other() -> None:
            for number in numbers:
                await self._one(client, problem_id, number)

        async with trio.open_nursery() as nursery:
            for _ in range(ABREAST):
                nursery.start_soon(one_after_the_other)

    async def _one(self, client: httpx.AsyncClient, problem_id: int, number: int) -> None:
        right = number % 5 != 0
        code = f"a, b = map(int, input().split())\nprint(a {'+' if right else '-'} b)\n# {number}\n"
        body = {"problem_id": problem_id, "language": "python3", "code": code}
        answer = await client.post("/api/v1/submit", json=body)
        job_id = answer.raise_for_status().json()["job_id"]
        while True:
            seen = (await client.get(f"/api/v1/status/{job_id}")).raise_for_status().json()
            if seen["state"] in {"done", "dead"}:
                break
            await trio.sleep(0.1)  # others wait meanwhile for the slots: asking more often only takes CPU from them
        wanted = "Accepted" if right else "Wrong Answer"
        if seen["status"] != wanted:
            raise AssertionError(f"job {number} is {seen['status']}, not {wanted}")

    async def _weigh(self, jobs: int, began: float, first: Weight | None = None) -> Weight:
        """Once it is quiet; a weighing that is measured against a first one waits until it is as quiet as that."""
        deadline = trio.current_time() + QUIET_S
        await trio.sleep(2)
        weight = Weight.now()
        while first is not None and weight.complaints(first) and trio.current_time() < deadline:
            await trio.sleep(1)
            weight = Weight.now()
        sys.stdout.write(
            f"after {jobs} jobs and {time.monotonic() - began:.0f} s: {weight.rss_mib:.1f} MiB, "
            f"{weight.descriptors} descriptors, {weight.tasks} tasks, {weight.threads} threads\n"
        )
        sys.stdout.flush()
        return weight


def soak(home: Path, jobs: int, first: int) -> list[str]:
    """Runs the node in this process; returns the complaints."""
    port, scheduler, worker = free_ports(3)
    flags = {
        "embedded": True,
        "api.port": port,
        "scheduler.metrics_port": scheduler,
        "worker.metrics_port": worker,
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    lifted = {
        f"{kind}RATE_LIMIT_{whose}_PER_WINDOW": "10000000"
        for kind in ("", "AUTH_", "SUBMIT_")
        for whose in ("IP", "USER")
    } | {"SUBMIT_MAX_INFLIGHT_PER_USER": "10000000"}
    cfg = load(flags, kept | lifted | {"DEEPOJ_HOME": str(home)})
    observe.configure("json", level="error")
    _return_memory()
    guest = Soaker(jobs, first)
    trio.run(serve, cfg, Life(on_stop=lambda: None), [guest])
    return ["the soak was cut short"] if guest.complaints is None else guest.complaints


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=1_000)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ojsoak") as scratch:
        complaints = soak(Path(scratch) / "home", told.jobs, told.first)
    for complaint in complaints:
        sys.stderr.write(f"{complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
