"""Verifications of problems: a submission of a package that a node judges."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.words.background import BackgroundClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleClaim(BackgroundClaim):
    """The claim of a submission of a verification."""

    #: the submission with its promise (``judging.problem.Example``), as JSON
    example: str
    #: of the package (``judging.problem.Points``)
    points: str
