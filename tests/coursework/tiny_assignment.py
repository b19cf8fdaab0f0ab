"""An assignment that needs no package: what the tests of the commands work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode


def cell(kind: str, name: str, source: str, points: int | None = None) -> NotebookNode:
    """A cell as nbgrader wants it: `given`, `solution`, `test` or `written`."""
    text = kind == "written"
    made = (new_markdown_cell if text else new_code_cell)(source)
    made["id"] = name
    made.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": name,
        "grade": kind in ("test", "written"),
        "solution": kind in ("solution", "written"),
        "locked": kind in ("given", "test"),
        "task": False,
        "cell_type": "markdown" if text else "code",
    } | ({} if points is None else {"points": points})
    return made


def tiny() -> NotebookNode:
    """An assignment that needs no package: two tasks on a number of the student's own, and one in words."""
    begin, end = "### BEGIN SOLUTION", "### END SOLUTION"
    hidden, over = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
    return new_notebook(
        cells=[
            new_markdown_cell("# A tiny assignment"),
            cell("solution", "student", f'STUDENT = ""\n{begin}\nSTUDENT = "ada"\n{end}'),
            cell("given", "data", "secret = 7 * len(STUDENT)\nassert STUDENT, 'type an identifier'"),
            cell("solution", "double-answer", f"{begin}\ndouble = 2 * secret\n{end}"),
            cell(
                "test",
                "double",
                f"assert double > 0, 'double is positive'\n{hidden}\n"
                f"assert double == 14 * len(STUDENT), 'This is not twice the number.'\n{over}",
                2,
            ),
            new_markdown_cell("## 2. Powers (3 points)"),
            cell("solution", "powers-answer", f"{begin}\ndef power(n):\n    return secret**n\n{end}"),
            cell(
                "test",
                "powers",
                f"found = [power(n) for n in (0, 1, 2)]\n{hidden}\n"
                f"1.0 * (found[0] == 1) + 2.0 * (found[1:] == [secret, secret**2])\n{over}",
                3,
            ),
            cell("written", "words", f"{begin}\nBecause it is so.\n{end}", 4),
        ]
    )
