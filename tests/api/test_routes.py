"""Routes of accounts, problems and submissions, over fakes."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.models.base import ErrorBody
from deepoj.api.redact import result_for
from deepoj.judging.result import as_result
from deepoj.packages.formats import PackageFault
from deepoj.packages.vetting import Vetted
from deepoj.words.jobs import State
from deepoj.words.outbox import OutboxPending
from deepoj.words.readiness import PartState
from deepoj.words.results import CompileResult, Verdict
from deepoj.words.sources import SourceFile, Sources
from tests.api.house import PASSWORD, form, house, package, submission
from tests.fakes.settings import hidden_steps
from tests.fakes.store import MemoryStore
from tests.unit.makers import a_claim, a_report

CREDENTIALS = {"username": "alice", "password": PASSWORD}


async def test_register_login_me(tmp_path: Path) -> None:
    home = house(tmp_path)
    made = await home.ask("POST", "/api/v1/auth/register", json={**CREDENTIALS, "email": "a@example.org"})
    assert made.status_code == 201
    assert set(await made.get_json()) == {"id", "username"}
    entered = await home.ask("POST", "/api/v1/auth/login", json=CREDENTIALS)
    assert entered.status_code == 200
    body = await entered.get_json()
    assert set(body) == {"token", "username", "user_id"}
    me = await home.ask("GET", "/api/v1/users/me", token=body["token"])
    profile = await me.get_json()
    assert (profile["id"], profile["username"]) == (body["user_id"], "alice")
    assert (profile["email"], profile["is_admin"]) == ("a@example.org", False)


@pytest.mark.parametrize("path", ["/api/v1/users/me", "/api/v1/submissions/none"])
async def test_use_of_a_revoked_token_is_not_noted(tmp_path: Path, path: str) -> None:
    home = house(tmp_path)
    await home.account("alice")
    token = await home.named_token("alice", "laptop")
    account = await home.store.credentials("alice")
    assert account is not None
    await home.store.set_password(account.user.id, "another")
    assert (await home.ask("GET", path, token=token)).status_code == 401
    assert home.store.token_rows["laptop"].used_at is None


async def test_a_new_password_revokes_older_tokens(tmp_path: Path) -> None:
    home = house(tmp_path)
    alice = await home.account("alice")
    token = await home.token_of("alice")
    assert (await home.ask("GET", "/api/v1/users/me", token=token)).status_code == 200
    await home.store.set_password(alice.id, "another hash")
    assert (await home.ask("GET", "/api/v1/users/me", token=token)).status_code == 401
    assert (await home.ask("GET", "/api/v1/users/me", token=await home.token_of("alice"))).status_code == 200


async def test_names_are_taken_without_regard_to_case(tmp_path: Path) -> None:
    home = house(tmp_path)
    for name, status in (("Alice", 201), ("alice", 409), ("ＡＬＩＣＥ", 409)):
        answer = await home.ask("POST", "/api/v1/auth/register", json={"username": name, "password": PASSWORD})
        assert answer.status_code == status, name
    assert (await home.ask("POST", "/api/v1/auth/login", json=CREDENTIALS)).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"username": "al"}, {"username": "a" * 33}, {"username": "a b c"}, {"username": "_alice"},
        {"username": "王"}, {"username": "王a"}, {"username": "王1"}, {"username": "王_"},
        {"username": "ali\u200bce"}, {"username": "ali\nce"}, {"username": "ali\0ce"}, {"username": "\ud800lice"},
        {"username": 7}, {"username": None}, {"password": "12345"}, {"password": "x" * 1025}, {"password": "é" * 513},
        {"password": "\udfff" * 9}, {"password": 123456}, {"email": "nowhere"}, {"email": "a@b\0"},
        {"email": "a@" + "b" * 300}, {"email": 3},
    ],
)  # fmt: skip
async def test_malformed_registration_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    home = house(tmp_path)
    answer = await home.ask("POST", "/api/v1/auth/register", json={**CREDENTIALS, **change})
    assert answer.status_code == 400
    assert (await answer.get_json())["code"] == "INVALID_PARAM"
    assert next(iter(change)) in (await answer.get_json())["error"]


@pytest.mark.parametrize("name", ["阿里斯", "王伟", "たか", "김연", "Zoë-1", "o.k_", "नमस्ते", "123", "a" * 32])
async def test_names_of_any_script(tmp_path: Path, name: str) -> None:
    home = house(tmp_path)
    body = {"username": name, "password": "密码密码密码"}
    assert (await home.ask("POST", "/api/v1/auth/register", json=body)).status_code == 201
    assert (await home.ask("POST", "/api/v1/auth/login", json=body)).status_code == 200


async def test_reserved_names(tmp_path: Path) -> None:
    closed = house(tmp_path, admin_users=frozenset({"Admin"}))
    opened = house(tmp_path, admin_users=frozenset({"Admin"}), admin_registration_open=True)
    for name in ("admin", "ADMIN", "ａｄｍｉｎ"):
        body = {"username": name, "password": PASSWORD}
        answer = await closed.ask("POST", "/api/v1/auth/register", json=body)
        assert (answer.status_code, (await answer.get_json())["code"]) == (409, "USERNAME_TAKEN")
        assert await closed.store.credentials("admin") is None
    answer = await opened.ask("POST", "/api/v1/auth/register", json={"username": "aDMIN", "password": PASSWORD})
    assert answer.status_code == 201
    account = await opened.store.credentials("admin")
    assert account is not None
    assert account.user.is_admin
    await opened.ask("POST", "/api/v1/auth/register", json=CREDENTIALS)
    ordinary = await opened.store.credentials("alice")
    assert ordinary is not None
    assert not ordinary.user.is_admin


@pytest.mark.parametrize(
    "change",
    [
        {"password": "wrong horse"},
        {"username": "bob"},
        {"username": "\u200b"},
        {"password": "x" * 5000},
        {"password": ""},
    ],
)
async def test_bad_credentials_all_look_alike(tmp_path: Path, change: dict[str, str]) -> None:
    home = house(tmp_path)
    await home.ask("POST", "/api/v1/auth/register", json=CREDENTIALS)
    answer = await home.ask("POST", "/api/v1/auth/login", json={**CREDENTIALS, **change})
    assert answer.status_code == 401
    assert await answer.get_json() == {"error": "Wrong username or password.", "code": "BAD_CREDENTIALS"}


async def test_an_unknown_user_costs_a_verification_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import argon2

    home = house(tmp_path)
    await home.ask("POST", "/api/v1/auth/register", json=CREDENTIALS)
    seen: list[str] = []
    verify = argon2.PasswordHasher.verify

    def spy(self: argon2.PasswordHasher, hashed: str, password: str) -> bool:
        seen.append(hashed.rpartition("$p=")[0] or hashed.split("$")[3])
        return bool(verify(self, hashed, password))

    monkeypatch.setattr(argon2.PasswordHasher, "verify", spy)
    for name in ("alice", "stranger"):
        await home.ask("POST", "/api/v1/auth/login", json={"username": name, "password": "wrong horse"})
    assert len(seen) == 2
    assert seen[0] == seen[1], "the same cost parameters"


async def test_create_and_show_a_problem(tmp_path: Path) -> None:
    home = house(tmp_path)
    admin = await home.token("root", is_admin=True)
    fields = {"title": "A+B 问题", "time_limit": "1500", "memory_limit": "64", "difficulty": "easy"}
    sent = package()
    body, content_type = form(fields, sent)
    answer = await home.ask("POST", "/api/v1/problems", token=admin, data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, await answer.get_data()
    made = await answer.get_json()
    assert made == {"id": made["id"], "status": "created", "minio_path": f"problems/{made['id']}.zip"}
    assert home.blobs.objects[made["minio_path"]] == sent
    shown = await (await home.ask("GET", f"/api/v1/problems/{made['id']}")).get_json()
    assert (shown["title"], shown["time_limit"], shown["memory_limit"]) == ("A+B 问题", 1500, 64)
    assert shown["compare"] == "tokens"
    assert list((tmp_path / "uploads").iterdir()) == [], "the received package is gone from the disk"


async def test_a_package_brings_its_own_title_and_limits(tmp_path: Path) -> None:
    home = house(tmp_path)
    admin = await home.token("root", is_admin=True)
    kattis = {
        "p/problem.yaml": "problem_format_version: 2023-07-draft\nname: {en: Brought}\n"
        "limits: {time_limit: 2, memory: 300}",
        "p/data/secret/1.in": "1",
        "p/data/secret/1.ans": "1",
    }
    body, content_type = form({"time_limit": "500"}, package(kattis))
    answer = await home.ask("POST", "/api/v1/problems", token=admin, data=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, await answer.get_data()
    made = await answer.get_json()
    assert made == {"id": made["id"], "status": "created", "minio_path": f"problems/{made['id']}.zip"}
    shown = await (await home.ask("GET", f"/api/v1/problems/{made['id']}")).get_json()
    assert (shown["title"], shown["time_limit"], shown["memory_limit"]) == ("Brought", 500, 300)
    assert shown["compare"] == "package"


@pytest.mark.parametrize(
    ("fields", "file", "code", "says"),
    [
        (
            {"title": "t", "compare": "exact"},
            package({"1.in": "", "1.out": "", "deepoj.yaml": "compare: tokens"}),
            "INVALID_PARAM",
            "package itself",
        ),
        ({"title": "t"}, package({"problem.xml": "<!DOCTYPE x>"}), "INVALID_PACKAGE", "problem.xml"),
        (
            {"title": "t"},
            package({"1.in": "", "1.out": "", "deepoj.yaml": "limits: {time_ms: 60000}"}),
            "INVALID_PACKAGE",
            "60000 ms",
        ),
        ({"title": "t"}, b"not a zip", "INVALID_PACKAGE", "zip"),
        ({"title": "t"}, package({"2.in": "", "1.in": "", "1.out": ""}), "INVALID_PACKAGE", "2.in"),
        ({"title": "t"}, package({"readme.txt": ""}), "INVALID_PACKAGE", "no test case"),
        ({"title": "t"}, None, "INVALID_PARAM", "file"),
        ({}, package(), "INVALID_PARAM", "title"),
        ({"title": " \n"}, package(), "INVALID_PARAM", "title"),
        ({"title": "a\0b"}, package(), "INVALID_PARAM", "title"),
        ({"title": "x" * 201}, package(), "INVALID_PARAM", "title"),
        ({"title": "t", "time_limit": "0"}, package(), "INVALID_PARAM", "time_limit"),
        ({"title": "t", "time_limit": "10001"}, package(), "INVALID_PARAM", "time_limit"),
        ({"title": "t", "time_limit": "١"}, package(), "INVALID_PARAM", "time_limit"),
        ({"title": "t", "memory_limit": "1e3"}, package(), "INVALID_PARAM", "memory_limit"),
        ({"title": "t", "compare": "vibes"}, package(), "INVALID_PARAM", "compare"),
    ],
)
async def test_malformed_upload_is_refused(
    tmp_path: Path, fields: dict[str, str], file: bytes | None, code: str, says: str
) -> None:
    home = house(tmp_path)
    admin = await home.token("root", is_admin=True)
    body, content_type = form(fields, file)
    answer = await home.ask("POST", "/api/v1/problems", token=admin, data=body, headers={"Content-Type": content_type})
    found = await answer.get_json()
    assert (answer.status_code, found["code"]) == (400, code)
    assert says in found["error"]
    assert home.blobs.objects == {}
    uploads = tmp_path / "uploads"
    assert not uploads.exists() or list(uploads.iterdir()) == []


BROKEN = "The checker 'c.cpp' does not compile (C++20 (GCC)): c.cpp:1:1: error: what."


async def test_a_checker_that_does_not_compile_is_refused(tmp_path: Path) -> None:
    """At the first upload and at every later one."""
    home = house(tmp_path)
    admin, number = await home.token("root", is_admin=True), await home.problem()
    home.vetted[0] = PackageFault("c.cpp", BROKEN)
    body, content_type = form({"title": "t"}, package())
    headers = {"Content-Type": content_type}
    for method, path in (("POST", "/api/v1/problems"), ("PUT", f"/api/v1/problems/{number}")):
        answer = await home.ask(method, path, token=admin, data=body, headers=headers)
        found = await answer.get_json()
        assert (answer.status_code, found["code"]) == (400, "INVALID_PACKAGE")
        assert BROKEN in found["error"]
        assert found["details"] == {"file": "c.cpp", "problem": BROKEN}
    assert home.blobs.objects == {}
    assert [one.id for one in await home.store.problems(0, 10)] == [number]
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_upload_whose_programs_were_not_compiled_says_so(tmp_path: Path) -> None:
    home = house(tmp_path)
    admin = await home.token("root", is_admin=True)
    home.vetted[0] = Vetted(unchecked="No sandbox.")
    body, content_type = form({"title": "t"}, package())
    headers = {"Content-Type": content_type}
    made = await (await home.ask("POST", "/api/v1/problems", token=admin, data=body, headers=headers)).get_json()
    assert made["unchecked"] == "No sandbox."
    path = f"/api/v1/problems/{made['id']}"
    shown = await (await home.ask("GET", path)).get_json()
    assert (shown["unchecked"], shown["broken"]) == ("No sandbox.", None)
    stored = await home.store.problem(made["id"])
    assert stored is not None
    await home.store.tell_programs(made["id"], stored.data_hash, "The checker does not compile.")
    shown = await (await home.ask("GET", path)).get_json()
    assert (shown["unchecked"], shown["broken"]) == (None, "The checker does not compile.")
    home.vetted[0] = Vetted()
    shown = await (await home.ask("PUT", path, token=admin, data=body, headers=headers)).get_json()
    assert (shown["unchecked"], shown["broken"]) == (None, None)


async def test_languages(tmp_path: Path) -> None:
    answer = await (await house(tmp_path).ask("GET", "/api/v1/languages")).get_json()
    by_id = {language["id"]: language for language in answer["languages"] if language["id"] is not None}
    assert {1, 3} <= set(by_id)
    assert set(by_id[1]) == {"id", "key", "name", "version", "compile", "run"}
    assert "g++" in by_id[1]["compile"]


async def test_languages_are_those_of_the_nodes_that_live(tmp_path: Path) -> None:
    home = house(tmp_path)
    home.live[0] = {"python3": ("Python 3.11", "Python 3.13"), "cpp17": ("g++ 14",)}
    answer = await (await home.ask("GET", "/api/v1/languages")).get_json()
    assert {language["key"]: language["version"] for language in answer["languages"]} == {
        "cpp17": "g++ 14", "python3": "Python 3.11; Python 3.13",
    }  # fmt: skip


async def test_a_language_that_no_node_has_is_refused(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    home.live[0] = {"python3": ("Python 3.13",)}
    body = {"problem_id": problem, "language": "cpp17", "code": "x"}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert answer.status_code == 400
    found = await answer.get_json()
    assert found["code"] == "LANGUAGE_UNAVAILABLE"
    assert "cpp17" in found["error"]
    assert home.store.rows == {}
    # with no node known, every language is accepted: a node may be about to start
    home.live[0] = None
    assert (await home.ask("POST", "/api/v1/submit", token=token, json=body)).status_code == 200


async def test_a_job_whose_last_node_has_gone_says_what_it_waits_for(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    job = await submission(home, token, problem)
    path = f"/api/v1/status/{job}"
    home.live[0] = {"python3": ("Python 3.13",)}
    found = await (await home.ask("GET", path, token=token)).get_json()
    assert (found["status"], found["state"], found["waiting"]["code"]) == ("Queuing", "pending", "LANGUAGE_UNAVAILABLE")
    for live in (None, {"cpp17": ("g++",)}):
        home.live[0] = live
        assert "waiting" not in await (await home.ask("GET", path, token=token)).get_json()
    home.context.pressure.put_outage(OutboxPending({}), None)
    for language, sentence in (("en", "Judging is delayed"), ("zh", "评测目前有所延迟")):
        asked = await home.ask("GET", path, token=token, headers={"Accept-Language": language})
        waiting = (await asked.get_json())["waiting"]
        assert (waiting["code"], sentence in waiting["error"]) == ("QUEUE_ERROR", True)
    home.live[0] = {}
    home.store.rows[job].state = State.PROCESSING
    assert "waiting" not in await (await home.ask("GET", path, token=token)).get_json()


async def test_submit_and_follow_to_the_verdict(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    job = await submission(home, token, problem)
    path = f"/api/v1/status/{job}"
    assert await (await home.ask("GET", path, token=token)).get_json() == {
        "job_id": job, "status": "Queuing", "state": "pending", "data": None,
    }  # fmt: skip
    row = home.store.rows[job]
    row.state, row.status = State.PROCESSING, "running"
    found = await (await home.ask("GET", path, token=token)).get_json()
    assert (found["status"], found["state"]) == ("Judging", "processing")
    row.state, row.status, row.result = State.DONE, "Wrong Answer", RESULT
    found = await (await home.ask("GET", path, token=token)).get_json()
    assert (found["status"], found["state"], found["data"]["score"]) == ("Wrong Answer", "done", 0.0)
    row.state, row.status, row.error_code = State.DEAD, "System Error", "ATTEMPTS_EXHAUSTED"
    found = await (await home.ask("GET", path, token=token)).get_json()
    assert (found["status"], found["state"]) == ("System Error", "dead")


async def test_status_has_the_same_fields_in_every_state_at_every_node_and_an_hour_later(tmp_path: Path) -> None:
    now = 1000.0
    store = MemoryStore(clock=lambda: now)
    home, other = house(tmp_path, store=store), house(tmp_path, store=store)
    token, problem = await home.token("alice"), await home.problem()
    job = await submission(home, token, problem)
    row = home.store.rows[job]
    answers = []
    for state, status in (
        (State.PENDING, "pending"), (State.PROCESSING, "running"), (State.DEAD, "System Error"),
        (State.DONE, "Wrong Answer"),
    ):  # fmt: skip
        row.state, row.status = state, status
        row.result = RESULT if state is State.DONE else None
        answers += [
            await (await one.ask("GET", f"/api/v1/status/{job}", token=token)).get_json() for one in (home, other)
        ]
    assert {frozenset(answer) for answer in answers} == {frozenset({"job_id", "status", "state", "data"})}
    now += 3600
    for one in (home, other):
        answers.append(await (await one.ask("GET", f"/api/v1/status/{job}", token=token)).get_json())
    first, *later = answers[-4:]
    assert first["status"] == "Wrong Answer"
    assert later == [first] * 3


#: a result with the secret of a hidden test in every place where one could be
RESULT: dict[str, Any] = {
    "job_id": "j", "attempt_id": 1, "status": "Wrong Answer", "score": 0.0, "time_used": 3, "memory_used": 900,
    "wall_time": 5, "language": "cpp17", "trace_id": "t", "problem_version": "v", "isolation": "full",
    "compile": {"ok": True, "time_ms": 300, "output": "warning: x", "argv": "SECRET"},
    "tests": [
        {"name": "1", "group": "g", "status": "Wrong Answer", "score": 0.0, "cpu_ms": 3, "wall_ms": 5,
         "memory_kb": 900, "exit_code": 77001, "exit_signal": 0, "reason": "compare",
         "checker_message": "expected SECRET", "stdout_len": 77002, "truncated_stdout": True, "stderr_len": 77003,
         "truncated_stderr": True, "expected": "SECRET", "sample": False,
         "borderline": {"first_ms": 3, "alone": True, "output": "SECRET"}},
        {"name": "2", "status": "Wrong Answer", "reason": "SECRET"},
        {"name": "twin", "status": "Wrong Answer", "exit_code": 77007, "checker_message": "SECRET"},
        {"name": "twin", "status": "Wrong Answer", "exit_code": 3, "sample": True},
        {"name": "s", "status": "Wrong Answer", "exit_code": 4, "reason": "odd", "checker_message": "3 expected",
         "stdout_len": 8, "sample": True},
    ],
    "groups": [{"name": "g", "status": "Wrong Answer", "score": 0.0, "max_score": 9.0, "data": "SECRET"}],
    "explanation": [
        {"rule": "memory", "test": "1", "measured_kb": 5, "limit_kb": 4, "oom_kill": 7, "message": "SECRET"},
        {"rule": "compare", "test": "1", "unit": "SECRET", "position": 77004, "expected": "SECRET", "got": "SECRET"},
        {"rule": "exit", "test": "1", "exit_code": 77005},
        {"rule": "output", "test": "1", "measured_bytes": 77006, "limit_bytes": 8},
        {"rule": "signal", "test": "1", "exit_signal": 11, "why": "SECRET", "sentence": "SECRET"},
        {"rule": "cpu", "test": "1", "measured_ms": "SECRET", "limit_ms": 9},
        {"rule": "budget", "tests_run": 3, "tests_total": 9},
        {"rule": "compile", "why": "cpu", "sentence": "Compiling took longer than 10 s."},
        {"rule": "SECRET"},
        {"rule": "verdict", "status": "Wrong Answer", "decided_by": "first_failed", "test": "1", "tests_failed": 4},
        {"rule": "verdict", "status": "SECRET", "decided_by": "SECRET", "counted": "SECRET", "score": "SECRET"},
        {"rule": "dependency", "group": "g", "depends_on": "h", "tests_skipped": 2, "because": "SECRET"},
        {"rule": "borderline", "test": "1", "first_ms": 3, "again_ms": 4, "alone": False, "counted": "again"},
        {"rule": "compare", "test": "twin", "position": 77008},
        {"rule": "compare", "test": "s", "position": 5, "unit": "token"},
    ],
    "host_path": "SECRET",
}  # fmt: skip
#: the same result as its author sees it
HERS: dict[str, Any] = {
    **{name: RESULT[name] for name in list(RESULT)[:11]},
    "time_used": 100, "memory_used": 16_384, "wall_time": 100,
    "compile": {"ok": True, "time_ms": 300, "output": "warning: x"},
    "tests": [
        {"name": "1", "group": "g", "status": "Wrong Answer", "score": 0.0, "cpu_ms": 100, "wall_ms": None,
         "memory_kb": 16_384, "exit_code": None, "exit_signal": None, "signal_class": None, "reason": "compare",
         "checker_message": None,
         "stdout_len": None, "truncated_stdout": None, "stderr_len": None, "truncated_stderr": None, "sample": False,
         "borderline": {"first_ms": 100, "alone": True}},
        {"name": "2", "status": "Wrong Answer", "reason": None},
        {"name": "twin", "status": "Wrong Answer", "exit_code": None, "checker_message": None},
        {"name": "twin", "status": "Wrong Answer", "exit_code": 3, "sample": True},
        {"name": "s", "status": "Wrong Answer", "exit_code": 4, "reason": "odd", "checker_message": "3 expected",
         "stdout_len": 8, "sample": True},
    ],
    "groups": [{"name": "g", "status": "Wrong Answer", "score": 0.0, "max_score": 9.0}],
    "explanation": [
        {"rule": "memory", "test": "1", "measured_kb": 16_384, "limit_kb": 4, "oom_kill": 1, "message": None},
        {"rule": "compare", "test": "1", "unit": None, "position": None, "expected": None, "got": None},
        {"rule": "exit", "test": "1", "exit_code": None},
        {"rule": "output", "test": "1", "measured_bytes": None, "limit_bytes": 8},
        {"rule": "signal", "test": "1", "exit_signal": None, "why": None, "sentence": None},
        {"rule": "cpu", "test": "1", "measured_ms": None, "limit_ms": 9},
        {"rule": "budget", "tests_run": 3, "tests_total": 9},
        {"rule": "compile", "why": "cpu", "sentence": "Compiling took longer than 10 s."},
        {"rule": None},
        {"rule": "verdict", "status": "Wrong Answer", "decided_by": "first_failed", "test": "1", "tests_failed": 4},
        {"rule": "verdict", "status": None, "decided_by": None, "counted": None, "score": None},
        {"rule": "dependency", "group": "g", "depends_on": "h", "tests_skipped": 2, "because": None},
        {"rule": "borderline", "test": "1", "first_ms": 100, "again_ms": 100, "alone": False, "counted": "again"},
        {"rule": "compare", "test": "twin", "position": None},
        {"rule": "compare", "test": "s", "position": 5, "unit": "token"},
    ],
}  # fmt: skip


async def test_hidden_tests_are_shown_to_administrators_only(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, admin, problem = await home.token("alice"), await home.token("root", is_admin=True), await home.problem()
    job = await submission(home, token, problem)
    row = home.store.rows[job]
    row.state, row.status, row.result, row.error_message = State.DONE, "Wrong Answer", RESULT, "SECRET host"
    for path in (f"/api/v1/status/{job}", f"/api/v1/submissions/{job}"):
        hers = await (await home.ask("GET", path, token=token)).get_data(as_text=True)
        assert "SECRET" not in hers
        assert "7700" not in hers
        assert json.loads(hers)["data"] == HERS
        all_of_it = (await (await home.ask("GET", path, token=admin)).get_json())["data"]
        classes = [test.pop("signal_class") for test in all_of_it["tests"] if "signal_class" in test]
        assert (all_of_it, classes) == (RESULT, [None])


async def test_a_list_rounds_figures_except_for_administrators(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, admin, problem = await home.token("alice"), await home.token("root", is_admin=True), await home.problem()
    job = await submission(home, token, problem)
    row = home.store.rows[job]
    row.state, row.status, row.result = State.DONE, "Wrong Answer", RESULT
    for asker, figures in ((token, (100, 16_384)), (admin, (3, 900))):
        answer = await home.ask("GET", "/api/v1/submissions", token=asker)
        (item,) = (await answer.get_json())["submissions"]
        assert (item["time_used"], item["memory_used"]) == figures


async def test_a_contestants_result_has_every_field_that_judging_writes(tmp_path: Path) -> None:
    """A field that judging gains later must be added to the allow-list, as shown or hidden."""
    report = replace(
        a_report(Verdict.COMPILE_ERROR), compile=CompileResult(ok=False, time_ms=7, output="a.cpp:1: error")
    )
    whole = as_result(a_claim(), report)
    shown = result_for(whole, is_whole=False, steps=hidden_steps())
    assert shown is not None
    assert list(shown) == list(whole)
    assert shown["stages"] is None
    assert [list(test) for test in shown["tests"]] == [[*test, "signal_class"] for test in whole["tests"]]
    assert shown["compile"] == whole["compile"] | {"cached": None, "wall_ms": None}


async def test_a_submission_reads_back(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    code = 'print("日本語 \U0001f600 \\u0000")\r\n\t\x01'
    job = await submission(home, token, problem, code)
    found = await (await home.ask("GET", f"/api/v1/submissions/{job}", token=token)).get_json()
    assert found["code"] == code
    assert (found["problem_id"], found["language"], found["status"]) == (problem, "cpp17", "Queuing")


async def test_same_program_while_unfinished_is_the_same_job(tmp_path: Path) -> None:
    home = house(tmp_path)
    alice, bob, problem = await home.token("alice"), await home.token("bob"), await home.problem()
    first = await submission(home, alice, problem)
    assert await submission(home, alice, problem) == first
    assert await submission(home, bob, problem) != first
    home.store.rows[first].state = State.DONE
    assert await submission(home, alice, problem) != first


async def test_draft_has_every_field_of_the_request(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for code, headers, expected in (
        ("1", {"X-Request-ID": "my-id.1"}, "my-id.1"),
        ("2", {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, trace),
        ("3", {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01", "X-Request-ID": "r"}, "r"),
        ("4", {"traceparent": f"ff-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "r"}, "r"),
        ("5", {"Idempotency-Key": "k-1", "X-Request-ID": "r"}, "r"),
    ):
        body = {"problem_id": problem, "language": "python3", "code": code, "time_limit": "x", "memory_limit": []}
        answer = await home.ask("POST", "/api/v1/submit", token=token, json=body, headers=headers)
        draft = home.store.rows[(await answer.get_json())["job_id"]].draft
        assert draft.trace_id == expected
        assert draft.idempotency_key == headers.get("Idempotency-Key")
        assert draft.language == "python3"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"problem_id": "1"}, "INVALID_PARAM"), ({"problem_id": True}, "INVALID_PARAM"),
        ({"problem_id": 1.5}, "INVALID_PARAM"), ({"problem_id": None}, "INVALID_PARAM"),
        ({"problem_id": 0}, "PROBLEM_NOT_FOUND"), ({"problem_id": -1}, "PROBLEM_NOT_FOUND"),
        ({"problem_id": 999}, "PROBLEM_NOT_FOUND"), ({"problem_id": 2**31}, "PROBLEM_NOT_FOUND"),
        ({"problem_id": 2**64}, "PROBLEM_NOT_FOUND"), ({"problem_id": 10**400}, "PROBLEM_NOT_FOUND"),
        ({"language": 99}, "INVALID_PARAM"), ({"language": "cobol"}, "INVALID_PARAM"),
        ({"language": True}, "INVALID_PARAM"), ({"language": None}, "INVALID_PARAM"),
        ({"language": "\ud800"}, "INVALID_PARAM"), ({"code": ""}, "INVALID_PARAM"),
        ({"code": "a\0b"}, "INVALID_PARAM"), ({"code": "\ud800"}, "INVALID_PARAM"),
        ({"code": ["x"]}, "INVALID_PARAM"), ({"code": "x" * 65_537}, "CODE_TOO_LARGE"),
        ({"code": "é" * 32_769}, "CODE_TOO_LARGE"),
    ],
)  # fmt: skip
async def test_malformed_submission_is_refused(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    body = {"problem_id": problem, "language": 1, "code": "x", **change}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (400, code)
    assert home.store.rows == {}


def zipped(files: dict[str, bytes]) -> str:
    """A zip in base64."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return base64.b64encode(raw.getvalue()).decode()


FILES = [{"name": "b.h", "content": "int b;"}, {"name": "a.cpp", "content": "int main(){}"}]
BESIDE = (SourceFile("b.h", "int b;"),)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"files": FILES, "entry_point": "a.cpp"}, Sources(code="int main(){}", entry_point="a.cpp", beside=BESIDE)),
        ({"files": FILES[1:]}, Sources(code="int main(){}", entry_point="a.cpp")),
        (
            {"files": [{"name": "main.cpp", "content": "x"}, *FILES[:1]]},
            Sources(code="x", entry_point="main.cpp", beside=BESIDE),
        ),
        (
            {"archive": zipped({"b.h": b"int b;", "a.cpp": b"int main(){}"}), "entry_point": "a.cpp"},
            Sources(code="int main(){}", entry_point="a.cpp", beside=BESIDE),
        ),
        (
            {"archive": zipped({"mine/b.h": b"int b;", "mine/main.cpp": b"x"})},
            Sources(code="x", entry_point="main.cpp", beside=BESIDE),
        ),
        ({"code": "x", "entry_point": "ignored"}, Sources(code="x")),
        ({"files": [{"name": "m.cpp", "content": "é" * 32_768}]}, Sources(code="é" * 32_768, entry_point="m.cpp")),
    ],
)
async def test_several_files(tmp_path: Path, sent: dict[str, Any], expected: Sources) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    body = {"problem_id": problem, "language": "cpp17", **sent}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert answer.status_code == 200, await answer.get_data()
    job_id = (await answer.get_json())["job_id"]
    draft = home.store.rows[job_id].draft
    assert (draft.code, draft.entry_point, draft.beside) == (expected.code, expected.entry_point, expected.beside)
    shown = await (await home.ask("GET", f"/api/v1/submissions/{job_id}", token=token)).get_json()
    assert (shown["code"], shown["entry_point"]) == (expected.code, expected.entry_point)
    assert shown["files"] == [{"name": file.name, "content": file.content} for file in expected.files]


async def test_outputs_need_no_entry_point(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    files = [{"name": "2.out", "content": ""}, {"name": "1.out", "content": "3"}]
    body = {"problem_id": problem, "language": "text", "files": files}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    draft = home.store.rows[(await answer.get_json())["job_id"]].draft
    assert (draft.language, draft.entry_point, draft.beside) == ("text", "2.out", (SourceFile("1.out", "3"),))


@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [
        ({}, "INVALID_PARAM", "code"),
        ({"code": "x", "files": FILES}, "INVALID_PARAM", "or files"),
        ({"files": FILES, "archive": ""}, "INVALID_PARAM", "or archive"),
        ({"files": []}, "INVALID_PARAM", "1 to 64"),
        ({"files": [{"name": f"f{n}.h", "content": ""} for n in range(65)]}, "INVALID_PARAM", "1 to 64"),
        ({"files": FILES}, "INVALID_PARAM", "entry_point"),
        ({"files": FILES, "entry_point": "c.cpp"}, "INVALID_PARAM", "entry_point"),
        ({"files": FILES, "entry_point": 1}, "INVALID_PARAM", "entry_point"),
        ({"files": [{"name": "a.cpp", "content": ""}]}, "INVALID_PARAM", "empty"),
        ({"files": [{"name": "a.cpp", "content": "a\0b"}]}, "INVALID_PARAM", "files.0.content"),
        ({"files": [{"name": "a.cpp", "content": "\ud800"}]}, "INVALID_PARAM", "files.0.content"),
        ({"files": [{"name": "a.cpp"}]}, "INVALID_PARAM", "files.0.content"),
        ({"files": [*FILES, {"name": "B.h", "content": ""}], "entry_point": "a.cpp"}, "INVALID_PARAM", "same name"),
        ({"files": [{"name": "a.cpp", "content": "x" * 40_000}, {"name": "b.h", "content": "y" * 25_537}],
          "entry_point": "a.cpp"}, "CODE_TOO_LARGE", "65536"),
        *(
            ({"files": [{"name": name, "content": "x"}]}, "INVALID_PARAM", "files.0.name")
            for name in ("", "-o", "@a", ".a", "a/b", "..", "a b", "a\0", "é.cpp", "a" * 65, "a\n", "a;b", "a\\b", "+a")
        ),
        ({"archive": "no base64!"}, "INVALID_PARAM", "base64"),
        ({"archive": base64.b64encode(b"no zip").decode()}, "INVALID_PARAM", "zip"),
        ({"archive": zipped({})}, "INVALID_PARAM", "1 to 64"),
        ({"archive": zipped({"main.cpp": b"\xff"})}, "INVALID_PARAM", "Unicode"),
        ({"archive": zipped({"main.cpp": b"a\0b"})}, "INVALID_PARAM", "NUL"),
        ({"archive": zipped({"../main.cpp": b"x"})}, "INVALID_PARAM", "'..'"),
        ({"archive": zipped({"main.cpp": b"x", "a\\b.h": b""})}, "INVALID_PARAM", "backslash"),
        ({"archive": zipped({"main.cpp": b"x", "lib/b.h": b""})}, "INVALID_PARAM", "folders"),
        ({"archive": zipped({"main.cpp": b"x" * 65_537})}, "INVALID_PARAM", "65536"),
        ({"archive": zipped({"main.cpp": b"x" * 40_000, "b.h": b"x" * 40_000})}, "INVALID_PARAM", "65536"),
        ({"archive": zipped({f"f{n}.h": b"" for n in range(200)})}, "INVALID_PARAM", "200 entries"),
    ],
)  # fmt: skip
async def test_malformed_files_are_refused(tmp_path: Path, sent: dict[str, Any], code: str, word: str) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    body = {"problem_id": problem, "language": "cpp17", **sent}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    said = await answer.get_json()
    assert (answer.status_code, said["code"]) == (400, code), said
    assert word in said["error"]
    assert home.store.rows == {}


async def test_the_largest_code_is_taken(tmp_path: Path) -> None:
    home = house(tmp_path)
    token, problem = await home.token("alice"), await home.problem()
    await submission(home, token, problem, "é" * 32_768)


async def test_inflight_cap(tmp_path: Path) -> None:
    home = house(tmp_path, inflight_cap=2)
    token, problem = await home.token("alice"), await home.problem()
    for number in range(2):
        await submission(home, token, problem, str(number))
    body = {"problem_id": problem, "language": 1, "code": "one more"}
    answer = await home.ask("POST", "/api/v1/submit", token=token, json=body)
    assert (answer.status_code, await answer.get_json()) == (
        429, {
            "code": "INFLIGHT_CAP_REACHED",
            "error": "Too many submissions are waiting to be judged; try again shortly.",
        },
    )  # fmt: skip
    assert int(answer.headers["Retry-After"]) > 0
    assert (
        'submit_429_total{instance="",reason="inflight_cap",service="deep-oj-api"} 1.0'
        in home.metrics.render().decode()
    )


async def test_a_user_at_the_cap_is_told_so_and_others_are_not(tmp_path: Path) -> None:
    home = house(tmp_path, user_inflight_cap=2)
    alice, bob, problem = await home.token("alice"), await home.token("bob"), await home.problem()
    for number in range(2):
        await submission(home, alice, problem, str(number))
    body = {"problem_id": problem, "language": 1, "code": "one more"}
    answer = await home.ask("POST", "/api/v1/submit", token=alice, json=body)
    assert (answer.status_code, await answer.get_json()) == (
        429, {
            "code": "USER_INFLIGHT_CAP_REACHED",
            "error": "You already have 2 unfinished submissions; wait for one of them.",
        },
    )  # fmt: skip
    assert int(answer.headers["Retry-After"]) > 0
    assert (
        'submit_429_total{instance="",reason="user_inflight_cap",service="deep-oj-api"} 1.0'
        in home.metrics.render().decode()
    )
    await submission(home, bob, problem, "one more")


async def test_routes_without_their_store_answer_503(tmp_path: Path) -> None:
    home = house(tmp_path)
    admin, problem = await home.token("root", is_admin=True), await home.problem()
    body, content_type = form({"title": "t"}, package())
    home.blobs.down = True
    answer = await home.ask("POST", "/api/v1/problems", token=admin, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, (await answer.get_json())["code"]) == (503, "STORAGE_ERROR")
    home.store.down = True
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/api/v1/users/me", {}),
        ("GET", f"/api/v1/problems/{problem}", {}),
        ("POST", "/api/v1/submit", {"json": {"problem_id": problem, "language": 1, "code": "x"}}),
        ("POST", "/api/v1/auth/login", {"json": CREDENTIALS}),
        ("POST", "/api/v1/auth/register", {"json": CREDENTIALS}),
    ]
    for method, path, kwargs in asked:
        answer = await home.ask(method, path, token=admin, **kwargs)
        assert (answer.status_code, (await answer.get_json())["code"]) == (503, "DB_ERROR"), path
        assert int(answer.headers["Retry-After"]) > 0
    assert (await home.ask("GET", "/api/v1/health")).status_code == 200


async def test_ready(tmp_path: Path) -> None:
    home = house(tmp_path)
    answer = await home.ask("GET", "/api/v1/ready")
    assert (answer.status_code, await answer.get_json()) == (
        200, {"ready": True, "parts": {"postgres": {"state": "up", "reason": None}}},
    )  # fmt: skip
    home.parts["redis"] = PartState.RESTARTING
    answer = await home.ask("GET", "/api/v1/ready")
    found = await answer.get_json()
    assert answer.status_code == 503
    assert found == {
        "code": "NOT_READY",
        "error": "This node is not ready: redis.",
        "details": {"postgres": {"state": "up"}, "redis": {"state": "restarting", "reason": "on purpose"}},
    }
    assert list(found["details"]) == ["redis", "postgres"]  # the fields that an operator needs at 3 a.m. come first
    ErrorBody.model_validate(found)
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "raw", ["0", "-1", "007x", "1e3", "x", "%00", "%ff", "%2e%2e", "99999999999999999999", "١", "2147483648"]
)
async def test_unknown_id_of_any_form_is_404(tmp_path: Path, raw: str) -> None:
    home = house(tmp_path)
    token = await home.token("alice")
    for path in ("/api/v1/problems/", "/api/v1/status/", "/api/v1/submissions/"):
        answer = await home.ask("GET", path + raw, token=token)
        assert answer.status_code == 404, path
        assert (await answer.get_json())["code"] in {"PROBLEM_NOT_FOUND", "JOB_NOT_FOUND"}
