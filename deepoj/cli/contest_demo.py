"""The command ``deepoj contest demo``: a small contest on the running node.

Only the director's account is made in the database; all else goes through the public API.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass

import click

from deepoj.accounts.passwords import Passwords
from deepoj.adapters.pg import PgStore
from deepoj.cli import errors
from deepoj.cli.common import operator, print_json, settings, with_store
from deepoj.client import ApiClient
from deepoj.client.contests.demo import DemoContest
from deepoj.operate.verify.deployment import api_of

#: longer than the window of a rate limit: on a slow node the demo asks so often that it is refused for a while
_RETRY_FOR_S = 90.0


@dataclass(frozen=True, slots=True)
class _Director:
    """The administrator that makes the contest."""

    username: str
    password: str


@click.command("demo")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON line: {contest_id, user, password, team_user, team_password, url}.",
)
@click.option("--url", help="The server, with the database of the settings (default: this machine's, by the settings).")
def demo(as_json: bool, url: str | None) -> None:
    """Make a small finished contest on a running node, with teams, clarifications, verdicts and a thawed board.

    Prints the contest's id, and the names and passwords of a new administrator and of a team's account, for the Contest
    API. Its problems are drafts; remove it with `deepoj contest delete ID --force`.
    """
    cfg = settings()
    base = url or api_of(cfg)
    suffix = secrets.token_hex(3)
    director = with_store(lambda store: _new_director(store, f"demo-director-{suffix}"))
    with ApiClient(base, notice=errors.say) as server:
        token = server.log_in(director.username, director.password)
    key = f"demo-{suffix}"
    with contextlib.ExitStack() as opened:
        jury = opened.enter_context(ApiClient(base, token, retry_for_s=_RETRY_FOR_S, notice=errors.say))
        contest = DemoContest(jury, key, suffix, opened, errors.say)
        contest.play()
    said = {
        "contest_id": key,
        "user": director.username,
        "password": director.password,
        "team_user": contest.team[0],
        "team_password": contest.team[1],
        "url": f"{base}/clics/contests/{key}",
    }
    if as_json:
        print_json(said)
    else:
        click.echo(f"contest {key}: finished; Contest API at {said['url']}")
        click.echo(f"  user {director.username}, password {director.password}")
        click.echo(f"  of a team: user {contest.team[0]}, password {contest.team[1]}")


async def _new_director(store: PgStore, username: str) -> _Director:
    password = secrets.token_urlsafe(15)
    password_hash = await Passwords().hash(password)
    await store.accounts.create_user(username, password_hash, None, is_admin=True, by=operator("contest demo"))
    return _Director(username, password)
