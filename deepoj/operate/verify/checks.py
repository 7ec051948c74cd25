"""The checks of ``deepoj verify``, each a list of steps. A step returns a verified fact, or raises CheckFailed."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import httpx
import trio

from deepoj.adapters.redis.look import FoundEntry
from deepoj.operate.verify.deployment import WITHIN_S, Running
from deepoj.words.exits import CheckFailed

type Step = Callable[[Running], Awaitable[str]]

#: maximum difference between an entry's own time and the clock of its Redis
CLOCKS_APART_MS = 600_000
#: age at which an undelivered outbox event of a waiting submission is stuck
STUCK_S = 60.0

_SOURCES = ("deepoj", "sql", "deploy")
_KINDS = {".py", ".sql", ".sh", ".yaml", ".yml", ".toml", ".json", ".service", ""}
_LISTS = re.compile(r"""["'](?:B?[LR]PUSHX?|B?[LR]POP|BRPOPLPUSH|BLMOVE|LMOVE|PUBLISH|SUBSCRIBE)\b|\bimport grpc\b""")
_TASK = {
    "job_id", "code", "language", "time_limit", "memory_limit", "cache_key", "submit_time", "problem_id", "trace_id",
}  # fmt: skip


def _lines(tree: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the places where the sources match the pattern, except in the sources of the checks themselves."""
    tops = [tree / name for name in _SOURCES] + [tree / name for name in ("pyproject.toml", "config.example.yaml")]
    for top in tops:
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and file.suffix in _KINDS and "verify" not in str(file.relative_to(tree)):
                for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
                    if pattern.search(line):
                        yield f"{file.relative_to(tree)}:{number}"


async def _require_absence(running: Running, pattern: re.Pattern[str], what: str) -> None:
    places = await trio.to_thread.run_sync(list, _lines(running.deployment.tree, pattern))
    if places:
        raise CheckFailed(f"{what} occurs in {places[0]} and {len(places) - 1} more places")


# ---------------------------------------------------------------------------------------------------------------------
# B1: no etcd


async def no_etcd_in_the_sources(running: Running) -> str:
    await _require_absence(running, re.compile("etcd", re.IGNORECASE), "etcd")
    return "no source, setting or deployment file mentions etcd"


async def no_etcd_client(_running: Running) -> str:
    names = await trio.to_thread.run_sync(lambda: [package.name for package in metadata.distributions()])
    clients = [name for name in names if "etcd" in name.lower()]
    if clients:
        raise CheckFailed(f"a client of etcd is installed: {', '.join(clients)}")
    return "no client of etcd is installed"


async def ready_without_etcd(running: Running) -> str:
    answer = await running.http.get(f"{running.api}/api/v1/ready")
    if answer.status_code != httpx.codes.OK:
        raise CheckFailed(f"{running.api}/api/v1/ready answers {answer.status_code}: {answer.text[:200].strip()}")
    parts = answer.json()["parts"]
    if any("etcd" in name.lower() for name in parts):
        raise CheckFailed("the node waits for etcd")
    return f"the node is ready with {', '.join(sorted(parts))}"


# ---------------------------------------------------------------------------------------------------------------------
# B2: the stream alone


async def no_lists_in_the_sources(running: Running) -> str:
    await _require_absence(running, _LISTS, "a queue beside the stream (Redis lists, channels, gRPC)")
    return "no source mentions a queue beside the stream"


async def the_stream_is_there(running: Running) -> str:
    key, group = running.deployment.cfg.stream_key, running.deployment.cfg.stream_group
    kind = await running.redis.kind(key)
    if kind != "stream":
        raise CheckFailed(f"{key} is not a stream in this Redis: {kind}")
    if group not in await running.redis.groups(key):
        raise CheckFailed(f"{key} has no group {group}")
    return f"{key} is a stream and {group} a group of it"


async def no_queue_or_result_in_redis(running: Running) -> str:
    namespace = running.deployment.cfg.namespace
    queue = await running.redis.first_key(f"{namespace}:*", "list")
    if queue is not None:
        raise CheckFailed(f"{queue} is a list in Redis: jobs must use only the stream")
    result = await running.redis.first_key(f"{namespace}:result:*") or await running.redis.first_key("result:*")
    if result is not None:
        raise CheckFailed(f"{result} is in Redis: results must be only in the database")
    return f"Redis contains no list and no result under {namespace}"


async def control_plane_only(running: Running) -> str:
    url = running.deployment.scheduler_metrics
    values = await running.metrics(url)
    for name, wanted in (("control_plane_only", 1), ("legacy_loops_started", 0)):
        if values.get(name) != wanted:
            raise CheckFailed(f"{name} is {values.get(name, 'missing')} at {url}, and must be {wanted}")
    return "control_plane_only is 1 and legacy_loops_started is 0"


# ---------------------------------------------------------------------------------------------------------------------
# B3: the control plane works


async def metrics_of_the_control_plane(running: Running) -> str:
    names = ("scheduler_repair_total", "scheduler_stream_trim_total", "scheduler_db_gc_total")
    values = await running.metrics(running.deployment.scheduler_metrics)
    missing = [name for name in names if name not in values]
    if missing:
        raise CheckFailed(f"{running.deployment.scheduler_metrics} has no {', '.join(missing)}")
    return f"the scheduler has the metrics {', '.join(names)}"


async def repair_goes_round(running: Running) -> str:
    url, name = running.deployment.scheduler_metrics, "scheduler_repair_total"
    before = (await running.metrics(url)).get(name, 0.0)

    async def moved() -> float | None:
        now = (await running.metrics(url)).get(name, 0.0)
        return now if now > before else None

    period_s = running.deployment.cfg.scheduler.control_plane.repair_interval_ms / 1000
    await running.until(moved, f"the repair loop did not run ({name} at {url})", 2 * period_s + WITHIN_S)
    return "the repair loop runs"


# ---------------------------------------------------------------------------------------------------------------------
# C1: a submission in the stream


async def _entry_of(running: Running, job_id: str) -> FoundEntry:
    key = running.deployment.cfg.stream_key
    return await running.until(
        lambda: running.redis.entry_of(key, job_id), f"the job {job_id} was accepted, but {key} got no entry of it"
    )


async def a_submission_becomes_an_entry(running: Running) -> str:
    job_id = await running.submitted()
    entry = await _entry_of(running, job_id)
    fields = entry.fields
    missing = [name for name in ("job_id", "enqueue_ts", "payload_ref", "priority", "event_id") if name not in fields]
    if missing:
        raise CheckFailed(f"the entry {entry.entry_id} has no {', '.join(missing)}")
    for name in ("enqueue_ts", "priority", "event_id"):
        if not re.fullmatch(r"-?\d+", fields[name]):
            raise CheckFailed(f"{name} of the entry {entry.entry_id} is not a number: {fields[name]}")
    apart_ms = int(fields["enqueue_ts"]) - await running.redis.now_ms()
    if abs(apart_ms) > CLOCKS_APART_MS:
        raise CheckFailed(f"enqueue_ts of the entry {entry.entry_id} is {apart_ms} ms from the clock of Redis")
    await _payload(running, job_id, fields["payload_ref"])
    return f"job {job_id} is entry {entry.entry_id}, with its payload at {fields['payload_ref']}"


async def _payload(running: Running, job_id: str, ref: str) -> None:
    if ref != f"{running.deployment.cfg.namespace}:task:payload:{job_id}":
        raise CheckFailed(f"payload_ref is {ref}, which is not the place of the payload of {job_id}")
    payload = await running.redis.envelope(ref)
    if payload is None:
        raise CheckFailed(f"there is no payload in an envelope at {ref}")
    envelope, task = payload
    head = {name: envelope.get(name) for name in ("schema_version", "encoding", "content_type")}
    if head != {"schema_version": 1, "encoding": "base64", "content_type": "application/json"}:
        raise CheckFailed(f"the envelope at {ref} has {head}")
    if set(task) != _TASK or task["job_id"] != job_id:
        raise CheckFailed(f"the task at {ref} has the fields {', '.join(sorted(task))}")
    try:
        base64.b64decode(task["code"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise CheckFailed(f"the code of the task at {ref} is not base64") from None


# ---------------------------------------------------------------------------------------------------------------------
# D1: the outbox


async def nothing_is_stuck(running: Running) -> str:
    count, error = await running.store.outbox.outbox_stuck(STUCK_S)
    if count:
        raise CheckFailed(f"{count} outbox events were not delivered within {STUCK_S:g} s; last error: {error}")
    return f"no outbox event of a waiting submission is older than {STUCK_S:g} s"


async def an_event_is_delivered(running: Running) -> str:
    job_id = await running.submitted()
    first = await running.store.outbox.outbox_of_job(job_id)
    if first is None:
        raise CheckFailed(f"the job {job_id} was accepted without an outbox event: it would be lost with this Redis")

    async def delivered() -> str | None:
        event = await running.store.outbox.outbox_of_job(job_id)
        return None if event is None else event.stream_entry_id

    entry_id = await running.until(delivered, f"the outbox event of {job_id} was not delivered")
    entry = await _entry_of(running, job_id)
    if entry.entry_id != entry_id:
        raise CheckFailed(f"the outbox says entry {entry_id} of {job_id}, the stream {entry.entry_id}")
    return f"the outbox event of {job_id} was delivered as entry {entry_id}"


@dataclass(frozen=True, slots=True)
class Check:
    """The steps of a check, in order. ``submits``: it needs a problem to submit to."""

    steps: tuple[Step, ...]
    submits: bool = False


CHECKS: Mapping[str, Check] = {
    "b1": Check((no_etcd_in_the_sources, no_etcd_client, ready_without_etcd)),
    "b2": Check(
        (no_lists_in_the_sources, the_stream_is_there, no_queue_or_result_in_redis, control_plane_only),
    ),
    "b3": Check((control_plane_only, metrics_of_the_control_plane, repair_goes_round)),
    "c1": Check((the_stream_is_there, a_submission_becomes_an_entry), submits=True),
    "d1": Check((nothing_is_stuck, an_event_is_delivered), submits=True),
}
