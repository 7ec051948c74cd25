"""Live results: what is shown of judging while it is under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepoj.words.jobs import State
from deepoj.words.submissions import Submission


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTests:
    """Successive tests of one attempt that have ended, each as an element of ``data.tests[]`` of the result object."""

    job_id: str
    attempt_id: int
    #: 1-based index of the first one
    first: int
    #: number of all tests
    count: int
    tests: tuple[Mapping[str, Any], ...]

    @property
    def last(self) -> int:
        return self.first + len(self.tests) - 1


@dataclass(frozen=True, slots=True)
class LiveTest:
    """One test that has ended; ``index`` is 1-based, ``count`` is the number of all tests."""

    index: int
    count: int
    test: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveJob:
    """A job's state, and tests of its current attempt; none unless it is being judged."""

    state: State
    status: str
    judging: int
    attempt_id: int
    tests: tuple[LiveTest, ...] = ()
    #: the submission with its result, once the judging has ended: watchers then need both, from the same moment
    finished: Submission | None = None
    #: a contest keeps all of it from the author (``api.redact.live_for``)
    is_withheld: bool = False
