"""The group ``api.backpressure``: when new work is refused because too much waits."""

from __future__ import annotations

from deepoj.config.fields import DAY_SEC, Section, key, whole


class BackpressureSection(Section):
    """From ``*_high`` on, new work is refused until the value is down to ``*_low``; a high of 0 never refuses (D3)."""

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
