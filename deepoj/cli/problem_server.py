"""``deepoj problem show``, ``replace``, ``rejudge`` and ``statement``: the problems of a server, over its API."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from deepoj.cli.client_view import changes_text, problem_text, rejudge_text
from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.cli.scopes import scope_options
from deepoj.client.shown import shown


@click.command("show")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@click.option("--lang", "language", help="Language of the statement, as en; default: English, else the first.")
@AS_JSON
@URL
@RETRY_FOR
def problem_show(problem_id: int, *, language: str | None, as_json: bool, url: str | None, retry_for_s: float) -> None:
    """Show a problem of the server: title, limits, statement as text, samples.

    Formulas are shown as TeX. Images, attachments and a PDF are shown as their addresses.
    """
    with connected(url, retry_for_s) as server:
        problem, statement = server.problem(problem_id), server.statement(problem_id, language)
    if as_json:
        print_json({"problem": problem, "statement": statement})
    else:
        click.echo(problem_text(problem, statement))


@click.command("replace")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@click.argument("package", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path), metavar="FILE")
@click.option("--dry-run", is_flag=True, help="Only show what the package would change.")
@click.option("--time-limit", type=click.IntRange(min=1), metavar="MS", help="Instead of the package's.")
@click.option("--memory-limit", type=click.IntRange(min=1), metavar="MB", help="Instead of the package's.")
@click.option("--compare", help="Comparison if the package defines none: tokens, floats:abs=1e-9, …")
@AS_JSON
@URL
@RETRY_FOR
def problem_replace(
    problem_id: int,
    package: Path,
    *,
    dry_run: bool,
    time_limit: int | None,
    memory_limit: int | None,
    compare: str | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Give a problem of the server another package, and show what that changes.

    Tests are compared by name and by content. Verdicts that exist stay as they are until you rejudge. Limits that are
    not given are the package's, or stay.
    """
    fields = {"time_limit": time_limit, "memory_limit": memory_limit, "compare": compare}
    fields = {name: value for name, value in fields.items() if value is not None}
    with connected(url, retry_for_s) as server:
        if dry_run:
            body = {"changes": server.package_changes(problem_id, package, fields)}
        else:
            body = server.replace_package(problem_id, package, fields)
    if as_json:
        print_json(body)
    else:
        if not dry_run:
            click.echo(f"problem {problem_id}: version {shown(body.get('version'))}")
        click.echo(changes_text(body.get("changes")))


@click.command("rejudge")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@scope_options
@AS_JSON
@URL
@RETRY_FOR
def problem_rejudge(
    problem_id: int, *, scope: Mapping[str, str], as_json: bool, url: str | None, retry_for_s: float
) -> None:
    """Rejudge a problem's submissions on the server, all or some of them, and print the order.

    It runs in the background. The same command again prints the progress.
    """
    with connected(url, retry_for_s) as server:
        order = server.rejudge(problem_id, scope)
    if as_json:
        print_json(order)
    else:
        click.echo(rejudge_text(order))


@click.command("statement")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--lang", "language", default="en", show_default=True, help="Language of the statement.")
@AS_JSON
@URL
@RETRY_FOR
def problem_statement(
    problem_id: int, *, file: Path | None, language: str, as_json: bool, url: str | None, retry_for_s: float
) -> None:
    """Print the source of a problem's statement, or replace it by FILE (Markdown; TeX if it ends in .tex).

    For administrators and its setter. A statement that cannot be rendered is refused with file and line.
    """
    with connected(url, retry_for_s) as server:
        source = server.statement_source(problem_id, language)
        if file is not None:
            kind = "tex" if file.suffix == ".tex" else "md"
            body = {"format": kind, "source": _text_of(file), "revision": source.get("revision")}
            source = server.edit_statement(problem_id, language, body)
    if as_json:
        print_json(source)
    elif file is None:
        click.echo(str(source.get("source") or ""), nl=False)
    else:
        pending = "Saved. A judge node is to render it."
        click.echo(pending if source.get("pending") else f"Saved: {shown(source.get('title'))}")
        for note in source.get("notes") or ():
            click.echo(f"  {shown(note)}")


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file} is not text in UTF-8.") from error
