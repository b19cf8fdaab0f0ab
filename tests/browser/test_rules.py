"""Each rule for pages, proved on a page that it must refuse and on one that it must let pass."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import harness
import pytest
import rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

GOOD = """<!doctype html>
<html lang="en"><head><title>A page</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; background: light-dark(white, #111); color: light-dark(black, white) }
  body { margin: 0 } a { display: inline-block; padding: 8px; color: inherit } main { padding: 8px }
  /* more */
  @media print { :root { background: white; color: black } nav { display: none } }
</style></head>
<body><a href="#text">To the text</a> <nav><a href="index.html">The only page</a></nav>
<main id="text" tabindex="-1"><article><h1>A page</h1><h2>A part</h2>
<p>Text with <a href="#text">a link</a> and <math><mi>x</mi><mo>=</mo><mn>1</mn></math>.</p>
<picture><source srcset="dark.png" media="screen and (prefers-color-scheme: dark)">
<img src="light.png" alt="A line." width="40" height="40"></picture>
<details><summary>More</summary><p>Folded text.</p></details></article></main></body></html>"""

REFUSED: list[tuple[Callable[[harness.Visit], list[str]], str, str]] = [
    (rules.noise, "</body>", "<script>console.error('no')</script></body>"),
    (rules.noise, "</body>", "<script>console.warn('no')</script></body>"),
    (rules.noise, "</body>", "<script>throw new Error('no')</script></body>"),
    (rules.noise, "</body>", "<script>Promise.reject(new Error('no'))</script></body>"),
    (rules.noise, "</body>", '<script src="gone.js"></script></body>'),
    (rules.noise, "<style>", "<style>@import 'gone.css';"),
    (rules.noise, "/* more */", "main { background: url(gone.png) }"),
    (rules.outside_requests, "</body>", '<script src="https://cdn.example.org/a.js"></script></body>'),
    (
        rules.outside_requests,
        "</body>",
        "<script>fetch('https://example.org/')</script></body>",
    ),
    (rules.outside_requests, "</body>", "<script>new WebSocket('wss://example.org/')</script></body>"),
    (rules.outside_requests, "/* more */", "main { background: url(https://example.org/a.png) }"),
    (rules.no_icon, 'rel="icon"', 'rel="help"'),
    (rules.too_heavy, "</body>", '<script src="heavy.js"></script></body>'),
    (rules.inaccessible, ' alt="A line."', ""),
    (rules.inaccessible, ' lang="en"', ""),
    (rules.inaccessible, "/* more */", "p { color: #888; background: #999 }"),
    (rules.inaccessible, "<h2>A part</h2>", "<div>Outside of <button></button></div>"),
    (rules.inaccessible_but_for_text, ' alt="A line."', ""),
    (rules.inaccessible_but_for_text, "/* more */", "nav a { color: #888; background: #999 }"),
    (rules.faint_around_the_text, "/* more */", "nav a { color: #888; background: #999 }"),
    (rules.scrolls_sideways, "/* more */", "h1 { width: 2000px }"),
    (rules.scrolls_sideways, "/* more */", "a { white-space: pre; padding: 700px }"),
    (rules.missing_images, "</article>", '<img src="gone.png" alt="Gone."></article>'),
    (rules.missing_images, "</article>", '<img src="broken.png" alt="Broken."></article>'),
    (rules.missing_images, "</article>", '<img src="gone.png" alt="Late." loading="lazy"></article>'),
    (rules.muddled_headings, "<h2>A part</h2>", "<h1>Another</h1>"),
    (rules.muddled_headings, "<h1>A page</h1>", ""),
    (rules.muddled_headings, "<h2>A part</h2>", "<h3>A part</h3>"),
    (rules.muddled_headings, "<h1>A page</h1><h2>A part</h2>", "<h2>A part</h2><h1>A page</h1>"),
    (rules.unset_formulas, "Folded text", "Text \\(x\\)"),
    (rules.unset_formulas, "Folded text", "Text $x_i$"),
    (rules.unset_formulas, "Folded text", "Text \\alpha"),
    (rules.unset_formulas, "<mi>x</mi>", "<merror>x</merror>"),
    (rules.unset_formulas, "/* more */", "math { display: block; width: 0; height: 0 }"),
    (rules.unset_formulas, "/* more */", "math { margin-left: 3000px } html { overflow: clip }"),
    (
        rules.unset_formulas,
        "<details>",
        '<div style="height: 1px"><math display="block"><mi>x</mi></math></div><details>',
    ),
    (rules.moving, "/* more */", "a { transition: color 1s }"),
    (rules.moving, "/* more */", "html { scroll-behavior: smooth }"),
    (rules.moving, "/* more */", "@keyframes k { to { color: red } } a::after { animation: k 100ms }"),
    (rules.illegible_figures, "dark.png", "light.png"),
    (rules.illegible_figures, "dark.png", "faint.png"),
    (rules.lost_focus, "/* more */", "a:focus-visible { outline: none }"),
    (rules.lost_focus, "/* more */", "a:focus-visible { outline: 2px solid #222 }"),
    (rules.lost_focus, "/* more */", "a { position: absolute; left: -999px }"),
    (rules.lost_focus, "<nav>", '<nav><div style="position: fixed; inset: 0; background: #000"></div>'),
    (rules.lost_focus, "<body>", "<body inert>"),
    (rules.no_way_past, '<a href="#text">To the text</a>', ""),
    (rules.no_way_past, '<a href="#text">To', '<a href="#top">To'),
    (rules.no_way_past, '<a href="#text">To', '<a href="other.html">To'),
    (rules.unprintable, "nav { display: none }", ""),
    (rules.unprintable, ":root { background: white; color: black }", ""),
    (rules.unprintable, "@media print {", "@media print { p { color: #aaa !important }"),
    (rules.unprintable, "screen and ", ""),
]
EVERY = list(dict.fromkeys(rule for rule, _, _ in REFUSED))


def square(ground: int, ink: int) -> bytes:
    """Return a grey picture of 40 by 40 with a line in it, as PNG."""
    rows = [bytes([0] + [ink if 18 <= row < 22 else ground] * 40) for row in range(40)]
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(b"".join(rows)),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text(GOOD)
    (tmp_path / "light.png").write_bytes(square(255, 30))
    (tmp_path / "dark.png").write_bytes(square(17, 230))
    (tmp_path / "faint.png").write_bytes(square(17, 60))
    (tmp_path / "heavy.js").write_text(f"// {'x' * rules.MOST_BYTES}")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    return tmp_path


def problems(browser: Browser, address: str, rule: Callable[[harness.Visit], list[str]]) -> list[str]:
    with harness.visit(browser, f"{address}/index.html", theme="dark") as visit:
        return rule(visit)


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.__name__)
def test_good_page_passes(
    browser: Browser, bad_site: str, rule: Callable[[harness.Visit], list[str]]
) -> None:
    assert problems(browser, bad_site, rule) == []


@pytest.mark.parametrize(("rule", "old", "new"), REFUSED)
def test_bad_page_is_refused(
    browser: Browser,
    folder: Path,
    bad_site: str,
    rule: Callable[[harness.Visit], list[str]],
    old: str,
    new: str,
) -> None:
    assert old in GOOD
    (folder / "index.html").write_text(GOOD.replace(old, new))
    assert problems(browser, bad_site, rule) != []


def test_what_is_folded_away_is_looked_at_once_it_is_open(
    browser: Browser, folder: Path, bad_site: str
) -> None:
    wide = GOOD.replace("Folded text", '<span style="display: block; width: 2000px">Wide.</span>')
    (folder / "index.html").write_text(wide)
    with harness.visit(browser, f"{bad_site}/index.html") as visit:
        assert rules.scrolls_sideways(visit) == []
        rules.open_folds(visit)
        assert len(rules.scrolls_sideways(visit)) == 1


def test_tab_key_starts_at_the_top_whatever_came_before(
    browser: Browser, folder: Path, bad_site: str
) -> None:
    (folder / "index.html").write_text(GOOD.replace("/* more */", "nav a:focus { outline: none }"))
    with harness.visit(browser, f"{bad_site}/index.html") as visit:
        assert rules.no_way_past(visit) == []
        assert len(rules.lost_focus(visit)) == 1
        assert rules.no_way_past(visit) == []


def test_contrast_is_that_of_wcag() -> None:
    assert rules.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert rules.contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.005)
    assert rules.contrast((255, 0, 0), (255, 255, 255)) == pytest.approx(4.0, abs=0.005)


@pytest.mark.parametrize(
    ("style", "faint"),
    [
        ("", 0),
        ("@media (width < 500px) { p { color: #aaa } }", 2),
        ("@media (width > 500px) { p { color: #aaa } }", 2),
        ("@media (width < 500px) { p { background: #222 } }", 2),
        ("@media (width < 500px) { p { background: #eee } }", 0),
    ],
)
def test_text_that_is_faint_at_one_width_is_refused(
    browser: Browser, folder: Path, bad_site: str, style: str, faint: int
) -> None:
    (folder / "index.html").write_text(GOOD.replace("/* more */", style))
    with harness.visit(browser, f"{bad_site}/index.html") as visit:
        assert rules.faint_at_some_width(visit) == []
        visit.page.set_viewport_size({"width": 390, "height": 900})
        problems = rules.faint_at_some_width(visit)
    assert len([what for what in problems if "<p>" in what]) == faint
