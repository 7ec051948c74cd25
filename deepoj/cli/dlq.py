"""``deepoj dlq``: manages dead letters. Needs the database, not a running node."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from deepoj.adapters.pg import PgStore
from deepoj.cli.common import operator, print_json, settings, with_store
from deepoj.pipeline import dlq as step
from deepoj.words.exits import CheckFailed
from deepoj.words.ledger import DeadLetter, Decided, Decision, LetterRefusal

_WHY = {
    LetterRefusal.UNKNOWN_JOB: "there is no such submission",
    LetterRefusal.NOT_DEAD: "it is not, or no longer, a dead letter",
    LetterRefusal.STALE_ATTEMPT: "it became a dead letter again with a later attempt: look at it again first",
}

Answer = Decided | LetterRefusal


@click.group()
def dlq() -> None:
    """Manage dead letters: submissions whose attempts are used up, about which a person decides."""


@dlq.command("list")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Maximum number of dead letters."
)
@click.option("--before", type=click.IntRange(1), help="Continue before this one: `next` of the previous page.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {letters: […], next}.")
def list_letters(limit: int, before: int | None, as_json: bool) -> None:
    """List dead letters, newest submission first."""
    page = with_store(lambda store: step.page(store.letters, limit, before))
    if as_json:
        print_json({"letters": [_fields(letter) for letter in page.letters], "next": page.next_before})
        return
    table = Table(
        Column("job", min_width=36),
        "attempt",
        "user",
        "problem",
        "language",
        "died at",
        "why",
        box=None,
        pad_edge=False,
    )
    for letter in page.letters:
        table.add_row(
            letter.job_id, str(letter.attempt_id), Text(letter.username), str(letter.problem_id), Text(letter.language),
            _seconds(letter.died_at), Text(letter.error_message or ""),
        )  # fmt: skip
    if page.letters:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(table)
    click.echo(f"{len(page.letters)} dead letters" + _more(page.next_before))


@dlq.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {letter, events: […]}.")
def show(job_id: str, as_json: bool) -> None:
    """Show one dead letter and its events in the ledger."""
    history = with_store(lambda store: step.show(store.letters, job_id))
    if history is None:
        raise CheckFailed(f"{job_id} is not a dead letter: see `deepoj dlq list`")
    if as_json:
        events = [dataclasses.asdict(event) for event in history.events]
        print_json({"letter": _fields(history.letter), "events": events})
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 400)
    facts = Table("", "", box=None, pad_edge=False, show_header=False)
    for name, value in _fields(history.letter).items():
        facts.add_row(name, Text("" if value is None else str(value)))
    console.print(facts)
    table = Table("at", "judging", "attempt", "event", "node", "outcome", "detail", box=None, pad_edge=False)
    for event in history.events:
        table.add_row(
            _seconds(event.created_at), str(event.judging), str(event.attempt_id), event.event,
            *(Text(word or "") for word in (event.node, event.outcome, event.detail)),
        )  # fmt: skip
    console.print(table)


_JOBS = click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID…")
_ATTEMPT = click.option(
    "--attempt", "attempt_id", type=click.IntRange(0), help="Only if it died with this attempt (one JOB_ID)."
)
_NOTE = click.option("--note", default="", help="The reason, stored in the ledger.")
_JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON line: {decision, jobs: [{job_id, ok, attempt_id, repeated, why}]}.",
)


@dlq.command()
@_JOBS
@_ATTEMPT
@_NOTE
@_JSON
def requeue(job_ids: Sequence[str], attempt_id: int | None, note: str, as_json: bool) -> None:
    """Requeue dead letters, each with a fresh set of attempts. Exit code 1 if one of them could not be requeued."""
    _decide(Decision.REQUEUE, job_ids, attempt_id, note, as_json)


@dlq.command()
@_JOBS
@_ATTEMPT
@_NOTE
@_JSON
def discard(job_ids: Sequence[str], attempt_id: int | None, note: str, as_json: bool) -> None:
    """Discard dead letters: their verdict becomes System Error, finally. Exit code 1 if one could not be discarded."""
    _decide(Decision.DISCARD, job_ids, attempt_id, note, as_json)


def _decide(decision: Decision, job_ids: Sequence[str], attempt_id: int | None, note: str, as_json: bool) -> None:
    if attempt_id is not None and len(job_ids) > 1:
        raise click.UsageError("--attempt is for one JOB_ID.")
    stream_key = settings().stream_key
    by = operator("dlq")

    async def decide_all(store: PgStore) -> list[tuple[str, Answer]]:
        return [
            (
                job_id,
                await step.decide(
                    store.letters, decision, job_id, attempt_id=attempt_id, by=by, note=note, stream_key=stream_key
                ),
            )
            for job_id in job_ids
        ]

    answers = with_store(decide_all)
    if as_json:
        print_json({"decision": decision.value, "jobs": [_as_json(job_id, answer) for job_id, answer in answers]})
    else:
        for job_id, answer in answers:
            if isinstance(answer, Decided):
                click.echo(f"{job_id} {decision.value}{' already' if answer.repeated else ''}")
            else:
                click.echo(f"{job_id} left alone: {_WHY[answer]}", err=True)
    refused = sum(isinstance(answer, LetterRefusal) for _, answer in answers)
    if refused:
        raise CheckFailed(f"{refused} of {len(answers)} could not be {decision.value}")


def _as_json(job_id: str, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Decided):
        return {"job_id": job_id, "ok": True, "attempt_id": answer.attempt_id, "repeated": answer.repeated, "why": None}
    return {"job_id": job_id, "ok": False, "attempt_id": None, "repeated": False, "why": answer.value}


def _fields(letter: DeadLetter) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(letter).items() if name != "id"}


def _seconds(at: str) -> str:
    return at.replace("T", " ")[:19]


def _more(next_before: int | None) -> str:
    return "" if next_before is None else f", and more: --before {next_before}"
