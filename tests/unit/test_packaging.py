"""What a wheel carries beside the modules."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from deepoj.judging.canaries import PROGRAMS
from deploy import testlib_header

CANARY_PROGRAMS = "deepoj/judging/canaries/programs/*"
TESTLIB = "judging/testlib/testlib.h"
ROOT = Path(__file__).parents[2]
PAGES = ROOT / "deepoj" / "web"


def test_a_wheel_carries_the_sql_the_sample_and_the_canaries(tmp_path: Path) -> None:
    """An installed node must find its migrations and queries without a checkout."""
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path / "lib")]
    made = subprocess.run(
        [*build, "egg_info", "--egg-base", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    package = tmp_path / "lib" / "deepoj"
    in_checkout = {path.relative_to(ROOT / "sql") for path in (ROOT / "sql").rglob("*.sql")}
    assert in_checkout
    assert {path.relative_to(package / "_sql") for path in (package / "_sql").rglob("*.sql")} == in_checkout
    assert {path.name for path in (package / "_docs").iterdir()} == {"runbook.md", "runbook.zh.md"}
    assert list((package / "sample" / "cases").iterdir())
    assert (package / "sample" / "accepted.cpp").exists()
    assert sha256((package / TESTLIB).read_bytes()).hexdigest() == testlib_header.DIGEST
    static = {path.relative_to(PAGES) for path in PAGES.rglob("*") if path.parent.name == "static"}
    assert static, "the build of this checkout made them"
    assert static <= {path.relative_to(package / "web") for path in (package / "web").rglob("*")}
    assert not (package / "web" / "assets").exists()
    assert "MIT licence" in (package / TESTLIB).with_name("NOTICE.txt").read_text()
    programs = {f"deepoj/judging/canaries/programs/{name}" for name in PROGRAMS}
    assert programs == {str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").glob(CANARY_PROGRAMS)}
    # what a source distribution carries
    carried = {*programs, f"deepoj/{TESTLIB}", "deploy/testlib_header.py", "deploy/locks/testlib.txt"}
    carried |= {"deploy/web_assets.py", "deploy/locks/web.txt", "deepoj/web/assets/package-lock.json"}
    carried |= {f"deepoj/web/{name}" for name in static} | {"deploy/runbook.md", "deploy/runbook.zh.md"}
    assert carried <= set(next(tmp_path.glob("*.egg-info/SOURCES.txt")).read_text().splitlines())


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip takes packages from, and nowhere else; one is there."""
    made = tmp_path / "shelf"
    made.mkdir()
    with zipfile.ZipFile(made / "rbx_cp-2.3.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr(testlib_header.MEMBER, "// another file")
        wheel.writestr("rbx_cp-2.3.3.dist-info/METADATA", "Metadata-Version: 2.1\nName: rbx-cp\nVersion: 2.3.3\n")
        wheel.writestr("rbx_cp-2.3.3.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("rbx_cp-2.3.3.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return made


def test_testlib_of_a_wheel_that_is_not_locked_is_not_taken(shelf: Path, tmp_path: Path) -> None:
    target = tmp_path / "testlib.h"

    refused = testlib_header.fetch(target)
    assert refused.startswith("testlib.h could not be downloaded with testlib.txt: ")

    digest = sha256(next(shelf.iterdir()).read_bytes()).hexdigest()
    (tmp_path / "lock.txt").write_text(f"rbx-cp==2.3.3 --hash=sha256:{digest}\n")
    other = testlib_header.fetch(target, tmp_path / "lock.txt")
    assert other.startswith("testlib.h could not be taken from the wheel: it is not the file")

    next(shelf.iterdir()).unlink()
    assert testlib_header.fetch(target).startswith("testlib.h could not be downloaded with testlib.txt: ")
    assert not target.exists()


def test_testlib_that_is_there_is_not_fetched_again(shelf: Path) -> None:
    assert testlib_header.fetch() == "", "the build of this checkout took it"
    next(shelf.iterdir()).unlink()
    assert testlib_header.fetch() == ""
