"""The settings as frozen types: every key of the external contract, its default, its environment name, its range.

Attribute paths are the keys of ``config.yaml``: ``cfg.api.outbox.dispatch_interval_ms``. Nothing is read here;
:mod:`deepoj.config` merges flags, environment, file and these defaults, and is the only one that builds a
:class:`Config`. Seconds may be fractions; a field that names another unit (``_ms``, ``_kb``, ``_bytes``) is whole.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deepoj.words import Isolation

DATABASE_URL = "postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable"
DAY_MS = 24 * 3600 * 1000
DAY_SEC = 24 * 3600
GIB = 1024**3


class Role(enum.StrEnum):
    """What a node does."""

    API = "api"
    DISPATCHER = "dispatcher"
    CONSUMER = "consumer"
    RECLAIM = "reclaim"
    REPAIR = "repair"
    GC = "gc"


#: names that stand for several roles
ROLE_ALIASES: Mapping[str, frozenset[Role]] = {
    "worker": frozenset({Role.CONSUMER, Role.RECLAIM}),
    "scheduler": frozenset({Role.REPAIR, Role.GC}),
    "all": frozenset(Role),
}


def key(
    default: object,
    env: str | None = None,
    *,
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    secret: bool = False,
    flag_only: bool = False,
) -> Any:
    """One setting. Without ``env`` its environment name is the key in capitals with ``DEEPOJ_`` before it."""
    return Field(
        default,
        ge=ge,
        le=le,
        min_length=min_length,
        json_schema_extra={"env": env, "secret": secret, "flag_only": flag_only},
    )


def whole(default: int, env: str | None = None, *, ge: int = 1, le: int = 2**31 - 1) -> Any:
    """A whole number, positive unless ``ge`` says otherwise."""
    return key(default, env, ge=ge, le=le)


class Section(BaseModel):
    """A group of settings: frozen, without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True)


def section(model: type[Section]) -> Any:
    """A nested group with all its defaults."""
    return Field(default_factory=model)


# ---------------------------------------------------------------------------------------------------------------------
# path, compile, runner, security, observability


class PathSettings(Section):
    workspace_root: str = key("", "WORKSPACE")
    compiler_bin: str = key("/usr/bin/g++", min_length=1)
    mount_dirs: tuple[str, ...] = key(("/lib", "/lib64", "/usr", "/bin", "/etc/alternatives"))
    mount_files: tuple[str, ...] = key(("/etc/localtime", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"))


class CompileSettings(Section):
    cpu_limit_s: float = key(10, ge=0.1, le=3600)
    real_time_limit_s: float = key(15, ge=0.1, le=3600)
    memory_limit_mb: int = whole(1024, ge=64, le=1024 * 1024)
    tmpfs_size_mb: int = whole(128, le=1024 * 1024)
    log_max_size_mb: int = whole(16, le=1024)
    max_errors: int = whole(10, le=10_000)
    cache_max_mb: int = whole(1024, ge=0, le=1024 * 1024)
    precompiled_headers: bool = key(True)


class RunnerSettings(Section):
    max_output_size: int = whole(10_485_760, le=64 * GIB)
    output_buffer_size: int = whole(2_097_152, le=GIB)
    tmpfs_size_mb: int = whole(64, le=1024 * 1024)
    cgroup_pids_limit: int = whole(20, le=100_000)  # what the sandbox takes (limits_sane in wire.c)
    cgroup_cpu_max_cores: float = key(1.0, ge=0.01, le=1024)
    cgroup_io_read_bps: int = whole(104_857_600, ge=0, le=2**53)
    cgroup_io_write_bps: int = whole(104_857_600, ge=0, le=2**53)


class SecuritySettings(Section):
    run_as_uid: int = whole(65534, le=2**32 - 2)
    run_as_gid: int = whole(65534, le=2**32 - 2)


class ObservabilitySettings(Section):
    service_name: str = key("")
    instance_id: str = key("")


# ---------------------------------------------------------------------------------------------------------------------
# api


class MinioSettings(Section):
    endpoint: str = key("http://localhost:9000", "MINIO_ENDPOINT", min_length=1)
    access_key: str = key("change_me", "MINIO_ACCESS_KEY")
    secret_key: str = key("change_me", "MINIO_SECRET_KEY", secret=True)
    bucket: str = key("deep-oj-problems", "MINIO_BUCKET", min_length=3)
    secure: bool = key(False, "MINIO_SECURE")


class GithubSettings(Section):
    client_id: str = key("", "GITHUB_CLIENT_ID")
    client_secret: str = key("", "GITHUB_CLIENT_SECRET", secret=True)
    redirect_url: str = key("http://localhost:18080/api/v1/auth/github/callback", "GITHUB_REDIRECT_URL")
    #: where people log in; another one for GitHub Enterprise
    base_url: str = key("https://github.com", min_length=1)
    #: where the node asks who they are
    api_url: str = key("https://api.github.com", min_length=1)
    timeout_sec: float = key(10, ge=0.1, le=60)


class OauthSettings(Section):
    github: GithubSettings = section(GithubSettings)


class AuthSettings(Section):
    jwt_secret: str = key("", "JWT_SECRET", secret=True)
    jwt_expire_hours: float = key(24, "JWT_EXPIRE_HOURS", ge=0.001, le=24 * 365)
    oauth_state_ttl_sec: float = key(300, "OAUTH_STATE_TTL_SEC", ge=1, le=DAY_SEC)
    admin_users: tuple[str, ...] = key((), "ADMIN_USERS")
    #: whether names in ``admin_users`` can be registered over HTTP
    admin_registration: Literal["open", "closed"] = key("closed", "ADMIN_REGISTRATION")
    oauth: OauthSettings = section(OauthSettings)


class RateLimitSettings(Section):
    """Requests in a window; a limit of 0 limits nothing, and costs nothing."""

    ip_limit: int = whole(60, "RATE_LIMIT_IP_PER_WINDOW", ge=0)
    user_limit: int = whole(120, "RATE_LIMIT_USER_PER_WINDOW", ge=0)
    window_sec: float = key(60, "RATE_LIMIT_WINDOW_SEC", ge=0.1, le=DAY_SEC)


class AuthRateLimitSettings(Section):
    ip_limit: int = whole(60, "AUTH_RATE_LIMIT_IP_PER_WINDOW", ge=0)
    user_limit: int = whole(120, "AUTH_RATE_LIMIT_USER_PER_WINDOW", ge=0)
    window_sec: float = key(60, "AUTH_RATE_LIMIT_WINDOW_SEC", ge=0.1, le=DAY_SEC)


class SubmitRateLimitSettings(Section):
    ip_limit: int = whole(60, "SUBMIT_RATE_LIMIT_IP_PER_WINDOW", ge=0)
    user_limit: int = whole(120, "SUBMIT_RATE_LIMIT_USER_PER_WINDOW", ge=0)
    window_sec: float = key(60, "SUBMIT_RATE_LIMIT_WINDOW_SEC", ge=0.1, le=DAY_SEC)


class ProblemDefaults(Section):
    time_limit_ms: int = whole(1000, "PROBLEM_DEFAULT_TIME_LIMIT_MS", le=DAY_MS)
    memory_limit_mb: int = whole(128, "PROBLEM_DEFAULT_MEMORY_LIMIT_MB", le=1024 * 1024)


class LimitSettings(Section):
    submit_body_max_bytes: int = whole(1_048_576, "SUBMIT_BODY_MAX_BYTES")
    problem_zip_max_bytes: int = whole(52_428_800, "PROBLEM_ZIP_MAX_BYTES", le=64 * GIB)
    submit_code_max_bytes: int = whole(65_536, "SUBMIT_CODE_MAX_BYTES")
    default_time_limit_ms: int = whole(1000, "SUBMIT_DEFAULT_TIME_LIMIT_MS", le=DAY_MS)
    max_time_limit_ms: int = whole(10_000, "SUBMIT_MAX_TIME_LIMIT_MS", le=DAY_MS)
    default_memory_limit_kb: int = whole(65_536, "SUBMIT_DEFAULT_MEMORY_LIMIT_KB", le=2**40)
    #: problems have whole megabytes: less than one would allow none
    max_memory_limit_kb: int = whole(524_288, "SUBMIT_MAX_MEMORY_LIMIT_KB", ge=1024, le=2**40)
    inflight_ttl_sec: float = key(600, "SUBMIT_INFLIGHT_TTL_SEC", ge=0, le=30 * DAY_SEC)
    rate_limit: RateLimitSettings = section(RateLimitSettings)
    auth_rate_limit: AuthRateLimitSettings = section(AuthRateLimitSettings)
    submit_rate_limit: SubmitRateLimitSettings = section(SubmitRateLimitSettings)
    #: 0 in the sources means 5000 with ``redis.key_env`` dev, else 500; here it is already decided
    submit_max_inflight: int = whole(500, "SUBMIT_MAX_INFLIGHT", ge=0)
    #: custom runs: unfinished ones of a user, bytes of input, and how long one may wait for a node
    run_max_inflight: int = whole(2, "RUN_MAX_INFLIGHT", le=1000)
    run_stdin_max_bytes: int = whole(262_144, "RUN_STDIN_MAX_BYTES", ge=0)
    run_max_wait_sec: float = key(120, "RUN_MAX_WAIT_SEC", ge=1, le=DAY_SEC)
    problem_defaults: ProblemDefaults = section(ProblemDefaults)


class ApiMetricsSettings(Section):
    service_name: str = key("deep-oj-api", "SERVICE_NAME")
    instance_id: str = key("", "INSTANCE_ID")


class ApiStreamSettings(Section):
    stream_key: str = key("deepoj:jobs", "JOB_STREAM_KEY", min_length=1)
    stream_maxlen: int = whole(200_000, "JOB_STREAM_MAXLEN")
    job_payload_ttl_sec: float = key(86_400, "JOB_PAYLOAD_TTL_SEC", ge=1, le=365 * DAY_SEC)


class ApiTimeouts(Section):
    read_header_sec: float = key(5, "API_READ_HEADER_TIMEOUT_SEC", ge=0.1, le=3600)
    read_sec: float = key(15, "API_READ_TIMEOUT_SEC", ge=0.1, le=3600)
    write_sec: float = key(30, "API_WRITE_TIMEOUT_SEC", ge=0.1, le=3600)
    idle_sec: float = key(60, "API_IDLE_TIMEOUT_SEC", ge=0.1, le=3600)


class LiveSettings(Section):
    max_streams: int = whole(600, "API_LIVE_MAX_STREAMS", le=900)
    max_streams_per_user: int = whole(20, "API_LIVE_MAX_STREAMS_PER_USER", le=900)


class BackpressureSettings(Section):
    """D3. What is at ``*_high`` closes the door until it is down at ``*_low``; a high of 0 never does."""

    enabled: bool = key(True, "API_BACKPRESSURE_ENABLED")
    lag_high: int = whole(5000, "API_BACKPRESSURE_LAG_HIGH", ge=0)
    lag_low: int = whole(4000, "API_BACKPRESSURE_LAG_LOW", ge=0)
    pending_high: int = whole(5000, "API_BACKPRESSURE_PENDING_HIGH", ge=0)
    pending_low: int = whole(4000, "API_BACKPRESSURE_PENDING_LOW", ge=0)
    oldest_age_high_sec: float = key(1800, "API_BACKPRESSURE_OLDEST_AGE_HIGH_SEC", ge=0, le=30 * DAY_SEC)
    oldest_age_low_sec: float = key(900, "API_BACKPRESSURE_OLDEST_AGE_LOW_SEC", ge=0, le=30 * DAY_SEC)
    #: entries that must wait for an age to count: one job that nobody can judge is no backlog
    age_min_backlog: int = whole(100, "API_BACKPRESSURE_AGE_MIN_BACKLOG", ge=0)
    #: how long a look at the stream is believed
    snapshot_max_age_sec: float = key(15, "API_BACKPRESSURE_SNAPSHOT_MAX_AGE_SEC", ge=0.1, le=3600)
    retry_after_sec: float = key(5, "API_BACKPRESSURE_RETRY_AFTER_SEC", ge=1, le=3600)


class OutboxSettings(Section):
    enabled: bool = key(True, "OUTBOX_ENABLED")
    dispatch_interval_ms: int = whole(200, "OUTBOX_DISPATCH_INTERVAL_MS", le=DAY_MS)
    dispatch_batch_size: int = whole(100, "OUTBOX_DISPATCH_BATCH_SIZE", le=10_000)
    retry_base_ms: int = whole(500, "OUTBOX_RETRY_BASE_MS", le=DAY_MS)
    retry_max_ms: int = whole(10_000, "OUTBOX_RETRY_MAX_MS", le=DAY_MS)


class WebhookSettings(Section):
    enabled: bool = key(True, "WEBHOOKS_ENABLED")
    #: what users' signing secrets are derived from; without it no callback is taken (an embedded node makes its own)
    secret: str = key("", "WEBHOOKS_SECRET", secret=True)
    #: host, *.domain, either with :port; empty: any
    allowed_hosts: tuple[str, ...] = key((), "WEBHOOKS_ALLOWED_HOSTS")
    #: networks that may be called although they are not public, such as 10.1.2.0/24
    private_networks: tuple[str, ...] = key((), "WEBHOOKS_PRIVATE_NETWORKS")
    timeout_sec: float = key(10, "WEBHOOKS_TIMEOUT_SEC", ge=0.1, le=120)
    #: tries at a time, of this node: in all, and to one scheme://host:port
    concurrency: int = whole(16, "WEBHOOKS_CONCURRENCY", le=1000)
    per_target: int = whole(4, "WEBHOOKS_PER_TARGET", le=1000)
    poll_interval_ms: int = whole(1000, "WEBHOOKS_POLL_INTERVAL_MS", ge=10, le=DAY_MS)
    retry_base_ms: int = whole(5000, "WEBHOOKS_RETRY_BASE_MS", le=DAY_MS)
    retry_max_ms: int = whole(3_600_000, "WEBHOOKS_RETRY_MAX_MS", le=DAY_MS)
    #: after the first try
    give_up_sec: float = key(DAY_SEC, "WEBHOOKS_GIVE_UP_SEC", ge=0, le=30 * DAY_SEC)
    #: how long deliveries that have ended can be looked at
    keep_days: float = key(14, "WEBHOOKS_KEEP_DAYS", ge=0, le=36_500)


class ApiSettings(Section):
    host: str = key("127.0.0.1", "API_HOST", min_length=1)
    #: 0 lets the kernel choose
    port: int = whole(18080, "PORT", ge=0, le=65535)
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1)
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1)
    minio: MinioSettings = section(MinioSettings)
    auth: AuthSettings = section(AuthSettings)
    limits: LimitSettings = section(LimitSettings)
    metrics: ApiMetricsSettings = section(ApiMetricsSettings)
    shutdown_timeout_sec: float = key(5, "API_SHUTDOWN_TIMEOUT_SEC", ge=0, le=3600)
    stream: ApiStreamSettings = section(ApiStreamSettings)
    trusted_proxies: tuple[str, ...] = key(("127.0.0.1",), "TRUSTED_PROXIES")
    cors_allowed_origins: tuple[str, ...] = key((), "CORS_ALLOWED_ORIGINS")
    metrics_token: str = key("", "METRICS_TOKEN", secret=True)
    timeouts: ApiTimeouts = section(ApiTimeouts)
    live: LiveSettings = section(LiveSettings)
    outbox: OutboxSettings = section(OutboxSettings)
    backpressure: BackpressureSettings = section(BackpressureSettings)
    webhooks: WebhookSettings = section(WebhookSettings)


# ---------------------------------------------------------------------------------------------------------------------
# scheduler


class SchedulerMetricsSettings(Section):
    service_name: str = key("deep-oj-scheduler", "SERVICE_NAME")
    instance_id: str = key("", "INSTANCE_ID")


class ControlPlaneSettings(Section):
    repair_enabled: bool = key(True, "SCHEDULER_REPAIR_ENABLED")
    repair_interval_ms: int = whole(30_000, "SCHEDULER_REPAIR_INTERVAL_MS", le=DAY_MS)
    repair_batch_size: int = whole(200, "SCHEDULER_REPAIR_BATCH_SIZE", le=100_000)
    repair_min_age_sec: float = key(60, "SCHEDULER_REPAIR_MIN_AGE_SEC", ge=0, le=30 * DAY_SEC)
    gc_enabled: bool = key(False, "SCHEDULER_GC_ENABLED")
    gc_interval_ms: int = whole(600_000, "SCHEDULER_GC_INTERVAL_MS", le=30 * DAY_MS)
    stream_trim_maxlen: int = whole(200_000, "SCHEDULER_STREAM_TRIM_MAXLEN")
    object_retention_days: float = key(14, "SCHEDULER_OBJECT_RETENTION_DAYS", ge=0.05, le=36_500)
    db_retention_days: float = key(14, "SCHEDULER_DB_RETENTION_DAYS", ge=0, le=36_500)
    db_delete_enabled: bool = key(False, "SCHEDULER_DB_DELETE_ENABLED")
    db_delete_batch_size: int = whole(500, "SCHEDULER_DB_DELETE_BATCH_SIZE", le=100_000)


class SchedulerSettings(Section):
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1)
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1)
    scheduler_id: str = key("scheduler-1", "SCHEDULER_ID", min_length=1)
    metrics_port: int = whole(9091, "SCHEDULER_METRICS_PORT", ge=0, le=65535)
    metrics_poll_ms: int = whole(1000, "SCHEDULER_METRICS_POLL_INTERVAL_MS", le=DAY_MS)
    metrics: SchedulerMetricsSettings = section(SchedulerMetricsSettings)
    control_plane: ControlPlaneSettings = section(ControlPlaneSettings)


# ---------------------------------------------------------------------------------------------------------------------
# worker


class WorkerStreamSettings(Section):
    stream_key: str = key("deepoj:jobs", "JOB_STREAM_KEY", min_length=1)
    group: str = key("deepoj:workers", "JOB_STREAM_GROUP", min_length=1)
    consumer: str = key("", "JOB_STREAM_CONSUMER")
    read_count: int = whole(16, "JOB_STREAM_READ_COUNT", le=10_000)
    block_ms: int = whole(2000, "JOB_STREAM_BLOCK_MS", le=3_600_000)
    lease_sec: float = key(60, "JOB_LEASE_SEC", ge=0.05, le=DAY_SEC)
    heartbeat_sec: float = key(10, "JOB_HEARTBEAT_SEC", ge=0.01, le=DAY_SEC)
    reclaim_interval_sec: float = key(5, "JOB_RECLAIM_INTERVAL_SEC", ge=0.01, le=DAY_SEC)
    reclaim_count: int = whole(16, "JOB_RECLAIM_COUNT", le=10_000)
    reclaim_grace_sec: float = key(15, "JOB_RECLAIM_GRACE_SEC", ge=0, le=DAY_SEC)
    log_throttle_sec: float = key(10, "WORKER_LOG_THROTTLE_SEC", ge=0, le=DAY_SEC)
    backpressure_sleep_ms: int = whole(50, "WORKER_BACKPRESSURE_SLEEP_MS", le=60_000)


class WorkerTimeouts(Section):
    compile_ms: int = whole(10_000, "COMPILE_TIMEOUT_MS", le=DAY_MS)
    exec_buffer_ms: int = whole(500, "EXEC_TIMEOUT_BUFFER_MS", ge=0, le=DAY_MS)
    download_ms: int = whole(60_000, "DOWNLOAD_TIMEOUT_MS", le=DAY_MS)
    unzip_ms: int = whole(30_000, "UNZIP_TIMEOUT_MS", le=DAY_MS)


class TestcaseCacheSettings(Section):
    __test__ = False  # not a pytest class

    max: int = whole(100, "TESTCASE_CACHE_MAX", le=1_000_000)
    ttl_sec: float = key(3600, "TESTCASE_CACHE_TTL_SEC", ge=0, le=365 * DAY_SEC)


class UnzipLimits(Section):
    max_bytes: int = whole(268_435_456, "UNZIP_MAX_BYTES", le=2**53)
    max_files: int = whole(2000, "UNZIP_MAX_FILES", le=1_000_000)
    max_file_bytes: int = whole(67_108_864, "UNZIP_MAX_FILE_BYTES", le=2**53)


class WorkerMetricsSettings(Section):
    service_name: str = key("deep-oj-worker", "SERVICE_NAME")
    instance_id: str = key("", "INSTANCE_ID")


class ExecutorSettings(Section):
    stdout_limit_bytes: int = whole(262_144, "JUDGE_STDOUT_LIMIT_BYTES", ge=0)
    stderr_limit_bytes: int = whole(1_048_576, "JUDGE_STDERR_LIMIT_BYTES", ge=0)


class WorkerJudgeSettings(Section):
    #: a test whose CPU time is within so much of its limit is run again, alone, and the second run decides; 0: never
    borderline_percent: float = key(5, "JUDGE_BORDERLINE_PERCENT", ge=0, le=50)
    #: how long it waits for the node's other runs to end; after that it is run beside them
    borderline_wait_ms: int = whole(2000, "JUDGE_BORDERLINE_WAIT_MS", ge=0, le=600_000)


class WorkerSettings(Section):
    id: str = key("", "WORKER_ID")
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1)
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1)
    stream: WorkerStreamSettings = section(WorkerStreamSettings)
    minio: MinioSettings = section(MinioSettings)
    workspace: str = key("", "WORKSPACE")
    #: jobs at a time; already clamped to 1..number of CPUs
    pool_size: int = whole(4, "WORKER_POOL_SIZE", ge=-(2**31))
    #: custom runs at a time; already clamped to 1..half of pool_size, which is what 0 stands for
    run_slots: int = whole(0, "WORKER_RUN_SLOTS", ge=0)
    keep_workdir: bool = key(False, "KEEP_WORKDIR")
    timeouts: WorkerTimeouts = section(WorkerTimeouts)
    testcase_cache: TestcaseCacheSettings = section(TestcaseCacheSettings)
    unzip_limits: UnzipLimits = section(UnzipLimits)
    result_ttl_sec: float = key(600, "RESULT_TTL_SEC", ge=1, le=30 * DAY_SEC)
    checker_timeout_ms: int = whole(2000, "CHECKER_TIMEOUT_MS", le=DAY_MS)
    cleanup_timeout_sec: float = key(5, "CLEANUP_TIMEOUT_SEC", ge=0.1, le=3600)
    require_cgroups_v2: bool = key(False, "REQUIRE_CGROUPS_V2")
    metrics: WorkerMetricsSettings = section(WorkerMetricsSettings)
    metrics_port: int = whole(9092, "WORKER_METRICS_PORT", ge=0, le=65535)
    executor: ExecutorSettings = section(ExecutorSettings)
    judge: WorkerJudgeSettings = section(WorkerJudgeSettings)


# ---------------------------------------------------------------------------------------------------------------------
# redis, postgres, and the whole


class RedisSettings(Section):
    pool_size: int = whole(10, "REDIS_POOL_SIZE", le=10_000)
    min_idle_conns: int = whole(3, "REDIS_MIN_IDLE_CONNS", ge=0, le=10_000)
    dial_timeout_ms: int = whole(5000, "REDIS_DIAL_TIMEOUT_MS", le=600_000)
    read_timeout_ms: int = whole(3000, "REDIS_READ_TIMEOUT_MS", le=600_000)
    write_timeout_ms: int = whole(3000, "REDIS_WRITE_TIMEOUT_MS", le=600_000)
    password: str = key("", "REDIS_PASSWORD", secret=True)
    tls_enabled: bool = key(False, "REDIS_TLS")
    key_prefix: str = key("deepoj", "REDIS_KEY_PREFIX", min_length=1)
    key_env: str = key("", "REDIS_KEY_ENV")


class PostgresSettings(Section):
    max_conns: int = whole(10, "PG_MAX_CONNS", le=10_000)
    min_conns: int = whole(2, "PG_MIN_CONNS", ge=0, le=10_000)
    max_conn_lifetime_min: float = key(60, "PG_MAX_CONN_LIFETIME_MIN", ge=0.01, le=100_000)
    max_conn_idle_min: float = key(30, "PG_MAX_CONN_IDLE_MIN", ge=0.01, le=100_000)


@dataclass(frozen=True, slots=True)
class Minio:
    """The object store as minio-py wants it: ``endpoint`` is host:port without a scheme."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    secure: bool

    def __repr__(self) -> str:
        return f"Minio(endpoint={self.endpoint!r}, access_key={self.access_key!r}, bucket={self.bucket!r}, …)"


class Config(Section):
    """Everything one node was told, decided and checked. Made by :func:`deepoj.config.load` only."""

    roles: frozenset[Role] = key(frozenset(Role), "DEEPOJ_ROLES")
    without_roles: frozenset[Role] = key(frozenset(), flag_only=True)
    home: Path = key(Path(".deepoj"), "DEEPOJ_HOME")
    #: this node brings its own PostgreSQL, Valkey and object store; the addresses below are not used then
    embedded: bool = key(False, "DEEPOJ_EMBEDDED")
    migrate_on_start: bool = key(False, "MIGRATE_ON_START")
    job_max_attempts: int = whole(5, "JOB_MAX_ATTEMPTS", ge=2, le=1000)
    sandbox_min_isolation: Isolation = key(Isolation.NAMESPACES, "SANDBOX_MIN_ISOLATION")
    path: PathSettings = section(PathSettings)
    compile: CompileSettings = section(CompileSettings)
    runner: RunnerSettings = section(RunnerSettings)
    security: SecuritySettings = section(SecuritySettings)
    observability: ObservabilitySettings = section(ObservabilitySettings)
    api: ApiSettings = section(ApiSettings)
    scheduler: SchedulerSettings = section(SchedulerSettings)
    worker: WorkerSettings = section(WorkerSettings)
    redis: RedisSettings = section(RedisSettings)
    postgres: PostgresSettings = section(PostgresSettings)
    #: for each key where its value came from: ``flag``, ``environment NAME``, ``FILE:key`` or ``default…``
    sources: Mapping[str, str] = Field(default_factory=dict, repr=False)
    #: sentences the node should log when it starts
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The derived repr would show passwords in a traceback or a log line.
        return f"Config(roles={','.join(sorted(self.roles))}, home={str(self.home)!r}, embedded={self.embedded})"

    __str__ = __repr__

    @property
    def namespace(self) -> str:
        """What every Redis name of ours begins with: ``<prefix>[:<env>]``."""
        return f"{self.redis.key_prefix}:{self.redis.key_env}" if self.redis.key_env else self.redis.key_prefix

    @property
    def database_url(self) -> str:
        """The one PostgreSQL of this node (password included)."""
        return self.api.database_url

    @property
    def redis_url(self) -> str:
        """The one Redis of this node as a ``redis://``, ``rediss://`` or ``unix://`` URL, password included."""
        return self.api.redis_url

    @property
    def stream_key(self) -> str:
        return self.worker.stream.stream_key

    @property
    def stream_group(self) -> str:
        return self.worker.stream.group

    @property
    def consumer(self) -> str:
        """This node's name in the group, and the owner of its leases."""
        return self.worker.stream.consumer

    @property
    def workspace(self) -> Path:
        """Where work directories and test data of this node live; absolute."""
        return Path(self.worker.workspace)

    @property
    def minio(self) -> Minio:
        """The one object store of this node."""
        told = self.api.minio
        endpoint = told.endpoint.partition("://")[2] or told.endpoint
        return Minio(endpoint.rstrip("/"), told.access_key, told.secret_key, told.bucket, told.secure)

    @property
    def instance_id(self) -> str:
        """The node's name in metrics where nothing says otherwise."""
        return self.observability.instance_id or self.worker.id or socket.gethostname()
