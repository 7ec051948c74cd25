"""A teacher's package becomes a problem.

Two stores meet here: the object is noted, then stored, then named by a row. What if we die between? An object that no
row names: nobody can reach it, its key is never given out again, and by the note ``objects`` deletes it in the end.
The other order would show a problem whose tests are missing.

A new package of a problem is an object of its own, and the row names it from the next statement on: whoever has claimed
by the row as it was still finds what it named. What if we die between? The same, and the problem as it was.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.packages import PackageFault, UnzipLimits, check_upload
from deepoj.judging.problem import Plan
from deepoj.pipeline.vetting import NO_SANDBOX, NO_TIME, Vet, Vetted, programs_of
from deepoj.ports import Blobs, Problems
from deepoj.words import Problem, ProblemChange

DEFAULT_COMPARE = "tokens"
MAX_TITLE_CHARS = 200
#: a request is held no longer than this by compilers, its own or those before it
VET_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemUpload:
    """What the uploader said, and where the received package lies (it stays the caller's to delete).

    None: not said, so that the package's word rules, and where it has none, the default.
    """

    package: Path
    title: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    difficulty: str = ""
    compare: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRules:
    """What an operator says of problems."""

    unzip: UnzipLimits
    default_time_limit_ms: int
    max_time_limit_ms: int
    default_memory_limit_mb: int
    max_memory_limit_mb: int
    #: how long whoever brings a package waits for its programs to be compiled, with the turn for it
    vet_within_s: float = VET_WITHIN_S


@dataclass(frozen=True, slots=True)
class Published:
    """A problem that was made, and what its package says."""

    problem: Problem
    plan: Plan


class UploadRefusal(enum.Enum):
    """Why an upload whose package is good is refused nevertheless."""

    #: neither the uploader nor the package names the problem
    NO_TITLE = enum.auto()
    #: the uploader says how to compare, and the package says it too
    COMPARE_TWICE = enum.auto()


async def publish(
    problems: Problems, blobs: Blobs, upload: ProblemUpload, rules: ProblemRules, *, vet: Vet | None = None
) -> Published | PackageFault | UploadRefusal:
    """Checks the package, stores it and makes the problem visible. ``vet`` looks at its programs; None: nobody here
    can.

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
    vetted = await _vet(vet, upload.package, plan, rules.vet_within_s)
    if isinstance(vetted, PackageFault):
        return vetted
    problem_id = await problems.reserve_problem_id()
    problem = Problem(
        id=problem_id,
        title=title,
        description=upload.description,
        difficulty=upload.difficulty,
        time_limit_ms=limits[0],
        memory_limit_mb=limits[1],
        compare=BY_PACKAGE if own_way else upload.compare or DEFAULT_COMPARE,
        data_path=f"problems/{problem_id}.zip",
        data_hash=digest,
        unchecked=vetted.unchecked,
    )
    await problems.note_object(problem.data_path)
    await blobs.put(problem.data_path, upload.package)
    await problems.insert_problem(problem)
    return Published(problem, plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemRevision:
    """What an administrator says of a problem anew; None: as it is. The package stays the caller's to delete."""

    package: Path | None = None
    title: str | None = None
    time_limit_ms: int | None = None
    memory_limit_mb: int | None = None
    difficulty: str | None = None
    compare: str | None = None
    description: str | None = None


async def revise(
    problems: Problems,
    blobs: Blobs,
    problem_id: int,
    revision: ProblemRevision,
    rules: ProblemRules,
    *,
    vet: Vet | None = None,
) -> Problem | PackageFault | UploadRefusal | None:
    """Changes a problem. Limits that are not said are a new package's, or as they were. None: there is no such problem.
    ``vet``: as in ``publish``.

    Raises:
      StoreUnavailable: it may or may not be changed; it is safe to say it again.
      BlobsUnavailable: nothing was changed.
    """
    old = await problems.problem(problem_id)
    if old is None:
        return None
    change = ProblemChange(
        title=revision.title,
        description=revision.description,
        difficulty=revision.difficulty,
        time_limit_ms=revision.time_limit_ms,
        memory_limit_mb=revision.memory_limit_mb,
        compare=revision.compare,
    )
    if revision.package is not None:
        found = await trio.to_thread.run_sync(_repackaged, old, revision.package, change, rules)
        if not isinstance(found, tuple):
            return found
        change, plan = found
        vetted = await _vet(vet, revision.package, plan, rules.vet_within_s)
        if isinstance(vetted, PackageFault):
            return vetted
        change = replace(change, unchecked=vetted.unchecked)
        if change.data_path is not None:
            # also the package that the problem has: meanwhile it may have got another, and then the row names this one
            await problems.note_object(change.data_path)
            await blobs.put(change.data_path, revision.package)
    elif revision.compare is not None and old.compare == BY_PACKAGE:
        return UploadRefusal.COMPARE_TWICE
    return await problems.update_problem(problem_id, change)


def _repackaged(
    old: Problem, package: Path, said: ProblemChange, rules: ProblemRules
) -> tuple[ProblemChange, Plan] | PackageFault | UploadRefusal:
    """What was said, with what follows from the new package, and its plan. Blocking."""
    checked = _check(package, rules.unzip)
    if isinstance(checked, PackageFault):
        return checked
    plan, digest = checked
    own_way = plan.checker is not None or plan.compare is not None
    if own_way and said.compare is not None:
        return UploadRefusal.COMPARE_TWICE
    # Not said by anybody: as before, unless that was the older package's own way. Said even where it is as before: the
    # problem may get another package meanwhile, and its way goes with that.
    way = BY_PACKAGE if own_way else said.compare or (DEFAULT_COMPARE if old.compare == BY_PACKAGE else old.compare)
    as_it_was = replace(rules, default_time_limit_ms=old.time_limit_ms, default_memory_limit_mb=old.memory_limit_mb)
    asked = ProblemUpload(package=package, time_limit_ms=said.time_limit_ms, memory_limit_mb=said.memory_limit_mb)
    limits = _limits(asked, plan, as_it_was)
    if isinstance(limits, PackageFault):
        return limits
    change = replace(
        said,
        time_limit_ms=limits[0],
        memory_limit_mb=limits[1],
        compare=way,
        # a key that was never given out: what is noted of an older object is about no other
        data_path=f"problems/{old.id}.{digest[:16]}.{secrets.token_hex(6)}.zip",
        data_hash=digest,
    )
    return change, plan


async def _vet(vet: Vet | None, package: Path, plan: Plan, within_s: float) -> Vetted | PackageFault:
    """Before anything is stored: what is refused leaves nothing. What takes too long is looked at later (``revet``)."""
    if vet is not None:
        with trio.move_on_after(within_s):
            return await vet(package, plan)
        return NO_TIME
    return NO_SANDBOX if programs_of(plan) else Vetted()


def _title(plan: Plan) -> str:
    """The package's name for the problem, fit for the form's rules."""
    printable = "".join(char if char.isprintable() else " " for char in plan.title)
    return " ".join(printable.split())[:MAX_TITLE_CHARS]


def _limits(upload: ProblemUpload, plan: Plan, rules: ProblemRules) -> tuple[int, int] | PackageFault:
    """Time in ms and memory in MB. A package that asks for more than is allowed here is not given less in silence: its
    author's own solutions might not pass."""
    asked = plan.limits
    for word, name, value, said, most, unit in (
        ("time", "time_limit", asked.time_ms, upload.time_limit_ms, rules.max_time_limit_ms, "ms"),
        ("memory", "memory_limit", asked.memory_mb, upload.memory_limit_mb, rules.max_memory_limit_mb, "MB"),
    ):
        if said is None and value is not None and not 1 <= value <= most:
            return PackageFault(
                None,
                f"The package asks for a {word} limit of {value} {unit}; here it may have 1 to {most} {unit}."
                f" Say {name} yourself to have another.",
            )
    return (
        upload.time_limit_ms or asked.time_ms or rules.default_time_limit_ms,
        upload.memory_limit_mb or asked.memory_mb or rules.default_memory_limit_mb,
    )


def _check(package: Path, limits: UnzipLimits) -> tuple[Plan, str] | PackageFault:
    """The plan, and the package's SHA-256 in hex, which names this version of the data; or what is wrong with it."""
    found = check_upload(package, limits)
    if isinstance(found, PackageFault):
        return found
    with package.open("rb") as stream:
        return found, hashlib.file_digest(stream, "sha256").hexdigest()
