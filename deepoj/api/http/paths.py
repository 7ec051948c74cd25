"""Parses ids and short values from paths and query strings."""

from __future__ import annotations

import datetime as dt
import re

from quart import request

from deepoj.api.body import text
from deepoj.api.errors import ApiError, Refused

_MAX_ID = 2**31 - 1
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: RFC 3339, with a time zone
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def problem_id_of(raw: str) -> int | None:
    """Parse a problem's id from a path; None if it is invalid."""
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 10):
        return None
    return int(raw) if 0 < int(raw) <= _MAX_ID else None


def user_id_of(raw: str) -> int | None:
    """Parse an account's id from a path; None if it is invalid."""
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 19):
        return None
    return int(raw) if 0 < int(raw) < 2**63 else None


def job_id_of(raw: str) -> str | None:
    """Return a job id from a path; None if it is invalid: the store is not asked then."""
    return raw if _JOB_ID.fullmatch(raw) else None


def query_text(name: str, max_chars: int) -> str:
    """Return a text of the query string, empty if missing. Raises Refused."""
    value = text(name, request.args.get(name, ""))
    if len(value) > max_chars:
        raise Refused(ApiError.INVALID, field=name, problem=f"at most {max_chars} characters")
    return value


def query_number[T: int | None](name: str, default: T, maximum: int) -> int | T:
    """Return a positive integer of the query string. Raises Refused."""
    raw = request.args.get(name)
    if raw is None:
        return default
    number = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 19 else 0
    if not 1 <= number <= maximum:
        raise Refused(ApiError.INVALID, field=name, problem=f"a whole number from 1 to {maximum}")
    return number


def query_flag(name: str) -> bool:
    """Return a flag of the query string: ``?name``, ``?name=true`` or ``?name=false``. Raises Refused."""
    word = request.args.get(name, "false").lower()
    if word not in {"true", "false", "1", "0", ""}:
        raise Refused(ApiError.INVALID, field=name, problem="true or false")
    return word in {"true", "1", ""}


def query_time(name: str) -> dt.datetime | None:
    """Return a time of the query string, in UTC. Raises Refused."""
    raw = request.args.get(name)
    return None if raw is None else time_of(name, raw)


def time_of(field: str, raw: str) -> dt.datetime:
    """Return a time that a request names, in UTC. Raises Refused."""
    try:
        if not _TIME.fullmatch(raw):
            raise ValueError(raw)
        return dt.datetime.fromisoformat(raw.upper()).astimezone(dt.UTC)
    except (
        ValueError,
        OverflowError,
    ) as error:  # OverflowError: the time zone leads out of the calendar
        problem = "a time such as 2026-01-31T12:00:00Z or 2026-01-31T20:00:00%2B08:00"
        raise Refused(ApiError.INVALID, field=field, problem=problem) from error
