"""The command ``deepoj rerun``: what a program prints for one test of its problem."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.shown import block, shown
from deepoj.words.exits import CheckFailed
from deepoj.words.reruns import RerunFile

#: pause between two looks
_POLL_S = 0.5
_FAILURES = {
    "no_test": "the problem has no test of this name now",
    "unanswered": "each judge node that tried stopped answering",
    "not_taken": "no judge node took it in time",
}


@click.command("rerun")
@click.argument("job_id", metavar="JOB")
@click.argument("test")
@click.option(
    "--only",
    type=click.Choice([one.value for one in RerunFile]),
    help="Write the kept beginning of this file to stdout, unchanged, and nothing else.",
)
@AS_JSON
@URL
@RETRY_FOR
def rerun(job_id: str, test: str, *, only: str | None, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Run the test TEST of a submission again, wait, and show its input, the expected output, and what the program
    printed.

    TEST is a name of a test, as `deepoj status JOB` shows it. It is another run: its verdict may differ from the one
    that counts, and changes nothing. For administrators, the jury, and the setter of the problem.
    """
    path = f"/api/v1/submissions/{quote(job_id, safe='')}/reruns"
    with connected(url, retry_for_s) as server:
        found = server.ask("POST", path, body={"test": test})
        while found.get("state") != "done":
            server.sleep(_POLL_S)
            found = server.ask("GET", f"{path}/{found['id']}")
    if as_json:
        print_json(found)
    elif only is None:
        _show(found)
    else:
        sys.stdout.buffer.write(next((_content(one) for one in found["files"] if one["name"] == only), b""))
        sys.stdout.flush()
    if found["failure"] is not None:
        raise CheckFailed(f"test {test}: {_FAILURES.get(found['failure'], found['message'])}")


def _show(found: Mapping[str, Any]) -> None:
    judged = found["judged"]
    if found["status"] is not None:
        click.echo(f"{shown(found['status'])}: {found['time_ms']} ms, {found['memory_kb']} KB (this run)")
    if judged is not None:
        click.echo(f"{shown(judged['status'])}: {judged['time_ms']} ms, {judged['memory_kb']} KB (the one that counts)")
    if found["message"]:
        click.echo(shown(found["message"]))
    if found["compile_output"]:
        click.echo(f"--- compiler\n{block(found['compile_output'])}")
    for one in found["files"]:
        size = f"first {len(_content(one))} of {one['size']} bytes" if one["truncated"] else f"{one['size']} bytes"
        click.echo(f"--- {one['name']} ({size})")
        click.echo(block(_content(one).decode("utf-8", "replace")))
    if found["interactive"]:
        click.echo("The program talked with an interactor: what they said is not kept.")


def _content(file: Mapping[str, Any]) -> bytes:
    encoded = file["base64"]
    return str(file["text"] or "").encode() if encoded is None else base64.b64decode(encoded)
