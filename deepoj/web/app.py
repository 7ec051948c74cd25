"""Adds the pages to the application of the API."""

from __future__ import annotations

import contextlib
import secrets
from urllib.parse import quote

from quart import Response, request
from quart.typing import ResponseReturnValue
from quart.wrappers import Request
from werkzeug.exceptions import HTTPException

from deepoj.api.app import Api, answer_refusal
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.api.http.refusals import refusal_of
from deepoj.api.route import add_routes, is_page
from deepoj.api.signing_in import SigningIn
from deepoj.observe import log
from deepoj.web.assets import AssetRoutes, Assets
from deepoj.web.boards import Boards
from deepoj.web.contests import ContestReader
from deepoj.web.news import News
from deepoj.web.operating import Watch
from deepoj.web.page import PageGuards
from deepoj.web.pages.account import AccountPages
from deepoj.web.pages.audit import AuditPages
from deepoj.web.pages.batches import BatchPages
from deepoj.web.pages.contest_files import ContestFilePages
from deepoj.web.pages.contest_news import ContestNewsPages
from deepoj.web.pages.contest_problems import ContestProblemPages
from deepoj.web.pages.contest_registration import ContestRegistrationPages
from deepoj.web.pages.contests import ContestPages
from deepoj.web.pages.groups import GroupPages
from deepoj.web.pages.home import HomePages
from deepoj.web.pages.login import LoginPages
from deepoj.web.pages.manage_contest_afterwards import ManageContestAfterwardsPages
from deepoj.web.pages.manage_contest_clock import ManageContestClockPages
from deepoj.web.pages.manage_contest_end import ManageContestEndPages
from deepoj.web.pages.manage_contest_passwords import ManageContestPasswordPages
from deepoj.web.pages.manage_contest_rejudges import ManageContestRejudgePages
from deepoj.web.pages.manage_contest_submission import ManageContestSubmissionPages
from deepoj.web.pages.manage_contest_teams import ManageContestTeamPages
from deepoj.web.pages.manage_contests import ManageContestPages
from deepoj.web.pages.manage_packages import ManagePackagePages
from deepoj.web.pages.manage_problems import ManageProblemPages
from deepoj.web.pages.manage_rehearsal import RehearsalPages
from deepoj.web.pages.manage_statements import ManageContestStatementPages, ManageStatementPages
from deepoj.web.pages.own_data import OwnDataPages
from deepoj.web.pages.playground import PlaygroundPages
from deepoj.web.pages.preview_rejudge import PreviewPages
from deepoj.web.pages.problems import ProblemPages
from deepoj.web.pages.profiles import ProfilePages
from deepoj.web.pages.reruns import RerunPages
from deepoj.web.pages.runbook import RunbookPages
from deepoj.web.pages.submissions import SubmissionPages
from deepoj.web.pages.system import SystemPages
from deepoj.web.pages.users import UserPages
from deepoj.web.pages.verify_problem import VerifyPages
from deepoj.web.render import Pages, redirect
from deepoj.web.runs import PageRuns
from deepoj.web.visitor import Visitors
from deepoj.words.errors import BlobsUnavailable, StoreUnavailable, StreamUnavailable

#: beginnings of paths that programs ask for: a refusal is JSON there, even for a browser
_OF_PROGRAMS = ("/api/", "/metrics", "/openapi.json", "/docs")
#: how long a browser that has used TLS uses nothing else for this site: a year
_HSTS_S = 31_536_000
#: of the reloads of a page that was refused for a moment
_AGAIN_SPREAD_S = 30
_BROKEN = {
    StoreUnavailable: ApiError.DB_DOWN,
    BlobsUnavailable: ApiError.STORAGE_DOWN,
    StreamUnavailable: ApiError.QUEUE_DOWN,
}


def add_pages(app: Api, context: ApiContext, assets: Assets) -> None:
    """Add the pages, and show refusals to people as pages."""
    visitors = Visitors(context.sessions, context.settings)
    watch = Watch(context)
    has_playground, has_github = context.settings.runs.is_enabled, context.github is not None
    pages = Pages(visitors, assets, has_playground=has_playground, has_github=has_github)
    runs = PageRuns(context, app.limits, visitors, pages)
    signing_in = SigningIn(context, app.auth, app.limits)
    account = AccountPages(context, app.auth, app.limits, visitors, pages)
    reader, boards = ContestReader(Contesting(context), app.limits, visitors), Boards(pages)
    news = News(pages)
    groups: tuple[object, ...] = (
        HomePages(context, visitors, pages, reader.contesting),
        LoginPages(context, signing_in, visitors, pages),
        ProblemPages(context, app.limits, visitors, pages, runs),
        SubmissionPages(context, visitors, pages, watch, reader),
        BatchPages(context, visitors, pages),
        account,
        ManageProblemPages(context, visitors, pages),
        AssetRoutes(assets),
        PlaygroundPages(context, runs, pages),
        ProfilePages(context, app.auth, pages),
        SystemPages(context, visitors, pages, watch),
        UserPages(context, app.auth, visitors, pages),
        AuditPages(context, pages),
        GroupPages(context, app.auth, visitors, pages),
        ManagePackagePages(context, visitors, pages),
        VerifyPages(context, visitors, pages),
        OwnDataPages(context, app.auth, app.limits, visitors, pages, account=account),
        ManageStatementPages(context, visitors, pages),
        PreviewPages(context, visitors, pages),
        RerunPages(context, pages),
        RunbookPages(pages),
        ContestPages(context, visitors, pages, reader, boards, news=news),
        ManageContestPages(context, visitors, pages, reader, boards, news=news),
        ContestNewsPages(context, reader, news),
        ManageContestAfterwardsPages(context, app.auth, visitors, pages, reader),
        ManageContestClockPages(context, visitors, pages, reader),
        ManageContestEndPages(context, visitors, pages, reader),
        ManageContestRejudgePages(context, visitors, pages, reader),
        ManageContestSubmissionPages(context, visitors, pages, reader),
        ManageContestPasswordPages(context, app.auth, visitors, pages, reader),
        ManageContestTeamPages(context, app.auth, visitors, pages, reader),
        RehearsalPages(context, app.auth, visitors, pages, reader),
        ManageContestStatementPages(context, visitors, pages, reader),
        ContestProblemPages(context, app.limits, visitors, pages, reader),
        ContestRegistrationPages(context, visitors, reader),
        ContestFilePages(reader),
    )
    for group in groups:
        add_routes(app, group, PageGuards(app.auth, app.limits, visitors))
    app.page_claims = visitors.claims
    app.page_group = lambda asked: _group(asked) if is_page(app, asked.endpoint) else None
    _require_tls_later(app, visitors)
    _show_refusals(app, visitors, pages)


def _group(asked: Request) -> str:
    """Return the group of a page, for the metrics: the first part of its route."""
    rule = "" if asked.url_rule is None else asked.url_rule.rule
    return rule.split("/")[1] or "home"


def _require_tls_later(app: Api, visitors: Visitors) -> None:
    """Tell browsers that speak TLS with us to go on doing so (HSTS)."""

    @app.after_request
    async def require_tls(response: Response) -> Response:
        if visitors.is_encrypted():
            response.headers["Strict-Transport-Security"] = f"max-age={_HSTS_S}"
        return response


def _show_refusals(app: Api, visitors: Visitors, pages: Pages) -> None:
    def is_for_people() -> bool:
        wants_page = "text/html" in request.headers.get("Accept", "") and not request.path.startswith(_OF_PROGRAMS)
        return wants_page or is_page(app, request.endpoint)

    async def refusal(error: HTTPException) -> ResponseReturnValue:
        if not is_for_people():
            return await answer_refusal(error)
        refused = refusal_of(error)
        if refused.api_error in (ApiError.NO_TOKEN, ApiError.BAD_TOKEN):
            next_path = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else request.path
            return redirect(f"/login?next={quote(next_path, safe='/')}")
        return await _page(refused)

    async def breakage(error: Exception) -> ResponseReturnValue:
        refused = Refused(next(api_error for broken, api_error in _BROKEN.items() if isinstance(error, broken)))
        log(
            "http_unavailable",
            level="warning",
            request_id=request_id(request),
            error=str(error),
            reason=refused.api_error.code.value,
        )
        return await (_page(refused) if is_for_people() else answer_refusal(refused))

    async def _page(refused: Refused) -> Response:
        visitor = visitors.stranger()
        if refused.api_error is not ApiError.TOO_MANY_REQUESTS:  # what is refused for its rate must cost nothing
            with contextlib.suppress(StoreUnavailable):
                visitor = await visitors.visitor()
        wait_s = refused.extra_headers().get("Retry-After") if request.method in ("GET", "HEAD") else None
        return pages.html_with_refusal(
            "refusal.html",
            visitor,
            refused,
            # not all at once: a contest's turn makes all of its readers come at one moment
            again_s=None if wait_s is None else int(wait_s) + 5 + secrets.randbelow(_AGAIN_SPREAD_S),
            sentence=refused.api_error.sentence(visitor.is_chinese, refused.params),
            code=refused.api_error.code.value,
            request_id=request_id(request),
        )

    app.register_error_handler(HTTPException, refusal)
    for broken in _BROKEN:
        app.register_error_handler(broken, breakage)
