"""The check of Python's syntax says and returns what ``py_compile`` does, which takes three times as long to start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.judging.sources import with_sources
from tests.languages.test_languages import KEYS

#: the second file of each
PYTHON_SOURCES = {
    "right": b"print(sum(map(int, input().split())))\n",
    "empty": b"",
    "syntax": b"x = (1 +\ny = 2\n",
    "caret": "Größe = 1 1\n".encode(),
    "indentation": b"if 1:\nprint(1)\n",
    "tabs": b"if 1:\n        a = 1\n\tb = 2\n",
    "outside a function": b"x = 1\nreturn x\n",
    "assigned before global": b"def f():\n    x = 1\n    global x\n",
    "null byte": b"x = 1\0\n",
    "no utf-8": b"x = '\xff'\n",
    "unknown encoding": b"# coding: klingon\nx = 1\n",
    "declared latin-1": b"# coding: latin-1\nx = '\xff' 1\n",
    "byte order mark": b"\xef\xbb\xbfx = 1 1\n",
    "long number": b"x = " + b"1" * 5000 + b"\n",
    "too many brackets": b"(" * 300 + b")" * 300 + b"\n",
    "too deep": b"x = " + b"-" * 20_000 + b"1\n",
    "too deep a sum": b"x = " + b"+".join([b"y"] * 20_000) + b"\n",
    "warning": b"import re\nx = re.compile('\\d')\nassert (x, 'always')\n",
    "warning, then an error": b"x = '\\d'\nprint(x is 1)\ny = 1 1\n",
}


@pytest.mark.parametrize("key", [key for key in ("python3", "pypy3") if key in KEYS])
@pytest.mark.parametrize("name", PYTHON_SOURCES)
def test_the_check_prints_what_py_compile_prints(name: str, key: str, tmp_path: Path) -> None:
    language = LANGUAGES[key]
    argv = language.compile_argv(Toolchain())
    assert argv is not None
    (tmp_path / "main.py").write_bytes(b"import second\n")
    (tmp_path / "second.py").write_bytes(PYTHON_SOURCES[name])
    sources = ("main.py", "second.py")

    checked = _run(with_sources(argv, language.source_name, sources), tmp_path, language.compile_env)
    compiled = _run((argv[0], "-I", "-S", "-m", "py_compile", *sources), tmp_path, language.compile_env)

    assert checked.returncode == compiled.returncode
    assert (checked.stdout, checked.stderr) == (compiled.stdout, compiled.stderr)


def _run(argv: tuple[str, ...], cwd: Path, env: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, timeout=120, check=False)
