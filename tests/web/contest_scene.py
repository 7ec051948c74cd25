"""A contest for tests of its pages: on PostgreSQL, with events at any time of the contest."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepoj.words.accounts import UserRole
from deepoj.words.contests import (
    Contest,
    ContestKind,
    ContestMember,
    ContestObject,
    ContestProblem,
    ContestRules,
    EventType,
)
from tests.api.house import House, house_on
from tests.contract.labs import PgLab
from tests.web.scene import add_problem
from tests.web.visits import Reply, Visit, administrator, registered, with_role

HOUR_MS = 3_600_000
DURATION_MS, FREEZE_MS = 5 * HOUR_MS, HOUR_MS
#: visitors: without an account, without a team, of two teams, and those who run contests
STRANGER, MEMBER, TEAM, OTHER, JURY, ADMIN = "stranger", "member", "team", "other", "jury", "admin"
#: stage → minutes since the start
STAGES = {"before": -10.0, "running": 100.0, "frozen": 270.0, "over": 310.0, "finalized": 310.0}


def rules(since_min: float, **changes: Any) -> ContestRules:
    """Rules of a contest of five hours that started so many minutes ago; it is frozen for the last hour."""
    start_at = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=since_min)).replace(microsecond=0)
    fields: dict[str, Any] = {"name": "City Finals", "start_at": start_at, "duration_ms": DURATION_MS}
    return ContestRules(**{**fields, "freeze_ms": FREEZE_MS, **changes})


@dataclass
class Arena:
    """Pages over PostgreSQL, their visitors, and a contest."""

    real: PgLab
    home: House[Any]
    visits: dict[str, Visit] = field(default_factory=dict)
    director: int = 0

    async def hold(
        self,
        key: str,
        said: ContestRules,
        problems: Sequence[int],
        teams: Sequence[ContestObject] = (),
        groups: Sequence[ContestObject] = (),
        *,
        kind: ContestKind = ContestKind.ICPC,
    ) -> Contest:
        """Make a contest with the teams of both team visitors, and let happen what is due."""
        contests = self.real.pg_store.contests
        made = await contests.create_contest(key, kind, said, by=self.director)
        assert isinstance(made, Contest), made
        own = [team("red", "Red Pandas", "north"), team("blue", "Blue Whales", "south")]
        members = [ContestMember(TEAM, "red"), ContestMember(OTHER, "blue")]
        objects = [*groups, *own, *teams]
        assert await contests.put_objects(made.id, objects, members, by=self.director) == frozenset()
        for index, problem_id in enumerate(problems):
            label = chr(65 + index)
            shown = ContestProblem(
                label=label, problem_id=problem_id, ordinal=index + 1, name=f"Problem {label} of {key}", rgb="#ff0000"
            )
            assert await contests.put_problem(made.id, shown, by=self.director) is None
        await contests.advance()
        found = await contests.contest(key)
        assert found is not None
        return found

    def tell(self, contest: Contest, type_: EventType, object_id: str, data: dict[str, Any] | None) -> None:
        """Write an event of any content."""
        text = "NULL" if data is None else f"'{json.dumps(data)}'"
        self.real.sql(f"SELECT tell_contest({contest.id}, '{type_}', '{object_id}', {text})")

    def submitted(self, contest: Contest, number: int, team_id: str, label: str, minute: float) -> None:
        """Write the event of a submission at a minute of the contest."""
        self.tell(
            contest,
            EventType.SUBMISSIONS,
            str(number),
            {
                "job_id": f"00000000-0000-4000-8000-{number:012}",
                "team_id": team_id,
                "problem_id": label,
                "language": "cpp17",
                "at": at(contest, minute),
            },
        )

    def judged(self, contest: Contest, number: int, verdict: str, **points: Any) -> None:
        """Write the event of a submission's verdict."""
        self.tell(
            contest,
            EventType.JUDGEMENTS,
            f"{number}-1",
            {
                "submission_id": str(number),
                "verdict": verdict,
                "is_current": True,
                "runs": [[verdict, 12]],
                "began_at": at(contest, 0.0),
                "ended_at": at(contest, 0.0),
                **points,
            },
        )


def team(team_id: str, name: str, *groups: str, **data: Any) -> ContestObject:
    return ContestObject(
        EventType.TEAMS, team_id, {"name": name, "group_ids": list(groups), "is_hidden": False, **data}
    )


def group(group_id: str, name: str, *, hidden: bool = False) -> ContestObject:
    return ContestObject(EventType.GROUPS, group_id, {"name": name, "hidden": hidden, "sortorder": 0})


def at(contest: Contest, minute: float) -> str:
    """Return a time of the contest as events have it."""
    assert contest.rules.start_at is not None
    when = contest.rules.start_at + dt.timedelta(minutes=minute)
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


async def arena(tmp_path: Path, real: PgLab, **changes: Any) -> Arena:
    """Return pages with a visitor of each kind. ``changes``: of the settings."""
    home = house_on(tmp_path, real.pg_store, has_pages=True, **changes)
    place = Arena(real, home)
    place.visits = {
        STRANGER: Visit(home),
        MEMBER: await registered(home, MEMBER),
        TEAM: await registered(home, TEAM),
        OTHER: await registered(home, OTHER),
        JURY: await with_role(home, JURY, UserRole.JURY),
        ADMIN: await administrator(home, "chief"),
    }
    chief = await home.ports.accounts.credentials("chief")
    assert chief is not None
    place.director = chief.user.id
    return place


async def draft_problem(place: Arena, title: str = "A+B") -> int:
    """Return a problem that people see in contests alone."""
    number = await add_problem(place.home, title=title)
    place.real.sql(f"UPDATE problems SET visibility = 'draft' WHERE id = {number}")
    return number


def stamp_in(page: str) -> str:
    """Return what the button of a question sends; empty: the page asks nothing."""
    return page.partition('name="sure" value="')[2].partition('"')[0]


async def confirmed(visit: Visit, path: str, fields: Mapping[str, str]) -> Reply:
    """Send a form, and confirm it if its page asks."""
    asked = await visit.post(path, fields)
    mark = stamp_in(asked.text)
    return await visit.post(path, {**fields, "sure": mark}) if mark else asked
