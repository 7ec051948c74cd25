"""Toolchain archives: made once, in the box, for all jobs; a failure to make one is a fault of the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from deepoj.execution.toolchain_cache import FORGOTTEN_S, ToolchainCache
from deepoj.judging.languages import LANGUAGES
from deepoj.nursery.gate import Gate
from deepoj.nursery.leases import Leases
from deepoj.nursery.toolchains import MakeToolchainArchives
from deepoj.words.errors import BoxBroken
from deepoj.words.results import Infra
from deepoj.words.sandbox import Policy, RunOutcome, RunSpec, RunVerdict, SandboxError
from tests.fakes.box import Reply, ScriptedBox, outcome
from tests.fakes.settings import judge_settings
from tests.logs import captured_logs
from tests.unit.makers import a_claim

GO = LANGUAGES["go"]


@pytest.fixture
def box() -> ScriptedBox:
    return ScriptedBox()


@pytest.fixture
def toolchain_cache(box: ScriptedBox, tmp_path: Path) -> ToolchainCache:
    return ToolchainCache(box=box, cache_dir=tmp_path / "kits", settings=judge_settings())


async def test_toolchain_archive_is_made_once(box: ScriptedBox, toolchain_cache: ToolchainCache) -> None:
    box.hold()
    found: list[Path | Infra | None] = []

    async def ask() -> None:
        found.append(await toolchain_cache.get(GO))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await box.wait_running(1)
        box.release()
    found.append(await toolchain_cache.get(GO))

    assert len(set(found)) == 1
    assert isinstance(found[0], Path)
    assert [path.name for path in toolchain_cache.cache_dir.iterdir()] == [found[0].name]
    (spec,) = box.specs
    assert spec.policy is Policy.COMPILE
    assert [file.name for file in spec.files_out] == ["go-std.tar"]


async def test_a_language_without_a_toolchain_archive_needs_none(
    box: ScriptedBox, toolchain_cache: ToolchainCache
) -> None:
    assert await toolchain_cache.get(LANGUAGES["cpp17"]) is None
    assert box.specs == []


async def test_an_archive_that_compiling_can_do_without_is_not_waited_for(
    box: ScriptedBox, toolchain_cache: ToolchainCache
) -> None:
    assert await toolchain_cache.get(LANGUAGES["java"]) is None
    assert box.specs == []

    assert await toolchain_cache.missing(["go", "java", "cpp17"]) == ["go", "java"]
    assert await toolchain_cache.build("java") == ""

    assert isinstance(await toolchain_cache.get(LANGUAGES["java"]), Path)
    assert await toolchain_cache.missing(["go", "java"]) == ["go"]


@pytest.mark.parametrize(
    ("ended", "code", "outage"),
    [
        (outcome(RunVerdict.RE, exit_code=1, stderr=b"go: no library\n", files_out=()), "kit", False),
        (outcome(RunVerdict.TLE, files_out=()), "kit", False),
        (outcome(RunVerdict.OK, files_out=()), "kit", False),
        (outcome(RunVerdict.SE, sandbox_error=SandboxError("clone", 11), files_out=()), "sandbox", True),
    ],
)
async def test_toolchain_cache_that_cannot_be_made_is_infra_and_tried_again(
    box: ScriptedBox, toolchain_cache: ToolchainCache, *, ended: RunOutcome, code: str, outage: bool
) -> None:
    box.on(Policy.COMPILE, b"", ended)
    found = await toolchain_cache.get(GO)
    assert isinstance(found, Infra)
    assert (found.code, found.outage) == (code, outage)
    if ended.stderr:
        assert "no library" in found.message
    box.on(Policy.COMPILE, b"", _made)
    assert isinstance(await toolchain_cache.get(GO), Path)


def _made(_spec: RunSpec, _stdin: bytes) -> RunOutcome:
    return outcome()


async def test_toolchain_archive_of_a_removed_toolchain_is_deleted(toolchain_cache: ToolchainCache) -> None:
    toolchain_cache.cache_dir.mkdir()
    for name, age_s in (("go-old", FORGOTTEN_S * 2), ("go-new", FORGOTTEN_S / 2), ("other-old", FORGOTTEN_S * 2)):
        path = toolchain_cache.cache_dir / name
        path.write_bytes(b"")
        stamp = path.stat().st_mtime - age_s
        os.utime(path, (stamp, stamp))

    made = await toolchain_cache.get(GO)

    assert isinstance(made, Path)
    assert {path.name for path in toolchain_cache.cache_dir.iterdir()} == {made.name, "go-new", "other-old"}


@pytest.mark.parametrize(
    ("reply", "event"),
    [
        (outcome(), "toolchain_archive_ready"),
        (outcome(RunVerdict.RE, exit_code=1, files_out=()), "toolchain_archive_refused"),
        (BoxBroken("the launcher has ended"), "toolchain_archive_refused"),
    ],
)
async def test_archives_of_languages_of_the_node_are_made_once_its_gate_is_open(
    box: ScriptedBox, toolchain_cache: ToolchainCache, reply: Reply, event: str
) -> None:
    box.on(Policy.COMPILE, b"", reply)
    gate, leases = Gate(is_open=False), Leases(60.0, 2)
    child = MakeToolchainArchives(cache=toolchain_cache, leases=leases, gate=gate, languages=["cpp17", "go", "text"])

    with captured_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child.make_missing)
            await trio.testing.wait_all_tasks_blocked()
            assert box.specs == []
            gate.open()

    assert len(box.specs) == 1
    assert [(line["event"], line["language"]) for line in logs] == [(event, "go")]
    assert leases.free == 2


async def test_an_archive_is_made_with_a_slot_that_is_free(
    autojump_clock: object, box: ScriptedBox, toolchain_cache: ToolchainCache
) -> None:
    leases = Leases(60.0, 2)
    child = MakeToolchainArchives(cache=toolchain_cache, leases=leases, gate=Gate(), languages=["go"])
    held = [leases.add(a_claim(str(number)), 0.0) for number in range(2)]
    box.hold()

    async with trio.open_nursery() as nursery:
        await nursery.start(child)
        await trio.sleep(3600)
        assert box.specs == []
        leases.drop(held[0])
        await box.wait_running(1)
        assert leases.free == 0
        nursery.cancel_scope.cancel()

    assert leases.free == 1
