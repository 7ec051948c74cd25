"""A program gets the same verdict however it is sent: as text, as files, as an archive, in a package, as a custom run,
and to ``deepoj judge``. Programs add two numbers, or are refused by their compiler."""

# ruff: noqa: E501 - programs stand in one line each

from __future__ import annotations

import base64
import faulthandler
import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest
import trio

from deepoj import cli
from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.sources import received_sources
from deepoj.execution.compiling import Compiler
from deepoj.execution.toolchain_cache import ToolchainCache
from deepoj.judging.languages import LANGUAGES
from deepoj.observe import Metrics
from deepoj.pipeline.judge import judge
from deepoj.playground.attempt import run_custom
from deepoj.words.playground import CustomClaim, CustomReport
from deepoj.words.results import Report
from deepoj.words.sources import Sources
from tests.fakes.attempts import attempt_context
from tests.fakes.settings import judge_settings
from tests.fakes.testdata import PlainTestData
from tests.languages.test_languages import ALL, FIXED
from tests.logs import logs_put_back
from tests.sandbox.bench import open_box
from tests.unit.makers import a_claim, a_problem

AC, CE = "Accepted", "Compile Error"
SETTINGS = judge_settings(compile_cpu_ms=60_000, compile_wall_ms=240_000)
_JAVA = (
    "public static void main(String[] a) { var in = new java.util.Scanner(System.in);"
    " System.out.println(in.nextInt() + in.nextInt()); }"
)
_SCALA = 'val Array(a, b) = scala.io.StdIn.readLine().split(" ").map(_.toInt); println(a + b)'


@dataclass(frozen=True)
class Row:
    """The entry point stands first."""

    name: str
    language: str
    files: Mapping[str, str]
    verdict: str = AC


ROWS = [
    Row("public class called otherwise", "java", {"a.java": f"public class HelloWorld {{ {_JAVA} }}"}),
    Row("class of other letters", "java", {"a.java": f"public class нет {{ {_JAVA} }}"}),
    Row("class that is not public", "java", {"a.java": f"class Node {{ }}\nclass Solution {{ {_JAVA} }}"}),
    Row("longest name of a class", "java", {"a.java": f"public class {'x' * 249} {{ {_JAVA} }}"}),
    Row("name of a class too long", "java", {"a.java": f"public class {'x' * 300} {{ {_JAVA} }}"}, CE),
    Row("name of letters too long", "java", {"a.java": f"class {'ы' * 200} {{ {_JAVA} }}"}, CE),
    Row("class in a package", "java", {"a.java": f"package a.b; public class P {{ {_JAVA} }}"}),
    Row("record with main", "java", {"a.java": f"public record R(int x) {{ {_JAVA} }}"}),
    Row(
        "two classes with main", "java",
        {"a.java": f"class A {{ public static void main(String[] a) {{ }} }} class Main {{ {_JAVA} }}"},
    ),
    Row(
        "a class that calls main", "java",
        {"a.java": f"class A {{ void main() {{ Start.main(new String[0]); }} }} class Start {{ {_JAVA} }}"},
    ),
    Row("no class with main", "java", {"a.java": "class A { }"}, CE),
    Row("two public classes", "java", {"a.java": f"public class A {{ {_JAVA} }} public class B {{ }}"}, CE),
    Row("escaped words", "java", {"a.java": f"\\u0063lass E {{ {_JAVA} }}"}),
    Row(
        "several files, main class elsewhere called", "java",
        {"Start.java": "class Helper { }\nclass Run { public static void main(String[] a) { Lib.go(); } }",
         "Lib.java": "public class Lib { static void go() { var in = new java.util.Scanner(System.in);"
                     " System.out.println(in.nextInt() + in.nextInt()); } }"},
    ),
    Row(
        "several files, called otherwise than their classes", "java",
        {"one.java": "public class Run { public static void main(String[] a) { Lib.go(); } }",
         "two.java": "public class Lib { static void go() { var in = new java.util.Scanner(System.in);"
                     " System.out.println(in.nextInt() + in.nextInt()); } }"},
    ),
    Row("object that is not Main", "scala", {"a.scala": f"object Solve {{ def main(args: Array[String]): Unit = {{ {_SCALA} }} }}"}),
    Row("object that is an App", "scala", {"a.scala": f"case class P(x: Int)\nobject Sum extends App {{ {_SCALA} }}"}),
    Row(
        "several files of Scala", "scala",
        {"run.scala": "object Run extends App { println(Lib.add(scala.io.StdIn.readLine())) }",
         "lib.scala": "object Lib { def add(line: String) = line.split(\" \").map(_.toInt).sum }"},
    ),
    Row(
        "units beside another entry", "pascal",
        {"solve.pas": "program solve; uses util; var a, b: longint; begin read(a, b); writeln(add(a, b)); end.",
         "util.pas": "unit util; interface function add(a, b: longint): longint; implementation"
                     " function add(a, b: longint): longint; begin add := a + b; end; end."},
    ),
    Row("a program called otherwise", "pascal", {"sum.pas": "program x; var a, b: longint; begin read(a, b); writeln(a + b); end."}),
    Row("sources a file beside it", "bash", {"run.sh": ". ./lib.sh\nread a b\nadd $a $b\n", "lib.sh": "add() { echo $(($1 + $2)); }\n"}),
    Row("sources by the word", "bash", {"run.sh": "source lib.sh\nread a b\nadd $a $b\n", "lib.sh": "add() { echo $(($1 + $2)); }\n"}),
    Row(
        "requires a file beside it", "perl",
        {"run.pl": "use strict; require './lib.pl'; my ($a, $b) = split ' ', <STDIN>; print add($a, $b), \"\\n\";\n",
         "lib.pl": "sub add { return $_[0] + $_[1]; } 1;\n"},
    ),
    Row(
        "requires a file beside it", "lua",
        {"run.lua": "local lib = require('lib')\nprint(lib.add(io.read('n', 'n')))\n",
         "lib.lua": "return { add = function(a, b) return a + b end }\n"},
    ),
    Row(
        "requires a file beside it", "ruby",
        {"run.rb": "require_relative 'lib'\na, b = gets.split.map(&:to_i)\nputs add(a, b)\n", "lib.rb": "def add(a, b) = a + b\n"},
    ),
    Row(
        "requires a file beside it", "php",
        {"run.php": "<?php require 'lib.php'; [$a, $b] = explode(' ', fgets(STDIN)); echo add($a, $b);",
         "lib.php": "<?php function add($a, $b) { return (int)$a + (int)$b; }"},
    ),
    Row(
        "requires a file beside it", "javascript",
        {"run.js": "const { add } = require('./lib.js');\n"
                   "const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\nconsole.log(add(a, b));\n",
         "lib.js": "exports.add = (a, b) => a + b;\n"},
    ),
    Row("called as a module of the library", "python3", {"heapq.py": "import heapq\nprint(heapq.nlargest(1, [sum(map(int, input().split()))])[0])\n"}),
    Row("a module beside it", "python3", {"solve.py": "from util import add\nprint(add(*map(int, input().split())))\n",
                                          "util.py": "def add(a, b):\n    return a + b\n"}),
    Row("a module beside it", "rust", {
        "solve.rs": "mod util;\nfn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap();"
                    " println!(\"{}\", util::add(&s)); }\n",
        "util.rs": "pub fn add(s: &str) -> i64 { s.split_whitespace().map(|x| x.parse::<i64>().unwrap()).sum() }\n"}),
    Row("a file beside it", "go", {
        "solve.go": "package main\nimport \"fmt\"\nfunc main() { var a, b int; fmt.Scan(&a, &b); fmt.Println(add(a, b)) }\n",
        "util.go": "package main\nfunc add(a, b int) int { return a + b }\n"}),
    Row("a package of another name", "go", {"solve.go": "package sum\nimport \"fmt\"\nfunc main() { fmt.Println(3) }\n"}, CE),
    Row("a header beside it", "cpp20", {
        "solve.cpp": "#include <iostream>\n#include \"add.h\"\nint main() { int a, b; std::cin >> a >> b; std::cout << add(a, b); }\n",
        "add.h": "int add(int a, int b);\n", "add.cpp": "#include \"add.h\"\nint add(int a, int b) { return a + b; }\n"}),
    Row("a module beside it", "haskell", {
        "Solve.hs": "module Main where\nimport Util\nmain = getLine >>= print . add . map read . words\n",
        "Util.hs": "module Util where\nadd :: [Int] -> Int\nadd = sum\n"}),
    Row("a class beside it", "csharp", {
        "solve.cs": "class Solve { static void Main() { var w = System.Console.ReadLine().Split(' ');"
                    " System.Console.WriteLine(Lib.Add(int.Parse(w[0]), int.Parse(w[1]))); } }\n",
        "lib.cs": "static class Lib { public static int Add(int a, int b) { return a + b; } }\n"}),
]  # fmt: skip


async def judged(row: Row, directory: Path, home: Path) -> dict[str, str]:
    """The verdicts of what goes through the API's reading of a submission, and of a custom run."""
    language, metrics = LANGUAGES[row.language], Metrics()
    (directory / "data").mkdir()
    data = PlainTestData(directory / "data", [(b"1 2\n", b"3\n")])
    found = {}
    async with open_box(1) as box, AsyncExitStack() as stack:
        # what gets the same names is compiled once
        cache = stack.enter_context(closing(DiskCompileCache(directory / "compiled", metrics=metrics)))
        toolchain_cache = ToolchainCache(box=box, cache_dir=home / "workspace" / "kits", settings=SETTINGS)
        compiler = Compiler(box, settings=SETTINGS, metrics=metrics, cache=cache, toolchain_cache=toolchain_cache)
        for way, sources in sent(row).items():
            claim = replace(
                a_claim(), language=language.key, code=sources.code, entry_point=sources.entry_point,
                beside=sources.beside, problem=replace(a_problem(), time_limit_ms=20_000),
            )  # fmt: skip
            context = attempt_context(box, directory / way, SETTINGS, metrics=metrics, compiler=compiler)
            report = await judge(context, data, claim)
            found[way] = report.status.value if isinstance(report, Report) else f"{report}"
        if len(row.files) == 1:
            custom = CustomClaim(
                run_id="r", attempt_id=1, lease_owner="n", user_id=1, language=language.key,
                code=next(iter(row.files.values())), stdin=b"1 2\n", time_limit_ms=20_000, memory_limit_kb=262_144,
                trace_id="", at_ms=0, waited_ms=0,
            )  # fmt: skip
            context = attempt_context(box, directory / "custom", SETTINGS, metrics=metrics, compiler=compiler)
            ran = await run_custom(context, custom)
            assert isinstance(ran, CustomReport), ran
            right = ran.outcome is not None and ran.outcome.stdout.split() == [b"3"]
            found["custom run"] = AC if right else ran.status.value
    return found


def sent(row: Row) -> dict[str, Sources]:
    """What the API makes of a submission, by the way in which it comes."""
    entry = next(iter(row.files))
    common = {"problem_id": 1, "language": row.language}
    files = [{"name": name, "content": code} for name, code in row.files.items()]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, code in row.files.items():
            archive.writestr(name, code)
    archived = base64.b64encode(packed.getvalue()).decode()
    bodies = {
        "files": SubmitBody.model_validate({**common, "files": files, "entry_point": entry}),
        "archive": SubmitBody.model_validate({**common, "archive": archived, "entry_point": entry}),
    }
    if len(row.files) == 1:
        bodies["code"] = SubmitBody.model_validate({**common, "code": row.files[entry]})
    return {way: received_sources(body, LANGUAGES[row.language], max_bytes=65_536) for way, body in bodies.items()}


def verified(row: Row, directory: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The verdict of ``deepoj problem verify`` on a package that carries the program."""
    entry = next(iter(row.files))
    folder = "submissions/accepted/" + ("" if len(row.files) == 1 else "program/")
    package = {folder + name: code for name, code in row.files.items()} | {
        "problem.yaml": "problem_format_version: 2023-07-draft\nname: x\nlimits: {time_limit: 20}\n",
        "data/secret/1.in": "1 2\n",
        "data/secret/1.ans": "3\n",
        "submissions/submissions.yaml": f"accepted/*: {{language: {row.language}, entrypoint: {entry}}}\n",
    }
    for name, text in package.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    with logs_put_back():
        cli.run(["--home", str(home), "problem", "verify", str(directory), "--json"])
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    return str(case["got"] or case["why"])


def compiled(row: Row, directory: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``deepoj judge --compile`` says of a single source: only whether its compiler takes it."""
    ((name, code),) = row.files.items()
    source = directory / f"source{PurePosixPath(name).suffix}"
    source.write_text(code)
    with logs_put_back():
        cli.run(["--home", str(home), "judge", "--compile", "-s", str(source), "-r", "x"])
    return AC if json.loads(capsys.readouterr().out)["verdict"] == "OK" else CE


@pytest.mark.parametrize(
    "row", [row for row in ROWS if ALL or row.language in FIXED], ids=lambda row: f"{row.language}: {row.name}"
)
def test_verdict_is_the_same_however_a_program_is_sent(
    row: Row,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulthandler.cancel_dump_traceback_later()  # a toolchain archive takes minutes on a loaded host
    monkeypatch.setenv("DEEPOJ_COMPILE_REAL_TIME_LIMIT_S", "240")
    for place in ("judged", "package", "compiled"):
        (tmp_path / place).mkdir()
    home = tmp_path_factory.getbasetemp() / "ways"  # of all rows: an archive is made once
    found = trio.run(judged, row, tmp_path / "judged", home)
    capsys.readouterr()
    found["package"] = verified(row, tmp_path / "package", home, capsys)
    if len(row.files) == 1:
        found["deepoj judge"] = compiled(row, tmp_path / "compiled", home, capsys)
    assert set(found.values()) == {row.verdict}, found
