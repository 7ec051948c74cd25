"""Messages for tests with default values."""

from __future__ import annotations

from deepoj.words.jobs import Claim
from deepoj.words.playground import CustomClaim
from deepoj.words.problems import Problem
from deepoj.words.results import Report, TestResult, Verdict
from deepoj.words.sandbox import Isolation
from deepoj.words.stream import Entry


def a_problem(problem_id: int = 2001, *, data_hash: str = "ab" * 32) -> Problem:
    return Problem(
        id=problem_id,
        title="A+B",
        description="",
        difficulty="easy",
        time_limit_ms=1000,
        memory_limit_mb=128,
        compare="tokens",
        data_path=f"problems/{problem_id}.zip",
        data_hash=data_hash,
    )


def a_claim(job_id: str = "job-1", attempt_id: int = 1, *, entry_id: str = "1-0", owner: str = "node-a") -> Claim:
    return Claim(
        job_id=job_id,
        attempt_id=attempt_id,
        judging=1,
        lease_owner=owner,
        entry_id=entry_id,
        user_id=1001,
        language="cpp17",
        code="int main(){}",
        trace_id="trace-1",
        problem=a_problem(),
        waited_ms=3,
    )


def a_custom_claim(
    language: str = "cpp17", *, code: str = "int main(){}", stdin: bytes = b"1 2\n", memory_limit_kb: int = 65_536
) -> CustomClaim:
    return CustomClaim(
        run_id="run-1", attempt_id=1, lease_owner="node-a", user_id=1001, language=language, code=code, stdin=stdin,
        time_limit_ms=1500, memory_limit_kb=memory_limit_kb, trace_id="trace-1", at_ms=0, waited_ms=3,
    )  # fmt: skip


def an_entry(job_id: str = "job-1", *, entry_id: str = "1-0") -> Entry:
    return Entry(
        entry_id=entry_id, job_id=job_id, enqueue_ts_ms=1, payload_ref=f"deepoj:task:payload:{job_id}", priority=0,
        event_id=1,
    )  # fmt: skip


def a_report(status: Verdict = Verdict.ACCEPTED) -> Report:
    return Report(
        status=status,
        score=100.0 if status is Verdict.ACCEPTED else 0.0,
        time_used_ms=2,
        memory_used_kb=1500,
        wall_ms=3,
        language="cpp17",
        problem_version="1",
        isolation=Isolation.NAMESPACES,
        compile=None,
        tests=(TestResult(name="1", status=status),),
    )
