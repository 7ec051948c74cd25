"""The settings as frozen types: every key of the external contract with its default, environment name and range.

Attribute paths are the keys of ``config.yaml``: ``cfg.api.outbox.dispatch_interval_ms``. This module reads nothing:
:mod:`deepoj.config` merges flags, environment, file and these defaults, and is the only module that builds a
:class:`Config`. Seconds may be fractions; fields with another unit (``_ms``, ``_kb``, ``_bytes``) are integers.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deepoj.words.sandbox import Isolation

DATABASE_URL = "postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable"
DAY_MS = 24 * 3600 * 1000
DAY_SEC = 24 * 3600
GIB = 1024**3


class Role(enum.StrEnum):
    """A part of a node's work."""

    API = "api"
    DISPATCHER = "dispatcher"
    CONSUMER = "consumer"
    RECLAIM = "reclaim"
    REPAIR = "repair"
    GC = "gc"


#: short names for several roles
ROLE_ALIASES: Mapping[str, frozenset[Role]] = {
    "worker": frozenset({Role.CONSUMER, Role.RECLAIM}),
    "scheduler": frozenset({Role.REPAIR, Role.GC}),
    "all": frozenset(Role),
}


def key(
    default: object,
    env: str | None = None,
    *,
    doc: str = "",
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    secret: bool = False,
    flag_only: bool = False,
) -> Any:
    """Declare a setting.

    ``env``: its environment name; by default ``DEEPOJ_`` and the key in capitals. ``doc``: a sentence for the
    reference: what the setting does, its unit, and when to change it.
    """
    return Field(
        default,
        description=doc,
        ge=ge,
        le=le,
        min_length=min_length,
        json_schema_extra={"env": env, "secret": secret, "flag_only": flag_only},
    )


def whole(default: int, env: str | None = None, *, doc: str = "", ge: int = 1, le: int = 2**31 - 1) -> Any:
    """Declare an integer setting, positive unless ``ge`` says otherwise."""
    return key(default, env, doc=doc, ge=ge, le=le)


class Section(BaseModel):
    """A group of settings: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True)


def section(model: type[Section]) -> Any:
    """Declare a nested group with its defaults."""
    return Field(default_factory=model)


# ---------------------------------------------------------------------------------------------------------------------
# path, compile, runner, security, observability


class PathSection(Section):
    workspace_root: str = key(
        "",
        "WORKSPACE",
        doc="Directory of attempts, test data, compiled programs and uploads; put it on a fast local disk.",
    )
    compiler_bin: str = key("/usr/bin/g++", min_length=1, doc="The g++ that compiles C++ submissions and checkers.")
    mount_dirs: tuple[str, ...] = key(
        ("/lib", "/lib64", "/usr", "/bin", "/etc/alternatives"),
        doc="Host directories visible in the sandbox, read-only; add directories of a language's tools, but none with "
        "sockets, which programs could reach.",
    )
    mount_files: tuple[str, ...] = key(
        ("/etc/localtime", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
        doc="Host files visible in the sandbox.",
    )


class CompileSection(Section):
    cpu_limit_s: float = key(
        10,
        ge=0.1,
        le=3600,
        doc="CPU seconds one compilation may use; the smaller of this and worker.timeouts.compile_ms applies.",
    )
    real_time_limit_s: float = key(
        15,
        ge=0.1,
        le=3600,
        doc="Wall-clock seconds one compilation may take; raise it if compilers wait for a slow disk.",
    )
    memory_limit_mb: int = whole(
        1024,
        ge=64,
        le=1024 * 1024,
        doc="MB one compilation may use; raise it for template-heavy C++ or languages with heavy compilers.",
    )
    tmpfs_size_mb: int = whole(128, le=1024 * 1024, doc="MB of scratch space for one compilation.")
    log_max_size_mb: int = whole(16, le=1024, doc="Maximum MB a compiler may write, including the compiled program.")
    max_errors: int = whole(
        10,
        le=10_000,
        doc="Maximum number of compiler errors reported; keeps the output for contestants short.",
    )
    cache_max_mb: int = whole(
        1024,
        ge=0,
        le=1024 * 1024,
        doc="MB of the cache of compiled programs, for later submissions of the same source; 0 disables it.",
    )
    precompiled_headers: bool = key(
        True,
        doc="Precompile common C++ headers at the start, which speeds up C++ compilations; off saves disk space.",
    )


class RunnerSection(Section):
    max_output_size: int = whole(
        10_485_760,
        le=64 * GIB,
        doc="Maximum bytes a program may print; more is Output Limit Exceeded.",
    )
    output_buffer_size: int = whole(2_097_152, le=GIB, doc="Bytes of a program's output held in memory.")
    tmpfs_size_mb: int = whole(64, le=1024 * 1024, doc="MB of scratch space for one execution.")
    cgroup_pids_limit: int = whole(
        20,
        le=100_000,  # what the sandbox takes (limits_sane in wire.c)
        doc="Maximum processes and threads of one execution; raise it for runtimes that start many threads.",
    )
    cgroup_cpu_max_cores: float = key(
        1.0,
        ge=0,
        le=1024,
        doc="CPUs one program may use at a time, at isolation full; 0: unlimited. Below 1, verdicts take longer.",
    )
    cgroup_io_read_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes per second one program may read from each disk, at isolation full; 0: unlimited.",
    )
    cgroup_io_write_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes per second one program may write to each disk, at isolation full; 0: unlimited. "
        "The files it creates are in memory.",
    )


class SecuritySection(Section):
    run_as_uid: int = whole(
        65534,
        le=2**32 - 2,
        doc="User id that programs run as; it must not own anything on the host.",
    )
    run_as_gid: int = whole(
        65534,
        le=2**32 - 2,
        doc="Group id that programs run as; it must not own anything on the host.",
    )


class ObservabilitySection(Section):
    service_name: str = key("", doc="The label `service` of every metric of this node, in place of the names by role.")
    instance_id: str = key(
        "",
        doc="Label `instance` of all metrics of this node; set it if host names do not distinguish nodes.",
    )


# ---------------------------------------------------------------------------------------------------------------------
# api


class MinioSection(Section):
    endpoint: str = key(
        "http://localhost:9000",
        "MINIO_ENDPOINT",
        min_length=1,
        doc="Address of the S3 object store with the test data.",
    )
    access_key: str = key("change_me", "MINIO_ACCESS_KEY", doc="User name for the object store.")
    secret_key: str = key(
        "change_me",
        "MINIO_SECRET_KEY",
        secret=True,
        doc="Password for the object store; preferably set in the environment.",
    )
    bucket: str = key(
        "deep-oj-problems",
        "MINIO_BUCKET",
        min_length=3,
        doc="Bucket of the test data; created at the start if it does not exist.",
    )
    secure: bool = key(False, "MINIO_SECURE", doc="Use TLS for the object store; also implied by an https:// endpoint.")


class GithubSection(Section):
    client_id: str = key("", "GITHUB_CLIENT_ID", doc="Client id of the OAuth application at GitHub.")
    client_secret: str = key(
        "",
        "GITHUB_CLIENT_SECRET",
        secret=True,
        doc="Client secret of the OAuth application at GitHub; preferably set in the environment.",
    )
    redirect_url: str = key(
        "http://localhost:18080/api/v1/auth/github/callback",
        "GITHUB_REDIRECT_URL",
        doc="Public URL of this API's callback, to which GitHub redirects browsers after login.",
    )
    base_url: str = key(
        "https://github.com",
        min_length=1,
        doc="URL of the GitHub login; change it for GitHub Enterprise.",
    )
    api_url: str = key("https://api.github.com", min_length=1, doc="URL of the GitHub API, for the user's identity.")
    timeout_sec: float = key(10, ge=0.1, le=60, doc="Timeout of one request to GitHub, in seconds.")


class OauthSection(Section):
    github: GithubSection = section(GithubSection)


class AuthSection(Section):
    jwt_secret: str = key(
        "",
        "JWT_SECRET",
        secret=True,
        doc="Key that signs login tokens, at least 16 characters, the same on every node with the API; "
        "changing it ends all logins.",
    )
    jwt_expire_hours: float = key(24, "JWT_EXPIRE_HOURS", ge=0.001, le=24 * 365, doc="Hours until a login expires.")
    oauth_state_ttl_sec: float = key(
        300,
        "OAUTH_STATE_TTL_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Maximum seconds between the redirect to GitHub and the callback.",
    )
    admin_users: tuple[str, ...] = key((), "ADMIN_USERS", doc="Usernames reserved for administrators.")
    #: whether names in ``admin_users`` can be registered over HTTP
    admin_registration: Literal["open", "closed"] = key(
        "closed",
        "ADMIN_REGISTRATION",
        doc="Whether names in admin_users can be registered over HTTP; open only until you have yours.",
    )
    oauth: OauthSection = section(OauthSection)


class RateLimitSection(Section):
    """Requests in a window; a limit of 0 limits nothing, and costs nothing."""

    ip_limit: int = whole(60, "RATE_LIMIT_IP_PER_WINDOW", ge=0, doc="Requests from one address in a window.")
    user_limit: int = whole(120, "RATE_LIMIT_USER_PER_WINDOW", ge=0, doc="Requests of one user in a window.")
    window_sec: float = key(60, "RATE_LIMIT_WINDOW_SEC", ge=0.1, le=DAY_SEC, doc="Seconds of the window.")


class AuthRateLimitSection(Section):
    ip_limit: int = whole(
        60,
        "AUTH_RATE_LIMIT_IP_PER_WINDOW",
        ge=0,
        doc="Logins and registrations from one address in a window.",
    )
    user_limit: int = whole(
        120,
        "AUTH_RATE_LIMIT_USER_PER_WINDOW",
        ge=0,
        doc="Logins and registrations of one name in a window.",
    )
    window_sec: float = key(
        60,
        "AUTH_RATE_LIMIT_WINDOW_SEC",
        ge=0.1,
        le=DAY_SEC,
        doc="Seconds of the window for logins and registrations.",
    )


class SubmitRateLimitSection(Section):
    ip_limit: int = whole(
        60,
        "SUBMIT_RATE_LIMIT_IP_PER_WINDOW",
        ge=0,
        doc="Submissions from one address in a window; raise it for a class behind one address. Embedded: 1200.",
    )
    user_limit: int = whole(120, "SUBMIT_RATE_LIMIT_USER_PER_WINDOW", ge=0, doc="Submissions of one user in a window.")
    window_sec: float = key(
        60,
        "SUBMIT_RATE_LIMIT_WINDOW_SEC",
        ge=0.1,
        le=DAY_SEC,
        doc="Seconds of the window for submissions.",
    )


class ProblemDefaults(Section):
    time_limit_ms: int = whole(
        1000,
        "PROBLEM_DEFAULT_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="CPU milliseconds per test, for problems without a limit in package and upload.",
    )
    memory_limit_mb: int = whole(
        128,
        "PROBLEM_DEFAULT_MEMORY_LIMIT_MB",
        le=1024 * 1024,
        doc="MB of memory, for problems without a limit in package and upload.",
    )


class LimitSection(Section):
    submit_body_max_bytes: int = whole(
        1_048_576,
        "SUBMIT_BODY_MAX_BYTES",
        doc="Maximum bytes of the body of a submission.",
    )
    problem_zip_max_bytes: int = whole(
        52_428_800,
        "PROBLEM_ZIP_MAX_BYTES",
        le=64 * GIB,
        doc="Maximum bytes of an uploaded package; raise it for problems with large tests.",
    )
    submit_code_max_bytes: int = whole(
        65_536,
        "SUBMIT_CODE_MAX_BYTES",
        doc="Maximum bytes of the source of a submission.",
    )
    default_time_limit_ms: int = whole(
        1000,
        "SUBMIT_DEFAULT_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="CPU limit of `deepoj judge` without -t, in milliseconds.",
    )
    max_time_limit_ms: int = whole(
        10_000,
        "SUBMIT_MAX_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="Maximum CPU limit of a problem, in milliseconds.",
    )
    default_memory_limit_kb: int = whole(
        65_536,
        "SUBMIT_DEFAULT_MEMORY_LIMIT_KB",
        le=2**40,
        doc="Memory limit of `deepoj judge` without -m, in KB.",
    )
    #: problems' limits are whole megabytes: less than 1024 KB would allow no limit at all
    max_memory_limit_kb: int = whole(
        524_288,
        "SUBMIT_MAX_MEMORY_LIMIT_KB",
        ge=1024,
        le=2**40,
        doc="Maximum memory limit of a problem, in KB.",
    )
    inflight_ttl_sec: float = key(
        600,
        "SUBMIT_INFLIGHT_TTL_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds during which resubmitting the same unfinished program returns the same submission; 0: never.",
    )
    rate_limit: RateLimitSection = section(RateLimitSection)
    auth_rate_limit: AuthRateLimitSection = section(AuthRateLimitSection)
    submit_rate_limit: SubmitRateLimitSection = section(SubmitRateLimitSection)
    #: 0 in the sources means 5000 with ``redis.key_env`` dev, else 500; here it is already decided
    submit_max_inflight: int = whole(
        500,
        "SUBMIT_MAX_INFLIGHT",
        ge=0,
        doc="Maximum unfinished submissions of all users; more are answered 429, except a user's first one, up to "
        "twice as many. 0: 5000 with redis.key_env dev, else 500.",
    )
    submit_max_inflight_per_user: int = whole(
        20,
        "SUBMIT_MAX_INFLIGHT_PER_USER",
        doc="Maximum unfinished submissions of one user, without rejudges; more are answered 429.",
    )
    run_enabled: bool = key(
        True,
        "RUN_ENABLED",
        doc="Whether custom runs are accepted; off, no run can search a host for traces of judged programs.",
    )
    run_max_inflight: int = whole(2, "RUN_MAX_INFLIGHT", le=1000, doc="Maximum unfinished custom runs of one user.")
    run_stdin_max_bytes: int = whole(
        262_144, "RUN_STDIN_MAX_BYTES", ge=0, doc="Maximum bytes of a custom run's input, in UTF-8."
    )
    run_kept_max_bytes: int = whole(
        8_388_608,
        "RUN_KEPT_MAX_BYTES",
        ge=0,
        le=GIB,
        doc="Bytes kept of one user's custom run results; the oldest are removed to make room.",
    )
    run_max_wait_sec: float = key(
        120,
        "RUN_MAX_WAIT_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Seconds a custom run waits for a node before it is given up.",
    )
    problem_defaults: ProblemDefaults = section(ProblemDefaults)


class ApiMetricsSection(Section):
    service_name: str = key("deep-oj-api", "SERVICE_NAME", doc="The label `service` of the API's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the API's metrics.")


class ApiStreamSection(Section):
    stream_key: str = key(
        "deepoj:jobs",
        "JOB_STREAM_KEY",
        min_length=1,
        doc="Name of the Redis stream that delivers jobs to workers; the same on every node.",
    )
    stream_maxlen: int = whole(
        200_000,
        "JOB_STREAM_MAXLEN",
        doc="Approximate maximum of entries in the stream; set it far above the number of waiting jobs.",
    )
    job_payload_ttl_sec: float = key(
        86_400,
        "JOB_PAYLOAD_TTL_SEC",
        ge=1,
        le=365 * DAY_SEC,
        doc="Seconds a job's payload stays in Redis; set it longer than any job waits.",
    )


class ApiTimeouts(Section):
    read_header_sec: float = key(
        5,
        "API_READ_HEADER_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Timeout for receiving a request's head, in seconds.",
    )
    read_sec: float = key(
        15,
        "API_READ_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Timeout for the next bytes of a request's body, in seconds.",
    )
    write_sec: float = key(
        30,
        "API_WRITE_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Timeout for a client to read a response, in seconds.",
    )
    idle_sec: float = key(
        60,
        "API_IDLE_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds an idle connection is kept open; set it longer than the idle timeout of a proxy in front.",
    )


class LiveSection(Section):
    max_streams: int = whole(
        600,
        "API_LIVE_MAX_STREAMS",
        le=90_000,
        doc="Maximum concurrent event streams; beyond, the user or address with most loses one, or 429. Its default "
        "scales with API_MAX_CONNECTIONS; at most 9 in 10 of them.",
    )
    max_streams_per_user: int = whole(
        20,
        "API_LIVE_MAX_STREAMS_PER_USER",
        le=90_000,
        doc="Maximum concurrent event streams of one user; more are answered 429.",
    )
    max_streams_per_address: int = whole(
        400,
        "API_LIVE_MAX_STREAMS_PER_ADDRESS",
        le=90_000,
        doc="Maximum concurrent event streams of one address (IPv6: a /64), enough for a school of 300; more are "
        "answered 429. Its default scales with API_MAX_CONNECTIONS.",
    )


class BackpressureSection(Section):
    """D3. What is at ``*_high`` closes the door until it is down at ``*_low``; a high of 0 never does."""

    enabled: bool = key(True, "API_BACKPRESSURE_ENABLED", doc="Whether new work is refused (429) while too much waits.")
    lag_high: int = whole(
        5000, "API_BACKPRESSURE_LAG_HIGH", ge=0, doc="Unread entries at which new work is refused; 0: never."
    )
    lag_low: int = whole(4000, "API_BACKPRESSURE_LAG_LOW", ge=0, doc="Unread entries at which it is accepted again.")
    pending_high: int = whole(
        5000,
        "API_BACKPRESSURE_PENDING_HIGH",
        ge=0,
        doc="Unacknowledged entries at which new work is refused; 0: never.",
    )
    pending_low: int = whole(4000, "API_BACKPRESSURE_PENDING_LOW", ge=0, doc="Entries at which it is accepted again.")
    oldest_age_high_sec: float = key(
        1800,
        "API_BACKPRESSURE_OLDEST_AGE_HIGH_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Age of the oldest waiting entry, in seconds, at which new work is refused; 0: never.",
    )
    oldest_age_low_sec: float = key(
        900,
        "API_BACKPRESSURE_OLDEST_AGE_LOW_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Age of the oldest waiting entry, in seconds, at which new work is accepted again.",
    )
    #: minimum of waiting entries for the age to count: a single job that no node can judge is not a backlog
    age_min_backlog: int = whole(
        100,
        "API_BACKPRESSURE_AGE_MIN_BACKLOG",
        ge=0,
        doc="Minimum of waiting entries for the age to count: a single job that no node can judge is not a backlog.",
    )
    #: how long a snapshot of the stream is valid
    snapshot_max_age_sec: float = key(
        15,
        "API_BACKPRESSURE_SNAPSHOT_MAX_AGE_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds for which a snapshot of the stream is valid.",
    )
    retry_after_sec: float = key(
        5, "API_BACKPRESSURE_RETRY_AFTER_SEC", ge=1, le=3600, doc="Retry-After of refused requests, in seconds."
    )


class OutboxSection(Section):
    enabled: bool = key(
        True,
        "OUTBOX_ENABLED",
        doc="Whether the outbox delivers submissions to the stream; off, for debugging, the submit request does.",
    )
    dispatch_interval_ms: int = whole(
        200,
        "OUTBOX_DISPATCH_INTERVAL_MS",
        le=DAY_MS,
        doc="Milliseconds between two polls of the outbox; most submissions are delivered earlier, by a notification.",
    )
    dispatch_batch_size: int = whole(
        100,
        "OUTBOX_DISPATCH_BATCH_SIZE",
        le=10_000,
        doc="Maximum submissions delivered to the stream in one batch.",
    )
    retry_base_ms: int = whole(
        500,
        "OUTBOX_RETRY_BASE_MS",
        le=DAY_MS,
        doc="Milliseconds before the first retry of an undelivered submission; doubled each time.",
    )
    retry_max_ms: int = whole(10_000, "OUTBOX_RETRY_MAX_MS", le=DAY_MS, doc="Maximum milliseconds between two retries.")


class WebhookSection(Section):
    enabled: bool = key(
        True, "WEBHOOKS_ENABLED", doc="Whether submissions may have a callback_url; also requires a secret."
    )
    #: without it callbacks are refused; an embedded node generates it
    secret: str = key(
        "",
        "WEBHOOKS_SECRET",
        secret=True,
        doc="Key from which users' signing secrets are derived, the same on every node; preferably set in the "
        "environment.",
    )
    #: host or *.domain, optionally with :port; empty: any
    allowed_hosts: tuple[str, ...] = key(
        (),
        "WEBHOOKS_ALLOWED_HOSTS",
        doc="Hosts that may be called: a name or *.domain, optionally with :port; empty: any public host.",
    )
    #: networks that may be called although they are not public, such as 10.1.2.0/24
    private_networks: tuple[str, ...] = key(
        (), "WEBHOOKS_PRIVATE_NETWORKS", doc="Networks that may be called although they are not public."
    )
    timeout_sec: float = key(10, "WEBHOOKS_TIMEOUT_SEC", ge=0.1, le=120, doc="Timeout of one delivery, in seconds.")
    #: concurrent tries of this node: in total, and to one scheme://host:port
    concurrency: int = whole(
        16,
        "WEBHOOKS_CONCURRENCY",
        le=1000,
        doc="Maximum concurrent deliveries of one node; of one account at most half as many.",
    )
    per_target: int = whole(
        4, "WEBHOOKS_PER_TARGET", le=1000, doc="Maximum concurrent deliveries to one target, of all accounts together."
    )
    poll_interval_ms: int = whole(
        1000, "WEBHOOKS_POLL_INTERVAL_MS", ge=10, le=DAY_MS, doc="Milliseconds between two polls for due deliveries."
    )
    retry_base_ms: int = whole(
        5000,
        "WEBHOOKS_RETRY_BASE_MS",
        le=DAY_MS,
        doc="Milliseconds before the first retry; doubled each time.",
    )
    retry_max_ms: int = whole(
        3_600_000, "WEBHOOKS_RETRY_MAX_MS", le=DAY_MS, doc="Maximum milliseconds between two tries."
    )
    #: counted from the first try
    give_up_sec: float = key(
        DAY_SEC,
        "WEBHOOKS_GIVE_UP_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds after the first try at which a delivery is given up; administrators can list and repeat it.",
    )
    keep_days: float = key(14, "WEBHOOKS_KEEP_DAYS", ge=0, le=36_500, doc="Days for which ended deliveries are kept.")


class HiddenTestsSection(Section):
    time_step_ms: int = whole(
        100,
        "HIDDEN_TESTS_TIME_STEP_MS",
        ge=0,
        le=DAY_MS,
        doc="Contestants see times of hidden tests rounded up to this many milliseconds, or 2, 4, 8, … times as many; "
        "0: exact.",
    )
    memory_step_kb: int = whole(
        16_384,
        "HIDDEN_TESTS_MEMORY_STEP_KB",
        ge=0,
        le=2**40,
        doc="Contestants see memory of hidden tests rounded up to this many KB, or 2, 4, 8, … times as many; 0: exact.",
    )


class ApiSection(Section):
    host: str = key(
        "127.0.0.1",
        "API_HOST",
        min_length=1,
        doc="Address the API listens on; 0.0.0.0 for access from other hosts, preferably behind a proxy with TLS.",
    )
    #: 0 lets the kernel choose
    port: int = whole(18080, "PORT", ge=0, le=65535, doc="Port of the API; 0 lets the kernel choose.")
    database_url: str = key(
        DATABASE_URL,
        "DATABASE_URL",
        min_length=1,
        doc="Address of PostgreSQL, with user and password; the same on every node.",
    )
    redis_url: str = key(
        "localhost:6379",
        "REDIS_URL",
        min_length=1,
        doc="Address of Redis or Valkey; the same on every node.",
    )
    minio: MinioSection = section(MinioSection)
    auth: AuthSection = section(AuthSection)
    limits: LimitSection = section(LimitSection)
    metrics: ApiMetricsSection = section(ApiMetricsSection)
    max_connections: int = whole(
        1000,
        "API_MAX_CONNECTIONS",
        ge=10,
        le=100_000,
        doc="Maximum concurrent connections; beyond, the connection awaited for longest is closed; without any, all "
        "but health, ready and metrics get 503.",
    )
    max_connections_per_address: int = whole(
        750,
        "API_MAX_CONNECTIONS_PER_ADDRESS",
        le=100_000,
        doc="The same per address (IPv6: a /64), except trusted proxies, with 429; enough for a school of 300. Its "
        "default scales with API_MAX_CONNECTIONS.",
    )
    shutdown_timeout_sec: float = key(
        5,
        "API_SHUTDOWN_TIMEOUT_SEC",
        ge=0,
        le=3600,
        doc="Seconds for requests in progress to finish when the node stops.",
    )
    stream: ApiStreamSection = section(ApiStreamSection)
    trusted_proxies: tuple[str, ...] = key(
        ("127.0.0.1",),
        "TRUSTED_PROXIES",
        doc="Proxy addresses whose X-Forwarded-For is trusted; unless set, an embedded node trusts none.",
    )
    cors_allowed_origins: tuple[str, ...] = key(
        (),
        "CORS_ALLOWED_ORIGINS",
        doc="Origins whose pages may call the API from browsers, exactly as browsers send them.",
    )
    metrics_token: str = key(
        "",
        "METRICS_TOKEN",
        secret=True,
        doc="Bearer token for /metrics on all ports; without it only this host may read the metrics.",
    )
    timeouts: ApiTimeouts = section(ApiTimeouts)
    live: LiveSection = section(LiveSection)
    hidden_tests: HiddenTestsSection = section(HiddenTestsSection)
    outbox: OutboxSection = section(OutboxSection)
    backpressure: BackpressureSection = section(BackpressureSection)
    webhooks: WebhookSection = section(WebhookSection)


# ---------------------------------------------------------------------------------------------------------------------
# scheduler


class SchedulerMetricsSection(Section):
    service_name: str = key("deep-oj-scheduler", "SERVICE_NAME", doc="The label `service` of the scheduler's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the scheduler's metrics.")


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
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1, doc="As api.redis_url.")
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
        doc="Milliseconds between two measurements of the waiting work, for the metrics and for backpressure.",
    )
    metrics: SchedulerMetricsSection = section(SchedulerMetricsSection)
    control_plane: ControlPlaneSection = section(ControlPlaneSection)


# ---------------------------------------------------------------------------------------------------------------------
# worker


class WorkerStreamSection(Section):
    stream_key: str = key(
        "deepoj:jobs",
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


class WorkerMetricsSection(Section):
    service_name: str = key("deep-oj-worker", "SERVICE_NAME", doc="The label `service` of the worker's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the worker's metrics.")


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
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1, doc="As api.redis_url.")
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


# ---------------------------------------------------------------------------------------------------------------------
# redis, postgres, and the whole


class RedisSection(Section):
    pool_size: int = whole(10, "REDIS_POOL_SIZE", le=10_000, doc="Connections to Redis this node opens at most.")
    min_idle_conns: int = whole(
        3,
        "REDIS_MIN_IDLE_CONNS",
        ge=0,
        le=10_000,
        doc="Minimum idle Redis connections kept open.",
    )
    dial_timeout_ms: int = whole(
        5000,
        "REDIS_DIAL_TIMEOUT_MS",
        le=600_000,
        doc="Timeout for connecting to Redis, in milliseconds.",
    )
    read_timeout_ms: int = whole(
        3000,
        "REDIS_READ_TIMEOUT_MS",
        le=600_000,
        doc="Timeout for an answer of Redis, in milliseconds.",
    )
    write_timeout_ms: int = whole(
        3000,
        "REDIS_WRITE_TIMEOUT_MS",
        le=600_000,
        doc="Timeout for sending to Redis, in milliseconds.",
    )
    password: str = key("", "REDIS_PASSWORD", secret=True, doc="Password for Redis; preferably set in the environment.")
    tls_enabled: bool = key(False, "REDIS_TLS", doc="Use TLS for Redis; also implied by a rediss:// address.")
    key_prefix: str = key(
        "deepoj",
        "REDIS_KEY_PREFIX",
        min_length=1,
        doc="Prefix of all names in Redis; must differ between deployments on one Redis.",
    )
    key_env: str = key(
        "",
        "REDIS_KEY_ENV",
        doc="Second part of all names in Redis, for instance dev; the same on every node.",
    )


class PostgresSection(Section):
    max_conns: int = whole(
        10,
        "PG_MAX_CONNS",
        le=10_000,
        doc="Maximum PostgreSQL connections of this node; all nodes together must stay below max_connections.",
    )
    min_conns: int = whole(2, "PG_MIN_CONNS", ge=0, le=10_000, doc="Minimum PostgreSQL connections kept open.")
    max_conn_lifetime_min: float = key(
        60,
        "PG_MAX_CONN_LIFETIME_MIN",
        ge=0.01,
        le=100_000,
        doc="Minutes after which a connection is closed, after its next use.",
    )
    max_conn_idle_min: float = key(
        30,
        "PG_MAX_CONN_IDLE_MIN",
        ge=0.01,
        le=100_000,
        doc="Idle minutes after which a connection is closed.",
    )


@dataclass(frozen=True, slots=True)
class Minio:
    """The object store in the form of minio-py: ``endpoint`` is host:port without a scheme."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    secure: bool

    def __repr__(self) -> str:
        return f"Minio(endpoint={self.endpoint!r}, access_key={self.access_key!r}, bucket={self.bucket!r}, …)"


class Config(Section):
    """The validated settings of one node. Built by :func:`deepoj.config.load` only."""

    roles: frozenset[Role] = key(
        frozenset(Role),
        "DEEPOJ_ROLES",
        doc="Roles of this node; the nodes of a deployment may have different roles.",
    )
    without_roles: frozenset[Role] = key(
        frozenset(),
        flag_only=True,
        doc="Roles removed from DEEPOJ_ROLES, as by --no-reclaim.",
    )
    home: Path = key(
        Path(".deepoj"),
        "DEEPOJ_HOME",
        doc="Directory of this node's data: its workspace, and the data of embedded servers.",
    )
    #: this node starts its own PostgreSQL, Valkey and object store; the addresses below are then unused
    embedded: bool = key(
        False,
        "DEEPOJ_EMBEDDED",
        doc="Start PostgreSQL, Valkey and an object store with the node; for a single host, not for a cluster.",
    )
    migrate_on_start: bool = key(
        False,
        "MIGRATE_ON_START",
        doc="Migrate the schema at the start; otherwise run `deepoj migrate` before starting a new version.",
    )
    job_max_attempts: int = whole(
        5,
        "JOB_MAX_ATTEMPTS",
        ge=2,
        le=1000,
        doc="Maximum attempts of a job before it becomes a dead letter.",
    )
    sandbox_min_isolation: Isolation = key(
        Isolation.NAMESPACES,
        "SANDBOX_MIN_ISOLATION",
        doc="Minimum isolation for judging: full requires delegated cgroup v2; weak is for trusted code only. Unless "
        "set, `deepoj up --sample` accepts weak.",
    )
    path: PathSection = section(PathSection)
    compile: CompileSection = section(CompileSection)
    runner: RunnerSection = section(RunnerSection)
    security: SecuritySection = section(SecuritySection)
    observability: ObservabilitySection = section(ObservabilitySection)
    api: ApiSection = section(ApiSection)
    scheduler: SchedulerSection = section(SchedulerSection)
    worker: WorkerSection = section(WorkerSection)
    redis: RedisSection = section(RedisSection)
    postgres: PostgresSection = section(PostgresSection)
    #: for each key where its value came from: ``flag``, ``environment NAME``, ``FILE:key`` or ``default…``
    sources: Mapping[str, str] = Field(default_factory=dict, repr=False)
    #: warnings to log at the start
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # The derived repr would show passwords in a traceback or a log line.
        return f"Config(roles={','.join(sorted(self.roles))}, home={str(self.home)!r}, embedded={self.embedded})"

    __str__ = __repr__

    @property
    def namespace(self) -> str:
        """Prefix of all names in Redis: ``<prefix>[:<env>]``."""
        return f"{self.redis.key_prefix}:{self.redis.key_env}" if self.redis.key_env else self.redis.key_prefix

    @property
    def database_url(self) -> str:
        """Address of this node's PostgreSQL, password included."""
        return self.api.database_url

    @property
    def redis_url(self) -> str:
        """``redis://``, ``rediss://`` or ``unix://`` URL of this node's Redis, password included."""
        return self.api.redis_url

    @property
    def stream_key(self) -> str:
        return self.worker.stream.stream_key

    @property
    def stream_group(self) -> str:
        return self.worker.stream.group

    @property
    def consumer(self) -> str:
        """Name of this node in the consumer group, and the owner of its leases."""
        return self.worker.stream.consumer

    @property
    def workspace(self) -> Path:
        """Absolute path of this node's working directories and test data."""
        return Path(self.worker.workspace)

    @property
    def minio(self) -> Minio:
        """This node's object store."""
        section = self.api.minio
        endpoint = section.endpoint.partition("://")[2] or section.endpoint
        return Minio(endpoint.rstrip("/"), section.access_key, section.secret_key, section.bucket, section.secure)

    @property
    def instance_id(self) -> str:
        """Default label ``instance`` of this node's metrics."""
        return self.observability.instance_id or self.worker.id or socket.gethostname()
