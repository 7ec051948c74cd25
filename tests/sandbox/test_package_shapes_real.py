"""Small packages of every format, each of another shape, through ``deepoj problem verify``.

Every submission gets the verdict that its folder promises. Shapes that are refused are in ``tests/unit/packages``.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deepoj import cli
from tests.logs import logs_put_back

#: output of a submission, for any input
SAYS = "import sys\nsys.stdout.write({!r})\n"
ECHO = "import sys\nsys.stdout.write(sys.stdin.read())\n"
READS_LINES = "import sys\nprint(repr(sys.stdin.buffer.read()))\n"


@dataclass(frozen=True)
class Shape:
    """A package, and its submissions by folder: each in Python, or a file's name and its text."""

    files: Mapping[str, str | bytes]
    submissions: Mapping[str, str | tuple[str, str]]
    links: Mapping[str, str] = field(default_factory=dict)
    #: words of a sentence that tells the setter of something
    note: str = ""


def kattis(answer: str = "49\n", **problem: str) -> dict[str, str | bytes]:
    text = "".join(f"{key}: {value}\n" for key, value in problem.items())
    return {"problem.yaml": "name: shape\n" + text, "data/secret/1.in": "7\n", "data/secret/1.ans": answer}


def dmoj(answer: str | bytes, told: str, *, read: str | bytes = "7\n") -> dict[str, str | bytes]:
    return {"init.yml": "test_cases: [{in: 1.in, out: 1.out, points: 10}]\n" + told, "1.in": read, "1.out": answer}


#: of ICPC/Kattis: accepts the square of the input
VALIDATOR = """import sys
given = int(open(sys.argv[1]).read())
said = sys.stdin.read().split()
sys.exit(42 if said == [str(given * given)] else 43)
"""
SQUARE_RIGHT, SQUARE_WRONG = "print(int(input()) ** 2)\n", "print(0)\n"
SQUARES = {"accepted/a.py": SQUARE_RIGHT, "wrong_answer/a.py": SQUARE_WRONG}
#: of testlib: gives POINTS to an output that is one too small
GIVES_POINTS = """#include "testlib.h"
int main(int argc, char** argv) {
    registerTestlibCmd(argc, argv);
    int wanted = ans.readInt(), said = ouf.readInt();
    if (said == wanted - 1 && wanted == 49) quitp(POINTS, "almost");
    quitf(said == wanted ? _ok : _wa, "%d", said);
}
"""
#: plain: accepts what the answer file holds, by the order of its arguments
PLAIN_CPP = """#include <fstream>
#include <string>
#include <cstdio>
std::string word(const char* name) { std::ifstream in(name); std::string word; in >> word; return word; }
int main(int, char** argv) {
#ifdef STRICT
    return word(argv[SAID]) == word(argv[WANTED]) ? 0 : 1;
#else
    return 0;
#endif
}
"""
RUN_IN_PYTHON = '#!/bin/sh\ncd "$(dirname "$0")"\nexec python3 entry.py "$@"\n'
MAKEFILE = "run: check.c helper.h\n\tcc -o run check.c\n"
CHECK_C = """#include <stdio.h>
#include "helper.h"
int main(int argc, char** argv) {
    long given, said;
    FILE* in = fopen(argv[1], "r");
    if (in == NULL || fscanf(in, "%ld", &given) != 1) return 1;
    return scanf("%ld", &said) == 1 && said == given * given ? ACCEPT : 43;
}
"""
POLYGON = """<problem short-name="shape"><names><name language="english" value="Shape"/></names>
<judging input-file="" output-file="" run-count="1"><testset name="tests"><time-limit>2000</time-limit>
<memory-limit>268435456</memory-limit><test-count>1</test-count>
<input-path-pattern>tests/%02d</input-path-pattern><answer-path-pattern>tests/%02d.a</answer-path-pattern>
<tests><test method="manual"/></tests></testset></judging>
<assets><checker name="std::{checker}.cpp" type="testlib"/>
<solutions><solution tag="main"><source path="solutions/a.py" type="python.3"/></solution>
<solution tag="wrong-answer"><source path="solutions/b.py" type="python.3"/></solution></solutions></assets></problem>
"""


def polygon(checker: str, answer: str, right: str, wrong: str) -> dict[str, str | bytes]:
    return {
        "problem.xml": POLYGON.replace("{checker}", checker),
        "tests/01": "7\n",
        "tests/01.a": answer,
        "solutions/a.py": right,
        "solutions/b.py": wrong,
    }


SHAPES: Mapping[str, Shape] = {
    "kattis-build-with-makefile": Shape(
        {
            **kattis(validation="custom"),
            "output_validators/v/build": "#!/bin/sh\nset -e\nmake --silent\n",
            "output_validators/v/Makefile": MAKEFILE,
            "output_validators/v/check.c": CHECK_C,
            "output_validators/v/helper.h": "#define ACCEPT 42\n",
        },
        SQUARES,
    ),
    "kattis-java-packages-beside": Shape(
        {
            **kattis(),
            "include/java/unsigned/Num.java": "package unsigned;\nimport unsigned.inner.Square;\n"
            "public class Num { public static int of(int n) { return Square.of(n); } }\n",
            "include/java/unsigned/inner/Square.java": "package unsigned.inner;\n"
            "public class Square { public static int of(int n) { return n * n; } }\n",
        },
        {
            "accepted/Uses.java": "import unsigned.Num;\n"
            "public class Uses { public static void main(String[] words) {\n"
            "System.out.println(Num.of(new java.util.Scanner(System.in).nextInt())); } }\n",
            "wrong_answer/Wrong.java": "public class Wrong { public static void main(String[] words) {\n"
            "System.out.println(unsigned.Num.of(8)); } }\n",
        },
    ),
    "kattis-run-with-a-module-beside": Shape(
        {
            **kattis(validation="custom"),
            "output_validators/v/run": RUN_IN_PYTHON,
            "output_validators/v/entry.py": "import helper\nhelper.main()\n",
            "output_validators/v/helper.py": "def main():\n" + textwrap.indent(VALIDATOR, "    "),
        },
        SQUARES,
    ),
    "kattis-build-that-names-macros": Shape(
        {
            **kattis(validation="custom"),
            "output_validators/v/build": "#!/bin/bash\ngcc -DACCEPT=42 -o run check.c\n",
            "output_validators/v/check.c": CHECK_C,
            "output_validators/v/helper.h": "",
        },
        SQUARES,
    ),
    "kattis-build-that-writes-run": Shape(
        {
            **kattis(validation="custom"),
            "output_validators/v/build": "printf '#!/bin/sh\\nexec python3 %s/v.py \"$@\"\\n' '$(dirname $0)' > run\n",
            "output_validators/v/v.py": VALIDATOR,
        },
        SQUARES,
    ),
    "kattis-input-validator-with-build": Shape(
        {
            **kattis(),
            "input_validators/v/build": "#!/bin/sh\ncp v.sh run\n",
            "input_validators/v/v.sh": "#!/bin/sh\nread x && [ \"$x\" = 7 ] && exit 42\nexit 1\n",
        },
        SQUARES,
    ),
    "kattis-interactive-with-run": Shape(
        {
            **kattis(validation="custom interactive"),
            "output_validators/v/run": RUN_IN_PYTHON,
            "output_validators/v/entry.py": (
                "import sys\ngiven = open(sys.argv[1]).read()\nprint(given, flush=True)\n"
                "said = sys.stdin.readline().split()\nsys.exit(42 if said == [str(int(given) ** 2)] else 43)\n"
            ),
        },
        SQUARES,
    ),
    "kattis-samples-alone": Shape(
        {"problem.yaml": "name: x\n", "data/sample/1.in": "7\n", "data/sample/1.ans": "49\n"},
        SQUARES,
        note="no secret tests",
    ),
    "kattis-secret-tests-that-are-links": Shape(
        {"problem.yaml": "name: x\n", "data/sample/1.in": "7\n", "data/sample/1.ans": "49\n"},
        SQUARES,
        links={"data/secret": "sample"},
    ),
    "kattis-link-that-leads-out": Shape(kattis(), SQUARES, links={"attachments/etc": "/etc"}, note="leads out"),
    "kattis-validator-that-is-a-link": Shape(
        {**kattis(validation="custom"), "shared/v.py": VALIDATOR},
        SQUARES,
        links={"output_validators/v.py": "../shared/v.py"},
    ),
    "kattis-name-with-a-backslash": Shape({**kattis(), "data/secret/a\\b.png": "x"}, SQUARES, note="backslash"),
    "kattis-flags-of-a-group": Shape(
        {**kattis("0.5\n"), "data/secret/testdata.yaml": "output_validator_flags: float_tolerance 1e-2\n"},
        {"accepted/a.py": SAYS.format("0.501\n"), "wrong_answer/a.py": SAYS.format("0.52\n")},
    ),
    "kattis-constants-in-a-validator": Shape(
        {
            **kattis(problem_format_version="2025-09", constants="{accept: 42}"),
            "output_validator/v.py": VALIDATOR.replace("42", "{{accept}}"),
        },
        SQUARES,
    ),
    "kattis-arguments-of-a-test": Shape(
        {**kattis(problem_format_version="2023-07-draft"), "data/secret/1.yaml": "args: ['49']\nhint: none\n"},
        {"accepted/a.py": "import sys\nprint(sys.argv[1])\n", "wrong_answer/a.py": SQUARE_WRONG},
    ),
    "kattis-limits-of-domjudge": Shape(
        {**kattis(), "domjudge-problem.ini": "timelimit='2'\ncolor='#fff'\nprobid=A\n"}, SQUARES
    ),
    "dmoj-flags-of-a-checker": Shape(
        {
            **dmoj("49\n", "checker: {name: bridged, args: {files: c.cpp, lang: CPP17,"
                           " flags: [-DSTRICT, -DSAID=2, -DWANTED=3]}}\n"),
            "c.cpp": PLAIN_CPP,
        },
        SQUARES,
    ),
    "dmoj-order-of-arguments": Shape(
        {
            **dmoj("49\n", "checker: {name: bridged, args: {files: c.cpp, lang: CPP17,"
                           " args_format_string: '{answer_file} {input_file} {output_file}',"
                           " flags: [-DSTRICT, -DSAID=3, -DWANTED=1]}}\n"),
            "c.cpp": PLAIN_CPP,
        },
        SQUARES,
    ),
    "dmoj-peg": Shape(
        {
            **dmoj("49\n", "checker: {name: bridged, args: {files: c.py, lang: PY3, type: peg}}\n"),
            "c.py": "import sys\nsaid = open(sys.argv[2]).read()\nif open(sys.argv[3]).read() != '7\\n': sys.exit(9)\n"
                    "if said == open(sys.argv[1]).read(): sys.exit(0)\n"
                    "if said == 'half\\n': print('5\\n10')\nif said == 'half\\n': sys.exit(0)\n"
                    "if said == 'quarter\\n': print('2.5\\n10')\nsys.exit(1)\n",
        },
        {
            **SQUARES,
            "partially_accepted/half.py": "# @EXPECTED_SCORE@: 5\n" + SAYS.format("half\n"),
            "partially_accepted/quarter.py": "# @EXPECTED_SCORE@: 2.5\n" + SAYS.format("quarter\n"),
        },
    ),
    "dmoj-coci": Shape(
        {
            **dmoj("49\n", "checker: {name: bridged, args: {files: c.py, lang: PY3, type: coci}}\n"),
            "c.py": "import sys\nsaid = open(sys.argv[2]).read()\nif said == open(sys.argv[3]).read(): sys.exit(0)\n"
                    "if said == 'half\\n':\n    print('partial 1/2', file=sys.stderr)\n    sys.exit(7)\nsys.exit(1)\n",
        },
        {**SQUARES, "partially_accepted/a.py": "# @EXPECTED_SCORE@: 5\n" + SAYS.format("half\n")},
    ),
    "dmoj-floats-by-line": Shape(
        dmoj("1.0 2\n3\n", "checker: floats\n"),
        {
            "accepted/a.py": SAYS.format("1.0000001  2\n\n3"),
            "wrong_answer/lines.py": SAYS.format("1\n2 3\n"),
            "wrong_answer/far.py": SAYS.format("1.001 2\n3\n"),
        },
    ),
    "dmoj-floats-nan": Shape(dmoj("nan\n", "checker: floats\n"), {"wrong_answer/a.py": SAYS.format("nan\n")}),
    "hydro-testlib": Shape(
        {
            "problem.yaml": "title: Squares\n",
            "testdata/config.yaml": "checker_type: testlib\nchecker: chk.cc\n"
                                    "cases: [{input: 1.in, output: 1.out}]\n",
            "testdata/1.in": "7\n", "testdata/1.out": "49\n", "testdata/chk.cc": GIVES_POINTS.replace("POINTS", "60"),
        },
        {**SQUARES, "partially_accepted/a.py": "# @EXPECTED_SCORE@: 60\n" + SAYS.format("48\n")},
    ),
    "hydro-best-test-of-a-subtask": Shape(
        {
            "problem.yaml": "title: Echo\n",
            "testdata/config.yaml": "subtasks:\n"
                                    "  - {type: max, score: 40, cases: [{input: 1.in, output: 1.out},"
                                    " {input: 2.in, output: 2.out}]}\n"
                                    "  - {type: min, cases: [{input: 3.in, output: 3.out}]}\n",
            **{f"testdata/{number}.{end}": f"{number}\n" for number in (1, 2, 3) for end in ("in", "out")},
        },
        {
            "accepted/a.py": ECHO,
            "partially_accepted/one.py": "# @EXPECTED_SCORE@: 40\n" + SAYS.format("2  \n\n"),
            "partially_accepted/other.py": "# @EXPECTED_SCORE@: 60\n" + SAYS.format("3\n"),
            "wrong_answer/a.py": SAYS.format("4\n"),
        },
    ),
    "uoj-shares": Shape(
        {
            "problem.conf": "use_builtin_judger on\nn_tests 2\nn_ex_tests 1\nn_sample_tests 1\ninput_pre a\n"
                            "input_suf in\noutput_pre a\noutput_suf out\ntime_limit 1\nmemory_limit 128\n",
            "a1.in": "7\n", "a1.out": "49\n", "a2.in": "3\n", "a2.out": "9\n", "ex_a1.in": "1\n", "ex_a1.out": "1\n",
            "chk.cpp": GIVES_POINTS.replace("POINTS", "0.6"),
        },
        {**SQUARES, "partially_accepted/a.py": "# @EXPECTED_SCORE@: 30\n" + SAYS.format("48\n")},
    ),
    "cms-comparator": Shape(
        {
            "task.yaml": "name: s\ntitle: S\ntime_limit: 1\nmemory_limit: 128\ninfile: ''\noutfile: ''\n",
            "gen/GEN": "#ST: 0\n1\n#ST: 100\n2\n", "input/input0.txt": "1\n", "output/output0.txt": "1\n",
            "input/input1.txt": "7\n", "output/output1.txt": "49\n",
            "check/checker.py": "import sys\nwanted, said = (open(name).read().split() for name in sys.argv[2:4])\n"
                                "print(1.0 if wanted == said else 0.25 if said == ['48'] else 0)\n",
        },
        {**SQUARES, "partially_accepted/a.py": "# @EXPECTED_SCORE@: 25\n" + SAYS.format("48\n")},
    ),
    "cms-white-diff": Shape(
        {
            "task.yaml": "name: s\ntitle: S\ntime_limit: 1\nmemory_limit: 128\ninfile: ''\noutfile: ''\nn_input: 1\n",
            "input/input0.txt": "7\n", "output/output0.txt": "1 2\n3\n",
        },
        {
            "accepted/a.py": SAYS.format(" 1  2 \n3\n\n \n"),
            "wrong_answer/line.py": SAYS.format("1\n2 3\n"),
            "wrong_answer/empty.py": SAYS.format("1 2\n\n3\n"),
        },
    ),
    "luogu": Shape(
        {
            "config.yml": "a.in: {timeLimit: 1000, memoryLimit: 131072, score: 40, subtaskId: 1}\n"
                          "b.in: {timeLimit: 1000, memoryLimit: 131072, score: 60, subtaskId: 2}\n",
            "a.in": "7\n", "a.out": "7\n", "b.in": "8\n", "b.out": "8\n",
        },
        {"accepted/a.py": ECHO, "partially_accepted/a.py": "# @EXPECTED_SCORE@: 60\n" + SAYS.format("8 \n")},
    ),
    "dmoj-linecount": Shape(
        dmoj("1\n2\n3\n4\n", "checker: linecount\n"),
        {
            "accepted/a.py": SAYS.format(" 1\n2\r\n\n3 \n4"),
            "partially_accepted/a.py": "# @EXPECTED_SCORE@: 7.5\n" + SAYS.format("1\n2\nx\n4\n"),
            "partially_accepted/short.py": "# @EXPECTED_SCORE@: 5\n" + SAYS.format("1\n2\n"),
            "wrong_answer/many.py": SAYS.format("1\n2\n3\n4\n5\n"),
        },
        note="gets no points",
    ),
    "dmoj-easy": Shape(
        dmoj("Ab c\n", "checker: easy\n"),
        {"accepted/a.py": SAYS.format("c\nB a"), "wrong_answer/a.py": SAYS.format("a b c c")},
    ),
    "dmoj-sorted": Shape(
        dmoj("a b\nc\n", "checker: sorted\n"),
        {"accepted/a.py": SAYS.format("c\na  b\n"), "wrong_answer/a.py": SAYS.format("c\nb a\n")},
    ),
    "dmoj-rstripped": Shape(
        dmoj("a\n\nb\n", "checker: rstripped\n"),
        {"accepted/a.py": SAYS.format("a  \n\t\nb\n"), "wrong_answer/a.py": SAYS.format("a\nb\n")},
    ),
    "dmoj-line-ends-of-windows": Shape(
        dmoj("b'1\\n2\\n'\n", "", read=b"1\r\n2"), {"accepted/a.py": READS_LINES, "wrong_answer/a.py": ECHO}
    ),
    "dmoj-binary-tests": Shape(
        dmoj("b'1\\r\\n2'\n", "binary_data: true\n", read=b"1\r\n2"),
        {"accepted/a.py": READS_LINES, "wrong_answer/a.py": ECHO},
    ),
    "dmoj-output-limit": Shape(
        dmoj("49\n", "output_limit_length: 1000000\n"),
        {**SQUARES, "output_limit_exceeded/a.py": "print('x' * 3_000_000)\n"},
    ),
    "dmoj-inherited-answer": Shape(
        {"init.yml": "out: 1.out\npoints: 3\ntest_cases: [{in: 1.in}, {in: 2.in}]\n", "1.in": "7\n", "2.in": "-7\n",
         "1.out": "49\n"},
        SQUARES,
    ),
    "polygon-words": Shape(polygon("wcmp", "49\n", SQUARE_RIGHT, SQUARE_WRONG), {}),
    "polygon-yesno": Shape(polygon("yesno", "YES\n", "print('yes')\n", "print('no')\n"), {}),
    "polygon-tests-of-windows": Shape(
        {**polygon("wcmp", "b'7\\n'\r\n", READS_LINES, SQUARE_WRONG), "tests/01": b"7\r\n", "check.exe": b"MZ"}, {}
    ),
    "own-links-and-backslashes": Shape(
        {"1.in": "7\n", "1.out": "49\n", "a\\b": ""}, SQUARES, {"2.in": "1.in", "2.out": "1.out"}, "backslash"
    ),
    "own-key-that-yaml-takes-for-false": Shape(
        {"1.in": "7\n", "1.out": "49\n", "deepoj.yaml": "title: 1:30\nlimits: {time_ms: 2000}\n"}, SQUARES
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilers beside other parts of the suite take their time by the clock."""
    monkeypatch.setenv("DEEPOJ_COMPILE_REAL_TIME_LIMIT_S", "100")


def lay_out(shape: Shape, home: Path) -> None:
    submissions = {f"submissions/{name}": text for name, text in shape.submissions.items()}
    for name, text in {**shape.files, **submissions}.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else str(text).encode())
    for name, target in shape.links.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).symlink_to(target)


@pytest.mark.parametrize("name", SHAPES)
def test_every_submission_of_a_shape_keeps_its_promise(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = SHAPES[name]
    lay_out(shape, tmp_path)
    with logs_put_back():
        code = cli.run(["problem", "verify", str(tmp_path), "--json", "--time-limit", "5000", "--memory-limit", "256"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [case["status"] for case in told["cases"]] == ["ok"] * (len(shape.submissions) or 2), told
    assert (code, told["inputs"]["faults"]) == (0, []), told
    assert any(shape.note in sentence for sentence in told["unsupported"]) or not shape.note, told["unsupported"]
