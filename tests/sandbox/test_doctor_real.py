"""``deepoj doctor`` tries the real sandbox of this host, and says what it could not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deepoj.cli import run


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def isolation(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = run(["doctor", "--json", *args])
    findings = json.loads(capsys.readouterr().out)["findings"]
    return next((code, item["state"], item["detail"]) for item in findings if item["what"] == "isolation")


def test_the_level_of_this_host_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, state, detail = isolation(capsys)
    assert (code, state) == (0, "ok")
    assert detail.startswith(("full", "namespaces"))


def test_a_mount_that_is_not_there_matters_to_a_worker_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPOJ_PATH_MOUNT_DIRS", "/nowhere/at/all")
    code, state, detail = isolation(capsys, "--roles", "worker")
    assert (code, state) == (1, "lacks")
    assert "/nowhere/at/all" in detail
    assert isolation(capsys, "--roles", "scheduler")[:2] == (0, "note")
