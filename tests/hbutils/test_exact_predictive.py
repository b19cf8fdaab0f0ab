"""Log predictive densities, and moments that do not exist."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import hbutils as hb

Y = np.array([3.1, 4.4, 3.9, 6.0, 5.1, 2.2, 2.9])
GROUP = np.array([0, 0, 0, 1, 1, 2, 2])
DATA = hb.GroupedData(y=Y, group=GROUP, labels=("a", "b", "c"))
PRIORS = hb.Priors(
    mu_alpha=hb.Normal(4.0, 3.0),
    sigma_alpha=hb.HalfNormal(2.0),
    sigma=hb.HalfNormal(1.5),
    alpha=hb.Normal(4.0, 9.0),
)


def simpson(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Simpson's rule in log(x), the factor x included."""
    t = np.linspace(np.log(low), np.log(high), n)
    weights = np.ones(n)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return np.exp(t), weights * (t[1] - t[0]) / 3 * np.exp(t)


def log_evidence(y: np.ndarray, group: np.ndarray) -> float:
    """Log of the probability of all outcomes at once: dense normals, averaged over a grid of the SDs."""
    sds_alpha, weight_alpha = simpson(1e-4, 12.0, 141)
    sds, weight = simpson(0.15, 12.0, 121)
    same = (group[:, None] == group[None, :]).astype(float)
    variance_alpha, variance = (part.ravel() for part in np.meshgrid(sds_alpha**2, sds**2, indexing="ij"))
    cov = 3.0**2 + variance_alpha[:, None, None] * same + variance[:, None, None] * np.eye(y.size)
    solved = np.linalg.solve(cov, (y - 4.0)[:, None])[..., 0]
    log_likelihood = -0.5 * (solved @ (y - 4.0) + np.linalg.slogdet(cov)[1] + y.size * np.log(2 * np.pi))
    log_prior = (
        stats.halfnorm.logpdf(sds_alpha, scale=2.0)[:, None] + stats.halfnorm.logpdf(sds, scale=1.5)
    ).ravel()
    return float(special.logsumexp(log_likelihood + log_prior, b=np.outer(weight_alpha, weight).ravel()))


@pytest.mark.parametrize(("label", "position"), [("a", 0), ("c", 2), (None, 3)])
def test_log_density_is_the_probability_of_one_more_observation(label, position):
    expected = log_evidence(np.append(Y, 5.3), np.append(GROUP, position)) - log_evidence(Y, GROUP)
    found = hb.exact_posterior(DATA, PRIORS).log_density(5.3, group=label)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("fit", [hb.exact_posterior, hb.exact_pooled, hb.exact_unpooled])
def test_predictive_density_integrates_to_the_quantiles_that_predict_gives(fit):
    """For subject 308 on day 9, by quadrature of the exponential of the log density."""
    posterior = fit(hb.load_sleepstudy(), hb.Priors.for_sleepstudy())
    row = posterior.predict(9.0, group="308").loc[9.0]
    grid = np.linspace(row["mean"] - 9 * row["sd"], row["mean"] + 9 * row["sd"], 4001)
    density = np.exp(posterior.log_density(grid, np.full(grid.size, 9.0), group="308"))
    mass = integrate.cumulative_simpson(density, x=grid, initial=0)
    assert mass[-1] == pytest.approx(1, abs=1e-4)
    for name, share in (("q2.5", 0.025), ("q50", 0.5), ("q97.5", 0.975)):
        assert np.interp(row[name], grid, mass) == pytest.approx(share, abs=1e-4)


def test_a_density_needs_finite_values_one_for_each_place():
    posterior = hb.exact_posterior(DATA, PRIORS)
    for bad in ([np.nan], [[1.0]]):
        with pytest.raises(hb.InputError, match="y must be one finite number"):
            posterior.log_density(bad)


def test_there_is_no_slope_without_a_predictor_and_no_population_of_one_group():
    posterior = hb.exact_posterior(DATA, PRIORS)
    with pytest.raises(hb.InputError, match="no quantity 'beta'"):
        posterior.marginal("beta", group="a")
    with pytest.raises(hb.InputError, match="belongs to the population"):
        posterior.marginal("mu_alpha", group="a")
    with pytest.raises(hb.InputError, match="say whose"):
        posterior.marginal("alpha")


def test_the_unpooled_model_has_no_density_for_a_new_group():
    with pytest.raises(hb.InputError, match="says nothing about a new group"):
        hb.exact_unpooled(DATA, PRIORS).log_density(5.0)


def test_a_group_almost_on_a_line_leaves_sigma_to_its_prior():
    """Three points a millionth off a line: the density of sigma against a quadrature with plain NumPy."""
    y, x = np.array([0.0, 1.0, 2.0 + 1e-6]), np.array([0.0, 1.0, 2.0])
    data = hb.GroupedData(y=y, group=[0, 0, 0], labels=("a",), x=x)
    priors = replace(PRIORS, mu_alpha=hb.Normal(0, 5), mu_beta=hb.Normal(0, 5), sigma=hb.HalfNormal(1))
    row = hb.exact_pooled(data, priors).summary().loc["sigma"]
    design = np.column_stack([np.ones(3), x])
    sds, weights = simpson(1e-11, 12.0, 4001)
    cov = 25 * design @ design.T + sds[:, None, None] ** 2 * np.eye(3)
    # y'V^-1 y through the thin direction, known here: solving with V itself would lose every digit
    thin = np.array([1.0, -2.0, 1.0]) / np.sqrt(6)
    flat = np.linalg.qr(design)[0]
    inner = flat.T @ cov @ flat
    rest = flat.T @ y
    log_density = (
        -0.5 * ((thin @ y) ** 2 / sds**2 + np.einsum("a,kab,b->k", rest, np.linalg.inv(inner), rest))
        - np.log(sds)
        - 0.5 * np.linalg.slogdet(inner)[1]
        + stats.halfnorm.logpdf(sds)
    )
    mass = np.exp(log_density - log_density.max()) * weights
    assert row["mean"] == pytest.approx(mass @ sds / mass.sum(), rel=1e-3)


TWO = DATA.keep(GROUP < 2)


def test_a_half_cauchy_prior_and_two_groups_leave_variances_infinite_and_medians_finite():
    """With a flat prior on their mean the density of the SD falls like its cube."""
    priors = replace(PRIORS, mu_alpha=hb.Normal(0, np.inf), sigma_alpha=hb.HalfStudentT(1, 1.0))
    posterior = hb.exact_posterior(TWO, priors)
    table = posterior.summary()
    assert table["sd"].isin([np.inf]).tolist() == [True, True, False]
    assert np.isfinite(table["mean"]).all()
    assert np.isfinite(table[["q2.5", "q50", "q97.5"]].to_numpy()).all()
    assert posterior.predict()["sd"].item() == np.inf
    assert np.isfinite(posterior.groups().to_numpy()).all()


def test_a_proper_prior_on_the_mean_makes_the_same_variance_finite():
    """Against the dense likelihood of both groups' means and squares on a long grid."""
    priors = replace(PRIORS, sigma_alpha=hb.HalfStudentT(1, 1.0))
    row = hb.exact_posterior(TWO, priors).summary().loc["sigma_alpha"]
    sds_alpha, weight_alpha = simpson(1e-4, 1e7, 601)
    sds, weight = simpson(0.15, 12.0, 121)
    y, group = TWO.y, TWO.group
    same = (group[:, None] == group[None, :]).astype(float)
    log_density = np.empty((sds_alpha.size, sds.size))
    for i, sd in enumerate(sds_alpha):
        cov = 3.0**2 + sd**2 * same + sds[:, None, None] ** 2 * np.eye(y.size)
        solved = np.linalg.solve(cov, (y - 4.0)[:, None])[..., 0]
        log_density[i] = -0.5 * (solved @ (y - 4.0) + np.linalg.slogdet(cov)[1])
    log_density += stats.halfcauchy.logpdf(sds_alpha)[:, None] + stats.halfnorm.logpdf(sds, scale=1.5)
    mass = (np.exp(log_density - log_density.max()) @ weight) * weight_alpha
    mass /= mass.sum()
    mean = mass @ sds_alpha
    assert row["mean"] == pytest.approx(mean, rel=1e-3)
    # The tail of the variance falls like the SD itself: what lies beyond 1e7 is nothing
    assert row["sd"] == pytest.approx(np.sqrt(mass @ (sds_alpha - mean) ** 2), rel=2e-3)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    "prior", [hb.GammaPrecision(0.1, 0.1), hb.HalfStudentT(1.2, 1.0), hb.HalfStudentT(1, 0.1)]
)
def test_heavy_tails_come_to_an_end_and_quantiles_stay_in_order(flat, prior):
    priors = replace(PRIORS, sigma_alpha=prior)
    if flat:
        priors = replace(priors, mu_alpha=hb.Normal(0, np.inf))
    table = hb.exact_posterior(TWO, priors).summary()
    for low, high in pairwise(("q2.5", "q50", "q97.5")):
        assert (table[low] < table[high]).all()
