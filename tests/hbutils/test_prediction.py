"""Cross-validation of the three models, and the sums of its scores."""

from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
from brute_force import Axis, brute_force
from scipy import integrate, stats

import hbutils as hb

Y = np.array([3.1, 4.4, 3.9, 6.0, 5.1, 5.7, 2.2, 2.9, 3.4])
GROUP = np.array([0, 1, 0, 1, 0, 1, 2, 2, 2])
DATA = hb.GroupedData(y=Y, group=GROUP, labels=("a", "b", "c"))
PRIORS = hb.Priors(
    mu_alpha=hb.Normal(4.0, 3.0),
    sigma_alpha=hb.HalfNormal(2.0),
    sigma=hb.HalfNormal(1.5),
    alpha=hb.Normal(4.0, 9.0),
)
POPULATION = {"mu_alpha": 10, "sigma_alpha": 3, "mu_beta": 2, "sigma_beta": 1, "sigma": 1}
LINES = hb.simulate(11, n_groups=4, n_observations=5, x=range(5), **POPULATION).data
LINE_PRIORS = hb.Priors.weakly_informative(LINES)


def log_evidence(y, prior, sigma):
    """Log probability of outcomes of one line without slope: SciPy's dense normal, averaged over sigma."""

    def at(s):
        covariance = prior.sd**2 + s**2 * np.eye(len(y))
        mean = np.full(len(y), prior.mean)
        return np.exp(stats.multivariate_normal.logpdf(y, mean, covariance)) * sigma.pdf(s)

    return np.log(integrate.quad(at, 0.02, 15, points=[0.3, 1, 3], epsabs=0, epsrel=1e-7)[0])


@pytest.fixture(scope="module")
def scores():
    return hb.cross_validate(DATA, PRIORS)


def test_left_out_observation_has_the_ratio_of_two_evidences(scores):
    """p(y_i | the others) = p(all) / p(the others): pooled and unpooled, from SciPy's densities alone."""
    sigma = stats.halfnorm(scale=1.5)
    for i in (0, 3, 8):
        rest = np.arange(9) != i
        mine = GROUP[i] == GROUP
        pooled = log_evidence(Y, PRIORS.mu_alpha, sigma) - log_evidence(Y[rest], PRIORS.mu_alpha, sigma)
        own = log_evidence(Y[mine], PRIORS.alpha, sigma) - log_evidence(Y[mine & rest], PRIORS.alpha, sigma)
        assert scores["pooled"][i] == pytest.approx(pooled, abs=1e-5)
        assert scores["unpooled"][i] == pytest.approx(own, abs=1e-5)


@pytest.fixture(scope="module")
def without_row_3():
    """The hierarchical posterior without row 3, by brute force."""
    rest = np.arange(9) != 3
    edges = [0, 0.2, 0.5, 1, 2, 4, 8, 12]
    return brute_force(
        Y[rest],
        None,
        GROUP[rest],
        means=[(4.0, 3.0)],
        log_priors={
            "sigma_alpha": stats.halfnorm(scale=2.0).logpdf,
            "sigma": stats.halfnorm(scale=1.5).logpdf,
        },
        axes={"sigma_alpha": Axis(edges, 8), "sigma": Axis(edges[1:], 8, cut_low=True)},
    )


def test_left_out_observation_of_a_known_group_against_brute_force(scores, without_row_3):
    b = without_row_3
    variance = b.cov[:, 2, 2] + b.sigma**2  # population, a, b, c, new
    expected = np.log(b.mass @ stats.norm.pdf(Y[3], b.mean[:, 2], np.sqrt(variance)))
    assert scores["partial"][3] == pytest.approx(expected, abs=2e-4)


FITS = {"pooled": hb.exact_pooled, "unpooled": hb.exact_unpooled, "partial": hb.exact_posterior}


def test_each_row_is_scored_by_refits_without_it():
    """Refits by hand, on rows that are not sorted by group."""
    shuffled = np.random.default_rng(2).permutation(LINES.n_observations)
    data = hb.GroupedData.from_frame(LINES.to_frame().iloc[shuffled], y="y", x="x", group="group")
    scores = hb.cross_validate(data, LINE_PRIORS)
    assert list(scores.columns) == list(FITS)
    assert list(scores.index) == list(range(20))
    for i in (0, 13):
        rest = data.keep(np.arange(20) != i)
        for name, fit in FITS.items():
            label = data.labels[data.group[i]]
            expected = fit(rest, LINE_PRIORS).log_density(data.y[i], data.x[i], label)
            assert scores[name][i] == pytest.approx(expected[0], abs=1e-8)


@pytest.fixture
def seen(monkeypatch):
    """The data that the partially pooled model gets to see, fit by fit."""
    data = []
    fit = hb.prediction.exact_posterior
    monkeypatch.setattr(hb.prediction, "exact_posterior", lambda d, p: data.append(d) or fit(d, p))
    return data


def test_parts_take_an_equal_share_of_every_group_and_are_scored_without_themselves(seen):
    scores = hb.cross_validate(LINES, LINE_PRIORS, folds=5, seed=1)
    assert len(seen) == 5
    assert all((rest.counts == 4).all() for rest in seen)
    out = [~np.isin(LINES.y, rest.y) for rest in seen]
    assert (sum(part.astype(int) for part in out) == 1).all()
    for i in np.flatnonzero(out[3]):
        for name, fit in FITS.items():
            label = LINES.labels[LINES.group[i]]
            expected = fit(LINES.keep(~out[3]), LINE_PRIORS).log_density(LINES.y[i], LINES.x[i], label)
            assert scores[name][i] == pytest.approx(expected[0], abs=1e-8)


def test_parts_of_groups_are_whole_groups(seen):
    hb.cross_validate(LINES, LINE_PRIORS, folds=2, seed=1, leave_out="group")
    assert [(rest.n_groups, rest.n_observations) for rest in seen] == [(2, 10), (2, 10)]
    assert set(seen[0].labels).isdisjoint(seen[1].labels)


def test_folds_repeat_with_the_seed_and_change_with_it():
    scores = [hb.cross_validate(LINES, folds=3, seed=seed) for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2], atol=1e-3)


def test_left_out_group_is_predicted_as_a_new_one():
    scores = hb.cross_validate(LINES, LINE_PRIORS, leave_out="group")
    out = LINES.group == 2
    rest = LINES.keep(~out)
    for name, fit in {"pooled": hb.exact_pooled, "partial": hb.exact_posterior}.items():
        expected = fit(rest, LINE_PRIORS).log_density(LINES.y[out], LINES.x[out])
        np.testing.assert_allclose(scores.loc[out, name], expected, atol=1e-8)


@pytest.mark.parametrize(
    ("sigma", "density"),
    [
        (hb.HalfNormal(50.0), stats.halfnorm(scale=50).pdf),
        (hb.HalfStudentT(1.0, 20.0), stats.halfcauchy(scale=20).pdf),
        (hb.Uniform(80.0), stats.uniform(0, 80).pdf),
        (hb.GammaPrecision(0.1, 0.1), lambda s: stats.gamma.pdf(s**-2, 0.1, scale=10) * 2 * s**-3),
    ],
)
def test_unpooled_model_predicts_a_new_group_from_its_priors(sigma, density):
    """Against SciPy's quadrature over the noise SD, on the log scale."""
    data = hb.load_sleepstudy().keep(hb.load_sleepstudy().group < 3)
    priors = replace(hb.Priors.for_sleepstudy(), sigma=sigma)
    scores = hb.cross_validate(data, priors, leave_out="group")
    for i in (0, 9, 25):

        def integrand(u, i=i):
            s = np.exp(u)
            sd = np.sqrt(250**2 + (50 * data.x[i]) ** 2 + s**2)
            return stats.norm.pdf(data.y[i], 250 + 10 * data.x[i], sd) * density(s) * s

        expected = sum(
            integrate.quad(integrand, *ends, epsabs=0, limit=200)[0]
            for ends in ((-25, 0), (0, np.log(80)), (np.log(80), 20), (20, 60))
        )
        assert scores["unpooled"][i] == pytest.approx(np.log(expected), abs=1e-6)


def test_new_group_under_the_unpooled_model_does_not_depend_on_the_others():
    part = LINES.keep(LINES.group < 3)
    whole = hb.cross_validate(LINES, LINE_PRIORS, leave_out="group")["unpooled"]
    fewer = hb.cross_validate(part, LINE_PRIORS, leave_out="group")["unpooled"]
    np.testing.assert_allclose(whole[LINES.group < 3], fewer, rtol=1e-12)


def test_default_priors_are_set_once_from_all_the_data():
    pd.testing.assert_frame_equal(
        hb.cross_validate(DATA, leave_out="group"),
        hb.cross_validate(DATA, hb.Priors.weakly_informative(DATA), leave_out="group"),
    )


def test_data_are_left_as_they_were_and_progress_is_told(capsys):
    before = DATA.to_frame()
    hb.cross_validate(DATA, PRIORS, folds=3, progress=True)
    pd.testing.assert_frame_equal(DATA.to_frame(), before)
    assert capsys.readouterr().err == "\r1 of 3\r2 of 3\r3 of 3\n"
    hb.cross_validate(DATA, PRIORS, folds=3)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leave_out": "subject"}, "leave_out must be 'observation' or 'group', not 'subject'"),
        ({"folds": 1}, "folds must be a whole number from 2 to 9, the number of observations, not 1"),
        ({"folds": 10}, "from 2 to 9"),
        ({"folds": 2.0}, "whole number"),
        ({"folds": 4, "leave_out": "group"}, "from 2 to 3, the number of groups, not 4"),
        ({"folds": 2, "leave_out": "group"}, "must leave two or more"),
        ({"folds": 2}, r"without \d rows, \d among them: 'group' .*fewer than 2"),
    ],
)
def test_bad_settings_get_one_clear_error(options, message):
    with pytest.raises(hb.InputError, match=message):
        hb.cross_validate(DATA, PRIORS, **options)


def test_group_too_small_without_a_row_is_named_before_anything_is_fitted(monkeypatch):
    monkeypatch.setattr(hb.prediction, "exact_posterior", None)
    data = hb.GroupedData(y=[1.0, 2, 3, 1, 2], group=[0, 0, 0, 1, 1], labels=("a", "b"))
    with pytest.raises(hb.InputError, match=r"without row 3: 'group' b: fewer than 2.*leave out less"):
        hb.cross_validate(data, PRIORS)
    with pytest.raises(hb.InputError, match=r"without row 0: 'group' b has no observation left"):
        hb.cross_validate(hb.GroupedData(y=[9.0, 2, 3, 1], group=[1, 0, 0, 0], labels=("a", "b")), PRIORS)


def test_one_group_cannot_be_compared():
    with pytest.raises(hb.InputError, match="partial pooling needs at least two"):
        hb.cross_validate(DATA.keep(GROUP == 0), PRIORS)


def test_flat_priors_cannot_predict_a_new_group():
    with pytest.raises(hb.InputError, match="flat prior"):
        hb.cross_validate(DATA, replace(PRIORS, alpha=hb.Normal(0, np.inf)), leave_out="group")


SCORES = pd.DataFrame({"a": [-1.0, -2, -3, -4], "b": [-1.5, -2, -2.5, -3], "c": [-2.0, -2, -9, -1]})


def test_compare_counts_as_arviz_does():
    """The same elpds, differences and standard errors as az.compare, from made-up log likelihoods."""
    rng = np.random.default_rng(0)
    loos = {}
    for name, level in {"a": -1.0, "b": -1.4, "c": -1.1}.items():
        values = level + rng.normal(scale=0.5, size=120) + rng.normal(scale=0.1, size=(4, 250, 120))
        tree = az.from_dict({"posterior": {"mu": np.zeros((4, 250))}, "log_likelihood": {"y": values}})
        loos[name] = az.loo(tree, pointwise=True, reff=1.0)
    theirs = az.compare(loos, round_to="none").loc[list(loos)]
    ours = hb.compare(pd.DataFrame({name: loo.elpd_i.to_numpy() for name, loo in loos.items()}))
    np.testing.assert_allclose(ours["elpd"], theirs["elpd"].astype(float))
    np.testing.assert_allclose(ours["difference"], theirs["elpd_diff"].astype(float), atol=1e-9)
    np.testing.assert_allclose(ours["standard_error"], theirs["dse"].astype(float), atol=1e-9)


def test_compare_by_group_takes_the_variance_of_sums():
    table = hb.compare(SCORES, group=["x", "y", "x", "y"])
    assert table.loc["b"].tolist() == [-9.0, 0.0, 0.0]
    sums = np.array([-4.0 + 4.0, -6.0 + 5.0])  # a less b, within x and within y
    assert table.loc["a", "difference"] == pytest.approx(sums.sum())
    assert table.loc["a", "standard_error"] == pytest.approx(np.sqrt(2) * np.std(sums))


@pytest.mark.parametrize(
    ("scores", "group", "message"),
    [
        (SCORES.mask(SCORES < -8), None, "a number in every row"),
        (SCORES.iloc[:0], None, "a number in every row"),
        (SCORES, ["x", "y"], "group must have 4 values"),
    ],
)
def test_compare_refuses_what_it_cannot_add_up(scores, group, message):
    with pytest.raises(hb.InputError, match=message):
        hb.compare(scores, group)
