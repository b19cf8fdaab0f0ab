"""Pages load what they use, from files of the book, and say what they are to those who link to them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import built_book
import light_pages
import link_previews
import pytest
from bs4 import BeautifulSoup
from sphinx.builders.html._assets import _JavaScript

import hbutils as hb

LIMIT = 450_000  # bytes of a page with all its sheets, scripts and fonts; figures apart


@pytest.fixture
def small_book(tmp_path: Path) -> Path:
    """A page that loads a sheet, which names a picture; and two files that only know each other."""
    (tmp_path / "_static").mkdir()
    (tmp_path / "index.html").write_text('<link href="_static/a.css">')
    (tmp_path / "_static/a.css").write_text("a { background: url(b.svg) }")
    (tmp_path / "_static/b.svg").write_text("<svg/>")
    (tmp_path / "_static/one.js").write_text("load('two.js')")
    (tmp_path / "_static/two.js").write_text("load('one.js')")
    return tmp_path


def test_files_that_no_page_leads_to_are_found(small_book: Path) -> None:
    assert {path.name for path in light_pages.unreached(small_book)} == {"one.js", "two.js"}


def test_file_that_a_page_names_is_reached(small_book: Path) -> None:
    (small_book / "page.html").write_text('<script src="_static/two.js"></script>')
    assert light_pages.unreached(small_book) == set()


def test_template_in_the_static_folder_is_no_page(small_book: Path) -> None:
    (small_book / "_static/macros.html").write_text('<script src="_static/two.js"></script>')
    assert small_book / "_static/macros.html" in light_pages.unreached(small_book)


@pytest.mark.parametrize("name", ["togglebutton.js", "sphinx-thebe.js", "scripts/sphinx-book-theme.js"])
def test_scripts_of_widgets_stay_out(name: str) -> None:
    assert not light_pages.is_used(_JavaScript(f"_static/{name}", priority=500))


@pytest.mark.parametrize("body", ["const THEBE_JS_URL = 1", "let toggleHintShow = 'Click'"])
def test_lines_of_widgets_stay_out(body: str) -> None:
    assert not light_pages.is_used(_JavaScript(None, priority=500, body=body))


@pytest.mark.parametrize("name", ["copybutton.js", "book.js", "dial.js", "doctools.js"])
def test_scripts_that_are_used_stay(name: str) -> None:
    assert light_pages.is_used(_JavaScript(f"_static/{name}", priority=500))


def test_pages_have_the_colours_of_the_figures() -> None:
    light, dark, paper = re.findall(r"\{([^{}]*)\}", light_pages.palette_css())
    for rule, palette in ((light, hb.PALETTE), (dark, hb.style.DARK_PALETTE), (paper, hb.PALETTE)):
        assert dict(re.findall(r"--hb-(\w+):(#\w{6});", rule)) == palette


# ------------------------------------------------------------------------------
# What others are told of a page

PARAGRAPH = "<section><h1>T</h1><p>{}</p></section>"


def test_description_is_the_first_paragraph() -> None:
    body = PARAGRAPH.format("Nearly <em>all</em>\n got &lt; slower.") + "<p>More.</p>"
    assert link_previews.tags("T", "Book", body, None, "")["description"] == "Nearly all got < slower."


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("One. " * 50, ("One. " * 40).strip()),
        ("word " * 60, "word " * 38 + "word…"),
        ("x" * 200, "x" * 200),
    ],
)
def test_long_description_ends_with_a_sentence_or_a_word(text: str, short: str) -> None:
    assert len(short) <= link_previews.LENGTH
    assert link_previews.shorten(text) == short


def test_without_an_address_no_address_is_made_up() -> None:
    found = link_previews.tags("T", "Book", PARAGRAPH.format("A."), None, "")
    assert not {"og:url", "og:image"} & found.keys()


@pytest.mark.parametrize(
    ("figure", "image", "alt"),
    [
        ('<figure><img src="../_images/f.png" alt="Dots."/></figure>', "f.png", "Dots."),
        ("", "cover.png", link_previews.COVER[1]),
    ],
)
def test_picture_is_the_first_figure_or_the_cover(figure: str, image: str, alt: str) -> None:
    body = PARAGRAPH.format("A.") + figure
    found = link_previews.tags("T", "Book", body, "https://b.org/chapters/t.html", "https://b.org/")
    assert found["og:url"] == "https://b.org/chapters/t.html"
    assert (found["og:image"], found["og:image:alt"]) == (f"https://b.org/_images/{image}", alt)


# ------------------------------------------------------------------------------
# The pages


def loaded(page: Path, html: Path) -> set[Path]:
    """The files that a page loads: sheets, scripts, and what the sheets name."""
    parsed = built_book.parsed(page)
    addresses = [str(tag["href"]) for tag in parsed.select("link[rel=stylesheet], link[rel=icon]")]
    addresses += [str(tag["src"]) for tag in parsed.select("script[src]")]
    files = {(page.parent / urlsplit(address).path).resolve() for address in addresses}
    for sheet in [file for file in files if file.suffix == ".css"]:
        urls = re.findall(r"url\(['\"]?(?!data:|#)([^)'\"]+)", sheet.read_text(encoding="utf-8"))
        files |= {(sheet.parent / urldefrag(urlsplit(url).path)[0]).resolve() for url in urls}
    assert all(html in file.parents for file in files)
    return files


def test_code_is_marked_where_it_is_coloured(html: Path) -> None:
    page = built_book.parsed(html / "chapters/05-partial-pooling.html")
    code = page.select("div.cell_input div.highlight")
    assert any("hb.exact_posterior(" in block.get_text() for block in code)
    marks = {name for block in code for span in block.select("span[class]") for name in span["class"]}
    assert marks >= {"kn", "k", "mi", "s2", "o"}
    assert not marks & {"n", "p", "w"}


def test_pages_are_light(html: Path) -> None:
    pages = [page for page in built_book.pages(html) if page.parent.name == "chapters"]
    weights = {page.name: sum(f.stat().st_size for f in {page, *loaded(page, html)}) for page in pages}
    assert {name: weight for name, weight in weights.items() if weight > LIMIT} == {}


def test_every_static_file_is_named_by_another(html: Path) -> None:
    files = [path for path in html.rglob("*") if path.suffix in {".html", ".css", ".js"}]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.name != "searchindex.js"}
    static = [path for path in (html / "_static").rglob("*") if path.is_file()]
    assert static
    orphans = [
        path.name
        for path in static
        if not any(path.name in text for other, text in texts.items() if other != path)
    ]
    assert orphans == []


def test_search_is_loaded_where_one_searches(html: Path) -> None:
    with_index = {
        page.name for page in built_book.pages(html) if "searchindex.js" in page.read_text(encoding="utf-8")
    }
    assert with_index == {"search.html"}


def test_titles_and_descriptions_tell_pages_apart(html: Path) -> None:
    pages = [built_book.parsed(page) for page in built_book.pages(html) if page.name != "index.html"]
    titles = [page.title.get_text() for page in pages]
    assert all(title.endswith(" — Hierarchical Bayes by example") for title in titles)
    words = [page.select_one("meta[name=description]")["content"] for page in pages]
    assert len(set(titles)) == len(set(words)) == len(pages)
    assert all(20 < len(text) <= 200 for text in words)
    assert all(len(page.select("meta[name=viewport]")) == 1 for page in pages)


def test_front_door_opens_the_cover(html: Path) -> None:
    door = BeautifulSoup((html / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert (door.html["lang"], door.title.get_text()) == ("en", "Hierarchical Bayes by example")
    refresh = door.select_one("meta[http-equiv=refresh]")["content"]
    assert refresh.startswith("0; url=")  # at once: nobody is interrupted while reading
    assert (html / refresh.removeprefix("0; url=")).is_file()
