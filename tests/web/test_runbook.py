"""The runbook as pages: every chapter and link, in both languages, also while the database is away."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from deepoj.web import symptoms
from deepoj.web.render import gettext_of
from deepoj.web.runbook import SECTIONS, runbook, section_path
from tests.web.clicking import Person, member, pages_house

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize(("language", "name"), [("en", "runbook.md"), ("zh", "runbook.zh.md")])
def test_runbook_has_every_heading_and_block_once_and_its_links_lead_to_headings(language: str, name: str) -> None:
    text, found = (DEPLOY / name).read_text(), runbook(language)
    assert [chapter.title for chapter in found.chapters.values()] == re.findall(r"(?m)^## (.*)$", text)
    headings = re.findall(r"(?m)^### (.*)$", text)
    assert [title for chapter in found.chapters.values() for _, title in chapter.sections] == headings
    html = [found.preface, *(chapter.html for chapter in found.chapters.values())]
    assert sum(part.count("<pre") for part in html) == text.count("```") / 2
    blocks = [unescape(block) for part in html for block in re.findall(r"(?s)<pre[^>]*>\n(.*?)</pre>", part)]
    assert blocks == list(re.findall(r"(?ms)^```[a-z ]+\n(.*?)^```$", text))
    addresses = {
        f"/runbook/{number}#{address}"
        for number, one in found.chapters.items()
        for address in re.findall(r'id="([^"]*)"', one.html)
    }
    links = {link for part in html for link in re.findall(r'href="([^"]*)"', part)}
    assert len(links) > 20
    assert links <= addresses
    assert not any("style=" in part or "<script" in part for part in html)
    sections = {text for text in vars(symptoms).values() if isinstance(text, str) and re.match(r"4\.\d+ ", text)}
    assert {section_path(gettext_of(language)(section)) for section in {*sections, *SECTIONS.values()}} <= addresses


async def test_a_symptom_and_a_refusal_lead_to_their_section(tmp_path: Path) -> None:
    home = pages_house(tmp_path)
    admin, _ = await member(home, "root", is_admin=True)
    shown = await admin.get("/manage/system")
    assert 'href="/runbook/4#44-no-worker-takes-jobs"' in shown.text
    assert (await admin.get("/runbook/4")).text.count('<h2 id="44-no-worker-takes-jobs">') == 1
    home.store.down = True
    refused = await admin.get("/manage/system")
    assert refused.status == 503
    assert 'href="/runbook/4#42-the-database-does-not-answer"' in refused.text


async def test_the_runbook_is_read_while_the_database_is_away_in_the_readers_language(tmp_path: Path) -> None:
    home = pages_house(tmp_path)
    alice, _ = await member(home, "alice")
    home.store.down = True
    for path in ("/runbook", "/runbook/4"):
        assert (await alice.get(path)).status == 200
    chinese = await Person(home, language="zh").get("/runbook/4")
    assert "4.1 Redis 不可用" in chinese.words
    for person, words in (
        (alice, "starts its own Valkey again by itself"),
        (Person(home, language="zh"), "自带的 Valkey"),
    ):
        assert words in (await person.get("/runbook/4")).words
        assert "test_runbook_text" not in (await person.get("/runbook")).words
    assert (await alice.get("/runbook/99")).status == 404
