"""What administrators have done."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class AdminAct(enum.StrEnum):
    """An act of an administrator; the statements in ``sql/queries`` write these words."""

    ACCOUNT_CREATED = "account_created"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    ROLES_CHANGED = "roles_changed"
    DISABLED = "disabled"
    ENABLED = "enabled"
    PASSWORD_RESET = "password_reset"  # noqa: S105  # the name of an act
    ACCOUNT_ERASED = "account_erased"
    LETTER_REQUEUED = "dead_letter_requeued"
    LETTER_DISCARDED = "dead_letter_discarded"
    SUBMISSION_REJUDGED = "submission_rejudged"
    PROBLEM_REJUDGED = "problem_rejudged"
    PROBLEM_CREATED = "problem_created"
    PROBLEM_CHANGED = "problem_changed"
    PROBLEM_DELETED = "problem_deleted"
    GROUP_CREATED = "group_created"
    GROUP_RENAMED = "group_renamed"
    GROUP_REMOVED = "group_removed"
    MEMBERS_ADDED = "group_members_added"
    MEMBER_REMOVED = "group_member_removed"
    PROBLEM_VERIFIED = "problem_verified"
    STATEMENT_EDITED = "statement_edited"
    PREVIEW_STARTED = "preview_started"
    PREVIEW_APPLIED = "preview_applied"
    PREVIEW_CANCELLED = "preview_cancelled"
    CONTEST_CREATED = "contest_created"
    CONTEST_CHANGED = "contest_changed"
    CONTEST_REMOVED = "contest_removed"
    CONTEST_FINALIZED = "contest_finalized"
    CONTEST_REJUDGED = "contest_rejudged"
    CONTEST_REVIEWED = "contest_reviewed"
    CONTEST_CLOCK = "contest_clock"
    BACKED_UP = "backed_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminEvent:
    """A row of the log (table ``admin_events``)."""

    id: int
    #: ISO 8601, by the database's clock
    at: str
    #: the administrator's user name; for commands, the user of the host and the command
    actor: str
    act: str
    #: a user name, a group's name, a job id or a problem's number, as the act says
    subject: str
    details: Mapping[str, object]
