"""Polygon packages: what problem.xml may say, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from deepoj.judging.problem import Aggregate, Compare, Plan
from deepoj.packages.formats import PackageFault, lay_out, open_package
from deepoj.packages.formats.unix_lines import UnixLines
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import fault, plan, zipped

CHECKER = '<checker name="std::rcmp6.cpp" type="testlib"/>'


def package(
    *, tests: str = "<test/><test/>", testset: str = "", judging: str = "", assets: str = CHECKER, more: str = "",
    pattern: str = "tests/%02d",
) -> dict[str, str]:  # fmt: skip
    xml = f"""<?xml version="1.0" encoding="utf-8"?>
<problem short-name="short"><names><name language="russian" value="Задача"/></names>
<judging {judging}><testset name="tests"><time-limit>1500</time-limit><memory-limit>268435456</memory-limit>
<test-count>2</test-count><input-path-pattern>{pattern}</input-path-pattern>
<answer-path-pattern>{pattern}.a</answer-path-pattern><tests>{tests}</tests>{testset}</testset></judging>
<assets>{assets}</assets>{more}</problem>"""
    return {"problem.xml": xml, "tests/01": "1", "tests/01.a": "1", "tests/02": "2", "tests/02.a": "2"}


def test_a_standard_checker_without_its_source_is_a_way_to_compare() -> None:
    found = plan(package())
    assert found.compare == Compare(way="floats", absolute=1e-6, relative=1e-6)
    assert (found.title, found.limits.time_ms, found.limits.memory_mb) == ("Задача", 1500, 256)


def test_tags_of_the_problem_are_read_beside_those_of_solutions() -> None:
    more = '<tags><tag value="dp"/><tag value="binary search"/></tags>'
    assert plan(package(more=more)).tags == ("dp", "binary search")
    assert plan(package()).tags == ()


def test_a_checker_brings_the_headers_beside_it() -> None:
    assets = '<checker type="testlib"><source path="files/check.cpp" type="cpp.gcc14-64-msys2-g++23"/></checker>'
    files = {**package(assets=assets), "files/check.cpp": "", "files/testlib.h": "", "files/gen.cpp": ""}
    checker = plan(files).checker
    assert checker is not None
    assert checker.program.files == ("files/check.cpp", "files/testlib.h")
    assert (checker.program.entry, checker.program.language) == ("files/check.cpp", "cpp23")


def test_groups_come_after_those_they_depend_on() -> None:
    found = plan(
        package(
            tests='<test group="b" points="60"/><test group="a" points="40"/>',
            testset='<groups><group name="b" points-policy="complete-group" points="60"><dependencies>'
            '<dependency group="a"/></dependencies></group><group name="a" points-policy="each-test"/></groups>',
        )
    )
    assert [(one.name, one.aggregate, one.max_score) for one in found.groups] == [
        ("", Aggregate.SUM, None),
        ("a", Aggregate.SUM, 40),
        ("b", Aggregate.ALL, 60),
    ]
    assert [case.name for case in found.cases] == ["2", "1"]
    assert found.scored


def test_groups_without_points_are_not_scored() -> None:
    found = plan(package(tests='<test group="a"/><test/>', testset='<groups><group name="a"/></groups>'))
    assert not found.scored
    assert [case.group for case in found.cases] == ["a", ""]


ONE_GROUP = '<test group="a"/><test/>'


def groups(inside: str = "", *, more: str = "") -> str:
    return f'<groups><group name="a" {more}>{inside}</group></groups>'


def needs(name: str) -> str:
    return f'<dependencies><dependency group="{name}"/></dependencies>'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**package(), "tests/02.a": None}, "Download the full package"),
        ({**package(), "tests/01": None}, "Download the full package"),
        (package(tests="<test/>"), "lists 1 tests and counts 2"),
        (package(pattern="tests/%s"), "not supported"),
        (package(pattern="%02d/%02d"), "not supported"),
        (package(judging='input-file="sums.in"'), "'sums.in'"),
        (package(judging='run-count="2"'), "'2' times"),
        (package(assets=""), "names no checker"),
        (package(assets='<checker name="std::pointsinfo.cpp"/>'), "names no checker"),
        (package(assets='<checker type="other"/>'), "'other'"),
        (package(assets=CHECKER + '<interactor><source path="i.cpp"/></interactor>'), "source of the interactor"),
        (package(tests='<test points="many"/><test/>'), "points"),
        (package(testset=groups(more='points-policy="lottery"'), tests=ONE_GROUP), "lottery"),
        (package(testset=groups(needs("c")), tests=ONE_GROUP), "'c', which has no test"),
        (package(testset=groups(needs("a")), tests=ONE_GROUP), "circle"),
        (package(more='<files><resources><file path="files/stub.zig"><assets><asset name="SOLUTION"/></assets></file>'
                      "</resources></files>"), "compiled with every submission"),
    ],
)  # fmt: skip
def test_refused(files: dict[str, str | None], words: str) -> None:
    assert words in fault({name: data for name, data in files.items() if data is not None}).sentence


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("main", ("Accepted",)),
        ("accepted", ("Accepted",)),
        ("wrong-answer", ("Wrong Answer",)),
        ("time-limit-exceeded-or-accepted", ("Time Limit Exceeded", "Accepted")),
        ("memory-limit-exceeded", ("Memory Limit Exceeded", "Runtime Error")),
        ("do-not-run", ()),
    ],
)
def test_tags(tag: str, expected: tuple[str, ...]) -> None:
    solutions = f'<solutions><solution tag="{tag}"><source path="s.py" type="python.3"/></solution></solutions>'
    found = plan({**package(assets=CHECKER + solutions), "s.py": ""}).examples[0]
    assert (found.expected, found.language) == (expected, "python3")


def test_a_long_chain_of_groups_is_soon_ordered() -> None:
    """Hostile only in its length: the order is found in linear time."""
    count = 500
    groups = "".join(
        f'<group name="g{n}"><dependencies><dependency group="g{n + 1}"/></dependencies></group>'
        for n in range(count - 1)
    )
    xml = (
        "<problem><judging><testset><input-path-pattern>%d</input-path-pattern><answer-path-pattern>%d.a"
        f"</answer-path-pattern><tests>{''.join(f'<test group="g{n}"/>' for n in range(count))}</tests>"
        f'<groups>{groups}<group name="g{count - 1}"/></groups></testset></judging><assets>{CHECKER}</assets></problem>'
    )
    files = {"problem.xml": xml} | {f"{n}{end}": "" for n in range(1, count + 1) for end in ("", ".a")}
    found = plan(files)
    assert isinstance(found, Plan)
    assert found.groups[1].name == f"g{count - 1}"


def test_a_checker_of_which_only_the_copy_is_there() -> None:
    assets = (
        '<checker name="std::pointscmp.cpp" type="testlib"><source path="files/check.cpp" type="cpp.g++17"/>'
        '<copy path="check.cpp"/></checker>'
    )
    checker = plan({**package(assets=assets), "check.cpp": ""}).checker
    assert checker is not None
    assert (checker.program.entry, checker.program.language) == ("check.cpp", "cpp17")
    assert "('std::pointscmp.cpp', 'files/check.cpp')" in fault(package(assets=assets)).sentence


@pytest.mark.parametrize(("binary", "kept"), [("check.exe", b"1\n\r2\n"), ("check.cpp", b"1\r\n\r2\r\n")])
def test_tests_written_on_windows_get_the_line_ends_of_unix(tmp_path: Path, binary: str, kept: bytes) -> None:
    text = b"1\r\n\r2\r\n"
    content: dict[str, str | bytes] = {**package(), "tests/01": text, "tests/02.a": text, binary: ""}
    opened = open_package(io.BytesIO(zipped({f"p/{name}": data for name, data in content.items()})), unzip_limits())
    assert not isinstance(opened, PackageFault)
    with opened:
        paths = lay_out(opened, opened.plan.files(), tmp_path)
    assert not isinstance(paths, PackageFault)
    assert paths["p/tests/01"].read_bytes() == paths["p/tests/02.a"].read_bytes() == kept
    assert paths["p/tests/02"].read_bytes() == b"2"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_line_end_that_two_chunks_share(size: int) -> None:
    data, out = b"a\r\nb\r\r\nc\n\rd\r", io.BytesIO()
    sink = UnixLines(out)
    for at in range(0, len(data), size):
        sink.write(data[at : at + size])
    sink.close()
    assert out.getvalue() == b"a\nb\r\nc\n\rd\r"


@pytest.mark.parametrize(
    ("attributes", "name", "languages"),
    [
        ('for-types="cpp.*;c.gcc" type="cpp.g++17"', "grader.cpp", {"cpp17", "cpp20", "cpp23", "c17"}),
        ('forTypes="java.*"', "Grader.java", {"java"}),
        ('type="h.g++"', "stub.h", {"c17", "cpp17", "cpp20", "cpp23"}),
        ("", "grader.py", {"python3", "pypy3"}),
        ("", "grader.zig", set()),
        ('type="python.3"', "grader.py", {"python3", "pypy3"}),
    ],
)
def test_resources_that_are_compiled_with_every_submission(attributes: str, name: str, languages: set[str]) -> None:
    more = (
        f'<files><resources><file {attributes} path="files/{name}"><stages><stage name="COMPILE"/></stages><assets>'
        '<asset name="SOLUTION"/></assets></file><file path="files/testlib.h"/></resources></files>'
    )
    content = {**package(more=more), f"files/{name}": "", "files/testlib.h": ""}
    if not languages:
        assert "compiled with every submission" in fault(content).sentence
        return
    found = plan(content)
    for language in languages:
        assert found.included_for(language) == {name: f"files/{name}"}
    assert found.included_for("rust") == {}
    del content[f"files/{name}"]
    assert "not in the package" in fault(content).sentence
