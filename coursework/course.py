"""A course: where its files are, what nbgrader is told, and the blank notebooks it hands out."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    DeduplicateIds,
    LimitOutput,
    LockCells,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
    SaveCells,
)
from sqlalchemy.exc import SAWarning
from traitlets.config import Config

from coursework import marking
from tools.notebooks import read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

MARKERS = [f"### {word} {region}" for word in ("BEGIN", "END") for region in ("SOLUTION", "HIDDEN TESTS")]
HERE = Path(__file__).resolve().parent
# nbgrader calls alembic by name when it makes a gradebook, whether or not the environment is active.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
# nbgrader adds a submission to the gradebook before it looks at the gradebook; nothing is lost by it.
warnings.filterwarnings("ignore", "Object of type <Submitted", SAWarning, r"nbgrader\.api")


class CourseError(Exception):
    """Something an instructor has to see to; the message says what and how."""


@dataclass(frozen=True)
class Course:
    """Where things are."""

    root: Path
    source: Path
    release: Path
    cell_seconds: int = 180  # that a cell may take, unless HB_CELL_SECONDS says otherwise

    @classmethod
    def here(cls) -> Course:
        """The course that HB_COURSE and HB_SOURCE name, or the book's own."""
        root = Path(os.environ.get("HB_COURSE") or HERE / "course").resolve()
        private = os.environ.get("HB_SOURCE")
        source = Path(private).resolve() if private else HERE / "source"
        if not source.is_dir():
            raise CourseError(
                f"there is no folder {source}: HB_SOURCE should name one with the assignments' sources"
            )
        return cls(root, source, root / "release" if private else HERE / "release")

    def prepare(self) -> None:
        """Make the folder, and let nbgrader find the sources in it."""
        self.root.mkdir(parents=True, exist_ok=True)
        link = self.root / "source"
        if link.is_symlink() and link.resolve() != self.source:
            link.unlink()
        if link != self.source and not link.exists():
            link.symlink_to(self.source, target_is_directory=True)

    def assignments(self) -> list[str]:
        """Names of the assignments that have a source."""
        found = sorted(p.parent.name for p in self.source.glob("*/*.ipynb") if p.stem == p.parent.name)
        if not found:
            raise CourseError(
                f"no assignment in {self.source}: each is a folder with a notebook of the same name"
            )
        return found

    def config(self) -> Config:
        """What nbgrader is to know."""
        c = Config()
        c.CourseDirectory.root = str(self.root)
        c.CourseDirectory.course_id = "hierarchical-bayes"
        c.CourseDirectory.release_directory = "made"  # not where students' copies are: see `release`
        c.ClearSolutions.code_stub = {"python": "# Your code here."}
        c.ClearSolutions.text_stub = "*Your answer here.*"
        c.GenerateAssignment.preprocessors = [
            LockCells,
            ClearSolutions,
            ClearOutput,
            CheckCellMetadata,
            ComputeChecksums,
            SaveCells,
            ClearHiddenTests,
            ClearMarkScheme,
            ComputeChecksums,
            CheckCellMetadata,
        ]
        c.Autograde.sanitize_preprocessors = [
            ClearOutput,
            DeduplicateIds,
            OverwriteKernelspec,
            OverwriteCells,
            CheckCellMetadata,
        ]
        c.Autograde.autograde_preprocessors = [
            marking.MarkOutside,
            LimitOutput,
            SaveAutoGrades,
            CheckCellMetadata,
        ]
        c.MarkOutside.timeout = _seconds("HB_CELL_SECONDS", self.cell_seconds)
        c.MarkOutside.all_in_all = _seconds("HB_NOTEBOOK_SECONDS", 900)
        c.LimitOutput.max_lines = 200
        c.LimitOutput.max_traceback = 20
        return c

    def gradebook(self) -> Gradebook:
        """Open the gradebook."""
        return Gradebook(CourseDirectory(config=self.config()).db_url, "hierarchical-bayes")


def _seconds(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise CourseError(f"{name} should be a whole number of seconds, not {value!r}")
    return int(value)


def converter(kind: type, course: Course, assignment: str, student: str | None = None) -> object:
    """One of nbgrader's converters, for one assignment and perhaps one student."""
    config = course.config()
    config.CourseDirectory.assignment_id = assignment
    if student is not None:
        config.CourseDirectory.student_id = student
    made = kind(coursedir=CourseDirectory(config=config), config=config)
    made.force = True
    return made


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep nbgrader's log for an error message; give back its lines."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    log = logging.getLogger("traitlets")
    keep, before, level = Keep(logging.WARNING), log.handlers[:], log.level
    log.handlers, log.propagate = [keep], False
    log.setLevel(logging.WARNING)
    try:
        yield lines
    finally:
        log.handlers, log.level = before, level


# --- release ------------------------------------------------------------------------------------


def release(course: Course, *, say: bool = True) -> None:
    """Make the blank notebooks, and enter tests and points into the gradebook."""
    course.prepare()
    for assignment in course.assignments():
        start = time.perf_counter()
        if slips := misspelt(read(course.source / assignment / f"{assignment}.ipynb")):
            raise CourseError(f"{assignment}: no release could be made: {'; '.join(slips)}")
        with quiet() as lines:
            try:
                converter(GenerateAssignment, course, assignment).start()
            except (NbGraderException, RuntimeError, KeyError, ValueError) as error:
                said = "\n".join([f"{assignment}: no release could be made: {error}", *lines])
                raise CourseError(said) from None
        # Only what came out whole takes the place of what was there.
        for made in sorted((course.root / "made" / assignment).iterdir()):
            place = course.release / assignment / made.name
            place.parent.mkdir(parents=True, exist_ok=True)
            if made.suffix == ".ipynb":
                notebook = read(made)
                _bare(notebook)
                write(notebook, place)
            else:
                shutil.copy(made, place)
        if say:
            print(f"  {assignment}: {time.perf_counter() - start:.1f} s", flush=True)
    if say:
        print(f"released in {course.release}")


def misspelt(notebook: NotebookNode) -> list[str]:
    """Name markers that are not spelt as nbgrader wants them, or have no partner.

    nbgrader takes a solution whose first marker is misspelt for a cell without one, and says nothing.
    """
    wrong = []
    for cell in (c for c in notebook.cells if "nbgrader" in c.metadata):
        name, inside = cell.metadata.nbgrader["grade_id"], ""
        for line in (line.strip() for line in cell.source.splitlines() if line.startswith("###")):
            begins, region = line.startswith("### BEGIN "), line.split(" ", 2)[-1]
            if line not in MARKERS:
                wrong.append(f"{line!r} in cell {name!r} is none of nbgrader's markers")
            elif begins == bool(inside) or (inside and region != inside):
                wrong.append(f"{line!r} in cell {name!r} has no partner")
            inside = region if begins else ""
        if inside:
            wrong.append(f"a region of cell {name!r} has no end")
    return wrong


def _bare(notebook: NotebookNode) -> None:
    """Leave nothing but the line to fill in where the identifier goes."""
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "student":
            cell.source = cell.source.split("\n", 1)[0]


def refresh(course: Course) -> None:
    """Release again if a source is not the one that the gradebook knows."""
    marker = course.root / "released.json"
    now = {name: digest_of(course.source / name / f"{name}.ipynb") for name in course.assignments()}
    if not marker.exists() or json.loads(marker.read_text(encoding="utf-8")) != now:
        release(course, say=False)
        marker.write_text(json.dumps(now, indent=1), encoding="utf-8")


def digest_of(*paths: Path) -> str:
    """A short word that changes when one of the files does."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass
class Note:
    """What an instructor should know of one submission."""

    student: str
    assignment: str
    remarks: list[str] = field(default_factory=list)
    digest: str = ""  # of submission and source, once marked
    seconds: float = 0.0
    identifier: str = ""  # what the student typed

    def file(self, course: Course) -> Path:
        """Where it is kept."""
        return course.root / "notes" / self.student / f"{self.assignment}.json"

    def save(self, course: Course) -> None:
        """Keep it, in one step."""
        path = self.file(course)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, course: Course, student: str, assignment: str) -> Note:
        """Read what is kept, or start anew."""
        note = cls(student, assignment)
        path = note.file(course)
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else note


def notes(course: Course) -> list[Note]:
    """All that is known of the submissions."""
    files = sorted((course.root / "notes").glob("*/*.json"))
    return [Note(**json.loads(path.read_text(encoding="utf-8"))) for path in files]
