"""Give marks back: a page for each student and assignment, and sheets for the instructor."""

from __future__ import annotations

import contextlib
import csv
import re
from html import escape
from typing import TYPE_CHECKING

from nbgrader.api import Gradebook, MissingEntry

from coursework.course import Course, CourseError, Note, notes
from tools.notebooks import read

if TYPE_CHECKING:
    from pathlib import Path

    import nbformat

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff; color-scheme: light dark }
h2 { border-top: 1px solid #ccc; padding-top: 1rem; margin-top: 2rem }
pre { background: #f5f4f0; padding: .7rem; overflow-x: auto; white-space: pre-wrap }
blockquote { border-left: 3px solid #ccc; margin-left: 0; padding-left: 1rem; white-space: pre-wrap }
table { border-collapse: collapse }
td, th { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ddd }
.full { color: #0a6b3d } .part { color: #8a5a00 } .none { color: #a12020 }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #1b1b1b } pre { background: #2a2a2a }
  .full { color: #6fd3a0 } .part { color: #e6b455 } .none { color: #f08a8a }
}
"""


def feedback(course: Course) -> int:
    """Write a page for each marked submission; return how many."""
    written = 0
    with course.gradebook() as book:
        for path in sorted((course.root / "autograded").glob("*/*/*.ipynb")):
            assignment, student = path.parent.name, path.parent.parent.name
            with contextlib.suppress(MissingEntry):
                submission = book.find_submission(assignment, student)
                page = _page(read(path), submission, Note.load(course, student, assignment))
                place = course.root / "feedback" / student / f"{assignment}.html"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(page, encoding="utf-8")
                written += 1
                print(f"  {student}  {assignment}", flush=True)
    print(f"{written} pages in {course.root / 'feedback'}")
    return written


def _page(notebook: nbformat.NotebookNode, submission: object, note: Note) -> str:
    marks = {g.name: g for n in submission.notebooks for g in n.grades}
    comments = {c.name: c.comment for n in submission.notebooks for c in n.comments if c.comment}
    title = next(
        (c.source.splitlines()[0].lstrip("# ") for c in notebook.cells if c.source.startswith("# ")), ""
    )
    rows, parts = [], []
    for cell, task in _tasks(notebook, set(marks)):
        grade = marks[cell.metadata.nbgrader["grade_id"]]
        waiting = grade.needs_manual_grade
        score = 0.0 if waiting else grade.score
        state = (
            "part" if waiting else "full" if score >= grade.max_score else "none" if score <= 0 else "part"
        )
        said = "to be read" if waiting else f"{score:g} of {grade.max_score:g}"
        rows.append(f'<tr><td>{escape(task)}</td><td class="{state}">{said}</td></tr>')
        parts.append(f'<h2>{escape(task)}: <span class="{state}">{said}</span></h2>')
        if cell.cell_type == "code":
            wrong, text = _said(cell)
            parts += [f'<p class="none">{escape(line[:2000])}</p>' for line in wrong]
            parts += [f"<pre>{escape(text[:4000])}</pre>"] if text.strip() else []
        else:
            parts.append(f"<blockquote>{escape(cell.source[:5000])}</blockquote>")
        if grade.name in comments and comments[grade.name] != "No response.":
            parts.append(f"<p><b>Comment:</b> {escape(comments[grade.name])}</p>")
    remarks = "".join(f"<li>{escape(r.removeprefix('! '))}</li>" for r in note.remarks)
    total = f"{submission.score:g} of {submission.max_score:g}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(note.student)}: {escape(title)}</title><style>{STYLE}</style><main>"
        f"<h1>{escape(title)}</h1><p>{escape(note.student)}: <b>{total}</b></p>"
        + (f"<ul>{remarks}</ul>" if remarks else "")
        + f"<table><tr><th>task</th><th>mark</th></tr>{''.join(rows)}</table>{''.join(parts)}</main></html>"
    )


def _tasks(notebook: nbformat.NotebookNode, marked: set[str]) -> list[tuple[nbformat.NotebookNode, str]]:
    """The cells that got a mark, each with the heading it stands under, in parts if that has several."""
    found, heading = [], ""
    for cell in notebook.cells:
        heading = next((line[3:] for line in cell.source.splitlines() if line.startswith("## ")), heading)
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in marked:
            found.append((cell, re.sub(r" \(\d+ points?\)$", "", heading) or name))
    titles = [title for _, title in found]
    return [
        (cell, f"{title}, part {titles[: k + 1].count(title)}" if titles.count(title) > 1 else title)
        for k, (cell, title) in enumerate(found)
    ]


def _said(cell: nbformat.NotebookNode) -> tuple[list[str], str]:
    """What was wrong with an answer, and all else that its cell said."""
    lines = "".join(o.get("text", "") for o in cell.outputs if o.output_type == "stream").splitlines()
    wrong = [o.evalue or o.ename for o in cell.outputs if o.output_type == "error"]
    wrong += [line.removeprefix("✗ ") for line in lines if line.startswith("✗ ")]
    return wrong, "\n".join(line for line in lines if not line.startswith("✗ "))


# --- sheets of marks ----------------------------------------------------------------------------


def grades(course: Course) -> Path:
    """Take in marks for written answers, then write the sheets; return the path of the main one."""
    assignments = course.assignments()
    sheet = course.root / "written.csv"
    with course.gradebook() as book:
        if sheet.exists():
            _take_in(book, sheet)
        table, written = _sheets(book, course, assignments)
    names = ["student", *assignments, "total", "to read", "remarks"]
    path = course.root / "grades.csv"
    _save(path, names, table)
    _save(sheet, ["student", "assignment", "task", "most", "mark", "comment", "answer"], written)
    most = _most(course, assignments)
    canvas = [{"Student": "    Points Possible", **{k: most[k] for k in assignments}}]
    canvas += [
        {
            "Student": row["student"],
            "ID": "",
            "SIS Login ID": row["student"],
            "Section": "",
            **{k: row[k] for k in assignments},
        }
        for row in table
    ]
    _save(
        course.root / "grades-canvas.csv", ["Student", "ID", "SIS Login ID", "Section", *assignments], canvas
    )
    left = sum(1 for row in written if row["mark"] == "")
    print(f"{len(table)} students in {path}")
    if left:
        print(f"{left} written answers to be read: enter marks in {sheet}, save it, and run this again")
    return path


def _most(course: Course, assignments: list[str]) -> dict[str, float | str]:
    most: dict[str, float | str] = dict.fromkeys(assignments, "")
    with course.gradebook() as book:
        return most | {a.name: a.max_score for a in book.assignments if a.name in most}


def _take_in(book: Gradebook, sheet: Path) -> None:
    with sheet.open(encoding="utf-8-sig", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            if not (row.get("mark") or "").strip():
                continue
            where = f"{sheet}, line {number}"
            try:
                mark = float(row["mark"].replace(",", "."))
                found = book.find_grade(row["task"], row["assignment"], row["assignment"], row["student"])
            except (KeyError, MissingEntry):
                raise CourseError(f"{where}: there is no such answer in the gradebook") from None
            except ValueError:
                raise CourseError(f"{where}: the mark {row['mark']!r} is not a number") from None
            if not 0 <= mark <= found.max_score:
                raise CourseError(
                    f"{where}: the mark {mark:g} does not lie between 0 and {found.max_score:g}"
                )
            found.manual_score, found.needs_manual_grade = mark, False
            if (row.get("comment") or "").strip():
                comment = book.find_comment(row["task"], row["assignment"], row["assignment"], row["student"])
                comment.manual_comment = row["comment"].strip()
    book.db.commit()


def _sheets(book: Gradebook, course: Course, assignments: list[str]) -> tuple[list[dict], list[dict]]:
    table, written = [], []
    said = {(n.student, n.assignment): [r for r in n.remarks if r.startswith("! ")] for n in notes(course)}
    for student in sorted(book.students, key=lambda s: s.id):
        row: dict[str, object] = {"student": student.id, "total": 0.0, "to read": 0, "remarks": ""}
        for name in assignments:
            try:
                found = book.find_submission(name, student.id)
            except MissingEntry:
                row[name] = ""
                continue
            row[name] = round(found.score, 3)
            row["total"] = round(row["total"] + found.score, 3)
            row["remarks"] = "; ".join(filter(None, [row["remarks"], *said.get((student.id, name), [])]))
            for grade in (g for n in found.notebooks for g in n.grades):
                if grade.cell.cell_type == "code":
                    continue
                row["to read"] += int(grade.needs_manual_grade)
                written.append(_answer(course, student.id, name, grade))
        table.append(row)
    return table, written


def _answer(course: Course, student: str, assignment: str, grade: object) -> dict[str, object]:
    path = course.root / "autograded" / student / assignment / f"{assignment}.ipynb"
    cells = read(path).cells if path.exists() else []
    text = next((c.source for c in cells if c.metadata.get("nbgrader", {}).get("grade_id") == grade.name), "")
    mark = "" if grade.needs_manual_grade else f"{grade.score:g}"
    return {
        "student": student,
        "assignment": assignment,
        "task": grade.name,
        "most": f"{grade.max_score:g}",
        "mark": mark,
        "comment": "",
        "answer": _harmless(text),
    }


def _harmless(text: str) -> str:
    """A spreadsheet must not take a student's words for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _save(path: Path, names: list[str], rows: list[dict]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.DictWriter(file, names, restval="", extrasaction="ignore")
        sheet.writeheader()
        sheet.writerows(rows)
    temporary.replace(path)
