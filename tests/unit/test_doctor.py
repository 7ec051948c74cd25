"""``deepoj doctor``: what it says of tools, isolation and servers, and when it exits 1."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import pytest
import trio

from deepoj.adapters import toolchain
from deepoj.adapters.embedded import EmbeddedHome, hold_home
from deepoj.adapters.sandbox.preflight import Preflight
from deepoj.cli import run
from deepoj.cli.common import settings
from deepoj.config.model import Config
from deepoj.config.roles import Role
from deepoj.execution.toolchain_cache import archive_path
from deepoj.judging import testlib
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.operate import doctor, running
from deepoj.operate.findings import Finding, State, lines_for_people
from deepoj.operate.running import RunningLook
from deepoj.packages.statements import pandoc
from deepoj.web.assets import MISSING, STATIC, Assets
from deepoj.wiring.node import warn_of_callbacks, warn_of_testlib
from deepoj.wiring.settings import judging, toolchain_dir
from deepoj.words.roster import DiskUse
from deepoj.words.sandbox import Isolation
from tests.logs import captured_logs

#: the real one, which the tests replace
SANDBOX = doctor._sandbox


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

    async def sandbox(_cfg: Config) -> tuple[Isolation, list[Finding]]:
        return Isolation.FULL, [Finding("isolation", "ok", "full")]

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


def mends(told: dict[str, Any]) -> dict[str, str]:
    return {item["what"]: item["mend"] for item in told["findings"]}


def test_a_socket_in_a_mounted_directory_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "shown"
    (shown / "below").mkdir(parents=True)
    monkeypatch.setenv("DEEPOJ_PATH_MOUNT_DIRS", f"/usr,{shown}")
    assert "mounts" not in report(capsys)[2]
    monkeypatch.chdir(shown / "below")  # a socket's whole path may be too long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("server.sock")
    detail = f"programs may connect to the socket {shown}/below/server.sock: path.mount_dirs has {shown}"
    assert report(capsys)[2]["mounts"] == ("note", detail)


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


@pytest.mark.parametrize(
    ("at_start", "says"),
    [
        ("true", ["not built yet: a node builds it after its start"] * 2),
        (
            "false",
            [
                "not built: a node builds it only after a start (compile.archives_at_start)",
                "not built: a node builds it for the first submission in it (compile.archives_at_start)",
            ],
        ),
    ],
)
def test_doctor_tells_whether_toolchain_archives_are_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_start: str, says: list[str]
) -> None:
    monkeypatch.setattr(doctor, "version", lambda *_: "9.9")
    monkeypatch.setenv("DEEPOJ_COMPILE_ARCHIVES_AT_START", at_start)
    cfg = settings({"worker.workspace": str(tmp_path)})

    def told() -> list[str]:
        return [finding.detail for finding in doctor.tool_findings(cfg, ()) if finding.what in ("java", "go")]

    assert told() == [f"9.9; its toolchain archive is {state}" for state in says]
    toolchain_dir(cfg).mkdir()
    for key in ("java", "go"):
        archive = LANGUAGES[key].archive
        assert archive is not None
        archive_path(toolchain_dir(cfg), LANGUAGES[key], archive, judging(cfg)).touch()
    assert told() == ["9.9; its toolchain archive is built"] * 2


def test_canaries_are_judged_where_the_sandbox_works(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(capsys)[2]["canaries"] == ("ok", "38 of 38 as expected")

    async def none(_cfg: Config) -> tuple[None, list[Finding]]:
        return None, [Finding("isolation", "lacks", "no level holds here")]

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
    assert found["cpp17"] == ("lacks", "/nowhere/g++ is missing (path.compiler_bin)")
    assert mends(told)["cpp17"] == "export DEEPOJ_PATH_COMPILER_BIN=/usr/bin/g++"
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


def test_doctor_without_a_jwt_secret_says_how_to_make_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:p@127.0.0.1:{closed_port}/d")
    monkeypatch.delenv("JWT_SECRET", raising=False)
    _, told, found = report(capsys, "--roles", "api")
    assert found["settings"][0] == "lacks"
    assert mends(told)["settings"] == 'export JWT_SECRET="$(openssl rand -hex 32)"'
    assert "settings" not in report(capsys, "--roles", "scheduler")[2]


@pytest.mark.parametrize("version", ["0.9.44", None])
def test_a_node_without_testlib_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setattr(testlib, "version", lambda: version)
    _, told, found = report(capsys)
    assert found["testlib.h"] == (("ok", version) if version else ("note", testlib.MISSING))
    assert mends(told).get("testlib.h", "").endswith("" if version else "deploy/testlib_header.py")
    with captured_logs() as lines:
        warn_of_testlib()
    assert [line["event"] for line in lines] == ([] if version else ["testlib_missing"])


@pytest.mark.parametrize("directory", ["static", "nowhere"])
def test_an_api_without_the_scripts_of_the_pages_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    found_assets = Assets.load(STATIC.with_name(directory))
    monkeypatch.setattr(Assets, "load", lambda: found_assets)
    _, told, found = report(capsys, "--roles", "api")
    is_there = directory == "static"
    assert found["web assets"] == (("ok", f"{len(found_assets.files)} files") if is_there else ("note", MISSING))
    assert mends(told)["web assets"].endswith("" if is_there else "deploy/web_assets.py")
    assert "web assets" not in report(capsys, "--roles", "worker")[2]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_node_without_pandoc_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    monkeypatch.setattr(pandoc, "is_installed", lambda: is_there)
    _, told, found = report(capsys)
    assert found["pandoc"] == (("ok", "/usr/bin/pandoc") if is_there else ("note", pandoc.MISSING))
    assert mends(told).get("pandoc", "").endswith("" if is_there else "apt-get install pandoc")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_node_without_mold_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_there: bool
) -> None:
    mold = tmp_path / "ld.mold"
    monkeypatch.setattr(doctor, "toolchain", lambda _cfg: Toolchain(mold=str(mold)))
    if is_there:
        mold.write_text("#!/bin/sh\necho mold 9.9\n")
        mold.chmod(0o755)
    _, told, found = report(capsys)
    state, detail = found["linker"]
    assert (state, "mold 9.9" in detail) == (("ok", True) if is_there else ("note", False))
    assert mends(told)["linker"].endswith("" if is_there else "apt-get install mold")


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
    with captured_logs() as lines:
        warn_of_callbacks(settings({"roles": roles}), None)
    assert [line["event"] for line in lines] == (["webhooks_wait"] if waits else [])


def test_doctor_on_a_host_without_a_language_names_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = {"ruby": "/nowhere/tool", "ocaml": "/nowhere/tool", "lua": "/bin/false"}
    others = {key: replace(LANGUAGES[key], version=(tool,), accepts=(tool,)) for key, tool in tools.items()}
    monkeypatch.setattr(doctor, "LANGUAGES", {"cpp17": LANGUAGES["cpp17"], **others})
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, told, found = report(capsys, "--roles", "worker")
    assert code == 0
    assert found["ruby"] == ("note", "cannot be judged: /nowhere/tool is missing")
    assert found["lua"] == ("note", "cannot be judged: /bin/false does not work or does not know it")
    assert mends(told)["ruby"] == "sudo apt-get install ruby"
    assert mends(told)["lua"] == "sudo apt-get install --reinstall lua5.4"
    run(["doctor", "--roles", "worker"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "not judged here" in line]
    assert line.endswith("ruby, ocaml, lua; mend: sudo apt-get install ruby ocaml --reinstall lua5.4")


@pytest.mark.parametrize(
    ("name", "value", "better"),
    [
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_user_namespaces", "0", "15000"),
    ],
)
async def test_isolation_without_user_namespaces_is_mended_by_sysctl(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, better: str
) -> None:
    mend = f"sudo sysctl -w {name}={better}"
    files = {f"/proc/sys/{name.replace('.', '/')}": value}
    monkeypatch.setattr(doctor, "_read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(doctor, "ENGINES", {})
    (finding,) = [one for one in doctor.host_findings() if one.what == "user namespaces"]
    assert (finding.state, finding.mend) == ("note", mend)
    assert (await tried(monkeypatch, None, Isolation.NAMESPACES)).mend == mend


@pytest.mark.parametrize(
    ("level", "least", "finding"),
    [
        (None, Isolation.WEAK, ("lacks", "podman run --security-opt seccomp=unconfined")),
        (Isolation.WEAK, Isolation.NAMESPACES, ("lacks", "podman run --security-opt seccomp=unconfined")),
        (Isolation.WEAK, Isolation.WEAK, ("ok", "podman run --security-opt seccomp=unconfined")),
        (Isolation.NAMESPACES, Isolation.FULL, ("lacks", "podman run --privileged")),
        (Isolation.NAMESPACES, Isolation.WEAK, ("ok", "")),
    ],
)
async def test_isolation_in_a_container_is_mended_by_options_of_its_engine(
    monkeypatch: pytest.MonkeyPatch, level: Isolation | None, least: Isolation, finding: tuple[str, str]
) -> None:
    monkeypatch.setattr(doctor, "ENGINES", {"/nowhere": "docker", "/proc": "podman"})
    found = await tried(monkeypatch, level, least)
    state, mend = finding
    assert (found.state, found.mend[: len(mend) or None]) == (state, mend)


async def tried(monkeypatch: pytest.MonkeyPatch, level: Isolation | None, least: Isolation) -> Finding:
    """The finding for a host that reaches this level, where ``least`` is asked for."""

    async def preflight(**_: object) -> Preflight:
        return Preflight(level, ("a reason",))

    monkeypatch.setattr("deepoj.adapters.sandbox.box.preflight", preflight)
    monkeypatch.setenv("SANDBOX_MIN_ISOLATION", least)
    reached, findings = await SANDBOX(settings({"roles": "worker"}))
    assert reached is level
    (finding,) = findings
    return finding


async def test_languages_that_need_proc_cannot_be_judged_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def preflight(**_: object) -> Preflight:
        return Preflight(Isolation.NAMESPACES, (), has_proc=False)

    monkeypatch.setattr("deepoj.adapters.sandbox.box.preflight", preflight)
    _, (isolation, *others) = await SANDBOX(settings({"roles": "worker"}))

    assert isolation.state == "ok"
    assert {finding.what for finding in others} == {"java", "scala", "csharp", "haskell"}
    assert {finding.state for finding in others} == {"note"}
    told = {finding.what for finding in doctor.tool_findings(settings({}), ["java", "scala"])}
    assert ("java" in told, "scala" in told, "python3" in told) == (False, False, True)


REPORT = (
    Finding("kernel", "ok", "Linux"),
    Finding("ruby", "note", "cannot be judged: ruby is missing", "apt-get install ruby"),
    Finding("Landlock", "note", "unknown"),
    Finding("isolation", "lacks", "none: " + "a long reason; " * 20, "docker run " + "-v x:y " * 30 + "IMAGE"),
)


def test_doctor_in_a_pipe_prints_a_line_for_each_finding_the_worst_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    verdict, *lines = lines_for_people(REPORT, {Role.CONSUMER}, None, None)
    assert verdict == "This host cannot run the roles consumer: it lacks isolation."
    assert [line.split()[:2] for line in lines] == [
        ["lacks", "isolation"], ["note", "Landlock"], ["note", "languages"], ["ok", "kernel"],
    ]  # fmt: skip
    assert lines[0].endswith("IMAGE")
    assert lines[2] == "note  languages not judged here: ruby; mend: apt-get install ruby"
    assert [line for line in lines if line != line.rstrip()] == []


def test_doctor_on_a_terminal_wraps_details_and_keeps_commands_whole() -> None:
    lines = [click.unstyle(line) for line in lines_for_people(REPORT, {Role.CONSUMER}, None, 80)]
    (command,) = [line for line in lines if "docker run" in line]
    assert command == f"      mend: {REPORT[-1].mend}"
    assert max(len(line) for line in lines if line != command) <= 80
    details = [line for line in lines[1:] if "mend: " not in line]
    heads = {line[:16].strip() for line in details}
    assert heads == {"", "lacks isolation", "note  Landlock", "note  languages", "ok    kernel"}
    assert all(line[15] == " " != line[16] for line in details)


@pytest.mark.parametrize(
    ("role", "says"),
    [(Role.CONSUMER, "the roles consumer at isolation level weak."), (Role.GC, "the roles gc.")],
)
def test_doctor_on_a_good_host_begins_with_roles_and_level(role: Role, says: str) -> None:
    assert lines_for_people(REPORT[:1], {role}, Isolation.WEAK, None)[0] == f"This host can run {says}"


def test_a_bad_host_is_a_sentence_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPOJ_PATH_COMPILER_BIN", "/nowhere/g++")
    assert run(["doctor", "--roles", "worker"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("This host cannot run the roles consumer, reclaim: it lacks cpp17.\nlacks cpp17 ")
    assert told.err == "deepoj: a node with the roles consumer, reclaim cannot work here: see above what it lacks.\n"


@pytest.mark.parametrize(("count", "is_told"), [("0.0", False), ("3.0", True)])
async def test_node_behind_an_untrusted_proxy_is_told(
    monkeypatch: pytest.MonkeyPatch, count: str, is_told: bool
) -> None:
    body = f'# TYPE api_untrusted_forwarded counter\napi_untrusted_forwarded_total{{instance="a"}} {count}\n'
    async with node_that_says(monkeypatch, body):
        found = await running.of_metrics(settings({}))
    assert [finding.state for finding in found] == (["note"] if is_told else [])
    assert all("3 requests" in finding.detail and "TRUSTED_PROXIES" in finding.mend for finding in found)


@pytest.mark.parametrize("is_set", [False, True])
async def test_the_metrics_of_a_node_of_this_host_are_read_by_the_token_of_its_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_set: bool
) -> None:
    with hold_home(tmp_path / "home") as home:
        made = home.secret("metrics_token")
    cfg = settings({"home": str(tmp_path / "home"), "api.metrics_token": "the-operators" if is_set else None})
    async with node_that_says(monkeypatch, "") as requests:
        assert await running.of_metrics(cfg) == []
    token = "the-operators" if is_set else made
    assert f"authorization: bearer {token}\r\n".encode() in requests[0].lower()


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
async def test_a_node_that_refuses_its_metrics_is_told(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    async with node_that_says(monkeypatch, "", status):
        [finding] = await running.of_metrics(settings({}))
    assert (finding.what, finding.state) == ("metrics", "note")
    assert "METRICS_TOKEN" in finding.mend


@asynccontextmanager
async def node_that_says(
    monkeypatch: pytest.MonkeyPatch, body: str | None, status: str = "200 OK"
) -> AsyncIterator[list[bytes]]:
    """Answer every request to the node of this host; yield the requests. None: take it, and never answer."""
    requests: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        requests.append(bytes(await stream.receive_some()))
        if body is None:
            await trio.sleep_forever()
        else:
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            await stream.send_all(f"{head}{body}".encode())

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        monkeypatch.setattr(running, "api_of", lambda _: f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        yield requests
        nursery.cancel_scope.cancel()


def away(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> Config:
    """Return settings whose servers do not listen."""
    monkeypatch.setenv("DATABASE_URL", f"postgres://u:p@127.0.0.1:{closed_port}/d")
    monkeypatch.setenv("REDIS_URL", f"127.0.0.1:{closed_port}")
    monkeypatch.setenv("MINIO_ENDPOINT", f"127.0.0.1:{closed_port}")
    return settings({})


@pytest.mark.parametrize("is_ready", [True, False])
async def test_what_the_node_of_this_host_says_of_its_parts_is_told_with_its_section(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, is_ready: bool
) -> None:
    parts = {
        "canary": {"state": "up"},
        "redis": {"state": "up" if is_ready else "down", "reason": "it was killed"},
        "dispatcher": {"state": "up" if is_ready else "down", "reason": "Redis at x cannot be used"},
    }
    body = {"parts": parts} if is_ready else {"details": parts}
    async with node_that_says(monkeypatch, json.dumps(body), "200 OK" if is_ready else "503 Service Unavailable"):
        seen = await running.look_at_running(away(monkeypatch, closed_port), None)
    told = [finding for finding in seen.findings if finding.what == "system"]
    says = "redis is not up on this node. It was killed. (runbook, section 4.1 Redis is away)"
    assert told == ([] if is_ready else [Finding("system", "fails", says)])
    assert seen.judges, "the node judges the canaries"
    servers = {finding.what: finding for finding in seen.findings if finding.what != "system"}
    assert list(servers) == ["PostgreSQL", "Redis", "object store"]
    assert "(runbook, section 4.2 The database does not answer)" in servers["PostgreSQL"].detail
    assert "(runbook, section 4.13 Test data cannot be fetched)" in servers["object store"].detail


async def test_a_node_that_does_not_answer_is_told_and_no_node_is_not(
    monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    cfg = away(monkeypatch, closed_port)
    monkeypatch.setattr(running, "REACH_S", 0.2)
    async with node_that_says(monkeypatch, None):
        seen = await running.look_at_running(cfg, None)
    assert (seen.findings[0].what, seen.findings[0].state) == ("node", "fails")
    assert "(runbook, section 4.25 A node is silent)" in seen.findings[0].detail
    monkeypatch.setattr(running, "api_of", lambda _: f"http://127.0.0.1:{closed_port}")
    seen = await running.look_at_running(cfg, None)
    assert "node" not in [finding.what for finding in seen.findings]


@pytest.mark.parametrize("free_bytes", [99, 100])
async def test_a_home_whose_node_is_gone_has_its_disks_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_bytes: int
) -> None:
    async def low(_directories: object) -> tuple[DiskUse, ...]:
        return (DiskUse(directory="work", free_bytes=free_bytes, total_bytes=1000),)

    monkeypatch.setattr(running, "disks", low)
    home = EmbeddedHome(home=tmp_path, run_dir=tmp_path, postgres_password="p", valkey_password="v")
    seen = await running.look_at_running(settings({}), home)
    assert not seen.judges
    assert seen.findings[0] == Finding("node", "note", f"no node runs in {tmp_path} now")
    told = [finding.detail for finding in seen.findings[1:]]
    assert len(told) == (free_bytes < 100)
    assert all("is 90 % full" in one and "(runbook, section 4.12 The disk is full)" in one for one in told)


@pytest.mark.parametrize(("state", "code"), [("fails", 1), ("note", 0)])
def test_a_running_system_that_needs_a_person_is_told_and_exits_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, closed_port: int, state: State, code: int
) -> None:
    away(monkeypatch, closed_port)

    async def look(_cfg: Config, _home: object) -> RunningLook:
        return RunningLook([Finding("system", state, "No node judges: submissions wait.")], judges=True)

    monkeypatch.setattr(doctor, "look_at_running", look)
    assert run(["doctor", "--roles", "worker"]) == code
    told = capsys.readouterr()
    assert "No node judges: submissions wait." in told.out
    assert "canaries left to the node that runs here" in " ".join(told.out.split())
    assert ("the running system needs a person" in told.err) is bool(code)
