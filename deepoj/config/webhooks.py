"""The group ``api.webhooks``: deliveries of verdicts to ``callback_url``."""

from __future__ import annotations

from deepoj.config.fields import DAY_MS, DAY_SEC, Section, key, whole


class WebhookSection(Section):
    enabled: bool = key(
        True,
        "WEBHOOKS_ENABLED",
        doc="Whether submissions may have a callback_url, and accounts webhooks of the Contest API; also requires a "
        "secret.",
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
        1000,
        "WEBHOOKS_POLL_INTERVAL_MS",
        ge=10,
        le=DAY_MS,
        doc="Milliseconds between two polls for due deliveries. From 900 on, nodes look once a second for all work.",
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
        doc="Seconds of failures after which a delivery is given up (administrators can list and repeat it), and a "
        "webhook of the Contest API deactivated.",
    )
    keep_days: float = key(
        14,
        "WEBHOOKS_KEEP_DAYS",
        ge=0,
        le=36_500,
        doc="Days for which ended deliveries, and deactivated webhooks of the Contest API, are kept.",
    )
