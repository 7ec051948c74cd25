"""Sender of webhooks: POSTs to callbacks with httpx, to checked addresses only.

A host name is resolved once per try. All its addresses must be permitted, and the connection goes to one of them, with
the name in ``Host`` and in TLS. So a later change of the name's addresses (DNS rebinding) has no effect. No redirect is
followed, no proxy of the environment is used, no connection is kept. The body of an answer is not read: the status is
enough, and an owner who could see the body could read internal hosts through us.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

import httpx
import trio

from deepoj.words.webhooks import HookAnswer, HookFailure, HookRequest

CLOSE_S = 1.0
#: addresses of a name that are tried one after the other
MAX_ADDRESSES = 3
MAX_RETRY_AFTER_S = 24 * 3600
_OK = range(200, 300)
_GONE = 410


class HttpHookSender:
    """Sender of webhooks (``ports.HookSender``).

    Args (``open``):
      permits: whether a connection may be made to an address.
      timeout_s: for one try as a whole, including name look-up, TLS and all addresses.
      resolvers: concurrent look-ups of names. A look-up that hangs in the system's resolver cannot be cancelled, only
        abandoned, so look-ups have threads of their own.
    """

    def __init__(
        self, client: httpx.AsyncClient, permits: Callable[[str], bool], *, timeout_s: float, resolvers: int
    ) -> None:
        self._client = client
        self._permits = permits
        self._timeout_s = timeout_s
        self._resolvers = trio.CapacityLimiter(resolvers)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        permits: Callable[[str], bool],
        *,
        timeout_s: float,
        resolvers: int = 16,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncGenerator[Self]:
        async with httpx.AsyncClient(
            verify=tls or ssl.create_default_context(),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        ) as client:
            yield cls(client, permits, timeout_s=timeout_s, resolvers=resolvers)

    async def post(self, request: HookRequest) -> HookAnswer:
        answer: HookAnswer | httpx.Response = HookAnswer(HookFailure.TIMEOUT)
        with trio.move_on_after(self._timeout_s):
            answer = await self._post(request)
        if isinstance(answer, HookAnswer):
            return answer
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_S):
            await answer.aclose()
        return _answer(answer)

    async def _post(self, request: HookRequest) -> HookAnswer | httpx.Response:
        parts = urlsplit(request.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = await trio.to_thread.run_sync(
                _addresses, host, port, abandon_on_cancel=True, limiter=self._resolvers
            )
        except (OSError, UnicodeError):
            return HookAnswer(HookFailure.NAME)
        if not addresses:
            return HookAnswer(HookFailure.NAME)
        if not all(self._permits(address) for address in addresses):
            return HookAnswer(HookFailure.FORBIDDEN)
        for address in addresses[:MAX_ADDRESSES]:
            answer = await self._post_to(address, port, request)
            if isinstance(answer, httpx.Response) or answer.failure is not HookFailure.CONNECTION:
                return answer
        return HookAnswer(HookFailure.CONNECTION)

    async def _post_to(self, address: str, port: int, request: HookRequest) -> HookAnswer | httpx.Response:
        parts = urlsplit(request.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        url = httpx.URL(scheme=parts.scheme, host=address, port=port, raw_path=path.encode("ascii"))
        headers = {**request.headers, "Host": parts.netloc, "Connection": "close", "Accept-Encoding": "identity"}
        sent = self._client.build_request(
            "POST", url, headers=headers, content=request.body, extensions={"sni_hostname": parts.hostname}
        )
        try:
            return await self._client.send(sent, stream=True)
        except httpx.ConnectError as error:
            return HookAnswer(HookFailure.TLS if _is_tls(error) else HookFailure.CONNECTION)
        except httpx.TimeoutException:
            return HookAnswer(HookFailure.TIMEOUT)
        except httpx.NetworkError:
            return HookAnswer(HookFailure.PROTOCOL)  # the host may have got it: no other address is tried
        except (httpx.ProtocolError, httpx.InvalidURL, ValueError):
            return HookAnswer(HookFailure.PROTOCOL)


def _answer(response: httpx.Response) -> HookAnswer:
    status = response.status_code
    if status in _OK:
        return HookAnswer(None, status)
    wish = response.headers.get("Retry-After", "")
    retry_after_s = min(float(wish), MAX_RETRY_AFTER_S) if wish.isascii() and wish.isdecimal() else None
    return HookAnswer(HookFailure.GONE if status == _GONE else HookFailure.HTTP, status, retry_after_s)


def _addresses(host: str, port: int) -> list[str]:
    """Return each address of a host once, in the resolver's order. Raises OSError, UnicodeError."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


def _is_tls(error: BaseException) -> bool:
    """Return whether TLS caused a ConnectError, which httpx also raises for a refused connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError | ssl.CertificateError) or "SSL" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
