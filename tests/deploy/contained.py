"""Hostile programs beside a running node, inside a container: shows that the isolation level holds what it promises.

Runs there with the checkout's own virtual environment: ``python -m tests.deploy.contained PROGRAMS SECRET...``, where
``PROGRAMS`` is a directory of ``arena.compile_hostile`` and each ``SECRET`` a readable file outside of the sandbox that
contains ``arena.SECRET``. Prints one JSON line: ``isolation``, ``reasons`` (what the level lacks here) and ``harm``, a
sentence for each thing that did not hold.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import trio

from deepoj.words.sandbox import FileIn, Isolation, RunOutcome, RunSpec, RunVerdict
from tests.deploy.neighbour import NAME
from tests.sandbox.bench import limits
from tests.sandbox.hostile.arena import Arena
from tests.sandbox.hostile.host import below, processes
from tests.sandbox.hostile.table import CLOSED, TABLE, row

NEIGHBOUR = Path(__file__).with_name("neighbour.py")
#: rows of the table: escapes by mounts and namespaces, then kill(-1) and what else reaches processes
NAMES = ("mounts", "namespaces", "new worlds", "kill(-1)", "signals to init")
#: accounts that own a process which must survive; root only can start them
OTHER_UIDS = (1000, 65534)
#: names of a node's processes
LASTING = ("deepoj", "_launcher", "postgres", "valkey-server")
START_S = 120.0
STOP_S = 60.0
#: long enough for a search to begin meanwhile, on a loaded machine too
HOLD_MS = 2000


@contextlib.contextmanager
def canaries() -> Iterator[list[tuple[subprocess.Popen[bytes], str]]]:
    """Processes outside of the sandbox, and whose they are: this user's and others'."""
    uids = [os.geteuid(), *(OTHER_UIDS if os.geteuid() == 0 else ())]
    started = [
        (subprocess.Popen(["sleep", "1000"], user=uid if uid != os.geteuid() else None), f"uid {uid}") for uid in uids
    ]
    try:
        yield started
    finally:
        for process, _ in started:
            process.kill()
            process.wait(STOP_S)


@contextlib.contextmanager
def node(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``make run`` until the end of the block; its sample is judged when the block begins, or it has ended."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["make", "--no-print-directory", "run"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    try:
        while process.poll() is None and "Deep-OJ is up at" not in log.read_text(errors="replace"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"make run is not up after {START_S:g} s: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_S)


def lasting(pid: int) -> set[tuple[int, str]]:
    """A node's processes without those that come and go: PostgreSQL's backends, and what the sandbox runs."""
    seen = processes()
    servers = {process.pid for process in seen.values() if process.name == "postgres"}
    ours = (process for process in below(pid, seen) if process.name in LASTING and process.parent not in servers)
    return {(process.pid, process.name) for process in ours}


def is_ready() -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{os.environ['PORT']}/api/v1/ready", timeout=30, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK


async def neighbours(arena: Arena, python: str) -> list[str]:
    """Two runs at a time: one leaves a text wherever it may, the other looks for it, during and after. Each failure in
    a sentence."""
    text = f"note {secrets.token_hex(8)}"
    notes: list[Mapping[str, Any]] = []
    searches: list[Mapping[str, Any]] = []
    harm: list[str] = []
    over = trio.Event()

    async def run(outputs: list[Mapping[str, Any]], *words: str) -> None:
        spec = RunSpec(
            argv=(python, "main.py", *words),
            limits=limits(memory_bytes=256 << 20),
            files_in=(FileIn("main.py", NEIGHBOUR),),
            env=(("NOTE", text),) if outputs is notes else (),
        )
        outcome = await arena.box.run(spec)
        if outcome.verdict is RunVerdict.OK:
            outputs.append(json.loads(outcome.stdout))
        else:
            harm.append(f"{words[0]} ended with {described(outcome)}")

    async def leave_note() -> None:
        await run(notes, "hold", text, str(HOLD_MS))
        over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave_note)
        while not over.is_set():
            await run(searches, "search", text[::-1])
    await run(searches, "search", text[::-1])
    for note in notes:
        if not any(note["began"] < one["ended"] and one["began"] < note["ended"] for one in searches):
            harm.append(f"no search ran beside the other run: {note}, {searches}")
        if not note["places"]:
            harm.append(f"nothing could be left to be found: {note}")
    return harm + [f"search found {path}" for one in searches for path in one["found"]]


def described(outcome: RunOutcome) -> str:
    stderr = outcome.stderr.decode(errors="replace")
    return f"{outcome.verdict} {outcome.rule}, {outcome.sandbox_error}: {stderr[-500:]}"


def blind(directory: Path, python: str) -> list[str]:
    """A sentence if the search does not even find an unconfined neighbour's text: then it proves nothing."""
    text = f"note {secrets.token_hex(8)}"
    (directory / NAME).write_text(text)
    done = subprocess.run(
        [python, NEIGHBOUR, "search", text[::-1]],
        cwd=directory, capture_output=True, check=True, timeout=START_S,
    )  # fmt: skip
    seen = json.loads(done.stdout)
    return [] if seen["found"] else [f"outside of the sandbox the search found nothing: {seen}"]


async def hold(programs: Path, words: Sequence[str], directory: Path) -> dict[str, Any]:
    """The hostile rows, while a node runs beside them."""
    place = directory / "arena"
    place.mkdir()
    python = "/usr/bin/python3"
    harm = blind(directory, python)
    rows = [one for one in TABLE if one.name in NAMES]
    rows.append(row("secrets", "OK", program="files files_of", words=tuple(words), answers=CLOSED))
    with canaries() as survivors, node(directory / "log") as running:
        before = lasting(running.pid)
        if {name for _, name in before} != set(LASTING) or not is_ready():
            log = (directory / "log").read_text(errors="replace")
            harm.append(f"make run is not up: {sorted(before)}; {log[-2000:]}")
        async with Arena.open(programs, place, slots=2, min_isolation=Isolation.WEAK) as arena:
            for one in rows:
                harm += [f"{one.name}: {line}" for line in await arena.check(one)]
            harm += [f"neighbours: {line}" for line in await neighbours(arena, python)]
            isolation, reasons = arena.box.isolation, arena.box.preflight.reasons
        harm += [f"the process {one.pid} of {uid} was killed" for one, uid in survivors if one.poll() is not None]
        harm += [f"the node's process {name} ({pid}) is gone" for pid, name in before - lasting(running.pid)]
        if running.poll() is not None or not is_ready():
            harm.append(f"make run did not survive: {(directory / 'log').read_text(errors='replace')[-2000:]}")
    return {"isolation": isolation, "reasons": reasons, "harm": harm}


def main() -> None:
    programs, *words = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="contained-") as made:
        seen = trio.run(functools.partial(hold, Path(programs), words, Path(made)))
    print(json.dumps(seen))  # noqa: T201


if __name__ == "__main__":
    main()
