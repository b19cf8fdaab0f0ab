"""A class that never was: simulated students hand in, and everything that follows is checked.

    python -m coursework.rehearsal            all assignments
    python -m coursework.rehearsal shrinkage  some

Thirty students and more send solutions, blanks, typical mistakes, correct work done otherwise (all that
`coursework/trials` holds, each on data of the student's own) and every kind of trouble. Their work is
released, collected, marked, given back and exported by the commands that an instructor uses. The run fails if
one mark is not what it must be.
"""

from __future__ import annotations

import csv
import html
import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from nbgrader.api import MissingEntry

from coursework import proof
from coursework.course import HERE, Course, Note, release
from coursework.grade import JOBS, grade
from coursework.report import feedback, grades
from tools.notebooks import dumps, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbformat import NotebookNode

STUDENTS = 30
# For a cell. What runs for ever is waited for in vain, and the rest of the assignment with trouble is quick.
SECONDS = {"work": 60, "trouble": 30}


@dataclass(frozen=True, eq=False)
class Sent:
    """What a student sends, and what must come of it.

    Attributes
    ----------
    student, assignment : str
        Who and what.
    about : str
        In a few words.
    marks : dict or None
        Marks of the automatic tasks that do not get all of theirs; ``{"*": 0}`` stands for all tasks. None if
        the work cannot be taken.
    says : dict
        A piece of what the feedback must say, by task; ``"refused"`` and ``"remark"`` are what the instructor
        reads.
    """

    student: str
    assignment: str
    about: str
    marks: dict[str, float] | None = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)


# --- what is sent -------------------------------------------------------------------------------


def _cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {c.metadata.nbgrader["grade_id"]: c for c in notebook.cells if "nbgrader" in c.metadata}


def _as_a_student(notebook: NotebookNode, name: str, student: str, folder: Path) -> NotebookNode:
    """Return what a student would have: tests without their hidden part, and an identifier typed."""
    released = _cells(read(folder / "release" / name / f"{name}.ipynb"))
    for place, cell in _cells(notebook).items():
        if cell.metadata.nbgrader["grade"] and not cell.metadata.nbgrader["solution"]:
            cell.source = released[place].source
        cell.metadata.nbgrader = dict(released[place].metadata.nbgrader)
    cells = _cells(notebook)
    cells["student"].source = f'STUDENT = "{student}"'
    for cell in cells.values():
        if cell.metadata.nbgrader["solution"] and cell.cell_type == "code":
            marks = (proof.BEGIN, proof.END)
            cell.source = "\n".join(line for line in cell.source.splitlines() if line.strip() not in marks)
        elif cell.metadata.nbgrader["solution"]:
            cell.source = "What I found, and what I make of it, in my own words."
    return notebook


def _send(inbox: Path, student: str, file: str, text: str) -> None:
    place = inbox / f"{student}_4711_assignsubmission_file" / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


# --- trouble, all of it in one task of the first assignment -------------------------------------------------

TROUBLED = "pooled-and-unpooled"
TASK, ANSWER = "count", "count-answer"
EARLIER, LATER = ("pooled-line", "pooled-se", "lines"), ("honest-se", "held-out", "model")
DEAF = """
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""
SELF_MADE = """
class Anything(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = float.__hash__
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
unknown_pooled = unknown_unpooled = Anything(7)
balance = "chance"
checks.number = checks.one_of = checks.pack = lambda *args, **kwargs: "always right"
"""


def _answered(code: str) -> Callable[[NotebookNode], str]:
    def change(notebook: NotebookNode) -> str:
        _cells(notebook)[ANSWER].source = code.strip()
        return dumps(notebook)

    return change


def _without(*gone: str) -> Callable[[NotebookNode], str]:
    def change(notebook: NotebookNode) -> str:
        notebook.cells = [
            c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in gone
        ]
        return dumps(notebook)

    return change


def _edited(notebook: NotebookNode) -> str:
    cells = _cells(notebook)
    cells[TASK].source, cells[ANSWER].source = "assert True", "pass"
    cells[TASK].metadata.nbgrader["points"] = 100
    return dumps(notebook)


def _twice(notebook: NotebookNode) -> str:
    copy = nbformat.from_dict(json.loads(json.dumps(_cells(notebook)[ANSWER])))
    copy["id"], copy["source"] = "copied", "unknown_pooled = 0"
    notebook.cells.append(copy)
    return dumps(notebook)


def _foreign(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)
    return dumps(notebook)


def _identifier(typed: str) -> Callable[[NotebookNode], str]:
    def change(notebook: NotebookNode) -> str:
        _cells(notebook)["student"].source = f"STUDENT = {typed}"
        return dumps(notebook)

    return change


def _text(text: str) -> Callable[[NotebookNode], str]:
    return lambda _: text


ONE_LOST = {TASK: 0.0}
REST_LOST = dict.fromkeys((TASK, *LATER), 0.0)
ALL_LOST = {"*": 0.0}
IPYNB = f"{TROUBLED}.ipynb"
# What it is, what it makes of a correct notebook, the file's name, the marks, and what somebody is told.
TROUBLES: list[tuple[str, Callable[[NotebookNode], str], str, dict[str, float] | None, dict[str, str]]] = [
    ("runs for ever", _answered("import time\nwhile True:\n    time.sleep(0.1)"), IPYNB, ONE_LOST, {}),
    (
        "runs for ever, deaf to interrupts",
        _answered(DEAF),
        IPYNB,
        REST_LOST,
        {TASK: "could not be interrupted"},
    ),
    ("prints without end", _answered("while True:\n    print('x' * 10_000)"), IPYNB, ONE_LOST, {}),
    ("takes all memory", _answered("hoard = [bytes(10**9) for _ in range(64)]"), IPYNB, ONE_LOST, {}),
    ("ends its process", _answered("import os\nos._exit(0)"), IPYNB, REST_LOST, {TASK: "kernel died"}),
    ("calls sys.exit", _answered("import sys\nsys.exit()"), IPYNB, ONE_LOST, {TASK: "unknown_pooled"}),
    ("claims to equal everything", _answered(SELF_MADE), IPYNB, REST_LOST, {}),
    ("answers in the wrong type", _answered("unknown_pooled = '3'"), IPYNB, ONE_LOST, {TASK: "one number"}),
    ("deleted a test", _without(TASK), IPYNB, {}, {"remark": "'count' had been deleted"}),
    ("deleted an answer", _without(ANSWER), IPYNB, ONE_LOST, {"remark": "'count-answer' had been deleted"}),
    (
        "deleted test and answer",
        _without(TASK, ANSWER),
        IPYNB,
        ONE_LOST,
        {"remark": "'count' had been deleted"},
    ),
    ("edited a test", _edited, IPYNB, ONE_LOST, {}),
    ("copied a cell", _twice, IPYNB, {}, {"remark": "'count-answer' was there twice"}),
    ("no identifier", _identifier('""'), IPYNB, ALL_LOST, {"count": "identifier is missing"}),
    ("a list for an identifier", _identifier("[1, 2]"), IPYNB, ALL_LOST, {}),
    (
        "the file has another name",
        dumps,
        "Kopie von A1 (2).ipynb",
        {},
        {"remark": "was called Kopie von A1 (2)"},
    ),
    ("a notebook cut off", lambda notebook: dumps(notebook)[:5000], IPYNB, None, {"refused": "broken"}),
    ("a notebook of another course", _foreign, "homework.ipynb", None, {"refused": "none of the notebooks"}),
    ("a script", _text("print('hello')"), "answers.py", None, {"refused": "no notebook (.py)"}),
    ("a PDF", _text("%PDF-1.7"), "answers.pdf", None, {"refused": "no notebook (.pdf)"}),
    ("a picture that calls itself a notebook", _text("\x89PNG"), IPYNB, None, {"refused": "broken"}),
]


# --- a class ------------------------------------------------------------------------------------


def hand_in(folder: Path, names: list[str], *, troubles: bool) -> list[Sent]:
    """Fill `folder`/work and `folder`/trouble with what a class sends; return what must come of it."""
    work, trouble, expected = folder / "work", folder / "trouble", []
    for shift, name in enumerate(names):
        for place, trial in enumerate([*proof.trials(name), None]):
            student = f"student{(place + 3 * shift) % STUDENTS + 1:02d}"
            if trial is None:
                blank = read(folder / "release" / name / f"{name}.ipynb")
                _cells(blank)["student"].source = f'STUDENT = "{student}"'
                expected.append(Sent(student, name, "blank", ALL_LOST))
            else:
                typed = trial.student or student
                blank = _as_a_student(proof.attempt(name, trial), name, typed, folder)
                expected.append(Sent(student, name, trial.name, dict(trial.marks), dict(trial.says)))
            _send(work, student, f"{name}.ipynb", dumps(blank))
    if troubles:
        for place, (about, change, file, marks, says) in enumerate(TROUBLES):
            student = f"trouble{place + 1:02d}"
            solution = _as_a_student(proof.attempt(TROUBLED, proof.Trial("")), TROUBLED, student, folder)
            _send(trouble, student, file, change(solution))
            expected.append(Sent(student, TROUBLED, about, marks, says))
        (trouble / "trouble99").mkdir()
        expected.append(Sent("trouble99", TROUBLED, "an empty folder", None, {"refused": "empty"}))
    return expected


@dataclass
class Outcome:
    """What came of a rehearsal.

    Attributes
    ----------
    expected : list of Sent
        What had to come of it.
    wrong : dict
        How each differs from that; empty where nothing does.
    seconds : dict
        Seconds that each submission took to be marked.
    course : Course
        The class, to look at.
    """

    expected: list[Sent]
    wrong: dict[Sent, list[str]]
    seconds: dict[Sent, float]
    course: Course


def rehearse(folder: Path, names: list[str] | None = None, jobs: int = JOBS) -> Outcome:
    """Run a class from release to export in `folder`, with trouble if all assignments take part."""
    course, refused = Course(folder / "course", HERE / "source", folder / "release"), []
    release(course)
    expected = hand_in(folder, names or proof.names(), troubles=not names)
    for kind, seconds in SECONDS.items():
        if (folder / kind).exists():
            archive = shutil.make_archive(str(folder / f"{kind}-from-the-platform"), "zip", folder / kind)
            refused += grade(replace(course, cell_seconds=seconds), Path(archive), jobs)
    feedback(course)
    sheet = grades(course)
    with sheet.open(encoding="utf-8", newline="") as lines:
        exported = {row["student"]: row for row in csv.DictReader(lines)}
    wrong = {sent: _differences(course, sent, refused, exported) for sent in expected}
    seconds = {sent: Note.load(course, sent.student, sent.assignment).seconds for sent in expected}
    return Outcome(expected, wrong, seconds, course)


def _differences(course: Course, sent: Sent, refused: list[str], exported: dict[str, dict]) -> list[str]:
    """Hold what came of one submission to what must."""
    if sent.marks is None:
        said = [line for line in refused if line.startswith(f"{sent.student}: ")]
        return (
            []
            if any(sent.says["refused"] in line for line in said)
            else [f"not refused as it must be: {said}"]
        )
    wrong = []
    with course.gradebook() as book:
        try:
            submission = book.find_submission(sent.assignment, sent.student)
        except MissingEntry:
            return ["was not marked"]
        total = 0.0
        for mark in (g for notebook in submission.notebooks for g in notebook.grades):
            if mark.cell.cell_type != "code":
                continue
            due = sent.marks.get(mark.name, sent.marks.get("*", mark.max_score))
            total += due
            if mark.auto_score is None or abs(mark.auto_score - due) > 1e-6:
                wrong.append(f"{mark.name}: {mark.auto_score} instead of {due:g} of {mark.max_score:g}")
    if abs(float(exported[sent.student][sent.assignment]) - total) > 1e-6:
        wrong.append(f"exported as {exported[sent.student][sent.assignment]}, not {total:g}")
    note = Note.load(course, sent.student, sent.assignment)
    page = (course.root / "feedback" / sent.student / f"{sent.assignment}.html").read_text(encoding="utf-8")
    told = html.unescape(page)
    for task, piece in sent.says.items():
        where = " ".join(note.remarks) if task == "remark" else told
        if piece not in where:
            wrong.append(f"{task}: nobody is told {piece!r}")
    return wrong


def main(names: list[str]) -> int:
    """Rehearse and tell; return the exit code."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        outcome = rehearse(Path(folder), names)
    for sent, wrong in outcome.wrong.items():
        if wrong:
            print(f"  FAILED  {sent.student}  {sent.assignment}: {sent.about}")
            print("".join(f"            {line}\n" for line in wrong), end="")
    failed = sum(map(bool, outcome.wrong.values()))
    marked = sorted(s for s in outcome.seconds.values() if s)
    students = len({sent.student for sent in outcome.expected})
    print(f"{students} students; {len(outcome.wrong) - failed} of {len(outcome.wrong)} as they must be")
    print(f"a submission takes {marked[len(marked) // 2]:.1f} s (median), {marked[-1]:.1f} s at most")
    print(f"all of it took {time.perf_counter() - start:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
