"""Who may do what, as one table, which routes, pages and streams share.

An administrator may do everything. A role has rights to everything of a kind, or only to what belongs to problems that
the account itself has made. Roles are read with the account at each request, so a change acts at once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from deepoj.api.errors import ApiError, Refused
from deepoj.words.accounts import User, UserRole
from deepoj.words.background import SetterQuota


class Right(enum.StrEnum):
    """What accounts may be allowed to do."""

    #: make problems
    MAKE_PROBLEMS = "make_problems"
    #: change problems, replace their packages, delete them
    CHANGE_PROBLEMS = "change_problems"
    #: what setters see of a problem, and all its submissions with sources, whole results and exports
    READ_RESULTS = "read_results"
    REJUDGE = "rejudge"
    #: make and run contests, and see everything of them
    RUN_CONTESTS = "run_contests"
    #: the state of the system, dead letters, webhooks that were given up, the log of administrative acts
    OPERATE = "operate"
    #: accounts, their rights, and groups
    MANAGE_PEOPLE = "manage_people"


class RightScope(enum.Enum):
    """What a right reaches."""

    #: problems that the account has made
    OWN = enum.auto()
    ALL = enum.auto()


#: what of this decides who sees drafts and private problems is written again in SQL, so that lists are one statement:
#: ``open_problems`` of migration 032
RIGHTS: Mapping[Right, Mapping[UserRole, RightScope]] = {
    Right.MAKE_PROBLEMS: {UserRole.SETTER: RightScope.ALL},
    Right.CHANGE_PROBLEMS: {UserRole.SETTER: RightScope.OWN},
    Right.READ_RESULTS: {UserRole.SETTER: RightScope.OWN, UserRole.JURY: RightScope.ALL},
    Right.REJUDGE: {UserRole.SETTER: RightScope.OWN, UserRole.JURY: RightScope.ALL},
    Right.RUN_CONTESTS: {UserRole.JURY: RightScope.ALL},
    Right.OPERATE: {UserRole.OPERATOR: RightScope.ALL},
    Right.MANAGE_PEOPLE: {},
}


def reach(user: User, right: Right) -> RightScope | None:
    """Return what the user's right reaches; None: the user does not have it."""
    if user.is_admin:
        return RightScope.ALL
    reaches = {RIGHTS[right][role] for role in user.roles & RIGHTS[right].keys()}
    return RightScope.ALL if RightScope.ALL in reaches else next(iter(reaches), None)


def quota_of(user: User, most: int) -> SetterQuota | None:
    """Return the bound of a setter's background judging; None: an account that may rejudge the problems of others has
    none."""
    return None if reach(user, Right.REJUDGE) is RightScope.ALL else SetterQuota(user.id, most)


def may(user: User, right: Right, created_by: int | None = None) -> bool:
    """Return whether the user has the right to a problem that the account ``created_by`` has made, or to what belongs
    to it; None: to one that nothing is known of."""
    reached = reach(user, right)
    return reached is RightScope.ALL or (reached is RightScope.OWN and created_by == user.id)


def require(user: User, right: Right, created_by: int | None = None) -> None:
    """Raise Refused unless the user may do it (``may``)."""
    if not may(user, right, created_by):
        raise Refused(refusal_for(right))


def require_some(user: User, right: Right) -> None:
    """Raise Refused if the user has the right to nothing: for what is checked before a problem is known."""
    if reach(user, right) is None:
        raise Refused(refusal_for(right))


def refusal_for(right: Right) -> ApiError:
    """Return the error for accounts without the right."""
    return ApiError.NO_RIGHT if RIGHTS[right] else ApiError.ADMIN_ONLY
