"""Measure what dials cost: bytes on the page that has them, and script at each step of a drag.

    python benchmarks/dials.py             writes benchmarks/dials.md, and prints it

The pages are those of `_build/html`, which `make bench` builds first.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
import harness  # noqa: E402  the tests' browser and server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

HTML = ROOT / "_build" / "html"
SLOWDOWN = 4
MOST_SCRIPT = 8.0  # ms at a step, 95th percentile
MOST_BYTES = 15 * 1024  # compressed, for all dials of a page
DIAL = re.compile(r'<div class="hb-dial".*?</script></div>', re.DOTALL)
# Drags the slider to and fro, a step at a time, each after the picture of the one before. The script's time
# is that of the event; then the browser lays out what has changed: asking for a size makes it do so at once.
DRAG = """async ({ name, steps }) => {
    const box = document.getElementById(`dial-${name}`);
    const slider = box.querySelector('input[type=range]');
    const last = +slider.max;
    const times = [];
    for (let i = 0; i < steps; i++) {
        await new Promise(requestAnimationFrame);
        slider.value = Math.abs(((i + last) % (2 * last)) - last);
        const start = performance.now();
        slider.dispatchEvent(new Event('input', { bubbles: true }));
        const script = performance.now() - start;
        box.getBoundingClientRect();
        times.push([script, performance.now() - start]);
    }
    return times;
}"""


def places() -> Iterator[tuple[Path, str]]:
    """Yield each page that has a dial, with the dial's name."""
    for page in sorted(HTML.glob("chapters/*.html")):
        for name in re.findall(r'data-dial="(\w+)"', page.read_text(encoding="utf-8")):
            yield page, name


def packed(text: str) -> int:
    """Bytes of a text, compressed."""
    return len(gzip.compress(text.encode(), 9))


def cost(page: Path) -> int:
    """Compressed bytes that a page and its scripts would be short of without its dials."""
    text = page.read_text(encoding="utf-8")
    scripts = {path.name for path in (ROOT / "hbutils" / "js").glob("*.js")}
    loaded = [tag for tag in re.findall(r"<script[^>]*src=[^>]*></script>", text) if name_of(tag) in scripts]
    without = DIAL.sub("", text)
    for tag in loaded:
        without = without.replace(tag, "")
    files = [(HTML / "_static" / name_of(tag)).read_text(encoding="utf-8") for tag in loaded]
    return packed(text) - packed(without) + sum(map(packed, files))


def name_of(tag: str) -> str:
    """Name of the file that a script's tag loads."""
    return re.sub(r".*/([\w.-]+\.js).*", r"\1", tag)


def drag(browser: Browser, address: str, name: str, steps: int) -> np.ndarray:
    """Milliseconds (steps, 2) of script, and of script and layout, with the processor slowed."""
    with harness.visit(browser, address) as visit:
        session = visit.page.context.new_cdp_session(visit.page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        visit.page.locator(f"#dial-{name} input").first.scroll_into_view_if_needed()
        return np.array(visit.page.evaluate(DRAG, {"name": name, "steps": steps}))


def main() -> int:
    """Measure, report; fail if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="of each drag")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    today = dt.datetime.now(tz=dt.UTC)
    broken = []
    with harness.serve(HTML) as site, sync_playwright() as playwright:
        browser = harness.launch(playwright)
        if browser is None:
            sys.exit(f"benchmark: {harness.MISSING}")
        machine = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processors"
        lines = [
            "# The dials, measured",
            "",
            "Written by `make bench`; what is measured, and how, is told in [README.md](README.md).",
            "",
            f"{today.day} {today:%B %Y}. {machine} slowed {SLOWDOWN} times, Chromium {browser.version}.",
            "",
            f"Milliseconds at a step of a drag, over {arguments.steps} steps:",
            "",
            "| page | dial | script, median | script, 95 % | script and layout, 95 % |",
            "|---|---|---:|---:|---:|",
        ]
        for page, name in places():
            times = drag(browser, f"{site}/chapters/{page.name}", name, arguments.steps)
            half, most, both = np.median(times[:, 0]), *np.quantile(times, 0.95, axis=0)
            lines.append(f"| {page.stem} | {name} | {half:.1f} | {most:.1f} | {both:.1f} |")
            if most >= MOST_SCRIPT:
                broken.append(f"{page.stem}, {name}: {most:.1f} ms of script at a step")
        browser.close()
    lines += ["", "Bytes that its dials add to a page, compressed:", "", "| page | bytes |", "|---|---:|"]
    for page in dict.fromkeys(page for page, _ in places()):
        lines.append(f"| {page.stem} | {cost(page):,} |")
        if cost(page) > MOST_BYTES:
            broken.append(f"{page.stem}: dials cost {cost(page)} bytes")
    text = "\n".join([*lines, ""])
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    for problem in broken:
        print(problem, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
