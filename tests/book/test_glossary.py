"""The glossary: its entries are short and in order, links lead to them, and pages carry their meanings."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import built_book
import notebook_rules as rules
import pytest
from bs4 import BeautifulSoup, Tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GLOSSARY = "chapters/glossary"
ENTRY = re.compile(r"(?m)^(\S.*)\n: (.*(?:\n  .*)*)$")
LINK = re.compile(r"\]\(glossary\.md#(term-[^)]*)\)")
LONGEST = 330  # characters: five or six lines beside a link


def linked(path: Path) -> list[str]:
    """The entries that a source links to."""
    cells = rules.read_page(path).cells
    return [term for cell in cells if cell.cell_type == "markdown" for term in LINK.findall(cell.source)]


def anchors(html: Path) -> dict[str, str]:
    """The entries as the glossary's page has them: term and meaning, without where they are first needed."""
    page = built_book.parsed(html / f"{GLOSSARY}.html")
    found = {}
    for term in page.select("dt[id^=term-]"):
        meaning = term.find_next_sibling("dd")
        assert isinstance(meaning, Tag)
        text = re.sub(r"\s+First in [^.]*\.\s*$", "", meaning.get_text())
        found[str(term["id"])] = squeezed(f"{term.get_text()} {text}")
    return found


def squeezed(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------------------
# What is written


ENTRIES = ENTRY.findall((rules.ROOT / f"{GLOSSARY}.md").read_text(encoding="utf-8"))


def test_there_are_entries_in_alphabetical_order() -> None:
    terms = [term.casefold() for term, _ in ENTRIES]
    assert len(terms) > 40
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("meaning", dict(ENTRIES).values(), ids=dict(ENTRIES))
def test_meaning_is_short_and_whole_sentences(meaning: str) -> None:
    assert 20 < len(squeezed(meaning)) <= LONGEST
    assert meaning.endswith(".")
    assert meaning[0].isupper()


@pytest.mark.parametrize(
    "path", [p for p in rules.pages(rules.ROOT) if p.stem != "glossary"], ids=lambda path: path.stem
)
def test_links_are_few_and_in_no_heading(path: Path) -> None:
    terms = linked(path)
    assert {term for term in terms if terms.count(term) > 2} == set()
    cells = [cell for cell in rules.read_page(path).cells if cell.cell_type == "markdown"]
    headings = [line for cell in cells for line in cell.source.splitlines() if line.startswith("#")]
    assert [line for line in headings if LINK.search(line)] == []


def test_every_chapter_has_links() -> None:
    assert [path.stem for path in rules.chapters(rules.ROOT) if not linked(path)] == []


def test_every_entry_is_needed(html: Path) -> None:
    used = {term for path in rules.pages(rules.ROOT) for term in linked(path)}
    assert used - anchors(html).keys() == set(), "linked to, but not in the glossary"
    assert anchors(html).keys() - used == set(), "in the glossary, and linked from nowhere"


# ------------------------------------------------------------------------------
# What is rendered


def links(page: BeautifulSoup) -> list[Tag]:
    return [link for link in page.select("a[href*='glossary.html#term-']") if "First in" not in link.text]


def missing_meanings(html: Path) -> list[str]:
    """Links to a term whose meaning is not on the page, or is not what the glossary says."""
    meanings, problems = anchors(html), []
    for path in built_book.pages(html):
        page = built_book.parsed(path)
        for link in links(page):
            term = str(link["href"]).partition("#")[2]
            boxes = page.select(f"[id='{link.get('aria-describedby', '')}']")
            if len(boxes) != 1:
                problems.append(f"{path.stem}: {len(boxes)} meanings of {term}")
            elif not boxes[0].has_attr("hidden") or boxes[0].get("role") != "tooltip":
                problems.append(f"{path.stem}: the meaning of {term} is no hidden tooltip")
            elif squeezed(boxes[0].get_text()) != meanings.get(term):
                problems.append(f"{path.stem}: the meaning of {term} is not the glossary's")
    return problems


def needless_parts(html: Path) -> list[str]:
    """Meanings that no link of their page asks for, links inside meanings, scripts and styles without use."""
    problems = []
    for path in built_book.pages(html):
        page = built_book.parsed(path)
        asked = {str(link.get("aria-describedby")) for link in links(page)}
        boxes = page.select("[role=tooltip]")
        problems += [f"{path.stem}: nobody asks for {box['id']}" for box in boxes if box["id"] not in asked]
        problems += [f"{path.stem}: a link inside {box['id']}" for box in boxes if box.find("a")]
        loaded = len(page.select("script[src*='glossary.js']"))
        if loaded != bool(asked):
            problems.append(f"{path.stem}: loads the script {loaded} times for {len(asked)} terms")
    return problems


def misplaced_firsts(html: Path) -> list[str]:
    """Entries whose *First in* does not lead to the section with the first link to them."""
    page = built_book.parsed(html / f"{GLOSSARY}.html")
    problems = []
    for term in page.select("dt[id^=term-]"):
        meaning = term.find_next_sibling("dd")
        target = meaning.select("a")[-1] if "First in" in meaning.text else None
        using = [p for p in built_book.pages(html) if term_links(p, str(term["id"]))]
        expected = None
        if using:
            section = term_links(using[0], str(term["id"]))[0].find_parent("section")
            expected = f"{using[0].name}#{section['id']}"
        if (target and target["href"].rpartition("/")[2]) != expected:
            problems.append(f"{term['id']}: leads to {target and target['href']}, not {expected}")
    return problems


def term_links(path: Path, term: str) -> list[Tag]:
    return built_book.parsed(path).select(f"a[href$='glossary.html#{term}']")


CHECKS = [missing_meanings, needless_parts, misplaced_firsts]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_book_has_the_meanings(html: Path, check: Callable[[Path], list[str]]) -> None:
    assert check(html) == []


# ------------------------------------------------------------------------------
# Each check, proved on a small book

SOURCES = {
    "index.md": "# Front\n\n```{toctree}\nchapters/01-one\nchapters/02-two\nchapters/glossary\n```\n",
    "chapters/01-one.md": "# 1. One\n\n## Why\n\nA [shrunk](glossary.md#term-shrinkage) mean.\n",
    "chapters/02-two.md": "# 2. Two\n\n[Pull](glossary.md#term-shrinkage), [it](glossary.md#term-r-hat).\n",
    "chapters/glossary.md": (
        "# Glossary\n\nR-hat\n: Compares [chains](01-one.md), at best $1$.\n\n"
        "shrinkage (or pull)\n: A pull towards\n  the rest.\n"
    ),
}
CONF = """import sys
sys.path.insert(0, {site!r})
extensions = ["myst_parser", "glossary"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
html_theme = "basic"
"""


def build(folder: Path, **changed: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Build the small book, with one replacement in each page that is named."""
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    (source / "chapters").mkdir(parents=True)
    (source / "conf.py").write_text(CONF.format(site=str(rules.ROOT / "site")), encoding="utf-8")
    for name, text in SOURCES.items():
        old, new = changed.get(re.sub(r"\W|\d", "", name.removeprefix("chapters")[:-3]), ("", ""))
        assert old in text
        (source / name).write_text(text.replace(old, new) if old else text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-n",
        "-W",
        "--keep-going",
        str(source),
        str(folder / "html"),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture
def small(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "html")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_book_passes(small: Path, check: Callable[[Path], list[str]]) -> None:
    assert anchors(small) == {
        "term-r-hat": "R-hat Compares chains, at best \\(1\\).",
        "term-shrinkage": "shrinkage (or pull) A pull towards the rest.",
    }
    assert check(small) == []


def test_entries_say_where_they_are_needed_first(small: Path) -> None:
    entry = built_book.parsed(small / f"{GLOSSARY}.html").select_one("#term-shrinkage + dd")
    assert entry
    assert squeezed(entry.get_text()).endswith("First in chapter 1.")
    assert entry.select_one("a[href='01-one.html#why']")


@pytest.mark.parametrize(
    ("page", "old", "new", "said"),
    [
        ("one", "#term-shrinkage", "#term-shrinkag", "term-shrinkag"),
        ("two", "#term-r-hat", "#term-R-hat", "term-R-hat"),
        ("glossary", "shrinkage (or pull)", "R-hat", "duplicate term description of R-hat"),
    ],
)
def test_build_warns(tmp_path: Path, page: str, old: str, new: str, said: str) -> None:
    done = build(tmp_path, **{page: (old, new)})
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize(
    ("check", "page", "old", "new"),
    [
        (missing_meanings, "01-one", ' aria-describedby="about-term-shrinkage"', ""),
        (missing_meanings, "01-one", 'id="about-term-shrinkage"', 'id="about-term-shrink"'),
        (missing_meanings, "01-one", "hidden>", ">"),
        (missing_meanings, "01-one", 'role="tooltip"', 'role="note"'),
        (missing_meanings, "01-one", "A pull towards", "A push towards"),
        (missing_meanings, "glossary", "A pull towards", "A push towards"),
        (needless_parts, "01-one", 'aria-describedby="about-term-shrinkage"', 'aria-describedby="else"'),
        (needless_parts, "02-two", "chains", "<a href='01-one.html'>chains</a>"),
        (needless_parts, "01-one", "glossary.js", "glos.js"),
        (needless_parts, "glossary", "</head>", '<script src="_static/glossary.js"></script></head>'),
        (misplaced_firsts, "glossary", "01-one.html#why", "01-one.html#one"),
        (misplaced_firsts, "01-one", "glossary.html#term-shrinkage", "glossary.html#term-other"),
    ],
)
def test_bad_book_is_refused(
    small: Path, check: Callable[[Path], list[str]], page: str, old: str, new: str
) -> None:
    path = small / f"chapters/{page}.html"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert check(small) != []


def test_script_and_style_are_small() -> None:
    static = rules.ROOT / "site" / "static"
    assert (static / "glossary.js").stat().st_size <= 2048
    assert (static / "glossary.css").stat().st_size <= 1024
