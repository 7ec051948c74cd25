"""A statement's HTML as text for a terminal."""

from __future__ import annotations

from deepoj.client.html_text import text_of


def test_paragraphs_lists_tables_and_code_are_lines() -> None:
    html = (
        "<h2>Input</h2>\n<p>One  line\nwith &lt;two&gt;</p><ul><li><p>a</p></li><li>b</li></ul>"
        "<pre><code>x  y\n  z</code></pre><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>"
    )
    assert text_of(html) == "Input\n\nOne line with <two>\n\n- a\n\n- b\n\nx  y\n  z\n\n1  2\n3"


def test_formulas_are_tex_and_images_are_addresses() -> None:
    html = '<p>If <math alttext="a\n&lt; b"><mi>a</mi></math>: <img src="/f.png" alt="A tree"><br>next</p>'
    assert text_of(html) == "If a < b: [A tree: /f.png]\nnext"
