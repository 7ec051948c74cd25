"""``deepoj pressure``: shows the amount and age of waiting work, as a table or a line of JSON (runbook 4.3)."""

from __future__ import annotations

import sys

import click
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.capacity.pressure import pressure as measure
from deepoj.cli.common import print_json, settings
from deepoj.config.model import Config
from deepoj.wiring.targets import database_url, open_stream
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import LANES, OutboxPending
from deepoj.words.stream import PressureSnapshot

SOURCES = {
    "outbox": "a submission that waits for its turn",
    "pending": "an unacknowledged entry",
    "backlog": "an unread entry",
    "database": "a row without an entry in the stream",
    "none": "nothing waits",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line, in the fields of the runbook (4.3).")
def pressure(as_json: bool) -> None:
    """Show how much work waits in the stream and in the outbox, and for how long. An unknown lag is null, never 0."""
    snapshot = trio.run(_go, settings())
    if as_json:
        print_json(as_fields(snapshot))
    else:
        _table(snapshot)


async def _go(cfg: Config) -> PressureSnapshot:
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, database_url(cfg), min_conns=0, max_conns=1) as store,
        open_stream(cfg, bridge) as stream,
    ):
        try:
            return await measure(store.outbox, stream)
        except StreamUnavailable as away:
            waiting = (await store.outbox.outbox_pending()).total
            raise StreamUnavailable(f"{away}; meanwhile {waiting:,} wait in the outbox, stored safely") from away


def as_fields(snapshot: PressureSnapshot) -> dict[str, object]:
    """Return the fields of the runbook in its order, then further ones."""
    return {
        "ts_ms": snapshot.ts_ms,
        "stream_key": snapshot.stream_key,
        "group": snapshot.group,
        "xlen": snapshot.xlen,
        "pending": snapshot.pending,
        "lag": snapshot.lag,
        "lag_valid": snapshot.lag_valid,
        "oldest_age_ms": snapshot.oldest_age_ms,
        "oldest_age_source": snapshot.oldest_age_source,
        "approx": snapshot.approx,
        "backlog": snapshot.backlog,
        "outbox_pending": snapshot.outbox_pending,
        "outbox_lanes": None if snapshot.outbox is None else _by_lane(snapshot.outbox),
        "waiting": snapshot.waiting,
    }


def _by_lane(outbox: OutboxPending) -> dict[str, int]:
    return {lane.name.lower(): outbox.of_lane.get(lane, 0) for lane in LANES}


def _table(snapshot: PressureSnapshot) -> None:
    from rich.console import Console  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415

    def known(number: int | None) -> str:
        return "unknown" if number is None else f"{number:,}"

    age = (
        "-"
        if snapshot.oldest_age_ms is None
        else f"{'about ' if snapshot.approx else ''}{snapshot.oldest_age_s:,.1f} s"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    lanes = {} if snapshot.outbox is None else _by_lane(snapshot.outbox)
    of_lanes = ", ".join(f"{lane} {count:,}" for lane, count in lanes.items() if count)
    for name, value, meaning in (
        ("waiting", known(snapshot.waiting), "submissions that no worker has read, rejudges aside"),
        ("outbox", known(snapshot.outbox_pending), f"not sent to the stream yet{f': {of_lanes}' if of_lanes else ''}"),
        ("lag", known(snapshot.lag), f"sent to {snapshot.stream_key}, not read by {snapshot.group}"),
        ("pending", known(snapshot.pending), "read, not acked"),
        ("oldest", age, SOURCES[snapshot.oldest_age_source]),
        ("entries", known(snapshot.xlen), "in the stream, the finished included"),
    ):
        table.add_row(name, value, meaning)
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
