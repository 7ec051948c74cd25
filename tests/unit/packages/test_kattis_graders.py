"""Groups of ICPC/Kattis' legacy packages whose result a grader of the package computes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from deepoj.judging import checkers, graders
from deepoj.judging.scoring.outcome import Graded, Outcome
from deepoj.judging.scoring.submission import Scoring
from deepoj.words.results import Infra, Verdict
from deepoj.words.sandbox import RunOutcome, RunVerdict
from tests.fakes.box import outcome
from tests.unit.packages.makers import plan
from tests.unit.packages.test_kattis_scoring import LEGACY, WORDS

V = Verdict
GRADED = {
    "problem.yaml": LEGACY,
    "graders/g.py": "",
    "data/testdata.yaml": "on_reject: break\ngrader_flags: always_accept\naccept_score: 5\n",
    "data/secret/testdata.yaml": "on_reject: break\ngrader_flags: always_accept\n",
    "data/secret/a/testdata.yaml": "on_reject: continue\ngrading: custom\ngrader_flags: my 'own flags'\n",
    **{f"data/secret/{name}.{end}": "" for name in ("a/1", "a/2", "b/1", "b/2") for end in ("in", "ans")},
}


def play(files: Mapping[str, str], fates: Mapping[str, str], *, hurry: bool) -> tuple[list[str], list[str], Outcome]:
    """Judge; the grader doubles the sum, and accepts with at least one accepted member. Return the tests, the lines
    that the grader got, and the result."""
    made = plan(files)
    scoring, judged, lines = Scoring(made), list[str](), list[str]()
    while True:
        number = scoring.next(hurry=hurry)
        if (ended := scoring.ungraded()) is not None:
            group, members = ended
            lines.append(f"{group.name} {group.grader_args}: " + ", ".join(graders.lines_of(members).split("\n")[:-1]))
            is_good = any(member.status is V.ACCEPTED for member in members)
            score = 2 * sum(member.score for member in members)
            scoring.grade(group.name, Graded(V.ACCEPTED if is_good else V.TIME_LIMIT_EXCEEDED, score))
        elif number is None:
            return judged, lines, scoring.outcome()
        else:
            judged.append(made.cases[number].name)
            scoring.record(number, WORDS[fates.get(made.cases[number].name, "AC")])


@pytest.mark.parametrize("hurry", [False, True])
@pytest.mark.parametrize(
    ("fates", "judged", "line", "result"),
    [
        ({}, "a/1 a/2 b/1 b/2", "AC 5.0, AC 5.0", ("AC", 30)),
        ({"a/1": "WA"}, "a/1 a/2 b/1 b/2", "WA 0.0, AC 5.0", ("Partial", 20)),
        # the grader rejects the group, and the group around it ends there: the next one is not judged
        ({"a/1": "WA", "a/2": "RE"}, "a/1 a/2", "WA 0.0, RTE 0.0", ("WA", 0)),
        ({"b/1": "TLE"}, "a/1 a/2 b/1", "AC 5.0, AC 5.0", ("Partial", 20)),
    ],
)
def test_result_of_a_grader_counts_as_that_of_its_group(
    fates: Mapping[str, str], judged: str, line: str, result: tuple[str, float], hurry: bool
) -> None:
    tests, lines, found = play(GRADED, {f"secret/{name}": fate for name, fate in fates.items()}, hurry=hurry)

    assert tests == [f"secret/{name}" for name in judged.split()]
    assert lines == [f"secret/a ('my', 'own flags'): {line}"]
    assert (found.status.value, found.score) == (WORDS.get(result[0], V.PARTIAL).value, result[1])
    assert {one.name: one.max_score for one in found.groups}["secret/a"] is None


def test_grader_of_the_root_gets_groups_after_their_own_graders() -> None:
    files = {**GRADED, "data/testdata.yaml": "grading: custom\ngrader_flags: ignore_sample\non_reject: continue\n"}
    files |= {"data/sample/1.in": "", "data/sample/1.ans": "", "data/secret/testdata.yaml": "grading: default\n"
              "grader_flags: sum\n"}  # fmt: skip

    _, lines, result = play(files, {"sample/1": "WA"}, hurry=False)

    assert lines == [
        "sample ('ignore_sample',): WA 0.0",
        "secret/a ('my', 'own flags'): AC 1.0, AC 1.0",
        " ('ignore_sample',): TLE 0.0, AC 6.0",
    ]
    assert (result.status, result.score) == (V.PARTIAL, 12)


@pytest.mark.parametrize("hurry", [False, True])
def test_tests_after_a_group_wait_for_its_grader(hurry: bool) -> None:
    """The group around it accepts if any member does, which only the grader says."""
    at = "data/secret/m"
    files = {
        "problem.yaml": "name: n\nlimits: {time_limit: 1}\n",
        "graders/g.py": "",
        "data/testdata.yaml": "on_reject: break\n",
        "data/secret/testdata.yaml": "on_reject: break\n",
        f"{at}/testdata.yaml": "on_reject: continue\ngrader_flags: accept_if_any_accepted\n",
        f"{at}/b/testdata.yaml": "grading: custom\n",
        **{f"data/secret/{name}.{end}": "" for name in ("m/a/1", "m/b/1", "z/1") for end in ("in", "ans")},
    }

    tests, _, found = play(files, {"secret/m/a/1": "WA", "secret/z/1": "WA"}, hurry=hurry)

    assert (tests, found.status) == (["secret/m/a/1", "secret/m/b/1", "secret/z/1"], V.WRONG_ANSWER)


def test_group_whose_grader_was_not_run_gives_no_verdict() -> None:
    scoring = Scoring(plan({**GRADED, "data/testdata.yaml": "grading: custom\n"}))
    while (number := scoring.next()) is not None:
        scoring.record(number, V.ACCEPTED)
    assert scoring.outcome().status is V.SYSTEM_ERROR


@pytest.mark.parametrize(
    ("printed", "result"),
    [
        (b"AC 40", (V.ACCEPTED, 40)),
        (b"  AC\t-2.5e1 \n\n", (V.ACCEPTED, -25)),
        (b"WA 3\n", (V.WRONG_ANSWER, 3)),
        (b"RTE 0\n", (V.RUNTIME_ERROR, 0)),
        (b"MLE 0\n", (V.MEMORY_LIMIT_EXCEEDED, 0)),
    ],
)
def test_line_of_a_grader_is_the_result(printed: bytes, result: tuple[Verdict, float]) -> None:
    found = graders.grade_of(outcome(stdout=printed), "secret")
    assert isinstance(found, Graded)
    assert (found.status, found.score) == result


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        *(
            (outcome(stdout=printed), "it printed no line such as 'AC 40'")
            for printed in (
                b"",
                b"AC",
                b"40 AC",
                b"JE 0",
                b"IF 0",
                b"ac 1",
                b"AC nan",
                b"AC inf",
                b"AC 1e308",
                b"AC 1 2",
                b"AC x",
                b"\xff",
            )
        ),
        (outcome(RunVerdict.RE, exit_code=3, stdout=b"AC 1"), "exit code 3"),
        (outcome(RunVerdict.RE, exit_signal=6, stdout=b"AC 1"), "the rule 'signal'"),
        (outcome(RunVerdict.TLE, stdout=b"AC 1"), "the rule 'cpu'"),
        (outcome(RunVerdict.OLE), "the rule 'output'"),
    ],
)
def test_grader_that_fails_is_a_fault_of_the_setter(ended: RunOutcome, words: str) -> None:
    trouble = graders.grade_of(ended, "secret/a")
    assert isinstance(trouble, Infra)
    assert (trouble.code, "the grader failed on the group 'secret/a'" in trouble.message) == (checkers.BROKEN, True)
    assert words in trouble.message
