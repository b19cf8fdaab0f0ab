"""What several folders share: the rendered book, and checks and tools that are scripts of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/book", "tests/browser", "tools", "site")]


def newest(*paths: Path) -> float:
    """When the latest of these files, or of those in these folders, was changed; caches do not count."""
    files = [(file, path) for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return max(
        (
            file.stat().st_mtime
            for file, path in files
            if file.is_file()
            and not any(part.startswith((".", "__pycache__")) for part in file.relative_to(path).parts)
        ),
        default=0.0,
    )


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the rendered book.

    The book that `make book` left in `_build/html` is used when it is newer than all it is made from;
    otherwise one is built in a temporary folder. `BOOK_HTML=some/folder` checks another.
    """
    if "BOOK_HTML" in os.environ:
        return Path(os.environ["BOOK_HTML"]).resolve()
    made = ROOT / "_build" / "html"
    sources = [ROOT / name for name in ("_config.yml", "_toc.yml", "chapters", "hbutils", "site")]
    if made.is_dir() and newest(made) >= newest(*sources):
        return made
    out = tmp_path_factory.mktemp("book")
    # The same flags as make book's.
    build = [str(Path(sys.executable).with_name("jupyter-book")), "build", "--quiet", "--warningiserror"]
    command = [*build, "--nitpick", "--keep-going", "--path-output", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.fail(f"the book does not build:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}", pytrace=False)
    return out / "_build" / "html"
