"""Rules for contradictions, warnings and settings without effect, and what a node needs to start."""

from __future__ import annotations

from urllib.parse import urlsplit

from deepoj.config.addresses import mask_url
from deepoj.config.draft import ConfigError, SettingsDraft
from deepoj.config.model import Config
from deepoj.config.roles import Role

EXAMPLE_SECRET_MARKS = ("change_me", "changeme", "change-me", "example")
JWT_SECRET_MIN_BYTES = 16
#: the kernel's smallest CPU quota: 1 ms in a period of 100 ms
MIN_CPU_CORES = 0.01
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

#: upper bounds: key, the key that bounds it, and how many of the bound's units are one unit of the key
BELOW: tuple[tuple[str, str, int], ...] = (
    ("api.limits.default_time_limit_ms", "api.limits.max_time_limit_ms", 1),
    ("api.limits.default_memory_limit_kb", "api.limits.max_memory_limit_kb", 1),
    ("api.limits.problem_defaults.time_limit_ms", "api.limits.max_time_limit_ms", 1),
    ("api.limits.problem_defaults.memory_limit_mb", "api.limits.max_memory_limit_kb", 1024),
    ("postgres.min_conns", "postgres.max_conns", 1),
    ("redis.min_idle_conns", "redis.pool_size", 1),
)

#: keys of the contract without effect. They are validated, so existing settings files stay valid; setting one gives a
#: warning. When you implement one, remove it here (a test checks that) and in config.example.yaml.
NO_EFFECT_YET: tuple[str, ...] = (
    "path.mount_files",
    "runner.output_buffer_size",
    "worker.stream.backpressure_sleep_ms",
    "worker.timeouts.exec_buffer_ms",
    "redis.min_idle_conns",
)


def warn_of_open_registration(draft: SettingsDraft) -> None:
    """Warn while names of administrators can be registered over HTTP."""
    if draft["api.auth.admin_registration"] == "open" and draft["api.auth.admin_users"]:
        names = ", ".join(draft["api.auth.admin_users"])
        draft.warnings.append(f"The first to register as {names} is administrator: set ADMIN_REGISTRATION=closed.")


def warn_of_disabled_outbox(draft: SettingsDraft) -> None:
    """Warn of a disabled outbox."""
    if not draft["api.outbox.enabled"]:
        draft.warnings.append(
            f"{draft.where('api.outbox.enabled')} is false, which is for debugging only: while Redis is down, "
            f"submissions are refused and wait for repair."
        )


def check_cpu_share(draft: SettingsDraft) -> None:
    """Refuse a CPU share below the kernel's minimum."""
    name = "runner.cgroup_cpu_max_cores"
    if 0 < draft[name] < MIN_CPU_CORES:
        raise ConfigError(
            f"{draft.where(name)} is {draft[name]:g}; the kernel's minimum is {MIN_CPU_CORES:g}. 0 means unlimited."
        )


def check_secrets(draft: SettingsDraft) -> None:
    """Refuse a short secret, and warn of a public example value."""
    for name in ("api.auth.jwt_secret", "api.webhooks.secret"):
        _check_secret(draft, name)


def _check_secret(draft: SettingsDraft, name: str) -> None:
    secret = draft[name]
    if secret and len(secret.encode()) < JWT_SECRET_MIN_BYTES:
        raise ConfigError(
            f"{draft.where(name)} has {len(secret.encode())} bytes; it needs at least {JWT_SECRET_MIN_BYTES}, "
            f"for instance from `openssl rand -hex 32`."
        )
    if secret and any(mark in secret.lower() for mark in EXAMPLE_SECRET_MARKS):
        draft.warnings.append(
            f"{draft.where(name)} is a public example value: set a secret of your own before others can reach "
            f"this node, for instance from `openssl rand -hex 32`."
        )


def check_order(draft: SettingsDraft) -> None:
    """Refuse a value above its bound; lower a default that is above a bound set by the user."""
    pairs = [
        ("api.outbox.retry_base_ms", "api.outbox.retry_max_ms"),
        ("api.webhooks.retry_base_ms", "api.webhooks.retry_max_ms"),
        ("api.webhooks.per_target", "api.webhooks.concurrency"),
        ("worker.unzip_limits.max_file_bytes", "worker.unzip_limits.max_bytes"),
    ]
    for small, large in pairs:
        if draft[small] > draft[large]:
            raise ConfigError(
                f"{draft.where(small)} is {draft[small]}, but {draft.where(large)} is {draft[large]}: the first may "
                f"not be greater than the second."
            )
    heartbeat, lease = "worker.stream.heartbeat_sec", "worker.stream.lease_sec"
    if not draft.is_set(heartbeat):
        draft.default(heartbeat, min(draft[heartbeat], draft[lease] / 3), "at most a third of worker.stream.lease_sec")
    if draft[heartbeat] > draft[lease] / 2:
        raise ConfigError(
            f"{draft.where(heartbeat)} is {draft[heartbeat]:g}, but {draft.where(lease)} is {draft[lease]:g}: the "
            f"heartbeat may take at most half of the lease."
        )
    # Lowering a bound below another key's default lowers that default; only two values set by the user can conflict.
    for below, ceiling, per_unit in BELOW:
        if not draft.is_set(below):
            draft.default(below, min(draft[below], draft[ceiling] // per_unit), f"at most {ceiling}")
        elif draft[below] * per_unit > draft[ceiling]:
            raise ConfigError(
                f"{draft.where(below)} is {draft[below]}, but {draft.where(ceiling)} is {draft[ceiling]}: the first "
                f"may not be greater than the second{' (1 MB is 1024 KB)' if per_unit == 1024 else ''}."
            )


def warn_of_no_effect(draft: SettingsDraft) -> None:
    """Warn of settings that have no effect yet."""
    names = [draft.where(name) for name in NO_EFFECT_YET if draft.is_set(name)]
    if names:
        # one sentence for all, so that other warnings stay visible to users who copied the whole example file
        draft.warnings.append(f"{'This has' if len(names) == 1 else 'These have'} no effect yet: {', '.join(names)}.")


def require_startable(cfg: Config) -> None:
    """Check the settings without which a node cannot start. Raises ConfigError."""
    if Role.API in cfg.roles and not cfg.embedded and not cfg.api.auth.jwt_secret:
        raise ConfigError(
            "JWT_SECRET (api.auth.jwt_secret) is not set: the role api needs it, with at least "
            f"{JWT_SECRET_MIN_BYTES} bytes, for instance from `openssl rand -hex 32`."
        )
    if Role.API in cfg.roles and cfg.api.auth.oauth.github.client_id:
        _require_github(cfg)


def _require_github(cfg: Config) -> None:
    """Check the settings of GitHub login: they must be complete, and secrets must be sent over TLS only."""
    github, prefix = cfg.api.auth.oauth.github, "api.auth.oauth.github"
    if not github.client_secret:
        raise ConfigError(
            f"GITHUB_CLIENT_SECRET ({prefix}.client_secret) is not set, but GITHUB_CLIENT_ID is: set both or none."
        )
    for name in ("redirect_url", "base_url", "api_url"):
        url = getattr(github, name)
        try:
            parts = urlsplit(url)
            host = parts.hostname if parts.scheme in {"http", "https"} and (parts.port is None or parts.port) else None
        except ValueError:
            host = parts = None
        if parts is None or not host or parts.username or parts.query or parts.fragment:
            raise ConfigError(
                f'{prefix}.{name} is "{mask_url(url)}" ({cfg.sources[f"{prefix}.{name}"]}); it must be http://host… or '
                f"https://host…, without user, query and fragment."
            )
        if parts.scheme == "http" and name != "redirect_url" and host not in LOOPBACK_NAMES:
            raise ConfigError(
                f"{prefix}.{name} ({cfg.sources[f'{prefix}.{name}']}) must be https://…: the client secret and "
                f"users' tokens are sent there."
            )
