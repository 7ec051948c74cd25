"""Each page in both languages, both themes, wide and narrow, with scripts and without."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browser import PATIENCE_MS, Look, chromium, watched
from tests.web.html_checker import errors_of
from tests.web.pages import PAGES, Shown, Who
from tests.web.site import Site
from tests.web.test_texts import catalogue

#: half of all: any three of the four properties occur together in each way
LOOKS = tuple(
    Look(language=language, theme=theme, width=width, has_scripts=has_scripts)
    for language in ("en", "zh")
    for theme in ("light", "dark")
    for width in (1400, 390)
    for has_scripts in (True, False)
    if (language == "en") ^ (theme == "light") ^ (width == 1400) ^ has_scripts
)
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|{\w*}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.mark.parametrize("shown", PAGES, ids=str)
@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_a_page_is_sound_however_it_is_looked_at(browser: Browser, site: Site, look: Look, shown: Shown) -> None:
    with watched(browser, site, shown.who, look) as watcher:
        watcher.visit(shown)
        watcher.check(shown)
        page = watcher.page
        assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[look.language]
        if look.language == "zh":
            assert _english(page.inner_text("body")) == []


def test_samples_are_run_without_scripts(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.MEMBER, Look(has_scripts=False)) as watcher:
        page = watcher.page
        page.goto(site.path("/problems/{problem}?from={accepted}"))
        page.get_by_role("button", name="Run on samples", exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text("1 of 1 samples passed", timeout=PATIENCE_MS)


@pytest.mark.full
def test_paper_is_light_in_the_dark_theme_and_scripts_show_how_long_it_has_been(browser: Browser, site: Site) -> None:
    with watched(browser, site, Who.MEMBER, Look(theme="dark")) as watcher:
        page = watcher.page
        page.goto(site.path("/problems"))
        colour = "getComputedStyle(document.body).color"
        on_screen = page.evaluate(colour)
        page.evaluate(
            """() => {
                const time = Object.assign(document.createElement("time"), { id: "since", textContent: "2 min" });
                time.dateTime = new Date(Date.now() - 130_000).toISOString();
                time.dataset.time = "for";
                document.querySelector("main").append(time);
                document.dispatchEvent(new Event("visibilitychange"));
            }"""
        )
        expect(page.locator("#since")).to_have_text("2 minutes")
        page.emulate_media(media="print")
        assert page.evaluate(colour) == "rgb(29, 33, 39)" != on_screen


@pytest.mark.full
@pytest.mark.parametrize("has_scripts", [True, False])
def test_slips_have_a_button_that_prints_and_no_form_that_leaves_them(
    browser: Browser, site: Site, has_scripts: bool
) -> None:
    with watched(browser, site, Who.ADMIN, Look(theme="dark", has_scripts=has_scripts)) as watcher:
        page = watcher.page
        page.goto(site.path("/manage/users/import"))
        page.get_by_label("or lines").fill(f"printed{has_scripts}")
        page.get_by_role("button", name="Create accounts", exact=True).click()
        expect(page.locator("ul.slips li")).to_have_count(1, timeout=PATIENCE_MS)
        expect(page.locator("form[action='/preferences']")).to_have_count(0)
        button = page.get_by_role("button", name="Print", exact=True)
        expect(button).to_have_count(int(has_scripts))
        if has_scripts:
            page.evaluate("window.print = () => { document.title = 'printed'; }")
            button.click()
            expect(page).to_have_title("printed")


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_table_that_is_cut_shows_a_shadow_at_that_edge(browser: Browser, site: Site, theme: str) -> None:
    with watched(browser, site, Who.ADMIN, Look(theme=theme, width=390)) as watcher:
        page = watcher.page
        page.goto(site.path("/submissions?all=1"))
        table = page.locator(".scroll").first
        assert table.evaluate("each => each.scrollWidth > each.clientWidth")
        # the text of a cell may lie over an edge: a strip beneath the table shows the background alone
        table.evaluate("each => { each.style.paddingBottom = '40px'; }")

        def strips(place: int) -> list[bytes]:
            """Return pictures of the left edge, the middle and the right edge."""
            table.evaluate("(each, place) => { each.scrollLeft = place; }", place)
            box = table.bounding_box()
            assert box is not None
            y, lefts = box["y"] + box["height"] - 30, (0, box["width"] / 2, box["width"] - 4)
            return [
                page.screenshot(clip={"x": box["x"] + left, "y": y, "width": 4, "height": 4}, full_page=True)
                for left in lefts
            ]

        left, middle, right = strips(0)
        assert left == middle != right, "more on the right"
        left, middle, right = strips(10_000)
        assert left != middle == right, "more on the left"


def _english(text: str) -> list[str]:
    """Return the sentences of templates that are in a text in English. Parts of longer words are none: a node calls one
    of its own parts ``dead letters``."""
    sentences = (
        entry.msgid for entry in catalogue("zh") if " " in entry.msgid and not _PLACEHOLDER.search(entry.msgid)
    )
    return [sentence for sentence in sentences if re.search(rf"(?<!\w){re.escape(sentence)}(?!\w)", text)]


def test_the_html_of_every_page_has_no_error(site: Site) -> None:
    documents = {}
    for shown in PAGES:
        with site.client(shown.who) as client:
            for language in ("en", "zh-CN"):
                page = client.get(site.path(shown.path), headers={"Accept-Language": language})
                documents[f"{shown}-{language}"] = page.text
    assert errors_of(documents) == []


def test_the_checker_of_html_sees_an_error() -> None:
    [error, *_] = errors_of({"planted": "<!doctype html><html lang=en><title>x</title><p><em>a</p></em>"})
    assert error.startswith("planted, line 1: ")


@pytest.mark.parametrize("has_scripts", [True, False])
def test_statement_is_previewed_as_one_types_or_by_its_button(browser: Browser, site: Site, has_scripts: bool) -> None:
    with watched(browser, site, Who.ADMIN, Look(has_scripts=has_scripts)) as watcher:
        page = watcher.page
        page.goto(site.path("/manage/problems/{problem}/statement?lang=en"))
        page.get_by_label("Text", exact=True).fill("Typed $x^2$ ![gone](gone.png)")
        if not has_scripts:
            page.get_by_role("button", name="Preview", exact=True).click()
        preview = page.locator("#preview")
        expect(preview.locator(".rendered")).to_contain_text("Typed", timeout=PATIENCE_MS)
        expect(preview.locator("math")).to_have_count(1)
        expect(preview).to_contain_text("line 1: the image 'gone.png' is not shown")
        expect(page.get_by_label("Text", exact=True)).to_have_count(1)
        if has_scripts:
            watcher.check_access()
