"""Verifications of problems: a submission of a package that a node judges."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.words.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleClaim(Sources):
    """The right to make one attempt at a submission of a verification while the lease is valid."""

    verification_id: int
    place: int
    attempt_id: int
    #: claims that count against the bound, with this one
    attempts: int
    lease_owner: str
    problem_id: int
    problem_version: int
    #: the submission with its promise (``judging.problem.Example``), as JSON
    example: str
    #: of the package (``judging.problem.Points``)
    points: str
    language: str
