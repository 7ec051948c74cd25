"""Every metric, declared once.

One :class:`Metrics` per process, on a registry of its own (without the library's process collectors). Callers
write ``metrics.claim.labels(status="won", reason="").inc()``. An attribute is the contract's name without the prefix
``worker_``, ``api_`` or ``scheduler_`` and without the suffix ``_total``. The contract's labels ``service`` and
``instance`` are added when the registry is read, so they cost nothing when a metric is changed. ``service`` follows the
metric's role (API, scheduler, worker), in any process. No label ever holds a job id or another id of one request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deepoj.words.sandbox import Isolation

#: seconds; for a request, a query, an enqueue
FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: seconds; for compiling, judging, downloading
WORK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120)
#: seconds; for waiting in the queue and for the time from submit to verdict: up to a quarter of an hour
WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 900)
#: milliseconds, for metrics whose name says ms
FAST_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)

#: the values of the label ``stage``, in the order of a submission's way. ``commit`` is a part of ``dispatch``.
STAGES = ("http", "commit", "dispatch", "claim", "prepare", "compile", "run", "compare", "finalize", "notify")
#: seconds; for a stage of the way from submit to verdict
STAGE_S = (0.0005, *FAST_S, 60, 120, 300)
#: the values of the label ``level``
ISOLATION_LEVELS = tuple(level.value for level in Isolation)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Identity:
    """The labels ``service`` and ``instance`` of one role's metrics."""

    service: str
    instance: str


class _Labelled(Collector):
    """Adds a role's identity to every sample of its metrics."""

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

    def upkeep(self) -> list[tuple[str, int]]:
        """Return the counts of repair, deletion and canaries of this process, with metric and labels, without zeros."""
        found = []
        for counter in (self.repair, self.db_gc, self.object_gc, self.stream_trim, self.canary_failures):
            for sample in (sample for family in counter.collect() for sample in family.samples):
                if sample.name.endswith("_total") and sample.value:
                    labels = ", ".join(value for value in sample.labels.values() if value)
                    found.append((f"{sample.name}: {labels}", int(sample.value)))
        return found

    def _declare_api(self, to: _Declare) -> None:
        #: ``path`` is the route's template, never the path as sent
        self.http_requests = to.counter("http_requests_total", "HTTP requests", "method", "path", "status")
        self.http_request_duration_seconds = to.histogram(
            "http_request_duration_seconds", "Time to answer", FAST_S, "method", "path", "status"
        )
        self.submission = to.counter("submission_total", "Submissions taken or refused", "language", "status")
        self.batch_lines = to.counter("submission_batch_lines_total", "Lines of batches taken or refused", "result")
        self.submit_429 = to.counter("submit_429_total", "Submissions answered 429", "reason")
        self.untrusted_forwarded = to.counter(
            "api_untrusted_forwarded_total", "Requests with X-Forwarded-For from an address that is no trusted proxy"
        )
        self.auth_429 = to.counter("auth_429_total", "Tries at passwords answered 429", "reason")
        self.connections = to.gauge("api_connections", "Connections that are open")
        self.unsent_bytes = to.gauge("api_unsent_bytes", "Answers in memory that clients have not read yet")
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
        #: ``group``: the first part of the route, such as ``problems``
        self.web_requests = to.counter("web_requests_total", "Requests for pages", "group", "status")
        self.web_request_duration_seconds = to.histogram(
            "web_request_duration_seconds", "Time to answer with a page, without event streams", FAST_S, "group"
        )
        self.web_live_streams = to.gauge("web_live_streams", "Event streams of pages that are open")
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
        #: delivered, retry, given_up; superseded: another node has taken it; unsettled: the database was unavailable
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
        self.contests_running = to.measured("contests_running", "Contests that have started and are not over")
        self.contest_events = to.measured("contest_events", "Events in the ledgers of contests that may still change")
        #: changed: contests whose state moved; error: rounds that broke
        self.contest_advance = to.counter("contest_advance_total", "Contests whose state moved at its time", "result")
        self.previews_running = to.measured("rejudge_previews_running", "Previews of rejudges that are being judged")

    def _declare_worker(self, to: _Declare) -> None:
        #: status, and verdict below: ``withheld`` for a verdict of a contest that is not over (``Claim.verdict_label``)
        self.task = to.counter("worker_task_total", "Attempts that ended", "status")
        self.task_duration_seconds = to.histogram(
            "worker_task_duration_seconds", "From claim to the attempt's end", WORK_S
        )
        self.compile_duration_seconds = to.histogram(
            "worker_compile_duration_seconds", "Compiling one submission", WORK_S
        )
        self.compile_cache = to.counter("worker_compile_cache_total", "Compilations looked up on disk", "result")
        self.compile_early = to.counter(
            "worker_compile_early_total", "Compilations that began before their job was claimed", "result"
        )
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

        #: result: ended, starved, SE, broken, cancelled; never what the program did, which may be a hidden verdict
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

        #: judged, failed; refused: its preview was cancelled, or another node has taken it
        self.preview_jobs = to.counter(
            "worker_preview_jobs_total", "Submissions judged for previews of rejudges", "result"
        )

        #: shown, failed; refused: another node has taken it, or its submission is gone
        self.reruns = to.counter("worker_reruns_total", "Tests run again to show their output", "result")

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
        self.contest_wait_seconds = to.histogram(
            "contest_queue_wait_seconds", "From submit in a contest to the won claim", WAIT_S
        )
        self.end_to_end_seconds = to.histogram("job_end_to_end_seconds", "From submit to the final verdict", WAIT_S)
        self.canary_failures = to.counter("canary_failures_total", "Rounds in which this canary differed", "case")
        #: 1 at this node's level, 0 at the others
        self.sandbox_isolation = to.gauge("sandbox_isolation", "1 at the isolation this node has", "level")

    def _declare_node(self, to: _Declare) -> None:
        #: where the time from submit to verdict goes: one of STAGES; lines of batches have neither http nor commit
        self.stage_seconds = to.histogram(
            "job_stage_seconds", "A stage of the way from submit to verdict", STAGE_S, "stage"
        )
        for stage in STAGES:
            self.stage_seconds.labels(stage=stage)
        self.child_restarts = to.counter("node_child_restarts_total", "Restarts of a supervised child", "child")
