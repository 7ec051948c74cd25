"""Batches: the visitor's own, and how far one is."""

from __future__ import annotations

from functools import partial

from quart import Response, request

from deepoj.api.batches import cancel_batch, readable_batch
from deepoj.api.context import ApiContext
from deepoj.web import forms
from deepoj.web.page import MEMBER, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.jobs import State

#: batches in the list
_LISTED = 50


class BatchPages:
    """``/batches`` and ``/batches/{batch_id}``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages

    @page("GET", "/batches", access=MEMBER)
    async def batches(self, visitor: Visitor) -> Response:
        """List the visitor's newest batches."""
        found = await self._context.batches.batches_of(visitor.member.id, _LISTED)
        return self._pages.html("batches.html", visitor, batches=found)

    @page("GET", "/batches/<batch_id>", access=MEMBER)
    async def batch(self, visitor: Visitor, batch_id: str) -> Response:
        """Show how many lines of a batch have which verdict; the page goes on while others wait."""
        batch, _ = await readable_batch(self._context, visitor.member, batch_id)
        verdicts = [one for one in batch.counts if one.state in {State.DONE, State.DEAD}]
        return self._pages.html(
            "batch.html",
            visitor,
            batch=batch,
            verdicts=verdicts,
            waiting=batch.count_in(State.PENDING) if batch.user_id == visitor.member.id else 0,
            here=request.path,
        )

    @page("POST", "/batches/<batch_id>", access=MEMBER)
    async def act(self, visitor: Visitor, batch_id: str) -> Response:
        """Cancel the waiting submissions of the visitor's batch."""
        form = await forms.read(self._visitors, visitor, timeout_s=self._context.settings.read_timeout_s)
        await form.act(cancel=partial(cancel_batch, self._context, visitor.member, batch_id))
        return redirect(f"/batches/{batch_id}")
