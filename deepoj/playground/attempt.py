"""Run a claimed custom run and report on it: compile in the sandbox, run once in the sandbox, measure.

It uses the sandbox, the compiler, its cache and the isolation of submissions. Whose fault is a failure? As in
``judge``: what the source or the program causes is a status. Everything else is ``Infra``, to be tried again, or a
breakage.

What if we die here? The lease runs out and the run is claimed once more, in a directory of its own (``workdir``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import trio

from deepoj.execution.compiling import Compiled
from deepoj.execution.context import AttemptContext
from deepoj.execution.workdir import SOURCES, AttemptDir, trouble_of
from deepoj.judging import exec_rules
from deepoj.judging.languages import Language, resolve
from deepoj.judging.sources import scratch_names
from deepoj.playground import rules
from deepoj.words.playground import CustomClaim, CustomReport, CustomStatus
from deepoj.words.results import Infra
from deepoj.words.sandbox import FileIn
from deepoj.words.sources import SourceFile


async def run_custom(context: AttemptContext, claim: CustomClaim) -> CustomReport | Infra:
    """Make one attempt, in a directory of its own in ``context.workdir``.

    Raises:
      BoxBroken: as ``ports.Box`` does; it says nothing about the program.
    """
    language = resolve(claim.language)
    if language is None:
        return Infra("unknown_language", f"this node has no language '{claim.language}'")
    try:
        attempt = await trio.to_thread.run_sync(AttemptDir.make, context.workdir, claim, language.source_name)
    except OSError as error:
        return trouble_of(error, outage=True)
    about: Mapping[str, Any] = {
        "job_id": claim.run_id, "attempt_id": claim.attempt_id, "trace_id": claim.trace_id, "language": language.key,
    }  # fmt: skip
    context = context.of_attempt(about)
    try:
        (name,) = scratch_names(language, (SourceFile("", claim.code),))
        source = FileIn(name, attempt.path / SOURCES / language.source_name)
        compiled = await context.compiler.compile(
            language,
            [source],
            into=attempt.path,
            memory_mb=rules.memory_mb(claim),
            user_id=claim.user_id,
            deferred=context.deferred,
            about=about,
        )
        if isinstance(compiled, Infra):
            return compiled
        return await _run(context, claim, language, compiled, attempt.path)
    except OSError as error:
        return trouble_of(error)
    finally:
        await context.deferred.add(partial(attempt.leave, keep=context.settings.keep_workdir))


async def _run(
    context: AttemptContext, claim: CustomClaim, language: Language, compiled: Compiled, directory: Path
) -> CustomReport | Infra:
    settings = context.settings
    limits = rules.limits_of(claim, settings, language)
    isolation = min(context.box.isolation, compiled.isolation or context.box.isolation)
    if compiled.executable is None:
        return CustomReport(
            status=CustomStatus.COMPILE_ERROR,
            isolation=isolation,
            compile=compiled.result,
            limits=limits,
            outcome=None,
            explanation=(compiled.reason,),
        )
    stdin = directory / "stdin"
    await trio.to_thread.run_sync(stdin.write_bytes, claim.stdin)
    program = compiled.executable
    spec = rules.run_spec(
        program.argv,
        program.files_in,
        program.env,
        stdin=stdin,
        limits=limits,
        settings=settings,
        user_id=claim.user_id,
    )
    outcome = exec_rules.at_heap_limit(await context.run(spec, "custom_run"), language, limits)
    if outcome.sandbox_error is not None:
        return exec_rules.sandbox_trouble("custom run", outcome.sandbox_error)
    status = rules.status_of(outcome)
    if status is CustomStatus.SYSTEM_ERROR:
        return Infra("sandbox", f"custom run: {outcome.verdict} by rule '{outcome.rule}'")
    return CustomReport(
        status=status,
        isolation=min(isolation, outcome.isolation),
        compile=compiled.result,
        limits=limits,
        outcome=rules.kept(outcome, settings),
        explanation=rules.why(outcome, limits),
    )
