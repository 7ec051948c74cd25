"""ICPC/Kattis packages: what problem.yaml and the groups may say, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from deepoj.judging.checkers import BUILT_KEY
from deepoj.judging.problem import Accepts, Aggregate, Compare, Points, plan_json, plan_of_json
from deepoj.packages.formats import PackageFault, lay_out, open_package
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import Content, fault, plan, zipped

DATA = {"data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}
PLAIN = {**DATA, "problem.yaml": "name: x\n"}
DRAFT = "problem_format_version: 2023-07-draft\nname: x\n"
CUSTOM = {**PLAIN, "problem.yaml": "name: x\nvalidation: custom\n"}
SCORING = {**PLAIN, "problem.yaml": "name: x\ntype: scoring\n"}


def test_the_default_validator_takes_tokens_in_any_case() -> None:
    assert plan(PLAIN).compare == Compare(case_sensitive=False)


@pytest.mark.parametrize(
    ("flags", "compare"),
    [
        ("case_sensitive", Compare()),
        ("space_change_sensitive case_sensitive", Compare(space_sensitive=True)),
        ("float_tolerance 1e-6", Compare(way="floats", case_sensitive=False, absolute=1e-6, relative=1e-6)),
        ("float_absolute_tolerance 0.5", Compare(way="floats", case_sensitive=False, absolute=0.5)),
        ("float_relative_tolerance 1E-9", Compare(way="floats", case_sensitive=False, relative=1e-9)),
        (
            "float_absolute_tolerance 1e-3 float_relative_tolerance 1e-9",
            Compare(way="floats", case_sensitive=False, absolute=1e-3, relative=1e-9),
        ),
    ],
)
def test_arguments_of_the_default_validator(flags: str, compare: Compare) -> None:
    assert plan({**DATA, "problem.yaml": f"validator_flags: {flags}"}).compare == compare
    grouped = {**PLAIN, "data/testdata.yaml": f"output_validator_flags: {flags}"}
    assert plan(grouped).compare == compare
    words = "[" + ", ".join(f"'{word}'" for word in flags.split()) + "]"
    draft = {**DATA, "problem.yaml": DRAFT, "data/test_group.yaml": f"output_validator_args: {words}"}
    assert plan(draft).compare == compare


def test_a_custom_validator_gets_the_arguments_of_problem_and_test() -> None:
    found = plan(
        {
            **DATA,
            "problem.yaml": DRAFT,
            "output_validator/v.py": "",
            "data/secret/test_group.yaml": "output_validator_args: [group]",
            "data/secret/2.in": "",
            "data/secret/2.ans": "",
            "data/secret/2.yaml": "output_validator_args: [case]\nargs: [--fast]",
        }
    )
    assert [case.checker_args for case in found.cases] == [("group",), ("case",)]
    assert [case.args for case in found.cases] == [(), ("--fast",)]


@pytest.mark.parametrize(
    ("yaml", "title"),
    [
        ("name: Plain", "Plain"),
        ("name: {sv: Svensk, en: English}", "English"),
        ("name: {sv: Svensk}", "Svensk"),
        ("name: 2048", "2048"),
        ("source: x", ""),
    ],
)
def test_names(yaml: str, title: str) -> None:
    assert plan({**DATA, "problem.yaml": yaml}).title == title


@pytest.mark.parametrize(
    ("keywords", "tags"),
    [
        ("[graph, binary search, 7]", ("graph", "binary search")),
        ("graph dp", ("graph", "dp")),
        ("graph, binary search", ("graph", " binary search")),
        ("{a: b}", ()),
    ],
)
def test_keywords_are_tags(keywords: str, tags: tuple[str, ...]) -> None:
    assert plan({**DATA, "problem.yaml": f"name: x\nkeywords: {keywords}\n"}).tags == tags


def test_limits() -> None:
    yaml = (
        "limits: {time_limit: 1.5, memory: 512, output: 16, compilation_time: 20, compilation_memory: 1024, code: 64,"
        " time_multipliers: {ac_to_time_limit: 2}}"
    )
    limits = plan({**DATA, "problem.yaml": DRAFT + yaml}).limits
    assert (limits.time_ms, limits.memory_mb, limits.output_mb) == (1500, 512, 16)
    assert (limits.compile_time_ms, limits.compile_memory_mb) == (20_000, 1024)


def test_a_time_limit_in_files_of_domjudge() -> None:
    assert plan({**PLAIN, ".timelimit": "2\n"}).limits.time_ms == 2000
    ini = {**DATA, "domjudge-problem.ini": "short-name = a\nname = 'Ini'\ntimelimit='0.25'\ncolor='#ff0000'\n"}
    found = plan(ini)
    assert (found.format, found.title, found.limits.time_ms) == ("kattis-legacy", "Ini", 250)


@pytest.mark.parametrize(("more", "way"), [({}, "floats"), ({"domjudge-problem.ini": ""}, "domjudge_floats")])
def test_numbers_of_a_domjudge_package_are_compared_as_domjudge_does(more: Content, way: str) -> None:
    package = {**PLAIN, "problem.yaml": "name: x\nvalidator_flags: float_tolerance 1e-6\n"}
    assert plan({**package, **more}).compare == Compare(way=way, absolute=1e-6, relative=1e-6, case_sensitive=False)


def test_no_time_limit_is_said() -> None:
    assert any("no time limit" in one for one in plan(PLAIN).unsupported)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"problem.yaml": "problem_format_version: 2030-01"}, "2030-01"),
        ({"problem.yaml": "type: guessing"}, "guessing"),
        ({"problem.yaml": DRAFT + "type: [pass-fail, scoring]"}, "both"),
        ({"problem.yaml": DRAFT + "type: [submit-answer, interactive]"}, "submit-answer"),
        ({"problem.yaml": DRAFT + "type: interactive"}, "needs its own output validator"),
        ({"problem.yaml": "validation: custom"}, "the package has none"),
        ({"problem.yaml": "validation: vibes"}, "vibes"),
        ({"problem.yaml": "validation: default interactive"}, "needs validation: custom"),
        ({"problem.yaml": "validator_flags: float_tolerance"}, "needs a number"),
        ({"problem.yaml": "validator_flags: float_tolerance much"}, "must be a number"),
        ({"problem.yaml": "validator_flags: float_tolerance -1"}, "out of range"),
        ({"problem.yaml": "validator_flags: slack"}, "'slack'"),
        ({"problem.yaml": "validator_flags: '\"'"}, "quotes"),
        ({"problem.yaml": "type: scoring\ngrading: {objective: min}"}, "least score"),
        ({"problem.yaml": "limits: {time_limit: -1}"}, "limits.time_limit"),
        ({"problem.yaml": "limits: {memory: lots}"}, "limits.memory"),
        ({"problem.yaml": "limits: 5"}, "limits"),
        ({"problem.yaml": "[]"}, "map"),
        ({".timelimit": "soon"}, "time limit"),
        ({"include/cpp/sub/a.h": ""}, "further folders"),
        ({"include/default/sub/A.java": ""}, "further folders"),
        ({"include/java/sub/words.txt": ""}, "further folders"),
        ({"include/java/sub/Main.java": ""}, "in no further folder"),
        ({"include/java/a/A.java": "", "include/java/b/A.java": ""}, "would have one name"),
        ({"include/cpp/-o": ""}, "plain names"),
        ({"include/java/-sub/A.java": ""}, "plain names"),
        ({"problem.yaml": "constants: [n]"}, "constants must be a map"),
        ({"problem.yaml": "constants: {'a b': 1}"}, "'a b'"),
        ({"problem.yaml": "constants: {n: [1]}"}, "the constant n must be text"),
        ({"static_validator/v.py": ""}, "look at sources"),
        ({"data/secret/2.in": ""}, "'data/secret/2.in' is an input without its answer"),
        ({"data/secret/2.ans": ""}, "'data/secret/2.ans' is an answer without its input"),
        ({"data/other/2.in": "", "data/other/2.ans": ""}, "neither in data/sample nor"),
        ({"data/secret/1.files/a/b": ""}, "folders in .files"),
        ({"data/secret/testdata.yaml": "grading: custom"}, "no program in graders/"),
        ({"data/secret/testdata.yaml": "grading: odd"}, "grading is default or custom"),
        (
            {"data/secret/testdata.yaml": "grading: custom", "graders/a.py": "", "graders/b.py": ""},
            "'graders/b.py' is a second grader",
        ),
        (
            {"problem.yaml": DRAFT + "type: scoring", "data/secret/test_group.yaml": "grading: custom"},
            "graders belong to the legacy format",
        ),
        ({"data/secret/testdata.yaml": "grader_flags: plurality_wins"}, "plurality_wins"),
        ({"data/secret/testdata.yaml": "on_reject: shrug"}, "shrug"),
        (
            {
                "data/secret/testdata.yaml": "output_validator_flags: case_sensitive",
                "data/sample/1.in": "",
                "data/sample/1.ans": "",
            },
            "other arguments for single tests",
        ),
        ({"submissions/submissions.yaml": "a.py: {permitted: [MAYBE]}"}, "MAYBE"),
        ({"submissions/submissions.yaml": "a.py: {score: [1, 2, 3]}"}, "list of two"),
    ],
)
def test_refused(more: dict[str, str], words: str) -> None:
    assert words in fault({**PLAIN, **more}).sentence


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "the package has none"),
        ({"output_validators/a.py": "", "output_validators/b.py": ""}, "second output validator"),
        ({"output_validators/v/a.py": "", "output_validators/v/b.java": ""}, "no source in one known language"),
        ({"output_validators/README.md": ""}, "the package has none"),
    ],
)
def test_validators_that_cannot_be_used(more: dict[str, str], words: str) -> None:
    assert words in fault({**CUSTOM, **more}).sentence


@pytest.mark.parametrize(
    "more",
    [
        {"v/build": "#!/bin/sh", "v/v.cc": ""},
        {"v/build": "make", "v/v.cc": "", "v/Makefile": ""},
        {"v/build": "g++ -o run v.cc -DEASY", "v/v.cc": ""},
        {"v/build": "g++ -o jury v.cc", "v/v.cc": ""},
        {"v/build": "g++ -o run w.cc", "v/v.cc": ""},
        {"v/build": "g++ -o run v.cc; ls", "v/v.cc": ""},
        {"v/build": "g++ -o 'run v.cc", "v/v.cc": ""},
        {"v/build": "g++ -o run v.cc", "v/run": "./a", "v/v.cc": ""},
        {"v/run": "python3 -u v.py", "v/v.py": ""},
        {"run": "#!/bin/sh"},
    ],
)
def test_script_that_does_more_than_call_a_compiler_is_run_with_all_files(more: dict[str, str]) -> None:
    files = {f"output_validators/{name}": text for name, text in more.items()}
    checker = plan({**CUSTOM, **files}).checker
    assert checker is not None
    assert checker.program.language == BUILT_KEY
    assert set(checker.program.files) == set(files)


@pytest.mark.parametrize(
    ("names", "entry", "language"),
    [
        (["output_validators/v.cc"], "output_validators/v.cc", "cpp20"),
        (
            ["output_validators/v/validate.cc", "output_validators/v/validate.h"],
            "output_validators/v/validate.cc",
            "cpp20",
        ),
        (["output_validators/v.cpp", "output_validators/lib.h"], "output_validators/v.cpp", "cpp20"),
        (["output_validator/__main__.py", "output_validator/__init__.py"], "output_validator/__main__.py", "python3"),
        (["output_validator/a.c", "output_validator/main.cpp"], "output_validator/main.cpp", "cpp20"),
        (["output_validator/v/v.py"], "output_validator/v/v.py", "python3"),
    ],
)
def test_where_validators_stand(names: list[str], entry: str, language: str) -> None:
    checker = plan({**CUSTOM, **dict.fromkeys(names, "")}).checker
    assert checker is not None
    assert (checker.program.entry, checker.program.language) == (entry, language)
    assert set(checker.program.files) == set(names)
    assert all(name.startswith(checker.program.root) for name in names)


def test_legacy_groups() -> None:
    found = plan(
        {
            **SCORING,
            "data/testdata.yaml": "grader_flags: always_accept\non_reject: continue",
            "data/secret/testdata.yaml": "grader_flags: always_accept avg\naccept_score: 10",
            "data/secret/2.in": "",
            "data/secret/2.ans": "",
            "data/sample/1.in": "",
            "data/sample/1.ans": "",
            "data/sample/testdata.yaml": "grader_flags: ''\naccept_score: 0",
        }
    )
    assert [(one.name, one.aggregate) for one in found.groups] == [
        ("", Aggregate.SUM),
        ("sample", Aggregate.SUM),
        ("secret", Aggregate.AVERAGE),
    ]
    assert [(one.accepts, one.worst_error) for one in found.groups] == [
        (Accepts.ALWAYS, True),
        (Accepts.ALL, True),
        (Accepts.ALWAYS, True),
    ]
    assert [case.score for case in found.cases] == [0, 10, 10]
    assert found.points is Points.LEGACY


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("reject_score: -1", "out of range"),
        ("range: 0", "two numbers"),
        ("range: 0 lots", "must be a number"),
    ],
)
def test_legacy_groups_that_are_refused(group: str, words: str) -> None:
    assert words in fault({**SCORING, "data/secret/testdata.yaml": group}).sentence


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("max_score: unbounded", "without a bound"),
        ("scoring: {aggregation: max}", "not 'max'"),
        ("scoring: {require_pass: secret/2}", "'secret/2'"),
        ("scoring: {score: -1}", "out of range"),
        ("static_validation: true", "look at sources"),
    ],
)
def test_draft_groups_that_are_refused(group: str, words: str) -> None:
    files = {**DATA, "problem.yaml": DRAFT + "type: scoring", "data/secret/test_group.yaml": group}
    assert words in fault(files).sentence


def test_draft_groups_worth_more_than_their_parent() -> None:
    files = {
        **DATA,
        "problem.yaml": DRAFT + "type: scoring",
        "data/secret/a/1.in": "",
        "data/secret/a/1.ans": "",
        "data/secret/a/test_group.yaml": "max_score: 101",
    }
    assert "worth more" in fault(files).sentence


def test_unsupported_parts_of_a_package_are_reported() -> None:
    found = plan(
        {
            **DATA,
            "problem.yaml": DRAFT + "languages: [cpp]\ncolour: red\nlimits: {code: 5}\n",
            "input_validators/grammar.ctd": "",
            "data/invalid_input/1.in": "",
            "submissions/accepted/a.unknown": "",
            "submissions/accepted/folder/b.unknown": "",
            "submissions/accepted/b.py": "# @EXPECTED_RESULTS@: SPLENDID\n",
            "submissions/submissions.yaml": "accepted/b.py: {message: hello, secret/*: {permitted: [AC]}}",
        }
    )
    for words in (
        "languages", "'colour'", "'code'", "grammar.ctd", "a.unknown", "accepted/folder", "SPLENDID",
        "message", "single groups",
    ):  # fmt: skip
        assert any(words in one for one in found.unsupported), words
    assert [case.name for case in found.cases] == ["secret/1"]


def test_extra_files_of_a_test() -> None:
    found = plan({**DATA, "problem.yaml": DRAFT, "data/secret/1.files/words.txt": "x"})
    assert found.cases[0].extra_files == ("data/secret/1.files/words.txt",)
    assert "data/secret/1.files/words.txt" in found.files()


@pytest.mark.parametrize(
    ("line", "expected", "scores"),
    [
        ("// @EXPECTED_RESULTS@: CORRECT", ("Accepted",), ()),
        ("/* @EXPECTED_RESULTS@: TIMELIMIT,WRONG-ANSWER */", ("Time Limit Exceeded", "Wrong Answer"), ()),
        (
            "@EXPECTED_RESULTS@: time-limit_exceeded , memory limit",
            ("Time Limit Exceeded", "Memory Limit Exceeded"),
            (),
        ),
        ("# @EXPECTED_RESULTS@: NO-OUTPUT\r", ("Wrong Answer",), ()),
        ("# @EXPECTED_RESULTS@: CHECK-MANUALLY", (), ()),
        ("# @EXPECTED_SCORE@: 30", ("Wrong Answer", "Partial"), ((30, 30),)),
        ("# @EXPECTED_SCORE@: 0", ("Wrong Answer",), ((0, 0),)),
        ("# @EXPECTED_SCORE@: 10-20, 74.42", ("Wrong Answer", "Partial"), ((10, 20), (74.42, 74.42))),
        ("# @EXPECTED_RESULTS@: PARTIAL\n# @EXPECTED_SCORE@: 5..7", ("Partial",), ((5, 7),)),
        ("nothing", ("Wrong Answer",), ()),
    ],
)
def test_lines_of_expected_results(
    line: str, expected: tuple[str, ...], scores: tuple[tuple[float, float], ...]
) -> None:
    found = plan({**PLAIN, "submissions/wrong_answer/a.py": f"import sys\n{line}\n"}).examples[0]
    assert (found.expected, found.expected_scores) == (expected, scores)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("accepted", ("Accepted",)),
        ("time_limit_exceeded", ("Time Limit Exceeded",)),
        ("run_time_error", ("Runtime Error", "Memory Limit Exceeded")),
        ("brute_force", ("Runtime Error", "Memory Limit Exceeded", "Time Limit Exceeded")),
        ("compiler_error", ("Compile Error",)),
        ("somewhere", ()),
    ],
)
def test_folders_of_submissions(kind: str, expected: tuple[str, ...]) -> None:
    assert plan({**PLAIN, f"submissions/{kind}/a.py": ""}).examples[0].expected == expected


def test_the_list_of_submissions() -> None:
    rules = """
accepted/{a,b}.py: {language: python3}
mine/*: {permitted: [AC, TLE], required: [TLE]}
mine/c: {entrypoint: start}
rejected/*.py: {permitted: [AC, WA], score: [10, 20]}
"""
    found = {
        one.name.removeprefix("submissions/"): one
        for one in plan(
            {
                **PLAIN,
                "submissions/submissions.yaml": rules,
                "submissions/accepted/a.py": "",
                "submissions/mine/c/start.py": "",
                "submissions/mine/c/main.py": "",
                "submissions/rejected/d.py": "",
            }
        ).examples
    }
    assert found["accepted/a.py"].expected == ("Accepted",)
    assert found["mine/c"].expected == ("Time Limit Exceeded",)
    assert found["mine/c"].entry == "submissions/mine/c/start.py"
    verdicts = {"Wrong Answer", "Presentation Error", "Output Limit Exceeded", "Partial"}
    assert set(found["rejected/d.py"].expected) == verdicts
    assert found["rejected/d.py"].expected_scores == ((10, 20),)


@pytest.mark.parametrize(
    ("name", "source", "language"),
    [
        ("a.c", "", "c17"),
        ("a.C", "", "cpp20"),
        ("a.py", "#!/usr/bin/env python2\n", "python2"),
        ("a.py", "print(1)", "python3"),
        ("a.pl", "use strict;\nprint 1;\n", "perl"),
        ("a.pl", "main :-\n    write(1), nl.\n", "prolog"),
        ("A.java", "", "java"),
        ("a.cjs", "", "javascript"),
        ("a.kt", "", "kotlin"),
    ],
)
def test_languages_by_ending(name: str, source: str, language: str) -> None:
    assert plan({**PLAIN, f"submissions/accepted/{name}": source}).examples[0].language == language


def test_format_2025_09_is_read_as_its_draft() -> None:
    found = plan(
        {
            "problem.yaml": "problem_format_version: 2025-09\nname: {en: x}\ntype: scoring\n",
            "data/secret/test_group.yaml": "max_score: 10",
            "data/secret/a/test_group.yaml": "{max_score: 4, output_validator_args: [case_sensitive]}",
            "data/secret/b/test_group.yaml": "{max_score: 6, score_aggregation: sum, require_pass: secret/a,"
            " output_validator_args: [case_sensitive]}",
            **{f"data/secret/{group}/{n}.{end}": "" for group in "ab" for n in (1, 2) for end in ("in", "ans")},
        }
    )
    assert found.format == "kattis-2025-09"
    assert found.compare == Compare()
    assert [(group.name, group.aggregate, group.max_score, group.depends_on) for group in found.groups[1:]] == [
        ("secret", Aggregate.SUM, 10, ()),
        ("secret/a", Aggregate.ALL, 4, ()),
        ("secret/b", Aggregate.SUM, 6, ("secret/a",)),
    ]


@pytest.mark.parametrize("key", ["static_validation", "static_validation_score"])
def test_tests_that_are_validations_of_sources_are_refused(key: str) -> None:
    found = fault({**DATA, "problem.yaml": DRAFT, "data/secret/test_group.yaml": f"{key}: 3"})
    assert "sources" in found.sentence


def test_a_draft_that_scores_in_words_of_the_legacy_format_is_scored_by_its_rules() -> None:
    files = {
        "problem.yaml": DRAFT + "type: scoring\n",
        "data/secret/testdata.yaml": "on_reject: continue\ngrader_flags: accept_if_any_accepted\n",
        "data/secret/a/testdata.yaml": "accept_score: 20\nrange: 0 20\ngrader_flags: min\n",
        "data/secret/b/testdata.yaml": "accept_score: 80\nrange: 0 80\ngrader_flags: min\n",
        **{f"data/secret/{group}/{n}.{end}": "" for group in "ab" for n in (1, 2) for end in ("in", "ans")},
    }
    found = plan(files)
    assert [(group.name, group.aggregate, group.max_score) for group in found.groups[2:]] == [
        ("secret/a", Aggregate.MIN, 20),
        ("secret/b", Aggregate.MIN, 80),
    ]
    assert {case.group: case.score for case in found.cases} == {"secret/a": 20, "secret/b": 80}
    assert any("legacy" in note for note in found.unsupported)
    plain = plan(files | {"problem.yaml": DRAFT})
    assert not any("legacy" in note for note in plain.unsupported)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("input_validator_flags: n=5 'a b'", (("", ("n=5", "a b")),)),
        ("input_validator_flags: {one: n=5, two: m=6}", (("one", ("n=5",)), ("two", ("m=6",)))),
        ("output_validator_flags: case_sensitive", ()),
    ],
)
def test_arguments_of_input_validators(told: str, wanted: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    assert plan({**PLAIN, "data/secret/testdata.yaml": told}).cases[0].input_args == wanted
    draft = {**DATA, "problem.yaml": DRAFT, "data/secret/1.yaml": "input_validator_args: [case]"}
    draft["data/secret/test_group.yaml"] = "input_validator_args: [group]"
    assert plan(draft).cases[0].input_args == (("", ("case",)),)


INCLUDED = {
    "include/default/words.txt": "default",
    "include/default/both.txt": "default",
    "include/cpp/both.txt": "cpp",
    "include/java/Main.java": "",
}


def test_files_that_stand_beside_submissions() -> None:
    found = plan({**PLAIN, **INCLUDED})
    assert found.included_for("python3") == {
        "words.txt": "include/default/words.txt",
        "both.txt": "include/default/both.txt",
    }
    for dialect in ("cpp17", "cpp20", "cpp23"):
        assert found.included_for(dialect)["both.txt"] == "include/cpp/both.txt"
        assert found.included_for(dialect)["words.txt"] == "include/default/words.txt"
    assert found.included_for("java")["Main.java"] == "include/java/Main.java"
    assert set(INCLUDED) <= set(found.files()), "a node gets them with the tests"
    moved = plan({f"p/{name}": text for name, text in {**PLAIN, **INCLUDED}.items()})
    assert moved.included_for("cpp20")["both.txt"] == "p/include/cpp/both.txt"


def test_included_sources_of_java_packages_are_beside_submissions_without_their_folders() -> None:
    names = {"U.java": "include/java/unsigned/U.java", "V.java": "include/java/unsigned/deep/V.java"}
    assert plan({**PLAIN, **dict.fromkeys(names.values(), "")}).included_for("java") == names


@pytest.mark.parametrize("name", ["include/java/../../x/A.java", "/include/java/A.java", "include/java/./A.java"])
def test_included_path_that_leaves_its_folder_is_refused(name: str) -> None:
    assert fault({**PLAIN, name: ""}).sentence


def test_constants_are_filled_in_where_the_format_says(tmp_path: Path) -> None:
    text = "{{n}} {{other}} {{word}} {{ n }}\n"
    kept, filled = text, "10 {{other}} {{n}} {{ n }}\n"
    files = {
        "problem.yaml": DRAFT + "constants: {n: 10, word: '{{n}}', ways: {value: 5, roman: V}}\n",
        "data/secret/1.in": text,
        "data/secret/1.ans": text,
        "data/secret/test_group.yaml": "output_validator_args: ['{{n}}']",
        "output_validator/v.py": text,
        "input_validators/v.py": text,
        "include/cpp/a.h": text,
        "submissions/accepted/a.py": text,
        "statement/problem.en.tex": "\\constant{n} \\constant{other} {{ways}} {{ways.roman}} {{ways.greek}}",
        "attachments/a.txt": text,
    }
    out = io.BytesIO(zipped({f"p/{name}": one for name, one in files.items()}))
    opened = open_package(out, unzip_limits())
    assert not isinstance(opened, PackageFault), opened
    with opened:
        assert opened.plan.cases[0].checker_args == ("10",)
        paths = lay_out(opened, [f"p/{name}" for name in files], tmp_path)
    assert not isinstance(paths, PackageFault)
    told = {name: paths[f"p/{name}"].read_text() for name in files}
    for name in ("data/secret/1.in", "data/secret/1.ans", "attachments/a.txt"):
        assert told[name] == kept
    for name in ("output_validator/v.py", "input_validators/v.py", "include/cpp/a.h", "submissions/accepted/a.py"):
        assert told[name] == filled
    assert told["statement/problem.en.tex"] == "10 \\constant{other} 5 V {{ways.greek}}"
    assert plan_of_json(plan_json(opened.plan)) == opened.plan


def test_a_file_too_large_for_a_person_to_have_written_keeps_its_constants() -> None:
    large = "{{n}}" + " " * 1024 * 1024
    found = plan({**PLAIN, "problem.yaml": DRAFT + "constants: {n: 10}\n", "submissions/accepted/a.py": large})
    assert "submissions/accepted/a.py" not in found.filled
    assert any("'submissions/accepted/a.py'" in one for one in found.unsupported)


def test_the_promise_of_a_submission_may_stand_in_a_constant() -> None:
    found = plan(
        {
            **PLAIN,
            "problem.yaml": DRAFT + "constants: {fate: WRONG-ANSWER}\n",
            "submissions/mixed/a.py": "# @EXPECTED_RESULTS@: {{fate}}\n",
        }
    )
    assert found.examples[0].expected == ("Wrong Answer",)


@pytest.mark.parametrize(
    ("kind", "script", "files", "entry", "language"),
    [
        ("build", "#!/bin/sh\n# why\nset -e\ng++ -g -O2 -Wall -std=gnu++17 \\\n -o run v.cc\nchmod +x run\n",
         ("v.cc", "v.h"), "v.cc", "cpp17"),
        ("build", '#! /bin/bash\r\ncd "$(dirname "$0")"\r\nc++ *.cpp -o run -std=c++23 -lm\r\n',
         ("b.cpp", "a.cpp"), "a.cpp", "cpp23"),
        ("build", "gcc -g -O1 -Wall -D_FORTIFY_SOURCE=2 -ansi -pedantic v.c -o run", ("v.c",), "v.c", "c17"),
        ("run", '#!/bin/sh\nexec python3 "$(dirname "$0")/v.py" "$@"\n', ("v.py", "w.py"), "v.py", "python3"),
        ("run", '/usr/bin/env pypy3 ./v.py "$@"\n', ("v.py",), "v.py", "pypy3"),
    ],
)  # fmt: skip
def test_scripts_that_say_what_would_be_done_without_them(
    kind: str, script: str, files: tuple[str, ...], entry: str, language: str
) -> None:
    top = "output_validators/v/"
    checker = plan({**CUSTOM, f"{top}{kind}": script, **{top + name: "" for name in files}}).checker
    assert checker is not None
    assert (checker.program.entry, checker.program.language) == (top + entry, language)
    assert set(checker.program.files) == {top + name for name in files}


def test_only_what_a_build_script_compiles_is_compiled() -> None:
    top = "output_validators/v/"
    files = {f"{top}build": "g++ -o run v.cc", f"{top}v.cc": "", f"{top}other.cc": "", f"{top}words.txt": ""}
    checker = plan({**CUSTOM, **files}).checker
    assert checker is not None
    assert set(checker.program.files) == {f"{top}v.cc", f"{top}words.txt"}
