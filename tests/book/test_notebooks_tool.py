"""`tools/notebooks.py`: what it runs, what it rewrites, and what it leaves as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat
import notebooks
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of three chapters without cell ids, listed in another order than their names'."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    sources = {
        "01-good": ["from pathlib import Path", "print(Path.cwd().name)", ""],
        "02-raises": ["print(1)", "1 / 0"],
        "03-warns": ["x = 1", "import warnings\nwarnings.warn('old', stacklevel=1)"],
    }
    for stem, cells in sources.items():
        notebook = new_notebook(cells=[new_markdown_cell(f"# {stem}"), *map(new_code_cell, cells)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "mine"}
        notebook.metadata["given"] = {"1.5": "because of a reason"}
        for cell in notebook.cells:
            cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
        raw = json.loads(nbformat.writes(notebook))
        for cell in raw["cells"]:
            del cell["id"]
        (folder / f"{stem}.ipynb").write_text(json.dumps(raw | {"nbformat_minor": 4}))
    (tmp_path / "_toc.yml").write_text(
        "root: chapters/index\nchapters:\n- file: chapters/02-raises\n- file: chapters/01-good\n"
    )
    return tmp_path


def test_chapters_come_in_the_order_of_the_contents(book: Path) -> None:
    assert [path.stem for path in notebooks.all_chapters(book)] == ["02-raises", "01-good", "03-warns"]


@pytest.mark.parametrize("name", ["3", "03", "03-warns", "chapters/03-warns.ipynb"])
def test_chapter_is_chosen_by_number_stem_or_path(book: Path, name: str) -> None:
    assert [path.stem for path in notebooks.select(notebooks.all_chapters(book), [name])] == ["03-warns"]


def test_unknown_chapter_is_refused(book: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        notebooks.main(["30"], book)
    assert "no chapter '30'" in capsys.readouterr().err


def test_good_chapters_are_rewritten_and_bad_ones_left(book: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = {path.stem: path for path in notebooks.all_chapters(book)}
    before = {stem: path.read_bytes() for stem, path in paths.items()}

    assert notebooks.main([], book) == 1

    out, err = capfd.readouterr()
    assert paths["02-raises"].read_bytes() == before["02-raises"]
    assert paths["03-warns"].read_bytes() == before["03-warns"]
    assert "ZeroDivisionError" in err
    assert "cell 3 (In [2]: import warnings) wrote to stderr" in err
    assert out.count("start") == 3
    assert out.count("FAILED") == 2
    assert "1 of 3 chapters in " in out
    assert sorted(path.name for path in (book / "chapters").iterdir()) == sorted(
        p.name for p in paths.values()
    )

    good = json.loads(paths["01-good"].read_text())
    code = [cell for cell in good["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [1, 2, None]
    assert code[1]["outputs"][0]["text"] == ["chapters\n"]  # the kernel's folder is the chapters'
    assert all(cell["metadata"] == {} for cell in good["cells"])
    assert good["metadata"]["kernelspec"] == notebooks.KERNELSPEC
    assert "version" not in good["metadata"]["language_info"]
    assert good["metadata"]["given"] == {"1.5": "because of a reason"}


def test_running_again_changes_nothing(book: Path) -> None:
    path = book / "chapters" / "01-good.ipynb"
    notebooks.execute(path)
    first, time = path.read_bytes(), path.stat().st_mtime_ns
    notebooks.execute(path)
    assert path.read_bytes() == first
    assert path.stat().st_mtime_ns == time


def test_missing_ids_are_the_same_every_time_and_present_ones_stay(book: Path) -> None:
    path = book / "chapters" / "01-good.ipynb"
    once, again = notebooks.read(path), notebooks.read(path)
    assert [cell.id for cell in once.cells] == [cell.id for cell in again.cells]
    assert len({cell.id for cell in once.cells}) == len(once.cells)
    once.cells[0].id = "kept"
    notebooks.write(once, path)
    assert notebooks.read(path).cells[0].id == "kept"


def test_unreadable_chapter_does_not_stop_the_others(book: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (book / "chapters" / "02-raises.ipynb").write_text("{")
    assert notebooks.main(["02", "01"], book) == 1
    assert "1 of 2 chapters" in capfd.readouterr().out
