"""Submissions: the list, and a submission as it is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.grouping import MAX_OFFERED
from deepoj.api.http.paths import query_number
from deepoj.api.live.jobs import JobFeed
from deepoj.api.redact import item_for
from deepoj.api.rerunning import Rerunning
from deepoj.api.rights import Right
from deepoj.api.submitting import (
    MOST_BEFORE,
    QUEUING,
    Reading,
    asked_job_id,
    before_of,
    readable,
    reads_all_of,
    status_body,
    status_word,
    status_word_of,
)
from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import language_of
from deepoj.web import forms, sentences
from deepoj.web.contests import ContestReader
from deepoj.web.live import PieceFeed, SoFar
from deepoj.web.operating import Watch
from deepoj.web.page import MEMBER, member_with, page
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.result_points import points_of
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import ContestKind, ContestPlace
from deepoj.words.groups import by_name
from deepoj.words.jobs import State
from deepoj.words.problems import Problem
from deepoj.words.results import Verdict
from deepoj.words.submissions import ListPlace, Submission, SubmissionQuery

_PAGE = 50
_MAX_ID = 2**63 - 1
#: superseded verdicts that are shown
_JUDGINGS = 20
#: filter among the verdicts
_UNFINISHED = "none"
#: microseconds up to the year 2286, and an id
_PLACE = re.compile(r"[0-9]{1,16}-[0-9]{1,18}")


class SubmissionPages:
    """``/submissions``, ``/submissions/{job_id}``, its ``/events``, and the form that runs one of its tests again."""

    def __init__(
        self, context: ApiContext, visitors: Visitors, pages: Pages, watch: Watch, reader: ContestReader
    ) -> None:
        self._context, self._visitors, self._pages, self._watch = context, visitors, pages, watch
        self._reader = reader
        self._steps, self._rerunning = context.settings.hidden_steps, Rerunning(context)

    @page("GET", "/submissions", access=MEMBER)
    async def submissions(self, visitor: Visitor) -> Response:
        """List the visitor's submissions, or all for those who may read them, newest first."""
        user, asked = visitor.member, request.args
        problem_id = query_number("problem_id", None, _MAX_ID) if asked.get("problem_id") else None
        sees_all = await reads_all_of(self._context.problems, user, problem_id)
        everyone = sees_all and asked.get("all") == "1"
        if sees_all and not asked:  # those of all users, unless there are own ones
            everyone = not (await self._context.lists.submissions(SubmissionQuery(user_id=user.id), 1)).items
        language, verdict = language_of(asked.get("language", "")), asked.get("verdict", "")
        query = SubmissionQuery(
            user_id=None if everyone else user.id,
            problem_id=problem_id,
            language=None if language is None else language.key,
            verdict=Verdict(verdict) if verdict in list(Verdict) else None,
            group_id=query_number("group", None, _MAX_ID) if everyone and asked.get("group") else None,
            sees_withheld=sees_all,
            is_unfinished=verdict == _UNFINISHED,
        )
        before = asked.get("before", "")
        place = ListPlace(*map(int, before.split("-"))) if _PLACE.fullmatch(before) else None
        found = await self._context.lists.submissions(query, _PAGE, place)
        items = [item_for(item, is_whole=sees_all, steps=self._steps) for item in found.items]
        return self._pages.html(
            "submissions.html",
            visitor,
            items=[(item, status_word(item)) for item in items],
            titles=await self._context.problems.problem_titles({item.problem_id for item in items}, user.id),
            query=query,
            everyone=everyone,
            sees_all=sees_all,
            groups=by_name(await self._context.groups.groups(MAX_OFFERED)) if sees_all else (),
            next_before=None if found.next is None else f"{found.next.created_us}-{found.next.id}",
            is_first=place is None,
            languages=list(LANGUAGES.values()),
            is_judged_now=self._context.is_judged_now,
        )

    @page("GET", "/submissions/<job_id>", access=MEMBER)
    async def submission(self, visitor: Visitor, job_id: str) -> Response:
        """Show a submission; its tests appear as they end."""
        return await self._page(visitor, job_id)

    @page("POST", "/submissions/<job_id>/reruns", access=member_with(Right.READ_RESULTS))
    async def run_again(self, visitor: Visitor, job_id: str) -> Response:
        """Run a test again; its page shows what the program prints. A refusal is said on the submission's page."""
        submission = await self._rerunning.submission(visitor.member, job_id)
        form = await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        try:
            rerun = await self._rerunning.ask(submission, form.get("test"), visitor.member)
        except Refused as refused:
            return await self._page(visitor, job_id, refused)
        return redirect(f"/submissions/{submission.job_id}/reruns/{rerun.id}")

    @page("GET", "/submissions/<job_id>/reruns", access=MEMBER)
    async def after_rerun(self, visitor: Visitor, job_id: str) -> Response:
        """Lead to the submission: the choice of a language leads to the path of the form before."""
        return redirect(f"/submissions/{(await self._read(visitor, job_id))[0].submission.job_id}")

    @page("GET", "/submissions/<job_id>/events", access=MEMBER)
    async def events(self, visitor: Visitor, job_id: str) -> Response:
        """Stream the progress of a submission as pieces of its page."""
        reading, problem, _ = await self._read(visitor, job_id)
        submission, is_whole = reading.submission, reading.is_whole

        def verdict(progress: SoFar) -> str:
            values = self._progress_values(visitor, progress, problem)
            return self._pages.piece("_verdict.html", visitor, is_whole=is_whole, **values)

        def tests(progress: SoFar) -> str:
            values = self._progress_values(visitor, progress, problem)
            return self._pages.piece("_tests.html", visitor, is_whole=is_whole, **values)

        def changed(ended: Mapping[int, Mapping[str, Any]]) -> str:
            return self._pages.piece("_squares.html", visitor, squares=ended.items(), is_patch=True)

        async def before() -> int | None:
            if visitor.may(Right.OPERATE):
                await self._watch.refresh()
            return await self._context.submissions.count_before(submission.job_id, MOST_BEFORE)

        def result(body: Mapping[str, Any]) -> tuple[str, str]:
            values = result_values(visitor, problem, body, is_whole=is_whole)
            return (
                self._pages.piece("_verdict.html", visitor, is_whole=is_whole, **values),
                self._pages.piece("_tests.html", visitor, is_whole=is_whole, **values),
            )

        async def remains() -> bool:
            return await self._visitors.remains(visitor, reading.is_allowed) and await reading.is_in_team()

        def is_queue_away() -> bool:
            return self._context.pressure.outage is not None

        feed = JobFeed(
            self._context.results,
            submission.job_id,
            is_whole=is_whole,
            steps=self._steps,
            last=None,
            body=lambda finished: status_body(finished, is_whole=is_whole, steps=self._steps),
            word=status_word_of,
        )
        pieces = PieceFeed(
            feed=feed,
            verdict=verdict,
            tests=tests,
            changed=changed,
            result=result,
            before=before,
            is_queue_away=is_queue_away,
        )
        return self._context.live.answer(visitor.member.id, submission.job_id, pieces, remains)

    async def _page(self, visitor: Visitor, job_id: str, refused: Refused | None = None) -> Response:
        """Return the page of a submission. ``refused``: why a rerun of one of its tests was."""
        reading, problem, place = await self._read(visitor, job_id)
        submission = reading.submission
        body = status_body(submission, is_whole=reading.is_whole, steps=self._steps)
        is_over = body["data"] is not None or submission.state.value in ("done", "dead")
        is_own = submission.user_id == visitor.member.id
        author = None if is_own else await self._context.accounts.account(submission.user_id)
        is_erased = not is_own and author is None and not submission.code and not submission.beside
        practice_path = f"/problems/{submission.problem_id}"
        judgings = []
        if submission.judging > 1:
            found = await self._context.rejudges.judgings(submission.job_id, _JUDGINGS)
            judgings = [one for one in found if reading.is_whole or not one.is_withheld]
        if visitor.may(Right.OPERATE) and submission.state is State.PENDING:
            await self._watch.refresh()
        return self._pages.html_with_refusal(
            "submission.html",
            visitor,
            refused,
            submission=submission,
            place=place,
            problem_path=practice_path if place is None else f"/contests/{place.key}/problems/{place.label}",
            author="" if author is None else author.user.username,
            is_whole=reading.is_whole,
            language=LANGUAGES.get(submission.language),
            is_over=is_over,
            judgings=[(one, points_of(one.result)) for one in judgings],
            counted=await self._counted(visitor, submission, place) if is_over else "",
            source=[] if is_erased else source_of(submission),
            **(
                result_values(visitor, problem, body, is_whole=reading.is_whole, has_source=not is_erased)
                if is_over
                else self._progress_values(visitor, await self._waiting(submission, body["status"]), problem)
            ),
        )

    async def _counted(self, visitor: Visitor, submission: Submission, place: ContestPlace | None) -> str:
        """Return the points that a submission of homework gets on the board, which are fewer if it is late; empty: they
        are not seen, or it is none."""
        contest = None if place is None else await self._context.contests.contest(place.key)
        if place is None or contest is None or contest.kind is not ContestKind.HOMEWORK:
            return ""
        try:
            reading = await self._reader.read(visitor, place.key)
        except Refused:  # the author is in no team of it any more
            return ""
        own = reading.submissions(team_id=place.team_id, label=place.label)
        return next((one.points for one in own if one.job_id == submission.job_id), "")

    def _progress_values(self, visitor: Visitor, progress: SoFar, problem: Problem | None) -> dict[str, Any]:
        """Return what the templates of an unfinished submission need; operators read why it waits."""
        symptoms = self._watch.values()["symptoms"] if visitor.may(Right.OPERATE) else ()
        delays = [one for one in symptoms if one.delays_judging] if progress.status == QUEUING else []
        return {
            "status": progress.status,
            "tests": [],
            "squares": list(enumerate(progress.squares, 1)),
            "ended": len(progress.ended),
            "count": progress.count,
            "before": progress.before,
            "is_delayed": progress.is_delayed,
            "delays": delays,
            "most_before": MOST_BEFORE,
            "failed": None,
            "why": [],
            "has_bounds": False,
            "explanation": [],
            "compiled": None,
            "result": None,
            "points": None,
            "problem": problem,
        }

    async def _waiting(self, submission: Submission, status: str) -> SoFar:
        """Return what a page shows first of an unfinished submission."""
        return SoFar(
            status,
            before=await before_of(self._context, submission),
            is_delayed=submission.state is State.PENDING and self._context.pressure.outage is not None,
        )

    async def _read(self, visitor: Visitor, job_id: str) -> tuple[Reading, Problem | None, ContestPlace | None]:
        """Return a submission, its problem with the limits that it had, and its contest. Raises Refused."""
        found = await self._context.submissions.submission(asked_job_id(job_id))
        reading = await readable(self._context, visitor.member, found)
        problem_id, contests = reading.submission.problem_id, self._context.contests
        place = await contests.place_of(reading.submission.job_id)
        if place is not None:
            return reading, await contests.taken_problem(place.contest_id, problem_id), place
        return reading, await self._context.problems.open_problem(problem_id, visitor.member.id), None


def result_values(
    visitor: Visitor, problem: Problem | None, body: Mapping[str, Any], *, is_whole: bool, has_source: bool = True
) -> dict[str, Any]:
    """Return what the templates of a result need. ``body``: as ``status_body`` returns it. ``has_source``: its program
    can be run again."""
    result, translate = body["data"] or {}, gettext_of(visitor.language)
    tests = result.get("tests") or []
    failed, why = sentences.first_failure(tests, sentences.of_tests(result, translate, is_whole=is_whole))
    return {
        "status": body["status"],
        "tests": tests,
        "squares": list(enumerate(tests, 1)),
        "ended": len(tests),
        "count": len(tests),
        "before": None,
        "is_delayed": False,
        "delays": (),
        "most_before": MOST_BEFORE,
        "failed": failed,
        "why": why,
        "has_bounds": not is_whole and any(test.get("sample") is False for test in tests),
        "explanation": list(sentences.of_submission(result, translate)),
        "compiled": result.get("compile"),
        "rerun_path": f"/submissions/{body['job_id']}/reruns" if is_whole and has_source else "",
        "result": result,
        "points": points_of(result),
        "problem": problem,
    }


def source_of(submission: Submission) -> list[tuple[str, str, str]]:
    """Return the files: name, numbers of the lines, text. Colours are made by no server: the patterns of highlighters
    take minutes for a source that is made for that."""
    language = LANGUAGES.get(submission.language)
    name = submission.entry_point or (language.source_name if language else "source")
    files = [(name, submission.code), *((file.name, file.content) for file in submission.beside)]
    return [(file, "\n".join(map(str, range(1, _lines(content) + 1))), content) for file, content in files]


def _lines(content: str) -> int:
    """Return the number of lines; a line feed at the end begins none."""
    return content.count("\n") + (not content.endswith("\n"))
