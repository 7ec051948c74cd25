"""Makes the converter's HTML safe, and puts MathML of our own making into it.

The HTML is sanitized without formulas. MathML is parsed as XML and rebuilt from a list of elements and attributes. So
no foreign ``<math>`` is ever parsed by the sanitizer: the rules of HTML for it are where sanitizers failed before.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from deepoj.packages.statements.document import WIDTHS, Formula, Markers

_TAGS = frozenset(
    {
        "p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "em", "strong", "u", "s", "del", "sup", "sub", "code",
        "pre", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tfoot",
        "tr", "th", "td", "figure", "figcaption", "img", "a", "span", "div", "q", "small",
    }
)  # fmt: skip
_ALIGNED = frozenset({"st-left", "st-center", "st-right"})
_CLASSES: Mapping[str, set[str]] = MappingProxyType(
    {
        "th": set(_ALIGNED),
        "td": set(_ALIGNED),
        "div": {"st-center"},
        "img": {f"st-w{width}" for width in WIDTHS},
        "code": {"st-tex"},
        "pre": {"st-source"},
    }
)
_ATTRIBUTES: Mapping[str, set[str]] = MappingProxyType(
    {
        "a": {"href"},
        "img": {"src", "alt", "width", "height"},
        "th": {"colspan", "rowspan"},
        "td": {"colspan", "rowspan"},
        "ol": {"start", "type"},
    }
)
_STYLE = re.compile(r' style="text-align: (left|center|right);?"')
_PIXELS = re.compile("[1-9][0-9]{0,4}")
_TAG = re.compile(r'<(?:[^"<>]|"[^"]*")*>')

_MATH = "{http://www.w3.org/1998/Math/MathML}"
_MATH_TAGS = frozenset(
    {
        "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "ms", "mfrac", "msqrt", "mroot", "mstyle",
        "mpadded", "mphantom", "menclose", "msub", "msup", "msubsup", "munder", "mover", "munderover",
        "mmultiscripts", "mprescripts", "none", "mtable", "mtr", "mtd",
    }
)  # fmt: skip
#: texts of their own; elsewhere only white space is between elements
_MATH_TOKENS = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_MATH_ATTRIBUTES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        **dict.fromkeys(("stretchy", "fence", "separator", "symmetric", "largeop", "movablelimits", "accent",
                         "accentunder", "displaystyle"), re.compile("true|false")),
        **dict.fromkeys(("minsize", "maxsize", "lspace", "rspace", "linethickness", "width", "height", "depth",
                         "voffset"), re.compile(r"[-+]?[0-9]{0,4}\.?[0-9]{0,6}(?:em|ex|%|px|pt|mu)?")),
        "form": re.compile("prefix|infix|postfix"),
        "display": re.compile("inline|block"),
        "mathvariant": re.compile("normal"),
        "scriptlevel": re.compile("[-+]?[0-9]"),
        "notation": re.compile("[a-z ]{1,60}"),
    }
)  # fmt: skip
_MAX_MATH_DEPTH = 60
_FENCES = frozenset("()[]{}|‖⌊⌋⌈⌉⟨⟩")
_HIGH = frozenset({f"{_MATH}mtable", f"{_MATH}mfrac"})


def sanitized(dirty: str, address: str) -> str:
    """Return HTML with the allowed tags and attributes only. ``address``: the beginning of the addresses of images."""

    def keep(tag: str, name: str, value: str) -> str | None:
        if tag == "img" and name == "src" and not value.startswith(address):
            return None
        if tag == "img" and name in {"width", "height"} and not _PIXELS.fullmatch(value):
            return None
        return value

    aligned = _STYLE.sub(r' class="st-\1"', dirty)
    import nh3  # noqa: PLC0415 - 1.4 MiB, which an idle node does not hold

    clean = nh3.clean(
        aligned,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        allowed_classes={tag: set(names) for tag, names in _CLASSES.items()},
        attribute_filter=keep,
        clean_content_tags={"script", "style", "math", "svg", "template", "noscript", "iframe", "object", "embed"},
        link_rel="nofollow noopener",
        url_schemes={"http", "https", "mailto"},
    )
    # a table wider than a phone scrolls by itself, also with the keyboard
    return clean.replace("<table>", '<div class="st-wide" tabindex="0"><table>').replace("</table>", "</table></div>")


def with_formulas(safe: str, markers: Markers, written: Sequence[str]) -> str:
    """Replace the markers in the text of sanitized HTML by ``written``. In a tag, where none belongs, they are
    removed."""
    pattern = markers.pattern

    def formula(found: re.Match[str]) -> str:
        number = int(found[1])
        return written[number] if number < len(written) else ""

    parts: list[str] = []
    end = 0
    for tag in _TAG.finditer(safe):
        parts += [pattern.sub(formula, safe[end : tag.start()]), pattern.sub("", tag[0])]
        end = tag.end()
    return "".join((*parts, pattern.sub(formula, safe[end:])))


def tex_as_html(formula: Formula) -> str:
    """Return a formula as TeX for readers."""
    return f'<code class="st-tex">{html.escape(formula.raw, quote=False)}</code>'


def source_as_html(text: str) -> str:
    """Return a statement's source as text."""
    return f'<pre class="st-source">{html.escape(text, quote=False)}</pre>'


def safe_mathml(foreign: str, formula: Formula) -> str | None:
    """Return a converter's ``<math>`` rebuilt, with its TeX as alternative text; None: it is none."""
    try:
        root: Element = defusedxml.ElementTree.fromstring(foreign, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return None
    if root.tag != f"{_MATH}math":
        return None
    if "\\left" not in formula.tex:
        _keep_small(root)
    _let_bars_grow(root)
    display = "block" if formula.is_display else "inline"
    inner = _rebuilt_children(root, 0)
    if inner is None:
        return None
    return f'<math display="{display}" alttext="{html.escape(formula.tex)}">{inner}</math>'


def _keep_small(element: Element, depth: int = 0) -> bool:
    """Let parentheses grow only around what is high, as in TeX: converters let them grow around exponents, too. Return
    whether there is something high. What is too deep is refused later."""
    if depth > _MAX_MATH_DEPTH:
        return False
    is_high = element.tag in _HIGH
    for child in element:
        is_high = _keep_small(child, depth + 1) or is_high
    for child in () if is_high else element.findall(f"{_MATH}mo"):
        if (child.text or "") in _FENCES:
            child.set("stretchy", "false")
    return is_high


def _let_bars_grow(root: Element) -> None:
    """Let the bar of ``\\overline`` reach over all that is below it: fonts stretch U+203E and not U+00AF."""
    for element in root.iter(f"{_MATH}mover"):
        for bar in element.findall(f"{_MATH}mo")[-1:]:
            if bar.text == "¯":
                bar.text = "‾"


def _rebuilt_children(element: Element, depth: int) -> str | None:
    if depth > _MAX_MATH_DEPTH:
        return None
    parts: list[str] = []
    for child in element:
        part = _rebuilt(child, depth + 1)
        if part is None:
            return None
        parts.append(part)
    return "".join(parts)


def _rebuilt(element: Element, depth: int) -> str | None:
    """Return an element and all in it; None: there is one that does not belong there."""
    tag = element.tag.removeprefix(_MATH) if element.tag.startswith(_MATH) else ""
    if tag == "semantics":
        # the presentation; the annotations after it repeat the TeX
        return _rebuilt(element[0], depth) if len(element) else ""
    if tag not in _MATH_TAGS or tag == "math":
        return None
    attributes = "".join(
        f' {name}="{value}"'
        for name, value in sorted(element.attrib.items())
        if name in _MATH_ATTRIBUTES and _MATH_ATTRIBUTES[name].fullmatch(value)
    )
    align = element.get("columnalign", "")
    if tag == "mtd" and f"st-{align}" in _ALIGNED:
        attributes += f' class="st-{align}"'
    if tag in _MATH_TOKENS:
        return f"<{tag}{attributes}>{html.escape(''.join(element.itertext()), quote=False)}</{tag}>"
    inner = _rebuilt_children(element, depth)
    return None if inner is None else f"<{tag}{attributes}>{inner}</{tag}>"
