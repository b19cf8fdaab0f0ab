"""The exercises' self-checks accept a right answer, refuse a wrong one, and wait while there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hbutils as hb

ROOT = Path(__file__).resolve().parents[2]


def sleep():
    return hb.load_sleepstudy()


def school_k():
    schools = hb.load_schools()
    schools = hb.GroupedData(schools.y, schools.group, schools.labels)
    summary = hb.exact_posterior(schools).summary()["mean"]
    return float(summary["sigma"] ** 2 / summary["sigma_alpha"] ** 2)


def wide():
    return pd.DataFrame({"subject": ["a", "b"], "d0": [1.0, 2.0], "d1": [np.nan, 3.0]})


def centred_line():
    data = sleep()
    return stats.linregress(data.x - 4.5, data.y)[:2]


S, R = np.array([[400.0, -32.0], [-32.0, 16.0]]), np.sqrt
# What the cell needs, a right answer by another road than the check's, and a wrong one.
ANSWERS = {
    "01": (dict, lambda: hb.shrinkage_weight(np.full(12, 3), 130.0, 60.0), lambda: [0.4] * 11 + [0.5]),
    "02": (
        lambda: {"data": sleep()},
        lambda: [
            stats.linregress(sleep().x[rows], 1000 / sleep().y[rows]).slope
            for rows in np.split(np.arange(180), 18)
        ],
        lambda: hb.least_squares(sleep())["beta"],
    ),
    "03": (lambda: {"data": sleep()}, centred_line, lambda: np.polyfit(sleep().x, sleep().y, 1)),
    "04": (dict, lambda: (3 * 160, 2 * 160 + 1), lambda: (480, 320)),
    "05": (dict, lambda: 5, lambda: 0.2),
    "06": (lambda: {"interval": (200.0, 490.0)}, lambda: (290.0, 400.0), lambda: (150.0, 490.0)),
    "07": (dict, lambda: hb.GammaPrecision(0.1, 1e-7), lambda: hb.GammaPrecision(0.1, 1e-4)),
    "08": (lambda: {"noise": 130.0}, lambda: 130**2 / 30**2, lambda: 130 / 30),
    "09": (dict, lambda: np.linalg.cholesky(S), lambda: S),
    "10": (dict, lambda: 3600, lambda: 2000),
    "11": (dict, lambda: 180 * np.log(1000), lambda: -180 * np.log(1000)),
    "12": (lambda: {"k": school_k()}, lambda: round(19 * school_k(), 1), lambda: 50),
    "13": (dict, lambda: 1 / 19, lambda: 1 / 20),
    "14": (lambda: {"wide": wide()}, lambda: wide().melt("subject").dropna(), lambda: wide().melt("subject")),
    "15": (
        lambda: {"J": 1_000_000, "sd": {"mu_beta": 0.0072}},
        lambda: (6.37**2 + 25.81**2 / (10 * 81 / 12)) / 0.1**2,
        lambda: 1_000_000 * 0.0072 / 0.1,
    ),
    "16": (dict, lambda: (36, 144), lambda: (36, 72)),
    "17": (
        dict,
        lambda: [R((0.25 + 1 / n) / j) for j, n in [(3, 20), (12, 5), (30, 2)]],
        lambda: [0.5 / R(j) for j in (3, 12, 30)],
    ),
}


def cell(number: str) -> str:
    """The self-check of a chapter."""
    (path,) = (ROOT / "chapters").glob(f"{number}-*.ipynb")
    sources = ["".join(c["source"]) for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    (found,) = [source for source in sources if "hb.checks.self_check(" in source]
    return found


def said(number: str, answer: object, capsys: pytest.CaptureFixture[str]) -> str:
    source, n = re.subn(r"(?m)^mine = \.\.\.$", "mine = answer", cell(number))
    assert n == 1
    exec(source, {"np": np, "hb": hb, **ANSWERS[number][0](), "answer": answer})  # noqa: S102
    return capsys.readouterr().out


def test_every_chapter_has_a_self_check():
    numbers = {path.name[:2] for path in (ROOT / "chapters").glob("[0-9]*.ipynb")}
    assert set(ANSWERS) == numbers


@pytest.mark.parametrize("number", ANSWERS)
def test_a_right_answer_passes_a_wrong_one_does_not_and_none_is_waited_for(number, capsys):
    right, wrong = ANSWERS[number][1:]
    assert said(number, right(), capsys).startswith("✓")
    assert said(number, wrong(), capsys).startswith("✗")
    assert said(number, ..., capsys).startswith("… no answer yet")
