"""Take in what students sent."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import nbformat

from coursework.course import Course, CourseError, Note
from tools.notebooks import read, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 10_000_000  # bytes of a submitted file


def collect(course: Course, inbox: Path) -> list[str]:
    """Take in what students sent; return what could not be taken, and why.

    The inbox, a folder or a ZIP file as learning platforms make it, has a folder or a file for each student,
    named for the student. Which assignment a notebook is, it says itself, whatever its file is called.
    """
    if not inbox.exists():
        raise CourseError(f"there is no {inbox}: name the folder or ZIP file with the students' work")
    if inbox.suffix.lower() == ".zip":
        inbox = _unzipped(course, inbox)
    cells = {name: _ids(course.release / name / f"{name}.ipynb") for name in course.assignments()}
    refused: list[str] = []
    found: dict[tuple[str, str], list[_Taken]] = {}
    for student, path in _files(inbox):
        if path is None:
            refused.append(f"{student}: the folder is empty")
            continue
        try:
            assignment, taken = _accept(path, cells)
        except CourseError as error:
            refused.append(f"{student}: {path.name}: {error}")
        else:
            found.setdefault((student, assignment), []).append(taken)
    for (student, assignment), several in found.items():
        _keep(course, student, assignment, sorted(several, key=lambda taken: taken.path.stat().st_mtime))
    (course.root / "refused.txt").write_text("".join(f"{line}\n" for line in refused), encoding="utf-8")
    return refused


@dataclass
class _Taken:
    """A notebook that was sent."""

    path: Path
    notebook: nbformat.NotebookNode
    remarks: list[str]


def _files(inbox: Path) -> Iterator[tuple[str, Path | None]]:
    """Each student's files, what systems and editors leave behind excepted."""
    for entry in sorted(inbox.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        files = sorted(p for p in entry.rglob("*") if p.is_file()) if entry.is_dir() else [entry]
        files = [p for p in files if ".ipynb_checkpoints" not in p.parts and not p.name.startswith(".")]
        for path in files or [None]:
            yield _student(entry), path


def _keep(course: Course, student: str, assignment: str, several: list[_Taken]) -> None:
    """Mend the newest of the notebooks sent for one assignment, and put it where it is marked."""
    *older, newest = several
    remarks = list(newest.remarks)
    if older:
        names = ", ".join(taken.path.name for taken in older)
        remarks.append(f"several notebooks were sent: the newest, {newest.path.name}, counts, not {names}")
    remarks += repair(newest.notebook, read(course.release / assignment / f"{assignment}.ipynb"))
    place = course.root / "submitted" / student / assignment / f"{assignment}.ipynb"
    place.parent.mkdir(parents=True, exist_ok=True)
    write(newest.notebook, place)
    replace(Note.load(course, student, assignment), remarks=remarks).save(course)


def _unzipped(course: Course, archive: Path) -> Path:
    target = course.root / "inbox" / archive.stem
    shutil.rmtree(target, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as packed:
            for item in packed.infolist():
                if item.file_size > LARGEST:
                    continue
                packed.extract(item, target)  # which keeps names such as ../../x inside
    except zipfile.BadZipFile:
        raise CourseError(f"{archive} is no ZIP file that can be read: download it again") from None
    return target


def _student(entry: Path) -> str:
    """Return the name, as far as the first underscore, in a form that files and nbgrader can have."""
    name = entry.stem if entry.is_file() else entry.name
    return re.sub(r"[^\w.@-]+", "-", name.split("_")[0].strip()).strip("-.") or "unnamed"


def _ids(path: Path) -> list[str]:
    return [c.metadata.nbgrader.grade_id for c in read(path).cells if "nbgrader" in c.metadata]


def _accept(path: Path, cells: dict[str, list[str]]) -> tuple[str, _Taken]:
    """Return which assignment a file is, and what is in it, or raise with what is wrong."""
    if path.suffix != ".ipynb":
        raise CourseError(f"this is no notebook ({path.suffix or 'no ending'}): ask for the .ipynb file")
    if path.stat().st_size > LARGEST:
        raise CourseError(f"the file has {path.stat().st_size / 1e6:.0f} MB: ask for it with outputs cleared")
    try:
        notebook = read(path)
        nbformat.validate(notebook)
        ids = {c.metadata.get("nbgrader", {}).get("grade_id") for c in notebook.cells} - {None}
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        nbformat.ValidationError,
    ) as error:
        why = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise CourseError(f"the notebook is broken and cannot be read ({why}): ask for it again") from None
    shared = {name: len(ids & set(own)) for name, own in cells.items()}
    best = max(shared, key=lambda name: shared[name])
    if not shared[best]:
        raise CourseError("this is none of the notebooks that were handed out: its marked cells are missing")
    remarks = [] if path.stem == best else [f"the file was called {path.name}"]
    return best, _Taken(path, notebook, remarks)


def repair(notebook: nbformat.NotebookNode, blank: nbformat.NotebookNode) -> list[str]:
    """Put back, blank, the cells of a release that a submission has lost; return what was done.

    Contents need no repair here: nbgrader restores what is locked. A cell put back stands behind the one
    before it in the release. Copies of a cell lose their right to be marked, the first excepted.
    """
    done, seen = [], set()
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name is not None and name in seen:
            del cell.metadata["nbgrader"]
            done.append(f"cell {name!r} was there twice; the first counts")
        seen.add(name)
    known = {c.metadata.nbgrader.grade_id: c for c in blank.cells if "nbgrader" in c.metadata}
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name is not None and name not in known:
            del cell.metadata["nbgrader"]
        elif name is not None:
            cell.metadata["nbgrader"] = dict(known[name].metadata["nbgrader"])
    before = None
    for name, cell in known.items():
        if name not in seen:
            places = [
                i
                for i, c in enumerate(notebook.cells)
                if c.metadata.get("nbgrader", {}).get("grade_id") == before
            ]
            notebook.cells.insert(
                places[0] + 1 if before is not None and places else 0, nbformat.from_dict(cell)
            )
            done.append(f"cell {name!r} had been deleted and was put back")
        before = name
    return done
