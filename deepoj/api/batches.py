"""Taking in a batch line by line, and reading its results.

The body is read as a stream. A chunk of lines is one transaction, and the next chunk is read meanwhile; only the two
chunks and the result lines are in memory.
What if we die between two chunks? The client gets no answer, or a broken one, and sends the batch again under its key:
lines that were stored answer with their submissions, so nothing is made twice.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from deepoj.api.body import BodyPieces, parse_object, validated
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.redact import HiddenSteps, item_for
from deepoj.api.rights import Right, may
from deepoj.api.submitting import refusal_of, status_word
from deepoj.observe import log
from deepoj.pipeline.submit import submit_lines
from deepoj.ports.batches import Batches
from deepoj.ports.tasks import Start
from deepoj.words.accounts import User
from deepoj.words.batches import MAX_LINES, BatchLine, SubmissionBatch
from deepoj.words.errors import StoreUnavailable
from deepoj.words.submissions import Draft, Receipt, SubmissionItem, SubmitRefusal

#: a chunk ends at so many lines or bytes
_CHUNK_LINES = 500
_CHUNK_BYTES = 4 * 1024 * 1024
#: lines that are read in one turn: others may go on after each
_TURN_LINES = 16
#: made once: ``json.dumps`` would make it for each line
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
#: of a token of results
_PLACE = re.compile(r"[0-9]{1,9}")
#: finished lines per read of a stream of results
_PAGE = 500


class LineSplitter:
    """Splits a body into lines. A line that is longer than ``max_bytes`` is dropped as it comes, and is None."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._open = bytearray()
        self._is_too_long = False

    def take(self, piece: bytes) -> list[bytes | None]:
        """Return the lines that end in this piece."""
        *ended, rest = piece.split(b"\n")
        lines: list[bytes | None] = []
        for part in ended:
            lines.append(self._end(part))
        self._add(rest)
        return lines

    def rest(self) -> list[bytes | None]:
        """Return the last line, if it has no end."""
        return [self._end(b"")] if self._open or self._is_too_long else []

    def _add(self, part: bytes) -> None:
        if self._is_too_long or len(self._open) + len(part) > self._max_bytes:
            self._is_too_long = True
            self._open.clear()
        else:
            self._open += part

    def _end(self, part: bytes) -> bytes | None:
        self._add(part)
        line = None if self._is_too_long else bytes(self._open)
        self._open.clear()
        self._is_too_long = False
        return line


@dataclass(slots=True)
class _Storing:
    """A chunk that is being stored. ``early``: results of its lines that were refused before."""

    chunk: Sequence[BatchLine]
    early: dict[int, Receipt | Refused]
    ended: trio.Event = field(default_factory=trio.Event)
    error: Refused | StoreUnavailable | None = None


@dataclass(slots=True)
class BatchIntake:
    """One request that sends lines of a batch. ``draft_of``: makes a line's draft, or raises Refused."""

    context: ApiContext
    batch_id: str
    chinese: bool
    draft_of: Callable[[SubmitBody], Draft]
    #: raises Refused while too much waits
    backpressure: Callable[[], None]
    #: whether the token and the account are still valid: a body may come for more than an hour
    recheck: Callable[[], Awaitable[bool]]
    #: result lines so far, and how many of each kind
    _results: list[bytes] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=lambda: {"accepted": 0, "repeated": 0, "refused": 0})
    _number: int = 0
    #: whether a line was refused because there are too many, also of empty ones
    _is_cut: bool = False
    _chunk: list[BatchLine] = field(default_factory=list)
    _chunk_bytes: int = 0
    #: results of lines of the chunk that were refused before it is stored
    _early: dict[int, Receipt | Refused] = field(default_factory=dict)
    #: the chunk that is being stored, beside the reading of the next one
    _storing: _Storing | None = None
    #: left as soon as a chunk cannot be stored
    _reading: trio.CancelScope = field(default_factory=trio.CancelScope)

    async def take(self, pieces: BodyPieces) -> bytes:
        """Store the lines of a body. Return a result line for each, in their order, and a last line with the sums.

        Raises:
          Refused: the body is too slow or too large; nothing could be stored because of the quota or of backpressure.
          StoreUnavailable: some chunks may have been stored.
        """
        refused = await self.context.with_tasks(partial(self._take_all, pieces))
        if refused is not None:
            raise refused
        self._results.append(_line({"batch_id": self.batch_id, "lines": sum(self._counts.values()), **self._counts}))
        return b"".join(self._results)

    async def _take_all(self, pieces: BodyPieces, start: Start) -> Refused | None:
        """Store the lines of a body. Return what refused it."""
        try:
            with self._reading:
                await self._read_all(pieces, start)
            await self._await_chunk()
        except Refused as refused:
            try:
                await self._await_chunk()
            except Refused as earlier:
                return earlier
            return refused
        return None

    async def _read_all(self, pieces: BodyPieces, start: Start) -> None:
        splitter = LineSplitter(self.context.settings.submit_body_max_bytes)
        async for piece in pieces:
            if not self._is_cut:  # the rest is read and dropped, so that the client reads its answer
                await self._take_lines(splitter.take(piece), pieces, start)
        if not self._is_cut:
            await self._take_lines(splitter.rest(), pieces, start)
        await self._flush(pieces, start)

    async def _take_lines(self, lines: Sequence[bytes | None], pieces: BodyPieces, start: Start) -> None:
        for raw in lines:
            self._number += 1
            if self._number % _TURN_LINES == 0:
                # Without this the chunk that is stored, and other requests, waited up to 20 ms for the reader.
                began = trio.current_time()
                await trio.lowlevel.checkpoint()
                pieces.excuse(trio.current_time() - began)
            if self._number > MAX_LINES and (raw is None or raw.strip() or self._number >= 2 * MAX_LINES):
                self._is_cut = True
                self._early[self._number] = Refused(ApiError.BATCH_TOO_LONG, limit=MAX_LINES)
                break
            if raw is None or raw.strip():
                self._read(raw)
            if len(self._chunk) + len(self._early) >= _CHUNK_LINES or self._chunk_bytes >= _CHUNK_BYTES:
                await self._flush(pieces, start)

    def _read(self, raw: bytes | None) -> None:
        try:
            if raw is None:
                raise Refused(ApiError.BODY_TOO_LARGE, limit=self.context.settings.submit_body_max_bytes)
            draft = self.draft_of(validated(SubmitBody, parse_object(raw)))
            if not self.context.is_judged_now(draft.language):
                raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
        except Refused as refused:
            self._early[self._number] = refused
        else:
            self._chunk.append(BatchLine(self._number, draft))
            self._chunk_bytes += len(raw)

    async def _flush(self, pieces: BodyPieces, start: Start) -> None:
        """Begin to store the chunk, after the one before.

        Reading takes about a fifth of a batch's time, the database most of the rest, and a node has two cores at least.
        Raises Refused and StoreUnavailable.
        """
        began = trio.current_time()
        await self._await_chunk()
        # The account is read while no lines are: beside the reading that took 10 ms instead of 2.
        if self._chunk and (refused := await self._refusal()) is not None:
            self._early |= {one.line: refused for one in self._chunk}
            self._chunk = []
        pieces.excuse(trio.current_time() - began)
        self._storing = _Storing(self._chunk, self._early)
        self._chunk, self._chunk_bytes, self._early = [], 0, {}
        start(self._store, self._storing)

    async def _refusal(self) -> Refused | None:
        """Return what refuses the lines of the chunk, but not the request: too much waits by now.

        Raises Refused for the request, and StoreUnavailable.
        """
        try:
            self.backpressure()
        except Refused as refused:
            if not self._has_stored:
                raise
            return refused
        if not await self.recheck():
            raise Refused(ApiError.BAD_TOKEN)
        return None

    async def _await_chunk(self) -> None:
        """Wait for the chunk that is being stored. Raises as ``_stored`` does."""
        if self._storing is not None:
            await self._storing.ended.wait()
            if self._storing.error is not None:
                raise self._storing.error

    async def _store(self, storing: _Storing) -> None:
        """Store a chunk, and add the results of its lines."""
        try:
            answers = storing.early | await self._stored(storing.chunk)
        except (Refused, StoreUnavailable) as error:
            storing.error = error
            self._reading.cancel()
        else:
            self._add(answers)
        storing.ended.set()

    async def _stored(self, chunk: Sequence[BatchLine]) -> dict[int, Receipt | Refused]:
        if not chunk:
            return {}
        settings, metrics = self.context.settings, self.context.metrics
        found = await submit_lines(
            self.context.batches,
            self.batch_id,
            chunk,
            quota=settings.user_batch_quota,
            dedup_window_s=settings.inflight_ttl_s,
            stream_key=settings.stream_key,
            metrics=metrics,
        )
        log("submit_batch", user_id=chunk[0].draft.user_id, trace_id=chunk[0].draft.trace_id,
            count=len(found))  # fmt: skip
        if not self._has_stored and all(one is SubmitRefusal.USER_BATCH_QUOTA_REACHED for one in found):
            metrics.submit_429.labels(reason="user_batch_quota").inc()
            raise Refused(ApiError.USER_BATCH_QUOTA, limit=settings.user_batch_quota)
        answers: dict[int, Receipt | Refused] = {}
        known: dict[tuple[int, str, SubmitRefusal], Refused] = {}
        for one, answer in zip(chunk, found, strict=True):
            if isinstance(answer, SubmitRefusal):
                key = (one.draft.problem_id, one.draft.language, answer)
                if key not in known:
                    known[key] = await refusal_of(self.context, one.draft, answer)
                answers[one.line] = known[key]
            else:
                answers[one.line] = answer
        return answers

    @property
    def _has_stored(self) -> bool:
        return self._counts["accepted"] + self._counts["repeated"] > 0

    def _add(self, answers: Mapping[int, Receipt | Refused]) -> None:
        """Add the results of lines."""
        counts: Counter[str] = Counter()
        for number, answer in sorted(answers.items()):
            body: dict[str, Any] = {"line": number}
            if isinstance(answer, Receipt):
                result = "repeated" if answer.repeated else "accepted"
                body["job_id"] = answer.job_id
            else:
                result = "refused"
                body |= answer.body(self.chinese)
                if retry_after := answer.extra_headers().get("Retry-After"):
                    body["retry_after_s"] = int(retry_after)
            counts[result] += 1
            self._results.append(_line(body))
        for result, count in counts.items():
            self._counts[result] += count
            self.context.metrics.batch_lines.labels(result=result).inc(count)


def _line(body: dict[str, Any]) -> bytes:
    return _JSON.encode(body).encode() + b"\n"


async def readable_batch(context: ApiContext, user: User, batch_id: str) -> tuple[SubmissionBatch, bool]:
    """Return the batch for its owner and for those who may read all submissions, and whether results are whole.

    Raises Refused for others, and if there is none.
    """
    batch = await context.batches.batch(batch_id)
    if batch is None:
        raise Refused(ApiError.NO_SUCH_BATCH)
    reads_whole = may(user, Right.READ_RESULTS)
    if not reads_whole and batch.user_id != user.id:
        raise Refused(ApiError.NOT_YOURS)
    return batch, reads_whole


async def cancel_batch(context: ApiContext, user: User, batch_id: str) -> int:
    """Delete the submissions of a batch that wait for their first attempt, and return how many there were.

    Raises Refused for all but its owner, and if there is none.
    """
    batch = await context.batches.batch(batch_id)
    if batch is None:
        raise Refused(ApiError.NO_SUCH_BATCH)
    if batch.user_id != user.id:
        raise Refused(ApiError.NOT_YOURS)
    deleted = await context.batches.cancel_batch(batch.batch_id, user.id)
    log("batch_cancelled", user_id=user.id, count=deleted)
    return deleted


@dataclass(slots=True)
class ResultPlace:
    """The lines whose verdicts a client has: all finished ones up to ``base``, and those in ``beyond``.

    Its token lets another request go on there. Jobs of a batch finish almost in order, so the token is short.
    """

    base: int = 0
    beyond: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, token: str | None) -> ResultPlace | None:
        """Return the place of a token; None: it is malformed."""
        if token is None:
            return cls()
        base, dot, encoded = token.partition(".")
        try:
            bits = int.from_bytes(base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True), "little")
        except ValueError:
            return None
        if not (dot and _PLACE.fullmatch(base) and int(base) <= MAX_LINES >= bits.bit_length()):
            return None
        return cls(int(base), {int(base) + 1 + at for at in range(bits.bit_length()) if bits >> at & 1})

    @property
    def token(self) -> str:
        bits = sum(1 << (line - self.base - 1) for line in self.beyond)
        encoded = base64.urlsafe_b64encode(bits.to_bytes((bits.bit_length() + 7) // 8, "little"))
        return f"{self.base}.{encoded.decode().rstrip('=')}"

    def forward(self, upto: int) -> None:
        """Note that the client has every finished line up to ``upto``."""
        self.base = max(self.base, upto)
        self.beyond = {line for line in self.beyond if line > self.base}


@dataclass(frozen=True, slots=True)
class ResultLines:
    """Lines of a stream of results."""

    lines: bytes

    def encoded(self) -> bytes:
        return self.lines


class BatchFeed:
    """The ``Feed`` of a reader of a batch's results: a line for each finished one, and a token after each read."""

    def __init__(
        self, batches: Batches, batch_id: str, place: ResultPlace, *, is_whole: bool, steps: HiddenSteps
    ) -> None:
        self._batches, self._batch_id, self._place = batches, batch_id, place
        self._is_whole, self._steps = is_whole, steps
        self._over = False

    @property
    def is_over(self) -> bool:
        """Return whether every stored line was sent."""
        return self._over

    async def events(self) -> Sequence[ResultLines]:
        place = self._place
        page = await self._batches.batch_results(self._batch_id, place.base, place.beyond, _PAGE)
        lines = [_line(self._body(line, item)) for line, item in page.items]
        place.beyond.update(line for line, _ in page.items)
        if len(page.items) < _PAGE:
            last = max(place.beyond, default=place.base)
            place.forward(last if page.first_unfinished is None else page.first_unfinished - 1)
            self._over = page.first_unfinished is None
        return [ResultLines(b"".join([*lines, _line({"token": place.token})]))] if lines else []

    def _body(self, line: int, item: SubmissionItem) -> dict[str, Any]:
        shown = item_for(item, is_whole=self._is_whole, steps=self._steps)
        return {
            "line": line,
            "job_id": shown.job_id,
            "problem_id": shown.problem_id,
            "language": shown.language,
            "status": status_word(shown),
            "score": shown.score,
            "time_used": shown.time_used_ms,
            "memory_used": shown.memory_used_kb,
        }
