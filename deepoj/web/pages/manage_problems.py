"""Problems for setters, the jury and administrators: uploading, changing, deleting, rejudging, results."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from quart import Response, request

from deepoj.api.catalog import maker_with
from deepoj.api.context import ApiContext
from deepoj.api.downloads import Rows, csv_of, download, json_of
from deepoj.api.errors import ApiError, Refused
from deepoj.api.filters import language_filter, verdict_filter
from deepoj.api.grouping import MAX_OFFERED
from deepoj.api.http.paths import problem_id_of, query_number
from deepoj.api.http.upload import Form, new_path
from deepoj.api.previewing import Previewing
from deepoj.api.publishing import Publishing
from deepoj.api.rejudging import order_rejudge
from deepoj.api.rights import Right, RightScope, may, reach
from deepoj.api.submitting import status_word, status_word_of
from deepoj.api.verifying import Verifying
from deepoj.judging import compare
from deepoj.judging.abilities import BY_PACKAGE
from deepoj.judging.languages import LANGUAGES
from deepoj.packages.report import PackageReport, PackageReports
from deepoj.web import forms, user_results
from deepoj.web.charts import time_bars
from deepoj.web.matrix import Matrix, matrix_of, place_of
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.shown import is_blank
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.accounts import User
from deepoj.words.groups import by_name
from deepoj.words.jobs import State
from deepoj.words.problems import Problem
from deepoj.words.rejudges import EVERYTHING, RejudgeOrder, RejudgeScope
from deepoj.words.submissions import ListPlace, SubmissionItem, SubmissionQuery, VerdictCount

_PAGE = 50
_MAX_AFTER = 2**63 - 1
#: newest submissions that are counted by verdict, and those whose verdicts before and after a rejudge are compared:
#: about 40 and 80 ms of the database's time
_COUNTED, _COMPARED = 20_000, 10_000
#: newest submissions whose times are counted: about 70 ms of the database's time, with results of 3 KB
_TIMED = 2_000
#: a statement of more bytes has text: looking for it would keep the event loop busy
_MAX_BLANK_BYTES = 10_000
#: submissions of a download that are read at once
_ROWS = 1_000
#: a form without a file: a description of 64 KiB, percent-encoded
_MAX_FORM_BYTES = 256 * 1024
#: and a box for each language and each group that it offers
_MAX_PARTS = 32 + len(LANGUAGES) + MAX_OFFERED
_HEADS = (
    "job_id", "username", "language", "verdict", "score", "time_ms", "memory_kb", "judging", "submitted_at",
)  # fmt: skip
_FINISHED = (State.DONE, State.DEAD)


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: note about a statement
_BLANK = _("The statement in the language {language} has no text.")


class ManageProblemPages:
    """``/manage/problems``, ``/manage/problems/{id}``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._settings, self._publishing = context.settings, Publishing(context)
        self._verifying, self._previewing = Verifying(context), Previewing(context)
        upload_dir = context.settings.upload_dir
        self._reports = PackageReports(context.blobs, lambda: new_path(upload_dir), context.settings.problems.unzip)

    # -- the list, and new problems

    @page("GET", "/manage/problems", access=member_with(Right.READ_RESULTS))
    async def problems(self, visitor: Visitor) -> Response:
        """List problems with the form for a new one."""
        return await self._problems(visitor)

    @page("POST", "/manage/problems", access=member_with(Right.MAKE_PROBLEMS))
    async def create(self, visitor: Visitor) -> Response:
        """Create a problem from a package; its page shows what was read."""
        sent: dict[str, str] = {}
        try:
            async with self._received(visitor, sent) as form:
                given = {name: value for name, value in form.fields.items() if value.strip()}
                published = await self._publishing.create(Form(given, form.file), visitor.member)
        except Refused as refused:
            return await self._problems(visitor, sent, refused)
        self._reports.keep(published.problem, published.plan)
        return redirect(f"/manage/problems/{published.problem.id}?report=1")

    # -- one problem

    @page("GET", "/manage/problems/<problem_id>", access=member_with(Right.READ_RESULTS))
    async def problem(self, visitor: Visitor, problem_id: str) -> Response:
        """Show a problem with its forms, and what its package holds if that is asked for."""
        return await self._problem(
            visitor, await self._publishing.allowed(visitor.member, Right.READ_RESULTS, problem_id)
        )

    @page("POST", "/manage/problems/<problem_id>", access=member_with(Right.CHANGE_PROBLEMS))
    async def change(self, visitor: Visitor, problem_id: str) -> Response:
        """Change what the form names; a package is replaced on a page of its own."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        sent: dict[str, str] = {}
        try:
            async with self._received(visitor, sent) as form:
                # what is left as it was shown stays as it is now: somebody else may have changed it
                fields = forms.SentForm(_with_choices(form.fields))
                given = {name: text for name, text in fields.fields.items() if name not in fields.untouched()}
                changed = await self._publishing.change(problem.id, Form(given), visitor.member)
        except Refused as refused:
            return await self._problem(visitor, problem, _touched(sent), refused)
        query = f"changed={changed.version}" if changed.version != problem.version else "saved=1"
        return redirect(f"/manage/problems/{problem.id}?{query}")

    @page("GET", "/manage/problems/<problem_id>/delete", access=member_with(Right.CHANGE_PROBLEMS))
    async def ask_delete(self, visitor: Visitor, problem_id: str) -> Response:
        """Say what deleting a problem deletes."""
        return await self._delete(
            visitor, await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        )

    @page("POST", "/manage/problems/<problem_id>/delete", access=member_with(Right.CHANGE_PROBLEMS))
    async def delete(self, visitor: Visitor, problem_id: str) -> Response:
        """Delete a problem, and its submissions if the form says so."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
        try:
            await self._publishing.delete(problem.id, visitor.member, force=form.get("force") == "1")
        except Refused as refused:
            return await self._delete(visitor, problem, refused)
        return redirect(f"/manage/problems?deleted={problem.id}")

    # -- rejudging

    @page("GET", "/manage/problems/<problem_id>/rejudge", access=member_with(Right.REJUDGE))
    async def rejudge(self, visitor: Visitor, problem_id: str) -> Response:
        """Show the progress of the latest rejudge and what it changed, the form for the next one, and the history."""
        return await self._rejudge(visitor, await self._publishing.allowed(visitor.member, Right.REJUDGE, problem_id))

    @page("POST", "/manage/problems/<problem_id>/rejudge", access=member_with(Right.REJUDGE))
    async def order(self, visitor: Visitor, problem_id: str) -> Response:
        """Rejudge the submissions of a problem, all or those that the form's filters name, or preview that."""
        problem = await self._publishing.allowed(visitor.member, Right.REJUDGE, problem_id)
        form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
        in_full = form.get("full") == "1"
        scope = RejudgeScope(
            verdict=verdict_filter(form.line("verdict") or None),
            language=language_filter(form.line("language") or None),
            since=_start_of(form, "since"),
            until=_start_of(form, "until"),
        )
        if form.get("act") != "preview":
            await order_rejudge(self._context.rejudges, problem.id, visitor.member, in_full=in_full, scope=scope)
            return redirect(f"/manage/problems/{problem.id}/rejudge")
        try:
            preview = await self._previewing.start(problem, visitor.member, in_full=in_full, scope=scope)
        except Refused as refused:
            return await self._rejudge(visitor, problem, refused)
        return redirect(f"/manage/problems/{problem.id}/previews/{preview.id}")

    # -- results

    @page("GET", "/manage/problems/<problem_id>/results.csv", access=member_with(Right.READ_RESULTS))
    async def results_csv(self, visitor: Visitor, problem_id: str) -> Response:
        """Download the results as CSV, all or those of a group; with ``by=user`` a row for each account."""
        problem = await self._publishing.allowed(visitor.member, Right.READ_RESULTS, problem_id)
        if request.args.get("by") == "user":
            of_users = csv_of(
                user_results.HEADS, self._results_by_user(visitor, problem, _query(problem)), has_bom=True
            )
            return download(f"problem-{problem.id}-users.csv", "text/csv; charset=utf-8; header=present", of_users)
        content = csv_of(_HEADS, self._results(visitor, problem, _query(problem)), has_bom=True)
        return download(f"problem-{problem.id}.csv", "text/csv; charset=utf-8; header=present", content)

    @page("GET", "/manage/problems/<problem_id>/results.json", access=member_with(Right.READ_RESULTS))
    async def results_json(self, visitor: Visitor, problem_id: str) -> Response:
        """Download the results as JSON, all or those of a group."""
        problem = await self._publishing.allowed(visitor.member, Right.READ_RESULTS, problem_id)
        content = json_of(_HEADS, self._results(visitor, problem, _query(problem)))
        return download(f"problem-{problem.id}.json", "application/json", content)

    async def _results(self, visitor: Visitor, problem: Problem, query: SubmissionQuery) -> Rows:
        """Yield the rows of a query, newest first."""
        async for items in self._items(visitor, problem, query):
            yield [_row(item) for item in items]

    async def _results_by_user(self, visitor: Visitor, problem: Problem, query: SubmissionQuery) -> Rows:
        """Yield a row for each account of a query, once all of it was read."""
        results = user_results.UserResults()
        async for items in self._items(visitor, problem, query):
            results.add(items)
        yield results.rows()

    async def _items(
        self, visitor: Visitor, problem: Problem, query: SubmissionQuery
    ) -> AsyncGenerator[Sequence[SubmissionItem]]:
        """Yield the submissions of a query, newest first. Rights are checked before each part: it may take long."""

        def is_allowed(user: User) -> bool:
            return may(user, Right.READ_RESULTS, maker_with(Right.READ_RESULTS, problem))

        place: ListPlace | None = None
        while True:
            found = await self._context.lists.submissions(query, _ROWS, place)
            yield found.items
            place = found.next
            if place is None:
                return
            if not await self._visitors.remains(visitor, is_allowed):
                raise Refused(ApiError.BAD_TOKEN)  # ends the connection: half a file must not look whole

    # -- parts

    @contextlib.asynccontextmanager
    async def _received(self, visitor: Visitor, sent: dict[str, str]) -> AsyncGenerator[Form]:
        """Receive a form, with a package if it is multipart. ``sent`` gets its fields even if it is refused, unless it
        is not ours. A line of a field ends with a line feed (browsers send CR LF)."""

        def check(fields: Mapping[str, str]) -> None:
            self._visitors.require_form_token(visitor, fields.get("form_token", ""))
            sent.update({name: value.replace("\r\n", "\n") for name, value in fields.items()})

        if request.mimetype != "multipart/form-data":
            timeout_s = self._settings.read_timeout_s
            small = await forms.read(
                self._visitors, visitor, timeout_s=timeout_s, max_bytes=_MAX_FORM_BYTES, max_parts=_MAX_PARTS
            )
            sent.update(small.fields)
            yield Form(sent)
            return
        async with self._publishing.received(check) as form:
            yield Form(sent, form.file)

    async def _problems(
        self, visitor: Visitor, sent: Mapping[str, str] | None = None, refused: Refused | None = None
    ) -> Response:
        after = query_number("after", 0, _MAX_AFTER)
        if reach(visitor.member, Right.READ_RESULTS) is RightScope.ALL:
            found = await self._context.problems.problems(after, _PAGE + 1)
        else:
            found = await self._context.problems.problems_of(visitor.member.id, after, _PAGE + 1)
        shown = found[:_PAGE]
        deleted = request.args.get("deleted", "")
        return self._pages.html_with_refusal(
            "manage_problems.html",
            visitor,
            refused,
            problems=shown,
            next_after=shown[-1].id if len(found) > _PAGE else None,
            is_first=after == 0,
            deleted=deleted if problem_id_of(deleted) is not None else "",
            sent=sent or {},
            ways=list(compare.WAYS),
        )

    async def _problem(
        self,
        visitor: Visitor,
        problem: Problem,
        sent: Mapping[str, str] | None = None,
        refused: Refused | None = None,
    ) -> Response:
        # a form that is refused shows the page also to a setter from whom a contest keeps the results
        is_open = may(visitor.member, Right.READ_RESULTS, maker_with(Right.READ_RESULTS, problem))
        counts = await self._context.lists.verdict_counts(problem.id, _COUNTED) if is_open else []
        times = await self._context.lists.time_counts(problem.id, _TIMED) if is_open else []
        report = None
        if refused is None and request.args.get("report") == "1":
            report = await self._reports.report(problem)
        verification, groups = await self._verifying.latest(problem), await self._groups(problem)
        return self._pages.html_with_refusal(
            "manage_problem.html",
            visitor,
            refused,
            problem=problem,
            by_package=problem.compare == BY_PACKAGE,
            is_judged_now=self._context.is_judged_now,
            verification=verification,
            report=report if isinstance(report, PackageReport) else None,
            fault=None if isinstance(report, PackageReport) else report,
            counts=[(one, status_word_of(one.state, one.status)) for one in counts],
            count=sum(one.count for one in counts),
            counted=_COUNTED,
            bars=time_bars(times, problem.time_limit_ms),
            timed=_TIMED,
            finished=_FINISHED,
            changed="changed" in request.args or "saved" in request.args,
            is_new_version="changed" in request.args,
            sent=sent or {},
            shown=forms.shown(_shown(problem, groups["seen_by"])),
            ways=list(compare.WAYS),
            **await self._statement(visitor, problem),
            **groups,
        )

    async def _statement(self, visitor: Visitor, problem: Problem) -> dict[str, Any]:
        """Return what contestants do not see of the statement, a sentence each."""
        index = await self._context.statements.statement_index(problem.id)
        if index is None:
            return {"is_statement_pending": True, "statement_notes": []}
        notes, translate = list(index.notes), gettext_of(visitor.language)
        short = await self._context.statements.short_texts(problem.id, _MAX_BLANK_BYTES)
        notes += [translate(_BLANK).format(language=language) for language, html in short.items() if is_blank(html)]
        return {"is_statement_pending": index.is_pending, "statement_notes": notes}

    async def _rejudge(self, visitor: Visitor, problem: Problem, refused: Refused | None = None) -> Response:
        order = await self._context.rejudges.rejudge_order(problem.id)
        changes = [] if order is None else await self._context.rejudges.verdict_changes(order.id, _COMPARED)
        matrix = matrix_of(changes)
        counts = await self._context.lists.verdict_counts(problem.id, _COUNTED)
        return self._pages.html_with_refusal(
            "manage_rejudge.html",
            visitor,
            refused,
            problem=problem,
            order=order,
            matrix=matrix,
            is_over=_is_over(order, matrix),
            count=sum(one.count for one in counts),
            counted=_COUNTED,
            compared=_COMPARED,
            given=_verdicts_of(counts),
            everything=EVERYTHING,
            past=await self._previewing.past(problem),
        )

    async def _groups(self, problem: Problem) -> dict[str, Any]:
        """Return the groups that can be chosen, and those that see the problem while it is private."""
        groups = await self._context.groups.groups(MAX_OFFERED + 1)
        seen_by = await self._context.problems.problem_groups(problem.id)
        offered = by_name(groups[:MAX_OFFERED])
        names = {group.name for group in offered}
        return {
            "groups": offered,
            "has_more_groups": len(groups) > MAX_OFFERED,
            "seen_by": seen_by,
            "unlisted": [name for name in seen_by if name not in names],
        }

    async def _delete(self, visitor: Visitor, problem: Problem, refused: Refused | None = None) -> Response:
        counts = await self._context.lists.verdict_counts(problem.id, _COUNTED)
        return self._pages.html_with_refusal(
            "manage_problem_delete.html",
            visitor,
            refused,
            problem=problem,
            count=sum(one.count for one in counts),
            unfinished=sum(one.count for one in counts if one.state not in _FINISHED),
            counted=_COUNTED,
        )


def _with_choices(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a change, with the boxes of languages and of groups as the lists that the API takes."""
    joined = dict(fields)
    if "with_languages" in fields:
        joined["languages"] = ",".join(key for key in LANGUAGES if f"language-{key}" in fields)
    if "with_groups" in fields:
        chosen = {value for name, value in fields.items() if name.startswith("group-")}
        chosen |= {line.strip() for line in fields.get("groups", "").splitlines()} - {""}
        joined["groups"] = "\n".join(sorted(chosen))
    return joined


def _touched(sent: Mapping[str, str]) -> dict[str, str]:
    """Return what a refused form shows again: the fields that its sender has changed."""
    untouched = forms.SentForm(_with_choices(sent)).untouched()
    untouched |= {f"with_{name}" for name in untouched}  # without it the boxes are as the problem says
    return {name: text for name, text in sent.items() if name not in untouched}


def _shown(problem: Problem, seen_by: Sequence[str]) -> dict[str, object]:
    """Return what the form of a problem shows, with its boxes as ``_with_choices`` joins them."""
    return {
        "title": problem.title,
        "difficulty": problem.difficulty,
        "time_limit": problem.time_limit_ms,
        "memory_limit": problem.memory_limit_mb,
        "compare": problem.compare,
        "visibility": problem.visibility,
        "tags": ", ".join(problem.tags),
        "description": problem.description,
        "languages": ",".join(key for key in LANGUAGES if key in problem.languages),
        "groups": "\n".join(sorted(seen_by)),
    }


def _verdicts_of(counts: Sequence[VerdictCount]) -> list[str]:
    """Return the verdicts that submissions have, in their usual order."""
    return sorted({one.status for one in counts if one.state is State.DONE}, key=place_of)


def _start_of(form: forms.SentForm, name: str) -> dt.datetime | None:
    """Return the beginning of a day in UTC. Raises Refused."""
    day = form.line(name)
    if not day:
        return None
    try:
        return dt.datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise Refused(ApiError.INVALID, field=name, problem="a day such as 2026-01-31") from error


def _query(problem: Problem) -> SubmissionQuery:
    """Return the submissions whose results the request asks for: all, or those of a group."""
    group_id = query_number("group", None, _MAX_AFTER) if request.args.get("group") else None
    return SubmissionQuery(problem_id=problem.id, group_id=group_id)


def _is_over(order: RejudgeOrder | None, matrix: Matrix) -> bool:
    """Return whether the page of a rejudge changes no more by itself."""
    return order is None or (order.finished and not matrix.waiting)


def _row(item: SubmissionItem) -> Sequence[Any]:
    return (
        item.job_id,
        item.username,
        item.language,
        status_word(item),
        item.score,
        item.time_used_ms,
        item.memory_used_kb,
        item.judging,
        item.created_at,
    )
