"""Every metric and every log field, declared once.

Metrics: one :class:`Metrics` per process, on a registry of its own (without the library's process collectors). Callers
write ``metrics.claim.labels(status="won", reason="").inc()``. An attribute is the contract's name without the prefix
``worker_``, ``api_`` or ``scheduler_`` and without the suffix ``_total``. The contract's labels ``service`` and
``instance`` are added when the registry is read, so they cost nothing when a metric is changed. ``service`` follows the
metric's role (API, scheduler, worker), in any process. No label ever holds a job id or another id of one request.

Logs: ``log("claim", job_id=…, attempt_id=…)`` writes one JSON object per line to stderr with ``ts``,
``level``, ``event`` and a ``msg`` that begins ``event=claim``. A field must be one of :data:`FIELDS`. Fields that could
hold source code or a secret are always dropped. Repeated lines are written once, and then counted (:class:`Throttle`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deepoj.words.sandbox import Isolation

# ---------------------------------------------------------------------------------------------------------------------
# Metrics

#: seconds; for a request, a query, an enqueue
FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: seconds; for compiling, judging, downloading
WORK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)
#: seconds; for waiting in the queue and for the time from submit to verdict: up to a quarter of an hour
WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900)
#: milliseconds, for metrics whose name says ms
FAST_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)

#: the values of the label ``level``
ISOLATION_LEVELS = tuple(level.value for level in Isolation)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Identity:
    """The labels ``service`` and ``instance`` of one role's metrics."""

    service: str
    instance: str


class _Labelled(Collector):
    """Returns the metrics of one role with its identity on every sample."""

    def __init__(self, registry: CollectorRegistry, identity: Identity) -> None:
        self._registry = registry
        self._labels = {"service": identity.service, "instance": identity.instance}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**self._labels, **sample.labels})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric


class _Declare:
    """Declares metrics of one role on one registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)

    def counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)

    def measured(self, name: str, help_text: str) -> Gauge:
        """Return a gauge that is NaN, unknown, until it is measured. Most processes never measure it, and a 0 from them
        would say that nothing waits."""
        gauge = self.gauge(name, help_text)
        gauge.set(math.nan)
        return gauge

    def histogram(self, name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, help_text, labels, registry=self.registry, buckets=buckets)


class Metrics:
    """Every metric of the process. Units are in the metrics' names: seconds, or milliseconds where they say ``_ms``.

    ``main``: the identity of the metrics of the node as a whole (restarts of its children).
    """

    def __init__(
        self,
        *,
        api: Identity = Identity("deep-oj-api", ""),
        scheduler: Identity = Identity("deep-oj-scheduler", ""),
        worker: Identity = Identity("deep-oj-worker", ""),
        main: Identity | None = None,
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        for identity, declare in (
            (api, self._declare_api),
            (scheduler, self._declare_scheduler),
            (worker, self._declare_worker),
            (main or api, self._declare_node),
        ):
            role = _Declare()
            declare(role)
            self.registry.register(_Labelled(role.registry, identity))

    def render(self) -> bytes:
        """Return the whole registry in Prometheus's text format (:data:`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _declare_api(self, to: _Declare) -> None:
        #: ``path`` is the route's template, never the path as sent
        self.http_requests = to.counter("http_requests_total", "HTTP requests", "method", "path", "status")
        self.http_request_duration_seconds = to.histogram(
            "http_request_duration_seconds", "Time to answer", FAST_S, "method", "path", "status"
        )
        self.submission = to.counter("submission_total", "Submissions taken or refused", "language", "status")
        self.submit_429 = to.counter("submit_429_total", "Submissions answered 429", "reason")
        self.untrusted_forwarded = to.counter(
            "api_untrusted_forwarded_total", "Requests with X-Forwarded-For from an address that is no trusted proxy"
        )
        self.auth_429 = to.counter("auth_429_total", "Tries at passwords answered 429", "reason")
        self.connections = to.gauge("api_connections", "Connections that are open")
        self.connections_evicted = to.counter(
            "api_connections_evicted_total",
            "Connections given up, their clients awaited for longest, so that others get in",
            "reason",
        )
        self.connections_refused = to.counter(
            "api_connections_refused_total",
            "Connections of which only probes are answered, or that are closed unserved, because there is no room",
            "reason",
        )
        self.live_streams = to.gauge("api_live_streams", "Event streams that are open")
        self.live_streams_refused = to.counter(
            "api_live_streams_refused_total",
            "Event streams answered 429: too many of one user, address or the node; displaced: ended for others",
            "reason",
        )
        self.live_events = to.counter("api_live_events_total", "Events sent to event streams")
        self.custom_run = to.counter("custom_run_total", "Custom runs taken or refused", "language", "status")
        self.backpressure_reject = to.counter(
            "api_backpressure_reject_total", "Submissions and runs refused because too much waits", "reason"
        )
        self.outbox_dispatch = to.counter(
            "api_outbox_dispatch_total", "Outbox events brought to the stream or not", "status", "reason"
        )
        self.outbox_dispatch_latency_seconds = to.histogram(
            "api_outbox_dispatch_latency_seconds", "Bringing one batch of outbox events to the stream", FAST_S
        )
        #: NaN for an unknown field
        self.pressure_snapshot = to.gauge("api_pressure_snapshot", "What waits, field by field (runbook 4.3)", "field")
        self.outbox_pending = to.measured("api_outbox_pending", "Outbox events that wait, at most 10000 of a lane")
        self.outbox_lane_pending = to.gauge(
            "api_outbox_lane_pending", "Outbox events that wait in a lane, at most 10000", "lane"
        )
        self.stream_enqueue = to.counter("api_stream_enqueue_total", "Entries added to the stream", "status")
        #: NaN when Redis does not know it: unknown is not 0
        self.stream_lag = to.measured("stream_lag", "Entries the group has not read yet; NaN when unknown")
        self.stream_backlog = to.measured("stream_backlog", "Entries not read or not acknowledged yet")
        self.oldest_age_seconds = to.measured("oldest_age_seconds", "Age of the oldest unfinished work; 0 without any")
        #: delivered, retry, given_up; superseded: another node had taken it by then; unsettled: the database was away
        self.webhook_deliveries = to.counter("webhook_deliveries_total", "Tries to deliver a webhook", "result")

    def _declare_scheduler(self, to: _Declare) -> None:
        self.control_plane_only = to.gauge("control_plane_only", "1: no job ever passes through the scheduler")
        self.legacy_loops_started = to.gauge("legacy_loops_started", "Loops of the old data plane: always 0")
        self.active_workers = to.measured("scheduler_active_workers", "Consumers of the group that are alive")
        self.repair = to.counter(
            "scheduler_repair_total", "Jobs put back by repair, and its rounds", "result", "reason"
        )
        self.dlq_size = to.measured("dlq_size", "Dead letters that wait for an administrator")
        self.stream_trim = to.counter("scheduler_stream_trim_total", "Trims of the stream", "result")
        self.db_gc = to.counter("scheduler_db_gc_total", "Rows past their retention, or rounds", "result", "reason")

        self.object_gc = to.counter("scheduler_object_gc_total", "Packages deleted that no problem names", "result")

    def _declare_worker(self, to: _Declare) -> None:
        self.task = to.counter("worker_task_total", "Attempts that ended", "status")
        self.task_duration_seconds = to.histogram(
            "worker_task_duration_seconds", "From claim to the attempt's end", WORK_S
        )
        self.compile_duration_seconds = to.histogram(
            "worker_compile_duration_seconds", "Compiling one submission", WORK_S
        )
        self.compile_cache = to.counter("worker_compile_cache_total", "Compilations looked up on disk", "result")
        self.compile_headers = to.counter(
            "worker_compile_headers_total", "Compilations that could use a precompiled header", "result"
        )
        self.download_duration_seconds = to.histogram(
            "worker_download_duration_seconds", "Fetching one test package", WORK_S
        )
        self.unzip_duration_seconds = to.histogram(
            "worker_unzip_duration_seconds", "Unpacking one test package", WORK_S
        )
        self.testcase_cache = to.counter("worker_testcase_cache_total", "Look-ups of test data on disk", "result")

        self.judge_exec_duration_seconds = to.histogram(
            "judge_exec_duration_seconds", "One execution in the sandbox", WORK_S, "result"
        )
        self.judge_exec_inflight = to.gauge("judge_exec_inflight", "Executions in the sandbox now")
        self.judge_exec = to.counter("judge_exec_total", "Executions in the sandbox", "result")
        self.judge_verdict = to.counter("judge_verdict_total", "Final verdicts", "verdict")
        self.judge_protocol_errors = to.counter(
            "judge_protocol_errors_total", "Answers of the sandbox that violate its protocol", "reason"
        )
        self.judge_output_truncated = to.counter("judge_output_truncated_total", "Streams kept only in part", "stream")

        self.live_tests = to.counter("worker_live_tests_total", "Ended tests shown while judging goes on", "result")

        self.stream_consume = to.counter("worker_stream_consume_total", "Entries read", "status", "reason")
        self.stream_consume_latency_ms = to.histogram(
            "worker_stream_consume_latency_ms", "One read of the stream that brought entries", FAST_MS
        )
        self.stream_inflight = to.gauge("worker_stream_inflight", "Jobs this node holds now")

        self.claim = to.counter("worker_claim_total", "Claims won or refused", "status", "reason")
        self.lease_heartbeat = to.counter("worker_lease_heartbeat_total", "Leases extended or lost", "status", "reason")
        self.stale_attempt = to.counter("worker_stale_attempt_total", "Verdicts refused: a newer attempt owns the job")
        self.finalize = to.counter("worker_finalize_total", "Verdicts offered to the database", "status")
        self.finalize_rejected = to.counter("worker_finalize_rejected_total", "Verdicts refused", "reason")
        self.finalize_errors = to.counter("worker_finalize_errors_total", "Verdicts without an answer")
        self.finalize_latency_ms = to.histogram("worker_finalize_latency_ms", "One finalize in the database", FAST_MS)

        self.reclaim = to.counter("worker_reclaim_total", "Entries taken over from others", "status", "reason")
        self.reclaim_latency_ms = to.histogram("worker_reclaim_latency_ms", "One round of XAUTOCLAIM", FAST_MS)
        self.reclaim_inflight = to.gauge("worker_reclaim_inflight", "Reclaimed jobs this node holds now")

        self.custom_run_end = to.counter("worker_custom_run_total", "Custom runs that ended", "status")
        self.custom_run_duration_seconds = to.histogram(
            "worker_custom_run_duration_seconds", "One attempt at a custom run", WORK_S
        )
        self.custom_run_wait_seconds = to.histogram(
            "worker_custom_run_wait_seconds", "From storing a custom run to its claim", WAIT_S
        )
        self.custom_runs_inflight = to.gauge("worker_custom_runs_inflight", "Custom runs this node holds now")

        self.queue_wait_seconds = to.histogram("job_queue_wait_seconds", "From submit to the won claim", WAIT_S)
        self.end_to_end_seconds = to.histogram("job_end_to_end_seconds", "From submit to the final verdict", WAIT_S)
        self.canary_failures = to.counter("canary_failures_total", "Rounds in which this canary differed", "case")
        #: 1 at this node's level, 0 at the others
        self.sandbox_isolation = to.gauge("sandbox_isolation", "1 at the isolation this node has", "level")

    def _declare_node(self, to: _Declare) -> None:
        self.child_restarts = to.counter("node_child_restarts_total", "Restarts of a supervised child", "child")


# ---------------------------------------------------------------------------------------------------------------------
# Logs

#: the fields of a log line; a new field is declared here first
FIELDS: frozenset[str] = frozenset(
    {
        # identities
        "job_id", "attempt_id", "judging", "event_id", "event_type", "stream_entry_id", "stream_key", "group",
        "consumer", "lease_owner", "node", "trace_id", "span_id", "request_id", "user_id", "by_user_id", "problem_id",
        "language",
        # outcomes
        "status", "state", "verdict", "rule", "reason", "result", "error", "error_code", "isolation", "exit_code",
        "exit_signal", "sandbox_error", "truncated_stdout", "truncated_stderr", "stdout_len", "stderr_len",
        # quantities and durations
        "attempts", "count", "in_hand", "pending", "lag", "xlen", "maxlen", "cursor", "waited_ms", "duration_ms",
        "cpu_ms", "wall_ms", "memory_kb", "size_bytes", "delay_s", "budget",
        # HTTP
        "method", "path", "http_status", "remote", "delivery_id", "target",
        # the node itself
        "child", "server", "role", "roles", "part", "pid", "signal", "host", "port", "address", "home", "version",
        "migration", "case", "expected", "found", "logger", "exception",
        # control plane, word for word from the runbook
        "dispatch_mode", "control_plane_only", "legacy_loops_started", "control_plane_loops_started",
    }
)  # fmt: skip

#: never written, in any log call and even if they are in the field list
SECRET_FIELDS: frozenset[str] = frozenset(
    {"code", "source", "password", "password_hash", "token", "authorization", "cookie", "secret", "jwt_secret",
     "secret_key", "access_key", "stdin", "stdout", "stderr", "payload"}
)  # fmt: skip

#: fields that structlog and this module add
_OWN = frozenset({"event", "level", "ts", "text", "msg", "exc_info", "stack_info", "often"})

#: two lines with equal values of these are the same complaint, even if job or request differ
_SAME = ("event", "reason", "child", "part", "case", "path", "logger", "text")
#: maximum number of complaints that are counted at a time; of more, the oldest is written
_COMPLAINTS_MAX = 256

LogStyle = Literal["auto", "json", "human"]
Level = Literal["debug", "info", "warning", "error"]
LEVELS: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
type EventDict = MutableMapping[str, Any]


class UndeclaredField(Exception):
    """A log call used a field that :data:`FIELDS` does not know (raised in tests only)."""


def log(event: str, /, *, level: Level = "info", text: str = "", often: bool = False, **fields: object) -> None:
    """Write one line. ``event`` is a word such as ``db_finalize_ok``; ``text`` follows it in ``msg``. ``often``: not a
    complaint, but throttled like one."""
    own = {"text": text} if text else {}
    logger().log(LEVELS[level], event, **own, **({"often": True} if often else {}), **fields)


def logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger, for what :func:`log` cannot do: tracebacks (``logger().exception("event", …)``)."""
    made: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return made


@contextlib.contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to every line written by this task and the tasks it starts, for instance ``bound(trace_id=…)``."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


type Clock = Callable[[], float]


@dataclass(slots=True)
class _Repeated:
    """One complaint: until when it is only counted, how often it occurred, and its latest line."""

    until: float
    count: int = 0
    line: EventDict | None = None


class Throttle:
    """Writes the first of repeated complaints (lines of level warning or worse), then one line per ``window_s`` seconds
    whose ``count`` is the number of lines it replaces. A loop that fails five times a second while Redis is away writes
    two lines, then six a minute.

    Two lines are the same complaint if event, reason and part are equal; job and request may differ, and the written
    line names the latest. The ``count`` of a line that has one is added. A count without a following complaint is
    written with the next line of any kind after the window, and by :meth:`flush`. A window of 0 switches it off. Any
    thread may log.

    Args:
      window_s: seconds.
      emit: writes a finished line, bypassing this processor.
      clock: monotonic seconds.
    """

    def __init__(self, window_s: float, emit: Callable[[EventDict], None], clock: Clock = time.monotonic) -> None:
        self._window_s, self._emit, self._clock = window_s, emit, clock
        self._complaints: dict[tuple[str, ...], _Repeated] = {}
        self._lock = threading.Lock()

    def __call__(self, _logger: object, method: str, fields: EventDict) -> EventDict:
        often = fields.pop("often", False)
        if self._window_s <= 0:
            return fields
        now = self._clock()
        complains = often or method not in {"debug", "info"}
        with self._lock:
            written = self._settle(fields, now) if complains else fields
            over = self._over(now)
        for line in over:
            self._emit(line)
        if written is None:
            raise structlog.DropEvent
        return written

    def flush(self) -> None:
        """Write every count that is not written yet, because the process ends."""
        with self._lock:
            left = [repeated.line for repeated in self._complaints.values() if repeated.line is not None]
            self._complaints.clear()
        for line in left:
            self._emit(line)

    def _settle(self, fields: EventDict, now: float) -> EventDict | None:
        """Return the line to write, or None if it is only counted."""
        key = (_kind(fields.get("exc_info")), *(str(fields.get(name, "")) for name in _SAME))
        own = fields.get("count", 1)
        repeated = self._complaints.get(key)
        if repeated is None or (repeated.until <= now and repeated.line is None):
            self._open(key, now)
            return fields
        repeated.count += own if isinstance(own, int) else 1
        # a traceback holds frames, and with them users' data
        repeated.line = {name: value for name, value in fields.items() if name != "exc_info"} | {
            "count": repeated.count
        }
        if repeated.until > now:
            return None
        self._open(key, now)
        return {**fields, "count": repeated.count}

    def _open(self, key: tuple[str, ...], now: float) -> None:
        """Begin a window; the oldest ones stay in front."""
        self._complaints.pop(key, None)
        self._complaints[key] = _Repeated(now + self._window_s)

    def _over(self, now: float) -> list[EventDict]:
        """Return the lines of the counts whose window is over; continuing complaints get a new window. Add the oldest
        ones if there are too many."""
        ended = [(key, repeated) for key, repeated in self._complaints.items() if repeated.until <= now]
        for key, repeated in ended:
            if repeated.line is None:
                del self._complaints[key]
            else:
                self._open(key, now)
        oldest = list(self._complaints)[: max(0, len(self._complaints) - _COMPLAINTS_MAX)]
        due = [repeated for _, repeated in ended] + [self._complaints.pop(key) for key in oldest]
        return [repeated.line for repeated in due if repeated.line is not None]


def _kind(exc_info: object) -> str:
    """Return the name of the exception that a line shows, in each form that the standard library allows."""
    if isinstance(exc_info, BaseException):
        return type(exc_info).__name__
    exception = exc_info if isinstance(exc_info, tuple) else sys.exc_info() if exc_info else (None,)
    return getattr(exception[0], "__name__", "")


def flush() -> None:
    """Write the lines that have only been counted so far; for the end of the process."""
    for processor in structlog.get_config()["processors"]:
        if isinstance(processor, Throttle):
            processor.flush()


def configure(
    style: LogStyle = "json",
    *,
    level: str = "info",
    stream: TextIO | None = None,
    strict: bool = False,
    throttle_s: float = 0.0,
    clock: Clock = time.monotonic,
) -> None:
    """Set up the process's logs, those of the standard library included (hypercorn, asyncio): of these, warnings and
    worse.

    ``auto`` is ``human`` on a terminal and ``json`` elsewhere. ``strict`` (tests) raises UndeclaredField. Otherwise an
    undeclared field is left out of the line and named in ``undeclared``, because undeclared fields were not checked for
    secrets. ``throttle_s``: see :class:`Throttle`; 0 writes every line.
    """
    out = sys.stderr if stream is None else stream
    human = style == "human" or (style == "auto" and out.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human, key="ts"),
        drop_secrets,
        _refuse_undeclared if strict else _name_undeclared,
    ]
    rendering: list[structlog.typing.Processor]
    if human:
        from rich.console import Console  # noqa: PLC0415 - a node that writes JSON never loads it

        terminal = Console(file=out)
        in_place = out.isatty() and not terminal.is_dumb_terminal
        # A plain traceback: the coloured ones print local variables, and with them passwords and users' code.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(
            colors=in_place and not terminal.no_color,
            timestamp_key="ts",
            pad_event_to=0,
            pad_level=False,
            exception_formatter=plain,
        )
        rendering = [_human_text, console, *([_over_progress] if in_place else [])]
    else:
        rendering = [structlog.processors.format_exc_info, _message, render_json]

    def emit(line: EventDict) -> None:
        rendered: Any = line
        for processor in rendering:
            rendered = processor(None, "", rendered)
        out.write(f"{rendered}\n")
        out.flush()

    structlog.configure(
        processors=[*processors, Throttle(throttle_s, emit, clock), *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)


def drop_secrets(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """Remove fields that hold code or secrets, also inside mappings."""
    for name in [name for name in fields if name.lower() in SECRET_FIELDS]:
        del fields[name]
    for name, value in fields.items():
        if isinstance(value, Mapping):
            fields[name] = {key: item for key, item in value.items() if str(key).lower() not in SECRET_FIELDS}
    return fields


def _undeclared(fields: EventDict) -> list[str]:
    return sorted(name for name in fields if name not in FIELDS and name not in _OWN)


def _refuse_undeclared(_logger: object, _method: str, fields: EventDict) -> EventDict:
    unknown = _undeclared(fields)
    if unknown:
        raise UndeclaredField(f"event={fields.get('event')}: declare {', '.join(unknown)} in deepoj/observe.py")
    return fields


def _name_undeclared(_logger: object, _method: str, fields: EventDict) -> EventDict:
    unknown = _undeclared(fields)
    for name in unknown:
        del fields[name]
    if unknown:
        fields["undeclared"] = unknown
    return fields


def _message(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """Begin ``msg`` with ``event=<event>``: the runbook's greps look for it."""
    text = fields.pop("text", "")
    fields["msg"] = f"event={fields.get('event', '')}" + (f" {text}" if text else "")
    return fields


def _human_text(_logger: object, _method: str, fields: EventDict) -> EventDict:
    text = fields.pop("text", "")
    if text:
        fields["event"] = f"{fields.get('event', '')}: {text}"
    return fields


def _over_progress(_logger: object, _method: str, rendered: Any) -> str:
    """Clear the line first: it may hold progress (``cli/start_view.py``)."""
    return f"\033[K{rendered}"


def render_json(_logger: object, _method: str, fields: EventDict) -> str:
    """Render one line, with the leading keys always in the same order."""
    first = {name: fields.pop(name) for name in ("ts", "level", "event", "msg") if name in fields}
    return json.dumps({**first, **fields}, ensure_ascii=False, default=str)


class _ToStructlog(logging.Handler):
    """Passes lines of the standard library's loggers on to :func:`log`'s logger."""

    def emit(self, record: logging.LogRecord) -> None:
        exc_info = record.exc_info if record.exc_info and record.exc_info[0] is not None else None
        extra = {"exc_info": exc_info} if exc_info else {}
        level = record.levelno if record.levelno in (10, 20, 30, 40, 50) else logging.WARNING
        logger().log(level, "library", text=record.getMessage(), logger=record.name, **extra)
