"""The template of chapter 14 does with other files what it promises."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

import hbutils as hb

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "chapters" / "14-your-own-data.ipynb"
mpl.use("agg")

Run = Callable[..., tuple[dict[str, object], str]]


def template() -> list[str]:
    """The code cells of the template, the one with the settings marked by its first line."""
    cells = []
    for cell in nbformat.read(CHAPTER, as_version=4).cells:
        if cell.cell_type == "code":
            cells.append(cell.source)
        elif "*The template ends here.*" in cell.source:
            return cells
    raise AssertionError("chapter 14 does not say where its template ends")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the template on a table or a text, with some settings changed; return its names and output."""
    monkeypatch.chdir(CHAPTER.parent)

    def run_template(table: pd.DataFrame | str, **settings: object) -> tuple[dict[str, object], str]:
        file = tmp_path / "mine.csv"
        file.write_text(table if isinstance(table, str) else table.to_csv(index=False), encoding="utf-8")
        names: dict[str, object] = {}
        for source in template():
            if "FILE = " in source:
                changed = {"FILE": str(file), "UNITS": {}} | settings
                for name, value in changed.items():
                    source, n = re.subn(rf"(?m)^{name} = .*$", lambda _: f"{name} = {value!r}", source)  # noqa: B023, PLW2901
                    assert n == 1, f"chapter 14 has no setting {name}"
            exec(compile(source, "template", "exec"), names)  # noqa: S102
        plt.close("all")
        return names, capsys.readouterr().out

    return run_template


def agreed(said: str) -> bool:
    return "NUTS passed its checks and agrees with the exact posterior." in said


def made(seed: int, sizes: list[int], *, slope: bool, **columns: object) -> pd.DataFrame:
    x = np.tile([-2.0, 1.0, 0.0, 2.0, -1.0], 20) if slope else None
    study = hb.simulate(
        seed, n_groups=len(sizes), n_observations=sizes, x=x,
        mu_alpha=10, sigma_alpha=2, mu_beta=1, sigma_beta=0.4, sigma=1,
    )  # fmt: skip
    return study.data.to_frame().rename(columns=columns)


SLEEP = {"OUTCOME": "reaction_ms", "PREDICTOR": "day", "GROUP": "subject"}


def test_numbers_as_group_names_and_a_correlation_that_asks_for_another_zero(run: Run) -> None:
    names, said = run(hb.load_sleepstudy().to_frame(), **SLEEP, UNITS={"reaction_ms": "ms", "day": "days"})
    assert agreed(said)
    assert "day is counted from 4\n" in said or "day is counted from 5\n" in said
    # Chapter 9: people are most alike just before day 0
    assert -2 < float(re.search(r"Set ZERO near (\S+) and", said)[1]) < 1
    assert {"308", "335"} <= set(names["shown"])
    assert set(names["compared"]) == {"new observation", "new group"}
    assert "Pool partially." in said or "enough." in said


def test_without_a_predictor(run: Run) -> None:
    names, said = run(
        (ROOT / "data" / "drivers.csv").read_text(), OUTCOME="braking_ms", PREDICTOR=None, GROUP="driver"
    )
    assert agreed(said)
    assert set(names["exact"]) == {"pooled", "unpooled", "partial"}
    assert set(names["compared"]) == {"new observation", "new group"}
    pd.testing.assert_frame_equal(names["population"], hb.exact_posterior(hb.load_drivers()).summary())


def test_many_groups(run: Run) -> None:
    table = hb.load_schools().to_frame()
    table = table[table.groupby("school").cumcount() < 12]
    names, said = run(table, OUTCOME="math_score", PREDICTOR=None, GROUP="school")
    assert agreed(said)
    assert "160 groups" in said
    assert len(names["shown"]) == 24


def test_groups_of_one_and_names_that_pymc_would_not_take(run: Run) -> None:
    table = made(4, [1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 9], slope=True, y="Höhe [cm/d]", x="beta")
    names, said = run(table, OUTCOME="Höhe [cm/d]", PREDICTOR="beta", GROUP="group")
    assert agreed(said)
    assert "The unpooled model is left out. 'group' g1, g2, g3, g4, g5: fewer than 3 observations" in said
    assert "Groups left out of the first comparison: 7" in said
    assert set(names["exact"]) == {"pooled", "partial"}
    assert set(names["compared"]) == {"new observation", "new group"}
    assert "cannot be fitted" in said.replace("\n  ", " ")


def test_two_groups_and_a_gap_that_is_dropped_on_request(run: Run) -> None:
    table = made(3, [6, 9], slope=False)
    table.loc[table.index.max() + 1] = {"group": "g1", "y": np.nan}
    with pytest.raises(hb.InputError, match="missing"):
        run(table, OUTCOME="y", PREDICTOR=None, GROUP="group")
    names, said = run(table, OUTCOME="y", PREDICTOR=None, GROUP="group", DROP_GAPS=True)
    assert agreed(said)
    assert names["data"].n_observations == 15
    assert "No comparison for a new group." in said
    assert set(names["compared"]) == {"new observation"}
    assert "Only 2 groups" in said


def test_every_group_of_one_leaves_only_the_comparison_for_new_groups(run: Run) -> None:
    names, said = run(made(5, [1] * 12, slope=False), OUTCOME="y", PREDICTOR=None, GROUP="group")
    assert "The unpooled model is left out." in said
    assert "No comparison for a new observation." in said
    assert set(names["compared"]) == {"new group"}


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (lambda text: text.replace("15.0", ""), r"'height' has missing or infinite values in rows 3"),
        (lambda text: text.replace("15.0", "tall"), r"'height' is not numeric in rows 3 .*'tall'"),
        (lambda text: text.replace("5b", "3a"), "'class' has one group, '3a'"),
        (lambda text: text.replace("height", "Height"), "no column 'height'"),
        (lambda text: text.replace(",", ";"), "separated by semicolons"),
        (lambda text: "", "empty"),
        (lambda text: re.sub(r",\d\d\.\d", ",15.0", text), "the same in every row"),
    ],
    ids=["gap", "word", "one group", "another name", "semicolons", "empty", "constant outcome"],
)
def test_a_bad_file_stops_the_template_with_an_error_that_says_why(
    run: Run, spoilt: Callable[[str], str], message: str
) -> None:
    text = "class,water,height\n3a,10,12.5\n3a,20,15.0\n3a,30,19.5\n5b,10,13.0\n5b,20,17.0\n5b,40,22.5\n"
    with pytest.raises(hb.InputError, match=message):
        run(spoilt(text), OUTCOME="height", PREDICTOR="water", GROUP="class")
