"""``ports.HookSender`` against a real receiver: the request, the answer, and addresses that are never called."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest
import trio

from deepoj.adapters import hook_sender
from deepoj.adapters.hook_sender import MAX_RETRY_AFTER_S, HttpHookSender
from deepoj.wiring.adapters import HooksOnFirstUse
from deepoj.words.webhooks import HookAnswer, HookFailure, HookRequest
from tests.receiver import PATIENCE_S, Receiver, drips_without_end, hangs, receiving, says, sends

HEADERS = {"Content-Type": "application/json", "X-DeepOJ-Delivery": "d-1"}


def on_loopback(address: str) -> bool:
    return address.startswith("127.")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


async def post(
    url: str,
    permits: Callable[[str], bool] = on_loopback,
    *,
    timeout_s: float = PATIENCE_S,
    tls: ssl.SSLContext | None = None,
) -> HookAnswer:
    async with HttpHookSender.open(permits, timeout_s=timeout_s, tls=tls) as sender:
        return await sender.post(HookRequest(url, HEADERS, b'{"a":1}'))


def names(monkeypatch: pytest.MonkeyPatch, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Replace name resolution by these names. Return the list of resolved names."""
    asked: list[str] = []

    def addresses(host: str, _port: int) -> list[str]:
        asked.append(host)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return list(known[host])

    monkeypatch.setattr(hook_sender, "_addresses", addresses)
    return asked


async def test_post_sends_body_headers_and_signature(receiver: Receiver) -> None:
    assert await post(receiver.url("/judge/%E4%BD%A0?token=a%20b")) == HookAnswer(None, 204)
    (found,) = receiver.received
    assert (found.method, found.path, found.body) == ("POST", "/judge/%E4%BD%A0?token=a%20b", b'{"a":1}')
    assert found.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/json",
        "x-deepoj-delivery": "d-1",
        "content-length": "7",
        "connection": "close",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": found.headers["user-agent"],
    }


async def test_first_posts_at_once_open_one_sender(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[float] = []
    open_sender = HttpHookSender.open

    def counted(
        permits: Callable[[str], bool], *, timeout_s: float, resolvers: int
    ) -> AbstractAsyncContextManager[HttpHookSender]:
        opened.append(timeout_s)
        return open_sender(permits, timeout_s=timeout_s, resolvers=resolvers)

    monkeypatch.setattr(HttpHookSender, "open", counted)
    answers: list[HookAnswer] = []

    async def post_one() -> None:
        answers.append(await hooks.post(HookRequest(receiver.url("/"), HEADERS, b"{}")))

    async with AsyncExitStack() as stack:
        hooks = HooksOnFirstUse(stack, on_loopback, timeout_s=PATIENCE_S, resolvers=2)
        assert not opened
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(post_one)
    assert answers == [HookAnswer(None, 204)] * 3
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None), (201, None), (299, None), (300, HookFailure.HTTP), (304, HookFailure.HTTP),
        (400, HookFailure.HTTP), (404, HookFailure.HTTP), (410, HookFailure.GONE), (429, HookFailure.HTTP),
        (500, HookFailure.HTTP), (503, HookFailure.HTTP),
    ],
)  # fmt: skip
async def test_answers(receiver: Receiver, status: int, failure: HookFailure | None) -> None:
    receiver.replies["/hook"] = says(status, body=b"" if status == 304 else b"thank you")
    assert await post(receiver.url()) == HookAnswer(failure, status)


@pytest.mark.parametrize(
    ("wish", "found"),
    [("7", 7.0), ("0", 0.0), ("99999999999", float(MAX_RETRY_AFTER_S)), ("-1", None), ("soon", None), ("²", None),
     ("Fri, 27 Nov 2026 00:00:00 GMT", None)],
)  # fmt: skip
async def test_a_wish_to_be_left_alone(receiver: Receiver, wish: str, found: float | None) -> None:
    async def reply(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: " + wish.encode() + b"\r\n\r\n")

    receiver.replies["/hook"] = reply
    assert await post(receiver.url()) == HookAnswer(HookFailure.HTTP, 503, found)


async def test_no_redirect_is_followed(receiver: Receiver) -> None:
    async with receiving() as inner:
        receiver.replies["/hook"] = says(307, f"Location: {inner.url()}")
        assert await post(receiver.url()) == HookAnswer(HookFailure.HTTP, 307)
        assert inner.received == []


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await post(receiver.url())).failure is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 100, b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
    ids=["nothing", "ssh", "no status", "zeros", "bad header", "long header"],
)  # fmt: skip
async def test_answer_that_is_not_http_is_a_failed_try(receiver: Receiver, data: bytes) -> None:
    receiver.replies["/hook"] = sends(data)
    assert await post(receiver.url()) == HookAnswer(HookFailure.PROTOCOL)


async def test_endless_answer_is_cut_after_its_status(receiver: Receiver) -> None:
    receiver.replies["/drip"] = drips_without_end
    receiver.replies["/flood"] = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 5_000_000)
    receiver.replies["/cut"] = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
    for path in ("/drip", "/flood", "/cut"):
        with trio.fail_after(PATIENCE_S):
            assert await post(receiver.url(path)) == HookAnswer(None, 200), path


async def test_silent_target_is_a_failed_try_after_the_timeout(receiver: Receiver) -> None:
    receiver.replies["/hook"] = hangs
    assert await post(receiver.url(), timeout_s=0.3) == HookAnswer(HookFailure.TIMEOUT)


async def test_a_resolver_that_hangs_is_left_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def hang(_host: str, _port: int) -> list[str]:
        trio.from_thread.run(ended.wait, trio_token=token)
        return []

    monkeypatch.setattr(hook_sender, "_addresses", hang)
    assert await post("http://a.example/", timeout_s=0.3) == HookAnswer(HookFailure.TIMEOUT)
    ended.set()


async def test_closed_port_is_a_failed_try() -> None:
    with socket.socket() as held:  # bound and not listening: no other process can take it
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        assert await post(url) == HookAnswer(HookFailure.CONNECTION)


async def test_names(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = names(monkeypatch, {"hooks.example": ["127.0.0.1"], "none.example": []})
    assert await post(receiver.url(host="hooks.example")) == HookAnswer(None, 204)
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"
    assert asked == ["hooks.example"], "asked once: what it says a moment later does not matter"
    assert await post(receiver.url(host="other.example")) == HookAnswer(HookFailure.NAME)
    assert await post(receiver.url(host="none.example")) == HookAnswer(HookFailure.NAME)
    assert await post(receiver.url(host="a" * 64 + ".example")) == HookAnswer(HookFailure.NAME)


async def test_the_resolver_of_the_system() -> None:
    assert "127.0.0.1" in hook_sender._addresses("localhost", 80)
    assert hook_sender._addresses("127.0.0.1", 80) == ["127.0.0.1"]
    with pytest.raises((OSError, UnicodeError)):
        hook_sender._addresses("a" * 64 + ".invalid", 80)


async def test_every_address_of_a_name_has_to_be_permitted(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address must not lead to the private one."""
    known = {
        "127.0.0.1": ["127.0.0.1"],
        "mixed.example": ["127.0.0.1", "10.0.0.1"],
        "private.example": ["10.0.0.1"],
        "mapped.example": ["::1"],
    }
    names(monkeypatch, known)
    for name in known.keys() - {"127.0.0.1"}:
        assert await post(receiver.url(host=name)) == HookAnswer(HookFailure.FORBIDDEN)
    assert await post(receiver.url(), lambda _address: False) == HookAnswer(HookFailure.FORBIDDEN)
    assert receiver.received == []


async def test_next_address_is_tried_after_a_refused_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, {"two.example": ["127.0.0.2", "127.0.0.1"]})
    assert await post(receiver.url(host="two.example")) == HookAnswer(None, 204)


async def test_other_address_is_not_tried_after_a_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, {"two.example": ["127.0.0.1", "127.0.0.1"]})
    receiver.replies["/hook"] = sends(b"")
    assert await post(receiver.url(host="two.example")) == HookAnswer(HookFailure.PROTOCOL)
    assert len(receiver.received) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a self-signed certificate of hooks.example and its key."""
    place = tmp_path_factory.mktemp("tls")
    cert, key = place / "cert.pem", place / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=hooks.example",
               "-addext", "subjectAltName=DNS:hooks.example"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    return cert, key


async def test_tls_is_spoken_with_the_name_and_checked_against_it(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, {"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(*certificate)
    asked: list[str | None] = []
    theirs.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    async with receiving(theirs) as receiver:
        assert await post(receiver.url(host="hooks.example"), tls=trusting) == HookAnswer(None, 204)
        assert asked == ["hooks.example"]
        assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"
        assert await post(receiver.url(host="other.example"), tls=trusting) == HookAnswer(HookFailure.TLS)
        # the public roots do not contain it
        assert await post(receiver.url(host="hooks.example")) == HookAnswer(HookFailure.TLS)
    assert len(receiver.received) == 1
