"""What ``deepoj bench api`` compares with: an ASGI application that only reads a body, parses it and answers.

It is served by hypercorn's own trio worker with its own settings, one process, nothing in between::

    python -m hypercorn --worker-class trio --workers 0 --bind fd://N deepoj.operate.bench.api_bare:app

A POST reads its body and parses it as JSON; the answer is as long as that of a submit. A GET answers as much.
"""

from __future__ import annotations

import json
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope

_ANSWER = {"job_id": "0" * 36, "status": "Queuing"}


async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The application."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "http":
        body = b""
        more = True
        while more:
            message: Any = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if scope["method"] == "POST":
            json.loads(body)
        answer = json.dumps(_ANSWER).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer, "more_body": False})


async def _live(receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
