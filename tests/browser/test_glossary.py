"""A term's meaning appears beside its link: by pointer, by keyboard and by touch (WCAG 2.2, 1.4.13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness
import pytest
import rules
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

PAGE = "chapters/01-grouped-data.html"
MEANING = "[role=tooltip]:visible"
LINK = "a.term:visible"  # some are in what is folded away
EACH_IN_TURN = """() => [...document.querySelectorAll("a.term")].filter(e => e.checkVisibility()).map(e => {
    const where = (e) => e.getBoundingClientRect().toJSON();
    e.scrollIntoView({ block: "nearest" });
    const before = where(e);
    e.focus({ focusVisible: true, preventScroll: true });
    const box = where(document.getElementById(e.getAttribute("aria-describedby")));
    return { name: e.textContent, before, link: where(e), box, wide: document.documentElement.scrollWidth };
})"""


@pytest.fixture
def page(browser: Browser, html: Path) -> Iterator[Page]:
    """A chapter opened from disk."""
    with harness.visit(browser, (html / PAGE).as_uri()) as visit:
        yield visit.page


def meaning(link: Locator) -> Locator:
    return link.page.locator(f"[id='{link.get_attribute('aria-describedby')}']")


def test_nothing_is_shown_unasked(page: Page) -> None:
    assert page.locator(LINK).count() > 5
    expect(page.locator(MEANING)).to_have_count(0)


def test_pointing_shows_it_and_leaving_hides_it(page: Page) -> None:
    first, second = page.locator(LINK).nth(0), page.locator(LINK).nth(1)
    first.hover()
    expect(meaning(first)).to_be_visible()
    second.hover()
    expect(meaning(second)).to_be_visible()
    expect(meaning(first)).to_be_hidden()
    page.mouse.move(1, 1)
    expect(page.locator(MEANING)).to_have_count(0)


def test_it_stays_while_the_pointer_is_on_it(page: Page) -> None:
    link = page.locator(LINK).first
    link.hover()
    meaning(link).hover()
    page.wait_for_timeout(600)  # longer than leaving takes
    expect(meaning(link)).to_be_visible()


def test_escape_hides_it_and_leaves_the_pointer_where_it_is(page: Page) -> None:
    link = page.locator(LINK).first
    link.hover()
    expect(meaning(link)).to_be_visible()
    page.keyboard.press("Escape")
    expect(meaning(link)).to_be_hidden()
    page.wait_for_timeout(600)
    expect(meaning(link)).to_be_hidden()


def test_keyboard_shows_it_and_follows_at_once(page: Page) -> None:
    link = page.locator(LINK).first
    link.evaluate("""e => {
        const all = [...document.querySelectorAll("article a[href]:not(.term)")];
        all.findLast((a) => a.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING).focus();
    }""")
    page.keyboard.press("Tab")
    expect(link).to_be_focused()
    expect(meaning(link)).to_be_visible()
    page.mouse.move(1, 1)
    page.wait_for_timeout(600)
    expect(meaning(link)).to_be_visible()  # the focus holds it
    page.keyboard.press("Escape")
    expect(meaning(link)).to_be_hidden()
    expect(link).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(meaning(link)).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#term-*")


def test_first_tap_shows_it_and_the_second_follows(browser: Browser, html: Path) -> None:
    with harness.visit(browser, (html / PAGE).as_uri(), width=390, has_touch=True) as visit:
        link = visit.page.locator(LINK).first
        link.tap()
        expect(meaning(link)).to_be_visible()
        visit.page.locator("h1").first.tap()
        expect(meaning(link)).to_be_hidden()
        link.tap()
        meaning(link).tap()
        expect(meaning(link)).to_be_visible()
        link.tap()
        visit.page.wait_for_url("**/glossary.html#term-*")


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_is_whole_near_its_link_and_moves_nothing(browser: Browser, html: Path, width: int) -> None:
    with harness.visit(browser, (html / PAGE).as_uri(), width=width) as visit:
        places = visit.page.evaluate(EACH_IN_TURN)
    assert len(places) > 5
    for place in places:
        link, box = place["link"], place["box"]
        assert link == place["before"], place["name"]
        assert place["wide"] <= width, place["name"]
        assert box["left"] >= 0, place["name"]
        assert box["right"] <= width, place["name"]
        assert box["top"] >= 0, place["name"]
        assert box["bottom"] <= 900, place["name"]
        assert 0 <= max(box["top"] - link["bottom"], link["top"] - box["bottom"]) <= 8, place["name"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(browser: Browser, site: str, theme: str) -> None:
    with harness.visit(browser, f"{site}/{PAGE}", theme=theme) as visit:
        link = visit.page.locator("a.term[href$='#term-between-group-sd']")  # has formulas
        link.hover()
        expect(meaning(link).locator("math").first).to_be_visible()
        assert rules.inaccessible(visit) == []


def test_paper_shows_none(page: Page) -> None:
    link = page.locator(LINK).first
    link.hover()
    expect(meaning(link)).to_be_visible()
    page.emulate_media(media="print")
    expect(meaning(link)).to_be_hidden()


def test_without_scripts_the_link_leads_to_the_entry(browser: Browser, html: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto((html / PAGE).as_uri())
        expect(page.locator(MEANING)).to_have_count(0)
        page.locator(LINK).first.click()
        expect(page.locator("dt:target")).to_be_visible()
    finally:
        context.close()
