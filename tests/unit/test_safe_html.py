"""Foreign HTML and MathML: only what a page may contain gets through, and formulas are put into text alone."""

from __future__ import annotations

import pytest

from deepoj.packages.statements.document import Formula, Markers
from deepoj.packages.statements.safe_html import (
    safe_mathml,
    sanitized,
    source_as_html,
    tex_as_html,
    with_formulas,
)

FILES = "/api/v1/problems/7/statement/files/"
X = Formula("x<1", False, "$x<1$")
MATHML = 'xmlns="http://www.w3.org/1998/Math/MathML"'


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>", "<style>*{x:expression(1)}</style>", "<svg onload=alert(1)></svg>",
        "<svg><script>alert(1)</script></svg>", "<math><mtext><script>alert(1)</script></mtext></math>",
        "<img src=x onerror=alert(1)>", "<a href='javascript:alert(1)'>x</a>", "<a href='data:text/html,x'>x</a>",
        "<a href=' java&#10;script:alert(1)'>x</a>", "<iframe src='javascript:alert(1)'></iframe>",
        "<p onclick=alert(1) style='background:url(javascript:1)' class=x id=y>x</p>", "<form><input name=x></form>",
        "<base href='//evil/'>", "<meta http-equiv=refresh content='0;url=//evil'>", "<link rel=stylesheet href=x>",
        "<object data=x></object><embed src=x>", "<img src='https://evil/x.png'>", "<img src='/logout'>",
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<template><script>1</script></template>",
        "<video><source onerror=alert(1)></video>", "<details open ontoggle=alert(1)>", "<a href=x ping=//evil>x</a>",
        "<!--[if IE]><script>1</script><![endif]-->", "<xss style='x'>", "<td background=javascript:1>",
        "<svg><use href='data:image/svg+xml,x#y'/></svg>", "<textarea><script>1</script></textarea>",
    ],
)  # fmt: skip
def test_published_tricks_leave_nothing_active(hostile: str) -> None:
    found = sanitized(hostile, FILES).lower()
    assert not [
        word
        for word in ("<script", "<style", "<svg", "<math", "<iframe", "<form", "<input", "<base", "<meta", "<link",
                     "<object", "<embed", "<template", "<video", "javascript:", "data:", "style=", "id=", "ping=",
                     'src="', "<!--")
        if word in found
    ]  # fmt: skip
    assert not [part for part in found.split("<")[1:] if " on" in part.partition(">")[0]], found


def test_ordinary_markup_stays() -> None:
    dirty = (
        f'<h2>I</h2><p>a <em>b</em> <code>c</code></p><img class="st-w30" src="{FILES}a.png" alt="d">'
        '<table><tbody><tr><td style="text-align: right;" colspan="2">1</td></tr></tbody></table>'
        '<a href="https://a.b/?c&amp;d">e</a>'
    )
    assert sanitized(dirty, FILES) == (
        f'<h2>I</h2><p>a <em>b</em> <code>c</code></p><img class="st-w30" src="{FILES}a.png" alt="d">'
        '<div class="st-wide" tabindex="0"><table><tbody><tr><td class="st-right" colspan="2">1</td></tr></tbody>'
        "</table></div>"
        '<a href="https://a.b/?c&amp;d" rel="nofollow noopener">e</a>'
    )


def test_markers_become_formulas_in_text_and_nothing_in_tags() -> None:
    markers = Markers(nonce="0123456789ab", formulas=[X, X])
    safe = '<img alt="a > m0123456789abn0z <">m0123456789abn1z m0123456789abn9z'
    assert with_formulas(safe, markers, ["<math>0</math>", "<math>1</math>"]) == '<img alt="a >  <"><math>1</math> '


def test_mathml_is_rebuilt_of_known_elements_and_attributes() -> None:
    foreign = (
        f'<math display="inline" {MATHML}><semantics><mrow><mi mathvariant="normal">d</mi><mo stretchy="true" '
        'onclick="x" style="y" href="javascript:1">&lt;</mo><mtable><mtr><mtd columnalign="left" style="z"><mtext>&lt;'
        "script&gt;</mtext></mtd></mtr></mtable></mrow><annotation>x&lt;1</annotation></semantics></math>"
    )
    assert safe_mathml(foreign, X) == (
        '<math display="inline" alttext="x&lt;1"><mrow><mi mathvariant="normal">d</mi><mo stretchy="true">&lt;</mo>'
        '<mtable><mtr><mtd class="st-left"><mtext>&lt;script&gt;</mtext></mtd></mtr></mtable></mrow></math>'
    )


@pytest.mark.parametrize(
    "foreign",
    [
        "", "<math>", "<math><mi>x</mi></math>", f"<math {MATHML}><script>1</script></math>",
        f"<math {MATHML}><annotation-xml encoding='text/html'><b/></annotation-xml></math>",
        f"<math {MATHML}><svg xmlns='http://www.w3.org/2000/svg'/></math>", f"<math {MATHML}><maction/></math>",
        f"<!DOCTYPE x [<!ENTITY a 'b'>]><math {MATHML}><mi>&a;</mi></math>",
        f"<math {MATHML}>{'<mrow>' * 100}{'</mrow>' * 100}</math>",
    ],
)  # fmt: skip
def test_other_mathml_is_refused(foreign: str) -> None:
    assert safe_mathml(foreign, X) is None


def test_bar_over_several_letters_is_one_that_grows() -> None:
    foreign = f'<math {MATHML}><mover><mrow><mi>A</mi><mi>B</mi></mrow><mo accent="true">¯</mo></mover></math>'
    shown = safe_mathml(foreign, Formula("\\overline{AB}", False, "$\\overline{AB}$"))
    assert shown is not None
    assert '<mo accent="true">\u203e</mo></mover>' in shown


def test_text_is_escaped() -> None:
    assert tex_as_html(X) == '<code class="st-tex">$x&lt;1$</code>'
    assert source_as_html("<b>&") == '<pre class="st-source">&lt;b&gt;&amp;</pre>'
    formula = Formula('"><script>', True, "")
    assert 'alttext="&quot;&gt;&lt;script&gt;"' in (safe_mathml(f"<math {MATHML}><mi>x</mi></math>", formula) or "")


@pytest.mark.parametrize(
    ("tex", "inner", "grows"),
    [
        ("(x^2)", "<msup><mi>x</mi><mn>2</mn></msup>", False),
        ("\\left(x^2\\right)", "<msup><mi>x</mi><mn>2</mn></msup>", True),
        ("(\\frac{1}{2})", "<mfrac><mn>1</mn><mn>2</mn></mfrac>", True),
    ],
)
def test_parentheses_grow_around_what_is_high_alone(tex: str, inner: str, grows: bool) -> None:
    foreign = f'<math {MATHML}><mrow><mo stretchy="true">(</mo>{inner}<mo stretchy="true">)</mo></mrow></math>'
    shown = safe_mathml(foreign, Formula(tex, False, f"${tex}$"))
    assert shown is not None
    assert shown.count(f'<mo stretchy="{str(grows).lower()}">') == 2
