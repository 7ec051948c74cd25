"""``deepoj doctor``: what it says of tools, isolation and servers, and when it exits 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deepoj.adapters import toolchain
from deepoj.cli import doctor, run
from deepoj.cli.common import settings
from deepoj.cli.doctor import Finding
from deepoj.config import Config
from deepoj.wiring.node import warn_of_callbacks


@pytest.fixture(scope="module")
def asked_once() -> Callable[[Sequence[str]], tuple[bool, str]]:
    """The host's real tools, each line of words to them once: a JVM's and a linker's start take their time."""
    ask = cache(toolchain._output)
    return lambda argv: ask(tuple(argv))


@pytest.fixture(autouse=True)
def _in_an_empty_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_once: Callable[[Sequence[str]], tuple[bool, str]]
) -> None:
    monkeypatch.setattr(toolchain, "_output", asked_once)
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "MINIO_ENDPOINT", "APP_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    async def sandbox(_cfg: Config) -> Finding:
        return Finding("isolation", "ok", "full")

    async def canaries(_cfg: Config) -> Finding:
        return Finding("canaries", "ok", "38 of 38 as expected")

    monkeypatch.setattr(doctor, "_sandbox", sandbox)
    monkeypatch.setattr(doctor, "_canaries", canaries)


def report(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any], dict[str, tuple[str, str]]]:
    code = run(["doctor", "--json", *args])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    return code, told, {item["what"]: (item["state"], item["detail"]) for item in told["findings"]}


def test_a_host_with_everything_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, told, found = report(capsys)
    assert (code, told["ok"]) == (0, True)
    assert told["roles"] == ["api", "consumer", "dispatcher", "gc", "reclaim", "repair"]
    assert {"Python", "kernel", "user namespaces", "cgroup v2", "cgroup delegation", "seccomp", "Landlock"} <= set(
        found
    )
    assert found["cpp17"][0] == "ok"
    assert "g++" in found["cpp17"][1]
    assert found["python3"][1].startswith("Python 3.")
    assert found["embedded PostgreSQL"][0] == found["embedded Valkey"][0] == "ok"


def test_canaries_are_judged_where_the_sandbox_works(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(capsys)[2]["canaries"] == ("ok", "38 of 38 as expected")

    async def none(_cfg: Config) -> Finding:
        return Finding("isolation", "lacks", "none that could be stood for")

    monkeypatch.setattr(doctor, "_sandbox", none)
    code, _, found = report(capsys)
    assert code == 1
    assert "canaries" not in found


def test_a_missing_compiler_matters_to_a_worker_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPOJ_PATH_COMPILER_BIN", "/nowhere/g++")
    code, told, found = report(capsys, "--roles", "worker")
    assert (code, told["ok"]) == (1, False)
    assert found["cpp17"] == ("lacks", "/nowhere/g++ does not work: install g++ or set path.compiler_bin")
    assert found["cpp20"][0] == "note"
    code, _, found = report(capsys, "--roles", "api")
    assert code == 0
    assert found["cpp17"][0] == "note"


def test_servers_that_cannot_be_reached_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:hunter2@127.0.0.1:{closed_port}/d")
    monkeypatch.setenv("REDIS_URL", f"redis://:hunter2@127.0.0.1:{closed_port}")
    monkeypatch.setenv("MINIO_ENDPOINT", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("MINIO_SECRET_KEY", "hunter2-hunter2")
    code, _, found = report(capsys, "--roles", "scheduler")
    assert code == 1
    assert found["PostgreSQL"][0] == found["Redis"][0] == "lacks"
    assert found["object store"][0] == "note"  # a scheduler never looks at it
    assert str(closed_port) in found["PostgreSQL"][1]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("secret", ["", "a secret that is long enough to sign with"])
@pytest.mark.parametrize("roles", ["dispatcher", "worker"])
def test_a_dispatcher_without_a_secret_tells_no_callbacks_and_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, closed_port: int, secret: str, roles: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:p@127.0.0.1:{closed_port}/d")
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{closed_port}")
    monkeypatch.setenv("MINIO_ENDPOINT", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("WEBHOOKS_SECRET", secret)
    _, _, found = report(capsys, "--roles", roles)
    waits = roles == "dispatcher" and not secret
    assert (found.get("webhooks", ("",))[0] == "note") is waits
    warn_of_callbacks(settings({"roles": roles}), None)
    assert ("webhooks_wait" in "".join(capsys.readouterr())) is waits


def test_for_people_it_is_a_table_and_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPOJ_PATH_COMPILER_BIN", "/nowhere/g++")
    assert run(["doctor", "--roles", "worker"]) == 1
    told = capsys.readouterr()
    assert any(line.split()[:2] == ["lacks", "cpp17"] for line in told.out.splitlines())
    assert told.err == "deepoj: a node with the roles consumer, reclaim cannot work here: see above what it lacks.\n"
