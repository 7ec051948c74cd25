"""Custom runs over HTTP: accepted and refused requests, and what their author sees."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepoj.api.playground_view import shown
from deepoj.words.playground import CustomClaim, CustomStatus
from tests.api.house import House, house
from tests.fakes.settings import run_rules

PATH = "/api/v1/run"
MEASURES = {
    "attempt_id": 1, "status": "Finished", "trace_id": "t", "isolation": "namespaces", "compile": None, "time_used": 7,
    "wall_time": 9, "memory_used": 1024, "exit_code": 0, "exit_signal": 0, "stdout_len": 2, "truncated_stdout": False,
    "stderr_len": 0, "truncated_stderr": False, "explanation": [],
}  # fmt: skip


@dataclass
class Setting:
    home: House[Any]
    token: str

    async def send(self, token: str | None = None, **changes: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
        body = {"language": "python3", "code": "print(input())", "stdin": "1\n"} | changes
        answer = await self.home.ask("POST", PATH, token=token or self.token, json=body)
        return (
            answer.status_code,
            await answer.get_json(),
            {name.title(): value for name, value in answer.headers.items()},
        )

    async def taken(self, **changes: Any) -> str:
        status, answer, _ = await self.send(**changes)
        assert status == 202, answer
        assert list(answer) == ["run_id"]
        return str(answer["run_id"])

    async def look(self, run_id: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
        answer = await self.home.ask("GET", f"{PATH}/{run_id}", token=token or self.token)
        return answer.status_code, await answer.get_json()

    async def claimed(self) -> CustomClaim:
        claim = await self.home.ports.run_leases.claim_run("node-a", 60.0, 2, {"python3", "cpp17"})
        assert claim is not None
        return claim

    async def finished(self, stdout: bytes = b"1\n", **changes: Any) -> dict[str, Any]:
        """Finish a run and return it as its author sees it."""
        run_id = await self.taken()
        await self.home.ports.run_leases.finish_run(
            await self.claimed(), CustomStatus.FINISHED, MEASURES | changes, stdout, b"", user_max_bytes=10**6
        )
        status, seen = await self.look(run_id)
        assert status == 200
        return seen


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    home = house(tmp_path)
    return Setting(home, await home.token("alice"))


async def test_a_run_from_its_sending_to_its_end(setting: Setting) -> None:
    run_id = await setting.taken(time_limit=500, memory_limit=4096)
    assert await setting.look(run_id) == (
        200, {"run_id": run_id, "status": "Queuing", "state": "pending", "data": None},
    )  # fmt: skip
    claim = await setting.claimed()
    assert (claim.code, claim.stdin, claim.language) == ("print(input())", b"1\n", "python3")
    assert (claim.time_limit_ms, claim.memory_limit_kb) == (500, 4096)
    _, seen = await setting.look(run_id)
    assert (seen["status"], seen["state"]) == ("Running", "processing")
    await setting.home.store.finish_run(claim, CustomStatus.FINISHED, MEASURES, b"1\n", b"", user_max_bytes=10**6)
    _, seen = await setting.look(run_id)
    assert (seen["status"], seen["state"]) == ("Finished", "done")
    data = seen["data"]
    assert (data["stdout"], data["stdout_base64"], data["stdout_len"]) == ("1\n", None, 2)
    assert (data["time_used"], data["wall_time"], data["memory_used"]) == (7, 9, 1024)
    assert (data["language"], data["time_limit"], data["memory_limit"]) == ("python3", 500, 4096)
    assert (data["error_code"], "status" in data) == (None, False)


async def test_custom_run_is_no_submission(setting: Setting) -> None:
    run_id = await setting.taken()
    assert setting.home.store.rows == {}
    answer = await setting.home.ask("GET", f"/api/v1/status/{run_id}", token=setting.token)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ({}, (1000, 65_536)),
        ({"time_limit": None, "memory_limit": None}, (1000, 65_536)),
        ({"time_limit": 10_000, "memory_limit": 524_288}, (10_000, 524_288)),
        ({"time_limit": 10**12, "memory_limit": 10**12}, (10_000, 524_288)),
        ({"time_limit": 1, "memory_limit": 1}, (1, 1)),
    ],
)
async def test_limits_are_held_within_the_operators(
    setting: Setting, sent: dict[str, Any], got: tuple[int, int]
) -> None:
    await setting.taken(**sent)
    claim = await setting.claimed()
    assert (claim.time_limit_ms, claim.memory_limit_kb) == got


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": ""}, "INVALID_PARAM"),
        ({"code": "a\0b"}, "INVALID_PARAM"),
        ({"code": "\ud800"}, "INVALID_PARAM"),
        ({"stdin": "\udfff"}, "INVALID_PARAM"),
        ({"stdin": 5}, "INVALID_PARAM"),
        ({"stdin": None}, "INVALID_PARAM"),
        ({"language": "klingon"}, "INVALID_PARAM"),
        ({"language": "text"}, "INVALID_PARAM"),
        ({"language": 77}, "INVALID_PARAM"),
        ({"time_limit": 0}, "INVALID_PARAM"),
        ({"time_limit": -1}, "INVALID_PARAM"),
        ({"time_limit": "1"}, "INVALID_PARAM"),
        ({"memory_limit": 0}, "INVALID_PARAM"),
        ({"code": "é" * 40_000}, "CODE_TOO_LARGE"),
        ({"stdin": "é" * 131_073}, "STDIN_TOO_LARGE"),
    ],
)
async def test_malformed_run_is_refused(setting: Setting, changes: dict[str, Any], code: str) -> None:
    status, answer, _ = await setting.send(**changes)
    assert (status, answer["code"]) == (400, code)
    assert setting.home.store.runs == {}
    assert setting.home.stream.server.entries == {}


async def test_every_text_is_kept_byte_for_byte(setting: Setting) -> None:
    code = "\ufeff# é 漢 \U0001f600\r\nprint()\r"
    stdin = "\ufeff\0\x01é漢\U0001f600\r\n\U0010ffff"
    await setting.taken(code=code, stdin=stdin)
    claim = await setting.claimed()
    assert (claim.code, claim.stdin) == (code, stdin.encode())


async def test_the_largest_of_everything_is_taken(setting: Setting) -> None:
    await setting.taken(code="é" * 32_768, stdin="é" * 131_072)
    status, answer, _ = await setting.send(stdin="x" * 1_100_000)
    assert (status, answer["code"]) == (413, "BODY_TOO_LARGE")


async def test_third_unfinished_run_of_a_user_is_refused(setting: Setting) -> None:
    bob = await setting.home.token("bob")
    await setting.taken()
    await setting.taken()
    status, answer, headers = await setting.send()
    assert (status, answer["code"], headers["Retry-After"]) == (429, "INFLIGHT_CAP_REACHED", "1")
    assert "2 unfinished runs" in answer["error"]
    assert (await setting.send(bob))[0] == 202
    claim = await setting.claimed()
    await setting.home.store.finish_run(claim, CustomStatus.FINISHED, MEASURES, b"", b"", user_max_bytes=10**6)
    await setting.taken()


async def test_redis_away_takes_nothing(setting: Setting) -> None:
    setting.home.stream.server.down = True
    status, answer, headers = await setting.send()
    assert (status, answer["code"]) == (503, "QUEUE_ERROR")
    assert int(headers["Retry-After"]) >= 1
    assert setting.home.store.runs == {}
    setting.home.stream.server.down = False
    await setting.taken()


async def test_the_database_away(setting: Setting) -> None:
    setting.home.store.break_next("take_run", applied=False)
    status, answer, _ = await setting.send()
    assert (status, answer["code"]) == (503, "DB_ERROR")


async def test_a_language_that_no_node_has_now(setting: Setting) -> None:
    setting.home.live[0] = {"cpp17": ("g++",)}
    status, answer, _ = await setting.send()
    assert (status, answer["code"]) == (400, "LANGUAGE_UNAVAILABLE")
    await setting.taken(language=1)


async def test_only_its_author_may_look(setting: Setting) -> None:
    run_id = await setting.taken()
    for stranger in (await setting.home.token("bob"), await setting.home.token("root", is_admin=True)):
        status, answer = await setting.look(run_id, stranger)
        assert (status, answer["code"]) == (403, "FORBIDDEN")
    assert (await setting.home.ask("GET", f"{PATH}/{run_id}")).status_code == 401
    assert (await setting.home.ask("POST", PATH, json={})).status_code == 401


@pytest.mark.parametrize("run_id", ["1", "run-1", "run-" + "0" * 36, "%00", "run-00000000-0000-0000-0000-000000000000"])
async def test_unknown_run_is_404(setting: Setting, run_id: str) -> None:
    await setting.taken()
    status, answer = await setting.look(run_id)
    assert (status, answer["code"]) == (404, "RUN_NOT_FOUND")


async def test_a_result_is_gone_when_its_time_is_over(tmp_path: Path) -> None:
    home = house(tmp_path, runs=run_rules(keep_s=0.0))
    setting = Setting(home, await home.token("alice"))
    run_id = await setting.taken()
    await home.store.finish_run(
        await setting.claimed(), CustomStatus.FINISHED, MEASURES, b"", b"", user_max_bytes=10**6
    )
    assert (await setting.look(run_id))[0] == 404


async def test_an_end_without_a_run_has_the_same_shape(setting: Setting) -> None:
    finished = await setting.finished()
    run_id = await setting.taken()
    claim = await setting.claimed()
    await setting.home.store.give_back_run(claim, counts=True, delay_s=0.0, max_attempts=1)
    _, seen = await setting.look(run_id)
    assert (seen["status"], seen["data"]["error_code"]) == ("System Error", "ATTEMPTS_EXHAUSTED")
    assert seen["data"].keys() == finished["data"].keys()
    assert (seen["data"]["exit_code"], seen["data"]["stdout"]) == (None, "")


async def test_output_comes_in_one_form_only(setting: Setting) -> None:
    seen = await setting.finished(b"a\xff\0b", stdout_len=4)
    assert seen["data"]["stdout"] is None
    assert base64.b64decode(seen["data"]["stdout_base64"]) == b"a\xff\0b"
    assert (seen["data"]["stderr"], seen["data"]["stderr_base64"]) == ("", None)


KEPT = 262_144


@pytest.mark.parametrize(
    "unit",
    [b"x", b"\n", b'"', "é".encode(), "漢".encode(), "\U0001f600".encode(), b"\0", b"\x1b", b"\xff", b"\xff\0",
     b"\\\x7f", b"\0" + b"x" * 5],
)  # fmt: skip
async def test_answer_of_a_run_is_bounded_for_any_output(setting: Setting, unit: bytes) -> None:
    raw = (unit * KEPT)[:KEPT]
    run_id = await setting.taken()
    claim = await setting.claimed()
    await setting.home.store.finish_run(
        claim, CustomStatus.FINISHED, MEASURES | {"truncated_stdout": True, "truncated_stderr": True}, raw, raw,
        user_max_bytes=10**6,
    )  # fmt: skip
    answer = await setting.home.ask("GET", f"{PATH}/{run_id}", token=setting.token)
    assert len(await answer.get_data()) <= 3 * 2 * KEPT + 4096


@pytest.mark.parametrize(
    ("raw", "is_cut", "text"),
    [
        (b"", False, ""),
        ("é\0\x1b漢\U0001f600\r\n".encode(), False, "é\0\x1b漢\U0001f600\r\n"),
        ("aé".encode()[:-1], True, "a"),
        ("a\U0001f600".encode()[:-1], True, "a"),
        ("aé".encode()[:-1], False, None),
        (b"\xffaa", True, None),
        (b"\xff" + "é".encode()[:-1], True, None),
        (b"a\xed\xa0\x80", False, None),
        (b"\0" * 4096, False, "\0" * 4096),
        (b"\0" * 4097, False, None),
        ("é\n".encode() * 4096, False, "é\n" * 4096),
    ],
)
def test_bytes_as_json_carries_them(raw: bytes, is_cut: bool, text: str | None) -> None:
    told, in_base64 = shown(raw, is_cut=is_cut)
    assert told == text
    assert (in_base64 is None) is (text is not None)
    if in_base64 is not None:
        assert base64.b64decode(in_base64) == raw


async def test_post_run_while_runs_are_disabled_is_refused(tmp_path: Path) -> None:
    home = house(tmp_path, runs=run_rules(is_enabled=False))
    token = await home.token("alice")
    body = {"language": "python3", "code": "print()"}
    answer = await home.ask("POST", PATH, token=token, json=body)
    assert (answer.status_code, (await answer.get_json())["code"]) == (403, "RUN_DISABLED")
    assert home.store.runs == {}
    anybody = await home.ask("POST", PATH, json=body)
    assert anybody.status_code == 401


async def test_the_document_knows_it(setting: Setting) -> None:
    answer = await setting.home.ask("GET", "/openapi.json")
    paths = (await answer.get_json())["paths"]
    assert set(paths["/api/v1/run"]["post"]["responses"]) >= {
        "202", "400", "401", "403", "408", "413", "415", "429", "503",
    }  # fmt: skip
    assert set(paths["/api/v1/run/{run_id}"]["get"]["responses"]) >= {"200", "401", "403", "404", "503"}


async def test_code_and_input_never_reach_the_log(setting: Setting, logged: Any) -> None:
    await setting.taken(code="print('my secret code')", stdin="my secret input")
    assert "run_taken" in logged.getvalue()
    assert "my secret" not in logged.getvalue()
