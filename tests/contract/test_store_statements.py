"""The contract of ``ports.Statements``: they belong to one package of a problem and go with it."""

from __future__ import annotations

from dataclasses import replace

from deepoj.words.problems import Problem, ProblemChange
from deepoj.words.statements import (
    RENDERER_VERSION,
    StatementFile,
    StatementFileKind,
    StatementIndex,
    StatementKind,
    StatementSample,
    StatementSet,
    StatementText,
)
from tests.contract.labs import Lab, new_problem

EN = StatementText(language="en", title="Sum\0", kind=StatementKind.HTML, html="<p>\ud800 和</p>", pdf="a.pdf")
ZH = StatementText(language="zh", title="和", kind=StatementKind.TEXT, html="<pre>x</pre>")
PNG = StatementFile(kind=StatementFileKind.SHOWN, name="a.png", media_type="image/png", content=bytes(range(256)))
ZIP = replace(PNG, kind=StatementFileKind.ATTACHMENT, name="x.zip", media_type="application/octet-stream")
SAME = replace(PNG, kind=StatementFileKind.ATTACHMENT, content=b"")
SAMPLES = (StatementSample(input="1 2\n", output="3\n"), StatementSample(input="", output="", interaction="<1\n>2\n"))
FOUND = StatementSet(texts=(ZH, EN), samples=SAMPLES, files=(PNG, ZIP, SAME), notes=("one", "two"))


async def kept(lab: Lab, *, renderer: int = RENDERER_VERSION) -> Problem:
    made = await new_problem(lab.store)
    assert await lab.store.statements.keep_statements(made.id, made.data_hash, FOUND, renderer=renderer)
    return made


async def test_statements_are_read_back(lab: Lab) -> None:
    made = await kept(lab)
    index = await lab.store.statements.statement_index(made.id)
    assert index == StatementIndex(
        is_pending=False,
        languages=(("zh", "和"), ("en", index.languages[1][1] if index else "")),
        samples=SAMPLES,
        attachments=(("a.png", 0), ("x.zip", 256)),
        notes=("one", "two"),
    )
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH
    text = await lab.store.statements.statement_text(made.id, "en")
    assert text is not None
    assert (text.kind, text.pdf) == (StatementKind.HTML, "a.pdf")
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") == PNG
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.ATTACHMENT, "a.png") == SAME


async def test_what_is_not_there_is_none(lab: Lab) -> None:
    made = await kept(lab)
    for language in ("fr", "EN", "", "\0"):
        assert await lab.store.statements.statement_text(made.id, language) is None
    for name in ("b.png", "", "\0"):
        assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, name) is None
    assert await lab.store.statements.statement_index(made.id + 99) is None
    assert await lab.store.statements.statement_text(made.id + 99, "en") is None


async def test_new_problem_is_pending_and_has_nothing(lab: Lab) -> None:
    made = await new_problem(lab.store)
    assert await lab.store.statements.statement_index(made.id) == StatementIndex(is_pending=True)
    assert made in await lab.store.statements.unrendered_problems(made.id - 1, 10)
    assert await lab.store.statements.unrendered_problems(made.id, 10) == []


async def test_sources_are_shown_until_they_are_rendered(lab: Lab) -> None:
    made = await kept(lab, renderer=0)
    index = await lab.store.statements.statement_index(made.id)
    assert index is not None
    assert index.is_pending
    assert index.samples == SAMPLES
    assert made in await lab.store.statements.unrendered_problems(made.id - 1, 10)
    found = StatementSet(texts=(replace(ZH, kind=StatementKind.HTML),))
    for _ in range(2):  # twice is the same as once
        assert await lab.store.statements.keep_statements(made.id, made.data_hash, found, renderer=RENDERER_VERSION)
    assert await lab.store.statements.statement_index(made.id) == StatementIndex(
        is_pending=False, languages=(("zh", "和"),)
    )
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") is None
    assert await lab.store.statements.unrendered_problems(made.id - 1, 10) == []


async def test_a_later_result_and_another_package_are_not_overwritten(lab: Lab) -> None:
    made = await kept(lab)
    assert not await lab.store.statements.keep_statements(made.id, made.data_hash, StatementSet(), renderer=0)
    assert not await lab.store.statements.keep_statements(made.id, "other", StatementSet(), renderer=RENDERER_VERSION)
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH


async def test_another_package_has_no_statements_of_the_former(lab: Lab) -> None:
    made = await kept(lab)
    await lab.store.problems.update_problem(made.id, ProblemChange(title="other", time_limit_ms=99))
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH
    await lab.store.problems.update_problem(made.id, ProblemChange(data_path="p", data_hash="cafe"))
    assert await lab.store.statements.statement_index(made.id) == StatementIndex(is_pending=True)
    assert await lab.store.statements.statement_text(made.id, "zh") is None
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") is None
    assert [one.id for one in await lab.store.statements.unrendered_problems(made.id - 1, 10)] == [made.id]
    assert await lab.store.statements.keep_statements(made.id, "cafe", FOUND, renderer=RENDERER_VERSION)
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH


async def test_deleted_problem_takes_its_statements_with_it(lab: Lab) -> None:
    made = await kept(lab)
    assert await lab.store.problems.delete_problem(made.id) is None
    assert await lab.store.statements.statement_index(made.id) is None
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") is None
