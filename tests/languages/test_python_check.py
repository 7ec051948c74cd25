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


PYTHON2 = {
    "print statement": b'n = int(input())\nprint "%d" % n\n',
    "print of a name": b"n = 1\nif n: print n\n",
    "print to a file": b'import sys\nprint >>sys.stderr, "x"\nprint >>sys.stderr, "a" "b", 1 2\n',
    "except": b"try:\n    x = 1\nexcept ValueError, error:\n    pass\n",
    "except of a dotted name": b"try:\n    x = 1 1\nexcept (a.B, C), error:\n    pass\nraise E, 'x'\n",
    "exec": b'exec "x = 1"\n',
    "raw_input, and tabs mixed with spaces": b"for i in xrange(int(raw_input())):\n        a = i\n\tb = i\n",
    "long number": b"x = 10L\n",
    "unequal": b"if 1 <> 2: x = 1\n",
    "backticks": b"x = `1`\n",
}
PYTHON3 = {
    "syntax": b"x = (1 +\ny = 2\n",
    "old names for new ones": b"raw_input = input\nxrange = range\nfor i in xrange(int(raw_input())) print(i)\n",
    "a comment and a text": b'# print "x" in xrange(raw_input())\ny = "raw_input() <> `"\nx = 1 1\n',
    "print as a function": b"print('x' 1 1)\n",
    "runs, but fails": b"print(raw_input())\n",
}


@pytest.mark.parametrize("key", [key for key in ("python3", "pypy3") if key in KEYS])
@pytest.mark.parametrize("name", [*PYTHON2, *PYTHON3])
def test_a_source_in_python_2_that_does_not_compile_is_named(name: str, key: str, tmp_path: Path) -> None:
    language = LANGUAGES[key]
    argv = language.compile_argv(Toolchain())
    assert argv is not None
    (tmp_path / "main.py").write_bytes((PYTHON2 | PYTHON3)[name])

    checked = _run(argv, tmp_path, language.compile_env)

    first, _, rest = checked.stderr.partition(b"\n")
    assert first.startswith(b"This looks like Python 2. This judge runs Python 3.") is (name in PYTHON2), checked.stderr
    assert (checked.returncode != 0) is (name != "runs, but fails")
    if name in PYTHON2:
        assert b"Error: " in rest, "the compiler's message is there, too"


def _run(argv: tuple[str, ...], cwd: Path, env: tuple[tuple[str, str], ...]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=cwd, env=dict(env), capture_output=True, timeout=120, check=False)
