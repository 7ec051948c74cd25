"""``deepoj nodes``: lists the nodes. Needs the database, not a running node."""

from __future__ import annotations

import dataclasses
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deepoj.cli.common import print_json, with_store
from deepoj.words.readiness import PartState
from deepoj.words.roster import MAX_NODES, AnnouncedNode

_CANARIES = {PartState.UP: "passing", PartState.DOWN: "failing", PartState.STARTING: "first round"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {nodes: […]}, as the API has it.")
def nodes(as_json: bool) -> None:
    """List the nodes that were there within a day, with their roles and canaries."""
    found = with_store(lambda store: store.roster.announced_nodes(MAX_NODES))
    if as_json:
        print_json({"nodes": [_fields(node) for node in found]})
        return
    table = Table("node", "roles", "version", "state", "seen at", "canaries", "isolation", "languages", box=None,
                  pad_edge=False)  # fmt: skip
    for node in found:
        table.add_row(
            Text(node.node), Text(", ".join(node.facts.roles)), Text(node.facts.version), _state(node),
            node.seen_at[:19], Text(_canaries(node)), node.isolation or "-", str(len(node.languages)),
        )  # fmt: skip
    if found:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
    click.echo(f"{len(found)} nodes, {sum(node.takes_work for node in found)} of them take work")


def _state(node: AnnouncedNode) -> str:
    if not node.is_live:
        return "silent"
    if not node.languages:
        return "live"
    work = "takes work" if node.takes_work else "takes no work"
    return ", ".join(("live", work, *(f"{part} is not up" for part in node.facts.not_up)))


def _canaries(node: AnnouncedNode) -> str:
    canaries = node.facts.canaries
    if canaries is None:
        return "-"
    since = "" if canaries.since is None else f" since {canaries.since[:19]}"
    return f"{_CANARIES.get(canaries.state, canaries.state.value)}{since}. {canaries.reason}".rstrip(". ")


def _fields(node: AnnouncedNode) -> dict[str, object]:
    """Return the fields of the API's answer (``api/models/nodes.py``)."""
    facts = node.facts
    return {
        "node": node.node,
        "roles": list(facts.roles),
        "version": facts.version,
        "live": node.is_live,
        "takes_work": node.takes_work,
        "seen_at": node.seen_at,
        "isolation": node.isolation,
        "judged_at": node.judged_at,
        "languages": dict(node.languages),
        "canaries": None if facts.canaries is None else dataclasses.asdict(facts.canaries),
        "disks": [dataclasses.asdict(disk) for disk in facts.disks],
        "not_up": dict(facts.not_up),
        "clock": facts.clock,
        "upkeep": dict(facts.upkeep),
    }
