"""Audits on demand, for operators and administrators."""

from __future__ import annotations

from deepoj.api.access import needs
from deepoj.api.audits import AuditStanding
from deepoj.api.context import ApiContext
from deepoj.api.models.audits import AuditFaultView, AuditState, AuditView, OrderedAudit
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User


class AuditRoutes:
    """``/api/v1/admin/audit``."""

    def __init__(self, context: ApiContext) -> None:
        self._audits = context.audits

    @route("GET", "/api/v1/admin/audit", access=needs(Right.OPERATE), responses={200: AuditState})
    async def standing(self, _user: User) -> AuditState:
        """Return the latest audit that was ordered on this node, with its progress or result.

        For operators and administrators. Each node knows its own audits only, and forgets them when it restarts.
        """
        standing = self._audits.standing
        return AuditState(audit=None if standing is None else _view(standing))

    @route("POST", "/api/v1/admin/audit", access=needs(Right.OPERATE), responses={202: OrderedAudit})
    async def order(self, user: User) -> OrderedAudit:
        """Order an audit: check that each submission has exactly one final verdict by a fenced attempt.

        For operators and administrators. The node checks in the background, one audit at a time.
        GET returns its result.
        """
        is_new = self._audits.order(user.username)
        standing = self._audits.standing
        if standing is None:
            raise AssertionError("an ordered audit has a standing")
        return OrderedAudit(audit=_view(standing), repeated=not is_new)


def _view(standing: AuditStanding) -> AuditView:
    report = standing.report
    return AuditView(
        state=standing.state,
        by=standing.by,
        began_at=standing.began_at,
        ended_at=standing.ended_at,
        checked=standing.checked,
        verdicts=None if report is None else report.verdicts,
        failure=standing.failure,
        by_code={} if report is None else {fault.value: count for fault, count in sorted(report.by_fault.items())},
        exceptions=[]
        if report is None
        else [
            AuditFaultView(
                code=one.fault.value,
                job_id=one.job_id,
                judging=one.judging,
                attempt_id=one.attempt_id,
                detail=one.detail,
            )
            for one in report.found
        ],
    )
