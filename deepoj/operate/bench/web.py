"""``deepoj bench web``: what the web pages bear, and what they cost, compared with a bare application and with the API.

Everything shares two cores: the generators (``api_load``, processes of their own), a node with every role, its servers
and, in turn, bare hypercorn-trio (``api_bare``).

*People*: each has the live stream of a submission open, which is being judged as long as the benchmark runs (a row with
a long lease: the benchmark tells its tests, one in five seconds, as a judge node does), and loads a page each
``page_every_s``, in turn a problem with the editor and that submission. ``rate`` programs a second are submitted
meanwhile and judged by the node.

First the node warms up: it judges submits for ``warm_seconds``, and each page is visited. Then submits alone and
submits with the people take turns.

* ``page_median_ms``, ``page_p99_ms``: of those loads, from the moment at which each was due: the median of the turns,
  and the worst of them. ``page_ratio``: their median ÷ that of as many GETs a second of the bare application.
* ``people_mib``: growth of the node's memory (PSS) with the streams and the loads, the most of a turn.
* ``verdict_ratio``: median time from submit to verdict, by the database's clock, with the people ÷ without them. It
  says something of the people only where the cores have room: ``rate`` programs a second, each compiled by itself, take
  two thirds of two cores, and near their limit any small load multiplies the wait. So turns in which other processes
  used more than ``MOST_OTHERS`` of the cores are left out (``calm_turns`` are left), and the ratio is None if there is
  no other, or if submits alone keep the cores busy for more than ``_MOST_BUSY`` of the time.
* ``cores_busy_alone``, ``cores_busy``: the shares of the cores' time that were used without and with the people,
  ``others_*`` those of processes that are no part of this benchmark; medians of the turns. The generators' share of one
  core is ``generator_share``.
* ``live_median_ms``, ``live_p99_ms``: from the telling of a test to its arrival in the stream of its submission; the
  same of the turns. ``live_missing``: tests that were told and did not arrive.
* ``refused``: answers of pages and submits that are no 200.
* ``pages``: the median time of a page with one client, that of the API's matching reads (the sum, where a client needs
  several for what the page shows), and their ratio; ``worst_page_ratio`` is the largest of ordinary pages. A page with
  an editor shows more than any read and is none.
* ``large_pages``: see ``web_large``; of contests of ``teams``, ``problems`` and ``submissions``.
"""

from __future__ import annotations

import datetime as dt
import json
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.operate.bench.api import Generator, Target, a_bare_application, a_generator, a_target, pss_mib
from deepoj.operate.bench.api_load import Loaded, LoadRequest
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.cores import MOST_OTHERS, CoresClock, CoresUse
from deepoj.operate.bench.filled_contest import ContestSize
from deepoj.operate.bench.node import SOURCE
from deepoj.operate.bench.unlimited import unlimited
from deepoj.operate.bench.web_large import LargePage, look_at_large_pages, show_large_pages
from deepoj.operate.bench.web_people import (
    PASSWORD,
    START_S,
    BenchAccount,
    EndingTests,
    accounts_of,
    name_of,
    open_streams,
)
from deepoj.words.errors import StartRefused

#: verdicts of the last submits are awaited for so long
_DRAIN_S = 120.0
_POLL_S = 0.05
#: share of the cores above which submits alone wait for each other
_MOST_BUSY = 0.9
#: how long the people listen after the last page, for what is still on its way
_LISTEN_LONGER_S = 5.0
WITH_EDITOR = frozenset({"problem"})
#: name of a page → its path, and those of the API's matching reads; ``{problem}``, ``{job}``
PAGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "home": ("/", ["/api/v1/problems"]),
    "problems": ("/problems", ["/api/v1/problems"]),
    "problem": ("/problems/{problem}", ["/api/v1/problems/{problem}"]),
    "submissions": ("/submissions", ["/api/v1/submissions"]),
    "submission": ("/submissions/{job}", ["/api/v1/submissions/{job}"]),
    # sessions and webhooks are on the page, too
    "account": ("/account", ["/api/v1/users/me", "/api/v1/users/me/tokens"]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebLoad:
    """How much of everything."""

    people: int = 500
    rate: float = 20.0
    seconds: float = 30.0
    page_every_s: float = 20.0
    #: so often submits alone and with people are measured, ``seconds`` in all of each
    turns: int = 3
    warm_seconds: float = 10.0
    rounds: int = 5
    #: of each part of a round with one client
    round_seconds: float = 1.0
    #: of each contest whose pages are looked at
    teams: int = 500
    problems: int = 12
    submissions: int = 20_000

    @property
    def pages_per_s(self) -> float:
        return self.people / self.page_every_s

    @property
    def turn_seconds(self) -> float:
        return self.seconds / self.turns

    @property
    def size(self) -> ContestSize:
        return ContestSize(teams=self.teams, problems=self.problems, submissions=self.submissions)


USUAL = WebLoad()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTurn:
    """Submits alone, then with the people. ``*_ms``: from submit to verdict, of each."""

    alone: Loaded
    alone_ms: Sequence[float]
    submits: Loaded
    submits_ms: Sequence[float]
    bare: Loaded
    pages: Loaded
    live: Loaded
    #: tests whose end the people were told
    told: int
    people_mib: float
    #: of the cores, with the submits alone, and with the people
    use_alone: CoresUse
    use: CoresUse

    @property
    def is_calm(self) -> bool:
        """Return whether other processes left the cores to the benchmark."""
        return max(self.use_alone.others, self.use.others) <= MOST_OTHERS

    @property
    def refused(self) -> Counter[str]:
        return sum((Counter(one.refused) for one in (self.alone, self.submits, self.pages, self.live)), Counter())


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFigures:
    """All that was measured."""

    load: WebLoad
    turns: Sequence[WebTurn]
    #: name → (page, API) in milliseconds
    each: Mapping[str, tuple[float, float]]
    large: Mapping[str, LargePage]

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        ratios = {name: round(page / read, 2) for name, (page, read) in self.each.items()}
        bare_ms, page_ms, live_ms, share, busy_alone, busy, others_alone, others = (
            statistics.median(map(of, self.turns))
            for of in (
                lambda turn: turn.bare.median_ms,
                lambda turn: turn.pages.median_ms,
                lambda turn: turn.live.median_ms,
                lambda turn: sum(one.cpu_s / one.seconds for one in (turn.pages, turn.submits, turn.live)),
                lambda turn: turn.use_alone.busy,
                lambda turn: turn.use.busy,
                lambda turn: turn.use_alone.others,
                lambda turn: turn.use.others,
            )
        )
        calm = [turn for turn in self.turns if turn.is_calm]
        compared = calm or self.turns
        alone_ms = statistics.median(chain.from_iterable(turn.alone_ms for turn in compared))
        submits_ms = statistics.median(chain.from_iterable(turn.submits_ms for turn in compared))
        has_room = bool(calm) and statistics.median(turn.use_alone.busy for turn in calm) <= _MOST_BUSY
        refused = sum((turn.refused for turn in self.turns), Counter())
        flat: dict[str, object] = {
            **asdict(self.load),
            "bare_get_median_ms": round(bare_ms, 2),
            "page_loads": sum(turn.pages.answers for turn in self.turns),
            "page_median_ms": round(page_ms, 2),
            "page_p99_ms": round(max(turn.pages.p99_ms for turn in self.turns), 2),
            "page_ratio": round(page_ms / bare_ms, 2),
            "generator_share": round(share, 3),
            "verdict_alone_ms": round(alone_ms, 1),
            "verdict_ms": round(submits_ms, 1),
            "verdict_ratio": round(submits_ms / alone_ms, 2) if has_room else None,
            "calm_turns": len(calm),
            "cores_busy_alone": round(busy_alone, 3),
            "cores_busy": round(busy, 3),
            "others_alone": round(others_alone, 3),
            "others": round(others, 3),
            "verdicts_of_turns_ms": [
                [round(statistics.median(each), 1) for each in (turn.alone_ms, turn.submits_ms)] for turn in self.turns
            ],
            "people_mib": round(max(turn.people_mib for turn in self.turns), 1),
            "live_tests": sum(turn.live.answers for turn in self.turns),
            "live_median_ms": round(live_ms, 2),
            "live_p99_ms": round(max(turn.live.p99_ms for turn in self.turns), 2),
            "live_missing": float(sum(turn.told - turn.live.answers for turn in self.turns)),
            "refused": float(refused.total()),
            "refusals": dict(refused),
            "pages": {
                name: {"page_ms": round(page, 2), "api_ms": round(read, 2), "ratio": ratios[name]}
                for name, (page, read) in self.each.items()
            },
            "worst_page_ratio": max(ratio for name, ratio in ratios.items() if name not in WITH_EDITOR),
            "large_pages": {name: page.flat() for name, page in self.large.items()},
            "settings": unlimited(),
        }
        flat["missed"] = missed_of("web", flat)
        return flat


def show(figures: WebFigures, console: Console) -> None:
    flat, load = figures.flat(), figures.load

    table = Table("figure", "measured", "required", title=f"web: {load.people} people, {load.rate:g} submits a second")
    table.add_row(
        f"{load.pages_per_s:g} pages a second: median",
        f"{flat['page_median_ms']} ms",
        verdict_of("web", "page_median_ms", flat),
    )
    table.add_row("… 99 %", f"{flat['page_p99_ms']} ms", verdict_of("web", "page_p99_ms", flat))
    table.add_row("… median ÷ that of the bare application", f"{flat['page_ratio']}")
    table.add_row("… and submits refused", f"{flat['refused']}", verdict_of("web", "refused", flat))
    table.add_row("the people's memory, PSS", f"{flat['people_mib']} MiB", verdict_of("web", "people_mib", flat))
    table.add_row("submit to verdict without people, median", f"{flat['verdict_alone_ms']} ms")
    table.add_row("… with them", f"{flat['verdict_ms']} ms")
    no_ratio = "the cores are full without people" if flat["calm_turns"] else "other processes used the cores"
    ratio = no_ratio if flat["verdict_ratio"] is None else f"{flat['verdict_ratio']}"
    table.add_row(
        f"… ratio, in {flat['calm_turns']} turns of {load.turns}", ratio, verdict_of("web", "verdict_ratio", flat)
    )
    for title, busy, others in (
        ("the cores are busy without people", "cores_busy_alone", "others_alone"),
        ("… with them", "cores_busy", "others"),
    ):
        table.add_row(title, f"{flat[busy]:.0%}, other processes {flat[others]:.0%}")
    table.add_row("… of one core, the generators", f"{flat['generator_share']:.0%}")
    table.add_row(f"{flat['live_tests']} live tests to the page: median", f"{flat['live_median_ms']} ms")
    table.add_row("… 99 %", f"{flat['live_p99_ms']} ms", verdict_of("web", "live_p99_ms", flat))
    table.add_row("… not arrived", f"{flat['live_missing']}", verdict_of("web", "live_missing", flat))
    console.print(table)
    each = Table("page", "time", "of the API's reads", "ratio", title="pages, one client, medians")
    for name, (page, read) in figures.each.items():
        each.add_row(
            f"{name}, with the editor" if name in WITH_EDITOR else name,
            f"{page:.2f} ms",
            f"{read:.2f} ms",
            f"{page / read:.2f}",
        )
    each.add_row(
        "worst of the ordinary ones",
        "",
        "",
        f"{flat['worst_page_ratio']}; {verdict_of('web', 'worst_page_ratio', flat)}",
    )
    console.print(each)
    show_large_pages(figures.large, load.size, console)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measure(scratch: Path, load: WebLoad, console: Console) -> WebFigures:
    with ExitStack() as stack:
        pages, submits, streams = (stack.enter_context(a_generator()) for _ in range(3))
        bare_port = stack.enter_context(a_bare_application())
        target = stack.enter_context(a_target(scratch / "web"))
        home, base = EmbeddedHome.find(scratch / "web"), f"http://127.0.0.1:{target.port}"
        if home is None:
            raise StartRefused("there are no embedded servers in the node's home", 3)
        console.print("warming up")
        accounts = list(accounts_of(home, base, target, load.people))
        measuring = _Measuring(
            pages, submits, streams, bare_port, base, target, accounts, load,
            EndingTests(home, [job for account in accounts for job in account.jobs]),
        )  # fmt: skip
        measuring.warm_up()
        turns = []
        for number in range(1, load.turns + 1):
            console.print(f"turn {number} of {load.turns}: submits alone, then with {load.people} people")
            turns.append(measuring.turn())
        console.print("each page")
        each = _each(pages, base, target, accounts[0], load)
        console.print("large pages")
        large = look_at_large_pages(home, base, target, load.size, load.rounds)
    return WebFigures(load=load, turns=turns, each=each, large=large)


@dataclass(slots=True)
class _Measuring:
    """Measures turns."""

    pages: Generator
    submits: Generator
    streams: Generator
    bare_port: int
    base: str
    target: Target
    accounts: Sequence[BenchAccount]
    load: WebLoad
    ending_tests: EndingTests
    #: PSS before the first people
    idle_mib: float = 0.0

    def warm_up(self) -> None:
        """Judge submits and visit each page, so that no first time is measured."""
        target, warm = self.target, replace(self.load, seconds=self.load.warm_seconds, turns=1)
        self.submits.do(target.submits(seconds=0.2, clients=1))  # the first fetches the test data
        _verdicts_ms(self.base, target, self.submits.do(_submits(target, warm)))
        visits = replace(_loads(target, warm, self.accounts[0]), rate=0.0, do="closed", seconds=warm.round_seconds)
        self.pages.do(visits)
        self.idle_mib = pss_mib(target.pid)

    def turn(self) -> WebTurn:
        load, target, ending_tests = self.load, self.target, self.ending_tests
        clock = CoresClock()
        alone = self.submits.do(_submits(target, load))
        use_alone = clock.use()
        alone_ms = _verdicts_ms(self.base, target, alone)
        bare = self.pages.do(
            LoadRequest(do="open", port=self.bare_port, rate=load.pages_per_s, seconds=load.turn_seconds)
        )
        with open_streams(self.streams, target, self.accounts):
            told_before = ending_tests.told
            self.streams.begin(LoadRequest(do="listen", seconds=load.turn_seconds + _LISTEN_LONGER_S))
            self.submits.begin(_submits(target, load))
            loads = _loads(target, load, self.accounts[0])
            clock = CoresClock()
            loaded = ending_tests.during(lambda: self.pages.do(loads))
            use = clock.use()
            together, live = self.submits.end(), self.streams.end()
            submits_ms = _verdicts_ms(self.base, target, together)
            people_mib = pss_mib(target.pid) - self.idle_mib  # no program runs now, which could end meanwhile
        return WebTurn(
            alone=alone,
            alone_ms=alone_ms,
            submits=together,
            submits_ms=submits_ms,
            bare=bare,
            pages=loaded,
            live=live,
            told=ending_tests.told - told_before,
            people_mib=people_mib,
            use_alone=use_alone,
            use=use,
        )


def _submits(target: Target, load: WebLoad) -> LoadRequest:
    keep = round(load.rate * load.turn_seconds)
    return target.submits(do="open", rate=load.rate, seconds=load.turn_seconds, keep=keep)


def _verdicts_ms(base: str, target: Target, submitted: Loaded) -> list[float]:
    """Return the times from submit to verdict, once all have one."""
    times: list[float] = []
    with httpx.Client(base_url=base, timeout=START_S, trust_env=False, headers=dict(target.headers)) as client:
        for body in submitted.bodies:
            job_id = json.loads(body)["job_id"]
            found = _await_verdict(client, job_id)
            begun, ended = (dt.datetime.fromisoformat(found[name]) for name in ("created_at", "updated_at"))
            times.append((ended - begun).total_seconds() * 1000)
    if not times:
        raise StartRefused("the measured node took no submit", 1)
    return times


def _await_verdict(client: httpx.Client, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + _DRAIN_S
    while True:
        found: dict[str, Any] = client.get(f"/api/v1/submissions/{job_id}").raise_for_status().json()
        if found["state"] == "done":
            return found
        if time.monotonic() > deadline:
            raise StartRefused(f"a submit has no verdict after {_DRAIN_S:g} s: {found['state']}", 1)
        time.sleep(_POLL_S)


def _loads(target: Target, load: WebLoad, account: BenchAccount) -> LoadRequest:
    """Return the loads of pages, all by one session, whose cost is that of every other."""
    paths = [path for job in account.jobs for path in (f"/problems/{target.problem_id}", f"/submissions/{job}")]
    return LoadRequest(
        do="open",
        port=target.port,
        paths=paths,
        headers=dict(account.headers),
        rate=load.pages_per_s,
        seconds=load.turn_seconds,
    )


def _each(
    generator: Generator, base: str, target: Target, account: BenchAccount, load: WebLoad
) -> dict[str, tuple[float, float]]:
    """Return the medians of each page and of the API's reads, for the same account, in turn, over the rounds without
    the first."""
    bearer, job_id = _one_more(base, target)
    alone = LoadRequest(do="closed", port=target.port, seconds=load.round_seconds, clients=1)

    def median_ms(path: str, headers: Mapping[str, str]) -> float:
        filled = path.format(problem=target.problem_id, job=job_id)
        loaded = generator.do(replace(alone, paths=(filled,), headers=dict(headers)))
        if loaded.refused:
            raise StartRefused(f"{filled}: not all were answered: {loaded.refused}", 1)
        return loaded.median_ms

    rounds = [
        {
            name: (median_ms(page, account.headers), sum(median_ms(read, bearer) for read in reads))
            for name, (page, reads) in PAGES.items()
        }
        for _ in range(load.rounds + 1)
    ][1:]
    return {
        name: (statistics.median(each[name][0] for each in rounds), statistics.median(each[name][1] for each in rounds))
        for name in PAGES
    }


def _one_more(base: str, target: Target) -> tuple[dict[str, str], str]:
    """Log the first account in to the API, and let it submit a program. Return its headers and the judged job."""
    with httpx.Client(base_url=base, timeout=START_S, trust_env=False) as client:
        account = {"username": name_of(0), "password": PASSWORD}
        token = client.post("/api/v1/auth/login", json=account).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        body = {"problem_id": target.problem_id, "language": "cpp17", "code": SOURCE}
        job_id = client.post("/api/v1/submit", json=body).raise_for_status().json()["job_id"]
        _await_verdict(client, job_id)
        return {"Authorization": f"Bearer {token}"}, job_id
