"""The figures of ``deepoj bench node`` and their table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from deepoj.operate.bench.bounds import missed_of, verdict_of
from deepoj.operate.bench.node_drain import Drain
from deepoj.operate.bench.node_latency import TimedVerdict
from deepoj.operate.bench.unlimited import unlimited

#: counted in another stage, so that the sum of all counts it once
_PART_OF_ANOTHER = "commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """All that was measured. ``drains``: by language."""

    idle_pss_mib: float
    idle_cpu_percent: float
    idle_seconds: float
    samples: Sequence[TimedVerdict]
    floors_ms: Sequence[float]
    #: means, by stage
    stages_ms: Mapping[str, float]
    drain_count: int
    drains: Mapping[str, Drain]

    @property
    def rest_ms(self) -> float:
        """What is in no stage, of the mean submission: the answers' way, the client, other processes."""
        known_ms = sum(ms for stage, ms in self.stages_ms.items() if stage != _PART_OF_ANOTHER)
        return statistics.fmean(sample.total_ms for sample in self.samples) - known_ms

    def flat(self) -> dict[str, object]:
        """As JSON: every key is there in every run. ``*_ms`` are medians, but those of the stages, which are means."""
        overheads = [sample.overhead_ms for sample in self.samples]
        overhead_ms, floor_ms = statistics.median(overheads), statistics.median(self.floors_ms)
        cpp, python = self.drains["cpp17"], self.drains["python3"]
        flat: dict[str, object] = {
            "idle_pss_mib": round(self.idle_pss_mib, 1),
            "idle_cpu_percent": round(self.idle_cpu_percent, 2),
            "idle_seconds": self.idle_seconds,
            "rounds": len(self.samples),
            "submit_to_verdict_ms": round(statistics.median(sample.total_ms for sample in self.samples), 1),
            "program_ms": round(statistics.median(sample.program_ms for sample in self.samples), 1),
            "overhead_ms": round(overhead_ms, 1),
            "overhead_p95_ms": round(statistics.quantiles(overheads, n=20)[-1], 1),
            "floor_ms": round(floor_ms, 2),
            "overhead_to_floor": round(overhead_ms / floor_ms, 2),
            "stages_ms": {stage: round(ms, 2) for stage, ms in self.stages_ms.items()},
            "rest_ms": round(self.rest_ms, 2),
            "drain_count": self.drain_count,
            "drain_per_s": round(cpp.per_s, 2),
            "drain_bare_per_s": round(cpp.bare_per_s, 2),
            "drain_ratio": cpp.ratio,
            "drain_python_per_s": round(python.per_s, 2),
            "drain_python_bare_per_s": round(python.bare_per_s, 2),
            "drain_python_ratio": python.ratio,
            "settings": unlimited(),
        }
        flat["missed"] = missed_of("node", flat)
        return flat


def show(figures: NodeFigures, console: Console) -> None:
    flat = figures.flat()
    table = Table("figure", "bare", "measured", "required", title="node")

    def row(title: str, measured: str, key: str = "", bare: str = "") -> None:
        table.add_row(title, bare, measured, verdict_of("node", key, flat))

    row("idle, PSS of node and launcher", f"{flat['idle_pss_mib']} MiB", "idle_pss_mib")
    row(f"idle, CPU over {figures.idle_seconds:g} s", f"{flat['idle_cpu_percent']} % of a core", "idle_cpu_percent")
    row(f"submit to verdict, median of {flat['rounds']}", f"{flat['submit_to_verdict_ms']} ms")
    row("… of it the program's compilation and run", f"{flat['program_ms']} ms")
    row("… of it ours", f"{flat['overhead_ms']} ms", "overhead_ms", f"{flat['floor_ms']} ms")
    row("… 95 %", f"{flat['overhead_p95_ms']} ms", "overhead_p95_ms")
    row("… ÷ the same statements bare", f"{flat['overhead_to_floor']}", "overhead_to_floor")
    for title, key in (("C++", "drain"), ("Python", "drain_python")):
        row(
            f"{figures.drain_count} programs in {title} queued, a second",
            f"{flat[f'{key}_per_s']}; ratio {flat[f'{key}_ratio']}",
            f"{key}_ratio",
            f"{flat[f'{key}_bare_per_s']}",
        )
    console.print(table)
    stages = Table("stage", "mean", title="where the time to a verdict goes")
    for stage, ms in figures.stages_ms.items():
        stages.add_row(f"{stage} (part of dispatch)" if stage == _PART_OF_ANOTHER else stage, f"{ms:.2f} ms")
    stages.add_row("in no stage", f"{figures.rest_ms:.2f} ms")
    console.print(stages)
