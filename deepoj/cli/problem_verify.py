"""The command ``deepoj problem verify``. ``operate.problem_verify`` does the work; with ``--remote`` a server does."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import trio

from deepoj import observe
from deepoj.cli import errors
from deepoj.cli.client_view import rows
from deepoj.cli.common import print_json, settings
from deepoj.client import ApiClient
from deepoj.client.keys import Keyring
from deepoj.client.shown import shown
from deepoj.judging.problem import Example
from deepoj.judging.promises import promised
from deepoj.operate.problem_verify import tables, verify_package
from deepoj.operate.problem_verify.progress import ProgressView
from deepoj.words.exits import CheckFailed

#: pause between two looks at a verification of a server
_POLL_S = 1.0


@click.command()
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {checked, matched, skipped, cases: […], …}.")
@click.option(
    "--allow-skips",
    is_flag=True,
    help="Do not fail because of submissions that cannot be judged here (their language is missing).",
)
@click.option("--time-limit", "time_ms", type=click.IntRange(1), help="CPU limit in ms, instead of the package's.")
@click.option(
    "--memory-limit", "memory_mb", type=click.IntRange(1), help="Memory limit in MB, instead of the package's."
)
@click.option("--remote", "problem_id", type=click.IntRange(1), metavar="ID", help="Let a server verify its problem.")
@click.option("--url", help="The server for --remote (default: DEEPOJ_URL, else that of the last login).")
def verify(
    path: Path | None,
    *,
    as_json: bool,
    allow_skips: bool,
    time_ms: int | None,
    memory_mb: int | None,
    problem_id: int | None,
    url: str | None,
) -> None:
    """Judge the submissions in the package at PATH (a zip or a directory), and compare with their expected verdicts.

    With --remote ID the judge nodes of a server do that with the package of its problem, and its page shows the result.
    It is for those who may rejudge there.

    Exit code 1 if a verdict differs, if an input does not pass the package's validators, if its checker or interactor
    does not compile, or (without --allow-skips) if something cannot be judged on this host; 2 if the package cannot be
    read.
    """
    if (path is None) == (problem_id is None):
        raise click.UsageError("Give PATH, or --remote ID.")
    if path is None:
        if time_ms is not None or memory_mb is not None:
            raise click.UsageError("--remote uses the limits of the server's problem.")
        _verify_remote(int(problem_id or 0), url, as_json=as_json, allow_skips=allow_skips)
        return
    observe.configure(level="error")  # the output is the result
    cfg = settings()
    with tempfile.TemporaryDirectory(prefix="deepoj-verify-") as room, ProgressView(shown=not as_json) as view:
        verified = trio.run(verify_package, cfg, path, Path(room), (time_ms, memory_mb), view)
    if as_json:
        print_json(tables.as_json(verified))
    else:
        tables.show(verified)
    if verified.fault is not None:
        raise CheckFailed(f"{path} ({verified.fault.file}): {verified.fault.sentence}")
    if verified.differences:
        raise CheckFailed(f"{path}: {tables.sentence(verified)}")
    if verified.skips and not allow_skips:
        raise CheckFailed(f"{path}: {tables.sentence(verified)} (--allow-skips allows that)")


def _verify_remote(problem_id: int, url: str | None, *, as_json: bool, allow_skips: bool) -> None:
    """Have a server verify its problem, wait, and print the result.

    Raises CheckFailed as the local command does, ServerAway, ServerRefused.
    """
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
        _show(result)
    cases = _cases(result)
    differing = sum(case.get("status") == "differs" for case in cases)
    if result.get("state") != "done" or not result.get("is_current"):
        raise CheckFailed(f"problem {problem_id}: the verification was cancelled, or the problem changed meanwhile")
    if differing:
        raise CheckFailed(f"problem {problem_id}: {differing} submissions differ from what the package promises")
    if result.get("skipped") and not allow_skips:
        raise CheckFailed(f"problem {problem_id}: {result['skipped']} skipped (--allow-skips allows that)")


def _show(result: Mapping[str, Any]) -> None:
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
