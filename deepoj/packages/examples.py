"""The submissions that a package carries, as contestants would send them: for ``deepoj problem verify`` and for
verifications by the judge nodes (``judging.verifications``)."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import anyio
import trio

from deepoj.judging import timing
from deepoj.judging.languages import Language, resolve
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.problem import Example, Plan
from deepoj.judging.sources import PLAIN_NAME, takes_several
from deepoj.judging.verifications import MAX_EXAMPLES, MAX_SOURCE_BYTES, ExampleDraft, VerificationDraft
from deepoj.packages.formats import PackageFault, UnzipLimits, lay_out, open_package
from deepoj.ports.blobs import Blobs
from deepoj.words.errors import BlobMissing
from deepoj.words.jobs import Claim
from deepoj.words.problems import Problem
from deepoj.words.sources import SourceFile, Sources


def example_sources(plan: Plan, path: Callable[[str], Path], example: Example, language: Language) -> Sources | str:
    """Return the submission as a contestant would send it, or why that is impossible. ``path``: of a file of the
    package. Blocking."""
    names = (example.entry, *(name for name in example.files if name != example.entry))
    top = str(PurePosixPath(example.entry).parent)
    plain = {name: name.removeprefix(f"{top}/") for name in names}
    texts = {name: path(name).read_bytes().decode("utf-8", "replace") for name in names}
    code = texts[example.entry]
    if language is OUTPUTS:
        is_named = len(plan.cases) > 1
    else:
        # where the package's own files stand beside it, they may call it by its name
        is_named = takes_several(language) and bool(plan.included_for(language.key))
    if len(names) == 1 and not is_named:
        return Sources(code=code)
    if not takes_several(language):
        return f"a program in {language.name} is one file here"
    if strange := [name for name in plain.values() if not PLAIN_NAME.fullmatch(name)]:
        return f"a submission's files have plain names and no folders, and not '{strange[0]}'"
    return Sources(
        code=code,
        entry_point=plain[example.entry],
        beside=tuple(SourceFile(plain[name], texts[name]) for name in names[1:]),
    )


def example_job(
    job_id: str, sources: Sources, language: str, problem: Problem, *, attempt_id: int = 1, owner: str = "verify"
) -> Claim:
    """Return a package's submission as the claim of a job that is in no database. ``job_id`` tells them apart in the
    work directory."""
    return Claim(
        job_id=job_id,
        attempt_id=attempt_id,
        judging=1,
        lease_owner=owner,
        entry_id="",
        user_id=0,
        language=language,
        code=sources.code,
        entry_point=sources.entry_point,
        beside=sources.beside,
        trace_id="",
        problem=problem,
        waited_ms=0,
    )


def language_or_why(key: str | None) -> Language | str:
    """Return the language of a package's submission, or why nothing in it can be judged."""
    if key == "python2":
        return "it is in Python 2, and this judge runs Python 3"
    language = None if key is None else resolve(key)
    if language is None:
        return f"there is no language '{key}'" if key else "its language is not known"
    return language


@dataclass(slots=True, kw_only=True)
class ExampleReader:
    """Reads the submissions of problems' packages. ``new_path`` returns a path for a fetched package."""

    blobs: Blobs
    new_path: Callable[[], Path]
    limits: UnzipLimits
    #: of the sources of one submission
    max_bytes: int
    #: whether a judge node has the language with this key
    is_judged: Callable[[str], bool]
    #: packages are large: one at a time is fetched
    turn: trio.Lock

    async def read(self, problem: Problem) -> VerificationDraft | PackageFault:
        """Read the submissions of a problem's package; a fault if today's readers refuse it, or if it is missing.

        Raises:
          BlobsUnavailable: the package cannot be fetched.
        """
        async with self.turn:
            path = self.new_path()
            try:
                await anyio.Path(path.parent).mkdir(parents=True, exist_ok=True, mode=0o700)
                await self.blobs.fetch(problem.data_path, path)
                draft = await trio.to_thread.run_sync(self._read, problem, path)
            except BlobMissing:
                return PackageFault(None, "The package is missing in the object store: upload it again.")
            finally:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
        if isinstance(draft, PackageFault):
            return draft
        return replace(draft, examples=tuple(self._judged_now(one) for one in draft.examples))

    def _judged_now(self, draft: ExampleDraft) -> ExampleDraft:
        """Skip a submission that no running node could judge. Not in a thread: the API's clock is Trio's."""
        if draft.sources is None or self.is_judged(draft.language):
            return draft
        language = OUTPUTS if draft.language == OUTPUTS.key else language_or_why(draft.language)
        name = language if isinstance(language, str) else language.name
        return replace(draft, sources=None, why=f"no running judge node has {name}")

    def _read(self, problem: Problem, package: Path) -> VerificationDraft | PackageFault:
        """Blocking. The sweep of uploads removes the folder if this process is killed."""
        folder = tempfile.TemporaryDirectory(dir=package.parent, prefix="upload-", suffix=".files")
        with package.open("rb") as file, folder as room:
            opened = open_package(file, self.limits)
            if isinstance(opened, PackageFault):
                return opened
            with opened:
                plan = opened.plan
                examples = plan.examples[:MAX_EXAMPLES]
                names = tuple(dict.fromkeys(name for example in examples for name in example.files))
                paths = lay_out(opened, names, Path(room))
            if isinstance(paths, PackageFault):
                return paths
            left_bytes, drafts = MAX_SOURCE_BYTES, list[ExampleDraft]()
            for example in examples:
                size = sum(paths[name].stat().st_size for name in example.files)
                draft = self._draft(plan, paths.__getitem__, example, size, left_bytes)
                left_bytes -= 0 if draft.why else size
                drafts.append(draft)
        return VerificationDraft(
            problem_id=problem.id,
            problem_version=problem.version,
            points=plan.points,
            examples=tuple(drafts),
            left_out=len(plan.examples) - len(examples),
            time_factor=timing.factor_of(plan),
            time_resolution_ms=plan.limits.time_resolution_ms,
        )

    def _draft(
        self, plan: Plan, path: Callable[[str], Path], example: Example, size: int, left_bytes: int
    ) -> ExampleDraft:
        language = OUTPUTS if plan.output_only else language_or_why(example.language)
        if isinstance(language, str):
            return ExampleDraft(example=example, language=example.language or "", why=language)
        why = ""
        if size > self.max_bytes:
            why = f"it has more than {self.max_bytes} bytes"
        elif size > left_bytes:
            why = f"the submissions before it have nearly {MAX_SOURCE_BYTES} bytes"
        if why:
            return ExampleDraft(example=example, language=language.key, why=why)
        sources = example_sources(plan, path, example, language)
        if isinstance(sources, str):
            return ExampleDraft(example=example, language=language.key, why=sources)
        return ExampleDraft(example=example, language=language.key, sources=sources)
