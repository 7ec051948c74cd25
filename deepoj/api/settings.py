"""The settings of the API as a frozen value, which wiring builds from ``Config``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deepoj.api.redact import HiddenSteps
from deepoj.packages.publish import ProblemRules
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.sessions import SessionLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRules:
    """Limits and retention of custom runs."""

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
    """Maximum number of requests per address and per user in a window; 0: unlimited."""

    ip_limit: int
    user_limit: int
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Settings of the operator; their defaults are in ``deepoj/config/``."""

    # -- who may do what
    #: HMAC key of the tokens; never empty
    jwt_secret: str
    jwt_expire_s: float
    #: reserved names, compared without regard to case
    admin_users: frozenset[str]
    #: whether a reserved name may be registered over HTTP (it is an administrator then)
    admin_registration_open: bool
    #: maximum time between the redirect to GitHub and the callback
    oauth_state_ttl_s: float
    #: public URL of the callback
    github_redirect_url: str
    #: empty: only the ports of metrics alone serve ``/metrics``, to this host
    metrics_token: str
    #: addresses or networks whose ``X-Forwarded-For`` is believed
    trusted_proxies: tuple[str, ...]
    #: exact origins, such as ``https://oj.example.org``
    cors_allowed_origins: frozenset[str]
    #: cost of argon2id: OWASP's recommended minimum, about 25 ms and 19 MiB per hash
    argon2_memory_kb: int = 19_456
    argon2_time_cost: int = 2

    # -- sizes
    submit_body_max_bytes: int
    submit_code_max_bytes: int
    problem_zip_max_bytes: int
    #: directory of received packages until they are published
    upload_dir: Path

    # -- how often
    #: registering, logging in
    auth_rate: RateLimit
    submit_rate: RateLimit
    #: everything else
    rate: RateLimit

    # -- limits of problems
    problems: ProblemRules

    #: running verifications of one setter's problems, and running previews
    background_per_setter: int

    # -- submitting
    #: unfinished submissions of all users together
    inflight_cap: int
    #: and of one user
    user_inflight_cap: int
    #: unfinished submissions of one user's batches
    user_batch_quota: int
    #: maximum size of the body of a batch, which is read line by line
    batch_body_max_bytes: int
    #: how long an identical submission is answered with the unfinished first one
    inflight_ttl_s: float
    stream_key: str
    #: rules for callback URLs, and the key from which users' secrets are derived
    callbacks: CallbackRules
    webhook_secret: bytes = field(repr=False)

    #: rounding of hidden tests' figures in results for authors
    hidden_steps: HiddenSteps

    # -- pages
    #: whether there are pages for people
    has_pages: bool
    #: when a login in a browser ends
    sessions: SessionLimits
    #: whether people always reach the pages over TLS; otherwise a trusted proxy must say so
    always_encrypted: bool = False

    # -- custom runs
    runs: RunRules

    # -- connections
    read_header_timeout_s: float
    #: timeout of a whole JSON body, and of each piece of an upload
    read_timeout_s: float
    write_timeout_s: float
    idle_timeout_s: float
    #: how long requests in progress may continue after the server is cancelled
    shutdown_timeout_s: float
    #: maximum of concurrent connections, in total and per address (except trusted proxies)
    max_connections: int
    max_connections_per_address: int
    #: of answers that clients have not read yet, in all connections; beyond, the one awaited for longest is closed
    unsent_max_bytes: int
    #: maximum of concurrent event streams, in total, per user and per address
    max_streams: int
    max_streams_per_user: int
    max_streams_per_address: int
