"""The command ``deepoj problem verify``. ``operate.problem_verify`` does the work; with ``--remote`` a server does."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import trio

from deepoj import observe
from deepoj.cli.common import print_json, settings
from deepoj.cli.problem_verify_remote import verify_remote
from deepoj.operate.problem_verify import tables, verify_package
from deepoj.words.exits import CheckFailed


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
        verify_remote(int(problem_id or 0), url, as_json=as_json, allow_skips=allow_skips)
        return
    observe.configure(level="error")  # the output is the result
    cfg = settings()
    with tempfile.TemporaryDirectory(prefix="deepoj-verify-") as room:
        verified = trio.run(verify_package, cfg, path, Path(room), (time_ms, memory_mb), not as_json)
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
