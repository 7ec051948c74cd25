"""The rules between settings, in their order: repeated keys, derived defaults, clamps, contradictions.

Each rule reads and changes the draft alone. A rule may read what an earlier one derived.
:mod:`deepoj.config.loader` reads and merges the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deepoj.config import addresses, checks, derived
from deepoj.config.draft import SettingsDraft

RULES: tuple[Callable[[SettingsDraft], None], ...] = (
    derived.decide_roles,
    derived.derive_paths,
    derived.derive_names,
    derived.derive_labels,
    derived.merge_repeated,
    derived.derive_for_embedded,
    checks.warn_of_open_registration,
    derived.derive_limits,
    derived.derive_backpressure,
    checks.warn_of_disabled_outbox,
    derived.derive_connections,
    addresses.check_proxies,
    derived.derive_isolation,
    checks.check_cpu_share,
    addresses.check_database_url,
    addresses.normalize_redis_urls,
    addresses.normalize_minio,
    checks.check_secrets,
    checks.check_order,
    addresses.check_private_networks,
    checks.warn_of_no_effect,
)


def decide(values: Mapping[str, Any], sources: Mapping[str, str]) -> SettingsDraft:
    """Apply every rule to typed values. Raises ConfigError."""
    draft = SettingsDraft(dict(values), dict(sources))
    for rule in RULES:
        rule(draft)
    return draft
