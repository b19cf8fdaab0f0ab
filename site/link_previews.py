"""Sphinx extension: what a search engine or a message says of a page: title, description and picture.

Where the book lies is not known when it is built, unless the environment variable BOOK_URL says so. A picture
and a page's own address have to be complete addresses, and are left out without it.
"""

from __future__ import annotations

import os
import re
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from bs4 import BeautifulSoup

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.config import Config

LENGTH = 200  # characters of a description, about what is shown
COVER = (
    "cover.png",
    "Three panels of reaction times: one line for all, a line for each, and lines that share.",
)

VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'  # there a second time


def shorten(text: str) -> str:
    """Cut a text at the end of a sentence, or of a word if the first sentence is too long."""
    text = " ".join(text.split())
    if len(text) <= LENGTH:
        return text
    ends = [match.end() for match in re.finditer(r"[.?!](?= )", text[:LENGTH])]
    return text[: ends[-1]] if ends else text[: LENGTH - 1].rsplit(" ", 1)[0] + "…"


def describe(soup: BeautifulSoup) -> str:
    """Return the first words of a page that say something: its first paragraph of prose."""
    paragraph = soup.select_one("section > p")
    return shorten(paragraph.get_text()) if paragraph else ""


def picture(soup: BeautifulSoup) -> tuple[str, str]:
    """Return the file name and alternative text of a page's first figure, or of the cover."""
    image = soup.select_one("figure img[src*='_images/']")
    return (str(image["src"]).rsplit("/", 1)[-1], str(image["alt"])) if image else COVER


def tags(title: str, site: str, body: str, page_url: str | None, base: str) -> dict[str, str]:
    """Return the page's metadata: contents by name."""
    soup = BeautifulSoup(body, "html.parser")
    words = describe(soup) or f"{title}. {site}."
    found = {
        "description": words,
        "og:title": title,
        "og:type": "article" if title != site else "book",
        "og:site_name": site,
        "og:description": words,
    }
    if page_url:
        name, alt = picture(soup)
        found |= {"og:url": page_url, "og:image": urljoin(base, f"_images/{name}"), "og:image:alt": alt}
    return found


def add_tags(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the metadata to a page."""
    del pagename, templatename, doctree
    title = re.sub(r"<[^>]*>", "", context.get("title") or "Search")
    site, base = app.config.html_title, app.config.html_baseurl
    found = tags(title, site, context.get("body") or "", context.get("pageurl"), base)
    others = context.get("metatags", "").replace(VIEWPORT, "")
    context["metatags"] = others + "".join(
        f'\n    <meta {"property" if ":" in name else "name"}="{name}" content="{escape(text)}" />'
        for name, text in found.items()
    )


def set_address(app: Sphinx, config: Config) -> None:
    """Take the address of the book from the environment."""
    del app
    if address := os.environ.get("BOOK_URL"):
        config.html_baseurl = address.rstrip("/") + "/"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; the body is still as the writer left it."""
    app.connect("config-inited", set_address)
    app.connect("html-page-context", add_tags, priority=850)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
