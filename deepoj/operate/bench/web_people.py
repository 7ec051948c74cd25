"""The people of ``deepoj bench web``: their accounts, their open streams, and the tests that end before their eyes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.adapters.pg import PgStore
from deepoj.nursery.progress import WINDOW_S
from deepoj.operate.bench.api import Generator, Target
from deepoj.operate.bench.api_load import STAMP, LoadRequest
from deepoj.operate.bench.fill import psql
from deepoj.ports.live import LiveResults
from deepoj.words.errors import StartRefused
from deepoj.words.live import EndedTests

#: streams that an account may have: so many people share one
_PEOPLE_OF_ACCOUNT = 20
START_S = 120.0
PASSWORD = "correct horse battery"  # noqa: S105 - of a node that is thrown away
_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
#: so often a test of each person's submission ends
_TEST_EVERY_S = 5.0
#: tests of each person's submission; more than can end while the benchmark runs cost only room on the page
_TESTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchAccount:
    """An account with a session in a browser, and submissions that stay unfinished."""

    headers: Mapping[str, str]
    jobs: Sequence[str]


def name_of(number: int) -> str:
    """Return the name of an account."""
    return f"person{number}"


def session_of(base: str, path: str, **fields: str) -> dict[str, str]:
    """Register an account or log it in by the page. Return the headers of its requests."""
    with httpx.Client(base_url=base, timeout=START_S, trust_env=False) as client:
        token = _FORM_TOKEN.search(client.get(path).text)
        reply = client.post(path, data={"form_token": token[1] if token else "", **fields})
        if reply.status_code != httpx.codes.SEE_OTHER:
            raise StartRefused(f"the measured node refused an account at {path}: {reply.status_code}", 1)
        return {"Cookie": f"deepoj_session={client.cookies['deepoj_session']}", "Accept": "text/html"}


def accounts_of(home: EmbeddedHome, base: str, target: Target, people: int) -> Iterator[BenchAccount]:
    """Yield as many accounts as the people need."""
    for number, first in enumerate(range(0, people, _PEOPLE_OF_ACCOUNT)):
        name, count = name_of(number), min(_PEOPLE_OF_ACCOUNT, people - first)
        headers = session_of(base, "/register", username=name, password=PASSWORD, email="")
        found = psql(
            home,  # names and numbers of this file only
            "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state,"  # noqa: S608
            " status, attempt_id, lease_owner, lease_until) SELECT gen_random_uuid(),"
            f" {target.problem_id}, (SELECT id FROM users WHERE username = '{name}'), 'int main(){{}}', 'cpp17', 1000,"
            " 131072, 'processing', 'running', 1, 'bench', now() + interval '1 day'"
            f" FROM generate_series(1, {count}) RETURNING job_id",
        )
        yield BenchAccount(headers=headers, jobs=found.split())


@contextmanager
def open_streams(generator: Generator, target: Target, accounts: Sequence[BenchAccount]) -> Iterator[None]:
    """Keep a stream open for each person, from the first event on."""
    for account in accounts:
        opened = generator.do(
            LoadRequest(
                do="streams",
                port=target.port,
                paths=[f"/submissions/{job}/events" for job in account.jobs],
                headers=dict(account.headers),
                seconds=START_S,
                until="event: tests",
            )
        )
        if opened.refused:
            raise StartRefused(f"not every stream was opened: {opened.refused}", 1)
    yield
    generator.do(LoadRequest(do="release"))


@dataclass(slots=True)
class EndingTests:
    """Ends tests of the people's submissions, in turn, as a judge node tells them. ``told``: how many."""

    home: EmbeddedHome
    jobs: Sequence[str]
    told: int = 0

    def during[T](self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, and end tests as long as it runs."""
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            trio.run(self._tell_until, working.done)
            return working.result()

    async def _tell_until(self, is_over: Callable[[], bool]) -> None:
        """Tell the tests that have ended within each window, in one statement."""
        async with (
            AioBridge.open() as bridge,
            PgStore.open(bridge, self.home.database_url, min_conns=0, max_conns=1) as store,
        ):
            await self._tell(store.live, is_over)

    async def _tell(self, live: LiveResults, is_over: Callable[[], bool]) -> None:
        began, first = trio.current_time(), self.told
        while not is_over():
            due = first + 1 + int((trio.current_time() - began) * len(self.jobs) / _TEST_EVERY_S)
            stamp = STAMP.format(time.time_ns() // 1000)
            tests = [self._test(number, stamp) for number in range(self.told, due)]
            await live.tell_live(tests, (), ())
            self.told = due
            await trio.sleep(WINDOW_S)

    def _test(self, number: int, stamp: str) -> EndedTests:
        test = {"name": stamp, "status": "Accepted", "sample": True, "cpu_ms": 1, "memory_kb": 1000}
        place = number // len(self.jobs) + 1
        if place > _TESTS:
            raise StartRefused(f"the people's submissions have {_TESTS} tests: measure for less long", 2)
        return EndedTests(
            job_id=self.jobs[number % len(self.jobs)], attempt_id=1, first=place, count=_TESTS, tests=(test,)
        )
