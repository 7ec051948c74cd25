"""Cleans a document tree of pandoc (its JSON): only known node types stay, without ids, classes and attributes.

Formulas are taken out, and a marker is left in the text for each. The marker holds a nonce of this rendering, so that
no statement can contain one. Formulas that pandoc's reader does not know (``$$$x$$$`` in Polygon's HTML, ``~x~`` in
DMOJ's Markdown) are taken out of the source before pandoc sees it, with markers of the same form; in code and in
addresses the source's own text returns.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from deepoj.packages.formats.faults import show
from deepoj.packages.statements.sources import StatementNotes, title_of

#: of the JSON: a list in a list takes five levels
MAX_DEPTH = 200
MAX_FORMULAS = 5000
MAX_FORMULA_CHARS = 5000
_NO_ATTRIBUTES: list[Any] = ["", [], []]
_CELL_ITEMS = 5
_MAX_SPAN = 100
_MAX_NUMBER = 1_000_000

#: node types that stay, with their content cleaned
_KEPT = frozenset(
    {
        "Plain", "Para", "LineBlock", "BlockQuote", "OrderedList", "BulletList", "DefinitionList",
        "HorizontalRule", "Table", "Figure", "Emph", "Underline", "Strong", "Strikeout", "Superscript",
        "Subscript", "SmallCaps", "Quoted", "Space", "SoftBreak", "LineBreak",
    }
)  # fmt: skip
#: types of values in nodes: alignments, styles of numbers, kinds of quotes
_VALUE = re.compile(
    r"Align[A-Za-z]+|ColWidthDefault|[A-Z][A-Za-z]*(?:Style|Delim)|Decimal|(?:Lower|Upper)(?:Roman|Alpha)|Example"
    r"|Period|OneParen|TwoParens|(?:Single|Double)Quote"
)
#: commands of layout that a page ignores
_LAYOUT = re.compile(
    r"""(?:\\(?:[vh](?:space|fill|skip)\*?|(?:small|med|big)(?:skip|break)|noindent|indent|par|centering|raggedright
    |raggedleft|(?:new|clear|no|page)(?:page|break|line)?|clearpage|pagebreak|nopagebreak|linebreak|newpage|newline
    |label|vfill|hfill|sloppy|fussy|setlength|addtolength|tiny|scriptsize|footnotesize|small|normalsize|large|Large
    |LARGE|huge|Huge|nextsample|remainingsamples|bgroup|egroup|renewcommand|setcounter|thispagestyle|pagestyle|hline|toprule
    |midrule|bottomrule|protect|relax|null|strut|phantom|vphantom|hphantom|color|nolinebreak|textwidth|linewidth
    |columnwidth|smallbreak|maketitle)(?![A-Za-z])\*?(?:\s|\{[^{}]*\}|\[[^\[\]]*\])*+)++""",
    re.VERBOSE,
)
_LABEL = re.compile(r"\\label\s*\{([^{}]{1,100})\}")
_REFERENCE = re.compile(r"\\(?:eq|auto|c|C|page)?ref\s*\{([^{}]{1,100})\}")
_LAYOUT_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:center|flushleft|flushright|small|footnotesize|samepage)\}")

#: Polygon's HTML: names of classes → node types
_FONTS: Mapping[str, str] = MappingProxyType(
    {"tex-font-style-bf": "Strong", "tex-font-style-it": "Emph", "tex-font-style-sl": "Emph", "bf": "Strong"}
)
_MONOSPACED = frozenset({"tex-font-style-tt"})
#: parts of Polygon's HTML that are shown elsewhere
_SHOWN_ELSEWHERE = frozenset({"sample-tests", "header", "statement-footer"})
#: figures of a width, as classes: ``st-w30`` is 30 % of the text's
WIDTHS = tuple(range(10, 101, 10))


class Unrenderable(Exception):
    """A statement that is shown as its source. Never leaves ``packages.statements``."""


@dataclass(frozen=True, slots=True)
class Formula:
    """TeX between dollars."""

    tex: str
    #: on a line of its own
    is_display: bool
    #: as in the source, with its delimiters
    raw: str


@dataclass(frozen=True, slots=True)
class PublicImage:
    """An image of the package. A PDF is linked, because browsers show none in a page."""

    url: str
    is_pdf: bool = False
    size: tuple[int, int] | None = None  # in pixels; None: not known


@dataclass(slots=True, kw_only=True)
class Markers:
    """Formulas by their number, and the markers that hold their places in texts."""

    #: letters and digits only
    nonce: str
    formulas: list[Formula] = field(default_factory=list)

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(rf"m{self.nonce}n([0-9]{{1,7}})z")

    def put(self, formula: Formula) -> str:
        """Take a formula out; return its marker. Raises Unrenderable."""
        if len(self.formulas) >= MAX_FORMULAS:
            raise Unrenderable(f"it has more than {MAX_FORMULAS} formulas")
        self.formulas.append(formula)
        return f"m{self.nonce}n{len(self.formulas) - 1}z"

    def restore(self, text: str) -> str:
        """Return ``text`` with the formulas as they are in the source."""
        return self.pattern.sub(lambda found: self._raw(int(found[1])), text)

    def _raw(self, number: int) -> str:
        return self.formulas[number].raw if number < len(self.formulas) else ""


_POLYGON_MATH = re.compile(r"\$\$\$\$\$\$([^$]{1,5000})\$\$\$\$\$\$|\$\$\$([^$]{1,5000})\$\$\$")
_DMOJ_MATH = re.compile(
    r"(?<![\\$])\$\$([^$]{1,5000})\$\$(?!\$)|(?<![\\~])~(?![\s~])((?:[^~\\\n]|\\[^\n]){1,2000}?)(?<!\s)~(?!~)"
)


def take_polygon_math(text: str, markers: Markers) -> str:
    """Replace ``$$$x$$$`` and ``$$$$$$x$$$$$$`` of Polygon's HTML by markers. Raises Unrenderable."""
    return _taken(_POLYGON_MATH, text, markers, html.unescape)


def take_dmoj_math(text: str, markers: Markers) -> str:
    """Replace ``~x~`` and ``$$x$$`` of DMOJ's Markdown by markers. Raises Unrenderable."""
    return _taken(_DMOJ_MATH, text, markers, lambda tex: tex)


_SAMPLE_TAG = re.compile(
    r"\{\{\s*(?:next|remaining)samples?\s*\}\}|^\\(?:nextsample|remainingsamples)[ \t]*$", re.MULTILINE
)


def without_sample_tags(text: str) -> str:
    """Return Markdown of Kattis without the tags that place samples: they are shown after the statement."""
    return _SAMPLE_TAG.sub("", text)


_FONT = re.compile(r"\\(bf|it|sl|tt)(?=\s?\{)")
_FONT_COMMANDS: Mapping[str, str] = MappingProxyType(
    {"bf": r"\textbf", "it": r"\textit", "sl": r"\textsl", "tt": r"\texttt"}
)


def with_polygon_fonts(text: str) -> str:
    """Return Polygon's TeX with fonts as commands: in it, ``\\bf{x}`` takes an argument."""
    return _FONT.sub(lambda found: _FONT_COMMANDS[found[1]], text)


def _taken(pattern: re.Pattern[str], text: str, markers: Markers, plain: Callable[[str], str]) -> str:
    def marker(found: re.Match[str]) -> str:
        is_display = found[1] is not None
        return markers.put(Formula(plain(found[1] if is_display else found[2]), is_display, found[0]))

    return pattern.sub(marker, text)


# ---------------------------------------------------------------------------------------------------------------------


def check_depth(tree: object) -> None:
    """Raise Unrenderable for a tree that nests too deeply for functions that call themselves."""
    level, depth = [tree], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Unrenderable("it nests too deeply")
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, dict | list)
        ]


@dataclass(slots=True, kw_only=True)
class Cleaner:
    """Cleans one document. ``source``: its text, to find lines in."""

    file: str
    source: str
    markers: Markers
    notes: StatementNotes
    #: address of an image that the statement refers to; None: it is not in the package
    image: Callable[[str], PublicImage | None]
    #: address of an attachment that a link refers to; None: it is none
    attachment: Callable[[str], str | None]
    #: whether ``<span class="math inline">`` is pandoc's own way to write a formula
    has_math_spans: bool = False
    #: whether ``<<x>>`` are quotation marks
    has_tex_quotes: bool = False
    title: str = ""
    _searched_to: int = 0
    #: label → number; None: not counted yet
    _numbers: dict[str, str] | None = None
    #: added to the levels of headings, so that the highest is 2
    _shift: int = 0

    def blocks(self, tree: object) -> list[Any]:
        """Return the cleaned blocks of a document. Raises Unrenderable."""
        blocks = tree.get("blocks") if isinstance(tree, dict) else None
        if not isinstance(blocks, list):
            raise Unrenderable("the converter gave no document")
        check_depth(blocks)
        blocks = self._without_title(blocks)
        self.title = self.title or _meta_title(tree)
        levels = [level for block in blocks if (level := _level(block)) is not None]
        self._shift = 2 - min(levels, default=2)
        return [self._node(block) for block in blocks]

    def note_formula(self, formula: Formula) -> None:
        """Note a formula that is shown as TeX."""
        self._searched_to = 0
        first = formula.raw.splitlines()[0][:60]
        self._remark(formula.tex, f"the formula {show(first)} is not understood and is shown as TeX.")

    # -- nodes

    def _node(self, node: Any) -> Any:
        match node:
            case list():
                return self._list(node)
            case bool() | str() | None:
                return node
            case int():
                return max(-_MAX_NUMBER, min(node, _MAX_NUMBER))
            case {"t": str(kind)}:
                return self._known(kind, node)
            case _:
                return _text("")

    def _known(self, kind: str, node: dict[str, Any]) -> Any:
        if kind in self._SPECIAL:
            return self._SPECIAL[kind](self, node.get("c"))
        if kind in _KEPT:
            return {"t": kind, "c": self._node(node["c"])} if "c" in node else {"t": kind}
        if kind == "ColWidth":
            return {"t": "ColWidthDefault"}
        return {"t": kind} if _VALUE.fullmatch(kind) else _text("")

    def _list(self, items: list[Any]) -> list[Any]:
        if _is_attributes(items):
            return _NO_ATTRIBUTES
        cleaned = [self._node(item) for item in items]
        if len(items) == _CELL_ITEMS and isinstance(items[2], int) and isinstance(items[3], int):
            cleaned[2:4] = (max(1, min(span, _MAX_SPAN)) for span in items[2:4])
        return cleaned

    def _str(self, text: Any) -> Any:
        plain = str(text)
        return _text(plain.replace("<<", "«").replace(">>", "»") if self.has_tex_quotes else plain)

    def _math(self, content: Any) -> Any:
        is_display, tex = content[0].get("t") == "DisplayMath", str(content[1])
        return self._formula(tex, is_display)

    def _formula(self, tex: str, is_display: bool) -> Any:
        if len(tex) > MAX_FORMULA_CHARS:
            self._remark(tex, f"a formula has {len(tex)} characters and is shown as TeX.")
            return _code(tex)
        raw = f"$${tex}$$" if is_display else f"${tex}$"
        return _text(self.markers.put(Formula(tex, is_display, raw)))

    def _code_span(self, content: Any) -> Any:
        return _code(self.markers.restore(str(content[1])))

    def _code_block(self, content: Any) -> Any:
        return {"t": "CodeBlock", "c": [_NO_ATTRIBUTES, self.markers.restore(str(content[1]))]}

    def _raw_inline(self, content: Any) -> Any:
        number = self._number_of(str(content[1]).strip())
        if number is not None:
            return _text(number)
        shown = self._raw(content)
        return _code(shown) if shown else _text("")

    def _raw_block(self, content: Any) -> Any:
        shown = self._raw(content)
        return {"t": "CodeBlock", "c": [_NO_ATTRIBUTES, shown]} if shown else {"t": "Plain", "c": []}

    def _raw(self, content: Any) -> str:
        """Return TeX that pandoc did not understand, as far as readers should see it."""
        language, text = str(content[0]), str(content[1])
        if language not in {"tex", "latex"}:
            return ""
        shown = self.markers.restore(text).strip()
        if not shown or _LAYOUT_ENVIRONMENT.fullmatch(shown) or _LAYOUT.fullmatch(shown):
            return ""
        first = shown.splitlines()[0][:60]
        self._remark(text, f"{show(first)} is not understood and is shown as text.")
        return shown

    def _number_of(self, tex: str) -> str | None:
        """Return the number of the figure, table or section that a reference means: labels are counted by kind."""
        reference = _REFERENCE.fullmatch(tex)
        if reference is None:
            return None
        if self._numbers is None:
            counts = Counter[str]()
            self._numbers = {}
            for label in _LABEL.findall(self.source):
                counts[label.partition(":")[0]] += 1
                self._numbers.setdefault(label, str(counts[label.partition(":")[0]]))
        return self._numbers.get(reference[1])

    def _header(self, content: Any) -> Any:
        level = max(2, min(int(content[0]) + self._shift, 6))
        return {"t": "Header", "c": [level, _NO_ATTRIBUTES, self._node(content[2])]}

    def _div(self, content: Any) -> Any:
        classes = _classes(content[0])
        if classes & _SHOWN_ELSEWHERE:
            return {"t": "Plain", "c": []}
        if "section-title" in classes:
            return {"t": "Header", "c": [2, _NO_ATTRIBUTES, self._inlines(content[1])]}
        attributes = ["", ["st-center"], []] if "center" in classes else _NO_ATTRIBUTES
        return {"t": "Div", "c": [attributes, self._node(content[1])]}

    def _inlines(self, blocks: Any) -> list[Any]:
        return [
            self._node(inline)
            for block in blocks
            if isinstance(block, dict) and block.get("t") in {"Plain", "Para"}
            for inline in block["c"]
        ]

    def _span(self, content: Any) -> Any:
        classes = _classes(content[0])
        if self.has_math_spans and "math" in classes:
            tex = _plain_text(content[1]).strip()
            for start, end in (("\\(", "\\)"), ("\\[", "\\]")):
                if tex.startswith(start) and tex.endswith(end) and len(tex) >= len(start) + len(end):
                    return self._formula(tex[2:-2], start == "\\[")
        if classes & _MONOSPACED:
            return _code(self.markers.restore(_plain_text(content[1])))
        font = next((_FONTS[one] for one in sorted(classes) if one in _FONTS), None)
        inlines = self._node(content[1])
        return {"t": font, "c": inlines} if font else {"t": "Span", "c": [_NO_ATTRIBUTES, inlines]}

    def _link(self, content: Any) -> Any:
        target = self.markers.restore(str(content[2][0])).strip()
        address = self.attachment(target) or _safe_address(target)
        if "footnote-back" in _classes(content[0]):
            return _text("")
        inlines = self._node(content[1])
        if address is None:
            return {"t": "Span", "c": [_NO_ATTRIBUTES, inlines]}
        return {"t": "Link", "c": [_NO_ATTRIBUTES, inlines, [address, ""]]}

    def _image(self, content: Any) -> Any:
        target = self.markers.restore(str(content[2][0]))
        described = self.markers.restore(_plain_text(content[1]))
        described = "" if described == "image" else described  # pandoc's own word for an image in TeX
        found = self.image(target)
        if found is None:
            shown = "data: address" if target.startswith("data:") else target
            self._remark(target, f"the image {show(shown)} is not shown: it is not in the package.")
            return {"t": "Emph", "c": [_text(described or title_of(shown))]}
        if found.is_pdf:
            self._remark(target, f"the figure {show(target)} is a PDF, so it is linked, not shown.")
            return {"t": "Link", "c": [_NO_ATTRIBUTES, [_text(target)], [found.url, ""]]}
        width = _width(content[0])
        sides = [] if found.size is None else [["width", str(found.size[0])], ["height", str(found.size[1])]]
        attributes = ["", [f"st-w{width}"] if width else [], sides]
        return {"t": "Image", "c": [attributes, [_text(described)], [found.url, ""]]}

    def _note(self, blocks: Any) -> Any:
        """A footnote, in parentheses where it is: links to the foot of the page would need ids."""
        return {"t": "Span", "c": [_NO_ATTRIBUTES, [_text(" ("), *self._inlines(blocks), _text(")")]]}

    def _cite(self, content: Any) -> Any:
        return {"t": "Span", "c": [_NO_ATTRIBUTES, self._node(content[1])]}

    _SPECIAL: ClassVar[Mapping[str, Callable[[Cleaner, Any], Any]]] = MappingProxyType(
        {
            "Str": _str, "Math": _math, "Code": _code_span, "CodeBlock": _code_block, "RawInline": _raw_inline,
            "RawBlock": _raw_block, "Header": _header, "Div": _div, "Span": _span, "Link": _link, "Image": _image,
            "Note": _note, "Cite": _cite,
        }
    )  # fmt: skip

    # -- the title

    def _without_title(self, blocks: list[Any]) -> list[Any]:
        """Take out the heading that the statement begins with: pages show the title by themselves."""
        blocks = [block for block in blocks if not _is_layout(block)]
        while len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].get("t") == "Div":
            blocks = blocks[0]["c"][1]
        first = blocks[0] if blocks else None
        if _level(first) == 1 and isinstance(first, dict):
            self.title = title_of(self.markers.restore(_plain_text(first["c"][2])))
            return blocks[1:]
        if isinstance(first, dict) and first.get("t") == "Div" and "header" in _classes(first["c"][0]):
            titles = [one for one in first["c"][1] if _is_titled(one)]
            self.title = title_of(self.markers.restore(_plain_text(titles))) if titles else ""
            return blocks[1:]
        return blocks

    # -- places

    def _remark(self, text: str, sentence: str) -> None:
        """Note a sentence about a text of the source. Finding the line costs time, which a full list is not worth."""
        self.notes.add(sentence if self.notes.is_full else f"{self._place(text)}: {sentence}")

    def _place(self, text: str) -> str:
        """Return file and line of a text for a sentence; nodes come in the order of the source."""
        found = self.source.find(text, self._searched_to)
        if found < 0:
            found = self.source.find(text.strip()[:40]) if text.strip() else -1
        if found < 0:
            return show(self.file)
        self._searched_to = found
        return f"{show(self.file)}, line {self.source.count('\n', 0, found) + 1}"


def _text(text: str) -> dict[str, Any]:
    return {"t": "Str", "c": text}


def _code(text: str) -> dict[str, Any]:
    return {"t": "Code", "c": [_NO_ATTRIBUTES, text]}


def _is_attributes(items: list[Any]) -> bool:
    """Whether a list is an id, classes, and pairs of key and value."""
    return len(items) == 3 and isinstance(items[0], str) and isinstance(items[1], list) and isinstance(items[2], list)


def _classes(attributes: Any) -> set[str]:
    return {str(one) for one in attributes[1]}


def _is_layout(node: Any) -> bool:
    """Whether a block is TeX that pages ignore, or empty."""
    match node:
        case {"t": "RawBlock" | "RawInline", "c": [_, str(text)]}:
            return _LAYOUT.fullmatch(text.strip()) is not None
        case {"t": "Para" | "Plain", "c": list(inlines)}:
            return all(_is_layout(inline) for inline in inlines)
        case {"t": "Space" | "SoftBreak"}:
            return True
        case _:
            return False


def _meta_title(tree: Any) -> str:
    """Return the title that the head of a document names."""
    found = (tree.get("meta") or {}).get("title")
    return title_of(_plain_text(found["c"])) if isinstance(found, dict) and "c" in found else ""


def _is_titled(node: Any) -> bool:
    return isinstance(node, dict) and node.get("t") == "Div" and "title" in _classes(node["c"][0])


def _level(node: Any) -> int | None:
    """Return the level of a heading; None: it is none."""
    return int(node["c"][0]) if isinstance(node, dict) and node.get("t") == "Header" else None


def _width(attributes: Any) -> int | None:
    """Return a width in percent as one of ``WIDTHS``."""
    for key, value in attributes[2]:
        match = re.fullmatch(r"(\d{1,3})(?:\.\d{1,9})?%", str(value)) if key == "width" else None
        if match is not None:
            return max(WIDTHS[0], min(round(int(match[1]) / 10) * 10, WIDTHS[-1]))
    return None


def _safe_address(target: str) -> str | None:
    """Return an address that a link may have; None for other schemes and for places in the document."""
    plain = "".join(char for char in target if char.isprintable() and not char.isspace())
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", plain)
    if not plain or plain.startswith("#"):
        return None
    return plain if scheme is None or scheme[1].lower() in {"http", "https", "mailto"} else None


def _plain_text(node: Any) -> str:
    """Return the text of nodes without their form."""
    text: Any = ""
    match node:
        case list():
            text = "".join(_plain_text(one) for one in node)
        case {"t": "Str", "c": str(text)} | {"t": "Code" | "Math" | "CodeBlock", "c": [_, str(text)]}:
            pass
        case {"t": "Space" | "SoftBreak" | "LineBreak"}:
            text = " "
        case {"t": "RawInline" | "RawBlock"}:
            pass
        case {"c": content}:
            text = _plain_text(content)
    return str(text)
