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
SIZE = re.compile(r"width: (?P<width>\d+)px; height: (?P<height>\d+)px;?")


def mend_tables(soup: BeautifulSoup) -> None:
    """Say what each header cell is the header of, and make no headers of empty cells.

    Where the top left corner is empty, the first column names the rows.
    """
    for table in soup.select("table"):
        corner = table.select_one("thead th")
        if corner and not corner.get_text(strip=True) and not table.select("tbody th"):
            for cell in table.select("tbody tr > td:first-child"):
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
        number: Tag = soup.new_tag("span", attrs={"class": "hb-number"})
        number.append(match[1])
        dot: Tag = soup.new_tag("span", attrs={"class": "hb-words"})
        dot.append(". ")
        number.append(dot)
        title.insert(0, number)


def mend(body: str) -> str:
    """Return the body of a page, mended."""
    soup = BeautifulSoup(body, "html.parser")
    for step in (
        mend_tables,
        mend_data_frames,
        mend_references,
        mend_folds,
        fold_dropdowns,
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
