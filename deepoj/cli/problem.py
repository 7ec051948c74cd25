"""``deepoj problem``: verifies and imports packages without a running node; ``import`` needs the database and the
object store."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import trio

from deepoj.adapters.toolchain import versions
from deepoj.cli.common import operator, print_json, settings
from deepoj.cli.problem_preview import problem_preview
from deepoj.cli.problem_server import problem_rejudge, problem_replace, problem_show, problem_statement
from deepoj.cli.problem_set import problem_set
from deepoj.cli.problem_verify import verify
from deepoj.config.model import Config
from deepoj.judging import compare as comparing
from deepoj.judging.checkers import language_of
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, UnzipLimits, pack_directory, zip_fault
from deepoj.packages.publish import MAX_TITLE_CHARS, ProblemRules, ProblemUpload, Published, UploadRefusal, publish
from deepoj.packages.vetting import Vet, Vetted, programs_of
from deepoj.wiring.settings import metrics_of, problem_rules, toolchain
from deepoj.words.exits import CheckFailed
from deepoj.words.names import is_line
from deepoj.words.problems import MAX_TAG_CHARS, MAX_TAGS, Visibility, tag_of, tags_of

_WHY = {
    UploadRefusal.NO_TITLE: "the package has no title: give one with --title",
    UploadRefusal.COMPARE_TWICE: "the package itself defines how outputs are judged: omit --compare",
}


def _is_way(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and comparing.of_text(value) is None:
        raise click.BadParameter(f"one of {', '.join(comparing.WAYS)}, with options such as floats:abs=1e-9")
    return value


def _are_tags(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if len(value) > MAX_TAGS or not all(map(tag_of, value)):
        raise click.BadParameter(f"at most {MAX_TAGS} tags of at most {MAX_TAG_CHARS} printable characters, no commas")
    return tags_of(value)


@click.group()
def problem() -> None:
    """Problem packages: our own zip, ICPC/Kattis (legacy, 2023-07-draft, 2025-09), Polygon, DMOJ."""


problem.add_command(verify)
problem.add_command(problem_show)
problem.add_command(problem_replace)
problem.add_command(problem_rejudge)
problem.add_command(problem_preview)
problem.add_command(problem_set)
problem.add_command(problem_statement)


@problem.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--title", help="Title, instead of the package's.")
@click.option(
    "--time-limit", type=click.IntRange(min=1), help="CPU time per test in milliseconds, instead of the package's."
)
@click.option("--memory-limit", type=click.IntRange(min=1), help="Memory per test in MB, instead of the package's.")
@click.option("--compare", callback=_is_way, help="Comparison if the package defines none: tokens, floats:abs=1e-9, …")
@click.option("--difficulty", default="", help="Difficulty, any word.")
@click.option(
    "--visibility",
    type=click.Choice([one.value for one in Visibility]),
    default=Visibility.LISTED.value,
    show_default=True,
    help="Who sees it. listed: everybody; private: members of its groups; draft: its setter, the jury, administrators.",
)
@click.option("--tag", "tags", multiple=True, callback=_are_tags, help="Tag, instead of the package's; repeatable.")
@click.option(
    "--language",
    "languages",
    multiple=True,
    type=click.Choice(list(LANGUAGES)),
    help="Language that it takes, by key; repeatable. Default: all.",
)
@click.option("--group", "groups", multiple=True, help="Group that sees it while it is private, by name; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line: {id, title, format, cases, unsupported: […], …}.")
def import_(
    path: Path,
    *,
    title: str | None,
    time_limit: int | None,
    memory_limit: int | None,
    compare: str | None,
    difficulty: str,
    visibility: str,
    tags: tuple[str, ...],
    languages: tuple[str, ...],
    groups: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create a problem from the package at PATH, a zip or a directory.

    The package is written directly to the database and the object store of the settings, or to those of the embedded
    home, whose PostgreSQL must run (`deepoj up`). No account and no running API is needed. The package is checked like
    an upload. An invalid package ends with exit code 1 and the name of the faulty file; so does one whose checker or
    interactor does not compile in the sandbox of this host. Without a sandbox, the output says that they were not
    compiled. Features that are not supported, but not needed for correct judging, are listed, and what could not be
    rendered of the statements.
    """
    cfg = settings()
    rules = problem_rules(cfg)
    _check(title, time_limit, memory_limit, rules)
    with tempfile.TemporaryDirectory(prefix="deepoj-import-") as work:
        most = cfg.api.limits.problem_zip_max_bytes
        package = _as_zip(path, Path(work) / "package.zip", rules.unzip, most) if path.is_dir() else path
        fault = zip_fault(package.stat().st_size, most)
        if fault is not None:
            raise CheckFailed(f"{path}: {fault.sentence}")
        upload = ProblemUpload(
            package=package,
            title=title,
            time_limit_ms=time_limit,
            memory_limit_mb=memory_limit,
            compare=compare,
            difficulty=difficulty,
            visibility=Visibility(visibility),
            tags=tags or None,
            languages=languages,
        )
        published, notes = trio.run(_publish, cfg, upload, rules, groups, Path(work) / "vetting")
    match published:
        case PackageFault(file, sentence):
            raise CheckFailed(f"{path}{f' ({file})' if file else ''}: {sentence}")
        case UploadRefusal():
            raise CheckFailed(f"{path}: {_WHY[published]}")
        case Published(problem=new, plan=plan):
            if as_json:
                print_json(
                    {
                        "id": new.id,
                        "title": new.title,
                        "format": plan.format,
                        "cases": len(plan.cases),
                        "unsupported": list(plan.unsupported),
                        "statement_notes": list(notes),
                        **({"unchecked": new.unchecked} if new.unchecked else {}),
                    }
                )
                return
            click.echo(f"problem {new.id}: {new.title} ({plan.format}, {len(plan.cases)} tests)")
            for sentence in plan.unsupported:
                click.echo(f"  not supported: {sentence}")
            for sentence in notes:
                click.echo(f"  statement: {sentence}")
            if new.unchecked:
                click.echo(f"  not compiled yet: {new.unchecked}")


def _check(title: str | None, time_limit: int | None, memory_limit: int | None, rules: ProblemRules) -> None:
    """Raise UsageError for values that the upload form refuses."""
    if title is not None and not (title.strip() and is_line(title) and len(title) <= MAX_TITLE_CHARS):
        raise click.UsageError(f"--title takes 1 to {MAX_TITLE_CHARS} printable characters.")
    for option, value, most in (
        ("--time-limit", time_limit, rules.max_time_limit_ms),
        ("--memory-limit", memory_limit, rules.max_memory_limit_mb),
    ):
        if value is not None and value > most:
            raise click.UsageError(f"{option} is at most {most} (see `deepoj config show`).")


def _as_zip(directory: Path, target: Path, limits: UnzipLimits, most: int) -> Path:
    with target.open("wb") as out:
        fault = pack_directory(directory, out, limits, most)
    if fault is not None:
        raise CheckFailed(f"{directory}: {fault.sentence}")
    return target


async def _publish(
    cfg: Config, upload: ProblemUpload, rules: ProblemRules, groups: Sequence[str], room: Path
) -> tuple[Published | PackageFault | UploadRefusal, tuple[str, ...]]:
    """Return the outcome, and what could not be rendered of the statements."""
    # the clients of the stores take 0.4 s of CPU to import, and the other commands of the group use none
    from deepoj.adapters.aio_bridge import AioBridge  # noqa: PLC0415 - as above
    from deepoj.adapters.embedded import EmbeddedHome  # noqa: PLC0415 - as above
    from deepoj.adapters.pg import PgStore  # noqa: PLC0415 - as above
    from deepoj.wiring.adapters import blobs_of  # noqa: PLC0415 - as above
    from deepoj.wiring.targets import database_url  # noqa: PLC0415 - as above
    from deepoj.wiring.vetting import publisher_of  # noqa: PLC0415 - as above

    is_set = not cfg.sources["api.database_url"].startswith("default")
    home = None if is_set else EmbeddedHome.find(cfg.home)
    async with (
        AioBridge.open() as bridge,
        PgStore.open(bridge, database_url(cfg), min_conns=0, max_conns=1) as store,
    ):
        unknown = await store.problems.unknown_groups(groups)
        if unknown:
            raise CheckFailed(f"there is no group {min(unknown)}")
        statements = publisher_of(cfg, store.statements, metrics_of(cfg), compiler=None, workdir=room)
        vet = _vet_in(cfg, room)
        published = await publish(
            store.problems,
            blobs_of(cfg, home),
            upload,
            rules,
            vet=vet,
            statements=statements,
            by=operator("problem"),
        )
        if not isinstance(published, Published):
            return published, ()
        if groups:
            await store.problems.set_problem_groups(published.problem.id, groups, by=operator("problem"))
        index = await store.statements.statement_index(published.problem.id)
        return published, () if index is None else index.notes


def _vet_in(cfg: Config, room: Path) -> Vet:
    """Return a function that vets packages; it requires only the tools that the package's programs need."""

    from deepoj.wiring.vetting import vetting_of  # noqa: PLC0415 - as in _publish

    async def vet(package: Path, plan: Plan) -> PackageFault | Vetted:
        needed = [language for _, program in programs_of(plan) if (language := language_of(program)) is not None]
        # without /proc a compiler that needs it fails, so that the package is taken unchecked
        installed = await trio.to_thread.run_sync(partial(versions, needed, toolchain(cfg), has_proc=True))
        return await vetting_of(cfg, installed, metrics_of(cfg), compiler=None, workdir=room)(package, plan)

    return vet
