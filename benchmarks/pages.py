"""Measure this book's pages against those of a stock Jupyter Book: their weight, and how soon they are there.

    python benchmarks/pages.py             writes benchmarks/pages.md, and prints it
    python benchmarks/pages.py --runs 9    more repetitions

Both books are built here and now from the same chapters: one as it is, one with the configuration that
Jupyter Book has when it is given none. The stock pages ask another host for MathJax; the answers come from
the installed package sphinx-mathjax-offline. What else they ask for is refused, and weighs nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
import harness  # noqa: E402  the tests' browser and server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

CHAPTERS = ["01-grouped-data", "05-partial-pooling"]
SLOWDOWN = 4
MOST_OF_STOCK = 0.40  # what a page of ours may weigh, as a share of the stock page; figures not counted
STOCK_CONFIG = """\
title: Hierarchical Bayes by example
only_build_toc_files: true
execute: {execute_notebooks: "off"}
bibtex_bibfiles: [chapters/references.bib]
parse: {myst_enable_extensions: [amsmath, colon_fence, deflist, dollarmath, smartquotes]}
"""
OBSERVE = """
window.shifts = 0;
const observe = (type, note) =>
    new PerformanceObserver(list => list.getEntries().forEach(note)).observe({type, buffered: true});
observe('layout-shift', entry => { if (!entry.hadRecentInput) window.shifts += entry.value; });
observe('largest-contentful-paint', entry => { window.largest = entry.startTime; });
"""
KINDS = {"document": "pages", "stylesheet": "styles", "script": "scripts", "font": "fonts"}


@dataclass
class Weight:
    """What one visit with an empty cache transferred, the page's own figures apart."""

    raw: Counter[str] = field(default_factory=Counter)  # bytes by kind
    packed: int = 0  # bytes if the server compressed what can be compressed
    requests: int = 0

    @property
    def total(self) -> int:
        """All bytes."""
        return self.raw.total()


@dataclass
class Times:
    """What repeated visits with a slowed processor measured."""

    paint: list[float] = field(default_factory=list)  # ms to the largest contentful paint
    shift: list[float] = field(default_factory=list)  # cumulative layout shift


def build(source: Path, out: Path, *flags: str) -> Path:
    """Build a book; return the folder of its pages."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", *flags, "--path-output", str(out), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=source)
    if done.returncode:
        sys.exit(f"{source} does not build:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return out / "_build" / "html"


def stock_copy(target: Path) -> Path:
    """Copy chapters and contents, and nothing of what this book adds to Jupyter Book."""
    shutil.copytree(ROOT / "chapters", target / "chapters")
    shutil.copy(ROOT / "_toc.yml", target)
    (target / "_config.yml").write_text(STOCK_CONFIG, encoding="utf-8")
    for page in (target / "chapters").glob("*.md"):  # our style of references is one of our extensions
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(":style: author_year", ":style: plain"), encoding="utf-8")
    return target


def answer(route: Route) -> None:
    """Answer for the host that stock pages ask for MathJax; let what is ours pass; refuse the rest."""
    address = urlsplit(route.request.url)
    if address.hostname == "127.0.0.1":
        route.continue_()
        return
    package = find_spec("sphinx-mathjax-offline")
    mathjax = Path(str(package.origin)).parent / "static" / "mathjax" if package else Path()
    name = re.sub(r".*/mathjax@[^/]*/es5/", "", address.path)
    file = mathjax / name.replace("tex-mml-chtml.js", "tex-chtml.js")
    if "/mathjax@" in address.path and file.is_file():
        # Scripts and fonts from another host are only taken with its leave.
        route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*"})
    else:
        route.abort()


def open_page(browser: Browser, address: str, slowdown: float) -> tuple[Page, list[Request]]:
    """Open a page with an empty cache and wait until it asks for nothing more."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB").new_page()
    page.context.route("**/*", answer)
    page.add_init_script(OBSERVE)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108  Playwright marks what it calls
    page.goto(address, wait_until="networkidle", timeout=120_000)
    page.wait_for_timeout(1000)  # what is set or moved late is to be seen
    return page, requests


def weigh(browser: Browser, address: str) -> Weight:
    """Add up what a page transfers."""
    page, requests = open_page(browser, address, 1)
    weight = Weight()
    for request in requests:
        if "/_images/" in request.url or request.url.startswith("data:"):
            continue
        weight.requests += 1
        if response := request.response():
            body = response.body()
            kind = KINDS.get(request.resource_type, "other")
            weight.raw[kind] += len(body)
            weight.packed += len(body) if kind == "fonts" else len(gzip.compress(body, 9))
    page.context.close()
    return weight


def time_once(browser: Browser, address: str, times: Times) -> None:
    """Open a page with the processor slowed, and note what the browser says of it."""
    page, _ = open_page(browser, address, SLOWDOWN)
    times.paint.append(page.evaluate("window.largest"))
    times.shift.append(page.evaluate("window.shifts"))
    page.context.close()


def report(
    browser: Browser, weights: dict[str, dict[str, Weight]], times: dict[str, dict[str, Times]]
) -> str:
    """Return the report as Markdown."""
    runs = len(next(iter(times.values()))["ours"].paint)
    today = dt.datetime.now(tz=dt.UTC)
    packages = ("jupyter-book", "sphinx", "sphinx-book-theme", "sphinx-mathjax-offline")
    lines = [
        "# The pages, measured",
        "",
        "Written by `make bench`; what is measured, and how, is told in [README.md](README.md).",
        "",
        f"{today.day} {today:%B %Y}. {platform.system()} on {platform.machine()}, "
        f"{os.cpu_count()} processors, Python {platform.python_version()}, Chromium {browser.version}; "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + ".",
    ]
    for chapter in CHAPTERS:
        lines += ["", f"## {chapter}", "", "| | this book | stock | ratio |", "|---|---:|---:|---:|"]
        ours, stock = weights[chapter]["ours"], weights[chapter]["stock"]
        for kind in (*KINDS.values(), "other"):
            if ours.raw[kind] or stock.raw[kind]:
                lines.append(row(f"{kind}, bytes", ours.raw[kind], stock.raw[kind]))
        lines += [
            row("**all but figures, bytes**", ours.total, stock.total),
            row("the same compressed, bytes", ours.packed, stock.packed),
            row("requests", ours.requests, stock.requests),
        ]
        mine, theirs = times[chapter]["ours"], times[chapter]["stock"]
        lines += [
            row("largest contentful paint, ms", *map(statistics.median, (mine.paint, theirs.paint))),
            row("cumulative layout shift", *map(statistics.median, (mine.shift, theirs.shift)), digits=4),
        ]
    lines += ["", f"Times are medians of {runs} visits with the processor slowed {SLOWDOWN} times.", ""]
    return "\n".join(lines)


def row(name: str, ours: float, stock: float, digits: int = 0) -> str:
    """Return one line of a table."""
    ratio = f"{ours / stock:.2f}" if stock else ""
    return f"| {name} | {ours:,.{digits}f} | {stock:,.{digits}f} | {ratio} |"


def main() -> int:
    """Build, measure, report; fail if a page is heavier than promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="visits to each page that are timed")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folders = {
            "ours": build(ROOT, scratch / "ours", "--quiet", "--warningiserror", "--nitpick"),
            "stock": build(stock_copy(scratch / "chapters-only"), scratch / "stock", "--quiet"),
        }
        sites = {name: stack.enter_context(harness.serve(folder)) for name, folder in folders.items()}
        browser = harness.launch(stack.enter_context(sync_playwright()))
        if browser is None:
            sys.exit(f"benchmark: {harness.MISSING}")
        weights: dict[str, dict[str, Weight]] = {}
        times = {chapter: {name: Times() for name in sites} for chapter in CHAPTERS}
        for chapter in CHAPTERS:
            pages = {name: f"{site}/chapters/{chapter}.html" for name, site in sites.items()}
            weights[chapter] = {name: weigh(browser, page) for name, page in pages.items()}
            for _ in range(arguments.runs):  # in turns, so that a busy machine is busy for both
                for name, page in pages.items():
                    time_once(browser, page, times[chapter][name])
        text = report(browser, weights, times)
        browser.close()
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    heavy = [c for c, w in weights.items() if w["ours"].total > MOST_OF_STOCK * w["stock"].total]
    if heavy:
        print(f"heavier than {MOST_OF_STOCK:.0%} of a stock page: {', '.join(heavy)}", file=sys.stderr)
    return 1 if heavy else 0


if __name__ == "__main__":
    sys.exit(main())
