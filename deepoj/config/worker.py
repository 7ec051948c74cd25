"""The section ``worker``: the stream, leases, slots, caches and limits of judging."""

from __future__ import annotations

from deepoj.config.fields import DAY_MS, DAY_SEC, Section, key, section, whole
from deepoj.config.labels import WorkerMetricsSection
from deepoj.config.object_store import MinioSection
from deepoj.config.postgres import DATABASE_URL
from deepoj.config.redis import REDIS_URL, STREAM_KEY


class WorkerStreamSection(Section):
    stream_key: str = key(
        STREAM_KEY,
        "JOB_STREAM_KEY",
        min_length=1,
        doc="Name of the Redis stream that this node reads; the same on every node.",
    )
    group: str = key(
        "deepoj:workers",
        "JOB_STREAM_GROUP",
        min_length=1,
        doc="Consumer group of the workers; the same on every node.",
    )
    consumer: str = key(
        "",
        "JOB_STREAM_CONSUMER",
        doc="Name of this node in the group and in the ledger; unique in the deployment.",
    )
    read_count: int = whole(
        16,
        "JOB_STREAM_READ_COUNT",
        le=10_000,
        doc="Maximum jobs read at once; never more than there are free slots.",
    )
    block_ms: int = whole(
        2000,
        "JOB_STREAM_BLOCK_MS",
        le=3_600_000,
        doc="Milliseconds that one read waits while the stream is empty.",
    )
    lease_sec: float = key(
        60,
        "JOB_LEASE_SEC",
        ge=0.05,
        le=DAY_SEC,
        doc="Seconds a job's lease lasts after the latest heartbeat; a shorter lease detects dead workers sooner, a "
        "longer one survives longer outages.",
    )
    heartbeat_sec: float = key(
        10,
        "JOB_HEARTBEAT_SEC",
        ge=0.01,
        le=DAY_SEC,
        doc="Seconds between two heartbeats, which extend the leases; at most a third of the lease.",
    )
    reclaim_interval_sec: float = key(
        5,
        "JOB_RECLAIM_INTERVAL_SEC",
        ge=0.01,
        le=DAY_SEC,
        doc="Seconds between two searches for jobs of dead workers.",
    )
    reclaim_count: int = whole(16, "JOB_RECLAIM_COUNT", le=10_000, doc="Maximum jobs reclaimed in one search.")
    reclaim_grace_sec: float = key(
        15,
        "JOB_RECLAIM_GRACE_SEC",
        ge=0,
        le=DAY_SEC,
        doc="Seconds beyond the lease before another worker's job is reclaimed.",
    )
    log_throttle_sec: float = key(
        10,
        "WORKER_LOG_THROTTLE_SEC",
        ge=0,
        le=DAY_SEC,
        doc="Seconds during which a repeated warning is only counted, not logged; 0: log each one.",
    )
    backpressure_sleep_ms: int = whole(
        50,
        "WORKER_BACKPRESSURE_SLEEP_MS",
        le=60_000,
        doc="Milliseconds of sleep while all slots are busy; here a free slot wakes the reader.",
    )


class WorkerTimeouts(Section):
    compile_ms: int = whole(
        10_000,
        "COMPILE_TIMEOUT_MS",
        le=DAY_MS,
        doc="CPU milliseconds of one compilation; the smaller of this and compile.cpu_limit_s applies.",
    )
    exec_buffer_ms: int = whole(
        500,
        "EXEC_TIMEOUT_BUFFER_MS",
        ge=0,
        le=DAY_MS,
        doc="Milliseconds added to the time limit of an execution.",
    )
    download_ms: int = whole(
        60_000,
        "DOWNLOAD_TIMEOUT_MS",
        le=DAY_MS,
        doc="Timeout for downloading one test package, in milliseconds.",
    )
    unzip_ms: int = whole(
        30_000,
        "UNZIP_TIMEOUT_MS",
        le=DAY_MS,
        doc="Timeout for unpacking one test package, in milliseconds.",
    )


class TestcaseCacheSection(Section):
    __test__ = False  # not a pytest class

    max: int = whole(100, "TESTCASE_CACHE_MAX", le=1_000_000, doc="Problems whose test data is cached on disk.")
    ttl_sec: float = key(
        3600,
        "TESTCASE_CACHE_TTL_SEC",
        ge=0,
        le=365 * DAY_SEC,
        doc="Seconds unused test data stays on disk.",
    )


class UnzipSection(Section):
    max_bytes: int = whole(268_435_456, "UNZIP_MAX_BYTES", le=2**53, doc="Bytes an unpacked package may have.")
    max_files: int = whole(2000, "UNZIP_MAX_FILES", le=1_000_000, doc="Files a package may have.")
    max_file_bytes: int = whole(
        67_108_864,
        "UNZIP_MAX_FILE_BYTES",
        le=2**53,
        doc="Maximum bytes of one file of a package.",
    )


class ExecutorSection(Section):
    stdout_limit_bytes: int = whole(
        262_144,
        "JUDGE_STDOUT_LIMIT_BYTES",
        ge=0,
        doc="Bytes of a program's output that `deepoj judge` reports and results keep.",
    )
    stderr_limit_bytes: int = whole(
        1_048_576,
        "JUDGE_STDERR_LIMIT_BYTES",
        ge=0,
        doc="Bytes of a program's error output that are kept.",
    )
    run_output_limit_bytes: int = whole(
        262_144,
        "RUN_OUTPUT_LIMIT_BYTES",
        ge=0,
        le=2**24,
        doc="Bytes kept of each output of a custom run; the two settings above apply too.",
    )


class WorkerJudgeSection(Section):
    #: a test whose CPU time is within so much of its limit is run again, and once more alone if that run was over the
    #: limit; the last run decides; 0: never
    borderline_percent: float = key(
        5,
        "JUDGE_BORDERLINE_PERCENT",
        ge=0,
        le=50,
        doc="Distance from the time limit, in percent, within which a test is run again, if necessary alone; the last "
        "run decides. 0: never.",
    )
    borderline_wait_ms: int = whole(
        2000,
        "JUDGE_BORDERLINE_WAIT_MS",
        ge=0,
        le=600_000,
        doc="Milliseconds that the repeated test waits for other executions to end; then it runs beside them.",
    )


class WorkerSection(Section):
    id: str = key(
        "",
        "WORKER_ID",
        doc="Name of this worker, and by default of its consumer. Set it if nodes restart with the same name.",
    )
    redis_url: str = key(REDIS_URL, "REDIS_URL", min_length=1, doc="As api.redis_url.")
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1, doc="As api.database_url.")
    stream: WorkerStreamSection = section(WorkerStreamSection)
    minio: MinioSection = section(MinioSection)
    workspace: str = key("", "WORKSPACE", doc="As path.workspace_root.")
    #: concurrent jobs; already clamped to 1..number of CPUs
    pool_size: int = whole(
        4,
        "WORKER_POOL_SIZE",
        ge=-(2**31),
        doc="Maximum concurrent jobs, at most the number of CPUs; fewer leave CPUs to the host, for steadier times.",
    )
    keep_workdir: bool = key(
        False,
        "KEEP_WORKDIR",
        doc="Keep the working directories of attempts for debugging; they fill the disk.",
    )
    run_slots: int = whole(
        0, "WORKER_RUN_SLOTS", ge=0, doc="Slots for custom runs, at most half of all slots; 0: half, at least one."
    )
    contest_slots: int = whole(
        0,
        "WORKER_CONTEST_SLOTS",
        ge=0,
        doc="Slots that only submissions of contests take while a contest runs, at most all but one; 0: none.",
    )
    parallel_tests: bool = key(
        True,
        "WORKER_PARALLEL_TESTS",
        doc="Run tests of a submission beside each other in slots that no job uses or waits for.",
    )
    timeouts: WorkerTimeouts = section(WorkerTimeouts)
    testcase_cache: TestcaseCacheSection = section(TestcaseCacheSection)
    unzip_limits: UnzipSection = section(UnzipSection)
    result_ttl_sec: float = key(
        600,
        "RESULT_TTL_SEC",
        ge=1,
        le=30 * DAY_SEC,
        doc="Seconds a custom run and its output are kept.",
    )
    checker_timeout_ms: int = whole(
        2000,
        "CHECKER_TIMEOUT_MS",
        le=DAY_MS,
        doc="CPU milliseconds a checker may use per test.",
    )
    cleanup_timeout_sec: float = key(
        5,
        "CLEANUP_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds for running jobs to finish when the node stops; then they are given back.",
    )
    require_cgroups_v2: bool = key(
        False,
        "REQUIRE_CGROUPS_V2",
        doc="Refuse to start without full isolation, which needs cgroup v2.",
    )
    metrics: WorkerMetricsSection = section(WorkerMetricsSection)
    metrics_port: int = whole(
        9092,
        "WORKER_METRICS_PORT",
        ge=0,
        le=65535,
        doc="Port of the worker's /metrics; 0 lets the kernel choose.",
    )
    executor: ExecutorSection = section(ExecutorSection)
    judge: WorkerJudgeSection = section(WorkerJudgeSection)
