"""Sphinx extension: formulas become MathML when the pages are built, so that a page needs no script for them.

KaTeX parses them; it comes with the installed package sphinxcontrib-katex. What browsers leave out of MathML
is mended here and in static/math.css.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import dukpy
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.locale import _
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from bs4 import Tag
    from sphinx.application import Sphinx
    from sphinx.writers.html import HTML5Translator

logger = logging.getLogger(__name__)

RENDER = """katex.renderToString(dukpy.tex, {
    displayMode: dukpy.display, output: "mathml", strict: "error", throwOnError: true,
})"""
# What KaTeX writes over a letter, and the mark that joins the letter and finds its place by the font.
ACCENTS = {"^": "\u0302", "~": "\u0303", "ˉ": "\u0304", "˙": "\u0307", "¨": "\u0308", "⃗": "\u20d7"}
LOW = frozenset("acegmnopqrsuvwxyzαγεϵηικμνοπρστυχω")  # over a higher letter, a mark would lie on it
STYLES = re.compile("bold|italic|script|double-struck|fraktur|sans-serif|monospace")


@cache
def katex() -> dukpy.JSInterpreter:
    """Start the JavaScript engine with KaTeX in it."""
    package = find_spec("sphinxcontrib.katex")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("sphinxcontrib.katex")
    engine = dukpy.JSInterpreter()
    engine.evaljs(Path(package.origin).with_name("katex.min.js").read_text(encoding="utf-8") + "; 0")
    return engine


@cache
def styled_letters() -> dict[tuple[frozenset[str], str], str]:
    """Return Unicode's own characters for letters in a style, as N in script is U+1D4A9."""
    letters = {(frozenset({"italic"}), "h"): "\N{PLANCK CONSTANT}"}
    for code in (*range(0x2100, 0x2150), *range(0x1D400, 0x1D800)):
        decomposed = unicodedata.decomposition(chr(code)).split()
        if decomposed[:1] == ["<font>"]:
            name = unicodedata.name(chr(code)).lower().replace("black-letter", "fraktur")
            letters[frozenset(STYLES.findall(name)), chr(int(decomposed[1], 16))] = chr(code)
    return letters


def italic(letter: str) -> str:
    """Return a letter as browsers set it when it is a variable."""
    return styled_letters().get((frozenset({"italic"}), letter), letter)


def restyle(token: Tag) -> None:
    """Write letters in a style as Unicode does; browsers know no `mathvariant` but normal."""
    style = frozenset(STYLES.findall(str(token["mathvariant"])))
    if style:
        del token["mathvariant"]
        token.string = "".join(styled_letters().get((style, letter), letter) for letter in token.get_text())


def join_accent(over: Tag) -> None:
    """Let a letter carry its accent as a mark, which sits lower than one that browsers put over it."""
    base, accent = over(recursive=False)
    letter, mark = base.get_text(), ACCENTS.get(accent.get_text())
    if accent.get("stretchy") and mark:
        accent.string = mark  # marks grow; the spaced characters do not
    elif mark and base.name == "mi" and letter in LOW:
        base.string = (letter if base.get("mathvariant") else italic(letter)) + mark
        over.replace_with(base)


def align(table: Tag) -> None:
    """Give each cell its alignment and its distance from the one before; browsers ignore the table's."""
    sides = str(table.attrs.pop("columnalign", "center")).split()
    gaps = ["0em", *str(table.attrs.pop("columnspacing", "1em")).split()]
    for row in table("mtr", recursive=False):
        for number, cell in enumerate(row("mtd", recursive=False)):
            cell["class"] = sides[min(number, len(sides) - 1)]
            cell["style"] = f"padding-left: {gaps[min(number, len(gaps) - 1)]}"


def raise_root(root: Tag) -> None:
    """Give what is under a root the height of a capital: over low letters browsers hang the sign too deep."""
    strut = BeautifulSoup('<mspace height="0.85em"></mspace>', "html.parser").mspace
    root.append(strut)


@cache
def mathml(tex: str, *, display: bool) -> str:
    """Return a formula as a `<math>` element.

    Raises
    ------
    ValueError
        If KaTeX does not understand it.
    """
    try:
        page = katex().evaljs(RENDER, tex=tex, display=display)
    except dukpy.JSRuntimeError as error:
        raise ValueError(str(error).partition("\n")[0]) from error
    math = BeautifulSoup(page, "html.parser").math
    math.annotation.decompose()
    math.semantics.unwrap()
    del math["xmlns"]
    for token in math(mathvariant=True):
        restyle(token)
    for over in math("mover", accent="true"):
        join_accent(over)
    for root in math("msqrt"):
        raise_root(root)
    for table in math("mtable"):
        align(table)
    return str(math)


def displayed(node: nodes.Element) -> str | None:
    """Return a formula as MathML; one that is not understood is a warning."""
    # Sphinx counts equations, and all of a block as one; KaTeX shall not count as well.
    tex = re.sub(r"\\(begin|end)\{(equation|align|alignat|gather)\}", r"\\\1{\2*}", node.astext())
    try:
        return mathml(tex, display=isinstance(node, nodes.math_block))
    except ValueError as error:
        logger.warning("formula not understood: %s", error, location=node, type="math")
    return None


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula of the running text."""
    self.body.append(displayed(node) or f"<code>{escape(node.astext())}</code>")
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands on its own, with its number if it has one."""
    # The theme's script lets the keyboard reach what has this class, while it is too wide for the page.
    self.body.append(self.starttag(node, "div", CLASS="math pst-scrollable-table-container"))
    self.body.append(displayed(node) or f"<code>{escape(node.astext())}</code>")
    if node.get("number"):
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, _("Link to this equation"))
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.config.html_math_renderer = "mathml"
    app.config.myst_update_mathjax = False  # a page without MathJax need not tell it what to leave alone
    app.add_css_file("math.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
