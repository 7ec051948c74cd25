"""What comes after a contest: a copy of it for another group, and practice with its problems."""

from __future__ import annotations

from quart import Response, request

from deepoj.api.administering import Administering
from deepoj.api.auth import Auth
from deepoj.api.contest_results import final_results, results_json, results_tsv
from deepoj.api.contest_setting import ContestSetting
from deepoj.api.context import ApiContext
from deepoj.api.downloads import file_of
from deepoj.api.errors import ApiError, Refused
from deepoj.api.rights import Right
from deepoj.web import forms
from deepoj.web.contests import ContestReader
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors

_RUN = member_with(Right.RUN_CONTESTS)


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what the page says after an act
_DONE = {"practice": _("The problems are open for practice.")}


class ManageContestAfterwardsPages:
    """``/manage/contests/{key}/afterwards``."""

    def __init__(
        self, context: ApiContext, auth: Auth, visitors: Visitors, pages: Pages, reader: ContestReader
    ) -> None:
        self._timeout_s = context.settings.read_timeout_s
        self._visitors, self._pages, self._reader = visitors, pages, reader
        self._setting = ContestSetting(context, Administering(context, auth))

    @page("GET", "/manage/contests/<key>/afterwards", access=_RUN)
    async def afterwards(self, visitor: Visitor, key: str) -> Response:
        """Show the forms for a copy, and for practice."""
        return await self._afterwards(visitor, key)

    @page("POST", "/manage/contests/<key>/afterwards", access=_RUN)
    async def act(self, visitor: Visitor, key: str) -> Response:
        """Copy the contest, or open its problems for practice (``act``)."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._timeout_s)
        contest, user = (await self._reader.read(visitor, key)).contest, visitor.member
        try:
            match form.get("act"):
                case "copy":
                    new_key, with_teams = form.line("key"), bool(form.get("teams"))
                    await self._setting.copy(
                        contest, new_key, user, name=form.line("name"), start_at=None, with_teams=with_teams
                    )
                    return redirect(f"/manage/contests/{new_key}?done=made")
                case "practice":
                    if not await self._setting.open_practice(contest, user):
                        return redirect(f"/manage/contests/{key}/afterwards#practice")
                case _:
                    raise Refused(ApiError.INVALID, field="act", problem="copy or practice")
        except Refused as refused:
            return await self._afterwards(visitor, key, refused, form)
        return redirect(f"/manage/contests/{key}/afterwards?done=practice")

    @page("GET", "/manage/contests/<key>/results.tsv", access=_RUN)
    async def results_tsv(self, visitor: Visitor, key: str) -> Response:
        """Return the results for the ICPC's site as a file."""
        reading = await self._reader.read(visitor, key)
        content = results_tsv(final_results(reading.contest, reading.ledger))
        return file_of("results.tsv", "text/tab-separated-values; charset=utf-8", content)

    @page("GET", "/manage/contests/<key>/results.json", access=_RUN)
    async def results_json(self, visitor: Visitor, key: str) -> Response:
        """Return the same results as JSON."""
        reading = await self._reader.read(visitor, key)
        content = results_json(final_results(reading.contest, reading.ledger))
        return file_of("results.json", "application/json", content)

    async def _afterwards(
        self, visitor: Visitor, key: str, refused: Refused | None = None, form: forms.SentForm | None = None
    ) -> Response:
        reading = await self._reader.read(visitor, key)
        sent = {} if form is None else form.fields
        drafts = await self._setting.drafts(reading.contest)
        return self._pages.html_with_refusal(
            "manage_contest_afterwards.html",
            visitor,
            refused,
            is_open=reading.contest.shows_all,
            drafts=[one.label for one in drafts if one.other_key is None],
            held=[one for one in drafts if one.other_key is not None],
            names={one.label: one.name for one in reading.problems()},
            sent={name: sent.get(name, "") for name in ("key", "name", "teams")},
            done=None if refused else _DONE.get(request.args.get("done", "")),
            **reading.frame(),
        )
