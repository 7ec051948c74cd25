"""``deepoj bench slow``: what clients that hardly read and hardly write cost those who use the node.

``clients`` slow readers and as many slow writers come at once from as many addresses (``slow_load``, a process of its
own), more than the node's connections. They ask for a public attachment of 4 MiB, the API's description, a board of 500
teams and 12 problems and its live stream; they drip heads, logins, submissions and uploads. Each connects again when
the node has closed its connection. The node has its default limits, except those of the users whose load is measured:
the node's settings are printed.

A person submits a program, waits for its verdict, and submits the next, each request on a new connection. Turns alone
and turns with the slow clients alternate.

* ``verdict_ratio``: median time from the beginning of a submit to its verdict, with the slow clients ÷ alone. Turns in
  which other processes used more than ``MOST_OTHERS`` of the cores are left out (``calm_turns`` are left); without any,
  the ratio is of all turns, and says less.
* ``person_refused``: requests of the person that were not answered as they should.
* ``health_max_ms``, ``health_p99_ms``: of ``/api/v1/health``, asked on a new connection each ``_HEALTH_EVERY_S``, with
  the slow clients; ``health_alone_max_ms``: alone. A look that is not answered takes ``_PATIENCE_S``.
* ``memory_mib``: growth of the memory of the node's own process (PSS), the most that was seen; ``kernel_mib``: the same
  of what the kernel holds for all TCP connections of the host.
* ``opened``, ``ended``, ``statuses``: connections of the slow clients that were opened and that the node closed, and
  the statuses of their answers.
"""

from __future__ import annotations

import http.client
import io
import os
import resource
import statistics
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx
import trio
from rich.console import Console
from rich.table import Table

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.operate.bench.api import Generator, a_generator
from deepoj.operate.bench.api_load import Loaded, LoadRequest
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.cores import MOST_OTHERS, CoresClock, CoresUse
from deepoj.operate.bench.filled_contest import KEY, ContestSize, fill_contest
from deepoj.operate.bench.node import a_node, await_ready, pss_kb_of
from deepoj.operate.bench.node_latency import Submitter, a_submitter
from deepoj.words.errors import StartRefused

SETTINGS = """\
# Settings of the node of `deepoj bench slow`: the limits of addresses and connections are the defaults.
api:
  port: 0
  limits:
    rate_limit: {user_limit: 0}
    submit_rate_limit: {ip_limit: 0, user_limit: 0}
scheduler: {metrics_port: 0}
worker: {metrics_port: 0}
compile: {archives_at_start: false}
"""
_HEALTH_EVERY_S, _MEMORY_EVERY_S = 0.1, 0.5
_PATIENCE_S = 30.0
_ATTACHMENT_BYTES = 4 * 1024 * 1024 - 100
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowLoad:
    """How much of everything. ``clients``: slow readers, and as many slow writers; ``seconds``: of all turns."""

    clients: int = 500
    seconds: float = 40.0
    turns: int = 2
    teams: int = 500
    problems: int = 12
    submissions: int = 20_000

    @property
    def turn_seconds(self) -> float:
        return self.seconds / self.turns


USUAL = SlowLoad()


@dataclass(slots=True)
class SlowPeriod:
    """What a person and monitoring met for some seconds. ``*_mib``: the most that was seen."""

    verdicts_ms: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    health_ms: list[float] = field(default_factory=list)
    memory_mib: float = 0.0
    kernel_mib: float = 0.0
    use: CoresUse = CoresUse(busy=0.0, others=0.0)  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTurn:
    """A period alone, and one with the slow clients."""

    alone: SlowPeriod
    crowded: SlowPeriod
    clients: Loaded

    @property
    def is_calm(self) -> bool:
        """Return whether other processes left the cores to the benchmark."""
        return max(self.alone.use.others, self.crowded.use.others) <= MOST_OTHERS


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowFigures:
    """All that was measured. ``idle_*``: memory before the first turn."""

    load: SlowLoad
    turns: Sequence[SlowTurn]
    idle_memory_mib: float
    idle_kernel_mib: float

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        calm = [turn for turn in self.turns if turn.is_calm]
        compared = calm or self.turns
        alone_ms, crowded_ms = (
            statistics.median(ms for turn in compared for ms in of(turn).verdicts_ms) for of in (_alone, _crowded)
        )
        health_ms = sorted(ms for turn in self.turns for ms in turn.crowded.health_ms)
        refused = sum((turn.crowded.refused + turn.alone.refused for turn in self.turns), Counter[str]())
        seen = sum((Counter(turn.clients.refused) for turn in self.turns), Counter[str]())
        flat: dict[str, object] = {
            **asdict(self.load),
            "verdicts_alone": sum(len(turn.alone.verdicts_ms) for turn in self.turns),
            "verdicts": sum(len(turn.crowded.verdicts_ms) for turn in self.turns),
            "verdict_alone_ms": round(alone_ms, 1),
            "verdict_ms": round(crowded_ms, 1),
            "verdict_ratio": round(crowded_ms / alone_ms, 2),
            "calm_turns": len(calm),
            "person_refused": float(refused.total()),
            "person_refusals": dict(refused),
            "health_alone_max_ms": round(max(ms for turn in self.turns for ms in turn.alone.health_ms), 1),
            "health_p99_ms": round(health_ms[-(-len(health_ms) * 99 // 100) - 1], 1),
            "health_max_ms": round(health_ms[-1], 1),
            "memory_before_mib": round(self.idle_memory_mib, 1),
            "memory_mib": round(max(turn.crowded.memory_mib for turn in self.turns) - self.idle_memory_mib, 1),
            "kernel_mib": round(max(turn.crowded.kernel_mib for turn in self.turns) - self.idle_kernel_mib, 1),
            "cores_busy_alone": round(statistics.median(turn.alone.use.busy for turn in self.turns), 3),
            "cores_busy": round(statistics.median(turn.crowded.use.busy for turn in self.turns), 3),
            "others_alone": round(statistics.median(turn.alone.use.others for turn in self.turns), 3),
            "others": round(statistics.median(turn.crowded.use.others for turn in self.turns), 3),
            "opened": sum(turn.clients.answers for turn in self.turns),
            "ended": seen["ended"],
            "statuses": {status: count for status, count in seen.items() if status != "ended"},
            "generator_share": round(
                statistics.median(turn.clients.cpu_s / turn.clients.seconds for turn in self.turns), 3
            ),
            "settings": SETTINGS,
        }
        flat["missed"] = missed_of("slow", flat)
        return flat


def _alone(turn: SlowTurn) -> SlowPeriod:
    return turn.alone


def _crowded(turn: SlowTurn) -> SlowPeriod:
    return turn.crowded


def show(figures: SlowFigures, console: Console) -> None:
    flat, load = figures.flat(), figures.load
    table = Table(
        "figure", "alone", "with them", "ratio", "required",
        title=f"slow: {load.clients} slow readers and {load.clients} slow writers",
    )  # fmt: skip

    def row(title: str, alone: str, crowded: str, key: str = "", ratio: str = "") -> None:
        table.add_row(title, alone, crowded, ratio, verdict_of("slow", key, flat))

    row(
        f"submit to verdict, medians of {flat['verdicts_alone']} and {flat['verdicts']}",
        f"{flat['verdict_alone_ms']} ms",
        f"{flat['verdict_ms']} ms",
        "verdict_ratio",
        f"{flat['verdict_ratio']}",
    )
    row("… turns without other work on the cores", "", f"{flat['calm_turns']} of {load.turns}")
    row("… refused", "", f"{flat['person_refused']:.0f}", "person_refused")
    row("/health, longest", f"{flat['health_alone_max_ms']} ms", f"{flat['health_max_ms']} ms", "health_max_ms")
    row("… 99 %", "", f"{flat['health_p99_ms']} ms")
    row("memory, PSS", f"{flat['memory_before_mib']} MiB", f"+{flat['memory_mib']} MiB", "memory_mib")
    row("… of the kernel for TCP", "", f"+{flat['kernel_mib']} MiB", "kernel_mib")
    row("of all cores, busy", f"{flat['cores_busy_alone']:.0%}", f"{flat['cores_busy']:.0%}")
    row("… by other processes", f"{flat['others_alone']:.0%}", f"{flat['others']:.0%}")
    row("… of one core, the slow clients", "", f"{flat['generator_share']:.0%}")
    row("their connections; closed by the node", "", f"{flat['opened']}; {flat['ended']}")
    console.print(table)
    console.print(f"their answers: {flat['statuses']}", markup=False)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measure(scratch: Path, load: SlowLoad, console: Console) -> SlowFigures:
    """Raises StartRefused."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        generator = stack.enter_context(a_generator("slow_load"))
        up = stack.enter_context(a_node(scratch / "slow", settings=SETTINGS))
        submitter = stack.enter_context(a_submitter(scratch / "slow", up.base, (1,)))
        await_ready(up.base)
        home, port = EmbeddedHome.find(scratch / "slow"), httpx.URL(up.base).port
        if home is None or port is None:
            raise StartRefused("the measured node has no embedded servers, or no port", 3)
        console.print("filling a contest")
        size = ContestSize(teams=load.teams, problems=load.problems, submissions=load.submissions)
        trio.run(fill_contest, home, size)
        order = _order(port, submitter, _with_attachment(submitter), load)
        for path in order.paths[:-1]:  # the last is endless
            httpx.get(f"{up.base}{path}", timeout=_PATIENCE_S, trust_env=False).raise_for_status()
        measuring = _SlowMeasuring(generator, order, _on_new_connections(submitter), up.pid, port)
        measuring.person.measure()  # the first fetches the test data
        idle_mib, idle_kernel_mib = _memory_mib(up.pid), _kernel_mib()
        turns = []
        for number in range(1, load.turns + 1):
            console.print(f"turn {number} of {load.turns}: alone, then with the slow clients")
            turns.append(measuring.turn())
    return SlowFigures(load=load, turns=turns, idle_memory_mib=idle_mib, idle_kernel_mib=idle_kernel_mib)


def _on_new_connections(submitter: Submitter) -> Submitter:
    return replace(submitter, headers={**submitter.headers, "Connection": "close"})


def _with_attachment(submitter: Submitter) -> str:
    """Upload a problem with a large attachment, and return the attachment's path."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("problem.yaml", "name: large\n")
        archive.writestr("data/secret/1.in", "1 2\n")
        archive.writestr("data/secret/1.ans", "3\n")
        archive.writestr("problem_statement/problem.en.md", "# large\n\nread the file\n")
        archive.writestr("attachments/large.bin", os.urandom(_ATTACHMENT_BYTES))
    headers = {"Authorization": submitter.headers["Authorization"]}
    files = {"file": ("p.zip", packed.getvalue())}
    with httpx.Client(base_url=submitter.base, timeout=_PATIENCE_S, trust_env=False, headers=headers) as client:
        made = client.post("/api/v1/problems", data={"title": "large"}, files=files).raise_for_status().json()
    return f"/api/v1/problems/{made['id']}/attachments/large.bin"


def _order(port: int, submitter: Submitter, attachment: str, load: SlowLoad) -> LoadRequest:
    board = f"/contests/{KEY}/scoreboard"
    host, login = "Host: 127.0.0.1\r\n", "Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    as_person = f"{host}Authorization: {submitter.headers['Authorization']}\r\n"
    form = 'form-data; name="file"; filename="p.zip"\r\n\r\n'
    return LoadRequest(
        do="slow",
        port=port,
        clients=load.clients,
        seconds=load.turn_seconds,
        paths=(attachment, "/openapi.json", board, f"{board}/events"),
        drips=(
            (f"GET / HTTP/1.1\r\n{host}X-Slow: ", "x"),
            (f"POST /api/v1/auth/login HTTP/1.1\r\n{host}{login}", " "),
            (
                f"POST /api/v1/submit HTTP/1.1\r\n{as_person}Content-Type: application/json\r\n"
                "Content-Length: 60000\r\n\r\n{",
                " " * 100,
            ),
            (
                f"POST /api/v1/problems HTTP/1.1\r\n{as_person}Content-Type: multipart/form-data; boundary=slow\r\n"
                f"Content-Length: 9000000\r\n\r\n--slow\r\nContent-Disposition: {form}",
                "x" * 1000,
            ),
        ),
    )


def _memory_mib(pid: int) -> float:
    """Return the memory of the node's own process: compilers come and go beside it."""
    return pss_kb_of(pid) / 1024


def _kernel_mib() -> float:
    """Return the memory of all TCP connections of the host."""
    lines = Path("/proc/net/sockstat").read_text().splitlines()
    words = next(line.split() for line in lines if line.startswith("TCP:"))
    return int(words[words.index("mem") + 1]) * _PAGE_BYTES / 2**20


@dataclass(frozen=True, slots=True)
class _SlowMeasuring:
    """Measures turns."""

    generator: Generator
    order: LoadRequest
    person: Submitter
    pid: int
    port: int

    def turn(self) -> SlowTurn:
        alone = self._period(self.order.seconds)
        self.generator.begin(self.order)
        crowded = self._period(self.order.seconds)
        return SlowTurn(alone=alone, crowded=crowded, clients=self.generator.end())

    def _period(self, seconds: float) -> SlowPeriod:
        period, clock = SlowPeriod(), CoresClock()
        with (
            _repeated(lambda: self._look(period), _HEALTH_EVERY_S),
            _repeated(lambda: self._weigh(period), _MEMORY_EVERY_S),
        ):
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                try:
                    period.verdicts_ms.append(self.person.measure().total_ms)
                except (StartRefused, OSError, http.client.HTTPException) as error:
                    period.refused[str(error) or type(error).__name__] += 1
                    self.person.submitting.close()
                    self.person.watching.close()
        period.use = clock.use()
        if not (period.verdicts_ms and period.health_ms):
            raise StartRefused(f"the measured node judged nothing: {dict(period.refused)}", 1)
        return period

    def _look(self, period: SlowPeriod) -> None:
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", "/api/v1/health", headers={"Connection": "close"})
            is_well = connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            is_well = False
        finally:
            connection.close()
        period.health_ms.append((time.perf_counter() - began) * 1000 if is_well else _PATIENCE_S * 1000)

    def _weigh(self, period: SlowPeriod) -> None:
        period.memory_mib = max(period.memory_mib, _memory_mib(self.pid))
        period.kernel_mib = max(period.kernel_mib, _kernel_mib())


@contextmanager
def _repeated(work: Callable[[], None], every_s: float) -> Iterator[None]:
    """Do some work at an interval, in a thread, until the end of the context."""
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(every_s):
            work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
