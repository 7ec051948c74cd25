"""Rules between settings: repeated keys, defaults derived from other keys, clamps, contradictions.

The rules are pure functions over typed settings (:func:`decide`). :mod:`deepoj.config` reads and merges the sources.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from deepoj.config_model import ROLE_ALIASES, Config, Role
from deepoj.words.errors import StartRefused
from deepoj.words.sandbox import Isolation

EXAMPLE_SECRET_MARKS = ("change_me", "changeme", "change-me", "example")
JWT_SECRET_MIN_BYTES = 16
MASK = "********"
#: the kernel's smallest CPU quota: 1 ms in a period of 100 ms
MIN_CPU_CORES = 0.01
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

#: keys that the contract repeats for each service: a node has one value for all of them
REPEATED: tuple[tuple[str, ...], ...] = (
    ("api.database_url", "scheduler.database_url", "worker.database_url"),
    ("api.redis_url", "scheduler.redis_url", "worker.redis_url"),
    *((f"api.minio.{name}", f"worker.minio.{name}") for name in ("endpoint", "access_key", "secret_key", "bucket")),
    ("api.minio.secure", "worker.minio.secure"),
    ("api.stream.stream_key", "worker.stream.stream_key"),
    ("path.workspace_root", "worker.workspace"),
)

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


class ConfigError(StartRefused):
    """A setting is wrong, unknown or contradicts another: ``str()`` is the sentence, the exit code is 2."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, 2)


@dataclass(slots=True)
class SettingsDraft:
    """Settings under way: typed values of every key, where they came from, and what was decided about them."""

    values: dict[str, Any]
    #: only of keys that were set
    sources: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    #: sources of derived defaults
    decided: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def told(self, name: str) -> bool:
        """Return whether a flag, the environment or the file set the key."""
        return name in self.sources

    def where(self, name: str) -> str:
        """Return the key with its source, for error sentences."""
        return f"{name} ({self.source(name)})"

    def source(self, name: str) -> str:
        """Return the source of the value."""
        return self.sources.get(name) or self.decided.get(name, "default")

    def default(self, name: str, value: object, why: str) -> None:
        """Set the value unless the key was set by the user."""
        if not self.told(name) and self.values[name] != value:
            self.values[name] = value
            self.decided[name] = f"default ({why})"


# ---------------------------------------------------------------------------------------------------------------------
# Roles


def role_names(value: object) -> list[str]:
    """Return the role names of a comma-separated string, a YAML list or a set of roles."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise ValueError("a list of role names is required")
    return [str(part).strip() for part in parts if str(part).strip()]


def expand_roles(value: object) -> frozenset[Role]:
    """Convert role names and aliases to roles. Raises ValueError with the name of an unknown one."""
    roles: set[Role] = set()
    for name in role_names(value):
        if name in ROLE_ALIASES:
            roles |= ROLE_ALIASES[name]
        elif name in frozenset(Role):
            roles.add(Role(name))
        else:
            raise ValueError(f'"{name}" is not a role')
    return frozenset(roles)


def _roles(draft: SettingsDraft) -> None:
    roles, without = draft["roles"], draft["without_roles"]
    if Role.API in roles:
        # An API without a dispatcher would accept submissions that never reach the stream.
        roles = roles | {Role.DISPATCHER}
    roles = roles - without
    if not roles:
        raise ConfigError(f"{draft.where('roles')} leaves no role: name at least one of {', '.join(Role)}.")
    draft.values["roles"] = frozenset(roles)


# ---------------------------------------------------------------------------------------------------------------------
# Defaults that follow other keys


def _home(draft: SettingsDraft) -> None:
    home = draft["home"].expanduser().absolute()
    draft.values["home"] = home
    for name in ("path.workspace_root", "worker.workspace"):
        draft.default(name, str(home / "workspace"), "follows home")
        draft.values[name] = str(Path(draft[name]).expanduser().absolute())


def _names(draft: SettingsDraft) -> None:
    prefix, env = draft["redis.key_prefix"], draft["redis.key_env"]
    namespace = f"{prefix}:{env}" if env else prefix
    for name in ("api.stream.stream_key", "worker.stream.stream_key"):
        draft.default(name, f"{namespace}:jobs", "follows redis.key_prefix and redis.key_env")
    draft.default("worker.stream.group", f"{namespace}:workers", "follows redis.key_prefix and redis.key_env")
    if draft["worker.id"]:
        draft.default("worker.stream.consumer", draft["worker.id"], "follows worker.id")
    else:
        draft.default("worker.stream.consumer", f"{socket.gethostname()}-{os.getpid()}", "hostname-pid")


def _observability(draft: SettingsDraft) -> None:
    instance = draft["observability.instance_id"]
    for service in ("api", "scheduler", "worker"):
        if draft["observability.service_name"]:
            draft.default(
                f"{service}.metrics.service_name",
                draft["observability.service_name"],
                "follows observability.service_name",
            )
        if instance:
            draft.default(f"{service}.metrics.instance_id", instance, "follows observability.instance_id")
    draft.default("scheduler.metrics.instance_id", draft["scheduler.scheduler_id"], "follows scheduler.scheduler_id")


def _repeated(draft: SettingsDraft) -> None:
    for names in REPEATED:
        told = [name for name in names if draft.told(name)]
        if not told:
            continue
        # The environment and flags set all repetitions at once; in a file they can differ.
        strongest = min(told, key=lambda name: _rank(draft.sources[name]))
        same = [name for name in told if _rank(draft.sources[name]) == _rank(draft.sources[strongest])]
        for name in same:
            if draft[name] != draft[strongest]:
                raise ConfigError(
                    f"{draft.where(strongest)} and {draft.where(name)} differ: one node has one value, "
                    f"so set both to the same value or remove one."
                )
        for name in names:
            if name != strongest and draft[name] != draft[strongest]:
                draft.values[name] = draft[strongest]
                draft.sources.pop(name, None)
                draft.decided[name] = f"default (follows {strongest})"


def _rank(source: str) -> int:
    return 0 if source == "flag" else 1 if source.startswith("environment ") else 2


def _embedded(draft: SettingsDraft) -> None:
    if not draft["embedded"]:
        return
    for name in ("api.database_url", "api.redis_url", "api.minio.endpoint"):
        if draft.told(name):
            draft.warnings.append(f"{draft.where(name)} is not used: this node is embedded and starts its own servers.")
    draft.default("api.auth.admin_users", ("admin",), "of an embedded node")
    draft.default("api.auth.admin_registration", "open", "of an embedded node")
    # any client on this host could otherwise forge its address and evade the limits per address
    draft.default("api.trusted_proxies", (), "of an embedded node")
    # allows a class of 300 behind one address four submissions a minute each; accounts are limited as well
    draft.default("api.limits.submit_rate_limit.ip_limit", 1200, "of an embedded node")


def _admin(draft: SettingsDraft) -> None:
    if draft["api.auth.admin_registration"] == "open" and draft["api.auth.admin_users"]:
        names = ", ".join(draft["api.auth.admin_users"])
        draft.warnings.append(f"The first to register as {names} is administrator: set ADMIN_REGISTRATION=closed.")


def _limits(draft: SettingsDraft) -> None:
    for kind in ("auth_rate_limit", "submit_rate_limit"):
        for name in ("ip_limit", "user_limit", "window_sec"):
            general = f"api.limits.rate_limit.{name}"
            if draft.told(general):
                draft.default(f"api.limits.{kind}.{name}", draft[general], f"follows {general}")
    if draft["api.limits.submit_max_inflight"] == 0:
        draft.values["api.limits.submit_max_inflight"] = 5000 if draft["redis.key_env"] == "dev" else 500
    cpus = os.process_cpu_count() or 1
    slots = draft.values["worker.pool_size"] = min(max(draft["worker.pool_size"], 1), cpus)
    half = max(1, slots // 2)
    draft.values["worker.run_slots"] = min(draft["worker.run_slots"] or half, half)


def _backpressure(draft: SettingsDraft) -> None:
    for name, unit, share in (("lag", "", 0.8), ("pending", "", 0.8), ("oldest_age", "_sec", 0.5)):
        high, low = (f"api.backpressure.{name}_{end}{unit}" for end in ("high", "low"))
        if draft.told(high) and not draft.told(low):
            fitting = draft[high] * share
            draft.default(low, fitting if unit else int(fitting), f"follows {high}")
        if draft[high] and draft[low] > draft[high]:
            raise ConfigError(
                f"{draft.where(low)} is {draft[low]:g}, but {draft.where(high)} is {draft[high]:g}: the low "
                f"value may not be greater than the high one."
            )


def _outbox(draft: SettingsDraft) -> None:
    if not draft["api.outbox.enabled"]:
        draft.warnings.append(
            f"{draft.where('api.outbox.enabled')} is false, which is for debugging only: while Redis is down, "
            f"submissions are refused and wait for repair."
        )


def _connections(draft: SettingsDraft) -> None:
    most = draft["api.max_connections"]
    for name, share in (
        ("api.max_connections_per_address", 0.75),
        ("api.live.max_streams", 0.6),
        ("api.live.max_streams_per_address", 0.4),
    ):
        draft.default(name, int(most * share), "follows api.max_connections")
    if draft["api.live.max_streams"] > most * 0.9:
        raise ConfigError(
            f"{draft.where('api.live.max_streams')} is {draft['api.live.max_streams']}, but "
            f"{draft.where('api.max_connections')} is {most}: event streams may use at most 9 in 10 connections."
        )


def _proxies(draft: SettingsDraft) -> None:
    for text in draft["api.trusted_proxies"]:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise ConfigError(
                f'{draft.where("api.trusted_proxies")} contains "{text}", which is neither an address (127.0.0.1) nor '
                f"a network (10.0.0.0/8)."
            ) from error


def _isolation(draft: SettingsDraft) -> None:
    if not draft["worker.require_cgroups_v2"]:
        return
    if draft.told("sandbox_min_isolation") and draft["sandbox_min_isolation"] is not Isolation.FULL:
        raise ConfigError(
            f"{draft.where('worker.require_cgroups_v2')} means full isolation, but "
            f"{draft.where('sandbox_min_isolation')} is {draft['sandbox_min_isolation']}: remove one of them."
        )
    draft.default("sandbox_min_isolation", Isolation.FULL, "follows worker.require_cgroups_v2")


def _cpu_share(draft: SettingsDraft) -> None:
    name = "runner.cgroup_cpu_max_cores"
    if 0 < draft[name] < MIN_CPU_CORES:
        raise ConfigError(
            f"{draft.where(name)} is {draft[name]:g}; the kernel's minimum is {MIN_CPU_CORES:g}. 0 means unlimited."
        )


# ---------------------------------------------------------------------------------------------------------------------
# Addresses


def _join(parts: SplitResult) -> str:
    # The library's urlunsplit drops the empty authority of unix:///path.
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def _stray_login(parts: SplitResult) -> bool:
    """Return whether the authority seems to end inside a password: with an unquoted ``/``, ``?`` or ``#`` in it, the
    password is parsed as a host with a path."""
    return bool(parts.netloc) and any("@" in part for part in (parts.path, parts.query, parts.fragment))


def mask_url(url: str) -> str:
    """Return the URL with its passwords hidden. Parts that could belong to a password are hidden too."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return MASK
    if _stray_login(parts):
        return f"{parts.scheme}://{MASK}"
    login, at, address = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}:{MASK}@{address}" if at and colon else parts.netloc
    query = "&".join(
        f"{part.partition('=')[0]}={MASK}" if "password" in part.lower() else part for part in parts.query.split("&")
    )
    return _join(parts._replace(netloc=netloc, query=query))


def _split(draft: SettingsDraft, name: str, url: str, schemes: tuple[str, ...], allowed: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # evaluated here, so that a bad port gives this sentence instead of a traceback later
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in schemes:
        quoting = "; write /, ?, # and @ in a password as %2F, %3F, %23 and %40" if "@" in url else ""
        raise ConfigError(f'{name} is "{mask_url(url)}" ({draft.source(name)}); it must be {allowed}{quoting}.')
    if parts.netloc and ("@" in parts.path or "@" in parts.fragment):
        raise ConfigError(
            f'{name} is "{mask_url(url)}" ({draft.source(name)}), with an @ after the host: write '
            f"/, ?, # and @ in a password as %2F, %3F, %23 and %40."
        )
    return parts


def _database(draft: SettingsDraft) -> None:
    name = "api.database_url"
    _split(draft, name, draft[name], ("postgres", "postgresql"), "postgres://… or postgresql://…")


def _redis(draft: SettingsDraft) -> None:
    name = "api.redis_url"
    url, tls = draft[name], draft["redis.tls_enabled"]
    if url.startswith("/"):
        url = f"unix://{url}"
    elif "://" not in url:
        url = f"{'rediss' if tls else 'redis'}://{url}"
    parts = _split(draft, name, url, ("redis", "rediss", "unix"), "host:port, redis://…, rediss://… or unix:///path")
    if tls and parts.scheme == "redis":
        parts = parts._replace(scheme="rediss")
    if draft["redis.password"] and parts.password is None:
        login, _, address = parts.netloc.rpartition("@")
        parts = parts._replace(netloc=f"{login}:{quote(draft['redis.password'], safe='')}@{address}")
    for service in ("api", "scheduler", "worker"):
        draft.values[f"{service}.redis_url"] = _join(parts)


def _minio(draft: SettingsDraft) -> None:
    endpoint = draft["api.minio.endpoint"]
    # worker.minio may have been set alone: its values were copied by then, but not their sources
    told, endpoint_told = (
        any(draft.told(f"{service}.minio.{name}") for service in ("api", "worker")) for name in ("secure", "endpoint")
    )
    scheme = endpoint.partition("://")[0] if "://" in endpoint else ""
    _split(
        draft,
        "api.minio.endpoint",
        endpoint if scheme else f"http://{endpoint}",
        ("http", "https"),
        "host:port, http://host:port or https://host:port",
    )
    secure = draft["api.minio.secure"] if not scheme else scheme == "https"
    if told and endpoint_told and secure != draft["api.minio.secure"]:
        raise ConfigError(
            f"{draft.where('api.minio.endpoint')} says {scheme}, but {draft.where('api.minio.secure')} is "
            f"{str(draft['api.minio.secure']).lower()}: remove one of them."
        )
    if told and not endpoint_told:
        secure = draft["api.minio.secure"]
    for service in ("api", "worker"):
        draft.values[f"{service}.minio.secure"] = secure


# ---------------------------------------------------------------------------------------------------------------------
# Contradictions


def _secret(draft: SettingsDraft) -> None:
    for name in ("api.auth.jwt_secret", "api.webhooks.secret"):
        _one_secret(draft, name)


def _one_secret(draft: SettingsDraft, name: str) -> None:
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


def _ordered(draft: SettingsDraft) -> None:
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
    beat, lease = "worker.stream.heartbeat_sec", "worker.stream.lease_sec"
    if not draft.told(beat):
        draft.default(beat, min(draft[beat], draft[lease] / 3), "at most a third of worker.stream.lease_sec")
    if draft[beat] > draft[lease] / 2:
        raise ConfigError(
            f"{draft.where(beat)} is {draft[beat]:g}, but {draft.where(lease)} is {draft[lease]:g}: the heartbeat may "
            f"take at most half of the lease."
        )
    # Lowering a bound below another key's default lowers that default; only two values set by the user can conflict.
    for below, ceiling, per_unit in BELOW:
        if not draft.told(below):
            draft.default(below, min(draft[below], draft[ceiling] // per_unit), f"at most {ceiling}")
        elif draft[below] * per_unit > draft[ceiling]:
            raise ConfigError(
                f"{draft.where(below)} is {draft[below]}, but {draft.where(ceiling)} is {draft[ceiling]}: the first "
                f"may not be greater than the second{' (1 MB is 1024 KB)' if per_unit == 1024 else ''}."
            )


def _networks(draft: SettingsDraft) -> None:
    name = "api.webhooks.private_networks"
    for network in draft[name]:
        try:
            ipaddress.ip_network(network.strip())
        except ValueError as error:
            raise ConfigError(
                f"{draft.where(name)} contains {network!r}, which is not a network: {error}. Write it as 10.1.2.0/24."
            ) from error


def _without_effect(draft: SettingsDraft) -> None:
    told = [draft.where(name) for name in NO_EFFECT_YET if draft.told(name)]
    if told:
        # one sentence for all, so that other warnings stay visible to users who copied the whole example file
        draft.warnings.append(f"{'This has' if len(told) == 1 else 'These have'} no effect yet: {', '.join(told)}.")


RULES: tuple[Callable[[SettingsDraft], None], ...] = (
    _roles, _home, _names, _observability, _repeated, _embedded, _admin, _limits, _backpressure, _outbox, _connections,
    _proxies, _isolation, _cpu_share, _database, _redis, _minio, _secret, _ordered, _networks, _without_effect,
)  # fmt: skip


def decide(values: Mapping[str, Any], sources: Mapping[str, str]) -> SettingsDraft:
    """Applies every rule to typed values. Raises ConfigError."""
    draft = SettingsDraft(dict(values), dict(sources))
    for rule in RULES:
        rule(draft)
    return draft


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
    told, prefix = cfg.api.auth.oauth.github, "api.auth.oauth.github"
    if not told.client_secret:
        raise ConfigError(
            f"GITHUB_CLIENT_SECRET ({prefix}.client_secret) is not set, but GITHUB_CLIENT_ID is: set both or none."
        )
    for name in ("redirect_url", "base_url", "api_url"):
        url = getattr(told, name)
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
