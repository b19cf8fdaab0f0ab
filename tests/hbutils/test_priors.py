"""Priors are the densities they say they are, on the scale they say."""

import dataclasses
import warnings

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from hbutils.data import GroupedData, InputError, load_sleepstudy
from hbutils.priors import (
    LKJ,
    Exponential,
    Gamma,
    GammaPrecision,
    HalfNormal,
    HalfStudentT,
    Normal,
    Priors,
    Uniform,
)
from hbutils.simulate import simulate

SCALES = [
    HalfNormal(2.5),
    HalfStudentT(3, 2.5),
    HalfStudentT(1, 0.1),
    Exponential(40.0),
    GammaPrecision(2.0, 5.0),
    GammaPrecision(0.1, 0.1),
    Uniform(7.0),
]
CORRELATIONS = [LKJ(0.5), LKJ(1.0), LKJ(2.0), LKJ(30.0)]
QUANTILES = [0.025, 0.25, 0.5, 0.9]


def mass_below(prior, value):
    """Integral of the density from 0, over log SD, which tames both ends."""
    area, error = integrate.quad(
        lambda z: np.exp(prior.logpdf(np.exp(z)) + z), -60, np.log(value), points=(-2, 0, 2, 4), limit=400
    )
    assert error < 1e-6
    return area


@pytest.mark.parametrize("prior", SCALES, ids=repr)
def test_scale_prior_integrates_to_one(prior):
    # up to exp(60): what the widest of them, with tails like sd**-1.2, leaves beyond is exp(-12)
    assert mass_below(prior, np.exp(60)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("prior", SCALES, ids=repr)
@pytest.mark.parametrize("q", QUANTILES)
def test_scale_quantiles_invert_the_integrated_density(prior, q):
    assert mass_below(prior, prior.ppf(q)) == pytest.approx(q, abs=1e-6)  # quad's own error, asserted above


@pytest.mark.parametrize("prior", SCALES, ids=repr)
def test_scale_prior_has_no_density_below_zero(prior):
    assert np.all(prior.logpdf([-1e-3, -1.0, -100.0]) == -np.inf)


@pytest.mark.parametrize("prior", SCALES, ids=repr)
def test_density_and_quantiles_take_arrays(prior):
    sd = np.array([[0.5, 1.0, 2.0]])
    assert prior.logpdf(sd).shape == (1, 3)
    assert prior.logpdf(sd)[0, 1] == pytest.approx(float(prior.logpdf(1.0)), rel=1e-14)
    assert (np.diff(prior.ppf(QUANTILES)) > 0).all()


def test_uniform_is_level_up_to_its_end():
    np.testing.assert_allclose(Uniform(4.0).logpdf([0.0, 1.0, 4.0]), -np.log(4))
    assert Uniform(4.0).logpdf(np.nextafter(4.0, 5.0)) == -np.inf
    assert Uniform(4.0).ppf(0.25) == pytest.approx(1.0, rel=1e-14)


def test_half_normal_is_twice_a_normal():
    sd = np.array([0.0, 1.0, 5.0])
    expected = np.log(2) - 0.5 * (sd / 2.5) ** 2 - np.log(2.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(HalfNormal(2.5).logpdf(sd), expected, rtol=1e-12)


def test_half_student_t_with_one_degree_of_freedom_is_half_cauchy():
    sd = np.array([0.0, 1.0, 5.0, 500.0])
    np.testing.assert_allclose(
        HalfStudentT(1, 2.5).logpdf(sd), stats.halfcauchy.logpdf(sd, scale=2.5), rtol=1e-12
    )


def test_exponential_has_its_scale_as_mean():
    mean, _ = integrate.quad(lambda s: s * np.exp(Exponential(3.0).logpdf(s)), 0, np.inf)
    assert mean == pytest.approx(3.0, rel=1e-8)


def test_gamma_on_precision_is_inverse_gamma_on_variance():
    sd = np.array([0.3, 1.0, 20.0])
    variance = stats.invgamma(0.7, scale=2.0).logpdf(sd**2) + np.log(2 * sd)
    np.testing.assert_allclose(GammaPrecision(0.7, 2.0).logpdf(sd), variance, rtol=1e-12)


def test_gamma_on_precision_is_nil_at_zero_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.all(GammaPrecision(0.1, 0.1).logpdf([0.0, 1e-200, 1e-160]) == -np.inf)


def test_the_documents_gamma_puts_the_sd_almost_anywhere():
    prior = GammaPrecision(0.1, 0.1)
    # published as "near 0.6 / 13 / 40,000" and "27 %": half a unit of the last figure given
    low, middle, high = prior.ppf([0.1, 0.5, 0.9])
    assert low == pytest.approx(0.6, abs=0.05)
    assert middle == pytest.approx(13, abs=0.5)
    assert high == pytest.approx(40_000, abs=5_000)
    assert mass_below(prior, 100.0) - mass_below(prior, 5.0) == pytest.approx(0.27, abs=0.005)


@pytest.mark.parametrize("prior", CORRELATIONS, ids=repr)
def test_correlation_prior_integrates_to_one_and_has_its_form(prior):
    # sin: for eta below one the density has poles at the ends
    def over_angle(angle):
        return np.exp(prior.logpdf(np.sin(angle))) * np.cos(angle)

    area, _ = integrate.quad(over_angle, -np.pi / 2, np.pi / 2)
    assert area == pytest.approx(1, abs=1e-7)
    rho = np.array([-0.9, -0.3, 0.5, 0.99])
    form = (prior.eta - 1) * np.log1p(-(rho**2))
    np.testing.assert_allclose(prior.logpdf(rho) - prior.logpdf(0.0), form, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("prior", CORRELATIONS, ids=repr)
@pytest.mark.parametrize("q", QUANTILES)
def test_correlation_quantiles_are_those_of_twice_a_beta_less_one(prior, q):
    expected = optimize.brentq(lambda r: special.betainc(prior.eta, prior.eta, (1 + r) / 2) - q, -1, 1)
    assert prior.ppf(q) == pytest.approx(expected, abs=1e-9)


def test_uniform_correlation_has_density_one_half():
    np.testing.assert_allclose(np.exp(LKJ().logpdf([-0.9, 0.0, 0.9])), 0.5, rtol=1e-14)


def test_normal_takes_a_standard_deviation():
    assert Normal(1.0, 4.0).precision == 1 / 16
    assert not Normal(1.0, 4.0).flat
    assert Normal(0.0, np.inf).flat
    assert Normal(0.0, np.inf).precision == 0


@pytest.mark.parametrize("sd", [2, np.int64(2), np.float32(2)], ids=["int", "int64", "float32"])
def test_normal_takes_whole_numbers(sd):
    assert Normal(0, sd).precision == 0.25


@pytest.mark.parametrize("number", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize(
    "make",
    [
        HalfNormal,
        Exponential,
        LKJ,
        lambda v: HalfStudentT(v, 1.0),
        lambda v: HalfStudentT(1.0, v),
        lambda v: GammaPrecision(v, 1.0),
        lambda v: GammaPrecision(1.0, v),
        Uniform,
        lambda v: Gamma(v, 1.0),
        lambda v: Gamma(1.0, v),
    ],
    ids=[
        "HalfNormal",
        "Exponential",
        "LKJ",
        "nu",
        "t scale",
        "shape",
        "rate",
        "upper",
        "gamma shape",
        "gamma rate",
    ],
)
def test_settings_that_are_not_positive_numbers_are_refused(make, number):
    with pytest.raises(InputError, match="must be a positive number"):
        make(number)


@pytest.mark.parametrize(("mean", "sd"), [(np.nan, 1), (np.inf, 1), (0, 0), (0, -1), (0, np.nan)])
def test_impossible_normals_are_refused(mean, sd):
    with pytest.raises(InputError, match="Normal"):
        Normal(mean, sd)


def test_priors_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Priors.for_sleepstudy().sigma = HalfNormal(1)


@pytest.mark.parametrize(("reading", "sd"), [("sd", 1000.0), ("variance", np.sqrt(1000.0))])
def test_the_documents_normal_can_be_read_both_ways(reading, sd):
    priors = Priors.from_documents(second_argument=reading)
    for name in ("mu_alpha", "mu_beta", "alpha", "beta"):
        assert getattr(priors, name).mean == 0
        assert getattr(priors, name).sd == pytest.approx(sd, rel=1e-15)
    for name in ("sigma_alpha", "sigma_beta", "sigma"):
        assert getattr(priors, name) == GammaPrecision(0.1, 0.1)


def test_the_documents_are_read_as_sd_unless_told_otherwise():
    assert Priors.from_documents() == Priors.from_documents(second_argument="sd")
    with pytest.raises(InputError, match="'sd' or 'variance'"):
        Priors.from_documents(second_argument="precision")


def test_sleep_study_priors_are_those_of_the_evidence():
    priors = Priors.for_sleepstudy()
    assert (priors.mu_alpha, priors.mu_beta) == (Normal(250, 50), Normal(10, 10))
    scales = (priors.sigma_alpha, priors.sigma_beta, priors.sigma)
    assert scales == (HalfNormal(50), HalfNormal(10), HalfNormal(50))


# --- weakly informative ---------------------------------------------------------------------------


def study(seed=2, x=(0.0, 1.0, 2.0, 4.0)):
    return simulate(
        seed,
        n_groups=5,
        n_observations=[1, 2, 3, 4, 4],
        mu_alpha=3.0,
        sigma_alpha=1.0,
        sigma=1.0,
        mu_beta=0.5,
        sigma_beta=0.3,
        x=x,
    ).data


def numbers(priors):
    return np.array(
        [
            *(
                getattr(getattr(priors, n), part)
                for n in ("mu_alpha", "alpha", "mu_beta", "beta")
                for part in ("mean", "sd")
            ),
            *(getattr(priors, n).scale for n in ("sigma_alpha", "sigma_beta", "sigma")),
        ]
    )


def test_weak_priors_centre_on_the_pooled_line_with_2_5_sds():
    data = study(x=(-2.0, -1.0, 1.0, 2.0))
    priors = Priors.weakly_informative(data)
    slope, intercept = np.polyfit(data.x, data.y, 1)
    assert priors.mu_alpha.mean == pytest.approx(intercept, rel=1e-10)
    assert priors.mu_beta.mean == pytest.approx(slope, rel=1e-10)
    assert priors.mu_beta.sd == pytest.approx(2.5 * data.y.std() / data.x.std(), rel=1e-12)
    assert priors.sigma.scale == pytest.approx(data.y.std(), rel=1e-12)
    at_mean = dataclasses.replace(data, x=data.x - data.x.mean())
    assert Priors.weakly_informative(at_mean).mu_alpha.sd == pytest.approx(2.5 * data.y.std(), rel=1e-12)


def test_weak_priors_follow_the_units_of_outcome_and_predictor():
    data, a, b = study(), 1000.0, 7.0
    other = dataclasses.replace(data, y=a * data.y, x=b * data.x)
    slopes = np.array([1, 1, 1, 1, 1 / b, 1 / b, 1 / b, 1 / b, 1, 1 / b, 1])
    np.testing.assert_allclose(
        numbers(Priors.weakly_informative(other)),
        a * slopes * numbers(Priors.weakly_informative(data)),
        rtol=1e-10,
    )


def test_weak_priors_move_with_the_outcome():
    data = study()
    one, other = (Priors.weakly_informative(d) for d in (data, dataclasses.replace(data, y=data.y + 1e6)))
    assert other.mu_alpha.mean - one.mu_alpha.mean == pytest.approx(1e6, rel=1e-12)
    np.testing.assert_allclose(
        numbers(other)[[1, 3, 4, 5, 6, 7, 8, 9, 10]], numbers(one)[[1, 3, 4, 5, 6, 7, 8, 9, 10]], rtol=1e-8
    )


def test_weak_priors_widen_the_intercept_when_zero_is_far_from_the_data():
    near = Priors.weakly_informative(study())
    data = study()
    far = Priors.weakly_informative(dataclasses.replace(data, x=data.x + 2000.0))
    # what the slope's SD of 2.5 SDs adds over the 2000 units
    assert far.mu_alpha.sd == pytest.approx(2000 * far.mu_beta.sd, rel=1e-2)
    assert far.mu_alpha.sd > 100 * near.mu_alpha.sd
    assert far.mu_beta.sd == pytest.approx(near.mu_beta.sd, rel=1e-9)


def test_weak_priors_do_without_a_predictor():
    data = dataclasses.replace(study(), x=None)
    priors = Priors.weakly_informative(data)
    assert priors.mu_alpha.mean == pytest.approx(data.y.mean(), rel=1e-12)
    assert priors.mu_alpha.sd == pytest.approx(2.5 * data.y.std(), rel=1e-12)
    assert priors.sigma_alpha.scale == pytest.approx(data.y.std(), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 251.4, 1e9])
def test_weak_priors_refuse_an_outcome_that_never_changes(value):
    # 0.1: the mean of three of them is not 0.1 in floating point, so their SD is not 0 either
    data = GroupedData(y=[value] * 3, group=[0, 1, 1], labels=("a", "b"), y_name="reaction_ms")
    with pytest.raises(InputError, match="'reaction_ms' is the same in every row"):
        Priors.weakly_informative(data)


def test_weak_priors_leave_the_sleep_study_to_its_data():
    data = load_sleepstudy()
    priors = Priors.weakly_informative(data)
    assert priors.mu_alpha.sd > 10 * 6.825  # lme4's standard errors
    assert priors.mu_beta.sd > 10 * 1.546
    assert priors.sigma_alpha.scale > 25
    assert priors.sigma_beta.scale > 6
