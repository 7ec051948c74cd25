"""Copies of contests, teams, their passwords and addresses, practice: for those who run contests."""

from __future__ import annotations

from dataclasses import asdict

from deepoj.api.access import ADMIN_BY_LOGIN, needs
from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.contest_answers import contest_fields, problem_views
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_setting import ContestSetting
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.http.paths import time_of
from deepoj.api.models.contest_setup import (
    ContestCopyBody,
    CredentialList,
    CredentialsBody,
    CredentialView,
    HeldDraft,
    PasswordsApplied,
    PasswordsDropped,
    PendingPasswordsList,
    PendingPasswordsView,
    PracticeOpened,
    TeamChanges,
    TeamRemoved,
    TeamSetup,
)
from deepoj.api.models.contests import ContestView
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, EventType


class ContestSetupRoutes:
    """``/api/v1/contests/{key}/copy``, ``/teams/{team}``, ``/credentials``, ``/practice``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        administering = Administering(context, auth)
        self._timeout_s = context.settings.read_timeout_s
        self._contesting = Contesting(context)
        self._setting = ContestSetting(context, administering)

    @route(
        "POST",
        "/api/v1/contests/<key>/copy",
        access=needs(Right.RUN_CONTESTS),
        body=ContestCopyBody,
        responses={201: ContestView},
        errors=(409,),
    )
    async def copy(self, user: User, key: str) -> ContestView:
        """Make a contest with the rules and problems of this one, for another group.

        For administrators and the jury. It has the problems with their labels, colors and limits, and no submissions,
        questions or awards; its thaw is not decided. With ``teams`` it has the same teams and accounts.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ContestCopyBody, timeout_s=self._timeout_s)
        start_at = None if body.start_at is None else time_of("start_at", body.start_at)
        await self._setting.copy(contest, body.key, user, name=body.name, start_at=start_at, with_teams=body.teams)
        sight = await self._contesting.find(body.key, user)
        problems = problem_views(sight, await self._contesting.ledger(sight.contest))
        return ContestView(
            **contest_fields(sight.contest), team_id=sight.viewer.team_id, problems=problems, final_comment=""
        )

    @route(
        "PATCH",
        "/api/v1/contests/<key>/teams/<team>",
        access=needs(Right.RUN_CONTESTS),
        body=TeamChanges,
        responses={200: TeamSetup},
        errors=(409,),
    )
    async def change_team(self, user: User, key: str, team: str) -> TeamSetup:
        """Hide a team, show it again, or bind its accounts to addresses.

        For administrators and the jury. While the contest runs, requests of these accounts from elsewhere are refused,
        also with sessions and tokens that exist. Accounts with a role on this site are never bound.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(TeamChanges, timeout_s=self._timeout_s)
        if body.hidden is not None:
            await self._setting.hide_team(contest, team, user, is_hidden=body.hidden)
        if body.networks is not None:
            await self._setting.bind_team(contest, team, body.networks, user)
        return await self._team(contest, team)

    @route(
        "DELETE",
        "/api/v1/contests/<key>/teams/<team>",
        access=needs(Right.RUN_CONTESTS),
        responses={200: TeamRemoved},
        errors=(409,),
    )
    async def remove_team(self, user: User, key: str, team: str) -> TeamRemoved:
        """Remove a team that has no submissions; its accounts stay.

        For administrators and the jury. Hide a team that has submissions.
        """
        await self._setting.remove_team(await self._contesting.run(key, user), team, user)
        return TeamRemoved(id=team, status="deleted")

    @route(
        "POST",
        "/api/v1/contests/<key>/credentials",
        access=ADMIN_BY_LOGIN,
        body=CredentialsBody,
        responses={200: CredentialList},
        errors=(409,),
    )
    async def credentials(self, user: User, key: str) -> CredentialList:
        """Make new passwords for the accounts of teams, at most 500 at a time, and return them: nothing keeps them.

        For administrators, by the token of a login. The old passwords hold until the set is applied; after a day it is
        gone. A set that shares an account with this one is thrown away. Administrators, and accounts with a role, are
        left out.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(CredentialsBody, timeout_s=self._timeout_s)
        set_id, made = await self._setting.make_passwords(contest, body.teams, user)
        return CredentialList(
            set_id=set_id,
            credentials=[
                CredentialView(team_id=one.team_id, team=one.team, username=one.username, password=one.password)
                for one in made
            ],
        )

    @route(
        "GET",
        "/api/v1/contests/<key>/credentials",
        access=needs(Right.MANAGE_PEOPLE),
        responses={200: PendingPasswordsList},
    )
    async def pending_passwords(self, user: User, key: str) -> PendingPasswordsList:
        """Return the new passwords of the last day by accounts, and whether they hold. For administrators."""
        contest = await self._contesting.run(key, user)
        found = await self._setting.pending_passwords(contest)
        return PendingPasswordsList(sets=[PendingPasswordsView(**asdict(one)) for one in found])

    @route(
        "POST",
        "/api/v1/contests/<key>/credentials/<set_id>/apply",
        access=ADMIN_BY_LOGIN,
        responses={200: PasswordsApplied},
    )
    async def apply_passwords(self, user: User, key: str, set_id: str) -> PasswordsApplied:
        """Let new passwords hold.

        For administrators, by the token of a login. The old passwords, sessions and tokens of these accounts end.
        Accounts that left the contest or got a role meanwhile keep theirs. Sent again, it answers the same.
        """
        contest = await self._contesting.run(key, user)
        return PasswordsApplied(set_id=set_id, usernames=await self._setting.apply_passwords(contest, set_id, user))

    @route(
        "DELETE",
        "/api/v1/contests/<key>/credentials/<set_id>",
        access=needs(Right.MANAGE_PEOPLE),
        responses={200: PasswordsDropped},
    )
    async def drop_passwords(self, user: User, key: str, set_id: str) -> PasswordsDropped:
        """Throw new passwords away that do not hold yet. For administrators."""
        await self._setting.drop_passwords(await self._contesting.run(key, user), set_id, user)
        return PasswordsDropped(set_id=set_id, status="deleted")

    @route(
        "POST",
        "/api/v1/contests/<key>/practice",
        access=needs(Right.RUN_CONTESTS),
        responses={200: PracticeOpened},
        errors=(409,),
    )
    async def open_practice(self, user: User, key: str) -> PracticeOpened:
        """Open the contest's problems for practice: its drafts are listed for everybody.

        For administrators and the jury, once the contest is over and its board hides no verdict. A draft that another
        contest has, which is not over, stays one. Submissions of practice are on no board.
        """
        contest = await self._contesting.run(key, user)
        opened = await self._setting.open_practice(contest, user)
        left = await self._setting.drafts(contest)
        return PracticeOpened(
            opened=opened, held=[HeldDraft(label=one.label, contest=one.other_key) for one in left if one.other_key]
        )

    async def _team(self, contest: Contest, team: str) -> TeamSetup:
        data = (await self._contesting.ledger(contest)).of(EventType.TEAMS).get(team)
        if data is None:
            raise Refused(ContestError.NO_SUCH_TEAM)
        networks = (await self._setting.bound_teams(contest)).get(team, ())
        return TeamSetup(id=team, hidden=bool(data.get("is_hidden")), networks=list(networks))
