"""What the tests of the coursework stand on: a sandbox, a tiny assignment, and a way to run code shut in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from coursework import sandbox
from coursework.course import Course
from tools.notebooks import write

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file
from tiny_assignment import tiny


@pytest.fixture(scope="session")
def sandboxed() -> None:
    """Bubblewrap. Without it the tests that need it are skipped, or fail where HB_REQUIRE_SANDBOX=1."""
    if why := sandbox.problem():
        said = f"no sandbox: bubblewrap {why}"
        (pytest.fail if os.environ.get("HB_REQUIRE_SANDBOX") == "1" else pytest.skip)(said)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A course with the tiny assignment, from a private folder of sources."""
    source = tmp_path / "private"
    (source / "tiny").mkdir(parents=True)
    write(tiny(), source / "tiny" / "tiny.ipynb")
    return Course(tmp_path / "course", source, tmp_path / "release")
