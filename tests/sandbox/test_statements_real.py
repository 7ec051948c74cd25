"""Statements of every format rendered by the real pandoc in the real sandbox, and hostile ones, which do no harm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio

from deepoj import sample
from deepoj.adapters.sandbox.box import LinuxBox
from deepoj.observe import Metrics
from deepoj.packages.formats import PackageFault, check_upload
from deepoj.packages.statements.rendering import StatementRenderer
from deepoj.words.statements import StatementFileKind, StatementKind, StatementSet, StatementText
from tests.fakes.settings import unzip_limits
from tests.unit.packages.makers import Content, zipped

CASE = {"1.in": "1\n", "1.out": "1\n"}
KATTIS = {"problem.yaml": "name: Sum\n", "data/secret/1.in": "1\n", "data/secret/1.ans": "1\n"}
PNG = b"\x89PNG\r\n\x1a\n picture"
ADDRESS = "/api/v1/problems/7/statement/files/"
POLYGON = """<problem><names><name language="english" value="Sum"/></names><statements>
<statement language="english" path="{path}" type="{kind}"/></statements><judging><testset name="tests">
<test-count>1</test-count><input-path-pattern>tests/%02d</input-path-pattern>
<answer-path-pattern>tests/%02d.a</answer-path-pattern><tests><test sample="true"/></tests></testset></judging>
<assets><checker name="std::wcmp.cpp"/></assets></problem>"""
MIB = 1024 * 1024 - 100


async def rendered(box: LinuxBox, tmp_path: Path, package: bytes) -> StatementSet:
    path, room = tmp_path / "package.zip", tmp_path / "room"
    path.write_bytes(package)
    room.mkdir()
    plan = await trio.to_thread.run_sync(check_upload, path, unzip_limits())
    assert not isinstance(plan, PackageFault), plan
    found = await StatementRenderer(
        package=path, plan=plan, problem_id=7, unzip=unzip_limits(), box=box, room=room, metrics=Metrics()
    ).render()
    assert not isinstance(found, PackageFault)
    assert found.is_final
    return found.found


async def statement(box: LinuxBox, tmp_path: Path, files: Content) -> tuple[StatementText, StatementSet]:
    found = await rendered(box, tmp_path, zipped(files))
    (text,) = found.texts
    assert text.kind is StatementKind.HTML, found.notes
    return text, found


def without_math(html: str) -> str:
    """Return HTML with the TeX of its formulas between dollars."""
    return re.sub(r'<math display="\w+" alttext="([^"]*)">.*?</math>', r"$\1$", html, flags=re.DOTALL)


async def test_bundled_sample_has_statements_in_two_languages(box: LinuxBox, tmp_path: Path) -> None:
    found = await rendered(box, tmp_path, sample.package())
    assert [(text.language, text.title) for text in found.texts] == [("en", "A+B"), ("zh", "A+B 问题")]
    assert "<p>One line with <math" in found.texts[0].html
    assert "<h2>输入</h2>" in found.texts[1].html
    assert [(one.input, one.output) for one in found.samples] == [("1 2\n", "3\n")]
    assert found.notes == ()


async def test_markdown_with_html_formulas_tables_images_and_attachments(box: LinuxBox, tmp_path: Path) -> None:
    source = (
        "# Sum\n\n**a** $x<1$ $5 and $6 <b onclick=1>b</b>\n\n|a|b|\n|--:|:-:|\n|1|$2$|\n\n![fig](img/f.png)\n"
        "[data](d.zip) [x](javascript:alert(1))\n\n```c\nint *a;\n```\n\n$$\\sum_i i$$\n\nfoot[^1]\n\n[^1]: note\n"
    )
    samples = {"sample/2.in": "2\n", "sample/2.out": "4\n"}
    files: Content = {**CASE, **samples, "statement.md": source, "img/f.png": PNG, "attachments/d.zip": "zip"}
    text, found = await statement(box, tmp_path, files)
    html = without_math(text.html)
    assert text.title == "Sum"
    assert "<p><strong>a</strong> $x&lt;1$ $5 and $6 <strong>b</strong></p>" in html
    assert '<td class="st-right">1</td>\n<td class="st-center">$2$</td>' in html
    assert f'<img src="{ADDRESS}f.png" alt="fig">' in html
    assert '<a href="/api/v1/problems/7/attachments/d.zip" rel="nofollow noopener">data</a> <span>x</span>' in html
    assert "<pre><code>int *a;</code></pre>" in html
    assert "<munder><mo>∑</mo><mi>i</mi></munder>" in text.html
    assert "note" in html
    assert {(file.kind, file.name) for file in found.files} == {
        (StatementFileKind.SHOWN, "f.png"),
        (StatementFileKind.ATTACHMENT, "d.zip"),
    }
    assert [one.output for one in found.samples] == ["4\n"]


async def test_kattis_tex_with_its_macros(box: LinuxBox, tmp_path: Path) -> None:
    source = (
        "\\problemname{Two $n$}\n\\illustration{0.3}{fig}{By \\href{https://a.b}{X}}\n\nText \\(a_1 \\le 2\\) --- x.\n"
        "\\section*{Input}\n\\begin{itemize}\\item one\\end{itemize}\n\\nextsample\n\\odd{macro} $\\odd$\n"
        "\\begin{tabular}{|l|r|}\\hline a & b \\\\ \\hline 1 & 2 \\\\ \\end{tabular}\n"
        "\\includegraphics[width=0.5\\textwidth]{plot.pdf}\n"
    )
    files: Content = {**KATTIS, "problem_statement/problem.en.tex": source, "problem_statement/fig.png": PNG,
             "problem_statement/plot.pdf": "%PDF-1.4"}  # fmt: skip
    text, found = await statement(box, tmp_path, files)
    html = without_math(text.html)
    assert text.title == "Two n"
    assert f'<img src="{ADDRESS}fig.png" class="st-w30" alt="">' in html
    assert '<em>By <a href="https://a.b" rel="nofollow noopener">X</a></em>' in html
    assert "Text $a_1 \\le 2$ — x." in html
    assert "<h2>Input</h2>" in html
    assert '<td class="st-right">2</td>' in html
    assert "<code>\\odd{macro}</code>" in html
    assert '<code class="st-tex">$\\odd$</code>' in html
    assert f'<a href="{ADDRESS}plot.pdf"' in html
    assert found.notes == (
        "'problem_statement/problem.en.tex', line 8: '\\odd{macro}' is not understood and is shown as text.",
        "'problem_statement/problem.en.tex', line 10: the figure 'plot.pdf' is a PDF, so it is linked, not shown.",
        "'problem_statement/problem.en.tex', line 8: the formula '$\\odd$' is not understood and is shown as TeX.",
    )


async def test_kattis_tex_with_environments_labels_and_a_bare_name(box: LinuxBox, tmp_path: Path) -> None:
    source = (
        "\\problemname\n\\begin{Input}\nOne $n$.\n\\end{Input}\n\\begin{Interaction}Talk.\\end{Interaction}\n"
        "\\begin{figure}\\centering\\includegraphics{fig}\\caption{C}\\label{fig:a}\\end{figure}\n"
        "Figure~\\ref{fig:a}, <<quoted>>.\n\n\\begin{center}mid\\end{center}\n"
    )
    files: Content = {**KATTIS, "problem_statement/problem.sv.tex": source, "problem_statement/fig.png": PNG}
    text, found = await statement(box, tmp_path, files)
    html = without_math(text.html)
    assert "<h2>Indata</h2>\n<p>One $n$.  </p>\n<h2>Interaktion</h2>\n<p>Talk.</p>" in html
    assert "Figure&nbsp;1, «quoted»." in html
    assert '<div class="st-center">' in html
    assert found.notes == ()


async def test_tex_that_cannot_be_read_is_named_by_its_line(box: LinuxBox, tmp_path: Path) -> None:
    files: Content = {**KATTIS, "problem_statement/problem.en.tex": "a\n\nb \\end{itemize}\n"}
    found = await rendered(box, tmp_path, zipped(files))
    file = "'problem_statement/problem.en.tex'"
    assert found.notes == (f"{file} is shown as its source: the converter gave up at line 3.",)


async def test_polygon_tex_with_the_macros_of_olymp_sty(box: LinuxBox, tmp_path: Path) -> None:
    path = "statements/english/problem.tex"
    source = (
        "\\begin{problem}{Sum}{standard input}{standard output}{1 second}{256 MB}\n\nAdd \\t{two} \\bf{numbers}.\n"
        "\n\\InputFile\nOne $n$.\n\n\\OutputFile\nPrint it.\n\n\\Examples\n\n\\begin{example}\n"
        "\\exmpfile{example.01}{example.01.a}%\n\\end{example}\n\n\\Note\nEasy.\n\n\\end{problem}\n"
    )
    files: Content = {
        "problem.xml": POLYGON.format(path=path, kind="application/x-tex"),
        path: source,
        "tests/01": "1\n",
        "tests/01.a": "2\n",
        "statements/english/example.01": "shown\n",
    }
    text, found = await statement(box, tmp_path, files)
    assert text.title == "Sum"
    assert without_math(text.html).replace("<span>", "").replace("</span>", "").split("\n") == [
        "<p>Add <code>two</code> <strong>numbers</strong>.</p>", "<h2>Input</h2>", "<p>One $n$.</p>", "<h2>Output</h2>",
        "<p>Print it.</p>", "<h2>Note</h2>", "<p>Easy.</p>",
    ]  # fmt: skip
    assert found.notes == ()
    assert [(one.input, one.output) for one in found.samples] == [("shown\n", "2\n")]


async def test_polygon_html_with_its_formulas(box: LinuxBox, tmp_path: Path) -> None:
    path = "statements/.html/english/problem.html"
    source = (
        '<html><head><title>x</title><script>alert(1)</script></head><body><div class="problem-statement"><div class='
        '"header"><div class="title">Sum</div><div class="time-limit">1 second</div></div><div class="legend"><p>If '
        '$$$a &lt; b$$$</p></div><div class="input-specification"><div class="section-title">Input</div><p>One <span '
        'class="tex-font-style-tt">n</span>.</p></div><div class="sample-tests">x</div></div></body></html>'
    )
    files: Content = {"problem.xml": POLYGON.format(path=path, kind="text/html"), path: source, "tests/01": "1\n",
             "tests/01.a": "2\n"}  # fmt: skip
    text, _ = await statement(box, tmp_path, files)
    assert text.title == "Sum"
    lines = without_math(text.html).split("\n")
    assert [line for line in lines if not re.fullmatch("(?:</?div>)*", line)] == [
        "<p>If $a &lt; b$</p>",
        "<h2>Input</h2>",
        "<p>One <code>n</code>.</p>",
    ]
    assert "alert" not in text.html
    assert "second" not in text.html


async def test_dmoj_markdown_with_its_formulas(box: LinuxBox, tmp_path: Path) -> None:
    files: Content = {**CASE, "init.yml": "test_cases: [{in: 1.in, out: 1.out, points: 1}]",
             "statement.md": "You have ~N~, ~~no~~ `~code~`, $5 and $6.\n\n$$x_1$$\n"}  # fmt: skip
    text, _ = await statement(box, tmp_path, files)
    assert without_math(text.html) == (
        "<p>You have $N$, <del>no</del> <code>~code~</code>, $5 and $6.</p>\n<p>$x_1$</p>"
    )


async def test_pdf_is_kept_as_a_file(box: LinuxBox, tmp_path: Path) -> None:
    files: Content = {**KATTIS, "problem_statement/problem.de.pdf": "%PDF-1.4", "problem_statement/problem.en.tex": "x",
             "problem_statement/problem.en.pdf": "%PDF-1.5", "problem_statement/problem.fr.pdf": "no PDF"}  # fmt: skip
    found = await rendered(box, tmp_path, zipped(files))
    assert {text.language: (text.kind, text.pdf) for text in found.texts} == {
        "de": (StatementKind.PDF, "problem.de.pdf"),
        "en": (StatementKind.HTML, "problem.en.pdf"),
    }
    assert found.notes == (
        "'problem_statement/problem.fr.pdf' is not shown: only PNG, JPEG, GIF and WebP images and PDFs are.",
    )


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>", "<svg onload=alert(1)></svg>", "<svg><script>alert(1)</script></svg>",
        "<math><mtext><script>alert(1)</script></mtext></math>", "$\\text{<script>alert(1)</script>}$",
        "$\\href{javascript:alert(1)}{x}$", "![x](javascript:alert(1))", '<iframe src="javascript:alert(1)"></iframe>',
        "<iframe src='file:///etc/passwd'></iframe>", "<img src=x onerror=alert(1)>", "<a href='javascript:alert(1)'>",
        "<math><annotation-xml encoding='text/html'><img src=x onerror=alert(1)></annotation-xml></math>",
        "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
        '![$"><img src=x onerror=alert(1)>$](f.png)', "<div style='background:url(javascript:alert(1))' id=x class=y>",
        "```{=html}\n<script>alert(1)</script>\n```", "[x]: javascript:alert(1)\n[x]", "<javascript:alert(1)>",
        "$<img src=x onerror=alert(1)>$", "<style>*{}</style>", "<form><input name=x><button formaction=x></form>",
        "<span class='math inline'>\\(x\\)</span><span class='math inline'><b onclick=1>\\(y\\)</b></span>",
    ],
)  # fmt: skip
async def test_hostile_markup_leaves_nothing_active(box: LinuxBox, tmp_path: Path, source: str) -> None:
    found = await rendered(box, tmp_path, zipped({**CASE, "statement.md": f"x\n\n{source}\n\ny\n", "f.png": PNG}))
    (text,) = found.texts
    tags = re.findall(r'<[^">]*(?:"[^"]*"[^">]*)*>', text.html)
    outside = re.sub(r'<[^">]*(?:"[^"]*"[^">]*)*>', "", text.html)
    assert "<" not in outside
    allowed = re.compile(r"</?(?:p|strong|em|span|div|code|pre|a|img|math|m[a-z]+|table|tbody|tr|td|br|ul|li)\b")
    for tag in tags:
        assert allowed.match(tag), tag
        bare = re.sub(r'"[^"]*"', '""', tag)
        assert not re.search(r"\s(?:on\w+|style|id|action|formaction)=", bare), tag
        assert not re.search(r'(?:href|src)="(?!https?:|mailto:|/api/v1/)[a-z]+:', tag), tag
    assert "root:" not in text.html


#: what ends as HTML; everything else is shown as its source
BOMBS: dict[str, tuple[str, str]] = {
    "endless macro": ("tex", "\\newcommand{\\a}{\\a\\a}\\a"),
    "doubling macro": ("tex", "\\def\\a#1{\\a{#1#1}}\\a{x}"),
    "deep lists": ("md", "\n".join(" " * depth + "- x" for depth in range(1200))),
    "entities": ("html", "<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]>&b;"),
    "files": ("tex", "\\input{/etc/passwd} \\lstinputlisting{/etc/passwd} \\write18{id}"),
    "spans": ("html", "<table><tr><td rowspan=60000 colspan=60000>x</table>"),
    "fractions": ("tex", "$" + "\\frac{1}{" * 900 + "x" + "}" * 900 + "$"),
}
SLOW_BOMBS: dict[str, tuple[str, str]] = {
    "laughs": (
        "tex",
        "\\newcommand{\\a}{x x x x x x x x x x}"
        + "".join(
            f"\\newcommand{{\\{new}}}{{{f'\\{old} ' * 10}}}"
            for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True)
        )
        + "\\l",
    ),
    "dollars in Markdown": ("md", "$" * MIB),
    "dollars in TeX": ("tex", "$" * MIB),
    "formulas": ("md", "$a$ " * (MIB // 4)),
    "quotes": ("md", ">" * 100_000 + " x"),
    "lists 100,000 deep": ("html", "<ul><li>" * 100_000),
    "bold 200,000 deep": ("html", "<b>" * 140_000 + "x"),
    "fonts": ("html", "".join(f"<font color={number}>" for number in range(20_000)) + "<p>x" * 50_000),
    "brackets": ("md", "[" * MIB),
    "environments": ("tex", "\\begin{itemize}\\item " * 30_000),
    "unknown macros": ("tex", "\\odd " * (MIB // 5)),
    "headings": ("md", "# x\n" * (MIB // 4)),
    "references": ("tex", "\\label{a}" * 20_000 + "\\ref{a} " * 20_000),
}


async def _survives(box: LinuxBox, tmp_path: Path, kind: str, source: str) -> None:
    found = await rendered(box, tmp_path, zipped({**CASE, f"statement.{kind}": source}))
    (text,) = found.texts
    assert text.kind is StatementKind.HTML or found.notes
    assert len(text.html) <= 8 * 1024 * 1024
    assert "root:" not in text.html
    assert len(found.notes) <= 51
    # the sandbox is as before
    again = tmp_path / "again"
    again.mkdir()
    good, _ = await statement(box, again, {**CASE, "statement.md": "# T\n\nx $y$\n"})
    assert good.title == "T"


@pytest.mark.parametrize("name", BOMBS)
async def test_bomb_ends_in_bounded_time_and_memory(box: LinuxBox, tmp_path: Path, name: str) -> None:
    await _survives(box, tmp_path, *BOMBS[name])


@pytest.mark.full
@pytest.mark.parametrize("name", SLOW_BOMBS)
async def test_slow_bomb_ends_in_bounded_time_and_memory(box: LinuxBox, tmp_path: Path, name: str) -> None:
    await _survives(box, tmp_path, *SLOW_BOMBS[name])


async def test_statement_that_is_too_large_is_left_out(box: LinuxBox, tmp_path: Path) -> None:
    files: Content = {**CASE, "statement.md": "$" * (10 * 1024 * 1024), "statement.zh.md": "和"}
    found = await rendered(box, tmp_path, zipped(files))
    assert [text.language for text in found.texts] == ["zh"]
    assert found.notes == ("'statement.md' has 10485760 bytes; it may have 1048576.",)


async def test_after_some_bombs_the_others_are_shown_as_source(box: LinuxBox, tmp_path: Path) -> None:
    files: Content = {
        f"statement.{language}.tex": "\\newcommand{\\a}{\\a\\a}\\a" for language in ("de", "en", "fr", "it", "pt")
    }
    found = await rendered(box, tmp_path, zipped({**CASE, **files}))
    assert {text.kind for text in found.texts} == {StatementKind.TEXT}
    assert len(found.notes) == 3
