"""The command ``deepoj problem verify``. ``operate.problem_verify`` does the work."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import trio

from deepoj import observe
from deepoj.cli.common import print_json, settings
from deepoj.operate.problem_verify import tables, verify_package
from deepoj.words.exits import CheckFailed


@click.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
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
def verify(path: Path, as_json: bool, allow_skips: bool, time_ms: int | None, memory_mb: int | None) -> None:
    """Judge the submissions in the package at PATH (a zip or a directory), and compare with their expected verdicts.

    Exit code 1 if a verdict differs, if an input does not pass the package's validators, if its checker or interactor
    does not compile, or (without --allow-skips) if something cannot be judged on this host; 2 if the package cannot be
    read.
    """
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
