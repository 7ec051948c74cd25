"""Contests: their rules, problems, teams, clarifications and scoreboards."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.accounts.teams import TeamListFormat
from deepoj.api.models.base import RequestModel, ResponseModel
from deepoj.api.models.submissions import SourcesBody
from deepoj.words.contests import MAX_TEAM_ENTRIES, USUAL_SCORE, ContestFeedback, ContestKind, ContestRegistration

_START = "RFC 3339 with a time zone; null: not known yet"
_FREEZE = "how long before the end the board stops showing verdicts; null: never"
_THAW = "when a frozen board shows all verdicts, after the end; null: not decided yet"
_PENALTY = "of a rejected attempt at a problem that is solved later"
_FEEDBACK = "full: teams see their verdicts at once; hidden: when the contest is over for all teams and shows all"
_VERIFYING = "whether a verdict is seen, and counts on the board, only when the jury has verified it"
_CUSTOM_RUNS = "whether teams may run programs on inputs of their own while it runs"
_LATE = "homework: how long after the end submissions are taken"
_LATE_STEP = "homework: for each such time that has begun a late submission loses late_percent of its points"
_LANGUAGES = "keys of the languages that are taken, among those of each problem; empty: all of them"
_REGISTRATION = "open: each account that sees the contest may make itself a team of one, until the end"
_LATE_PERCENT = "homework: 0 to 100"
_MAX_SCORE = "the most points that it gives; shown where points count"
_FINAL_COMMENT = "of those who finalized it, after the thaw; those who run it see it before; empty: none"
_POINTS = "only in contests of the kinds ioi and homework"


class ContestChanges(RequestModel):
    """What shall change of a contest; what is omitted stays."""

    name: str | None = None
    formal_name: str | None = None
    is_public: bool | None = Field(None, description="false: only its teams and those who run it see it")
    start_at: str | None = Field(None, description=_START)
    duration_ms: int | None = None
    freeze_ms: int | None = Field(None, description=_FREEZE)
    penalty_ms: int | None = Field(None, description=_PENALTY)
    is_compile_error_free: bool | None = Field(None, description="whether a compile error costs no penalty")
    thaw_at: str | None = Field(None, description=_THAW)
    feedback: ContestFeedback | None = Field(None, strict=False, description=_FEEDBACK)
    is_verifying: bool | None = Field(None, description=_VERIFYING)
    allows_custom_runs: bool | None = Field(None, description=_CUSTOM_RUNS)
    late_ms: int | None = Field(None, description=_LATE)
    late_step_ms: int | None = Field(None, description=_LATE_STEP)
    late_percent: int | None = Field(None, description=_LATE_PERCENT)
    languages: list[str] | None = Field(None, description=_LANGUAGES)
    registration: ContestRegistration | None = Field(None, strict=False, description=_REGISTRATION)


class ContestBody(RequestModel):
    """A new contest."""

    key: str = Field(description="its id in addresses: 1 to 36 letters, digits and _, inside also - and .")
    kind: ContestKind = Field(ContestKind.ICPC, strict=False, description="by which rules its board counts; stays")
    name: str
    formal_name: str = ""
    is_public: bool = Field(True, description="false: only its teams and those who run it see it")
    start_at: str | None = Field(None, description=_START)
    duration_ms: int
    freeze_ms: int | None = Field(None, description=_FREEZE)
    penalty_ms: int = Field(20 * 60_000, description=_PENALTY)
    is_compile_error_free: bool = Field(True, description="whether a compile error costs no penalty")
    thaw_at: str | None = Field(None, description=_THAW)
    feedback: ContestFeedback = Field(ContestFeedback.FULL, strict=False, description=_FEEDBACK)
    is_verifying: bool = Field(False, description=_VERIFYING)
    allows_custom_runs: bool = Field(True, description=_CUSTOM_RUNS)
    late_ms: int = Field(0, description=_LATE)
    late_step_ms: int = Field(24 * 3_600_000, description=_LATE_STEP)
    late_percent: int = Field(0, description=_LATE_PERCENT)
    languages: list[str] = Field([], description=_LANGUAGES)
    registration: ContestRegistration = Field(ContestRegistration.CLOSED, strict=False, description=_REGISTRATION)


class ContestRegistered(ResponseModel):
    """The caller in a contest."""

    key: str
    team_id: str | None = Field(description="the caller's team; null: none any more")


class ContestRemoved(ResponseModel):
    """The contest that was deleted."""

    key: str
    status: str


class ContestQuery(BaseModel):
    """How a contest is deleted."""

    force: bool = Field(default=False, description="also if it has started")


class ContestStateView(ResponseModel):
    """What has happened, at the time for which it was set; null: not yet."""

    started_at: str | None
    frozen_at: str | None
    ended_at: str | None
    closed_at: str | None = Field(description="the last team's time, and that of late homework, is over")
    thawed_at: str | None
    finalized_at: str | None
    end_of_updates_at: str | None


class ContestItem(ResponseModel):
    """A contest in a list."""

    key: str
    name: str
    formal_name: str
    kind: str
    is_public: bool
    start_at: str | None = Field(description=_START)
    duration_ms: int
    freeze_ms: int | None = Field(description=_FREEZE)
    penalty_ms: int = Field(description=_PENALTY)
    is_compile_error_free: bool
    thaw_at: str | None = Field(description=_THAW)
    feedback: str = Field(description=_FEEDBACK)
    is_verifying: bool = Field(description=_VERIFYING)
    allows_custom_runs: bool = Field(description=_CUSTOM_RUNS)
    late_ms: int = Field(description=_LATE)
    late_step_ms: int = Field(description=_LATE_STEP)
    late_percent: int = Field(description=_LATE_PERCENT)
    languages: list[str] = Field(description=_LANGUAGES)
    registration: str = Field(description=_REGISTRATION)
    countdown_pause_ms: int | None = Field(description="what was left when its countdown was paused; null: it is not")
    paused_at: str | None = Field(description="since when it is paused; null: it is not")
    ends_at: str | None = Field(description="when it ends; null: its start is not known, or it is paused")
    state: ContestStateView


class ContestList(ResponseModel):
    """The newest contests that the caller sees."""

    contests: list[ContestItem]


class ContestProblemView(ResponseModel):
    """A problem of a contest."""

    label: str
    ordinal: int
    name: str
    rgb: str
    color: str
    time_limit_ms: int
    memory_limit_mb: int
    max_score: float = Field(description=_MAX_SCORE)
    statements: list[str] = Field(description="languages in which the contest has a statement of its own")
    problem_id: int | None = Field(description="for those who run the contest; else null")


class ContestView(ContestItem):
    """A contest as the caller sees it."""

    team_id: str | None = Field(description="the caller's team; null: none")
    problems: list[ContestProblemView] = Field(description="after the start; those who run it see them before")
    final_comment: str = Field(description=_FINAL_COMMENT)


class ContestWaitsView(ResponseModel):
    """How long the latest judged submissions of a contest took. Milliseconds; all 0 if there are none."""

    count: int = Field(description="submissions that were measured: the latest 1000 at most, without rejudges")
    wait_p50_ms: int = Field(description="from the submission until a node took it: median")
    wait_p99_ms: int = Field(description="the same: 99 of 100 waited at most so long")
    judging_p50_ms: int = Field(description="from there to the verdict: median")
    judging_p99_ms: int = Field(description="the same: 99 of 100 took at most so long")
    compile_percent: int = Field(description="of the time of judging: the compilers")
    run_percent: int = Field(description="of the time of judging: the tests")
    other_percent: int = Field(description="of the time of judging: the rest, which is the judge's own")


class ContestProblemBody(RequestModel):
    """A problem for a label of a contest, or what changes of it: omitted fields stay."""

    problem_id: int = Field(0, description="required for a label that the contest does not have yet")
    ordinal: int = Field(0, description="its place, from 1; 0: it keeps its place, or is the last")
    name: str = Field("", description="instead of the problem's title")
    rgb: str = Field("", description="#rrggbb, the color of its balloons")
    color: str = Field("", description="the name of this color")
    time_limit_ms: int | None = Field(None, description="instead of the problem's; null: the problem's")
    memory_limit_mb: int | None = Field(None, description="instead of the problem's; null: the problem's")
    max_score: float = Field(USUAL_SCORE, description=_MAX_SCORE)


class TeamsBody(RequestModel):
    """A list of teams."""

    #: a word here: an unknown one is refused in a sentence that names the known ones
    format: str = Field(
        TeamListFormat.AUTO.value,
        description="auto: told by its first line or by the keys of its entries: a table of the ICPC (groups.tsv,"
        " teams.tsv, institutions.tsv, accounts.tsv), JSON or YAML, or else csv. csv: a table with commas, semicolons"
        " or tabs, in the order id, name, organization, groups, hidden, accounts, ip (addresses or networks from which"
        " the accounts log in), or with a head that names these columns, or icpc_id; several groups or accounts of a"
        " cell are separated by ; or |. teams, groups, organizations, accounts: JSON or YAML of the Contest API."
        " members: the name of a group of accounts, each of which becomes a team of its own",
        json_schema_extra={"enum": [one.value for one in TeamListFormat]},
    )
    text: str = Field(description=f"at most {MAX_TEAM_ENTRIES} lines or objects")
    create_accounts: bool = Field(
        default=False, description="make accounts that are missing, with generated passwords; for administrators"
    )


class CreatedAccountView(ResponseModel):
    """An account that was made."""

    username: str
    password: str


class TeamsImported(ResponseModel):
    """What was imported."""

    teams: int
    groups: int
    organizations: int
    accounts: int
    created: list[CreatedAccountView] = Field(description="accounts that were made; the passwords are only here")
    notes: list[str] = Field(
        description="what of the list was not taken, each with its line or entry: keys that are not kept, accounts of"
        " judges and administrators that were not made, members of other teams"
    )


class TeamView(ResponseModel):
    """A team."""

    id: str
    icpc_id: str | None = Field(description="its id at the ICPC")
    name: str
    display_name: str
    label: str
    organization_id: str | None
    organization: str | None = Field(description="its name")
    group_ids: list[str] = Field(description="those that the caller sees")
    is_hidden: bool
    accounts: list[str] = Field(description="user names; those that the caller sees")


class ContestGroupView(ResponseModel):
    """A group of teams."""

    id: str
    icpc_id: str | None = Field(description="its id at the ICPC")
    name: str
    type: str
    hidden: bool = Field(description="whether boards leave its teams out")


class OrganizationView(ResponseModel):
    """An organization."""

    id: str
    icpc_id: str | None = Field(description="its id at the ICPC")
    name: str
    formal_name: str
    country: str


class TeamPage(ResponseModel):
    """The teams, groups and organizations that the caller sees."""

    teams: list[TeamView]
    groups: list[ContestGroupView]
    organizations: list[OrganizationView]


class ContestSubmitBody(SourcesBody):
    """A submission to a problem of a contest: ``code``, or ``files``, or ``archive``."""

    problem: str = Field(description="the label of the problem, such as A")


class ClarificationBody(RequestModel):
    """A question of a team, or an answer or announcement of those who run the contest."""

    text: str = Field(description="1 to 4000 characters")
    problem: str | None = Field(
        None, description="the label of the problem that it is about; if omitted, an answer has its question's"
    )
    category: str = Field("", description="if omitted, an answer has its question's")
    reply_to: str | None = Field(None, description="id of the clarification that it answers")
    to_teams: list[str] | None = Field(
        None,
        description="ids of the teams that it is for; if omitted, an answer goes to the team that asked, and"
        " anything else of those who run the contest to all",
    )
    to_all: bool = Field(default=False, description="send an answer to all; it then begins with the question")


class ClarificationView(ResponseModel):
    """A clarification."""

    id: str
    from_team_id: str | None = Field(description="null: of those who run the contest")
    to_team_ids: list[str] | None = Field(description="null: to all, and a team's to those who run the contest")
    reply_to: str | None
    problem: str | None
    category: str
    text: str
    at: str


class ClarificationList(ResponseModel):
    """The clarifications that the caller sees, oldest first."""

    clarifications: list[ClarificationView]


def _is_none(value: object) -> bool:
    return value is None


class CellView(ResponseModel):
    """A team at a problem."""

    problem: str
    judged: int = Field(description="attempts with a verdict that is shown, to the first solution")
    rejected: int = Field(description="those of them that cost penalty time once the problem is solved")
    pending: int = Field(description="attempts without a verdict, or with one that the freeze hides")
    solved_ms: int | None = Field(description="contest time of the solution")
    is_first: bool = Field(description="whether no team has solved it before")
    points: float | None = Field(None, exclude_if=_is_none, description=_POINTS)
    subtasks: dict[str, float] | None = Field(
        None, exclude_if=_is_none, description="the best points of each subtask, if the points are their sum"
    )


class RowView(ResponseModel):
    """A team on the board."""

    rank: int
    team_id: str
    name: str
    organization: str | None
    solved: int
    penalty: int = Field(description="in minutes")
    points: float | None = Field(None, exclude_if=_is_none, description=_POINTS)
    cells: list[CellView]


class ScoreboardView(ResponseModel):
    """A scoreboard, as the caller sees it."""

    contest: str
    state: ContestStateView
    is_frozen: bool = Field(description="whether verdicts are hidden from the caller")
    problems: list[ContestProblemView]
    rows: list[RowView]


class FinalizeBody(RequestModel):
    """How many ranks get each medal, and what is said about the results."""

    gold: int = Field(4, ge=0, le=1000)
    silver: int = Field(4, ge=0, le=1000)
    bronze: int = Field(4, ge=0, le=1000)
    by_median: bool = Field(
        default=False,
        description="whether teams without a medal are ranked by the number of their solutions alone, and get an"
        " honorable mention instead of a rank below the median team",
    )
    comment: str = Field(
        "", description="for all who see the contest, when its board shows all verdicts; at most 4000 characters"
    )


class AwardView(ResponseModel):
    """An award."""

    id: str
    citation: str
    team_ids: list[str]


class AwardList(ResponseModel):
    """The awards that the caller sees: all others see them after the thaw."""

    awards: list[AwardView]


class FinalizedView(ContestItem):
    """A finalized contest with its awards."""

    final_comment: str = Field(description=_FINAL_COMMENT)
    awards: list[AwardView]
