"""Texts of every kind, through HTTP and PostgreSQL: kept to the letter or refused with a code, never a 500."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepoj.adapters.aio_bridge import AioBridge
from deepoj.adapters.pg import PgStore
from deepoj.words.results import Verdict
from tests.api.house import House, form, house_on, package, served
from tests.contract.labs import PgLab, claim, deliver, new_problem, report
from tests.fakes.ports import Store
from tests.servers import PostgresServer

_JSON = {"Content-Type": "application/json"}
#: one letter, sign or noncharacter of each plane that has any
PLANES = "".join(chr(plane * 0x10000 + 0x41A3) for plane in range(17)) + "\u4e2d\U0001f600\U000e0041\U0010ffff\ufffe"
#: what: the text, and whether it can be kept
TEXTS: Mapping[str, tuple[str, bool]] = {
    "every plane": (PLANES, True),
    "NUL": ("a\0b", False),
    "NUL alone": ("\0", False),
    "half a pair, high": ("a\ud800b", False),
    "half a pair, low": ("a\udc00b", False),
    "halves in the wrong order": ("\udc00\ud800", False),
    "CRLF": ("int main(){}\r\n\r\n", True),
    "CR alone": ("a\rb", True),
    "BOM": ("\ufeffint main(){}", True),
    "BOM in the middle": ("a\ufeffb", True),
    "controls": ("".join(map(chr, range(1, 32))) + "\x7f\x80\x9f", True),
    "line separators": ("a\u2028b\u2029c\x85d", True),
    "right to left": ("\u202eabc\u202c\u2066x\u2069", True),
    "not composed": ("e\u0301\u1100\u1161", True),
    "composed": ("\u00e9\uac00", True),
    "zero width": ("a\u200b\u200d\ufe0fb", True),
    "escapes": ("\\u0000 \\ud800 \\x00 %00 &#0;", True),
    "quotes": ("'\"`;--\\'${}", True),
    "nothing but blanks": (" \t\r\n", True),
}


@dataclass
class Desk:
    home: House[Store]
    real: PgLab
    alice: str
    root: str
    problem: int

    async def json(self, method: str, path: str, body: object, token: str | None = None) -> tuple[int, dict[str, Any]]:
        # escaped, as a client may: half a pair has no UTF-8
        return await self.ask(method, path, token or self.alice, data=json.dumps(body).encode(), headers=_JSON)

    async def ask(self, method: str, path: str, token: str, **kwargs: Any) -> tuple[int, dict[str, Any]]:
        answer = await self.home.ask(method, path, token=token, **kwargs)
        raw = await answer.get_data(as_text=False)
        found: dict[str, Any] = json.loads(raw.decode("utf-8"))
        if answer.status_code >= 400:
            assert answer.status_code == 400, found
            assert found["code"] in {"INVALID_PARAM", "BAD_REQUEST", "CODE_TOO_LARGE", "INVALID_PACKAGE"}, found
        return answer.status_code, found


@pytest.fixture
async def desk(real: PgLab, tmp_path: Path) -> Desk:
    return await _desk(real, tmp_path)


async def _desk(real: PgLab, tmp_path: Path) -> Desk:
    home = house_on(tmp_path, real.store, inflight_cap=10**6, user_inflight_cap=10**6)
    problem = await new_problem(real.store)
    for name in ("alice", "root"):
        await real.store.accounts.create_user(name, "no password", None, is_admin=name == "root")
    return Desk(home, real, await home.token_of("alice"), await home.token_of("root"), problem.id)


def _storable(text: str) -> bool:
    return "\0" not in text and not any(unicodedata.category(letter) == "Cs" for letter in text)


async def _code_stays(desk: Desk, text: str) -> bool:
    """Whether it was taken; then it is read back as it was."""
    body = {"problem_id": desk.problem, "language": "cpp17", "code": text}
    status, found = await desk.json("POST", "/api/v1/submit", body)
    if status == 200:
        _, back = await desk.ask("GET", f"/api/v1/submissions/{found['job_id']}", desk.alice)
        assert back["code"] == text
    return status == 200


async def _content_stays(desk: Desk, text: str) -> bool:
    files = [{"name": "main.cpp", "content": "int main(){}"}, {"name": "other.h", "content": text}]
    body = {"problem_id": desk.problem, "language": "cpp17", "files": files, "entry_point": "main.cpp"}
    status, found = await desk.json("POST", "/api/v1/submit", body)
    if status == 200:
        _, back = await desk.ask("GET", f"/api/v1/submissions/{found['job_id']}", desk.alice)
        assert [file["content"] for file in back["files"]] == ["int main(){}", text]
    return status == 200


async def _description_stays(desk: Desk, text: str) -> bool:
    """Of a problem; the form is UTF-8, where half a pair is no text at all."""
    raw, content_type = form({"title": "t", "description": "FILL"}, package())
    sent = raw.replace(b"FILL", text.encode("utf-8", "surrogatepass"))
    status, found = await desk.ask(
        "POST", "/api/v1/problems", desk.root, data=sent, headers={"Content-Type": content_type}
    )
    if status == 200:
        _, back = await desk.ask("GET", f"/api/v1/problems/{found['id']}", desk.alice)
        assert back["description"] == text
    return status == 200


_WAYS = {"code": _code_stays, "a file's content": _content_stays, "a description": _description_stays}


@pytest.mark.parametrize("way", _WAYS.values(), ids=_WAYS)
async def test_texts_are_kept_or_refused(desk: Desk, way: Any) -> None:
    for what, (text, can_be_kept) in TEXTS.items():
        assert await way(desk, text) is can_be_kept, what


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec=None, categories=None), min_size=1, max_size=60), max_size=6))
def test_any_text_is_kept_or_refused(postgres: PostgresServer, database: str, tmp_path: Path, texts: list[str]) -> None:
    async def play() -> None:
        async with AioBridge.open() as bridge, PgStore.open(bridge, postgres.dsn(database), max_conns=4) as store:
            desk = await _desk(PgLab(postgres, database, store), tmp_path)
            for text in texts:
                for way in _WAYS.values():
                    assert await way(desk, text) is _storable(text)

    trio.run(play)


@pytest.mark.parametrize("what", TEXTS)
async def test_names_and_words_are_kept_or_refused(desk: Desk, what: str) -> None:
    """What has rules of its own: names of files, people and problems, passwords, addresses, notes."""
    text, can_be_kept = TEXTS[what]
    files = [{"name": text, "content": "int main(){}"}]
    body = {"problem_id": desk.problem, "language": "cpp17", "files": files, "entry_point": text}
    status, _ = await desk.json("POST", "/api/v1/submit", body)
    assert status == 400, "names of files are plain"
    for name in (text, f"anna{text}"):
        account = {"username": name, "password": "correct horse"}
        status, made = await desk.json("POST", "/api/v1/auth/register", account)
        if status == 201:
            assert made["username"] == unicodedata.normalize("NFKC", name)
            token = await desk.home.token_of(made["username"])
            assert (await desk.ask("GET", "/api/v1/users/me", token))[1]["username"] == made["username"]
    status, _ = await desk.json("POST", "/api/v1/auth/register", {"username": "bert", "password": f"a password {text}"})
    # NUL is a byte like others to a hash
    assert status == (201 if can_be_kept or "\0" in text else 400)
    status, _ = await desk.json(
        "POST", "/api/v1/auth/register", {"username": "cleo", "password": "correct horse", "email": f"a{text}@b"}
    )
    assert status in {201, 400}
    raw, content_type = form({"title": "FILL"}, package())
    sent = raw.replace(b"FILL", f"A{text}".encode("utf-8", "surrogatepass"))
    status, found = await desk.ask(
        "POST", "/api/v1/problems", desk.root, data=sent, headers={"Content-Type": content_type}
    )
    if status == 200:
        _, back = await desk.ask("GET", f"/api/v1/problems/{found['id']}", desk.alice)
        assert back["title"] == f"A{text}".strip()


@pytest.mark.parametrize("what", TEXTS)
async def test_output_of_any_text_never_breaks_an_answer(desk: Desk, what: str) -> None:
    """A result with such texts everywhere, as judging hands it to the database."""
    text, can_be_kept = TEXTS[what]
    status, found = await desk.json(
        "POST", "/api/v1/submit", {"problem_id": desk.problem, "language": "cpp17", "code": "int main(){}"}
    )
    assert status == 200
    await deliver(desk.real)
    result = {
        "status": "Wrong Answer",
        "compile": {"ok": True, "time_ms": 1, "output": text},
        "tests": [{"name": text, "status": "Wrong Answer", "checker_message": text, "reason": text}],
        "explanation": [{"rule": "compare", text: text}],
    }
    held = await claim(desk.real, found["job_id"])
    assert await desk.real.store.leases.finalize(held, report(Verdict.WRONG_ANSWER), result) is None
    for token in (desk.alice, desk.root):
        for path in ("status", "submissions"):
            _, back = await desk.ask("GET", f"/api/v1/{path}/{found['job_id']}", token)
            kept = back["data"]["compile"]["output"]
            assert kept == text if can_be_kept else kept == _marked(text)
    _, listed = await desk.ask("GET", "/api/v1/submissions", desk.root)
    assert listed["submissions"][0]["status"] == "Wrong Answer"


def _marked(text: str) -> str:
    """What cannot be kept is replaced by signs that show it."""
    return "".join(
        "\u2400" if letter == "\0" else "\ufffd" if unicodedata.category(letter) == "Cs" else letter for letter in text
    )


#: of headers, queries and paths: bytes, for nothing else arrives
BYTES: Mapping[str, bytes] = {
    what: text.encode("utf-8", "surrogatepass") for what, (text, _) in TEXTS.items()
} | {"no UTF-8": b"\xff\xfe\x80", "overlong": b"\xc0\x80", "latin": b"\xe9"}  # fmt: skip


@pytest.mark.parametrize("what", BYTES)
async def test_queries_and_paths(desk: Desk, what: str) -> None:
    sent = quote_from_bytes(BYTES[what], safe="")
    names = (
        "limit",
        "before",
        "after",
        "problem_id",
        "user_id",
        "verdict",
        "language",
        "since",
        "until",
        "force",
        sent,
    )
    for path in ("submissions", "problems", "admin/dlq"):
        for name in names:
            answer = await desk.home.ask("GET", f"/api/v1/{path}?{name}={sent}", token=desk.root)
            assert answer.status_code in {200, 400}, (path, name)
            json.loads(await answer.get_data())
    for path in ("status/{}", "submissions/{}", "problems/{}", "admin/dlq/{}", "{}", "status/{}/x"):
        answer = await desk.home.ask("GET", f"/api/v1/{path.format(sent)}", token=desk.root)
        assert answer.status_code == 404, path
        assert json.loads(await answer.get_data())["code"].endswith("NOT_FOUND")


_HEADERS = (
    "X-Request-ID", "Accept-Language", "Idempotency-Key", "traceparent", "Authorization", "If-None-Match",
    "Content-Type", "X-Forwarded-For", "Origin", "Cookie",
)  # fmt: skip


@pytest.mark.parametrize("what", BYTES)
async def test_headers(desk: Desk, what: str) -> None:
    """Over a socket: the bytes of a header go on the wire as they are, where HTTP lets them."""
    value = BYTES[what]
    legal = not set(value) & {0, 10, 13} and value.strip(b" \t") != b""
    body = json.dumps({"problem_id": desk.problem, "language": 3, "code": "print(1)"}).encode()
    async with served(desk.home) as (url, _):
        for name in _HEADERS:
            found = await _raw_post(url, name, value, desk.alice, body)
            expected = {200, 400, 401, 415} if legal else {400, 401, 415}
            assert found[0] in expected, (name, found)
            assert found[1].get("code") or found[0] == 200, (name, found)


async def _raw_post(url: str, name: str, value: bytes, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
    sent = {b"host": b"x", b"authorization": f"Bearer {token}".encode(), b"content-type": b"application/json"}
    sent |= {name.lower().encode(): value, b"content-length": str(len(body)).encode(), b"connection": b"close"}
    head = b"".join(key + b": " + one + b"\r\n" for key, one in sent.items())
    parsed = httpx.URL(url)
    stream = await trio.open_tcp_stream(parsed.host, parsed.port or 80)
    async with stream:
        await stream.send_all(b"POST /api/v1/submit HTTP/1.1\r\n" + head + b"\r\n" + body)
        answer = b"".join([piece async for piece in stream])
    top, _, content = answer.partition(b"\r\n\r\n")
    assert b"x-request-id:" in top.lower(), top
    # an end of line in a header makes two requests of one: the first answer counts
    length = next(int(line[15:]) for line in top.lower().splitlines() if line.startswith(b"content-length:"))
    return int(top.split(b" ", 2)[1]), json.loads(content[:length])
