"""The command ``deepoj problem preview``: what a rejudge on a server would change, and then Apply or Cancel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli.client import connected
from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.scopes import scope_options
from deepoj.client.server import RETRY_FOR_S
from deepoj.client.shown import shown
from deepoj.words.exits import CheckFailed

#: pause between two looks
_POLL_S = 1.0


@click.command("preview")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@scope_options
@click.option("--no-wait", is_flag=True, help="Do not wait until everything is judged.")
@click.option("--show", "shown_id", type=click.IntRange(min=1), metavar="PREVIEW", help="Print this preview.")
@click.option("--apply", "applied_id", type=click.IntRange(min=1), metavar="PREVIEW", help="Apply this preview.")
@click.option("--cancel", "cancelled_id", type=click.IntRange(min=1), metavar="PREVIEW", help="Cancel this preview.")
@click.option("--history", is_flag=True, help="List the rejudges and previews of the problem.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option("--url", help="The server (default: DEEPOJ_URL, else that of the last login).")
def problem_preview(
    problem_id: int,
    *,
    scope: Mapping[str, str],
    no_wait: bool,
    shown_id: int | None,
    applied_id: int | None,
    cancelled_id: int | None,
    history: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Judge a problem's submissions again on the server without touching their verdicts, all or some of them, and print
    what would change.

    --apply then gives all of them their new verdicts at once; --cancel gives the preview up. The same command again
    prints the progress.
    """
    chosen = [given for given in (shown_id, applied_id, cancelled_id, history or None) if given is not None]
    if len(chosen) > 1 or (chosen and scope):
        raise click.UsageError("Give filters, or one of --show, --apply, --cancel and --history.")
    base = f"/api/v1/problems/{problem_id}"
    with connected(url, RETRY_FOR_S) as server:
        if history:
            past = server.ask("GET", f"{base}/rejudges")
            if as_json:
                print_json(past)
            else:
                _show_past(past)
            return
        if applied_id is not None:
            preview = server.ask("POST", f"{base}/rejudge-previews/{applied_id}/apply")
        elif cancelled_id is not None:
            preview = server.ask("POST", f"{base}/rejudge-previews/{cancelled_id}/cancel")
        elif shown_id is not None:
            preview = server.ask("GET", f"{base}/rejudge-previews/{shown_id}")
        else:
            preview = server.preview(problem_id, scope)
            while preview.get("state") == "running" and not no_wait:
                server.sleep(_POLL_S)
                preview = server.ask("GET", f"{base}/rejudge-previews/{preview['id']}")
    if as_json:
        print_json(preview)
    else:
        _show(preview)
    if not chosen and preview.get("state") not in ("running", "ready"):
        raise CheckFailed(f"problem {problem_id}: the preview was cancelled, or the problem changed meanwhile")


def _show(preview: Mapping[str, Any]) -> None:
    number, state = shown(preview.get("id")), shown(preview.get("state"))
    judged = f"{shown(preview.get('judged'))} of {shown(preview.get('submissions'))} submissions judged"
    click.echo(f"preview {number} ({state}), version {shown(preview.get('problem_version'))}: {judged}")
    if preview.get("failed"):
        click.echo(f"{shown(preview.get('failed'))} could not be judged")
        rows(_list(preview, "failures"), count="submissions", why="why")
    verdicts = _list(preview, "verdicts")
    scores = {"score_changes": "with another score"} if any(one.get("score_changes") for one in verdicts) else {}
    rows(verdicts, before="old", after="new", count="submissions", **scores)
    if state == "ready":
        click.echo(f"{shown(preview.get('changed'))} would change")
    rows(
        _list(preview, "changes"), job_id="submission", username="user", before="old", after="new",
        score_before="old score", score_after="new score",
    )  # fmt: skip
    if state == "applied":
        applied, left_out = shown(preview.get("applied")), shown(preview.get("left_out"))
        click.echo(f"{applied} submissions have their new verdicts, {left_out} were left out")


def _show_past(past: Mapping[str, Any]) -> None:
    rows(
        _list(past, "rejudges"), preview_id="preview", ordered_at="at", ordered_by="by", state="state",
        submissions="submissions", rejudged="judged again", verdict="verdict", language="language",
    )  # fmt: skip


def _list(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
