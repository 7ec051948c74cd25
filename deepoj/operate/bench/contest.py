"""``deepoj bench contest``: what the board of a large contest costs, and how fast a verdict reaches those who watch it.

A node that serves the API and pages, its servers, and the spectators (``api_load``, a process of its own) share two
cores. The contest has ``submissions`` that are judged, of ``teams`` to ``problems``.

* ``fold_s``: folding all of its events in memory, boards included; ``read_s``: reading them from the database and
  folding them, as a node does at the first look at a contest. Both of this process. ``…_cpu_s``: its CPU time then,
  which says more where other processes use the cores (``others``: their share of all cores, over the whole benchmark).
* ``page_ms``: the page of the board, median of five loads, once the node has the contest.
* ``idle_share``, ``live_share``: of one core, what the node uses while ``spectators`` have the live board open, without
  verdicts and at ``rate`` a second. A third of the verdicts are *Accepted*, so rows move.
* ``live_median_ms``, ``live_p99_ms``: from the moment before a verdict is written to its arrival at each spectator;
  ``live_missing``: verdicts that did not arrive at one.
* ``spectators_mib``: growth of the node's memory (PSS) with the open boards, at the end.
* ``sent_kib``: the median size of what a verdict sends to a spectator.
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path

import httpx
import trio
from rich.console import Console
from rich.table import Table

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.contests.ledger import ContestLedger
from deepoj.operate.bench.api import Generator, Target, a_generator, a_target, pss_mib
from deepoj.operate.bench.api_load import STAMP, Loaded, LoadRequest
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.cores import CoresClock, cpu_s
from deepoj.operate.bench.filled_contest import (
    EVENTS_AT_ONCE,
    KEY,
    ContestSize,
    director_of,
    fill_contest,
    judgement_of,
    open_store,
)
from deepoj.operate.bench.node import ours
from deepoj.operate.bench.unlimited import unlimited
from deepoj.words.contests import Contest, ContestEvent, ContestObject, EventType
from deepoj.words.errors import StartRefused

_START_S = 120.0
_LOADS = 5
#: how long the spectators listen after the last verdict
_LISTEN_LONGER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestLoad:
    """How much of everything. ``rate``: verdicts a second, for ``seconds``."""

    teams: int = 500
    problems: int = 20
    submissions: int = 100_000
    spectators: int = 1_000
    rate: float = 1.0
    seconds: float = 30.0

    @property
    def verdicts(self) -> int:
        return round(self.rate * self.seconds)

    @property
    def size(self) -> ContestSize:
        return ContestSize(
            teams=self.teams, problems=self.problems, submissions=self.submissions, waiting=self.verdicts
        )


USUAL = ContestLoad()


@dataclass(slots=True)
class _Timer:
    """Adds up the time of its ``with`` statements."""

    #: seconds, and CPU time of this process
    spent: tuple[float, float] = (0.0, 0.0)
    _began: tuple[float, float] = (0.0, 0.0)

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_exception: object) -> None:
        seconds, cpu = self.spent
        self.spent = seconds + time.perf_counter() - self._began[0], cpu + time.process_time() - self._began[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestFigures:
    """All that was measured."""

    load: ContestLoad
    #: seconds, and CPU time
    fold_s: tuple[float, float]
    read_s: tuple[float, float]
    others: float
    page_ms: float
    page_kib: float
    idle_share: float
    live_share: float
    live: Loaded
    spectators_mib: float
    sent_kib: float

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        flat: dict[str, object] = {
            **asdict(self.load),
            "fold_s": round(self.fold_s[0], 4),
            "fold_cpu_s": round(self.fold_s[1], 4),
            "read_s": round(self.read_s[0], 4),
            "read_cpu_s": round(self.read_s[1], 4),
            "others": round(self.others, 3),
            "page_ms": round(self.page_ms, 1),
            "page_kib": round(self.page_kib),
            "idle_share": round(self.idle_share, 3),
            "live_share": round(self.live_share, 3),
            "live_median_ms": round(self.live.median_ms, 1),
            "live_p99_ms": round(self.live.p99_ms, 1),
            "live_missing": float(self.load.verdicts * self.load.spectators - self.live.answers),
            "generator_share": round(self.live.cpu_s / self.live.seconds, 3),
            "spectators_mib": round(self.spectators_mib, 1),
            "sent_kib": round(self.sent_kib, 2),
            "settings": unlimited(),
        }
        flat["missed"] = missed_of("contest", flat)
        return flat


def show(figures: ContestFigures, console: Console) -> None:
    flat, load = figures.flat(), figures.load
    table = Table(
        "figure", "measured", "required",
        title=f"contest: {load.submissions:,} submissions, {load.teams} teams, {load.problems} problems",
    )  # fmt: skip

    def row(title: str, value: str, key: str = "") -> None:
        table.add_row(title, value, verdict_of("contest", key, flat))

    row("fold of all events in memory", f"{flat['fold_s']} s, CPU {flat['fold_cpu_s']} s", "fold_s")
    row("… read from the database", f"{flat['read_s']} s, CPU {flat['read_cpu_s']} s", "read_s")
    row("page of the board", f"{flat['page_ms']} ms, {flat['page_kib']} KiB")
    row(f"verdict to {load.spectators} live boards: median", f"{flat['live_median_ms']} ms", "live_median_ms")
    row("… 99 %", f"{flat['live_p99_ms']} ms")
    row("… not arrived", f"{flat['live_missing']}", "live_missing")
    row("… sent to each", f"{flat['sent_kib']} KiB")
    row(f"of one core, the node, {load.rate:g} verdicts a second", f"{flat['live_share']:.0%}", "live_share")
    row("… without verdicts", f"{flat['idle_share']:.0%}")
    row("… the generator", f"{flat['generator_share']:.0%}")
    row("memory of the live boards, PSS", f"{flat['spectators_mib']} MiB", "spectators_mib")
    row("of all cores, other processes", f"{flat['others']:.0%}")
    console.print(table)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measure(scratch: Path, load: ContestLoad, console: Console) -> ContestFigures:
    with ExitStack() as stack:
        generator = stack.enter_context(a_generator())
        target = stack.enter_context(a_target(scratch / "contest", "--roles", "api"))
        home, base = EmbeddedHome.find(scratch / "contest"), f"http://127.0.0.1:{target.port}"
        if home is None:
            raise StartRefused("there are no embedded servers in the node's home", 3)
        console.print("filling the contest")
        clock = CoresClock()
        contest = trio.run(fill_contest, home, load.size)
        console.print("folding its events")
        reading, events = trio.run(_read, home, contest)
        ledger, timer = ContestLedger(), _Timer()
        with timer:
            ledger.take(events)
            rows = ledger.jury_board.rows()
        if len(rows) != load.teams:
            raise StartRefused("the board has not every team", 1)
        page_ms, page_kib = _page(base)
        watching = _Watching(generator, target, home, contest, load, ledger, director_of(home))
        console.print(f"{load.spectators} spectators, for {load.seconds:g} s without and with verdicts")
        idle_share, live_share, live, spectators_mib, sent_kib = watching.watch()
    return ContestFigures(
        load=load, fold_s=timer.spent, read_s=reading.spent, others=clock.use().others,
        page_ms=page_ms, page_kib=page_kib, idle_share=idle_share,
        live_share=live_share, live=live, spectators_mib=spectators_mib, sent_kib=sent_kib,
    )  # fmt: skip


async def _read(home: EmbeddedHome, contest: Contest) -> tuple[_Timer, list[ContestEvent]]:
    """Return the time of reading and folding all events page by page, and the events."""
    found: list[ContestEvent] = []
    ledger, timer = ContestLedger(), _Timer()
    async with open_store(home) as store:
        is_read = False
        while not is_read:
            with timer:
                events = await store.contests.events(contest.id, ledger.last, EVENTS_AT_ONCE)
                ledger.take(events)
            found += events
            is_read = not events
        with timer:
            ledger.jury_board.rows()
    return timer, found


def _page(base: str) -> tuple[float, float]:
    """Return the median time of the board's page in milliseconds, and its size in KiB."""
    times = []
    with httpx.Client(base_url=base, timeout=_START_S, trust_env=False) as client:
        for number in range(_LOADS + 1):
            began = time.perf_counter()
            page = client.get(f"/contests/{KEY}/scoreboard").raise_for_status()
            if number:  # the first makes the node read the contest
                times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), len(page.content) / 1024


def _events_path(base: str) -> str:
    """Return the address of the stream that the board's page opens."""
    page = httpx.get(f"{base}/contests/{KEY}/scoreboard", timeout=_START_S, trust_env=False).raise_for_status()
    match = re.search(r'data-sse-connect="([^"]+)"', page.text)
    if match is None:
        raise AssertionError("the page of a running contest's board opens a stream")
    return unescape(match[1])


@dataclass(slots=True)
class _Watching:
    """Spectators, and the verdicts before their eyes."""

    generator: Generator
    target: Target
    home: EmbeddedHome
    contest: Contest
    load: ContestLoad
    ledger: ContestLedger
    #: the account that writes them
    by: int

    def watch(self) -> tuple[float, float, Loaded, float, float]:
        """Return the node's share of a core without and with verdicts, what arrived, and the memory and size of it."""
        load, before_mib = self.load, pss_mib(self.target.pid)
        path = _events_path(f"http://127.0.0.1:{self.target.port}")
        opened = self.generator.do(
            LoadRequest(
                do="streams", port=self.target.port, paths=[path] * load.spectators, seconds=_START_S, until="retry:"
            )
        )
        if opened.refused:
            raise StartRefused(f"not every live board was opened: {opened.refused}", 1)
        idle_share = self._share(lambda: self.generator.do(LoadRequest(do="listen", seconds=load.seconds)))[0]
        live_share, live = self._share(self._live)
        spectators_mib = pss_mib(self.target.pid) - before_mib
        self.generator.do(LoadRequest(do="release"))
        return idle_share, live_share, live, spectators_mib, live.received_bytes / 1024 / max(live.answers, 1)

    def _share(self, work: Callable[[], Loaded]) -> tuple[float, Loaded]:
        pids = list(ours(self.target.pid))
        burnt, began = sum(map(cpu_s, pids)), time.perf_counter()
        loaded = work()
        return (sum(map(cpu_s, pids)) - burnt) / (time.perf_counter() - began), loaded

    def _live(self) -> Loaded:
        with ThreadPoolExecutor(1) as pool:
            telling = pool.submit(trio.run, self._tell)
            self.generator.begin(LoadRequest(do="listen", seconds=self.load.seconds + _LISTEN_LONGER_S))
            telling.result()
            return self.generator.end()

    async def _tell(self) -> None:
        """Write the verdicts at their moments. With each its team's organization gets a name that says when."""
        chance = random.Random(1)  # noqa: S311 - no secret
        submissions, load = self.ledger.of(EventType.SUBMISSIONS), self.load
        async with open_store(self.home) as store:
            began = trio.current_time()
            for number in range(load.submissions, load.submissions + load.verdicts):
                await trio.sleep_until(began + (number - load.submissions) / load.rate)
                sent = submissions[str(number)]
                judgement = judgement_of(number, is_accepted=chance.random() < 1 / 3, at=sent["at"])
                organization_id = "o" + sent["team_id"].removeprefix("t")
                organization = {"name": STAMP.format(time.time_ns() // 1000), "formal_name": "", "country": ""}
                told = [
                    ContestObject(EventType.ORGANIZATIONS, organization_id, organization),
                    ContestObject(EventType.JUDGEMENTS, f"{number}-1", judgement),
                ]
                await store.contests.put_objects(self.contest.id, told, by=self.by)
