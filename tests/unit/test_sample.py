"""The bundled sample is a valid, reproducible package with a right program; and the output of a start with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deepoj import sample
from deepoj.cli.node import accept_weak_isolation
from deepoj.cli.start_view import StartView
from deepoj.config.loader import load
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.judging.problem import Plan
from deepoj.packages.formats import check_upload
from deepoj.wiring.node import Life, Ready
from deepoj.words.sandbox import Isolation
from tests.fakes.settings import unzip_limits

WEAK = Ready(address="http://0.0.0.0:18080", isolation=Isolation.WEAK, reasons=("there is no user namespace",))


def test_the_package_is_good_and_stable(tmp_path: Path) -> None:
    path = tmp_path / "sample.zip"
    path.write_bytes(sample.package())
    package = check_upload(path, unzip_limits())
    assert isinstance(package, Plan)
    assert [case.name for case in package.cases] == ["1", "2", "3", "4", "5", "6"]
    assert sample.package() == sample.package()
    assert sample.package_hash() == sample.package_hash(path.read_bytes())
    assert [case.name for case in package.cases if case.sample] == ["1"]
    assert {one.language: one.file for one in package.statements} == {
        "en": "statement.en.md",
        "zh": "statement.zh.md",
    }


def test_the_program_is_right(tmp_path: Path) -> None:
    assert all(is_right for _case, is_right in judged(sample.accepted_source(), tmp_path))


@pytest.mark.parametrize("reads", ["std::cin >> a >> b", 'scanf("%d%d", &a, &b)'])
def test_a_program_with_int_fails_on_the_large_numbers(tmp_path: Path, reads: str) -> None:
    """glibc's ``scanf`` takes the low 32 bits of a larger number: their sum may be right by chance."""
    code = f"#include <cstdio>\n#include <iostream>\nint main() {{ int a = 0, b = 0; {reads}; std::cout << a + b; }}\n"
    assert [case for case, is_right in judged(code, tmp_path) if not is_right][-1:] == ["6"]


def judged(source: str, tmp_path: Path) -> list[tuple[str, bool]]:
    """Return the cases, and whether the program prints their answers."""
    language = LANGUAGES[sample.LANGUAGE]
    (tmp_path / language.source_name).write_text(source)
    argv = language.compile_argv(Toolchain())
    assert argv is not None
    subprocess.run(argv, cwd=tmp_path, env=dict(language.compile_env), check=True, timeout=120)
    found = []
    for case in sorted((Path(sample.__file__).parent / "cases").glob("*.in")):
        with case.open("rb") as stdin:
            done = subprocess.run([tmp_path / "main"], stdin=stdin, capture_output=True, check=True, timeout=60)
        found.append((case.stem, done.stdout.split() == case.with_suffix(".out").read_bytes().split()))
    return found


@pytest.mark.parametrize(
    ("environ", "least"),
    [
        ({}, Isolation.WEAK),
        ({"SANDBOX_MIN_ISOLATION": "namespaces"}, Isolation.NAMESPACES),
        ({"REQUIRE_CGROUPS_V2": "true"}, Isolation.FULL),
    ],
)
def test_sample_start_accepts_weak_isolation_unless_a_setting_asks_for_more(
    environ: dict[str, str], least: Isolation
) -> None:
    plain = load({"embedded": True}, environ)
    assert accept_weak_isolation(plain).sandbox_min_isolation is least
    assert plain.sandbox_min_isolation is (Isolation.NAMESPACES if not environ else least)


def started(ready: Ready, *, shows_progress: bool) -> None:
    """Events of a start, with a server that is restarted later."""
    view = StartView(load({"embedded": True}, {}), shows_progress=shows_progress, stays=True)
    life = Life(on_stop=lambda: None)
    view.follow(life, has_sample=True)
    life.on_step("starting PostgreSQL")
    life.on_ready(ready)
    life.on_step("starting Valkey")
    view.show_ready()


def test_start_view_whose_reader_has_gone_goes_on() -> None:
    script = (
        "from deepoj.cli.start_view import StartView; from deepoj.config.loader import load\n"
        "view = StartView(load({'embedded': True}, {}), shows_progress=False, stays=True)\n"
        "view.out.print('first'); view.out.print('second')\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_start_view_in_a_pipe_frames_the_warning_of_weak_isolation(capsys: pytest.CaptureFixture[str]) -> None:
    started(WEAK, shows_progress=False)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("+- Isolation: weak -")
    assert "| Submitted programs are contained less well here: let no strangers submit." in lines[1]
    assert "| - there is no user namespace" in lines[2]
    assert any("doctor` says what is missing for a stronger level" in line for line in lines)
    assert lines[-2] == "Deep-OJ is up at http://127.0.0.1:18080 (API: /api/v1, described at /docs)."
    assert lines[-1].startswith("Ctrl-C stops it")
    assert "ADMIN_REGISTRATION" not in out  # the log has the warnings of the settings
    assert err == ""


def test_start_view_with_progress_shows_steps_until_the_node_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    started(Ready(address=None, isolation=Isolation.FULL, reasons=("cgroup v2",)), shows_progress=True)
    out, err = capsys.readouterr()
    assert "starting PostgreSQL" in err
    assert "the node is up" in err
    assert "Valkey" not in err
    assert out.startswith("Isolation: full; cgroup v2.")
    assert "The first to register as admin is administrator: set ADMIN_REGISTRATION=closed.\n" in out
    assert "Deep-OJ is up" not in out
