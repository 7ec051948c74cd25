"""The pages, as tables: which pages the browser looks at, and who may do what. A new page is a line in each.

A path has the parts ``{problem}``, ``{job}`` (judged, of the member), ``{waiting}`` (not judged yet, of the
member), ``{run}`` and ``{batch}`` (of the member), ``{member}`` (its name), ``{user}`` (a number), ``{act}`` (what is
done to it), ``{staged}`` (a package that was uploaded to be compared), ``{form}`` (of the account), ``{preview}`` (of a
rejudge of the problem), ``{chapter}`` (of the runbook), ``{rerun}`` (of a test of the submission;
``{kept}``: one of its files).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Who(enum.StrEnum):
    """The visitors of the tables."""

    STRANGER = "stranger"
    MEMBER = "member"
    #: another member, to whom nothing of the member's belongs
    OTHER = "other"
    ADMIN = "admin"
    #: of the problem
    SETTER = "setter"
    #: a setter to whom the problem does not belong
    OTHER_SETTER = "other setter"
    JURY = "jury"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A page that the browser looks at. It has the budget of an ordinary page, or that of one with an editor."""

    path: str
    who: Who
    has_editor: bool = False
    status: int = 200
    #: what tests and screenshots call it; by default its path
    name: str = ""

    def __str__(self) -> str:
        return self.name or f"{self.path.strip('/').replace('/', '-') or 'home'}-{self.who}"


PAGES: tuple[Shown, ...] = (
    Shown(path="/", who=Who.STRANGER),
    Shown(path="/", who=Who.MEMBER),
    Shown(path="/login", who=Who.STRANGER),
    Shown(path="/register", who=Who.STRANGER),
    Shown(path="/problems", who=Who.MEMBER),
    Shown(path="/problems/{problem}", who=Who.STRANGER, name="problem-stranger"),
    Shown(path="/problems/{problem}", who=Who.MEMBER, name="problem", has_editor=True),
    Shown(path="/problems/{problem}?samples={run}", who=Who.MEMBER, name="problem-samples", has_editor=True),
    Shown(path="/submissions", who=Who.MEMBER),
    Shown(path="/submissions?all=1", who=Who.ADMIN, name="submissions-all"),
    Shown(path="/submissions/{accepted}", who=Who.MEMBER, name="submission-accepted"),
    Shown(path="/submissions/{accepted}", who=Who.ADMIN, name="submission-staff"),
    Shown(path="/submissions/{wrong}", who=Who.MEMBER, name="submission-wrong"),
    Shown(path="/submissions/{broken}", who=Who.MEMBER, name="submission-compile-error"),
    Shown(path="/batches", who=Who.MEMBER),
    Shown(path="/batches/{batch}", who=Who.MEMBER, name="batch"),
    Shown(path="/account", who=Who.MEMBER),
    Shown(path="/account/erase", who=Who.MEMBER),
    Shown(path="/playground", who=Who.MEMBER, name="playground", has_editor=True),
    Shown(path="/playground/{run}", who=Who.MEMBER, name="playground-run", has_editor=True),
    Shown(path="/users/{member}", who=Who.MEMBER, name="users-member"),
    Shown(path="/manage/audit", who=Who.ADMIN, name="manage-audit"),
    Shown(path="/manage/problems", who=Who.ADMIN, name="manage-problems"),
    Shown(path="/manage/problems/{problem}", who=Who.ADMIN, name="manage-problems-problem"),
    Shown(path="/manage/problems/{problem}/delete", who=Who.ADMIN, name="manage-problems-problem-delete"),
    Shown(path="/manage/problems/{problem}/rejudge", who=Who.ADMIN, name="manage-problems-problem-rejudge"),
    Shown(path="/manage/problems/{problem}/replace", who=Who.ADMIN, name="manage-problems-problem-replace"),
    Shown(path="/manage/problems/{problem}/replace?package={staged}", who=Who.ADMIN, name="manage-problems-changes"),
    Shown(path="/manage/problems/{problem}/previews/{preview}", who=Who.ADMIN, name="manage-problems-preview"),
    Shown(path="/manage/problems/{problem}/verify", who=Who.ADMIN, name="manage-problems-problem-verify"),
    Shown(
        path="/manage/problems/{problem}/statement",
        who=Who.ADMIN,
        name="manage-problems-problem-statement",
        has_editor=True,
    ),
    Shown(path="/manage/system", who=Who.ADMIN, name="manage-system"),
    Shown(path="/manage/users", who=Who.ADMIN, name="manage-users"),
    Shown(path="/manage/users/{user}", who=Who.ADMIN, name="manage-users-user"),
    Shown(path="/manage/users/{user}/{act}", who=Who.ADMIN, name="manage-users-user-act"),
    Shown(path="/manage/users/import", who=Who.ADMIN, name="manage-users-import"),
    Shown(path="/manage/users/new", who=Who.ADMIN, name="manage-users-new"),
    Shown(path="/manage/groups", who=Who.ADMIN, name="manage-groups"),
    Shown(path="/manage/groups/{group}", who=Who.ADMIN, name="manage-groups-group"),
    Shown(path="/runbook", who=Who.STRANGER, name="runbook"),
    Shown(path="/runbook/{chapter}", who=Who.STRANGER, name="runbook-chapter"),
    Shown(path="/contests", who=Who.MEMBER),
    Shown(path="/manage/contests", who=Who.ADMIN, name="manage-contests"),
    Shown(path="/manage/rehearsal", who=Who.ADMIN, name="manage-rehearsal"),
    Shown(path="/nowhere", who=Who.STRANGER, status=404, name="not-found"),
    Shown(path="/submissions/{accepted}", who=Who.OTHER, status=403, name="forbidden"),
    Shown(path="/submissions/{wrong}", who=Who.ADMIN, name="submission-wrong-setter"),
    Shown(path="/submissions/{wrong}/reruns/{rerun}", who=Who.ADMIN, name="submission-rerun"),
)

#: pages that are not shown by themselves: streams, files, what leads elsewhere, what this site has none of
NOT_SHOWN = (
    "/submissions/{job}/events",
    "/submissions/{job}/reruns",
    "/submissions/{job}/reruns/{rerun}/{kept}",
    "/playground/{run}/events",
    "/problems/{problem}/run",
    "/problems/{problem}/samples",
    "/manage/problems/{problem}/verify/events",
    "/manage/problems/{problem}/previews/{preview}/events",
    "/account/password",
    "/account/sessions",
    "/account/export",
    "/account/{form}",
    "/login/github",
    "/login/github/callback",
    "/manage/problems/{problem}/results.csv",
    "/manage/problems/{problem}/results.json",
    "/manage/system/letters/{job}",
    "/manage/system/events",
    "/problems/{problem}/statement/files/{file}",
    "/problems/{problem}/attachments/{file}",
    "/manage/problems/{problem}/package",
    # tests/web/test_contests.py has contests: they need PostgreSQL
    "/contests/{contest}",
    "/contests/{contest}/board",
    "/contests/{contest}/scoreboard",
    "/contests/{contest}/scoreboard/events",
    "/contests/{contest}/events",
    "/manage/contests/{contest}/events",
    "/contests/{contest}/scoreboard.{ending}",
    "/contests/{contest}/board/{team}/{label}",
    "/contests/{contest}/submissions",
    "/contests/{contest}/clarifications",
    "/contests/{contest}/problems/{label}",
    "/contests/{contest}/problems/{label}/run",
    "/contests/{contest}/problems/{label}/samples",
    "/contests/{contest}/problems/{label}/statement/files/{file}",
    "/contests/{contest}/problems/{label}/attachments/{file}",
    "/manage/contests/{contest}",
    "/manage/contests/{contest}/scoreboard",
    "/manage/contests/{contest}/scoreboard/events",
    "/manage/contests/{contest}/scoreboard.{ending}",
    "/manage/contests/{contest}/results.tsv",
    "/manage/contests/{contest}/results.json",
    "/manage/contests/{contest}/submissions",
    "/manage/contests/{contest}/submissions/{sent}",
    "/manage/contests/{contest}/clarifications",
    "/manage/contests/{contest}/teams",
    "/manage/contests/{contest}/teams/{team}",
    "/manage/contests/{contest}/credentials",
    "/manage/contests/{contest}/afterwards",
    "/manage/contests/{contest}/finalize",
    "/manage/contests/{contest}/problems/{label}/statement",
    "/manage/contests/{contest}/rejudges",
    "/manage/contests/{contest}/rejudges/{preview}",
    "/manage/contests/{contest}/waits",
    "/manage/contests/{contest}/clock",
)

#: streams that go on until their reader leaves
ENDLESS = frozenset({"/manage/system/events"})

#: instead of a status: the visitor is sent to the login
LOGIN = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What the visitors get: the stranger, the member, the other member, the administrator; LOGIN or a status. Then the
    setter, the other setter, the jury and the operator; None: what the other member gets.

    ``fields``: a form that is taken; a value that is one part, such as ``{job}``, is filled in.
    """

    method: str
    path: str
    statuses: tuple[int, int, int, int]
    roles: tuple[int, int, int, int] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def by_visitor(self) -> dict[Who, int]:
        return dict(zip(Who, self.statuses + (self.roles or self.statuses[2:3] * 4), strict=True))

    def form(self, ids: Mapping[str, str]) -> dict[str, str]:
        return {name: ids.get(value[1:-1], value) for name, value in self.fields.items()}


_FILLED_IN = {"username": "newcomer", "password": "correct horse", "email": ""}

RIGHTS: tuple[Right, ...] = (
    Right(method="GET", path="/", statuses=(200, 200, 200, 200)),
    Right(method="POST", path="/preferences", statuses=(303, 303, 303, 303), fields={"next": "/", "theme": "dark"}),
    Right(method="GET", path="/login", statuses=(200, 303, 303, 303)),
    Right(method="POST", path="/login", statuses=(401, 401, 401, 401), fields=_FILLED_IN),
    Right(method="GET", path="/register", statuses=(200, 303, 303, 303)),
    Right(method="POST", path="/register", statuses=(303, 303, 303, 303), fields=_FILLED_IN),
    Right(method="POST", path="/logout", statuses=(303, 303, 303, 303)),
    Right(method="GET", path="/problems", statuses=(200, 200, 200, 200)),
    Right(method="GET", path="/problems/{problem}", statuses=(200, 200, 200, 200)),
    Right(
        method="POST",
        path="/problems/{problem}",
        statuses=(LOGIN, 303, 303, 303),
        fields={"language": "cpp17", "code": "int main(){}"},
    ),
    Right(method="GET", path="/submissions", statuses=(LOGIN, 200, 200, 200)),
    Right(method="GET", path="/submissions/{job}", statuses=(LOGIN, 200, 403, 200), roles=(200, 403, 200, 403)),
    Right(method="GET", path="/submissions/{waiting}", statuses=(LOGIN, 200, 403, 200), roles=(200, 403, 200, 403)),
    Right(method="GET", path="/submissions/{job}/events", statuses=(LOGIN, 200, 403, 200), roles=(200, 403, 200, 403)),
    Right(
        method="POST",
        path="/submissions/{job}/reruns",
        statuses=(LOGIN, 403, 403, 303),
        roles=(303, 403, 303, 403),
        fields={"test": "secret/1"},
    ),
    Right(method="GET", path="/submissions/{job}/reruns", statuses=(LOGIN, 303, 403, 303), roles=(303, 403, 303, 403)),
    Right(
        method="GET",
        path="/submissions/{job}/reruns/{rerun}",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="GET",
        path="/submissions/{job}/reruns/{rerun}/{kept}",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(method="GET", path="/batches", statuses=(LOGIN, 200, 200, 200)),
    Right(method="GET", path="/batches/{batch}", statuses=(LOGIN, 200, 403, 200), roles=(403, 403, 200, 403)),
    Right(method="POST", path="/batches/{batch}", statuses=(LOGIN, 303, 403, 403), fields={"act": "cancel"}),
    Right(method="GET", path="/account", statuses=(LOGIN, 200, 200, 200)),
    Right(method="GET", path="/account/password", statuses=(LOGIN, 303, 303, 303)),
    Right(method="GET", path="/account/sessions", statuses=(LOGIN, 303, 303, 303)),
    Right(method="GET", path="/account/{form}", statuses=(LOGIN, 303, 303, 303)),
    Right(method="GET", path="/account/export", statuses=(LOGIN, 200, 200, 200)),
    Right(method="GET", path="/account/erase", statuses=(LOGIN, 200, 200, 200)),
    Right(method="POST", path="/account/email", statuses=(LOGIN, 303, 303, 303), fields=_FILLED_IN),
    Right(
        method="POST",
        path="/account/privacy",
        statuses=(LOGIN, 303, 303, 303),
        fields={"profile_for": "administrators"},
    ),
    Right(method="POST", path="/account/token", statuses=(LOGIN, 200, 200, 200), fields=_FILLED_IN | {"name": "x"}),
    Right(method="POST", path="/account/tokens", statuses=(LOGIN, 303, 303, 303), fields={"token_id": "x"}),
    Right(method="POST", path="/account/contest-webhooks", statuses=(LOGIN, 303, 303, 303), fields={"webhook_id": "9"}),
    # disabled on this site
    Right(method="POST", path="/account/webhook-secret", statuses=(LOGIN, 404, 404, 404)),
    # the administrator is the last one
    Right(method="POST", path="/account/erase", statuses=(LOGIN, 200, 200, 409), fields=_FILLED_IN),
    # not configured on this site
    Right(method="GET", path="/login/github", statuses=(404, 303, 303, 303)),
    Right(method="GET", path="/login/github/callback", statuses=(404, 404, 404, 404)),
    Right(
        method="POST",
        path="/account/password",
        statuses=(LOGIN, 303, 303, 303),
        fields={"password": "correct horse", "new_password": "a new password"},
    ),
    Right(method="POST", path="/account/sessions", statuses=(LOGIN, 303, 303, 303), fields={"session": "others"}),
    Right(method="GET", path="/problems/{problem}/run", statuses=(303, 303, 303, 303)),
    Right(
        method="POST",
        path="/problems/{problem}/run",
        statuses=(LOGIN, 303, 303, 303),
        fields={"language": "cpp17", "code": "int main(){}", "stdin": ""},
    ),
    Right(method="GET", path="/problems/{problem}/samples", statuses=(LOGIN, 303, 303, 303)),
    Right(
        method="POST",
        path="/problems/{problem}/samples",
        statuses=(LOGIN, 400, 400, 400),  # the problem has no samples
        fields={"language": "cpp17", "code": "int main(){}"},
    ),
    Right(method="GET", path="/playground", statuses=(LOGIN, 200, 200, 200)),
    Right(
        method="POST",
        path="/playground",
        statuses=(LOGIN, 303, 303, 303),
        fields={"language": "cpp17", "code": "int main(){}", "stdin": ""},
    ),
    Right(method="GET", path="/playground/{run}", statuses=(LOGIN, 200, 403, 403)),
    Right(method="GET", path="/playground/{run}/events", statuses=(LOGIN, 200, 403, 403)),
    Right(method="GET", path="/users/{member}", statuses=(LOGIN, 200, 200, 200)),
    Right(method="GET", path="/manage/audit", statuses=(LOGIN, 403, 403, 200), roles=(403, 403, 403, 200)),
    Right(method="GET", path="/manage/problems", statuses=(LOGIN, 403, 403, 200), roles=(200, 200, 200, 403)),
    Right(method="GET", path="/manage/problems/{problem}", statuses=(LOGIN, 403, 403, 200), roles=(200, 403, 200, 403)),
    Right(
        method="GET",
        path="/manage/problems/{problem}/delete",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 403, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/rejudge",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/replace",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 403, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/results.csv",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/results.json",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(method="GET", path="/manage/system", statuses=(LOGIN, 403, 403, 200), roles=(403, 403, 403, 200)),
    Right(
        method="GET", path="/manage/system/letters/{job}", statuses=(LOGIN, 403, 403, 404), roles=(403, 403, 403, 404)
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/previews/{preview}",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/previews/{preview}/events",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/previews/{preview}",
        statuses=(LOGIN, 403, 403, 303),
        roles=(303, 403, 303, 403),
        fields={"act": "cancel"},
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/verify",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/verify/events",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 200, 403),
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/verify",
        statuses=(LOGIN, 403, 403, 303),
        roles=(303, 403, 303, 403),
        fields={"act": "cancel"},
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/statement",
        statuses=(LOGIN, 403, 403, 200),
        roles=(200, 403, 403, 403),
    ),
    Right(
        method="GET",
        path="/manage/problems/{problem}/package",
        statuses=(LOGIN, 403, 403, 400),
        roles=(400, 403, 403, 403),
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/statement",
        statuses=(LOGIN, 403, 403, 409),
        roles=(409, 403, 403, 403),
        fields={"action": "save", "lang": "en", "format": "md", "code": "x", "revision": "e9"},
    ),
    Right(method="GET", path="/manage/users", statuses=(LOGIN, 403, 403, 200)),
    Right(method="GET", path="/manage/users/{user}", statuses=(LOGIN, 403, 403, 200)),
    Right(method="GET", path="/manage/users/{user}/{act}", statuses=(LOGIN, 403, 403, 200)),
    Right(method="GET", path="/manage/users/import", statuses=(LOGIN, 403, 403, 200)),
    Right(method="GET", path="/manage/users/new", statuses=(LOGIN, 403, 403, 200)),
    Right(
        method="POST",
        path="/manage/problems",
        statuses=(LOGIN, 403, 403, 400),
        roles=(400, 400, 403, 403),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}",
        statuses=(LOGIN, 403, 403, 303),
        roles=(303, 403, 403, 403),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/delete",
        statuses=(LOGIN, 403, 403, 409),
        roles=(409, 403, 403, 403),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/rejudge",
        statuses=(LOGIN, 403, 403, 303),
        roles=(303, 403, 303, 403),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/problems/{problem}/replace",
        statuses=(LOGIN, 403, 403, 400),
        roles=(400, 403, 403, 403),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/system/letters/{job}",
        statuses=(LOGIN, 403, 403, 400),
        roles=(403, 403, 403, 400),
        fields={"username": "newcomer"},
    ),
    Right(
        method="POST",
        path="/manage/users/{user}/{act}",
        statuses=(LOGIN, 403, 403, 303),
        fields={"username": "newcomer"},
    ),
    Right(method="POST", path="/manage/users/import", statuses=(LOGIN, 403, 403, 422), fields={"username": "newcomer"}),
    Right(method="POST", path="/manage/users/new", statuses=(LOGIN, 403, 403, 200), fields={"username": "newcomer"}),
    Right(
        method="POST", path="/manage/users/slips.csv", statuses=(LOGIN, 403, 403, 200), fields={"username": "newcomer"}
    ),
    Right(method="POST", path="/manage/users/{user}/roles", statuses=(LOGIN, 403, 403, 303), fields={"setter": "1"}),
    Right(method="GET", path="/manage/groups", statuses=(LOGIN, 403, 403, 200)),
    Right(method="POST", path="/manage/groups", statuses=(LOGIN, 403, 403, 303), fields={"name": "Another class"}),
    Right(method="GET", path="/manage/groups/{group}", statuses=(LOGIN, 403, 403, 200)),
    Right(
        method="POST",
        path="/manage/groups/{group}",
        statuses=(LOGIN, 403, 403, 303),
        fields={"act": "add", "people": "member"},
    ),
    Right(method="GET", path="/manage/system/events", statuses=(LOGIN, 403, 403, 200), roles=(403, 403, 403, 200)),
    Right(method="POST", path="/manage/system/audit", statuses=(LOGIN, 403, 403, 303), roles=(403, 403, 403, 303)),
    Right(
        method="POST", path="/manage/system/webhooks/{job}", statuses=(LOGIN, 403, 403, 404), roles=(403, 403, 403, 404)
    ),
    Right(method="GET", path="/problems/{problem}/statement/files/{file}", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/problems/{problem}/attachments/{file}", statuses=(404, 404, 404, 404)),
    # there are no contests on this site
    Right(method="GET", path="/manage/contests", statuses=(LOGIN, 403, 403, 200), roles=(403, 403, 200, 403)),
    Right(method="POST", path="/manage/contests", statuses=(LOGIN, 403, 403, 400), roles=(403, 403, 400, 403)),
    *(
        Right(
            method=method,
            path=f"/manage/contests/{{contest}}{page}",
            statuses=(LOGIN, 403, 403, 404),
            roles=(403, 403, 404, 403),
        )
        for method, page in (
            ("GET", ""),
            ("POST", ""),
            ("GET", "/scoreboard"),
            ("GET", "/scoreboard/events"),
            ("GET", "/events"),
            ("GET", "/scoreboard.{ending}"),
            ("GET", "/results.tsv"),
            ("GET", "/results.json"),
            ("GET", "/submissions"),
            ("GET", "/teams"),
            ("GET", "/teams/{team}"),
            ("POST", "/teams"),
            ("GET", "/afterwards"),
            ("POST", "/afterwards"),
            ("GET", "/finalize"),
            ("POST", "/finalize"),
            ("GET", "/rejudges"),
            ("POST", "/rejudges"),
            ("GET", "/rejudges/{preview}"),
            ("POST", "/rejudges/{preview}"),
            ("GET", "/submissions/{sent}"),
            ("POST", "/submissions/{sent}"),
            ("GET", "/clarifications"),
            ("POST", "/clarifications"),
            ("GET", "/waits"),
            ("GET", "/clock"),
            ("POST", "/clock"),
        )
    ),
    Right(method="GET", path="/manage/rehearsal", statuses=(LOGIN, 403, 403, 200)),
    Right(method="POST", path="/manage/rehearsal", statuses=(LOGIN, 403, 403, 303), fields={"act": "cancel"}),
    Right(method="GET", path="/manage/contests/{contest}/credentials", statuses=(LOGIN, 403, 403, 404)),
    Right(method="POST", path="/manage/contests/{contest}/credentials", statuses=(LOGIN, 403, 403, 404)),
    Right(method="POST", path="/manage/contests/{contest}/credentials.csv", statuses=(LOGIN, 403, 403, 404)),
    Right(method="GET", path="/contests", statuses=(200, 200, 200, 200)),
    Right(method="GET", path="/contests/{contest}", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/board", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/scoreboard", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/scoreboard/events", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/events", statuses=(LOGIN, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/scoreboard.{ending}", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/submissions", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/board/{team}/{label}", statuses=(404, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/problems/{label}/run", statuses=(LOGIN, 404, 404, 404)),
    Right(method="POST", path="/contests/{contest}/problems/{label}/run", statuses=(LOGIN, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/problems/{label}/samples", statuses=(LOGIN, 404, 404, 404)),
    Right(method="POST", path="/contests/{contest}/problems/{label}/samples", statuses=(LOGIN, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/clarifications", statuses=(404, 404, 404, 404)),
    Right(method="POST", path="/contests/{contest}/clarifications", statuses=(LOGIN, 404, 404, 404)),
    Right(method="POST", path="/contests/{contest}/registration", statuses=(LOGIN, 404, 404, 404)),
    Right(method="GET", path="/contests/{contest}/problems/{label}", statuses=(LOGIN, 404, 404, 404)),
    Right(method="POST", path="/contests/{contest}/problems/{label}", statuses=(LOGIN, 404, 404, 404)),
    Right(
        method="GET",
        path="/contests/{contest}/problems/{label}/statement/files/{file}",
        statuses=(LOGIN, 404, 404, 404),
    ),
    Right(
        method="GET", path="/contests/{contest}/problems/{label}/attachments/{file}", statuses=(LOGIN, 404, 404, 404)
    ),
    Right(
        method="GET",
        path="/manage/contests/{contest}/problems/{label}/statement",
        statuses=(LOGIN, 403, 403, 404),
        roles=(403, 403, 404, 403),
    ),
    Right(
        method="POST",
        path="/manage/contests/{contest}/problems/{label}/statement",
        statuses=(LOGIN, 403, 403, 404),
        roles=(403, 403, 404, 403),
    ),
    Right(method="GET", path="/runbook", statuses=(200, 200, 200, 200)),
    Right(method="GET", path="/runbook/{chapter}", statuses=(200, 200, 200, 200)),
)
