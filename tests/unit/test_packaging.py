"""What a wheel carries beside the modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deepoj.judging.canaries import PROGRAMS

CANARY_PROGRAMS = "deepoj/judging/canaries/programs/*"
ROOT = Path(__file__).parents[2]


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
    assert list((package / "sample" / "cases").iterdir())
    assert (package / "sample" / "accepted.cpp").exists()
    programs = {f"deepoj/judging/canaries/programs/{name}" for name in PROGRAMS}
    assert programs == {str(path.relative_to(tmp_path / "lib")) for path in (tmp_path / "lib").glob(CANARY_PROGRAMS)}
    # what a source distribution carries
    assert programs <= set(next(tmp_path.glob("*.egg-info/SOURCES.txt")).read_text().splitlines())
