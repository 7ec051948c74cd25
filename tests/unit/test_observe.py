"""Metrics under the contract's names, all of them fed; log lines with declared fields and without secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from deepoj import observe
from deepoj.observe import FIELDS, SECRET_FIELDS, Identity, Metrics, bound, configure, log, logger

PACKAGE = Path(__file__).parents[2] / "deepoj"

#: contract §7: name, the role whose ``service`` it carries, its own labels
CONTRACT = """
http_requests_total api method,path,status
http_request_duration_seconds api method,path,status
submission_total api language,status
submit_429_total api reason
api_backpressure_reject_total api reason
api_outbox_dispatch_total api status,reason
api_outbox_dispatch_latency_seconds api
api_outbox_pending api
api_pressure_snapshot api field
api_stream_enqueue_total api status
stream_lag api
stream_backlog api
oldest_age_seconds api
webhook_deliveries_total api result
control_plane_only scheduler
legacy_loops_started scheduler
scheduler_active_workers scheduler
scheduler_repair_total scheduler result,reason
scheduler_stream_trim_total scheduler result
scheduler_db_gc_total scheduler result,reason
scheduler_object_gc_total scheduler result
dlq_size scheduler
worker_task_total worker status
worker_task_duration_seconds worker
worker_compile_duration_seconds worker
worker_download_duration_seconds worker
worker_unzip_duration_seconds worker
worker_testcase_cache_total worker result
worker_compile_cache_total worker result
worker_live_tests_total worker result
api_live_streams api
api_live_streams_refused_total api reason
api_live_events_total api
worker_compile_headers_total worker result
custom_run_total api language,status
worker_custom_run_total worker status
worker_custom_run_duration_seconds worker
worker_custom_run_wait_seconds worker
worker_custom_runs_inflight worker
judge_exec_duration_seconds worker result
judge_exec_inflight worker
judge_exec_total worker result
judge_verdict_total worker verdict
judge_protocol_errors_total worker reason
judge_output_truncated_total worker stream
worker_stream_consume_total worker status,reason
worker_stream_consume_latency_ms worker
worker_stream_inflight worker
worker_claim_total worker status,reason
worker_lease_heartbeat_total worker status,reason
worker_stale_attempt_total worker
worker_finalize_total worker status
worker_finalize_rejected_total worker reason
worker_finalize_errors_total worker
worker_finalize_latency_ms worker
worker_reclaim_total worker status,reason
worker_reclaim_latency_ms worker
worker_reclaim_inflight worker
job_queue_wait_seconds worker
job_end_to_end_seconds worker
canary_failures_total worker case
sandbox_isolation worker level
node_child_restarts_total main child
"""

type Instrument = Counter | Gauge | Histogram

IDENTITIES = {
    "api": Identity("deep-oj-api", "a"),
    "scheduler": Identity("deep-oj-scheduler", "s"),
    "worker": Identity("deep-oj-worker", "w"),
    "main": Identity("deep-oj-worker", "node"),
}


def instruments(metrics: Metrics) -> dict[str, Instrument]:
    """Attribute → metric, of every metric there is."""
    return {name: value for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)}


def feed_all(metrics: Metrics) -> None:
    for instrument in instruments(metrics).values():
        labels = {name: f"some_{name}" for name in instrument._labelnames}
        child: Any = instrument.labels(**labels) if labels else instrument
        child.observe(1.5) if isinstance(instrument, Histogram) else child.inc()


def test_names_labels_and_services_are_the_contracts() -> None:
    metrics = Metrics(**IDENTITIES)
    feed_all(metrics)
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        own = {frozenset(sample.labels) - {"service", "instance", "le"} for sample in family.samples}
        identities = {(sample.labels["service"], sample.labels["instance"]) for sample in family.samples}
        assert len(own) == len(identities) == 1, name
        found[name] = (own.pop(), identities.pop())
    expected = {}
    for line in CONTRACT.strip().splitlines():
        name, role, labels = (*line.split(), "")[:3]
        identity = IDENTITIES[role]
        expected[name] = (frozenset(filter(None, labels.split(","))), (identity.service, identity.instance))
    assert found == expected


def test_no_label_is_an_id_of_a_request() -> None:
    metrics = Metrics()
    feed_all(metrics)
    labels = {
        label
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {
        "service", "instance", "le", "method", "path", "status", "language", "reason", "result", "verdict", "stream",
        "level", "child", "case", "field",
    }  # fmt: skip


def test_every_metric_is_fed_by_the_program() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "observe.py")
    used = set(re.findall(r"metrics\.([a-z_0-9]+)", source))
    dead = sorted(set(instruments(Metrics())) - used)
    assert not dead, f"declared in deepoj/observe.py, fed by nobody: {', '.join(dead)}"


def test_waiting_is_measured_to_minutes() -> None:
    metrics = Metrics()
    for histogram in (metrics.queue_wait_seconds, metrics.end_to_end_seconds):
        assert max(bucket for bucket in histogram._upper_bounds if math.isfinite(bucket)) >= 600


def test_an_unknown_lag_is_not_zero() -> None:
    metrics = Metrics()
    metrics.stream_lag.set(math.nan)
    assert re.search(r"^stream_lag\{.*\} NaN$", metrics.render().decode(), re.MULTILINE)


def test_two_nodes_in_one_process_do_not_share_metrics() -> None:
    one, other = Metrics(), Metrics()
    one.stale_attempt.inc()
    assert b'worker_stale_attempt_total{instance="",service="deep-oj-worker"} 1.0' in one.render()
    assert b'worker_stale_attempt_total{instance="",service="deep-oj-worker"} 0.0' in other.render()


# -- logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    out = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure("json", stream=out, strict=True)
    yield out
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def last(lines: io.StringIO) -> dict[str, Any]:
    record = json.loads(lines.getvalue().splitlines()[-1])
    assert isinstance(record, dict)
    return record


def test_a_line_is_one_json_object_and_its_msg_begins_with_the_event(lines: io.StringIO) -> None:
    log("claim", job_id="j", attempt_id=3)
    record = last(lines)
    assert list(record)[:4] == ["ts", "level", "event", "msg"]
    assert (record["level"], record["event"], record["msg"]) == ("info", "claim", "event=claim")
    assert (record["job_id"], record["attempt_id"]) == ("j", 3)
    assert record["ts"].endswith("Z")
    log("scheduler_start", level="warning", text="控制面模式 dispatch_mode=streams_only")
    assert "控制面模式 dispatch_mode=streams_only" in lines.getvalue()
    assert last(lines)["msg"].startswith("event=scheduler_start 控制面模式")
    assert len(lines.getvalue().splitlines()) == 2


def test_levels_below_the_chosen_one_are_not_written(lines: io.StringIO) -> None:
    log("claim", level="debug")
    assert lines.getvalue() == ""


def test_an_undeclared_field_is_refused_in_tests_and_left_out_elsewhere(lines: io.StringIO) -> None:
    with pytest.raises(observe.UndeclaredField, match="declare shoe_size"):
        log("claim", shoe_size=43)
    configure("json", stream=lines)
    log("claim", shoe_size=43)
    record = last(lines)
    assert "shoe_size" not in record
    assert record["undeclared"] == ["shoe_size"]


@pytest.mark.parametrize("style", ["json", "human"])
@pytest.mark.parametrize("name", sorted(SECRET_FIELDS))
def test_code_and_secrets_never_reach_a_line(lines: io.StringIO, style: observe.LogStyle, name: str) -> None:
    configure(style, stream=lines)
    fields: dict[str, Any] = {name: "hunter2", name.upper(): "hunter2"}
    log("claim", job_id="j", **fields)
    log("claim", result={name: "hunter2", "status": "ok"})
    assert lines.getvalue()
    assert "hunter2" not in lines.getvalue()


@pytest.mark.parametrize("style", ["json", "human"])
def test_a_traceback_shows_no_local_variables(lines: io.StringIO, style: observe.LogStyle) -> None:
    configure(style, stream=lines)
    password = "hunter2"
    try:
        raise ValueError(len(password))
    except ValueError:
        logger().exception("child_fell", child="api")
    assert "ValueError: 7" in lines.getvalue()
    assert "hunter2" not in lines.getvalue().replace('password = "hunter2"', "")


def test_secret_fields_are_not_declared() -> None:
    assert not FIELDS & SECRET_FIELDS


async def test_bound_fields_follow_the_task_and_its_children(lines: io.StringIO) -> None:
    async def child() -> None:
        log("claim")

    with bound(trace_id="t"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
    assert last(lines)["trace_id"] == "t"
    log("claim")
    assert "trace_id" not in last(lines)


def test_other_libraries_warnings_become_lines_of_ours(lines: io.StringIO) -> None:
    logging.getLogger("hypercorn.error").warning("port %s", 1)
    record = last(lines)
    assert (record["event"], record["msg"], record["logger"]) == ("library", "event=library port 1", "hypercorn.error")
    logging.getLogger("hypercorn.error").info("running")
    assert len(lines.getvalue().splitlines()) == 1


def test_lines_for_people_are_short(lines: io.StringIO) -> None:
    configure("human", stream=lines)
    log("node_up", text="http://127.0.0.1:18080", roles="api")
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info\] node_up: http://127\.0\.0\.1:18080 roles=api\n", lines.getvalue())


def test_every_log_call_of_the_program_uses_declared_fields() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if not _is_log_call(call):
                continue
            names = {keyword.arg for keyword in call.keywords if keyword.arg} - {"level", "text", "exc_info"}
            wrong += [f"{path.relative_to(PACKAGE.parent)}:{call.lineno} {name}" for name in sorted(names - FIELDS)]
    assert not wrong, f"declare these fields in deepoj/observe.py, or use declared ones: {', '.join(wrong)}"


def _is_log_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="log") | ast.Attribute(value=ast.Name(id="observe"), attr="log"):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id="logger") | ast.Attribute(attr="logger"))):
            return True
        case _:
            return False
