"""Texts and bytes of every kind through a real node: sources, data and output of programs."""

from __future__ import annotations

import io
import json
import zipfile

import httpx
import pytest

from tests.e2e.conftest import House
from tests.e2e.nodes import Node, bearer

#: a character or noncharacter of every plane, line separators, and a change of direction
PLANES = "".join(chr(plane * 0x10000 + 0x41A3) for plane in range(17)) + "\u4e2d\U0001f600\u2028\u202e\ufffe\U0010ffff"
#: bytes that are no text: NUL, surrogates, overlong, truncated, beyond the last plane, a BOM of UTF-16
BYTES = (
    b"\0a\xed\xa0\x80\xed\xb0\x80\xc0\x80\xe4\xb8\xf4\x90\x80\x80\xff\xfe\r\n\xef\xbb\xbf" + PLANES.encode() + b"\r\n"
)

ECHO = "#include <cstdio>\nint main() { for (int c; (c = std::getchar()) != EOF;) std::putchar(c); }\n"


@pytest.fixture(scope="module")
def node(house: House) -> Node:
    return house.node


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    return node.token()


@pytest.fixture(scope="module")
def author(node: Node) -> str:
    return node.token("author")


@pytest.fixture(scope="module")
def exact(node: Node, token: str) -> int:
    """A problem whose only test, a sample, must be echoed byte for byte."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("sample/1.in", BYTES)
        archive.writestr("sample/1.ans", BYTES)
    answer = node.client.post(
        "/api/v1/problems",
        data={"title": "Echo \u4e2d\U0001f600", "compare": "exact", "description": PLANES},
        files={"file": ("p.zip", out.getvalue(), "application/zip")},
        headers=bearer(token),
    )
    assert answer.status_code == httpx.codes.OK, answer.text
    problem_id = int(answer.json()["id"])
    assert node.client.get(f"/api/v1/problems/{problem_id}").json()["description"] == PLANES
    return problem_id


def readable(node: Node, token: str, job_id: str) -> None:
    """Assert that every answer about the job is JSON in UTF-8."""
    for path in (f"status/{job_id}", f"submissions/{job_id}", "submissions"):
        answer = node.client.get(f"/api/v1/{path}", headers=bearer(token))
        assert answer.status_code == httpx.codes.OK, answer.text
        json.loads(answer.content.decode("utf-8"))


def test_bytes_are_judged_as_they_are(node: Node, author: str, exact: int) -> None:
    assert node.judged(author, exact, ECHO)["status"] == "Accepted"
    assert node.judged(author, exact, ECHO.replace("putchar(c)", "putchar(c == 0 ? 1 : c)"))["status"] == "Wrong Answer"


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_output_of_any_bytes_never_breaks_an_answer(
    node: Node, token: str, author: str, exact: int, where: str
) -> None:
    code = f"import sys\nsys.{where}.buffer.write({BYTES!r} * 40)\nsys.exit({int(where == 'stderr')})\n"
    job_id = node.submit(author, exact, code, "python3")
    seen = node.verdict(author, job_id)
    assert seen["status"] == ("Wrong Answer" if where == "stdout" else "Runtime Error")
    for reader in (token, author):
        readable(node, reader, job_id)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("cpp17", f"\ufeff// {PLANES}\r\n{ECHO}".replace("\n", "\r\n").replace("\r\r", "\r")),
        ("python3", f"\ufeff# {PLANES.replace(chr(0x2028), '')}\r\nimport sys\r\n"
                    "sys.stdout.buffer.write(sys.stdin.buffer.read())\r\n"),
    ],
)  # fmt: skip
def test_source_is_kept_byte_for_byte(node: Node, author: str, exact: int, language: str, code: str) -> None:
    job_id = node.submit(author, exact, code, language)
    assert node.verdict(author, job_id)["status"] == "Accepted"
    back = node.client.get(f"/api/v1/submissions/{job_id}", headers=bearer(author)).json()
    assert back["code"] == code


def test_compiler_output_of_any_text_never_breaks_an_answer(node: Node, author: str, exact: int) -> None:
    job_id = node.submit(author, exact, f"#error {PLANES}\nint \U0001f600 = ;\n", "cpp17")
    seen = node.verdict(author, job_id)
    assert seen["status"] == "Compile Error"
    assert "#error" in seen["data"]["compile"]["output"]
    readable(node, author, job_id)


@pytest.mark.parametrize("code", ["a\0b", "\ud800", "int main(){}\udfff"], ids=["NUL", "high half", "low half"])
def test_code_that_cannot_be_stored_is_refused(node: Node, author: str, exact: int, code: str) -> None:
    body = json.dumps({"problem_id": exact, "language": "cpp17", "code": code})
    headers = {**bearer(author), "Content-Type": "application/json"}
    answer = node.client.post("/api/v1/submit", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PARAM")
