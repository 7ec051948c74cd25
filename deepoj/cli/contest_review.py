"""``deepoj contest reviews`` and ``review``: the jury's desk, over the API of a server."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import click

from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.contests.requests import path_of
from deepoj.client.shown import shown
from deepoj.words.contests import ReviewAct

_FILTERS = ("to_verify", "mine", "proposed", "ignored")


@click.command("reviews")
@click.argument("key")
@click.option("--only", type=click.Choice(_FILTERS), help="Those to verify, claimed by you, to confirm, or ignored.")
@AS_JSON
@URL
@RETRY_FOR
def contest_reviews(key: str, only: str | None, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """List the newest submissions of the contest KEY with what its jury has decided about them."""
    query = "" if only is None else "?" + urlencode({"filter": only})
    with connected(url, retry_for_s) as server:
        found = server.ask("GET", path_of(key, f"/reviews{query}"))
    if as_json:
        print_json(found)
        return
    listed = [{**one, "review": _word(one)} for one in found["submissions"]]
    rows(
        listed, id="id", team_id="team", problem="problem", verdict="verdict", claimed_by="claimed by", review="review"
    )


@click.command("review")
@click.argument("key")
@click.argument("submission")
@click.argument("act", required=False, type=click.Choice([one.value for one in ReviewAct]))
@click.option("--verdict", help="Of an override, such as 'Wrong Answer'.")
@click.option("--reason", default="", help="Of an override, or why it is ignored; in one line.")
@click.option(
    "--judging",
    type=click.IntRange(min=1),
    help="The judging that you have looked at; refused if it is no longer the present one. Default: the present one.",
)
@AS_JSON
@URL
@RETRY_FOR
def contest_review(
    key: str,
    submission: str,
    act: str | None,
    *,
    verdict: str | None,
    reason: str,
    judging: int | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Show what the jury of the contest KEY has decided about a SUBMISSION, or decide with ACT.

    SUBMISSION is its id in the contest, as `deepoj contest reviews` lists it. An override counts when another account
    of the jury confirms it.
    """
    path = path_of(key, f"/submissions/{quote(submission, safe='')}/review")
    with connected(url, retry_for_s) as server:
        found = server.ask("GET", path)
        if act is not None:
            sent = {"act": act, "judging": judging or found["judging"], "verdict": verdict, "reason": reason}
            found = server.ask("POST", path, body=sent)
    if as_json:
        print_json(found)
        return
    click.echo(
        f"submission {shown(found['id'])}: {shown(found['verdict'] or 'Judging')} ({_word(found) or 'no review'})"
    )
    rows(found["history"], at="at", by="by", act="act", verdict="verdict", reason="reason")


@click.command("texts")
@click.argument("key")
@click.option("--category", "categories", multiple=True, help="A category of questions; repeatable, replaces the list.")
@click.option("--answer", "answers", multiple=True, help="A usual answer of the jury; repeatable, replaces the list.")
@click.option("--clear", is_flag=True, help="Empty the lists that no option fills.")
@AS_JSON
@URL
@RETRY_FOR
def contest_texts(
    key: str,
    categories: tuple[str, ...],
    answers: tuple[str, ...],
    *,
    clear: bool,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Show or replace the categories of questions and the usual answers of the contest KEY."""
    given = {"categories": list(categories), "answers": list(answers)}
    sent = {name: texts for name, texts in given.items() if texts or clear}
    with connected(url, retry_for_s) as server:
        path = path_of(key, "/texts")
        found = server.ask("PUT", path, body=sent) if sent else server.ask("GET", path)
    if as_json:
        print_json(found)
        return
    for name, texts in found.items():
        click.echo(f"{name}: {len(texts)}")
        for one in texts:
            click.echo(f"  {shown(one)}")


#: the commands, for the group
REVIEW_COMMANDS = (contest_reviews, contest_review, contest_texts)


def _word(found: dict[str, Any]) -> str:
    words = {
        "ignored": found["is_ignored"],
        "verified": found["is_verified"],
        "to verify": found["to_verify"],
        f"overridden, was {found['found']}": found["override"],
        f"{found['proposed']} to confirm": found["proposed"],
    }
    return ", ".join(word for word, applies in words.items() if applies)
