"""Previews of rejudges, as routes and pages do them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from deepoj.api.codes import CodedError
from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import problem_id_of
from deepoj.api.rights import quota_of
from deepoj.words.accounts import User
from deepoj.words.previews import (
    MAX_JOBS,
    PastRejudge,
    Preview,
    PreviewChange,
    PreviewFailure,
    PreviewRefusal,
)
from deepoj.words.problems import Problem
from deepoj.words.rejudges import RejudgeScope, VerdictChange

#: changed submissions that are listed, and entries of the history
MAX_CHANGES, MAX_PAST = 500, 50
#: reasons of failures that are listed
_MAX_FAILURES = 10

_REFUSALS: Mapping[PreviewRefusal, CodedError] = MappingProxyType(
    {
        PreviewRefusal.UNKNOWN: ApiError.NO_SUCH_PREVIEW,
        PreviewRefusal.FINALIZED: ContestError.CONTEST_FINALIZED,
        PreviewRefusal.ANOTHER: ApiError.PREVIEW_RUNNING,
        PreviewRefusal.NOT_READY: ApiError.PREVIEW_NOT_READY,
        PreviewRefusal.OUTDATED: ApiError.PREVIEW_OUTDATED,
        PreviewRefusal.ENDED: ApiError.PREVIEW_ENDED,
        PreviewRefusal.OF_CONTEST: ApiError.PREVIEW_OF_CONTEST,
    }
)
_ABOUT_FILTERS: Mapping[PreviewRefusal, str] = MappingProxyType(
    {
        PreviewRefusal.EMPTY: "no submission with a verdict matches them",
        PreviewRefusal.TOO_MANY: f"more than {MAX_JOBS} submissions match them, which is the most",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewResult:
    """A preview with what it would change. ``current_version``: of the problem now."""

    preview: Preview
    verdicts: Sequence[VerdictChange]
    failures: Sequence[PreviewFailure]
    changes: Sequence[PreviewChange]
    current_version: int

    @property
    def is_current(self) -> bool:
        """Whether the problem has not been changed since."""
        return self.preview.problem_version == self.current_version


def topic_of_preview(preview_id: int) -> str:
    """Return the notification topic of a preview."""
    return f"preview-{preview_id}"


class Previewing:
    """Starts, applies, cancels and reads previews. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._previews = context.previews
        self._most_of_setter = context.settings.background_per_setter

    async def start(self, problem: Problem, user: User, *, in_full: bool, scope: RejudgeScope) -> Preview:
        """Start a preview of the submissions in the scope, or go on with the same one."""
        answer = await self._previews.start_preview(
            problem.id, by=user.id, in_full=in_full, scope=scope, quota=quota_of(user, self._most_of_setter)
        )
        if answer is PreviewRefusal.QUOTA:
            raise Refused(ApiError.TOO_MANY_PREVIEWS, limit=self._most_of_setter)
        return accepted(answer)

    async def apply(self, problem: Problem, preview_id: str, user: User) -> Preview:
        """Give all submissions of a preview their new verdicts at once."""
        return accepted(await self._previews.apply_preview(problem.id, preview_id_of(preview_id), by=user.id))

    async def cancel(self, problem: Problem, preview_id: str, user: User) -> Preview:
        """Give a preview up."""
        return accepted(await self._previews.cancel_preview(problem.id, preview_id_of(preview_id), by=user.id))

    async def result(self, problem: Problem, preview_id: str) -> PreviewResult:
        """Return a preview with what it would change."""
        preview = await self._previews.preview(problem.id, preview_id_of(preview_id))
        if preview is None:
            raise Refused(ApiError.NO_SUCH_PREVIEW)
        return PreviewResult(
            preview=preview,
            verdicts=await self._previews.preview_verdicts(preview.id),
            failures=await self._previews.preview_failures(preview.id, _MAX_FAILURES),
            changes=await self._previews.preview_changes(preview.id, MAX_CHANGES),
            current_version=problem.version,
        )

    async def past(self, problem: Problem) -> list[PastRejudge]:
        """Return the rejudges and previews of a problem, newest first."""
        return await self._previews.past_rejudges(problem.id, MAX_PAST)


def preview_id_of(text: str) -> int:
    """Return the id in a path. Raises Refused if it is none."""
    number = problem_id_of(text)
    if number is None:
        raise Refused(ApiError.NO_SUCH_PREVIEW)
    return number


def accepted[T](answer: T | PreviewRefusal) -> T:
    """Return what the store answered. Raises Refused if it refused."""
    if not isinstance(answer, PreviewRefusal):
        return answer
    if answer in _ABOUT_FILTERS:
        raise Refused(ApiError.INVALID, field="filters", problem=_ABOUT_FILTERS[answer])
    raise Refused(_REFUSALS[answer])
