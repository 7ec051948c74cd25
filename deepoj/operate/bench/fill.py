"""Filling a bench home's tables by COPY, and its stream: jobs that wait, and jobs that are finished."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deepoj.adapters.embedded.home import EmbeddedHome
from deepoj.adapters.embedded.postgres import find_install
from deepoj.adapters.pg.job_ids import job_id_of
from deepoj.adapters.redis.stream import RedisStream
from deepoj.words.errors import StartRefused
from deepoj.words.outbox import OutboxEvent

#: entries a round trip
CHUNK = 500
#: as long as what people send, more or less
CODE = '#include <cstdio>\\\\nint main(){int a,b;scanf("%d%d",&a,&b);printf("%d",a+b);}\\\\n// '


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose jobs they are, and of which problem."""

    user_id: int
    problem_id: int


def psql(home: EmbeddedHome, *statements: str, rows: Iterable[str] = ()) -> str:
    """Runs statements with the wheel's psql; ``rows`` go to the COPY … FROM STDIN among them."""
    command = [str(find_install() / "bin" / "psql"), home.database_url, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    for statement in statements:
        command += ["-c", statement]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("Popen was asked for pipes")
        try:
            process.stdin.writelines(f"{row}\n" for row in rows)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says on stderr why it left
        said, complaint = process.stdout.read(), process.stderr.read()
    if process.returncode != 0:
        raise StartRefused(f"psql: {complaint.strip()}", 3)
    return said.strip()


def _jobs(count: int) -> list[str]:
    """Job ids as they are given out, of a job a second until now."""
    chance = random.Random(count)  # noqa: S311 - filling, not a secret
    first_ms = time.time_ns() // 1_000_000 - count * 1000
    return [job_id_of(first_ms + number * 1000, chance.getrandbits(80)) for number in range(count)]


def finished(home: EmbeddedHome, owner: Owner, count: int, stream_key: str) -> None:
    """``count`` finished jobs, each with its delivered event and two rows in the ledger."""
    result = json.dumps({"status": "Accepted", "time_used": 2, "tests": [{"name": str(n)} for n in range(10)]})
    jobs = _jobs(count)
    _copy_submissions(home, owner, jobs, stream_key, f"Accepted\tdone\t1\t1\t{result}")
    _copy_events(home, jobs, stream_key, [f"1-{number}" for number in range(count)])
    columns = "job_id, judging, attempt_id, event, node, stream_entry_id, outcome"

    def ledger() -> Iterator[str]:
        for number, job_id in enumerate(jobs):
            yield f"{job_id}\t1\t1\tclaimed\tbench\t1-{number}\t\\N"
            yield f"{job_id}\t1\t1\tfinalized\tbench\t1-{number}\tAccepted"

    psql(home, f"COPY attempts ({columns}) FROM STDIN", rows=ledger())
    settle(home)


async def waiting(home: EmbeddedHome, owner: Owner, count: int, stream: RedisStream) -> None:
    """``count`` jobs that wait in the stream."""
    jobs = _jobs(count)
    _copy_submissions(home, owner, jobs, stream.stream_key, "pending\tpending\t0\t0\t\\N")
    entries: list[str] = []
    for start in range(0, count, CHUNK):
        entries += await stream.publish(
            [
                OutboxEvent(
                    id=number, job_id=job_id, stream_key=stream.stream_key, enqueue_ts_ms=1, priority=0, payload="{}",
                    attempts=1,
                )
                for number, job_id in enumerate(jobs[start : start + CHUNK])
            ]
        )  # fmt: skip
    _copy_events(home, jobs, stream.stream_key, entries)
    settle(home)


def settle(home: EmbeddedHome) -> None:
    """What autovacuum would do in the next minutes, done before anything is measured."""
    psql(home, "VACUUM (ANALYZE) submissions, outbox_events, attempts")


def _copy_submissions(home: EmbeddedHome, owner: Owner, jobs: list[str], stream_key: str, end: str) -> None:
    columns = (
        "job_id, problem_id, user_id, code, language, time_limit, memory_limit, code_hash, deduplicates, stream_key,"
        " status, state, attempt_id, judging_attempts, result"
    )
    same, rest = f"{owner.problem_id}\t{owner.user_id}", f"{stream_key}\t{end}"
    psql(
        home,
        f"COPY submissions ({columns}) FROM STDIN",
        rows=(
            f"{job_id}\t{same}\t{CODE}{job_id}\tcpp17\t1000\t131072\t\\\\x{job_id.replace('-', '')}\tt\t{rest}"
            for job_id in jobs
        ),
    )


def _copy_events(home: EmbeddedHome, jobs: list[str], stream_key: str, entries: list[str]) -> None:
    columns = "event_type, job_id, stream_key, enqueue_ts, payload, status, dispatched_at, stream_entry_id"
    psql(
        home,
        f"COPY outbox_events ({columns}) FROM STDIN",
        rows=(
            f"submit\t{job_id}\t{stream_key}\t1\t{{}}\tdelivered\tnow\t{entry}"
            for job_id, entry in zip(jobs, entries, strict=True)
        ),
    )
