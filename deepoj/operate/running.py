"""The servers of the settings and the nodes that run, as ``deepoj doctor`` sees them.

All are asked side by side, each for ``REACH_S`` at most. What needs a person is named by the rules of the system's page
(``web.symptoms``): from what the node of this host says of itself, and from what the database and Redis know.
"""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass

import httpx
import trio
from markupsafe import Markup

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.stream import RedisStream
from deepoj.capacity.backpressure import Backpressure
from deepoj.capacity.disks import disks
from deepoj.capacity.pressure import LatestPressure, pressure
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.nursery.canaries import PART as CANARIES
from deepoj.nursery.scopes import with_background_tasks
from deepoj.operate.findings import Finding, State
from deepoj.operate.verify.deployment import api_of
from deepoj.ports.tasks import Start
from deepoj.web.symptoms import (
    DATABASE,
    OBJECTS,
    REDIS,
    SILENT,
    Stored,
    Symptom,
    of_disk,
    of_parts,
    of_queue,
    of_stored,
    read_stored,
)
from deepoj.wiring.adapters import JUDGES, blobs_of
from deepoj.wiring.settings import pressing
from deepoj.wiring.targets import metrics_headers
from deepoj.words.errors import Breakage, StartRefused
from deepoj.words.readiness import PartState, Readiness

#: how long each server and the node have for their answers
REACH_S = 5.0
UNTRUSTED = "api_untrusted_forwarded_total"


async def with_tasks[T](start_all: Callable[[Start], None], work: Callable[[], Awaitable[T]]) -> T:
    """Start tasks, and return the result of ``work`` when all of them have ended, too."""

    async def begin(start: Start) -> T:
        start_all(start)
        return await work()

    return await with_background_tasks(begin)


# ---------------------------------------------------------------------------------------------------------------------
# The servers


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A server of the settings; ``is_needed``: by a chosen role."""

    name: str
    is_needed: bool
    #: asked through its adapter, whose errors are clear
    ping: Callable[[], Awaitable[None]]
    mend: str
    section: str

    async def finding(self) -> Finding:
        """Ask the server."""
        state, detail = await _try(self.ping)
        if state == "ok":
            return Finding(self.name, state, detail)
        return Finding(
            self.name, state if self.is_needed else "note", f"{detail} ({_in_runbook(self.section)})", self.mend
        )


async def _try(ping: Callable[[], Awaitable[None]]) -> tuple[State, str]:
    try:
        with trio.fail_after(REACH_S):
            await ping()
    except (StartRefused, Breakage) as error:
        return "lacks", str(error)
    except trio.TooSlowError:
        return "lacks", f"no answer within {REACH_S:g} s"
    return "ok", "answers"


def _in_runbook(section: str) -> str:
    return f"runbook, section {section}"


@dataclass(frozen=True, slots=True)
class RunningLook:
    """What was found of the servers and nodes. ``judges``: a node of this host judges, so it judges the canaries."""

    findings: list[Finding]
    judges: bool = False


async def look_at_running(cfg: Config, home: EmbeddedHome | None) -> RunningLook:
    """Ask the servers of the settings, or of the embedded home, and the node of this host; and return what needs a
    person, once a node has run. Raises StartRefused for an address that is invalid."""
    if home is not None and not home.running:
        what = f"no node runs in {home.home} now"
        return RunningLook([Finding("node", "note", what), *map(_finding, await _of_own_disks(cfg, home))])
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(AioBridge.open())
        dsn = cfg.database_url if home is None else home.database_url
        store = await stack.enter_async_context(PgStore.open(bridge, dsn, min_conns=0, max_conns=2))
        stream = await stack.enter_async_context(_open_stream(cfg, home, bridge))
        servers = _servers(cfg, home, store, stream)
        system = _System(cfg, store, stream)
        pinged: dict[str, Finding] = {}

        async def ping(server: ConfiguredServer) -> None:
            pinged[server.name] = await server.finding()

        def ask_all(start: Start) -> None:
            for server in servers:
                start(ping, server)
            start(system.read)

        node = await with_tasks(ask_all, lambda: ask_node(cfg))
    hangs, readiness = isinstance(node, Finding), node if isinstance(node, Readiness) else Readiness()
    needs = [*of_parts(readiness, system.stored.nodes or ())]
    if node is not None or system.stored.nodes:
        needs += system.symptoms(readiness)
    if not system.stored.nodes:
        needs += await _of_own_disks(cfg, home)
    found = [*([node] if isinstance(node, Finding) else []), *dict.fromkeys(map(_finding, needs))]
    return RunningLook([*found, *(pinged[server.name] for server in servers)], hangs or CANARIES in readiness.parts)


async def _of_own_disks(cfg: Config, home: EmbeddedHome | None) -> list[Symptom]:
    """Look at the disks of this host's node, which cannot be asked."""
    found = await disks({"work": cfg.workspace} | ({} if home is None else {"blobs": home.objects_dir}))
    return [symptom for disk in found for symptom in of_disk(socket.gethostname(), disk)]


def _open_stream(cfg: Config, home: EmbeddedHome | None, bridge: AioBridge) -> AbstractAsyncContextManager[RedisStream]:
    return RedisStream.open(
        bridge,
        cfg.redis_url if home is None else home.redis_url,
        password=cfg.redis.password if home is None else home.valkey_password,
        tls=cfg.redis.tls_enabled and home is None,
        stream_key=cfg.stream_key,
        group=cfg.stream_group,
        consumer="doctor",
    )


def _servers(cfg: Config, home: EmbeddedHome | None, store: PgStore, stream: RedisStream) -> list[ConfiguredServer]:
    objects_needed = bool(cfg.roles & (JUDGES | {Role.API}))
    database, redis, objects = (
        (
            "export DATABASE_URL=postgres://USER:PASSWORD@HOST:5432/NAME",
            "export REDIS_URL=HOST:6379",
            "export MINIO_ENDPOINT=http://HOST:9000",
        )
        if home is None
        else ("", "", "")
    )
    return [
        ConfiguredServer("PostgreSQL", True, store.ping, database, DATABASE),
        ConfiguredServer("Redis", True, stream.ping, redis, REDIS),
        ConfiguredServer("object store", objects_needed, blobs_of(cfg, home).ping, objects, OBJECTS),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The node of this host, and the system


async def ask_node(cfg: Config) -> Readiness | Finding | None:
    """Return what the node of this host says of its parts; a finding if it does not answer; None: no node listens."""
    url = api_of(cfg)
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=REACH_S) as http:
            answer = await http.get(f"{url}/api/v1/ready")
        body = answer.json()
        parts: Mapping[str, Mapping[str, str]] = body["parts"] if answer.is_success else body["details"]
        return Readiness(
            {name: PartState(part["state"]) for name, part in parts.items()},
            {name: part.get("reason") or "" for name, part in parts.items()},
        )
    except httpx.TimeoutException:
        detail = f"no answer of the node at {url} within {REACH_S:g} s ({_in_runbook(SILENT)})"
        return Finding("node", "fails", detail)
    except (
        httpx.HTTPError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ):  # nothing listens, or another program does
        return None


async def of_metrics(cfg: Config) -> list[Finding]:
    """Return a finding if a node runs here and its metrics are refused, or count requests through untrusted proxies."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=REACH_S) as http:
            answer = await http.get(f"{api_of(cfg)}/metrics", headers=metrics_headers(cfg))
    except (httpx.HTTPError, StartRefused):
        return []
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        refuses = "the node refuses its metrics: its METRICS_TOKEN is another one, or it has none"
        return [Finding("metrics", "note", refuses, "export METRICS_TOKEN=TOKEN  # of the node")]
    count = sum(float(line.rpartition(" ")[2]) for line in answer.text.splitlines() if line.startswith(UNTRUSTED))
    if not count:
        return []
    seen = f"{count:g} requests with X-Forwarded-For came from an address that is no trusted proxy"
    return [Finding("proxies", "note", seen, "export TRUSTED_PROXIES=ADDRESS  # of the log event forwarded_untrusted")]


class _System:
    """What the database and Redis know of the whole system. What cannot be read is empty: a ping says why."""

    def __init__(self, cfg: Config, store: PgStore, stream: RedisStream) -> None:
        self._cfg, self._store, self._stream = cfg, store, stream
        self.stored = Stored()
        self._latest = LatestPressure()

    async def read(self) -> None:
        with trio.move_on_after(REACH_S), contextlib.suppress(Breakage):
            self.stored = await read_stored(self._store.roster, self._store.system)
            self._latest.put(await pressure(self._store.outbox, self._stream))

    def symptoms(self, readiness: Readiness) -> Iterator[Symptom]:
        """Yield what needs a person. ``readiness``: of the node of this host."""
        yield from of_stored(self.stored, readiness)
        snapshot = self._latest.get(math.inf)
        if snapshot is not None:
            pressed = Backpressure(self._latest.get, pressing(self._cfg)).look()
            yield from of_queue(snapshot, refuses=pressed is not None)


def _finding(symptom: Symptom) -> Finding:
    """Return the symptom in English, without the markup that a script of the page reads."""
    params = {name: value.striptags() if isinstance(value, Markup) else value for name, value in symptom.params.items()}
    detail = symptom.sentence % params
    where = f" ({_in_runbook(symptom.section)})" if symptom.section else ""
    return Finding("system", "fails" if symptom.delays_judging else "note", f"{detail}{where}")
