"""Prove the assignments: what a solution, a blank and typical mistakes get.

    python -m coursework.proof                           all
    python -m coursework.proof shrinkage                 some
    python -m coursework.proof --students 30 shrinkage   what is correct, on the data of as many students

For each assignment there is `coursework/trials/NAME.toml`: mistakes that students make, with the marks that
each must get, and solutions written otherwise than ours, which must get all of them. The source itself must
get all automatic marks and the released blank none.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from coursework import marking
from tools.notebooks import read

if TYPE_CHECKING:
    from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
MISTAKES, ALTERNATIVES = 4, 1  # how many an assignment needs, at least


@dataclass(frozen=True)
class Trial:
    """A way of working on an assignment, and the marks it must get.

    Attributes
    ----------
    name : str
        What it is called.
    cells : dict
        The student's code, by the name of the cell it stands in; other cells are as in the solution.
    marks : dict
        Marks of the tasks that do not get all of theirs.
    says : dict
        A piece of what the student must be told, by task.
    student : str
        The identifier typed, where a mistake shows on some data only.
    """

    name: str
    cells: dict[str, str] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    student: str = ""


def names(source: Path = HERE / "source") -> list[str]:
    """Names of the assignments."""
    return sorted(path.stem for path in source.glob("*/*.ipynb"))


def notebook(name: str, kind: str = "source") -> NotebookNode:
    """Read an assignment's source or release."""
    return read(HERE / kind / name / f"{name}.ipynb")


def trials(name: str) -> list[Trial]:
    """Return the solution and what is kept in the assignment's list of trials."""
    kept = tomllib.loads((HERE / "trials" / f"{name}.toml").read_text(encoding="utf-8"))
    mistakes = [Trial(**entry) for entry in kept.get("mistake", [])]
    others = [Trial(**entry) for entry in kept.get("alternative", [])]
    if len(mistakes) < MISTAKES or len(others) < ALTERNATIVES:
        raise ValueError(f"{name}: {MISTAKES} mistakes and {ALTERNATIVES} other solution are needed, or more")
    for trial in mistakes:
        if not trial.marks or set(trial.marks) != set(trial.says):
            raise ValueError(
                f"{name}: the mistake {trial.name!r} needs marks, and what is said, of the same tasks"
            )
    if wrong := [trial.name for trial in others if trial.marks]:
        raise ValueError(f"{name}: a correct solution gets every mark: {', '.join(wrong)}")
    return [Trial("solution"), *mistakes, *others]


def attempt(name: str, trial: Trial) -> NotebookNode:
    """Return the notebook that a student would hand in."""
    made = notebook(name)
    cells = {c.metadata.nbgrader["grade_id"]: c for c in made.cells if "nbgrader" in c.metadata}
    for place, code in trial.cells.items():
        if place not in cells or not cells[place].metadata.nbgrader["solution"]:
            raise ValueError(f"{name}: {trial.name}: there is no cell {place!r} for students")
        cells[place].source = code
    if trial.student:
        cells["student"].source = f'STUDENT = "{trial.student}"'
    return made


def problems(name: str, trial: Trial) -> list[str]:
    """Mark a trial; return how it differs from what it must get."""
    found = marking.marks(attempt(name, trial))
    wrong = []
    for task, mark in found.items():
        due = trial.marks.get(task, mark.most)
        if abs(mark.score - due) > 1e-6:
            wrong.append(
                f"{task}: {mark.score:g} instead of {due:g} of {mark.most:g}: {mark.said or 'nothing said'}"
            )
        elif trial.says.get(task, "") not in mark.said:
            wrong.append(f"{task}: should say {trial.says[task]!r}, but says {mark.said!r}")
    if unknown := set(trial.marks) - set(found):
        wrong.append(f"there are no tasks {', '.join(sorted(unknown))}")
    return wrong


def problems_of_blank(name: str) -> list[str]:
    """Mark the released notebook, with nothing but an identifier and then with nothing at all."""
    wrong = []
    for typed in ("STUDENT = 'somebody'", None):
        blank, whole = notebook(name, "release"), notebook(name)
        tests = {c.metadata.nbgrader["grade_id"]: c.source for c in whole.cells if "nbgrader" in c.metadata}
        for cell in blank.cells:
            place = cell.metadata.get("nbgrader", {}).get("grade_id")
            if place == "student" and typed:
                cell.source = typed
            elif place and cell.metadata.nbgrader["grade"] and not cell.metadata.nbgrader["solution"]:
                cell.source = tests[place]
        got = {task: mark.score for task, mark in marking.marks(blank).items() if mark.score}
        wrong += [f"the blank gets {score:g} for {task}" for task, score in got.items()]
    return wrong


def _one(job: tuple[str, Trial | None]) -> tuple[str, str, list[str], float]:
    name, trial = job
    start = time.perf_counter()
    wrong = problems_of_blank(name) if trial is None else problems(name, trial)
    about = " ".join(filter(None, [trial.name, trial.student])) if trial else "blank"
    return name, about, wrong, time.perf_counter() - start


def jobs(chosen: list[str], students: int = 0) -> list[tuple[str, Trial | None]]:
    """Return all trials of assignments and their blanks, or correct work only, on the data of each student.

    Marks depend on data: a limit that suits one student's can be wrong for another's.
    """
    if not students:
        return [(name, trial) for name in chosen for trial in (*trials(name), None)]
    typed = [f"student{number:02d}" for number in range(1, students + 1)]
    correct = [(name, trial) for name in chosen for trial in trials(name) if not trial.marks]
    return [(name, replace(trial, student=student)) for name, trial in correct for student in typed]


def main() -> int:
    """Prove the assignments named, or all; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all if none is named"
    )
    parser.add_argument("--students", type=int, default=0, metavar="N", help="correct work only, N times")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(names())):
        parser.error(f"there is no assignment {', '.join(unknown)}; there are {', '.join(names())}")
    todo, failed, start = jobs(given.names or names(), given.students), 0, time.perf_counter()
    with ProcessPoolExecutor(2) as pool:
        for name, trial, wrong, seconds in pool.map(_one, todo):
            print(f"  {'FAILED' if wrong else 'as due'}  {name}: {trial}  {seconds:.1f} s", flush=True)
            for line in wrong:
                print(f"      {line}")
            failed += bool(wrong)
    print(f"{len(todo) - failed} of {len(todo)} as they should be, in {time.perf_counter() - start:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
