"""Contests for those who run them: the list, a contest's rules and problems, its board without the freeze, all
submissions with their waits, and questions. Other pages have modules of their own: ``manage_contest_…``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from quart import Response, request

from deepoj.api.contest_answers import waits_view
from deepoj.api.contest_ledgers import topic_of
from deepoj.api.contest_sight import ContestSight
from deepoj.api.contest_texts import put_texts, texts_of
from deepoj.api.contesting import MAX_CLARIFICATION_CHARS, checked_rules
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import query_number
from deepoj.api.reviewing import ReviewFilter, matches
from deepoj.api.rights import Right, may
from deepoj.contests.views import final_comment
from deepoj.web import forms
from deepoj.web.boards import BoardFeed, BoardRendering, Boards, board_group, board_values, shown_board
from deepoj.web.contest_forms import (
    FIRST_RGB,
    RULE_NAMES,
    USUAL_FREEZE_MS,
    RulesQuestion,
    kind_of,
    latest_rules,
    problem_of,
    rules_of,
    rules_question,
    shown_rules,
)
from deepoj.web.contests import ContestReader, ContestReading, ShownProblem, phase_of, read_before, remember_read
from deepoj.web.news import BoardWithNews, News, list_query
from deepoj.web.page import member_with, page
from deepoj.web.pages.manage_contest_submission import REVIEW_FILTERS
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import (
    ClarificationDraft,
    ContestKind,
    ContestRules,
    EventType,
)
from deepoj.words.results import Verdict

_RUN = member_with(Right.RUN_CONTESTS)
_PAGE = 100
_MAX_NUMBER = 2**31 - 1
#: newest problems among which the form for one lets choose; numbers of others are typed
_MAX_OFFERED = 1000
_HOUR_MS = 3_600_000
#: what the form of a new contest shows
_FIRST_RULES = {
    ContestKind.ICPC: ContestRules(name="", duration_ms=5 * _HOUR_MS, freeze_ms=USUAL_FREEZE_MS),
    ContestKind.IOI: ContestRules(name="", duration_ms=5 * _HOUR_MS),
    ContestKind.HOMEWORK: ContestRules(
        name="", duration_ms=168 * _HOUR_MS, late_ms=48 * _HOUR_MS, late_percent=20, is_public=False
    ),
}


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what a contest's page says after an act
_DONE = {
    "made": _("The contest is made. Add its problems and its teams."),
    "rules": _("The rules are changed."),
    "finalize": _("The results are final, and the awards are given."),
    "problem": _("The problem is in the contest."),
    "remove_problem": _("The problem is no longer in the contest."),
    "answer": _("The answer is sent."),
    "announce": _("The announcement is sent to all teams."),
    "texts": _("The lists are changed."),
}
#: kind, its name, and what counts
_KINDS = (
    (ContestKind.ICPC, _("Problems (ICPC)"), _("Problems solved count, then the time that they took.")),
    (ContestKind.IOI, _("Points (IOI)"), _("Points count: of each subtask the best that any submission gets.")),
    (
        ContestKind.HOMEWORK,
        _("Homework"),
        _("The points of the best submission count. Late ones may be taken, and lose a part of their points."),
    ),
)
_NOTHING_SENT: Mapping[str, str] = dict.fromkeys(("act", "reply_to", "problem", "category", "text"), "")
#: lists of a contest's texts
_LISTS = ("categories", "answers")
#: answers to questions of contests that have no list of their own
_CANNED = (
    _("Please read the problem statement again."),
    _("Yes."),
    _("No."),
    _("No comment."),
    _("The statement is right as it is."),
)


class ManageContestPages:
    """``/manage/contests`` and what is below it."""

    def __init__(
        self,
        context: ApiContext,
        visitors: Visitors,
        pages: Pages,
        reader: ContestReader,
        boards: Boards,
        *,
        news: News,
    ) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._boards, self._news = boards, news
        self._reader, self._contesting = reader, reader.contesting

    @page("GET", "/manage/contests", access=_RUN)
    async def contests(self, visitor: Visitor) -> Response:
        """List all contests, with the form for a new one."""
        return await self._contests(visitor)

    @page("POST", "/manage/contests", access=_RUN)
    async def create(self, visitor: Visitor) -> Response:
        """Make a contest; its page then takes problems and teams."""
        form = forms.SentForm({})
        try:
            form = await self._read(visitor)
            kind = kind_of(form.get("kind"))
            contest = await self._contesting.create(form.line("key"), kind, rules_of(form, None, kind), visitor.member)
        except Refused as refused:
            return await self._contests(visitor, form, refused)
        return redirect(f"/manage/contests/{contest.key}?done=made")

    @page("GET", "/manage/contests/<key>", access=_RUN)
    async def contest(self, visitor: Visitor, key: str) -> Response:
        """Show a contest with its forms."""
        return await self._contest(visitor, await self._reader.read(visitor, key))

    @page("POST", "/manage/contests/<key>", access=_RUN)
    async def act(self, visitor: Visitor, key: str) -> Response:
        """Change the rules or the problems of a contest, as the form says (``act``)."""
        form = await self._read(visitor)
        reading = await self._reader.read(visitor, key)
        try:
            if form.get("act") == "rules":
                form = latest_rules(form, reading.contest)
            question = await self._act(reading, form, visitor)
        except Refused as refused:
            return await self._contest(visitor, await self._reader.read(visitor, key), form, refused)
        if question is not None:
            return await self._contest(visitor, reading, form, question=question)
        await self._context.contests.advance()  # what is due now should be seen now
        return redirect(f"/manage/contests/{key}?done={form.get('act')}")

    @page("GET", "/manage/contests/<key>/scoreboard", access=_RUN)
    async def scoreboard(self, visitor: Visitor, key: str) -> Response:
        """Show the board with all verdicts."""
        reading = await self._reader.read(visitor, key)
        group = board_group(reading)
        rendering = self._boards.rendering(reading, visitor, group)
        return self._pages.html(
            "contest_board.html",
            visitor,
            own=None,
            here=f"/manage/contests/{key}/scoreboard",
            **board_values(rendering, reading, group),
            **reading.frame(),
        )

    @page("GET", "/manage/contests/<key>/scoreboard/events", access=_RUN)
    async def board_events(self, visitor: Visitor, key: str) -> Response:
        """Stream the board with all verdicts as pieces of its page."""
        reading = await self._reader.read(visitor, key)
        group = board_group(reading)

        async def render() -> BoardRendering:
            ledger = await self._context.ledgers.ledger(reading.contest)
            return self._boards.rendering(replace(reading, ledger=ledger), visitor, group)

        async def remains() -> bool:
            return await self._visitors.remains(visitor, lambda user: may(user, Right.RUN_CONTESTS))

        async def read() -> ContestReading:
            return replace(reading, ledger=await self._context.ledgers.ledger(reading.contest))

        board = BoardFeed(render, None, self._boards.earlier(reading, visitor, group, shown_board()))
        feed = BoardWithNews(board, self._news.feed(visitor, read))
        return self._context.live.answer(visitor.member.id, topic_of(reading.contest), feed, remains)

    @page("GET", "/manage/contests/<key>/submissions", access=_RUN)
    async def submissions(self, visitor: Visitor, key: str) -> Response:
        """List the submissions of all teams, the newest first."""
        reading, asked = await self._reader.read(visitor, key), request.args
        skipped = query_number("after", 0, _MAX_NUMBER)
        query = {name: asked.get(name) or None for name in ("team", "problem", "verdict", "review")}
        wanted = ReviewFilter(query["review"]) if query["review"] in set(ReviewFilter) else None
        found = (
            one
            for one in reading.submissions(team_id=query["team"], label=query["problem"])
            if query["verdict"] in (None, one.verdict) and matches(reading.ledger, one.id, wanted, visitor.member.id)
        )
        shown = list(itertools.islice(found, skipped, skipped + _PAGE + 1))
        return self._pages.html(
            "manage_contest_submissions.html",
            visitor,
            submissions=shown[:_PAGE],
            teams=reading.teams().items(),
            waiting=reading.unjudged(),
            words=[Verdict.ACCEPTED, *(word for word in Verdict if word not in (Verdict.ACCEPTED, Verdict.INVALID))],
            query=query,
            reviews=REVIEW_FILTERS,
            next_after=skipped + _PAGE if len(shown) > _PAGE else None,
            is_first=skipped == 0,
            news_query=list_query(reading, query, shown[:_PAGE]),
            **reading.frame(),
        )

    @page("GET", "/manage/contests/<key>/waits", access=_RUN)
    async def waits(self, visitor: Visitor, key: str) -> Response:
        """Show how long the latest submissions of a contest waited, and how their judging was spent."""
        reading = await self._reader.read(visitor, key)
        waits = waits_view(await self._contesting.waits(reading.contest))
        return self._pages.html("manage_contest_waits.html", visitor, waits=waits, **reading.frame())

    @page("GET", "/manage/contests/<key>/clarifications", access=_RUN)
    async def clarifications(self, visitor: Visitor, key: str) -> Response:
        """Show all questions, those without an answer first, and the form for an announcement."""
        return self._clarifications(visitor, await self._reader.read(visitor, key))

    @page("POST", "/manage/contests/<key>/clarifications", access=_RUN)
    async def clarify(self, visitor: Visitor, key: str) -> Response:
        """Answer a question (``reply_to``), or announce something to all teams."""
        form = await self._read(visitor, forms.bytes_for(4 * MAX_CLARIFICATION_CHARS))
        reading, asked = await self._reader.read(visitor, key), form.get("reply_to") or None
        try:
            if form.get("act") == "texts":
                lists = {name: [one for one in form.get(name).splitlines() if one.strip()] for name in _LISTS}
                await put_texts(self._context, reading.contest, lists, visitor.member)
                return redirect(f"/manage/contests/{key}/clarifications?done=texts")
            draft = ClarificationDraft(
                reply_to_id=asked,
                problem_id=form.line("problem") or None,
                category=form.line("category"),
                # the usual answer, own words, or both
                text="\n".join(filter(None, (form.get("canned") if asked else "", form.line("text")))),
            )
            sight = ContestSight(reading.contest, reading.viewer)
            await self._contesting.clarify(sight, draft, to_all=asked is None or bool(form.get("to_all")))
        except Refused as refused:
            return self._clarifications(visitor, reading, form, refused)
        return redirect(f"/manage/contests/{key}/clarifications?done={'announce' if asked is None else 'answer'}")

    async def _act(self, reading: ContestReading, form: forms.SentForm, visitor: Visitor) -> RulesQuestion | None:
        """Do what a form says, or return what is asked about it first. Raises Refused."""
        contesting, contest, user = self._contesting, reading.contest, visitor.member
        match form.get("act"):
            case "rules":
                rules = checked_rules(rules_of(form, contest, contest.kind), contest.kind)
                question = rules_question(contest, rules) if reading.is_under_way else None
                if question is not None and form.get("sure") != question.stamp:
                    return question
                if question is not None and question.at_once:
                    reading.require_key(form)
                changes = {
                    name: getattr(rules, name)
                    for name in ContestRules.__dataclass_fields__
                    if getattr(rules, name) != getattr(contest.rules, name)
                }
                await contesting.change(contest, user, **changes)
            case "problem":
                label = form.line("label")
                former = reading.ledger.of(EventType.PROBLEMS).get(label, {})
                await contesting.put_problem(contest, label, problem_of(form, former), user)
            case "remove_problem":
                reading.require_key(form)
                await contesting.remove_problem(contest, form.get("label"), user)
            case _:
                raise Refused(ApiError.INVALID, field="act", problem="it is no act on a contest")
        return None

    async def _read(self, visitor: Visitor, max_bytes: int = forms.SMALL_BYTES) -> forms.SentForm:
        timeout_s = self._context.settings.read_timeout_s
        return await forms.read(self._visitors, visitor, timeout_s=timeout_s, max_bytes=max_bytes)

    async def _contests(
        self, visitor: Visitor, form: forms.SentForm | None = None, refused: Refused | None = None
    ) -> Response:
        found = await self._contesting.listed(visitor.user)
        kind = kind_of(request.args.get("kind", "") if form is None else form.get("kind"))
        return self._pages.html_with_refusal(
            "manage_contests.html",
            visitor,
            refused,
            contests=[(contest, phase_of(contest).value) for contest in found],
            kinds=_KINDS,
            kind=kind.value,
            rule_names=RULE_NAMES,
            has_started=False,
            sent=shown_rules(_FIRST_RULES[kind], None if form is None else form.fields),
        )

    async def _contest(
        self,
        visitor: Visitor,
        reading: ContestReading,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
        *,
        question: RulesQuestion | None = None,
    ) -> Response:
        sent: Mapping[str, str] = {} if form is None else form.fields
        return self._pages.html_with_refusal(
            "manage_contest.html",
            visitor,
            refused,
            kind=reading.contest.kind.value,
            rule_names=RULE_NAMES,
            has_started=reading.contest.started_at is not None,
            question=question,
            asked_again=bool(sent.get("sure")),
            asked={name: text for name, text in sent.items() if name not in ("form_token", "sure", "confirm")},
            sent=shown_rules(reading.contest.rules, sent if sent.get("act") == "rules" else None),
            shown=forms.shown(shown_rules(reading.contest.rules, None)),
            shown_problems={one.label: forms.shown(_shown_fields(one)) for one in reading.problems()},
            act=sent.get("act", ""),
            offered=await self._context.problems.newest_titles(visitor.member.id, _MAX_OFFERED),
            first_rgb=FIRST_RGB,
            final_comment=final_comment(reading.ledger, reading.viewer),
            team_count=sum(1 for _team in reading.objects(EventType.TEAMS)),
            done=None if refused else _DONE.get(request.args.get("done", "")),
            **reading.frame(),
        )

    def _clarifications(
        self,
        visitor: Visitor,
        reading: ContestReading,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
    ) -> Response:
        found = reading.clarifications(read=read_before())
        texts = texts_of(ContestSight(reading.contest, reading.viewer), reading.ledger)
        response = self._pages.html_with_refusal(
            "manage_contest_clarifications.html",
            visitor,
            refused,
            clarifications=sorted(found, key=lambda one: bool(one.answers) or not one.team),
            canned=texts["answers"] or _CANNED,
            texts=texts,
            sent={**_NOTHING_SENT, **({} if form is None else form.fields)},
            most=MAX_CLARIFICATION_CHARS,
            done=None if refused else _DONE.get(request.args.get("done", "")),
            **reading.frame(),
        )
        path = f"/manage/contests/{reading.contest.key}"
        remember_read(response, found, path, is_encrypted=self._visitors.is_encrypted())
        return response


def _shown_fields(problem: ShownProblem) -> dict[str, object]:
    """Return what the form of a problem shows, of the fields that another person may change meanwhile."""
    return {
        "name": problem.name,
        "rgb": problem.rgb or FIRST_RGB,
        "has_color": bool(problem.rgb),
        "color": problem.color,
        "time_limit_ms": problem.time_limit_ms,
        "memory_limit_mb": problem.memory_limit_mb,
        "max_score": problem.most,
    }
