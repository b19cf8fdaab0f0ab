"""The closed-form weights, against limits, the exact posterior and plain linear algebra."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import hbutils as hb

sizes = st.integers(1, 10_000)
sds = st.floats(1e-3, 1e3)


@given(n=sizes, sigma=sds, sigma_alpha=sds)
def test_weight_lies_between_zero_and_one(n, sigma, sigma_alpha):
    assert 0 <= hb.shrinkage_weight(n, sigma, sigma_alpha) <= 1


@given(n=sizes, sigma=sds, sigma_alpha=sds, factor=st.floats(1.1, 10))
def test_weight_rises_with_group_size_and_spread_and_falls_with_noise(n, sigma, sigma_alpha, factor):
    weight = hb.shrinkage_weight(n, sigma, sigma_alpha)
    room = 1e-9 < weight < 1 - 1e-9  # strictly, unless rounding has already taken it to an end
    for more in (
        hb.shrinkage_weight(n * factor, sigma, sigma_alpha),
        hb.shrinkage_weight(n, sigma, sigma_alpha * factor),
    ):
        assert more > weight if room else more >= weight
    less = hb.shrinkage_weight(n, sigma * factor, sigma_alpha)
    assert less < weight if room else less <= weight


@given(n=sizes, sigma=sds, sigma_alpha=sds, unit=st.floats(1e-3, 1e3))
def test_weight_does_not_depend_on_the_unit(n, sigma, sigma_alpha, unit):
    assert hb.shrinkage_weight(n, unit * sigma, unit * sigma_alpha) == pytest.approx(
        hb.shrinkage_weight(n, sigma, sigma_alpha), rel=1e-9, abs=1e-15
    )


def test_weight_tends_to_one_as_group_grows_and_to_zero_as_groups_become_alike():
    assert hb.shrinkage_weight(1e12, 10, 1) == pytest.approx(1, abs=1e-9)
    assert hb.shrinkage_weight(5, 10, 0) == 0
    assert hb.shrinkage_weight(5, 10, np.inf) == 1


def test_weight_is_a_half_when_one_mean_is_as_uncertain_as_the_population_is_wide():
    assert hb.shrinkage_weight(4, 10, 5) == pytest.approx(0.5, rel=1e-15)


def test_weights_come_one_a_group():
    expected = [9 / (9 + 16 / n) for n in (1, 2, 8)]
    np.testing.assert_allclose(hb.shrinkage_weight([1, 2, 8], 4, 3), expected, rtol=1e-14)


@pytest.mark.parametrize("bad", [(0, 1, 1), (3, 0, 1), (3, 1, -1), (np.nan, 1, 1)])
def test_weight_refuses_what_cannot_be(bad):
    with pytest.raises(hb.InputError, match="above zero"):
        hb.shrinkage_weight(*bad)


@settings(max_examples=50)
@given(
    x=st.lists(st.integers(-20, 20), min_size=2, max_size=8, unique=True),
    sigma=st.floats(0.1, 10),
    sigma_alpha=st.floats(0.1, 10),
    sigma_beta=st.floats(0.1, 10),
    rho=st.floats(-0.9, 0.9),
)
def test_weight_matrix_is_what_least_squares_on_data_and_population_gives(
    x, sigma, sigma_alpha, sigma_beta, rho
):
    """The group's line solves one stacked least-squares problem: its data, and the population as data."""
    x = np.array(x, dtype=float)
    rng = np.random.default_rng(0)
    y, mu = rng.normal(size=x.size), np.array([1.0, -2.0])
    cov = np.array(
        [[sigma_alpha**2, rho * sigma_alpha * sigma_beta], [rho * sigma_alpha * sigma_beta, sigma_beta**2]]
    )
    design = np.column_stack([np.ones_like(x), x])
    whiten = np.linalg.inv(np.linalg.cholesky(cov))
    stacked = np.vstack([design / sigma, whiten])
    target = np.concatenate([y / sigma, whiten @ mu])
    expected = np.linalg.lstsq(stacked, target)[0]
    own = np.linalg.lstsq(design, y)[0]
    weight = hb.shrinkage_matrix(x, sigma=sigma, sigma_alpha=sigma_alpha, sigma_beta=sigma_beta, rho=rho)
    np.testing.assert_allclose(weight @ own + (np.eye(2) - weight) @ mu, expected, rtol=1e-6, atol=1e-8)
    eigenvalues = np.linalg.eigvals(weight)
    assert np.abs(eigenvalues.imag).max() < 1e-7
    assert -1e-9 <= eigenvalues.real.min() <= eigenvalues.real.max() <= 1 + 1e-9


def test_weight_matrix_needs_two_values_of_x():
    with pytest.raises(hb.InputError, match="two different values"):
        hb.shrinkage_matrix([3, 3], sigma=1, sigma_alpha=1, sigma_beta=1)


def test_least_squares_is_polyfit_group_by_group():
    data = hb.load_schools()
    table = hb.least_squares(data)
    for label in data.labels[::20]:
        rows = data.rows(label)
        slope, intercept = np.polyfit(data.x[rows], data.y[rows], 1)
        assert table.loc[label].tolist() == pytest.approx([intercept, slope], rel=1e-9)


def test_a_group_whose_predictor_never_changes_has_no_line_of_its_own():
    data = hb.GroupedData(y=[1, 2, 3, 4], group=[0, 0, 1, 1], labels=("a", "b"), x=[0, 0, 1, 2])
    table = hb.least_squares(data)
    assert table.loc["a"].isna().all()
    assert table.loc["b"].tolist() == pytest.approx([2, 1])


def test_balanced_data_shrink_everybody_by_the_same_weight():
    data = hb.load_sleepstudy()
    table = hb.shrinkage_table(data, hb.exact_posterior(data, hb.Priors.for_sleepstudy()))
    assert np.ptp(table["weight"]) < 1e-12
    assert 0 < table["weight"].iloc[0] < 1


def test_table_weight_is_the_posterior_mean_of_the_scalar_weight():
    """Over a brute-force grid of the two SDs, with the likelihood of the group means and sums of squares."""
    data = hb.load_drivers()
    priors = hb.Priors.weakly_informative(data)
    posterior = hb.exact_posterior(data, priors)
    sd_a, sd = np.meshgrid(np.linspace(0.5, 400, 500), np.linspace(70, 200, 260), indexing="ij")
    means = np.array([data.y[data.group == j].mean() for j in range(12)])
    within = sum(((data.y[data.group == j] - means[j]) ** 2).sum() for j in range(12))
    variance = sd_a[..., None] ** 2 + sd[..., None] ** 2 / data.counts
    precision = (1 / variance).sum(-1) + priors.mu_alpha.sd**-2
    linear = (means / variance).sum(-1) + priors.mu_alpha.mean * priors.mu_alpha.sd**-2
    log_density = (
        priors.sigma_alpha.logpdf(sd_a)
        + priors.sigma.logpdf(sd)
        - (data.y.size - 12) * np.log(sd)
        - within / (2 * sd**2)
        - 0.5 * np.log(variance).sum(-1)
        - 0.5 * (means**2 / variance).sum(-1)
        + 0.5 * linear**2 / precision
        - 0.5 * np.log(precision)
    )
    weights = np.exp(log_density - log_density.max())
    expected = np.einsum("ab,abj->j", weights / weights.sum(), sd_a[..., None] ** 2 / variance)
    np.testing.assert_allclose(hb.shrinkage_table(data, posterior)["weight"], expected, rtol=2e-3)


def test_fewer_observations_shrink_more():
    data = hb.load_drivers()
    table = hb.shrinkage_table(data, hb.exact_posterior(data))
    by_size = table.sort_values("n").groupby("n")["weight"].first()
    assert by_size.is_monotonic_increasing
    assert by_size.iloc[0] < by_size.iloc[-1]


def test_a_predictor_in_seconds_since_1970_costs_no_digits():
    x = 1.7e9 + 30.0 * np.arange(6)
    data = hb.GroupedData(y=[1, 2, 3, 5, 5, 7], group=[0, 0, 0, 1, 1, 1], labels=("a", "b"), x=x)
    assert hb.least_squares(data)["beta"].tolist() == pytest.approx([1 / 30, 1 / 30], rel=1e-6)


def test_table_refuses_the_posterior_of_other_data_with_the_same_groups():
    data = hb.load_drivers()
    with pytest.raises(hb.InputError, match="other data"):
        hb.shrinkage_table(replace(data, y=data.y + 1), hb.exact_posterior(data))


def test_table_refuses_the_posterior_of_other_groups():
    data = hb.load_drivers()
    other = replace(data, labels=tuple(f"x{j}" for j in range(12)))
    with pytest.raises(hb.InputError, match="other groups"):
        hb.shrinkage_table(other, hb.exact_posterior(data))
