"""Makes pages: templates, texts in the visitor's language, and the headers of every page."""

from __future__ import annotations

import datetime as dt
import functools
import secrets
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import jinja2
import polib
from markupsafe import Markup
from quart import Response, request
from quart_trio.wrappers import TrioResponse

import deepoj
from deepoj.api.conditional import add_etag, digest_of
from deepoj.api.errors import Refused
from deepoj.contests.board import points_text
from deepoj.judging.languages import LANGUAGES as JUDGED
from deepoj.web.assets import Assets
from deepoj.web.field_refusals import sentence_of
from deepoj.web.runbook import SECTIONS, section_path
from deepoj.web.shown import (
    GLYPHS,
    bar,
    bdi,
    contest_clock,
    countdown,
    duration,
    elapsed,
    memory,
    milliseconds,
    moment,
    share,
    size,
)
from deepoj.web.visitor import LANGUAGES, THEMES, Visitor, Visitors
from deepoj.words.results import Verdict

#: everything comes from this site; a page with the editor adds the nonce of the styles that CodeMirror makes
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{nonce}; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Cookie, Accept-Language",
}


def gettext_of(language: str) -> Callable[[str], str]:
    """Return the function that translates a sentence."""
    catalogue = _catalogue(language)
    return lambda text: catalogue.get(text, text)


class Pages:
    """Renders templates as responses."""

    def __init__(self, visitors: Visitors, assets: Assets, *, has_playground: bool, has_github: bool) -> None:
        self._visitors, self._assets = visitors, assets
        self._environments = {language: _environment(language) for language in LANGUAGES}
        for environment in self._environments.values():
            environment.globals.update(has_playground=has_playground, has_github=has_github)

    def html(
        self, template: str, visitor: Visitor, *, http_status: int = 200, has_editor: bool = False, **values: Any
    ) -> Response:
        """Return the page. ``has_editor``: the source editor's scripts and styles are allowed on it."""
        response = TrioResponse(status=http_status, content_type="text/html; charset=utf-8")
        known = visitor
        visitor = self._visitors.introduce(visitor, response.headers)
        nonce = secrets.token_urlsafe(16) if has_editor else ""
        page = self._environments[visitor.language].get_template(template)
        now = dt.datetime.now(dt.UTC)
        times = {"now": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "now_in_words": now.strftime("%Y-%m-%d %H:%M:%S UTC")}
        text = page.render(
            visitor=visitor,
            path=request.full_path.rstrip("?"),
            asset=self._assets.url,
            nonce=nonce,
            **times,
            **values,
        )
        response.set_data(text.encode())
        response.headers["Content-Security-Policy"] = _POLICY.format(nonce=f" 'nonce-{nonce}'" if nonce else "")
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["Content-Language"] = visitor.language
        for name, value in _HEADERS.items():
            response.headers[name] = value
        # another nonce or another visitor's form token makes another page; another mask of the token does not
        if request.method in ("GET", "HEAD") and http_status == 200 and not nonce and visitor is known:
            for time in times.values():
                text = text.replace(time, "")
            text = text.replace(visitor.form_token, visitor.digest.hex())
            add_etag(response, digest_of(text.encode()), is_weak=True)  # weak: the time of the page is left out
        return response

    def html_with_refusal(
        self,
        template: str,
        visitor: Visitor,
        refused: Refused | None,
        *,
        http_status: int = 200,
        has_editor: bool = False,
        **values: Any,
    ) -> Response:
        """Return the page of a form. ``refused``: why what was sent is refused, which gives the status and the headers
        of the response; None: ``http_status`` does. The template gets it, too."""
        if refused is not None:
            http_status = refused.api_error.status
        response = self.html(
            template, visitor, http_status=http_status, has_editor=has_editor, refused=refused, **values
        )
        if refused is not None:
            response.headers.extend(refused.extra_headers())
            response.headers.pop("WWW-Authenticate", None)  # a browser would ask for a password by itself
        return response

    def piece(self, template: str, visitor: Visitor, **values: Any) -> str:
        """Return a part of a page, for an event of a stream."""
        return self.shared_piece(template, visitor.language, visitor=visitor, **values)

    def shared_piece(self, template: str, language: str, **values: Any) -> str:
        """Return the same without a visitor: nothing in it is of one reader, so it may be sent to all."""
        return self._environments[language].get_template(template).render(**values)


def redirect(location: str) -> Response:
    """Return a redirect after a form, to a page of this site."""
    return TrioResponse(status=303, headers={"Location": location})


@jinja2.pass_context
def _form_token(context: jinja2.runtime.Context) -> Markup:
    """Return the field that proves that a form is of one of our pages."""
    visitor: Visitor = context["visitor"]
    return Markup('<input type="hidden" name="form_token" value="{}">').format(visitor.form_token)


def _environment(language: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("deepoj.web", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = _catalogue(language)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        lambda text: catalogue.get(text, text),
        lambda one, many, count: catalogue.get(one if count == 1 else many, one if count == 1 else many),
        newstyle=True,
    )
    environment.filters.update(
        duration=functools.partial(duration, language=language),
        ms=milliseconds,
        memory=memory,
        moment=moment,
        elapsed=elapsed,
        countdown=countdown,
        bytes=size,
    )
    environment.filters.update(bdi=bdi, runbook_path=section_path, points=points_text, clock=contest_clock)
    environment.globals.update(
        form_token=_form_token,
        version=deepoj.__version__,
        interface_language=language,
        interface_languages=LANGUAGES,
        themes=THEMES,
        glyphs=GLYPHS,
        verdicts=list(Verdict),
        bar=bar,
        share=share,
        judged=JUDGED,
        runbook_sections=SECTIONS,
        sentence_of=functools.partial(sentence_of, translate=gettext_of(language), is_chinese=language == "zh"),
    )
    return environment


@functools.cache
def _catalogue(language: str) -> Mapping[str, str]:
    """Return English sentence → translation. English is what the templates say."""
    if language == "en":
        return {}
    text = resources.files("deepoj.web").joinpath(f"locales/{language}/LC_MESSAGES/deepoj.po").read_text("utf-8")
    translated: dict[str, str] = {}
    for entry in polib.pofile(text):
        if entry.obsolete or entry.fuzzy:
            continue
        if entry.msgid_plural:
            translated |= {entry.msgid: entry.msgstr_plural[0], entry.msgid_plural: entry.msgstr_plural[0]}
        else:
            translated[entry.msgid] = entry.msgstr
    return {sentence: text for sentence, text in translated.items() if text}
