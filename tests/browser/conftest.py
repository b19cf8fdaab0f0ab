"""What the tests in a browser stand on: the browser, the book over http, and JupyterLab."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import harness
import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium or Chrome. Without one the tests are skipped, or fail where HB_REQUIRE_BROWSER=1.

    It ends with this folder's tests, not with the session: while Playwright runs, its event loop is the
    thread's, and whoever else needs one cannot start it.
    """
    with sync_playwright() as playwright:
        found = harness.launch(playwright)
        if found is None:
            (pytest.fail if os.environ.get("HB_REQUIRE_BROWSER") == "1" else pytest.skip)(harness.MISSING)
        yield found
        found.close()


@pytest.fixture(scope="package")
def site(html: Path) -> Iterator[str]:
    """The address of the rendered book."""
    with harness.serve(html) as address:
        yield address


@pytest.fixture
def bad_site(tmp_path: Path) -> Iterator[str]:
    """The address of a folder for pages that must be refused."""
    with harness.serve(tmp_path) as address:
        yield address


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of JupyterLab on a copy of the chapters; one opens at `{lab}/lab/tree/NAME.ipynb`."""
    scratch = tmp_path_factory.mktemp("jupyter")
    chapters = scratch / "book" / "chapters"
    shutil.copytree(request.config.rootpath / "chapters", chapters)
    shutil.copytree(request.config.rootpath / "data", scratch / "book" / "data")
    with harness.jupyterlab(chapters, scratch) as address:
        yield address
