"""What the API needs of the settings, as a frozen value; wiring builds it from ``Config``."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from deepoj.api.redact import HiddenSteps
from deepoj.pipeline.callback_urls import CallbackRules
from deepoj.pipeline.publish import ProblemRules


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """What custom runs may ask for, and how long a finished one is kept."""

    is_enabled: bool = True
    default_time_limit_ms: int = 1000
    max_time_limit_ms: int = 10_000
    default_memory_limit_kb: int = 65_536
    max_memory_limit_kb: int = 524_288
    stdin_max_bytes: int = 262_144
    #: unfinished runs of one user
    max_inflight: int = 2
    keep_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Requests of one address, and of one user, in a window; 0: as many as they like."""

    ip_limit: int = 60
    user_limit: int = 120
    window_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Defaults are the contract's (§2, §6); only the JWT secret has none."""

    # -- who may do what
    #: HMAC key of the tokens; never empty
    jwt_secret: str
    jwt_expire_s: float = 24 * 3600.0
    #: reserved names, compared without regard to case
    admin_users: frozenset[str] = frozenset()
    #: whether a reserved name may be registered over HTTP (it is an administrator then)
    admin_registration_open: bool = False
    #: from being sent to GitHub to coming back
    oauth_state_ttl_s: float = 300.0
    #: the callback as browsers reach it
    github_redirect_url: str = "http://localhost:18080/api/v1/auth/github/callback"
    #: empty: ``/metrics`` answers the loopback only
    metrics_token: str = ""
    #: addresses or networks whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[str, ...] = ("127.0.0.1",)
    #: exact origins, such as ``https://oj.example.org``
    cors_allowed_origins: frozenset[str] = frozenset()
    #: argon2id's cost: OWASP's least recommended, some 25 ms and 19 MiB a hash
    argon2_memory_kb: int = 19_456
    argon2_time_cost: int = 2

    # -- sizes
    submit_body_max_bytes: int = 1_048_576
    submit_code_max_bytes: int = 65_536
    problem_zip_max_bytes: int = 52_428_800
    #: received packages lie here until they are published
    upload_dir: Path = field(default_factory=lambda: Path(tempfile.gettempdir()))

    # -- how often
    #: registering, logging in
    auth_rate: RateLimit = field(default_factory=RateLimit)
    submit_rate: RateLimit = field(default_factory=RateLimit)
    #: everything else
    rate: RateLimit = field(default_factory=RateLimit)

    # -- limits of problems
    problems: ProblemRules = field(default_factory=ProblemRules)

    # -- submitting
    #: unfinished submissions of all users together
    inflight_cap: int = 500
    #: and of one user
    user_inflight_cap: int = 20
    #: how long an identical unfinished submission answers for a second one
    inflight_ttl_s: float = 600.0
    stream_key: str = "deepoj:jobs"
    #: which callbacks are taken, and what their owners' secrets are derived from
    callbacks: CallbackRules = field(default_factory=lambda: CallbackRules(enabled=False))
    webhook_secret: bytes = field(default=b"", repr=False)

    #: what their authors see of hidden tests
    hidden_steps: HiddenSteps = field(default_factory=HiddenSteps)

    # -- custom runs
    runs: RunRules = field(default_factory=RunRules)

    # -- connections
    read_header_timeout_s: float = 5.0
    #: a JSON body as a whole; of an upload, each piece
    read_timeout_s: float = 15.0
    write_timeout_s: float = 30.0
    idle_timeout_s: float = 60.0
    #: how long requests under way may go on once the server is cancelled
    shutdown_timeout_s: float = 5.0
    #: connections at a time, of all addresses and of one (that is no trusted proxy)
    max_connections: int = 1_000
    max_connections_per_address: int = 750
    #: of these, how many may be event streams, of all users, of one, and of one address
    max_streams: int = 600
    max_streams_per_user: int = 20
    max_streams_per_address: int = 400
