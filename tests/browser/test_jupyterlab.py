"""The chapters in JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_chapter_opens(browser: Browser, lab: str) -> None:
    with harness.visit(browser, f"{lab}/lab/tree/01-grouped-data.ipynb") as visit:
        heading = visit.page.locator(".jp-Notebook h1").first
        heading.wait_for(timeout=60_000)
        assert heading.inner_text().startswith("1. ")
        assert visit.outside == []
