"""Contests: made, changed, run, and shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

from quart import Response

from deepoj.accounts.teams import TeamListFormat
from deepoj.api.access import READER, SUBMITTER, USER, needs
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.board_file import board_download
from deepoj.api.body import read_json
from deepoj.api.contest_answers import (
    Scoreboards,
    award_views,
    clarification_list,
    clarification_view,
    contest_fields,
    problem_views,
    team_page,
    waits_view,
)
from deepoj.api.contest_teams import TeamImports
from deepoj.api.contesting import MAX_LIST_BYTES, Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.http.paths import query_flag, time_of
from deepoj.api.models.contests import (
    AwardList,
    ClarificationBody,
    ClarificationList,
    ClarificationView,
    ContestBody,
    ContestChanges,
    ContestItem,
    ContestList,
    ContestProblemBody,
    ContestQuery,
    ContestRegistered,
    ContestRemoved,
    ContestSubmitBody,
    ContestView,
    ContestWaitsView,
    CreatedAccountView,
    FinalizeBody,
    FinalizedView,
    ScoreboardView,
    TeamPage,
    TeamsBody,
    TeamsImported,
)
from deepoj.api.models.submissions import SubmitHeaders, Submitted
from deepoj.api.rights import Right
from deepoj.api.route import Described, route
from deepoj.api.routes.submissions import draft_of, idempotency_key
from deepoj.api.submitting import QUEUING, take_in
from deepoj.contests.awards import Medals
from deepoj.contests.views import final_comment
from deepoj.words.accounts import User
from deepoj.words.contests import (
    ClarificationDraft,
    ContestRules,
    EventType,
)

_TIMES = ("start_at", "thaw_at")
#: fields that null empties; to others it means that they stay
_NULLABLE = frozenset({*_TIMES, "freeze_ms"})
#: faults of a list that an answer names
_MAX_FAULTS = 100


class ContestRoutes:
    """``/api/v1/contests``."""

    def __init__(self, context: ApiContext, auth: Auth, boards: Scoreboards) -> None:
        self._context, self._auth, self._timeout_s = context, auth, context.settings.read_timeout_s
        self._contesting, self._teams = Contesting(context), TeamImports(context, Administering(context, auth))
        self._boards = boards

    @route("GET", "/api/v1/contests", access=READER, responses={200: ContestList})
    async def contests(self, user: User | None) -> ContestList:
        """List the newest 200 contests that you see.

        Everybody sees public ones; members of teams and those who run contests see others, too.
        """
        return ContestList(contests=[ContestItem(**contest_fields(one)) for one in await self._contesting.listed(user)])

    @route(
        "POST",
        "/api/v1/contests",
        access=needs(Right.RUN_CONTESTS),
        body=ContestBody,
        responses={201: ContestView},
        errors=(409,),
    )
    async def create(self, user: User) -> ContestView:
        """Make a contest.

        For administrators and the jury. It starts and ends by itself at its times. Problems and teams are added
        afterwards.
        """
        body = await read_json(ContestBody, timeout_s=self._timeout_s)
        fields = body.model_dump(exclude={"key", "kind"})
        rules = ContestRules(**(fields | _times(fields)))
        contest = await self._contesting.create(body.key, body.kind, rules, user)
        return await self._view(contest.key, user)

    @route("GET", "/api/v1/contests/<key>", access=READER, responses={200: ContestView})
    async def show(self, user: User | None, key: str) -> ContestView:
        """Return a contest with its problems.

        For everybody if it is public, else for its teams and those who run contests. Problems are seen after the start.
        """
        return await self._view(key, user)

    @route(
        "PATCH",
        "/api/v1/contests/<key>",
        access=needs(Right.RUN_CONTESTS),
        body=ContestChanges,
        responses={200: ContestView},
        errors=(409,),
    )
    async def change(self, user: User, key: str) -> ContestView:
        """Change a contest: its names, start, length, freeze, penalty or thaw. What is omitted stays.

        For administrators and the jury. The start cannot be moved once the contest has started; of a finalized contest
        only the thaw can be changed.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ContestChanges, timeout_s=self._timeout_s)
        sent = body.model_dump(include=body.model_fields_set)
        fields = {name: value for name, value in sent.items() if value is not None or name in _NULLABLE}
        await self._contesting.change(contest, user, **(fields | _times(fields)))
        return await self._view(key, user)

    @route(
        "DELETE",
        "/api/v1/contests/<key>",
        access=needs(Right.RUN_CONTESTS),
        query=ContestQuery,
        responses={200: ContestRemoved},
        errors=(409,),
    )
    async def remove(self, user: User, key: str) -> ContestRemoved:
        """Delete a contest with its ledger; its submissions stay.

        For administrators and the jury. A contest that has started is deleted with ``?force=true`` only.
        """
        contest, force = await self._contesting.run(key, user), query_flag("force")
        await self._contesting.remove(contest, user, force=force)
        return ContestRemoved(key=key, status="deleted")

    @route(
        "GET",
        "/api/v1/contests/<key>/waits",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestWaitsView},
    )
    async def waits(self, user: User, key: str) -> ContestWaitsView:
        """Return how long the latest submissions of a contest waited for a node, and what their judging took.

        For administrators and the jury.
        """
        return waits_view(await self._contesting.waits(await self._contesting.run(key, user)))

    @route(
        "PUT",
        "/api/v1/contests/<key>/problems/<label>",
        access=needs(Right.RUN_CONTESTS),
        body=ContestProblemBody,
        responses={200: ContestView},
        errors=(409,),
    )
    async def put_problem(self, user: User, key: str, label: str) -> ContestView:
        """Give a label of a contest a problem, or change it. What is omitted stays as it is.

        For administrators and the jury. Teams see a problem that is a draft elsewhere. Another problem at a label that
        there is already keeps place and color alone.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ContestProblemBody, timeout_s=self._timeout_s)
        await self._contesting.put_problem(contest, label, body.model_dump(include=body.model_fields_set), user)
        return await self._view(key, user)

    @route(
        "DELETE",
        "/api/v1/contests/<key>/problems/<label>",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ContestView},
        errors=(409,),
    )
    async def remove_problem(self, user: User, key: str, label: str) -> ContestView:
        """Take a problem out of a contest, unless there are submissions to it.

        For administrators and the jury.
        """
        await self._contesting.remove_problem(await self._contesting.run(key, user), label, user)
        return await self._view(key, user)

    @route("GET", "/api/v1/contests/<key>/teams", access=READER, responses={200: TeamPage})
    async def teams(self, user: User | None, key: str) -> TeamPage:
        """List the teams of a contest that you see.

        For those who see the contest. Only those who run it see hidden teams, and the accounts of other teams.
        """
        sight = await self._contesting.find(key, user)
        return team_page(sight, await self._contesting.ledger(sight.contest))

    @route(
        "POST",
        "/api/v1/contests/<key>/teams",
        access=needs(Right.RUN_CONTESTS),
        body=TeamsBody,
        responses={200: TeamsImported},
        errors=(409,),
    )
    async def import_teams(self, user: User, key: str) -> TeamsImported:
        """Import teams, organizations, groups and accounts, or nothing if a line is wrong.

        For administrators and the jury. A team that is there already is replaced. ``details`` of a refusal name what is
        wrong with each line or object. Accounts that are there keep their passwords. With ``create_accounts`` those of
        judges and administrators are made, too, with their rights; else ``notes`` name them. That takes no token that
        was made for a program.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(TeamsBody, timeout_s=self._timeout_s, max_bytes=MAX_LIST_BYTES)
        if body.create_accounts:
            self._auth.require_login()  # the accounts outlive a token
        if body.format not in set(TeamListFormat):
            raise Refused(ApiError.INVALID, field="format", problem=f"one of {', '.join(TeamListFormat)}")
        done = await self._teams.run(
            contest, body.text, TeamListFormat(body.format), user, creates_accounts=body.create_accounts
        )
        word = "line" if done.teams.has_lines else "entry"
        if done.faults:
            first, *_ = faults = sorted(done.faults, key=lambda fault: fault.place)
            details = [{"place": one.place, "problem": one.sentence} for one in faults[:_MAX_FAULTS]]
            problem = f"{word} {first.place}: {first.sentence}"
            raise Refused(ApiError.INVALID, details=details, field="text", problem=problem)
        counts = {type_: sum(one.type is type_ for one in done.teams.objects) for type_ in EventType}
        return TeamsImported(
            teams=counts[EventType.TEAMS],
            groups=counts[EventType.GROUPS],
            organizations=counts[EventType.ORGANIZATIONS],
            accounts=len(done.teams.accounts),
            created=[CreatedAccountView(username=one.username, password=one.password) for one in done.created],
            notes=[f"{word} {one.place}: {one.sentence}" for one in done.notes],
        )

    @route(
        "POST",
        "/api/v1/contests/<key>/submit",
        access=SUBMITTER,
        limit=Limit.SUBMIT,
        headers=SubmitHeaders,
        body=ContestSubmitBody,
        responses={200: Submitted},
        errors=(403, 422),
    )
    async def submit(self, user: User, key: str) -> Submitted:
        """Submit a program to a problem of a contest, while it runs.

        For members of its teams. Otherwise as ``/api/v1/submit``.
        """
        sight, settings = await self._contesting.find(key, user), self._context.settings
        body = await read_json(
            ContestSubmitBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s
        )
        problem_id = await self._contesting.problem_to_submit(sight, body.problem)
        draft = draft_of(body, problem_id, user, settings, key=idempotency_key(), contest_id=sight.contest.id)
        job = await take_in(self._context, draft)
        return Submitted(job_id=job.job_id, status=QUEUING)

    @route(
        "POST", "/api/v1/contests/<key>/registration", access=USER, responses={200: ContestRegistered}, errors=(409,)
    )
    async def register(self, user: User, key: str) -> ContestRegistered:
        """Register for a contest: you become a team of one, with your username as its name.

        While the contest's registration is open, until its end. If you are in a team already, it stays.
        """
        sight = await self._contesting.find(key, user)
        return ContestRegistered(key=key, team_id=await self._contesting.register(sight, user))

    @route(
        "DELETE",
        "/api/v1/contests/<key>/registration",
        access=USER,
        responses={200: ContestRegistered},
        errors=(403, 409),
    )
    async def withdraw(self, user: User, key: str) -> ContestRegistered:
        """Take back a registration, as long as you have submitted nothing."""
        await self._contesting.withdraw(await self._contesting.find(key, user), user)
        return ContestRegistered(key=key, team_id=None)

    @route("GET", "/api/v1/contests/<key>/clarifications", access=READER, responses={200: ClarificationList})
    async def clarifications(self, user: User | None, key: str) -> ClarificationList:
        """List the clarifications that you see, oldest first.

        Everybody sees announcements and answers to all; a team its questions and what was sent to it; those who run the
        contest see all.
        """
        sight = await self._contesting.find(key, user)
        return clarification_list(sight, await self._contesting.ledger(sight.contest))

    @route(
        "POST",
        "/api/v1/contests/<key>/clarifications",
        access=USER,
        body=ClarificationBody,
        responses={201: ClarificationView},
        errors=(403, 409),
    )
    async def clarify(self, user: User, key: str) -> ClarificationView:
        """Ask a question as a member of a team; answer or announce as one of those who run the contest.

        A question goes to those who run the contest alone.
        """
        sight = await self._contesting.find(key, user)
        body = await read_json(ClarificationBody, timeout_s=self._timeout_s, max_bytes=MAX_LIST_BYTES)
        draft = ClarificationDraft(
            to_team_ids=None if body.to_teams is None else tuple(body.to_teams),
            reply_to_id=body.reply_to,
            problem_id=body.problem,
            category=body.category,
            text=body.text,
        )
        clarification_id = await self._contesting.clarify(sight, draft, to_all=body.to_all)
        ledger = await self._contesting.ledger(sight.contest)
        return clarification_view(clarification_id, ledger.of(EventType.CLARIFICATIONS)[clarification_id])

    @route("GET", "/api/v1/contests/<key>/scoreboard", access=READER, responses={200: ScoreboardView})
    async def scoreboard(self, user: User | None, key: str) -> Response:
        """Return the scoreboard.

        For those who see the contest. During the freeze, until the thaw, only those who run it see new verdicts.
        """
        sight = await self._contesting.find(key, user)
        encoded = self._boards.encoded(sight, await self._contesting.ledger(sight.contest))
        return Response(encoded, content_type="application/json")

    @route(
        "GET",
        "/api/v1/contests/<key>/scoreboard.csv",
        access=READER,
        responses={200: Described(description="The scoreboard.", content_type="text/csv")},
    )
    async def scoreboard_csv(self, user: User | None, key: str) -> Response:
        """Return the scoreboard as CSV: tries and minute of the solution of each problem, or its points.

        For those who see the contest. A name that a spreadsheet would take for a formula begins with an apostrophe.
        """
        sight = await self._contesting.find(key, user)
        ledger = await self._contesting.ledger(sight.contest)
        board = self._boards.view(sight, ledger)
        return board_download(sight, ledger, board, "csv", at=None, is_chinese=False, has_bom=False)

    @route("GET", "/api/v1/contests/<key>/awards", access=READER, responses={200: AwardList})
    async def awards(self, user: User | None, key: str) -> AwardList:
        """List the awards of a finalized contest.

        For those who see the contest; before the thaw of a frozen board only for those who run it.
        """
        sight = await self._contesting.find(key, user)
        return AwardList(awards=award_views(sight, await self._contesting.ledger(sight.contest)))

    @route(
        "POST",
        "/api/v1/contests/<key>/finalize",
        access=needs(Right.RUN_CONTESTS),
        body=FinalizeBody,
        responses={200: FinalizedView},
        errors=(409,),
    )
    async def finalize(self, user: User, key: str) -> FinalizedView:
        """Finalize a contest that is over, with the awards that its board gives.

        For administrators and the jury. Refused while a submission has no verdict, a question has no answer or a
        rejudge is open. A finalized contest is not changed any more, except that a frozen board is thawed: then
        everybody sees the awards and the comment, which the Contest API has as a commentary with the id ``final``.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(FinalizeBody, timeout_s=self._timeout_s)
        medals = Medals(**body.model_dump(exclude={"comment"}))
        done = await self._contesting.finalize(contest, medals, user, comment=body.comment)
        sight = await self._contesting.find(key, user)
        ledger = await self._contesting.ledger(done)
        said = final_comment(ledger, sight.viewer)
        return FinalizedView(**contest_fields(done), final_comment=said, awards=award_views(sight, ledger))

    async def _view(self, key: str, user: User | None) -> ContestView:
        sight = await self._contesting.find(key, user)
        ledger = await self._contesting.ledger(sight.contest)
        return ContestView(
            **contest_fields(sight.contest),
            team_id=sight.viewer.team_id,
            problems=problem_views(sight, ledger),
            final_comment=final_comment(ledger, sight.viewer),
        )


def _times(fields: dict[str, Any]) -> dict[str, dt.datetime]:
    return {name: time_of(name, fields[name]) for name in _TIMES if fields.get(name) is not None}
