"""The PyMC models' joint density against one written out with SciPy."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import hbutils as hb

SUBJECTS = ("a", "b", "c")
GROUP = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
DAY = np.array([0.0, 1, 2, 0, 1, 2, 3, 0, 2, 4])
TIME = np.array([5.0, 6, 8, 3, 4, 4, 6, 9, 8, 10])
DATA = hb.GroupedData(
    y=TIME, group=GROUP, labels=SUBJECTS, x=DAY, y_name="time", x_name="day", group_name="subject"
)
NO_DAY = replace(DATA, x=None)
# PyTensor's log-gamma, in the constants of t, gamma and beta densities, is good to eight digits only.
CLOSE = 1e-7
PRIORS = hb.Priors(
    mu_alpha=hb.Normal(5, 3),
    mu_beta=hb.Normal(1, 2),
    sigma_alpha=hb.HalfNormal(2),
    sigma_beta=hb.Exponential(0.7),
    sigma=hb.HalfStudentT(3, 1.5),
    alpha=hb.Normal(4, 20),
    beta=hb.Normal(0, 9),
    rho=hb.LKJ(2.5),
)
POINT = {
    "mu_alpha": 4.7, "mu_beta": 0.6, "sigma_alpha": 1.3, "sigma_beta": 0.4, "sigma": 0.9, "rho": -0.35,
    "alpha": np.array([5.0, 3.2, 8.1]), "beta": np.array([1.1, 0.7, 0.3]),
}  # fmt: skip


def density(model: pm.Model, point: dict) -> float:
    """The model's joint log density at natural values, without the transformations' Jacobians."""
    values = {}
    for rv in model.free_RVs:
        value = model.rvs_to_values[rv]
        transform = model.rvs_to_transforms[rv]
        natural = np.asarray(point[rv.name], dtype=float)
        values[value.name] = (
            natural if transform is None else transform.forward(natural, *rv.owner.inputs).eval()
        )
    return float(model.compile_logp(jacobian=False)(values))


def log_half_t(sd):
    return np.log(2) + stats.t.logpdf(sd, 3, scale=1.5)


def log_population_priors(p):
    return (
        stats.norm.logpdf(p["mu_alpha"], 5, 3)
        + stats.norm.logpdf(p["mu_beta"], 1, 2)
        + stats.halfnorm.logpdf(p["sigma_alpha"], scale=2)
        + stats.expon.logpdf(p["sigma_beta"], scale=0.7)
        + log_half_t(p["sigma"])
    )


def log_likelihood(p):
    mean = p["alpha"][GROUP] + p["beta"][GROUP] * DAY
    return stats.norm.logpdf(TIME, mean, p["sigma"]).sum()


def test_pooled_density_is_priors_times_one_line():
    point = {"alpha": 4.4, "beta": 0.8, "sigma": 1.2}
    expected = (
        stats.norm.logpdf(4.4, 5, 3)
        + stats.norm.logpdf(0.8, 1, 2)
        + log_half_t(1.2)
        + stats.norm.logpdf(TIME, 4.4 + 0.8 * DAY, 1.2).sum()
    )
    assert density(hb.pooled(DATA, PRIORS), point) == pytest.approx(expected, rel=CLOSE)


def test_unpooled_density_gives_each_group_its_line_and_noise():
    sigma = np.array([0.8, 1.5, 0.4])
    point = {"alpha": POINT["alpha"], "beta": POINT["beta"], "sigma": sigma}
    expected = (
        stats.norm.logpdf(POINT["alpha"], 4, 20).sum()
        + stats.norm.logpdf(POINT["beta"], 0, 9).sum()
        + log_half_t(sigma).sum()
        + stats.norm.logpdf(TIME, POINT["alpha"][GROUP] + POINT["beta"][GROUP] * DAY, sigma[GROUP]).sum()
    )
    assert density(hb.unpooled(DATA, PRIORS), point) == pytest.approx(expected, rel=CLOSE)


def test_partial_pooling_density_is_population_times_groups_times_data():
    p = POINT
    expected = (
        log_population_priors(p)
        + stats.norm.logpdf(p["alpha"], p["mu_alpha"], p["sigma_alpha"]).sum()
        + stats.norm.logpdf(p["beta"], p["mu_beta"], p["sigma_beta"]).sum()
        + log_likelihood(p)
    )
    assert density(hb.partial_pooling(DATA, PRIORS), p) == pytest.approx(expected, rel=CLOSE)


def log_correlated(p):
    """LKJ on rho and a bivariate normal on each group's line, as SciPy has them."""
    off = p["rho"] * p["sigma_alpha"] * p["sigma_beta"]
    cov = [[p["sigma_alpha"] ** 2, off], [off, p["sigma_beta"] ** 2]]
    lines = np.column_stack([p["alpha"], p["beta"]])
    return (
        log_population_priors(p)
        + stats.beta.logpdf((1 + p["rho"]) / 2, 2.5, 2.5)
        + stats.multivariate_normal.logpdf(lines, [p["mu_alpha"], p["mu_beta"]], cov).sum()
        + log_likelihood(p)
    )


def test_correlated_density_is_that_of_a_bivariate_normal_population():
    model = hb.partial_pooling(DATA, PRIORS, correlated=True)
    point = POINT | {"rho_beta": (1 + POINT["rho"]) / 2}
    assert density(model, point) == pytest.approx(log_correlated(POINT), rel=CLOSE)


def test_non_centred_correlated_density_differs_by_the_jacobian_alone():
    p = POINT
    z_alpha = (p["alpha"] - p["mu_alpha"]) / p["sigma_alpha"]
    rest = np.sqrt(1 - p["rho"] ** 2)
    z_beta = ((p["beta"] - p["mu_beta"]) / p["sigma_beta"] - p["rho"] * z_alpha) / rest
    model = hb.partial_pooling(DATA, PRIORS, centred=False, correlated=True)
    point = p | {"rho_beta": (1 + p["rho"]) / 2, "z_alpha": z_alpha, "z_beta": z_beta}
    jacobian = 3 * np.log(p["sigma_alpha"] * p["sigma_beta"] * rest)
    assert density(model, point) == pytest.approx(log_correlated(p) + jacobian, rel=CLOSE)


@pytest.mark.parametrize("centred", [True, False])
def test_student_t_density_has_heavier_tails_and_their_prior(centred):
    p = POINT | {"nu": 3.7}
    lines = [(p[f"{name}"] - p[f"mu_{name}"]) / p[f"sigma_{name}"] for name in ("alpha", "beta")]
    expected = (
        log_population_priors(p)
        + sum(stats.norm.logpdf(z).sum() for z in lines)
        + stats.gamma.logpdf(3.7, 2.5, scale=1 / 0.4)
        + stats.t.logpdf(TIME, 3.7, p["alpha"][GROUP] + p["beta"][GROUP] * DAY, p["sigma"]).sum()
    )
    if centred:
        expected -= 3 * np.log(p["sigma_alpha"] * p["sigma_beta"])
    model = hb.partial_pooling(DATA, replace(PRIORS, nu=hb.Gamma(2.5, 0.4)), centred=centred, student_t=True)
    point = p | {"z_alpha": lines[0], "z_beta": lines[1]}
    assert density(model, point) == pytest.approx(expected, rel=CLOSE)


def test_uniform_prior_on_an_sd_is_level():
    model = hb.pooled(NO_DAY, replace(PRIORS, sigma=hb.Uniform(8.0)))
    expected = stats.norm.logpdf(4.0, 5, 3) - np.log(8) + stats.norm.logpdf(TIME, 4.0, 1.7).sum()
    assert density(model, {"alpha": 4.0, "sigma": 1.7}) == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize("correlated", [False, True])
def test_non_centred_model_draws_the_same_groups_from_the_prior(correlated):
    """Their covariance in the prior, with the SDs all but fixed, is the population's."""
    narrow = replace(PRIORS, sigma_alpha=hb.GammaPrecision(4e6, 1e6), sigma_beta=hb.GammaPrecision(1e6, 4e6))
    model = hb.partial_pooling(DATA, narrow, centred=False, correlated=correlated)
    names = ["alpha", "beta", "mu_alpha", "mu_beta"] + ["rho"] * correlated
    draws = pm.draw([model[name] for name in names], draws=4000, random_seed=3)
    alpha, beta, mu_alpha, mu_beta = draws[:4]
    # 12,000 draws: the standard error of an SD is SD / sqrt(2 * 12000), of a correlation 0.01
    assert (alpha - mu_alpha[:, None]).std() == pytest.approx(0.5, rel=4 / np.sqrt(24_000))
    assert (beta - mu_beta[:, None]).std() == pytest.approx(2.0, rel=4 / np.sqrt(24_000))
    # Three groups a draw, with the correlation of that draw; without one, none
    product = ((alpha - mu_alpha[:, None]) / 0.5 * (beta - mu_beta[:, None]) / 2.0).mean(axis=1)
    rho = draws[4] if correlated else np.zeros(4000)
    assert (product - rho).mean() == pytest.approx(0, abs=4 * (product - rho).std() / np.sqrt(4000))
    if correlated:
        assert np.polyfit(rho, product, 1)[0] == pytest.approx(
            1, abs=4 * product.std() / rho.std() / np.sqrt(4000)
        )


def test_a_column_with_the_name_of_a_parameter_is_refused():
    for name in ("alpha", "observation", "chain"):
        clash = replace(DATA, group_name=name)
        with pytest.raises(hb.InputError, match=f"'{name}' has the name of something in the model"):
            hb.partial_pooling(clash, PRIORS)


@pytest.mark.parametrize("column", ["y_name", "x_name"])
def test_a_name_that_pymc_refuses_is_named_before_pymc_sees_it(column):
    with pytest.raises(hb.InputError, match="column 'kg/ha' has a '/'"):
        hb.pooled(replace(hb.load_sleepstudy(), **{column: "kg/ha"}), PRIORS)


@pytest.mark.parametrize("prior", [hb.GammaPrecision(0.5, 2.0), hb.GammaPrecision(3.0, 10.0)])
def test_precision_prior_is_a_gamma_on_tau(prior):
    model = hb.pooled(NO_DAY, replace(PRIORS, sigma=prior))
    expected = (
        stats.gamma.logpdf(0.6, prior.shape, scale=1 / prior.rate)
        + stats.norm.logpdf(4.0, 5, 3)
        + stats.norm.logpdf(TIME, 4.0, 0.6**-0.5).sum()
    )
    assert density(model, {"alpha": 4.0, "tau": 0.6}) == pytest.approx(expected, rel=CLOSE)


def test_flat_prior_adds_nothing():
    flat = replace(PRIORS, mu_alpha=hb.Normal(0, np.inf))
    expected = log_half_t(1.1) + stats.norm.logpdf(TIME, 7.0, 1.1).sum()
    assert density(hb.pooled(NO_DAY, flat), {"alpha": 7.0, "sigma": 1.1}) == pytest.approx(
        expected, rel=CLOSE
    )


def test_group_dimension_carries_the_group_names():
    model = hb.partial_pooling(DATA, PRIORS)
    assert tuple(model.coords["subject"]) == SUBJECTS
    assert model.named_vars_to_dims["alpha"] == ("subject",)


def test_without_a_predictor_there_are_no_slopes():
    for model in (hb.pooled(NO_DAY, PRIORS), hb.unpooled(NO_DAY, PRIORS), hb.partial_pooling(NO_DAY, PRIORS)):
        assert not [name for name in model.named_vars if "beta" in name]


def test_one_group_cannot_be_pooled_partially():
    with pytest.raises(hb.InputError, match=r"'subject' has one group, 'a'"):
        hb.partial_pooling(DATA.keep(GROUP == 0), PRIORS)


def test_correlation_needs_a_predictor():
    with pytest.raises(hb.InputError, match="needs a predictor"):
        hb.partial_pooling(NO_DAY, PRIORS, correlated=True)


def test_unpooled_names_groups_with_too_little_data():
    mask = np.ones(10, dtype=bool)
    mask[8:] = False  # leaves one observation of c
    with pytest.raises(hb.InputError, match=r"'subject' c: fewer than 3 observations of 'time'"):
        hb.unpooled(DATA.keep(mask), PRIORS)


def test_unpooled_names_groups_whose_predictor_never_changes():
    steady = replace(DATA, x=np.where(GROUP == 1, 2.0, DAY))
    with pytest.raises(hb.InputError, match=r"predictor 'day' never changes in 'subject' b"):
        hb.unpooled(steady, PRIORS)
