"""``deepoj doctor`` tries the real sandbox of this host, and says what it could not do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.cli import run
from deepoj.judging.canaries import CANARIES
from deepoj.words.sandbox import RunOutcome, RunSpec, RunVerdict
from tests import host


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def findings(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit code, and state and detail of each finding."""
    code = run(["doctor", "--json", *args])
    found = json.loads(capsys.readouterr().out)["findings"]
    return code, {item["what"]: (item["state"], item["detail"]) for item in found}


def test_doctor_names_the_level_of_this_host_and_judges_the_canaries(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys)
    state, detail = found["isolation"]
    assert (code, state) == (0, "ok")
    assert detail.startswith(("full", host.level()))
    assert found["canaries"] == ("ok", f"{len(CANARIES)} of {len(CANARIES)} as expected")


def test_a_canary_that_differs_is_named_and_matters_to_a_worker_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = LinuxBox.run

    async def lies(box: LinuxBox, spec: RunSpec) -> RunOutcome:
        told = await asked(box, spec)
        return replace(told, verdict=RunVerdict.OK, rule="ok", exit_signal=0) if told.rule == "wall" else told

    monkeypatch.setattr(LinuxBox, "run", lies)
    code, found = findings(capsys, "--roles", "worker")
    state, detail = found["canaries"]
    assert (code, state) == (1, "lacks")
    assert detail == (
        f"{len(CANARIES) - 1} of {len(CANARIES)} as expected; canary sleep-for-ever: expected Time Limit Exceeded"
        " (rule wall), found Accepted (rule ok)"
    )
    code, found = findings(capsys, "--roles", "scheduler")
    assert (code, found["canaries"][0]) == (0, "note")


def test_a_mount_that_is_not_there_matters_to_a_worker_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPOJ_PATH_MOUNT_DIRS", "/nowhere/at/all")
    code, found = findings(capsys, "--roles", "worker")
    state, detail = found["isolation"]
    assert (code, state) == (1, "lacks")
    assert "/nowhere/at/all" in detail
    code, found = findings(capsys, "--roles", "scheduler")
    assert (code, found["isolation"][0]) == (0, "note")
