"""Every page as a file from a disk: the whole book may be copied and read without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import built_book
import harness
import notebook_rules
import pytest
import rules

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

PAGES = [*built_book.listed_pages(notebook_rules.ROOT), "index", "search"]


@pytest.mark.parametrize("page", PAGES)
def test_page_from_disk_is_sound(browser: Browser, html: Path, page: str) -> None:
    with harness.visit(browser, (html / f"{page}.html").as_uri()) as visit:
        checks = [rules.missing_images, rules.unset_formulas, rules.outside_requests, rules.noise]
        assert [problem for check in checks for problem in check(visit)] == []
