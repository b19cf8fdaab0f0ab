"""Every page of the book in a browser: light and dark, wide and narrow, by keyboard and on paper.

How long this takes grows with the number of pages: most of it is axe, and most of that the contrast of the
text. So axe is asked for that once a theme, and the colours are watched while the window changes. What has
nothing to do with colours is the same in both themes, and looked at while the page is light, at every width.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import built_book
import harness
import notebook_rules
import pytest
import rules
from markdown_it import MarkdownIt
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from playwright.sync_api import Browser

ROOT = notebook_rules.ROOT
PAGES = [*built_book.listed_pages(ROOT), "search"]
WIDTHS = [1280, 768, 390]  # from wide to narrow
NARROWEST = 320
RESIZED = 500  # ms, until the theme has seen which boxes scroll now
AT_EVERY_WIDTH = [
    rules.outside_requests,
    rules.scrolls_sideways,
    rules.missing_images,
    rules.unset_formulas,
    rules.noise,
]
IN_USE = [
    rules.no_icon,
    rules.too_heavy,
    rules.muddled_headings,
    rules.moving,
    rules.illegible_figures,
    rules.no_way_past,
    rules.lost_focus,
    rules.unprintable,
    rules.noise,
]
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin).use(amsmath_plugin)


def found(visit: harness.Visit, checks: Iterable[Callable[[harness.Visit], list[str]]]) -> list[str]:
    return [problem for check in checks for problem in check(visit)]


class AtEveryWidth:
    theme: str
    where_wide: Callable[[harness.Visit], list[str]]

    @pytest.mark.parametrize("page", PAGES)
    def test_page_is_sound(self, browser: Browser, site: str, page: str) -> None:
        problems = {}
        with harness.visit(browser, f"{site}/{page}.html", theme=self.theme, width=WIDTHS[0]) as visit:
            for width in WIDTHS:
                visit.page.set_viewport_size({"width": width, "height": 900})
                narrow = width == WIDTHS[-1]
                if narrow:  # where what was folded away has least room
                    rules.open_folds(visit)
                visit.page.wait_for_timeout(RESIZED)
                axe = rules.inaccessible if narrow else self.where_wide
                problems[width] = found(visit, [axe, rules.faint_at_some_width, *AT_EVERY_WIDTH])
            visit.page.set_viewport_size({"width": NARROWEST, "height": 900})
            problems[NARROWEST] = found(visit, [rules.scrolls_sideways, rules.unset_formulas])
        assert {width: what for width, what in problems.items() if what} == {}


class TestLight(AtEveryWidth):
    theme = "light"
    where_wide = staticmethod(rules.inaccessible_but_for_text)


class TestDark(AtEveryWidth):
    theme = "dark"
    where_wide = staticmethod(rules.faint_around_the_text)  # the rest is the light page's, and has been seen


class InUse:
    theme: str

    @pytest.mark.parametrize("page", PAGES)
    def test_page_can_be_used(self, browser: Browser, site: str, page: str) -> None:
        with harness.visit(browser, f"{site}/{page}.html", theme=self.theme) as visit:
            # Nobody prints the page for searching, which is all controls.
            checks = [check for check in IN_USE if page != "search" or check is not rules.unprintable]
            assert found(visit, checks) == []


class TestUseInLight(InUse):
    theme = "light"

    def test_focus_can_be_seen_on_a_phone(self, browser: Browser, site: str) -> None:
        with harness.visit(browser, f"{site}/{PAGES[1]}.html", width=min(WIDTHS)) as visit:
            assert found(visit, [rules.no_way_past, rules.lost_focus]) == []


class TestUseInDark(InUse):
    theme = "dark"


def test_no_page_is_left_out(html: Path) -> None:
    built = {page.relative_to(html).with_suffix("").as_posix() for page in built_book.pages(html)}
    assert built == {*PAGES, "index"}


def test_front_door_leads_to_the_first_page(browser: Browser, site: str) -> None:
    with harness.visit(browser, f"{site}/") as visit:
        visit.page.wait_for_url(f"{site}/{PAGES[0]}.html")
        assert found(visit, [rules.outside_requests, rules.noise]) == []


# ------------------------------------------------------------------------------
# Formulas: as many in the page as in its source


def formulas(text: str) -> int:
    """Count the formulas of a text in MyST Markdown, those inside directives and roles too."""
    count = 0
    for token in MARKDOWN.parse(text):
        count += token.type in {"math_block", "math_block_label", "amsmath"}
        if token.type == "fence" and token.info.startswith("{math}"):
            count += 1
        elif token.type == "fence" and token.info.startswith("{") and "code" not in token.info:
            count += formulas(token.content)
        for child in token.children or []:
            count += child.type.startswith("math_inline")
    return count


def source_formulas(page: Path) -> int:
    """Count the formulas of a chapter: those of its text, and those of its captions."""
    count = 0
    for cell in notebook_rules.read_page(page).cells:
        if cell.cell_type == "markdown":
            count += formulas(re.sub(r"(?m)^(:{3,})(\{.*\})?.*$", "", cell.source))
        else:
            count += formulas(cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", ""))
    return count


def test_formulas_are_counted() -> None:
    blocks = [
        "$a$ and $$b$$",
        "$$\nc\n$$",
        "```{note}\n$d$, \\$3\n```",
        "| $e$ | `$no$` |\n|---|---|\n| $f$ | g |",
    ]
    text = "\n\n".join(blocks)
    assert formulas(text) == 6


@pytest.mark.parametrize("page", notebook_rules.pages(ROOT), ids=lambda page: page.stem)
def test_every_formula_of_the_source_is_on_the_page(browser: Browser, site: str, page: Path) -> None:
    address = f"{site}/{page.relative_to(ROOT).with_suffix('.html').as_posix()}"
    with harness.visit(browser, address) as visit:
        rules.open_folds(visit)
        assert rules.ask(visit.page, "formulas") == source_formulas(page)
