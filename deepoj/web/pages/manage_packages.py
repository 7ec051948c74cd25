"""Replacing a problem's package: upload, look at what it changes, apply."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.http.upload import Form
from deepoj.api.publishing import Publishing
from deepoj.api.replacing import Replacing, package_limits
from deepoj.api.rights import Right
from deepoj.judging import compare
from deepoj.packages.changes import ChangeKind, PackageChanges
from deepoj.web import forms
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem

#: tests that are shown of a comparison; further ones are counted
_SHOWN = 200
#: submissions of the problem that are counted
_COUNTED = 10_000


class ManagePackagePages:
    """``/manage/problems/{id}/replace``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._visitors, self._pages, self._settings = visitors, pages, context.settings
        self._publishing, self._lists = Publishing(context), context.lists
        self._replacing = Replacing(context, self._publishing)

    @page("GET", "/manage/problems/<problem_id>/replace", access=member_with(Right.CHANGE_PROBLEMS))
    async def replace(self, visitor: Visitor, problem_id: str) -> Response:
        """Show what a staged package changes, or the form for a new package."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        asked = request.args
        token = asked.get("package", "")
        fields = {
            "time_limit": asked.get("time_limit", ""),
            "memory_limit": asked.get("memory_limit", ""),
            "compare": asked.get("compare", ""),
        }
        if not token:
            return self._page(visitor, problem, fields)
        try:
            changes = await self._replacing.staged(problem, token, fields)
        except Refused as refused:
            return self._page(visitor, problem, fields, refused)
        return self._pages.html(
            "manage_replace.html",
            visitor,
            problem=problem,
            changes=changes if isinstance(changes, PackageChanges) else None,
            fault=None if isinstance(changes, PackageChanges) else changes,
            counts={kind.value: changes.count(kind) for kind in ChangeKind if isinstance(changes, PackageChanges)},
            shown=_SHOWN,
            count=sum(one.count for one in await self._lists.verdict_counts(problem.id, _COUNTED)),
            counted=_COUNTED,
            hidden={"package": token, "version": str(problem.version), **package_limits(fields)},
            is_stale=asked.get("stale") == "1",
            sent={},
            refused=None,
            ways=list(compare.WAYS),
        )

    @page("POST", "/manage/problems/<problem_id>/replace", access=member_with(Right.CHANGE_PROBLEMS))
    async def send(self, visitor: Visitor, problem_id: str) -> Response:
        """Take a package to be looked at, or apply one."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        sent: dict[str, str] = {}
        try:
            if request.mimetype == "multipart/form-data":
                return redirect(await self._stage(visitor, problem, sent))
            small = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
            sent.update(small.fields)
            if sent.get("package") and sent.get("version") != str(problem.version):
                return redirect(_address(problem, sent["package"], sent) + "&stale=1")
            changed = await self._replacing.apply(problem, sent.get("package", ""), sent, visitor.member)
        except Refused as refused:
            return self._page(visitor, problem, sent, refused)
        return redirect(f"/manage/problems/{problem.id}?changed={changed.version}&report=1")

    async def _stage(self, visitor: Visitor, problem: Problem, sent: dict[str, str]) -> str:
        """Stage the package of the current request. Return the address of its report. ``sent`` gets the fields even if
        the package is refused, unless the form is not ours."""

        def check(fields: Mapping[str, str]) -> None:
            self._visitors.require_form_token(visitor, fields.get("form_token", ""))
            sent.update(fields)

        async with self._publishing.received(check) as form:
            token = await self._replacing.stage(problem, Form(package_limits(sent), form.file))
        return _address(problem, token, sent)

    def _page(
        self, visitor: Visitor, problem: Problem, sent: Mapping[str, str], refused: Refused | None = None
    ) -> Response:
        return self._pages.html_with_refusal(
            "manage_replace.html",
            visitor,
            refused,
            problem=problem,
            changes=None,
            fault=None,
            hidden={},
            is_stale=False,
            sent=sent,
            ways=list(compare.WAYS),
        )


def _address(problem: Problem, token: str, fields: Mapping[str, str]) -> str:
    """Return the address of the report about a staged package."""
    return f"/manage/problems/{problem.id}/replace?{urlencode({'package': token, **package_limits(fields)})}"
