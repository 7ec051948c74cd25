"""A teacher's package becomes a problem.

Two stores meet here: the object goes first, the row second. What if we die between? An object under a reserved id
that no row names: nobody can reach it, and the id is never given out again. The other order would show a problem
whose tests are missing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import trio

from deepoj.judging.packages import PackageFault, UnzipLimits, check_upload
from deepoj.ports import Blobs, Problems
from deepoj.words import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemUpload:
    """What the uploader said, and where the received package lies (it stays the caller's to delete)."""

    title: str
    package: Path
    time_limit_ms: int
    memory_limit_mb: int
    difficulty: str
    compare: str
    description: str = ""


async def publish(
    problems: Problems, blobs: Blobs, upload: ProblemUpload, limits: UnzipLimits
) -> Problem | PackageFault:
    """Checks the package, stores it and makes the problem visible.

    Raises:
      StoreUnavailable, BlobsUnavailable: no problem was made.
    """
    checked = await trio.to_thread.run_sync(_check, upload.package, limits)
    if isinstance(checked, PackageFault):
        return checked
    problem_id = await problems.reserve_problem_id()
    problem = Problem(
        id=problem_id,
        title=upload.title,
        description=upload.description,
        difficulty=upload.difficulty,
        time_limit_ms=upload.time_limit_ms,
        memory_limit_mb=upload.memory_limit_mb,
        compare=upload.compare,
        data_path=f"problems/{problem_id}.zip",
        data_hash=checked,
    )
    await blobs.put(problem.data_path, upload.package)
    await problems.insert_problem(problem)
    return problem


def _check(package: Path, limits: UnzipLimits) -> str | PackageFault:
    """The package's SHA-256 in hex, which names this version of the data; or what is wrong with it."""
    found = check_upload(package, limits)
    if isinstance(found, PackageFault):
        return found
    with package.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
