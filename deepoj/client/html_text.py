"""Shows a statement's HTML as text for a terminal. The HTML is the server's, which has sanitized it; what this makes of
other HTML is text, too."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
#: elements that begin and end a paragraph
_BLOCKS = frozenset({"p", "div", "ul", "ol", "dl", "table", "blockquote", "figure", "pre", "hr"}) | _HEADINGS
#: elements that begin and end a line
_LINES = frozenset({"li", "tr", "dt", "dd", "figcaption", "caption"})
_CELLS = frozenset({"td", "th"})


class _TextWriter(HTMLParser):
    """Collects the text of an HTML document, with marks for the ends of lines and paragraphs."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._in_math = self._in_pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "math":
            self._in_math = True
            self.parts.append(" ".join((values.get("alttext") or "").split()))
        elif tag == "img":
            self.parts.append(f"[{values.get('alt') or 'image'}: {values.get('src') or ''}]")
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _BLOCKS:
            self._in_pre = self._in_pre or tag == "pre"
            self.parts.append("\n\n")
        elif tag in _LINES:
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "math":
            self._in_math = False
        elif tag in _BLOCKS:
            self._in_pre = self._in_pre and tag != "pre"
            self.parts.append("\n\n")
        elif tag in _CELLS:
            self.parts.append("  ")

    def handle_data(self, data: str) -> None:
        if not self._in_math:
            self.parts.append(data if self._in_pre else re.sub(r"\s+", " ", data))


def text_of(html: str) -> str:
    """Return the text of HTML; formulas are TeX, an image is its description and address."""
    writer = _TextWriter()
    writer.feed(html)
    writer.close()
    text = re.sub(r"\n- \s*", "\n- ", "".join(writer.parts))
    text = re.sub(r"[ \t]+\n", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
