"""Figures of ``deepoj bench``: missed bounds, ratios and tables; and other sandboxes. Nothing is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from deepoj.operate.bench import rivals
from deepoj.operate.bench.api import ApiComparison, ApiFigures, Load
from deepoj.operate.bench.api_load import Loaded
from deepoj.operate.bench.api_shared import SharedPort
from deepoj.operate.bench.bounds import REQUIRED
from deepoj.operate.bench.judge import JudgeFigures, JudgeTimes
from deepoj.operate.bench.judge import show as show_judging
from deepoj.operate.bench.node_drain import Drain
from deepoj.operate.bench.node_figures import NodeFigures
from deepoj.operate.bench.node_latency import TimedVerdict
from deepoj.operate.bench.queue import STEPS
from deepoj.operate.bench.queue import figures_of as queue_figures_of
from deepoj.operate.bench.rivals import Rival, ready
from deepoj.operate.bench.sandbox_figures import Flood, Other, SandboxFigures, Scaling, Trivial, show
from deepoj.words.sandbox import Isolation

FAST = Trivial(bare_us=400.0, run_us=520.0, ratio=1.3, latency_ratio=1.2)
SLOW = Trivial(bare_us=400.0, run_us=700.0, ratio=1.75, latency_ratio=1.2)


def figures(ratio_python: float = 1.9, growth_mib: float = 1.0, **trivial: Trivial) -> SandboxFigures:
    return SandboxFigures(
        isolation=Isolation.NAMESPACES,
        rounds=10,
        trivial=trivial,
        ratio_python=ratio_python,
        scaling=Scaling(
            slots_per_s=(1000.0, 1800.0), bare_per_s=(2000.0, 4000.0), slots_gain=1.8, bare_gain=2.0, ratio=0.9
        ),
        flood=Flood(mib=64, bare_ms=20.0, ratio=1.5, ratio_python=1.6, growth_mib=growth_mib),
        others={"bubblewrap": Other(ratio=9.9), "isolate": Other(note="not installed")},
    )


def judge_figures(**ours: float) -> JudgeFigures:
    names = ("compile", "cached", "fresh_iostream", "fresh_all", "parallel", "large")
    return JudgeFigures(
        rounds=3,
        isolation="namespaces",
        headers=("iostream",),
        pairs={name: JudgeTimes([ours.get(name, 10.0)] * 3, [100.0] * 3) for name in names},
        large_tests=100,
        large_growth_mib=ours.get("growth", 0.0),
    )


def loaded(answers: int = 1, ms: float = 1.0) -> Loaded:
    return Loaded(answers=answers, seconds=1.0, median_ms=ms, p99_ms=ms, max_ms=ms, cpu_s=0.1)


def api_figures(
    submits: int = 500,
    status_ms: float = 1.4,
    steady: Loaded | None = None,
    streams_mib: float | None = 59.9,
    *,
    batches_per_s: float = 3000.0,
    two_nodes: float = 90.0,
) -> ApiFigures:
    """Figures against a bare application whose median of five rounds is 1,000 answers per second."""
    bare = [loaded(answers) for answers in (999, 1000, 1, 2000, 1001)]
    return ApiFigures(
        load=Load(),
        submit=ApiComparison(bare=bare, ours=[loaded(submits, 3.0)]),
        status=ApiComparison(bare=bare[:3], ours=[loaded(1, status_ms)]),
        status_alone=ApiComparison(bare=bare[:3], ours=[loaded(1, 1.6)]),
        batches_per_s=[1.0, batches_per_s, 99_999.0],
        steady=steady or loaded(2000, 99.9),
        steady_judged=3,
        streams_mib=streams_mib,
        streams_seconds=None,
        shared_port=SharedPort(one=[100.0, 1.0, 200.0], two=[two_nodes]),
    )


def node_figures(*, late_ms: float = 0.0, per_s: float = 2.0, idle_percent: float = 0.5) -> NodeFigures:
    """Figures at their bounds; a twentieth of the submissions is late."""
    samples = [TimedVerdict(110.0, 100.0)] * 94 + [TimedVerdict(118.0 + late_ms, 100.0)] * 6
    return NodeFigures(
        idle_pss_mib=100.0,
        idle_cpu_percent=idle_percent,
        idle_seconds=30.0,
        samples=samples,
        floors_ms=[5.0, 1.0, 9.0],
        stages_ms={"dispatch": 5.0, "commit": 4.0, "run": 100.0},
        drain_count=10,
        drains={key: Drain(bare_per_s=bare, per_s=per_s) for key, bare in (("cpp17", 1.0), ("python3", 2.0))},
    )


REFUSED = Loaded(answers=1, refused={"429": 1}, seconds=1.0, p99_ms=100.0)


@pytest.mark.parametrize(
    ("figures_", "missed"),
    [
        # each figure at its bound, and just past it
        (figures(static=FAST, dynamic=FAST), []),
        (figures(1.901, 2.0, static=SLOW, dynamic=SLOW), ["ratio_static", "ratio_static_python", "flood_growth_mib"]),
        (figures(1.901, program=SLOW), []),  # a program that the user names has no bound
        (
            judge_figures(compile=35.0, cached=150.0, fresh_iostream=44.0, fresh_all=23.0, parallel=56.0, large=130.0),
            [],
        ),
        (
            judge_figures(
                compile=35.1, cached=150.1, fresh_iostream=44.1, fresh_all=23.1, parallel=56.1, large=130.1, growth=8.1
            ),
            list(REQUIRED["judge"]),
        ),
        (api_figures(), []),
        (
            api_figures(499, 1.401, REFUSED, 60.0, batches_per_s=2990.0),
            ["submit_ratio", "status_ratio", "batch_ratio", "steady_p99_ms", "steady_refused", "streams_mib"],
        ),
        (node_figures(), []),
        (
            node_figures(late_ms=0.1, per_s=1.7, idle_percent=0.6),
            ["overhead_p95_ms", "drain_ratio", "drain_python_ratio", "idle_cpu_percent"],
        ),
        (api_figures(two_nodes=89.9), ["reuse_port_ratio"]),
        (api_figures(steady=loaded(), streams_mib=None), []),  # streams were not measured
    ],
)
def test_missed_are_the_figures_past_their_bounds(
    figures_: SandboxFigures | JudgeFigures | ApiFigures | NodeFigures, missed: list[str]
) -> None:
    assert figures_.flat()["missed"] == missed


def test_figures_of_a_node_are_medians_beside_the_floor_and_a_rest_that_no_stage_has() -> None:
    flat = node_figures().flat()
    assert (flat["overhead_ms"], flat["floor_ms"], flat["overhead_to_floor"]) == (10.0, 5.0, 2.0)
    assert flat["rest_ms"] == pytest.approx(110.48 - 105.0)  # the commit is a part of dispatch


def test_keys_are_the_same_for_our_programs_and_for_one_that_the_user_names() -> None:
    trivial, given = figures(static=FAST, dynamic=FAST).flat(), figures(program=SLOW).flat()

    assert list(trivial) == list(given)
    assert set(trivial) >= set(REQUIRED["sandbox"])
    assert (trivial["ratio_static"], trivial["ratio_static_python"], trivial["ratio_program"]) == (1.3, 1.9, None)
    assert (given["ratio_static"], given["ratio_program"], given["ratio_program_python"]) == (None, 1.75, 1.9)


def test_table_of_the_sandbox_marks_each_figure_as_met_or_missed(capsys: pytest.CaptureFixture[str]) -> None:
    show(figures(3.5, static=FAST, dynamic=FAST))

    table = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line for line in table.splitlines() if line.count("│") > 3}
    assert "≤ 1.3 ✓" in rows["… whole run ÷ bare"] or table.count("≤ 1.3 ✓") == 1
    assert table.count("✗") == 1
    assert table.count("≤ 1.9 ✗") == 1
    assert table.count("✓") == len(REQUIRED["sandbox"]) - 1
    assert "not installed" in rows["static in isolate ÷ bare"]
    assert "9.90" in rows["static in bubblewrap ÷ bare"]


def test_table_of_judging_marks_what_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    slow = judge_figures(
        compile=35.1, cached=150.1, fresh_iostream=44.1, fresh_all=23.1, parallel=56.1, large=130.1, growth=8.1
    )

    show_judging(slow, Console())

    assert capsys.readouterr().out.count("MISSED") == len(REQUIRED["judge"])


def test_ratios_of_the_api_and_the_queue_are_of_medians() -> None:
    flat = api_figures().flat()
    assert (flat["submit_ratio"], flat["status_ratio"]) == (0.5, 1.4)

    rounds = {"empty": (1, 2, 90), "waiting": (3, 3, 3), "finished": (2, 2, 1)}
    times = {kind: {step: [float(ms) for ms in found] for step in STEPS} for kind, found in rounds.items()}
    queue = queue_figures_of(times, rounds=3, waiting=7, finished=8)
    assert set(queue.waiting_ratio.values()) == {1.5}
    assert set(queue.finished_ratio.values()) == {1.0}
    assert (queue.flat()["waiting_worst_ratio"], queue.flat()["missed"]) == (1.5, ["waiting_worst_ratio"])


# -- other sandboxes


def tool(directory: Path, script: str) -> Rival:
    """A sandbox by name of ``tool``, which is this shell script."""
    path = directory / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Rival("tool", ("tool", "--run", rivals.PROGRAM), before=("--init",), after=("--cleanup",))


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_sandbox_that_is_not_there(on_path: Path) -> None:
    with ready(Rival("tool", ("tool", rivals.PROGRAM), after=("--cleanup",)), Path("/p")) as command:
        assert command == "not installed"


def test_a_sandbox_that_works_is_set_up_and_cleaned_up(on_path: Path) -> None:
    rival = tool(on_path, f'echo "$@" >> {on_path}/log')

    with ready(rival, Path("/bin/true")) as command:
        assert command == [str(on_path / "tool"), "--run", "/bin/true"]
        assert (on_path / "log").read_text() == "--init\n--run /bin/true\n"
    assert (on_path / "log").read_text().endswith("--cleanup\n")


def test_a_sandbox_that_does_not_work_says_why(on_path: Path) -> None:
    rival = tool(on_path, 'if [ "$1" = --run ]; then echo first >&2; echo no namespaces >&2; exit 7; fi')

    with ready(rival, Path("/bin/true")) as command:
        assert command == "does not run here: no namespaces"


@pytest.mark.parametrize("rival", rivals.RIVALS, ids=lambda rival: rival.name)
def test_every_command_names_the_program(rival: Rival) -> None:
    words = [rivals._filled(word, Path("/somewhere/static")) for word in rival.command]

    assert any("static" in word for word in words)
    assert not any("{" in word for word in words)
