"""Custom runs: run a program on an input of its author, without a verdict; results are kept briefly."""

from __future__ import annotations

from quart import Response

from deepoj.api.access import USER
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import last_event_id
from deepoj.api.live.playground import RunFeed, topic_of
from deepoj.api.models.live import LastEventHeaders, LiveStream
from deepoj.api.models.playground import RunBody, RunTaken, RunView
from deepoj.api.playground_view import run_view
from deepoj.api.route import route
from deepoj.api.running import require_room, run_draft, run_of, take_run
from deepoj.words.accounts import User


class PlaygroundRoutes:
    """``/api/v1/run``, ``/api/v1/run/{run_id}`` and its ``/events``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._context, self._settings, self._auth, self._limits = context, context.settings, auth, limits

    @route(
        "POST",
        "/api/v1/run",
        access=USER,
        body=RunBody,
        responses={202: RunTaken},
        errors=(403,),
    )
    async def run(self, user: User) -> RunTaken:
        """Run a program on an input of your own.

        The output is not compared, and the run is not part of the history. The result is kept for some minutes, or
        until newer results of the same account need its space. 403 (RUN_DISABLED) if the operator has disabled custom
        runs, or a running contest of yours does not allow them.
        """
        context, settings = self._context, self._settings
        require_room(settings, self._limits)
        body = await read_json(RunBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s)
        receipt = await take_run(context, run_draft(body, user, settings))
        return RunTaken(run_id=receipt.run_id)

    @route("GET", "/api/v1/run/<run_id>", access=USER, responses={200: RunView}, errors=(403,))
    async def show(self, user: User, run_id: str) -> RunView:
        """Return the state of a run and, once it is done, its output and resource usage.

        For its author.
        """
        return run_view(await run_of(self._context, user, run_id))

    @route(
        "GET",
        "/api/v1/run/<run_id>/events",
        access=USER,
        headers=LastEventHeaders,
        responses={200: LiveStream},
        errors=(403,),
    )
    async def events(self, user: User, run_id: str) -> Response:
        """Stream the progress of a run (server-sent events).

        For its author. ``state``: the state of the run, at the start and at each change. ``done``: the body of ``GET``
        for the finished run; then the stream ends.
        """
        await run_of(self._context, user, run_id)
        feed = RunFeed(self._context.runs, run_id, keep_s=self._settings.runs.keep_s, last=last_event_id())
        return self._context.live.answer(user.id, topic_of(run_id), feed, self._auth.recheck())
