"""Accounts, for administrators: the list, changes of one, and creating one or many."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from quart import Response, request, stream_with_context
from quart_trio.wrappers import TrioResponse

from deepoj.accounts.people import MAX_PEOPLE, LineFault, NewPerson, PersonFault, Slip, read_people, text_in_gb18030
from deepoj.api.administering import Administering, HashedPerson
from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.downloads import csv_of, download
from deepoj.api.errors import ApiError, Refused
from deepoj.api.grouping import MAX_OFFERED
from deepoj.api.http.paths import query_number, query_text
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.accounts import Account, UserRole
from deepoj.words.groups import by_name

_MANAGE_PEOPLE = member_with(Right.MANAGE_PEOPLE)
_PAGE = 50
_MAX_NAME_CHARS = 64
#: of a list of people with its form
_MAX_LIST_BYTES = 256 * 1024
#: sessions that are counted before they are ended
_MAX_SESSIONS = 100
#: of a slip that a page sends back
_SLIP_HEADS = ("username", "email", "password", "group")
_MAX_ID = 2**63 - 1
#: account of ``deepoj up --sample`` (``client.sample.USERNAME``)
SAMPLE_USER = "sample"
#: faults of a list that are shown
_MAX_FAULTS = 100


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An act on an account: what its page asks, and what it says will happen."""

    question: str
    effects: Sequence[str]
    button: str
    #: what the account's page says afterwards
    done: str
    is_dangerous: bool = False
    #: whether sessions of the account end
    ends_sessions: bool = False
    #: whether the account is in a state in which it changes something
    applies: Callable[[Account], bool] = lambda _account: True
    rights: Mapping[str, bool] | None = None


ACTS: Mapping[str, Act] = {
    "disable": Act(
        question=_("Disable %(name)s?"),
        effects=(
            _("All sessions and tokens of the account end at once."),
            _("Its owner cannot log in until an administrator enables the account again."),
            _("Its submissions stay."),
        ),
        button=_("Disable account"),
        done=_("The account is disabled."),
        is_dangerous=True,
        ends_sessions=True,
        applies=lambda account: not account.is_disabled,
        rights={"is_disabled": True},
    ),
    "enable": Act(
        question=_("Enable %(name)s?"),
        effects=(_("Its owner can log in again. Sessions and tokens that have ended stay ended."),),
        button=_("Enable account"),
        done=_("The account is enabled."),
        applies=lambda account: account.is_disabled,
        rights={"is_disabled": False},
    ),
    "promote": Act(
        question=_("Make %(name)s an administrator?"),
        effects=(
            _("The account sees the submissions and e-mail addresses of all people."),
            _("It can change and delete problems, judge again, and disable other accounts, also yours."),
        ),
        button=_("Make administrator"),
        done=_("The account is an administrator now."),
        is_dangerous=True,
        applies=lambda account: not account.user.is_admin,
        rights={"is_admin": True},
    ),
    "demote": Act(
        question=_("Take the rights of an administrator from %(name)s?"),
        effects=(
            _("The account loses these rights at once, in open pages, too."),
            _("It stays logged in and keeps its submissions."),
        ),
        button=_("Take the rights"),
        done=_("The account is no administrator any more."),
        is_dangerous=True,
        applies=lambda account: account.user.is_admin,
        rights={"is_admin": False},
    ),
    "password": Act(
        question=_("Reset the password of %(name)s?"),
        effects=(
            _("A new password is made, and shown to you once."),
            _("All sessions and tokens of the account end at once."),
            _("The account asks its owner to choose another password."),
        ),
        button=_("Reset password"),
        done="",
        is_dangerous=True,
        ends_sessions=True,
    ),
    "erase": Act(
        question=_("Erase the account %(name)s?"),
        effects=(
            _("This cannot be undone."),
            _("All sessions and tokens of the account end at once."),
            _("Name, e-mail address, password and custom runs are deleted; the name becomes free."),
            _("Sources of its submissions are deleted; verdicts and solved problems stay under a pseudonym."),
        ),
        button=_("Erase account"),
        done="",
        is_dangerous=True,
        ends_sessions=True,
    ),
}

#: role → its name, and what it may do
ROLES: Mapping[UserRole, tuple[str, str]] = {
    UserRole.SETTER: (
        _("setter"),
        _("Makes problems; changes, rejudges and deletes those that it has made, and sees all their submissions."),
    ),
    UserRole.JURY: (
        _("jury"),
        _(
            "Sees all problems, and all submissions with their sources; rejudges; exports results; creates and runs"
            " contests and homework."
        ),
    ),
    UserRole.OPERATOR: (
        _("operator"),
        _("Sees the state of the system and the audit log; decides about dead letters."),
    ),
}

#: fault of a line → what is wrong, and what to do
FAULTS: Mapping[PersonFault, tuple[str, str]] = {
    PersonFault.NOT_TEXT: (_("The file is not UTF-8 text."), _("Save it as CSV in UTF-8.")),
    PersonFault.EMPTY: (_("There is no line with a person."), _("Write a line for each person.")),
    PersonFault.TOO_MANY: (_("The list is too long."), _("Send at most %(most)s people at a time.")),
    PersonFault.UNKNOWN_COLUMN: (
        _("“%(value)s” is no column of this list."),
        _("The columns are username, email, password and group. Empty this heading: its column is left out then."),
    ),
    PersonFault.REPEATED_COLUMN: (
        _("The column “%(value)s” occurs twice."),
        _("Empty one of the two headings: its column is left out then."),
    ),
    PersonFault.TOO_MANY_CELLS: (
        _("“%(value)s” is one cell too many."),
        _("Write username, email, password; put a cell with a comma in quotes."),
    ),
    PersonFault.QUOTES: (_("A quotation mark is not closed."), _("Close it, or write it twice inside of a cell.")),
    PersonFault.NAME: (
        _("“%(value)s” cannot be a username."),
        _("Use 3 to 32 letters or digits (2 in Chinese, Japanese or Korean), and _ . - but not first."),
    ),
    PersonFault.RESERVED: (
        _("“%(value)s” is kept for an administrator."),
        _("Choose another name, or run deepoj admin create-user."),
    ),
    PersonFault.TAKEN: (_("“%(value)s” is taken."), _("Choose another name, or remove the line.")),
    PersonFault.TWICE: (_("The name is in line %(value)s already."), _("Remove one of the two lines.")),
    PersonFault.EMAIL: (
        _("“%(value)s” is not an e-mail address."),
        _("Mend it, or leave the cell empty. Without a first line that names the columns, it is the second cell."),
    ),
    PersonFault.PASSWORD: (
        _("The password is too short, too long, or has characters that cannot be printed."),
        _("Use at least 6 characters, or leave the cell empty: one is made."),
    ),
    PersonFault.GROUP: (
        _("“%(value)s” cannot be the name of a group."),
        _("Use 1 to 64 characters that can be printed, or leave the cell empty."),
    ),
}


class UserPages:
    """``/manage/users`` and what is below it."""

    def __init__(self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages) -> None:
        self._administering, self._sessions = Administering(context, auth), context.sessions
        self._groups = context.groups
        self._settings = context.settings
        self._visitors, self._pages = visitors, pages

    @page("GET", "/manage/users", access=_MANAGE_PEOPLE)
    async def users(self, visitor: Visitor) -> Response:
        """List accounts by name, of all people or of a group."""
        search, after = query_text("search", _MAX_NAME_CHARS), query_text("after", _MAX_NAME_CHARS)
        group_id = query_number("group", None, _MAX_ID) if request.args.get("group") else None
        accounts, following = await self._administering.page(_PAGE, after=after, prefix=search, group_id=group_id)
        groups = by_name(await self._groups.groups(MAX_OFFERED))
        chosen = None if group_id is None else await self._groups.group(group_id)
        if chosen is not None and chosen.id not in [group.id for group in groups]:
            groups = [chosen, *groups]
        return self._pages.html(
            "users.html",
            visitor,
            accounts=accounts,
            groups_of=await self._groups.groups_of([account.user.id for account in accounts]),
            groups=groups,
            group_id=group_id,
            search=search,
            sample_user=SAMPLE_USER,
            next_after=following,
            is_first=not after,
        )

    @page("GET", "/manage/users/new", access=_MANAGE_PEOPLE)
    async def show_new(self, visitor: Visitor) -> Response:
        """Show the form of one account."""
        return self._new(visitor, {})

    @page("POST", "/manage/users/new", access=_MANAGE_PEOPLE)
    async def new(self, visitor: Visitor) -> Response:
        """Create an account; its slip is shown once."""
        sent: Mapping[str, str] = {}
        try:
            form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
            sent = form.fields
            person = self._administering.new_person(form.line("username"), form.line("email"), form.get("password"))
            created = await self._administering.create([await self._administering.hashed(person)], visitor.member)
            slips = [one for one in created if isinstance(one, Slip)]
            if not slips:
                raise Refused(ApiError.USERNAME_TAKEN)
        except Refused as refused:
            return self._new(visitor, sent, refused)
        return self._slips(visitor, slips)

    @page("GET", "/manage/users/import", access=_MANAGE_PEOPLE)
    async def show_import(self, visitor: Visitor) -> Response:
        """Show the form of a list of people."""
        return self._import(visitor)

    @page("POST", "/manage/users/import", access=_MANAGE_PEOPLE)
    async def create_many(self, visitor: Visitor) -> Response:
        """Create an account for each line of a list, or none, and say what is wrong by line.

        To hash 500 passwords took 40 s on a busy host. The script of the form asks for their count meanwhile
        (X-Progress).
        """
        typed = ""
        try:
            form = await forms.read(
                self._visitors, visitor, timeout_s=self._settings.read_timeout_s, max_bytes=_MAX_LIST_BYTES
            )
            typed, file = form.get("people"), form.files.get("file")
            raw = typed.encode() if file is None else file.content
            if (text := text_in_gb18030(raw)) is not None:  # the person sees whether it was read right
                return self._import(visitor, text, is_converted=True)
            people, faults = read_people(raw, self._settings.admin_users)
            named = [*people, *(NewPerson(one.line, one.username) for one in faults if one.username)]
            faults = sorted([*faults, *await self._administering.taken(named)], key=lambda fault: fault.line)
            if faults:
                return self._import(visitor, typed, faults)
            if "X-Progress" in request.headers:
                # the status and the headers are those of the form: what becomes of the list is not known yet
                headers = self._import(visitor).headers
                del headers["Content-Length"]
                return TrioResponse(stream_with_context(self._create_counting)(visitor, typed, people), headers=headers)
            hashed = [await self._administering.hashed(person) for person in people]
            return await self._create(visitor, typed, hashed)
        except Refused as refused:
            return self._import(visitor, typed, refused=refused)

    @page("POST", "/manage/users/slips.csv", access=_MANAGE_PEOPLE)
    async def slips(self, visitor: Visitor) -> Response:
        """Return slips that were just shown as a file: they are stored nowhere, so the page sends them back."""
        form = await forms.read(
            self._visitors, visitor, timeout_s=self._settings.read_timeout_s, max_bytes=_MAX_LIST_BYTES
        )
        lines = [line.split("\t") for line in form.get("slips").split("\n") if line]
        slips = [line for line in lines if len(line) == len(_SLIP_HEADS)]
        return download("accounts.csv", "text/csv; charset=utf-8", _file_of(slips))

    @page("GET", "/manage/users/<user_id>", access=_MANAGE_PEOPLE)
    async def user(self, visitor: Visitor, user_id: str) -> Response:
        """Show an account and what can be done with it."""
        account, done = await self._administering.account(user_id), request.args.get("done", "")
        groups = await self._groups.groups_of([account.user.id])
        return self._pages.html(
            "user.html",
            visitor,
            account=account,
            acts={name: act for name, act in ACTS.items() if _is_allowed(act, account, visitor)},
            is_self=account.user.id == visitor.member.id,
            groups=groups.get(account.user.id, ()),
            roles=ROLES,
            done=_("The roles are saved.") if done == "roles" else ACTS[done].done if done in ACTS else "",
        )

    @page("POST", "/manage/users/<user_id>/roles", access=_MANAGE_PEOPLE)
    async def give_roles(self, visitor: Visitor, user_id: str) -> Response:
        """Give an account the roles that the form names, and take all others."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
        roles = [role for role in UserRole if form.get(role) == "1"]
        await self._administering.give_roles(user_id, visitor.member, roles)
        return redirect(f"/manage/users/{user_id}?done=roles")

    @page("GET", "/manage/users/<user_id>/<act>", access=_MANAGE_PEOPLE)
    async def ask(self, visitor: Visitor, user_id: str, act: str) -> Response:
        """Say what an act will do, and ask."""
        return await self._ask(visitor, user_id, act)

    @page("POST", "/manage/users/<user_id>/<act>", access=_MANAGE_PEOPLE)
    async def change(self, visitor: Visitor, user_id: str, act: str) -> Response:
        """Do what was asked."""
        asked = _act(act)
        try:
            await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
            if act == "erase":
                await self._administering.erase(await self._administering.account(user_id), visitor.member)
                return redirect("/manage/users")
            if asked.rights is None:
                user, password = await self._administering.reset_password(user_id, visitor.member)
                return self._slips(visitor, [Slip(user.username, password or "", user.email)], is_reset=True)
            await self._administering.change_rights(f"{act}d", user_id, visitor.member, **asked.rights)
        except Refused as refused:
            return await self._ask(visitor, user_id, act, refused)
        return redirect(f"/manage/users/{user_id}?done={act}")

    async def _create(self, visitor: Visitor, typed: str, people: Sequence[HashedPerson]) -> Response:
        """Create the accounts; return their slips, or the form with the lines whose name was taken meanwhile."""
        created = await self._administering.create(people, visitor.member)
        if faults := [one for one in created if isinstance(one, LineFault)]:
            return self._import(visitor, typed, faults)
        return self._slips(visitor, [one for one in created if isinstance(one, Slip)])

    async def _create_counting(
        self, visitor: Visitor, typed: str, people: Sequence[NewPerson]
    ) -> AsyncGenerator[bytes | str]:
        """Yield comments of HTML with the number of people whose passwords are hashed, then the page. A reader who goes
        away before ends the work, and no account is made."""
        hashed: list[HashedPerson] = []
        try:
            for person in people:
                hashed.append(await self._administering.hashed(person))
                yield f"<!-- {len(hashed)} of {len(people)} -->\n"
            response = await self._create(visitor, typed, hashed)
        except Refused as refused:
            response = self._import(visitor, typed, refused=refused)
        yield await response.get_data(as_text=False)

    async def _ask(self, visitor: Visitor, user_id: str, act: str, refused: Refused | None = None) -> Response:
        asked, account = _act(act), await self._administering.account(user_id)
        if account.user.id == visitor.member.id:
            raise refused or Refused(ApiError.OWN_ACCOUNT)
        sessions = 0
        if asked.ends_sessions:
            found = await self._sessions.sessions_of(account.user.id, self._settings.sessions, _MAX_SESSIONS)
            sessions = len(found)
        return self._pages.html_with_refusal(
            "user_act.html",
            visitor,
            refused,
            account=account,
            act=asked,
            name=act,
            sessions=sessions,
            max_sessions=_MAX_SESSIONS,
        )

    def _new(self, visitor: Visitor, sent: Mapping[str, str], refused: Refused | None = None) -> Response:
        return self._pages.html_with_refusal(
            "user_new.html",
            visitor,
            refused,
            username=sent.get("username", ""),
            email=sent.get("email", ""),
        )

    def _import(
        self,
        visitor: Visitor,
        typed: str = "",
        faults: Sequence[LineFault] = (),
        refused: Refused | None = None,
        *,
        is_converted: bool = False,
    ) -> Response:
        return self._pages.html_with_refusal(
            "users_import.html",
            visitor,
            refused,
            http_status=422 if faults else 200,
            typed=typed,
            is_converted=is_converted,
            faults=[(fault, *FAULTS[fault.fault]) for fault in faults[:_MAX_FAULTS]],
            fault_count=len(faults),
            most=MAX_PEOPLE,
        )

    def _slips(self, visitor: Visitor, slips: Sequence[Slip], *, is_reset: bool = False) -> Response:
        response = self._pages.html(
            "slips.html",
            visitor,
            slips=slips,
            sent_back="\n".join(
                "\t".join((slip.username, slip.email or "", slip.password, slip.group or "")) for slip in slips
            ),
            is_reset=is_reset,
            address=request.host,
        )
        response.headers["Cache-Control"] = "no-store"
        return response


async def _file_of(slips: Sequence[Sequence[str]]) -> AsyncGenerator[bytes]:
    """Yield a CSV file whose encoding spreadsheets see: they take one without the mark for that of their country."""

    async def rows() -> AsyncGenerator[Sequence[Sequence[str]]]:
        yield slips

    yield codecs.BOM_UTF8
    async for piece in csv_of(_SLIP_HEADS, rows()):
        yield piece


def _act(name: str) -> Act:
    act = ACTS.get(name)
    if act is None:
        raise Refused(ApiError.NOT_FOUND)
    return act


def _is_allowed(act: Act, account: Account, visitor: Visitor) -> bool:
    return act.applies(account) and account.user.id != visitor.member.id
