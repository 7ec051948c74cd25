"""The contract of ``ports.Statements``: they belong to one package of a problem and go with it."""

from __future__ import annotations

from dataclasses import replace

import trio

from deepoj.words.problems import Problem, ProblemChange
from deepoj.words.statements import (
    RENDERER_VERSION,
    EditRefusal,
    StatementEdit,
    StatementEdits,
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
FOUND = StatementSet(texts=(ZH, EN), samples=SAMPLES, files=(PNG, ZIP, SAME), notes=("one", "two"), takes_outputs=True)


async def kept(lab: Lab, *, renderer: int = RENDERER_VERSION) -> Problem:
    made = await new_problem(lab.store)
    assert await lab.store.statements.keep_statements(made.id, made.data_hash, FOUND, renderer=renderer)
    return made


async def claimed(lab: Lab) -> list[tuple[int, int]]:
    """Claim all problems that are to be rendered, one after the other, and end the claims."""
    found: list[tuple[int, int]] = []
    while (claim := await lab.store.statements.claim_unrendered(60.0, [])) is not None:
        found.append((claim[0].id, claim[1]))
    for problem_id, _ in found:
        await lab.store.statements.release_unrendered(problem_id)
    return found


async def test_statements_are_read_back(lab: Lab) -> None:
    made = await kept(lab)
    index = await lab.store.statements.statement_index(made.id)
    assert index == StatementIndex(
        is_pending=False,
        languages=(("zh", "和"), ("en", index.languages[1][1] if index else "")),
        samples=SAMPLES,
        attachments=(("a.png", 0), ("x.zip", 256)),
        notes=("one", "two"),
        takes_outputs=True,
    )
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH
    text = await lab.store.statements.statement_text(made.id, "en")
    assert text is not None
    assert (text.kind, text.pdf) == (StatementKind.HTML, "a.pdf")
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") == PNG
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.ATTACHMENT, "a.png") == SAME


async def test_content_of_a_file_is_read_unless_its_mark_is_known(lab: Lab) -> None:
    made, statements = await kept(lab), lab.store.statements
    shown = StatementFileKind.SHOWN
    first = await statements.statement_file(made.id, shown, "a.png")
    assert first == PNG
    assert first.mark
    known = await statements.statement_file(made.id, shown, "a.png", known=["other", first.mark])
    assert known == replace(PNG, content=b"")
    assert known.mark == first.mark
    again = await statements.statement_file(made.id, shown, "a.png")
    assert again == PNG
    assert again.content is first.content, "answers to several readers hold one copy"
    other = await statements.statement_file(made.id, StatementFileKind.ATTACHMENT, "a.png", known=[first.mark])
    assert other == SAME
    assert other.mark != first.mark
    changed = StatementSet(files=(replace(PNG, content=b"new"),))
    assert await statements.keep_statements(made.id, made.data_hash, changed, renderer=RENDERER_VERSION)
    assert await statements.statement_file(made.id, shown, "a.png", known=[first.mark]) == changed.files[0]


async def test_short_texts_are_those_without_a_pdf_and_with_few_bytes(lab: Lab) -> None:
    statements, made = lab.store.statements, await kept(lab)
    assert await statements.short_texts(made.id, 100) == {"zh": ZH.html}, "the other one has a PDF"
    long = replace(EN, title="", html="abcdefg", pdf=None)
    found = StatementSet(texts=(replace(ZH, html="和和"), long, replace(ZH, language="a", html="")))
    assert await statements.keep_statements(made.id, made.data_hash, found, renderer=RENDERER_VERSION)
    assert list((await statements.short_texts(made.id, 6)).items()) == [("zh", "和和"), ("a", "")]
    assert await statements.short_texts(made.id, 5) == {"a": ""}
    await lab.store.problems.update_problem(made.id, ProblemChange(data_path="p", data_hash="cafe"))
    assert await statements.short_texts(made.id, 100) == {}


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
    assert await claimed(lab) == [(made.id, 0)]


async def test_sources_are_shown_until_they_are_rendered(lab: Lab) -> None:
    made = await kept(lab, renderer=0)
    index = await lab.store.statements.statement_index(made.id)
    assert index is not None
    assert index.is_pending
    assert index.samples == SAMPLES
    assert await claimed(lab) == [(made.id, 0)]
    found = StatementSet(texts=(replace(ZH, kind=StatementKind.HTML),))
    for _ in range(2):  # twice is the same as once
        assert await lab.store.statements.keep_statements(made.id, made.data_hash, found, renderer=RENDERER_VERSION)
    assert await lab.store.statements.statement_index(made.id) == StatementIndex(
        is_pending=False, languages=(("zh", "和"),)
    )
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") is None
    assert await claimed(lab) == []


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
    assert await claimed(lab) == [(made.id, 0)]
    assert await lab.store.statements.keep_statements(made.id, "cafe", FOUND, renderer=RENDERER_VERSION)
    assert await lab.store.statements.statement_text(made.id, "zh") == ZH


async def test_deleted_problem_takes_its_statements_with_it(lab: Lab) -> None:
    made = await kept(lab)
    assert await lab.store.problems.delete_problem(made.id) is None
    assert await lab.store.statements.statement_index(made.id) is None
    assert await lab.store.statements.statement_file(made.id, StatementFileKind.SHOWN, "a.png") is None


async def test_a_claimed_problem_is_left_to_its_node_until_the_claim_ends(lab: Lab) -> None:
    first, second = await new_problem(lab.store), await new_problem(lab.store)
    claim = lab.store.statements.claim_unrendered
    marks = [(one.id, one.data_hash, 0) for one in (first, second)]
    assert await claim(60.0, []) == (first, 0)
    assert await claim(60.0, []) == (second, 0), "another node takes the next one"
    assert await claim(60.0, []) is None
    await lab.store.statements.release_unrendered(first.id)
    assert await claim(60.0, marks) is None, "those that this node cannot render"
    assert await claim(0.0, [(first.id, "other", 0), (first.id, first.data_hash, 1)]) == (first, 0)
    assert await claim(60.0, []) == (first, 0), "that claim has ended"


def edit(source: str, kind: str = "md") -> StatementEdit:
    return StatementEdit(language="en", kind=kind, source=source)


async def test_an_edit_is_kept_beside_every_package_until_it_is_taken_back(lab: Lab) -> None:
    made, store = await kept(lab), lab.store.statements
    assert await store.statement_edits(made.id) == StatementEdits(0)
    assert await store.edit_statement(made.id, "en", edit("a\0"), since=0, data_hash=made.data_hash, by="root") == 1
    assert await claimed(lab) == [(made.id, 1)]
    assert await store.statement_text(made.id, "zh") == ZH, "readers have the former until it is rendered"
    assert not await store.keep_statements(made.id, made.data_hash, FOUND, renderer=RENDERER_VERSION)
    assert await store.keep_statements(made.id, made.data_hash, FOUND, renderer=RENDERER_VERSION, edition=1)
    assert await claimed(lab) == []
    await lab.store.problems.update_problem(made.id, ProblemChange(data_path="p", data_hash="cafe"))
    (held,) = (await store.statement_edits(made.id)).edits
    assert (held.language, held.kind, held.source[0], held.version) == ("en", "md", "a", 1)
    assert await store.edit_statement(made.id, "en", None, since=1, data_hash="cafe", by="root") == 2
    assert await store.statement_edits(made.id) == StatementEdits(2)
    acts = [event.act for event in await lab.store.admin_events.admin_events(10)]
    assert acts == ["statement_edited", "statement_edited"]


async def test_an_edit_of_what_has_changed_is_refused(lab: Lab) -> None:
    made, store = await kept(lab), lab.store.statements
    changed = EditRefusal.CHANGED_MEANWHILE
    assert await store.edit_statement(made.id, "en", edit("a"), since=0, data_hash="other") is changed
    assert await store.edit_statement(made.id, "en", edit("a"), since=1, data_hash=made.data_hash) is changed
    assert await store.edit_statement(made.id, "en", edit("a"), since=0, data_hash=made.data_hash) == 1
    assert await store.edit_statement(made.id, "en", edit("b"), since=0, data_hash=made.data_hash) is changed
    assert await store.edit_statement(made.id, "en", edit("b", "tex"), since=1, data_hash="") == 2
    assert await store.edit_statement(made.id, "zh", edit("c"), since=0, data_hash=made.data_hash) == 3
    assert [one.source for one in (await store.statement_edits(made.id)).edits] == ["b", "c"]
    unknown = await store.edit_statement(made.id + 99, "en", edit("a"), since=0, data_hash="")
    assert unknown is EditRefusal.UNKNOWN_PROBLEM
    assert await lab.store.problems.delete_problem(made.id) is None
    assert await store.statement_edits(made.id) == StatementEdits(0)


async def test_of_edits_at_the_same_time_one_is_kept(lab: Lab) -> None:
    """A node that waited for another's edit of a statement has to see it."""
    made, store = await kept(lab), lab.store.statements
    for since in range(2):
        outcomes: list[int | EditRefusal] = []

        async def save(source: str, since: int, outcomes: list[int | EditRefusal]) -> None:
            outcomes.append(
                await store.edit_statement(made.id, "en", edit(source), since=since, data_hash=made.data_hash)
            )

        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(save, f"{since}-{number}", since, outcomes)
        assert [one for one in outcomes if one is not EditRefusal.CHANGED_MEANWHILE] == [since + 1]
