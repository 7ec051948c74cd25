"""Rules for defaults that follow other settings, and for keys that the contract repeats."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from deepoj.config.draft import ConfigError, SettingsDraft
from deepoj.config.roles import Role
from deepoj.words.sandbox import Isolation

#: keys that the contract repeats for each service: a node has one value for all of them
REPEATED: tuple[tuple[str, ...], ...] = (
    ("api.database_url", "scheduler.database_url", "worker.database_url"),
    ("api.redis_url", "scheduler.redis_url", "worker.redis_url"),
    *((f"api.minio.{name}", f"worker.minio.{name}") for name in ("endpoint", "access_key", "secret_key", "bucket")),
    ("api.minio.secure", "worker.minio.secure"),
    ("api.stream.stream_key", "worker.stream.stream_key"),
    ("path.workspace_root", "worker.workspace"),
)


def decide_roles(draft: SettingsDraft) -> None:
    """Add the dispatcher to a node with the API, and remove the roles that flags switch off."""
    roles, without = draft["roles"], draft["without_roles"]
    if Role.API in roles:
        # An API without a dispatcher would accept submissions that never reach the stream.
        roles = roles | {Role.DISPATCHER}
    roles = roles - without
    if not roles:
        raise ConfigError(f"{draft.where('roles')} leaves no role: name at least one of {', '.join(Role)}.")
    draft.values["roles"] = frozenset(roles)


def derive_paths(draft: SettingsDraft) -> None:
    """Make the paths absolute; the workspace is in ``home`` unless it is set."""
    home = draft["home"].expanduser().absolute()
    draft.values["home"] = home
    for name in ("path.workspace_root", "worker.workspace"):
        draft.default(name, str(home / "workspace"), "follows home")
        draft.values[name] = str(Path(draft[name]).expanduser().absolute())


def derive_names(draft: SettingsDraft) -> None:
    """Name the stream and its group by the prefix of Redis, and the consumer by the worker or the process."""
    prefix, env = draft["redis.key_prefix"], draft["redis.key_env"]
    namespace = f"{prefix}:{env}" if env else prefix
    for name in ("api.stream.stream_key", "worker.stream.stream_key"):
        draft.default(name, f"{namespace}:jobs", "follows redis.key_prefix and redis.key_env")
    draft.default("worker.stream.group", f"{namespace}:workers", "follows redis.key_prefix and redis.key_env")
    if draft["worker.id"]:
        draft.default("worker.stream.consumer", draft["worker.id"], "follows worker.id")
    else:
        draft.default("worker.stream.consumer", f"{socket.gethostname()}-{os.getpid()}", "hostname-pid")


def derive_labels(draft: SettingsDraft) -> None:
    """Give each role's metrics the labels that ``observability`` sets for the node."""
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


def merge_repeated(draft: SettingsDraft) -> None:
    """Give keys of the same meaning the same value, by the strongest source."""
    for names in REPEATED:
        given = [name for name in names if draft.is_set(name)]
        if not given:
            continue
        # The environment and flags set all repetitions at once; in a file they can differ.
        strongest = min(given, key=lambda name: _rank(draft.sources[name]))
        same = [name for name in given if _rank(draft.sources[name]) == _rank(draft.sources[strongest])]
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
    """Return the rank of a source; the lowest is the strongest."""
    return 0 if source == "flag" else 1 if source.startswith("environment ") else 2


def derive_for_embedded(draft: SettingsDraft) -> None:
    """Set the defaults of a node that starts its own servers, and warn of addresses it does not use."""
    if not draft["embedded"]:
        return
    for name in ("api.database_url", "api.redis_url", "api.minio.endpoint"):
        if draft.is_set(name):
            draft.warnings.append(f"{draft.where(name)} is not used: this node is embedded and starts its own servers.")
    draft.default("api.auth.admin_users", ("admin",), "of an embedded node")
    draft.default("api.auth.admin_registration", "open", "of an embedded node")
    # any client on this host could otherwise forge its address and evade the limits per address
    draft.default("api.trusted_proxies", (), "of an embedded node")
    # allows a class of 300 behind one address four submissions a minute each; accounts are limited as well
    draft.default("api.limits.submit_rate_limit.ip_limit", 1200, "of an embedded node")


def derive_limits(draft: SettingsDraft) -> None:
    """Derive the other rate limits from the general one, submissions in flight from ``key_env``, slots from CPUs."""
    for kind in ("auth_rate_limit", "submit_rate_limit"):
        for name in ("ip_limit", "user_limit", "window_sec"):
            general = f"api.limits.rate_limit.{name}"
            if draft.is_set(general):
                draft.default(f"api.limits.{kind}.{name}", draft[general], f"follows {general}")
    if draft["api.limits.submit_max_inflight"] == 0:
        draft.values["api.limits.submit_max_inflight"] = 5000 if draft["redis.key_env"] == "dev" else 500
    cpus = os.process_cpu_count() or 1
    slots = draft.values["worker.pool_size"] = min(max(draft["worker.pool_size"], 1), cpus)
    half = max(1, slots // 2)
    draft.values["worker.contest_slots"] = min(draft["worker.contest_slots"], slots - 1)
    draft.values["worker.run_slots"] = min(draft["worker.run_slots"] or half, half)


def derive_backpressure(draft: SettingsDraft) -> None:
    """Let a low bound follow its high bound; it may not be greater."""
    for name, unit, share in (("lag", "", 0.8), ("pending", "", 0.8), ("oldest_age", "_sec", 0.5)):
        high, low = (f"api.backpressure.{name}_{end}{unit}" for end in ("high", "low"))
        if draft.is_set(high) and not draft.is_set(low):
            fitting = draft[high] * share
            draft.default(low, fitting if unit else int(fitting), f"follows {high}")
        if draft[high] and draft[low] > draft[high]:
            raise ConfigError(
                f"{draft.where(low)} is {draft[low]:g}, but {draft.where(high)} is {draft[high]:g}: the low "
                f"value may not be greater than the high one."
            )


def derive_connections(draft: SettingsDraft) -> None:
    """Derive the limits per address and of event streams from the limit of connections."""
    total = draft["api.max_connections"]
    for name, share in (
        ("api.max_connections_per_address", 0.75),
        ("api.live.max_streams", 0.6),
        ("api.live.max_streams_per_address", 0.4),
    ):
        draft.default(name, int(total * share), "follows api.max_connections")
    if draft["api.live.max_streams"] > total * 0.9:
        raise ConfigError(
            f"{draft.where('api.live.max_streams')} is {draft['api.live.max_streams']}, but "
            f"{draft.where('api.max_connections')} is {total}: event streams may use at most 9 in 10 connections."
        )


def derive_isolation(draft: SettingsDraft) -> None:
    """Require full isolation where cgroup v2 is required."""
    if not draft["worker.require_cgroups_v2"]:
        return
    if draft.is_set("sandbox_min_isolation") and draft["sandbox_min_isolation"] is not Isolation.FULL:
        raise ConfigError(
            f"{draft.where('worker.require_cgroups_v2')} means full isolation, but "
            f"{draft.where('sandbox_min_isolation')} is {draft['sandbox_min_isolation']}: remove one of them."
        )
    draft.default("sandbox_min_isolation", Isolation.FULL, "follows worker.require_cgroups_v2")
