"""The commands an instructor uses, on a tiny assignment from a private folder."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_assignment import tiny

from coursework.__main__ import main
from coursework.collect import collect, repair
from coursework.course import Course, CourseError, notes, release
from coursework.grade import grade, pending
from coursework.report import feedback, grades
from tools.notebooks import dumps, read, write

ROOT = Path(__file__).resolve().parents[2]


def work(course: Course, student: str, **answers: str) -> str:
    """A student's notebook: the release with some cells filled in, and the rest as in the solution."""
    released = read(course.release / "tiny" / "tiny.ipynb")
    solution = {
        "double-answer": "double = 2 * secret",
        "powers-answer": "def power(n):\n    return secret**n",
    }
    filled = {"student": f'STUDENT = "{student}"', **solution, **answers}
    for cell in released.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = filled.get(name, cell.source)
    return dumps(released)


@pytest.fixture
def inbox(course: Course, tmp_path: Path) -> Path:
    """Three students' work: all right, half right, and none."""
    release(course, say=False)
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "ada.ipynb").write_text(work(course, "ada"))
    (folder / "bob.ipynb").write_text(work(course, "bob", **{"powers-answer": "power = lambda n: 1"}))
    (folder / "eve.ipynb").write_text(work(course, "eve", **{"double-answer": "", "powers-answer": ""}))
    return folder


def marks(course: Course) -> dict[str, float]:
    path = grades(course)
    with path.open(encoding="utf-8", newline="") as lines:
        return {row["student"]: float(row["tiny"]) for row in csv.DictReader(lines)}


# --- release ------------------------------------------------------------------------------------


def test_a_release_has_neither_solutions_nor_hidden_tests(course):
    release(course, say=False)
    text = (course.release / "tiny" / "tiny.ipynb").read_text()
    for gone in ("SOLUTION", "HIDDEN", "2 * secret", "secret**n", "14 *", "Because", '"ada\\"'):
        assert gone not in text
    assert "Your code here" in text


def test_the_private_folder_is_where_hb_source_says(course, monkeypatch, capsys):
    monkeypatch.setenv("HB_SOURCE", str(course.source))
    monkeypatch.setenv("HB_COURSE", str(course.root))
    assert main(["release"]) == 0
    assert (course.root / "release" / "tiny" / "tiny.ipynb").exists()
    monkeypatch.setenv("HB_SOURCE", str(course.root / "nowhere"))
    assert main(["release"]) == 1
    assert "HB_SOURCE should name" in capsys.readouterr().err


def test_a_misspelt_marker_stops_the_release_and_leaves_the_one_before(course):
    release(course, say=False)
    before = (course.release / "tiny" / "tiny.ipynb").read_text()
    path = course.source / "tiny" / "tiny.ipynb"
    text = path.read_text()
    path.write_text(text.replace("### END HIDDEN TESTS", "### END HIDEN TESTS", 1))
    with pytest.raises(CourseError, match="tiny: no release could be made"):
        release(course, say=False)
    assert (course.release / "tiny" / "tiny.ipynb").read_text() == before


# --- collect ------------------------------------------------------------------------------------


def test_lost_cells_are_put_back_where_they_were(course):
    release(course, say=False)
    blank = read(course.release / "tiny" / "tiny.ipynb")
    whole = [c.metadata.nbgrader.grade_id for c in blank.cells if "nbgrader" in c.metadata]
    for gone in [{whole[0]}, {whole[2], whole[3]}, set(whole[1:]), {whole[-1]}]:
        notebook = read(course.release / "tiny" / "tiny.ipynb")
        notebook.cells = [
            c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") not in gone
        ]
        done = repair(notebook, blank)
        assert len(done) == len(gone)
        assert [c.metadata.nbgrader.grade_id for c in notebook.cells if "nbgrader" in c.metadata] == whole


def test_an_undamaged_notebook_needs_no_repair(course):
    release(course, say=False)
    blank, same = (read(course.release / "tiny" / "tiny.ipynb") for _ in range(2))
    assert repair(same, blank) == []
    assert dumps(same) == dumps(blank)


def test_the_newest_of_several_notebooks_counts(course, inbox):
    (inbox / "ada.ipynb").unlink()
    (inbox / "ada").mkdir()
    for age, name in enumerate(["second try.ipynb", "first try.ipynb"]):
        path = inbox / "ada" / name
        path.write_text(work(course, "ada", **{"double-answer": f"double = {age}"}))
        os.utime(path, (1e9 - age, 1e9 - age))
    assert collect(course, inbox) == []
    kept = (course.root / "submitted" / "ada" / "tiny" / "tiny.ipynb").read_text()
    assert "double = 0" in kept
    remark = next(note for note in notes(course) if note.student == "ada").remarks[-1]
    assert "second try.ipynb, counts, not first try.ipynb" in remark


def test_an_inbox_that_is_not_there_is_one_clear_line(course, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HB_SOURCE", str(course.source))
    monkeypatch.setenv("HB_COURSE", str(course.root))
    monkeypatch.setenv("HB_UNSAFE", "1")
    assert main(["grade", str(tmp_path / "nowhere")]) == 1
    assert "name the folder or ZIP file" in capsys.readouterr().err
    (tmp_path / "broken.zip").write_text("no archive")
    assert main(["grade", str(tmp_path / "broken.zip")]) == 1
    assert "download it again" in capsys.readouterr().err


# --- grade --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sandboxed")
def test_marks_pages_and_sheets_of_a_small_class(course, inbox, capsys):
    grade(course, inbox)
    assert marks(course) == {"ada": 5.0, "bob": 3.0, "eve": 0.0}
    assert feedback(course) == 3
    page = (course.root / "feedback" / "bob" / "tiny.html").read_text()
    assert '2. Powers, part 1: <span class="part">1 of 3</span>' in page
    eve = (course.root / "feedback" / "eve" / "tiny.html").read_text()
    assert "name &#x27;double&#x27; is not defined" in eve
    for text in (page, eve):
        for secret in ("HIDDEN", "14 *", "secret**2", "http", "<script"):
            assert secret not in text
    said = capsys.readouterr().out
    assert "[  3/3]" in said
    # What is marked is not marked again, and what is sent anew is.
    grade(course, inbox)
    assert "0 to mark" in capsys.readouterr().out
    (inbox / "eve.ipynb").write_text(work(course, "eve"))
    grade(course, inbox)
    assert "1 to mark" in capsys.readouterr().out
    assert marks(course) == {"ada": 5.0, "bob": 3.0, "eve": 5.0}
    # A test that is changed is a reason to mark all of it again.
    notebook = tiny()
    notebook.cells[4].source = notebook.cells[4].source.replace("14 *", "15 *")
    write(notebook, course.source / "tiny" / "tiny.ipynb")
    assert len(pending(course)) == 3
    grade(course)
    assert marks(course) == {"ada": 3.0, "bob": 1.0, "eve": 3.0}


@pytest.mark.usefixtures("sandboxed")
def test_written_answers_are_marked_in_a_sheet(course, inbox):
    (inbox / "ada.ipynb").write_text(work(course, "ada", words="=HYPERLINK(1)"))
    (inbox / "bob.ipynb").unlink()
    grade(course, inbox)
    grades(course)
    sheet = course.root / "written.csv"
    with sheet.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["student"], row["mark"]) for row in rows] == [("ada", ""), ("eve", "0")]
    assert rows[0]["answer"] == "'=HYPERLINK(1)"  # no formula in the instructor's spreadsheet
    rows[0] |= {"mark": "3,5", "comment": "Well <said>."}

    def save(entries):
        with sheet.open("w", encoding="utf-8", newline="") as file:
            written = csv.DictWriter(file, rows[0].keys())
            written.writeheader()
            written.writerows(entries)

    save(rows)
    assert marks(course) == {"ada": 8.5, "eve": 0.0}
    feedback(course)
    assert "Well &lt;said&gt;." in (course.root / "feedback" / "ada" / "tiny.html").read_text()
    for bad, said in [("5", "between 0 and 4"), ("many", "not a number")]:
        save([rows[0] | {"mark": bad}])
        with pytest.raises(CourseError, match=said):
            grades(course)
    save([rows[0] | {"task": "nothing"}])
    with pytest.raises(CourseError, match="line 2: there is no such answer"):
        grades(course)


@pytest.mark.usefixtures("sandboxed")
def test_a_run_that_was_killed_goes_on_where_it_was(course, inbox):
    for student in ("fay", "guy", "ivy"):
        (inbox / f"{student}.ipynb").write_text(work(course, student))
    environment = os.environ | {"HB_SOURCE": str(course.source), "HB_COURSE": str(course.root)}
    shared = {"env": environment, "cwd": ROOT, "text": True}
    command = [sys.executable, "-m", "coursework", "grade", str(inbox), "--jobs", "1"]
    first = subprocess.Popen(command, **shared, stdout=subprocess.PIPE, start_new_session=True)
    for line in first.stdout:
        if "[  2/6]" in line:
            break
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    time.sleep(0.5)
    done = {note.student for note in notes(course) if note.digest}
    assert 2 <= len(done) < 6
    second = subprocess.run(command, **shared, capture_output=True, check=True)
    assert f"{6 - len(done)} to mark" in second.stdout
    assert not any(f"] {student} " in second.stdout for student in done)
    course = Course(course.root, course.source, course.root / "release")
    assert marks(course) == {"ada": 5.0, "bob": 3.0, "eve": 0.0, "fay": 5.0, "guy": 5.0, "ivy": 5.0}


@pytest.mark.usefixtures("sandboxed")
def test_students_who_share_an_identifier_are_named(course, inbox, capsys):
    (inbox / "bob.ipynb").write_text(work(course, "ada"))
    grade(course, inbox)
    assert "ada, bob typed the same identifier, 'ada'" in capsys.readouterr().out
