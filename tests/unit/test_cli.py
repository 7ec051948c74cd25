"""The command line: lazy imports, and one line and an exit code for each failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from deepoj import __version__
from deepoj.cli import COMMANDS, LazyGroup, run
from deepoj.cli.errors import verdict
from deepoj.cli.node import longest_stop_s
from deepoj.config.loader import load
from deepoj.words.errors import StartRefused, StoreUnavailable, StreamUnavailable
from deepoj.words.exits import FELL, CheckFailed

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "JWT_SECRET", "APP_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def ending_of(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    @click.command()
    def fall() -> None:
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", lambda _self, _ctx, _name: fall)
    return run(["fall"])


# -- what is loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: deepoj" in capsys.readouterr().out


def test_help_lists_every_command_and_loads_none() -> None:
    script = (
        "import sys; from deepoj.cli import run; assert run(['--help']) == 0; "
        "heavy = {'pydantic', 'trio', 'rich', 'asyncpg', 'quart', 'redis', 'minio'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_an_idle_node_loads_nothing_that_its_first_use_loads_and_no_tool_that_runs_beside_nodes() -> None:
    script = (
        "import sys, deepoj.cli.node, deepoj.wiring.node; "
        "heavy = {'rich', 'pygments', 'httpx', 'minio', 'nh3', 'deepoj.packages.formats.kattis', 'deepoj.operate'}; "
        "loaded = heavy & set(sys.modules); assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_memory_of_password_hashes_goes_back_to_the_system() -> None:
    script = """
import threading
from argon2 import PasswordHasher
from deepoj.cli import node

def resident_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

def hash_twice():
    for _ in range(2):
        PasswordHasher(time_cost=1, memory_cost=19_456, parallelism=1).hash("x")

node._return_memory()
before_kb = resident_kb()
threads = [threading.Thread(target=hash_twice) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(resident_kb() - before_kb)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout) < 10_000, "four blocks of 19 MB"


# -- endings


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (StartRefused("The port is taken.", 3), "The port is taken.", 3),
        (StartRefused("Two\nlines.", 2), "Two lines.", 2),
        (StoreUnavailable("PostgreSQL is away."), "PostgreSQL is away.", 3),
        (CheckFailed("3 of 4 matched"), "3 of 4 matched", 1),
        (click.UsageError("No."), "No. Try `deepoj fall --help`.", 2),
        (click.FileError("x", "gone"), "Could not open file 'x': gone", 2),
        (KeyboardInterrupt(), "interrupted", 130),
        (ExceptionGroup("a", [ExceptionGroup("b", [StartRefused("Deep down.", 2)])]), "Deep down.", 2),
        (
            ExceptionGroup("a", [StoreUnavailable("away"), ExceptionGroup("b", [StartRefused("Taken.", 2)])]),
            "Taken.",
            2,
        ),
        (BaseExceptionGroup("a", [KeyboardInterrupt(), StreamUnavailable("Away.")]), "Away.", 3),
    ],
)
def test_an_expected_ending_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, line: str, code: int
) -> None:
    assert ending_of(monkeypatch, error) == code
    # click itself ends the line that a terminal has begun with ^C
    assert capsys.readouterr().err.removeprefix("\n") == f"deepoj: {line}\n"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        ExceptionGroup("a", [ValueError("a bug"), StartRefused("Taken.", 2)]),
        ExceptionGroup("a", [ExceptionGroup("b", [ZeroDivisionError()]), StoreUnavailable("away")]),
    ],
)
def test_a_bug_is_never_hidden_behind_an_expected_ending(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        ending_of(monkeypatch, error)
    assert caught.value is error
    assert verdict(error) is None


def test_a_bug_shows_its_traceback_and_exits_4() -> None:
    script = (
        "import click; from deepoj import cli\n"
        "@click.command()\n"
        "def fall(): raise ValueError('a bug')\n"
        "cli.LazyGroup.get_command = lambda *_: fall\n"
        "import sys; sys.argv = ['deepoj', 'fall']; cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == FELL
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: a bug\n")


@pytest.mark.parametrize("args", [["nope"], ["config", "nope"], ["config", "show", "--nope"], ["--nope"]])
def test_wrong_usage_is_one_line_and_2(args: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("deepoj: No such")
    assert told.err.count("\n") == 1


def test_without_a_command_the_help_is_shown_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_the_commands_code_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def one() -> int:
        return 1

    monkeypatch.setattr(LazyGroup, "get_command", lambda _self, _ctx, _name: one)
    assert run(["one"]) == 1


def test_a_reader_that_goes_away_makes_no_noise() -> None:
    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    assert reader.stdin is not None
    reader.wait(60)  # the pipe now has no reader
    done = subprocess.run(
        [sys.executable, "-m", "deepoj", "config", "show", "--json"], stdout=reader.stdin, stderr=subprocess.PIPE,
        text=True, check=False, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    reader.stdin.close()
    assert (done.returncode, done.stderr) == (1, "")


# -- old Pythons


def test_an_old_python_gets_one_clear_line() -> None:
    """An old Python may be missing here, so the entry point runs with a faked version."""
    script = "import sys; sys.version_info = (3, 6, 9, 'final', 0)\nimport deepoj.__main__ as entry; entry.main()\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "deepoj: Python 3.13 or newer is needed, and this is 3.6.\n"


def test_files_before_the_version_check_parse_on_old_pythons() -> None:
    for name in ("__init__.py", "__main__.py"):
        text = (ROOT / "deepoj" / name).read_text()
        assert "from __future__" not in text  # annotations: unknown before 3.7
        compile(text, name, "exec", flags=0x400 | 0x2000, dont_inherit=True, optimize=0, _feature_version=6)


# -- config show


def test_config_show_says_value_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.yaml").write_text("worker: {id: w7}\n")
    monkeypatch.setenv("PORT", "81")
    monkeypatch.setenv("JWT_SECRET", "x" * 20)
    assert run(["--config", "x.yaml", "--home", "/srv/oj", "config", "show", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    shown = json.loads(out)
    assert shown["api.port"] == {"value": 81, "source": "environment PORT"}
    assert shown["worker.id"] == {"value": "w7", "source": "x.yaml:worker.id"}
    assert shown["home"] == {"value": "/srv/oj", "source": "flag"}
    assert shown["api.outbox.enabled"] == {"value": True, "source": "default"}
    assert shown["api.auth.jwt_secret"] == {"value": "********", "source": "environment JWT_SECRET"}


def test_config_show_prints_a_line_for_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["setting", "value", "source"]
    assert any(line.split() == ["api.port", "18080", "default"] for line in lines)
    assert run(["config", "show", "--changed"]) == 0
    assert "api.port" not in capsys.readouterr().out


def test_a_wrong_setting_is_one_line_and_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORT", "x")
    assert run(["config", "show"]) == 2
    assert (
        capsys.readouterr().err
        == 'deepoj: api.port is "x" (environment PORT); it must be a whole number from 0 to 65535.\n'
    )


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"deepoj {__version__}\n"


def test_the_watchdog_lets_the_drain_that_was_set_happen() -> None:
    cfg = load({}, environ={"CLEANUP_TIMEOUT_SEC": "300", "API_SHUTDOWN_TIMEOUT_SEC": "20"})
    assert longest_stop_s(cfg) > 300 + 20
