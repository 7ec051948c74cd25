"""The section ``postgres``, and the default address of the database."""

from __future__ import annotations

from deepoj.config.fields import Section, key, whole

DATABASE_URL = "postgres://deep_oj:change_me@localhost:5432/deep_oj?sslmode=disable"


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
