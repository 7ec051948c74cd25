"""``tests/integration/test_e2e.py``, the runbook's first check, against failing servers; and the Python it needs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
import trio

from tests.e2e.nodes import E2E_SCRIPT
from tests.receiver import Reply, receiving, says

JOB = "01a22252-bb4d-7c78-bbb7-4b27c17b417d"
STATUS = f"/api/v1/status/{JOB}"
REGISTER, LOGIN = "/api/v1/auth/register", "/api/v1/auth/login"
PROBLEMS, SUBMIT = "/api/v1/problems", "/api/v1/submit"
#: in the standard library since 3.10 or later
NEWER_MODULES = {"tomllib"}


def answers(http_status: int, **body: object) -> Reply:
    return says(http_status, "Content-Type: application/json", body=json.dumps(body).encode())


def in_turn(*replies: Reply) -> Reply:
    """One reply after the other; the last one again and again."""
    left = list(replies)

    async def reply(stream: trio.abc.Stream) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(stream)

    return reply


def well() -> dict[str, Reply]:
    """The replies of a server on which the check passes."""
    return {
        REGISTER: answers(409, error="This username is taken.", code="USERNAME_TAKEN"),
        LOGIN: answers(200, token="t", username="admin", user_id=1),
        PROBLEMS: answers(200, id=7, status="created", minio_path="problems/7.zip"),
        SUBMIT: answers(200, job_id=JOB, status="Queuing"),
        STATUS: answers(200, job_id=JOB, status="Accepted", state="done", data=None),
    }


async def played(
    replies: Mapping[str, Reply] | None = None, env: Mapping[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[bytes], list[str]]:
    """The script against a server that replies so, apart from what it replies when well; and the requests it got."""
    async with receiving() as server:
        server.replies = well() | dict(replies or {})
        done = await trio.run_process(
            [sys.executable, "-I", str(E2E_SCRIPT)],
            env={"API_BASE": server.url(""), **(env or {})}, capture_stdout=True, capture_stderr=True, check=False,
        )  # fmt: skip
    return done, [f"{request.method} {request.path}" for request in server.received]


async def test_e2e_script_on_a_server_still_starting_waits_and_passes() -> None:
    starting = {
        REGISTER: in_turn(says(502, body=b"<html>"), answers(503, error="Away.", code="DB_ERROR"), well()[REGISTER]),
        SUBMIT: in_turn(answers(400, error="No node.", code="LANGUAGE_UNAVAILABLE"), well()[SUBMIT]),
        STATUS: in_turn(answers(200, status="Queuing", state="pending"), well()[STATUS]),
    }
    done, requests = await played(starting)
    assert (done.returncode, done.stdout.decode()) == (0, f"Submitted, Job ID: {JOB}\nResult: Accepted\n")
    assert done.stderr.count(b"\n") == 1
    assert b"Waiting up to 120 s for http://" in done.stderr
    steps = [REGISTER] * 3 + [LOGIN, PROBLEMS] + [SUBMIT] * 2
    assert requests[:-3] == [f"POST {path}" for path in steps]
    assert set(requests[-3:]) == {f"GET {STATUS}"}


@pytest.mark.parametrize(
    ("replies", "says_so"),
    [
        ({LOGIN: answers(401, error="Wrong.", code="BAD_CREDENTIALS")}, ("ADMIN_REGISTRATION", "E2E_PASSWORD")),
        ({LOGIN: answers(403, error="This account is disabled.", code="X")}, (LOGIN, "This account is disabled.")),
        ({REGISTER: answers(400, error="Too short.", code="INVALID_PARAM")}, (REGISTER, "Too short.")),
        ({REGISTER: says(200, body=b"<html>a page</html>")}, ("no JSON object", "Deep-OJ server")),
        ({PROBLEMS: answers(403, error="No.", code="FORBIDDEN")}, ("admin is no administrator", "create-user")),
        ({PROBLEMS: answers(200, problem=7)}, (PROBLEMS, "Deep-OJ server")),
        ({STATUS: answers(200, status="Wrong Answer", state="done")}, (JOB, "judged Wrong Answer", "doctor")),
        ({STATUS: answers(200, status="System Error", state="dead")}, (JOB, "judged System Error", "doctor")),
    ],
)  # fmt: skip
async def test_e2e_script_on_a_failed_check_says_one_sentence_and_exits_1(
    replies: dict[str, Reply], says_so: tuple[str, ...]
) -> None:
    done, _requests = await played(replies)
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (1, 1), said
    assert [words for words in says_so if words not in said] == []
    assert b"Result: Accepted" not in done.stdout


@pytest.mark.parametrize(
    ("replies", "says_so"),
    [
        ({STATUS: answers(200, status="Queuing", state="pending")}, (JOB, "worker", "E2E_TIMEOUT_S")),
        ({REGISTER: answers(503, error="The database is away.")}, ("The database is away.", "E2E_TIMEOUT_S")),
    ],
)
async def test_e2e_script_when_its_time_is_up_exits_1(replies: dict[str, Reply], says_so: tuple[str, ...]) -> None:
    done, _requests = await played(replies, {"E2E_TIMEOUT_S": "0"})
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n")) == (1, 1), said
    assert [words for words in says_so if words not in said] == []


async def test_e2e_script_without_a_server_exits_3(closed_port: int) -> None:
    address = f"http://127.0.0.1:{closed_port}"
    done, requests = await played(env={"API_BASE": address, "E2E_TIMEOUT_S": "0"})
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n"), requests) == (3, 1, []), said
    assert [words for words in (address, "refused", "make run", "API_BASE") if words not in said] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("API_BASE", "127.0.0.1:18080"), ("API_BASE", "http://127.0.0.1:x"), ("E2E_TIMEOUT_S", "nan")],
)
async def test_e2e_script_with_a_wrong_setting_names_it_and_exits_2(name: str, value: str) -> None:
    done, requests = await played(env={name: value})
    assert (done.returncode, requests) == (2, [])
    assert f"{name}={value} must be ".encode() in done.stderr


def test_e2e_script_is_read_by_python_3_9_and_imports_no_package() -> None:
    """Ruff (``per-file-target-version``) holds its grammar to 3.9 more strictly than ``ast`` does."""
    text = E2E_SCRIPT.read_text()
    ast.parse(text, feature_version=(3, 9))
    imported = set(re.findall(r"^ *(?:import|from) (\w+)", text, flags=re.MULTILINE))
    assert imported <= sys.stdlib_module_names - NEWER_MODULES
    assert len(imported) > 5
