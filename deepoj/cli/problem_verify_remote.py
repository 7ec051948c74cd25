"""``deepoj problem verify --remote ID``: starts a verification on a server and waits for its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli import errors
from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json
from deepoj.client import ApiClient
from deepoj.client.keys import Keyring
from deepoj.client.shown import shown
from deepoj.judging.problem import Example
from deepoj.judging.promises import promised
from deepoj.words.exits import CheckFailed

#: pause between two looks
_POLL_S = 1.0


def verify_remote(problem_id: int, url: str | None, *, as_json: bool, allow_skips: bool) -> None:
    """Print the result. Raises CheckFailed as the local command does, ServerAway, ServerRefused."""
    keyring = Keyring.of_user()
    base = keyring.url(url)
    path = f"/api/v1/problems/{problem_id}/verification"
    with ApiClient(base, keyring.token(base), notice=errors.say) as server:
        result = server.ask("POST", path)
        while result.get("state") == "running":
            server.sleep(_POLL_S)
            result = server.ask("GET", path)
    if as_json:
        print_json(result)
    else:
        show(result)
    cases = _cases(result)
    differing = sum(case.get("status") == "differs" for case in cases)
    if result.get("state") != "done" or not result.get("is_current"):
        raise CheckFailed(f"problem {problem_id}: the verification was cancelled, or the problem changed meanwhile")
    if differing:
        raise CheckFailed(f"problem {problem_id}: {differing} submissions differ from what the package promises")
    if result.get("skipped") and not allow_skips:
        raise CheckFailed(f"problem {problem_id}: {result['skipped']} skipped (--allow-skips allows that)")


def show(result: Mapping[str, Any]) -> None:
    """Print the table of promised against found, and the slowest accepted submission."""
    cases = [
        {**case, "promised": _promised(case) or "nothing", "got": case.get("got") or ""} for case in _cases(result)
    ]
    rows(
        cases, submission="submission", language="language", promised="promised", got="got",
        slowest_test="slowest test", time_ms="ms", status="", why="",
    )  # fmt: skip
    limit_ms, slowest_ms = result.get("time_limit_ms"), result.get("slowest_accepted_ms")
    if slowest_ms is not None:
        tight = ": little room for a slower machine" if result.get("is_tight") else ""
        click.echo(shown(f"time limit {limit_ms} ms, slowest accepted run {slowest_ms} ms{tight}"))
    if (suggested_ms := result.get("suggested_limit_ms")) is not None:
        click.echo(shown(f"the package states no time limit: {suggested_ms} ms is what its accepted submissions need"))
    click.echo(shown(f"{result.get('matched')} of {result.get('checked')} submissions came to what was promised"))


def _promised(case: Mapping[str, Any]) -> str:
    words, ranges = case.get("expected") or (), case.get("expected_scores") or ()
    scores = tuple((float(low), float(high)) for low, high in ranges)
    return promised(Example(name="", language=None, files=(), entry="", expected=tuple(words), expected_scores=scores))


def _cases(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    cases = result.get("cases")
    return [case for case in cases if isinstance(case, Mapping)] if isinstance(cases, list) else []
