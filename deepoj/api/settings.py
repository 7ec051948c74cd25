"""What the API needs of the settings, as a frozen value; wiring builds it from ``Config``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deepoj.api.redact import HiddenSteps
from deepoj.packages.publish import ProblemRules
from deepoj.webhooks.callback_urls import CallbackRules


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """What custom runs may ask for, and how long a finished one is kept."""

    is_enabled: bool
    default_time_limit_ms: int
    max_time_limit_ms: int
    default_memory_limit_kb: int
    max_memory_limit_kb: int
    stdin_max_bytes: int
    #: unfinished runs of one user
    max_inflight: int
    keep_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Requests of one address, and of one user, in a window; 0: as many as they like."""

    ip_limit: int
    user_limit: int
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What an operator may set: ``deepoj/config_model.py`` has the defaults."""

    # -- who may do what
    #: HMAC key of the tokens; never empty
    jwt_secret: str
    jwt_expire_s: float
    #: reserved names, compared without regard to case
    admin_users: frozenset[str]
    #: whether a reserved name may be registered over HTTP (it is an administrator then)
    admin_registration_open: bool
    #: from being sent to GitHub to coming back
    oauth_state_ttl_s: float
    #: the callback as browsers reach it
    github_redirect_url: str
    #: empty: ``/metrics`` answers the loopback only
    metrics_token: str
    #: addresses or networks whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[str, ...]
    #: exact origins, such as ``https://oj.example.org``
    cors_allowed_origins: frozenset[str]
    #: argon2id's cost: OWASP's least recommended, some 25 ms and 19 MiB a hash
    argon2_memory_kb: int = 19_456
    argon2_time_cost: int = 2

    # -- sizes
    submit_body_max_bytes: int
    submit_code_max_bytes: int
    problem_zip_max_bytes: int
    #: received packages lie here until they are published
    upload_dir: Path

    # -- how often
    #: registering, logging in
    auth_rate: RateLimit
    submit_rate: RateLimit
    #: everything else
    rate: RateLimit

    # -- limits of problems
    problems: ProblemRules

    # -- submitting
    #: unfinished submissions of all users together
    inflight_cap: int
    #: and of one user
    user_inflight_cap: int
    #: how long an identical unfinished submission answers for a second one
    inflight_ttl_s: float
    stream_key: str
    #: which callbacks are taken, and what their owners' secrets are derived from
    callbacks: CallbackRules
    webhook_secret: bytes = field(repr=False)

    #: what their authors see of hidden tests
    hidden_steps: HiddenSteps

    # -- custom runs
    runs: RunRules

    # -- connections
    read_header_timeout_s: float
    #: a JSON body as a whole; of an upload, each piece
    read_timeout_s: float
    write_timeout_s: float
    idle_timeout_s: float
    #: how long requests under way may go on once the server is cancelled
    shutdown_timeout_s: float
    #: connections at a time, of all addresses and of one (that is no trusted proxy)
    max_connections: int
    max_connections_per_address: int
    #: of these, how many may be event streams, of all users, of one, and of one address
    max_streams: int
    max_streams_per_user: int
    max_streams_per_address: int
