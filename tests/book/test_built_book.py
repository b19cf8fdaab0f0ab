"""The rendered book: every page is there, with its figures; nothing leads nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import built_book
import notebook_rules as rules
import pytest

ROOT = rules.ROOT
CHECKS = [
    built_book.broken_links,
    built_book.fetched_from_elsewhere,
    built_book.machine_paths,
    built_book.raw_markup,
    built_book.undescribed_images,
    built_book.without_icon,
]


def figure_cells(notebook: Path) -> dict[str, tuple[str, str]]:
    """Return the figures a notebook promises by name: alternative text and caption."""
    promised = {}
    for cell in rules.read_page(notebook).cells:
        if cell.cell_type == "code" and any("image/png" in o.get("data", {}) for o in cell.outputs):
            mystnb = cell.metadata["mystnb"]
            promised[mystnb["figure"]["name"]] = (mystnb["image"]["alt"], mystnb["figure"]["caption"])
    return promised


def words(text: str) -> list[str]:
    """Return the words of a caption that look the same before and after rendering."""
    plain = re.sub(r"\$[^$]*\$|\\\(.*?\\\)|\{[\w:-]+\}`[^`]*`|\]\([^)]*\)", " ", text)
    return re.findall(r"[A-Za-z]{3,}", plain)


def test_table_of_contents_has_pages() -> None:
    assert len(built_book.listed_pages(ROOT)) > 1, "_toc.yml lists no pages"


def test_pages_are_those_of_the_table_of_contents(html: Path) -> None:
    built = {page.relative_to(html).with_suffix("").as_posix() for page in built_book.pages(html)}
    listed = set(built_book.listed_pages(ROOT))
    made_by_sphinx = {"genindex", "index", "search", "py-modindex"}
    assert listed - built == set(), "missing"
    assert built - listed - made_by_sphinx == set(), (
        "published but not in _toc.yml; if left over, run make clean"
    )


def test_sources_are_those_of_the_table_of_contents(html: Path) -> None:
    folder = html / "_sources"
    sources = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {re.sub(r"\.(ipynb|md)$", "", source) for source in sources} == set(built_book.listed_pages(ROOT))


@pytest.mark.parametrize("path", rules.chapters(ROOT), ids=lambda path: path.stem)
def test_figures_of_a_chapter_are_on_its_page(html: Path, path: Path) -> None:
    promised = figure_cells(path)
    shown = built_book.figures((html / path.relative_to(ROOT)).with_suffix(".html"))
    assert promised.keys() <= shown.keys()
    for name, (alt, caption) in promised.items():
        assert shown[name][0] == alt
        assert set(words(caption)) <= set(words(shown[name][1])), name


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_book_is_sound(html: Path, check: object) -> None:
    assert callable(check)
    assert check(html) == []


# ------------------------------------------------------------------------------
# Each check, proved on a page it must refuse

ICON = '<link rel="icon" href="data:,">'
GOOD_PAGE = f"""<html><head>{ICON}<link rel="stylesheet" href="_static/a.css"><link rel="canonical" href="https://x.org/"></head>
<body><article><h1 id="top">Title</h1><p>Text <a href="chapters/b.html#here">there</a>, <a href="#top">up</a>,
<a href="https://example.org/none">out</a>; <code>{{term}}`x`</code> is code.</p>
<img src="_images/a.png" alt="Points on a line."></article></body></html>"""
OTHER_PAGE = f'<html><head>{ICON}</head><body><p id="here"><a href="../index.html">back</a></p></body></html>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Two pages with nothing wrong."""
    for folder in ("_static", "_images", "chapters", "_sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_static/a.css").write_text("")
    (tmp_path / "_images/a.png").write_text("")
    (tmp_path / "_sources/index.md").write_text("# Title")
    (tmp_path / "index.html").write_text(GOOD_PAGE)
    (tmp_path / "chapters/b.html").write_text(OTHER_PAGE)
    return tmp_path


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_pages_pass(site: Path, check: object) -> None:
    assert callable(check)
    assert check(site) == []


@pytest.mark.parametrize(
    ("check", "old", "new"),
    [
        (built_book.broken_links, "chapters/b.html#here", "chapters/c.html"),
        (built_book.broken_links, "chapters/b.html#here", "chapters/b.html#gone"),
        (built_book.broken_links, "#top", "#bottom"),
        (built_book.broken_links, "_images/a.png", "_images/b.png"),
        (built_book.broken_links, "_static/a.css", "/_static/a.css"),
        (built_book.broken_links, "https://example.org/none", "file:///etc/hosts"),
        (built_book.broken_links, "chapters/b.html#here", "../outside.html"),
        (built_book.fetched_from_elsewhere, "_static/a.css", "https://cdn.example.org/a.css"),
        (built_book.fetched_from_elsewhere, "_images/a.png", "//cdn.example.org/a.png"),
        (built_book.fetched_from_elsewhere, "</body>", '<script src="https://cdn.org/m.js"></script></body>'),
        (built_book.machine_paths, "Text", "Text /home/ann/book/x.csv"),
        (built_book.machine_paths, "Text", '<a title="/root/x">Text</a>'),
        (built_book.raw_markup, "Text", "Text {term}`pooling`"),
        (built_book.raw_markup, "Text", "Text\n:::{note}"),
        (built_book.raw_markup, "Text", "Text\n(a-target)=\n"),
        (built_book.raw_markup, "Text", "Text $$x^2$$"),
        (built_book.raw_markup, "Text", "Text [^note]"),
        (built_book.undescribed_images, ' alt="Points on a line."', ""),
        (built_book.undescribed_images, "Points on a line.", ""),
        (built_book.undescribed_images, "Points on a line.", "../_images/" + "0a1b" * 16 + ".png"),
        (built_book.without_icon, ICON, ""),
    ],
)
def test_bad_page_is_refused(site: Path, check: object, old: str, new: str) -> None:
    assert callable(check)
    assert old in GOOD_PAGE
    (site / "index.html").write_text(GOOD_PAGE.replace(old, new, 1))
    problems = check(site)
    assert len(problems) == 1
    assert problems[0].startswith("index.html: ")


def test_machine_path_in_a_source_is_refused(site: Path) -> None:
    (site / "_sources/index.md").write_text("Saved in /Users/ann/book.")
    assert built_book.machine_paths(site) == ["_sources/index.md: shows the absolute path /Users/a..."]


def test_every_check_is_proved_on_a_bad_page() -> None:
    (marker,) = [mark for mark in test_bad_page_is_refused.pytestmark if mark.name == "parametrize"]
    assert {check for check, _, _ in marker.args[1]} == set(CHECKS)


def test_figure_is_found_with_its_alternative_text_and_caption(site: Path) -> None:
    caption = '<span class="caption-number">1</span><span class="caption-text">Look at <em>this</em>.</span>'
    figure = f'<figure id="fig-a"><img alt="Points." src="a.png"><figcaption>{caption}</figcaption></figure>'
    (site / "index.html").write_text(GOOD_PAGE.replace("Text", figure))
    assert built_book.figures(site / "index.html") == {"fig-a": ("Points.", "Look at this.")}
