"""The figures of ``deepoj bench sandbox``: their names, what is required of them, and the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from deepoj.operate.bench.bounds import REQUIRED, missed_of
from deepoj.words.sandbox import Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class Trivial:
    """A trivial program, medians. ``ratio``: the whole run, cleaning included, ÷ bare; ``latency_ratio``: until the
    answer ÷ bare."""

    bare_us: float
    run_us: float
    ratio: float
    latency_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Runs a second of one slot (caller) and of two at once; what the second gains, round by round; ours ÷ the bare
    one's. Medians."""

    slots_per_s: tuple[float, float]
    bare_per_s: tuple[float, float]
    slots_gain: float
    bare_gain: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """Much output: medians of the run ÷ reading it bare, and the most that node and launcher grew by meanwhile."""

    mib: int
    bare_ms: float
    ratio: float
    ratio_python: float
    growth_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another sandbox: ÷ bare, or why there is no figure."""

    ratio: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFigures:
    """All that was measured. ``trivial``: by the name of the program, the first is the one the rest is measured
    with."""

    isolation: Isolation
    rounds: int
    trivial: Mapping[str, Trivial]
    ratio_python: float
    scaling: Scaling
    flood: Flood
    others: Mapping[str, Other]

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run, null where it was not measured."""
        first = next(iter(self.trivial))
        flat: dict[str, object] = {"isolation": self.isolation.value, "rounds": self.rounds}
        for name in PROGRAMS:
            found = self.trivial.get(name)
            flat[f"bare_{name}_us"] = found and found.bare_us
            flat[f"run_{name}_us"] = found and found.run_us
            flat[f"ratio_{name}"] = found and found.ratio
            flat[f"latency_ratio_{name}"] = found and found.latency_ratio
        for name in PYTHON_PROGRAMS:
            flat[f"ratio_{name}_python"] = self.ratio_python if name == first else None
        scaling = self.scaling
        flat |= {
            "runs_per_s_one_slot": scaling.slots_per_s[0],
            "runs_per_s_two_slots": scaling.slots_per_s[1],
            "bare_per_s_one_caller": scaling.bare_per_s[0],
            "bare_per_s_two_callers": scaling.bare_per_s[1],
            "scaling_sandbox": scaling.slots_gain,
            "scaling_bare": scaling.bare_gain,
            "scaling_ratio": scaling.ratio,
            **{f"flood_{name}": value for name, value in asdict(self.flood).items()},
            "others": {name: asdict(other) for name, other in self.others.items()},
        }
        flat["missed"] = missed_of("sandbox", flat)
        return flat


#: the trivial programs, and those that go through Python too
PROGRAMS = ("static", "dynamic", "program")
PYTHON_PROGRAMS = ("static", "program")


def show(figures: SandboxFigures) -> None:
    """The table, on stdout."""
    flat = figures.flat()
    table = Table("figure", "measured", "required", title=f"sandbox, isolation {figures.isolation}")
    for title, key, measured in _rows(figures):
        table.add_row(title, measured, _judged(flat, key))
    Console(highlight=False).print(table)


def _judged(flat: Mapping[str, object], key: str) -> str:
    bound = REQUIRED["sandbox"].get(key)
    met = bound and bound.met(flat[key])
    if met is None:
        return ""
    return f"[green]{bound} ✓[/]" if met else f"[bold red]{bound} ✗[/]"


def _rows(figures: SandboxFigures) -> Iterator[tuple[str, str, str]]:
    """Title, key of the JSON, what was measured."""
    first = next(iter(figures.trivial))
    for name, found in figures.trivial.items():
        yield f"{name}: posix_spawn and wait", f"bare_{name}_us", f"{found.bare_us:.0f} µs"
        yield "… whole run in the sandbox", f"run_{name}_us", f"{found.run_us:.0f} µs"
        yield "… whole run ÷ bare", f"ratio_{name}", f"{found.ratio:.2f}"
        yield "… until the answer ÷ bare", f"latency_ratio_{name}", f"{found.latency_ratio:.2f}"
        if name == first:
            yield "… call from Python ÷ bare", f"ratio_{name}_python", f"{figures.ratio_python:.2f}"
    scaling = figures.scaling
    yield "runs a second, one slot and two", "runs_per_s_two_slots", "{:.0f}, {:.0f}".format(*scaling.slots_per_s)
    yield "… the second gains", "scaling_sandbox", f"× {scaling.slots_gain:.2f}"
    yield "bare, one caller and two", "bare_per_s_two_callers", "{:.0f}, {:.0f}".format(*scaling.bare_per_s)
    yield "… the second gains", "scaling_bare", f"× {scaling.bare_gain:.2f}"
    yield "second slot's gain ÷ second caller's", "scaling_ratio", f"{scaling.ratio:.2f}"
    flood = figures.flood
    yield f"{flood.mib} MiB of output, read bare", "flood_bare_ms", f"{flood.bare_ms:.1f} ms"
    yield "… run that keeps 1 MiB ÷ bare", "flood_ratio", f"{flood.ratio:.2f}"
    yield "… call from Python ÷ bare", "flood_ratio_python", f"{flood.ratio_python:.2f}"
    yield "… node and launcher grow by", "flood_growth_mib", f"{flood.growth_mib:.2f} MiB"
    for name, other in figures.others.items():
        yield f"{first} in {name} ÷ bare", name, other.note if other.ratio is None else f"{other.ratio:.2f}"
