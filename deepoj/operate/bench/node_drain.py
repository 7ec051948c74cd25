"""How fast a node drains a queue of fresh submissions with ten tests each, beside the same work done bare.

Bare: as many threads as there are cores, each compiles a program as the node's language does, without its caches, and
runs it on each test with stdin and stdout in files. Node and bare alternate, over equally many new programs.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from deepoj.judging.languages import LANGUAGES, Language, Toolchain
from deepoj.operate.bench.node import START_S
from deepoj.operate.bench.node_latency import Submitter
from deepoj.words.errors import StartRefused

TESTS = 10
#: how long a loaded host may need for the whole queue
_DRAIN_S = 600.0
_MEMORY_MB = 128
#: language → its program; ``nonce`` makes it a new one
SOURCES: Mapping[str, str] = {
    "cpp17": """#include <iostream>
int main() {
    long long a, b;
    std::cin >> a >> b;
    std::cout << a + b << std::endl;
}
// {nonce}
""",
    "python3": "print(sum(map(int, input().split())))\n# {nonce}\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Programs a second, bare and by the node."""

    bare_per_s: float
    per_s: float

    @property
    def ratio(self) -> float:
        return round(self.per_s / self.bare_per_s, 3)


def drain(submitter: Submitter, key: str, toolchain: Toolchain, *, count: int, rounds: int) -> Drain:
    """Measure one language, with ``count`` programs in each of the rounds."""
    # Not measured: the first programs fetch the test data, and are compiled while their header is being precompiled. Of
    # 60 programs these were 8, which took four times as long. With a few programs some are still among those measured.
    _by_node(submitter, key, count)
    bare_s, node_s = 0.0, 0.0
    for number in range(rounds):
        for is_bare in (True, False) if number % 2 else (False, True):
            if is_bare:
                bare_s += _bare(LANGUAGES[key], toolchain, count)
            else:
                node_s += _by_node(submitter, key, count)
    return Drain(bare_per_s=rounds * count / bare_s, per_s=rounds * count / node_s)


def _fresh(key: str) -> str:
    return SOURCES[key].replace("{nonce}", secrets.token_hex(8))


def _by_node(submitter: Submitter, key: str, count: int) -> float:
    """Return the seconds from the first submit to the last verdict, by the database's clock."""
    problem_id = submitter.problems[TESTS]
    jobs = [submitter.submit({"problem_id": problem_id, "language": key, "code": _fresh(key)}) for _ in range(count)]
    submitter.await_verdict(jobs[-1])
    moments: list[dt.datetime] = []
    with httpx.Client(
        base_url=submitter.base, headers=dict(submitter.headers), timeout=START_S, trust_env=False
    ) as client:
        deadline = time.monotonic() + _DRAIN_S
        for job_id in jobs:
            while True:
                found = client.get(f"/api/v1/submissions/{job_id}").raise_for_status().json()
                if found["state"] in {"done", "dead"}:
                    break
                if time.monotonic() > deadline:
                    raise StartRefused(f"the queue was not drained within {_DRAIN_S:g} s", 1)
                time.sleep(0.05)
            if found["status"] != "Accepted":
                raise StartRefused(f"a measured program in {key} was not accepted: {found['status']}", 1)
            moments += [dt.datetime.fromisoformat(found[name]) for name in ("created_at", "updated_at")]
    return (max(moments) - min(moments)).total_seconds()


def _bare(language: Language, toolchain: Toolchain, count: int) -> float:
    """Return the seconds that so many programs take, on all cores."""
    with tempfile.TemporaryDirectory(prefix="deepoj-bench-") as scratch:
        inputs = []
        for number in range(1, TESTS + 1):
            file = Path(scratch) / f"{number}.in"
            file.write_text(f"{number} 2\n")
            inputs.append(file)
        places = [Path(scratch) / f"program{number}" for number in range(count)]
        for place in places:
            place.mkdir()
        began = time.monotonic()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(lambda place: _one(language, toolchain, place, inputs), places))
        return time.monotonic() - began


def _one(language: Language, toolchain: Toolchain, place: Path, inputs: Sequence[Path]) -> None:
    """Compile a new program, where that makes something to run, and run it on each input."""
    source = place / language.source_name
    source.write_text(_fresh(language.key))
    run = [language.run_argv(toolchain, _MEMORY_MB)[0], str(source)]
    if language.artifact:
        argv = language.compile_argv(toolchain) or ()
        subprocess.run(argv, cwd=place, env=dict(language.compile_env), check=True)
        run = [str(place / language.artifact)]
    for file in inputs:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, str(file), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(place / "stdout"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        ]
        pid = os.posix_spawnp(run[0], run, {}, file_actions=actions)
        if os.waitpid(pid, 0)[1] != 0:
            raise StartRefused(f"{run[0]} does not run bare", 1)
