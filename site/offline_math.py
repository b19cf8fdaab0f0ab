"""Sphinx extension: formulas are set by a MathJax that lies beside the pages, and so are there offline."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.fileutil import copy_asset

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# The script; the fonts; and what the script loads when a formula needs it, such as \boldsymbol.
PARTS = ["tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]


def copy_mathjax(app: Sphinx, failed: Exception | None) -> None:
    """Copy what the pages load from the installed package sphinx-mathjax-offline."""
    if failed:
        return
    package = import_module("sphinx-mathjax-offline")  # no name that an import statement could write
    source = Path(str(package.__file__)).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        copy_asset(str(source / part), str((target / part) if (source / part).is_dir() else target))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
