"""Every text of the pages has its Chinese, and the catalogue has nothing else."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import polib
import pytest
from babel.messages.extract import extract_from_dir

import deepoj.web
from deepoj.web.visitor import LANGUAGES

ROOM = Path(deepoj.web.__file__).parent
TEMPLATES = sorted((ROOM / "templates").glob("*.html"))
TRANSLATIONS = sorted(LANGUAGES.keys() - {"en"})
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS = {"_": None, "gettext": None, "translate": None, "ngettext": (1, 2)}
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|{\w*}")
#: sentences of a template outside of the catalogue: names, and units that are the same in every language
_SAME_EVERYWHERE = frozenset(
    {"Deep-OJ", "API", "Ctrl", "MiB", "KiB", "ms", "s", "PDF", "CSV", "HTML", "TSV", "JSON", "UTC", "GitHub"}
)
#: attributes that people read or hear
_READ_ATTRIBUTES = frozenset({"aria-label", "aria-description", "aria-valuetext", "alt", "placeholder", "title"})
#: attributes whose text becomes one on the page by a script
_SAID_ATTRIBUTES = re.compile(r"data-(note|copied|confirm|label)")
#: texts that are the same in Chinese
_SAME_IN_CHINESE = frozenset({"API", "Deep-OJ", "CSV", "JSON", "PDF", "Webhook", "GitHub"})


def messages() -> Counter[tuple[str, str]]:
    """Return the texts of templates and handlers, each with its plural or an empty text."""
    found: Counter[tuple[str, str]] = Counter()
    options = {"templates/**.html": {"extensions": "jinja2.ext.i18n", "silent": "false"}}
    for _file, _line, message, _comments, _context in extract_from_dir(
        str(ROOM), _METHODS, options_map=options, keywords=_KEYWORDS, callback=None
    ):
        one, many = message if isinstance(message, tuple) else (message, "")
        found[one, many] += 1
    return found


def catalogue(language: str) -> polib.POFile:
    return polib.pofile(str(ROOM / f"locales/{language}/LC_MESSAGES/deepoj.po"))


def test_the_extraction_finds_texts_of_templates_and_of_handlers() -> None:
    texts = {one for one, _ in messages()}
    assert "Log in" in texts
    assert "It used more CPU time than the limit." in texts
    assert len(texts) > 80


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_text_is_translated_and_nothing_else(language: str) -> None:
    entries = catalogue(language)
    listed = [(entry.msgid, entry.msgid_plural) for entry in entries]
    assert [text for text, number in Counter(listed).items() if number > 1] == [], "twice in the catalogue"
    wanted = set(messages())
    assert sorted(wanted - set(listed)) == [], "not in the catalogue"
    assert sorted(set(listed) - wanted) == [], "in no template and no handler"
    for entry in entries:
        translated = [entry.msgstr] if not entry.msgid_plural else list(entry.msgstr_plural.values())
        assert translated and all(text.strip() for text in translated), f"not translated: {entry.msgid!r}"
        assert not entry.fuzzy, entry.msgid
        assert not entry.obsolete, entry.msgid


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_placeholders_and_the_space_of_its_text(language: str) -> None:
    for entry in catalogue(language):
        wanted = sorted(_PLACEHOLDER.findall(entry.msgid))
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert sorted(_PLACEHOLDER.findall(text)) == wanted, entry.msgid
            assert text == text.strip(), entry.msgid
            assert not re.search(r"[<>]", text), f"markup in {entry.msgid!r}"


def test_a_chinese_text_is_chinese() -> None:
    for entry in catalogue("zh"):
        if entry.msgid not in _SAME_IN_CHINESE and not entry.msgid_plural:
            assert re.search(r"[\u4e00-\u9fff]", entry.msgstr), f"{entry.msgid!r} → {entry.msgstr!r}"


class _Words(HTMLParser):
    """Collects what people read: text, and attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and (name in _READ_ATTRIBUTES or _SAID_ATTRIBUTES.match(name)):
                self.words.append(value)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def own_words(source: str) -> list[str]:
    """Return the words of a template that stand outside of ``_()`` and ``{% trans %}``."""
    without_trans = re.sub(r"{%-?\s*trans\b.*?endtrans\s*-?%}", " ", source, flags=re.DOTALL)
    # macros without a tag make attributes and addresses
    without_trans = re.sub(r"{% macro [^%]*%}[^<]*?{% endmacro %}", "", without_trans)
    # the parts that jinja2 puts out as they stand; an expression leaves a mark, so that attributes stay whole
    tokens = jinja2.Environment(autoescape=True).lex(without_trans)
    reader = _Words()
    reader.feed(
        "".join(value if kind == "data" else "1" if kind == "variable_begin" else "" for _, kind, value in tokens)
    )
    reader.close()
    words = (word for text in reader.words for word in re.findall(r"[A-Za-z][A-Za-z-]*", text))
    return [word for word in words if word not in _SAME_EVERYWHERE]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_outside_of_the_catalogue(template: Path) -> None:
    assert own_words(template.read_text("utf-8")) == []


def test_words_outside_of_the_catalogue_are_found() -> None:
    assert own_words('<p>Hello {{ _("you") }}</p>') == ["Hello"]
    assert own_words('<p title="{{ _("Time") }} left">{% trans %}Hello{% endtrans %}</p>') == ["left"]
    assert own_words('{% if x == "Hello" %}<a href="/x" class="big">{{ _("Go") }}</a> · API{% endif %}') == []
