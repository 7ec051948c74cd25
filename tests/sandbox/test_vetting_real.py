"""Programs of packages compiled at their upload, in the real sandbox and by the real compilers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import trio

from deepoj.adapters.sandbox import box
from deepoj.adapters.sandbox.preflight import settle
from deepoj.adapters.toolchain import versions
from deepoj.config.loader import load
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.observe import Metrics
from deepoj.packages.formats import PackageFault, check_upload
from deepoj.packages.vetting import NO_SANDBOX, Vetted, Vetting
from deepoj.wiring import vetting as wiring
from deepoj.words.sandbox import Isolation
from tests import host
from tests.fakes.settings import unzip_limits

GOOD = '#include "testlib.h"\nint main(int c, char** v) { registerTestlibCmd(c, v); quitf(_ok, "fine"); }\n'
FOLDERS = {"1.in": "1\n", "1.out": "1\n"}


def package(path: Path, source: str, name: str = "check.cpp") -> Path:
    with zipfile.ZipFile(path / "package.zip", "w") as archive:
        for file, text in {**FOLDERS, "deepoj.yaml": f"checker: {{files: [{name}]}}", name: source}.items():
            archive.writestr(file, text)
    return path / "package.zip"


async def look(path: Path, vetting: Vetting) -> PackageFault | Vetted:
    plan = await trio.to_thread.run_sync(check_upload, path, unzip_limits())
    assert not isinstance(plan, PackageFault), plan
    found = await vetting(path, plan)
    assert not [*vetting.workdir.iterdir()], "the room is gone"
    return found


@pytest.fixture
def vetting(tmp_path: Path) -> Vetting:
    """Of a node that judges nothing: each look has a box of its own."""
    return vetting_with(tmp_path, host.asked())


def vetting_with(tmp_path: Path, least: Isolation) -> Vetting:
    cfg = load(
        environ={
            "DEEPOJ_HOME": str(tmp_path / "home"), "WORKSPACE": str(tmp_path / "work"), "SANDBOX_MIN_ISOLATION": least,
            "DEEPOJ_COMPILE_REAL_TIME_LIMIT_S": "100",
        }
    )  # fmt: skip
    there = versions((LANGUAGES[key] for key in ("cpp20", "python3", "java")), Toolchain(), has_proc=True)
    assert len(there) == 3
    return wiring.vetting_of(cfg, there, Metrics(), compiler=None, workdir=tmp_path / "rooms")


@pytest.mark.parametrize(
    "source", ["int main() {}\n", pytest.param(GOOD, marks=pytest.mark.full)], ids=["plain", "testlib"]
)
async def test_a_good_one(tmp_path: Path, vetting: Vetting, source: str) -> None:
    assert await look(package(tmp_path, source), vetting) == Vetted()


@pytest.mark.parametrize(
    ("name", "source", "says"),
    [
        ("check.cpp", GOOD.replace('"fine"', '"fine'), "check.cpp:2:"),
        ("check.cpp", '#include "nothing/of/this.h"\n', "nothing/of/this.h"),
        ("check.cpp", '#include "/etc/passwd"\nint main() {}\n', "/etc/passwd"),
        ("check.cpp", '#include "/dev/zero"\n', "/dev/zero"),
        ("check.py", "import sys\nsys.exit(0\n", "check.py"),
        pytest.param("check.java", "class Check { int x = y; }\n", "y", marks=pytest.mark.needs(host.PROC)),
    ],
)
async def test_one_that_does_not_compile(tmp_path: Path, vetting: Vetting, name: str, source: str, says: str) -> None:
    found = await look(package(tmp_path, source, name), vetting)
    assert isinstance(found, PackageFault), found
    assert found.file == name
    assert found.sentence.startswith(f"The checker '{name}' does not compile (")
    assert says in found.sentence
    assert "/root" not in found.sentence, "the file is the sandbox's own, not the host's"


async def test_a_host_with_too_little_isolation_compiles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setter's word for it is not taken, and no compiler is run outside of the sandbox."""
    monkeypatch.setattr(box, "settle", lambda setting, _at_most: settle(setting, Isolation.NAMESPACES))
    vetting = vetting_with(tmp_path, Isolation.FULL)
    assert await look(package(tmp_path, "int main() { return x; }\n"), vetting) == NO_SANDBOX
