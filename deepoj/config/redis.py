"""The section ``redis``, and the default names of the server and the stream."""

from __future__ import annotations

from deepoj.config.fields import Section, key, whole

REDIS_URL = "localhost:6379"
STREAM_KEY = "deepoj:jobs"


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
