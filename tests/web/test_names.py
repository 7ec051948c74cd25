"""Names that people chose keep their direction of writing to themselves, on every page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import Markup

from deepoj.web.shown import bdi
from tests.web.test_texts import TEMPLATES

#: how templates call the name of a person, team, organization, group, problem, contest or token, or words of a person.
#: A new one is a word here
NAMES = re.compile(
    r"\b(?:username|formal_name|organization|author|team_name|team_shown|pseudonym|sample_user"
    r"|\w+_by|(?:account|rules|problem|team|teams|accounts|groups|group|shown|place|host|token|user|standing|award|one|row"
    r"|opened|statement|text|event|step|asked|slip|audit)\.(?:name|title|team|actor|subject|by|reason|group|groups|accounts"
    r"|feed_name|category|email)|team_names\.get|teams\.get|titles\[\w+\]|groups_of\.get)\b(?!\s*[.(=])"
)
#: (template, expression): a name of ours, of a package or of a file, or one that only chooses
EXCEPTIONS = {
    ("_tests.html", "group.name"),
    ("contest.html", "award.title"),  # a medal
    ("manage_problem.html", "group.name"),
    ("manage_problem.html", "one.name"),
    ("runbook.html", "one.title"),
}
_TOKEN = re.compile(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|</?[a-zA-Z][a-zA-Z0-9]*|>", re.DOTALL)
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
#: elements that hold text alone, so no other element
_TEXT_ALONE = {"title", "option", "textarea"}


def printed(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a template prints between elements, each with the text before it: not in attributes or titles."""
    is_in_tag, text_alone = False, ""
    for token in _TOKEN.finditer(text):
        word = token.group()
        if word.startswith("{%"):
            if re.match(r"\{%-? block title", word):
                text_alone = "block"
            elif text_alone == "block" and "endblock" in word:
                text_alone = ""
        elif word.startswith("{{"):
            if not is_in_tag and not text_alone:
                yield word[2:-2].strip("- "), text[: token.start()]
        elif word == ">":
            is_in_tag = False
        elif not word.startswith("{#"):
            is_in_tag, name = True, word.strip("</").lower()
            if word.startswith("</"):
                text_alone = "" if name == text_alone else text_alone
            elif name in _TEXT_ALONE:
                text_alone = name


def bare_names(template: str, text: str) -> list[str]:
    """Return the expressions that print a name which no element holds apart from its neighbours."""
    return [
        expression
        for expression, before in printed(text)
        if NAMES.search(_STRING.sub("", expression))
        and "|bdi" not in expression
        and '|map("bdi")' not in expression
        and not re.search(r'<\w+[^<>]* dir="auto"[^<>]*>$', before)
        and (template, expression) not in EXCEPTIONS
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_print_no_name_bare(template: Path) -> None:
    assert bare_names(template.name, template.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "<td>{{ one.username }}</td>",
        '<p title="{{ one.username }}">{{ problem.title }} · {{ now }}</p>',
        '{{ _("asked for by %(name)s", name=rerun.asked_by) }}',
        '{{ team.groups|join(", ") or "–" }}',
        '<b dir="auto"></b>{{ contest.rules.name }}',
    ],
)
def test_a_bare_name_is_found(text: str) -> None:
    assert len(bare_names("one.html", text)) == 1


def test_a_name_is_escaped_in_an_element_of_its_own() -> None:
    assert bdi("<محمد>") == Markup("<bdi>&lt;محمد&gt;</bdi>")
    assert (bdi(""), bdi(None)) == ("", "")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_boxes_for_prose_follow_the_direction_of_what_is_written(template: Path) -> None:
    text = template.read_text("utf-8")
    assert [box for box in re.findall(r"<textarea[^>]*>", text) if "prose" in box and 'dir="auto"' not in box] == []
    assert 'class="words">' not in text
    assert not re.search(r'class="(?:text|rendered)"(?![^>]*dir="auto")', text)
