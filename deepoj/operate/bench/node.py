"""``deepoj bench node`` starts throw-away nodes, each on an embedded home of its own, and measures

* what an idle node with every role weighs (PSS of node and launcher, without the embedded servers) and burns;
* submit to verdict on an idle node (``node_latency``), where that time goes, and the floor beside it, in turn: the same
  statements (submit, take, publish, mark, read, claim, finalize, ack) run bare, one after the other, without HTTP,
  loops or sandbox, against servers like the node's;
* how fast it drains a queue, beside bare compilers and programs on as many cores (``node_drain``).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.embedded import EmbeddedHome
from deepoj.adapters.pg import PgStore
from deepoj.adapters.redis.stream import RedisStream
from deepoj.operate.bench.unlimited import unlimited
from deepoj.words.accounts import User
from deepoj.words.errors import StartRefused
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.results import CompileResult, Report, TestResult, Verdict
from deepoj.words.sandbox import Isolation
from deepoj.words.stream import Entry
from deepoj.words.submissions import Draft, Receipt

START_S = 120.0
#: in the log of a node that is up
_IS_UP = '"event": "roles"'
SOURCE = '#include <cstdio>\nint main(){int a,b;std::scanf("%d%d",&a,&b);std::printf("%d",a+b);}\n// {nonce}\n'


# ---------------------------------------------------------------------------------------------------------------------
# A node of our own


@dataclass(frozen=True, slots=True)
class Up:
    pid: int
    base: str


@contextlib.contextmanager
def a_node(home: Path, *args: str, settings: str = "", command: str = "up") -> Iterator[Up]:
    """``deepoj up``, or ``command``, up inside, stopped at the end.

    ``settings``: YAML; by default unlimited.yaml, with free ports, which the node writes into node.json.

    Raises:
      StartRefused: it did not start.
    """
    home.mkdir(parents=True, exist_ok=True)
    note = home / "node.json"
    note.unlink(missing_ok=True)
    settings_file = home / "bench.yaml"
    settings_file.write_text(settings or unlimited())
    log = home / "bench.log"
    log.unlink(missing_ok=True)
    with log.open("ab") as err:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "deepoj",
                "--config",
                str(settings_file),
                "--home",
                str(home),
                command,
                "--log",
                "json",
                *args,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
        )
    try:
        yield Up(process.pid, _await_up(process, command, note, log))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await_up(process: subprocess.Popen[bytes], command: str, note: Path, log: Path) -> str:
    """Return the address of the API; empty for ``deepoj node``, whose port is that of its settings."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartRefused(f"the measured node did not start: {log.read_text()[-500:]}", 3)
        if command == "node" and _IS_UP in log.read_text():  # it writes no node.json
            return ""
        if note.exists():
            base = json.loads(note.read_text())["api"]
            return str(base or "")
        time.sleep(0.05)
    raise StartRefused(f"the measured node was not up within {START_S:g} s", 3)


# ---------------------------------------------------------------------------------------------------------------------
# Idle


def await_ready(base: str) -> None:
    """Until every part is up, the canaries among them: their round at the start is no idling."""
    deadline = time.monotonic() + START_S
    with httpx.Client(base_url=base, timeout=START_S, trust_env=False) as client:
        while client.get("/api/v1/ready").status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                raise StartRefused(f"the measured node was not ready within {START_S:g} s", 3)
            time.sleep(0.05)


def idle(pid: int, seconds: float) -> tuple[float, float]:
    """PSS in MiB at the end and CPU in percent of a core, of the node and of what it started, servers aside."""
    time.sleep(3)  # what a start leaves to do is no idling
    before, began = sum(_cpu_s(one) for one in ours(pid)), time.monotonic()
    time.sleep(seconds)
    burnt = sum(_cpu_s(one) for one in ours(pid)) - before
    pss_kb = sum(pss_kb_of(one) for one in ours(pid))
    return pss_kb / 1024, 100 * burnt / (time.monotonic() - began)


def ours(pid: int) -> list[int]:
    """The node and its descendants, without the embedded servers."""
    found = [pid]
    for parent in found:
        for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            name = Path(f"/proc/{child}/comm").read_text().strip()
            if not name.startswith(("postgres", "valkey", "unshare", "setpriv")):
                found.append(int(child))
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_kb_of(pid: int) -> int:
    """What a process holds in KiB, its share of shared pages included. Raises OSError when it is gone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def a_package(tests: int = 1) -> bytes:
    """Return a package of A+B with so many tests."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(1, tests + 1):
            archive.writestr(f"{number}.in", f"{number} 2\n")
            archive.writestr(f"{number}.out", f"{number + 2}\n")
    return packed.getvalue()


# ---------------------------------------------------------------------------------------------------------------------
# The floor


async def floor(home: Path, rounds: int) -> list[float]:
    """Return the milliseconds of the walk's statements, bare, once a round."""
    embedded = EmbeddedHome.find(home)
    if embedded is None:
        raise StartRefused(f"there are no embedded servers in {home}", 3)
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, embedded.database_url) as store,
        RedisStream.open(
            bridge,
            embedded.redis_url,
            password=embedded.valkey_password,
            consumer="bench",
            stream_key="bench:jobs",
            group="bench",
        ) as stream,
    ):
        user = await store.accounts.create_user(f"floor{secrets.token_hex(8)}", "-", None)
        if not isinstance(user, User):
            raise StartRefused(f"the bench home has no room for a user: {user}", 2)
        problem = a_problem(await store.problems.reserve_problem_id())
        await store.problems.insert_problem(problem)
        times = [await _walk(store, stream, user.id, problem.id) for _ in range(rounds + 5)]
    return times[5:]  # the first prepare the statements


async def _walk(store: PgStore, stream: RedisStream, user_id: int, problem_id: int) -> float:
    draft = Draft(
        user_id=user_id, problem_id=problem_id, language="cpp17", code=SOURCE + secrets.token_hex(8), trace_id=""
    )
    began = time.perf_counter()
    taken = await store.submissions.submit(
        draft, inflight_cap=500, dedup_window_s=600, payload={}, stream_key="bench:jobs"
    )
    events = await store.outbox.take_outbox(100, 0.5, 10.0)
    entry_ids = await stream.publish(events)
    await store.outbox.mark_delivered([(event.id, entry) for event, entry in zip(events, entry_ids, strict=True)])
    entries = [entry for entry in await stream.read(1, 1000) if isinstance(entry, Entry)]
    answers = await store.leases.claim(entries, "bench", 60.0, 5)
    claims = [answer for answer in answers.values() if isinstance(answer, Claim)]
    if not isinstance(taken, Receipt) or len(claims) != 1:
        raise StartRefused("the floor's walk went astray", 1)
    refusal = await store.leases.finalize(claims[0], a_report(), {"status": "Accepted"})
    await stream.ack([claims[0].entry_id])
    if refusal is not None:
        raise StartRefused(f"the floor's verdict was refused: {refusal}", 1)
    return (time.perf_counter() - began) * 1000


def a_problem(problem_id: int) -> Problem:
    return Problem(
        id=problem_id, title="A+B", description="", difficulty="", time_limit_ms=1000, memory_limit_mb=128,
        compare="tokens", data_path=f"problems/{problem_id}.zip", data_hash="00" * 32,
    )  # fmt: skip


def a_report() -> Report:
    return Report(
        status=Verdict.ACCEPTED, score=100.0, time_used_ms=1, memory_used_kb=1, wall_ms=1, language="cpp17",
        problem_version="1", isolation=Isolation.NAMESPACES, compile=CompileResult(ok=True, time_ms=1, output=""),
        tests=(TestResult(name="1", status=Verdict.ACCEPTED),),
    )  # fmt: skip
