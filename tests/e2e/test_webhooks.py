"""A real node delivers a verdict to a real receiver, signed with the secret that the owner reads over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import House
from tests.e2e.nodes import VERDICT_S, WRONG, Node, bearer, until


class Receiver(ThreadingHTTPServer):
    """Refuses the first request and accepts the others."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(503 if len(self.server.received) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def asked(node: Node, token: str, path: str) -> dict[str, Any]:
    answer = node.client.get(f"/api/v1{path}", headers=bearer(token))
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_verdict_is_told_again_until_it_is_taken(house: House, receiver: Receiver) -> None:
    node = house.node
    before = node.measured("webhook_deliveries_total")
    token = node.token()
    problem_id = node.problem(token)
    url = f"http://127.0.0.1:{receiver.server_address[1]}/hook?token=hidden"
    body = {"problem_id": problem_id, "language": 1, "code": WRONG, "callback_url": url}
    taken = node.client.post("/api/v1/submit", json=body, headers=bearer(token))
    assert taken.status_code == httpx.codes.OK, taken.text
    job_id = taken.json()["job_id"]

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = asked(node, token, f"/submissions/{job_id}")["webhooks"]
        return [one for one in found if one["status"] == "delivered"]

    (delivery,) = until(told, within_s=VERDICT_S, what=f"the receiver has heard; log: {node.tail()}")
    (_, first), (headers, second) = receiver.received
    assert first == second
    verdict = json.loads(second)
    assert (verdict["job_id"], verdict["status"], verdict["data"]["status"]) == (
        job_id,
        "Wrong Answer",
        "Wrong Answer",
    )
    assert headers["x-deepoj-delivery"] == verdict["delivery_id"] == delivery["delivery_id"]
    secret = asked(node, token, "/users/me/webhook-secret")["secret"].encode()
    signed = headers["x-deepoj-timestamp"].encode() + b"." + second
    assert headers["x-deepoj-signature"] == f"sha256={hmac.new(secret, signed, hashlib.sha256).hexdigest()}"
    assert (delivery["attempts"], delivery["http_status"]) == (2, 200)
    assert node.measured("webhook_deliveries_total") - before == 2
    assert "hidden" not in node.log.read_text()
