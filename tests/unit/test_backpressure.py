"""D3: closed at the upper threshold, open again at the lower one; an unknown figure does neither."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from deepoj.capacity.backpressure import Backpressure, BackpressureSettings, Pressed, Threshold
from deepoj.capacity.pressure import LatestPressure
from deepoj.config.draft import ConfigError
from deepoj.config.loader import load
from deepoj.nursery import loops
from deepoj.observe import Metrics
from deepoj.wiring import settings as wired
from deepoj.words.outbox import OutboxEvent, OutboxPending, Priority
from deepoj.words.stream import PressureSnapshot
from tests.fakes.store import MemoryStore
from tests.fakes.stream import MemoryStream

CALM = PressureSnapshot(
    ts_ms=0, stream_key="s", group="g", xlen=0, pending=0, lag=0, oldest_age_ms=None, oldest_age_source="none",
    approx=False,
)  # fmt: skip
SETTINGS = BackpressureSettings(
    lag=Threshold(100, 80),
    pending=Threshold(50, 40),
    oldest_age_s=Threshold(60, 30),
    age_min_backlog=10,
    max_age_s=15,
    retry_after_s=5,
)


def look(**changes: object) -> PressureSnapshot:
    return replace(CALM, **changes)  # type: ignore[arg-type]


@dataclass
class Door:
    """Backpressure that gets one snapshot after the other."""

    settings: BackpressureSettings | None = SETTINGS
    seen: PressureSnapshot | None = None
    door: Backpressure = field(init=False)

    def __post_init__(self) -> None:
        self.door = Backpressure(lambda _: self.seen, self.settings)

    def after(self, seen: PressureSnapshot | None) -> Pressed | None:
        self.seen = seen
        return self.door.look()


@pytest.mark.parametrize(
    ("measure", "name", "high", "low", "beside"),
    [
        (Pressed.LAG, "lag", 100, 80, {}),
        (Pressed.PENDING, "pending", 50, 40, {}),
        (Pressed.OLDEST_AGE, "oldest_age_ms", 60_000, 30_000, {"lag": 5, "pending": 5}),
    ],
)
def test_closed_at_high_and_open_at_low(
    measure: Pressed, name: str, high: int, low: int, beside: dict[str, int]
) -> None:
    door = Door()
    walk = [
        (0, None), (high - 1, None), (high, measure), (low + 1, measure), (high - 1, measure), (low, None),
        (high - 1, None), (high + 1, measure), (0, None),
    ]  # fmt: skip
    for value, closed_by in walk:
        assert door.after(look(**beside | {name: value})) is closed_by, value


def outbox(**lanes: int) -> OutboxPending:
    return OutboxPending({Priority[name.upper()]: count for name, count in lanes.items()})


def test_lag_counts_waiting_outbox_events_except_batches_and_rejudges() -> None:
    """The stream holds a small window, so its own lag never reaches a threshold."""
    door = Door()
    assert door.after(look(lag=4, outbox=outbox(interactive=95, batch=10_000, rejudge=10_000))) is None
    assert door.after(look(lag=4, outbox=outbox(interactive=90, contest=6))) is Pressed.LAG
    assert door.after(look(lag=4, outbox=outbox(interactive=77))) is Pressed.LAG
    assert door.after(look(lag=None, xlen=4, outbox=outbox(interactive=77))) is Pressed.LAG
    assert door.after(look(lag=None, xlen=4, outbox=outbox(interactive=76, rejudge=9))) is None


def test_an_age_counts_while_the_outbox_is_long() -> None:
    door = Door()
    assert door.after(look(lag=4, oldest_age_ms=60_000, outbox=outbox(rejudge=100))) is None
    assert door.after(look(lag=4, oldest_age_ms=60_000, outbox=outbox(interactive=6))) is Pressed.OLDEST_AGE


def test_an_unknown_lag_closes_nothing_and_opens_nothing() -> None:
    door = Door()
    assert door.after(look(lag=None, xlen=10**6)) is None
    assert door.after(look(lag=100, xlen=10**6)) is Pressed.LAG
    assert door.after(look(lag=None, xlen=10**6)) is Pressed.LAG
    assert door.after(look(lag=None, xlen=81)) is Pressed.LAG
    assert door.after(look(lag=None, xlen=80)) is None, "a stream that short has no such lag"


def test_an_old_job_alone_is_no_backlog() -> None:
    door = Door()
    old = look(oldest_age_ms=10**9, oldest_age_source="pending", pending=1)
    assert door.after(old) is None
    assert door.after(replace(old, lag=9)) is Pressed.OLDEST_AGE
    assert door.after(replace(old, lag=8)) is None
    assert door.after(replace(old, lag=None, xlen=100)) is None
    assert door.after(replace(old, lag=None, pending=10)) is Pressed.OLDEST_AGE


def test_a_look_that_is_too_old_is_not_believed() -> None:
    door = Door()
    assert door.after(look(lag=1000)) is Pressed.LAG
    assert door.after(None) is None
    assert door.after(look(lag=90)) is None, "it was open meanwhile, and 90 is below the upper threshold"


def test_without_thresholds_nothing_closes() -> None:
    flood = look(lag=10**9, pending=10**9, oldest_age_ms=10**12)
    assert Door(settings=None).after(flood) is None
    never = replace(SETTINGS, lag=Threshold(0, 0), pending=Threshold(0, 0), oldest_age_s=Threshold(0, 0))
    assert Door(settings=never).after(flood) is None


@given(st.lists(st.tuples(st.none() | st.integers(0, 150), st.integers(0, 80)), max_size=30))
def test_it_opens_after_any_past_once_all_is_calm(walk: list[tuple[int | None, int]]) -> None:
    door = Door()
    for lag, pending in walk:
        door.after(look(lag=lag, pending=pending, xlen=200, oldest_age_ms=pending * 1000))
        assert (lag or 0) < 100 or door.door.look() is not None
    assert door.after(CALM) is None


async def test_the_loops_looks_and_their_age_decide(autojump_clock: object, metrics: Metrics) -> None:
    stream, latest = MemoryStream(), LatestPressure()
    poll = loops.Pressure(outbox=MemoryStore(), stream=stream, latest=latest, metrics=metrics)
    door = Backpressure(latest.get, replace(SETTINGS, lag=Threshold(2, 1)))
    assert door.look() is None
    for number in range(3):
        await stream.publish(
            [OutboxEvent(id=number, job_id=f"j{number}", stream_key="", enqueue_ts_ms=0, priority=0, payload="{}",
                         attempts=1)]
        )  # fmt: skip
    await poll.once()
    assert door.look() is Pressed.LAG
    await trio.sleep(14)
    assert door.look() is Pressed.LAG
    await trio.sleep(2)
    assert door.look() is None, "the loop has fallen silent"
    await poll.once()
    assert door.look() is Pressed.LAG
    await stream.ack([entry.entry_id for entry in await stream.read(9, 0)])
    await poll.once()
    assert door.look() is None


# -- settings


def test_low_follows_high_and_may_not_be_above_it() -> None:
    told = load({}, {"API_BACKPRESSURE_LAG_HIGH": "10", "API_BACKPRESSURE_OLDEST_AGE_HIGH_SEC": "10"}).api.backpressure
    assert (told.lag_low, told.oldest_age_low_sec) == (8, 5)
    with pytest.raises(ConfigError, match="lag_low"):
        load({}, {"API_BACKPRESSURE_LAG_HIGH": "10", "API_BACKPRESSURE_LAG_LOW": "11"})
    assert wired.pressing(load({}, {"API_BACKPRESSURE_ENABLED": "false"})) is None


def test_an_ordinary_node_never_refuses() -> None:
    """Also with jobs up to the cap for a quarter of an hour, and one job that no node can judge for a year."""
    cfg = load({}, {})
    settings = wired.pressing(cfg)
    cap = cfg.api.limits.submit_max_inflight
    full = look(lag=cap, pending=cfg.worker.pool_size + cfg.worker.stream.read_count, oldest_age_ms=900_000)
    assert Door(settings).after(full) is None
    assert Door(settings).after(look(pending=1, oldest_age_ms=365 * 86_400_000)) is None
