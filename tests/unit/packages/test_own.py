"""Our own format: deepoj.yaml and what it may say."""

from __future__ import annotations

import pytest

from deepoj.judging.languages import LANGUAGES
from deepoj.judging.problem import Compare, Plan, Protocol
from deepoj.packages.formats.programs import language_named
from tests.unit.packages.makers import fault, plan, read

CASE = {"1.in": "1\n", "1.out": "1\n"}


def test_without_a_word_it_is_as_the_upload_says() -> None:
    found = plan(CASE)
    assert (found.format, found.title, found.compare, found.scored) == ("own", "", None, False)


def test_files_of_no_known_format_are_not_looked_at() -> None:
    assert plan({"t/1.in": "", "t/1.out": "", "notes.yaml": b"\xff\xfe", "t/notes.yaml": ""}).format == "own"


def test_problem_yaml_without_tests_in_its_places_is_refused() -> None:
    """Its author set limits and a validator that bare tests would not have."""
    assert "ICPC/Kattis or Hydro" in fault({"t/1.in": "", "t/1.out": "", "problem.yaml": b"\xff\xfe"}).sentence


@pytest.mark.parametrize(
    ("told", "compare"),
    [
        ("compare: exact", Compare(way="exact")),
        ("compare: {way: floats, absolute: 0.001}", Compare(way="floats", absolute=0.001)),
        ("compare: {way: floats, absolute: 1e-6}", Compare(way="floats", absolute=1e-6)),
        ("compare: {case_sensitive: false}", Compare(case_sensitive=False)),
        ("", None),
    ],
)
def test_ways_to_compare(told: str, compare: Compare | None) -> None:
    assert plan({**CASE, "deepoj.yaml": told}).compare == compare


def test_an_interactor() -> None:
    found = plan({**CASE, "talk.py": "", "deepoj.yaml": "interactor: {files: [talk.py], protocol: plain, args: [x]}"})
    assert found.checker is not None
    assert (found.checker.interactive, found.checker.protocol, found.checker.args) == (True, Protocol.PLAIN, ("x",))
    assert found.checker.program.language == "python3"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("tilte: x", "'tilte'"),
        ("[1, 2]", "map"),
        ("title: [x]", "title"),
        ("title: {", "YAML"),
        ("compare: vibes", "not 'vibes'"),
        ("compare: floats", "absolute or relative"),
        ("compare: {way: floats, absolute: -1}", "absolute"),
        ("compare: {way: floats, absolute: 1_0}", "not the same number to every reader"),
        ("compare: {way: floats, absolute: .nan}", "absolute"),
        ("limits: {time_ms: 0}", "limits.time_ms"),
        ("limits: {time_ms: yes}", "limits.time_ms"),
        ("limits: {time_ms: 1.5}", "limits.time_ms"),
        ("checker: {files: [check.cpp]}", "'check.cpp', which is not in the package"),
        ("checker: {files: []}", "checker.files"),
        ("checker: {files: [../check.cpp]}", "not in the package"),
        ("checker: {files: [1.in]}", "without its input"),
        ("checker: {files: [readme]}", "no source"),
        ("checker: {files: [a.py]}\ncompare: exact", "beside it"),
        ("checker: {files: [a.py]}\ninteractor: {files: [a.py]}", "beside it"),
        ("checker: {files: [a.py], multipass: true}", "protocol validator"),
        ("groups: [{name: a, cases: ['x/*']}]", "no case"),
        ("groups: [{name: a, cases: ['1'], depends_on: [b]}]", "'b'"),
        ("groups: [{name: a, cases: ['1']}, {name: a, cases: ['1']}]", "twice"),
        ("groups: [{name: a, cases: ['1'], score: -1}]", "groups.0.score"),
        ("checker: {files: [a.py], args: [%s]}" % ("x, " * 241), "241 words, and 240 is the most"),
        ("checker: {files: [a.py], args: [%s]}" % ("x" * 32769), "32769 bytes, and 32768 is the most"),
        ('checker: {files: [a.py], args: ["a\\0b"]}', "contain a NUL"),
        ("examples: [{files: [a.py], expected: [Fine]}]", "expected"),
        ("examples: [{files: [b.py]}]", "'b.py'"),
    ],
)
def test_invalid_deepoj_yaml_is_refused_with_its_fault(told: str, words: str) -> None:
    found = fault({**CASE, "a.py": "", "readme": "", "deepoj.yaml": told})
    assert words in found.sentence, found


@pytest.mark.parametrize(
    "raw", [b"\xef\xbb\xbftitle: X\r\nlimits:\r\n  time_ms: 5\r\n", b"title: X\rlimits: {time_ms: 5}\r"]
)
def test_marks_and_line_ends_of_editors(raw: bytes) -> None:
    found = plan({**CASE, "deepoj.yaml": raw})
    assert (found.title, found.limits.time_ms) == ("X", 5)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("title: Übung".encode("latin-1"), "not UTF-8"),
        ("title: x".encode("utf-16"), "UTF-16"),
        (b"title: x\0", "NUL"),
        (b"title: \x07", "YAML"),
        (b"#" * (300 * 1024), "bytes"),
    ],
)
def test_deepoj_yaml_that_is_no_text_is_refused(raw: bytes, words: str) -> None:
    found = fault({**CASE, "deepoj.yaml": raw})
    assert found.file == "deepoj.yaml"
    assert words in found.sentence


def test_test_data_is_taken_byte_for_byte() -> None:
    """BOM, CRLF, NUL and emptiness are the setter's to want."""
    found = plan({"1.in": b"\xef\xbb\xbf1\r\n", "1.out": b"", "2.in": b"\0\xff", "2.out": b"\r\n"})
    assert isinstance(found, Plan)
    assert found.total_bytes == 6 + 0 + 2 + 2


def test_two_problems_in_one_archive_are_refused() -> None:
    yaml = "title: x"
    assert (
        "several problems"
        in fault({"a/deepoj.yaml": yaml, "b/deepoj.yaml": yaml, "a/1.in": "", "a/1.out": ""}).sentence
    )


def test_submissions_are_not_tests() -> None:
    found = read({**CASE, "submissions/accepted/a.py": "", "submissions/accepted/a.in": ""})
    assert isinstance(found, Plan)
    assert len(found.cases) == 1


def test_language_is_found_by_key_and_by_name() -> None:
    """Each key is a name of its own language, JavaScript none of Java's."""
    for key in LANGUAGES:
        assert language_named(key) == key
    told = "checker: {files: [c.js], language: JavaScript}"
    found = plan({**CASE, "c.js": "", "deepoj.yaml": told}).checker
    assert found is not None
    assert found.program.language == "javascript"


def test_factors_of_the_time_limit() -> None:
    told = "limits: {time_factors: {Python: 3, c++: 1.5, '*': 2}}"
    assert plan({**CASE, "deepoj.yaml": told}).limits.time_factors == (("*", 2.0), ("cpp17", 1.5), ("python3", 3.0))
    for wrong, word in (("pithon: 3", "'pithon' is not known"), ("python: 3, python3: 2", "'python3' is there twice")):
        assert word in fault({**CASE, "deepoj.yaml": f"limits: {{time_factors: {{{wrong}}}}}"}).sentence


@pytest.mark.parametrize(
    ("files", "entry"),
    [
        ({"a.py": "", "b.py": ""}, None),
        ({"a.py": "if __name__ == '__main__': x", "b.py": "if __name__ == '__main__': x"}, None),
        ({"a.py": "", "b.py": "if __name__ == '__main__': x"}, "b.py"),
        ({"a.py": "", "main.py": ""}, "main.py"),
        ({"a.py": "", "words.txt": ""}, "a.py"),
        ({"a.java": "", "b.java": ""}, None),
        ({"a.cpp": "", "b.cpp": ""}, "a.cpp"),
        ({"a.sh": "f() { :; }", "run.sh": "#!/bin/sh\n. ./a.sh\nf"}, "run.sh"),
        ({"a.sh": "f() { :; }", "b.sh": 'source "$(dirname "$0")/a.sh"'}, "b.sh"),
        ({"a.py": "def f(): pass", "b.py": "from a import f"}, "b.py"),
        ({"a.py": "x = 1  # import b", "b.py": "data = 'a'"}, None),
        ({"a.py": "import b", "b.py": "import a"}, None),
        ({"a.rb": "", "b.rb": "require_relative './a'"}, "b.rb"),
        ({"a.js": "", "b.js": "const {f} = require('./a');"}, "b.js"),
        ({"a.lua": "", "b.lua": "local a = require('a')"}, "b.lua"),
        ({"a.php": "", "b.php": "<?php require_once __DIR__.'/a.php';"}, "b.php"),
        ({"u.pas": "unit u;", "v.pas": "program p; uses u;"}, "v.pas"),
    ],
)
def test_which_file_of_a_checker_is_started(files: dict[str, str], entry: str | None) -> None:
    content = {**CASE, **files, "deepoj.yaml": f"checker: {{files: [{', '.join(files)}]}}"}
    if entry is None:
        assert "which file of the checker is started" in fault(content).sentence
    else:
        found = plan(content).checker
        assert found is not None
        assert found.program.entry == entry
