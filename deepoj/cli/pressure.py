"""``deepoj pressure``: shows the amount and age of waiting work, as a table or a line of JSON (runbook 4.3)."""

from __future__ import annotations

import sys

import click
import trio

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.capacity.pressure import pressure as look
from deepoj.cli.common import print_json, settings
from deepoj.config.model import Config
from deepoj.operate.targets import database_url, open_stream
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
    """Show what waits in the stream and before it, and for how long. A lag that is not known is null, never 0."""
    seen = trio.run(_go, settings())
    if as_json:
        print_json(as_fields(seen))
    else:
        _table(seen)


async def _go(cfg: Config) -> PressureSnapshot:
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, database_url(cfg), min_conns=0, max_conns=1) as store,
        open_stream(cfg, bridge) as stream,
    ):
        return await look(store.outbox, stream)


def as_fields(seen: PressureSnapshot) -> dict[str, object]:
    """Return the fields of the runbook in its order, then further ones."""
    return {
        "ts_ms": seen.ts_ms,
        "stream_key": seen.stream_key,
        "group": seen.group,
        "xlen": seen.xlen,
        "pending": seen.pending,
        "lag": seen.lag,
        "lag_valid": seen.lag_valid,
        "oldest_age_ms": seen.oldest_age_ms,
        "oldest_age_source": seen.oldest_age_source,
        "approx": seen.approx,
        "backlog": seen.backlog,
        "outbox_pending": seen.outbox_pending,
        "outbox_lanes": None if seen.outbox is None else _by_lane(seen.outbox),
        "waiting": seen.waiting,
    }


def _by_lane(outbox: OutboxPending) -> dict[str, int]:
    return {lane.name.lower(): outbox.of_lane.get(lane, 0) for lane in LANES}


def _table(seen: PressureSnapshot) -> None:
    from rich.console import Console  # noqa: PLC0415 - --json does without
    from rich.table import Table  # noqa: PLC0415

    def known(number: int | None) -> str:
        return "unknown" if number is None else f"{number:,}"

    age = "-" if seen.oldest_age_ms is None else f"{'about ' if seen.approx else ''}{seen.oldest_age_s:,.1f} s"
    table = Table(box=None, pad_edge=False, show_header=False)
    lanes = {} if seen.outbox is None else _by_lane(seen.outbox)
    of_lanes = ", ".join(f"{lane} {count:,}" for lane, count in lanes.items() if count)
    for name, value, meaning in (
        ("waiting", known(seen.waiting), "submissions that no worker has read, rejudges aside"),
        ("outbox", known(seen.outbox_pending), f"not sent to the stream yet{f': {of_lanes}' if of_lanes else ''}"),
        ("lag", known(seen.lag), f"sent to {seen.stream_key}, not read by {seen.group}"),
        ("pending", known(seen.pending), "read, not acked"),
        ("oldest", age, SOURCES[seen.oldest_age_source]),
        ("entries", known(seen.xlen), "in the stream, the finished included"),
    ):
        table.add_row(name, value, meaning)
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
