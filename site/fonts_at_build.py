"""Sphinx extension: fonts of installed packages, cut down to the characters that the book uses.

Source Serif Pro sets the text, STIX Two Math the formulas. Before the pages are written, the fonts are, to
`_static/fonts/`, with the style sheet that declares them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docutils import nodes
from fontTools import subset
from math_at_build import displayed, italic

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont
    from sphinx.application import Sphinx
    from sphinx.builders import Builder

SERIF = "font_source_serif_pro/files"
LICENCE = f"{SERIF}/LICENSE.txt"
ASCII = {*map(chr, range(0x20, 0x7F))}
# In every cut, whatever the book uses: the text of Western Europe, and what figures may write as they move.
TEXT = ASCII | {*map(chr, range(0xA0, 0x100)), *"–—‘’“”…−√≈≤≥←↑→↓αβγδεθλμρστφχΔΣ"}
FORMULAS = ASCII | {*"−±×·∼≈≤≥≠∝→∑∏∫√∞", "\N{NO-BREAK SPACE}", "\N{THIN SPACE}"}


# What is declared beside the cut fonts. Until those are there, fonts of the machine take their place, brought
# to their measures: the widths are those of this book's text.
STYLE = """\
/* Cut from Source Serif Pro and STIX Two Math, which are under the SIL Open Font License: see LICENSE.txt. */
@font-face{font-family:"HB Text Fallback";\
src:local("Times New Roman"),local("Liberation Serif"),local("Tinos");\
size-adjust:110.5%;ascent-override:93.8%;descent-override:30.3%;line-gap-override:0%}
@font-face{font-family:"HB Text Fallback";font-style:italic;\
src:local("Times New Roman Italic"),local("Liberation Serif Italic"),local("Tinos Italic");\
size-adjust:102.4%;ascent-override:101.2%;descent-override:32.7%;line-gap-override:0%}
@font-face{font-family:"HB Text Fallback";font-weight:600 700;\
src:local("Times New Roman Bold"),local("Liberation Serif Bold"),local("Tinos Bold");\
size-adjust:105.9%;ascent-override:97.8%;descent-override:31.6%;line-gap-override:0%}
:root{
--hb-font-text:"HB Text","HB Text Fallback","Source Serif 4","Noto Serif",Georgia,serif;
--hb-font-ui:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",Arial,sans-serif;
--hb-font-code:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace;
--hb-font-math:"HB Math","STIX Two Math","Cambria Math",math,serif;
}
"""
# A font that a page needs at once is asked for before the style sheets are there. A page on a disk is quick
# without, and Chromium would refuse it with an error.
PRELOAD = """<script>location.protocol=="file:"||%s.forEach(u=>document.head.append(Object.assign(\
document.createElement("link"),{rel:"preload",as:"font",type:"font/woff2",crossOrigin:"",href:u})))</script>"""


class Face(NamedTuple):
    """A font file of a package, and what to keep of it."""

    source: str
    css: str
    features: tuple[str, ...] = ("kern", "liga", "lnum", "tnum")

    @property
    def of_formulas(self) -> bool:
        """Whether it sets formulas, not text."""
        return not self.features


FACES = {
    "text": Face(f"{SERIF}/SourceSerifPro-Regular.ttf", 'font-family:"HB Text"'),
    "italic": Face(f"{SERIF}/SourceSerifPro-It.ttf", 'font-family:"HB Text";font-style:italic'),
    "semibold": Face(f"{SERIF}/SourceSerifPro-Semibold.ttf", 'font-family:"HB Text";font-weight:600 700'),
    "formulas": Face("ziamath/fonts/STIXTwoMath-Regular.ttf", 'font-family:"HB Math"', features=()),
}


def installed(file: str) -> Path:
    """Return where a file of an installed package lies."""
    package, _, path = file.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent / path


def written(app: Sphinx) -> set[str]:
    """Return the characters of the book's sources, the bibliography's among them."""
    files = [app.env.doc2path(name) for name in app.env.found_docs]
    files += [Path(app.srcdir) / name for name in getattr(app.config, "bibtex_bibfiles", [])]
    return set().union(*(Path(file).read_text(encoding="utf-8") for file in files))


def in_formulas(app: Sphinx) -> set[str]:
    """Return the characters that the book's formulas are set in."""
    found: set[str] = set()
    for name in app.env.found_docs:
        for node in app.env.get_doctree(name).findall(lambda n: isinstance(n, nodes.math | nodes.math_block)):
            found |= characters(displayed(node) or "")
    return found


def characters(formula: str) -> set[str]:
    """Return the characters a formula is set in: a variable of one letter is slanted by the browser."""
    slanted = {italic(letter) for letter in re.findall("<mi>(.)</mi>", formula)}
    return slanted | set(unescape(re.sub("<[^>]+>", "", formula)))


def cut(face: Face, wanted: set[str], target: Path) -> None:
    """Write a font with the characters that are wanted, and what they are made of when they grow."""
    options = subset.Options(
        flavor="woff2",
        hinting=False,
        layout_features=list(face.features),
        # The licence reserves the name for the whole font; it wants its notice kept in the cut one.
        obfuscate_names=True,
        name_IDs=[0, 1, 2, 3, 4, 6, 13, 14],
    )
    font = subset.load_font(installed(face.source), options)
    cutter = subset.Subsetter(options)
    cutter.populate(text="".join(wanted))
    cutter.subset(font)
    if face.of_formulas:
        mend(font)
    subset.save_font(font, target, options)


def mend(font: TTFont) -> None:
    """Bring two of the formulas' distances to what TeX sets, and lines to the height of a letter."""
    constants = font["MATH"].table.MathConstants
    # TeX places the scripts of a letter by fixed distances; browsers by its height and depth. With these, the
    # two agree: the 2 in (1 - u)^2 stands no higher than in u^2, the i in y_i hardly lower than in x_i.
    constants.SuperscriptBaselineDropMax.Value = 380
    constants.SubscriptBaselineDropMin.Value = 0
    # Windows would make room for the tallest bracket in every line.
    font["OS/2"].usWinAscent, font["OS/2"].usWinDescent = font["hhea"].ascent, -font["hhea"].descent
    font["hhea"].lineGap = font["OS/2"].sTypoLineGap = 0


def write_fonts(app: Sphinx, builder: Builder) -> None:
    """Write the fonts and their style sheet; a font is cut again when what it is made from has changed."""
    if builder.format != "html":
        return
    out, kept = Path(app.outdir) / "_static" / "fonts", Path(app.doctreedir) / "fonts"
    out.mkdir(parents=True, exist_ok=True)
    kept.mkdir(parents=True, exist_ok=True)
    wanted = {False: TEXT | written(app), True: FORMULAS | in_formulas(app)}
    style = STYLE
    for name, face in FACES.items():
        made_from = [face, sorted(wanted[face.of_formulas]), Path(__file__).read_text(encoding="utf-8")]
        version = hashlib.sha256(repr(made_from).encode()).hexdigest()[:8]
        font = kept / f"{name}-{version}.woff2"
        if not font.exists():
            cut(face, wanted[face.of_formulas], font)
        shutil.copyfile(font, out / f"{name}.woff2")
        style += f'@font-face{{{face.css};font-display:swap;src:url("{name}.woff2?v={version}")}}\n'
    (out / "fonts.css").write_text(style, encoding="utf-8")
    shutil.copyfile(installed(LICENCE), out / "LICENSE.txt")


def preload(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: object) -> None:
    """Let a page ask early for the fonts that it is sure to need."""
    if app.builder.format != "html" or doctree is None:
        return
    names = ["text", *(["formulas"] if app.env.get_domain("math").has_equations(page) else [])]
    style = (Path(app.outdir) / "_static" / "fonts" / "fonts.css").read_text(encoding="utf-8")
    folder = context["pathto"]("_static/fonts/", resource=True)
    urls = [folder + file for name in names for file in re.findall(rf"\b{name}\.woff2\?v=\w+", style)]
    context["metatags"] = context.get("metatags", "") + PRELOAD % json.dumps(urls)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("write-started", write_fonts)
    app.connect("html-page-context", preload)
    app.add_css_file("fonts/fonts.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
