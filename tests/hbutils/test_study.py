"""The simulation study: its cells, its runs on Dask, its results, and the advice that follows from it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hbutils as hb
from hbutils import study

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = ["groups", "observations", "icc", "balanced", "population", "model"]
SCORES = [name for name in study.compute(study.Cell(3, 2, 0.0), datasets=2) if name.endswith("_se")]


# --- a cell ---------------------------------------------------------------------------------


def by_hand(cell: study.Cell, datasets: int, seed: int) -> pd.DataFrame:
    """The cell once more: the same random numbers, but a fit at a time through the public functions."""
    rng = np.random.default_rng(cell.seed(seed))
    alpha = cell.tau * rng.standard_normal((datasets, cell.groups))
    y = np.repeat(alpha, cell.sizes, axis=1) + rng.standard_normal((datasets, cell.sizes.sum()))
    further = alpha + rng.standard_normal(alpha.shape)
    new = cell.tau * rng.standard_normal((datasets, study.NEWCOMERS))
    new += rng.standard_normal(new.shape)
    rows = []
    for d in range(datasets):
        data = hb.GroupedData(
            y=y[d], group=np.repeat(range(cell.groups), cell.sizes), labels=range(cell.groups)
        )
        fits = {"pooled": hb.exact_pooled(data), "unpooled": hb.exact_unpooled(data)}
        fits["partial"] = hb.exact_posterior(data)
        for name, fit in fits.items():
            error = fit.groups()["alpha_mean"] - alpha[d]
            known = [fit.log_density([further[d, j]], group=str(j))[0] for j in range(cell.groups)]
            rows.append({"model": name, "mse": (error**2).mean(), "known": np.mean(known)})
            if name != "unpooled":
                rows[-1]["new"] = fit.log_density(new[d]).mean()
        rows[-1]["advised"] = hb.advise(data).model
    return pd.DataFrame(rows)


def test_a_cell_is_what_the_public_functions_make_of_the_same_data() -> None:
    cell = study.Cell(5, 5, 0.2, balanced=False)
    found = study.compute(cell, datasets=12, seed=3).set_index("model")
    rows = by_hand(cell, 12, 3)
    for name, each in rows.groupby("model"):
        assert found.loc[name, "mse"] == pytest.approx(each["mse"].mean(), rel=1e-5)
        assert found.loc[name, "mse_se"] == pytest.approx(each["mse"].sem(), rel=1e-4)
        assert found.loc[name, "known"] == pytest.approx(each["known"].mean(), abs=1e-3)
        if name != "unpooled":
            assert found.loc[name, "new"] == pytest.approx(each["new"].mean(), abs=1e-3)
        assert found.loc[name, "share"] == pytest.approx((rows["advised"] == name).sum() / 12)
    paired = rows.pivot_table(index=np.arange(len(rows)) // 3, columns="model", values="mse")
    lost = paired["pooled"] - paired["partial"]
    assert found.loc["pooled", "mse_lost"] == pytest.approx(lost.mean(), rel=1e-4)
    assert found.loc["pooled", "mse_lost_se"] == pytest.approx(lost.sem(), rel=1e-4)


def test_intervals_of_the_true_model_cover_what_they_promise() -> None:
    # Groups and noise drawn from what the partially pooled model assumes, plenty of groups to learn the SDs
    row = study.compute(study.Cell(100, 10, 0.4), datasets=100).set_index("model").loc["partial"]
    assert abs(row["coverage"] - 0.95) < 4 * row["coverage_se"]


def test_errors_are_those_of_the_closed_form_where_the_sds_are_as_good_as_known() -> None:
    cell = study.Cell(100, 10, 0.2)
    found = study.compute(cell, datasets=200).set_index("model")
    weight = hb.shrinkage_weight(10, 1, cell.tau)
    expected = {"unpooled": 1 / 10, "partial": weight / 10, "pooled": cell.tau**2}
    for name, mse in expected.items():
        # learning the population's mean and SDs from 100 groups costs about 2 %
        assert found.loc[name, "mse"] == pytest.approx(mse, rel=0.03)


def humps(x: np.ndarray) -> np.ndarray:
    sd = np.sqrt(1 - 0.9**2)
    return (stats.norm.cdf(x, 0.9, sd) + stats.norm.cdf(x, -0.9, sd)) / 2


POPULATIONS = {"normal": stats.norm.cdf, "heavy": stats.t(3, scale=3**-0.5).cdf, "humps": humps}


@pytest.mark.parametrize("population", study.POPULATIONS)
def test_populations_have_the_shape_they_should(population: str) -> None:
    draws = study._population(np.random.default_rng(1), population, (200, 100)).ravel()
    for name, cdf in POPULATIONS.items():
        assert (stats.kstest(draws, cdf).pvalue > 0.01) == (name == population)


def test_populations_have_mean_0_and_sd_1() -> None:
    x = np.linspace(-400, 400, 800_001)
    for cdf in POPULATIONS.values():
        mass, middle = np.diff(cdf(x)), (x[1:] + x[:-1]) / 2
        assert mass @ middle == pytest.approx(0, abs=1e-9)
        assert mass @ middle**2 == pytest.approx(1, abs=0.005)  # a t with 3 df has some of it further out


def test_sizes_have_the_mean_they_should_and_are_uneven_where_asked() -> None:
    for cell in study.design():
        sizes = cell.sizes
        assert sizes.min() >= 2
        assert sizes.size == cell.groups
        assert (np.ptp(sizes) == 0) == cell.balanced
        if cell.observations >= 5:
            assert sizes.mean() == pytest.approx(cell.observations, rel=0.1)


def test_no_two_cells_share_their_random_numbers() -> None:
    seeds = [tuple(cell.seed(1)) for cell in study.design()]
    assert len(set(seeds)) == len(seeds)


def test_design_spans_what_was_asked() -> None:
    table = pd.DataFrame([vars(cell) for cell in study.design()])
    assert (table["groups"].min(), table["groups"].max()) == (3, 100)
    assert (table["observations"].min(), table["observations"].max()) == (2, 100)
    assert (table["icc"].min(), table["icc"].max()) == (0, 0.9)
    assert not table.duplicated().any()


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [((1, 5, 0.1), "2 groups"), ((5, 1, 0.1), "2 observations"), ((5, 5, 1.0), "icc"),
     ((5, 5, 0.1, True, "odd"), "population")],
)  # fmt: skip
def test_impossible_cells_are_refused(arguments: tuple, wrong: str) -> None:
    with pytest.raises(hb.InputError, match=wrong):
        study.Cell(*arguments)


def test_one_data_set_has_no_standard_error() -> None:
    with pytest.raises(hb.InputError, match="two data sets or more"):
        study.compute(study.Cell(3, 2, 0.0), datasets=1)


# --- the book's results -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return study.load_study().set_index(KEY)


def test_results_hold_every_cell_once(results: pd.DataFrame) -> None:
    wanted = [(*vars(cell).values(), model) for cell in study.design() for model in study.MODELS]
    assert list(results.index) == wanted
    assert results.notna().all(axis=None)


def test_a_random_part_comes_out_again(results: pd.DataFrame) -> None:
    # Which part depends on the results: it changes when they do
    rng = np.random.default_rng(zlib.crc32(results.to_csv().encode()))
    for cell in rng.choice(np.array(study.design(), dtype=object), 4, replace=False):
        again = study.compute(cell).set_index(KEY)
        stored = results.loc[again.index]
        # To the digits of the file; log densities far out may differ a little more between machines
        pd.testing.assert_frame_equal(again, stored, rtol=2e-3, atol=2e-4, check_dtype=False)


def test_another_seed_gives_the_same_within_monte_carlo_error(results: pd.DataFrame) -> None:
    rng = np.random.default_rng(zlib.crc32(results.to_csv().encode()) + 1)
    calm = [cell for cell in study.design() if cell.population != "heavy"]  # whose errors have no normal mean
    for cell in rng.choice(np.array(calm, dtype=object), 4, replace=False):
        fresh = study.compute(cell, seed=study.SEED + 1).set_index(KEY)
        stored = results.loc[fresh.index]
        for name in SCORES:
            value = name.removesuffix("_se")
            error = np.hypot(fresh[name], stored[name])
            assert (np.abs(fresh[value] - stored[value]) <= 4.5 * error + 1e-6).all(), (cell, value)


# --- running it ---------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from hbutils import study
cells = [study.Cell(*values) for values in {cells}]
if __name__ == "__main__":
    study.run(Path(sys.argv[1]), cells, datasets={datasets}, scheduler={scheduler!r})
"""
CELLS = [(30, 5, icc) for icc in (0.0, 0.1, 0.2, 0.4, 0.6, 0.9)]
DATASETS = 150  # enough for a run to last until it is interfered with


@pytest.fixture(scope="module")
def undisturbed() -> str:
    """What a run must leave behind, from no cluster at all."""
    table = pd.concat([study.compute(study.Cell(*values), datasets=DATASETS) for values in CELLS])
    return table.to_csv(index=False, float_format="%.5g", lineterminator="\n")


@contextmanager
def started(folder: Path, scheduler: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, killed if it is still there in the end; it speaks to said.txt."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(cells=CELLS, datasets=DATASETS, scheduler=scheduler))
    command = [sys.executable, str(script), str(folder / "out.csv")]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stderr=said, start_new_session=True)
        try:
            yield process
        finally:
            kill_all(process)


def kill_all(process: subprocess.Popen) -> None:
    """Kill a process and those it started, without a word of warning to any of them."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(path: Path, lines: int, process: subprocess.Popen, seconds: float = 90) -> list[str]:
    """Wait until a file has so many whole lines; return them."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1].splitlines()
        if len(whole) >= lines:
            return whole
        time.sleep(0.02)
    pytest.fail(
        f"{path.name} did not get {lines} lines; the run said {path.with_name('said.txt').read_text()}"
    )


def test_a_run_on_this_machine_is_the_cells_one_by_one(tmp_path: Path, undisturbed: str) -> None:
    said = io.StringIO()
    cells = [study.Cell(*values) for values in CELLS]
    table = study.run(tmp_path / "out.csv", [*cells, cells[0]], datasets=DATASETS, progress=said)
    assert (tmp_path / "out.csv").read_text() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert len(table) == len(study.MODELS) * len(cells)
    assert re.search(r"6 of 6 cells, [\d,]+ data sets a second, 0 min to go", said.getvalue())


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, undisturbed: str) -> None:
    part = tmp_path / "out.part"
    with started(tmp_path) as process:
        wait_for(part, 3, process)
        kill_all(process)
    before = part.read_text()
    done = before[: before.rfind("\n") + 1].splitlines()
    assert 3 <= len(done) <= len(CELLS)
    part.write_text("\n".join(done) + '\n[{"groups": 30, "obser')  # as a run killed while it writes leaves it
    with started(tmp_path) as process:
        again = wait_for(part, len(done) + 1, process)
        assert process.wait() == 0, (tmp_path / "said.txt").read_text()
    assert again[: len(done)] == done
    assert f"{len(done) - 1} of {len(CELLS)} cells were there already" in (tmp_path / "said.txt").read_text()
    assert (tmp_path / "out.csv").read_text() == undisturbed
    assert not part.exists()


def test_a_lost_worker_loses_nothing(tmp_path: Path, undisturbed: str) -> None:
    with cluster(tmp_path) as (address, workers), started(tmp_path, address) as process:
        wait_for(tmp_path / "out.part", 2, process)
        os.kill(workers[0].pid, signal.SIGKILL)
        assert process.wait() == 0, (tmp_path / "said.txt").read_text()
        assert workers[0].wait() == -signal.SIGKILL
        assert workers[1].poll() is None
    assert (tmp_path / "out.csv").read_text() == undisturbed


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, started as one would by hand on different machines."""
    dask = [sys.executable, "-m", "dask"]
    address_file = folder / "scheduler.json"
    processes = []
    with (folder / "cluster.txt").open("w") as log:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([*dask, *arguments], stdout=log, stderr=log, cwd=folder)
            processes.append(process)
            return process

        try:
            scheduler = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
            start("scheduler", *scheduler, "--scheduler-file", str(address_file))
            options = (
                "--scheduler-file",
                str(address_file),
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
            )
            workers = [start("worker", *options, "--name", name) for name in ("one", "two")]
            end = time.monotonic() + 60
            while not address_file.exists() or not address_file.read_text():
                assert time.monotonic() < end, (folder / "cluster.txt").read_text()
                time.sleep(0.05)
            yield json.loads(address_file.read_text())["address"], workers
        finally:
            for process in processes:
                process.kill()
                process.wait()


def test_an_unfinished_run_is_not_mixed_with_another(tmp_path: Path) -> None:
    part = tmp_path / "out.part"
    part.write_text('{"seed": 1, "datasets": 2}\n')
    with pytest.raises(hb.InputError, match=r"unfinished run with .*'seed': 1.* finish that one first"):
        study.run(tmp_path / "out.csv", [study.Cell(3, 2, 0.0)], datasets=2, seed=2)
    assert part.read_text() == '{"seed": 1, "datasets": 2}\n'


def test_a_run_says_when_no_scheduler_answers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("hbutils._cluster.PATIENCE", 1)
    cells = [study.Cell(3, 2, 0.0)]
    with pytest.raises(hb.InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        study.run(tmp_path / "out.csv", cells, datasets=2, scheduler="tcp://127.0.0.1:9")


# --- regret and advice ---------------------------------------------------------------------------


def test_regret_is_the_error_beyond_that_of_partial_pooling() -> None:
    # By simulation: one group after another from a known population
    rng = np.random.default_rng(5)
    tau, n = 0.7, 4
    alpha = tau * rng.standard_normal(400_000)
    mean = alpha + rng.standard_normal(alpha.size) / np.sqrt(n)
    weight = float(hb.shrinkage_weight(n, 1, tau))

    def error(estimate) -> float:
        return np.sqrt(np.mean((estimate - alpha) ** 2)) * np.sqrt(n)

    found = study.regret([weight]).iloc[0]
    assert found["pooled"] == pytest.approx(error(0) - error(weight * mean), abs=0.01)
    assert found["unpooled"] == pytest.approx(error(mean) - error(weight * mean), abs=0.01)


def test_regret_at_the_ends_is_none_or_all() -> None:
    found = study.regret([0.0, 1.0])
    assert found["pooled"].tolist() == [0, np.inf]
    assert found["unpooled"].tolist() == [1, 0]
    with pytest.raises(hb.InputError, match="between 0 and 1"):
        study.regret([1.2])


def advised(kind: str, study_number: int, *, lines: bool) -> str:
    """What is advised for a simulated study: no differences, large ones, or those that need both."""
    tau = {"pooled": 0.0, "unpooled": 5.0, "partial": 0.42}[kind]
    options = {"x": np.linspace(-1, 1, 10), "sigma_beta": 2 * tau, "mu_beta": 3.0} if lines else {}
    simulated = hb.simulate(
        study_number, n_groups=100, n_observations=10, mu_alpha=50, sigma_alpha=tau, sigma=1, **options
    )
    return hb.advise(simulated.data).model


@pytest.mark.parametrize("lines", [False, True], ids=["means", "lines"])
@pytest.mark.parametrize("kind", ["pooled", "unpooled", "partial"])
def test_advice_is_right_far_from_the_boundaries(kind: str, *, lines: bool) -> None:
    given = pd.Series([advised(kind, 1000 + k, lines=lines) for k in range(100)]).value_counts()
    if kind == "partial":
        assert given.to_dict() == {"partial": 100}
    else:
        assert given[kind] >= 95
        assert set(given.index) <= {kind, "partial"}
