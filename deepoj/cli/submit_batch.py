"""``deepoj submit-batch``: send many submissions, and write their verdicts to a file; ``deepoj cancel-batch``."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import track

from deepoj.cli import errors
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.batches import PATH, SentBatch, batch_verdicts, send_batch, send_whole_batch
from deepoj.client.server import ApiClient
from deepoj.client.shown import shown
from deepoj.words.exits import CHECK_FAILED, GOOD


@click.command("submit-batch")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--wait", "-w", is_flag=True, help="Wait for all verdicts, and write them to a file.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file of the verdicts (default: the name of FILE with .results).",
)
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Names the batch (default: the digest of FILE, so the same file is the same batch).",
)
@AS_JSON
@URL
@RETRY_FOR
def submit_batch(
    file: Path,
    *,
    wait: bool,
    output: Path | None,
    idempotency_key: str | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> int:
    """Send FILE, which has a submission per line, for judging behind what people wait for.

    A line is a JSON object with the fields of POST /api/v1/submit: problem_id, language, code. Run the command again
    after a break: nothing is judged twice. Exit code 1 if lines were refused.
    """
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise click.BadParameter("visible ASCII characters only", param_hint="--idempotency-key")
    with file.open("rb") as content:
        key = idempotency_key or hashlib.file_digest(content, "sha256").hexdigest()
    with connected(url, retry_for_s) as server:
        if wait:
            sent = send_whole_batch(server, file, key, notice=errors.say, retry_for_s=retry_for_s)
        else:
            sent = send_batch(server, file, key)
        report: dict[str, Any] = {"batch_id": sent.batch_id, "stored": sent.stored, "refused": len(sent.refused)}
        if not as_json:
            click.echo(f"Batch {shown(sent.batch_id)}: {sent.stored:,} lines stored, {len(sent.refused):,} refused.")
        if wait:
            path = output or file.with_name(file.name + ".results")
            verdicts = _verdicts(server, sent, is_quiet=as_json, retry_for_s=retry_for_s)
            _write(path, [*sent.refused, *verdicts])
            counts = Counter(str(line.get("status")) for line in verdicts)
            report |= {"verdicts": dict(counts.most_common()), "output": str(path)}
            if not as_json:
                for status, count in counts.most_common():
                    click.echo(f"{count:>7,}  {shown(status)}")
                click.echo(f"Results: {path}")
        elif not as_json:
            for line in sent.refused[:10]:
                click.echo(f"line {shown(line.get('line'))}: {shown(line.get('error'))} ({shown(line.get('code'))})")
    if as_json:
        print_json(report)
    return CHECK_FAILED if sent.refused else GOOD


@click.command("cancel-batch")
@click.argument("batch")
@AS_JSON
@URL
@RETRY_FOR
def cancel_batch(batch: str, *, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Delete the submissions of your batch BATCH that no judge node has begun. Verdicts stay.

    Run submit-batch with the same file to have them judged after all.
    """
    with connected(url, retry_for_s) as server:
        done = server.ask("POST", f"{PATH}/{quote(batch, safe='')}/cancel")
    if as_json:
        print_json(done)
    else:
        click.echo(f"Batch {shown(batch)}: {done['cancelled']:,} waiting submissions are deleted.")


def _verdicts(server: ApiClient, sent: SentBatch, *, is_quiet: bool, retry_for_s: float) -> list[dict[str, Any]]:
    lines = batch_verdicts(server, sent.batch_id, notice=errors.say, retry_for_s=retry_for_s)
    if is_quiet:
        return list(lines)
    console = Console(stderr=True)
    return list(track(lines, "Judged", total=sent.stored, console=console))


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write the lines in their order, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as file:
        for line in sorted(lines, key=lambda one: int(one.get("line", 0))):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    partial.replace(path)
