"""Requests that HTTP/1.1 forbids, as bytes over TCP: each gets one refusal and the end of the connection.

A request that two programs read differently lets one smuggle a second request past the other. So each row is followed
by a harmless request, which must never be answered. No row knows which HTTP library serves.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from tests.api.house import house, served
from tests.api.test_serve import dial, rest

_HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
_LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_BODY = b'{"username":"x","password":"y"}'
_CHUNKED = _LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
_KIB = 1024
#: deadline for the server to close a connection, which takes milliseconds
_GIVEN_UP_S = 30.0


def _get(target: bytes = b"/api/v1/health", *lines: bytes, version: bytes = b"1.1", host: bytes = b"x") -> bytes:
    told = b"".join(line + b"\r\n" for line in (b"Host: " + host, *lines))
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + told + b"\r\n"


def _sized(*lengths: bytes) -> bytes:
    return _LOGIN + b"".join(b"Content-Length: " + length + b"\r\n" for length in lengths) + b"\r\n" + _BODY


def _encoded(*lines: bytes) -> bytes:
    return _LOGIN + b"".join(line + b"\r\n" for line in lines) + b"\r\n0\r\n\r\n"


#: name → bytes, status
HEADS: dict[str, tuple[bytes, int]] = {
    "length and encoding": (_encoded(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400),
    "encoding and length": (_encoded(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
    "encoding and length 0": (_encoded(b"transfer-encoding: CHUNKED", b"CONTENT-LENGTH: 0"), 400),
    "encoding in HTTP/1.0": (
        b"POST /api/v1/auth/login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (_sized(b"31", b"0"), 400),
    "two equal lengths": (_sized(b"31", b"31"), 400),
    "a list of lengths": (_sized(b"31, 31"), 400),
    "length +31": (_sized(b"+31"), 400),
    "length -1": (_sized(b"-1"), 400),
    "length 0x1f": (_sized(b"0x1f"), 400),
    "length 3_1": (_sized(b"3_1"), 400),
    "length 31.0": (_sized(b"31.0"), 400),
    "no length": (_sized(b""), 400),
    "length of 21 digits": (_sized(b"9" * 21), 400),
    "length of 5,000 digits": (_sized(b"9" * 5000), 400),
    "encoding identity": (_encoded(b"Transfer-Encoding: identity"), 501),
    "encoding xchunked": (_encoded(b"Transfer-Encoding: xchunked"), 501),
    "encoding gzip, chunked": (_encoded(b"Transfer-Encoding: gzip, chunked"), 501),
    "encoding chunked twice": (_encoded(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 501),
    "a vertical tab before chunked": (_encoded(b"Transfer-Encoding: \x0bchunked"), 400),
    "a space before the colon": (_encoded(b"Transfer-Encoding : chunked"), 400),
    "a tab before the colon": (_encoded(b"Content-Length\t: 5"), 400),
    "no colon": (_get(b"/api/v1/health", b"Content-Length 5"), 400),
    "no name": (_get(b"/api/v1/health", b": 5"), 400),
    "101 lines": (_get(b"/api/v1/health", *(b"a:b" for _ in range(99))), 431),
    "a fold": (_encoded(b"Transfer-Encoding:", b" chunked"), 400),
    "a fold by a tab": (_get(b"/api/v1/health", b"A: b", b"\tc"), 400),
    "a fold that is empty": (_get(b"/api/v1/health", b"A: b", b" "), 400),
    "a first line that is a fold": (b"GET /api/v1/health HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n", 400),
    "LF alone": (b"GET /api/v1/health HTTP/1.1\nHost: x\n\n", 400),
    "LF alone after the request line": (b"GET /api/v1/health HTTP/1.1\nHost: x\r\n\r\n", 400),
    "LF alone after a header": (_get(b"/api/v1/health", b"A: b\nC: d"), 400),
    "LF alone at the end": (b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\n", 400),
    "LF alone before the end": (b"GET /api/v1/health HTTP/1.1\r\nHost: x\n\r\n", 400),
    "CR alone": (_get(b"/api/v1/health", b"A: b\rContent-Length: 5"), 400),
    "CR CR LF": (_get(b"/api/v1/health", b"A: b\r"), 400),
    "NUL in a value": (_get(b"/api/v1/health", b"A: b\0c"), 400),
    "NUL in a name": (_get(b"/api/v1/health", b"A\0: b"), 400),
    "a name that is no token": (_get(b"/api/v1/health", b"A(b): c"), 400),
    "a name beyond ASCII": (_get(b"/api/v1/health", b"H\xf6: c"), 400),
    "no host": (b"GET /api/v1/health HTTP/1.1\r\n\r\n", 400),
    "two hosts": (_get(b"/api/v1/health", b"Host: x"), 400),
    "a host with a space": (_get(host=b"x y"), 400),
    "a host with a user": (_get(host=b"a@x"), 400),
    "a host with a path": (_get(host=b"x/y"), 400),
    "two hosts in one": (_get(host=b"x, y"), 400),
    "a host whose port is no number": (_get(host=b"x:http"), 400),
    "HTTP/2.0": (_get(version=b"2.0"), 505),
    "HTTP/1.2": (_get(version=b"1.2"), 505),
    "HTTP/0.9": (_get(version=b"0.9"), 505),
    "HTTP/9.9": (_get(version=b"9.9"), 505),
    "HTTP/1.10": (_get(version=b"1.10"), 400),
    "HTTP/1": (_get(version=b"1"), 400),
    "HTTP/01.1": (_get(version=b"01.1"), 400),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no version": (b"GET /api/v1/health\r\n\r\n", 400),
    "http/1.1": (b"GET /api/v1/health http/1.1\r\nHost: x\r\n\r\n", 400),
    "two spaces": (b"GET  /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a tab for a space": (b"GET\t/api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a space at the end": (b"GET /api/v1/health HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    "a space before the method": (b" " + _get(), 400),
    "a method that is no token": (b"G@T /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a target with a space": (_get(b"/a b"), 400),
    "a target beyond ASCII": (_get(b"/\xff"), 400),
    "a target with a fragment": (_get(b"/api/v1/health#a"), 400),
    "no target": (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "a target without a slash": (_get(b"api/v1/health"), 400),
    "another host's target": (_get(b"http://evil/api/v1/health"), 400),
    "a target with a user": (_get(b"http://a@x/api/v1/health"), 400),
    "a target of another scheme": (_get(b"ftp://x/api/v1/health"), 400),
    "a target without a host": (_get(b"http:///api/v1/health"), 400),
    "an authority": (_get(b"x:80"), 400),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 400),
    "GET *": (_get(b"*"), 400),
    "a header over the bound": (_get(b"/api/v1/health", b"A: " + b"a" * 17 * _KIB), 431),
    "a header over the bound, its end missing": (_get()[:-2] + b"A: " + b"a" * 17 * _KIB, 431),
    "many headers": (_get(b"/api/v1/health", *(b"A%d: b" % number for number in range(2000))), 431),
    "a target over the bound": (_get(b"/" + b"a" * 17 * _KIB), 431),
    "a request line without an end": (b"GET /" + b"a" * 17 * _KIB, 431),
}

#: an answer that the application gives before it reads the body may come instead of the refusal
BODIES: dict[str, bytes] = {
    "size 0x1f": b"0x1f\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "size +1f": b"+1f\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "size -1": b"-1\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "size 1_f": b"1_f\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "size ZZ": b"ZZ\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "no size": b"\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "a size of 21 digits": b"0" * 19 + b"1f\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "a space before the size": b" 1f\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "LF alone after the size": b"1f\n" + _BODY + b"\r\n0\r\n\r\n",
    "LF alone in an extension": b"1f;a\nb\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "CR alone in an extension": b"1f;a\rb\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "a line's end in an extension": b'1f;a="\r\nb"\r\n' + _BODY + b"\r\n0\r\n\r\n",
    "LF alone after the data": b"1f\r\n" + _BODY + b"\n0\r\n\r\n",
    "XX after the data": b"1f\r\n" + _BODY + b"XX0\r\n\r\n",
    "more data than said": b"1e\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "an extension of 17 KiB": b"1f;a=" + b"b" * 17 * _KIB + b"\r\n" + _BODY + b"\r\n0\r\n\r\n",
    "an extension of 17 KiB at the end": b"1f\r\n" + _BODY + b"\r\n0;a=" + b"b" * 17 * _KIB + b"\r\n\r\n",
    "extensions at every byte": b"".join(b"1;" + b"b" * 200 + b"\r\n%c\r\n" % byte for byte in _BODY * 8)
    + b"0\r\n\r\n",
    "LF alone in the trailers": b"1f\r\n" + _BODY + b"\r\n0\r\nA: b\nC: d\r\n\r\n",
    "LF alone at the end": b"1f\r\n" + _BODY + b"\r\n0\r\n\n",
    "a fold in the trailers": b"1f\r\n" + _BODY + b"\r\n0\r\nA: b\r\n c\r\n\r\n",
    "trailers over the bound": b"1f\r\n" + _BODY + b"\r\n0\r\nA: " + b"b" * 17 * _KIB + b"\r\n\r\n",
}


async def _answers(tmp_path: Path, raw: bytes, *, byte_by_byte: bool = False) -> list[int]:
    """Return the statuses that the server sent before it closed the connection."""
    home = house(tmp_path, read_header_timeout_s=_GIVEN_UP_S, idle_timeout_s=_GIVEN_UP_S, read_timeout_s=_GIVEN_UP_S)
    async with served(home) as (url, _), await dial(url) as stream:
        try:
            for at in range(len(raw)) if byte_by_byte else ():
                await stream.send_all(raw[at : at + 1])
            if not byte_by_byte:
                await stream.send_all(raw)
        except trio.BrokenResourceError:
            pass  # it has closed already
        got = await rest(stream)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


@pytest.mark.parametrize("name", HEADS)
async def test_forbidden_head_is_refused_and_connection_closed(tmp_path: Path, name: str) -> None:
    raw, status = HEADS[name]
    assert await _answers(tmp_path, raw + _HEALTH) == [status]


@pytest.mark.parametrize("name", [name for name, (raw, _) in HEADS.items() if len(raw) < _KIB])
async def test_forbidden_head_in_single_bytes_is_refused(tmp_path: Path, name: str) -> None:
    raw, status = HEADS[name]
    assert await _answers(tmp_path, raw + _HEALTH, byte_by_byte=True) == [status]


@pytest.mark.parametrize("name", BODIES)
async def test_forbidden_chunked_body_is_refused_and_connection_closed(tmp_path: Path, name: str) -> None:
    assert await _answers(tmp_path, _CHUNKED + BODIES[name] + _HEALTH) in ([400], [431])


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        (_get(), [200]),
        (_get(host=b""), [200]),
        (_get(host=b"oj.example.org:8080"), [200]),
        (_get(host=b"[::1]:8080"), [200]),
        (_get(b"http://X/api/v1/health"), [200]),
        (_get(b"http://x/api/v1/health?a=b"), [200]),
        (_get(b"/api/v1/health", b"A: " + b"a" * 15 * _KIB), [200]),
        (_get(b"/api/v1/health", b"A:", b"B: \xe4\xf6"), [200]),
        (_sized(b"31"), [401]),
        (_CHUNKED + b"1f;a=b\r\n" + _BODY + b"\r\n0\r\nA: b\r\n\r\n", [401]),
        (_CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in _BODY) + b"0\r\n\r\n", [401]),
        (_CHUNKED + b"001F\r\n" + _BODY + b"\r\n000\r\n\r\n", [401]),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
    ],
)
async def test_allowed_request_keeps_its_connection(tmp_path: Path, raw: bytes, statuses: list[int]) -> None:
    closing = _HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert await _answers(tmp_path, raw + closing) == [*statuses, 200]
    assert await _answers(tmp_path / "slowly", raw + closing, byte_by_byte=True) == [*statuses, 200]
