"""Document trees are cleaned: known nodes stay, formulas leave markers, what is not understood stays visible."""

from __future__ import annotations

from typing import Any

import pytest

from deepoj.packages.statements import document
from deepoj.packages.statements.document import Cleaner, Formula, Markers, PublicImage, Unrenderable
from deepoj.packages.statements.sources import MAX_NOTES, StatementNotes

NONE: list[Any] = ["", [], []]
HOSTILE: list[Any] = ["id", ["class", "st-w50"], [["onclick", "alert(1)"], ["style", "x"], ["width", "30%"]]]


def text(value: str) -> dict[str, Any]:
    return {"t": "Str", "c": value}


def para(*inlines: Any) -> dict[str, Any]:
    return {"t": "Para", "c": list(inlines)}


def header(level: int, value: str) -> dict[str, Any]:
    return {"t": "Header", "c": [level, HOSTILE, [text(value)]]}


def raw(value: str) -> dict[str, Any]:
    return {"t": "RawInline", "c": ["latex", value]}


def cleaner(source: str = "", *, has_math_spans: bool = False) -> Cleaner:
    images = {"a.png": PublicImage("/f/a.png", size=(640, 48)), "b.pdf": PublicImage("/f/b.pdf", is_pdf=True)}
    return Cleaner(
        file="problem.tex",
        source=source,
        markers=Markers(nonce="0123456789ab"),
        notes=StatementNotes(),
        image=images.get,
        attachment={"data.zip": "/a/data.zip"}.get,
        has_math_spans=has_math_spans,
    )


def cleaned(*blocks: Any, by: Cleaner | None = None) -> list[Any]:
    return (by or cleaner()).blocks({"blocks": list(blocks)})


def inline(node: Any, *, by: Cleaner | None = None) -> Any:
    return cleaned(para(node), by=by)[0]["c"][0]


def test_attributes_are_dropped_from_every_node() -> None:
    cell = [HOSTILE, {"t": "AlignLeft"}, 10**9, 0, []]
    columns = [[{"t": "AlignLeft"}, {"t": "ColWidth", "c": 1e9}]]
    rows = [[HOSTILE, 0, [], [[HOSTILE, [cell]]]]]
    table = {"t": "Table", "c": [HOSTILE, [None, []], columns, [HOSTILE, []], rows, [HOSTILE, []]]}
    blocks = cleaned(
        {"t": "Div", "c": [HOSTILE, [para({"t": "Span", "c": [HOSTILE, [text("x")]]})]]},
        {"t": "CodeBlock", "c": [HOSTILE, "code"]},
        {"t": "Link", "c": [HOSTILE, [text("l")], ["https://a.b", "title"]]},
        table,
    )
    found = repr(blocks)
    assert not {word for word in ("onclick", "style", "st-w50", "'id'", "title", "1000000000") if word in found}
    assert blocks[-1]["c"][4][0][3][0][1][0][2:4] == [100, 1], "spans are bounded"


@pytest.mark.parametrize(
    "node", [{"t": "Unknown", "c": ["x"]}, {"t": "RawInline", "c": ["html", "<script>"]}, {"t": ["x"]}, {"c": 1}]
)
def test_unknown_nodes_and_raw_html_are_dropped(node: Any) -> None:
    assert inline(node) == text("")


def test_formula_leaves_a_marker_and_returns_in_code_and_addresses() -> None:
    by = cleaner()
    marker = by.markers.put(Formula("x", False, "$$$x$$$"))
    assert inline({"t": "Math", "c": [{"t": "DisplayMath"}, "y"]}, by=by) == text("m0123456789abn1z")
    assert by.markers.formulas[1] == Formula("y", True, "$$y$$")
    assert inline({"t": "Code", "c": [NONE, f"a {marker}"]}, by=by)["c"][1] == "a $$$x$$$"
    link = {"t": "Link", "c": [NONE, [], [f"https://a.b/{marker}", ""]]}
    assert inline(link, by=by)["c"][2][0] == "https://a.b/$$$x$$$"
    image = {"t": "Image", "c": [NONE, [text(marker), {"t": "Math", "c": [{"t": "InlineMath"}, "z"]}], ["a.png", ""]]}
    assert inline(image, by=by)["c"][1] == [text("$$$x$$$z")], "no marker is in an attribute"


def test_markdowns_formulas_are_read_from_pandocs_spans() -> None:
    span = {"t": "Span", "c": [["", ["math", "inline"], []], [text("\\(a"), {"t": "Space"}, text("b\\)")]]}
    by = cleaner(has_math_spans=True)
    inline(span, by=by)
    assert by.markers.formulas == [Formula("a b", False, "$a b$")]
    assert inline(span)["t"] == "Span", "elsewhere it is a span"


def test_too_many_formulas_are_refused_and_long_ones_shown_as_tex() -> None:
    formula = {"t": "Math", "c": [{"t": "InlineMath"}, "x"]}
    with pytest.raises(Unrenderable, match="formulas"):
        cleaned(para(*[formula] * (document.MAX_FORMULAS + 1)))
    long = {"t": "Math", "c": [{"t": "InlineMath"}, "x" * 6000]}
    assert inline(long)["t"] == "Code"


def test_deep_trees_are_refused() -> None:
    node: Any = para(text("x"))
    for _ in range(100):
        node = {"t": "BlockQuote", "c": [node]}
    with pytest.raises(Unrenderable, match="deeply"):
        cleaned(node)
    with pytest.raises(Unrenderable):
        cleaner().blocks(["no", "document"])


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("https://a.b/c", "https://a.b/c"), ("mailto:a@b", "mailto:a@b"), ("other.html", "other.html"),
        ("data.zip", "/a/data.zip"), ("javascript:alert(1)", None), ("JaVaScRiPt:alert(1)", None),
        ("java\nscript:alert(1)", None), (" javascript:alert(1)", None), ("data:text/html,x", None),
        ("vbscript:x", None), ("#id", None), ("file:///etc/passwd", None), ("", None),
    ],
)  # fmt: skip
def test_links_have_harmless_schemes(target: str, address: str | None) -> None:
    link = inline({"t": "Link", "c": [NONE, [text("l")], [target, "t"]]})
    assert (link["c"][2][0] if link["t"] == "Link" else None) == address


def test_images_are_the_packages_own() -> None:
    by = cleaner("one\n\\includegraphics{b.pdf}\n<img src=http://evil/x.png>")
    attributes = ["", [], [["width", "34%"]]]
    image = inline({"t": "Image", "c": [attributes, [text("image")], ["a.png", "t"]]}, by=by)
    assert image == {
        "t": "Image",
        "c": [["", ["st-w30"], [["width", "640"], ["height", "48"]]], [text("")], ["/f/a.png", ""]],
    }
    figure = inline({"t": "Image", "c": [NONE, [], ["b.pdf", ""]]}, by=by)
    assert (figure["t"], figure["c"][2][0]) == ("Link", "/f/b.pdf")
    for target in ("http://evil/x.png", "data:image/svg+xml;base64,xx", "//evil/x.png"):
        assert inline({"t": "Image", "c": [NONE, [text("seen")], [target, ""]]}, by=by)["c"] == [text("seen")]
    assert by.notes.all()[:2] == (
        "'problem.tex', line 2: the figure 'b.pdf' is a PDF, so it is linked, not shown.",
        "'problem.tex', line 3: the image 'http://evil/x.png' is not shown: it is not in the package.",
    )


def test_unknown_tex_is_shown_and_noted_by_line_and_layout_is_not() -> None:
    by = cleaner("a\nb \\foo{bar}\n\\vspace{1em}\nc \\foo{bar}")
    assert inline(raw("\\foo{bar}"), by=by)["c"][1] == "\\foo{bar}"
    for layout in ("\\vspace{1em}", "\\noindent ", "\\setlength{\\parskip}{1em}", "\\bgroup", "\\begin{center}"):
        assert cleaned(para(text("x"), raw(layout)), by=by)[0]["c"][1] == text("")
        assert cleaned(para(raw(layout), text(" ")), para(text("x")), by=by)[-1] == para(text("x"))
    assert by.notes.all() == ("'problem.tex', line 2: '\\foo{bar}' is not understood and is shown as text.",)
    assert inline(raw("\\vspace{1em} \\foo{important}"), by=by)["t"] == "Code"


def test_many_notes_are_counted_and_cost_no_search() -> None:
    by = cleaner("\\a " * 100)
    cleaned(para(*[raw(f"\\a{{{number}}}") for number in range(MAX_NOTES + 7)]), by=by)
    assert len(by.notes.all()) == MAX_NOTES + 1
    assert by.notes.all()[-1] == "7 further remarks are left out."


def test_title_is_taken_from_the_first_heading_and_levels_begin_at_two() -> None:
    by = cleaner()
    blocks = cleaned(header(1, "A+B"), header(2, "Input"), header(3, "Deep"), by=by)
    assert by.title == "A+B"
    assert [block["c"][0] for block in blocks] == [2, 3]
    assert [block["c"][0] for block in cleaned(para(text("x")), header(1, "Input"))[1:]] == [2]


def test_title_of_tex_is_found_behind_layout() -> None:
    by = cleaner()
    cleaned({"t": "RawBlock", "c": ["latex", "\\bgroup"]}, header(1, "Sum"), para(text("x")), by=by)
    assert by.title == "Sum"


def test_polygons_html_loses_its_header_and_samples_and_keeps_sections_and_fonts() -> None:
    def div(classes: str, *blocks: Any) -> dict[str, Any]:
        return {"t": "Div", "c": [["", classes.split(), []], list(blocks)]}

    def plain(value: str) -> dict[str, Any]:
        return {"t": "Plain", "c": [text(value)]}

    by = cleaner()
    bold = {"t": "Span", "c": [["", ["tex-font-style-bf"], []], [text("b")]]}
    mono = {"t": "Span", "c": [["", ["tex-font-style-tt"], []], [text("-1")]]}
    blocks = cleaned(
        div(
            "problem-statement",
            div("header", div("title", plain("Sum")), div("time-limit", plain("1 second"))),
            div("legend", para(bold, mono)),
            div("input-specification", div("section-title", plain("Input")), para(text("n"))),
            div("sample-tests", div("section-title", plain("Examples"))),
        ),
        by=by,
    )
    assert by.title == "Sum"
    assert "second" not in repr(blocks)
    assert "Examples" not in repr(blocks)
    assert blocks[0]["c"][1][0]["c"] == [{"t": "Strong", "c": [text("b")]}, {"t": "Code", "c": [NONE, "-1"]}]
    assert blocks[1]["c"][1][0] == {"t": "Header", "c": [2, NONE, [text("Input")]]}


def test_dmojs_formulas_are_taken_out_of_markdown() -> None:
    markers = Markers(nonce="0123456789ab")
    taken = document.take_dmoj_math("~N~ and ~~strike~~ a ~ b $5 $$x\ny$$ \\~n~ ~ x~", markers)
    assert [formula.tex for formula in markers.formulas] == ["N", "x\ny"]
    assert taken == "m0123456789abn0z and ~~strike~~ a ~ b $5 m0123456789abn1z \\~n~ ~ x~"
    assert markers.restore(taken).startswith("~N~ and")


def test_polygons_formulas_are_taken_out_of_html() -> None:
    markers = Markers(nonce="0123456789ab")
    document.take_polygon_math("<p>$$$a &lt; b$$$ $$$$$$c$$$$$$", markers)
    assert [(formula.tex, formula.is_display) for formula in markers.formulas] == [("a < b", False), ("c", True)]


def test_kattis_sample_tags_are_left_out() -> None:
    assert document.without_sample_tags("a {{nextsample}} {{ remainingsamples }} {{n}}") == "a   {{n}}"


def test_references_become_numbers_by_kind_of_label() -> None:
    by = cleaner("\\label{fig:a} \\label{tab:x} \\label{fig:b} \\ref{fig:b} \\autoref{tab:x} \\ref{fig:c}")
    assert [inline(raw(tex), by=by) for tex in ("\\ref{fig:b}", "\\autoref{tab:x}")] == [text("2"), text("1")]
    assert inline(raw("\\ref{fig:c}"), by=by)["t"] == "Code", "there is no such label"


def test_title_of_the_head_and_centred_blocks_stay() -> None:
    by = cleaner()
    head = {"title": {"t": "MetaInlines", "c": [text("Sum")]}}
    div = {"t": "Div", "c": [["", ["center", "x"], [["onclick", "1"]]], [para(text("a"))]]}
    assert by.blocks({"meta": head, "blocks": [div, div]})[0]["c"][0] == ["", ["st-center"], []]
    assert by.title == "Sum"


def test_tex_quotes_are_angles_in_text_alone() -> None:
    by = cleaner()
    assert inline(text("<<a>>"), by=by) == text("<<a>>")
    by.has_tex_quotes = True
    assert inline(text("<<a>>"), by=by) == text("«a»")
    assert inline({"t": "Code", "c": [NONE, "a<<b"]}, by=by)["c"][1] == "a<<b"


def test_sample_commands_in_markdown_are_left_out_on_lines_of_their_own() -> None:
    source = "a\n\\nextsample\nb `\\nextsample`\n{{remainingsamples}}\n\\remainingsamples"
    assert document.without_sample_tags(source).split("\n") == ["a", "", "b `\\nextsample`", "", ""]
