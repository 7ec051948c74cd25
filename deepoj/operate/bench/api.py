"""``deepoj bench api``: measures the API's performance relative to a bare hypercorn-trio application (``api_bare``).

The load generator (``api_load``, a separate process), the server and a node's PostgreSQL share two cores. Each round
measures all candidates one after the other, in alternating order. Ratios are of medians over the rounds, without the
first round. Every submit has a new source.

* ``submit_ratio``: submits per second ÷ bare POSTs of the same bodies per second, with equally many clients that send
  the next request as soon as they are answered, on persistent connections. The node serves the API and dispatches; no
  node judges.
* ``status_ratio``: median time of a status read ÷ that of a bare GET, with equally many clients;
  ``status_alone_ratio``: with one client, which shows the unshared cost of the database round trip. It has no required
  value.
* ``batch_ratio``: submissions per second in batches ÷ those of ``submit_ratio``. One client sends one batch after the
  other, in rounds after all the others: when PostgreSQL was still busy with the 60,000 rows of a round, the next single
  submits took twice its CPU time.
* ``steady_p99_ms``: submits at a steady rate, at times fixed in advance, while the node's worker judges them: the 99th
  percentile of the time from the planned moment to the answer; ``steady_refused``: answers other than 200.
* ``reuse_port_ratio``: status reads per second of CPU time of two nodes on one port ÷ those of one (``api_shared``).
* ``streams_mib``: growth of a node's memory (PSS) with event streams of equally many different waiting jobs.
"""

from __future__ import annotations

import json
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deepoj.adapters.embedded import EmbeddedHome
from deepoj.operate.bench.api_load import NONCE, Loaded, LoadRequest
from deepoj.operate.bench.api_shared import LEAST_CLIENTS, LEAST_SECONDS, SharedPort, SharedPortRounds, an_empty_bucket
from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.node import SOURCE, a_node, a_package, ours, pss_kb_of
from deepoj.operate.bench.unlimited import unlimited
from deepoj.words.errors import StartRefused

CORES = 2
#: job ids known to the generator's status reads; enough that no cache holds the one answer
_KNOWN_JOBS = 500
#: a program as long as what people send, more or less
CODE_BYTES = 1000
#: as many as a user may have open by default
_STREAMS_OF_A_USER = 20
#: lines of a batch
_BATCH_LINES = 2000
_START_S = 60.0
_SETTLE_S = 1.0
#: each starts three nodes
_SHARED_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much of everything. ``rate``: submits a second of the steady part."""

    rounds: int = 5
    seconds: float = 3.0
    clients: int = 32
    rate: float = 100.0
    steady_seconds: float = 20.0
    streams: int = 500


USUAL = Load()


@dataclass(slots=True)
class ApiComparison:
    """One thing done to the bare application and to the node, a round each."""

    bare: list[Loaded] = field(default_factory=list)
    ours: list[Loaded] = field(default_factory=list)

    def per_s(self) -> tuple[float, float]:
        """Medians: (bare, ours)."""
        return _median(self.bare, lambda one: one.answers / one.seconds), _median(
            self.ours, lambda one: one.answers / one.seconds
        )

    def ms(self) -> tuple[float, float]:
        """Medians of the rounds' medians: (bare, ours)."""
        return _median(self.bare, lambda one: one.median_ms), _median(self.ours, lambda one: one.median_ms)

    def generator_share(self) -> tuple[float, float]:
        """Of one core, what the generator burnt: (bare, ours)."""
        return _median(self.bare, lambda one: one.cpu_s / one.seconds), _median(
            self.ours, lambda one: one.cpu_s / one.seconds
        )


def _median(found: Sequence[Loaded], of: Callable[[Loaded], float]) -> float:
    return statistics.median(of(one) for one in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFigures:
    """All that was measured. ``streams_mib``: None where the node has no such route."""

    load: Load
    submit: ApiComparison
    status_alone: ApiComparison
    status: ApiComparison
    #: lines of batches per second, a figure per round
    batches_per_s: Sequence[float]
    steady: Loaded
    steady_judged: int
    streams_mib: float | None
    streams_seconds: float | None
    shared_port: SharedPort

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run."""
        submits, reads, busy = self.submit.per_s(), self.status_alone.ms(), self.status.ms()
        flat: dict[str, object] = {
            **asdict(self.load),
            "bare_post_per_s": round(submits[0], 1),
            "submit_per_s": round(submits[1], 1),
            "submit_ratio": round(submits[1] / submits[0], 3),
            "batch_per_s": round(statistics.median(self.batches_per_s), 1),
            "batch_ratio": round(statistics.median(self.batches_per_s) / submits[1], 2),
            "submit_median_ms": round(self.submit.ms()[1], 2),
            "bare_post_median_ms": round(self.submit.ms()[0], 2),
            "generator_share_bare": round(self.submit.generator_share()[0], 3),
            "generator_share": round(self.submit.generator_share()[1], 3),
            "bare_get_alone_ms": round(reads[0], 3),
            "status_alone_ms": round(reads[1], 3),
            "status_alone_ratio": round(reads[1] / reads[0], 3),
            "bare_get_ms": round(busy[0], 2),
            "status_ms": round(busy[1], 2),
            "status_ratio": round(busy[1] / busy[0], 3),
            "steady_answers": self.steady.answers,
            "steady_refused": float(sum(self.steady.refused.values())),
            "steady_refusals": dict(self.steady.refused),
            "steady_median_ms": round(self.steady.median_ms, 2),
            "steady_p99_ms": round(self.steady.p99_ms, 2),
            "steady_max_ms": round(self.steady.max_ms, 2),
            "steady_generator_share": round(self.steady.cpu_s / self.steady.seconds, 3),
            "steady_judged": self.steady_judged,
            "streams_mib": self.streams_mib,
            "streams_seconds": self.streams_seconds,
            **self.shared_port.flat(),
            "settings": unlimited(),
        }
        flat["missed"] = missed_of("api", flat)
        return flat


def show(figures: ApiFigures, console: Console) -> None:
    flat = figures.flat()
    load = figures.load
    table = Table("figure", "bare", "ours", "ratio", "required", title="api")

    def row(title: str, bare: str, ours: str, key: str | None = None) -> None:
        ratio = str(flat[key]) if key is not None and bare else ""
        table.add_row(title, bare, ours, ratio, "" if key is None else verdict_of("api", key, flat))

    row(
        f"POSTs a second, {load.clients} clients; submits",
        f"{flat['bare_post_per_s']}",
        f"{flat['submit_per_s']}",
        "submit_ratio",
    )
    row(
        f"… in batches of {_BATCH_LINES:,}; ÷ submits",
        f"{flat['submit_per_s']}",
        f"{flat['batch_per_s']}",
        "batch_ratio",
    )
    row("… median", f"{flat['bare_post_median_ms']} ms", f"{flat['submit_median_ms']} ms")
    row("… the generator's share of a core", f"{flat['generator_share_bare']}", f"{flat['generator_share']}")
    row(
        "GET, one client; status, median",
        f"{flat['bare_get_alone_ms']} ms",
        f"{flat['status_alone_ms']} ms",
        "status_alone_ratio",
    )
    row(f"… {load.clients} clients", f"{flat['bare_get_ms']} ms", f"{flat['status_ms']} ms",
        "status_ratio")  # fmt: skip
    row(f"{load.rate:g} submits a second, judging: median", "", f"{flat['steady_median_ms']} ms")
    row("… 99 %", "", f"{flat['steady_p99_ms']} ms", "steady_p99_ms")
    row("… worst", "", f"{flat['steady_max_ms']} ms")
    row("… refused", "", f"{flat['steady_refused']} of {round(load.rate * load.steady_seconds)}", "steady_refused")
    row("… judged meanwhile", "", f"{flat['steady_judged']}")
    streams = "no such route" if figures.streams_mib is None else f"{flat['streams_mib']} MiB"
    row(f"{load.streams} live event streams", "", streams, "streams_mib")
    row(
        "status reads per CPU second: one node; two on one port",
        f"{flat['one_node_per_cpu_s']}",
        f"{flat['two_nodes_per_cpu_s']}",
        "reuse_port_ratio",
    )
    console.print(table)


# ---------------------------------------------------------------------------------------------------------------------
# The generator and the two that it loads


class Generator:
    """The load generator's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, order: LoadRequest) -> Loaded:
        """Raises StartRefused when it fell."""
        self.begin(order)
        return self.end()

    def begin(self, order: LoadRequest) -> None:
        """Give it the order, and do not wait."""
        if self._process.stdin is None:
            raise AssertionError("Popen was asked for pipes")
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()

    def end(self) -> Loaded:
        """Wait for the result of the order that was begun. Raises StartRefused when it fell."""
        if self._process.stdout is None:
            raise AssertionError("Popen was asked for pipes")
        line = self._process.stdout.readline()
        if not line:
            raise StartRefused("the load generator fell: see above", 1)
        return Loaded(**json.loads(line))


@contextmanager
def a_generator(module: str = "api_load") -> Iterator[Generator]:
    """The generator, up inside."""
    command = [sys.executable, "-m", f"deepoj.operate.bench.{module}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Generator(process)  # Popen closes its stdin, with which it ends


@contextmanager
def a_bare_application() -> Iterator[int]:
    """``api_bare`` on hypercorn's own trio worker, up inside: its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        port: int = listening.getsockname()[1]
        fd = listening.fileno()
        command = [
            sys.executable, "-m", "hypercorn", "--worker-class", "trio", "--workers", "0", "--bind", f"fd://{fd}",
            "deepoj.operate.bench.api_bare:app",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[fd]
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_START_S, trust_env=False) as client:
            client.post("/", json={}).raise_for_status()
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A node, and what a request to it carries."""

    pid: int
    port: int
    headers: Mapping[str, str]
    problem_id: int
    #: of the account ``admin``
    admin_password: str

    def submits(self, **how: object) -> LoadRequest:
        return self._order("/api/v1/submit", method="POST", body=_body(self.problem_id), **how)

    def reads(self, job_ids: Sequence[str], **how: object) -> LoadRequest:
        return self._order(*(f"/api/v1/status/{job_id}" for job_id in job_ids), **how)

    def streams(self, job_ids: Sequence[str], **how: object) -> LoadRequest:
        return self._order(*(f"/api/v1/status/{job_id}/events" for job_id in job_ids), **how)

    def _order(self, *paths: str, **how: object) -> LoadRequest:
        content = {"Content-Type": "application/json"} if "body" in how else {}
        settled: dict[str, object] = {"do": "closed", **how}
        return LoadRequest(port=self.port, paths=paths, headers={**self.headers, **content}, **settled)  # type: ignore[arg-type]


def _body(problem_id: int) -> str:
    source = SOURCE.replace("{nonce}", NONCE)
    source += "// " + "x" * max(0, CODE_BYTES - len(source) - 4) + "\n"
    return json.dumps({"problem_id": problem_id, "language": "cpp17", "code": source})


@contextmanager
def a_target(home: Path, *args: str) -> Iterator[Target]:
    """A node with a user who is no administrator, and a problem."""
    with a_node(home, *args, settings=unlimited()) as up:
        with httpx.Client(base_url=up.base, timeout=_START_S, trust_env=False) as client:
            admin_password = secrets.token_urlsafe(12)
            admin = _account(client, "admin", admin_password)
            made = client.post(
                "/api/v1/problems", data={"title": "A+B"}, files={"file": ("p.zip", a_package())}, headers=admin
            )
            problem_id = made.raise_for_status().json()["id"]
            headers = _account(client, "somebody", secrets.token_urlsafe(12))
            _await_ready(client)
        port = httpx.URL(up.base).port
        if port is None:
            raise StartRefused(f"the measured node has no port in {up.base}", 1)
        yield Target(
            pid=up.pid, port=port, headers=headers, problem_id=problem_id, admin_password=admin_password
        )  # fmt: skip


def _account(client: httpx.Client, name: str, password: str) -> dict[str, str]:
    account = {"username": name, "password": password}
    client.post("/api/v1/auth/register", json=account).raise_for_status()
    token = client.post("/api/v1/auth/login", json=account).raise_for_status().json()["token"]
    return {"Authorization": f"Bearer {token}"}


def _await_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + 2 * _START_S
    while client.get("/api/v1/ready").status_code != httpx.codes.OK:
        if time.monotonic() > deadline:
            raise StartRefused("the measured node did not get ready", 3)
        time.sleep(0.05)


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def measure(scratch: Path, load: Load, console: Console) -> ApiFigures:
    with ExitStack() as stack:
        generator = stack.enter_context(a_generator())
        with a_bare_application() as bare_port, a_target(scratch / "api", "--roles", "api") as target:
            pairs, batches_per_s = _side_by_side(generator, bare_port, target, load, console)
        with a_target(scratch / "streams", "--roles", "api") as target:
            streams_mib, streams_seconds = _streams(generator, target, load)
            shared_port = _shared_port(generator, target, scratch, load)
        with a_target(scratch / "all") as target:
            steady, judged = _steady(generator, target, load)
    return ApiFigures(
        load=load,
        submit=pairs["submit"],
        status_alone=pairs["status_alone"],
        status=pairs["status"],
        batches_per_s=batches_per_s,
        steady=steady,
        steady_judged=judged,
        streams_mib=streams_mib,
        streams_seconds=streams_seconds,
        shared_port=shared_port,
    )


def _side_by_side(
    generator: Generator, bare_port: int, target: Target, load: Load, console: Console
) -> tuple[dict[str, ApiComparison], list[float]]:
    job_ids = _jobs(generator, target, _KNOWN_JOBS)
    bare_post = LoadRequest(
        do="closed", port=bare_port, method="POST", headers=dict(target.headers), body=_body(target.problem_id)
    )
    bare_get = LoadRequest(do="closed", port=bare_port, headers=dict(target.headers))

    def both(on_node: LoadRequest, on_bare: LoadRequest, clients: int) -> tuple[LoadRequest, LoadRequest]:
        one, other = (replace(order, seconds=load.seconds, clients=clients) for order in (on_bare, on_node))
        return one, other

    orders = {
        "submit": both(target.submits(), bare_post, load.clients),
        "status_alone": both(target.reads(job_ids), bare_get, 1),
        "status": both(target.reads(job_ids), bare_get, load.clients),
    }
    pairs: dict[str, ApiComparison] = {name: ApiComparison() for name in orders}
    for number in track(range(load.rounds + 1), description="measuring", console=console, transient=True):
        for name, (on_bare, on_node) in orders.items():
            for is_bare in (True, False) if number % 2 else (False, True):
                found = generator.do(on_bare if is_bare else on_node)
                if found.refused:
                    raise StartRefused(f"{name}, {'bare' if is_bare else 'ours'}: not all were taken: {found}", 1)
                if number:  # the first round warms up
                    (pairs[name].bare if is_bare else pairs[name].ours).append(found)
    batches_per_s = [_batches_per_s(target, load) for _ in range(load.rounds + 1)]
    return pairs, batches_per_s[1:]


def _batches_per_s(target: Target, load: Load) -> float:
    """Send batches for as long as single submits are sent, and return their lines per second."""
    body = _body(target.problem_id)
    headers = {**target.headers, "Content-Type": "application/x-ndjson"}
    lines, took_s = 0, 0.0
    with httpx.Client(base_url=f"http://127.0.0.1:{target.port}", timeout=_START_S, trust_env=False) as client:
        while took_s < load.seconds:
            sent = "\n".join(body.replace(NONCE, secrets.token_hex(8)) for _ in range(_BATCH_LINES))
            began = time.monotonic()
            answer = client.post("/api/v1/submissions/batch", content=sent, headers=headers)
            took_s += time.monotonic() - began
            if answer.status_code != httpx.codes.OK:
                raise StartRefused(f"a batch was not taken: {answer.text}", 1)
            accepted = json.loads(answer.text.splitlines()[-1])["accepted"]
            if accepted != _BATCH_LINES:
                raise StartRefused(f"{accepted} of {_BATCH_LINES} lines of a batch were taken", 1)
            lines += accepted
    return lines / took_s


def _jobs(generator: Generator, target: Target, count: int) -> list[str]:
    """Jobs of the target's user, just submitted."""
    job_ids: list[str] = []
    while len(job_ids) < count:
        took = generator.do(target.submits(seconds=0.2, clients=8, keep=count))
        if took.refused or not took.answers:
            raise StartRefused(f"the measured node did not take what it was to: {took}", 1)
        job_ids += [json.loads(body)["job_id"] for body in took.bodies]
    return job_ids[:count]


def _streams(generator: Generator, target: Target, load: Load) -> tuple[float | None, float | None]:
    """(MiB, seconds until each had its first event) of the streams, or None where there is no such route."""
    how = {"do": "streams", "seconds": _START_S, "until": "event: state"}
    with httpx.Client(base_url=f"http://127.0.0.1:{target.port}", timeout=_START_S, trust_env=False) as client:
        count = -(-load.streams // _STREAMS_OF_A_USER)
        viewers = [
            replace(target, headers=_account(client, f"viewer{number}", secrets.token_urlsafe(12)))
            for number in range(count)
        ]
    orders = []
    for number, viewer in enumerate(viewers):
        wanted = min(_STREAMS_OF_A_USER, load.streams - number * _STREAMS_OF_A_USER)
        orders.append(viewer.streams(_jobs(generator, viewer, wanted), **how))
    # one beforehand brings what is there once, whether one listens or 500
    if generator.do(target.streams(_jobs(generator, target, 1), **how)).refused:
        return None, None
    before = pss_mib(target.pid)
    seconds = 0.0
    for order in orders:
        opened = generator.do(order)
        if opened.refused:
            raise StartRefused(f"not every stream was opened: {opened.refused}", 1)
        seconds += opened.seconds
    time.sleep(_SETTLE_S)  # let work left from the start finish
    grown = pss_mib(target.pid) - before
    generator.do(LoadRequest(do="release"))
    return round(grown, 1), round(seconds, 2)


def _shared_port(generator: Generator, target: Target, scratch: Path, load: Load) -> SharedPort:
    """Measure nodes that use the servers of the target, which is idle meanwhile."""
    home = EmbeddedHome.find(scratch / "streams")
    if home is None:
        raise StartRefused("there are no embedded servers in the node's home", 3)
    reads = target.reads(
        _jobs(generator, target, _KNOWN_JOBS),
        seconds=max(load.seconds, LEAST_SECONDS),
        clients=max(load.clients, LEAST_CLIENTS),
    )
    with an_empty_bucket(scratch / "bucket") as objects_port:
        rounds = SharedPortRounds(home, objects_port, scratch)
        return rounds.measure(reads, generator.do, min(load.rounds, _SHARED_ROUNDS))


def pss_mib(pid: int) -> float:
    """What a node and its parts hold in MiB, without the embedded servers."""
    return sum(pss_kb_of(one) for one in ours(pid)) / 1024


def _steady(generator: Generator, target: Target, load: Load) -> tuple[Loaded, int]:
    """(what came of the submits, how many of the last ones were judged as they ended)."""
    generator.do(target.submits(seconds=0.2, clients=1))
    order = target.submits(
        do="open", seconds=load.steady_seconds, rate=load.rate, keep=round(load.rate * load.steady_seconds)
    )
    found = generator.do(order)
    job_ids = [json.loads(body)["job_id"] for body in found.bodies]
    with httpx.Client(
        base_url=f"http://127.0.0.1:{target.port}", timeout=_START_S, trust_env=False, headers=dict(target.headers)
    ) as client:
        # they are judged in the order in which they came
        judged = 0
        for job_id in job_ids:
            if client.get(f"/api/v1/status/{job_id}").raise_for_status().json()["state"] != "done":
                break
            judged += 1
    return found, judged
