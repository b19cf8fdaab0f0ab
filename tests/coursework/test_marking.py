"""Hidden tests see what a student answered, as plain data, and students see nothing of hidden tests."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_output

from coursework import marking

CELL = """checks.number(slope, "slope")
### BEGIN HIDDEN TESTS
import numpy as np
known = np.polyfit(data.x, data.y, 1)[0]
assert np.isclose(slope, known), "not the slope"
### END HIDDEN TESTS"""


def test_a_cell_is_split_into_what_is_seen_and_what_is_not():
    seen, hidden = marking.split(CELL)
    assert seen == 'checks.number(slope, "slope")'
    assert "HIDDEN" not in hidden
    assert hidden.startswith("import numpy")


def test_a_hidden_test_takes_from_the_student_what_nobody_else_defines():
    _, hidden = marking.split(CELL)
    assert marking.names_needed(hidden, {"data"}) == ["slope"]
    assert marking.names_needed(hidden, set()) == ["data", "slope"]
    inner = "import a.b\nfrom c import d as e\ndef f(x):\n    return x + g\n[h for i in j]\nmax(a.b, e, f(1))"
    assert marking.names_needed(inner, set()) == ["g", "h", "j"]


def outputs(hidden, **names):
    return marking.run_hidden(hidden, dict(names))


def test_a_hidden_test_that_holds_adds_nothing_and_a_number_is_a_partial_mark():
    assert outputs("assert x == 1", x=1) == []
    assert outputs("x / 2", x=3)[0].data["text/plain"] == "1.5"
    assert outputs("x == 1", x=1)[0].data["text/plain"] == "1.0"


@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        ("assert x == 2, 'Twice one is not three.'", "Twice one is not three."),
        ("assert x == 2", "The answer is not right."),
        ("x['mean']", "could not be marked: TypeError"),
    ],
)
def test_a_hidden_test_that_fails_shows_its_message_and_no_line_of_itself(hidden, said):
    (error,) = outputs(hidden, x=3)
    assert said in error.evalue
    assert "assert" not in "".join(error.traceback)
    assert "x == 2" not in "".join(error.traceback)


def test_what_a_hidden_test_prints_is_for_the_student_and_nobody_else(capsys):
    words, mark = outputs("print('The slope is not right.')\n1.5")
    assert (words.name, words.text) == ("stdout", "✗ The slope is not right.\n")
    assert mark.data["text/plain"] == "1.5"
    assert capsys.readouterr().out == ""


def test_an_error_output_is_a_lost_mark_for_nbgrader():
    error = marking.failure(AssertionError("no"))
    assert error == new_output("error", ename="AssertionError", evalue="no", traceback=["no"])
