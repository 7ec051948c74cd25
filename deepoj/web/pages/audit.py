"""The log of administrative acts, for operators and administrators."""

from __future__ import annotations

from collections.abc import Mapping

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.http.paths import query_number
from deepoj.api.rights import Right
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages
from deepoj.web.visitor import Visitor
from deepoj.words.admin_events import AdminAct, AdminEvent

_PAGE = 50
_MAX_ID = 2**63 - 1


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


ACTS: Mapping[str, str] = {
    AdminAct.ACCOUNT_CREATED: _("created the account"),
    AdminAct.PROMOTED: _("made an administrator"),
    AdminAct.DEMOTED: _("took the rights of an administrator"),
    AdminAct.ROLES_CHANGED: _("changed the roles"),
    AdminAct.DISABLED: _("disabled the account"),
    AdminAct.ENABLED: _("enabled the account"),
    AdminAct.PASSWORD_RESET: _("reset the password"),
    AdminAct.ACCOUNT_ERASED: _("erased the account"),
    AdminAct.LETTER_REQUEUED: _("requeued the dead letter"),
    AdminAct.LETTER_DISCARDED: _("discarded the dead letter"),
    AdminAct.SUBMISSION_REJUDGED: _("rejudged the submission"),
    AdminAct.PROBLEM_REJUDGED: _("rejudged the problem"),
    AdminAct.PROBLEM_CREATED: _("created the problem"),
    AdminAct.PROBLEM_CHANGED: _("changed the problem"),
    AdminAct.PROBLEM_DELETED: _("deleted the problem"),
    AdminAct.GROUP_CREATED: _("made the group"),
    AdminAct.GROUP_RENAMED: _("renamed the group"),
    AdminAct.GROUP_REMOVED: _("removed the group"),
    AdminAct.MEMBERS_ADDED: _("put people into the group"),
    AdminAct.MEMBER_REMOVED: _("took a person out of the group"),
    AdminAct.PROBLEM_VERIFIED: _("verified the problem"),
    AdminAct.STATEMENT_EDITED: _("edited the statement of the problem"),
    AdminAct.PREVIEW_STARTED: _("started a preview of a rejudge of the problem"),
    AdminAct.PREVIEW_APPLIED: _("applied a preview to the submissions of the problem"),
    AdminAct.PREVIEW_CANCELLED: _("cancelled a preview of a rejudge of the problem"),
    AdminAct.CONTEST_CREATED: _("made the contest"),
    AdminAct.CONTEST_CHANGED: _("changed the contest"),
    AdminAct.CONTEST_REMOVED: _("removed the contest"),
    AdminAct.CONTEST_FINALIZED: _("finalized the contest"),
    AdminAct.CONTEST_REJUDGED: _("rejudged in the contest"),
    AdminAct.CONTEST_REVIEWED: _("reviewed a submission of the contest"),
    AdminAct.CONTEST_CLOCK: _("changed the clock of the contest"),
    AdminAct.BACKED_UP: _("made a backup in"),
}
#: key of an event's details → its name; others are not shown
DETAILS: Mapping[str, str] = {
    "title": _("title"),
    "fields": _("fields"),
    "version": _("version"),
    "submissions": _("submissions"),
    "in_full": _("in full"),
    "verdict": _("verdict"),
    "since": _("since"),
    "until": _("until"),
    "judging": _("judging"),
    "attempt_id": _("attempt"),
    "note": _("note"),
    "language": _("language"),
    "is_admin": _("administrator"),
    "roles": _("roles"),
    "former_name": _("former name"),
    "username": _("username"),
    "usernames": _("usernames"),
    "preview": _("preview"),
    "left_out": _("left out"),
    "team": _("team"),
    "bound": _("accounts bound to addresses"),
    "networks": _("addresses"),
    "passwords_made": _("new passwords made"),
    "passwords_dropped": _("new passwords thrown away"),
    "team_removed": _("team removed"),
    "problem_removed": _("problem removed"),
}
_OF_SUBMISSIONS = (AdminAct.LETTER_REQUEUED, AdminAct.LETTER_DISCARDED, AdminAct.SUBMISSION_REJUDGED)
_OF_PROBLEMS = (
    AdminAct.PROBLEM_REJUDGED,
    AdminAct.PROBLEM_CREATED,
    AdminAct.PROBLEM_CHANGED,
    AdminAct.PROBLEM_VERIFIED,
    AdminAct.STATEMENT_EDITED,
    AdminAct.PREVIEW_STARTED,
    AdminAct.PREVIEW_APPLIED,
    AdminAct.PREVIEW_CANCELLED,
)


class AuditPages:
    """``/manage/audit``."""

    def __init__(self, context: ApiContext, pages: Pages) -> None:
        self._events, self._pages = context.admin_events, pages

    @page("GET", "/manage/audit", access=member_with(Right.OPERATE))
    async def audit(self, visitor: Visitor) -> Response:
        """List administrative acts, newest first."""
        before = query_number("before", None, _MAX_ID)
        found = await self._events.admin_events(_PAGE + 1, before)
        shown = found[:_PAGE]
        return self._pages.html(
            "audit.html",
            visitor,
            events=[
                (
                    event,
                    ACTS.get(event.act, event.act),
                    _place(event, visitor),
                    _details(event, sees_titles=visitor.may(Right.READ_RESULTS)),
                )
                for event in shown
            ],
            before=before,
            next_before=shown[-1].id if len(found) > _PAGE else None,
        )


def _details(event: AdminEvent, *, sees_titles: bool) -> list[tuple[str, str]]:
    """Return name and value of each detail that says something; of a flag that is set, the name alone. ``sees_titles``:
    of problems, which may be drafts: operators do not see those."""
    found = []
    for key, name in DETAILS.items():
        value = event.details.get(key)
        if key == "title" and not sees_titles:
            continue
        if isinstance(value, list):
            found.append((name, ", ".join(map(str, value))))
        elif value not in (None, "", False):
            found.append((name, "" if value is True else str(value)))
    return found


def _place(event: AdminEvent, visitor: Visitor) -> str:
    """Return the page of the subject; empty: it may be gone, has none, or the visitor has no right to it."""
    if event.act in _OF_SUBMISSIONS or event.act in _OF_PROBLEMS:
        if not visitor.may(Right.READ_RESULTS):
            return ""
        return f"/{'submissions' if event.act in _OF_SUBMISSIONS else 'problems'}/{event.subject}"
    user_id = event.details.get("user_id")
    is_there = isinstance(user_id, int) and event.act != AdminAct.ACCOUNT_ERASED
    return f"/manage/users/{user_id}" if is_there and visitor.may(Right.MANAGE_PEOPLE) else ""
