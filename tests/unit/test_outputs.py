"""Output-only submissions: which file is the output of which test."""

from __future__ import annotations

import pytest

from deepoj.judging.languages import LANGUAGES
from deepoj.judging.outputs import OUTPUTS, language_of, mistaken, output_names
from deepoj.judging.problem import Case, Plan
from deepoj.judging.sources import takes_several
from deepoj.words.sources import SourceFile, Sources


def cases(*names: str) -> tuple[Case, ...]:
    return tuple(Case(name=name, input=None, answer=f"{name}.ans") for name in names)


def files(*names: str) -> Sources:
    return Sources(code="", entry_point=names[0], beside=tuple(SourceFile(name, "") for name in names[1:]))


@pytest.mark.parametrize(
    ("tests", "sent", "found"),
    [
        (("1",), Sources(code="42"), {"1": "output.txt"}),
        (("1", "2"), files("1.out", "2.out"), {"1": "1.out", "2": "2.out"}),
        (("1", "2"), files("2", "1.ans"), {"1": "1.ans", "2": "2"}),
        (("1", "2"), files("1.txt"), {"1": "1.txt"}),
        (("1", "10"), files("10.out"), {"10": "10.out"}),
        (("sample/1", "secret/2"), files("1.out", "2.out"), {"sample/1": "1.out", "secret/2": "2.out"}),
        # a name that two tests have says nothing
        (("a/1", "b/1", "b/2"), files("1.out", "2.out"), {"b/2": "2.out"}),
        (("a/1", "b/1"), files("a_1.out", "b_1"), {"a/1": "a_1.out", "b/1": "b_1"}),
        (("1",), files("README"), {}),
    ],
)
def test_names(tests: tuple[str, ...], sent: Sources, found: dict[str, str]) -> None:
    assert dict(output_names(cases(*tests), sent)) == found


def test_the_language() -> None:
    assert language_of("text") is OUTPUTS
    assert language_of("cpp17") is LANGUAGES["cpp17"]
    assert language_of(1) is LANGUAGES["cpp17"]
    assert language_of("nothing") is None
    assert OUTPUTS.key not in LANGUAGES
    assert takes_several(OUTPUTS)


def test_one_text_for_one_test() -> None:
    one = Plan(format="own", cases=cases("1"), output_only=True)
    assert mistaken(one, OUTPUTS, Sources(code="42")) == ""
    assert mistaken(one, OUTPUTS, files("1.out")) == ""
