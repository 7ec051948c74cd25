"""Peculiarities of the formats' sources that pandoc's readers do not know; put right in the text before it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

#: headings that macros of Polygon's and Kattis' styles make, in the order of ``_WORDS``
_WORDS = ("Input", "Output", "Interaction", "Scoring", "Note", "Subtask")
_HEADINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "de": ("Eingabe", "Ausgabe", "Interaktion", "Bewertung", "Anmerkung", "Teilaufgabe"),
        "es": ("Entrada", "Salida", "Interacción", "Puntuación", "Nota", "Subtarea"),
        "fr": ("Entrée", "Sortie", "Interaction", "Score", "Note", "Sous-tâche"),
        "pl": ("Wejście", "Wyjście", "Interakcja", "Ocenianie", "Uwaga", "Podzadanie"),
        "pt": ("Entrada", "Saída", "Interação", "Pontuação", "Nota", "Subtarefa"),
        "ru": ("Входные данные", "Выходные данные", "Протокол взаимодействия", "Система оценки", "Примечание",
               "Подзадача"),
        "sv": ("Indata", "Utdata", "Interaktion", "Poängsättning", "Förklaring", "Delproblem"),
        "uk": ("Вхідні дані", "Вихідні дані", "Протокол взаємодії", "Система оцінювання", "Примітка", "Підзадача"),
        "vi": ("Dữ liệu vào", "Dữ liệu ra", "Tương tác", "Chấm điểm", "Ghi chú", "Subtask"),
        "zh": ("输入", "输出", "交互", "评分", "说明", "子任务"),
    }
)  # fmt: skip
_PLACE = re.compile(r"@([A-Z][a-z]+)@")
#: the name of the package's title without an argument: the next word would become one
_BARE_NAME = re.compile(r"\\problemname(?![A-Za-z])(?!\s*[\[{])")
_CENTER = re.compile(r"<(/?)center\b[^<>]*>", re.IGNORECASE)
#: a tag of a table; those in comments do no harm: what is put before them is in the comment, too
_OF_TABLE = re.compile(r"<(/?)(table|thead|tbody|tfoot|tr|td|th)\b[^<>]*>", re.IGNORECASE)
#: deeper tables are left as they are
_MAX_OPEN = 100
_CELLS = frozenset({"td", "th"})
_PARTS = frozenset({"thead", "tbody", "tfoot"})
#: element → those that end where it begins
_ENDED_BY: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "table": frozenset(),
        **dict.fromkeys(_PARTS, _CELLS | {"tr"} | _PARTS),
        "tr": _CELLS | {"tr"},
        **dict.fromkeys(_CELLS, _CELLS),
    }
)


def with_headings(preamble: str, language: str, text: str) -> str:
    """Return our TeX preamble with headings in a language. ``text``: the statement that follows it.

    Polygon's style has a command ``\\Interaction``, that of Kattis an environment; pandoc knows one of both.
    """
    words = _HEADINGS.get(language.partition("-")[0].lower(), _WORDS)
    kind = "environment" if "\\begin{Interaction}" in text else "command"
    end = "{}" if kind == "environment" else ""
    name = "{Interaction}" if kind == "environment" else "{\\Interaction}"
    interaction = f"\\new{kind}{name}{{\\subsection{{@Interaction@}}}}{end}\n"
    return _PLACE.sub(lambda found: words[_WORDS.index(found[1])], preamble + interaction)


def without_bare_names(tex: str) -> str:
    """Return TeX of Kattis without ``\\problemname`` that has no argument: the title is the package's."""
    return _BARE_NAME.sub("", tex)


def with_centers(html: str) -> str:
    """Return HTML whose ``<center>``, which pandoc omits, is a ``<div>`` of a class that the cleaner knows."""
    return _CENTER.sub(lambda found: "</div>" if found[1] else '<div class="center">', html)


def with_closed_cells(html: str) -> str:
    """Return HTML in which cells, rows and parts of tables are closed. HTML lets them be left open; pandoc then loses
    the table."""
    parts: list[str] = []
    #: open elements of tables, outermost first
    opened: list[str] = []
    end = 0
    for tag in _OF_TABLE.finditer(html):
        name = tag[2].lower()
        if len(opened) > _MAX_OPEN:
            return html
        parts.append(html[end : tag.start()])
        end = tag.start()
        if not tag[1]:
            while opened and opened[-1] in _ENDED_BY[name]:
                parts.append(f"</{opened.pop()}>")
            opened.append(name)
        elif _is_open(name, opened):
            while opened[-1] != name:
                parts.append(f"</{opened.pop()}>")
            opened.pop()
    return "".join((*parts, html[end:], *(f"</{name}>" for name in reversed(opened))))


def _is_open(name: str, opened: Sequence[str]) -> bool:
    """Return whether an element is open in the innermost table."""
    # between two tables at most a part, a row and a cell are open: the search is short, also in deep tables
    for other in reversed(opened):
        if other == name:
            return True
        if other == "table":
            return False
    return False
