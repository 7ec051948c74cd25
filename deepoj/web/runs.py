"""Playground runs on pages: taken in from a form, and shown as parts of the page that the form is on."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import LiveEvent
from deepoj.api.live.playground import RunFeed, topic_of
from deepoj.api.models.base import reply
from deepoj.api.models.playground import RunBody
from deepoj.api.playground_view import run_view
from deepoj.api.running import require_room, run_draft, run_of, take_run
from deepoj.judging.text import visible
from deepoj.observe import log
from deepoj.web import forms, sentences
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.errors import StreamUnavailable
from deepoj.words.jobs import State
from deepoj.words.playground import CustomRun

#: the longest limits of a run that a form asks for; the operator's are shorter
_MAX_LIMIT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run, and the fields of the form that ordered it."""

    run: CustomRun
    #: language, code, stdin
    sent: Mapping[str, str]


class PageRuns:
    """Takes runs from forms with the fields ``language``, ``code`` or ``file``, and ``stdin``; shows their results."""

    def __init__(self, context: ApiContext, limits: RequestLimits, visitors: Visitors, pages: Pages) -> None:
        self._context, self._limits, self._visitors, self._pages = context, limits, visitors, pages
        self._settings = context.settings

    async def read(self, visitor: Visitor) -> forms.SentForm:
        """Return the form of the current request. Raises Refused."""
        settings = self._settings
        max_bytes = forms.bytes_for(settings.submit_code_max_bytes + settings.runs.stdin_max_bytes)
        return await forms.read(self._visitors, visitor, timeout_s=settings.read_timeout_s, max_bytes=max_bytes)

    async def take(
        self,
        visitor: Visitor,
        form: forms.SentForm,
        *,
        time_limit_ms: int | None = None,
        memory_limit_kb: int | None = None,
        stdin: str | None = None,
        besides: int = 0,
    ) -> str:
        """Order the run and return its id. ``stdin``: None: that of the form; ``besides``: as of ``take_run``. Raises
        Refused."""
        require_room(self._settings, self._limits)
        body = RunBody.model_validate(
            {
                "language": form.get("language"),
                "code": form.program(),
                "stdin": form.get("stdin") if stdin is None else stdin,
                "time_limit": None if time_limit_ms is None else min(time_limit_ms, _MAX_LIMIT),
                "memory_limit": None if memory_limit_kb is None else min(memory_limit_kb, _MAX_LIMIT),
            }
        )
        draft = run_draft(body, visitor.member, self._settings)
        try:
            receipt = await take_run(self._context, draft, besides=besides)
        except StreamUnavailable as away:
            # refused here, so that the page keeps what was written
            log(
                "http_unavailable",
                level="warning",
                request_id=request_id(request),
                error=str(away),
                reason=ApiError.QUEUE_DOWN.code.value,
            )
            raise Refused(ApiError.QUEUE_DOWN) from away
        return receipt.run_id

    def ordered(self, path: str, form: forms.SentForm) -> Response:
        """Lead to the page that shows the run, and remember its language in this browser."""
        response = redirect(path)
        self._visitors.remember(response.headers, programmed=form.get("language"))
        return response

    async def shown(self, visitor: Visitor, run_id: str) -> ShownRun:
        """Return the visitor's run. Raises Refused if it is unknown or no longer kept."""
        run = await run_of(self._context, visitor.member, run_id)
        return ShownRun(run, await self.sent(run))

    async def sent(self, run: CustomRun) -> dict[str, str]:
        """Return the fields of the form that ordered a run of the visitor."""
        program = await self._context.runs.custom_program(run.run_id, self._settings.runs.keep_s)
        if program is None:
            return {"language": run.language}
        stdin = program.stdin.decode("utf-8", "replace")
        return {"language": run.language, "code": program.code, "stdin": stdin}

    def values(self, visitor: Visitor, run: CustomRun | None) -> dict[str, Any]:
        """Return what ``_run.html`` needs."""
        if run is None:
            return {"run": None}
        is_over = run.state in (State.DONE, State.DEAD)
        return {"run": run, "run_is_over": is_over, **_values(visitor, reply(run_view(run)))}

    async def events(self, visitor: Visitor, run_id: str) -> Response:
        """Answer with the progress of the visitor's run as pieces of its page. Raises Refused."""
        await run_of(self._context, visitor.member, run_id)

        def pieces(view: Mapping[str, Any]) -> tuple[str, str]:
            values = _values(visitor, view)
            status = self._pages.piece("_run_status.html", visitor, **values)
            return status, self._pages.piece("_run_output.html", visitor, **values)

        async def remains() -> bool:
            return await self._visitors.remains(visitor)

        feed = RunFeed(self._context.runs, run_id, keep_s=self._settings.runs.keep_s, last=None)
        return self._context.live.answer(visitor.member.id, topic_of(run_id), RunPieceFeed(feed, pieces), remains)


@dataclass(slots=True)
class RunPieceFeed:
    """``Feed`` of two pieces, ``verdict`` and ``output``, and of ``done`` at the end. It begins with both, so a browser
    that comes back sends no position."""

    feed: RunFeed
    #: renders the body of ``GET /api/v1/run/{run_id}``
    pieces: Callable[[Mapping[str, Any]], tuple[str, str]]

    @property
    def is_over(self) -> bool:
        return self.feed.is_over

    async def events(self) -> Sequence[LiveEvent]:
        events = await self.feed.events()
        if not events:
            return ()
        last = events[-1]
        if isinstance(last.data, str):
            raise TypeError("the events of a run are objects")
        verdict, output = self.pieces(last.data if last.name == "done" else {**last.data, "data": None})
        shown = [LiveEvent("verdict", last.id, verdict), LiveEvent("output", last.id, output)]
        # the page closes the stream at this event
        return [*shown, LiveEvent("done", last.id, "")] if last.name == "done" else shown


def _values(visitor: Visitor, view: Mapping[str, Any]) -> dict[str, Any]:
    data = view["data"]
    return {
        "run_status": view["status"],
        "run_data": data,
        "run_why": [] if data is None else list(sentences.of_run(data, gettext_of(visitor.language))),
        "run_outputs": {} if data is None else {name: _output(data, name) for name in ("stdout", "stderr")},
    }


def _output(data: Mapping[str, Any], name: str) -> str:
    """Return what the program wrote, as text that a browser shows without obeying it."""
    encoded = data.get(f"{name}_base64")
    return visible(base64.b64decode(encoded) if encoded is not None else data.get(name) or "")
