"""Submissions through a real node: each verdict, the trace, the weight of the node and its metrics."""

from __future__ import annotations

import json
import math
import os

import httpx
import pytest

from deepoj.operate.bench.node import ours, pss_kb_of
from deepoj.words.sandbox import Isolation
from tests import host
from tests.e2e.nodes import ACCEPTED, BROKEN, ENDLESS, SLEEPS, WRONG, Node, bearer, package, total, until

#: the most that a node may weigh when idle
LIGHT_KB = 120 * 1024


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token()


@pytest.fixture(scope="module")
def problem_id(node: Node, token: str) -> int:
    return node.problem(token)


def test_accepted_shows_each_tests_time_and_memory(node: Node, token: str) -> None:
    three = package({f"{n}.in": f"{n} 1\n" for n in (1, 2, 10)} | {f"{n}.ans": f"{n + 1}\n" for n in (1, 2, 10)})
    seen = node.judged(token, node.problem(token, data=three), ACCEPTED)
    tests = seen["data"]["tests"]
    assert [test["name"] for test in tests] == ["1", "2", "10"]
    assert all(test["memory_kb"] > 0 and test["cpu_ms"] >= 0 and test["wall_ms"] > 0 for test in tests)
    assert seen["data"]["memory_used"] == max(test["memory_kb"] for test in tests)
    assert seen["data"]["isolation"] in {host.level(), "full"}


def test_a_wrong_program(node: Node, token: str, problem_id: int) -> None:
    assert node.judged(token, problem_id, WRONG)["status"] == "Wrong Answer"


def test_a_broken_program_gets_the_compilers_words(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, BROKEN)
    assert seen["status"] == "Compile Error"
    assert "undeclared_name" in seen["data"]["compile"]["output"]
    assert seen["data"]["tests"] == []


def test_an_endless_loop(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, ENDLESS)
    assert seen["status"] == "Time Limit Exceeded"
    # by its CPU time, or on a loaded machine by the wall, which is further away
    assert seen["data"]["tests"][0]["wall_ms"] >= 1000


@pytest.mark.skipif((os.process_cpu_count() or 1) < 2, reason="a node on one CPU has one slot")
def test_tests_run_beside_each_other_where_slots_are_idle(node: Node, token: str) -> None:
    names = [str(number) for number in range(1, 7)]
    six = package({f"{name}.{end}": "1 2\n" for name in names for end in ("in", "ans")})
    job_id = node.submit(token, node.problem(token, data=six), SLEEPS)
    until(lambda: total(node.families()["judge_exec_inflight"]) >= 2, within_s=120, what="two tests at the same time")
    seen = node.verdict(token, job_id)
    assert seen["status"] == "Time Limit Exceeded"
    assert [test["name"] for test in seen["data"]["tests"]] == names


def test_a_crash(node: Node, token: str, problem_id: int) -> None:
    seen = node.judged(token, problem_id, "#include <cstdlib>\nint main(){ std::abort(); }")
    assert seen["status"] == "Runtime Error"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("c17", '#include <stdio.h>\nint main(void){int a,b;scanf("%d%d",&a,&b);printf("%d\\n",a+b);return 0;}'),
        ("cpp20", ACCEPTED),
        (3, "print(sum(map(int, input().split())))"),
        ("python3", "print(sum(map(int, input().split())))"),
    ],
)
def test_every_language_by_number_or_key(
    node: Node, token: str, problem_id: int, language: int | str, code: str
) -> None:
    assert node.judged(token, problem_id, code, language)["status"] == "Accepted"


def test_a_second_look_is_the_same(node: Node, token: str, problem_id: int) -> None:
    job_id = node.submit(token, problem_id, ACCEPTED)
    assert node.verdict(token, job_id) == node.status(token, job_id)


def test_one_trace_from_the_request_to_the_ack(node: Node, token: str, problem_id: int) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = node.client.post(
        "/api/v1/submit",
        json={"problem_id": problem_id, "language": "cpp17", "code": ACCEPTED + "// traced"},
        headers={"Authorization": f"Bearer {token}", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"},
    )
    node.verdict(token, answer.json()["job_id"])
    walk = {"submit", "enqueue", "claim", "start_exec", "finish_exec", "db_finalize_ok", "xack_ok"}

    def seen() -> set[str]:
        # the log is being written: its last line may be incomplete
        whole = [line for line in node.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return {line["event"] for line in map(json.loads, whole) if line.get("trace_id") == trace_id}

    until(lambda: walk <= seen(), within_s=120, what=f"the whole walk under one trace id: {seen()}")


@pytest.mark.needs("sight of other users' processes")
def test_a_node_that_has_judged_weighs_little(node: Node, token: str, problem_id: int) -> None:
    """The node and its launcher, without the embedded servers."""
    assert node.judged(token, problem_id, ACCEPTED + "// weighed")["status"] == "Accepted"
    assert len(ours(node.process.pid)) >= 2, "the launcher is missing"
    until(
        lambda: weight_kb(node.process.pid) <= LIGHT_KB,
        within_s=120,
        what=f"at most {LIGHT_KB} KB instead of {weight_kb(node.process.pid)}",
    )


def weight_kb(pid: int) -> float:
    """Return the PSS of the node and its processes without servers; infinite while one of them is just ending."""
    try:
        return sum(pss_kb_of(one) for one in ours(pid))
    except (FileNotFoundError, ProcessLookupError):
        return math.inf


#: metrics that ordinary submissions change
MOVED = {
    "api_connections",
    "api_outbox_dispatch_latency_seconds",
    "api_outbox_dispatch_total",
    "api_pressure_snapshot",
    "api_stream_enqueue_total",
    "control_plane_only",
    "http_request_duration_seconds",
    "http_requests_total",
    "job_end_to_end_seconds",
    "job_queue_wait_seconds",
    "job_stage_seconds",
    "judge_exec_duration_seconds",
    "judge_exec_total",
    "judge_verdict_total",
    "sandbox_isolation",
    "scheduler_active_workers",
    "scheduler_repair_total",
    "submission_total",
    "worker_claim_total",
    "worker_compile_early_total",
    "worker_compile_cache_total",
    "worker_compile_duration_seconds",
    "worker_compile_headers_total",
    "worker_download_duration_seconds",
    "worker_finalize_latency_ms",
    "worker_finalize_total",
    "worker_lease_heartbeat_total",
    "worker_live_tests_total",
    "worker_reclaim_latency_ms",
    "worker_stream_consume_latency_ms",
    "worker_stream_consume_total",
    "worker_task_duration_seconds",
    "worker_task_total",
    "worker_testcase_cache_total",
    "worker_unzip_duration_seconds",
}

#: metrics that they do not change, and why
STILL = {
    "api_connections_evicted_total": "connections are few",
    "api_connections_refused_total": "connections are few",
    "api_unsent_bytes": "every client reads its answers",
    "api_untrusted_forwarded_total": "no proxy is in front",
    "auth_429_total": "hardly a password is wrong",
    "api_live_events_total": "no client watches",
    "api_live_streams": "0 without a watcher",
    "api_live_streams_refused_total": "no client watches",
    "api_backpressure_reject_total": "an ordinary day is no backlog",
    "api_outbox_pending": "0 when nothing waits",
    "api_outbox_lane_pending": "0 when nothing waits",
    "canary_failures_total": "every canary is as expected",
    "contest_advance_total": "there is no contest",
    "contest_events": "0 without a contest",
    "contest_queue_wait_seconds": "there is no contest",
    "contests_running": "0 without a contest",
    "custom_run_total": "there is no custom run",
    "dlq_size": "0 while no letter is dead",
    "judge_exec_inflight": "0 when nothing runs",
    "judge_output_truncated_total": "no program prints more than is kept",
    "judge_protocol_errors_total": "the sandbox makes sense",
    "legacy_loops_started": "0 by contract",
    "node_child_restarts_total": "no child falls",
    "oldest_age_seconds": "0 when nothing waits",
    "rejudge_previews_running": "0 without a preview",
    "worker_preview_jobs_total": "there is no preview",
    "worker_reruns_total": "the jury looks at no output",
    "scheduler_db_gc_total": "the gc is off unless it is asked for",
    "scheduler_object_gc_total": "the gc is off unless it is asked for",
    "scheduler_stream_trim_total": "the gc is off unless it is asked for",
    "stream_backlog": "0 when nothing waits",
    "stream_lag": "0 when nothing waits",
    "submission_batch_lines_total": "there is no batch",
    "submit_429_total": "no user submits more than is allowed",
    "web_live_streams": "a program asks, not a page",
    "web_request_duration_seconds": "a program asks, not a page",
    "web_requests_total": "a program asks, not a page",
    "webhook_deliveries_total": "no submission has a callback",
    "worker_custom_run_duration_seconds": "there is no custom run",
    "worker_custom_run_total": "there is no custom run",
    "worker_custom_run_wait_seconds": "there is no custom run",
    "worker_custom_runs_inflight": "0 without a custom run",
    "worker_finalize_errors_total": "the database is there",
    "worker_finalize_rejected_total": "no lease is lost",
    "worker_reclaim_inflight": "no node dies with a job in hand",
    "worker_reclaim_total": "no node dies with a job in hand",
    "worker_stale_attempt_total": "no lease is lost",
    "worker_stream_inflight": "0 when nothing is in hand",
}


@pytest.mark.parametrize("port", ["api", "scheduler", "worker"])
def test_a_node_of_deepoj_up_shows_metrics_to_the_token_of_its_home_alone(node: Node, port: str) -> None:
    url = f"http://127.0.0.1:{node.ports[port]}/metrics"
    for headers in ({}, bearer("guessed")):
        assert node.client.get(url, headers=headers).status_code == httpx.codes.UNAUTHORIZED
    assert node.metrics_token == ""
    assert "http_requests_total" in str(node.metrics(port))


def test_every_metric_of_an_ordinary_day_has_moved(node: Node, token: str) -> None:
    """The last test; alone it makes all the submissions that it needs."""
    problem_id = node.problem(token)
    job_id = node.submit(token, problem_id, ENDLESS + "// for some heartbeats")
    node.verdict(token, job_id)
    assert node.judged(token, problem_id, ACCEPTED)["status"] == "Accepted"
    assert set(node.families()) == MOVED | set(STILL), "a new metric: does an ordinary day move it?"

    # at weak no directory can be shown to programs, so there is no header cache
    moving = MOVED - ({"worker_compile_headers_total"} if host.level() is Isolation.WEAK else set())

    def unmoved() -> list[str]:
        return sorted(name for name, family in node.families().items() if name in moving and not total(family) > 0)

    # loops with a period of some seconds feed some of them
    until(lambda: not unmoved(), within_s=300, what=f"all have moved; not yet: {unmoved()}")
    at_rest = [name for name, why in STILL.items() if why.startswith("0 ")]
    until(
        lambda: not any(node.measured(name) for name in at_rest),
        within_s=300,
        what=f"these are at rest: {at_rest}",
    )
    assert node.measured("judge_protocol_errors_total") == 0
    text = node.metrics()
    assert text is not None
    assert job_id not in text
