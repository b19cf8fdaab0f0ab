"""Sphinx extension: a page loads what it uses, and the built book holds what its pages load.

The theme brings the tables of contents and a script for colours, search and the contents on a phone. Its
style sheets, its icons and the scripts of widgets that the book does not have stay out: `templates/` and
`static/book.css` do their work.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbutils.style import DARK_PALETTE, PALETTE

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.builders.html._assets import _JavaScript

UNUSED_SHEETS = re.compile(r"_static/(styles/|togglebutton|copybutton|mystnb|sphinx-thebe|sphinx-design)")
UNUSED_SCRIPTS = re.compile(r"_static/(togglebutton|design-tabs|sphinx-thebe|scripts/sphinx-book-theme)")
UNUSED_LINES = re.compile(r"toggle|THEBE|DOCUMENTATION_OPTIONS")  # scripts that stand in the page itself
# Names, punctuation and spaces of code, which have the colour of the code around them: half of its bytes
PLAIN_CODE = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')
SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)  # for whoever mends the theme

# An empty icon: a browser would ask for one of its own making, or be cut short in fetching ours.
REDIRECT = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>{title}</title>
    <link rel="icon" href="data:," />
    <meta http-equiv="refresh" content="0; url={page}" />
  </head>
  <body><main><h1>{title}</h1><p><a href="{page}">Open the book</a></p></main></body>
</html>
"""


@cache
def palette_css() -> str:
    """Return the colours of the strategies as CSS variables, as the figures have them."""
    light, dark = (
        "".join(f"--hb-{strategy}:{colour};" for strategy, colour in palette.items())
        for palette in (PALETTE, DARK_PALETTE)
    )
    return f':root{{{light}}}html[data-theme="dark"]{{{dark}}}@media print{{html[data-theme]{{{light}}}}}'


def is_used(script: _JavaScript) -> bool:
    """Tell whether a script that an extension has put on a page has anything to do there."""
    if script.filename:
        return not UNUSED_SCRIPTS.match(str(script.filename))
    return not UNUSED_LINES.search(script.attributes.get("body", ""))


def load_what_is_used(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Take off the page what is not used there: style sheets, scripts, marks on plain code."""
    del app, pagename, templatename, doctree
    sheets, scripts = context["css_files"], context["script_files"]
    context["css_files"] = [sheet for sheet in sheets if not UNUSED_SHEETS.match(str(sheet.filename))]
    context["script_files"] = [script for script in scripts if is_used(script)]
    context["hb_palette"] = palette_css()
    if "body" in context:
        context["body"] = PLAIN_CODE.sub(r"\1", context["body"])


def named(files: set[Path], texts: set[Path]) -> set[Path]:
    """Return those files whose names occur in one of the texts."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(texts))
    return {file for file in files if file.name in text}


def unreached(html: Path) -> set[Path]:
    """Return the static files that no page names, nor anything that a page loads."""
    left = {path for path in (html / "_static").rglob("*") if path.is_file()}
    found = named(left, {path for path in html.rglob("*.html") if html / "_static" not in path.parents})
    while found:
        left -= found
        found = named(left, {path for path in found if path.suffix in {".css", ".js"}})
    return left


def remove_the_rest(app: Sphinx, failed: Exception | None) -> None:
    """Remove what nothing loads, and write the page that leads to the first one."""
    if failed or app.builder.name != "html":
        return
    html = Path(app.outdir)
    redirect = REDIRECT.format(title=app.config.html_title, page=f"{app.config.root_doc}.html")
    (html / "index.html").write_text(redirect, encoding="utf-8")
    for path in (html / "_static").rglob("*.js"):
        script = path.read_text(encoding="utf-8")
        path.write_text(SOURCE_MAP.sub("", script), encoding="utf-8", newline="\n")
    for path in unreached(html):
        path.unlink()
    for folder in sorted((html / "_static").rglob("*"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after whoever else adds to a page or to the book."""
    app.connect("html-page-context", load_what_is_used, priority=900)
    app.connect("build-finished", remove_the_rest, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
