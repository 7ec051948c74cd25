"""What is behind a contest's scoreboard, and the scoreboard as a file."""

from __future__ import annotations

from quart import Response, request

from deepoj.api.access import READER, needs
from deepoj.api.board_file import board_download
from deepoj.api.contest_answers import Scoreboards
from deepoj.api.contest_errors import ContestError
from deepoj.api.contest_results import final_results, results_json, results_tsv
from deepoj.api.contest_submission_answers import cell_view, submission_page
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.downloads import file_of
from deepoj.api.errors import Refused
from deepoj.api.http.paths import query_number, query_text
from deepoj.api.http.refusals import prefers_chinese
from deepoj.api.models.contest_boards import ContestSubmissionPage, ContestSubmissionQuery, OpenedCellView
from deepoj.api.rights import Right
from deepoj.api.route import Described, route
from deepoj.contests.awards import IcpcResult
from deepoj.contests.cells import opened_cell
from deepoj.words.accounts import User

_MAX_CHARS, _MAX_NUMBER = 200, 2**63 - 1


class ContestBoardRoutes:
    """``/api/v1/contests/{key}/scoreboard/…`` and ``…/submissions``."""

    def __init__(self, context: ApiContext, boards: Scoreboards) -> None:
        self._contesting = Contesting(context)
        self._boards = boards

    @route("GET", "/api/v1/contests/<key>/scoreboard/<team>/<label>", access=READER, responses={200: OpenedCellView})
    async def cell(self, user: User | None, key: str, team: str, label: str) -> OpenedCellView:
        """Return a cell of the scoreboard with the submissions and judgements behind it.

        For those who see the contest. During the freeze only those who run it and the team itself see new verdicts.
        Only those who run it see the hosts.
        """
        sight = await self._contesting.find(key, user)
        ledger = await self._contesting.ledger(sight.contest)
        opened = opened_cell(ledger, sight.viewer, team, label)
        if opened is None:
            raise Refused(ContestError.NO_SUCH_CELL)
        return cell_view(key, opened, await self._contesting.hosts(sight, opened))

    @route(
        "GET",
        "/api/v1/contests/<key>/scoreboard.html",
        access=READER,
        responses={200: Described(description="The scoreboard.", content_type="text/html")},
    )
    async def scoreboard_html(self, user: User | None, key: str) -> Response:
        """Return the scoreboard as one HTML file without scripts, in the language of ``Accept-Language``.

        For those who see the contest.
        """
        sight = await self._contesting.find(key, user)
        at, ledger = await self._contesting.seen_until(sight), await self._contesting.ledger(sight.contest)
        board, is_chinese = self._boards.view(sight, ledger), prefers_chinese(request.accept_languages)
        return board_download(sight, ledger, board, "html", at=at, is_chinese=is_chinese, has_bom=False)

    @route(
        "GET",
        "/api/v1/contests/<key>/submissions",
        access=READER,
        query=ContestSubmissionQuery,
        responses={200: ContestSubmissionPage},
    )
    async def submissions(self, user: User | None, key: str) -> ContestSubmissionPage:
        """List the submissions of a contest, newest first.

        For those who see the contest. During the freeze only those who run it and the team itself see new verdicts.
        """
        sight = await self._contesting.find(key, user)
        team_id, label = query_text("team", _MAX_CHARS), query_text("problem", _MAX_CHARS)
        before = query_number("before", None, _MAX_NUMBER)
        ledger = await self._contesting.ledger(sight.contest)
        return submission_page(sight, ledger, team_id=team_id, label=label, before=before)

    @route(
        "GET",
        "/api/v1/contests/<key>/results.tsv",
        access=needs(Right.RUN_CONTESTS),
        responses={200: Described(description="results.tsv", content_type="text/tab-separated-values")},
        errors=(409,),
    )
    async def results_tsv(self, user: User, key: str) -> Response:
        """Return the results of a finalized contest for the ICPC's site.

        They have medals, ranks by the median rule, and honorable mentions. For administrators and the jury. A team
        without an id of the ICPC has its own.
        """
        content = results_tsv(await self._results(user, key))
        return file_of("results.tsv", "text/tab-separated-values; charset=utf-8", content)

    @route(
        "GET",
        "/api/v1/contests/<key>/results.json",
        access=needs(Right.RUN_CONTESTS),
        responses={200: Described(description="results.json", content_type="application/json")},
        errors=(409,),
    )
    async def results_json(self, user: User, key: str) -> Response:
        """Return the same results as JSON, with the teams' names.

        For administrators and the jury.
        """
        return file_of("results.json", "application/json", results_json(await self._results(user, key)))

    async def _results(self, user: User, key: str) -> list[IcpcResult]:
        contest = await self._contesting.run(key, user)
        return final_results(contest, await self._contesting.ledger(contest))
