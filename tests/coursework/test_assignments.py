"""The assignments as they are kept: complete, released as they should be, and guarded against slips."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from coursework import marking, proof
from coursework.course import Course, CourseError, release
from tools.notebooks import read, write

ROOT = Path(__file__).resolve().parents[2]
NAMES = proof.names()
EXPECTED = {
    "pooled-and-unpooled",
    "partial-pooling",
    "hyperpriors-and-dial",
    "covariance",
    "inference-and-checking",
    "comparing",
    "shrinkage",
    "decision",
}


def cells(name: str, kind: str = "source"):
    return {
        c.metadata.nbgrader["grade_id"]: c
        for c in proof.notebook(name, kind).cells
        if "nbgrader" in c.metadata
    }


def tasks_of(name: str):
    return {k: c for k, c in cells(name).items() if c.metadata.nbgrader["grade"] and c.cell_type == "code"}


def test_all_eight_are_there():
    assert set(NAMES) == EXPECTED


def titled(name: str) -> list[int]:
    """Points in the titles of the tasks, in order."""
    text = "\n".join(c.source for c in proof.notebook(name).cells if c.cell_type == "markdown")
    return [int(points) for points in re.findall(r"(?m)^## .*\((\d+) points?\)$", text)]


@pytest.mark.parametrize("name", NAMES)
def test_tasks_and_written_answers_are_as_many_as_promised(name):
    written = [c for c in cells(name).values() if c.metadata.nbgrader["grade"] and c.cell_type == "markdown"]
    assert 1 <= len(written) <= 2
    assert 5 <= len(titled(name)) - len(written) <= 8
    for cell in written:
        assert "**Rubric.**" in cell.source
        assert cell.source.startswith(proof.BEGIN)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_a_visible_check_and_a_hidden_test_and_tells_nothing_by_number(name):
    for task, cell in tasks_of(name).items():
        seen, hidden = marking.split(cell.source)
        assert "checks." in seen, task
        assert hidden.strip(), task
        ast.parse(seen)
        ast.parse(hidden)
        # What an f-string would put into a message might be the answer.
        messages = [n for n in ast.walk(ast.parse(hidden)) if isinstance(n, ast.Assert)]
        assert not [m for m in messages if isinstance(m.msg, ast.JoinedStr)], task
        assert all(m.msg is not None for m in messages), task


@pytest.mark.parametrize("name", NAMES)
def test_points_of_cells_are_those_of_the_titles_and_of_the_instructors_table(name):
    graded = [c.metadata.nbgrader for c in cells(name).values() if c.metadata.nbgrader["grade"]]
    points = sum(data["points"] for data in graded)
    written = sum(data["points"] for data in graded if data["solution"])
    assert sum(titled(name)) == points
    table = (ROOT / "chapters" / "instructors.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if f"`{name}`" in line]
    assert f"| {points - written:g} + {written:g} |" in row


@pytest.mark.parametrize("name", NAMES)
def test_the_first_cell_is_blank_and_data_are_the_students_own(name):
    assert cells(name, "release")["student"].source.startswith('STUDENT = ""')
    given = "\n".join(c.source for c in cells(name).values() if c.metadata.nbgrader["locked"])
    assert f'hb.seed_from(STUDENT, "{name}")' in given


# --- releases -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """All assignments, released again."""
    folder = tmp_path_factory.mktemp("release")
    release(Course(folder / "course", proof.HERE / "source", folder / "release"), say=False)
    return folder / "release"


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_release_is_the_one_that_the_source_gives(fresh, name):
    kept = proof.HERE / "release" / name / f"{name}.ipynb"
    assert kept.read_bytes() == (fresh / name / f"{name}.ipynb").read_bytes(), "run `make release`"


@pytest.mark.parametrize("name", NAMES)
def test_a_release_holds_no_solution_no_hidden_test_and_no_rubric(name):
    text = (proof.HERE / "release" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    assert not re.search("SOLUTION|HIDDEN|Rubric", text)
    released = cells(name, "release")
    for place, cell in cells(name).items():
        data = cell.metadata.nbgrader
        if data["grade"] and not data["solution"]:
            assert released[place].source == marking.split(cell.source)[0]
        elif data["solution"]:
            secret = "\n".join(re.findall(f"(?s){proof.BEGIN}\n(.*?){proof.END}", cell.source))
            assert len(secret) > 10
            for line in secret.splitlines():
                assert len(line.strip()) < 12 or line not in released[place].source


# --- mutations ----------------------------------------------------------------------------------

SLIP = "pooled-and-unpooled"


def mutated(monkeypatch, place: str, old: str, new: str) -> None:
    """Let the assignment's source have a slip in one cell."""
    whole = proof.notebook

    def changed(name: str, kind: str = "source"):
        notebook = whole(name, kind)
        if kind == "source":
            cell = next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == place)
            assert old in cell.source
            cell.source = cell.source.replace(old, new)
        return notebook

    monkeypatch.setattr(proof, "notebook", changed)


@pytest.mark.usefixtures("sandboxed")
@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("count-answer", "3 * 14", "2 * 14"),
        ("count", "== 42", "== 28"),
        ("honest-se", "scipy.stats.sem(known)", "known.std(ddof=1)"),
    ],
    ids=["a wrong solution", "a wrong count in a hidden test", "a wrong formula in a hidden test"],
)
def test_a_slip_in_solution_or_test_is_noticed(monkeypatch, place, old, new):
    mutated(monkeypatch, place, old, new)
    assert proof.problems(SLIP, proof.Trial("solution"))


@pytest.mark.usefixtures("sandboxed")
def test_a_hidden_test_that_lets_a_mistake_pass_is_noticed(monkeypatch):
    mutated(monkeypatch, "lines", 'np.allclose(slopes, known[:, 1]), "The slopes', 'True, "The slopes')
    mutated(monkeypatch, "lines", "assert not np.allclose(np.sort", "assert True or not np.allclose(np.sort")
    trial = next(t for t in proof.trials(SLIP) if "alphabet" in t.name)
    assert proof.problems(SLIP, trial)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"points": 2', '"points": 3'), ("Fourteen people solve", "Fifteen people solve")],
    ids=["a weight", "a word"],
)
def test_a_changed_weight_or_word_changes_the_release(tmp_path, old, new):
    source = tmp_path / "source" / SLIP
    source.mkdir(parents=True)
    text = (proof.HERE / "source" / SLIP / f"{SLIP}.ipynb").read_text(encoding="utf-8")
    assert old in text
    (source / f"{SLIP}.ipynb").write_text(text.replace(old, new, 1), encoding="utf-8")
    release(Course(tmp_path / "course", source.parent, tmp_path / "release"), say=False)
    kept = proof.HERE / "release" / SLIP / f"{SLIP}.ipynb"
    assert kept.read_bytes() != (tmp_path / "release" / SLIP / f"{SLIP}.ipynb").read_bytes()


@pytest.mark.parametrize(
    "marker", ["BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"]
)
@pytest.mark.parametrize("slip", ["### {}X", "###{}"])
def test_a_misspelt_marker_stops_the_release_and_is_named(tmp_path, marker, slip):
    source = tmp_path / "source" / SLIP
    source.mkdir(parents=True)
    notebook = read(proof.HERE / "source" / SLIP / f"{SLIP}.ipynb")
    cell = [c for c in notebook.cells if f"### {marker}" in c.source][-1]
    cell.source = cell.source.replace(f"### {marker}", slip.format(marker))
    write(notebook, source / f"{SLIP}.ipynb")
    with pytest.raises(CourseError, match=f"{cell.metadata.nbgrader['grade_id']}'"):
        release(Course(tmp_path / "course", source.parent, tmp_path / "release"), say=False)
    assert not (tmp_path / "release").exists()


# --- the rules for trials -----------------------------------------------------------------------


def kept(tmp_path, monkeypatch, text: str):
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "it.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(proof, "HERE", tmp_path)
    return proof.trials("it")


MISTAKE = '[[mistake]]\nname = "a"\ncells.x = "1"\nmarks = { t = 0 }\nsays = { t = "no" }\n'
OTHER = '[[alternative]]\nname = "b"\ncells.x = "1"\n'


def test_trials_are_read(tmp_path, monkeypatch):
    found = kept(tmp_path, monkeypatch, 4 * MISTAKE + OTHER)
    assert [t.name for t in found] == ["solution", "a", "a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (3 * MISTAKE + OTHER, "4 mistakes"),
        (4 * MISTAKE, "1 other solution"),
        (4 * MISTAKE.replace("marks = { t = 0 }", "marks = {}") + OTHER, "needs marks"),
        (4 * MISTAKE + OTHER + "marks = { t = 1 }", "every mark"),
    ],
)
def test_a_list_of_trials_that_proves_too_little_is_refused(tmp_path, monkeypatch, text, said):
    with pytest.raises(ValueError, match=said):
        kept(tmp_path, monkeypatch, text)


def test_a_trial_must_answer_in_a_students_cell():
    with pytest.raises(ValueError, match="no cell 'lines'"):
        proof.attempt(SLIP, proof.Trial("it", {"lines": "1"}))


def test_only_correct_work_is_tried_on_many_students_data():
    found = proof.jobs([SLIP], 3)
    correct = [trial.name for trial in proof.trials(SLIP) if not trial.marks]
    students = ["student01", "student02", "student03"]
    assert [(t.name, t.student) for _, t in found] == [(name, s) for name in correct for s in students]
    assert (SLIP, None) in proof.jobs([SLIP])


def test_an_unknown_assignment_is_named(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["proof", "nonsense"])
    with pytest.raises(SystemExit):
        proof.main()
    assert "there is no assignment nonsense" in capsys.readouterr().err
