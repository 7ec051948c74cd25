"""Judging that no user waits for, in tables of its own: submissions of verifications and of previews, and reruns."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.words.sources import Sources

#: claims of a program that count: it may have caused the death of its node
MAX_ATTEMPTS = 2
#: how long nothing may change before programs end as not judged: in a verification, in all previews
MAX_WAIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class SetterQuota:
    """At most ``most`` verifications of problems that the account ``setter`` has made run at a time, and as many
    previews."""

    setter: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundClaim(Sources):
    """The right to make one attempt at a program while the lease is valid."""

    #: the verification or the preview, and the program's place in it; a rerun is a batch of its own
    batch_id: int
    place: int
    attempt_id: int
    #: claims that count against the bound, with this one
    attempts: int
    lease_owner: str
    problem_id: int
    problem_version: int
    language: str
