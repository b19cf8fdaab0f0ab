"""Measure what it takes to set the book up, build it, test it and run all of its chapters again.

    python benchmarks/book.py             writes benchmarks/book.md, and prints it

It is done in a fresh clone of the last commit, one command after the other. Packages come from the cache of
downloads if they are there, so a first time takes as much longer as the network needs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {
    "set-up: the environment, packages included": "make .venv/.complete",
    "the pages, `make book`": "make book",
    "all checks, `make test`": "make test",
    "all chapters run again, `make notebooks`": "make notebooks",
}
ENOUGH = 4000  # characters of a command's output, of which the end is shown if it fails


def timed(command: str, folder: Path) -> tuple[float, str]:
    """Run a command in a folder; return its seconds and what it said."""
    sys.stderr.write(f"{command}\n")
    start = time.perf_counter()
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, check=False)
    seconds, said = time.perf_counter() - start, done.stdout + done.stderr
    if done.returncode:
        raise SystemExit(f"{said[-ENOUGH:]}\n{command} failed after {seconds:.0f} s: nothing is written")
    return seconds, said


def main() -> None:
    """Measure, print and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "book"
        timed(f"git clone --quiet {ROOT} {clone}", Path(folder))
        for title, command in COMMANDS.items():
            seconds, said = timed(command, clone)
            tests = re.findall(r"=+ (.*passed.*?) in ", said)
            rows.append(f"| {title} | {seconds:,.0f} | {tests[-1] if tests else ''} |")
    lines = "\n".join(rows)
    today = dt.datetime.now(tz=dt.UTC)
    system, version = f"{platform.system()} {platform.machine()}", platform.python_version()
    report = f"""# The book

Written by `python benchmarks/book.py` on {today:%Y-%m-%d}: {system}, {os.cpu_count()} cores,
Python {version}. In a fresh clone, one after the other; packages from the cache of downloads.

| what | seconds | outcome |
|---|---:|---|
{lines}

What its pages weigh, beside those of a stock Jupyter Book, is in [pages.md](pages.md).
"""
    print(report)
    (Path(__file__).with_suffix(".md")).write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
