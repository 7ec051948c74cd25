"""``deepoj bench web``: what the web pages bear, and what they cost, compared with a bare application and with the API.

Everything shares two cores: the generators (``api_load``, processes of their own), a node with every role, its servers
and, in turn, bare hypercorn-trio (``api_bare``).

*People*: each has the live stream of a submission open, which is being judged as long as the benchmark runs (a row with
a long lease: no node works on it), and loads a page each ``page_every_s``, in turn a problem with the editor and that
submission. ``rate`` programs a second are submitted meanwhile and judged by the node.

* ``page_median_ms``, ``page_p99_ms``: of those loads, from the moment at which each was due. ``page_ratio``: their
  median ÷ that of as many GETs a second of the bare application, in the same run.
* ``people_mib``: growth of the node's memory (PSS) with the streams and the loads.
* ``verdict_ratio``: median time from submit to verdict, by the database's clock, with the people ÷ without them.
* ``refused``: answers of pages and submits that are no 200.
* ``pages``: the median time of a page with one client, that of the API's matching read, and their ratio;
  ``worst_page_ratio`` is the largest of ordinary pages. A page with an editor shows more than any read and is none.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.operate.bench.api import Generator, Target, a_bare_application, a_generator, a_target, pss_mib
from deepoj.operate.bench.api_load import Loaded, LoadRequest
from deepoj.operate.bench.fill import psql
from deepoj.operate.bench.node import SOURCE
from deepoj.operate.bench.sandbox_figures import Bound
from deepoj.operate.bench.unlimited import unlimited
from deepoj.words.errors import StartRefused

REQUIRED = {
    "page_median_ms": Bound("≤", 150.0),
    "page_p99_ms": Bound("≤", 1000.0),
    "people_mib": Bound("<", 120.0),
    "verdict_ratio": Bound("≤", 1.5),
    "refused": Bound("≤", 0.0),
    "worst_page_ratio": Bound("≤", 3.0),
}
#: streams that an account may have: so many people share one
_PEOPLE_OF_ACCOUNT = 20
_START_S = 120.0
#: verdicts of the last submits are awaited for so long
_DRAIN_S = 120.0
_POLL_S = 0.05
_PASSWORD = "correct horse battery"  # noqa: S105 - of a node that is thrown away
_FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
WITH_EDITOR = frozenset({"problem"})
#: name of a page → its path, and that of the API's matching read; ``{problem}``, ``{job}``
PAGES: Mapping[str, tuple[str, str]] = {
    "home": ("/", "/api/v1/problems"),
    "problems": ("/problems", "/api/v1/problems"),
    "problem": ("/problems/{problem}", "/api/v1/problems/{problem}"),
    "submissions": ("/submissions", "/api/v1/submissions"),
    "submission": ("/submissions/{job}", "/api/v1/submissions/{job}"),
    "account": ("/account", "/api/v1/users/me"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLoad:
    """How much of everything."""

    people: int = 500
    rate: float = 20.0
    seconds: float = 30.0
    page_every_s: float = 20.0
    rounds: int = 5
    #: of each part of a round with one client
    round_seconds: float = 1.0

    @property
    def pages_per_s(self) -> float:
        return self.people / self.page_every_s


USUAL = WebLoad()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFigures:
    """All that was measured."""

    load: WebLoad
    bare: Loaded
    pages: Loaded
    refused: Mapping[str, int]
    verdict_alone_ms: float
    verdict_ms: float
    people_mib: float
    #: name → (page, API) in milliseconds
    each: Mapping[str, tuple[float, float]]

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        ratios = {name: round(page / read, 2) for name, (page, read) in self.each.items()}
        flat: dict[str, object] = {
            **asdict(self.load),
            "bare_get_median_ms": round(self.bare.median_ms, 2),
            "page_loads": self.pages.answers,
            "page_median_ms": round(self.pages.median_ms, 2),
            "page_p99_ms": round(self.pages.p99_ms, 2),
            "page_ratio": round(self.pages.median_ms / self.bare.median_ms, 2),
            "generator_share": round(self.pages.cpu_s / self.pages.seconds, 3),
            "verdict_alone_ms": round(self.verdict_alone_ms, 1),
            "verdict_ms": round(self.verdict_ms, 1),
            "verdict_ratio": round(self.verdict_ms / self.verdict_alone_ms, 2),
            "people_mib": round(self.people_mib, 1),
            "refused": float(sum(self.refused.values())),
            "refusals": dict(self.refused),
            "pages": {
                name: {"page_ms": round(page, 2), "api_ms": round(read, 2), "ratio": ratios[name]}
                for name, (page, read) in self.each.items()
            },
            "worst_page_ratio": max(ratio for name, ratio in ratios.items() if name not in WITH_EDITOR),
            "settings": unlimited(),
        }
        flat["missed"] = [key for key, bound in REQUIRED.items() if bound.met(flat[key]) is False]
        return flat


def show(figures: WebFigures, console: Console) -> None:
    flat, load = figures.flat(), figures.load

    def verdict(key: str) -> str:
        return f"{REQUIRED[key]}: {'met' if REQUIRED[key].met(flat[key]) else 'MISSED'}"

    table = Table("figure", "measured", "required", title=f"web: {load.people} people, {load.rate:g} submits a second")
    table.add_row(
        f"{load.pages_per_s:g} pages a second: median", f"{flat['page_median_ms']} ms", verdict("page_median_ms")
    )
    table.add_row("… 99 %", f"{flat['page_p99_ms']} ms", verdict("page_p99_ms"))
    table.add_row("… median ÷ that of the bare application", f"{flat['page_ratio']}")
    table.add_row("… and submits refused", f"{flat['refused']}", verdict("refused"))
    table.add_row("the people's memory, PSS", f"{flat['people_mib']} MiB", verdict("people_mib"))
    table.add_row("submit to verdict without people, median", f"{flat['verdict_alone_ms']} ms")
    table.add_row("… with them", f"{flat['verdict_ms']} ms")
    table.add_row("… ratio", f"{flat['verdict_ratio']}", verdict("verdict_ratio"))
    console.print(table)
    each = Table("page", "time", "of the API's read", "ratio", title="pages, one client, medians")
    for name, (page, read) in figures.each.items():
        each.add_row(
            f"{name}, with the editor" if name in WITH_EDITOR else name,
            f"{page:.2f} ms",
            f"{read:.2f} ms",
            f"{page / read:.2f}",
        )
    each.add_row("worst of the ordinary ones", "", "", f"{flat['worst_page_ratio']}; {verdict('worst_page_ratio')}")
    console.print(each)


# ---------------------------------------------------------------------------------------------------------------------
# People


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """An account with a session in a browser, and submissions that stay unfinished."""

    headers: Mapping[str, str]
    jobs: Sequence[str]


def _name(number: int) -> str:
    return f"person{number}"


def _session_of(base: str, name: str) -> dict[str, str]:
    """Register an account by its page. Return the headers of its requests."""
    with httpx.Client(base_url=base, timeout=_START_S, trust_env=False) as client:
        token = _FORM_TOKEN.search(client.get("/register").text)
        fields = {"form_token": token[1] if token else "", "username": name, "password": _PASSWORD, "email": ""}
        reply = client.post("/register", data=fields)
        if reply.status_code != httpx.codes.SEE_OTHER:
            raise StartRefused(f"the measured node registered no account: {reply.status_code}", 1)
        return {"Cookie": f"deepoj_session={client.cookies['deepoj_session']}", "Accept": "text/html"}


def _accounts(home: EmbeddedHome, base: str, target: Target, people: int) -> Iterator[_Account]:
    """Yield as many accounts as the people need."""
    for number, first in enumerate(range(0, people, _PEOPLE_OF_ACCOUNT)):
        name, count = _name(number), min(_PEOPLE_OF_ACCOUNT, people - first)
        headers = _session_of(base, name)
        found = psql(
            home,  # names and numbers of this file only
            "INSERT INTO submissions (job_id, problem_id, user_id, code, language, time_limit, memory_limit, state,"  # noqa: S608
            " status, attempt_id, lease_owner, lease_until) SELECT gen_random_uuid(),"
            f" {target.problem_id}, (SELECT id FROM users WHERE username = '{name}'), 'int main(){{}}', 'cpp17', 1000,"
            " 131072, 'processing', 'running', 1, 'bench', now() + interval '1 day'"
            f" FROM generate_series(1, {count}) RETURNING job_id",
        )
        yield _Account(headers=headers, jobs=found.split())


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measure(scratch: Path, load: WebLoad, console: Console) -> WebFigures:
    with ExitStack() as stack:
        pages, submits = (stack.enter_context(a_generator()) for _ in range(2))
        bare_port = stack.enter_context(a_bare_application())
        target = stack.enter_context(a_target(scratch / "web"))
        home, base = EmbeddedHome.find(scratch / "web"), f"http://127.0.0.1:{target.port}"
        if home is None:
            raise StartRefused("there are no embedded servers in the node's home", 3)
        console.print("submits alone")
        alone = _submitted(submits, target, load)
        verdict_alone_ms = _verdict_ms(base, target, alone)
        console.print(f"{load.people} people come")
        accounts = list(_accounts(home, base, target, load.people))
        idle_mib = pss_mib(target.pid)
        with _open_streams(pages, target, accounts):
            console.print("pages, streams and submits")
            submits.begin(_submits(target, load))
            loaded = pages.do(_loads(target, load, accounts[0]))
            people_mib = pss_mib(target.pid) - idle_mib
            together = submits.end()
            verdict_ms = _verdict_ms(base, target, together)
        bare = pages.do(LoadRequest(do="open", port=bare_port, rate=load.pages_per_s, seconds=load.seconds))
        console.print("each page")
        each = _each(pages, base, target, accounts[0], load)
    refused = dict(loaded.refused)
    for one in (alone, together):
        for status, count in one.refused.items():
            refused[status] = refused.get(status, 0) + count
    return WebFigures(
        load=load,
        bare=bare,
        pages=loaded,
        refused=refused,
        verdict_alone_ms=verdict_alone_ms,
        verdict_ms=verdict_ms,
        people_mib=people_mib,
        each=each,
    )


def _submits(target: Target, load: WebLoad) -> LoadRequest:
    keep = round(load.rate * load.seconds)
    return target.submits(do="open", rate=load.rate, seconds=load.seconds, keep=keep)


def _submitted(generator: Generator, target: Target, load: WebLoad) -> Loaded:
    generator.do(target.submits(seconds=0.2, clients=1))  # the first fetches the test data
    return generator.do(_submits(target, load))


def _verdict_ms(base: str, target: Target, submitted: Loaded) -> float:
    """Return the median time from submit to verdict, once all have one."""
    times: list[float] = []
    with httpx.Client(base_url=base, timeout=_START_S, trust_env=False, headers=dict(target.headers)) as client:
        for body in submitted.bodies:
            job_id = json.loads(body)["job_id"]
            found = _await_verdict(client, job_id)
            begun, ended = (dt.datetime.fromisoformat(found[name]) for name in ("created_at", "updated_at"))
            times.append((ended - begun).total_seconds() * 1000)
    if not times:
        raise StartRefused("the measured node took no submit", 1)
    return statistics.median(times)


def _await_verdict(client: httpx.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _DRAIN_S
    while True:
        found: dict[str, Any] = client.get(f"/api/v1/submissions/{job_id}").raise_for_status().json()
        if found["state"] == "done":
            return found
        if time.monotonic() > deadline:
            raise StartRefused(f"a submit has no verdict after {_DRAIN_S:g} s: {found['state']}", 1)
        time.sleep(_POLL_S)


@contextmanager
def _open_streams(generator: Generator, target: Target, accounts: Sequence[_Account]) -> Iterator[None]:
    """Keep a stream open for each person, from the first event on."""
    for account in accounts:
        opened = generator.do(
            LoadRequest(
                do="streams",
                port=target.port,
                paths=[f"/submissions/{job}/events" for job in account.jobs],
                headers=dict(account.headers),
                seconds=_START_S,
                until="event: tests",
            )
        )
        if opened.refused:
            raise StartRefused(f"not every stream was opened: {opened.refused}", 1)
    yield
    generator.do(LoadRequest(do="release"))


def _loads(target: Target, load: WebLoad, account: _Account) -> LoadRequest:
    """Return the loads of pages, all by one session, whose cost is that of every other."""
    paths = [path for job in account.jobs for path in (f"/problems/{target.problem_id}", f"/submissions/{job}")]
    return LoadRequest(
        do="open",
        port=target.port,
        paths=paths,
        headers=dict(account.headers),
        rate=load.pages_per_s,
        seconds=load.seconds,
    )


def _each(
    generator: Generator, base: str, target: Target, account: _Account, load: WebLoad
) -> dict[str, tuple[float, float]]:
    """Return the medians of each page and of the API's read, for the same account, in turn, over the rounds without
    the first."""
    bearer, job_id = _one_more(base, target)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in PAGES}
    alone = LoadRequest(do="closed", port=target.port, seconds=load.round_seconds, clients=1)
    for number in range(load.rounds + 1):
        for name, paths in PAGES.items():
            for path, headers, found in zip(paths, (account.headers, bearer), times[name], strict=True):
                filled = path.format(problem=target.problem_id, job=job_id)
                loaded = generator.do(replace(alone, paths=(filled,), headers=dict(headers)))
                if loaded.refused:
                    raise StartRefused(f"{filled}: not all were answered: {loaded.refused}", 1)
                if number:
                    found.append(loaded.median_ms)
    return {name: (statistics.median(pages), statistics.median(reads)) for name, (pages, reads) in times.items()}


def _one_more(base: str, target: Target) -> tuple[dict[str, str], str]:
    """Log the first account in to the API, and let it submit a program. Return its headers and the judged job."""
    with httpx.Client(base_url=base, timeout=_START_S, trust_env=False) as client:
        account = {"username": _name(0), "password": _PASSWORD}
        token = client.post("/api/v1/auth/login", json=account).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"problem_id": target.problem_id, "language": "cpp17", "code": SOURCE}
        job_id = client.post("/api/v1/submit", json=body).raise_for_status().json()["job_id"]
        _await_verdict(client, job_id)
        return {"Authorization": f"Bearer {token}"}, job_id
