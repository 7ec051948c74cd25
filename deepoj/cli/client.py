"""``deepoj login``, ``logout``, ``submit``, ``status``, ``run``, ``problems``, ``languages``: a command line client of
a server's HTTP API. ``deepoj/client`` sends the requests; this module has the options and the output.

Results go to stdout; warnings and retries are reported on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from deepoj.cli import errors
from deepoj.cli.client_view import JobView, rows, show_run
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected, warn_if_clear
from deepoj.client import ApiClient, new_key, watch
from deepoj.client.keys import ClientAccount, Keyring
from deepoj.client.server import run_path, status_path
from deepoj.client.shown import shown
from deepoj.client.sources import body_of, read, read_from
from deepoj.words.errors import Breakage, StartRefused
from deepoj.words.exits import CHECK_FAILED, GOOD

_files = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE..."
)
_language = click.option("--language", help="Key or number (see `deepoj languages`); default: by the file's ending.")
_entry_point = click.option("--entry-point", metavar="NAME", help="The file to compile or run, of several.")


@click.command()
@click.argument("url", required=False)
@click.option("--username", "-u", help="Asked for if omitted.")
@click.option("--register", is_flag=True, help="Create the account first.")
@RETRY_FOR
@AS_JSON
def login(url: str | None, username: str | None, register: bool, retry_for_s: float, as_json: bool) -> None:
    """Log in to the server at URL, and store its token for the other commands, which then use this server.

    The password is asked for without being shown, or read from the first line of stdin if that is not a terminal. Only
    the token is stored, in ~/.config/deepoj, where only you can read it.
    """
    keyring = Keyring.of_user()
    base = keyring.url(url)
    warn_if_clear(base)
    is_terminal = sys.stdin.isatty()
    if username is None:
        if not is_terminal:
            raise click.UsageError("Use --username if stdin is not a terminal.")
        username = str(click.prompt("Username", err=True))
    if is_terminal:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=register, err=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("There is no password on stdin.")
    with ApiClient(base, retry_for_s=retry_for_s, notice=errors.say) as server:
        if register:
            server.register(username, password)
        token = server.log_in(username, password)
    keyring.keep(ClientAccount(base, username, token))
    if keyring.environ_token:
        errors.say("DEEPOJ_TOKEN is set and overrides the token that was just stored.")
    if as_json:
        print_json({"url": base, "username": username})
    else:
        click.echo(f"Logged in to {base} as {username}.")


@click.command()
@click.argument("url", required=False)
@AS_JSON
def logout(url: str | None, as_json: bool) -> None:
    """Delete the stored token of the server at URL (default: that of the last login).

    The server still accepts the token until it expires or the password is changed.
    """
    keyring = Keyring.of_user()
    base = keyring.url(url)
    forgotten = keyring.forget(base)
    if as_json:
        print_json({"url": base, "forgotten": forgotten})
    else:
        click.echo(f"Logged out of {base}." if forgotten else f"You were not logged in to {base}.")


@click.command()
@_files
@click.option("--problem", "-p", required=True, help="The problem's number; its label, in a contest.")
@click.option("--contest", metavar="KEY", help="Submit to this contest, as a member of one of its teams.")
@_language
@_entry_point
@click.option("--wait", "-w", is_flag=True, help="Watch the judging; exit code 0 only if the verdict is Accepted.")
@click.option(
    "--idempotency-key", metavar="KEY", help="For scripts that may run twice: the same key makes one submission."
)
@AS_JSON
@URL
@RETRY_FOR
def submit(
    *,
    files: tuple[Path, ...],
    problem: str,
    contest: str | None,
    language: str | None,
    entry_point: str | None,
    wait: bool,
    idempotency_key: str | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> int:
    """Send a solution.

    With several files, name the one to compile or run (--entry-point), unless it is called main.cpp, main.py, and so
    on. A retry after a lost answer does not submit twice.
    """
    if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise click.BadParameter("visible ASCII characters only", param_hint="--idempotency-key")
    body = body_of(files, language=language, entry_point=entry_point)
    if contest is not None:
        body |= {"problem": problem}
    elif problem.isdecimal() and int(problem) > 0:
        body |= {"problem_id": int(problem)}
    else:
        raise click.BadParameter("a problem's number; a label of a contest needs --contest", param_hint="--problem")
    with connected(url, retry_for_s) as server:
        job_id = server.submit(body, key=idempotency_key or new_key(), contest=contest)
        if not wait:
            if as_json:
                print_json({"job_id": job_id, "status": "Queuing"})
            else:
                click.echo(f"Submitted, Job ID: {shown(job_id)}")
            return GOOD
        if not as_json:
            click.echo(f"Submitted, Job ID: {shown(job_id)}")
        try:
            return _watched(server, job_id, as_json)
        except (KeyboardInterrupt, Breakage, StartRefused):
            errors.say(f"the submission was accepted: `deepoj status {shown(job_id)} --watch`")
            raise


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--watch", "-w", "watching", is_flag=True, help="Watch it until its verdict; exit code 0 only if that is Accepted."
)
@AS_JSON
@URL
@RETRY_FOR
def status(job_id: str, watching: bool, as_json: bool, url: str | None, retry_for_s: float) -> int:
    """Show the state of a submission: its tests, its verdict, the compiler's output."""
    with connected(url, retry_for_s) as server:
        if watching:
            return _watched(server, job_id, as_json)
        body = server.status(job_id)
    if as_json:
        print_json(body)
    else:
        with JobView() as view:
            view.status(body)
    return GOOD


def _watched(server: ApiClient, job_id: str, as_json: bool) -> int:
    """Show the events until the verdict; return the exit code."""
    last: dict[str, Any] = {}
    if as_json:
        for event in watch(server, status_path(job_id)):
            last = event.data
        print_json(last)
    else:
        with JobView() as view:
            for event in watch(server, status_path(job_id)):
                last = event.data
                view.event(event)
    return GOOD if last.get("status") == "Accepted" else CHECK_FAILED


@click.command()
@_files
@_language
@click.option("--stdin", "stdin_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="The program's input (default: what is piped in).")  # fmt: skip
@click.option("--time-limit", type=click.IntRange(min=1), metavar="MS", help="CPU time in milliseconds.")
@click.option("--memory-limit", type=click.IntRange(min=1), metavar="KB", help="Memory in KB.")
@AS_JSON
@URL
@RETRY_FOR
def run(
    *,
    files: tuple[Path, ...],
    language: str | None,
    stdin_file: Path | None,
    time_limit: int | None,
    memory_limit: int | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> int:
    """Run FILE on the server, in the sandbox like a submission, on the piped input.

    Its output goes to stdout and stderr, then its resource usage to stderr. Exit code 0 only if it finished.
    """
    if len(files) > 1:
        raise click.UsageError("A run takes one file.")
    body = body_of(files, language=language, entry_point=None)
    if stdin_file is not None:
        body["stdin"] = read(stdin_file)
    elif not sys.stdin.isatty():
        body["stdin"] = read_from("stdin", sys.stdin.buffer)
    limits = {"time_limit": time_limit, "memory_limit": memory_limit}
    body |= {name: limit for name, limit in limits.items() if limit is not None}
    last: dict[str, Any] = {}
    with connected(url, retry_for_s) as server:
        for event in watch(server, run_path(server.run(body))):
            last = event.data
    if as_json:
        print_json(last)
    else:
        show_run(last)
    return GOOD if last.get("status") == "Finished" else CHECK_FAILED


@click.command()
@click.option("--tag", default="", help="Only problems with this tag.")
@click.option("--difficulty", default="", help="Only problems of this difficulty.")
@click.option("--unsolved", is_flag=True, help="Only problems that you have not solved.")
@AS_JSON
@URL
@RETRY_FOR
def problems(tag: str, difficulty: str, *, unsolved: bool, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """List the problems of the server that you see."""
    with connected(url, retry_for_s) as server:
        problem_list = list(server.problems(tag, difficulty, unsolved=unsolved))
    if as_json:
        print_json({"problems": problem_list})
    else:
        rows(problem_list, id="problem", title="title", difficulty="difficulty", time_limit="ms", memory_limit="MB")


@click.command()
@AS_JSON
@URL
@RETRY_FOR
def languages(as_json: bool, url: str | None, retry_for_s: float) -> None:
    """List the languages in which the server judges programs."""
    with connected(url, retry_for_s) as server:
        language_list = server.languages()
    if as_json:
        print_json({"languages": language_list})
    else:
        rows(language_list, id="number", key="key", name="language", version="version")
