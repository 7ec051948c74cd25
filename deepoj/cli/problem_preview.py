"""The command ``deepoj problem preview``: what a rejudge on a server would change, and then Apply or Cancel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import connected
from deepoj.cli.rejudging import RejudgeChoice, rejudge_options
from deepoj.cli.scopes import scope_options
from deepoj.client.server import RETRY_FOR_S
from deepoj.client.shown import shown


@click.command("preview")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@scope_options
@rejudge_options("preview", "the rejudges and previews of the problem")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
@click.option("--url", help="The server (default: DEEPOJ_URL, else that of the last login).")
def problem_preview(
    problem_id: int,
    *,
    scope: Mapping[str, str],
    asked: RejudgeChoice,
    no_wait: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Judge a problem's submissions again on the server without touching their verdicts, all or some of them, and print
    what would change.

    --apply then gives all of them their new verdicts at once; --cancel gives the preview up. The same command again
    prints the progress.
    """
    asked.require_one(has_filters=bool(scope))
    base = f"/api/v1/problems/{problem_id}"
    with connected(url, RETRY_FOR_S) as server:
        if asked.history:
            past = server.ask("GET", f"{base}/rejudges")
            if as_json:
                print_json(past)
            else:
                _show_past(past)
            return
        preview = asked.ask(
            server, f"{base}/rejudge-previews", lambda: server.preview(problem_id, scope), waits=not no_wait
        )
    if as_json:
        print_json(preview)
    else:
        _show(preview)
    asked.check(preview, f"problem {problem_id}: the preview was cancelled, or the problem changed meanwhile")


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
