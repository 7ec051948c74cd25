"""A test client that submits to random nodes, polls for the verdicts, and records its observations.

Every submission has an Idempotency-Key. A request without an answer, or with a server error, is repeated with the same
key. That is all a client has to do for "exactly once".
"""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import httpx
import trio

from deepoj.operate.drill.history import Answer, History, Seen, Try
from deepoj.operate.drill.programs import DrillProgram, Task, package
from deepoj.words.errors import StartRefused

_PAUSE_S = 0.15
_POLL_S = 0.6
#: number of repeated reads of a verdict, at other nodes
_ASKED_AGAIN = 2
_ADMIN = {"username": "admin", "password": "drill-password"}
_SETUP_TRIES = 40


type Ask = Callable[[str], Awaitable[httpx.Response]]


@dataclass(slots=True)
class Client:
    """A client with one account, for all nodes. ``links``: name and base URL of each node's API."""

    http: httpx.AsyncClient
    links: Sequence[tuple[str, str]]
    rng: random.Random
    history: History = field(default_factory=History)
    problems: Mapping[Task, int] = field(default_factory=dict)
    #: descriptions of answers that violate the API's contract
    odd: list[str] = field(default_factory=list)
    #: ids of jobs whose verdict was read
    finished: set[str] = field(default_factory=set)
    accepted: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    #: the contest to which it submits, and the labels of problems there; empty: none
    contest: str = ""
    labels: Mapping[int, str] = field(default_factory=dict)
    #: of the nodes
    metrics_token: str = ""

    async def settle_in(self) -> None:
        """Create an administrator's account and the problems. Raises StartRefused."""
        await self._insist("register", lambda base: self.http.post(f"{base}/api/v1/auth/register", json=_ADMIN), 409)
        answer = await self._insist("log in", lambda base: self.http.post(f"{base}/api/v1/auth/login", json=_ADMIN))
        self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        problems = {}
        for task in Task:
            answer = await self._insist("create a problem", partial(self.post_problem, task))
            problems[task] = int(answer.json()["id"])
        self.problems = problems

    async def second_account(self, username: str) -> Client:
        """Return a client of another account at the same nodes, with the same history. Raises StartRefused."""
        account = _ADMIN | {"username": username}
        await self._insist("register", lambda base: self.http.post(f"{base}/api/v1/auth/register", json=account), 409)
        answer = await self._insist("log in", lambda base: self.http.post(f"{base}/api/v1/auth/login", json=account))
        return replace(self, headers={"Authorization": f"Bearer {answer.json()['token']}"})

    async def gauge(self, name: str, *, field: str = "") -> float | None:
        """Return a metric of a random node, with the label ``field`` if that is not empty; None if it is unknown."""
        try:
            headers = {"Authorization": f"Bearer {self.metrics_token}"}
            answer = await self.http.get(f"{self._base()[1]}/metrics", headers=headers)
        except httpx.TransportError:
            return None
        of_field = f'[^}}]*field="{field}"' if field else ""
        match = re.search(rf"^{name}\{{{of_field}[^}}]*\}} (\S+)$", answer.text, re.MULTILINE)
        return None if match is None or match[1] == "NaN" else float(match[1])

    async def post_problem(self, task: Task, base: str) -> httpx.Response:
        """Create the problem with one request. Requires an administrator."""
        title, limit_ms = task.value
        return await self.http.post(
            f"{base}/api/v1/problems",
            data={"title": title, "time_limit": str(limit_ms), "memory_limit": "128"},
            files={"file": ("problem.zip", package(), "application/zip")},
            headers=self.headers,
        )

    async def insist_on(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *accepted: int
    ) -> httpx.Response:
        """Repeat a request of the account until it succeeds or has an ``accepted`` status. Raises StartRefused."""
        return await self._insist(
            f"{method} {path}",
            lambda base: self.http.request(method, f"{base}{path}", json=body, headers=self.headers),
            *accepted,
        )

    async def _insist(self, action: str, ask: Ask, *accepted: int) -> httpx.Response:
        """Repeat a request until it succeeds or has an ``accepted`` status. Raises StartRefused."""
        reason = ""
        for _ in range(_SETUP_TRIES):
            try:
                answer = await ask(self._base()[1])
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.is_success or answer.status_code in accepted:
                    return answer
                reason = answer.text
            await trio.sleep(_PAUSE_S)
        raise StartRefused(f"the drill's client could not {action}: {reason}", 3)

    def _base(self) -> tuple[str, str]:
        return self.rng.choice(self.links)

    async def ready(self) -> bool:
        """Return whether every node reports that all its parts are up."""
        for _, base in self.links:
            try:
                answer = await self.http.get(f"{base}/api/v1/ready")
            except httpx.TransportError:
                return False
            if answer.status_code != httpx.codes.OK:
                return False
        return True

    # -- one program

    async def see_through(self, key: str, program: DrillProgram, seen: Callable[[], None] = lambda: None) -> None:
        """Submit until it is accepted, poll until the verdict, call ``seen``, and poll again: the verdict must stay."""
        job_id = await self.submit(key, program)
        while not await self.poll(job_id):
            await trio.sleep(_POLL_S * self.rng.uniform(0.5, 1.5))
        self.finished.add(job_id)
        seen()
        for _ in range(_ASKED_AGAIN):
            await trio.sleep(_POLL_S)
            await self.poll(job_id)

    async def submit(self, key: str, program: DrillProgram) -> str:
        """Submit until it is accepted, and return the job id."""
        while True:
            if job_id := await self._try(key, program, self.problems[program.task]):
                self.accepted += 1
                return job_id
            await trio.sleep(_PAUSE_S * self.rng.uniform(0.5, 1.5))

    async def offend(self, key: str, program: DrillProgram) -> None:
        """Submit once to a problem that does not exist: no submission may result."""
        await self._try(key, program, 2**31 - 1)

    async def _try(self, key: str, program: DrillProgram, problem_id: int) -> str:
        name, base = self._base()
        path, body = "/api/v1/submit", dict[str, object]({"language": program.language, "code": program.code})
        if self.contest:
            path = f"/api/v1/contests/{self.contest}/submit"
            body["problem"] = self.labels[problem_id]
        else:
            body["problem_id"] = problem_id
        begun_s = trio.current_time()
        answer, text, job_id = Answer.UNKNOWN, "", ""
        try:
            response = await self.http.post(
                f"{base}{path}", json=body, headers={**self.headers, "Idempotency-Key": key}
            )
            text = f"{response.status_code} {response.text[:200]}"
            if response.status_code == httpx.codes.OK:
                answer, job_id = Answer.ACCEPTED, str(response.json()["job_id"])
            elif 400 <= response.status_code < 500 and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                answer = Answer.REFUSED
                if problem_id in self.problems.values():
                    self.odd.append(f"{name} refused a submission: {text}")
        except httpx.TransportError as error:
            text = type(error).__name__
        self.history.tries.append(
            Try(key, program.expected.value, begun_s, trio.current_time(), answer, job_id, f"{name}: {text}")
        )
        return job_id

    async def poll(self, job_id: str) -> bool:
        """Read the status once. Returns whether there is a verdict."""
        name, base = self._base()
        begun_s = trio.current_time()
        try:
            response = await self.http.get(f"{base}/api/v1/status/{job_id}", headers=self.headers)
        except httpx.TransportError:
            return False
        ended_s = trio.current_time()
        if response.status_code == httpx.codes.NOT_FOUND:
            self.history.seen.append(Seen(job_id, begun_s, ended_s, "", "", name))
        elif response.status_code == httpx.codes.OK:
            body = response.json()
            seen = Seen(job_id, begun_s, ended_s, str(body["state"]), str(body["status"]), name)
            self.history.seen.append(seen)
            return seen.final
        elif response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            await trio.sleep(float(response.headers.get("Retry-After", "1")))
        elif response.status_code < 500:
            self.odd.append(f"{name} refused to show a status: {response.status_code} {response.text[:200]}")
        return False


def client_for(links: Sequence[tuple[str, str]], seed: int, timeout_s: float, metrics_token: str) -> Client:
    """Return a client, whose ``http`` the caller must close."""
    http = httpx.AsyncClient(timeout=timeout_s, trust_env=False)
    rng = random.Random(seed)  # noqa: S311 - which node is asked, not a secret
    return Client(http, links, rng, metrics_token=metrics_token)
