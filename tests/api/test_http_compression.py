"""Answers compressed with gzip: to whom, which, and how caches tell them apart."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from quart import Response
from quart_trio.wrappers import TrioResponse

from deepoj.api.http.compression import MIN_BYTES
from tests.api.house import House, house

_GZIP = {"Accept-Encoding": "gzip, br"}
_TEXT = b"line of a board\n" * 1000


def _serve(home: House, data: bytes, content_type: str) -> None:
    @home.app.route("/text", methods=["GET", "HEAD"])
    async def text() -> Response:
        return TrioResponse(data, content_type=content_type)


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True), ("x-gzip", True), ("br, gzip;q=0.5", True), ("*", True), ("GZIP", True),
        ("gzip;q=0", False), ("", False), ("br", False), ("*;q=0", False), ("identity", False),
        ("gzip;q=0, *", False), ("identity, gzip;q=0.5", False), ("gzip;q=nonsense", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json"])
async def test_text_is_compressed_if_the_client_accepts_gzip(
    tmp_path: Path, accepted: str, is_compressed: bool, content_type: str
) -> None:
    home = house(tmp_path)
    _serve(home, _TEXT, content_type)
    got = await home.ask("GET", "/text", headers={"Accept-Encoding": accepted} if accepted else {})
    body = await got.get_data(as_text=False)
    assert got.headers["Vary"] == "Accept-Encoding"
    assert (got.headers.get("Content-Encoding") == "gzip") is is_compressed
    assert int(got.headers["Content-Length"]) == len(body)
    assert (gzip.decompress(body) if is_compressed else body) == _TEXT


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"x" * (MIN_BYTES - 1), "text/html"),
        (_TEXT, "application/octet-stream"), (_TEXT, "image/png"), (_TEXT, "application/zip"),
        (_TEXT, "text/event-stream"),
    ],
    ids=["short", "file", "image", "archive", "events"],
)  # fmt: skip
async def test_short_and_compressed_bodies_and_streams_stay_as_they_are(
    tmp_path: Path, data: bytes, content_type: str
) -> None:
    home = house(tmp_path)
    _serve(home, data, content_type)
    got = await home.ask("GET", "/text", headers=_GZIP)
    assert await got.get_data(as_text=False) == data
    assert "Content-Encoding" not in got.headers


async def test_head_has_the_headers_of_get_without_a_length(tmp_path: Path) -> None:
    home = house(tmp_path)
    _serve(home, _TEXT, "text/html")
    got = await home.ask("HEAD", "/text", headers=_GZIP)
    assert (got.headers["Content-Encoding"], got.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert "Content-Length" not in got.headers or int(got.headers["Content-Length"]) == 0


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_document_is_compressed_once_with_a_weak_etag(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = house(tmp_path)
    plain = await home.ask("GET", path)
    first = await home.ask("GET", path, headers=_GZIP)

    def compress_again(_data: bytes) -> bytes:
        raise AssertionError("the document was compressed before")

    monkeypatch.setattr("deepoj.api.http.compression.compressed", compress_again)
    again = await home.ask("GET", path, headers=_GZIP)
    body = await again.get_data(as_text=False)
    assert gzip.decompress(body) == await plain.get_data(as_text=False)
    assert not plain.headers["ETag"].startswith("W/")
    assert first.headers["ETag"] == again.headers["ETag"] == "W/" + plain.headers["ETag"]
    for known in (plain.headers["ETag"], again.headers["ETag"]):
        unchanged = await home.ask("GET", path, headers=_GZIP | {"If-None-Match": known})
        assert (unchanged.status_code, await unchanged.get_data(as_text=False)) == (304, b"")
        assert unchanged.headers["ETag"] == again.headers["ETag"]
        assert "Accept-Encoding" in unchanged.headers["Vary"]
        assert "Content-Encoding" not in unchanged.headers
