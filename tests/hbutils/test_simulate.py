"""A simulated study has the truth it says it has."""

import numpy as np
import pytest
from scipy import stats

from hbutils.data import InputError
from hbutils.simulate import seed_from, simulate

TRUTH = {
    "mu_alpha": 250.0,
    "sigma_alpha": 25.0,
    "mu_beta": 10.0,
    "sigma_beta": 6.0,
    "rho": -0.6,
    "sigma": 30.0,
}
GROUPS = 20_000
Z = 5.0  # Monte Carlo standard errors: with a fixed seed a test either passes for ever or is wrong


@pytest.fixture(scope="module")
def large():
    return simulate(1, n_groups=GROUPS, n_observations=4, x=[0, 1, 2, 3], **TRUTH)


def small(seed=3, **changes):
    return simulate(
        seed,
        **({"n_groups": 3, "n_observations": 2, "mu_alpha": 0.0, "sigma_alpha": 1.0, "sigma": 1.0} | changes),
    )


def test_same_seed_gives_same_study_and_another_seed_another():
    one, same, other = small(), small(), small(seed=4)
    np.testing.assert_array_equal(one.data.y, same.data.y)
    np.testing.assert_array_equal(one.alpha, same.alpha)
    assert not np.isclose(one.data.y, other.data.y).any()


@pytest.mark.parametrize("what", ["alpha", "beta"])
def test_group_lines_have_the_population_mean_and_sd(large, what):
    values, mean, sd = getattr(large, what), TRUTH[f"mu_{what}"], TRUTH[f"sigma_{what}"]
    assert abs(values.mean() - mean) < Z * sd / np.sqrt(GROUPS)
    assert abs(values.std() - sd) < Z * sd / np.sqrt(2 * GROUPS)  # standard error of a normal's SD


def test_intercepts_and_slopes_have_the_correlation(large):
    rho = np.corrcoef(large.alpha, large.beta)[0, 1]
    assert abs(rho - TRUTH["rho"]) < Z * (1 - TRUTH["rho"] ** 2) / np.sqrt(GROUPS)


def test_noise_is_normal_with_its_sd_and_independent_of_the_lines(large):
    data = large.data
    noise = data.y - large.alpha[data.group] - large.beta[data.group] * data.x
    assert abs(noise.mean()) < Z * TRUTH["sigma"] / np.sqrt(noise.size)
    assert abs(noise.std() - TRUTH["sigma"]) < Z * TRUTH["sigma"] / np.sqrt(2 * noise.size)
    assert stats.kstest(noise / TRUTH["sigma"], "norm").pvalue > 1e-4
    assert abs(np.corrcoef(noise, large.alpha[data.group])[0, 1]) < Z / np.sqrt(noise.size)


@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_a_perfect_correlation_puts_all_groups_on_one_line(rho):
    study = small(x=[0, 1], mu_beta=5.0, sigma_beta=2.0, rho=rho)
    np.testing.assert_allclose(study.beta, 5 + 2 * rho * study.alpha, rtol=1e-12)


def test_without_noise_the_observations_are_the_truth():
    study = small(sigma=0.0, n_observations=[1, 2, 3], x=[4.0, 5.0, 6.0], sigma_beta=1.0)
    data = study.data
    np.testing.assert_array_equal(data.counts, [1, 2, 3])
    np.testing.assert_array_equal(data.x, [4, 4, 5, 4, 5, 6])
    np.testing.assert_allclose(data.y, study.alpha[data.group] + study.beta[data.group] * data.x, rtol=1e-12)


def test_sds_of_zero_give_everybody_the_population_line():
    study = small(sigma_alpha=0.0, sigma_beta=0.0, mu_alpha=2.0, mu_beta=3.0, x=[0, 1])
    np.testing.assert_array_equal(study.alpha, [2, 2, 2])
    np.testing.assert_array_equal(study.beta, [3, 3, 3])


def test_without_a_predictor_there_are_no_slopes():
    study = small()
    assert study.beta is None
    assert study.data.x is None
    assert set(study.population) == {"mu_alpha", "sigma_alpha", "sigma"}


def test_population_names_the_truth():
    assert small(x=[0, 1], **TRUTH).population == TRUTH


def test_names_and_units_are_passed_on():
    study = small(labels=["p", "q", "r"], y_name="ms", group_name="driver", units={"ms": "ms"})
    assert study.data.labels == ("p", "q", "r")
    assert (study.data.y_name, study.data.group_name, study.data.units) == ("ms", "driver", {"ms": "ms"})
    assert small().data.labels == ("g1", "g2", "g3")


REFUSED = {
    "no groups": ({"n_groups": 0}, "group"),
    "fewer than no groups": ({"n_groups": -1}, "group"),
    "a group without observations": ({"n_observations": [2, 0, 1]}, "observation"),
    "counts for other groups": ({"n_observations": [2, 2]}, "n_observations"),
    "negative SD of intercepts": ({"sigma_alpha": -1.0}, "standard deviations"),
    "negative SD of slopes": ({"sigma_beta": -1.0, "x": [0, 1]}, "standard deviations"),
    "negative noise": ({"sigma": -1.0}, "standard deviations"),
    "correlation above one": ({"rho": 1.1, "x": [0, 1]}, "rho"),
    "too few values of the predictor": ({"x": [0]}, "x has 1 values"),
    "too few names": ({"labels": ["a", "b"]}, "group names"),
    "too many names": ({"labels": ["a", "b", "c", "d"]}, "d"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_impossible_studies_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        small(**changes)


def test_an_identifier_gives_always_the_same_seed_and_another_one_another():
    # The digits are SHA-256's, computed with sha256sum: students' data must not change with a release.
    assert seed_from("ada", "shrinkage") == int("57bc31ddcbcff2d5", 16) >> 1
    assert seed_from(" Ada ", "shrinkage") == seed_from("ada", "shrinkage")
    seeds = {
        seed_from(f"student{i}", purpose) for i in range(500) for purpose in ("", "shrinkage", "covariance")
    }
    assert len(seeds) == 1500


@pytest.mark.parametrize("identifier", ["", "  ", None, 3, ["ada"]])
def test_no_identifier_is_refused_with_what_to_do(identifier):
    with pytest.raises(InputError, match="STUDENT ="):
        seed_from(identifier)
