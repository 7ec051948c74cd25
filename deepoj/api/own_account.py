"""What people do with their own accounts, as routes and pages do it: who reads a profile, tokens, export, erasure."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from deepoj import observe
from deepoj.accounts.names import is_visible
from deepoj.api.administering import REFUSALS
from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import password_subject
from deepoj.api.models.own_account import MadeToken
from deepoj.api.password_tries import PasswordTry
from deepoj.api.redact import result_for, submission_for
from deepoj.words.access_tokens import MAX_ACCESS_TOKENS, MAX_TOKEN_NAME_CHARS
from deepoj.words.account_data import OwnRun, ProfileFor
from deepoj.words.accounts import Credentials, RightsRefusal, User
from deepoj.words.submissions import ListPlace, Submission

#: of an export, read at a time: each may have a source of some ten kilobytes, and a result as large
_SUBMISSIONS, _SOLVED = 20, 200
_SESSIONS = 50
_JUDGINGS = 20
#: days of activity: all
_DAYS = 36_600


class OwnAccount:
    """Profiles, tokens, export and erasure. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._context, self._auth = context, auth

    async def profile(self, name: str, reader: User | None) -> User:
        """Return the owner of a profile that ``reader`` may see; None: a stranger.

        A stranger is asked to log in for every profile that is not open to everyone, also where there is none, so that
        names can't be guessed. To a member, a closed profile is one that isn't there.
        """
        account = await self._context.accounts.credentials(name)
        profile_for = ProfileFor.ADMINISTRATORS
        if account is not None:
            profile_for = await self._context.account_data.profile_for(account.user.id)
        if reader is None and profile_for is not ProfileFor.EVERYONE:
            raise Refused(ApiError.NO_TOKEN)
        is_closed = profile_for is ProfileFor.ADMINISTRATORS and reader is not None and not reader.is_admin
        if account is None or (is_closed and reader is not None and reader.id != account.user.id):
            raise Refused(ApiError.NO_SUCH_USER)
        return account.user

    async def confirm(self, attempt: PasswordTry, account: Credentials, password: str, username: str = "") -> None:
        """Refuse unless the password is the account's. Of an account without one, ``username`` must be its name."""
        if account.password_hash:
            await attempt.begin(password_subject(account.user.username, account))
            if not await self._auth.verify(attempt, account, password):
                raise Refused(ApiError.WRONG_OLD_PASSWORD)
        elif username.strip() != account.user.username:
            raise Refused(ApiError.INVALID, field="username", problem="type your username")

    async def make_token(self, attempt: PasswordTry, account: Credentials, name: str, password: str) -> MadeToken:
        """Make a token for a program. Refused unless the password is that of the account, if it has one: the thief of a
        session or of a login's token could keep a token after its end."""
        name = name.strip()
        if not 1 <= len(name) <= MAX_TOKEN_NAME_CHARS or not is_visible(name):
            raise Refused(ApiError.INVALID, field="name", problem=f"1 to {MAX_TOKEN_NAME_CHARS} printable characters")
        if account.password_hash:
            await self.confirm(attempt, account, password)
        token_id, expires_s = secrets.token_urlsafe(12), self._context.settings.jwt_expire_s
        await self._context.access_tokens.add_token(token_id, account, name=name, expires_s=expires_s)
        observe.log("token_made", user_id=account.user.id)
        token = self._auth.tokens.issue(account, token_id)
        return MadeToken(id=token_id, name=name, token=token, expires_in_s=expires_s)

    async def end_token(self, user: User, token_id: str) -> bool:
        """End one of the user's tokens; False: there is none with this id."""
        is_ended = await self._context.access_tokens.end_token(user.id, token_id)
        if is_ended:
            observe.log("token_ended", user_id=user.id)
        return is_ended

    async def erase(self, user: User) -> str:
        """Erase the user's own account, and return its pseudonym."""
        erased = await self._context.account_data.erase(user.id, by=user.id)
        if isinstance(erased, RightsRefusal):
            raise Refused(REFUSALS[erased])
        observe.log("account_erased", user_id=user.id, by_user_id=user.id)
        return erased

    async def export(self, user: User) -> AsyncGenerator[bytes]:
        """Yield all that is kept about the user, as one JSON object; in memory is a page of it at a time.

        Results are shown as their author sees them. Tokens of logins are not stored, so there are none to list.
        """
        context = self._context
        account = await context.accounts.account(user.id)
        if account is None:
            raise Refused(ApiError.NO_TOKEN)
        sessions = await context.sessions.sessions_of(user.id, context.settings.sessions, _SESSIONS)
        days = await context.marks.active_days(user.id, _DAYS)
        profile_for = await context.account_data.profile_for(user.id)
        runs = await context.account_data.own_runs(user.id, context.settings.runs.keep_s)
        head = {
            "account": account.flat() | {"profile_for": profile_for},
            "sessions": [
                {"browser": one.client, "address": one.address, "created_at": one.created_at, "seen_at": one.seen_at}
                for one in sessions
            ],
            "access_tokens": [
                {"name": one.name, "created_at": one.created_at, "expires_at": one.expires_at, "used_at": one.used_at}
                for one in await context.access_tokens.tokens_of(user.id, MAX_ACCESS_TOKENS)
            ],
            "contest_webhooks": [
                {"url": one.url, "endpoints": one.endpoints, "contest_ids": one.contest_ids, "active": one.is_active}
                for one in await context.contest_webhooks.contest_webhooks(user.id)
            ],
            "active_days": [{"day": one.day.isoformat(), "submissions": one.submissions} for one in days],
            "custom_runs": [_run(one) for one in runs],
        }
        yield _json(head)[:-1] + b',\n"solved": ['
        after, separator = 0, b"\n"
        while solved := await context.marks.solved_problems(user.id, after, _SOLVED, viewer=user.id):
            after = solved[-1].problem_id
            yield separator + _joined(
                {"problem_id": one.problem_id, "title": one.title, "solved_at": one.solved_at} for one in solved
            )
            separator = b",\n"
        yield b'],\n"submissions": ['
        place: ListPlace | None = None
        separator = b"\n"
        while True:
            page = await context.account_data.own_submissions(user.id, place, _SUBMISSIONS)
            if page.submissions:
                yield separator + _joined([await self._submission(one) for one in page.submissions])
                separator = b",\n"
            if (place := page.next) is None:
                break
        yield b"]}\n"

    async def _submission(self, one: Submission) -> dict[str, Any]:
        steps = self._context.settings.hidden_steps
        former = await self._context.rejudges.judgings(one.job_id, _JUDGINGS) if one.judging > 1 else []
        one = submission_for(one, is_whole=False)
        return {
            "job_id": one.job_id,
            "problem_id": one.problem_id,
            "language": one.language,
            "code": one.code,
            "entry_point": one.entry_point,
            "files": [{"name": file.name, "content": file.content} for file in one.files],
            "status": one.status,
            "judging": one.judging,
            "created_at": one.created_at,
            "updated_at": one.updated_at,
            "callback_url": one.callback_url,
            "result": result_for(one.result, is_whole=False, steps=steps),
            "former_verdicts": [
                {"judging": old.judging, "status": old.status, "finished_at": old.finished_at}
                for old in former
                if not old.is_withheld
            ],
        }


def _run(run: OwnRun) -> dict[str, Any]:
    """Return a run; its input and output may be no text, so they are in base64."""
    return {
        "run_id": run.run_id,
        "language": run.language,
        "code": run.code,
        "stdin": base64.b64encode(run.stdin).decode(),
        "status": run.status,
        "stdout": base64.b64encode(run.stdout).decode(),
        "stderr": base64.b64encode(run.stderr).decode(),
        "created_at": run.created_at,
    }


def _joined(values: Iterable[object]) -> bytes:
    return b",\n".join(map(_json, values))


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
