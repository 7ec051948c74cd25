"""The Contest API of the ICPC, version 2026-01 (https://ccs-specs.icpc.io/2026-01/contest_api), under ``/clics``.

The public sees contests that are public; a team's accounts see theirs as their team; the jury and administrators see
everything. Errors are ``{"code": status, "message": sentence}``. The routes are not in our OpenAPI document: the
specification describes them, and ``access`` says which of it is there.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quart import Response, request
from quart_trio.wrappers import TrioResponse

import deepoj
from deepoj.api.access import CONTEST_API
from deepoj.api.contest_callers import ContestCallers
from deepoj.api.contest_ledgers import ContestLedgers, topic_of
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.live.events import StreamFormat
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, Handler, route
from deepoj.api.statement_answers import document_answer
from deepoj.contests.clics import VERSION, VERSION_URL, contest_of, sees
from deepoj.contests.clics_log import encoded
from deepoj.contests.clock import iso_time
from deepoj.contests.views import ContestViewer, reads_statements, sees_sources
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, EventType
from deepoj.words.submissions import Submission

_JSON = Described(description="JSON", content_type="application/json")
_MOST_CONTESTS = 1_000
_NDJSON = StreamFormat(content_type="application/x-ndjson", head=b"", keep_alive=b"\n", is_endless=True)


@dataclass(frozen=True, slots=True)
class FeedLines:
    """Lines of an event feed."""

    lines: bytes

    def encoded(self) -> bytes:
        return self.lines


class ContestFeed:
    """The ``Feed`` of a reader of the event feed, who has the lines before a place."""

    def __init__(self, ledgers: ContestLedgers, contest: Contest, viewer: ContestViewer, place: int) -> None:
        self._ledgers, self._contest, self._viewer, self._place = ledgers, contest, viewer, place
        self._over = False

    @property
    def is_over(self) -> bool:
        """Return whether the end of updates was sent: nothing comes after it."""
        return self._over

    async def events(self) -> Sequence[FeedLines]:
        _, view = await self._ledgers.view(self._contest, self._viewer)
        lines, self._place = view.log.read(self._place)
        self._over = view.is_over and not lines
        return [FeedLines(lines)] if lines else []


def clics_route[H: Handler](method: str, path: str) -> Callable[[H], H]:
    """Declare a route of the Contest API."""
    return route(
        method,
        f"/clics{path}",
        access=CONTEST_API,
        limit=Limit.CONTEST_API,
        responses={200: _JSON},
        specified=True,
    )


class ContestApiRoutes:
    """``/clics``: reading (``clics_changes`` has the rest)."""

    def __init__(self, context: ApiContext, callers: ContestCallers) -> None:
        self._context, self._contests, self._ledgers = context, context.contests, context.ledgers
        self._callers = callers

    @clics_route("GET", "/")
    async def root(self) -> Response:
        """Return the version of the Contest API."""
        await self._callers.caller()
        provider = {"name": "Deep-OJ", "version": deepoj.__version__}
        return answer_of(encoded({"version": VERSION, "version_url": VERSION_URL, "provider": provider}))

    @clics_route("GET", "/contests")
    async def contests(self) -> Response:
        """Return the contests that the caller sees."""
        user = await self._callers.caller()
        sees_all = user is not None and may(user, Right.RUN_CONTESTS)
        found = await self._contests.contests(
            None if user is None else user.id, sees_all=sees_all, limit=_MOST_CONTESTS
        )
        objects = [contest_object(each) for each in found]
        if not request.path.startswith("/clics"):  # clients of DOMjudge require it; the specification does not have it
            objects = [{**each, "shortname": each["id"]} for each in objects]
        return answer_of(encoded(objects))

    @clics_route("GET", "/contests/<contest_id>")
    async def contest(self, contest_id: str) -> Response:
        """Return a contest."""
        contest, viewer = await self._contest_for(contest_id)
        _, view = await self._ledgers.view(contest, viewer)
        return found_or_refused(view.object(EventType.CONTEST, contest.key))

    @clics_route("GET", "/contests/<contest_id>/event-feed")
    async def event_feed(self, contest_id: str) -> Response:
        """Stream what changes, from the beginning or after a token, until the end of updates."""
        user = await self._callers.caller()
        contest, viewer = await self._callers.contest(user, contest_id)
        token = request.args.get("since_token", request.args.get("since_id"))
        _, view = await self._ledgers.view(contest, viewer)
        place = 0 if token is None else view.log.place(token)
        if place is None:
            raise Refused(ApiError.INVALID, field="since_token", problem="it is no token of this feed")
        feed = ContestFeed(self._ledgers, contest, viewer, place)
        recheck = self._callers.recheck(user, contest, viewer)
        return self._context.live.answer(None if user is None else user.id, topic_of(contest), feed, recheck, _NDJSON)

    @clics_route("GET", "/contests/<contest_id>/<endpoint>")
    async def endpoint(self, contest_id: str, endpoint: str) -> Response:
        """Return what an endpoint of a contest has: all of a collection, or its only object."""
        user = await self._callers.caller()
        contest, viewer = await self._callers.contest(user, contest_id)
        if endpoint == "account":
            return found_or_refused(None if user is None else encoded(_account(user, viewer)))
        ledger, view = await self._ledgers.view(contest, viewer)
        match endpoint:
            case "access":
                return answer_of(view.access())
            case "state":
                return found_or_refused(view.object(EventType.STATE, contest.key))
            case "scoreboard":
                group_id = request.args.get("group_id")
                board = view.scoreboard(ledger, group_id)
                if board is None:
                    raise Refused(ApiError.INVALID, field="group_id", problem="there is no such group")
                return answer_of(board)
        return found_or_refused(view.collection(ledger, endpoint, dict(request.args)))

    @clics_route("GET", "/contests/<contest_id>/<endpoint>/<object_id>")
    async def object(self, contest_id: str, endpoint: str, object_id: str) -> Response:
        """Return one object of a collection."""
        contest, viewer = await self._contest_for(contest_id)
        ledger, view = await self._ledgers.view(contest, viewer)
        return found_or_refused(view.one(ledger, endpoint, object_id))

    @clics_route("GET", "/contests/<contest_id>/submissions/<submission_id>/files")
    async def files(self, contest_id: str, submission_id: str) -> Response:
        """Return the files of a submission as a zip, for the jury and its team."""
        contest, viewer = await self._contest_for(contest_id)
        ledger = await self._ledgers.ledger(contest)
        data = ledger.of(EventType.SUBMISSIONS).get(submission_id)
        job_id = data["job_id"] if data is not None and sees_sources(viewer, data) else None
        submission = None if job_id is None else await self._context.submissions.submission(job_id)
        if submission is None:
            raise Refused(ApiError.NOT_FOUND)
        return answer_of(_zipped(submission), "application/zip")

    @clics_route("GET", "/contests/<contest_id>/problems/<label>/statement/<lang>")
    async def statement(self, contest_id: str, label: str, lang: str) -> Response:
        """Return a problem's statement as one file, a PDF or HTML, for the jury and teams."""
        contest, viewer = await self._contest_for(contest_id)
        ledger = await self._ledgers.ledger(contest)
        if not (reads_statements(viewer) and sees(ledger, viewer, EventType.PROBLEMS, label)):
            raise Refused(ApiError.NOT_FOUND)
        problem_id = int(ledger.of(EventType.PROBLEMS)[label]["problem_id"])
        problem = await self._contests.taken_problem(contest.id, problem_id)
        statements = self._context.statements.of_contest(contest.id)
        text = await statements.statement_text(problem_id, lang)
        if problem is None or text is None:
            raise Refused(ApiError.NOT_FOUND)
        return await document_answer(statements, problem, text, base=f"/api/v1/contests/{contest.key}/problems/{label}")

    async def _contest_for(self, contest_id: str) -> tuple[Contest, ContestViewer]:
        return await self._callers.contest(await self._callers.caller(), contest_id)


def answer_of(body: bytes, content_type: str = "application/json") -> Response:
    return TrioResponse(body, content_type=content_type)


def found_or_refused(body: bytes | None) -> Response:
    """Return the answer, or raise Refused (404)."""
    if body is None:
        raise Refused(ApiError.NOT_FOUND)
    return answer_of(body)


def contest_object(contest: Contest) -> dict[str, object]:
    """Return the object of a contest as its ledger tells it, which need not be folded for it."""
    rules = contest.rules
    data = {
        "name": rules.name,
        "formal_name": rules.formal_name,
        "kind": contest.kind.value,
        "start_at": iso_time(rules.start_at),
        "duration_ms": rules.duration_ms,
        "freeze_ms": rules.freeze_ms,
        "penalty_ms": rules.penalty_ms,
        "thaw_at": iso_time(rules.thaw_at),
        "countdown_pause_ms": contest.countdown_pause_ms,
    }
    return contest_of(contest.key, data)


def _account(user: User, viewer: ContestViewer) -> dict[str, object]:
    kind = "team" if viewer.team_id is not None else "admin" if user.is_admin else "judge" if viewer.is_jury else None
    return {
        "id": str(user.id),
        "username": user.username,
        "name": user.username,
        "type": kind,
        "team_id": viewer.team_id,
        "person_id": None if viewer.team_id is None else str(user.id),
    }


def _zipped(submission: Submission) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in submission.files:
            archive.writestr(zipfile.ZipInfo(file.name), file.content)
    return packed.getvalue()
