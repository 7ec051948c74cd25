"""The section ``scheduler``: repair, garbage collection, and measuring the waiting work."""

from __future__ import annotations

from deepoj.config.fields import DAY_MS, DAY_SEC, Section, key, section, whole
from deepoj.config.labels import SchedulerMetricsSection
from deepoj.config.postgres import DATABASE_URL
from deepoj.config.redis import REDIS_URL


class ControlPlaneSection(Section):
    repair_enabled: bool = key(
        True,
        "SCHEDULER_REPAIR_ENABLED",
        doc="Whether repair requeues jobs whose stream entry was lost; leave it on.",
    )
    repair_interval_ms: int = whole(
        30_000,
        "SCHEDULER_REPAIR_INTERVAL_MS",
        le=DAY_MS,
        doc="Milliseconds between two rounds of repair.",
    )
    repair_batch_size: int = whole(
        200,
        "SCHEDULER_REPAIR_BATCH_SIZE",
        le=100_000,
        doc="Maximum jobs requeued in one round of repair.",
    )
    repair_min_age_sec: float = key(
        60,
        "SCHEDULER_REPAIR_MIN_AGE_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Minimum age of a job for repair, in seconds; set it longer than the delivery to the stream takes.",
    )
    gc_enabled: bool = key(
        False,
        "SCHEDULER_GC_ENABLED",
        doc="Whether garbage collection trims the stream and handles submissions past their retention.",
    )
    gc_interval_ms: int = whole(
        600_000,
        "SCHEDULER_GC_INTERVAL_MS",
        le=30 * DAY_MS,
        doc="Milliseconds between two rounds of garbage collection.",
    )
    stream_trim_maxlen: int = whole(
        200_000,
        "SCHEDULER_STREAM_TRIM_MAXLEN",
        doc="Approximate number of entries that garbage collection leaves in the stream.",
    )
    object_retention_days: float = key(
        14,
        "SCHEDULER_OBJECT_RETENTION_DAYS",
        ge=0.05,
        le=36_500,
        doc="Days after which a package without a problem is deleted from the object store.",
    )
    db_retention_days: float = key(
        14,
        "SCHEDULER_DB_RETENTION_DAYS",
        ge=0,
        le=36_500,
        doc="Days a finished submission is kept.",
    )
    db_delete_enabled: bool = key(
        False,
        "SCHEDULER_DB_DELETE_ENABLED",
        doc="Whether submissions past their retention are deleted; off, they are only logged.",
    )
    db_delete_batch_size: int = whole(
        500,
        "SCHEDULER_DB_DELETE_BATCH_SIZE",
        le=100_000,
        doc="Submissions deleted in one statement.",
    )


class SchedulerSection(Section):
    redis_url: str = key(REDIS_URL, "REDIS_URL", min_length=1, doc="As api.redis_url.")
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1, doc="As api.database_url.")
    scheduler_id: str = key(
        "scheduler-1",
        "SCHEDULER_ID",
        min_length=1,
        doc="Name of this node's scheduler in its metrics.",
    )
    metrics_port: int = whole(
        9091,
        "SCHEDULER_METRICS_PORT",
        ge=0,
        le=65535,
        doc="Port of the scheduler's /metrics; 0 lets the kernel choose.",
    )
    metrics_poll_ms: int = whole(
        1000,
        "SCHEDULER_METRICS_POLL_INTERVAL_MS",
        le=DAY_MS,
        doc="Milliseconds between two measurements of the waiting work, for the metrics and for backpressure; up to 4 "
        "seconds more while no submission is unfinished.",
    )
    metrics: SchedulerMetricsSection = section(SchedulerMetricsSection)
    control_plane: ControlPlaneSection = section(ControlPlaneSection)
