"""Sphinx extension: a page links to terms of the glossary, and carries the meanings of those it links to.

The glossary is a definition list in Markdown. A link such as `[shrunk](glossary.md#term-shrinkage)` leads to
the entry *shrinkage*, in the book as in JupyterLab; one to an entry that is not there is a warning, as is any
link that leads nowhere. `static/glossary.js` shows a term's meaning beside the link.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.builders.html import StandaloneHTMLBuilder
    from sphinx.domains.std import StandardDomain
    from sphinx.environment import BuildEnvironment

GLOSSARY = "chapters/glossary"
LINK = re.compile(r'<a class="([^"]*)"(?= href="[^"#]*#(term-[\w-]+)")')


def entries(doctree: nodes.document) -> Iterator[tuple[str, nodes.term, nodes.definition]]:
    """Yield the glossary's entries, each led by its anchor, which leaves out an abbreviation in brackets."""
    for term, meaning in zip(doctree.findall(nodes.term), doctree.findall(nodes.definition), strict=True):
        yield f"term-{nodes.make_id(term.astext().split(' (')[0])}", term, meaning


def name_entries(app: Sphinx, doctree: nodes.document) -> None:
    """Give the entries their anchors, and enter them where MyST looks for the target of a link."""
    if app.env.docname != GLOSSARY:
        return
    standard = cast("StandardDomain", app.env.get_domain("std"))
    anchors = app.env.metadata[GLOSSARY].setdefault("myst_slugs", {})
    for anchor, term, _ in entries(doctree):
        term["ids"].append(anchor)
        anchors[anchor] = (0, anchor, term.astext())
        standard.note_object("term", term.astext(), anchor, location=term)  # the search finds it by name


def first_links(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Find where each entry is linked to first: the page, and the anchor of the section."""
    found: dict[str, tuple[str, str]] = {}
    for page in sorted(env.found_docs - {GLOSSARY}):  # chapters first: their names begin with digits
        for link in env.get_doctree(page).findall(addnodes.pending_xref):
            if link.get("reftarget") == GLOSSARY and (anchor := link.get("reftargetid")):
                sections = (node for node in iter_parents(link) if isinstance(node, nodes.section))
                section = next(sections, None)  # a link may come before the first heading
                found.setdefault(anchor, (page, section["ids"][0] if section else ""))
    return found


def iter_parents(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what a node stands in, from the inside out."""
    while (node := node.parent) is not None:
        yield node


def say_where_first(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """End each entry with a link to the place that first needs it."""
    if page != GLOSSARY:
        return
    places = first_links(app.env)
    for anchor, _, meaning in entries(doctree):
        if anchor in places:
            target, section = places[anchor]
            title = app.env.titles[target].astext()
            number = re.match(r"\d+", title)
            label = nodes.inline("", f"chapter\N{NO-BREAK SPACE}{number[0]}" if number else title)
            place = make_refnode(app.builder, page, target, section, label)
            first = nodes.inline("", " First in ", place, nodes.Text("."))
            cast("nodes.paragraph", meaning[-1]).append(first)


class Meanings:
    """The meanings as HTML, for the pages that link to them."""

    def __init__(self) -> None:
        self.html: dict[str, str] = {}

    def render(self, app: Sphinx) -> None:
        """Render every meaning, led by its term and free of links: it will stand beside one."""
        for anchor, term, meaning in entries(app.env.get_doctree(GLOSSARY)):
            for link in list(meaning.findall(addnodes.pending_xref)):
                link.replace_self(link.children)
            title = nodes.strong("", term.astext())
            text = nodes.paragraph("", "", title, nodes.Text(" "), *meaning[0].children)
            self.html[anchor] = cast("StandaloneHTMLBuilder", app.builder).render_partial(text)["fragment"]

    def add(self, app: Sphinx, page: str, _template: str, context: dict[str, str], *_: object) -> None:
        """Add the meanings of a page's terms to its end, hidden, and point the links at them."""
        body = context.get("body", "")
        if page == GLOSSARY or not LINK.search(body):
            return
        if not self.html:
            self.render(app)
        used: dict[str, str] = {}

        def describe(link: re.Match[str]) -> str:
            classes, anchor = link.groups()
            if anchor not in self.html:  # MyST has warned
                return link[0]
            used[anchor] = self.html[anchor]
            return f'<a class="{classes} term" aria-describedby="about-{anchor}"'

        context["body"] = LINK.sub(describe, body) + "".join(
            f'<div class="term-meaning" id="about-{anchor}" role="tooltip" hidden>{html}</div>'
            for anchor, html in used.items()
        )
        app.add_css_file("glossary.css")
        app.add_js_file("glossary.js", loading_method="defer")


def outdated(
    _app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], _: set[str]
) -> set[str]:
    """Make the glossary anew in each build, as any page may link to it, and all pages when it has changed."""
    return set(env.found_docs) if GLOSSARY in added | changed else {GLOSSARY}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("env-get-outdated", outdated)
    app.connect("doctree-read", name_entries)
    app.connect("doctree-resolved", say_where_first)
    app.connect("html-page-context", Meanings().add, priority=400)  # before those that work on the whole body
    return {"parallel_read_safe": True, "parallel_write_safe": True}
