"""The Contest API of the ICPC, version 2026-01 (https://ccs-specs.icpc.io/2026-01/contest_api), under ``/clics``.

The public sees contests that are public; a team's accounts see theirs as their team; the jury and administrators see
everything. Errors are ``{"code": status, "message": sentence}``. The routes are not in our OpenAPI document: the
specification describes them, and ``access`` says which of it is there.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quart import Response, request
from quart_trio.wrappers import TrioResponse

import deepoj
from deepoj.api.access import CONTEST_API
from deepoj.api.body import read_json, text
from deepoj.api.contest_callers import ContestCallers
from deepoj.api.contests import ContestLedgers, topic_of
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import StreamFormat
from deepoj.api.models.clics import ContestClarification, ContestPatch, ContestSubmission
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, route
from deepoj.api.sources import received_sources
from deepoj.api.submitting import new_trace_id, take_in
from deepoj.contests.clics import VERSION, VERSION_URL, contest_of
from deepoj.contests.clics_feed import encoded
from deepoj.contests.views import ContestViewer
from deepoj.judging.languages import Language
from deepoj.judging.outputs import language_of
from deepoj.words.accounts import User
from deepoj.words.contests import ClarificationDraft, Contest, ContestRefusal, EventType
from deepoj.words.submissions import Draft, Submission

_JSON = Described(description="JSON", content_type="application/json")
_MOST_CONTESTS = 1_000
_MOST_CHARS = 10_000
#: so long before a start it is not moved any more, as the specification says
_START_MARGIN = dt.timedelta(seconds=30)
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


class ContestApiRoutes:
    """``/clics``."""

    def __init__(self, context: ApiContext, limits: RequestLimits, callers: ContestCallers) -> None:
        self._context, self._contests, self._ledgers = context, context.contests, context.ledgers
        self._limits, self._callers = limits, callers

    @route("GET", "/clics/", access=CONTEST_API, responses={200: _JSON}, specified=True)
    async def root(self) -> Response:
        """Return the version of the Contest API."""
        await self._callers.caller()
        provider = {"name": "Deep-OJ", "version": deepoj.__version__}
        return _answer(encoded({"version": VERSION, "version_url": VERSION_URL, "provider": provider}))

    @route("GET", "/clics/contests", access=CONTEST_API, responses={200: _JSON}, specified=True)
    async def contests(self) -> Response:
        """Return the contests that the caller sees."""
        user = await self._callers.caller()
        sees_all = user is not None and may(user, Right.RUN_CONTESTS)
        found = await self._contests.contests(
            None if user is None else user.id, sees_all=sees_all, limit=_MOST_CONTESTS
        )
        return _answer(encoded([_contest(each) for each in found]))

    @route("GET", "/clics/contests/<contest_id>", access=CONTEST_API, responses={200: _JSON}, specified=True)
    async def contest(self, contest_id: str) -> Response:
        """Return a contest."""
        contest, viewer = await self._contest_for(contest_id)
        _, view = await self._ledgers.view(contest, viewer)
        return _found(view.object(EventType.CONTEST, contest.key))

    @route("PATCH", "/clics/contests/<contest_id>", access=CONTEST_API, responses={200: _JSON}, specified=True)
    async def change(self, contest_id: str) -> Response:
        """Set the start of a contest, or its thaw."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if not viewer.is_jury:
            raise Refused(ApiError.NO_RIGHT)
        body = await read_json(ContestPatch, timeout_s=self._context.settings.read_timeout_s)
        if body.id != contest.key:
            raise Refused(ApiError.CONTEST_ID_DIFFERS)
        if body.changed() == {"scoreboard_thaw_time"}:
            return await self._thaw(user, contest, body)
        if body.changed() - {"countdown_pause_time"} != {"start_time"}:
            raise Refused(ApiError.INVALID, field="start_time", problem="send it, or scoreboard_thaw_time, and no more")
        return await self._start(user, contest, body)

    @route("GET", "/clics/contests/<contest_id>/event-feed", access=CONTEST_API, responses={200: _JSON}, specified=True)
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
        response = self._context.live.answer(
            None if user is None else user.id, topic_of(contest), feed, recheck, _NDJSON
        )
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    @route("GET", "/clics/contests/<contest_id>/<endpoint>", access=CONTEST_API, responses={200: _JSON}, specified=True)
    async def endpoint(self, contest_id: str, endpoint: str) -> Response:
        """Return what an endpoint of a contest has: all of a collection, or its only object."""
        user = await self._callers.caller()
        contest, viewer = await self._callers.contest(user, contest_id)
        if endpoint == "account":
            return _found(None if user is None else encoded(_account(user, viewer)))
        ledger, view = await self._ledgers.view(contest, viewer)
        match endpoint:
            case "access":
                return _answer(view.access())
            case "state":
                return _found(view.object(EventType.STATE, contest.key))
            case "scoreboard":
                group_id = request.args.get("group_id")
                board = view.scoreboard(ledger, group_id)
                if board is None:
                    raise Refused(ApiError.INVALID, field="group_id", problem="there is no such group")
                return _answer(board)
        return _found(view.collection(ledger, endpoint, dict(request.args)))

    @route(
        "GET",
        "/clics/contests/<contest_id>/<endpoint>/<object_id>",
        access=CONTEST_API,
        responses={200: _JSON},
        specified=True,
    )
    async def object(self, contest_id: str, endpoint: str, object_id: str) -> Response:
        """Return one object of a collection."""
        contest, viewer = await self._contest_for(contest_id)
        ledger, view = await self._ledgers.view(contest, viewer)
        return _found(view.one(ledger, endpoint, object_id))

    @route(
        "GET",
        "/clics/contests/<contest_id>/submissions/<submission_id>/files",
        access=CONTEST_API,
        responses={200: _JSON},
        specified=True,
    )
    async def files(self, contest_id: str, submission_id: str) -> Response:
        """Return the files of a submission as a zip, for the jury."""
        contest, viewer = await self._contest_for(contest_id)
        ledger = await self._ledgers.ledger(contest)
        data = ledger.of(EventType.SUBMISSIONS).get(submission_id)
        job_id = data["job_id"] if data is not None and viewer.is_jury else None
        submission = None if job_id is None else await self._context.submissions.submission(job_id)
        if submission is None:
            raise Refused(ApiError.NOT_FOUND)
        return _answer(_zipped(submission), "application/zip")

    @route(
        "POST", "/clics/contests/<contest_id>/submissions", access=CONTEST_API, responses={200: _JSON}, specified=True
    )
    async def submit(self, contest_id: str) -> Response:
        """Submit for the caller's team."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if viewer.team_id is None:
            raise Refused(ApiError.NOT_IN_CONTEST)
        await self._limits.submit(user)
        settings = self._context.settings
        body = await read_json(
            ContestSubmission, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s
        )
        _require_absent(body, "id", "time", "contest_time")
        if body.team_id not in {None, viewer.team_id}:
            raise Refused(ApiError.INVALID, field="team_id", problem="it is not yours")
        ledger, view = await self._ledgers.view(contest, viewer)
        language = language_of(body.language_id)
        if language is None:
            raise Refused(ApiError.UNKNOWN_LANGUAGE)
        if view.one(ledger, EventType.PROBLEMS, body.problem_id) is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)
        problem_id = int(ledger.of(EventType.PROBLEMS)[body.problem_id]["problem_id"])
        sources = received_sources(
            _as_submit(body, problem_id, language), language, max_bytes=settings.submit_code_max_bytes
        )
        draft = Draft(
            user_id=user.id,
            problem_id=problem_id,
            language=language.key,
            code=sources.code,
            entry_point=sources.entry_point,
            beside=sources.beside,
            trace_id=new_trace_id(),
            contest_id=contest.id,
        )
        job = await take_in(self._context, draft)
        ledger, view = await self._ledgers.view(contest, viewer)
        sent = ledger.of(EventType.SUBMISSIONS)
        submission_id = next((each for each in reversed(list(sent)) if sent[each]["job_id"] == job.job_id), "")
        return _created(view.one(ledger, EventType.SUBMISSIONS, submission_id), submission_id)

    @route(
        "POST",
        "/clics/contests/<contest_id>/clarifications",
        access=CONTEST_API,
        responses={200: _JSON},
        specified=True,
    )
    async def clarify(self, contest_id: str) -> Response:
        """Ask as the caller's team; answer or announce as the jury."""
        user = await self._callers.user()
        contest, viewer = await self._callers.contest(user, contest_id)
        if not viewer.is_jury and viewer.team_id is None:
            raise Refused(ApiError.NOT_IN_CONTEST)
        body = await read_json(
            ContestClarification, max_bytes=8 * _MOST_CHARS, timeout_s=self._context.settings.read_timeout_s
        )
        _require_absent(body, "id", "time", "contest_time", "to_group_ids")
        _require_absent(body, "from_team_id" if viewer.is_jury else "to_team_ids")
        if body.from_team_id not in {None, viewer.team_id}:
            raise Refused(ApiError.INVALID, field="from_team_id", problem="it is not yours")
        if not 1 <= len(text("text", body.text).strip()) <= _MOST_CHARS:
            raise Refused(ApiError.INVALID, field="text", problem=f"1 to {_MOST_CHARS} characters")
        ledger, view = await self._ledgers.view(contest, viewer)
        for field, endpoint, ids in (
            ("problem_id", EventType.PROBLEMS, [body.problem_id]),
            ("reply_to_id", EventType.CLARIFICATIONS, [body.reply_to_id]),
            ("to_team_ids", EventType.TEAMS, body.to_team_ids or []),
        ):
            if any(each is not None and view.one(ledger, endpoint, each) is None for each in ids):
                raise Refused(ApiError.INVALID, field=field, problem="there is none with this id")
        draft = ClarificationDraft(
            from_team_id=viewer.team_id,
            to_team_ids=None if body.to_team_ids is None else tuple(dict.fromkeys(body.to_team_ids)),
            reply_to_id=body.reply_to_id,
            problem_id=body.problem_id,
            text=body.text.strip(),
        )
        made = await self._contests.clarify(contest.id, draft)
        if isinstance(made, ContestRefusal):
            raise _refused(made)
        ledger, view = await self._ledgers.view(contest, viewer)
        return _created(view.one(ledger, EventType.CLARIFICATIONS, made), made)

    async def _contest_for(self, contest_id: str) -> tuple[Contest, ContestViewer]:
        return await self._callers.contest(await self._callers.caller(), contest_id)

    async def _start(self, user: User, contest: Contest, body: ContestPatch) -> Response:
        soon = dt.datetime.now(dt.UTC) + _START_MARGIN
        start_at = body.utc(body.start_time)
        if body.countdown_pause_time is not None:
            raise _unmoved("this server does not pause a countdown; set start_time to null")
        if contest.started_at is not None or (contest.rules.start_at is not None and contest.rules.start_at <= soon):
            raise _unmoved("the contest has started, or starts within 30 seconds")
        if start_at is not None and start_at <= soon:
            raise _unmoved("the new start is past, or within 30 seconds")
        changed = await self._change(user, contest, start_at=start_at)
        return _answer(encoded(_contest(changed)))

    async def _thaw(self, user: User, contest: Contest, body: ContestPatch) -> Response:
        asked, now = body.utc(body.scoreboard_thaw_time), dt.datetime.now(dt.UTC)
        end_at = (
            None
            if contest.rules.start_at is None
            else contest.rules.start_at + dt.timedelta(milliseconds=contest.rules.duration_ms)
        )
        if asked is None:
            raise Refused(ApiError.INVALID, field="scoreboard_thaw_time", problem="a time with a zone")
        if contest.rules.freeze_ms is None or contest.thawed_at is not None:
            raise _unmoved("the scoreboard is not frozen at all, or is thawed already")
        if end_at is None or max(asked, now) < end_at:
            raise _unmoved("the scoreboard is not thawed before the end of the contest")
        is_now = asked <= now
        at = now.replace(microsecond=now.microsecond // 1000 * 1000) if is_now else asked
        changed = await self._change(user, contest, thaw_at=at)
        if is_now:
            await self._contests.advance()
            return _answer(encoded(_contest(changed)))
        response = TrioResponse(b"", status=204)
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def _change(self, user: User, contest: Contest, **times: dt.datetime | None) -> Contest:
        changed = await self._contests.change_contest(contest.id, replace(contest.rules, **times), by=user.id)  # type: ignore[arg-type]  # the names are those of two times
        if isinstance(changed, ContestRefusal):
            raise _refused(changed)
        return changed


def _answer(body: bytes, content_type: str = "application/json") -> Response:
    response = TrioResponse(body, content_type=content_type)
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _found(body: bytes | None) -> Response:
    """Return the answer, or raise Refused (404)."""
    if body is None:
        raise Refused(ApiError.NOT_FOUND)
    return _answer(body)


def _created(body: bytes | None, object_id: str) -> Response:
    response = _found(body)
    response.headers["Location"] = f"{request.path.rstrip('/')}/{object_id}"
    return response


def _contest(contest: Contest) -> dict[str, object]:
    """Return the object of a contest as its ledger tells it, which need not be folded for it."""
    rules = contest.rules
    data = {
        "name": rules.name,
        "formal_name": rules.formal_name,
        "start_at": _iso(rules.start_at),
        "duration_ms": rules.duration_ms,
        "freeze_ms": rules.freeze_ms,
        "penalty_ms": rules.penalty_ms,
        "thaw_at": _iso(rules.thaw_at),
    }
    return contest_of(contest.key, data)


def _iso(time: dt.datetime | None) -> str | None:
    return None if time is None else time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _account(user: User, viewer: ContestViewer) -> dict[str, object]:
    kind = "team" if viewer.team_id is not None else "admin" if user.is_admin else "judge" if viewer.is_jury else None
    return {"id": str(user.id), "username": user.username, "type": kind, "team_id": viewer.team_id}


def _as_submit(body: ContestSubmission, problem_id: int, language: Language) -> SubmitBody:
    """Return a submission as our own API has it. Clients name a class of Java where we name its file."""
    if len(body.files) != 1 or body.files[0].mime not in {None, "application/zip"}:
        raise Refused(ApiError.INVALID, field="files", problem="exactly one zip")
    entry_point = body.entry_point
    if entry_point is not None and "." not in entry_point:
        entry_point = f"{entry_point}.{language.source_name.rpartition('.')[2]}"
    return SubmitBody(
        problem_id=problem_id,
        language=language.key,
        code=None,
        files=None,
        archive=body.files[0].data,
        entry_point=entry_point or None,
        callback_url=None,
    )


def _zipped(submission: Submission) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in submission.files:
            archive.writestr(zipfile.ZipInfo(file.name), file.content)
    return packed.getvalue()


def _require_absent(body: ContestSubmission | ContestClarification, *fields: str) -> None:
    for field in fields:
        if getattr(body, field) is not None:
            raise Refused(ApiError.INVALID, field=field, problem="the server sets it: leave it out")


def _unmoved(problem: str) -> Refused:
    return Refused(ApiError.CONTEST_TIME_KEPT, problem=problem)


def _refused(refusal: ContestRefusal) -> Refused:
    if refusal is ContestRefusal.UNKNOWN_CONTEST:
        return Refused(ApiError.NO_SUCH_CONTEST)
    return Refused(ApiError.CONTEST_CHANGE_REFUSED, problem=refusal.value.replace("_", " "))
