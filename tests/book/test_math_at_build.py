"""Formulas are MathML when the pages are built, and their font has what they need."""

from __future__ import annotations

import io
import sys
import unicodedata
from pathlib import Path

import built_book
import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "site"))

import math_at_build  # noqa: E402  (lies beside the pages, in no package)

PAGE = r"""# The mean of $\mathcal{N}(\mu, 1)$

Inline $y_{ij}$ and {eq}`sum`.

$$
\begin{aligned} a &= b \\ c &= d \end{aligned}
$$ (sum)

\begin{align}
e &= f
\end{align}

| table |
|---|
| $\bar y$ |

:::{note}
In a note: $\sigma$.
:::
"""


@pytest.fixture
def build(tmp_path: Path) -> object:
    """Build a book of one page, and return its HTML and the warnings."""

    def make(page: str) -> tuple[BeautifulSoup, str]:
        source, warnings = tmp_path / "source", io.StringIO()
        source.mkdir()
        (source / "index.md").write_text(page, encoding="utf-8")
        settings = {
            "extensions": ["myst_parser", "math_at_build"],
            "html_theme": "basic",
            "myst_enable_extensions": ["amsmath", "colon_fence", "dollarmath"],
        }
        out = tmp_path / "out"
        app = Sphinx(source, None, out, out, "html", settings, status=None, warning=warnings)
        app.build()
        return BeautifulSoup(
            (out / "index.html").read_text(encoding="utf-8"), "html.parser"
        ), warnings.getvalue()

    return make


def test_formulas_of_every_place_are_mathml(build: object) -> None:
    page, warnings = build(PAGE)
    assert warnings.replace("'math.css'", "") == warnings == ""
    article = page.select_one("div.body")
    assert [
        len(article.select(place)) for place in ("h1 math", "td math", ".note math", "div.math > math")
    ] == [
        1,
        1,
        1,
        2,
    ]
    assert len(article.select("math")) == 6
    assert "mathjax" not in str(page).lower()
    assert not page.select("annotation, [mathvariant=script], [columnalign]")


def test_equations_are_numbered_and_linked(build: object) -> None:
    page, _ = build(PAGE)
    link = page.find("a", href="#equation-sum")
    assert link.get_text() == "(1)"
    assert page.find(id="equation-sum").select_one(".eqno").get_text().startswith("(1)")
    assert [number.get_text()[:3] for number in page.select(".eqno")] == ["(1)", "(2)"]


@pytest.mark.parametrize("broken", [r"$\frac{a}{b$", r"$\nosuchthing$", "$$\n\\begin{aligned} a \\\\ \n$$"])
def test_broken_formula_is_a_warning_with_its_place(build: object, broken: str) -> None:
    _, warnings = build(f"# Title\n\nText.\n\n{broken}\n")
    assert "index.md:5: WARNING: formula not understood" in warnings


@pytest.mark.parametrize(
    ("tex", "name"),
    [
        (r"\mathcal{N}", "MATHEMATICAL SCRIPT CAPITAL N"),
        (r"\mathcal{B}", "SCRIPT CAPITAL B"),
        (r"\mathbb{R}", "DOUBLE-STRUCK CAPITAL R"),
        (r"\mathbb{A}", "MATHEMATICAL DOUBLE-STRUCK CAPITAL A"),
        (r"\mathbf{x}", "MATHEMATICAL BOLD SMALL X"),
        (r"\boldsymbol{\theta}", "MATHEMATICAL BOLD ITALIC SMALL THETA"),
        (r"\mathfrak{C}", "BLACK-LETTER CAPITAL C"),
        (r"\mathsf{S}", "MATHEMATICAL SANS-SERIF CAPITAL S"),
        (r"\mathtt{t}", "MATHEMATICAL MONOSPACE SMALL T"),
    ],
)
def test_letter_in_a_style_is_unicodes_own(tex: str, name: str) -> None:
    assert f"<mi>{unicodedata.lookup(name)}</mi>" in math_at_build.mathml(tex, display=False)


def test_accent_joins_its_letter() -> None:
    assert "<mi>\U0001d6fc\u0302</mi>" in math_at_build.mathml(r"\hat\alpha", display=False)
    assert "\u0302" not in math_at_build.mathml(r"\hat\theta", display=False)  # it would lie on the letter
    assert "\u0302</mo></mover>" in math_at_build.mathml(r"\widehat{abc}", display=False)


@pytest.mark.parametrize("tex", [r"\sqrt{\tau}", r"\sqrt{1 + 1/w}"])
def test_root_holds_a_strut_as_high_as_a_capital(tex: str) -> None:
    """Without it, Chromium hangs the sign over a low letter below the line."""
    (root,) = BeautifulSoup(math_at_build.mathml(tex, display=False), "html.parser")("msqrt")
    assert 0.7 < float(root.find_all("mspace")[-1]["height"].removesuffix("em")) < 1


def test_columns_stand_as_they_were_meant() -> None:
    tex = r"\begin{array}{lcr} a & b & c \end{array}"
    cells = BeautifulSoup(math_at_build.mathml(tex, display=True), "html.parser").select("mtd")
    assert [cell["class"] for cell in cells] == [["left"], ["center"], ["right"]]


# ------------------------------------------------------------------------------
# The book


def formulas(html: Path) -> list[object]:
    return [formula for page in built_book.pages(html) for formula in built_book.parsed(page).select("math")]


def test_book_has_formulas_and_no_script_for_them(html: Path) -> None:
    assert len(formulas(html)) > 300
    texts = [page.read_text(encoding="utf-8").lower() for page in built_book.pages(html)]
    assert not [text for text in texts if "mathjax" in text or "katex" in text]


def test_font_has_every_character_of_the_formulas(html: Path) -> None:
    font = TTFont(html / "_static" / "fonts" / "formulas.woff2")
    used = {letter for formula in formulas(html) for letter in formula.get_text() if not letter.isspace()}
    # A browser slants a variable of one letter, which takes another character.
    variables = {
        mi.get_text() for formula in formulas(html) for mi in formula.select("mi:not([mathvariant])")
    }
    plain = {letter for letter in variables if len(letter) == 1 and letter.isascii() and letter.isalpha()}
    slanted = {"\u210e" if a == "h" else chr(ord(a) + (0x1D3F3 if a < "a" else 0x1D3ED)) for a in plain}
    assert {"\U0001d44e", "\U0001d465"} & slanted
    assert (used | slanted) - set(map(chr, font.getBestCmap())) == set()


def test_font_still_stretches(html: Path) -> None:
    font = TTFont(html / "_static" / "fonts" / "formulas.woff2")
    variants = font["MATH"].table.MathVariants
    grows = set(variants.VertGlyphCoverage.glyphs)
    names = font.getBestCmap()
    assert {names[ord(sign)] for sign in "()[]√"} <= grows
    assert names[ord("⏟")] in set(variants.HorizGlyphCoverage.glyphs)


@pytest.mark.parametrize("name", ["text", "italic", "semibold"])
def test_text_font_has_what_western_text_is_written_with(html: Path, name: str) -> None:
    path = html / "_static" / "fonts" / f"{name}.woff2"
    font = TTFont(path)
    assert set(map(ord, "Åßéñ–—‘’“”…−≤≥")) <= set(font.getBestCmap())
    assert path.stat().st_size < 25_000
    assert font["name"].getDebugName(1) != "Source Serif Pro"  # a name that is reserved for the whole font
    assert "SIL Open Font License" in font["name"].getDebugName(13)


def test_licence_lies_beside_the_fonts(html: Path) -> None:
    assert "SIL OPEN FONT LICENSE" in (html / "_static/fonts/LICENSE.txt").read_text(encoding="utf-8")
