"""What can be wrong with rendered pages, found in the pages themselves."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import notebook_rules
import yaml
from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:home|root|Users|tmp|work|private)/[\w.-]")
RAW_MYST = re.compile(r"(?m)\{[a-z][\w:+.-]*\}`|:::|```|^\([\w.:-]+\)=|\[\^[\w-]+\]|\$\$|\{\{")
# What a browser fetches without being asked; following a link to another site is the choice of the reader.
FETCHES = {
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "script": "src",
    "source": "src",
    "video": "src",
}
FETCHING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "dns-prefetch", "manifest"}


def pages(html: Path) -> list[Path]:
    """Return the rendered pages; what a library ships in `_static` is no page of ours."""
    return sorted(path for path in html.rglob("*.html") if "_static" not in path.relative_to(html).parts)


def listed_pages(root: Path) -> list[str]:
    """Return the pages of the table of contents, without suffix."""
    toc = root / "_toc.yml"
    entries = yaml.safe_load(toc.read_text(encoding="utf-8")) if toc.exists() else {}
    return [re.sub(r"\.(ipynb|md)$", "", entry) for entry in notebook_rules.toc_entries(entries)]


@lru_cache(maxsize=256)
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def _anchors(page: Path) -> set[str]:
    return {str(tag[key]) for tag in parsed(page).select("*") for key in ("id", "name") if tag.get(key)}


def _references(page: Path) -> Iterator[str]:
    for tag in parsed(page).select("*"):
        for key in ("href", "src"):
            if isinstance(tag.get(key), str):
                yield str(tag[key])


def broken_links(html: Path) -> list[str]:
    """Return every link or resource of a page that leads nowhere within the book."""
    anchors = {page.resolve(): _anchors(page) for page in pages(html)}
    problems = []
    for page in pages(html):
        problems += [
            f"{page.relative_to(html)}: {reference!r} {problem}"
            for reference in dict.fromkeys(_references(page))
            if (problem := _broken(reference, page, html, anchors))
        ]
    return problems


def _broken(reference: str, page: Path, html: Path, anchors: dict[Path, set[str]]) -> str | None:
    parts = urlsplit(reference)
    if parts.scheme or parts.netloc:
        return "leads to a file on the machine that built it" if parts.scheme == "file" else None
    if parts.path.startswith("/"):
        return "starts at the root of the site, which the book need not be"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or html.resolve() not in target.parents:
        return "leads to no file of the book"
    if parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]:
        return "leads to no anchor of that page"
    return None


def fetched_from_elsewhere(html: Path) -> list[str]:
    """Return what the pages fetch from another host as soon as they are opened."""
    problems = []
    for page in pages(html):
        for tag in parsed(page).find_all(list(FETCHES)):
            address = str(tag.get(FETCHES[tag.name], ""))
            optional = tag.name == "link" and not FETCHING_LINKS & set(tag.get("rel") or [])
            if urlsplit(address).netloc and not optional:
                problems.append(f"{page.relative_to(html)}: <{tag.name}> fetches {address}")
    return problems


def without_icon(html: Path) -> list[str]:
    """Return the pages that name no icon: browsers ask such a page's host for one that is not there."""
    return [
        f"{page.relative_to(html)}: names no icon"
        for page in pages(html)
        if not parsed(page).select_one('head link[rel~="icon"][href]')
    ]


def undescribed_images(html: Path) -> list[str]:
    """Return the images whose alternative text is missing or is a path."""
    problems = []
    for page in pages(html):
        for image in parsed(page).find_all("img"):
            alt = str(image.get("alt") or "").strip()
            if not alt or re.search(r"_images/|/|\.(png|svg|jpe?g|gif)$|[0-9a-f]{16}", alt):
                problems.append(
                    f"{page.relative_to(html)}: image {image.get('src')} has alternative text {alt!r}"
                )
    return problems


def machine_paths(html: Path) -> list[str]:
    """Return the files of the book that show where on a machine it was built."""
    texts = [*pages(html), *html.glob("*.js"), *(p for p in html.glob("_sources/**/*") if p.is_file())]
    return [
        f"{path.relative_to(html)}: shows the absolute path {found[0]}..."
        for path in texts
        if (found := MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="replace")))
    ]


def raw_markup(html: Path) -> list[str]:
    """Return markup that was meant to be rendered and stands in a page's visible text."""
    problems = []
    for page in pages(html):
        text = _visible_text(page)
        if found := RAW_MYST.search(text):
            around = text[max(0, found.start() - 20) : found.end() + 20]
            problems.append(f"{page.relative_to(html)}: shows raw markup: {around!r}")
    return problems


def _visible_text(page: Path) -> str:
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")  # ours to cut up
    article = soup.find("article") or soup.body
    if not isinstance(article, Tag):
        return ""
    for tag in article.select("pre, code, script, style, .math, .cell_output"):
        tag.decompose()
    return article.get_text()


def figures(page: Path) -> dict[str, tuple[str, str]]:
    """Return the figures of a page by id: the alternative text of the image, and the caption as text."""
    found = {}
    for figure in parsed(page).find_all("figure"):
        image, caption = figure.find("img"), figure.find(class_="caption-text")
        if image and figure.get("id"):
            found[str(figure["id"])] = (str(image.get("alt", "")), caption.get_text() if caption else "")
    return found
