"""The section ``api``: addresses, connections, streams, outbox."""

from __future__ import annotations

from typing import Literal

from deepoj.config.auth import AuthSection
from deepoj.config.backpressure import BackpressureSection
from deepoj.config.fields import DAY_MS, DAY_SEC, Section, key, section, whole
from deepoj.config.labels import ApiMetricsSection
from deepoj.config.limits import LimitSection
from deepoj.config.object_store import MinioSection
from deepoj.config.postgres import DATABASE_URL
from deepoj.config.redis import REDIS_URL, STREAM_KEY
from deepoj.config.webhooks import WebhookSection


class ApiStreamSection(Section):
    stream_key: str = key(
        STREAM_KEY,
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


class WebSection(Section):
    enabled: bool = key(
        True,
        "WEB_ENABLED",
        doc="Whether the API's port also serves the pages for people; without them / leads to the API's description.",
    )
    session_idle_hours: float = key(
        72,
        "WEB_SESSION_IDLE_HOURS",
        ge=0.1,
        le=8760,
        doc="Hours without a request after which a login in a browser ends.",
    )
    session_max_hours: float = key(
        720,
        "WEB_SESSION_MAX_HOURS",
        ge=0.1,
        le=8760,
        doc="Hours after which a login in a browser ends in any case.",
    )
    cookie_secure: Literal["auto", "always"] = key(
        "auto",
        "WEB_COOKIE_SECURE",
        doc="When cookies are for TLS alone and HSTS is sent: auto, if a trusted proxy says https; always, which "
        "makes logins over plain HTTP fail.",
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
    reuse_port: bool = key(
        False,
        "API_REUSE_PORT",
        doc="Share the API's port with other nodes of this host that set this too; the kernel spreads new connections"
        " over them.",
    )
    database_url: str = key(
        DATABASE_URL,
        "DATABASE_URL",
        min_length=1,
        doc="Address of PostgreSQL, with user and password; the same on every node.",
    )
    redis_url: str = key(
        REDIS_URL,
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
    unsent_max_bytes: int = whole(
        32 * 1024 * 1024,
        "API_UNSENT_MAX_BYTES",
        ge=1024 * 1024,
        le=2**40,
        doc="Maximum memory of answers that clients have not read yet, each body once; beyond, the connection whose "
        "client is awaited for longest is closed.",
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
        doc="Bearer token for /metrics; if empty, deepoj up makes one, and the API's port of another node serves none.",
    )
    timeouts: ApiTimeouts = section(ApiTimeouts)
    live: LiveSection = section(LiveSection)
    hidden_tests: HiddenTestsSection = section(HiddenTestsSection)
    outbox: OutboxSection = section(OutboxSection)
    backpressure: BackpressureSection = section(BackpressureSection)
    web: WebSection = section(WebSection)
    webhooks: WebhookSection = section(WebhookSection)
