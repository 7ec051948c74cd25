"""Make a problem from an uploaded package, or change one.

Two stores meet here: the object's key is noted, then the object is stored, then a row names it. What if we die between
them? The object is unreachable, because no row names it; its key is never used again; and because of the note
``objects`` deletes it in the end. In the other order there would be a problem whose tests are missing.

A new package of a problem is a new object, and the row names it from the next statement on. A node that claimed before
that still finds the object that its row named. What if we die between them? The same, and the problem is unchanged.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.format_defaults import ChosenLimit, ServerLimit, cut_notes, memory_limit, time_limit
from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, UnzipLimits, check_upload
from deepoj.packages.statements.publisher import PublishStatements
from deepoj.packages.vetting import NO_SANDBOX, NO_TIME, Vet, Vetted, programs_of
from deepoj.ports.blobs import Blobs
from deepoj.ports.problems import Problems
from deepoj.words.names import printable_line
from deepoj.words.problems import Problem, ProblemChange, Visibility, tags_of

DEFAULT_COMPARE = "tokens"
MAX_TITLE_CHARS = 200
#: compilers, its own or those of requests before it, hold a request no longer than this
VET_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemUpload:
    """The uploader's form, and the path of the received package (the caller deletes it).

    None: not given. Then the package decides, and if it has no value either, the default.
    """

    package: Path
    title: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    difficulty: str = ""
    compare: str | None = None
    description: str = ""
    visibility: Visibility = Visibility.LISTED
    tags: tuple[str, ...] | None = None
    #: keys of the languages that it takes; empty: all
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRules:
    """The operator's limits and defaults for problems."""

    unzip: UnzipLimits
    default_time_limit_ms: int
    max_time_limit_ms: int
    default_memory_limit_mb: int
    max_memory_limit_mb: int
    #: how long an upload waits until its programs are compiled, including the wait for its turn
    vet_within_s: float = VET_WITHIN_S

    def choose_limits(self, plan: Plan, time_ms: int | None, memory_mb: int | None) -> tuple[ChosenLimit, ChosenLimit]:
        """Return the limits of time and memory of a problem made of this package. None: the upload names none."""
        return (
            time_limit(plan, time_ms, ServerLimit(self.default_time_limit_ms, self.max_time_limit_ms)),
            memory_limit(plan, memory_mb, ServerLimit(self.default_memory_limit_mb, self.max_memory_limit_mb)),
        )


@dataclass(frozen=True, slots=True)
class Published:
    """A problem that was made, and the plan of its package."""

    problem: Problem
    plan: Plan


class UploadRefusal(enum.Enum):
    """Why an upload with a good package is refused."""

    #: neither the uploader nor the package names the problem
    NO_TITLE = enum.auto()
    #: the uploader gives a way to compare, and the package has one, too
    COMPARE_TWICE = enum.auto()


async def publish(
    problems: Problems,
    blobs: Blobs,
    upload: ProblemUpload,
    rules: ProblemRules,
    *,
    vet: Vet | None = None,
    statements: PublishStatements | None = None,
    by: str | None = None,
    created_by: int | None = None,
) -> Published | PackageFault | UploadRefusal:
    """Check the package, store it and make the problem visible. ``vet`` checks its programs; None: there is no sandbox
    for it. ``statements`` stores what readers see of it, once the problem is there; None: a judge node does that.
    ``by``: the username, for the log of administrative acts; ``created_by``: the id, for the rights of setters.

    Raises:
      StoreUnavailable, BlobsUnavailable: no problem was made.
    """
    checked = await trio.to_thread.run_sync(_check, upload.package, rules.unzip)
    if isinstance(checked, PackageFault):
        return checked
    plan, digest = checked
    title = upload.title or _title(plan)
    if not title:
        return UploadRefusal.NO_TITLE
    own_way = plan.checker is not None or plan.compare is not None
    if own_way and upload.compare is not None:
        return UploadRefusal.COMPARE_TWICE
    limits = _limits(upload, plan, rules)
    if isinstance(limits, PackageFault):
        return limits
    plan = replace(plan, unsupported=(*plan.unsupported, *cut_notes(*limits)))
    vetted = await _vet(vet, upload.package, plan, rules.vet_within_s)
    if isinstance(vetted, PackageFault):
        return vetted
    problem_id = await problems.reserve_problem_id()
    problem = Problem(
        id=problem_id,
        title=title,
        description=upload.description,
        difficulty=upload.difficulty,
        time_limit_ms=limits[0].value,
        memory_limit_mb=limits[1].value,
        compare=BY_PACKAGE if own_way else upload.compare or DEFAULT_COMPARE,
        data_path=f"problems/{problem_id}.zip",
        data_hash=digest,
        unchecked=vetted.unchecked,
        created_by=created_by,
        visibility=upload.visibility,
        tags=tags_of(plan.tags) if upload.tags is None else upload.tags,
        languages=upload.languages,
    )
    await problems.note_object(problem.data_path)
    await blobs.put(problem.data_path, upload.package)
    await problems.insert_problem(problem, by=by)
    if statements is not None:
        await statements(upload.package, plan, problem)
    return Published(problem, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRevision:
    """An administrator's changes to a problem; None: unchanged. The caller deletes the package."""

    package: Path | None = None
    title: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    difficulty: str | None = None
    compare: str | None = None
    description: str | None = None
    visibility: Visibility | None = None
    tags: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


async def revise(
    problems: Problems,
    blobs: Blobs,
    problem_id: int,
    revision: ProblemRevision,
    rules: ProblemRules,
    *,
    vet: Vet | None = None,
    statements: PublishStatements | None = None,
    by: str | None = None,
) -> Problem | PackageFault | UploadRefusal | None:
    """Change a problem. A limit that is not given is the new package's, or stays. None: there is no problem with this
    id. ``vet``, ``statements``, ``by``: as in ``publish``.

    Raises:
      StoreUnavailable: it may or may not be changed; repeating the call is safe.
      BlobsUnavailable: nothing was changed.
    """
    old = await problems.problem(problem_id)
    if old is None:
        return None
    change, plan = _change_of(revision), None
    if revision.package is not None:
        completed = await completed_change(old, revision.package, revision, rules, vet=vet)
        if not isinstance(completed, tuple):
            return completed
        change, plan = completed
        if change.data_path is not None:
            # Also when the problem has this package already: it may get another meanwhile, and then the row names this.
            await problems.note_object(change.data_path)
            await blobs.put(change.data_path, revision.package)
    elif revision.compare is not None and old.compare == BY_PACKAGE:
        return UploadRefusal.COMPARE_TWICE
    changed = await problems.update_problem(problem_id, change, by=by)
    if changed is not None and plan is not None and revision.package is not None and statements is not None:
        await statements(revision.package, plan, changed)
    return changed


async def completed_change(
    old: Problem, package: Path, revision: ProblemRevision, rules: ProblemRules, *, vet: Vet | None
) -> tuple[ProblemChange, Plan] | PackageFault | UploadRefusal:
    """Return the change that a revision with this package makes of a problem, and the package's plan. Nothing is
    stored. ``vet``: as in ``publish``."""
    outcome = await trio.to_thread.run_sync(_repackaged, old, package, _change_of(revision), rules)
    if not isinstance(outcome, tuple):
        return outcome
    change, plan = outcome
    vetted = await _vet(vet, package, plan, rules.vet_within_s)
    return vetted if isinstance(vetted, PackageFault) else (replace(change, unchecked=vetted.unchecked), plan)


def _change_of(revision: ProblemRevision) -> ProblemChange:
    return ProblemChange(
        title=revision.title,
        description=revision.description,
        difficulty=revision.difficulty,
        time_limit_ms=revision.time_limit_ms,
        memory_limit_mb=revision.memory_limit_mb,
        compare=revision.compare,
        visibility=revision.visibility,
        tags=revision.tags,
        languages=revision.languages,
    )


def _repackaged(
    old: Problem, package: Path, request: ProblemChange, rules: ProblemRules
) -> tuple[ProblemChange, Plan] | PackageFault | UploadRefusal:
    """Return the requested change completed from the new package, and its plan. Blocking."""
    checked = _check(package, rules.unzip)
    if isinstance(checked, PackageFault):
        return checked
    plan, digest = checked
    own_way = plan.checker is not None or plan.compare is not None
    if own_way and request.compare is not None:
        return UploadRefusal.COMPARE_TWICE
    # Not given: as before, unless that was the older package's own way. It is set even when it is as before: the
    # problem may get another package meanwhile, and that one's way goes with it.
    way = BY_PACKAGE if own_way else request.compare or (DEFAULT_COMPARE if old.compare == BY_PACKAGE else old.compare)
    form = ProblemUpload(package=package, time_limit_ms=request.time_limit_ms, memory_limit_mb=request.memory_limit_mb)
    limits = _limits(form, plan, rules)
    if isinstance(limits, PackageFault):
        return limits
    change = replace(
        request,
        # a limit that nothing names stays as it is
        time_limit_ms=old.time_limit_ms if limits[0].default_of else limits[0].value,
        memory_limit_mb=old.memory_limit_mb if limits[1].default_of else limits[1].value,
        compare=way,
        # a key that was never used: notes of an older object cannot be about this one
        data_path=f"problems/{old.id}.{digest[:16]}.{secrets.token_hex(6)}.zip",
        data_hash=digest,
    )
    return change, plan


async def _vet(vet: Vet | None, package: Path, plan: Plan, within_s: float) -> Vetted | PackageFault:
    """Check the package's programs before anything is stored, so that a refused package leaves nothing behind. If it
    takes too long, the check is done later (``revet``)."""
    if vet is not None:
        with trio.move_on_after(within_s):
            return await vet(package, plan)
        return NO_TIME
    return NO_SANDBOX if programs_of(plan) else Vetted()


def _title(plan: Plan) -> str:
    """Return the package's name for the problem, in the form that the title field allows."""
    return " ".join(printable_line(plan.title, " ").split())[:MAX_TITLE_CHARS]


def _limits(upload: ProblemUpload, plan: Plan, rules: ProblemRules) -> tuple[ChosenLimit, ChosenLimit] | PackageFault:
    """Return the time limit in ms and the memory limit in MB. A package that asks for more than is allowed here is
    refused and not given less in silence: its author's own solutions might not pass."""
    limits = plan.limits
    for word, name, value, form_value, most, unit in (
        ("time", "time_limit", limits.time_ms, upload.time_limit_ms, rules.max_time_limit_ms, "ms"),
        ("memory", "memory_limit", limits.memory_mb, upload.memory_limit_mb, rules.max_memory_limit_mb, "MB"),
    ):
        if form_value is None and value is not None and not 1 <= value <= most:
            return PackageFault(
                None,
                f"The package asks for a {word} limit of {value} {unit}; this server allows 1 to {most} {unit}."
                f" Set {name} in the form to use another limit.",
            )
    return rules.choose_limits(plan, upload.time_limit_ms, upload.memory_limit_mb)


def _check(package: Path, limits: UnzipLimits) -> tuple[Plan, str] | PackageFault:
    """Return the plan, and the package's SHA-256 in hex, which names this version of the data; or the package's
    fault."""
    plan = check_upload(package, limits)
    if isinstance(plan, PackageFault):
        return plan
    with package.open("rb") as stream:
        return plan, hashlib.file_digest(stream, "sha256").hexdigest()
