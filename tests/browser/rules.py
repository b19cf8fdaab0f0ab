"""What must hold for a page that is open in a browser.

Each rule is a function of a visit that returns its problems. They look at what the browser made of the page:
what is painted, where, and what can be reached. `tests/book` looks at what is written in it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_playwright_python
from PIL import Image

if TYPE_CHECKING:
    from harness import Visit
    from playwright.sync_api import Page

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
AXE_OPTIONS = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "rules": {"label-content-name-mismatch": {"enabled": True}, "target-size": {"enabled": True}},
    "resultTypes": ["violations"],
    "preload": False,  # it would fetch the style sheets again, which a page from disk may not
}
CONTRAST = "color-contrast"
IN_PAGE = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
MOST_BYTES = 600_000  # a stock page of the same chapters has 3.8 million: see benchmarks/pages.md
TEXT_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
GRAPHICS_CONTRAST = 3.0  # 1.4.11
LEAST_INK = 0.0005  # of a figure's area; axes and their labels alone have more

Colour = tuple[int, ...]


def ask(page: Page, name: str) -> Any:
    """Call one of the functions of rules.js in a page."""
    return page.evaluate(f"({IN_PAGE})().{name}()")


# ------------------------------------------------------------------------------
# What a page does when it is opened


def noise(visit: Visit) -> list[str]:
    """Warnings and errors of the console, and requests that failed."""
    return [*visit.complaints, *(f"request failed: {what}" for what in visit.failed)]


def outside_requests(visit: Visit) -> list[str]:
    """Requests to any other host."""
    return [f"asked another host: {address}" for address in visit.outside]


def no_icon(visit: Visit) -> list[str]:
    """Without an icon of its own, a page asks for one at the root of the site, where the book need not be."""
    return [] if visit.page.locator("link[rel~=icon]").count() else ["the page names no icon"]


def too_heavy(visit: Visit) -> list[str]:
    """What a page transfers besides its own figures, uncompressed, is kept in bounds."""
    own = (answer for answer in visit.answers if "/_images/" not in answer.url)
    weight = sum(len(answer.body()) for answer in own)
    return [f"weighs {weight:,} bytes, more than {MOST_BYTES:,}"] if weight > MOST_BYTES else []


# ------------------------------------------------------------------------------
# What it looks like


def inaccessible(visit: Visit) -> list[str]:
    """What axe finds."""
    return _axe(visit, "document", AXE_OPTIONS)


def inaccessible_but_for_text(visit: Visit) -> list[str]:
    """What axe finds, the contrast of the text left out: most of its time, and the same at every width.

    For a page whose text `inaccessible` has looked at, or will, at another width: see
    `faint_at_some_width`.
    """
    rules = AXE_OPTIONS["rules"] | {CONTRAST: {"enabled": False}}
    return [*_axe(visit, "document", AXE_OPTIONS | {"rules": rules}), *faint_around_the_text(visit)]


def faint_around_the_text(visit: Visit) -> list[str]:
    """Too little contrast in what stands around the text, which is another thing at another width."""
    contrast_only = AXE_OPTIONS | {"runOnly": {"type": "rule", "values": [CONTRAST]}, "rules": {}}
    return _axe(visit, "{exclude: [['article']]}", contrast_only)


def _axe(visit: Visit, where: str, options: dict[str, Any]) -> list[str]:
    if not visit.page.evaluate("'axe' in window"):
        visit.page.evaluate(AXE)
    result = visit.page.evaluate(f"options => axe.run({where}, options)", options)
    return [
        f"axe {violation['id']}: {node['html'][:120]}"
        for violation in result["violations"]
        for node in violation["nodes"]
    ]


def faint_at_some_width(visit: Visit) -> list[str]:
    """Text that has had other colours since the last call, if either are too close; nothing at the first.

    With one look of `inaccessible` at one width, this vouches for the contrast of the text at all widths.
    """
    return [
        f"{pair['colour'][:3]} on {pair['ground']}: {pair['name']}"
        for pair in ask(visit.page, "changedColours")
        if contrast(pair["colour"], pair["ground"]) < TEXT_CONTRAST
    ]


def scrolls_sideways(visit: Visit) -> list[str]:
    """Whether the page as a whole is wider than the window, and what makes it so."""
    return ask(visit.page, "scrollsSideways")


def missing_images(visit: Visit) -> list[str]:
    """Images that do not load, or load as nothing; those that wait to be scrolled to are asked for."""
    return ask(visit.page, "missingImages")


def muddled_headings(visit: Visit) -> list[str]:
    """One heading of the first level, and none that skips a level."""
    levels = ask(visit.page, "headings")
    problems = [] if levels.count(1) == 1 else [f"{levels.count(1)} headings of level 1"]
    skips = [(a, b) for a, b in zip([0, *levels], levels, strict=False) if b > a + 1]
    return [*problems, *(f"a heading of level {b} follows one of level {a}" for a, b in skips)]


def unset_formulas(visit: Visit) -> list[str]:
    """Formulas that are nothing to see, stick out, run into what follows, or stand there as TeX."""
    return ask(visit.page, "unsetFormulas")


def moving(visit: Visit) -> list[str]:
    """What still moves, or changes slowly, for a reader who has asked for stillness."""
    return ask(visit.page, "moving")


def illegible_figures(visit: Visit) -> list[str]:
    """Figures whose paper is not the page's ground, or that have hardly any ink that stands out from it."""
    problems = []
    for figure in visit.page.locator("article img:visible").all():
        name = str(figure.get_attribute("src")).rsplit("/", 1)[-1]
        ground = tuple(figure.evaluate(f"e => ({IN_PAGE})().ground(e.parentElement)"))
        picture = Image.open(io.BytesIO(figure.screenshot(animations="disabled"))).convert("RGB")
        problems += [f"figure {name} {what}" for what in illegible(picture, ground)]
    return problems


def illegible(picture: Image.Image, ground: Colour) -> list[str]:
    """What is wrong with a picture on a ground."""
    area = picture.width * picture.height
    colours = sorted(picture.getcolors(area) or [], reverse=True)  # most of it first
    paper = colours[0][1]
    if contrast(paper, ground) > 1.15:
        return [f"has the paper {paper}, the page {ground}"]
    strong = sum(count for count, ink in colours if contrast(ink, ground) >= TEXT_CONTRAST)
    return [] if strong >= LEAST_INK * area else [f"has too little ink that stands out from {ground}"]


def luminance(colour: Colour) -> float:
    """Return the relative luminance of an sRGB colour, as WCAG defines it."""
    parts = (part / 255 for part in colour[:3])
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


# ------------------------------------------------------------------------------
# How it is used


def open_folds(visit: Visit) -> int:
    """Open all that is folded away; return how much that was."""
    return visit.page.evaluate(
        """() => {
            const folds = [...document.querySelectorAll('details:not([open])')];
            folds.forEach(fold => { fold.open = true; });
            const buttons = [...document.querySelectorAll('.toggle-hidden .toggle-button')];
            buttons.forEach(button => button.click());
            return folds.length + buttons.length;
        }"""
    )


def lost_focus(visit: Visit) -> list[str]:
    """Stops of the Tab key that are out of sight, covered, or do not show that they have the focus."""
    ask(visit.page, "rememberLooks")
    problems: list[str] = []
    stops = 0
    visit.page.keyboard.press("Tab")
    while stop := ask(visit.page, "stop"):
        stops += 1
        faint = stop["outline"] and contrast(stop["outline"], stop["ground"]) < GRAPHICS_CONTRAST
        wrong = {
            "is out of sight": not stop["inSight"],
            "leaves no mark": not stop["marked"],
            f"leaves a faint mark, {stop['outline']} on {stop['ground']}": faint,
        }
        problems += [f"the focus {what}: {stop['name']}" for what, found in wrong.items() if found]
        visit.page.keyboard.press("Tab")
    return problems if stops else ["the Tab key reaches nothing"]


def no_way_past(visit: Visit) -> list[str]:
    """Whether the first stop of the Tab key is a link past the navigation, to the text itself."""
    page = visit.page
    ask(page, "startAtTheTop")
    page.keyboard.press("Tab")
    if not page.evaluate("document.activeElement.matches('a[href^=\"#\"]')"):
        return ["the first stop of the Tab key is no link within the page"]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    if not page.evaluate("!!document.activeElement.closest('main')"):
        return ["the first link does not lead to the text"]
    return []


def unprintable(visit: Visit) -> list[str]:
    """Controls that would be printed, and ink or paper that no printer should be asked for."""
    visit.page.emulate_media(media="print")
    # A picture of its own for paper takes a moment to come, on a busy machine more than one
    visit.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")
    missing_images(visit)
    shown = ask(visit.page, "shownOnPaper")
    problems = [f"printed: {control}" for control in shown["controls"]]
    if shown["ground"] != [255, 255, 255]:
        problems.append(f"printed on {shown['ground']}")
    problems += [
        f"printed faintly: {ink['name']}"
        for ink in shown["inks"]
        if contrast(ink["colour"], ink["ground"]) < TEXT_CONTRAST
    ]
    problems += [f"printed: {what}" for what in illegible_figures(visit)]
    visit.page.emulate_media(media="screen")
    return problems
