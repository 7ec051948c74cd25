"""``deepoj problem set``: changes what a server says and allows about a problem, without its package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deepoj.cli.common import print_json
from deepoj.cli.connection import AS_JSON, RETRY_FOR, URL, connected
from deepoj.client.shown import shown
from deepoj.judging.languages import LANGUAGES
from deepoj.words.problems import Visibility


@click.command("set")
@click.argument("problem_id", type=click.IntRange(min=1), metavar="ID")
@click.option(
    "--visibility",
    type=click.Choice([one.value for one in Visibility]),
    help="Who sees it. listed: everybody; private: members of its groups; draft: its setter, the jury, administrators.",
)
@click.option("--tag", "tags", multiple=True, help="Tag, instead of those before; repeatable.")
@click.option("--no-tags", is_flag=True, help="Remove its tags.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    type=click.Choice(list(LANGUAGES)),
    help="Language that it takes, by key, instead of those before; repeatable.",
)
@click.option("--all-languages", is_flag=True, help="Let it take every language.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    help="Group that sees it while it is private, by name, instead of those before; repeatable.",
)
@click.option("--no-groups", is_flag=True, help="Show it to no group.")
@click.option("--title", help="Title.")
@click.option("--difficulty", help="Difficulty, any word; empty: none.")
@click.option("--time-limit", type=click.IntRange(min=1), metavar="MS", help="CPU time per test in milliseconds.")
@click.option("--memory-limit", type=click.IntRange(min=1), metavar="MB", help="Memory per test in MB.")
@click.option("--compare", help="Comparison if the package defines none: tokens, floats:abs=1e-9, …")
@AS_JSON
@URL
@RETRY_FOR
def problem_set(
    problem_id: int,
    *,
    visibility: str | None,
    tags: tuple[str, ...],
    no_tags: bool,
    languages: tuple[str, ...],
    all_languages: bool,
    groups: tuple[str, ...],
    no_groups: bool,
    title: str | None,
    difficulty: str | None,
    time_limit: int | None,
    memory_limit: int | None,
    compare: str | None,
    as_json: bool,
    url: str | None,
    retry_for_s: float,
) -> None:
    """Change a problem of the server: who sees it, its tags, the languages that it takes, its groups, its limits.

    What no option names stays as it is. Verdicts that exist stay as they are until you rejudge.
    """
    fields: dict[str, str | None] = {
        "visibility": visibility,
        "tags": _list("tag", tags, ",", is_none=no_tags, none="--no-tags"),
        "languages": _list("language", languages, ",", is_none=all_languages, none="--all-languages"),
        "groups": _list("group", groups, "\n", is_none=no_groups, none="--no-groups"),
        "title": title,
        "difficulty": difficulty,
        "time_limit": None if time_limit is None else str(time_limit),
        "memory_limit": None if memory_limit is None else str(memory_limit),
        "compare": compare,
    }
    changes = {name: value for name, value in fields.items() if value is not None}
    if not changes:
        raise click.UsageError("There is nothing to change: give an option.")
    with connected(url, retry_for_s) as server:
        problem = server.change_problem(problem_id, changes)
    if as_json:
        print_json(problem)
    else:
        click.echo(_text(problem))


def _list(option: str, values: tuple[str, ...], separator: str, *, is_none: bool, none: str) -> str | None:
    """Return the values as the API takes them; None: they stay. Raises UsageError."""
    if values and is_none:
        raise click.UsageError(f"--{option} and {none} exclude each other.")
    if any(separator in value or not value.strip() for value in values):
        raise click.UsageError(f"--{option} takes one {option}; repeat it for further ones.")
    return separator.join(values) if values or is_none else None


def _text(problem: Mapping[str, Any]) -> str:
    """Return the problem in lines, safe to print."""

    def listed(name: str, none: str) -> str:
        return ", ".join(shown(one) for one in problem.get(name) or ()) or none

    head = f"problem {shown(problem.get('id'))}: {shown(problem.get('title'))}"
    return "\n".join(
        (
            f"{head}, version {shown(problem.get('version'))}",
            f"  seen by: {shown(problem.get('visibility'))}",
            f"  groups: {listed('groups', 'none')}",
            f"  tags: {listed('tags', 'none')}",
            f"  languages: {listed('languages', 'all')}",
            f"  limits: {shown(problem.get('time_limit'))} ms, {shown(problem.get('memory_limit'))} MB",
        )
    )
