"""Limits that hold where a package names none: those of the judge that its format was made for.

``deploy/docs/packages.md`` shows the table with its sources; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deepoj.judging.problem import Plan

#: whose default it is where the format has none
SERVER = "this server"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatDefaults:
    """Defaults of a judge. None: it has none, and those of this server hold."""

    judge: str
    time_ms: int | None = None
    memory_mb: int | None = None
    #: limit ÷ slowest accepted run, where the format measures the time limit (``timing``)
    time_factor: float | None = None


_PROBLEMTOOLS = FormatDefaults(judge="problemtools", memory_mb=1024, time_factor=2.0)

#: ``Plan.made_for`` or ``Plan.format`` → its defaults
DEFAULTS: Mapping[str, FormatDefaults] = MappingProxyType(
    {
        "kattis-legacy": FormatDefaults(judge="problemtools", memory_mb=1024, time_factor=5.0),
        "kattis-2023-07": _PROBLEMTOOLS,
        "kattis-2025-09": _PROBLEMTOOLS,
        "domjudge": FormatDefaults(judge="DOMjudge", time_ms=10_000, memory_mb=2048),
        "dmoj": FormatDefaults(judge="DMOJ", time_ms=2000, memory_mb=64),
        "hydro": FormatDefaults(judge="Hydro", time_ms=1000, memory_mb=256),
        "uoj": FormatDefaults(judge="UOJ", time_ms=1000, memory_mb=256),
        "polygon": FormatDefaults(judge="Polygon", time_ms=1000, memory_mb=256),
    }
)
_NONE = FormatDefaults(judge="")


@dataclass(frozen=True, slots=True)
class ChosenLimit:
    """A limit of a problem, and whose default it is."""

    value: int
    #: empty: the package or the upload names it
    default_of: str = ""
    #: the judge's default, where this server allows less
    cut_from: int | None = None


@dataclass(frozen=True, slots=True)
class ServerLimit:
    """This server's default of a limit, and its maximum."""

    default: int
    most: int


def defaults_of(plan: Plan) -> FormatDefaults:
    """Return the defaults of the judge that the package was made for."""
    return DEFAULTS.get(plan.made_for or plan.format, _NONE)


def time_limit(plan: Plan, given_ms: int | None, server: ServerLimit) -> ChosenLimit:
    """Return the time limit in ms. ``given_ms``: of the upload, or None."""
    defaults = defaults_of(plan)
    return _chosen(given_ms or plan.limits.time_ms, defaults.time_ms, defaults.judge, server)


def memory_limit(plan: Plan, given_mb: int | None, server: ServerLimit) -> ChosenLimit:
    """Return the memory limit in MB. ``given_mb``: of the upload, or None."""
    defaults = defaults_of(plan)
    return _chosen(given_mb or plan.limits.memory_mb, defaults.memory_mb, defaults.judge, server)


def cut_notes(time: ChosenLimit, memory: ChosenLimit) -> tuple[str, ...]:
    """Return a sentence for each default that this server does not allow."""
    return tuple(
        f"The package names no {word} limit, and {limit.default_of}'s default of {limit.cut_from} {unit} is more than"
        f" this server allows: {limit.value} {unit} is used. {setting} is the maximum."
        for word, limit, unit, setting in (
            ("time", time, "ms", "SUBMIT_MAX_TIME_LIMIT_MS"),
            ("memory", memory, "MB", "SUBMIT_MAX_MEMORY_LIMIT_KB"),
        )
        if limit.cut_from is not None
    )


def _chosen(named: int | None, default: int | None, judge: str, server: ServerLimit) -> ChosenLimit:
    if named:
        return ChosenLimit(named)
    if default is None:
        return ChosenLimit(server.default, SERVER)
    return ChosenLimit(min(default, server.most), judge, default if default > server.most else None)
