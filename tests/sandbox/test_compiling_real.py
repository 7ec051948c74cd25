"""Compiling through the real sandbox: precompiled headers change nothing that anybody can see, kept programs run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from deepoj.adapters.compile_cache import DiskCompileCache
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.execution.compiling import Compiled, Compiler
from deepoj.execution.header_cache import WANTED, HeaderCache, make_cache_dir
from deepoj.judging.headers import HEADERS, LEFT_OUT_NAMES, first_includes, is_lean, leaving_out
from deepoj.judging.languages import LANGUAGES, Toolchain
from deepoj.observe import Metrics
from deepoj.words.results import CompileResult
from deepoj.words.sandbox import FileIn, Isolation, Policy, RunSpec, RunVerdict
from tests.fakes.settings import judge_settings
from tests.logs import captured_logs
from tests.sandbox.bench import limits

#: compilers on a host that runs other tests beside
#: at `weak` no directory can be shown to programs, so there is no header cache
pytestmark = pytest.mark.needs("namespaces")

PATIENT = judge_settings(compile_cpu_ms=60_000, compile_wall_ms=180_000, toolchain=Toolchain(mold="/nowhere/ld.mold"))
MAIN = "int main(int argc, char **argv) { (void)argc; (void)argv; %s }\n"
ALL = "#include <bits/stdc++.h>\n"
#: takes the same way, in a fraction of the time: for rows that are not about what stands in the header
LIGHT = "#include <iostream>\n"
#: what a header could do to a program: macros, pragmas, static objects, templates, other headers
ACCEPTED = {
    "sum": LIGHT + "using namespace std;\nint main() { int a, b; cin >> a >> b; cout << a + b << endl; }\n",
    "containers": ALL
    + """using namespace std;
int main() {
    map<string, vector<int>> m; unordered_set<long long> s; priority_queue<pair<int, int>> q; set<int> t;
    string word; int n = 0;
    while (cin >> word) { m[word].push_back(n++); s.insert(n); q.emplace(n, -n); t.insert(n % 3); }
    for (auto &[key, found] : m) { sort(found.rbegin(), found.rend()); cout << key << accumulate(found.begin(), found.end(), 0); }
    cout << s.size() << q.top().second << *t.lower_bound(1) << endl;
}
""",  # noqa: E501
    "optimize": LIGHT
    + "#include <numeric>\n#include <vector>\n"
    + '#pragma GCC optimize("O3,unroll-loops")\n#pragma GCC target("avx2")\nusing namespace std;\n'
    + "int f(vector<int> &v) { return accumulate(v.begin(), v.end(), 0); }\n"
    + MAIN % "vector<int> v(argc * 100, 3); cout << f(v) << endl;",
    "macros": LIGHT + "#define int long long\n#define rep(i, n) for (int i = 0; i < n; i++)\nusing namespace std;\n"
    "signed main() { int sum = 0; rep(i, 100000) sum += i * i; cout << sum << __LINE__ << __FILE__ << __COUNTER__; }\n",
    "asserts": LIGHT + "#undef NDEBUG\n#include <cassert>\n" + MAIN % "assert(argc == 1); std::cout << 1 << std::endl;",
    "again": "// twice\n\n/* and\n more */ #include <bits/stdc++.h>\n#include <bits/stdc++.h>\n#include <vector>\n"
    + MAIN % "std::cout << std::vector<int>(3).size() << std::endl;",
    "tasks": ALL + MAIN % "std::cout << std::async([] { return 1; }).get() << std::filesystem::path().empty();",
    "both": "#include <iostream>\n#include <bits/stdc++.h>\n" + MAIN % "std::cout << std::gcd(12, 18);",
    "threads": LIGHT
    + "#include <atomic>\n#include <mutex>\n"
    + MAIN % "std::atomic<int> x{0}; std::call_once(*new std::once_flag, [&] { x = 5; }); std::cout << x;",
    "textbook": "#include <iostream>\n#include <vector>\n#include <cstdio>\n"
    + MAIN % 'std::vector<int> v{1, 2}; std::cout << v[1]; std::printf("%zu", v.size());',
}
REFUSED = {
    "undeclared": LIGHT + "int main() { return undeclared; }\n",
    "in-a-header": ALL + "struct A {};\nint main() { std::set<A> s; s.insert(A{}); std::sort(1, 2); }\n",
    "ambiguous": ALL + "using namespace std;\nint count, y1;\nint main() { count++; return data + rank; }\n",
    "own-promise": ALL + "using namespace std;\nstruct promise {};\nint main() { promise mine; }\n",
    "linker": LIGHT + "int f();\nint main() { return f(); }\n",
    "stream": "#include <iostream>\nint main() { std::cout << main << std::string_view(7) << undeclared; }\n",
}
#: compiled, with words of the compiler
WARNED = {
    "warning": LIGHT + '#warning "look"\nint main() {}\n',
    "overflow": LIGHT + "int main() { char a[2]; std::cout << (1 << 40); return a[0] = 300; }\n",
}
#: that a precompiled header would change, or that begin otherwise
PLAIN = {
    "debug": "#define _GLIBCXX_DEBUG\n" + LIGHT + MAIN % "std::cout << sizeof(std::string::iterator) << std::endl;",
    "pragma": '#pragma GCC optimize("O0")\n' + LIGHT + MAIN % "std::cout << argc;",
}


class Place:
    def __init__(self, box: LinuxBox, tmp_path: Path, shelf: Path) -> None:
        self.box, self.metrics, self.tmp_path, self.directory = box, Metrics(), tmp_path, shelf
        self.shelf = HeaderCache(box, shelf, metrics=self.metrics)
        self.plain = Compiler(box, settings=PATIENT, metrics=self.metrics)
        self.quick = Compiler(box, settings=PATIENT, metrics=self.metrics, headers=self.shelf)
        lean = replace(PATIENT, toolchain=replace(PATIENT.toolchain, lean_headers=True))
        self.lean = Compiler(box, settings=lean, metrics=self.metrics, headers=self.shelf)

    async def compile(self, compiler: Compiler, key: str, text: str) -> tuple[CompileResult, bytes]:
        """The result without its time, and the program."""
        into = self.tmp_path / "into"
        into.mkdir(exist_ok=True)
        (into / "main").unlink(missing_ok=True)
        (into / "main.cpp").write_text(text)
        with trio.fail_after(600):
            made = await compiler.compile(LANGUAGES[key], [FileIn("main.cpp", into / "main.cpp")], into=into)
        assert isinstance(made, Compiled), made
        assert made.result is not None
        assert made.result.ok == (made.executable is not None) == (into / "main").exists()
        #: the linker names a file of the compiler's, by chance
        said = re.sub(r"\./cc\w+\.o", "cc.o", made.result.output)
        return replace(made.result, time_ms=0, output=said), (into / "main").read_bytes() if made.result.ok else b""

    def printed_by(self, program: bytes) -> bytes:
        """Run a program of these tests, if it is one, on three words."""
        if not program:
            return b""
        path = self.tmp_path / "program"
        path.write_bytes(program)
        path.chmod(0o755)
        return subprocess.run([path], input=b"one two three", capture_output=True, check=True).stdout

    def used(self, result: str) -> float:
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "worker_compile_headers_total" and sample.labels["result"] == result:
                    return sample.value
        return 0.0


@pytest.fixture
async def place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    #: one for the session: what is made once is found there by the next test, as by the next start of a node
    shelf = tmp_path_factory.getbasetemp() / "headers"
    make_cache_dir(shelf)
    async with LinuxBox.open(1, headers=shelf) as box:
        if box.isolation is Isolation.WEAK:
            pytest.fail("these tests need mounts")
        yield Place(box, tmp_path, shelf)


EVERYTHING = {**ACCEPTED, **REFUSED, **WARNED}
#: their headers take the compiler longest, or another row has the same header in another standard
LONG = {("cpp17", name) for name in ("containers", "ambiguous", "both", "in-a-header", "again", "tasks", "own-promise")}
LONG |= {("cpp20", "textbook"), ("cpp20", "stream"), ("cpp23", "stream"), ("cpp23", "containers")}
ROWS = [("cpp17", name) for name in EVERYTHING]
ROWS += [(key, name) for key in ("cpp20", "cpp23") for name in ("textbook", "stream")]
ROWS += [("cpp23", "containers")]


@pytest.mark.parametrize(
    ("key", "name"), [pytest.param(*row, marks=[pytest.mark.full] if row in LONG else []) for row in ROWS]
)
async def test_a_precompiled_header_changes_nothing(place: Place, key: str, name: str) -> None:
    """The program and the compiler's output are byte by byte the same as without."""
    text = EVERYTHING[name]
    assert await place.quick.precompile(LANGUAGES[key], first_includes(text.encode())[0])
    quick = await place.compile(place.quick, key, text)
    assert quick == await place.compile(place.plain, key, text)
    assert quick[0].ok == (name not in REFUSED)
    assert (place.used("used"), place.used("again")) == ((1, 0) if name in ACCEPTED else (0, 1))


def visible(options: list[str], names: list[str], scope: str) -> set[str]:
    """Return which of the names ``bits/stdc++.h`` declares in the scope."""
    uses = (f"namespace uses{number} {{ using {scope}::{name}; }}\n" for number, name in enumerate(names))
    refused = compiled_text(ALL + "".join(uses), [*options, "-fsyntax-only", "-fmax-errors=0", "-w"]).stderr
    wrong = {int(line) for line in re.findall(r"<stdin>:(\d+):\d+: error", refused)}
    assert wrong, "some of the names are no declarations"
    return {name for line, name in enumerate(names, 2) if line not in wrong}


def compiled_text(text: str, options: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["g++", *options, "-x", "c++", "-"], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "standard", [pytest.param(number, marks=[pytest.mark.full] * (number != 17)) for number in (11, 14, 17, 20, 23)]
)
def test_what_a_lean_source_may_not_name_is_all_that_is_left_out(standard: int) -> None:
    """Of the names in the header, those that are declared or defined otherwise without the two headers."""
    full = [f"-std=gnu++{standard}"]
    lean = [*leaving_out(("g++",))[1:], *full]
    names = sorted(set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", compiled_text(ALL, [*full, "-E", "-dD", "-P"]).stdout)))
    assert len(names) > 10_000
    differ = {name for scope in ("std", "") for name in visible(full, names, scope) ^ visible(lean, names, scope)}
    defined = [set(compiled_text(ALL, [*options, "-E", "-dM"]).stdout.splitlines()) for options in (full, lean)]
    differ |= {line.split()[1] for line in defined[0] ^ defined[1]}
    assert "async" in differ
    assert {name for name in differ if is_lean(f"{ALL}{name}".encode())} == set()
    known = {name.encode() for name in differ} | {b"filesystem"}
    assert LEFT_OUT_NAMES - known <= {b"__cpp_lib_filesystem"}, "of C++17"


@pytest.mark.full
@pytest.mark.parametrize("name", ["containers", "in-a-header", "tasks", "own-promise"])
async def test_fewer_headers_change_no_message_and_nothing_that_the_program_does(place: Place, name: str) -> None:
    """Nor any byte, whether they are precompiled or not."""
    text = EVERYTHING[name]
    before = await place.compile(place.lean, "cpp17", text)
    with captured_logs() as lines:
        assert await place.lean.precompile(LANGUAGES["cpp17"], "bits/stdc++.h")
    ready = [line["part"] for line in lines if line["event"] == "header_ready"]
    assert ready == ["bits/stdc++.h", "bits/stdc++.h (lean)"]
    lean, plain = await place.compile(place.lean, "cpp17", text), await place.compile(place.plain, "cpp17", text)
    assert lean == before
    assert lean[0] == plain[0]
    assert place.printed_by(lean[1]) == place.printed_by(plain[1])
    assert lean[0].ok == (name not in REFUSED)
    assert is_lean(text.encode()) == (name in {"containers", "in-a-header"})


@pytest.mark.parametrize("name", PLAIN)
async def test_header_cache_with_a_line_before_the_include_is_not_used(place: Place, name: str) -> None:
    text = PLAIN[name]
    assert await place.quick.precompile(LANGUAGES["cpp17"], "iostream")
    assert first_includes(text.encode()) == ()
    assert await place.compile(place.quick, "cpp17", text) == await place.compile(place.plain, "cpp17", text)
    assert (place.used("used"), place.used("missing")) == (0, 0)


async def test_a_header_is_made_once_it_is_wanted(place: Place) -> None:
    await place.compile(place.quick, "cpp17", ACCEPTED["textbook"])
    assert (place.used("used"), place.used("missing")) == (0, 1)
    assert await place.shelf.build(await place.shelf.next())
    await place.compile(place.quick, "cpp17", ACCEPTED["textbook"])
    assert (place.used("used"), place.used("missing")) == (1, 1)


#: begin with several headers
SETS = {
    "vectors": ACCEPTED["textbook"],
    "trees": ALL
    + "#include <ext/pb_ds/assoc_container.hpp>\n#include <ext/pb_ds/tree_policy.hpp>\n"
    + "using namespace __gnu_pbds;\n"
    + "using Tree = tree<int, null_type, std::less<int>, rb_tree_tag, tree_order_statistics_node_update>;\n"
    + MAIN % "Tree t; t.insert(argc); std::cout << t.order_of_key(5) << std::endl;",
    "asserts": "#include <cassert>\n#include <map>\n#include <string>\n"
    + MAIN % "std::map<std::string, int> m; m[argv[0]]++; assert(m.size() == 1);",
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.full] * (name == "trees")) for name in SETS])
async def test_a_header_set_is_built_after_some_sources_and_changes_nothing(place: Place, name: str) -> None:
    text, language = SETS[name], LANGUAGES["cpp17"]
    if (first := first_includes(text.encode())[0]) in HEADERS:
        assert await place.quick.precompile(language, first)
    for _ in range(WANTED):
        plain = await place.compile(place.quick, "cpp17", text)
    request = await place.shelf.next()
    assert request.headers == first_includes(text.encode())
    assert await place.shelf.build(request)
    before = place.used("used")
    assert await place.compile(place.quick, "cpp17", text) == plain == await place.compile(place.plain, "cpp17", text)
    assert place.used("used") == before + 1


async def test_a_header_that_is_gone_costs_time_alone(place: Place, tmp_path: Path) -> None:
    assert await place.quick.precompile(LANGUAGES["cpp17"], "iostream")
    names = [path.name for path in place.directory.iterdir()]
    for name in names:
        (place.directory / name).rename(tmp_path / name)
    quick = await place.compile(place.quick, "cpp17", ACCEPTED["textbook"])
    for name in names:
        (tmp_path / name).rename(place.directory / name)
    assert quick[0].ok
    assert quick == await place.compile(place.plain, "cpp17", ACCEPTED["textbook"])


async def test_changed_header_is_compiled_again(place: Place) -> None:
    language = LANGUAGES["cpp17"]
    assert await place.quick.precompile(language, "iostream")
    (key,) = place.shelf._ready
    made = place.directory / key / "iostream.gch"
    whole = made.read_bytes()
    tampered = whole[:-1] + bytes([whole[-1] ^ 1])
    made.write_bytes(tampered)
    assert await place.quick.precompile(language, "iostream")
    assert made.read_bytes() != tampered
    assert (await place.compile(place.quick, "cpp17", ACCEPTED["textbook"]))[0].ok
    assert place.used("used") == 1


@pytest.mark.parametrize("policy", Policy)
async def test_program_in_the_box_cannot_write_to_the_header_cache(place: Place, policy: Policy) -> None:
    (place.directory / "note").write_text("seen")
    for argv, exit_code, said in (
        (("/bin/cat", "/h/note"), 0, b"seen"),
        (("/bin/touch", "/h/other"), 1, b""),
        (("/bin/rm", "-f", "/h/note"), 1, b""),
        (("/bin/sh", "-c", "echo x > /h/note"), 2, b""),
    ):
        outcome = await place.box.run(RunSpec(argv=argv, policy=policy, limits=limits(), env=(("PATH", "/bin"),)))
        assert (outcome.exit_code, outcome.stdout) == (exit_code, said), argv
    assert (place.directory / "note").read_text() == "seen"
    (place.directory / "note").unlink()


async def test_a_kept_program_runs(place: Place, tmp_path: Path) -> None:
    cache = DiskCompileCache(tmp_path / "cache", metrics=place.metrics)
    compiler = Compiler(place.box, settings=PATIENT, metrics=place.metrics, cache=cache)
    first = await place.compile(compiler, "cpp17", ACCEPTED["sum"])
    second = await place.compile(compiler, "cpp17", ACCEPTED["sum"])
    cache.close()
    assert (first[0].cached, second[0].cached) == (False, True)
    assert first[1] == second[1]
    (tmp_path / "in").write_text("1 2\n")
    outcome = await place.box.run(
        RunSpec(
            argv=("/p/main",),
            limits=limits(),
            stdin=tmp_path / "in",
            files_in=(FileIn("main", tmp_path / "into" / "main", executable=True, program=True),),
        )
    )
    assert (outcome.verdict, outcome.stdout) == (RunVerdict.OK, b"3\n")


#: Perl runs BEGIN blocks while it looks at the syntax
KILLS_ITS_COMPILER = {
    "kill-9": "BEGIN { kill 9, $$ }\n",
    "kill-31": "BEGIN { kill 31, $$ }\n",
    "kill-group": "BEGIN { kill -9, getpgrp; kill 9, $$ }\n",
    "child": "BEGIN { my $me = $$; if (!fork) { kill 9, $me; exit } sleep 60 }\n",
    "drivers-words": "BEGIN { print STDERR 'g++: fatal error: Killed signal terminated program cc1plus', qq(\\n), "
    "'compilation terminated.', qq(\\n); exit 1 }\n",
}


@pytest.mark.parametrize("name", KILLS_ITS_COMPILER)
async def test_a_source_that_kills_its_compiler_is_refused_as_a_source(place: Place, tmp_path: Path, name: str) -> None:
    source = tmp_path / "main.pl"
    source.write_text(KILLS_ITS_COMPILER[name])
    compiler = Compiler(place.box, settings=PATIENT, metrics=Metrics())
    compiled = await compiler.compile(LANGUAGES["perl"], [FileIn("main.pl", source)], into=tmp_path)
    assert isinstance(compiled, Compiled), compiled
    assert compiled.result is not None
    assert not compiled.result.ok
