"""The kind of a problem by its ``problem.yaml``: it decides how the tests are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ProblemKind:
    """The kind of a problem by its ``problem.yaml``."""

    #: the format is 2023-07-draft or later
    draft: bool
    scoring: bool = False
    interactive: bool = False
    multipass: bool = False
    output_only: bool = False
    #: judged by an output validator of the package
    custom: bool = False
    #: that validator also gives scores
    validator_scores: bool = False
    #: ``validator_flags`` of problem.yaml
    flags: tuple[str, ...] = ()
    #: the format's version is 2025-09 or later
    stable: bool = False
    #: the package carries marks of DOMjudge
    domjudge: bool = False
    #: problem.yaml's ``grading``, for all groups
    grading: Mapping[str, Any] = field(default_factory=dict)
    #: sentences for ``Plan.unsupported``
    notes: list[str] = field(default_factory=list)
