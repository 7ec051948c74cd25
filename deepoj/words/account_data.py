"""Privacy, export and erasure of accounts."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from deepoj.words.submissions import ListPlace, Submission


class ProfileFor(enum.StrEnum):
    """Who sees a profile, beside its owner."""

    EVERYONE = "everyone"
    #: everyone who is logged in
    MEMBERS = "members"
    ADMINISTRATORS = "administrators"


@dataclass(frozen=True, slots=True)
class OwnSubmissions:
    """A page of an account's submissions with their sources, oldest first. ``next``: where the following page begins;
    None: there is none."""

    submissions: tuple[Submission, ...]
    next: ListPlace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRun:
    """A custom run of an account, as its export has it."""

    run_id: str
    language: str
    code: str
    stdin: bytes
    #: ``pending``, ``running`` or a ``CustomStatus``
    status: str
    stdout: bytes
    stderr: bytes
    #: ISO 8601
    created_at: str
