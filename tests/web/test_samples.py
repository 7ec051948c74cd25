"""*Run on samples*: what is run, what is compared, and what its author sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from deepoj.web.samples import differences
from deepoj.words.problems import ProblemChange
from deepoj.words.statements import StatementSample, StatementSet
from tests.api.house import House, house
from tests.web.surfer import Surfer, member
from tests.web.test_playground import CODE, ended

FORM = {"language": "cpp17", "code": CODE, "stdin": "not this one"}
SAMPLES = (
    StatementSample(input="1 2\n", output="3\n"),
    StatementSample(input="", output="", interaction="< 1\n> 2\n"),
    StatementSample(input="2 2\n", output="4\n"),
)


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path, has_pages=True)


async def with_samples(home: House, samples: tuple[StatementSample, ...] = SAMPLES) -> int:
    number = await home.problem()
    assert await home.ports.statements.keep_statements(number, "00", StatementSet(samples=samples), renderer=1)
    return number


async def pressed(home: House) -> tuple[Surfer, int, str]:
    """Press *Run on samples*. Return the surfer, the problem and the address of the results."""
    alice, number = await member(home, "alice"), await with_samples(home)
    assert f'formaction="/problems/{number}/samples"' in await alice.get(f"/problems/{number}")
    path = (await alice.post(f"/problems/{number}/samples", FORM)).partition("#")[0]
    assert path.startswith(f"/problems/{number}?samples=run-")
    return alice, number, path


async def test_each_sample_is_run_and_compared(home: House) -> None:
    alice, _number, path = await pressed(home)
    waiting = await alice.get(path)
    assert '<noscript><meta http-equiv="refresh"' in waiting
    assert waiting.count("Queuing") == 2
    piece = path.replace("?", "/samples?")
    assert f'data-hx-get="{piece}"' in waiting
    claims = [await ended(home, b"3"), await ended(home, b"<5>\n")]
    assert [(claim.stdin, claim.code, claim.time_limit_ms) for claim in claims] == [
        (b"1 2\n", CODE, 1000),
        (b"2 2\n", CODE, 1000),
    ]
    shown = await alice.get(path)
    assert "1 of 2 samples passed" in shown
    assert "http-equiv" not in shown
    assert "data-hx-get" not in shown
    assert "<td>≠</td><td><code>4</code></td><td><code>&lt;5&gt;</code></td>" in shown
    assert shown.count(">✓</span> Passed</span>") == shown.count(">✗</span> Differs</span>") == 1
    assert "return 1 &lt; 2; }" in shown, "the program stays in the form"
    assert home.store.rows == {}, "a run is no submission"


async def test_scripts_get_the_results_as_a_piece_of_the_page(home: House) -> None:
    alice, _number, path = await pressed(home)
    await ended(home, b"3")
    answer = await home.ask(
        "GET",
        path.replace("?", "/samples?"),
        headers={"Cookie": f"deepoj_session={alice.cookies['deepoj_session']}", "HX-Request": "true"},
    )
    piece = str(await answer.get_data(as_text=True))
    assert answer.status_code == 200
    assert piece.startswith('<span data-hx-swap-oob="innerHTML:#samples-status">')
    assert "Passed" in piece
    assert "data-hx-get" in piece, "the other one is not over"
    assert "<html" not in piece
    assert await alice.get(path.replace("?", "/samples?"), status=303) is not None


async def test_a_program_that_fails_says_why(home: House) -> None:
    alice, _number, path = await pressed(home)
    compile_error = {"ok": False, "time_ms": 1, "output": "error: <a>"}
    await ended(home, b"", status="Compile Error", compile=compile_error)
    await ended(home, b"4", b"warned", status="Runtime Error", exit_code=3, explanation=[{"rule": "exit"}])
    shown = await alice.get(path)
    assert "0 of 2 samples passed" in shown
    assert "error: &lt;a&gt;" in shown
    assert "It ended with an exit code that means failure." in shown
    assert "warned" in shown


async def test_another_output_than_the_sample_is_left_to_the_checker_of_the_problem(home: House) -> None:
    alice, number, path = await pressed(home)
    await home.ports.problems.update_problem(number, ProblemChange(compare="package"))
    await ended(home, b"7")
    await ended(home, b"4 \n")
    shown = await alice.get(path)
    assert "the problem&#39;s own checker decides about yours" in shown
    assert "1 of 2 samples passed" in shown


async def test_runs_of_samples_are_their_authors_alone(home: House) -> None:
    _alice, number, path = await pressed(home)
    bob = await member(home, "bob")
    assert "Result of the samples" not in await bob.get(path, status=404)
    assert "A+B" in await Surfer(home).get(path)
    assert "A+B" in await bob.get(f"/problems/{number}?samples=x", status=404)


async def test_one_press_is_one_run_for_the_bound_of_the_author(home: House) -> None:
    """The usual bound is two unfinished runs."""
    alice, number = await member(home, "alice"), await with_samples(home, SAMPLES[:1] * 5)
    path = await alice.post(f"/problems/{number}/samples", FORM)
    assert path.count("run-") == 5
    refused = await alice.post(f"/problems/{number}/samples", FORM, status=429)
    assert "return 1 &lt; 2; }" in refused
    assert len(home.store.runs) == 5


async def test_a_sample_on_a_page_keeps_its_first_line_feed(home: House) -> None:
    """HTML drops a line feed right after ``<pre>``: the page has one more there."""
    samples = (
        StatementSample(input="\n1", output="\n2"),
        StatementSample(input="", output="", interaction="\n< 3"),
    )
    alice, number = await member(home, "alice"), await with_samples(home, samples)
    shown = await alice.get(f"/problems/{number}")
    assert [shown.count(f">\n\n{text}</pre>") for text in ("1", "2", "&lt; 3")] == [1, 1, 1]


async def test_without_samples_there_is_no_button(home: House) -> None:
    alice, number = await member(home, "alice"), await with_samples(home, SAMPLES[1:2])
    assert "Run on samples" not in await alice.get(f"/problems/{number}")
    await alice.post(f"/problems/{number}/samples", FORM, status=400)


@pytest.mark.parametrize(
    ("expected", "found", "marks"),
    [
        ("1\n2\n3\n", "1\n3\n", "=−="),
        ("1\n2\n", "1\nx\n2\n", "=+="),
        ("1\n2\n", "1\n5\n", "=≠"),
        ("1 \n", "1\n\n\n", "="),
        ("", "1", "≠"),
        ("1\n" * 400, "1\n" * 399 + "2\n", "=" * 399 + "≠"),
    ],
)
def test_differences_name_the_lines(expected: str, found: str, marks: str) -> None:
    assert "".join(mark for mark, _, _ in differences(expected, found)) == marks


def test_lines_that_repeat_are_compared_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aligning these would hold the node for a second, and a page has eight samples."""
    monkeypatch.setattr("deepoj.web.samples.difflib.SequenceMatcher", None)
    found = "".join("a\n" if number % 2 else f"{number}\n" for number in range(300))
    assert "".join(mark for mark, _, _ in differences("a\n" * 300, found)) == "≠=" * 150


@pytest.mark.parametrize(("takes_outputs", "is_offered"), [(True, True), (False, False), (None, True)])
async def test_outputs_are_offered_where_a_problem_takes_them(
    home: House, takes_outputs: bool | None, is_offered: bool
) -> None:
    number = await home.problem()
    found = StatementSet(takes_outputs=takes_outputs)
    assert await home.ports.statements.keep_statements(number, "00", found, renderer=1)
    shown = await (await member(home, "alice")).get(f"/problems/{number}")
    assert ("Send outputs" in shown) is is_offered
