"""Whether a page runs anything that is not ours: its HTML, parsed as browsers do, has our elements and attributes only.

The pages' policy forbids inline scripts anyway. A test that looks at the HTML finds the fault behind that wall, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

#: no template of ours has one of these
_FORBIDDEN_TAGS = frozenset(
    {"iframe", "frame", "frameset", "object", "embed", "applet", "base", "style", "math", "foreignobject", "marquee",
     "audio", "video", "source", "portal", "x-hostile"}
)  # fmt: skip
_URL_ATTRIBUTES = frozenset(
    {"href", "src", "action", "formaction", "data", "poster", "srcdoc", "xlink:href", "ping", "background", "manifest",
     "srcset", "cite", "hx-get", "hx-post", "hx-put", "hx-delete", "hx-patch", "sse-connect"}
)  # fmt: skip
#: htmx would evaluate them, or take its configuration or events from them
_FORBIDDEN_ATTRIBUTES = re.compile(r"on|hx-on|style$|srcdoc$|hx-vals$|hx-vars$|hx-headers$|hx-request$")
_OWN_URL = re.compile(r"(/(?![/\\])|#|\?)[^\x00-\x20\\]*|")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.faults += _faults(tag, {name: value or "" for name, value in attrs})
        self._is_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script and data.strip():
            self.faults.append(f"an inline script: {data[:80]!r}")


def _faults(tag: str, attributes: dict[str, str]) -> Iterator[str]:
    if tag in _FORBIDDEN_TAGS:
        yield f"<{tag}>"
    if tag == "script" and not attributes.get("src", "").startswith("/assets/"):
        yield f"a script from {attributes.get('src')!r}"
    if (
        tag == "meta"
        and attributes.get("http-equiv", "").lower() == "refresh"
        and "url" in attributes["content"].lower()
    ):
        yield f"a redirect by {attributes}"
    for written, value in attributes.items():
        name = written.removeprefix("data-") if written.startswith(("data-hx-", "data-sse-")) else written
        if _FORBIDDEN_ATTRIBUTES.match(name):
            yield f"<{tag} {name}={value[:80]!r}>"
        is_icon = tag == "link" and attributes.get("rel") == "icon" and value.startswith("data:image/svg+xml,")
        if name in _URL_ATTRIBUTES and not is_icon and not _OWN_URL.fullmatch(value):
            yield f"<{tag} {name}={value[:80]!r}> leads to another site"


def faults_of(html: str) -> list[str]:
    """Return what is on the page and not ours; empty: nothing."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.faults


#: texts that would run, load or hide something where a template does not escape them
PAYLOADS: tuple[str, ...] = (
    "<script>hostile()</script>",
    "</script><script>hostile()</script>",
    "<ScRiPt src=//elsewhere.example/x.js></ScRiPt>",
    "<img src=x onerror=hostile()>",
    '"><img src=x onerror=hostile()>',
    "'><img src=x onerror=hostile()>",
    '" autofocus onfocus="hostile()',
    "' autofocus onfocus='hostile()",
    "x onmouseover=hostile() ",
    "`onclick=hostile()`",
    "<svg/onload=hostile()>",
    "<svg><animate onbegin=hostile() attributeName=x></svg>",
    "<math><mtext></math><img src=x onerror=hostile()>",
    "</title><script>hostile()</script>",
    "</textarea><script>hostile()</script>",
    "</pre><iframe srcdoc='<script>parent.hostile()</script>'></iframe>",
    "</option></select><x-hostile>",
    "</noscript><x-hostile>",
    "<!--><x-hostile>",
    "--><x-hostile><!--",
    "<![CDATA[<x-hostile>]]>",
    "<base href=//elsewhere.example/>",
    "<meta http-equiv=refresh content='0;url=//elsewhere.example/'>",
    "<form action=//elsewhere.example/><button>",
    "<a href=javascript:hostile()>x</a>",
    "javascript:hostile()",
    "<div style=position:fixed;inset:0>",
    "<style>*{display:none}</style>",
    "<div hx-on:load=hostile() hx-get=//elsewhere.example/ hx-trigger=load>",
    "<x-hostile sse-connect=/submissions>",
    "<x-hostile\x0conload=hostile()>",
    "&lt;x-hostile&gt;<x-hostile>",
    "\uff1cscript\uff1ehostile()\uff1c/script\uff1e<x-hostile>",
    "{{ 191 * 7919 }}<x-hostile>",
    "{% raw %}<x-hostile>",
    "%(name)s %s {0} {name}<x-hostile>",
    "data: x\n\nevent: hostile\ndata: <x-hostile>",
    "data: x\r\rid: 7\r<x-hostile>",
)
