"""The example packages whose checker or comparison decides, judged for real: what their submissions were promised."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.linux_box import LinuxBox
from deepoj.judging.packages import PackageFault, UnzipLimits, open_package, pack_directory
from deepoj.judging.problem import Plan
from deepoj.judging.runs import JudgeSettings
from deepoj.observe import Metrics
from deepoj.pipeline.compiling import Compiler
from deepoj.pipeline.judge import judge
from deepoj.words import Report
from tests.fakes.testdata import PlainPackage, PlainTestData
from tests.sandbox.bench import open_box
from tests.unit.makers import a_claim, a_problem

HOME = Path(__file__).parents[1] / "packages"
PACKAGES = ("kattis-checker", "kattis-floats", "own-checker", "polygon-checker")


@pytest.fixture
async def box() -> AsyncIterator[LinuxBox]:
    async with open_box(1) as opened:
        yield opened


def plan_of(name: str) -> Plan:
    out = io.BytesIO()
    assert pack_directory(HOME / name, out, UnzipLimits()) is None
    opened = open_package(out, UnzipLimits())
    assert not isinstance(opened, PackageFault), opened
    with opened:
        return opened.plan


@pytest.mark.parametrize("name", PACKAGES)
async def test_promises_are_kept(name: str, box: LinuxBox, tmp_path: Path) -> None:
    plan = plan_of(name)
    assert plan.checker is not None or plan.compare is not None
    data = PlainTestData(tmp_path)
    data.package = PlainPackage(plan, HOME / name)
    # after a failure, the rest of the tests would only take time
    settings = JudgeSettings(check_compile_cpu_ms=120_000, compile_wall_ms=400_000, failed_budget_ms=1)
    metrics = Metrics()
    cache = DiskCompileCache(tmp_path / "cache", metrics=metrics)
    compiler = Compiler(box, settings=settings, metrics=metrics, cache=cache)
    kept = []
    # of several files, submissions are not judged yet
    for number, example in enumerate(one for one in plan.examples if len(one.files) == 1):
        assert example.language is not None
        problem = replace(a_problem(), compare="package", time_limit_ms=5000, memory_limit_mb=256)
        code = (HOME / name / example.entry).read_text()
        claim = replace(a_claim(attempt_id=number + 1), problem=problem, language=example.language, code=code)
        with trio.fail_after(300):
            report = await judge(
                box, data, claim, workdir=tmp_path / "work", settings=settings, metrics=metrics, compiler=compiler
            )
        assert isinstance(report, Report), (example.name, report)
        assert report.status.value in example.expected, (example.name, report)
        kept.append(report.status.value)
    cache.close()
    assert {"Accepted", "Wrong Answer"} <= set(kept)
    assert data.held == 0
