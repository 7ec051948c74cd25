"""An object store with as much of S3 as a drill's nodes use: all buckets exist; objects are put, checked and fetched.

Signatures are not checked: it listens on the loopback, and stores only the drill's own test data during the drill.
"""

from __future__ import annotations

from pathlib import Path

import h11
import trio

_HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_REGION = b"<LocationConstraint>us-east-1</LocationConstraint>"
_MISSING = b"<Error><Code>NoSuchKey</Code><Message>there is no such object</Message></Error>"


class Objects:
    """Stores objects as files in ``directory``. Slashes in their keys become ``--``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = 0

    async def serve(self, tasks: trio.Nursery, *, task_status: trio.TaskStatus[None]) -> None:
        """Accept connections until cancelled; reports as started when ``port`` is known."""
        self._directory.mkdir(parents=True, exist_ok=True)
        listener = (await trio.open_tcp_listeners(0, host=_HOST))[0]
        async with listener:
            self.port = listener.socket.getsockname()[1]
            task_status.started()
            while True:
                tasks.start_soon(self._connection, await listener.accept(), name="objects connection")

    async def _connection(self, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                while await self._exchange(stream):
                    pass
            except (trio.BrokenResourceError, h11.RemoteProtocolError):
                pass  # the link was cut

    async def _exchange(self, stream: trio.SocketStream) -> bool:
        """Answer one request. Returns whether another one may follow on this connection."""
        connection = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    if connection.they_are_waiting_for_100_continue:
                        go_on = connection.send(h11.InformationalResponse(status_code=100, headers=[]))
                        await stream.send_all(go_on or b"")
                    connection.receive_data(await stream.receive_some(_CHUNK_BYTES))
                case h11.Request():
                    request = event
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage():
                    break
                case _:
                    return False
        assert request is not None  # noqa: S101 - h11 gives it before the end of its message
        status, content = self._answer(request.method, request.target.partition(b"?")[0].decode("latin-1"), body)
        headers = [("Content-Length", str(len(content))), ("ETag", '"drill"'), ("Content-Type", "application/xml"),
                   ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("Connection", "close")]  # fmt: skip
        answer = connection.send(h11.Response(status_code=status, headers=headers)) or b""
        if request.method != b"HEAD":
            answer += connection.send(h11.Data(data=content)) or b""
        await stream.send_all(answer)
        return False  # one request per connection: drills fetch little

    def _answer(self, method: bytes, path: str, body: bytearray) -> tuple[int, bytes]:
        bucket, _, key = path.strip("/").partition("/")
        file = self._directory / f"{bucket}--{key.replace('/', '--')}"
        if not key:
            return 200, _REGION  # a request for a bucket: whether it exists, or its region
        if method == b"PUT":
            file.write_bytes(body)
            return 200, b""
        if not file.is_file():
            return 404, _MISSING
        return 200, file.read_bytes()
