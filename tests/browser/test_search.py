"""The search of the book: by keyboard, over http and from a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import harness
import pytest
import rules

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page


@pytest.fixture(params=["http", "disk"])
def root(request: pytest.FixtureRequest, html: Path) -> str:
    """The address that the pages' own start with."""
    return request.getfixturevalue("site") if request.param == "http" else html.as_uri()


def search(page: Page, words: str) -> list[str]:
    """Ask for words as a reader does who has only a keyboard; return the addresses that are found."""
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input[type=search]").wait_for()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator("#search-results .search-summary").filter(has_text=".").wait_for()
    page.wait_for_load_state("networkidle")
    return page.evaluate("[...document.querySelectorAll('#search-results li a')].map(a => a.href)")


def test_search_leads_to_pages_that_are_there(browser: Browser, html: Path, root: str) -> None:
    with harness.visit(browser, f"{root}/chapters/index.html") as visit:
        results = search(visit.page, "shrinkage")
        files = {unquote(urlsplit(result).path).removeprefix(urlsplit(root).path) for result in results}
        assert "/chapters/16-shrinkage.html" in files
        assert [file for file in files if not (html / file.lstrip("/")).is_file()] == []
        assert rules.outside_requests(visit) + rules.noise(visit) == []


def test_search_finds_nothing_that_is_not_there(browser: Browser, root: str) -> None:
    with harness.visit(browser, f"{root}/chapters/index.html") as visit:
        assert search(visit.page, "xylophonist") == []
