"""Copies of contests, teams, their passwords and addresses, practice."""

from __future__ import annotations

from pydantic import BaseModel, Field

from deepoj.api.models.base import RequestModel, ResponseModel


class ContestCopyBody(RequestModel):
    """A copy of a contest."""

    key: str = Field(description="its id in addresses: 1 to 36 letters, digits and _, inside also - and .")
    name: str = Field("", description="empty: the name of the contest that is copied")
    start_at: str | None = Field(None, description="RFC 3339 with a time zone; null: not known yet")
    teams: bool = Field(default=False, description="copy its teams, groups and organizations, too")


class TeamChanges(RequestModel):
    """What shall change of a team; what is omitted stays."""

    hidden: bool | None = Field(None, description="whether boards leave it out")
    networks: list[str] | None = Field(
        None, description="while the contest runs, its accounts are used from these only; []: from anywhere"
    )


class TeamSetup(ResponseModel):
    """A team as it is set up."""

    id: str
    hidden: bool
    networks: list[str] = Field(
        description="from which its accounts are used while the contest runs; empty: from anywhere"
    )


class TeamRemoved(ResponseModel):
    """The team that was removed."""

    id: str
    status: str


class CredentialsBody(RequestModel):
    """Whose passwords are made."""

    teams: list[str] | None = Field(None, description="ids; null: all teams")


class CredentialView(ResponseModel):
    """A new password."""

    team_id: str
    team: str
    username: str
    password: str


class CredentialList(ResponseModel):
    """The new passwords, which are nowhere else, and do not hold yet."""

    set_id: str = Field(description="apply it, or throw it away; empty: there is no account to give one")
    credentials: list[CredentialView]


class PendingPasswordsView(ResponseModel):
    """New passwords that were made at once, without the passwords."""

    set_id: str
    made_at: str
    made_by: str = Field(description="the administrator; empty: erased since")
    applied_at: str | None = Field(description="since when they hold; null: the old ones do")
    usernames: list[str]
    sessions: int = Field(description="of these accounts that are open: they end when the passwords are applied")


class PendingPasswordsList(ResponseModel):
    """New passwords of the last day, the newest first."""

    sets: list[PendingPasswordsView]


class PasswordsApplied(ResponseModel):
    """The accounts whose new passwords hold."""

    set_id: str
    usernames: list[str]


class PasswordsDropped(ResponseModel):
    """The new passwords that were thrown away."""

    set_id: str
    status: str


class HeldDraft(ResponseModel):
    """A draft that stays one, because another contest has it that is not over."""

    label: str
    contest: str = Field(description="key of that contest")


class PracticeOpened(ResponseModel):
    """The problems that everybody sees from now on."""

    opened: list[str] = Field(description="labels of the drafts that are listed now")
    held: list[HeldDraft] = Field(description="drafts that stay so: another contest has them that is not over")


class StatementQuery(BaseModel):
    """Which statement."""

    lang: str = Field(default="", description="one of `langs`; empty: the one that Accept-Language prefers")
