"""Many studies at once: held to the same studies fitted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import hbutils as hb
from hbutils import _oneway

DESIGNS = {
    "pairs, alike": (3, [2, 2, 2], 0.0),
    "pairs, far apart": (3, [2, 2, 2], 3.0),
    "uneven": (5, [2, 4, 4, 6, 14], 0.4),
    "many, uneven": (30, [2, 3, 4, 6, 10] * 6, 0.2),
    "rich": (10, [100] * 10, 1.0),
    "many and rich": (60, [50] * 60, 2.0),
}


@pytest.fixture(params=DESIGNS.values(), ids=list(DESIGNS))
def both(request) -> tuple[_oneway.Studies, list[hb.GroupedData]]:
    """Four studies of one design, for either route; the mean is far from zero."""
    groups, sizes, tau = request.param
    rng = np.random.default_rng(groups)
    alpha = 1000 + tau * rng.standard_normal((4, groups))
    y = np.repeat(alpha, sizes, axis=1) + rng.standard_normal((4, sum(sizes)))
    index = np.repeat(np.arange(groups), sizes)
    one_by_one = [hb.GroupedData(y=row, group=index, labels=range(groups)) for row in y]
    return _oneway.Studies.of(y, np.array(sizes)), one_by_one


def test_partial_pooling_is_the_exact_posterior(both) -> None:
    studies, one_by_one = both
    every = np.arange(studies.n.size)
    batch = _oneway.partial(studies)
    thin = batch.thinned()
    means, weights = batch.means(), batch.own_weight(every)
    alpha = thin.alpha(every)
    intervals = np.stack([alpha.quantile(0.025), alpha.quantile(0.975)])
    at = np.full(means.shape, 1001.0)
    known, new = thin.predict(every).log_density(at), thin.new_group().log_density(at[:, :1])
    for k, data in enumerate(one_by_one):
        exact = hb.exact_posterior(data, tolerance=1e-6)
        groups = exact.groups()
        sd = groups["alpha_sd"].to_numpy()
        assert np.abs((means[k] - groups["alpha_mean"]) / sd).max() < 1e-5
        assert np.abs(batch.alpha(every).sd()[k] / sd - 1).max() < 1e-5
        assert np.abs(alpha.sd()[k] / sd - 1).max() < 3e-3  # intervals need no more
        assert np.abs(weights[k] - exact.weights()).max() < 1e-6
        for j in (0, studies.n.size - 1):
            below = [exact.cdf("alpha", value, group=str(j)) for value in intervals[:, k, j]]
            assert below == pytest.approx([0.025, 0.975], abs=3e-4)
            assert known[k, j] == pytest.approx(exact.log_density([1001.0], group=str(j))[0], abs=3e-4)
        assert new[k, 0] == pytest.approx(exact.log_density([1001.0])[0], abs=3e-4)


def test_pooled_and_unpooled_are_the_exact_posteriors(both) -> None:
    studies, one_by_one = both
    pooled, unpooled = _oneway.pooled(studies), _oneway.unpooled(studies)
    at = np.full(studies.mean.shape, 1001.0)
    low = unpooled.alpha.quantile(0.025)
    for k, data in enumerate(one_by_one):
        row = hb.exact_pooled(data).summary().loc["alpha"]
        assert pooled.alpha.mean()[k, 0] == pytest.approx(row["mean"], abs=1e-6 * row["sd"])
        assert pooled.alpha.sd()[k, 0] == pytest.approx(row["sd"], rel=1e-6)
        assert pooled.alpha.quantile(0.975)[k, 0] == pytest.approx(row["q97.5"], abs=1e-4 * row["sd"])
        exact = hb.exact_unpooled(data)
        groups = exact.groups()
        assert np.abs((unpooled.alpha.mean()[k] - groups["alpha_mean"]) / groups["alpha_sd"]).max() < 1e-6
        assert np.abs(unpooled.alpha.sd()[k] / groups["alpha_sd"] - 1).max() < 1e-6
        some = unpooled.of(np.array([1]))
        expected = exact.log_density([1001.0], group="1")[0]
        assert some.predict().log_density(at[:, :1])[k, 0] == pytest.approx(expected, abs=1e-6)
        summary = exact.summary()
        assert low[k, 0] == pytest.approx(
            summary.loc["alpha[0]", "q2.5"], abs=1e-4 * groups["alpha_sd"].iloc[0]
        )


def test_unpooled_model_predicts_a_new_group_by_its_priors_alone(both) -> None:
    studies, one_by_one = both
    value = 1003.0
    found = _oneway.prior_predictive(studies).log_density(np.full((4, 1), value))[:, 0]
    for k, data in enumerate(one_by_one):
        priors = hb.Priors.weakly_informative(data)
        sigma = priors.sigma.ppf(np.linspace(0, 1, 4001)[1:-1])
        sd = np.hypot(priors.alpha.sd, sigma)
        assert found[k] == pytest.approx(
            np.log(stats.norm.pdf(value, priors.alpha.mean, sd).mean()), abs=1e-3
        )


def test_quantile_of_a_mixture_of_a_narrow_and_a_wide_normal() -> None:
    weights, sds = np.array([[0.9, 0.1]]), np.array([[0.01, 50.0]])
    mixture = _oneway.Mixtures(weights, np.array([[0.0, 3.0]]), sds)
    for q in (0.001, 0.04, 0.5, 0.96, 0.999):
        value = mixture.quantile(q)
        by_scipy = 0.9 * stats.norm.cdf(value, 0, 0.01) + 0.1 * stats.norm.cdf(value, 3, 50)
        assert by_scipy == pytest.approx(q, abs=3e-4)
