"""Supervision: declared breakage restarts within a budget, everything else ends the process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
import trio.testing

from deepoj.nursery.supervise import Child, ChildStatus, kept
from deepoj.observe import Metrics
from deepoj.words.errors import StoreUnavailable, StreamUnavailable
from deepoj.words.readiness import PartState


class Scripted:
    """A child that raises the exceptions of its script, one a run, after ``lives_s``, and then sleeps."""

    def __init__(self, *falls: Exception, lives_s: float = 1.0, starts: bool = True) -> None:
        self.falls = list(falls)
        self.lives_s = lives_s
        self.starts = starts
        self.runs: list[float] = []

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.runs.append(trio.current_time())
        if self.starts:
            task_status.started()
        if not self.falls:
            await trio.sleep_forever()
        await trio.sleep(self.lives_s)
        raise self.falls.pop(0)


async def supervise(child: Child, child_status: ChildStatus, metrics: Metrics, for_s: float) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(kept, child, child_status, metrics)
        await trio.sleep(for_s)
        nursery.cancel_scope.cancel()


async def test_declared_breakage_restarts_the_child(autojump_clock: object, metrics: Metrics) -> None:
    run, child_status = Scripted(StoreUnavailable("away"), StoreUnavailable("away")), ChildStatus()
    await supervise(Child(name="gc", run=run, restart_on=(StoreUnavailable,)), child_status, metrics, for_s=100)
    assert len(run.runs) == 3
    assert child_status.readiness().parts["gc"] is PartState.UP
    assert (
        metrics.registry.get_sample_value(
            "node_child_restarts_total", {"child": "gc", **_labels(metrics, "node_child_restarts_total")}
        )
        == 2
    )


def _labels(metrics: Metrics, name: str) -> dict[str, str]:
    """The constant labels of a metric."""
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == name:
                return {key: value for key, value in sample.labels.items() if key in ("service", "instance")}
    return {}


async def test_child_status_says_why_a_child_is_away(autojump_clock: object, metrics: Metrics) -> None:
    run, child_status = Scripted(StoreUnavailable("the database is away")), ChildStatus()
    child = Child(name="gc", run=run, restart_on=(StoreUnavailable,), backoff_base_s=50, backoff_max_s=50)
    await supervise(child, child_status, metrics, for_s=10)
    assert child_status.readiness().parts["gc"] is PartState.RESTARTING
    assert child_status.readiness().reasons["gc"] == "the database is away"
    assert not child_status.readiness().ready


async def test_backoff_grows_to_its_cap(autojump_clock: object, metrics: Metrics) -> None:
    run = Scripted(*[StoreUnavailable("away")] * 6, lives_s=0)
    child = Child(name="x", run=run, restart_on=(StoreUnavailable,), backoff_base_s=1, backoff_max_s=4)
    await supervise(child, ChildStatus(), metrics, for_s=60)
    pauses = [b - a for a, b in zip(run.runs, run.runs[1:], strict=False)]
    for pause, wanted in zip(pauses, [1, 2, 4, 4, 4, 4], strict=True):
        assert wanted * 0.75 <= pause <= wanted * 1.25


async def test_a_run_that_has_settled_ends_the_row(autojump_clock: object, metrics: Metrics) -> None:
    """With a link that is cut every ten seconds the child restarts after the first pause each time, not the longest."""
    run = Scripted(*[StoreUnavailable("cut")] * 6, lives_s=10)
    await supervise(Child(name="x", run=run, restart_on=(StoreUnavailable,)), ChildStatus(), metrics, for_s=120)
    assert len(run.runs) == 7
    assert all(later - earlier - 10 <= 0.25 * 1.25 for earlier, later in zip(run.runs, run.runs[1:], strict=False))


async def test_an_outage_of_an_hour_does_not_use_up_the_budget(autojump_clock: object, metrics: Metrics) -> None:
    """The child fails at once at every start, and the pauses keep it within the budget."""
    run = Scripted(*[StoreUnavailable("away")] * 3000, lives_s=0)
    await supervise(Child(name="x", run=run, restart_on=(StoreUnavailable,)), ChildStatus(), metrics, for_s=3600)
    assert len(run.runs) > 600


async def test_the_budget_lets_the_breakage_out(autojump_clock: object, metrics: Metrics) -> None:
    run = Scripted(*[StoreUnavailable("away")] * 9, lives_s=0.01)
    child = Child(name="x", run=run, restart_on=(StoreUnavailable,), budget=3, backoff_base_s=0.1, backoff_max_s=0.1)
    with pytest.RaisesGroup(StoreUnavailable, flatten_subgroups=True):
        await supervise(child, ChildStatus(), metrics, for_s=100)
    assert len(run.runs) == 4


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), StreamUnavailable("not declared here")])
async def test_undeclared_errors_end_everything(autojump_clock: object, metrics: Metrics, bug: Exception) -> None:
    run = Scripted(bug)
    with pytest.RaisesGroup(type(bug), flatten_subgroups=True):
        await supervise(Child(name="x", run=run, restart_on=(StoreUnavailable,)), ChildStatus(), metrics, for_s=100)
    assert len(run.runs) == 1


async def test_breakage_before_started_fails_the_start(autojump_clock: object, metrics: Metrics) -> None:
    run = Scripted(StoreUnavailable("away"), lives_s=0, starts=False)
    with pytest.RaisesGroup(StoreUnavailable, flatten_subgroups=True):
        await supervise(Child(name="x", run=run, restart_on=(StoreUnavailable,)), ChildStatus(), metrics, for_s=100)
    assert trio.current_time() == run.runs[0]


async def test_a_child_that_returns_is_a_bug(autojump_clock: object, metrics: Metrics) -> None:
    async def returns(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()

    with pytest.RaisesGroup(AssertionError, flatten_subgroups=True):
        await supervise(Child(name="x", run=returns), ChildStatus(), metrics, for_s=1)


def test_ready_only_when_every_part_is_up() -> None:
    child_status = ChildStatus()
    child_status.set("api", PartState.UP)
    assert child_status.readiness().ready
    child_status.set("postgres", PartState.DOWN, "gone")
    assert not child_status.readiness().ready
    child_status.set("postgres", PartState.UP)
    assert child_status.readiness().ready
    assert child_status.readiness().reasons == {}


def test_a_readiness_does_not_change_under_its_reader() -> None:
    child_status = ChildStatus()
    child_status.set("api", PartState.UP)
    seen: Callable[[], bool] = lambda value=child_status.readiness(): value.ready  # type: ignore[misc]  # noqa: E731, B008
    child_status.set("api", PartState.DOWN)
    assert seen()
