"""Sphinx extension: a page loads its dials' scripts as files, and the figure on the cover is alive."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from docutils import nodes

import hbutils as hb
from hbutils.dials import SCRIPTS, Dial, pooling_dial

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# A notebook's output brings the scripts along, for JupyterLab; the page has them once, in their latest form.
CODE = re.compile(r'<script class="hb-dial-code">.*?</script>', re.DOTALL)
NAME = re.compile(r'data-dial="(\w+)"')


@lru_cache
def cover() -> Dial:
    """Return the dial of the cover page."""
    posterior = hb.exact_posterior(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())
    return pooling_dial(posterior, highlight="335")


LIVING = {"pooling-dial": cover}  # classes of figures in Markdown pages that a dial takes the place of


def add_living_figures(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the dial into each figure that has a class of `LIVING`; its image stays for paper."""
    del docname
    if app.builder.format != "html":
        return
    for figure in doctree.findall(nodes.figure):
        for name in set(figure["classes"]) & LIVING.keys():
            figure.insert(0, nodes.raw("", LIVING[name]().element(), format="html"))


def load_scripts(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Take the scripts out of the page's outputs, and load those that its dials need as files."""
    del pagename, templatename, doctree
    context["body"] = CODE.sub("", context.get("body", ""))
    for name in dict.fromkeys(NAME.findall(context["body"])):
        for script in Dial(name, {}).scripts:
            app.add_js_file(f"{script}.js", loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", lambda _, config: config.html_static_path.append(str(SCRIPTS)))
    app.connect("doctree-resolved", add_living_figures)
    app.connect("html-page-context", load_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
