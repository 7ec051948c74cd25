"""Verifications of problems: a submission of a package that a node judges."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from deepoj.words.background import BackgroundClaim


class VerificationRefusal(enum.StrEnum):
    """Why a verification was not started."""

    #: the problem is gone or has another version
    OUTDATED = "outdated"
    #: as many of the setter's problems are being verified as may be
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleClaim(BackgroundClaim):
    """The claim of a submission of a verification."""

    #: the submission with its promise (``judging.problem.Example``), as JSON
    example: str
    #: of the package (``judging.problem.Points``)
    points: str
