"""Sphinx extension: mends the HTML of the pages, for screen readers above all.

Pandas, docutils and MyST-NB write tables, lists and folded cells that look right and say too little.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bs4 import BeautifulSoup, NavigableString

if TYPE_CHECKING:
    from bs4 import Tag
    from docutils import nodes
    from sphinx.application import Sphinx

FOLDED = {"source": "the code", "content": "the code and what it prints", "outputs": "the output"}
BLOCKS = {
    ".cell_input pre": "Code",
    ".cell_output pre, .cell_output > .text_html:has(table)": "Output",
    "div.math": "Formula",
}
PERCENT = re.compile(r"(\d) %")
SIZE = re.compile(r"width: (?P<width>\d+)px; height: (?P<height>\d+)px;?")


def has_words(cell: Tag) -> bool:
    """Tell whether there is something in a cell beside formulas."""
    return any(text.strip() and not text.find_parent("math") for text in cell.find_all(string=True))


def mend_tables(soup: BeautifulSoup) -> None:
    """Say what each header cell is the header of, and make no headers of empty cells.

    The first column names the rows, if it has words: formulas alone are not read there by every program.
    """
    for table in soup.select("table"):
        first = table.select("tbody tr > td:first-child")
        if not table.select("tbody th") and all(map(has_words, first)):
            for cell in first:
                cell.name = "th"
        for cell in table.select("th"):
            if not cell.get_text(strip=True) and not cell.find(["img", "math"]):
                cell.name = "td"
                continue
            column = cell.find_parent("thead") is not None
            span = int(str(cell.get("colspan" if column else "rowspan", 1)))
            cell["scope"] = ("col" if column else "row") + ("group" if span > 1 else "")


def mend_data_frames(soup: BeautifulSoup) -> None:
    """Leave the looks of a data frame to the style sheet."""
    for table in soup.select("table.dataframe"):
        del table["border"]
        for row in table.select("tr[style]"):
            del row["style"]
    for style in soup.select("style[scoped]"):
        style.decompose()


def mend_references(soup: BeautifulSoup) -> None:
    """Make the works of a bibliography the items of its list."""
    for work in soup.select("[role=doc-biblioentry]"):
        work["role"] = "listitem"


def mend_folds(soup: BeautifulSoup) -> None:
    """Say in the line that is clicked what is folded, and nothing else."""
    for summary in soup.select("details.hide > summary"):
        del summary["aria-label"]
        for line in summary.select("p"):
            verb, kind = line.get_text().split()[0], line.get_text().split()[-1]
            solution = kind == "content" and summary.find_parent("section", id="exercises")
            line.name = "span"
            line.string = f"{verb} {'a solution' if solution else FOLDED[kind]}"


def fold_dropdowns(soup: BeautifulSoup) -> None:
    """Fold admonitions of class dropdown without a script."""
    for box in soup.select("div.admonition.dropdown"):
        box.name = "details"
        title = box.select_one(".admonition-title")
        if title:
            title.name = "summary"


def name_blocks(soup: BeautifulSoup) -> None:
    """Say what is code, what it printed, and what is a formula: all may have to be scrolled by keyboard."""
    for selector, name in BLOCKS.items():
        for block in soup.select(selector):
            block.attrs |= {"role": "group", "aria-label": name}


def quiet_links(soup: BeautifulSoup) -> None:
    """Leave out of the reading what only a pointer needs: signs that link to headings, links to images."""
    for link in soup.select(":is(h1, h2, h3, h4) > a.headerlink"):
        link.attrs |= {"aria-hidden": "true", "tabindex": "-1"}
    for link in soup.select("figcaption a.headerlink"):
        link["aria-label"] = "Link to this figure"
    for link in soup.select("a.image-reference"):
        link.unwrap()


def keep_units(soup: BeautifulSoup) -> None:
    """Keep a number and its percent sign on one line."""
    for text in soup.find_all(string=PERCENT):
        if not text.find_parent(["pre", "code", "script", "math"]):
            text.replace_with(PERCENT.sub("\\1\N{NO-BREAK SPACE}%", text))


def size_images(soup: BeautifulSoup) -> None:
    """Keep the room of images that are on their way, at any width of the page."""
    for image in soup.select("img[style]"):
        if size := SIZE.fullmatch(str(image["style"])):
            del image["style"]
            image.attrs.update(size.groupdict())


def set_number_apart(soup: BeautifulSoup) -> None:
    """Mark the number of a chapter in its title."""
    title = soup.select_one("h1")
    text = title.contents[0] if title and title.contents else None
    if title is None or not isinstance(text, NavigableString):
        return
    if match := re.match(r"(\d+)\. ", text):
        text.replace_with(text[match.end() :])
        heard: Tag = soup.new_tag("span", attrs={"class": "hb-words"})
        heard.append(match[0])
        seen: Tag = soup.new_tag("span", attrs={"class": "hb-number", "data-number": match[1]})
        title.insert(0, seen)
        title.insert(1, heard)


def mend(body: str) -> str:
    """Return the body of a page, mended."""
    soup = BeautifulSoup(body, "html.parser")
    for step in (
        mend_tables,
        mend_data_frames,
        mend_references,
        mend_folds,
        fold_dropdowns,
        name_blocks,
        quiet_links,
        keep_units,
        size_images,
        set_number_apart,
    ):
        step(soup)
    return str(soup)


def mend_page(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Mend a page's body before it goes into its frame."""
    del app, pagename, templatename, doctree
    if context.get("body"):
        context["body"] = mend(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx, after whoever else changes the body."""
    app.connect("html-page-context", mend_page, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
