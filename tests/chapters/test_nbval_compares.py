"""That running the chapters through nbval, as `make test` does, would notice a result that has changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
COMPARED = {"tags": ["nbval-check-output"]}


def notebook(source: str, stored: str, metadata: dict[str, list[str]]) -> nbformat.NotebookNode:
    output = new_output("stream", name="stdout", text=stored)
    cell = new_code_cell(source, metadata=metadata, outputs=[output], execution_count=1)
    return new_notebook(cells=[cell])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The outcome of each of four small notebooks under the project's own pytest settings."""
    folder = tmp_path_factory.mktemp("chapters")
    for name, made in {
        "same": notebook("print(1 + 1)", "2\n", COMPARED),
        "changed": notebook("print(1 + 1)", "3\n", COMPARED),
        "drawn": notebook("print(1 + 1)", "3\n", {}),
        "raises": notebook("assert 1 + 1 == 3", "", {}),
    }.items():
        nbformat.write(made, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    flags = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "--color",
        "no",
        "-rA",
        "--nbval-lax",
        "--nbval-current-env",
    ]
    done = subprocess.run(
        [*command, *flags, str(folder)], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = re.findall(r"^(PASSED|FAILED|ERROR) (?:.*/)?(\w+)\.ipynb::Cell 0", done.stdout, re.MULTILINE)
    return {name: outcome for outcome, name in found}


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("same", "PASSED"), ("changed", "FAILED"), ("drawn", "PASSED"), ("raises", "FAILED")],
)
def test_outcome(outcomes: dict[str, str], name: str, outcome: str) -> None:
    assert outcomes[name] == outcome
