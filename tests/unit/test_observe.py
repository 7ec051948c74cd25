"""Metrics under the contract's names, all of them fed; log lines with declared fields and without secrets."""

from __future__ import annotations

import ast
import io
import json
import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest
import trio
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from deepoj import observe
from deepoj.observe import Identity, Metrics, bound, configure, log, logs, throttle
from deepoj.observe.fields import FIELDS, SECRET_FIELDS, UndeclaredField

PACKAGE = Path(__file__).parents[2] / "deepoj"

#: contract §7: name, the role whose ``service`` it carries, its own labels
CONTRACT = """
http_requests_total api method,path,status
http_request_duration_seconds api method,path,status
submission_total api language,status
submission_batch_lines_total api result
submit_429_total api reason
api_backpressure_reject_total api reason
api_outbox_dispatch_total api status,reason
api_outbox_dispatch_latency_seconds api
api_outbox_pending api
api_outbox_lane_pending api lane
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
contests_running scheduler
contest_events scheduler
contest_advance_total scheduler result
rejudge_previews_running scheduler
dlq_size scheduler
worker_task_total worker status
worker_task_duration_seconds worker
worker_compile_duration_seconds worker
worker_download_duration_seconds worker
worker_unzip_duration_seconds worker
worker_testcase_cache_total worker result
worker_compile_early_total worker result
worker_compile_cache_total worker result
worker_live_tests_total worker result
worker_preview_jobs_total worker result
worker_reruns_total worker result
api_connections api
api_connections_evicted_total api reason
api_unsent_bytes api
api_connections_refused_total api reason
auth_429_total api reason
api_untrusted_forwarded_total api
api_live_streams api
api_live_streams_refused_total api reason
api_live_events_total api
web_requests_total api group,status
web_request_duration_seconds api group
web_live_streams api
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
contest_queue_wait_seconds worker
job_end_to_end_seconds worker
canary_failures_total worker case
sandbox_isolation worker level
job_stage_seconds main stage
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
        "level", "child", "case", "field", "group",
        "lane", "stage",
    }  # fmt: skip


def test_every_metric_is_fed_by_the_program() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.parent.name != "observe")
    used = set(re.findall(r"metrics\.([a-z_0-9]+)", source))
    dead = sorted(set(instruments(Metrics())) - used)
    assert not dead, f"declared in deepoj/observe/metrics.py, but never fed: {', '.join(dead)}"


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
def lines() -> io.StringIO:
    out = io.StringIO()
    configure("json", stream=out, strict=True)
    return out


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
    with pytest.raises(UndeclaredField, match="declare shoe_size"):
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
        log("child_fell", level="error", exc_info=True, child="api")
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


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "begin"),
    [
        ({"TERM": "xterm", "NO_COLOR": ""}, r"\x1b\[K\x1b\["),
        ({"TERM": "xterm", "NO_COLOR": "1"}, r"\x1b\[K\d"),
        ({"TERM": "dumb", "NO_COLOR": ""}, r"\d"),
    ],
)
def test_line_on_a_terminal_clears_progress_and_follows_no_color(
    monkeypatch: pytest.MonkeyPatch, lines: io.StringIO, environ: dict[str, str], begin: str
) -> None:
    del lines  # for its restoring of the settings
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    terminal = FakeTerminal()
    configure("auto", stream=terminal)
    log("node_up")
    assert re.match(begin, terminal.getvalue())


def test_every_log_call_of_the_program_uses_declared_fields() -> None:
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if not _is_log_call(call):
                continue
            names = {keyword.arg for keyword in call.keywords if keyword.arg} - {"level", "text", "exc_info", "often"}
            wrong += [f"{path.relative_to(PACKAGE.parent)}:{call.lineno} {name}" for name in sorted(names - FIELDS)]
    assert not wrong, f"declare these fields in deepoj/observe/fields.py, or use declared ones: {', '.join(wrong)}"


def _is_log_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="log") | ast.Attribute(value=ast.Name(id="observe"), attr="log"):
            return True
        case _:
            return False


# -- repetitions


class Throttled:
    """Logs with a clock that a test moves."""

    def __init__(self, out: io.StringIO, style: observe.LogStyle = "json") -> None:
        self.out, self.now = out, 0.0
        configure(style, stream=out, throttle_s=10, clock=lambda: self.now)

    def said(self) -> list[tuple[str, int | None]]:
        """Each line's reason (or event) and count."""
        records = [json.loads(line) for line in self.out.getvalue().splitlines()]
        return [(record.get("reason", record["event"]), record.get("count")) for record in records]


@pytest.fixture
def throttled(lines: io.StringIO) -> Throttled:
    return Throttled(lines)


@pytest.mark.parametrize("beside", [False, True])
def test_a_loop_that_fails_every_200_ms_does_not_flood(throttled: Throttled, beside: bool) -> None:
    for number in range(301):  # a minute without Redis
        throttled.now = number * 0.2
        log("child_restart", level="warning", child="dispatcher", reason="Redis is away", job_id=f"j{number}")
        if beside:
            log("xack_ok")
    assert [said for said in throttled.said() if said[0] != "xack_ok"] == [
        ("Redis is away", None),
        *[("Redis is away", 50)] * 6,
    ]
    told = [json.loads(line) for line in throttled.out.getvalue().splitlines() if "Redis is away" in line]
    assert told[-1]["job_id"] == "j300"


def test_throttled_lines_are_counted_in_the_next_line_and_at_the_end(throttled: Throttled) -> None:
    for _ in range(3):
        log("xack_failed", level="warning", reason="away", job_id="j")
    throttled.now = 9
    log("claim")
    assert throttled.said() == [("away", None), ("claim", None)]
    throttled.now = 11
    with bound(trace_id="of somebody else"):
        log("xack_ok")
    assert throttled.said()[2:] == [("away", 2), ("xack_ok", None)]
    assert "trace_id" not in json.loads(throttled.out.getvalue().splitlines()[2])
    log("xack_failed", level="warning", reason="away")
    log("xack_failed", level="warning", reason="away")
    observe.flush()
    observe.flush()
    assert throttled.said()[4:] == [("away", 2)]
    log("xack_failed", level="warning", reason="away")
    throttled.now = 100
    log("xack_ok")  # nothing was counted: it is over
    log("xack_failed", level="warning", reason="away")
    assert throttled.said()[5:] == [("away", None), ("xack_ok", None), ("away", None)]


def test_each_complaint_is_throttled_by_itself_and_ordinary_lines_are_not(throttled: Throttled) -> None:
    for reason in ("a", "b", "a", "b"):
        log("child_restart", level="warning", child="api", reason=reason)
        log("child_restart", level="warning", child="live", reason=reason)
        log("xack_ok", reason="finalized")
    observe.flush()
    said = throttled.said()
    assert said.count(("finalized", None)) == 4
    assert [said.count((reason, count)) for reason in "ab" for count in (None, 1)] == [2, 2, 2, 2]


def test_counts_of_their_own_add_up_and_lines_that_come_often_can_be_throttled(throttled: Throttled) -> None:
    for count in (5, 7, 9):
        log("live_refused", level="error", count=count, reason="full")
        log("backpressure_pause", often=True, reason="no_free_slot")
    observe.flush()
    assert throttled.said() == [("full", 5), ("no_free_slot", None), ("full", 16), ("no_free_slot", 2)]
    assert "often" not in throttled.out.getvalue()


@pytest.mark.parametrize("style", ["json", "human"])
def test_a_repeated_traceback_is_counted_by_its_kind(lines: io.StringIO, style: observe.LogStyle) -> None:
    Throttled(lines, style)
    for kind in (ValueError, ValueError, KeyError):
        try:
            raise kind("x")
        except (ValueError, KeyError):
            log("http_error", level="error", exc_info=True, path="/p")
    observe.flush()
    assert lines.getvalue().count("Traceback") == 2
    assert re.search(r'"count": 1|count=1', lines.getvalue().splitlines()[-1])


def test_memory_for_different_complaints_is_bounded(throttled: Throttled) -> None:
    for number in range(3000):
        for _ in range(2):
            log("child_restart", level="warning", child="api", reason=str(number))
    # pytest has handlers of its own there
    (handler,) = [one for one in logging.getLogger().handlers if isinstance(one, logs._Lines)]
    assert len(handler._throttle._complaints) <= throttle._COMPLAINTS_MAX
    observe.flush()
    assert len(throttled.said()) == 6000  # each once, and once with its count


# -- the contract's events

#: contract §7: the event, and what its line must say
EVENTS = """
enqueue job_id stream_entry_id trace_id
claim job_id attempt_id stream_entry_id trace_id consumer
start_exec job_id attempt_id stream_entry_id trace_id
finish_exec job_id attempt_id stream_entry_id trace_id truncated_stdout truncated_stderr stdout_len stderr_len
db_finalize_ok job_id attempt_id stream_entry_id trace_id
db_finalize_rejected job_id attempt_id stream_entry_id trace_id reason
db_finalize_stale job_id attempt_id stream_entry_id trace_id reason
db_finalize_error job_id attempt_id stream_entry_id trace_id reason
xack_ok job_id attempt_id stream_entry_id trace_id reason
xack_skip job_id attempt_id stream_entry_id trace_id reason
reclaim_claimed job_id stream_entry_id
reclaim_skipped job_id stream_entry_id reason
backpressure_pause reason
repair_disabled
repair_started
repair_xadd job_id stream_entry_id trace_id reason
repair_cycle_end count
repair_cycle_error reason
gc_disabled
gc_started
stream_trim count
db_gc_plan count reason
db_gc_delete count
"""


def contract_events() -> dict[str, set[str]]:
    return {event: set(fields) for event, *fields in map(str.split, EVENTS.strip().splitlines())}


def test_every_event_of_the_contract_is_written_somewhere() -> None:
    written = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        written |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and path.stem != "observe"}
    assert set(contract_events()) <= written
