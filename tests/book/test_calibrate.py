"""The calibration study: part of it comes out again, and what should be uniform is.

Two tests a parameter: Kolmogorov and Smirnov's sees estimates that lie to one side, the chi-squared test
of the squared normal scores (Cook, Gelman and Rubin 2006) posteriors that are too narrow or too wide.
Bonferroni's correction over all of them holds a false alarm to 1 %. What 1,000 replications then see,
out of 100 studies: an SD 10 % too small in 91, 10 % too large in 78; all means off by 0.15 posterior SDs
in 76. With 500 it takes an SD 15 % too small (97) or 0.25 SDs (93).
"""

from __future__ import annotations

from pathlib import Path

import calibrate
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hbutils as hb

LEVEL = 0.01
PARAMETERS = list(calibrate.PARAMETERS)


def smallest(p: pd.DataFrame) -> float:
    """The smallest p-value of two tests a column, after Bonferroni's correction."""
    found = []
    for name in p:
        column = p[name]
        total = (stats.norm.ppf(column.clip(5e-5, 1 - 5e-5)) ** 2).sum()
        width = 2 * min(stats.chi2.cdf(total, len(column)), stats.chi2.sf(total, len(column)))
        found += [stats.kstest(column, "uniform").pvalue, width]
    return min(1.0, len(found) * min(found))


def by_route(path: Path) -> pd.DataFrame:
    """Probabilities by route and replication, a column a parameter."""
    table = pd.read_csv(path)
    return table.pivot_table(index=["route", "replication"], columns="parameter", values="p")[PARAMETERS]


@pytest.fixture(scope="module")
def stored() -> pd.DataFrame:
    return by_route(calibrate.DATA / "calibration.csv")


@pytest.fixture(scope="module")
def chains() -> pd.DataFrame:
    return pd.read_csv(calibrate.DATA / "calibration_nuts.csv", index_col="replication")


# --- the test of uniformity, on what it must accept and what it must refuse --------------------


def share_refused(draw, size: int, studies: int = 50) -> float:
    """The share of studies, each of seven columns with one to be found out, that the tests refuse."""
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(studies):
        p = pd.DataFrame(rng.random((size, 7))).assign(suspect=draw(rng, size)).drop(columns=0)
        refused += smallest(p.round(4)) < LEVEL
    return refused / studies


def normal_posterior(*, sd: float = 1.0, shift: float = 0.0):
    """Probabilities from a normal posterior whose SD and mean are wrong, in posterior SDs."""
    return lambda rng, size: stats.norm.cdf((rng.standard_normal(size) + shift) / sd)


def test_uniform_probabilities_are_accepted():
    assert share_refused(lambda rng, size: rng.random(size), 1000) <= 0.04


@pytest.mark.parametrize(
    ("draw", "size"),
    [
        (lambda rng, size: rng.beta(1.2, 1.2, size), 1000),
        (normal_posterior(sd=0.9), 1000),
        (normal_posterior(shift=0.2), 1000),
        (normal_posterior(sd=0.85), 500),
        (normal_posterior(shift=0.25), 500),
    ],
    ids=["a dome", "SD 10 % small", "shift", "SD 15 % small, half the size", "larger shift, half the size"],
)
def test_other_probabilities_are_refused(draw, size):
    assert share_refused(draw, size) >= 0.8


# --- the study as it is stored -----------------------------------------------------------------


def test_every_replication_is_there(stored, chains):
    for route, count in calibrate.REPLICATIONS.items():
        assert stored.loc[route].index.tolist() == list(range(count))
    assert stored.notna().all(axis=None)
    assert chains.index.tolist() == list(range(calibrate.REPLICATIONS["nuts"]))


def test_exact_posterior_is_calibrated(stored):
    assert smallest(stored.loc["exact"]) > LEVEL


def test_sampled_posterior_is_calibrated(stored):
    """Ranks are spread over their hundredths first, since two of them may be equal and numbers are not."""
    p = stored.loc["nuts"]
    width = 1 / (calibrate.RANKED + 1)
    assert smallest(p + np.random.default_rng(3).uniform(-width / 2, width / 2, p.shape)) > LEVEL


def test_a_misread_prior_is_found_out(stored):
    assert smallest(stored.loc["broken"][["mu_alpha"]]) < 1e-9


def test_sampled_ranks_are_those_of_the_exact_posterior(stored):
    """A rank among independent draws is binomial: the same studies, so a sharper test than uniformity."""
    p = stored.loc["exact"].loc[stored.loc["nuts"].index].clip(1e-4, 1 - 1e-4)
    ranks = (stored.loc["nuts"] * (calibrate.RANKED + 1) - 0.5).round()
    z = (ranks - calibrate.RANKED * p) / np.sqrt(calibrate.RANKED * p * (1 - p))
    assert (z.mean() * np.sqrt(len(z))).abs().max() < 4
    assert z.std().between(0.8, 1.15).all()


def test_chains_that_failed_are_few_and_kept(chains):
    assert (chains["passed"] == "no").mean() <= 0.02


# --- a part of it, computed again ----------------------------------------------------------------


def test_exact_and_broken_replications_come_out_again(stored, tmp_path):
    rows, chains = calibrate.run({"exact": 8, "broken": 8}, map)
    assert not chains
    calibrate.write(tmp_path / "calibration.csv", calibrate.PROBABILITIES, rows)
    again = by_route(tmp_path / "calibration.csv")
    assert again.shape == (2 * 8, len(PARAMETERS))
    # The last of four digits may differ, on another machine
    assert (again - stored.loc[again.index]).abs().max(axis=None) < 1.5e-4


@pytest.mark.parametrize("replication", [41, 333, 999])
def test_a_replication_can_be_computed_alone(stored, replication):
    rows, _ = calibrate.replicate("exact", replication)
    for route, number, name, p in rows:
        assert float(p) == pytest.approx(stored.loc[(route, int(number)), name], abs=1.5e-4)


@pytest.mark.parametrize("replication", [3, 4, 5])
def test_sampled_ranks_come_out_again_within_monte_carlo_error(stored, replication):
    fit = calibrate.sample(calibrate.study(replication))
    assert fit.passed
    exact = stored.loc[("exact", replication)]
    for name, rank in fit.ranks.items():
        before = round(stored.loc[("nuts", replication), name] * 100 - 0.5)
        error = np.sqrt(2 * calibrate.RANKED * exact[name] * (1 - exact[name]))
        assert abs(rank - before) <= 5 * error + 1


def test_study_is_like_the_sleep_study():
    ours, real = calibrate.study(0).data, hb.load_sleepstudy()
    assert ours.labels == real.labels
    assert ours.x.tolist() == real.x.tolist()
    assert ours.group.tolist() == real.group.tolist()


def test_true_values_come_from_the_priors():
    drawn = pd.DataFrame([calibrate.study(i).truth for i in range(400)])
    for name in calibrate.POPULATION:
        prior = getattr(calibrate.PRIORS, name)
        normal = isinstance(prior, hb.Normal)
        cdf = stats.norm(prior.mean, prior.sd).cdf if normal else stats.halfnorm(scale=prior.scale).cdf
        assert stats.kstest(drawn[name], cdf).pvalue > LEVEL / len(calibrate.POPULATION)
    z = (drawn["alpha_1"] - drawn["mu_alpha"]) / drawn["sigma_alpha"]
    assert stats.kstest(z, "norm").pvalue > LEVEL


@pytest.mark.parametrize("centred", [True, False])
def test_sampled_model_is_the_library_s(centred):
    data = calibrate.study(1).data
    ours = calibrate.model(data)
    ours["centred"].set_value(np.full(2, float(centred)))
    theirs = hb.partial_pooling(data, calibrate.PRIORS, centred=centred)
    point = {name: np.asarray(value) for name, value in theirs.initial_point().items()}
    rng = np.random.default_rng(2)
    mode = "FAST_COMPILE"
    log_ours, log_theirs = ours.compile_logp(mode=mode), theirs.compile_logp(mode=mode)
    for _ in range(3):
        for name, value in point.items():
            point[name] = np.asarray(value + rng.normal(0, 0.3, value.shape))
        inner = {
            name.replace("z_", "inner_")
            if name.startswith("z_")
            else f"inner_{name}"
            if value.ndim
            else name: value
            for name, value in point.items()
        }
        assert log_ours(inner) == pytest.approx(log_theirs(point), rel=1e-9)
