"""A whole class, from release to export: every solution, blank, mistake and trouble comes to what it must."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from coursework import marking, proof
from coursework.course import Note
from coursework.rehearsal import ALL_LOST, STUDENTS, TROUBLED, TROUBLES, Outcome, rehearse

if TYPE_CHECKING:
    from coursework.rehearsal import Sent

CASES = [(name, trial.name) for name in proof.names() for trial in proof.trials(name)]
CASES += [(name, "blank") for name in proof.names()]
CASES += [(TROUBLED, trouble[0]) for trouble in TROUBLES] + [(TROUBLED, "an empty folder")]


@pytest.fixture(scope="module")
def outcome(sandboxed: None, tmp_path_factory: pytest.TempPathFactory) -> Outcome:  # noqa: ARG001  # it may skip
    return rehearse(tmp_path_factory.mktemp("class"))


def sent(outcome: Outcome, name: str, about: str) -> Sent:
    return next(one for one in outcome.expected if (one.assignment, one.about) == (name, about))


def hidden_lines() -> list[str]:
    cells = [c for name in proof.names() for c in proof.notebook(name).cells if c.cell_type == "code"]
    lines = {line.strip() for c in cells for line in marking.split(c.source)[1].splitlines()}
    return [line for line in lines if len(line) > 20]


@pytest.mark.parametrize(("name", "about"), CASES)
def test_work_gets_the_marks_and_the_words_it_must(outcome, name, about):
    assert outcome.wrong[sent(outcome, name, about)] == []


def test_a_blank_must_get_nothing_and_a_solution_everything(outcome):
    for name in proof.names():
        assert sent(outcome, name, "blank").marks == ALL_LOST
        assert sent(outcome, name, "solution").marks == {}


def test_the_class_is_large_and_nobody_is_missing(outcome):
    assert len({one.student for one in outcome.expected}) >= STUDENTS
    marked = [one for one in outcome.expected if one.marks is not None]
    assert all(outcome.seconds[one] > 0 for one in marked)


def test_pages_show_no_line_of_a_hidden_test_or_of_a_model_answer(outcome):
    lines = hidden_lines()
    assert len(lines) > 20
    pages = sorted((outcome.course.root / "feedback").glob("*/*.html"))
    assert len(pages) == sum(one.marks is not None for one in outcome.expected)
    for page in pages:
        text = html.unescape(page.read_text(encoding="utf-8"))
        assert not [line for line in lines if line in text], page
        assert "HIDDEN" not in text
        titles = re.findall(r"<h2>(.*?): <span", text)
        assert len(set(titles)) == len(titles) > 4, page
        assert not re.search(r"https?://|<script", text), page
        if page.parent.name != sent(outcome, page.stem, "solution").student:
            assert "BEGIN SOLUTION" not in text


def test_every_identifier_is_the_one_that_was_typed(outcome):
    pinned = {(name, t.name): t.student for name in proof.names() for t in proof.trials(name) if t.student}
    checked = 0
    for one in outcome.expected:
        if one.student.startswith("student"):
            note = Note.load(outcome.course, one.student, one.assignment)
            assert note.identifier == pinned.get((one.assignment, one.about), one.student)
            checked += 1
    assert checked > STUDENTS
