"""One connection from accept to close, in one task: reads a head, runs the application, sends the answer, repeats.

Each wait for the client has its own deadline: for a head, between requests, for an unread body, and for the client to
read an answer. While the application works, ``check_client`` detects whether the client has disconnected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from math import inf

import h11
import trio
from quart import Response
from quart.typing import ResponseTypes
from quart.wrappers.response import DataBody, ResponseBody
from werkzeug.datastructures import Headers

from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.body import MIN_BYTES_PER_S, ChunkedDecoder, SizedDecoder
from deepoj.api.http.exchange import PROBES, Address, Exchange, MeasuredApp, encoded
from deepoj.api.http.head import Head, fault_in, parse
from deepoj.api.http.sockets import ClientState, client_state, has_unread, reset_on_close
from deepoj.api.http.unsent import UnsentAnswers
from deepoj.api.settings import ApiSettings
from deepoj.observe import log

_PIECE_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
#: maximum pause of a client that was fast before, until it counts as awaited
_CREDIT_S = 5.0
#: data after a refusal is dropped for this long and up to this much: closing at once would reset the connection, and
#: the client might lose the answer
_LINGER_S = 2.0
_LINGER_BYTES = 1024 * 1024
#: an unread body is dropped for this long and up to this much, while its speed is at least ``MIN_BYTES_PER_S`` except
#: for one pause
_DROP_S = 10.0
_DROP_PAUSE_S = 2.0
_DROP_BYTES = 64 * 1024 * 1024
#: maximum speed of dropping: at the client's speed it could use a large part of a core
_DROP_BYTES_PER_S = 16 * 1024 * 1024
#: how long a request continues after its client has closed its side: most such clients have disconnected
_HALF_CLOSED_S = 1.0


class Connection:
    """Serves one connection. It is closed when ``run`` returns."""

    def __init__(
        self,
        app: MeasuredApp,
        settings: ApiSettings,
        stream: trio.SocketStream,
        client: Address,
        unsent: UnsentAnswers,
        *,
        refusal: Refused | None = None,
    ) -> None:
        """``client``: address of the peer; ``refusal``: the answer to all requests except ``PROBES``."""
        self._app, self._settings, self._stream, self._client = app, settings, stream, client
        self._unsent = unsent
        self._refusal = refusal
        #: shields the connection from the server's cancellation until the drain deadline
        self._scope = trio.CancelScope(shield=True)
        #: scope of the wait for a head; otherwise None
        self._head_scope: trio.CancelScope | None = None
        #: scope of the request in progress; otherwise None
        self._request_scope: trio.CancelScope | None = None
        #: the request in progress; otherwise None
        self._exchange: Exchange | None = None
        self._is_first, self._is_idle, self._is_draining = True, False, False
        #: bytes read from the socket but not parsed yet
        self._received = bytearray()
        #: when the client's turn to send began, plus the time that its data takes at ``MIN_BYTES_PER_S``
        self._sends_since = trio.current_time()
        #: since when the server has been waiting for the client to send or read; infinite while it is not waiting
        self.awaited_since = self._sends_since
        self._is_receiving = False
        self._gone_since = inf

    async def run(self) -> None:
        """Serve requests until either side closes, or the server gives the connection up."""
        try:
            with self._scope:
                while await self._serve_request():
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):  # the client disconnected
            pass
        except Exception:  # noqa: BLE001 - a bug outside of what quart contains must not end the other connections
            log("http_error", level="error", exc_info=True)
        finally:
            self._stream.socket.close()

    # -- for the server

    def give_up(self) -> None:
        """Close the connection at once, to make room for others. A request that waits for its turn is answered 503, as
        far as that needs no wait."""
        if self._exchange is not None and not self._exchange.is_begun:
            refused = Refused(ApiError.TOO_MANY_CONNECTIONS)
            self._exchange.status = str(refused.api_error.status)
            with suppress(OSError):  # the client has disconnected, does not read, or has sent no body
                os.write(self._stream.socket.fileno(), self._encoded(refused, refused.api_error.status))
                os.read(self._stream.socket.fileno(), _PIECE_BYTES)  # unread data would reset the connection
        self._scope.cancel()

    def abort(self) -> None:
        """Close the connection at once; the kernel drops what its client has not read."""
        reset_on_close(self._stream)
        self._scope.cancel()

    def drain(self, deadline: float) -> None:
        """Close the connection after the request in progress, at once if there is none, and at the latest at the
        deadline (of trio's clock)."""
        self._is_draining = True
        self._scope.deadline = deadline
        if self._head_scope is not None:
            self._head_scope.cancel()

    @property
    def has_unread_request(self) -> bool:
        """Return whether a request has arrived, and nothing of it was read: then the client is waiting for the server.
        A client that sends its head byte by byte is not."""
        return self._head_scope is not None and not self._received and has_unread(self._stream)

    @property
    def is_queued(self) -> bool:
        """Return whether its request waits for its turn: nothing was done for it yet."""
        return self._exchange is not None and not self._exchange.is_begun

    def check_client(self) -> None:
        """Cancel the request in progress if its client has disconnected. Called periodically."""
        if self._request_scope is None or self._is_receiving:
            return
        if client_state(self._stream) is not ClientState.GONE:
            return
        if self._gone_since == inf:
            self._gone_since = self.awaited_since = trio.current_time()
        if trio.current_time() >= self._gone_since + _HALF_CLOSED_S:
            self._request_scope.cancel()

    # -- requests

    async def _serve_request(self) -> bool:
        """Serve one request. Returns whether another one may follow."""
        head = await self._read_head()
        self._head_scope = None
        if head is None:
            return False
        if isinstance(head, int):
            await self._refuse(Refused(ApiError.BAD_REQUEST), head)
            return False
        if self._refusal is not None and head.target.partition(b"?")[0].decode() not in PROBES:
            await self._refuse(self._refusal, self._refusal.api_error.status)
            return False
        return await self._answer(head)

    async def _read_head(self) -> Head | int | None:
        """Read the next head. Returns the HTTP status if it is refused, None if the connection is to be closed."""
        settings, received = self._settings, self._received
        self._sends_since = trio.current_time()
        self._is_idle = not received and not self._is_first
        self._is_first = False
        self._is_head_request = False
        if received:  # a client with many pipelined requests must not starve others
            await trio.lowlevel.checkpoint()
        wait_s = settings.idle_timeout_s if self._is_idle else settings.read_header_timeout_s
        with trio.CancelScope(deadline=self._sends_since + wait_s) as self._head_scope:
            if self._is_draining:
                return None
            while (end := received.find(_HEAD_END)) < 0:
                fault = fault_in(bytes(received), is_whole=False) if received else None
                if fault is not None:
                    return fault
                data = await self._receive()
                if not data:
                    return 400 if received else None
                if self._is_idle:
                    self._is_idle = False
                    self._sends_since = trio.current_time()
                    self._head_scope.deadline = self._sends_since + settings.read_header_timeout_s
                received += data
            raw = bytes(received[: end + len(_HEAD_END)])
            self._is_head_request = raw.startswith(b"HEAD ")
            fault = fault_in(raw[:end], is_whole=True)
            if fault is not None:
                return fault
            del received[: len(raw)]
            self._sends_since = trio.current_time()
            return parse(raw)
        return None

    async def _answer(self, head: Head) -> bool:
        """Answer the request of ``head``. Returns whether another one may follow."""
        self._protocol = head.protocol
        self._decoder = ChunkedDecoder() if head.is_chunked else SizedDecoder(head.length)
        self._is_begun, self._gone_since = False, inf
        exchange = self._exchange = Exchange(self._app, head, self._client)
        exchange.request.body.attach(self._piece_for_route, self._whole_body)
        try:
            with trio.CancelScope() as scope:
                self._request_scope = scope
                try:
                    await self._send_response(await exchange.response())
                finally:
                    if self._decoder.fault is not None:
                        exchange.status = str(self._decoder.fault)
                    exchange.end()
        finally:
            self._request_scope = self._exchange = None
        if self._decoder.fault is not None and not self._is_begun:
            await self._refuse(Refused(ApiError.BAD_REQUEST), self._decoder.fault)
            return False
        if scope.cancelled_caught:
            return False
        if not await self._drop_body():
            await self._linger()
            return False
        return self._protocol.our_state is h11.DONE

    # -- bodies

    def _whole_body(self) -> bytes | None:
        return self._decoder.take(self._received) if self._decoder.is_here(self._received) else None

    async def _piece_for_route(self) -> bytes:
        """See ``_next_piece``. A disconnect or a malformed body cancels the request's route."""
        try:
            piece = await self._next_piece()
            if self._decoder.fault is None:
                return piece
        except trio.BrokenResourceError:
            pass
        if self._request_scope is not None:
            self._request_scope.cancel()
        await trio.sleep_forever()
        raise AssertionError

    async def _next_piece(self) -> bytes:
        """Return the next piece of the body; empty at its end, or if it is malformed (``_decoder.fault``)."""
        while True:
            piece = self._decoder.take(self._received)
            if piece or self._decoder.is_complete or self._decoder.fault is not None:
                return piece
            if self._protocol.they_are_waiting_for_100_continue:
                await self._send([self._protocol.send(h11.InformationalResponse(status_code=100, headers=[]))])
            data = await self._receive()
            if not data:
                raise trio.BrokenResourceError
            self._sends_since = _later(self._sends_since, len(data))
            self._received += data

    async def _drop_body(self) -> bool:
        """Drop the rest of a body that its route did not read. Returns whether its end was reached."""
        if self._decoder.is_complete:
            return True
        if self._awaits_continue:
            return False
        began, dropped_bytes = trio.current_time(), 0
        while dropped_bytes <= _DROP_BYTES:
            earned_s = _DROP_PAUSE_S + dropped_bytes / MIN_BYTES_PER_S
            with trio.move_on_at(began + min(_DROP_S, earned_s)) as scope:
                piece = await self._next_piece()
            if scope.cancelled_caught or self._decoder.fault is not None:
                return False
            if not piece:
                return True
            dropped_bytes += len(piece)
            await trio.sleep(len(piece) / _DROP_BYTES_PER_S)
        return False

    # -- answers

    async def _send_response(self, response: ResponseTypes) -> None:
        headers = encoded(response.headers)
        # after waiting for 100 (Continue) in vain, a client may send its body or the next request
        is_here = self._decoder.is_here(self._received)
        self._awaits_continue = self._protocol.they_are_waiting_for_100_continue and not is_here
        if self._awaits_continue or self._is_draining:
            headers.append((b"connection", b"close"))
        self._is_begun = True
        # send the head with the first piece: each packet costs a system call and wakes the client
        head = self._protocol.send_with_data_passthrough(
            h11.Response(status_code=response.status_code, headers=headers)
        )
        parts: list[bytes] = head or []
        if not self._is_head_request:
            data_body = Response.data_body_class
            body = response.response if isinstance(response, Response) else data_body(response.get_data())
            if type(body) is DataBody:  # whole already, as most are
                parts += self._framed(body.data[body.begin : body.end])  # all of it is no copy
            else:
                parts = await self._send_pieces(body, parts)
        parts += self._protocol.send_with_data_passthrough(h11.EndOfMessage()) or []
        await self._send(parts)

    async def _send_pieces(self, body: ResponseBody, unsent: list[bytes]) -> list[bytes]:
        """Send a body piece by piece, after what is unsent. Return what is still unsent."""
        async with body as pieces:
            async for piece in pieces:
                data = piece.encode() if isinstance(piece, str) else piece
                if data:
                    await self._send([*unsent, *self._framed(data)])
                    unsent = []
        return unsent

    def _framed(self, data: bytes) -> list[bytes]:
        """Return a piece of a body as it is sent: ``data`` itself, not a copy, and what is around it."""
        return self._protocol.send_with_data_passthrough(h11.Data(data=data)) or []

    async def _refuse(self, refused: Refused, status: int) -> None:
        """Answer without the application; the connection is closed afterwards."""
        await self._send([self._encoded(refused, status)])
        await self._linger()

    def _encoded(self, refused: Refused, status: int) -> bytes:
        """Return the bytes of an answer after which the connection is closed."""
        body = json.dumps(refused.body(chinese=False)).encode()
        headers = Headers(refused.extra_headers())
        headers.update({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        headers["X-Request-ID"] = self._app.new_request_id()
        protocol = h11.Connection(h11.SERVER)
        answer = protocol.send(h11.Response(status_code=status, headers=encoded(headers)))
        if not self._is_head_request:
            answer += protocol.send(h11.Data(data=body))
        return answer

    async def _linger(self) -> None:
        """Close our side, and drop what the client still sends, so that it receives the answer."""
        self._sends_since = trio.current_time()
        with trio.move_on_after(_LINGER_S):
            await self._stream.send_eof()
            for _ in range(_LINGER_BYTES // _PIECE_BYTES):
                if not await self._receive():
                    break

    # -- the socket

    async def _receive(self) -> bytes:
        """Receive bytes; empty at the end. Raises BrokenResourceError."""
        self.awaited_since, self._is_receiving = self._sends_since, True
        try:
            return bytes(await self._stream.receive_some(_PIECE_BYTES))
        finally:
            self.awaited_since, self._is_receiving = inf, False

    async def _send(self, parts: Sequence[bytes]) -> None:
        """Send all bytes. Raises BrokenResourceError, also if the client takes none of them for the write timeout."""
        # Write directly first: trio's send always yields to the scheduler, which costs 5 to 12 % of a status read's
        # CPU.
        parts, sent_bytes = [part for part in parts if part], 0
        with suppress(OSError):  # full, broken or closed: the code below finds out which
            sent_bytes = os.writev(self._stream.socket.fileno(), parts)
        rest = _after(parts, sent_bytes)
        if not rest:
            return
        self.awaited_since = trio.current_time()
        self._unsent.hold(self, parts[-len(rest) :])
        try:
            with trio.CancelScope() as scope:
                for part in rest:
                    for at in range(0, len(part), _PIECE_BYTES):
                        scope.deadline = trio.current_time() + self._settings.write_timeout_s
                        await self._stream.send_all(part[at : at + _PIECE_BYTES])
                        self.awaited_since = _later(self.awaited_since, _PIECE_BYTES)
        finally:
            self.awaited_since = inf
            self._unsent.release(self)
        if scope.cancelled_caught:
            raise trio.BrokenResourceError


def _after(parts: Sequence[bytes], sent_bytes: int) -> list[memoryview]:
    """Return what is left of ``parts`` after so many bytes, without copying it."""
    rest: list[memoryview] = []
    for part in parts:
        if sent_bytes < len(part):
            rest.append(memoryview(part)[sent_bytes:])
        sent_bytes = max(0, sent_bytes - len(part))
    return rest


def _later(since: float, size_bytes: int) -> float:
    """Add to ``since`` the time that the bytes take at the minimum speed, up to ``_CREDIT_S`` ahead of now."""
    return min(trio.current_time() + _CREDIT_S, since + size_bytes / MIN_BYTES_PER_S)
