"""What is set up around contests, as routes and pages do it: copies, teams, passwords, addresses, practice.

What if we die here? Every change is one transaction. If the answer with new passwords is lost, they are known to no
person, and the old ones hold: make them again.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from deepoj import observe
from deepoj.accounts.people import MAX_PEOPLE, NewPerson
from deepoj.accounts.teams import network_of
from deepoj.api.administering import Administering
from deepoj.api.contest_errors import ContestError
from deepoj.api.contesting import REFUSALS, checked_rules, require_done
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.contests.ledger import ContestLedger, in_order, name_of
from deepoj.words.accounts import User
from deepoj.words.contest_setup import DraftInContest, PendingPasswords
from deepoj.words.contests import ID, Contest, ContestObject, ContestRefusal, EventType
from deepoj.words.names import name_key

#: networks of a team
_MAX_NETWORKS = 32
_SET_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Credential:
    """A new password of an account of a team."""

    team_id: str
    team: str
    username: str
    password: str


class ContestSetting:
    """Copies contests, and sets up their teams and what follows them. All methods raise Refused or
    StoreUnavailable."""

    def __init__(self, context: ApiContext, administering: Administering) -> None:
        self._contests, self._setup, self._ledgers = context.contests, context.contest_setup, context.ledgers
        self._administering = administering

    async def copy(
        self, contest: Contest, key: str, user: User, *, name: str, start_at: dt.datetime | None, with_teams: bool
    ) -> None:
        """Make a contest with the rules and problems of another one, and with its teams if so wanted."""
        if not ID.fullmatch(key):
            raise Refused(ApiError.INVALID, field="key", problem="1 to 36 letters, digits and _, inside also - and .")
        rules = checked_rules(
            replace(contest.rules, name=name or contest.rules.name, start_at=start_at, thaw_at=None), contest.kind
        )
        require_done(
            await self._setup.copy_contest(
                contest.id, key, name=rules.name, start_at=rules.start_at, with_teams=with_teams, by=user.id
            )
        )
        _log("copied", contest, user)

    async def remove_team(self, contest: Contest, team_id: str, user: User) -> None:
        """Remove a team without submissions; its accounts stay."""
        _require_team(await self._ledgers.ledger(contest), team_id)
        require_done(await self._setup.remove_team(contest.id, team_id, by=user.id))
        _log("team", contest, user)

    async def hide_team(self, contest: Contest, team_id: str, user: User, *, is_hidden: bool) -> None:
        """Take a team from the boards, or put it there again."""
        data = _require_team(await self._ledgers.ledger(contest), team_id)
        told = ContestObject(EventType.TEAMS, team_id, {**data, "is_hidden": is_hidden})
        answer = await self._contests.put_objects(contest.id, [told], by=user.id)
        require_done(answer if isinstance(answer, ContestRefusal) else None)
        _log("team", contest, user)

    async def bind_team(self, contest: Contest, team_id: str, networks: Sequence[str], user: User) -> None:
        """Bind a team's accounts to these networks from the start of the contest to its end; none: to nothing."""
        _require_team(await self._ledgers.ledger(contest), team_id)
        checked = [network_of(one) for one in networks]
        bound = [one for one in checked if one is not None]
        if len(bound) < len(checked) or len(bound) > _MAX_NETWORKS:
            problem = f"at most {_MAX_NETWORKS} addresses or networks, such as 10.1.0.0/16"
            raise Refused(ApiError.INVALID, field="networks", problem=problem)
        if bound:
            mighty = [one.username for one in await self._setup.team_logins(contest.id, [team_id]) if one.is_mighty]
            if mighty:
                raise Refused(ContestError.CONTEST_TEAM_HAS_ROLE, accounts=", ".join(mighty))
        require_done(await self._setup.bind_team(contest.id, team_id, bound or None, by=user.id))
        _log("team", contest, user)

    async def bound_teams(self, contest: Contest) -> dict[str, Sequence[str]]:
        """Return the networks of the teams whose logins are bound."""
        return dict(await self._setup.bound_teams(contest.id))

    async def make_passwords(
        self, contest: Contest, team_ids: Collection[str] | None, admin: User
    ) -> tuple[str, list[Credential]]:
        """Make new passwords for the accounts of these teams, or of all: the id of their set, and the passwords, which
        nothing keeps but the answer. The old ones hold until they are applied.

        Accounts with a right are left out: their passwords are not the contest's. If none is left, the id is empty.
        """
        ledger = await self._ledgers.ledger(contest)
        for team_id in team_ids or ():
            _require_team(ledger, team_id)
        logins = [one for one in await self._setup.team_logins(contest.id, team_ids) if not one.is_mighty]
        if len(logins) > MAX_PEOPLE:
            raise Refused(ApiError.INVALID, field="teams", problem=f"at most {MAX_PEOPLE} accounts at a time")
        if not logins:
            return "", []
        made, hashes, teams = [], {}, ledger.of(EventType.TEAMS)
        places = {team_id: place for place, team_id in enumerate(in_order(teams))}
        for login in sorted(logins, key=lambda one: (places.get(one.team_id, len(places)), name_key(one.username))):
            hashed = await self._administering.hashed(NewPerson(1, login.username, None, None))
            hashes[login.user_id] = hashed.account.password_hash
            shown = name_of(teams, login.team_id)
            made.append(Credential(login.team_id, shown, login.username, hashed.slip.password))
        set_id = secrets.token_hex(_SET_ID_BYTES)
        require_done(await self._setup.keep_passwords(contest.id, set_id, hashes, by=admin.id))
        _log("passwords_made", contest, admin)
        return set_id, made

    async def pending_passwords(self, contest: Contest) -> list[PendingPasswords]:
        """Return the sets of new passwords of the last day, the newest first."""
        return await self._setup.pending_passwords(contest.id)

    async def apply_passwords(self, contest: Contest, set_id: str, admin: User) -> list[str]:
        """Let new passwords hold, and end the sessions and tokens of their accounts. Return their names."""
        done = await self._setup.apply_passwords(contest.id, set_id, by=admin.id)
        if isinstance(done, ContestRefusal):
            raise Refused(REFUSALS[done])
        _log("passwords", contest, admin)
        return done

    async def drop_passwords(self, contest: Contest, set_id: str, admin: User) -> None:
        """Throw new passwords away that do not hold yet."""
        require_done(await self._setup.drop_passwords(contest.id, set_id, by=admin.id))
        _log("passwords_dropped", contest, admin)

    async def drafts(self, contest: Contest) -> list[DraftInContest]:
        """Return the contest's drafts: those that practice would open, and those that another contest holds back."""
        return await self._setup.drafts(contest.id)

    async def open_practice(self, contest: Contest, user: User) -> list[str]:
        """List the contest's drafts for everybody, once its board shows all. Return their labels. What another contest
        has that is not over stays a draft."""
        answer = await self._setup.open_problems(contest.id, by=user.id)
        if isinstance(answer, ContestRefusal):
            require_done(answer)
            raise AssertionError("a refusal is raised")
        _log("practice", contest, user)
        return answer


def _require_team(ledger: ContestLedger, team_id: str) -> dict[str, object]:
    data = ledger.of(EventType.TEAMS).get(team_id)
    if data is None:
        raise Refused(ContestError.NO_SUCH_TEAM)
    return dict(data)


def _log(act: str, contest: Contest, user: User) -> None:
    observe.log("contest_changed", reason=act, contest_id=contest.id, by_user_id=user.id)
