"""Verifying a problem's package by the judge nodes, as routes and pages do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.upload import new_path
from deepoj.api.rights import quota_of
from deepoj.judging.verifications import (
    MAX_TIMES,
    Verification,
    VerificationState,
    VerifiedExample,
    WorstTime,
    is_tight,
    slowest_accepted,
    suggested_limit_ms,
)
from deepoj.packages.examples import ExampleReader
from deepoj.packages.formats import PackageFault
from deepoj.words.accounts import User
from deepoj.words.problems import Problem
from deepoj.words.verifications import VerificationRefusal

#: how often a start is tried while others change the problem
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """A verification with its submissions. ``current_version``: of the problem now."""

    verification: Verification
    examples: Sequence[VerifiedExample]
    worst_times: Sequence[WorstTime]
    current_version: int
    #: the longest time limit that is allowed here
    most_ms: int

    @property
    def suggested_limit_ms(self) -> int | None:
        """The time limit that the accepted submissions need, where the package states none."""
        return suggested_limit_ms(self.verification, self.examples, self.most_ms)

    @property
    def is_current(self) -> bool:
        """Whether the problem has not been changed since."""
        return self.verification.problem_version == self.current_version

    @property
    def slowest(self) -> VerifiedExample | None:
        """The accepted submission that took longest."""
        return slowest_accepted(self.examples)

    @property
    def is_tight(self) -> bool:
        """Whether that one leaves little room for a slower machine."""
        slowest = self.slowest
        return slowest is not None and is_tight(slowest.time_ms or 0, self.verification.time_limit_ms)


def topic_of(problem_id: int) -> str:
    """Return the notification topic of a problem's verifications."""
    return f"verify-{problem_id}"


class Verifying:
    """Starts, cancels and reads verifications. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        settings = context.settings
        self._verifications, self._problems = context.verifications, context.problems
        self._most_of_setter = settings.background_per_setter
        self._most_ms = settings.problems.max_time_limit_ms
        self._reader = ExampleReader(
            blobs=context.blobs,
            new_path=lambda: new_path(settings.upload_dir),
            limits=settings.problems.unzip,
            max_bytes=settings.submit_code_max_bytes,
            is_judged=context.is_judged_now,
            turn=context.package_turn,
        )

    async def start(self, problem: Problem, user: User) -> None:
        """Start a verification of the problem as it is now, or go on with the one that runs.

        Raises BlobsUnavailable, too.
        """
        quota = quota_of(user, self._most_of_setter)
        current: Problem | None = problem
        for _ in range(_TRIES):
            if current is None:
                break
            # a client repeats a 429: refuse before the package is read
            if quota is not None and not await self._verifications.has_verification_room(
                current.id, current.version, quota
            ):
                raise Refused(ApiError.TOO_MANY_VERIFICATIONS, limit=quota.most)
            draft = await self._reader.read(current)
            if isinstance(draft, PackageFault):
                raise _refused(draft.file, draft.sentence)
            if not draft.examples:
                raise _refused(None, "It carries no submissions that could be judged.")
            match await self._verifications.start_verification(draft, by=user.username, quota=quota):
                case None:
                    return
                case VerificationRefusal.TOO_MANY:
                    raise Refused(ApiError.TOO_MANY_VERIFICATIONS, limit=self._most_of_setter)
                case VerificationRefusal.OUTDATED:
                    pass
            current = await self._problems.problem(problem.id)
        raise Refused(ApiError.NO_SUCH_PROBLEM)

    async def cancel(self, problem: Problem) -> None:
        """End the running verification, if there is one."""
        await self._verifications.cancel_verification(problem.id)

    async def latest(self, problem: Problem) -> Verification | None:
        """Return the verification that ``result`` is about."""
        found = await self._verifications.verifications(problem.id)
        if not found or found[0].is_running:
            return found[0] if found else None
        return next((one for one in found if one.state is VerificationState.DONE), found[0])

    async def result(self, problem: Problem) -> VerificationResult | None:
        """Return the newest verification; None: there is none. One that was cancelled or outdated does not hide one
        that was completed."""
        shown = await self.latest(problem)
        if shown is None:
            return None
        return VerificationResult(
            verification=shown,
            examples=await self._verifications.verified_examples(shown.id),
            worst_times=await self._verifications.worst_times(shown.id, MAX_TIMES),
            current_version=problem.version,
            most_ms=self._most_ms,
        )


def _refused(file: str | None, sentence: str) -> Refused:
    return Refused(ApiError.INVALID_PACKAGE, details={"file": file, "problem": sentence}, problem=sentence)
