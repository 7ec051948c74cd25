"""The bundled sample is a good package, the same one every time, and its program is right."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deepoj import sample
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.judging.packages import UnzipLimits, check_upload
from deepoj.judging.problem import Plan


def test_the_package_is_good_and_stable(tmp_path: Path) -> None:
    path = tmp_path / "sample.zip"
    path.write_bytes(sample.package())
    package = check_upload(path, UnzipLimits())
    assert isinstance(package, Plan)
    assert [case.name for case in package.cases] == ["1", "2", "3", "4", "5"]
    assert sample.package() == sample.package()
    assert sample.package_hash() == sample.package_hash(path.read_bytes())
    assert sample.statement().startswith("# A+B")


def test_the_program_is_right(tmp_path: Path) -> None:
    language = LANGUAGES[sample.LANGUAGE]
    (tmp_path / language.source_name).write_text(sample.accepted_source())
    argv = language.compile_argv(Toolchain())
    assert argv is not None
    subprocess.run(argv, cwd=tmp_path, env=dict(language.compile_env), check=True, timeout=120)
    cases = Path(sample.__file__).parent / "cases"
    for case in sorted(cases.glob("*.in")):
        with case.open("rb") as stdin:
            done = subprocess.run([tmp_path / "main"], stdin=stdin, capture_output=True, check=True, timeout=60)
        assert done.stdout == case.with_suffix(".out").read_bytes()
