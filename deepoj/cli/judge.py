"""``deepoj judge``: one execution, compilation or self test in the sandbox; prints one JSON line (judge protocol v1).

Exit code 0 if the verdict is OK, 1 for other verdicts; the line is printed in both cases. No node is needed.

``--compile -s SOURCE -r ID`` stores the program as ``<workspace>/judge/ID/<name>``; ``--cleanup -r ID`` removes that
directory, and succeeds if it does not exist.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import trio

from deepoj.cli.common import print_json, settings
from deepoj.config.model import Config
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging.exec_rules import MIB, archive_file, compile_sentence, compile_spec, compiler_output, wall_limit_ms
from deepoj.judging.languages import LANGUAGES, Language
from deepoj.judging.sources import scratch_names, with_sources
from deepoj.ports.sandbox import Box
from deepoj.wiring.settings import judging, rates, toolchain_dir
from deepoj.words.exits import CHECK_FAILED, GOOD, CheckFailed
from deepoj.words.results import Infra
from deepoj.words.sandbox import PROGRAM_DIR, FileIn, RunLimits, RunOutcome, RunSpec, RunVerdict
from deepoj.words.sources import SourceFile

#: file suffix → the first language with this suffix
BY_SUFFIX = {
    **{Path(language.source_name).suffix: language.key for language in reversed(list(LANGUAGES.values()))},
    ".cc": "cpp17",
    ".cxx": "cpp17",
}
ID_PATTERN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
STATUS = {
    RunVerdict.OK: "Finished",
    RunVerdict.TLE: "Time Limit Exceeded",
    RunVerdict.MLE: "Memory Limit Exceeded",
    RunVerdict.OLE: "Output Limit Exceeded",
    RunVerdict.RE: "Runtime Error",
    RunVerdict.SE: "System Error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """The options of one call."""

    job_id: str
    attempt_id: int
    program: Path | None
    source: Path | None
    request_id: str
    stdin: Path | None
    stdout: Path | None
    stderr: Path | None
    time_ms: int
    memory_kb: int
    directory: Path

    def at(self, path: Path | None) -> Path | None:
        """Resolve a path of the command line relative to ``-w``."""
        return None if path is None else self.directory / path


@click.command()
@click.option("--self_test", is_flag=True, help="Run a trivial program of the host (/bin/true).")
@click.option("--job_id", default="", help="Copied to the output.")
@click.option("--attempt_id", type=int, default=0, help="Copied to the output.")
@click.option("-c", "program", type=click.Path(path_type=Path), help="The program to run.")
@click.option("-i", "stdin", type=click.Path(path_type=Path), help="Its standard input (default: empty).")
@click.option("-o", "stdout", type=click.Path(path_type=Path), help="File for its standard output.")
@click.option("-e", "stderr", type=click.Path(path_type=Path), help="File for its standard error.")
@click.option("-t", "time_ms", type=click.IntRange(1, 3_600_000), help="CPU limit in ms.")
@click.option("-m", "memory_kb", type=click.IntRange(256, 1 << 30), help="Memory limit in KB.")
@click.option(
    "-w", "directory", type=click.Path(path_type=Path), default=Path(), help="Base directory of relative paths."
)
@click.option("--compile", "compiling", is_flag=True, help="Compile the source of -s under the id of -r.")
@click.option("-s", "source", type=click.Path(path_type=Path), help="The source to compile.")
@click.option("--cleanup", is_flag=True, help="Remove what --compile stored under the id of -r.")
@click.option("-r", "request_id", default="", help="An id of letters, digits, '.', '_' and '-'.")
def judge(
    self_test: bool, compiling: bool, cleanup: bool, time_ms: int | None, memory_kb: int | None, **rest: Any
) -> int:
    """Run or compile one program in the sandbox (judge protocol v1)."""
    cfg = settings()
    options = JudgeOptions(
        **rest,
        time_ms=time_ms or cfg.api.limits.default_time_limit_ms,
        memory_kb=memory_kb or cfg.api.limits.default_memory_limit_kb,
    )
    if sum((self_test, compiling, cleanup, options.program is not None)) != 1:
        raise click.UsageError("give exactly one of --self_test, -c, --compile and --cleanup.")
    if cleanup:
        return _cleanup(cfg, options)
    if compiling:
        return _compile(cfg, options)
    return _run(cfg, options, _trivial() if self_test else _program(cfg, options))


def _run(cfg: Config, options: JudgeOptions, spec: RunSpec) -> int:
    outcome = trio.run(_in_box, cfg, spec)
    stderr = options.at(options.stderr)
    if stderr is not None:
        try:
            stderr.write_bytes(outcome.stderr)
        except OSError as error:
            raise CheckFailed(f"{stderr}: {error.strerror}.") from error
    return _print_outcome(options, outcome)


def _compile(cfg: Config, options: JudgeOptions) -> int:
    source = options.at(options.source)
    if source is None:
        raise click.UsageError("--compile needs a source: -s FILE.")
    language = _language(source)
    directory = _result_dir(cfg, options)
    judge_settings = judging(cfg)
    directory.mkdir(parents=True, exist_ok=True)
    spec = compile_spec(language, directory, judge_settings)
    if spec is None:
        raise click.UsageError(f"a program in {language.name} is not compiled.")
    outcome = trio.run(_compile_in_box, cfg, language, source, spec)
    sentence = compile_sentence(outcome, language, spec.limits)
    failed = outcome.verdict is not RunVerdict.OK or bool(sentence)
    message = "\n".join(part for part in (sentence, compiler_output(outcome, 64 * 1024)) if part)
    if outcome.verdict is RunVerdict.OK and failed:
        outcome = replace(outcome, verdict=RunVerdict.RE, rule="exit")
    return _print_outcome(options, outcome, message if failed else "")


def _cleanup(cfg: Config, options: JudgeOptions) -> int:
    directory = _result_dir(cfg, options)
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:
        pass  # already removed
    except OSError as error:
        raise CheckFailed(f"{directory} cannot be removed: {error.strerror}.") from error
    print_json({"schema_version": 1, "job_id": options.job_id, "attempt_id": options.attempt_id, "status": "Finished"})
    return GOOD


# ---------------------------------------------------------------------------------------------------------------------


def _trivial() -> RunSpec:
    """Return a trivial execution with generous limits: a self test checks the sandbox, not the host's speed."""
    limits = RunLimits(cpu_ms=10_000, wall_ms=30_000, memory_bytes=256 * MIB, output_bytes=MIB)
    return RunSpec(argv=("/bin/true",), limits=limits)


def _program(cfg: Config, options: JudgeOptions) -> RunSpec:
    program, stdin, stdout = options.at(options.program), options.at(options.stdin), options.at(options.stdout)
    if program is None or not program.exists():
        raise click.UsageError(f"there is no program {program} (-c).")
    if not program.is_file():
        raise click.UsageError(f"the program {program} is not a regular file (-c).")
    if stdin is not None:
        _check_input(stdin)
    if stdout is not None and stdout.is_symlink():  # the box never opens symbolic links for writing
        raise click.UsageError(f"the output {stdout} is a symbolic link: name its target (-o).")
    _keep_apart(options)
    limits = RunLimits(
        cpu_ms=options.time_ms,
        wall_ms=wall_limit_ms(options.time_ms),
        memory_bytes=options.memory_kb * 1024,
        output_bytes=cfg.runner.max_output_size,
        processes=cfg.runner.cgroup_pids_limit,
        scratch_bytes=cfg.runner.tmpfs_size_mb * MIB,
    )
    return RunSpec(
        argv=(f"{PROGRAM_DIR}/main",),
        limits=limits,
        stdin=stdin,
        files_in=(FileIn("main", program, executable=True, program=True),),
        stdout_to=stdout,
        keep_stdout_bytes=cfg.worker.executor.stdout_limit_bytes,
        keep_stderr_bytes=cfg.worker.executor.stderr_limit_bytes,
    )


def _check_input(stdin: Path) -> None:
    """Check that stdin is not a terminal, whose settings the program could change. Raises UsageError."""
    if not stdin.exists():
        raise click.UsageError(f"there is no input {stdin} (-i).")
    if not (stdin.is_file() or stdin.is_fifo() or stdin.samefile(os.devnull)):
        raise click.UsageError(f"the input {stdin} is neither a file nor a pipe nor {os.devnull} (-i).")


def _keep_apart(options: JudgeOptions) -> None:
    """Check that no output file is an input or the other output: opening an output truncates it."""
    seen: dict[Path, str] = {}
    for option, path in (
        ("-c", options.program),
        ("-i", options.stdin),
        ("-o", options.stdout),
        ("-e", options.stderr),
    ):
        place = options.at(path)
        if place is None or (place.exists() and not place.is_file()):  # devices such as /dev/null may be used twice
            continue
        other = seen.setdefault(place.resolve(), option)
        if other != option and {other, option} != {"-c", "-i"}:
            raise click.UsageError(f"{other} and {option} name the same file {place}.")


def _language(source: Path) -> Language:
    if not source.exists():
        raise click.UsageError(f"there is no source {source} (-s).")
    key = BY_SUFFIX.get(source.suffix)
    if key is None or not source.is_file():
        raise click.UsageError(f"-s {source}: a source is a file that ends in one of {', '.join(BY_SUFFIX)}.")
    return LANGUAGES[key]


def _result_dir(cfg: Config, options: JudgeOptions) -> Path:
    if not ID_PATTERN.fullmatch(options.request_id):
        raise click.UsageError("give an id: -r ID, of letters, digits, '.', '_' and '-', at most 64 of them.")
    return cfg.workspace / "judge" / options.request_id


async def _in_box(cfg: Config, spec: RunSpec) -> RunOutcome:
    async with _box(cfg) as box:
        return await box.run(spec)


async def _compile_in_box(cfg: Config, language: Language, source: Path, spec: RunSpec) -> RunOutcome:
    judge_settings = judging(cfg)
    async with _box(cfg) as box:
        toolchain_cache = ToolchainCache(box=box, cache_dir=toolchain_dir(cfg), settings=judge_settings)
        archive = await toolchain_cache.get(language)
        if isinstance(archive, Infra):
            raise CheckFailed(f"{archive.message}.")
        archives = () if archive is None or language.archive is None else (archive_file(language.archive, archive),)
        code = await trio.Path(source).read_text("utf-8", "replace")
        (name,) = scratch_names(language, (SourceFile("", code),))
        argv = with_sources(spec.argv, language.source_name, (name,))
        return await box.run(replace(spec, argv=argv, files_in=(FileIn(name, source), *archives)))


@asynccontextmanager
async def _box(cfg: Config) -> AsyncIterator[Box]:
    from deepoj.adapters.sandbox.box import LinuxBox  # noqa: PLC0415 - it loads the extension: not for a usage error

    async with LinuxBox.open(
        1,
        run_uid=cfg.security.run_as_uid,
        run_gid=cfg.security.run_as_gid,
        min_isolation=cfg.sandbox_min_isolation,
        mounts=cfg.path.mount_dirs,
        rates=rates(cfg),
    ) as box:
        try:
            yield box
        except OSError as error:
            raise CheckFailed(f"{error.filename or 'a file of the run'}: {error.strerror}.") from error


def _print_outcome(options: JudgeOptions, outcome: RunOutcome, error: str = "") -> int:
    line: dict[str, object] = {
        "schema_version": 1,
        "job_id": options.job_id,
        "attempt_id": options.attempt_id,
        "verdict": outcome.verdict.value,
        "time_ms": outcome.cpu_ms,
        "mem_kb": outcome.memory_kb,
        "exit_signal": outcome.exit_signal,
        "sandbox_error": str(outcome.sandbox_error) if outcome.sandbox_error else "",
        "status": STATUS[outcome.verdict],
        "time_used": outcome.cpu_ms,
        "memory_used": outcome.memory_kb,
        "exit_code": outcome.exit_code,
    }
    if error or outcome.sandbox_error:
        line["error"] = error or str(outcome.sandbox_error)
    print_json(line)
    return GOOD if outcome.verdict is RunVerdict.OK else CHECK_FAILED
