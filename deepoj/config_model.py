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

from deepoj.words.sandbox import Isolation

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
    doc: str = "",
    ge: float | None = None,
    le: float | None = None,
    min_length: int | None = None,
    secret: bool = False,
    flag_only: bool = False,
) -> Any:
    """One setting. Without ``env`` its environment name is the key in capitals with ``DEEPOJ_`` before it. ``doc``: a
    sentence for the reference, what it does, in what unit, when to change it."""
    return Field(
        default,
        description=doc,
        ge=ge,
        le=le,
        min_length=min_length,
        json_schema_extra={"env": env, "secret": secret, "flag_only": flag_only},
    )


def whole(default: int, env: str | None = None, *, doc: str = "", ge: int = 1, le: int = 2**31 - 1) -> Any:
    """A whole number, positive unless ``ge`` says otherwise."""
    return key(default, env, doc=doc, ge=ge, le=le)


class Section(BaseModel):
    """A group of settings: frozen, without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, arbitrary_types_allowed=True)


def section(model: type[Section]) -> Any:
    """A nested group with all its defaults."""
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
        doc="Host directories that programs in the sandbox see, read-only; add where a language's "
        "tools live elsewhere, but none with sockets, which programs could reach.",
    )
    mount_files: tuple[str, ...] = key(
        ("/etc/localtime", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
        doc="Host files that programs in the sandbox would see.",
    )


class CompileSection(Section):
    cpu_limit_s: float = key(
        10,
        ge=0.1,
        le=3600,
        doc="CPU seconds one compilation may use; worker.timeouts.compile_ms holds too, the smaller wins.",
    )
    real_time_limit_s: float = key(
        15,
        ge=0.1,
        le=3600,
        doc="Seconds by the clock one compilation may take; raise it where compilers wait for a slow disk.",
    )
    memory_limit_mb: int = whole(
        1024,
        ge=64,
        le=1024 * 1024,
        doc="MB one compilation may use; raise it for template-heavy C++ or languages with heavy compilers.",
    )
    tmpfs_size_mb: int = whole(128, le=1024 * 1024, doc="MB of scratch space of one compilation.")
    log_max_size_mb: int = whole(16, le=1024, doc="MB a compiler may write at most, what it makes included.")
    max_errors: int = whole(
        10,
        le=10_000,
        doc="So many errors, then the compiler stops; what contestants read stays short.",
    )
    cache_max_mb: int = whole(
        1024,
        ge=0,
        le=1024 * 1024,
        doc="MB of compiled programs kept for the next submission of the same text; 0 keeps none.",
    )
    precompiled_headers: bool = key(
        True,
        doc="Compile the usual C++ headers once at the start, which makes C++ compile faster; off saves disk.",
    )


class RunnerSection(Section):
    max_output_size: int = whole(
        10_485_760,
        le=64 * GIB,
        doc="Bytes a program may print before it is Output Limit Exceeded.",
    )
    output_buffer_size: int = whole(2_097_152, le=GIB, doc="Bytes of a program's output that would be held in memory.")
    tmpfs_size_mb: int = whole(64, le=1024 * 1024, doc="MB of scratch space of one run.")
    cgroup_pids_limit: int = whole(
        20,
        le=100_000,  # what the sandbox takes (limits_sane in wire.c)
        doc="Processes and threads one run may have; raise it for languages whose runtimes start many threads.",
    )
    cgroup_cpu_max_cores: float = key(
        1.0,
        ge=0,
        le=1024,
        doc="CPUs one program may use at a time, at isolation full; 0: all of them. Below 1 its verdict comes later.",
    )
    cgroup_io_read_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes a second one program may read of each disk, at isolation full; 0: any number.",
    )
    cgroup_io_write_bps: int = whole(
        104_857_600,
        ge=0,
        le=2**53,
        doc="Bytes a second one program may write to each disk, at isolation full; 0: any number. "
        "The files it makes are in memory.",
    )


class SecuritySection(Section):
    run_as_uid: int = whole(
        65534,
        le=2**32 - 2,
        doc="User id that programs run under; one that owns nothing on the host.",
    )
    run_as_gid: int = whole(
        65534,
        le=2**32 - 2,
        doc="Group id that programs run under; one that owns nothing on the host.",
    )


class ObservabilitySection(Section):
    service_name: str = key("", doc="The label `service` of every metric of this node, in place of the names by role.")
    instance_id: str = key(
        "",
        doc="The label `instance` of every metric of this node; set it where host names do not tell nodes apart.",
    )


# ---------------------------------------------------------------------------------------------------------------------
# api


class MinioSection(Section):
    endpoint: str = key(
        "http://localhost:9000",
        "MINIO_ENDPOINT",
        min_length=1,
        doc="Address of the S3 object store that holds the test data.",
    )
    access_key: str = key("change_me", "MINIO_ACCESS_KEY", doc="User name at the object store.")
    secret_key: str = key(
        "change_me",
        "MINIO_SECRET_KEY",
        secret=True,
        doc="Password at the object store; better given by environment.",
    )
    bucket: str = key(
        "deep-oj-problems",
        "MINIO_BUCKET",
        min_length=3,
        doc="Bucket of the test data; made at the start if it is not there.",
    )
    secure: bool = key(False, "MINIO_SECURE", doc="Speak TLS to the object store; an endpoint with https:// does too.")


class GithubSection(Section):
    client_id: str = key("", "GITHUB_CLIENT_ID", doc="Client id of the OAuth application at GitHub.")
    client_secret: str = key(
        "",
        "GITHUB_CLIENT_SECRET",
        secret=True,
        doc="Client secret of the OAuth application at GitHub; better given by environment.",
    )
    redirect_url: str = key(
        "http://localhost:18080/api/v1/auth/github/callback",
        "GITHUB_REDIRECT_URL",
        doc="Where GitHub sends people back to: this API as browsers reach it.",
    )
    base_url: str = key(
        "https://github.com",
        min_length=1,
        doc="Where people log in; another one for GitHub Enterprise.",
    )
    api_url: str = key("https://api.github.com", min_length=1, doc="Where the node asks who they are.")
    timeout_sec: float = key(10, ge=0.1, le=60, doc="Seconds that GitHub may take for one answer.")


class OauthSection(Section):
    github: GithubSection = section(GithubSection)


class AuthSection(Section):
    jwt_secret: str = key(
        "",
        "JWT_SECRET",
        secret=True,
        doc="Signs the tokens of logins, at least 16 characters, the same on every node with the "
        "API; changing it ends all logins.",
    )
    jwt_expire_hours: float = key(24, "JWT_EXPIRE_HOURS", ge=0.001, le=24 * 365, doc="Hours until a login ends.")
    oauth_state_ttl_sec: float = key(
        300,
        "OAUTH_STATE_TTL_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Seconds somebody may take to log in at GitHub.",
    )
    admin_users: tuple[str, ...] = key((), "ADMIN_USERS", doc="Names whose accounts are administrators.")
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
        doc="CPU milliseconds a test of a problem whose package and upload name no limit.",
    )
    memory_limit_mb: int = whole(
        128,
        "PROBLEM_DEFAULT_MEMORY_LIMIT_MB",
        le=1024 * 1024,
        doc="MB of a problem whose package and upload name no limit.",
    )


class LimitSection(Section):
    submit_body_max_bytes: int = whole(
        1_048_576,
        "SUBMIT_BODY_MAX_BYTES",
        doc="Bytes the body of a submission may have.",
    )
    problem_zip_max_bytes: int = whole(
        52_428_800,
        "PROBLEM_ZIP_MAX_BYTES",
        le=64 * GIB,
        doc="Bytes an uploaded package may have; raise it for problems with large tests.",
    )
    submit_code_max_bytes: int = whole(
        65_536,
        "SUBMIT_CODE_MAX_BYTES",
        doc="Bytes the source of a submission may have.",
    )
    default_time_limit_ms: int = whole(
        1000,
        "SUBMIT_DEFAULT_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="CPU milliseconds of `deepoj judge` without -t.",
    )
    max_time_limit_ms: int = whole(
        10_000,
        "SUBMIT_MAX_TIME_LIMIT_MS",
        le=DAY_MS,
        doc="The most CPU milliseconds a problem may allow.",
    )
    default_memory_limit_kb: int = whole(
        65_536,
        "SUBMIT_DEFAULT_MEMORY_LIMIT_KB",
        le=2**40,
        doc="KB of memory of `deepoj judge` without -m.",
    )
    #: problems have whole megabytes: less than one would allow none
    max_memory_limit_kb: int = whole(
        524_288,
        "SUBMIT_MAX_MEMORY_LIMIT_KB",
        ge=1024,
        le=2**40,
        doc="The most KB of memory a problem may allow.",
    )
    inflight_ttl_sec: float = key(
        600,
        "SUBMIT_INFLIGHT_TTL_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds in which the same unfinished program of the same user is the same submission; 0: never.",
    )
    rate_limit: RateLimitSection = section(RateLimitSection)
    auth_rate_limit: AuthRateLimitSection = section(AuthRateLimitSection)
    submit_rate_limit: SubmitRateLimitSection = section(SubmitRateLimitSection)
    #: 0 in the sources means 5000 with ``redis.key_env`` dev, else 500; here it is already decided
    submit_max_inflight: int = whole(
        500,
        "SUBMIT_MAX_INFLIGHT",
        ge=0,
        doc="Unfinished submissions of all users; more are answered 429, but the first of a user, to twice as many. "
        "0: 5000 with redis.key_env dev, else 500.",
    )
    submit_max_inflight_per_user: int = whole(
        20,
        "SUBMIT_MAX_INFLIGHT_PER_USER",
        doc="Unfinished submissions of one user, rejudges aside; one more is answered 429.",
    )
    run_enabled: bool = key(
        True,
        "RUN_ENABLED",
        doc="Whether custom runs are taken and run; off, no run can look for what a judged one left on its host.",
    )
    run_max_inflight: int = whole(2, "RUN_MAX_INFLIGHT", le=1000, doc="Unfinished custom runs of one user.")
    run_stdin_max_bytes: int = whole(
        262_144, "RUN_STDIN_MAX_BYTES", ge=0, doc="Bytes of a custom run's input, in UTF-8."
    )
    run_kept_max_bytes: int = whole(
        8_388_608,
        "RUN_KEPT_MAX_BYTES",
        ge=0,
        le=GIB,
        doc="Bytes kept of the results of one user's custom runs; older ones make room for a new one.",
    )
    run_max_wait_sec: float = key(
        120,
        "RUN_MAX_WAIT_SEC",
        ge=1,
        le=DAY_SEC,
        doc="Seconds a custom run waits for a node; it is given up then.",
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
        doc="Name of the stream in Redis that brings jobs to workers; the same on every node.",
    )
    stream_maxlen: int = whole(
        200_000,
        "JOB_STREAM_MAXLEN",
        doc="Entries the stream keeps at about; far more than jobs that ever wait.",
    )
    job_payload_ttl_sec: float = key(
        86_400,
        "JOB_PAYLOAD_TTL_SEC",
        ge=1,
        le=365 * DAY_SEC,
        doc="Seconds a job's payload stays in Redis; longer than any job waits.",
    )


class ApiTimeouts(Section):
    read_header_sec: float = key(
        5,
        "API_READ_HEADER_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds a client may take to send a request's head.",
    )
    read_sec: float = key(
        15,
        "API_READ_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds without a byte of a request's body before it is given up.",
    )
    write_sec: float = key(
        30,
        "API_WRITE_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds a client may leave an answer unread.",
    )
    idle_sec: float = key(
        60,
        "API_IDLE_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds an idle connection is kept; longer than a proxy's before it.",
    )


class LiveSection(Section):
    max_streams: int = whole(
        600,
        "API_LIVE_MAX_STREAMS",
        le=90_000,
        doc="Event streams at a time; beyond, the user or address that has most gives one up, or 429. Follows "
        "API_MAX_CONNECTIONS; at most 9 in 10.",
    )
    max_streams_per_user: int = whole(
        20,
        "API_LIVE_MAX_STREAMS_PER_USER",
        le=90_000,
        doc="Event streams of one user at a time; more are answered 429.",
    )
    max_streams_per_address: int = whole(
        400,
        "API_LIVE_MAX_STREAMS_PER_ADDRESS",
        le=90_000,
        doc="Event streams of one address (IPv6: a /64) at a time, enough for a school of 300; more are answered 429. "
        "Follows API_MAX_CONNECTIONS.",
    )


class BackpressureSection(Section):
    """D3. What is at ``*_high`` closes the door until it is down at ``*_low``; a high of 0 never does."""

    enabled: bool = key(True, "API_BACKPRESSURE_ENABLED", doc="Whether new work is refused (429) while too much waits.")
    lag_high: int = whole(
        5000, "API_BACKPRESSURE_LAG_HIGH", ge=0, doc="Unread entries at which the door closes; 0: never."
    )
    lag_low: int = whole(4000, "API_BACKPRESSURE_LAG_LOW", ge=0, doc="Unread entries at which it opens again.")
    pending_high: int = whole(
        5000,
        "API_BACKPRESSURE_PENDING_HIGH",
        ge=0,
        doc="Read and unacknowledged entries at which the door closes; 0: never.",
    )
    pending_low: int = whole(4000, "API_BACKPRESSURE_PENDING_LOW", ge=0, doc="Such entries at which it opens again.")
    oldest_age_high_sec: float = key(
        1800,
        "API_BACKPRESSURE_OLDEST_AGE_HIGH_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds that the oldest may have waited before the door closes; 0: for ever.",
    )
    oldest_age_low_sec: float = key(
        900,
        "API_BACKPRESSURE_OLDEST_AGE_LOW_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds of waiting at which it opens again.",
    )
    #: entries that must wait for an age to count: one job that nobody can judge is no backlog
    age_min_backlog: int = whole(
        100,
        "API_BACKPRESSURE_AGE_MIN_BACKLOG",
        ge=0,
        doc="Entries that must wait for an age to count: one job that nobody can judge is no backlog.",
    )
    #: how long a look at the stream is believed
    snapshot_max_age_sec: float = key(
        15,
        "API_BACKPRESSURE_SNAPSHOT_MAX_AGE_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds for which a look at the stream is believed.",
    )
    retry_after_sec: float = key(
        5, "API_BACKPRESSURE_RETRY_AFTER_SEC", ge=1, le=3600, doc="Seconds that the refused are told to wait."
    )


class OutboxSection(Section):
    enabled: bool = key(
        True,
        "OUTBOX_ENABLED",
        doc="Would switch the outbox off, which brings submissions to the stream.",
    )
    dispatch_interval_ms: int = whole(
        200,
        "OUTBOX_DISPATCH_INTERVAL_MS",
        le=DAY_MS,
        doc="Milliseconds between two looks for submissions nobody rang for; the bell makes most "
        "of them wait for none.",
    )
    dispatch_batch_size: int = whole(
        100,
        "OUTBOX_DISPATCH_BATCH_SIZE",
        le=10_000,
        doc="Submissions brought to the stream in one go.",
    )
    retry_base_ms: int = whole(
        500,
        "OUTBOX_RETRY_BASE_MS",
        le=DAY_MS,
        doc="Milliseconds until an undelivered submission is tried again; doubled each time.",
    )
    retry_max_ms: int = whole(10_000, "OUTBOX_RETRY_MAX_MS", le=DAY_MS, doc="The longest such pause in milliseconds.")


class WebhookSection(Section):
    enabled: bool = key(
        True, "WEBHOOKS_ENABLED", doc="Whether submissions may name a callback_url; it takes a secret, too."
    )
    #: what users' signing secrets are derived from; without it no callback is taken (an embedded node makes its own)
    secret: str = key(
        "",
        "WEBHOOKS_SECRET",
        secret=True,
        doc="What the users' signing secrets are derived from, the same on every node; better given by environment.",
    )
    #: host, *.domain, either with :port; empty: any
    allowed_hosts: tuple[str, ...] = key(
        (),
        "WEBHOOKS_ALLOWED_HOSTS",
        doc="Hosts that may be called: a name, *.domain, either with :port; empty: any public one.",
    )
    #: networks that may be called although they are not public, such as 10.1.2.0/24
    private_networks: tuple[str, ...] = key(
        (), "WEBHOOKS_PRIVATE_NETWORKS", doc="Networks that may be called although they are not public."
    )
    timeout_sec: float = key(10, "WEBHOOKS_TIMEOUT_SEC", ge=0.1, le=120, doc="Seconds that a receiver may take.")
    #: tries at a time, of this node: in all, and to one scheme://host:port
    concurrency: int = whole(
        16,
        "WEBHOOKS_CONCURRENCY",
        le=1000,
        doc="Deliveries at a time of one node; of one account at most half as many.",
    )
    per_target: int = whole(
        4, "WEBHOOKS_PER_TARGET", le=1000, doc="Deliveries at a time to one target, whichever accounts they are of."
    )
    poll_interval_ms: int = whole(
        1000, "WEBHOOKS_POLL_INTERVAL_MS", ge=10, le=DAY_MS, doc="Milliseconds between two looks for what is due."
    )
    retry_base_ms: int = whole(
        5000,
        "WEBHOOKS_RETRY_BASE_MS",
        le=DAY_MS,
        doc="Milliseconds before the first retry; each is twice as far as the one before.",
    )
    retry_max_ms: int = whole(
        3_600_000, "WEBHOOKS_RETRY_MAX_MS", le=DAY_MS, doc="Milliseconds between two tries at most."
    )
    #: after the first try
    give_up_sec: float = key(
        DAY_SEC,
        "WEBHOOKS_GIVE_UP_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds after which a delivery is given up, visibly.",
    )
    #: how long deliveries that have ended can be looked at
    keep_days: float = key(14, "WEBHOOKS_KEEP_DAYS", ge=0, le=36_500, doc="Days for which ended deliveries are kept.")


class HiddenTestsSection(Section):
    time_step_ms: int = whole(
        100,
        "HIDDEN_TESTS_TIME_STEP_MS",
        ge=0,
        le=DAY_MS,
        doc="Milliseconds to which contestants see times of hidden tests rounded up, or 2, 4, 8, … times as many; "
        "0: exact.",
    )
    memory_step_kb: int = whole(
        16_384,
        "HIDDEN_TESTS_MEMORY_STEP_KB",
        ge=0,
        le=2**40,
        doc="KB to which contestants see memory of hidden tests rounded up, or 2, 4, 8, … times as many; 0: exact.",
    )


class ApiSection(Section):
    host: str = key(
        "127.0.0.1",
        "API_HOST",
        min_length=1,
        doc="Address the API listens on; 0.0.0.0 to be reached from elsewhere, best behind a proxy with TLS.",
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
        doc="Connections at a time; beyond, the one whose client was waited for longest is closed, or all but health, "
        "ready and metrics answered 503.",
    )
    max_connections_per_address: int = whole(
        750,
        "API_MAX_CONNECTIONS_PER_ADDRESS",
        le=100_000,
        doc="The same of one address (IPv6: a /64) that is no trusted proxy, with 429; enough for a school of 300. "
        "Follows API_MAX_CONNECTIONS.",
    )
    shutdown_timeout_sec: float = key(
        5,
        "API_SHUTDOWN_TIMEOUT_SEC",
        ge=0,
        le=3600,
        doc="Seconds that requests under way get when the node stops.",
    )
    stream: ApiStreamSection = section(ApiStreamSection)
    trusted_proxies: tuple[str, ...] = key(
        ("127.0.0.1",),
        "TRUSTED_PROXIES",
        doc="Addresses whose X-Forwarded-For is believed; unless set, an embedded node believes none.",
    )
    cors_allowed_origins: tuple[str, ...] = key(
        (),
        "CORS_ALLOWED_ORIGINS",
        doc="Origins whose pages may call the API from a browser, exactly as browsers send them.",
    )
    metrics_token: str = key(
        "",
        "METRICS_TOKEN",
        secret=True,
        doc="Bearer token for /metrics on every port; without one only this host may read them.",
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
        doc="Put jobs back whose stream entry is lost; leave it on.",
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
        doc="Jobs put back in one round at most.",
    )
    repair_min_age_sec: float = key(
        60,
        "SCHEDULER_REPAIR_MIN_AGE_SEC",
        ge=0,
        le=30 * DAY_SEC,
        doc="Seconds a job must be old before repair looks at it; more than a job takes to the stream.",
    )
    gc_enabled: bool = key(
        False,
        "SCHEDULER_GC_ENABLED",
        doc="Trim the stream and look for submissions past their retention.",
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
        doc="Entries the garbage collection leaves in the stream at about.",
    )
    object_retention_days: float = key(
        14,
        "SCHEDULER_OBJECT_RETENTION_DAYS",
        ge=0.05,
        le=36_500,
        doc="Days after which a package that no problem names is deleted from the object store.",
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
        doc="Really delete submissions past their retention; off, it only says in the log what it would do.",
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
        doc="Milliseconds between two looks at what waits, which the metrics show and admission decides by.",
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
        doc="Name of the stream in Redis that this node reads; the same on every node.",
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
        doc="This node's name in the group and in the ledger; unique in the deployment.",
    )
    read_count: int = whole(
        16,
        "JOB_STREAM_READ_COUNT",
        le=10_000,
        doc="Jobs read in one go at most; never more than there are free slots.",
    )
    block_ms: int = whole(
        2000,
        "JOB_STREAM_BLOCK_MS",
        le=3_600_000,
        doc="Milliseconds one read of the empty stream waits.",
    )
    lease_sec: float = key(
        60,
        "JOB_LEASE_SEC",
        ge=0.05,
        le=DAY_SEC,
        doc="Seconds a job belongs to a worker that no longer beats; shorter finds dead workers "
        "sooner, longer outlives a longer outage.",
    )
    heartbeat_sec: float = key(
        10,
        "JOB_HEARTBEAT_SEC",
        ge=0.01,
        le=DAY_SEC,
        doc="Seconds between two beats that extend the leases; at most a third of the lease.",
    )
    reclaim_interval_sec: float = key(
        5,
        "JOB_RECLAIM_INTERVAL_SEC",
        ge=0.01,
        le=DAY_SEC,
        doc="Seconds between two looks for jobs of dead workers.",
    )
    reclaim_count: int = whole(16, "JOB_RECLAIM_COUNT", le=10_000, doc="Jobs taken over in one look at most.")
    reclaim_grace_sec: float = key(
        15,
        "JOB_RECLAIM_GRACE_SEC",
        ge=0,
        le=DAY_SEC,
        doc="Seconds beyond the lease before somebody else's job is taken over.",
    )
    log_throttle_sec: float = key(
        10,
        "WORKER_LOG_THROTTLE_SEC",
        ge=0,
        le=DAY_SEC,
        doc="Seconds in which a repeated complaint in the log is only counted; 0 writes each line.",
    )
    backpressure_sleep_ms: int = whole(
        50,
        "WORKER_BACKPRESSURE_SLEEP_MS",
        le=60_000,
        doc="Milliseconds the original slept when all slots were taken; here a free slot wakes the reader.",
    )


class WorkerTimeouts(Section):
    compile_ms: int = whole(
        10_000,
        "COMPILE_TIMEOUT_MS",
        le=DAY_MS,
        doc="CPU milliseconds of one compilation; compile.cpu_limit_s holds too, the smaller wins.",
    )
    exec_buffer_ms: int = whole(
        500,
        "EXEC_TIMEOUT_BUFFER_MS",
        ge=0,
        le=DAY_MS,
        doc="Milliseconds the original added to a run's time.",
    )
    download_ms: int = whole(
        60_000,
        "DOWNLOAD_TIMEOUT_MS",
        le=DAY_MS,
        doc="Milliseconds fetching one test package may take.",
    )
    unzip_ms: int = whole(
        30_000,
        "UNZIP_TIMEOUT_MS",
        le=DAY_MS,
        doc="Milliseconds unpacking one test package may take.",
    )


class TestcaseCacheSection(Section):
    __test__ = False  # not a pytest class

    max: int = whole(100, "TESTCASE_CACHE_MAX", le=1_000_000, doc="Problems whose test data is kept on disk.")
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
        doc="Bytes one file of a package may have.",
    )


class WorkerMetricsSection(Section):
    service_name: str = key("deep-oj-worker", "SERVICE_NAME", doc="The label `service` of the worker's metrics.")
    instance_id: str = key("", "INSTANCE_ID", doc="The label `instance` of the worker's metrics.")


class ExecutorSection(Section):
    stdout_limit_bytes: int = whole(
        262_144,
        "JUDGE_STDOUT_LIMIT_BYTES",
        ge=0,
        doc="Bytes of a program's output that `deepoj judge` and results keep.",
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
        doc="Bytes that are kept of either output of a custom run, and never more than the two settings above.",
    )


class WorkerJudgeSection(Section):
    #: a test whose CPU time is within so much of its limit is run again, and once more alone if that run was over the
    #: limit; the last run decides; 0: never
    borderline_percent: float = key(
        5,
        "JUDGE_BORDERLINE_PERCENT",
        ge=0,
        le=50,
        doc="A test this close to its time limit, in percent, is run again, alone if need be; the last run decides. "
        "0: never.",
    )
    #: how long it waits for the node's other runs to end; after that it is run beside them
    borderline_wait_ms: int = whole(
        2000,
        "JUDGE_BORDERLINE_WAIT_MS",
        ge=0,
        le=600_000,
        doc="Milliseconds such a test waits for the node's other runs to end; then it runs beside them.",
    )


class WorkerSection(Section):
    id: str = key(
        "",
        "WORKER_ID",
        doc="Name of this worker; the consumer's name follows it. Set it where nodes come back under the same name.",
    )
    redis_url: str = key("localhost:6379", "REDIS_URL", min_length=1, doc="As api.redis_url.")
    database_url: str = key(DATABASE_URL, "DATABASE_URL", min_length=1, doc="As api.database_url.")
    stream: WorkerStreamSection = section(WorkerStreamSection)
    minio: MinioSection = section(MinioSection)
    workspace: str = key("", "WORKSPACE", doc="As path.workspace_root.")
    #: jobs at a time; already clamped to 1..number of CPUs
    pool_size: int = whole(
        4,
        "WORKER_POOL_SIZE",
        ge=-(2**31),
        doc="Jobs judged at a time, at most the number of CPUs; fewer leave CPUs to the host and make times steadier.",
    )
    keep_workdir: bool = key(
        False,
        "KEEP_WORKDIR",
        doc="Keep the directories of attempts, to look at what went wrong; they fill the disk.",
    )
    run_slots: int = whole(
        0, "WORKER_RUN_SLOTS", ge=0, doc="Slots that custom runs may take; 0: half of them, at least one."
    )
    timeouts: WorkerTimeouts = section(WorkerTimeouts)
    testcase_cache: TestcaseCacheSection = section(TestcaseCacheSection)
    unzip_limits: UnzipSection = section(UnzipSection)
    result_ttl_sec: float = key(
        600,
        "RESULT_TTL_SEC",
        ge=1,
        le=30 * DAY_SEC,
        doc="Seconds for which a custom run and its output are kept.",
    )
    checker_timeout_ms: int = whole(
        2000,
        "CHECKER_TIMEOUT_MS",
        le=DAY_MS,
        doc="CPU milliseconds a checker may use for a test.",
    )
    cleanup_timeout_sec: float = key(
        5,
        "CLEANUP_TIMEOUT_SEC",
        ge=0.1,
        le=3600,
        doc="Seconds jobs under way get when the node stops; then they are given back.",
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
        doc="Connections to Redis that would be kept open.",
    )
    dial_timeout_ms: int = whole(
        5000,
        "REDIS_DIAL_TIMEOUT_MS",
        le=600_000,
        doc="Milliseconds connecting to Redis may take.",
    )
    read_timeout_ms: int = whole(
        3000,
        "REDIS_READ_TIMEOUT_MS",
        le=600_000,
        doc="Milliseconds Redis may take to answer.",
    )
    write_timeout_ms: int = whole(
        3000,
        "REDIS_WRITE_TIMEOUT_MS",
        le=600_000,
        doc="Milliseconds sending to Redis may take.",
    )
    password: str = key("", "REDIS_PASSWORD", secret=True, doc="Password at Redis; better given by environment.")
    tls_enabled: bool = key(False, "REDIS_TLS", doc="Speak TLS to Redis; an address with rediss:// does too.")
    key_prefix: str = key(
        "deepoj",
        "REDIS_KEY_PREFIX",
        min_length=1,
        doc="What every name in Redis begins with; another one for each deployment on one Redis.",
    )
    key_env: str = key(
        "",
        "REDIS_KEY_ENV",
        doc="Second part of the names in Redis, for instance dev; the same on every node.",
    )


class PostgresSection(Section):
    max_conns: int = whole(
        10,
        "PG_MAX_CONNS",
        le=10_000,
        doc="Connections to PostgreSQL this node opens at most; all nodes together stay below the "
        "server's max_connections.",
    )
    min_conns: int = whole(2, "PG_MIN_CONNS", ge=0, le=10_000, doc="Connections to PostgreSQL that are kept open.")
    max_conn_lifetime_min: float = key(
        60,
        "PG_MAX_CONN_LIFETIME_MIN",
        ge=0.01,
        le=100_000,
        doc="Minutes after which a connection is closed, once its next use has ended.",
    )
    max_conn_idle_min: float = key(
        30,
        "PG_MAX_CONN_IDLE_MIN",
        ge=0.01,
        le=100_000,
        doc="Minutes without use after which a connection is closed.",
    )


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

    roles: frozenset[Role] = key(
        frozenset(Role),
        "DEEPOJ_ROLES",
        doc="What this node does; several nodes of one deployment may each do a part.",
    )
    without_roles: frozenset[Role] = key(
        frozenset(),
        flag_only=True,
        doc="Roles taken away from those named, as by --no-reclaim.",
    )
    home: Path = key(
        Path(".deepoj"),
        "DEEPOJ_HOME",
        doc="Directory of this node's data: workspace, and with embedded servers everything they keep.",
    )
    #: this node brings its own PostgreSQL, Valkey and object store; the addresses below are not used then
    embedded: bool = key(
        False,
        "DEEPOJ_EMBEDDED",
        doc="Bring PostgreSQL, Valkey and an object store along; for one host, not for a cluster.",
    )
    migrate_on_start: bool = key(
        False,
        "MIGRATE_ON_START",
        doc="Bring the schema up to date at the start; otherwise run `deepoj migrate` before a new version.",
    )
    job_max_attempts: int = whole(
        5,
        "JOB_MAX_ATTEMPTS",
        ge=2,
        le=1000,
        doc="So often a job is tried before it becomes a dead letter.",
    )
    sandbox_min_isolation: Isolation = key(
        Isolation.NAMESPACES,
        "SANDBOX_MIN_ISOLATION",
        doc="The weakest isolation this node judges at: full where cgroup v2 is delegated, weak "
        "for trusted code only; unless set, `deepoj up --sample` accepts weak.",
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
