"""Every field of a log line, declared once.

A field must be one of :data:`FIELDS`. Fields that could hold source code or a secret are always dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

#: the fields of a log line; a new field is declared here first
FIELDS: frozenset[str] = frozenset(
    {
        # identities
        "job_id", "attempt_id", "judging", "event_id", "event_type", "stream_entry_id", "stream_key", "group",
        "consumer", "lease_owner", "node", "trace_id", "span_id", "request_id", "user_id", "by_user_id", "group_id",
        "problem_id", "contest_id", "language",
        # outcomes
        "status", "state", "verdict", "rule", "reason", "result", "error", "error_code", "isolation", "exit_code",
        "exit_signal", "sandbox_error", "truncated_stdout", "truncated_stderr", "stdout_len", "stderr_len",
        # quantities and durations
        "attempts", "count", "in_hand", "pending", "lag", "xlen", "maxlen", "cursor", "waited_ms", "duration_ms",
        "cpu_ms", "wall_ms", "memory_kb", "size_bytes", "delay_s", "budget",
        # HTTP
        "method", "path", "http_status", "remote", "delivery_id", "target",
        # the node itself
        "child", "server", "role", "roles", "part", "pid", "signal", "host", "port", "address", "home", "version",
        "migration", "case", "expected", "found", "logger", "exception",
        # control plane, word for word from the runbook
        "dispatch_mode", "control_plane_only", "legacy_loops_started", "control_plane_loops_started",
    }
)  # fmt: skip

#: never written, even if they are declared
SECRET_FIELDS: frozenset[str] = frozenset(
    {"code", "source", "password", "password_hash", "token", "authorization", "cookie", "secret", "jwt_secret",
     "secret_key", "access_key", "stdin", "stdout", "stderr", "payload"}
)  # fmt: skip

#: fields that ``logs`` adds
_ADDED = frozenset({"event", "level", "ts", "text", "exc_info", "often"})
type EventDict = MutableMapping[str, Any]


class UndeclaredField(Exception):
    """A log call used a field that :data:`FIELDS` does not know (raised in tests only)."""


def drop_secrets(fields: EventDict) -> EventDict:
    """Remove fields that hold code or secrets, also inside mappings."""
    for name in [name for name in fields if name.lower() in SECRET_FIELDS]:
        del fields[name]
    for name, value in fields.items():
        if isinstance(value, Mapping):
            fields[name] = {key: item for key, item in value.items() if str(key).lower() not in SECRET_FIELDS}
    return fields


def _undeclared(fields: EventDict) -> list[str]:
    return sorted(name for name in fields if name not in FIELDS and name not in _ADDED)


def refuse_undeclared(fields: EventDict) -> EventDict:
    unknown = _undeclared(fields)
    if unknown:
        raise UndeclaredField(f"event={fields.get('event')}: declare {', '.join(unknown)} in deepoj/observe/fields.py")
    return fields


def name_undeclared(fields: EventDict) -> EventDict:
    unknown = _undeclared(fields)
    for name in unknown:
        del fields[name]
    if unknown:
        fields["undeclared"] = unknown
    return fields
